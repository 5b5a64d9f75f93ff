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
  task.kept = value.dict("run_id", task.child_id, "earlier_run_id", value.or_none(task.earlier_child))
end

-- A run that came to its end in the moment in which the process did: it is not repeated.
local function take_over(run, task, row)
  task.child_id, task.kept, task.result = row.id, value.dict("run_id", row.id), value.dict()
  for _, one in ipairs(run.store:tasks(row.id)) do
    local kept = value.is_dict(one.result) and one.result or value.dict()
    if not one.name:find "[/%[]" then task.result[one.name] = value.or_none(kept.returned) end
  end
  return "success", "it had ended when its process did"
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
  local row = earlier and run.store:run(earlier)
  if row and row.status == "success" then return take_over(run, task, row) end
  local child = flow_run.new { id = task.child_id, job = run.job, flow = flow, flows = run.flows, store = run.store,
    values = bound, recorder = run.recorder, parent = run, trigger = "flow", by = run.by, rerun_of = earlier,
    limits = run.limits }
  if row then require("flow.rerun").prepare(child, row, { from = "failure" }) end
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
