--- Finds the materialization of a name. In this order:
--
--   1. {% materialization NAME, ... %} in the macros of the root project
--   2. materializations/NAME.lua of the root project
--   3. the built-in one, stdlib/materializations/NAME.lua
--   4. the same two of the packages, in their order
--
-- so that a package never replaces a built-in one behind the project's back, as in dbt.

local embed = require "dex.embed"
local fs = require "dex.fs"
local hook_module = require "run.hook_module"
local macros = require "project.macros"

local M = {}

local FOLDER = "materializations"
local BUILTIN = "stdlib/materializations/"

-- The Lua files of packages are loaded like hook modules: root files trusted, packages' in a sandbox.
local function loader(run)
  if not run.materialization_files then
    run.materialization_files = hook_module.new(run.project, { folder = FOLDER, returns = "function" })
  end
  return run.materialization_files
end

local function builtin_names()
  local list = {}
  for _, path in ipairs(embed.list(BUILTIN)) do list[#list + 1] = path:match("([%w_]+)%.lua$") end
  return list
end

local function is_builtin(name)
  for _, known in ipairs(builtin_names()) do
    if known == name then return true end
  end
  return false
end

--- A built-in one by its name, nil when there is none.
function M.builtin(name)
  return is_builtin(name) and require("stdlib.materializations." .. name) or nil
end

local function has_file(package, name)
  return name:find("^[%w_]+$") ~= nil and fs.exists(("%s/%s/%s.lua"):format(package.dir, FOLDER, name))
end

-- The Lua function, or the macro, of one package.
local function of_package(run, package, name)
  local index = run.project.macro_index[package.name]
  for _, adapter in ipairs { run.project.profile.target.type, "postgres", "default" } do
    local macro = index and index[("materialization_%s_%s"):format(name, adapter)]
    if macro then return nil, macro end
  end
  if has_file(package, name) then return loader(run):load(name, package.name).value end
end

--- The materialization of a name: a function of lua/run/materialize.lua's Build, or a macro. Neither when
--- there is none. Raises when a file does not load.
---@param run table
---@param name string
---@return (fun(build: dex.Build): table)|nil fn
---@return dex.Macro|nil macro
function M.find(run, name)
  local known = run.materializations
  if not known then
    known = {}
    run.materializations = known
  end
  local found = known[name]
  if not found then
    found = {}
    known[name] = found
    local packages = run.project.packages
    found.fn, found.macro = of_package(run, packages[1], name)
    if not found.fn and not found.macro then found.fn = M.builtin(name) end
    for i = 2, #packages do
      if found.fn or found.macro then break end
      found.fn, found.macro = of_package(run, packages[i], name)
    end
  end
  return found.fn, found.macro
end

--- Names of all materializations, sorted.
---@param run table
---@return string[]
function M.names(run)
  local seen, list = {}, {}
  local function add(name)
    if not seen[name] then
      seen[name] = true
      list[#list + 1] = name
    end
  end
  for _, name in ipairs(builtin_names()) do add(name) end
  for _, name in ipairs(macros.materialization_names(run.project)) do add(name) end
  for _, package in ipairs(run.project.packages) do
    local dir = package.dir .. "/" .. FOLDER
    if fs.isdir(dir) then
      for _, path in ipairs(fs.walk(dir)) do
        local name = path:match("^([%w_]+)%.lua$")
        if name then add(name) end
      end
    end
  end
  table.sort(list)
  return list
end

return M
