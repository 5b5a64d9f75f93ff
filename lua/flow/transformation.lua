--- A flow's node that is a transformation: one run of the engine over a selection, with a row in the history for each
-- model, test and seed of it.

local dex_engine = require "run"
local engine_job = require "flow.engine_job"
local err = require "err"
local steps = require "command.steps"
local uuid = require "dex.uuid"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

local opt = value.opt
local micro = engine_job.micro

-- The engine's status of a result -> that of a task.
local statuses = { success = "success", pass = "success", warn = "warn", ["no-op"] = "success", error = "failed",
  fail = "failed", ["runtime error"] = "failed", ["partial success"] = "failed", skipped = "upstream_failed",
  cancelled = "cancelled" }

local function status_of(result)
  if result.status == "skipped" and result.by_hook then return "skipped" end
  return statuses[result.status] or "failed"
end

-- The engine's phases one after the other, as the history has them: behind the start of the task.
local function phases_of(result)
  if not result.phases then return nil end
  local at, list = 0, value.list()
  for i, phase in ipairs(result.phases) do
    local duration = micro(phase.seconds)
    list[i] = value.list { phase.phase, at, duration }
    at = at + duration
  end
  return list
end

-- The rows of one transformation: `open` are those that have no end yet, with the status that they get when nothing
-- more comes.
local Rows = {}
Rows.__index = Rows

local function rows_of(run, task)
  local rows = task.rows_of_nodes
  if not rows then
    rows = setmetatable({ run = run, task = task, status = {}, pending = {}, order = {} }, Rows)
    task.rows_of_nodes = rows
  end
  return rows
end

function Rows:name(id) return id and self.status[id] and self.task.name .. "/" .. id or nil end

