--- How values print: Python's str() and repr().

local value = require "jinja.value"
local classes = require "jinja.classes"
local unicode = require "jinja.unicode"

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple, Undefined = value.Dict, value.List, value.Tuple, value.Undefined
local math_type, format, concat = math.type, string.format, table.concat
local type, getmetatable, rawget = type, getmetatable, rawget

-- the digits of "1.25e+10" with one more in the last place; nil when all are nines
local function next_digits(text)
  local mantissa, exponent = text:match("^(.-)(e.*)$")
  local at = mantissa:find("[0-8]9*$") or mantissa:find("[0-8]9*%.9*$")
  if not at then return nil end
  local rest = mantissa:sub(at + 1):gsub("9", "0")
  return mantissa:sub(1, at - 1) .. (mantissa:byte(at) - 47) .. rest .. exponent
end

--- Python's repr of a float: the shortest digits that read back as the same number.
---@param x number a float
function M.float(x)
  if x ~= x then return "nan" end
  if x == math.huge then return "inf" elseif x == -math.huge then return "-inf" end
  if x == 0 then return 1 / x < 0 and "-0.0" or "0.0" end
  local size = x < 0 and -x or x
  if size < 1e15 and x == math.floor(x) then return format("%.1f", x) end
  local text
  -- at a power of two the gap below is smaller than the one above: there a neighbour of the nearest digits may do
  local uneven = format("%a", size):find("^0x1p") ~= nil
  for precision = (size < 1e-290 and 0 or 14), 16 do
    text = format("%." .. precision .. "e", x)
    if tonumber(text) == x then break end
    local above = uneven and next_digits(text)
    if above and tonumber(above) == x then
      text = above
      break
    end
  end
  local sign, first, rest, exponent = text:match("^(-?)(%d)%.?(%d*)e([-+]%d+)$")
  local digits = (first .. rest):gsub("0+$", "")
  if digits == "" then digits = "0" end
  local e = tonumber(exponent) // 1 | 0
  if e >= -4 and e < 16 then
    if e < 0 then return sign .. "0." .. ("0"):rep(-e - 1) .. digits end
    if #digits <= e + 1 then return sign .. digits .. ("0"):rep(e + 1 - #digits) .. ".0" end
    return sign .. digits:sub(1, e + 1) .. "." .. digits:sub(e + 2)
  end
  local mantissa = #digits > 1 and digits:sub(1, 1) .. "." .. digits:sub(2) or digits
  return format("%s%se%s%02d", sign, mantissa, e < 0 and "-" or "+", e < 0 and -e or e)
end

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\" }

--- Python's repr of a string.
---@param s string
function M.quote(s)
  local quote = "'"
  if s:find("'", 1, true) and not s:find('"', 1, true) then quote = '"' end
  if not s:find("[%c\\'\127-\255]") then return quote .. s .. quote end
  local out, n = { quote }, 1
  if not utf8.len(s) then s = s:gsub("[\128-\255]", "?") end
  for _, code in utf8.codes(s) do
    n = n + 1
    local c = utf8.char(code)
    if escapes[c] then
      out[n] = escapes[c]
    elseif c == quote then
      out[n] = "\\" .. c
    elseif unicode.printable(code) then
      out[n] = c
    elseif code < 256 then
      out[n] = format("\\x%02x", code)
    elseif code < 65536 then
      out[n] = format("\\u%04x", code)
    else
      out[n] = format("\\U%08x", code)
    end
  end
  out[n + 1] = quote
  return concat(out)
end

local repr

local function items(list, first, last, seen)
  local out = {}
  for i = 1, #list do out[i] = repr(list[i], seen) end
  return first .. concat(out, ", ") .. last
end

local function dict(d, seen)
  local out = {}
  for i, k in ipairs(rawget(d, ORDER)) do out[i] = repr(k, seen) .. ": " .. repr(rawget(d, k), seen) end
  return "{" .. concat(out, ", ") .. "}"
end

local function guarded(x, seen, cyclic, f, ...)
  seen = seen or {}
  if seen[x] then return cyclic end
  seen[x] = true
  local text = f(x, ...)
  seen[x] = nil
  return text
