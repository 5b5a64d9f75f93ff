--- What surrounds a command line: the project's .env, the `flags:` of its project file, and the secrets that nothing
-- printed may hold.

local dotenv = require "command.dotenv"
local env = require "dex.env"
local fs = require "dex.fs"
local secrets = require "run.secrets"
local term = require "dex.term"
local value = require "jinja.value"

local M = {}

-- The folder of the project, before the command line is read.
local function project_dir(argv)
  for i, word in ipairs(argv) do
    if word == "--" then break end
    local dir = word:match("^%-%-project%-dir=(.+)$") or word == "--project-dir" and argv[i + 1]
    if dir then return dir end
  end
  for _, name in ipairs { "DEX_PROJECT_DIR", "DBT_ENGINE_PROJECT_DIR", "DBT_PROJECT_DIR" } do
    local dir = env.get(name)
    if dir and dir ~= "" then return dir end
  end
  return "."
end

--- Reads .env, and masks the values of secret variables in everything that is written from here on: one place for all
--- reporters, macros and hooks.
---@param argv string[]
---@return dex.Error[] warnings
function M.prepare(argv)
  local warnings = dotenv.load(project_dir(argv))
  local mask = secrets.environment_masker()
  if mask then
    local write = term.write
    term.write = function(fd, text) return write(fd, mask(text)) end
  end
  return warnings
end

--- The `flags:` of the project file, for options that neither the command line nor the environment gives. What is wrong
--- with the file, the load of the project tells.
---@param given table options of the command line
---@return table<string, any> by name with `_`
function M.flags(given)
  local dir = given.project_dir or project_dir {}
  for _, name in ipairs { "dex_project.yml", "dbt_project.yml" } do
    local path = dir .. "/" .. name
    if fs.exists(path) then
      local ok, content = pcall(require("dex.yaml").decode, fs.read(path), path)
      local flags = ok and value.is_dict(content) and value.opt(content.flags)
      local found = {}
      for key, v in pairs(value.is_dict(flags) and flags or value.dict()) do
        if v ~= value.none then found[tostring(key):lower():gsub("-", "_")] = v end
      end
      return found
    end
  end
  return {}
end

return M
