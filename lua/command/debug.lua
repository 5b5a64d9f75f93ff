--- `dex-lua debug`: where everything was found, and whether the database answers.

local core = require "dex.core"
local err = require "err"

local M = {}

local secret = { password = true, pass = true, sslpassword = true }

-- Whether the database answers: 0, or 1 with the failure reported. May wait.
local function try_connection(job, say)
  local ok, failure = pcall(function()
    require("command.steps").connect(job)
    local conn = job.pool:lease()
    local result = conn:exec("select current_setting('server_version'), current_user, current_database()")
    say("connection", ("ok: PostgreSQL %s, user %s, database %s"):format(result:get(1, 1), result:get(1, 2),
      result:get(1, 3)))
    conn:release()
  end)
  if ok then return 0 end
  say("connection", "failed")
  job.report:failure(err.wrap(failure))
  return 1
end

-- The folder that profiles.yml is read from.
local function profiles_dir(job)
  require("command.steps").load(job)
  local file = job.project.profile.file
  return file and require("dex.fs").realpath(file):match("^(.*)/") or "none: a private PostgreSQL under .dex/pg"
end

--- Shows the configuration and tries the connection; 1 when something is wrong.
function M.run(job)
  local function say(name, text) job.report:log("print", ("  %-18s %s"):format(name, text)) end
  if job.given.config_dir then
    job.report:log("print", profiles_dir(job))
    return 0
  end
  if job.given.connection then
    require("command.steps").load(job)
    return try_connection(job, say)
  end
  say("version", "dex-lua " .. core.version)
  local steps = require "command.steps"
  steps.load(job)
  local project = job.project
  say("project", ("%s (%s)"):format(project.name, project.file))
  local profile = project.profile
  if profile.params then
    say("profile", ("%s, target %s (%s)"):format(profile.name, profile.target_name, profile.file or "?"))
  else
    say("profile", "none: a private PostgreSQL under .dex/pg")
  end
  local keys = {}
  for key in pairs(profile.params or {}) do keys[#keys + 1] = key end
  table.sort(keys)
  for _, key in ipairs(keys) do say("  " .. key, secret[key] and "********" or tostring(profile.params[key])) end
  say("schema", tostring(profile.target.schema))
  say("threads", tostring(profile.threads))
  return try_connection(job, say)
end

return M
