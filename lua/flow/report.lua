--- What a flow's run tells the command's report: its tasks stand there as nodes do.

local core = require "dex.core"
local time = require "dex.time"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

-- The status of a task -> that of a result (lua/run/node.lua).
local statuses = { failed = "error", timed_out = "error", upstream_failed = "skipped" }

local function id_of(run, task) return ("flow.%s.%s.%s"):format(run.job.project.name, run.flow.name, task.name) end

-- A sub-flow's tasks stand under the name of the node that runs it.
local function label_of(run, task)
  local label = task.name
  while run.parent do
    label = ("%s.%s"):format(run.flow.name, label)
    run = run.parent
  end
  return label
end

local function node_of(run, task)
  local node = task.shown_node
  if not node then
    node = value.dict("resource_type", task.kind, "name", task.name, "unique_id", id_of(run, task), "package_name",
      run.job.project.name, "original_file_path", task.node.file, "path", task.node.file, "config", value.dict())
    task.shown_node = node
  end
  return node
end

--- A task begins. Does not wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
function M.task_start(run, task)
  run.job.report:event("node_start", { id = id_of(run, task), kind = task.kind, name = task.name,
    label = label_of(run, task), node = node_of(run, task) })
end

-- A task's end as a result, for the report, the hooks of the flow and run_results.json.
local function result_of(run, task)
  local now = time.now()
  local began = task.started_at or now
  local message = task.message and run.mask(task.message) or nil
  local result = { id = id_of(run, task), kind = task.kind, name = task.name, label = label_of(run, task),
    node = node_of(run, task), status = statuses[task.status] or task.status, thread_id = "MainThread",
    seconds = now - began, message = message, response = message,
    rows_affected = task.kind == "operation" and task.rows or nil, file = task.node.file, line = task.node.line,
    timing = { { name = "execute", started_at = began, completed_at = now } }, task_status = task.status }
  result.unique_id = result.id
  if result.status == "error" then
    result.error = task.error
    result.rerun = not run.parent and ("dex-lua flow rerun %s --from failure"):format(run.id) or nil
  end
  return result
end

--- A task has ended. Does not wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
function M.task_end(run, task)
  local result = result_of(run, task)
  run.results[#run.results + 1] = result
  run.job.report:event("node_end", result)
end

--- The results as the hooks of the flow see them (`hook.run.results`): what was not meant to run did not go wrong.
---@param run dex.FlowRun
---@return table[]
function M.for_hooks(run)
  local list = {}
  for i, result in ipairs(run.results) do
    list[i] = result.task_status == "skipped" and setmetatable({ status = "no-op" }, { __index = result }) or result
  end
  return list
end

local function total(run)
  local open = 0
  for _, task in ipairs(run.tasks) do
    if task.status == "waiting" then open = open + 1 end
  end
  return open, #run.tasks - open
end

--- The run begins. Does not wait.
---@param run dex.FlowRun
function M.start(run)
  local open, done = total(run)
  if run.parent then
    run:more(open)
    return
  end
  local profile = run.job.project.profile
  local line = ("dex-lua %s: flow %s of project %s, target %s, %d task%s"):format(core.version, run.flow.name,
    run.job.project.name, tostring(profile.target_name), open, open == 1 and "" or "s")
  local lines = { line, "run " .. run.id }
  if run.rerun_of then
    lines[3] = ("takes up %s: %d task%s done there"):format(run.rerun_of, done, done == 1 and "" or "s")
  end
  run.job.report:event("run_start", { total = open, nodes = {}, lines = lines, threads = profile.threads })
end

--- The run has ended. Does not wait.
---@param run dex.FlowRun
function M.finish(run)
  local status = run.status == "partial" and "partial success" or statuses[run.status] or run.status
  local result = { id = ("flow.%s.%s"):format(run.job.project.name, run.flow.name), name = run.flow.name,
    kind = "flow", status = status, message = run.message and run.mask(run.message) or nil, run_id = run.id,
    node = values.node_of(run) }
  result.unique_id = result.id
  run.job.report:event("flow_end", result)
  if run.engine.events then run.engine.events:note("flow_end", result) end
end

return M
