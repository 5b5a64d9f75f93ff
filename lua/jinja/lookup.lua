--- x.name, x[key] and x[start:stop:step]. See runtime.lua for what objects may say about them.

local value = require "jinja.value"
local classes = require "jinja.classes"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local bigint = require "jinja.bigint"
local names = require "jinja.names"
local type_name = require("jinja.truth").type_name
local fault = require "jinja.fault"

local M = {}

local none = value.none
local Dict, List, Tuple, Undefined = value.Dict, value.List, value.Tuple, value.Undefined
local Callable, Macro, Bound = value.Callable, classes.Macro, classes.Bound
local str_methods = classes.str_methods
local no_attribute, unsafe = names.no_attribute, names.unsafe
local type, getmetatable, setmetatable, rawget = type, getmetatable, setmetatable, rawget
local math_type = math.type

local bound = classes.bound

local function number_attribute(x, name)
  local methods = (math_type(x) == "float") and classes.float_methods or classes.int_methods
  local m = methods[name]
  if not m then return nil end
  if m.property then return m.fn(type(x) == "boolean" and (x and 1 or 0) or x) end
  return bound(x, m)
end

-- an attribute of anything but a dict; nil when there is none
local function attribute(x, name)
  local t = type(x)
  if t == "string" then
    local m = str_methods[name]
    return m and bound(x, m)
  elseif t == "number" or t == "boolean" then
    return number_attribute(x, name)
  elseif x == none or t == "function" then
    return nil
  end
  local mt = getmetatable(x)
  if type(mt) ~= "table" then
    if t == "table" then return rawget(x, name) end
    return nil
  end
  local methods = mt.__methods
  local m = methods and methods[name]
  if m then
    if type(m) == "function" then m = { fn = m, min = 0, limit = math.huge, name = name, open = true } end
    return bound(x, m)
  end
  local get = mt.__getattr
  if get then return get(x, name) end
  if mt == bigint.Big then return number_attribute(x, name) end
  if mt == List or mt == Tuple or mt == Callable or mt == Bound then return nil end
  return x[name]
end

local function hidden(name)
  return type(name) == "string" and (name:byte() == 95 or name:find("^gi_") or name:find("^cr_") or name == "mro")
end

--- x.name
function M.attr(x, name)
  if type(x) == "table" then
    local mt = getmetatable(x)
    if mt == Dict then
      local m = Dict.__methods[name]
      if m then return bound(x, m) end
      local v = rawget(x, name)
      if v ~= nil then return v end
      if hidden(name) then return unsafe(x, name) end
      return no_attribute(x, name)
    elseif mt == Undefined then
      return names.beyond(x)
    end
  end
  if hidden(name) then
    -- hidden are Python's own attributes, not the items of a mapping: package._macro
    local mt = type(x) == "table" and getmetatable(x)
    if mt and mt.__contains and mt.__getitem and mt.__contains(x, name) then return mt.__getitem(x, name) end
    return unsafe(x, name)
  end
  local v = attribute(x, name)
  if v ~= nil then return v end
  local mt = type(x) == "table" and getmetatable(x)
  if mt and mt.__getitem then
    v = mt.__getitem(x, name)
    if v ~= nil then return v end
  end
  return no_attribute(x, name)
end

local function string_at(s, i)
  if s:find("[\128-\255]") then
    local n = utf8.len(s, 1, -1, true)
    if not n then return nil end
    if i < 0 then i = i + n end
    if i < 0 or i >= n then return nil end
    local from = utf8.offset(s, i + 1)
    return s:sub(from, utf8.offset(s, 2, from) - 1)
  end
  if i < 0 then i = i + #s end
  if i < 0 or i >= #s then return nil end
  return s:sub(i + 1, i + 1)
end

local function index_of(k)
  if math_type(k) == "integer" then return k end
  if k == true then return 1 elseif k == false then return 0 end
end

local function range_at(r, i)
  if i < 0 then i = i + r.n end
  if i >= 0 and i < r.n then return r.start + i * r.step end
end

