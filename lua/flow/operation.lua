--- A flow's node that is an operation.

local dex_engine = require "run"
local engine_job = require "flow.engine_job"
local operation = require "run.operation"
local operation_result = require "run.operation_result"
local operations = require "project.operations"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

--- Forgets the attempt before.
---@param task dex.FlowTask
function M.before(task) task.engine = nil end

--- Runs it. Raises its error. May wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return string status
---@return string|nil message
function M.run(run, task)
  local node, project = task.node, run.job.project
  local found = operations.find(project, node.operation, { code = 613, file = node.file, line = node.line })
  local call = operation.prepare(project, found, values.render(run, task, node.args or value.dict(), "args"))
  local job = engine_job.new(run, task, { command = "operation" })
  task.engine, job.operation = job, call
  local outcome = dex_engine.execute(job)
  run:keep_results(outcome)
  local result = outcome.results[#outcome.results]
  task.result, task.rows = result.returned, result.rows_affected
  task.kept = operation_result.of(result)
  if result.status == "success" then return "success", result.message end
  if result.status == "skipped" then return "skipped", result.message end
  if result.status == "cancelled" then return "cancelled", "cancelled" end
  error(result.error or result.message or result.status, 0)
end

--- Ends it early. Does not wait.
---@param task dex.FlowTask
---@param how string
function M.stop(task, how)
  if task.engine then engine_job.cancel(task.engine, how, task.handle) else task.handle:cancel() end
end

return M
