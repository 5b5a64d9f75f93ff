--- The environment of the Lua files of a project and its packages: Lua's library, and nothing of the engine. Any other
-- global, read or written, is an error with file and line. Files of packages get no way to the system, and none to
-- the metatables of values that are not their own: through those they would reach what everything else is made of.

local core = require "dex.core"

local M = {}

local shared = { "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen",
  "rawset", "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "math", "string", "table", "utf8" }
local trusted_only = { "os", "io" }

-- What user code may `require` of the engine's.
local allowed = { ["dex.json"] = true, ["dex.hash"] = true, ["dex.time"] = true }

-- Tables of functions are copied, so that one file cannot change another's `string.format`.
local function copy(v)
  if type(v) ~= "table" then return v end
  local c = {}
  for key, item in pairs(v) do c[key] = item end
  return c
end

-- getmetatable and setmetatable for tables that this file made itself.
local function confine(env)
  local own = setmetatable({}, { __mode = "k" })
  env.getmetatable = function(x)
    local mt = getmetatable(x)
    if own[mt] then
      if mt.__metatable ~= nil then return mt.__metatable end
      return mt
    end
    return mt ~= nil and "protected" or nil
  end
  env.setmetatable = function(x, mt)
    local old = type(x) == "table" and getmetatable(x)
    if old and not own[old] then error("cannot change a protected metatable", 2) end
    -- a finalizer would run when nobody counts its instructions
    if type(mt) == "table" and rawget(mt, "__gc") ~= nil then error("__gc is not for packages", 2) end
    setmetatable(x, mt)
    if mt then own[mt] = true end
    return x
  end
end

-- Most items that one call of a function of `table` goes through.
local MOST_ITEMS = 10000000

-- What goes on without end where no limit sees it: a table may claim any length, and the message handler of an error
-- that a limit raised is not counted.
local function bound(env)
  local own = env.table
  local function check(first, last)
    if math.type(first) == "integer" and math.type(last) == "integer" and last - first >= MOST_ITEMS then
      error("too many items", 3)
    end
  end
  for _, name in ipairs { "concat", "insert", "remove", "sort", "unpack" } do
    local f = own[name]
    own[name] = function(t, ...)
      if type(t) == "table" then check(1, #t) end
      return f(t, ...)
    end
  end
  local move = own.move
  own.move = function(t, first, last, ...)
    check(first, last)
    return move(t, first, last, ...)
  end
  env.xpcall = function(f, handler, ...)
    local results = table.pack(pcall(f, ...))
    if not results[1] then return false, select(2, pcall(handler, results[2])) end
    return table.unpack(results, 1, results.n)
  end
end

-- Lua's own tables copied, so that making values of them does not change them.
local function copy_deep(v)
  if type(v) ~= "table" or getmetatable(v) then return v end
  local c = {}
  for key, item in pairs(v) do c[key] = copy_deep(item) end
  return c
end

-- A module of the engine as user code gets it. JSON is also made of Lua's own tables.
local function module_of(name)
  local module = copy(require(name))
  if name == "dex.json" then
    module.encode = function(v, ...) return require(name).encode(require("jinja.value").from_lua(copy_deep(v)), ...) end
  end
  return module
end

local function print_line(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  require("dex.term").write(1, table.concat(parts, "\t") .. "\n")
end

--- A new environment.
---@param opts {trusted: boolean, require: fun(name: string): any, extra: table|nil} `trusted` for the root
---  project's files; `require` finds what is none of the engine's modules; `extra` are more globals
---@return table
function M.environment(opts)
  local env = {}
  for _, name in ipairs(shared) do env[name] = copy(_G[name]) end
  if opts.trusted then
    for _, name in ipairs(trusted_only) do env[name] = copy(_G[name]) end
  else
    confine(env)
    bound(env)
  end
  env.none = core.none
  env.breakpoint = function()
    require("repl.stop").breakpoint()
  end
  env.print = print_line
  env.require = function(name)
    if allowed[name] then return module_of(name) end
    return opts.require(name)
  end
  for name, v in pairs(opts.extra or {}) do env[name] = v end
  env._G = env
  return setmetatable(env, {
    __index = function(_, name) error(("there is no global '%s'"):format(tostring(name)), 2) end,
    __newindex = function(_, name)
      error(("'%s' is no local: write `local %s` first"):format(tostring(name), tostring(name)), 2)
    end,
    __metatable = "protected",
  })
end

return M
