--- A flow's node that is another flow: a run of its own in the history, beside the tasks of this one.

local err = require "err"
local parameters = require "project.parameters"
local uuid = require "dex.uuid"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

--- What the history has of an attempt before it begins: the id of its run. An attempt takes up the one before.
---@param task dex.FlowTask
function M.before(task)
  task.earlier_child = task.child and task.child_id or task.earlier and task.earlier.child_id
  task.child, task.child_id = nil, uuid()
  task.kept = value.dict("run_id", task.child_id)
end

--- Runs it. Raises 602 for arguments that do not fit. May wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return string status
---@return string|nil message
function M.run(run, task)
  local node = task.node
  local flow = run.flows[node.flow]
  local what = ("flow '%s'"):format(flow.name)
  local bound = parameters.bind(flow.parameters, values.render(run, task, node.args or value.dict(), "args"),
    { what = ("node '%s': %s"):format(task.name, what), file = node.file, line = node.line })
  local flow_run = require "flow.run"
  local earlier = task.earlier_child
  local child = flow_run.new { id = task.child_id, job = run.job, flow = flow, flows = run.flows, store = run.store,
    values = bound, recorder = run.recorder, parent = run, trigger = "flow", by = run.by, rerun_of = earlier,
    limits = run.limits }
  if earlier then require("flow.rerun").prepare(child, run.store:run(earlier), { from = "failure" }) end
  task.child = child
  local status = child:execute()
  task.result = child:results_value()
  if status == "success" then return "success" end
  if status == "cancelled" then return "cancelled", "cancelled" end
  err.raise { code = 634, file = node.file, line = node.line, message = ("%s ended as %s%s"):format(what, status,
    child.message and ": " .. child.message or "") }
end

--- Ends it early. Does not wait.
---@param task dex.FlowTask
---@param how string
function M.stop(task, how)
  if task.child then task.child:cancel(how) else task.handle:cancel() end
end

return M
