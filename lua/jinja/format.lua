--- Python's str.format().

local value = require "jinja.value"
local classes = require "jinja.classes"
local bigint = require "jinja.bigint"
local printing = require "jinja.printing"
local runtime = require "jinja.runtime"
local spec = require "jinja.spec"
local fault = require "jinja.fault"

local M = {}

local str, repr = printing.str, printing.repr

-- the argument that a field's first part names
local function first_value(state, name)
  if name == "" or name:find("^%d+$") then
    local i
    if name == "" then
      if state.mode == "manual" then
        return fault.value("cannot switch from manual field specification to automatic field numbering")
      end
      state.mode = "auto"
      state.next = state.next + 1
      i = state.next
    else
      if state.mode == "auto" then
        return fault.value("cannot switch from automatic field numbering to manual field specification")
      end
      state.mode = "manual"
      i = tonumber(name) + 1
    end
    if i > state.n then
      return fault.raise("IndexError", "Replacement index " .. i - 1 .. " out of range for positional args tuple")
    end
    return state.args[i]
  end
  local keywords = state.keywords
  local v = keywords and (value.is_dict(keywords) and classes.dict_get(keywords, name) or keywords[name])
  if v == nil then return fault.raise("KeyError", repr(name)) end
  return v
end

local function field_value(state, field)
  local name, rest = field:match("^([^.%[]*)(.*)$")
  local x = first_value(state, name)
  while rest ~= "" do
    local attr, more = rest:match("^%.([^.%[]*)(.*)$")
    if attr then
      if attr == "" then return fault.value("Empty attribute in format string") end
      x = runtime.attr(x, attr)
    else
      local key
      key, more = rest:match("^%[([^%]]*)%](.*)$")
      if not key then return fault.value("expected '}' before end of string") end
      if key == "" then return fault.value("Empty attribute in format string") end
      local number = key:find("^%d+$") and math.tointeger(tonumber(key))
      x = runtime.item(x, number or key)
    end
    rest = more
  end
  return x
end

--- A value by a specification's text: Python's format(x, spec).
function M.value(x, text)
  local mt = type(x) == "table" and getmetatable(x)
  if mt and mt.__format then return mt.__format(x, text) end
  if mt == classes.Markup then x = x.text end
  if text == "" then return str(x) end
  local kind = type(x)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" and not bigint.is(x) then
    return fault.type(("unsupported format string passed to %s.__format__"):format(runtime.type_name(x)))
  end
  return spec.format(x, spec.parse(text))
end

local expand

local function one_field(state, inside, depth)
  if depth > 2 then return fault.value("Max string recursion exceeded") end
  -- the name ends at ! or : outside of brackets
  local name_end = 1
  local depth_brackets = 0
  while name_end <= #inside do
    local c = inside:sub(name_end, name_end)
    if c == "[" then depth_brackets = 1 elseif c == "]" then depth_brackets = 0 end
    if depth_brackets == 0 and (c == "!" or c == ":") then break end
    if c == "{" or c == "}" then return fault.value("unexpected '{' in field name") end
    name_end = name_end + 1
  end
  local name, rest = inside:sub(1, name_end - 1), inside:sub(name_end)
  local x = field_value(state, name)
  local conversion
  if rest:sub(1, 1) == "!" then
    conversion, rest = rest:match("^!(.?)(.*)$")
    if rest ~= "" and rest:sub(1, 1) ~= ":" then return fault.value("expected ':' after conversion specifier") end
    if conversion == "r" then
      x = repr(x)
    elseif conversion == "s" then
      x = str(x)
    elseif conversion == "a" then
      x = repr(x):gsub(utf8.charpattern, function(c)
        if #c == 1 then return nil end
        local code = utf8.codepoint(c)
        return (code < 256 and "\\x%02x" or code < 65536 and "\\u%04x" or "\\U%08x"):format(code)
      end)
    else
      return fault.value(("Unknown conversion specifier '%s'"):format(conversion))
    end
  end
  local text = expand(state, rest:sub(2), depth + 1)
  return M.value(x, text)
end

expand = function(state, s, depth)
  local out, pos = {}, 1
  while true do
    local at = s:find("[{}]", pos)
    if not at then break end
    out[#out + 1] = s:sub(pos, at - 1)
    local c = s:sub(at, at)
    if s:sub(at + 1, at + 1) == c and depth == 1 then
      out[#out + 1] = c
      pos = at + 2
    elseif c == "}" then
      return fault.value("Single '}' encountered in format string")
    else
      local level, stop = 1, at + 1
      while level > 0 do
        local next_brace = s:find("[{}]", stop)
        if not next_brace then
          return fault.value(stop > #s and "Single '{' encountered in format string"
            or "expected '}' before end of string")
        end
        level = level + (s:sub(next_brace, next_brace) == "{" and 1 or -1)
        stop = next_brace + 1
      end
      out[#out + 1] = one_field(state, s:sub(at + 1, stop - 2), depth)
      pos = stop
    end
  end
  out[#out + 1] = s:sub(pos)
  return table.concat(out)
end

--- s.format(*args, **keywords).
---@param s string
---@param args table array
---@param n integer
---@param keywords table|nil name -> value
function M.format(s, args, n, keywords)
  return expand({ args = args, n = n, keywords = keywords, next = 0 }, s, 1)
end

return M
