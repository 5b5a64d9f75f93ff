--- Objects that templates and Lua hooks see: relations, columns, tables, the adapter. A class is a metatable:
-- `__methods` and `__getattr` answer templates (jinja/runtime.lua; Python's None is `none`), `__index` answers
-- Lua (`object.field`, `object:method(...)`, absence is nil).

local value = require "jinja.value"

local M = {}

local none = value.none

--- Methods from their signatures, written as Python has them without `self`.
--- `M.methods { ["quote(identifier)"] = function(self, identifier) ... end }`
---@param definitions table<string, function>
---@return table<string, table> callables by name, which take the object first
function M.methods(definitions)
  local methods = {}
  for signature, fn in pairs(definitions) do
    local name, parameters = signature:match("^([%w_]+)%((.*)%)$")
    if parameters ~= "" then parameters = ", " .. parameters end
    methods[name] = value.fn(("%s(self%s)"):format(name, parameters), fn)
  end
  return methods
end

--- Methods as the template engine calls them: the callable binds the arguments itself.
---@param methods table<string, table>
---@return table<string, table> for `__methods`
function M.entries(methods)
  local entries = {}
  for name, method in pairs(methods) do
    entries[name] = { fn = method.call, name = name, min = 0, limit = math.huge, open = true }
  end
  return entries
end

--- A method as a function of its own.
function M.bound(object, method)
  local call = method.call
  return function(...) return call(object, ...) end
end

--- Fills in the metatable of a class.
---@param class table metatable with `__name`
---@param getters table<string, fun(object): any> fields; nil stands for None
---@param methods table<string, table> of M.methods
---@return table class
function M.class(class, getters, methods)
  class.__methods = M.entries(methods)
  class.__getattr = function(object, name)
    local getter = getters[name]
    if not getter then return nil end
    local v = getter(object)
    if v == nil then return none end
    return v
  end
  class.__getitem = class.__getattr
  class.__index = function(object, name)
    local method = methods[name]
    if method then return method end
    local getter = getters[name]
    return getter and getter(object)
  end
  return class
end

return M
