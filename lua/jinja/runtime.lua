--- What compiled templates call: truth, names, attributes, items, calls, macros, loop objects.
--
-- The object protocol. Any Lua table with a metatable, and any userdata, can be used in a template. What a template may
-- do with it is asked of the metatable, first found first taken:
--   x.name        __methods[name] (called with the object first), __getattr(x, name) -> value or nil, else plain x[name]; a
--                 function found by name is called with the template's arguments only, not with x.
--                 Names that begin with "_" are never visible.
--   x[key]        __getitem(x, key) -> value or nil, else for text as x.name, for an integer x[key + 1]
--   for, in, |list   __iter(x) -> a Lua iterator of single values; `in` asks __contains(x, item) first
--   {{ x }}       __str(x), else __tostring(x); inside of a list __repr(x) first
--   x|length      __len; truth: __truth(x), else __len > 0, else true
--   x == y, x < y, x + y ...   Lua's own metamethods
--   x()           __call; keyword arguments come as one last argument made by value.kwargs (value.fn binds them)
--   __pytype      name of the type in messages;  __hash(x) -> text makes equal objects equal dict keys
-- Absent is nil in all of them and becomes an undefined value; null is value.none. A function that returns nothing gives none.

local value = require "jinja.value"
local classes = require "jinja.classes"
local ops = require "jinja.ops"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local registry = require "jinja.registry"
local bigint = require "jinja.bigint"
local fault = require "jinja.fault"
local err = require "err"

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple, Undefined = value.Dict, value.List, value.Tuple, value.Undefined
local Callable, Macro, Bound = value.Callable, classes.Macro, classes.Bound
local str_methods = classes.str_methods
local select, type, getmetatable, setmetatable, rawget = select, type, getmetatable, setmetatable, rawget
local math_type = math.type

M.none, M.ORD = none, ORDER
M.S, M.F, M.X = printing.str, registry.filters, registry.tests
M.concat = table.concat
for _, name in ipairs { "add", "sub", "mul", "div", "idiv", "mod", "pow", "neg", "plus", "sumn", "eq", "ne", "lt", "le", "gt",
  "ge", "has", "chain" } do
  M[name] = ops[name]
end
M.iter, M.seq, M.items2, M.unpack2, M.unpackn = iterate.iter, iterate.seq, iterate.items2, iterate.unpack2, iterate.unpackn

-- Types and truth --------------------------------------------------------------------------------

--- Python's name of a value's type.
function M.type_name(x)
  local t = type(x)
  if t == "string" then return "str" end
  if t == "number" then return math_type(x) == "integer" and "int" or "float" end
  if t == "boolean" then return "bool" end
  if x == none or x == nil then return "NoneType" end
  if t == "function" then return "function" end
  local mt = getmetatable(x)
  if type(mt) ~= "table" then return "object" end
  if mt == classes.View then return "dict_" .. x.kind end
  return mt.__pytype or mt.__name or "object"
end

local type_name = M.type_name

--- Python's bool().
function M.truth(x)
  local t = type(x)
  if t == "boolean" then return x end
  if t == "string" then return x ~= "" end
  if t == "number" then return x ~= 0 end
  if x == none or x == nil then return false end
  if t == "function" then return true end
  local mt = getmetatable(x)
  if mt == List or mt == Tuple then return x[1] ~= nil end
  if mt == Dict then return rawget(x, ORDER)[1] ~= nil end
  if mt == Undefined then return false end
  if type(mt) ~= "table" then return t ~= "table" or next(x) ~= nil end
  local f = mt.__truth
  if f then return f(x) and true or false end
  f = mt.__len
  if f then return f(x) > 0 end
  return true
end

local truth = M.truth
M.T = truth

-- false on its way through Lua's `and` and `or`
local FALSE = {}

--- x when it is true, else nil: the left side of `or`.
function M.FL(x) if truth(x) then return x end end

