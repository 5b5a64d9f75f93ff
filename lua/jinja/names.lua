--- Free names of templates, and undefined values: what a name that nobody knows becomes, and the error of its use.

local value = require "jinja.value"
local classes = require "jinja.classes"
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

-- what x.name may be, for a name that it has not
local function attribute_names(x)
  local names = {}
  local function add(t)
    for k in next, t or {} do
      if type(k) == "string" and k:byte() ~= 95 then names[#names + 1] = k end
    end
  end
  if type(x) == "string" then
    add(classes.str_methods)
  elseif type(x) == "table" then
    local mt = getmetatable(x)
    if mt == Dict then
      for _, k in ipairs(rawget(x, ORDER)) do names[#names + 1] = type(k) == "string" and k or nil end
    elseif type(mt) == "table" and mt.__names then
      table.move(mt.__names(x), 1, #mt.__names(x), 1, names)
    end
    if type(mt) == "table" then add(mt.__methods) end
  end
  return names
end

--- Raises the error of an undefined value that is used.
function M.undefined_error(u)
  local message, hint, name = u.hint, u.suggest, u.name
  if u.owner ~= nil then
    local words = u.kind and "access to attribute '%s' of '%s' object is unsafe"
      or "'%s' object has no attribute '%s'"
    local type_of = type_name(u.owner)
    if u.kind then message = words:format(name, type_of) else message = words:format(type_of, tostring(name)) end
    if type(name) == "string" and not u.kind then hint = err.did_you_mean(name, attribute_names(u.owner)) end
  elseif u.ctx and name then
    hint = err.did_you_mean(name, known_names(u.ctx))
  end
  return fault.raise(u.kind or "UndefinedError", message or ("'%s' is undefined"):format(name), hint,
    type(name) == "string" and name or nil)
end

--- The template that is rendered while a project's files are read, {thread =, source =} as debug.getinfo names them:
--- set by jinja/init.lua.
M.reading = nil

-- Whether the read template itself runs, and none of the macros that it calls.
local function in_read_template()
  if M.reading.thread ~= coroutine.running() then return false end
  for level = 3, 8 do
    local info = debug.getinfo(level, "S")
    if not info then return false end
    if fault.knows(info.source) then return info.source == M.reading.source end
  end
  return false
end

-- An undefined value. What a template makes of one while files are read is undefined, too, as in dbt: much depends on
-- results of queries, which are not there yet.
local function undefined(u)
  if M.reading then u.chained = in_read_template() end
  return setmetatable(u, Undefined)
end

--- What is an attribute or item of an undefined value, or what it gives when it is called: an error, but for those of a
--- template that is read.
function M.beyond(u)
  if u.chained then return u end
  return M.undefined_error(u)
end

Undefined.__call = M.beyond
Undefined.__truth = function() return false end
Undefined.__len = function() return 0 end
-- one undefined value is like another, in a set too
Undefined.__hash = function() return "" end

--- The undefined value that an absent attribute or item is.
function M.no_attribute(x, name) return undefined { name = name, owner = x } end

--- The undefined value that a hidden attribute is.
function M.unsafe(x, name) return setmetatable({ name = name, owner = x, kind = "SecurityError" }, Undefined) end

--- Jinja's global names, for templates of every context; a context's own names hide them.
M.globals = {}

--- A free name in a context.
function M.C(ctx, name)
  local v = ctx[name]
  if v ~= nil then return v end
  v = M.globals[name]
  if v ~= nil then return v end
  return undefined { name = name, ctx = ctx }
end

--- A free name of a macro file: the context first, then the file's own macros.
function M.CM(ctx, name, macros)
  local v = ctx[name]
  if v ~= nil then return v end
  v = macros[name]
  if v ~= nil then return v:bind(ctx) end
  v = M.globals[name]
  if v ~= nil then return v end
  return undefined { name = name, ctx = ctx }
end

return M
