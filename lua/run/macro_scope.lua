--- Which macro a name means. For a template of a package: the package's own, the root project's, a package by
-- its name, the built-in ones. dbt's rules, and adapter.dispatch's.

local value = require "jinja.value"

local M = {}

local opt = value.opt

local NO_ATTEMPTS = {}

--- The macros as the templates of one package see them.
---@class dex.MacroScope
---@field project table
---@field package string
---@field names table<string, table|false> name -> macro, or {namespace = package}, or false: what was asked before
---@field dispatched table<string, table<string, table>> namespace, or "" -> name -> macro

local scopes = setmetatable({}, { __mode = "k" })

--- The scope of a package.
---@param project table
---@param package string
---@return dex.MacroScope
function M.of(project, package)
  local by_package = scopes[project]
  if not by_package then
    by_package = {}
    scopes[project] = by_package
  end
  local scope = by_package[package]
  if not scope then
    scope = { project = project, package = package, names = {}, dispatched = {} }
    by_package[package] = scope
  end
  return scope
end

--- Forgets what was asked: for a project whose macros changed.
function M.forget(project) scopes[project] = nil end

local function find(scope, name)
  local index = scope.project.macro_index
  local own, root, builtin = index[scope.package], index[scope.project.name], index.dbt
  local macro = own and own[name] or root and root[name]
  if macro then return macro end
  if index[name] then return { namespace = name } end
  return builtin and builtin[name] or false
end

--- The macro, or the namespace, of a name; false when there is none.
---@param scope dex.MacroScope
---@param name string
---@return table|false
function M.find(scope, name)
  local found = scope.names[name]
  if found == nil then
    found = find(scope, name)
    scope.names[name] = found
  end
  return found
end

--- The macro of a package; nil when there is none.
function M.in_package(scope, package, name)
  local index = scope.project.macro_index[package]
  return index and index[name]
end

-- The packages that a dispatch looks into: false stands for the scope itself.
local function search_order(project, namespace)
  if namespace == nil then return { false } end
  local dispatch = opt(project.config.dispatch)
  for _, entry in ipairs(value.is_list(dispatch) and dispatch or {}) do
    local order = value.is_dict(entry) and entry.macro_namespace == namespace and opt(entry.search_order)
    if order then return order end
  end
  if project.macro_index[namespace] then return { project.name, namespace } end
  return { false }
end

local function prefixes(project)
  local list = {}
  for i, name in ipairs(project.profile.adapter_types or { "postgres" }) do list[i] = name .. "__" end
  list[#list + 1] = "default__"
  return list
end

--- The implementation that adapter.dispatch finds.
---@param scope dex.MacroScope
---@param name string
---@param namespace string|nil
---@return table|false macro
---@return string[] attempts the names that were looked for, when none was found
function M.dispatch(scope, name, namespace)
  local cached = scope.dispatched[namespace or ""]
  if not cached then
    cached = {}
    scope.dispatched[namespace or ""] = cached
  end
  local known = cached[name]
  if known then return known, NO_ATTEMPTS end
  local attempts = {}
  for _, package in ipairs(search_order(scope.project, namespace)) do
    for _, prefix in ipairs(prefixes(scope.project)) do
      local full = prefix .. name
      local macro
      if package then
        macro = M.in_package(scope, package, full)
        attempts[#attempts + 1] = package .. "." .. full
      else
        macro = M.find(scope, full)
        attempts[#attempts + 1] = full
      end
      if macro and macro.unique_id then
        cached[name] = macro
        return macro, attempts
      end
    end
  end
  return false, attempts
end

return M
