--- A flow's node that waits: until a query gives true, a file is there, or sources are fresh.

local dex_engine = require "run"
local engine_job = require "flow.engine_job"
local err = require "err"
local fs = require "dex.fs"
local jinja = require "jinja"
local loop = require "dex.loop"
local steps = require "command.steps"
local values = require "flow.values"

local M = {}

local checks = {}

-- The first cell of the first row; without a row it is not true yet.
function checks.sql(run, task, text)
  local conn = run.job.pool:lease()
  local ok, result = pcall(conn.exec, conn, text)
  conn:release()
  if not ok then
    if err.is(result) and not result.file then result.file, result.line = task.node.file, task.node.line end
    error(result, 0)
  end
  if #result.columns == 0 then
    err.raise { code = 633, file = task.node.file, line = task.node.line, message =
      ("wait '%s': its SQL gives no rows: it must be a query"):format(task.name) }
  end
  if #result == 0 then return false end
  local v = result:get(1, 1)
  return v ~= nil and jinja.truth(v) and v ~= "f" and v ~= "false"
end

function checks.file(run, _, path)
  return fs.exists(path:sub(1, 1) == "/" and path or run.job.project.root .. "/" .. path)
end

-- Every selected source passes.
function checks.freshness(run, task, selection)
  local words = {}
  for word in selection:gmatch "%S+" do words[#words + 1] = word end
  local stale
  local job = engine_job.new(run, task, { command = "source", given = { select = words, no_hooks = true } })
  task.engine, job.freshness = job, true
  job.selected = steps.selection(job, { "source" })
  if #job.selected == 0 then
    err.raise { code = 633, file = task.node.file, line = task.node.line, message =
      ("wait '%s': '%s' selects no source"):format(task.name, selection) }
  end
  local outcome = dex_engine.execute(job)
  task.engine = nil
  for _, result in ipairs(outcome.results) do
    if result.status == "cancelled" then error(err.new { code = 907, message = "cancelled", cancelled = true }, 0) end
    if result.error and not result.freshness then error(result.error, 0) end
    if result.status ~= "pass" then stale = result.name end
  end
  if #outcome.results == 0 then
    err.raise { code = 633, file = task.node.file, line = task.node.line, message =
      ("wait '%s': none of the sources of '%s' has a `freshness`"):format(task.name, selection) }
  end
  return stale == nil
end

--- Asks again and again, with pauses of `every`. May wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return string status
---@return string|nil message
function M.run(run, task)
  local wait = task.node.wait
  local what = values.text(run, task, wait.value, wait.kind)
  local asked = 0
  while true do
    asked = asked + 1
    if checks[wait.kind](run, task, what) then
      return "success", asked > 1 and ("asked %d times"):format(asked) or nil
    end
    if asked == 1 then run:say(task, "info", ("waiting for %s: %s"):format(wait.kind, what:match "^%s*(.-)%s*$")) end
    loop.sleep(wait.every)
  end
end

--- Ends it early. Does not wait.
---@param task dex.FlowTask
---@param how string
function M.stop(task, how)
  if task.engine then engine_job.cancel(task.engine, how, task.handle) else task.handle:cancel() end
end

return M