end

--- Python's repr().
repr = function(x, seen)
  local t = type(x)
  if t == "string" then return M.quote(x) end
  if t == "number" then
    if math_type(x) == "integer" then return format("%d", x) end
    return M.float(x)
  end
  if t == "boolean" then return x and "True" or "False" end
  if x == none or x == nil then return "None" end
  if t == "function" then return "<function>" end
  local mt = getmetatable(x)
  seen = seen or {}
  if mt == List then return guarded(x, seen, "[...]", items, "[", "]", seen) end
  if mt == Dict then return guarded(x, seen, "{...}", dict, seen) end
  if mt == Tuple then
    if #x == 1 then return "(" .. repr(x[1], seen) .. ",)" end
    return guarded(x, seen, "(...)", items, "(", ")", seen)
  end
  if mt == Undefined then return "Undefined" end
  if mt == nil then
    if t == "userdata" then return "<object>" end
    return guarded(x, seen, "[...]", items, "[", "]", seen)
  end
  if mt.__repr then return mt.__repr(x, seen) end
  return M.str(x)
end
M.repr = repr

--- Python's str(): what `{{ x }}` prints. An undefined value prints as nothing.
function M.str(x)
  local t = type(x)
  if t == "string" then return x end
  if t == "number" then
    if math_type(x) == "integer" then return format("%d", x) end
    return M.float(x)
  end
  if t == "boolean" then return x and "True" or "False" end
  if x == none or x == nil then return "None" end
  if t == "table" or t == "userdata" then
    local mt = getmetatable(x)
    if mt == Undefined then return "" end
    if mt == List or mt == Dict or mt == Tuple or mt == nil then return repr(x) end
    if mt.__str then return mt.__str(x) end
    local print = mt.__tostring
    if print then return print(x) end
    if mt.__repr then return mt.__repr(x) end
    return "<" .. (mt.__pytype or mt.__name or "object") .. " object>"
  end
  return repr(x)
end

-- Classes ----------------------------------------------------------------------------------------

classes.Set.__repr = function(s, seen)
  if #s.items == 0 then return "set()" end
  return items(s.items, "{", "}", seen)
end
classes.Range.__repr = function(r)
  if r.step == 1 then return format("range(%d, %d)", r.start, r.stop) end
  return format("range(%d, %d, %d)", r.start, r.stop, r.step)
end
classes.Gen.__repr = function(g) return format("<generator object %s>", g.name or "generator") end
classes.View.__repr = function(v, seen)
  local out = {}
  for i, k in ipairs(v.dict[ORDER]) do
    if v.kind == "keys" then
      out[i] = repr(k, seen)
    elseif v.kind == "values" then
      out[i] = repr(rawget(v.dict, k), seen)
    else
      out[i] = "(" .. repr(k, seen) .. ", " .. repr(rawget(v.dict, k), seen) .. ")"
    end
  end
  return "dict_" .. v.kind .. "([" .. concat(out, ", ") .. "])"
end
classes.Namespace.__repr = function(ns, seen) return "<Namespace " .. repr(ns.vars, seen) .. ">" end
classes.Macro.__repr = function(m)
  return m.def.name and "<Macro " .. M.quote(m.def.name) .. ">" or "<Macro anonymous>"
end
classes.Markup.__str = function(m) return m.text end
classes.Markup.__repr = function(m) return "Markup(" .. M.quote(m.text) .. ")" end
classes.Bytes.__repr = function(b)
  local s = b.text
  local quote = s:find("'", 1, true) and not s:find('"', 1, true) and '"' or "'"
  return "b" .. quote .. s:gsub("[%c\\'\127-\255]", function(c)
    if c == "'" then return quote == "'" and "\\'" or c end
    return escapes[c] or format("\\x%02x", c:byte())
  end) .. quote
end
classes.Bound.__repr = function(b) return format("<built-in method %s>", b.method.name) end
classes.Type.__repr = function(t) return format("<class '%s'>", t.name) end
classes.Loop.__repr = function(l) return format("<LoopContext %d/%d>", l.i, l.n) end
value.Callable.__repr = function(f) return format("<function %s>", f.name) end

return M
