--- Python's `text % values`.

local value = require "jinja.value"
local classes = require "jinja.classes"
local bigint = require "jinja.bigint"
local printing = require "jinja.printing"
local runtime = require "jinja.runtime"
local spec = require "jinja.spec"
local text = require "jinja.text"
local fault = require "jinja.fault"

local M = {}

local function integer(x, kind)
  if type(x) == "boolean" then return x and 1 or 0 end
  if math.type(x) == "integer" or bigint.is(x) then return x end
  if math.type(x) == "float" and (kind == "d" or kind == "i" or kind == "u") then
    if x ~= x or x == math.huge or x == -math.huge then return fault.value("cannot convert float to integer") end
    return bigint.from_float(x < 0 and math.ceil(x) or math.floor(x))
  end
  if value.is_undefined(x) then return runtime.undefined_error(x) end
  return fault.type(("%%%s format: a real number is required, not %s"):format(kind, runtime.type_name(x)))
end

local function float(x)
  if type(x) == "boolean" then return x and 1.0 or 0.0 end
  if type(x) == "number" then return x - 0.0 end
  if bigint.is(x) then return bigint.float(x) end
  if value.is_undefined(x) then return runtime.undefined_error(x) end
  return fault.type(("must be real number, not %s"):format(runtime.type_name(x)))
end

local bases = { d = 10, i = 10, u = 10, x = 16, X = 16, o = 8 }

-- sign (or 0x) and digits of a conversion
local function converted(kind, x, flags, precision)
  if kind == "s" or kind == "r" or kind == "a" then
    local s = kind == "s" and printing.str(x) or printing.repr(x)
    if precision then s = text.sub(s, 0, precision) end
    return "", s
  elseif kind == "c" then
    if math.type(x) == "integer" then return "", utf8.char(x) end
    if type(x) == "string" and text.len(x) == 1 then return "", x end
    return fault.type("%c requires int or char")
  elseif bases[kind] then
    local digits = bigint.digits(integer(x, kind), bases[kind])
    local sign = digits:sub(1, 1) == "-" and "-" or ""
    digits = digits:sub(#sign + 1)
    if kind == "X" then digits = digits:upper() end
    if precision then digits = ("0"):rep(precision - #digits) .. digits end
    if flags["#"] and bases[kind] ~= 10 then sign = sign .. "0" .. kind end
    return sign, digits, true
  end
  local s = spec.float(float(x), kind, precision, flags["#"])
  local sign = s:sub(1, 1) == "-" and "-" or ""
  return sign, s:sub(#sign + 1), true
end

local function padded(sign, body, flags, width, is_number)
  if is_number and sign:sub(1, 1) ~= "-" then
    if flags["+"] then sign = "+" .. sign elseif flags[" "] then sign = " " .. sign end
  end
  local missing = width - text.len(sign) - text.len(body)
  if missing <= 0 then return sign .. body end
  if flags["-"] then return sign .. body .. (" "):rep(missing) end
  if flags["0"] and is_number and body:find("^%x") then return sign .. ("0"):rep(missing) .. body end
  return (" "):rep(missing) .. sign .. body
end

--- template % values; values is a tuple, a dict for "%(name)s", or one value.
---@param template string
---@param values any
function M.format(template, values)
  local safe
  if type(template) == "table" then
    safe = true
    template = template.text
    local html = require "jinja.html"
    local function escaped(x)
      if type(x) == "string" then return html.escape_text(x) end
      return x
    end
    if value.is_tuple(values) then
      local copy = {}
      for i = 1, #values do copy[i] = escaped(values[i]) end
      values = value.tuple(copy)
    elseif not value.is_dict(values) then
      values = escaped(values)
    end
  end
  local args, n
  if value.is_tuple(values) then args, n = values, #values else args, n = { values }, 1 end
  local is_mapping = value.is_dict(values)
  local used, out, pos = 0, {}, 1
  local by_name = false
  local function next_value()
    used = used + 1
    if used > n then return fault.type("not enough arguments for format string") end
    return args[used]
  end
  while true do
    local at = template:find("%", pos, true)
    if not at then break end
    out[#out + 1] = template:sub(pos, at - 1)
    local p = at + 1
    local key
    if template:sub(p, p) == "(" then
      local level, q = 1, p + 1
      while level > 0 do
        local c = template:sub(q, q)
        if c == "" then return fault.value("incomplete format key") end
        if c == "(" then level = level + 1 elseif c == ")" then level = level - 1 end
        q = q + 1
      end
      key = template:sub(p + 1, q - 2)
      p = q
      if not is_mapping then return fault.type("format requires a mapping") end
    end
    local flags = {}
    while template:find("^[-+ #0]", p) do
      flags[template:sub(p, p)] = true
      p = p + 1
    end
    local function number()
      if template:sub(p, p) == "*" then
        p = p + 1
        local x = next_value()
        if math.type(x) ~= "integer" then return fault.type("* wants int") end
        return x
      end
      local digits = template:match("^%d*", p)
      p = p + #digits
      return digits ~= "" and tonumber(digits) or nil
    end
    local width, precision = number() or 0, nil
    if width < 0 then flags["-"], width = true, -width end
    if template:sub(p, p) == "." then
      p = p + 1
      precision = math.max(0, number() or 0)
    end
    if width > 1000000 or (precision or 0) > 1000000 then
      return fault.raise("MemoryError", "the width is too large")
    end
    if template:find("^[hlL]", p) then p = p + 1 end
    local kind = template:sub(p, p)
    if kind == "" then return fault.value("incomplete format") end
    if kind == "%" then
      out[#out + 1] = "%"
    else
      if not kind:find("[sracdiuxXoeEfFgG]") then
        return fault.value(("unsupported format character '%s' (0x%x) at index %d"):format(kind, kind:byte(), p - 1))
      end
      local x
      if key then
        by_name = true
        x = classes.dict_get(values, key)
        if x == nil then return fault.raise("KeyError", printing.repr(key)) end
      else
        x = next_value()
      end
      local sign, body, is_number = converted(kind, x, flags, precision)
      out[#out + 1] = padded(sign, body, flags, width, is_number)
    end
    pos = p + 1
  end
  out[#out + 1] = template:sub(pos)
  -- what has items may have more of them, tuples and texts excepted
  local mt = type(values) == "table" and getmetatable(values) or {}
  local list_like = is_mapping or mt == value.List or mt == classes.Range or mt == value.Undefined
    or mt.__getitem ~= nil
  if used < n and not by_name and not list_like then
    return fault.type("not all arguments converted during string formatting")
  end
  local result = table.concat(out)
  return safe and classes.markup(result) or result
end

return M
