--- Python's format specifications, "[[fill]align][sign][#][0][width][,][.precision][type]": shared by format() and %.

local bigint = require "jinja.bigint"
local printing = require "jinja.printing"
local text = require "jinja.text"
local fault = require "jinja.fault"

local M = {}

--- Text of a float by a printf-like type: f, F, e, E, g, G, % or nil (repr-like).
---@param x number
---@param kind string|nil
---@param precision integer|nil
---@param alternate boolean|nil
function M.float(x, kind, precision, alternate)
  if x ~= x then return kind and kind:find("%u") and "NAN" or "nan" end
  if x == math.huge or x == -math.huge then
    local word = kind and kind:find("%u") and "INF" or "inf"
    return (x < 0 and "-" or "") .. word
  end
  if precision and precision > 400 then precision = 400 end
  if not kind then
    if not precision then return printing.float(x) end
    local s = M.float(x, "g", precision)
    -- like g, but with at least one digit after the point
    if not s:find("[%.en]") then
      s = s .. ".0"
    end
    return s
  end
  local flag = alternate and "#" or ""
  if precision and precision > 99 then
    -- C's format wants two digits of precision at most
    local base = ("%" .. flag .. ".99" .. kind):format(x)
    if kind == "f" or kind == "F" then return base .. ("0"):rep(precision - 99) end
    return base
  end
  if kind == "F" then kind = "f" end
  return ("%" .. flag .. "." .. (precision or 6) .. kind):format(x)
end

local function grouped(digits, sep, every)
  local out = {}
  local first = #digits % every
  if first > 0 then out[1] = digits:sub(1, first) end
  for i = first + 1, #digits, every do out[#out + 1] = digits:sub(i, i + every - 1) end
  return table.concat(out, sep)
end

--- Splits a specification; raises ValueError.
function M.parse(spec)
  local out = {}
  local rest = spec
  local second = utf8.offset(rest, 2)
  if second and rest:sub(second, second):find("[<>=^]") then
    out.fill, out.align = rest:sub(1, second - 1), rest:sub(second, second)
    rest = rest:sub(second + 1)
  elseif rest:find("^[<>=^]") then
    out.align = rest:sub(1, 1)
    rest = rest:sub(2)
  end
  out.sign, rest = rest:match("^([-+ ]?)(.*)$")
  rest = rest:gsub("^z", "")
  if rest:sub(1, 1) == "#" then out.alternate, rest = true, rest:sub(2) end
  if rest:sub(1, 1) == "0" then
    if not out.align then out.align, out.fill, out.zero = "=", out.fill or "0", true end
    rest = rest:sub(2)
  end
  local width
  width, rest = rest:match("^(%d*)(.*)$")
  out.width = width ~= "" and tonumber(width) or nil
  if rest:find("^[,_]") then
    out.comma, rest = rest:sub(1, 1), rest:sub(2)
    if rest:find("^[,_]") then return fault.value("Cannot specify both ',' and '_'.") end
  end
  if rest:sub(1, 1) == "." then
    local precision
    precision, rest = rest:match("^%.(%d*)(.*)$")
    if precision == "" then return fault.value("Format specifier missing precision") end
    out.precision = tonumber(precision)
  end
  if #rest > 1 then return fault.value(("Invalid format specifier '%s'"):format(spec)) end
  out.type = rest ~= "" and rest or nil
  if (out.width or 0) > 1000000 then return fault.raise("MemoryError", "the width is too large") end
  return out
end

-- fills up to the width; `prefix` (sign, 0x) stays in front with "="
local function aligned(o, prefix, body, default)
  local missing = (o.width or 0) - text.len(prefix) - text.len(body)
  if missing <= 0 then return prefix .. body end
  local fill, align = o.fill or " ", o.align or default
  if align == "=" then return prefix .. fill:rep(missing) .. body end
  if align == "<" then return prefix .. body .. fill:rep(missing) end
  if align == ">" then return fill:rep(missing) .. prefix .. body end
  local left = missing // 2
  return fill:rep(left) .. prefix .. body .. fill:rep(missing - left)
end

-- the integer part of digits with its separators, zero filled to the width with separators too
local function separated(o, prefix, whole, tail, every)
  if not o.comma then return whole .. tail end
  local s = grouped(whole, o.comma, every)
  if o.zero or o.align == "=" and o.fill == "0" then
    local room = (o.width or 0) - #prefix - #tail
    while #s < room do
      whole = "0" .. whole
      s = grouped(whole, o.comma, every)
    end
  end
  return s .. tail
end

local function unknown(o, kind)
  return fault.value(("Unknown format code '%s' for object of type '%s'"):format(o.type, kind))
end

local function sign_of(o, negative)
  if negative then return "-" end
  return o.sign == "-" and "" or o.sign
end

local bases = { d = 10, n = 10, b = 2, o = 8, x = 16, X = 16 }

local function integer(x, o)
  local kind = o.type or "d"
  if kind == "c" then return aligned(o, "", utf8.char(x), "<") end
  local base = bases[kind]
  if not base then
    if kind:find("[eEfFgG%%]") then return M.format(bigint.is(x) and bigint.float(x) or x - 0.0, o) end
    return unknown(o, "int")
  end
  if o.precision then return fault.value("Precision not allowed in integer format specifier") end
  if o.comma == "," and base ~= 10 then return fault.value(("Cannot specify ',' with '%s'."):format(kind)) end
  local digits = bigint.digits(x, base)
  local negative = digits:sub(1, 1) == "-"
  if negative then digits = digits:sub(2) end
  if kind == "X" then digits = digits:upper() end
  local prefix = sign_of(o, negative)
  if o.alternate and base ~= 10 then prefix = prefix .. "0" .. kind end
  return aligned(o, prefix, separated(o, prefix, digits, "", base == 10 and 3 or 4), ">")
end

local function float(x, o)
  local kind = o.type
  if kind and not kind:find("[eEfFgG%%n]") then return unknown(o, "float") end
  local tail, s = ""
  if kind == "%" then
    s, tail = M.float(x * 100, "f", o.precision), "%"
  else
    s = M.float(x, kind == "n" and "g" or kind, o.precision, o.alternate)
  end
  local negative = s:sub(1, 1) == "-"
  if negative then s = s:sub(2) end
  local prefix = sign_of(o, negative)
  local whole, rest = s:match("^(%d+)(.*)$")
  if whole then s = separated(o, prefix, whole, rest .. tail, 3) else s = s .. tail end
  return aligned(o, prefix, s, ">")
end

--- A value by a parsed specification.
function M.format(x, o)
  local t = type(x)
  if t == "boolean" then
    return integer(x and 1 or 0, o)
  elseif math.type(x) == "integer" or bigint.is(x) then
    return integer(x, o)
  elseif t == "number" then
    return float(x, o)
  end
  local s = x
  if t ~= "string" then s = printing.str(x) end
  if o.type and o.type ~= "s" then return unknown(o, "str") end
  if o.align == "=" and not o.zero then return fault.value("'=' alignment not allowed in string format specifier") end
  if o.sign ~= "" then return fault.value("Sign not allowed in string format specifier") end
  if o.comma then return fault.value("Cannot specify ',' with 's'.") end
  if o.alternate then return fault.value("Alternate form (#) not allowed in string format specifier") end
  if o.align == "=" then o.align = "<" end
  if o.precision then s = text.sub(s, 0, o.precision) end
  return aligned(o, "", s, "<")
end

return M
