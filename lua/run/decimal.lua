--- Exact numbers from the database: what `numeric` columns hold when it is no integer. They print as the database
-- writes them; sums, differences and products are exact as long as their digits fit 64 bits, and floats beyond
-- that.

local bigint = require "jinja.bigint"

local M = {}

local Decimal = { __name = "dex.decimal" }

-- Digits that always fit a 64-bit integer.
local MAX_DIGITS = 18

--- Makes a value from the text of a number: an integer where it is one and fits, a float for NaN and the
--- infinities, else a decimal.
---@param text string
---@return integer|number|table integer, float, big integer or decimal
function M.parse(text)
  if text:find("^-?%d+$") then
    return #text <= MAX_DIGITS and math.tointeger(tonumber(text)) or bigint.parse(text, 10)
  end
  if text == "NaN" then return 0 / 0 end
  if text == "Infinity" then return math.huge end
  if text == "-Infinity" then return -math.huge end
  local sign, whole, fraction = text:match("^(-?)(%d+)%.?(%d*)$")
  local self = { text = text }
  if whole and #whole + #fraction <= MAX_DIGITS then
    self.scale = #fraction
    self.digits = math.tointeger(tonumber(sign .. whole .. fraction))
  end
  return setmetatable(self, Decimal)
end

--- Whether x is a decimal.
function M.is(x) return type(x) == "table" and getmetatable(x) == Decimal end

--- The nearest float.
function M.tonumber(x)
  if M.is(x) then return tonumber(x.text) end
  return x
end

local tonumber_of = M.tonumber

local function from_digits(digits, scale)
  if scale == 0 then return digits end
  local sign = digits < 0 and "-" or ""
  local text = ("%d"):format(digits):gsub("^-", "")
  text = ("0"):rep(scale + 1 - #text) .. text
  return setmetatable({ text = sign .. text:sub(1, -scale - 1) .. "." .. text:sub(-scale), digits = digits,
    scale = scale }, Decimal)
end

-- Digits and scale of an exact operand.
local function exact(x)
  if math.type(x) == "integer" then return x, 0 end
  if M.is(x) then return x.digits, x.scale end
end

local LIMIT = 10 ^ MAX_DIGITS

local function arithmetic(op)
  return function(a, b)
    local da, sa = exact(a)
    local db, sb = exact(b)
    if da and db then
      local digits, scale, size
      if op == "mul" then
        digits, scale, size = da * db, sa + sb, math.abs(da * 1.0 * db)
      else
        scale = math.max(sa, sb)
        local fa, fb = 10.0 ^ (scale - sa), 10.0 ^ (scale - sb)
        size = math.abs(da * fa) + math.abs(db * fb)
        if size < LIMIT then
          local x, y = da * math.tointeger(fa), db * math.tointeger(fb)
          digits = op == "add" and x + y or x - y
        end
      end
      if size < LIMIT and scale <= MAX_DIGITS then return from_digits(digits, scale) end
    end
    local x, y = tonumber_of(a) * 1.0, tonumber_of(b) * 1.0
    if op == "add" then return x + y elseif op == "sub" then return x - y end
    return x * y
  end
end

Decimal.__add = arithmetic "add"
Decimal.__sub = arithmetic "sub"
Decimal.__mul = arithmetic "mul"
Decimal.__div = function(a, b) return tonumber_of(a) / tonumber_of(b) end
Decimal.__mod = function(a, b) return tonumber_of(a) % tonumber_of(b) end
Decimal.__idiv = function(a, b) return tonumber_of(a) // tonumber_of(b) end
Decimal.__pow = function(a, b) return tonumber_of(a) ^ tonumber_of(b) end
Decimal.__unm = function(a) return a.digits and from_digits(-a.digits, a.scale) or -tonumber_of(a) end
Decimal.__eq = function(a, b)
  if M.is(a) and M.is(b) and a.text == b.text then return true end
  return tonumber_of(a) == tonumber_of(b)
end
Decimal.__lt = function(a, b) return tonumber_of(a) < tonumber_of(b) end
Decimal.__le = function(a, b) return tonumber_of(a) <= tonumber_of(b) end
Decimal.__tostring = function(a) return a.text end
Decimal.__concat = function(a, b) return tostring(a) .. tostring(b) end
Decimal.__repr = function(a) return ("Decimal('%s')"):format(a.text) end
Decimal.__truth = function(a) return tonumber_of(a) ~= 0 end
Decimal.__pytype = "Decimal"

-- What the filters int, float, abs and round ask for.
Decimal.__float = tonumber_of
Decimal.__int = function(a)
  local n = tonumber_of(a)
  return math.tointeger(n < 0 and math.ceil(n) or math.floor(n)) or bigint.parse(a.text:match("^-?%d+"), 10)
end
Decimal.__abs = function(a) return a.text:sub(1, 1) == "-" and M.parse(a.text:sub(2)) or a end
Decimal.__round = function(a, precision)
  local n = tonumber_of(a)
  return M.parse((("%%.%df"):format(math.max(precision, 0))):format(n))
end
Decimal.__hash = function(a) return a.text end

return M