--- nil when x is true, else x wrapped: `TF(a) or b` is Python's `a and b`, to be unwrapped by UF.
function M.TF(x)
  if truth(x) then return nil end
  if x == false then return FALSE end
  return x
end

function M.WF(x) if x == false then return FALSE end return x end
function M.UF(x) if x == FALSE then return false end return x end

-- Undefined --------------------------------------------------------------------------------------

local function known_names(ctx)
  local names = {}
  local function add(t)
    if type(t) ~= "table" then return end
    for k in next, t do
      if type(k) == "string" then names[#names + 1] = k end
    end
    local mt = getmetatable(t)
    if type(mt) == "table" then
      if mt.__names then
        for _, k in ipairs(mt.__names(t)) do names[#names + 1] = k end
      elseif type(mt.__index) == "table" then
        add(mt.__index)
      end
    end
  end
  add(ctx)
  add(M.globals)
  return names
end

--- Raises the error of an undefined value that is used.
function M.undefined_error(u)
  local message = u.hint or ("'%s' is undefined"):format(u.name)
  local hint = u.suggest
  if not hint and u.ctx and u.name then hint = err.did_you_mean(u.name, known_names(u.ctx)) end
  return fault.raise(u.kind or "UndefinedError", message, hint)
end

Undefined.__call = function(u) return M.undefined_error(u) end
Undefined.__truth = function() return false end
Undefined.__len = function() return 0 end
Undefined.__hash = nil

local function no_attribute(x, name)
  local u = value.undefined(name, ("'%s' object has no attribute '%s'"):format(type_name(x), tostring(name)))
  if type(x) == "table" and getmetatable(x) == Dict and type(name) == "string" then
    local keys = {}
    for _, k in ipairs(rawget(x, ORDER)) do
      if type(k) == "string" then keys[#keys + 1] = k end
    end
    u.suggest = err.did_you_mean(name, keys)
  end
  return u
end

local function unsafe(x, name)
  local u = value.undefined(name, ("access to attribute '%s' of '%s' object is unsafe"):format(name, type_name(x)))
  u.kind = "SecurityError"
  return u
end

--- Jinja's global names, for templates of every context; a context's own names hide them.
M.globals = {}

--- A free name in a context.
function M.C(ctx, name)
  local v = ctx[name]
  if v ~= nil then return v end
  v = M.globals[name]
  if v ~= nil then return v end
  return setmetatable({ name = name, ctx = ctx }, Undefined)
end

--- A free name of a macro file: the context first, then the file's own macros.
function M.CM(ctx, name, macros)
  local v = ctx[name]
  if v ~= nil then return v end
  v = macros[name]
  if v ~= nil then return v:bind(ctx) end
  v = M.globals[name]
  if v ~= nil then return v end
  return setmetatable({ name = name, ctx = ctx }, Undefined)
end

-- Building ---------------------------------------------------------------------------------------

function M.L(t) return setmetatable(t, List) end
function M.TU(t) return setmetatable(t, Tuple) end
function M.DS(t) return setmetatable(t, Dict) end

function M.D(pairs_)
  local d = setmetatable({ [ORDER] = {} }, Dict)
  for i = 1, #pairs_, 2 do classes.dict_set(d, pairs_[i], pairs_[i + 1]) end
  return d
end

--- Joins many printed values.
function M.cat(items)
  for i = 1, #items do items[i] = printing.str(items[i]) end
  return table.concat(items)
end

-- Attributes and items ---------------------------------------------------------------------------

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
      return M.undefined_error(x)
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

local attr = M.attr

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
      return M.undefined_error(x)
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
  if mt == classes.Markup then return i and string_at(x.text, i) end
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

-- first, step and number of items of Python's slice of n items
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
  return from, step, math.max(0, count)
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
    local from, by, count = slice_bounds(x.n, start, stop, step)
    local r = { start = x.start + from * x.step, step = x.step * by, n = count }
    r.stop = x.start + (from + by * count) * x.step
    return setmetatable(r, classes.Range)
  elseif mt == Undefined then
    return M.undefined_error(x)
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

M.slice_bounds = slice_bounds

-- Calls ------------------------------------------------------------------------------------------

local function argument_count(m, n)
  if n > m.limit then
    return fault.type(("%s() takes %s argument%s (%d given)"):format(m.name, m.max == 0 and "no" or "at most " .. m.max,
      m.max == 1 and "" or "s", n))
  end
  return fault.type(("%s() needs the argument '%s'"):format(m.name, m.params[n + 1]))
end

-- the values of keyword arguments at the places of a method's parameters
local function call_method(m, x, n, args, names, values)
  if m.open then
    if #names > 0 then
      local kw = {}
      for i, name in ipairs(names) do kw[name] = values[i] end
      n = n + 1
      args[n] = value.kwargs(kw, names)
    end
    return m.fn(x, table.unpack(args, 1, n))
  end
  if m.keywords then
    local kw = {}
    for i, name in ipairs(names) do kw[name] = values[i] end
    return m.fn(x, args, n, value.kwargs(kw, names))
  end
  if n > m.limit then return argument_count(m, n) end
  local last = n
  for i, name in ipairs(names) do
    local at = m.index[name]
    if not at then return fault.type(("%s() got an unexpected keyword argument '%s'"):format(m.name, name)) end
    if args[at] ~= nil then return fault.type(("%s() got multiple values for argument '%s'"):format(m.name, name)) end
    args[at] = values[i]
    if at > last then last = at end
  end
  for i = 1, m.min do
    if args[i] == nil then return argument_count(m, i - 1) end
  end
  return m.fn(x, table.unpack(args, 1, last))
end

local function plain_method(m, x, ...)
  local n = select("#", ...)
  if m.keywords then return m.fn(x, { ... }, n) end
  if n < m.min or n > m.limit then return argument_count(m, n) end
  return m.fn(x, ...)
end

-- Calls a macro with positional and keyword arguments.
local function call_macro(macro, n, args, names, values)
  local def = macro.def
  local caller, kwargs, varargs
  local params = def.n
  if n > params then
    if not def.varargs then
      return fault.type(("macro '%s' takes not more than %d argument(s)"):format(def.name or "caller", params))
    end
    varargs = setmetatable(table.move(args, params + 1, n, 1, {}), Tuple)
    for i = params + 1, n do args[i] = nil end
  end
  for i, name in ipairs(names) do
    local at = def.index[name]
    if at then
      if args[at] ~= nil then
        return fault.type(("macro '%s' got multiple values for argument '%s'"):format(def.name or "caller", name))
      end
      args[at] = values[i]
    elseif name == "caller" and def.caller then
      caller = values[i]
    elseif def.kwargs then
      kwargs = kwargs or setmetatable({ [ORDER] = {} }, Dict)
      if kwargs[name] == nil then kwargs[ORDER][#kwargs[ORDER] + 1] = name end
      rawset(kwargs, name, values[i])
    elseif name == "caller" then
      return fault.type(("macro '%s' was called by a call block but does not use caller()"):format(def.name or "caller"))
    else
      local hint = err.did_you_mean(name, def.params)
      return fault.raise("TypeError", ("macro '%s' takes no keyword argument '%s'"):format(def.name or "caller", name), hint)
    end
  end
  if def.catch then return M.catching(def.fn or macro.fn, macro.ctx, caller, kwargs, varargs, table.unpack(args, 1, params)) end
  return macro.fn(macro.ctx, caller, kwargs, varargs, table.unpack(args, 1, params))
end

--- Runs a macro that may be ended by return() from a nested expression or a call block's body.
function M.catching(fn, ...)
  local ok, result = xpcall(fn, fault.handler, ...)
  if ok then return result end
  if type(result) == "table" and result.is_return then return result.value end
  error(result, 0)
end

--- return(): the part of it that is no statement of its own. Ends the macro by an error that catching() takes.
function M.RET(...)
  if select("#", ...) ~= 1 then return fault.type("return() takes exactly one argument") end
  error({ is_return = true, value = (...) }, 0)
end

local no_names = {}

local function split_kwargs(n, args)
  local last = args[n]
  if n > 0 and value.is_kwargs(last) then
    args[n] = nil
    local names, values = last[ORDER], {}
    for i, name in ipairs(names) do values[i] = last[name] end
    return n - 1, names, values
  end
  return n, no_names, no_names
end

-- From Lua a macro is called like a function.
Macro.__call = function(self, ...)
  local args = { ... }
  local n, names, values = split_kwargs(select("#", ...), args)
  return call_macro(self, n, args, names, values)
end

Bound.__call = function(self, ...)
  local args = { ... }
  local n, names, values = split_kwargs(select("#", ...), args)
  return call_method(self.method, self.object, n, args, names, values)
end

local function not_callable(f)
  if type(f) == "table" and getmetatable(f) == Undefined then return M.undefined_error(f) end
  return fault.type(("'%s' object is not callable"):format(type_name(f)))
end

local function callable(f)
  local t = type(f)
  if t == "function" then return true end
  local mt = (t == "table" or t == "userdata") and f ~= none and getmetatable(f)
  return type(mt) == "table" and mt.__call ~= nil
end
M.callable = callable

--- f(...)
function M.call(f, ...)
  local v
  if type(f) == "function" then
    v = f(...)
  else
    local mt = type(f) == "table" and getmetatable(f)
    if mt == Macro then
      local def = f.def
      if not def.catch and select("#", ...) <= def.n then return f.fn(f.ctx, nil, nil, nil, ...) end
      return call_macro(f, select("#", ...), { ... }, no_names, no_names)
    elseif mt == Bound then
      v = plain_method(f.method, f.object, ...)
    elseif callable(f) then
      v = f(...)
    else
      return not_callable(f)
    end
  end
  if v == nil then return none end
  return v
end

local call = M.call

-- with keyword arguments, `names` and `values` in order
local function call_with(f, n, args, names, values)
  local mt = type(f) == "table" and getmetatable(f)
  local v
  if mt == Macro then
    return call_macro(f, n, args, names, values)
  elseif mt == Bound then
    v = call_method(f.method, f.object, n, args, names, values)
  elseif callable(f) then
    if #names > 0 then
      local kw = {}
      for i, name in ipairs(names) do kw[name] = values[i] end
      n = n + 1
      args[n] = value.kwargs(kw, table.move(names, 1, #names, 1, {}))
    end
    v = f(table.unpack(args, 1, n))
  else
    return not_callable(f)
  end
  if v == nil then return none end
  return v
end
M.call_with = call_with

local function split_shape(shape, ...)
  local all = { ... }
  local n, names = shape.n, shape.names
  local values = table.move(all, n + 1, n + #names, 1, {})
  for i = n + 1, n + #names do all[i] = nil end
  return n, all, names, values
end

--- f(..., name=value): `shape` is {n = positional arguments, names = {...}}.
function M.callk(f, shape, ...)
  return call_with(f, split_shape(shape, ...))
end

local function spread(names, args, list, values, kw)
  local n = #args
  if list ~= nil then
    if not iterate.iterable(list) then return fault.type(("argument after * must be an iterable, not %s"):format(type_name(list))) end
    local more, count = iterate.seq(list)
    table.move(more, 1, count, n + 1, args)
    n = n + count
  end
  if kw ~= nil then
    if not (type(kw) == "table" and getmetatable(kw) == Dict) then
      return fault.type(("argument after ** must be a mapping, not %s"):format(type_name(kw)))
    end
    names = table.move(names, 1, #names, 1, {})
    local seen = {}
    for _, name in ipairs(names) do seen[name] = true end
    for _, k in ipairs(rawget(kw, ORDER)) do
      if type(k) ~= "string" then return fault.type("keywords must be strings") end
      if seen[k] then return fault.type(("got multiple values for keyword argument '%s'"):format(k)) end
      names[#names + 1] = k
      values[#names] = rawget(kw, k)
    end
  end
  return n, args, names, values
end

--- f(*list, **kw) and anything with it.
function M.callx(f, names, args, list, values, kw)
  return call_with(f, spread(names, args, list, values, kw))
end

-- the function of x.name(...): a method entry, or nil and a value to be called
local function method_of(x, name)
  local t = type(x)
  if t == "string" then return str_methods[name] end
  if t == "table" then
    local mt = getmetatable(x)
    local methods = mt and mt.__methods
    local m = methods and methods[name]
    if type(m) == "table" then return m end
  end
end

--- x.name(...)
function M.callm(x, name, ...)
  local m = method_of(x, name)
  if m then
    local n = select("#", ...)
    local v
    if m.keywords then
      v = m.fn(x, { ... }, n)
    elseif n < m.min or n > m.limit then
      return argument_count(m, n)
    else
      v = m.fn(x, ...)
    end
    if v == nil then return none end
    return v
  end
  return call(attr(x, name), ...)
end

function M.callmk(x, name, shape, ...)
  local n, args, names, values = split_shape(shape, ...)
  local m = method_of(x, name)
  if m then return call_method(m, x, n, args, names, values) end
  return call_with(attr(x, name), n, args, names, values)
end

function M.callmx(x, name, names, args, list, values, kw)
  return call_with(attr(x, name), spread(names, args, list, values, kw))
end

-- Macros -----------------------------------------------------------------------------------------

--- A macro of a context.
function M.MK(ctx, def, fn) return setmetatable({ ctx = ctx, def = def, fn = fn }, Macro) end

Macro.__index = {
  --- The same macro resolving its free names through another context.
  bind = function(self, ctx) return setmetatable({ ctx = ctx, def = self.def, fn = self.fn }, Macro) end,
}
Macro.__getattr = function(m, name)
  local def = m.def
  if name == "name" then return def.name or none end
  if name == "arguments" then return def.arguments end
  if name == "catch_kwargs" then return def.kwargs or false end
  if name == "catch_varargs" then return def.varargs or false end
  if name == "caller" then return def.caller or def.index.caller ~= nil end
end

--- Sets an attribute of a namespace.
function M.NSSET(ns, name, v)
  if type(ns) ~= "table" or getmetatable(ns) ~= classes.Namespace then
    return fault.raise("TemplateRuntimeError", "cannot assign attribute on non-namespace object")
  end
  ns.vars[name] = v
end

classes.Namespace.__getattr = function(ns, name) return rawget(ns.vars, name) end
classes.Namespace.__getitem = function(ns, name) return rawget(ns.vars, name) end

-- Loop objects -----------------------------------------------------------------------------------

local Loop = classes.Loop

function M.LP(items, n, depth, again)
  return setmetatable({ items = items, n = n, i = 0, depth = depth, again = again }, Loop)
end

Loop.__len = function(l) return l.n end
Loop.__call = function(l, ...)
  if not l.again then return fault.type("The loop must have the 'recursive' marker to be called recursively") end
  if select("#", ...) ~= 1 then return fault.type("loop() takes one argument") end
  return l.again((...), l.depth + 1)
end
Loop.__getattr = function(l, name)
  local i, n = l.i, l.n
  if name == "index" then return i
  elseif name == "index0" then return i - 1
  elseif name == "first" then return i == 1
  elseif name == "last" then return i == n
  elseif name == "length" then return n
  elseif name == "revindex" then return n - i + 1
  elseif name == "revindex0" then return n - i
  elseif name == "depth" then return l.depth
  elseif name == "depth0" then return l.depth - 1
  elseif name == "previtem" then
    if i > 1 then return l.items[i - 1] end
    return value.undefined("previtem", "there is no previous item")
  elseif name == "nextitem" then
    if i < n then return l.items[i + 1] end
    return value.undefined("nextitem", "there is no next item")
  end
end
registry.definer(Loop.__methods)("cycle(*args)", function(l, ...)
  local n = select("#", ...)
  if n == 0 then return fault.type("no items for cycling given") end
  return (select((l.i - 1) % n + 1, ...))
end)
registry.definer(Loop.__methods)("changed(*args)", function(l, ...)
  local now = value.tuple { ... }
  if l.seen and ops.eq(l.seen, now) then return false end
  l.seen = now
  return true
end)

-- Errors and blocks ------------------------------------------------------------------------------

function M.LOADER(what, name)
  if name == none then return fault.raise("TemplatesNotFound", "no template to " .. what) end
  return fault.type(("'%s' is not possible: templates have no loader here"):format(what))
end

function M.NOFILTER(message, hint) return fault.raise("TemplateRuntimeError", message, hint) end
M.NOTEST = M.NOFILTER
function M.argument_error(message) return fault.type(message) end

--- A filter block's result must be text.
function M.only_text(x)
  if type(x) == "string" then return x end
  if type(x) == "table" and getmetatable(x) == classes.Markup then return x.text end
  return fault.type(("sequence item 0: expected str instance, %s found"):format(type_name(x)))
end

--- Calls a filter or test with arguments known only now. `f` is its name or a project's own function.
function M.call_operation(kind, f, subject, names, args, list, values, kw)
  local n
  n, args, names, values = spread(names, args, list, values, kw)
  return M.apply(kind, f, subject, n, args, names, values)
end

--- The same with arrays. Raises when there is no such filter or test.
function M.apply(kind, f, subject, n, args, names, values)
  names, values = names or no_names, values or no_names
  if type(f) ~= "string" then
    table.insert(args, 1, subject)
    return call_with(f, n + 1, args, names, values)
  end
  local sig = registry.signature(kind, f)
  if not sig then
    return fault.raise("TemplateRuntimeError", ("there is no %s named '%s'"):format(kind, f), err.did_you_mean(f, registry.names(kind)))
  end
  if sig.raw then
    args.n = n
    local keywords
    if #names > 0 then
      keywords = {}
      for i, name in ipairs(names) do keywords[name] = values[i] end
    end
    return sig.fn(subject, args, keywords)
  end
  local places, why = registry.place(sig, n, names)
  if not places then return fault.type(why) end
  local last = 0
  local out = {}
  for at, from in pairs(places) do
    if from > 0 then out[at] = args[from] else out[at] = values[-from] end
    if at > last then last = at end
  end
  return (sig.fn(subject, table.unpack(out, 1, last)))
end

--- A context that also has what the template's top level sets, for its blocks.
function M.exports(ctx, constants)
  local mt = getmetatable(ctx)
  if type(mt) == "table" and mt.is_exports then return ctx end
  return setmetatable({}, { is_exports = true, constants = constants, __index = function(t, name)
    if name == "self" then return M.template_reference(t, constants) end
    return ctx[name]
  end })
end

local Reference = { __pytype = "TemplateReference", __repr = function() return "<TemplateReference None>" end }
Reference.__getattr = function(r, name)
  local block = r.constants and r.constants.blocks and r.constants.blocks[name]
  if block then return function() return block(r.ctx) end end
end
function M.template_reference(ctx, constants) return setmetatable({ ctx = ctx, constants = constants }, Reference) end
M.globals.self = M.template_reference()

function M.BLK(exports, name) return getmetatable(exports).constants.blocks[name](exports) end

-- Autoescape -------------------------------------------------------------------------------------

--- The functions that stand for S, concat, call, callk, callm, catm and F inside of an autoescape tag.
function M.AE(on)
  local html = require "jinja.html"
  if not truth(on) then return M.S, M.concat, M.call, M.callk, M.callm, M.cat, M.F end
  return html.escaped_text, html.concat, html.call, html.callk, html.callm, html.join_markup, html.filters
end
M.catm = M.cat

return M
