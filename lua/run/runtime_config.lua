--- `ref.config`, `source.config`: what dbt's resolvers carry of the project (its RuntimeConfig), as far as
-- packages read it: elementary takes the version of a package and the command's arguments from there.

local data = require "run.data_object"
local value = require "jinja.value"

local M = {}

local dict, opt = value.dict, value.opt

local function version_of(package) return value.or_none(opt(package.config and package.config.version)) end

local function make(state)
  local project = state.project
  local dependencies = dict()
  for _, package in ipairs(project.packages) do
    dependencies[package.name] = dict("project_name", package.name, "name", package.name, "version",
      version_of(package),
      "project_root", package.dir)
  end
  local profile = project.profile
  return dict("project_name", project.name, "version", version_of(project.packages[1]), "project_root", project.root,
    "profile_name", value.or_none(profile.name), "target_name", value.or_none(profile.target_name),
    "threads", profile.threads, "dependencies", dependencies,
    "vars", data.of(opt(project.config.vars) or dict()), "cli_vars", project.vars.cli or dict(),
    "args", data.of(project.args or dict(), true))
end

local made = setmetatable({}, { __mode = "k" })

--- The dict of a state's project.
---@param state table of lua/run/context.lua
---@return table
function M.of(state)
  made[state.project] = made[state.project] or make(state)
  return made[state.project]
end

local Resolver = { __name = "dex.resolver", __pytype = "RuntimeResolver" }
Resolver.__call = function(resolver, ...) return resolver.resolve(resolver.state, ...) end
Resolver.__getattr = function(resolver, name)
  if name == "config" then return M.of(resolver.state) end
  if name == "model" then return resolver.state.node end
end

--- A function that templates call, with the attributes of dbt's resolvers.
---@param state table
---@param resolve fun(state: table, ...): any
---@return table
function M.resolver(state, resolve) return setmetatable({ state = state, resolve = resolve }, Resolver) end

return M
