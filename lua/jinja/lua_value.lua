--- Values on their way between templates and a project's Lua functions. Text, numbers and booleans are the same on
-- both sides, and none is nil. Everything else of the engine's is seen through a proxy, as a template sees it and with
-- nothing behind it: x.name, x[1], #x, pairs(x), x(...), x:method(...). What a function gives back may be plain Lua
-- tables: they become lists and dicts.

local value = require "jinja.value"
local classes = require "jinja.classes"
local calls = require "jinja.calls"
local iterate = require "jinja.iterate"
local lookup = require "jinja.lookup"
local ops = require "jinja.ops"
local printing = require "jinja.printing"
local watched = require("jinja.limits").watched
local fault = require "jinja.fault"

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple = value.Dict, value.List, value.Tuple

-- proxy <-> what it stands for
local originals = setmetatable({}, { __mode = "k" })
local proxies = setmetatable({}, { __mode = "k" })
local functions = setmetatable({}, { __mode = "k" })
-- the same for contexts
local contexts = setmetatable({}, { __mode = "k" })
local views = setmetatable({}, { __mode = "k" })

local Proxy = { __name = "dex.value", __metatable = "protected" }
local Context = { __name = "dex.context", __metatable = "protected" }

local to_lua, to_value

local function all_to_value(...)
  local args = table.pack(...)
  for i = 1, args.n do args[i] = to_value(args[i]) end
  return args
end

local function all_to_lua(...)
  local args = table.pack(...)
  for i = 1, args.n do args[i] = to_lua(args[i]) end
  return table.unpack(args, 1, args.n)
end

-- A function of the engine's for Lua. Called as a method, x:name(...), it is not given x, which it knows.
local function function_for(f, object)
  return function(...)
    if object and (...) == object then return to_lua(calls.call(f, table.unpack(all_to_value(select(2, ...))))) end
    local args = all_to_value(...)
    return to_lua(calls.call(f, table.unpack(args, 1, args.n)))
  end
end

--- A value as a project's Lua code sees it.
---@param v any
---@return any
to_lua = function(v)
  local t = type(v)
  if t == "string" or t == "number" or t == "boolean" or v == nil or v == none then
    if v == none then return nil end
    return v
  end
  if t == "function" then return function_for(v) end
  local mt = getmetatable(v)
  if mt == value.Undefined then return nil end
  if originals[v] ~= nil then return v end
  if mt == classes.Markup then return v.text end
  local known = proxies[v]
  if not known then
    known = setmetatable({}, Proxy)
    originals[known], proxies[v] = v, known
  end
  return known
end
M.to_lua = to_lua

