--- Calls: of functions, methods, macros and whatever has __call; the arguments' way to the parameters; return().

local value = require "jinja.value"
local classes = require "jinja.classes"
local iterate = require "jinja.iterate"
local attr = require("jinja.lookup").attr
local beyond = require("jinja.names").beyond
local type_name = require("jinja.truth").type_name
local fault = require "jinja.fault"
local err = require "err"
local spend = require("jinja.limits").spend

local M = {}

local none, ORDER = value.none, value.ORDER
local Callable, Dict, Tuple, Undefined = value.Callable, value.Dict, value.Tuple, value.Undefined
local Macro, Bound = classes.Macro, classes.Bound
local str_methods = classes.str_methods
local select, type, getmetatable, setmetatable, rawget = select, type, getmetatable, setmetatable, rawget

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
    if not at then
      return fault.raise("TypeError", ("%s() got an unexpected keyword argument '%s'"):format(m.name, name),
        err.did_you_mean(name, m.params))
    end
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
  spend(1)
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
      return fault.type(("macro '%s' was called by a call block but does not use caller()")
        :format(def.name or "caller"))
    else
      local hint = err.did_you_mean(name, def.params)
      return fault.raise("TypeError",
        ("macro '%s' takes no keyword argument '%s'"):format(def.name or "caller", name), hint)
    end
  end
  if def.catch then
    return M.catching(def.fn or macro.fn, macro.ctx, caller, kwargs, varargs, table.unpack(args, 1, params))
  end
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
  if type(f) == "table" and getmetatable(f) == Undefined then return beyond(f) end
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
      if not def.catch and select("#", ...) <= def.n then
        spend(1)
        return f.fn(f.ctx, nil, nil, nil, ...)
      end
      return call_macro(f, select("#", ...), { ... }, no_names, no_names)
    elseif mt == Bound then
      v = plain_method(f.method, f.object, ...)
    elseif mt == Callable then
      v = f.call(...)
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

--- The arguments of f(args..., *list, name=value..., **kw): their number, the array, names and values of keywords.
function M.spread(names, args, list, values, kw)
  local n = #args
  if list ~= nil then
    if not iterate.iterable(list) then
      return fault.type(("argument after * must be an iterable, not %s"):format(type_name(list)))
    end
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

local spread = M.spread

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

return M
