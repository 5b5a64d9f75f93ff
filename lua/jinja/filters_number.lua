--- Filters about numbers, and those that keep a value's type.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local printing = require "jinja.printing"
local bigint = require "jinja.bigint"
local ops = require "jinja.ops"
local text = require "jinja.text"
local fault = require "jinja.fault"

local filter = registry.filter

local function as_int(x, default)
  if x == nil then return default end
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  return fault.type(("'%s' object cannot be interpreted as an integer"):format(runtime.type_name(x)))
end

local function is_text(x) return type(x) == "string" or type(x) == "table" and getmetatable(x) == classes.Markup end

-- digits of Python's int(text, base): an integer or nil
local function parse_int(s, base)
  s = text.strip(s, "both")
  local sign, rest = s:match("^([-+]?)(.*)$")
  local prefix = rest:match("^0([xXoObB])")
  if prefix then
    local wanted = ({ x = 16, o = 8, b = 2 })[prefix:lower()]
    if base == wanted or base == 0 then
      base = wanted
      rest = rest:sub(3):gsub("^_", "")
    end
  end
  if base == 0 then base = 10 end
  if rest == "" or rest:find("^_") or rest:find("_$") or rest:find("__", 1, true) then return nil end
  rest = rest:gsub("_", "")
  if rest:find("[\128-\255]") then
    local unicode = require "jinja.unicode"
    local out = {}
    for _, c in utf8.codes(rest, true) do
      if not unicode.is("decimal", c) then return nil end
      -- decimal digits come in runs of ten
      local zero = c
      while zero > 0 and unicode.is("decimal", zero - 1) and c - zero < 9 do zero = zero - 1 end
      out[#out + 1] = c < 128 and utf8.char(c) or tostring((c - zero) % 10)
    end
    rest = table.concat(out)
  end
  for c in rest:gmatch(".") do
    local d = tonumber(c, 36)
    if not d or d >= base then return nil end
  end
  return bigint.parse(sign .. rest, base)
end

--- Python's float(text): a float or nil.
local function parse_float(s)
  s = text.strip(s, "both")
  if s:find("^[^_].*_.*[^_]$") and not s:find("__", 1, true) and not s:find("%D_") and not s:find("_%D") then
    s = s:gsub("_", "")
  end
  local lower = s:lower()
  local sign, word = lower:match("^([-+]?)(%a+)$")
  if word == "inf" or word == "infinity" then return sign == "-" and -math.huge or math.huge end
  if word == "nan" then return 0.0 / 0.0 end
  if not s:find("^[-+]?%d*%.?%d*[eE]?[-+]?%d*$") or not s:find("%d") then return nil end
  local n = tonumber((s:gsub("^%+", "")))
  if n == 0 and s:sub(1, 1) == "-" then return -0.0 end
  return n and n - 0.0
end

filter("int(default?, base?)", function(x, default, base)
  if default == nil then default = 0 end
  if value.is_undefined(x) then return runtime.undefined_error(x) end
  if is_text(x) then
    local s = type(x) == "string" and x or x.text
    local n = parse_int(s, as_int(base, 10))
    if n ~= nil then return n end
    local f = parse_float(s)
    if f == nil or f ~= f or f == math.huge or f == -math.huge then return default end
    return bigint.from_float(f < 0 and math.ceil(f) or math.floor(f))
  end
  if type(x) == "boolean" then return x and 1 or 0 end
  if math.type(x) == "integer" or bigint.is(x) then return x end
  if math.type(x) == "float" then
    if x ~= x then return default end
    if x == math.huge or x == -math.huge then return default end
    return bigint.from_float(x < 0 and math.ceil(x) or math.floor(x))
  end
  local mt = type(x) == "table" and getmetatable(x)
  if mt and mt.__int then return mt.__int(x) end
  return default
end)

filter("float(default?)", function(x, default)
  if default == nil then default = 0.0 end
  if value.is_undefined(x) then return runtime.undefined_error(x) end
  if type(x) == "number" then return x - 0.0 end
  if type(x) == "boolean" then return x and 1.0 or 0.0 end
  if bigint.is(x) then return bigint.float(x) end
  if is_text(x) then
    local f = parse_float(type(x) == "string" and x or x.text)
    if f ~= nil then return f end
    return default
  end
  local mt = type(x) == "table" and getmetatable(x)
  if mt and mt.__float then return mt.__float(x) end
  return default
end)

filter("abs()", function(x)
  if type(x) == "boolean" then return x and 1 or 0 end
  if type(x) == "number" then
    if x == math.mininteger then return bigint.neg(x) end
    return x < 0 and -x or x == 0 and math.abs(x) or x
  end
  if bigint.is(x) then return x.sign < 0 and bigint.neg(x) or x end
  local mt = type(x) == "table" and getmetatable(x)
  if mt and mt.__abs then return mt.__abs(x) end
  return fault.type(("bad operand type for abs(): '%s'"):format(runtime.type_name(x)))
end)

-- half to even on the decimal digits that the float really has
local function round_common(x, precision)
  if x ~= x or x == math.huge or x == -math.huge then return x end
  if precision > 0 then
    if precision > 99 then return x end -- Lua prints no more digits; what is left changes only below 1e-80
    return tonumber(("%." .. precision .. "f"):format(x))
  end
  -- the fraction keeps the sign of zero
  local scale = 10.0 ^ -precision
  return tonumber(("%.0f"):format(x / scale) .. ".0") * scale
end

filter("round(precision?, method?)", function(x, precision, method)
  precision = as_int(precision, 0)
  method = method == nil and "common" or method
  if method ~= "common" and method ~= "ceil" and method ~= "floor" then
    return fault.raise("FilterArgumentError", "method must be common, ceil or floor")
  end
  if type(x) == "boolean" then x = x and 1 or 0 end
  local mt = type(x) == "table" and getmetatable(x)
  if mt and mt.__round and method == "common" then return mt.__round(x, precision) end
  if mt and mt.__float then x = mt.__float(x) end
  if type(x) ~= "number" and not bigint.is(x) then
    return fault.type(("type %s doesn't define __round__ method"):format(runtime.type_name(x)))
  end
  if method == "common" then
    if math.type(x) == "float" then return round_common(x, precision) end
    if precision >= 0 then return x end
    -- integers round to tens, hundreds, ..., half to even
    local unit = bigint.pow(10, -precision)
    local q, r = bigint.divmod(x, unit)
    local twice = bigint.compare(bigint.mul(r, 2), unit)
    if twice > 0 or twice == 0 and ops.mod(q, 2) == 1 then q = bigint.add(q, 1) end
    return bigint.mul(q, unit)
  end
  local scale = 10.0 ^ precision
  if precision >= 0 then scale = bigint.float(bigint.pow(10, precision)) end
  local scaled = (bigint.is(x) and bigint.float(x) or x) * scale
  return (method == "ceil" and math.ceil(scaled) or math.floor(scaled)) / scale
end)

filter("filesizeformat(binary?)", function(x, binary)
  local bytes
  if type(x) == "number" then
    bytes = x - 0.0
  elseif is_text(x) then
    bytes = parse_float(type(x) == "string" and x or x.text)
    if not bytes then return fault.value(("could not convert string to float: %s"):format(printing.repr(x))) end
  elseif type(x) == "boolean" then
    bytes = x and 1.0 or 0.0
  elseif bigint.is(x) then
    bytes = bigint.float(x)
  else
    return fault.type(("float() argument must be a string or a real number, not '%s'"):format(runtime.type_name(x)))
  end
  local is_binary = binary ~= nil and runtime.truth(binary)
  local base = is_binary and 1024 or 1000
  if bytes == 1 then return "1 Byte" end
  if bytes < base then return ("%.0f Bytes"):format(bytes < 0 and math.ceil(bytes) or math.floor(bytes)) end
  local unit, prefix
  for i, p in ipairs(is_binary and { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" }
    or { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" }) do
    unit, prefix = base ^ (i + 1), p
    if bytes < unit then break end
  end
  return ("%.1f %s"):format(base * bytes / unit, prefix)
end)

-- dbt's: each gives its value unchanged in text
for _, name in ipairs { "as_text", "as_bool", "as_number", "as_native" } do
  filter(name .. "()", function(x) return x end)
end

filter("default(default_value?, boolean?)", function(x, default, boolean)
  if default == nil then default = "" end
  if value.is_undefined(x) or boolean ~= nil and runtime.truth(boolean) and not runtime.truth(x) then return default end
  return x
end)
registry.alias("filter", "d", "default")

return { parse_int = parse_int, parse_float = parse_float }