-- The nodes that the engine is going to run; those of an earlier attempt have their rows.
function Rows:add(nodes)
  local task, run, list = self.task, self.run, {}
  for _, item in ipairs(nodes) do
    if not self.status[item.id] then
      self.status[item.id] = "waiting"
      self.order[#self.order + 1] = item.id
      local needs = value.list()
      for i, dep in ipairs(item.deps) do needs[i] = task.name .. "/" .. nodes[dep].id end
      if #needs == 0 then
        for i, need in ipairs(task.needs) do needs[i] = need.name end
      end
      list[#list + 1] = { name = task.name .. "/" .. item.id, kind = item.kind, node_id = item.id,
        label = item.node and item.node.name, needs = needs }
    end
  end
  if #list > 0 then run.recorder:note("add_tasks", run.id, list) end
end

-- What the earlier run has completed of it.
function Rows:carry(done)
  local list, ids = {}, {}
  for id in pairs(done) do ids[#ids + 1] = id end
  table.sort(ids)
  for _, id in ipairs(ids) do
    local row = done[id]
    self.status[id] = row.status
    list[#list + 1] = { name = self.task.name .. "/" .. id, kind = row.kind, node_id = id, label = row.label,
      needs = row.needs, status = row.status, message = row.message, started_at = row.started_at,
      ended_at = row.ended_at, rows = row.rows }
  end
  if #list > 0 then self.run.recorder:note("add_tasks", self.run.id, list) end
end

function Rows:set(id, status, fields)
  self.status[id], fields = status, fields or {}
  fields[status == "running" and "started_at" or "ended_at"] = engine_job.now()
  self.run.recorder:note("set_task", self.run.id, self.task.name .. "/" .. id, status, fields)
end

function Rows:begin(id)
  if self.status[id] then self:set(id, "running") end
end

local function fields_of(run, result)
  return { message = result.message and run.mask(tostring(result.message)) or nil, response = result.response,
    rows = result.rows_affected, phases = phases_of(result) }
end

-- A node's end. While the transformation may be tried again, what went wrong is not the last word.
function Rows:finish(result, is_last)
  local id = result.id
  local now = self.status[id]
  if not now then return end
  local status = status_of(result)
  local fields = fields_of(self.run, result)
  if is_last or status == "success" or status == "warn" or status == "skipped" then
    self.pending[id] = nil
    self:set(id, status, fields)
  else
    self.pending[id] = { status, fields }
    if now == "running" then self:set(id, "retrying", { message = fields.message }) end
  end
end

local is_over = { success = true, warn = true, failed = true, upstream_failed = true, skipped = true,
  cancelled = true, timed_out = true }

-- The end of it all: whatever is open becomes what it was last, or was cancelled.
function Rows:close(otherwise)
  for _, id in ipairs(self.order) do
    if not is_over[self.status[id]] then
      local pending = self.pending[id]
      if pending then self:set(id, pending[1], pending[2]) else self:set(id, otherwise) end
    end
  end
end

-- The run ------------------------------------------------------------------------------------------------

-- What a node's selection says; `vars` of its own mean that the project is read once more with them.
local function settings_of(run, task)
  local node = task.node
  local function get(key) return values.render(run, task, node[key], key) end
  local function words(key)
    local list = get(key)
    if list == nil then return nil end
    local texts = {}
    for _, word in ipairs(type(list) == "string" and { list } or list) do
      if opt(word) ~= nil and word ~= "" then texts[#texts + 1] = tostring(word) end
    end
    return #texts > 0 and texts or nil
  end
  local threads = get "threads"
  if threads ~= nil and (math.type(threads) ~= "integer" or threads < 1) then
    err.raise { code = 630, file = node.file, line = node.line, message =
      ("node '%s': `threads` must be a whole number above 0"):format(node.name) }
  end
  local function folder(key)
    local path = get(key)
    return path and (path:sub(1, 1) == "/" and path or run.job.project.root .. "/" .. path)
  end
  return { select = words "select", exclude = words "exclude", selector = get "selector",
    full_refresh = get "full_refresh", fail_fast = get "fail_fast", threads = threads, state = folder "state",
    defer = get "defer", favor_state = get "favor_state", defer_state = folder "defer_state" }, get "vars"
end

local function project_with(run, vars)
  local base, given = run.job.project, run.job.given
  local all = value.dict()
  for name, v in pairs(run.job.own_vars) do all[name] = v end
  for name, v in pairs(vars) do all[name] = v end
  return require("project").load { project_dir = base.root, profiles_dir = given.profiles_dir, profile = given.profile,
    target = given.target, threads = given.threads, vars = all, command = "flow", target_path = given.target_path,
    version_check = given.version_check, invocation_id = run.id, keep = false }
end

-- What is left to do: what the earlier run, or the attempt before, did not complete.
local function left_of(task, job, rows)
  local done = task.earlier and task.earlier.nodes or {}
  local left = {}
  for _, id in ipairs(job.selected) do
    local status = rows.status[id]
    if not done[id] and status ~= "success" and status ~= "warn" then left[#left + 1] = id end
  end
  return left
end

local function outcome_of(task, results)
  local counts, first = { failed = 0, warn = 0, cancelled = 0, total = 0 }, {}
  for _, result in ipairs(results) do
    local status = result.kind == "hook" and (result.status == "error" and "failed" or "success") or status_of(result)
    counts.total = counts.total + 1
    counts[status] = (counts[status] or 0) + 1
    if status == "failed" and #first < 5 then first[#first + 1] = ("%s %s"):format(result.kind, result.name) end
  end
  task.kept.total, task.kept.failed = counts.total, counts.failed
  task.result = value.dict("total", counts.total, "failed", counts.failed)
  if counts.failed > 0 then
    return "failed", ("%d of %d failed: %s%s"):format(counts.failed, counts.total, table.concat(first, ", "),
      counts.failed > #first and ", ..." or "")
  end
  if counts.cancelled > 0 then return "cancelled", "cancelled" end
  local message = ("%d of %d succeeded"):format(counts.total - (counts.upstream_failed or 0) - (counts.skipped or 0),
    counts.total)
  return counts.warn > 0 and "warn" or "success", message
end

--- Adds the rows of what the earlier run has completed of it.
---@param run dex.FlowRun
---@param task dex.FlowTask with `earlier`
function M.carry(run, task)
  if task.earlier.nodes then rows_of(run, task):carry(task.earlier.nodes) end
end

--- What the history has of an attempt before it begins: under which id the ledger knows it.
---@param task dex.FlowTask
function M.before(task)
  task.ledger_run = task.kept and task.kept.invocation_id or task.earlier and task.earlier.ledger_run
  task.engine = nil
  task.kept = value.dict("invocation_id", uuid())
end

--- Runs it. May wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return string status
---@return string|nil message
function M.run(run, task)
  local given, vars = settings_of(run, task)
  local rows = rows_of(run, task)
  local function row_of(id) return rows:name(id) end
  local job
  local report = engine_job.outlet(run, task, { shows_nodes = true, row_of = row_of, handlers = {
      run_start = function(data)
        rows:add(data.nodes)
        run:more(data.total)
      end,
      node_start = function(data) rows:begin(data.id) end,
      node_end = function(result) rows:finish(result, task.attempt > task.node.retries.count) end,
    } })
  job = engine_job.new(run, task, { command = task.node.command, given = given, report = report, row_of = row_of,
    project = vars and project_with(run, vars) })
  task.engine = job
  job.threads = given.threads
  job.invocation_id = task.kept.invocation_id
  job.selected = steps.selection(job, steps.builds[task.node.command].types)
  job.selected = left_of(task, job, rows)
  local has_ledger = task.ledger_run and require("run.ledger").settings(job.project)
  if has_ledger then job.take_up, job.earlier = { run_id = task.ledger_run }, { batches = {} } end
  local outcome = dex_engine.execute(job)
  run:keep_results(outcome)
  return outcome_of(task, outcome.results)
end

--- Ends it early. Does not wait.
---@param task dex.FlowTask
---@param how string
function M.stop(task, how)
  if task.engine then engine_job.cancel(task.engine, how, task.handle) else task.handle:cancel() end
end

--- What has to be written when the last attempt has ended.
---@param run dex.FlowRun
---@param task dex.FlowTask
function M.close(run, task)
  local rows = task.rows_of_nodes
  if rows then rows:close(task.status == "timed_out" and "timed_out" or run.cancelled and "cancelled"
    or task.status == "failed" and "upstream_failed" or "cancelled") end
end

return M
