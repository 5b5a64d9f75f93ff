--- What a template inside profiles.yml, the project file or a properties file sees. Nodes and hooks have
-- contexts of their own: lua/run/context.lua.

local asked = require "project.asked"
local env = require "dex.env"
local err = require "err"
local jinja = require "jinja"
local secret_values = require "run.secrets"
local value = require "jinja.value"
local vars = require "project.vars"

local M = {}

local is_secret = secret_values.is_name

--- The template function `env_var(name, default)`.
---@param secrets? table given, secret variables may be read and their values are noted in it
---@return table callable
function M.env_var(secrets)
  return value.fn("env_var(name, default=none)", function(name, default)
    if type(name) ~= "string" then
      err.raise { code = 105, message = "env_var needs the name of an environment variable" }
    end
    if is_secret(name) and not secrets then
      err.raise { code = 105, message = ("secret environment variable '%s' is for profiles.yml and packages.yml only")
        :format(name), hint = "secrets would end up in compiled SQL and artifacts" }
    end
    local found = env.get(name)
    asked.name("env", name)
    if found == nil then
      if default == value.none then
        local names = {}
        for known in pairs(env.all()) do names[#names + 1] = known end
        err.raise { code = 105, message = ("environment variable '%s' is not set and has no default"):format(name),
          hint = err.did_you_mean(name, names) }
      end
      return default
    end
    if secrets and is_secret(name) then secrets[#secrets + 1] = found end
    return found
  end)
end

-- Pure functions that every template has, whatever it is for.
local function base()
  local builtins = require "run.builtins"
  return builtins.pure and builtins.pure() or {}
end

local function with_base(ctx, project)
  local functions
  return setmetatable(ctx, { __index = function(_, name)
    functions = functions or base()
    local found = functions[name]
    if found == nil and project then found = require("run.context").early(project, name) end
    return found
  end })
end

--- For profiles.yml: environment, secrets included, and --vars.
---@param cli table dict of --vars
---@param secrets string[] receives the values of secret variables
---@return table
function M.profile(cli, secrets)
  return with_base { env_var = M.env_var(secrets), var = vars.callable(cli) }
end

--- For a project file: dbt knows only --vars there (in a package: none), and the target.
---@param cli table dict of --vars
---@param target? table dict
---@return table
function M.project_file(cli, target)
  local ctx
  ctx = with_base { env_var = M.env_var(), target = target, env = target,
    var = vars.callable(cli, function(text) return jinja.render(text, ctx) end) }
  return ctx
end

--- For the properties files of a package.
---@param project table
---@param package string
---@return table
function M.properties(project, package)
  return with_base({ env_var = M.env_var(), target = project.profile.target, env = project.profile.target,
    project_name = project.name, var = vars.callable(vars.of(project.vars, package)) }, project)
end

return M
