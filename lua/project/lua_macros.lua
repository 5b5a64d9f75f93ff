--- Macros, filters and tests of a project or package that are written in Lua: files `*.lua` among its macro files. Such
-- a file returns a table. Its functions are macros: the first parameter is the context of the template that calls,
-- the others are the macro's own. Its tables `filters` and `tests` hold functions of a value and arguments.

local err = require "err"
local fault = require "jinja.fault"
local fs = require "dex.fs"
local lua_value = require "jinja.lua_value"
local sandbox = require "project.sandbox"
local watched = require("jinja.limits").watched

local M = {}

--- The Lua files of one package.
---@class dex.LuaMacros
---@field package table
---@field trusted boolean whether they are the root project's
---@field loaded table<string, any> path -> what the file returned

---@param package table
---@param trusted boolean
---@return dex.LuaMacros
function M.new(package, trusted)
  return { package = package, trusted = trusted, loaded = {} }
end

local function bad(file, message, line)
  err.raise { code = 209, message = message, file = file.display, line = line }
end

local value_of

-- require "folder.name" in such a file: another one of the same macro folder.
local function require_for(modules)
  return function(name)
    local path = tostring(name):gsub("%.", "/") .. ".lua"
    for _, folder in ipairs(modules.package.paths.macro) do
      local original = folder .. "/" .. path
      local file = { original = original, abs = modules.package.dir .. "/" .. original,
        display = modules.package.prefix .. original }
      if not path:find("..", 1, true) and fs.exists(file.abs) then return value_of(modules, file) end
    end
    return error(("there is no module '%s' among the macro files"):format(tostring(name)), 2)
  end
end

-- The functions that begin on each line, for the chain of calls of an error.
local function name_functions(names, module)
  for name, f in pairs(module) do
    if type(f) == "function" then
      names[debug.getinfo(f, "S").linedefined] = name
    elseif type(f) == "table" and (name == "filters" or name == "tests") then
      name_functions(names, f)
    end
  end
end

-- What the file returns; it runs once.
value_of = function(modules, file)
  local known = modules.loaded[file.original]
  if known then
    if known.loading then bad(file, "this Lua file requires itself") end
    return known.value
  end
  local source = fs.read(file.abs)
  local chunk_name = "@" .. file.display
  local chunk, message = load(source, chunk_name, "t", sandbox.environment { trusted = modules.trusted,
    require = require_for(modules), extra = { kwargs = lua_value.kwargs } })
  if not chunk then
    local line, text = message:match(":(%d+): (.*)$")
    bad(file, "this Lua file does not load: " .. (text or message), line and math.tointeger(tonumber(line)))
  end
  known = { loading = true, names = {} }
  modules.loaded[file.original] = known
  fault.register_lua(chunk_name, file.display, source, known.names)
  local ok, result = pcall(watched, chunk)
  known.loading = nil
  if not ok then
    modules.loaded[file.original] = nil
    error(result, 0)
  end
  if type(result) == "table" then name_functions(known.names, result) end
  known.value, known.source = result, source
  return result
end

local function lines_of(source, first, last)
  local out, n = {}, 0
  for line in (source .. "\n"):gmatch("(.-)\n") do
    n = n + 1
    if n >= first and n <= last then out[#out + 1] = line end
  end
  return table.concat(out, "\n")
end

local function check_name(file, name)
  if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    bad(file, ("'%s' is no name for a macro, filter or test"):format(tostring(name)))
  end
end

local function operations(file, module, key)
  local out = {}
  local given = module[key]
  if given ~= nil and type(given) ~= "table" then
    bad(file, ("`%s` must be a table of functions"):format(key))
  end
  for name, f in pairs(given or {}) do
    check_name(file, name)
    if type(f) ~= "function" then bad(file, ("`%s.%s` must be a function"):format(key, name)) end
    out[name] = lua_value.operation(name, f)
  end
  return out
end

--- Runs a file and gives what it defines. Raises 209 when it does not load, or returns something else.
---@param modules dex.LuaMacros
---@param file dex.File
---@return {macros: table[], filter: table<string, function>, test: table<string, function>}
function M.load(modules, file)
  local module = value_of(modules, file)
  if type(module) ~= "table" then
    bad(file, "a Lua file of macros returns its table of functions, and this one returns "
      .. (module == nil and "nothing" or "a " .. type(module)))
  end
  local names = {}
  for name, f in pairs(module) do
    if type(f) == "function" then
      check_name(file, name)
      names[#names + 1] = name
    end
  end
  table.sort(names)
  local source = modules.loaded[file.original].source
  local macros = {}
  for i, name in ipairs(names) do
    local f = module[name]
    local info = debug.getinfo(f, "S")
    macros[i] = { name = name, line = info.linedefined, fn = lua_value.macro(name, f),
      source = lines_of(source, info.linedefined, info.lastlinedefined), arguments = (lua_value.parameters(f, 1)) }
  end
  return { macros = macros, filter = operations(file, module, "filters"), test = operations(file, module, "tests") }
end

return M