-- x[k] without falling back to attributes; nil when absent
local function item_of(x, k)
  local t = type(x)
  if t == "table" then
    local mt = getmetatable(x)
    if mt == Dict then
      local kt = type(k)
      if kt == "table" then
        local kmt = getmetatable(k)
        if kmt == List or kmt == Dict or kmt == classes.Set then return nil end
      end
      if k ~= k then return nil end
      return rawget(x, classes.key_of(x, k))
    elseif mt == List or mt == Tuple then
      local i = index_of(k)
      if not i then return nil end
      if i < 0 then i = i + #x end
      if i < 0 then return nil end
      return rawget(x, i + 1)
    elseif mt == Undefined then
      return names.beyond(x)
    elseif mt == nil then
      local i = index_of(k)
      if i then return rawget(x, i < 0 and #x + i + 1 or i + 1) end
      return rawget(x, k)
    end
  elseif t == "string" then
    local i = index_of(k)
    return i and string_at(x, i)
  elseif t ~= "userdata" or x == none then
    return nil
  end
  local mt = getmetatable(x)
  if type(mt) ~= "table" then return nil end
  if mt.__getitem then return mt.__getitem(x, k) end
  local i = index_of(k)
  if mt == classes.Range then return i and range_at(x, i) end
  if mt == classes.Bytes then return i and x.text:byte(i < 0 and #x.text + i + 1 or i + 1) end
  if mt == classes.Markup then
    local c = i and string_at(x.text, i)
    return c and classes.markup(c)
  end
  if i and not mt.__methods and mt ~= Macro and mt ~= Bound and mt ~= Callable and not mt.__getattr then
    return x[i < 0 and #x + i + 1 or i + 1]
  end
  return nil
end

--- x[k]
function M.item(x, k)
  local v = item_of(x, k)
  if v ~= nil then return v end
  if type(k) == "string" then
    if hidden(k) then return unsafe(x, k) end
    if type(x) == "table" and getmetatable(x) == Dict then
      local m = Dict.__methods[k]
      if m then return bound(x, m) end
      return no_attribute(x, k)
    end
    v = attribute(x, k)
    if v ~= nil then return v end
  end
  if type(k) == "string" or type(k) == "number" then return no_attribute(x, k) end
  return value.undefined("item", ("'%s' object has no element %s"):format(type_name(x), printing.repr(k)))
end

-- first, step, number of items and end of Python's slice of n items
local function slice_bounds(n, start, stop, step)
  local function bound_of(x, default)
    if x == none then return default end
    x = index_of(x)
    if not x then return fault.type("slice indices must be integers or None or have an __index__ method") end
    if x < 0 then x = x + n end
    if step > 0 then return x < 0 and 0 or x > n and n or x end
    return x < -1 and -1 or x >= n and n - 1 or x
  end
  if step == none then step = 1 else step = index_of(step) or fault.type("slice indices must be integers or None") end
  if step == 0 then return fault.value("slice step cannot be zero") end
  local from = bound_of(start, step > 0 and 0 or n - 1)
  local to = bound_of(stop, step > 0 and n or -1)
  if step < 0 and stop ~= none and index_of(stop) and index_of(stop) < -n then to = -1 end
  local count = step > 0 and (to - from + step - 1) // step or (from - to - step - 1) // -step
  return from, step, math.max(0, count), to
end

local function picked(items, from, step, count)
  local out = {}
  for i = 0, count - 1 do out[i + 1] = items[from + i * step + 1] end
  return out
end

--- x[start:stop:step]; absent parts are none.
function M.slice(x, start, stop, step)
  local t = type(x)
  if t == "string" then
    local ascii = not x:find("[\128-\255]")
    local n = ascii and #x or utf8.len(x, 1, -1, true) or #x
    local from, by, count = slice_bounds(n, start, stop, step)
    if count == 0 then return "" end
    if by == 1 then
      if ascii then return x:sub(from + 1, from + count) end
      return x:sub(utf8.offset(x, from + 1), utf8.offset(x, from + count + 1) - 1)
    end
    return table.concat(picked(iterate.characters(x), from, by, count))
  end
  local mt = t == "table" and getmetatable(x)
  if mt == List or mt == Tuple then
    local from, by, count = slice_bounds(#x, start, stop, step)
    return setmetatable(picked(x, from, by, count), mt)
  elseif mt == classes.Range then
    local from, by, count, to = slice_bounds(x.n, start, stop, step)
    local first, last = x.start + from * x.step, x.start + to * x.step
    return setmetatable({ start = first, stop = last, step = x.step * by, n = count }, classes.Range)
  elseif mt == Undefined then
    return names.beyond(x)
  elseif mt == classes.Markup then
    return classes.markup(M.slice(x.text, start, stop, step))
  elseif mt == classes.Bytes then
    local from, _, count = slice_bounds(#x.text, start, stop, step)
    return classes.bytes(x.text:sub(from + 1, from + count))
  elseif mt and mt.__slice then
    return mt.__slice(x, start, stop, step)
  end
  return fault.type(("'%s' object is not subscriptable"):format(type_name(x)))
end

return M
