--- Integers beyond 64 bits. Lua's own integers are used as long as a value fits; operations that would overflow
-- come here. Sign and magnitude, limbs of seven decimal digits, least first.

local spend = require("jinja.limits").spend

local M = {}

local Big = { __name = "dex.bigint", __pytype = "int" }
M.Big = Big

local BASE, WIDTH = 10000000, 7

local function make(sign, limbs)
  local n = #limbs
  while n > 0 and limbs[n] == 0 do
    limbs[n] = nil
    n = n - 1
  end
  return setmetatable({ sign = n == 0 and 1 or sign, limbs = limbs }, Big)
end

local function from_integer(i)
  local limbs = {}
  local sign = i < 0 and -1 or 1
  while i ~= 0 do
    local r = math.fmod(i, BASE)
    limbs[#limbs + 1] = math.tointeger(r < 0 and -r or r)
    i = (i - r) // BASE
  end
  return make(sign, limbs)
end

local function big(x)
  if getmetatable(x) == Big then return x end
  if x == true then x = 1 elseif x == false then x = 0 end
  return from_integer(x)
end

local function compare_magnitude(a, b)
  if #a ~= #b then return #a < #b and -1 or 1 end
  for i = #a, 1, -1 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end

local function add_magnitude(a, b)
  local out, carry = {}, 0
  for i = 1, math.max(#a, #b) do
    local s = (a[i] or 0) + (b[i] or 0) + carry
    out[i] = s % BASE
    carry = s // BASE
  end
  if carry > 0 then out[#out + 1] = carry end
  return out
end

local function sub_magnitude(a, b)
  local out, borrow = {}, 0
  for i = 1, #a do
    local s = a[i] - (b[i] or 0) - borrow
    borrow = s < 0 and 1 or 0
    out[i] = s < 0 and s + BASE or s
  end
  return out
end

--- The value as a Lua integer when it fits, else itself.
local function norm(a)
  local limbs = a.limbs
  if #limbs > 3 or #limbs == 3 and limbs[3] > 92233 then return a end
  local v = 0
  for i = #limbs, 1, -1 do v = v * BASE - limbs[i] end
  -- negative on the way, as the smallest integer has no positive counterpart
  if v > 0 or a.sign > 0 and v == math.mininteger then return a end
  return a.sign > 0 and -v or v
end

local function add(a, b)
  if a.sign == b.sign then return make(a.sign, add_magnitude(a.limbs, b.limbs)) end
  local order = compare_magnitude(a.limbs, b.limbs)
  if order == 0 then return make(1, {}) end
  if order > 0 then return make(a.sign, sub_magnitude(a.limbs, b.limbs)) end
  return make(b.sign, sub_magnitude(b.limbs, a.limbs))
end

local function negate(a) return make(-a.sign, table.move(a.limbs, 1, #a.limbs, 1, {})) end

local function mul(a, b)
  local out = {}
  local x, y = a.limbs, b.limbs
  spend(1 + #x * #y // 16)
  for i = 1, #x + #y do out[i] = 0 end
  for i = 1, #x do
    local carry = 0
    for j = 1, #y do
      local s = out[i + j - 1] + x[i] * y[j] + carry
      out[i + j - 1] = s % BASE
      carry = s // BASE
    end
    local k = i + #y
    while carry > 0 do
      local s = out[k] + carry
      out[k] = s % BASE
      carry = s // BASE
      k = k + 1
    end
  end
  return make(a.sign * b.sign, out)
end

-- magnitudes: quotient and remainder, limb by limb with a binary search for each digit of the quotient
local function divide_magnitude(x, y)
  local quotient, rest = {}, make(1, {})
  for i = #x, 1, -1 do
    table.insert(rest.limbs, 1, x[i])
    rest = make(1, rest.limbs)
    local lo, hi = 0, BASE - 1
    while lo < hi do
      local mid = (lo + hi + 1) // 2
      if compare_magnitude(mul(make(1, { table.unpack(y) }), from_integer(mid)).limbs, rest.limbs) <= 0 then
        lo = mid
      else
        hi = mid - 1
      end
    end
    quotient[i] = lo
    rest = make(1, sub_magnitude(rest.limbs, mul(make(1, { table.unpack(y) }), from_integer(lo)).limbs))
  end
  return make(1, quotient), rest
end

--- Floored division: quotient and remainder.
function M.divmod(a, b)
  a, b = big(a), big(b)
  if #b.limbs == 0 then return nil end
  local q, r = divide_magnitude(a.limbs, b.limbs)
  q.sign, r.sign = a.sign * b.sign, a.sign
  if #q.limbs == 0 then q.sign = 1 end
  if #r.limbs == 0 then r.sign = 1 end
  if #r.limbs > 0 and r.sign ~= b.sign then
    q = add(q, from_integer(-1))
    r = add(r, b)
  end
  return norm(q), norm(r)
end

function M.add(a, b) return norm(add(big(a), big(b))) end
function M.sub(a, b) return norm(add(big(a), negate(big(b)))) end
function M.mul(a, b) return norm(mul(big(a), big(b))) end
function M.neg(a) return norm(negate(big(a))) end

--- a ** n for an integer n >= 0. nil when the result would have more than 100,000 digits.
function M.pow(a, n)
  local result, base = from_integer(1), big(a)
  if #base.limbs * n > 15000 and #base.limbs > 0 and compare_magnitude(base.limbs, { 1 }) ~= 0 then return nil end
  while n > 0 do
    if n % 2 == 1 then result = mul(result, base) end
    n = n // 2
    if n > 0 then base = mul(base, base) end
  end
  return norm(result)
end

--- -1, 0 or 1.
function M.compare(a, b)
  a, b = big(a), big(b)
  if a.sign ~= b.sign then return a.sign < b.sign and -1 or 1 end
  return a.sign * compare_magnitude(a.limbs, b.limbs)
end

--- The nearest float.
function M.float(a) return tonumber(M.tostring(big(a))) - 0.0 end

function M.tostring(a)
  a = big(a)
  local limbs = a.limbs
  local n = #limbs
  if n == 0 then return "0" end
  local out = { a.sign < 0 and "-" or "", tostring(limbs[n]) }
  for i = n - 1, 1, -1 do out[#out + 1] = ("%0" .. WIDTH .. "d"):format(limbs[i]) end
  return table.concat(out)
end

--- Digits in another base (2 to 16), lower case, with a minus sign.
function M.digits(a, base)
  a = big(a)
  local sign = a.sign < 0 and "-" or ""
  local out = {}
  local rest = make(1, table.move(a.limbs, 1, #a.limbs, 1, {}))
  local divisor = { base }
  while #rest.limbs > 0 do
    local q, r = divide_magnitude(rest.limbs, divisor)
    local d = r.limbs[1] or 0
    out[#out + 1] = ("0123456789abcdef"):sub(d + 1, d + 1)
    rest = q
  end
  return sign .. (#out == 0 and "0" or table.concat(out):reverse())
end

--- An integer from digits ("_" allowed) in a base: a Lua integer when it fits.
---@param text string
---@param base integer
function M.parse(text, base)
  text = text:gsub("_", "")
  local sign, digits = text:match("^([-+]?)(.*)$")
  if base == 10 and #digits < 19 then return math.tointeger(tonumber(text)) end
  if base == 10 then
    local limbs = {}
    for stop = #digits, 1, -WIDTH do
      limbs[#limbs + 1] = math.tointeger(tonumber(digits:sub(math.max(1, stop - WIDTH + 1), stop)))
    end
    return norm(make(sign == "-" and -1 or 1, limbs))
  end
  local v = from_integer(0)
  local factor = from_integer(base)
  for c in digits:gmatch(".") do v = add(mul(v, factor), from_integer(tonumber(c, base))) end
  if sign == "-" then v = negate(v) end
  return norm(v)
end

--- An integral float as an integer of any size.
function M.from_float(f)
  local i = math.tointeger(f)
  if i then return i end
  return M.parse(("%.0f"):format(f), 10)
end

function M.is(x) return getmetatable(x) == Big end

Big.__eq = function(a, b)
  return getmetatable(a) == Big and getmetatable(b) == Big and M.compare(a, b) == 0
end
Big.__tostring = M.tostring
Big.__truth = function() return true end
Big.__hash = M.tostring

return M