local function copied(t, seen)
  if seen[t] then fault.value("a table that holds itself cannot be given to a template") end
  seen[t] = true
  local out
  if #t > 0 or next(t) == nil then
    out = {}
    for i = 1, #t do out[i] = to_value(t[i], seen) end
    out = value.list(out)
  else
    local keys = {}
    for k in pairs(t) do keys[#keys + 1] = k end
    table.sort(keys, function(a, b)
      if type(a) == type(b) and type(a) ~= "boolean" then return a < b end
      return tostring(a) < tostring(b)
    end)
    out = value.dict()
    for _, k in ipairs(keys) do classes.dict_set(out, to_value(k, seen), to_value(t[k], seen)) end
  end
  seen[t] = nil
  return out
end

--- What a project's Lua code gives, as a value of templates. Raises a TypeError for coroutines and objects of its own.
---@param x any
---@return any
to_value = function(x, seen)
  local t = type(x)
  if x == nil then return none end
  if t == "table" then
    if originals[x] ~= nil then return originals[x] end
    if contexts[x] then return contexts[x].context end
    local mt = getmetatable(x)
    if mt == nil then return copied(x, seen or {}) end
    if value.is_kwargs(x) then
      local kw, order = {}, value.keys(x)
      for _, k in ipairs(order) do kw[k] = to_value(rawget(x, k)) end
      return value.kwargs(kw, order)
    end
    if type(mt) == "table" and type(mt.__tostring) == "function" then return tostring(x) end
    return fault.type("a Lua object cannot be given to a template: give text, numbers or plain tables")
  elseif t == "function" then
    local known = functions[x]
    if not known then
      known = function(...) return to_value(x(all_to_lua(...))) end
      functions[x] = known
    end
    return known
  elseif t == "thread" or t == "userdata" and x ~= none then
    return fault.type(("a %s cannot be given to a template"):format(t))
  end
  return x
end
M.to_value = to_value

--- Keyword arguments of a call from Lua: `ctx.ref("orders", kwargs { v = 2 })`.
---@param t table<string, any>
function M.kwargs(t)
  local kw = {}
  for k, v in pairs(t) do
    if type(k) ~= "string" then fault.type("kwargs wants names, as in kwargs { v = 2 }") end
    kw[k] = to_value(v)
  end
  return value.kwargs(kw)
end

-- Proxies ----------------------------------------------------------------------------------------

local function is_array(mt) return mt == List or mt == Tuple or mt == nil end

Proxy.__index = function(proxy, k)
  local v = originals[proxy]
  local mt = getmetatable(v)
  if math.type(k) == "integer" then
    if is_array(mt) then return to_lua(rawget(v, k)) end
    if mt ~= Dict then return to_lua(lookup.item(v, k - 1)) end
  end
  if mt == Dict then
    local found = classes.dict_get(v, to_value(k))
    if found ~= nil then return to_lua(found) end
  end
  if type(k) ~= "string" then return nil end
  local found = lookup.attr(v, k)
  if value.is_undefined(found) then return nil end
  if calls.callable(found) then return function_for(found, proxy) end
  return to_lua(found)
end

Proxy.__newindex = function(proxy, k, x)
  local v = originals[proxy]
  local mt = getmetatable(v)
  if mt == Dict then
    if x == nil then return value.del(v, classes.key_of(v, k)) end
    return classes.dict_set(v, to_value(k), to_value(x))
  elseif mt == List and math.type(k) == "integer" and k >= 1 and k <= #v + 1 then
    rawset(v, k, x ~= nil and to_value(x) or nil)
    return nil
  end
  return fault.type(("'%s' cannot be set: this value is read only"):format(tostring(k)))
end

Proxy.__len = function(proxy)
  local v = originals[proxy]
  local mt = getmetatable(v)
  if type(mt) == "table" and mt.__len then return mt.__len(v) end
  return #v
end

-- A dict's keys and values, the numbers and items of anything else.
Proxy.__pairs = function(proxy)
  local v = originals[proxy]
  local i = 0
  if getmetatable(v) == Dict then
    local keys = value.keys(v)
    return function()
      i = i + 1
      if keys[i] ~= nil then return to_lua(keys[i]), to_lua(rawget(v, keys[i])) end
    end
  end
  local step = iterate.stepper(v)
  return function()
    local item = step()
    i = i + 1
    if item ~= nil then return i, to_lua(item) end
  end
end

Proxy.__call = function(proxy, ...)
  local args = all_to_value(...)
  return to_lua(calls.call(originals[proxy], table.unpack(args, 1, args.n)))
end

Proxy.__tostring = function(proxy) return printing.str(originals[proxy]) end
Proxy.__concat = function(a, b) return printing.str(to_value(a)) .. printing.str(to_value(b)) end
for name, op in pairs { __add = "add", __sub = "sub", __mul = "mul", __div = "div", __mod = "mod", __idiv = "idiv",
  __pow = "pow", __eq = "eq", __lt = "lt", __le = "le" } do
  Proxy[name] = function(a, b) return to_lua(ops[op](to_value(a), to_value(b))) end
end
Proxy.__unm = function(a) return to_lua(ops.neg(originals[a])) end

-- Contexts ---------------------------------------------------------------------------------------

--- The context of a template as a macro in Lua sees it: what the template sees, by name; nil for an unknown name.
---@param ctx table
function M.context(ctx)
  local view = views[ctx]
  if not view then
    view = setmetatable({}, Context)
    contexts[view], views[ctx] = ctx, view
  end
  return view
end

Context.__index = function(view, name)
  if type(name) ~= "string" then return nil end
  return to_lua(contexts[view][name])
end
Context.__newindex = function(_, name)
  return fault.type(("'%s' cannot be set: the context is read only"):format(tostring(name)))
end
Context.__pairs = function() return fault.type("the context cannot be listed: ask it for a name") end
Context.__tostring = function() return "<context>" end

-- Functions as macros, filters and tests -----------------------------------------------------------

local LuaMacro = { __name = "dex.lua_macro", __pytype = "Macro" }

--- A function's parameters, without the first `skip`, and whether it takes more (`...`).
---@param f function
---@param skip integer
---@return string[]
---@return boolean
function M.parameters(f, skip)
  local info = debug.getinfo(f, "u")
  local names = {}
  for i = skip + 1, info.nparams do names[#names + 1] = debug.getlocal(f, i) end
  return names, info.isvararg
end

-- The arguments at the places of the parameters; what a parameter `kwargs` gets is what no other one takes.
local function placed(def, ...)
  local args = table.pack(...)
  local n = args.n
  local kw = n > 0 and value.is_kwargs(args[n]) and args[n] or nil
  if kw then
    args[n] = nil
    n = n - 1
  end
  local count = #def.params
  if n > count and not def.varargs then
    return fault.type(("macro '%s' takes not more than %d argument(s)"):format(def.name, count))
  end
  for i = 1, n do args[i] = to_lua(args[i]) end
  local rest
  for _, name in ipairs(kw and kw[ORDER] or {}) do
    local at = def.index[name]
    if at and at > n then
      args[at] = to_lua(kw[name])
    elseif at then
      return fault.type(("macro '%s' got multiple values for argument '%s'"):format(def.name, name))
    elseif def.index.kwargs then
      rest = rest or {}
      rest[name] = to_lua(kw[name])
    else
      return fault.raise("TypeError", ("macro '%s' takes no keyword argument '%s'"):format(def.name, name),
        require("err").did_you_mean(name, def.params))
    end
  end
  if def.index.kwargs then args[def.index.kwargs] = rest or {} end
  return args, math.max(n, count)
end

-- What a function returned: nothing prints as nothing.
local function result_of(...)
  if select("#", ...) == 0 then return "" end
  return to_value((...))
end

local function define(name, f, skip)
  local params, varargs = M.parameters(f, skip)
  local def = { name = name, params = params, n = #params, index = {}, varargs = varargs, fn = f,
    arguments = value.tuple(table.move(params, 1, #params, 1, {})) }
  for i, p in ipairs(params) do def.index[p] = i end
  def.kwargs = def.index.kwargs ~= nil
  return def
end

--- A macro from f(ctx, ...): called like any other, keyword arguments find their parameters by name.
---@param name string
---@param f function
---@return table macro with bind(ctx), as macros of templates have
function M.macro(name, f) return setmetatable({ def = define(name, f, 1) }, LuaMacro) end

LuaMacro.__index = {
  bind = function(self, ctx) return setmetatable({ def = self.def, ctx = ctx }, LuaMacro) end,
}
LuaMacro.__call = function(self, ...)
  local args, n = placed(self.def, ...)
  return result_of(watched(self.def.fn, M.context(self.ctx), table.unpack(args, 1, n)))
end
LuaMacro.__getattr = classes.Macro.__getattr
LuaMacro.__repr = classes.Macro.__repr

--- A filter or test from f(value, ...).
---@param name string
---@param f function
---@return function
function M.operation(name, f)
  local def = define(name, f, 1)
  return function(subject, ...)
    local args, n = placed(def, ...)
    return result_of(watched(f, to_lua(subject), table.unpack(args, 1, n)))
  end
end

return M
