--- `dex-lua source freshness`.

local err = require "err"
local fs = require "dex.fs"
local steps = require "command.steps"

local M = {}

local actions = { freshness = true, ["snapshot-freshness"] = true }

-- dbt's switch for run hooks around this command.
local function without_hooks(project)
  local flags = project.config.flags
  return type(flags) == "table" and rawget(flags, "source_freshness_run_project_hooks") == false
end

local function write(job)
  steps.write_manifest(job)
  local path = job.given.output or job.target_path .. "/sources.json"
  fs.mkdirs(path:match("^(.*)/") or ".")
  require("report.artifacts").sources(job, job.outcome.results, path)
end

--- Asks how old the selected sources are, and writes target/sources.json. The status is 1 when one is too old. May
--- wait.
---@param job table
---@return integer status
function M.dispatch(job)
  local action = job.words[1]
  if not actions[action or ""] or job.words[2] then
    local words = table.concat(job.words, " ")
    err.raise { code = 101, message = action and ("there is no `dex-lua source %s`"):format(words)
      or "source needs a word", hint = "dex-lua source freshness" }
  end
  job.selected = steps.selection(job, { "source" })
  job.freshness = true
  if without_hooks(job.project) then job.given.no_hooks = true end
  steps.connect(job)
  steps.execute(job)
  write(job)
  return steps.finish(job)
end

return M
