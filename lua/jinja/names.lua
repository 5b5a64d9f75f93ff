--- Free names of templates, and undefined values: what a name that nobody knows becomes, and the error of its use.

local value = require "jinja.value"
local type_name = require("jinja.truth").type_name
local fault = require "jinja.fault"
local err = require "err"

local M = {}

local ORDER = value.ORDER
local Dict, Undefined = value.Dict, value.Undefined
local type, getmetatable, setmetatable, rawget, next = type, getmetatable, setmetatable, rawget, next

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

--- The undefined value that an absent attribute or item is.
function M.no_attribute(x, name)
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

--- The undefined value that a hidden attribute is.
function M.unsafe(x, name)
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

return M
