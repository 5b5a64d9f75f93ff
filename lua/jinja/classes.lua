--- The metatables of values beyond Lua's own types, dicts, lists and tuples (those are in value.lua): sets, ranges,
-- generators, views, bound methods, namespaces, macros, safe strings, bytes. See runtime.lua for the object protocol.

local value = require "jinja.value"
local fault = require "jinja.fault"

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple = value.Dict, value.List, value.Tuple

Dict.__pytype, List.__pytype, Tuple.__pytype = "dict", "list", "tuple"
value.Undefined.__pytype = "Undefined"
value.Callable.__pytype = "function"
Dict.__methods, List.__methods, Tuple.__methods = {}, {}, {}

--- Methods of str; the other types' are in their metatables.
M.str_methods = {}
M.int_methods, M.float_methods = {}, {}

M.Set = { __name = "dex.set", __pytype = "set", __methods = {} }
M.Range = { __name = "dex.range", __pytype = "range", __methods = {} }
M.Gen = { __name = "dex.generator", __pytype = "generator", __methods = {} }
M.View = { __name = "dex.view", __pytype = "dict_view", __methods = {} }
M.Bound = { __name = "dex.method", __pytype = "builtin_function_or_method" }
M.Namespace = { __name = "dex.namespace", __pytype = "Namespace" }
M.Macro = { __name = "dex.macro", __pytype = "Macro", __methods = {} }
M.Markup = { __name = "dex.markup", __pytype = "Markup" }
M.Bytes = { __name = "dex.bytes", __pytype = "bytes", __methods = {} }
M.Type = { __name = "dex.type", __pytype = "type" }
M.Loop = { __name = "dex.loop_context", __pytype = "LoopContext", __methods = {} }

-- Keys -------------------------------------------------------------------------------------------

-- text -> the one object that stands for all equal keys of that text
local interned = setmetatable({}, { __mode = "v" })

local function hash_text(x)
  local t = type(x)
  if t == "string" then return ("s%d:%s"):format(#x, x) end
  if t == "boolean" then return x and "n1" or "n0" end
  if t == "number" then
    local i = math.tointeger(x)
    return "n" .. (i and tostring(i) or ("%.17g"):format(x))
  end
  if x == none then return "none" end
  local mt = getmetatable(x)
  if mt == Tuple then
    local parts = {}
    for i = 1, #x do parts[i] = hash_text(x[i]) end
    return "(" .. table.concat(parts, ",") .. ")"
  elseif mt == List or mt == Dict or mt == M.Set then
    fault.type(("unhashable type: '%s'"):format(mt.__pytype))
  elseif mt and mt.__hash then
    return mt.__name .. mt.__hash(x)
  end
  return ("%s%p"):format(t, x)
end

--- What a key is stored as: itself, or for tuples and other equal-by-value objects the one that stands for all equal
--- ones. Raises TypeError for lists, dicts and sets.
function M.hashed(k)
  local t = type(k)
  if t == "number" then
    if k ~= k then fault.value("nan cannot be a key") end
    return k
  end
  if t ~= "table" then return k end
  local mt = getmetatable(k)
  if mt == M.Markup then return k.text end
  if mt == Tuple or mt and mt.__hash then
    local text = hash_text(k)
    local known = interned[text]
    if not known then
      interned[text] = k
      known = k
    end
    return known
  elseif mt == List or mt == Dict or mt == M.Set then
    fault.type(("unhashable type: '%s'"):format(mt.__pytype))
  end
  return k
end

local hashed = M.hashed

--- The raw key under which a dict (or a set's index) holds k: True is 1 and False is 0, as in Python.
function M.key_of(d, k)
  local t = type(k)
  if t == "string" then return k end
  if t == "number" then
    if (k == 0 or k == 1) and rawget(d, k) == nil and rawget(d, k == 1) ~= nil then return k == 1 end
    return hashed(k)
  elseif t == "boolean" then
    local n = k and 1 or 0
    if rawget(d, k) == nil and rawget(d, n) ~= nil then return n end
    return k
  end
  return hashed(k)
end

local key_of = M.key_of

--- d[k] or nil.
function M.dict_get(d, k) return rawget(d, key_of(d, k)) end

--- d[k] = v in order.
function M.dict_set(d, k, v)
  local key = key_of(d, k)
  if rawget(d, key) == nil then
    local order = rawget(d, ORDER)
    order[#order + 1] = key
  end
  rawset(d, key, v)
end

-- Sets -------------------------------------------------------------------------------------------

--- A set of the items of an array, in the order of their first appearance.
---@param items table
function M.set(items)
  local s = setmetatable({ items = {}, index = {} }, M.Set)
  for i = 1, #items do M.set_add(s, items[i]) end
  return s
end

function M.set_has(s, x) return s.index[key_of(s.index, x)] ~= nil end

function M.set_add(s, x)
  local key = key_of(s.index, x)
  if s.index[key] == nil then
    s.items[#s.items + 1] = x
    s.index[key] = true
  end
end

function M.set_remove(s, x)
  local key = key_of(s.index, x)
  if s.index[key] == nil then return false end
  s.index[key] = nil
  for i, item in ipairs(s.items) do
    if key_of(s.index, item) == key or hashed(item) == key then
      table.remove(s.items, i)
      break
    end
  end
  return true
end

M.Set.__len = function(s) return #s.items end

-- Ranges, generators, views ----------------------------------------------------------------------

M.Range.__len = function(r) return r.n end

--- A lazy sequence from a function that gives the next value, nil at the end. `endless` says that it has no end.
function M.generator(next_value, endless)
  return setmetatable({ next = next_value, endless = endless }, M.Gen)
end

--- A view of a dict: kind is "keys", "values" or "items".
function M.view(d, kind) return setmetatable({ dict = d, kind = kind }, M.View) end
M.View.__len = function(v) return #v.dict end

-- Others -----------------------------------------------------------------------------------------

--- Safe text: not escaped again.
function M.markup(text) return setmetatable({ text = text }, M.Markup) end
M.Markup.__len = function(m) return utf8.len(m.text, 1, -1, true) or #m.text end
M.Markup.__hash = function(m) return m.text end
M.Markup.__eq = function(a, b)
  return getmetatable(a) == M.Markup and getmetatable(b) == M.Markup and a.text == b.text
end

function M.bytes(text) return setmetatable({ text = text }, M.Bytes) end
M.Bytes.__len = function(b) return #b.text end
M.Bytes.__hash = function(b) return b.text end
M.Bytes.__eq = function(a, b)
  return getmetatable(a) == M.Bytes and getmetatable(b) == M.Bytes and a.text == b.text
end

--- A method bound to its object.
function M.bound(object, method) return setmetatable({ object = object, method = method }, M.Bound) end

--- A namespace object over a dict.
function M.namespace(vars) return setmetatable({ vars = vars }, M.Namespace) end

return M
