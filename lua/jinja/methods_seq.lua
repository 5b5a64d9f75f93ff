--- Python's methods of list, tuple, dict, set, range, int and float.

local classes = require "jinja.classes"
local value = require "jinja.value"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local ops = require "jinja.ops"
local sorting = require "jinja.sorting"
local bigint = require "jinja.bigint"
local fault = require "jinja.fault"
local spend = require("jinja.limits").spend

local none, ORDER = value.none, value.ORDER

local function as_int(x, default)
  if x == nil then return default end
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  return fault.type(("'%s' object cannot be interpreted as an integer"):format(runtime.type_name(x)))
end

-- no keyword arguments
local function positional(methods, ...)
  for _, name in ipairs { ... } do methods[name].index = {} end
end

-- list -------------------------------------------------------------------------------------------

local List = value.List
local list = registry.definer(List.__methods)

list("append(object)", function(l, x)
  -- a loop over a list that it appends to has no end
  spend(1)
  rawset(l, #l + 1, x)
  return none
end)
list("extend(iterable)", function(l, other)
  local items, n = iterate.array(other)
  table.move(items, 1, n, #l + 1, l)
  return none
end)
list("insert(index, object)", function(l, i, x)
  i = as_int(i)
  local n = #l
  spend(1)
  if i < 0 then i = math.max(0, i + n) end
  table.insert(l, math.min(i, n) + 1, x)
  return none
end)
list("pop(index?)", function(l, i)
  local n = #l
  i = as_int(i, -1)
  if n == 0 then return fault.raise("IndexError", "pop from empty list") end
  if i < 0 then i = i + n end
  if i < 0 or i >= n then return fault.raise("IndexError", "pop index out of range") end
  return table.remove(l, i + 1)
end)
list("remove(value)", function(l, x)
  for i = 1, #l do
    if ops.eq(l[i], x) then
      table.remove(l, i)
      return none
    end
  end
  return fault.value("list.remove(x): x not in list")
end)
list("clear()", function(l)
  for i = #l, 1, -1 do l[i] = nil end
  return none
end)
list("reverse()", function(l)
  local i, j = 1, #l
  while i < j do
    l[i], l[j] = l[j], l[i]
    i, j = i + 1, j - 1
  end
  return none
end)
list("copy()", function(l) return setmetatable(table.move(l, 1, #l, 1, {}), List) end)
list("sort(*args)", function(l, _, n, kw)
  if n > 0 then return fault.type("sort() takes no positional arguments") end
  local key, reverse = nil, false
  for _, name in ipairs(kw and kw[ORDER] or {}) do
    if name == "key" then
      if kw.key ~= none then key = function(x) return runtime.call(kw.key, x) end end
    elseif name == "reverse" then
      reverse = runtime.truth(kw.reverse)
    else
      return fault.type(("sort() got an unexpected keyword argument '%s'"):format(name))
    end
  end
  sorting.sort(l, key, reverse)
  return none
end)
List.__methods.sort.keywords = true

local function index_of(l, x, start, stop)
  local n = #l
  start, stop = as_int(start, 0), as_int(stop, n)
  if start < 0 then start = math.max(0, start + n) end
  if stop < 0 then stop = stop + n end
  for i = start + 1, math.min(stop, n) do
    if ops.eq(l[i], x) then return i - 1 end
  end
  return fault.value(("%s is not in list"):format(require("jinja.printing").repr(x)))
end
local function count_of(l, x)
  local n = 0
  for i = 1, #l do
    if ops.eq(l[i], x) then n = n + 1 end
  end
  return n
end
for _, methods in ipairs { List.__methods, value.Tuple.__methods } do
  local def = registry.definer(methods)
  def("index(value, start?, stop?)", index_of)
  def("count(value)", count_of)
end
positional(List.__methods, "append", "extend", "insert", "pop", "remove", "index", "count")
positional(value.Tuple.__methods, "index", "count")

-- dict -------------------------------------------------------------------------------------------

local Dict = value.Dict
local dict = registry.definer(Dict.__methods)
local key_of = classes.key_of

dict("keys()", function(d) return classes.view(d, "keys") end)
dict("values()", function(d) return classes.view(d, "values") end)
dict("items()", function(d) return classes.view(d, "items") end)
dict("get(key, default?)", function(d, k, default)
  local v = rawget(d, key_of(d, k))
  if v ~= nil then return v end
  if default == nil then return none end
  return default
end)
dict("pop(key, default?)", function(d, k, default)
  local key = key_of(d, k)
  local v = rawget(d, key)
  if v == nil then
    if default ~= nil then return default end
    return fault.raise("KeyError", require("jinja.printing").repr(k))
  end
  value.del(d, key)
  return v
end)
dict("popitem()", function(d)
  local order = rawget(d, ORDER)
  local k = order[#order]
  if k == nil then return fault.raise("KeyError", "popitem(): dictionary is empty") end
  local v = rawget(d, k)
  value.del(d, k)
  return value.tuple { k, v }
end)
dict("setdefault(key, default?)", function(d, k, default)
  local v = rawget(d, key_of(d, k))
  if v ~= nil then return v end
  if default == nil then default = none end
  classes.dict_set(d, k, default)
  return default
end)
dict("update(*args)", function(d, args, n, kw)
  local globals = require "jinja.globals"
  if n > 1 then return fault.type(("update expected at most 1 argument, got %d"):format(n)) end
  if n == 1 then globals.fill(d, args[1]) end
  for _, k in ipairs(kw and kw[ORDER] or {}) do classes.dict_set(d, k, kw[k]) end
  return none
end)
Dict.__methods.update.keywords = true
dict("clear()", function(d)
  for _, k in ipairs(value.keys(d)) do rawset(d, k, nil) end
  rawset(d, ORDER, {})
  return none
end)
dict("copy()", value.copy_dict)
dict("fromkeys(iterable, value?)", function(_, keys, v)
  local d = value.dict()
  if v == nil then v = none end
  for _, k in iterate.iter(keys) do classes.dict_set(d, k, v) end
  return d
end)
positional(Dict.__methods, "get", "pop", "setdefault", "fromkeys")

-- Python's d | other
Dict.__bor = nil

local view = registry.definer(classes.View.__methods)
view("isdisjoint(other)", function(v, other)
  for _, x in iterate.iter(other) do
    if ops.has(x, v) then return false end
  end
  return true
end)

-- set --------------------------------------------------------------------------------------------

local Set = classes.Set
local set = registry.definer(Set.__methods)

local function set_copy(s) return classes.set(s.items) end

set("add(elem)", function(s, x) classes.set_add(s, x) return none end)
set("remove(elem)", function(s, x)
  if not classes.set_remove(s, x) then return fault.raise("KeyError", require("jinja.printing").repr(x)) end
  return none
end)
set("discard(elem)", function(s, x) classes.set_remove(s, x) return none end)
set("pop()", function(s)
  local x = s.items[1]
  if x == nil then return fault.raise("KeyError", "pop from an empty set") end
  classes.set_remove(s, x)
  return x
end)
set("clear()", function(s) s.items, s.index = {}, {} return none end)
set("copy()", set_copy)
set("update(*args)", function(s, ...)
  for _, other in ipairs { ... } do
    for _, x in ipairs((iterate.array(other))) do classes.set_add(s, x) end
  end
  return none
end)

local function union(s, ...)
  local out = set_copy(s)
  for _, other in ipairs { ... } do
    for _, x in iterate.iter(other) do classes.set_add(out, x) end
  end
  return out
end
local function filtered(s, keep)
  local out = classes.set {}
  for _, x in ipairs(s.items) do
    if keep(x) then classes.set_add(out, x) end
  end
  return out
end
local function as_set(x) return getmetatable(x) == Set and x or classes.set((iterate.array(x))) end
local function intersection(s, ...)
  local out = set_copy(s)
  for _, other in ipairs { ... } do
    local o = as_set(other)
    out = filtered(out, function(x) return classes.set_has(o, x) end)
  end
  return out
end
local function difference(s, ...)
  local out = set_copy(s)
  for _, other in ipairs { ... } do
    local o = as_set(other)
    out = filtered(out, function(x) return not classes.set_has(o, x) end)
  end
  return out
end
local function symmetric(s, other)
  local o = as_set(other)
  return union(difference(s, o), difference(o, s))
end
set("union(*args)", union)
set("intersection(*args)", intersection)
set("difference(*args)", difference)
set("symmetric_difference(other)", symmetric)
local function replace(s, new) s.items, s.index = new.items, new.index return none end
set("intersection_update(*args)", function(s, ...) return replace(s, intersection(s, ...)) end)
set("difference_update(*args)", function(s, ...) return replace(s, difference(s, ...)) end)
set("symmetric_difference_update(other)", function(s, other) return replace(s, symmetric(s, other)) end)
set("issubset(other)", function(s, other) return ops.le(s, as_set(other)) end)
set("issuperset(other)", function(s, other) return ops.ge(s, as_set(other)) end)
set("isdisjoint(other)", function(s, other) return #intersection(s, other).items == 0 end)
Set.__sub = function(a, b)
  if getmetatable(a) == Set and getmetatable(b) == Set then return difference(a, b) end
end
classes.View.__sub = function(a, b)
  if getmetatable(a) == classes.View and a.kind ~= "values" then return difference(as_set(a), b) end
end

-- range, numbers ---------------------------------------------------------------------------------

local range = registry.definer(classes.Range.__methods)
range("index(value)", function(r, x) return index_of((iterate.seq(r)), x) end)
range("count(value)", function(r, x) return count_of((iterate.seq(r)), x) end)
classes.Range.__getattr = function(r, name)
  if name == "start" or name == "stop" or name == "step" then return r[name] end
end

local int = registry.definer(classes.int_methods)
local float = registry.definer(classes.float_methods)

local function property(def, methods, name, fn)
  def(name .. "()", fn)
  methods[name].property = true
end
property(int, classes.int_methods, "real", function(x) return x end)
property(int, classes.int_methods, "imag", function() return 0 end)
property(int, classes.int_methods, "numerator", function(x) return x end)
property(int, classes.int_methods, "denominator", function() return 1 end)
property(float, classes.float_methods, "real", function(x) return x end)
property(float, classes.float_methods, "imag", function() return 0.0 end)
int("bit_length()", function(x)
  local digits = bigint.digits(x, 2):gsub("^%-", "")
  return digits == "0" and 0 or #digits
end)
int("bit_count()", function(x)
  local _, n = bigint.digits(x, 2):gsub("1", "")
  return n
end)
int("conjugate()", function(x) return x end)
int("is_integer()", function() return true end)
classes.int_methods.is_integer = nil -- Python 3.12 has it, 3.11 has not
int("as_integer_ratio()", function(x) return value.tuple { x, 1 } end)
float("is_integer()", function(x) return x == math.floor(x) and x ~= math.huge and x ~= -math.huge end)
float("conjugate()", function(x) return x end)
float("hex()", function(x) return (("%a"):format(x)) end)
float("as_integer_ratio()", function(x)
  local d = 1
  while x ~= math.floor(x) do x, d = x * 2, d * 2 end
  return value.tuple { bigint.from_float(x), d }
end)

return {}
