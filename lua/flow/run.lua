--- A run of a flow: which task begins when, what becomes of it, and what the history has of it. The tasks run beside
-- each other on the loop (lua/flow/task.lua); one task of the loop, that of `execute`, decides what comes next.
-- Everything that ended is written before what depends on it begins, so that a run that dies at any instant can be
-- taken up (lua/flow/rerun.lua).

local engine_job = require "flow.engine_job"
local err = require "err"
local json = require "dex.json"
local lifecycle = require "flow.lifecycle"
local loop = require "dex.loop"
local parameters = require "project.parameters"
local report = require "flow.report"
local secrets = require "run.secrets"
local task_module = require "flow.task"
local tasks = require "flow.tasks"
local time = require "dex.time"
local uuid = require "dex.uuid"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

---@class dex.FlowRun
---@field id string
---@field job table of the command (lua/pipeline.lua), with project, pool, report
---@field flow dex.Flow
---@field flows dex.Flow[]
---@field values table dict: the parameters
---@field shown table dict: the same without secrets
---@field store dex.Store
---@field recorder dex.FlowRecorder
---@field limits dex.FlowLimits
---@field parent dex.FlowRun|nil
---@field trigger string
---@field by string|nil
---@field tasks dex.FlowTask[]
---@field told table dict: what templates see as `tasks` (lua/flow/values.lua)
---@field untold dex.FlowTask[] those that have ended and do not stand there yet: few flows ask
---@field mask fun(text: string): string
---@field status string|nil once it has ended
---@field message string|nil
---@field failed string[]|nil names of the tasks that failed
---@field cancelled string|nil how
local FlowRun = {}
FlowRun.__index = FlowRun

--- A run that has not begun.
---@param opts {job: table, flow: dex.Flow, flows: dex.Flow[], store: dex.Store, recorder: dex.FlowRecorder, limits:
---  dex.FlowLimits, values: table, id: string|nil, parent: dex.FlowRun|nil, trigger: string|nil, by: string|nil,
---  scheduled_for: integer|nil, rerun_of: string|nil, adopted: boolean|nil, guard: (fun())|nil}
---  `values`: of parameters.bind; `adopted`: its row is there already, queued; `guard`: raises when it may not begin,
---  in the transaction that makes its row
---@return dex.FlowRun
function M.new(opts)
  local self = setmetatable({ id = opts.id or uuid(), trigger = opts.trigger or "manual" }, FlowRun)
  for _, name in ipairs { "job", "flow", "flows", "store", "recorder", "limits", "values", "parent", "by",
    "scheduled_for", "rerun_of", "adopted", "guard" } do
    self[name] = opts[name]
  end
  local declared = self.flow.parameters
  self.shown = parameters.shown(declared, self.values)
  self.secrets = parameters.secrets(declared, self.values)
  for _, text in ipairs(self.parent and self.parent.secrets or {}) do self.secrets[#self.secrets + 1] = text end
  self.job_mask = self.parent and self.parent.job_mask or secrets.masker(self.job.project)
  local hide, job_mask = secrets.of(self.secrets), self.job_mask
  self.mask = #self.secrets > 0 and function(text) return hide(job_mask(text)) end or job_mask
  self.scheduled_text = self.scheduled_for and time.iso(self.scheduled_for / 1e6) or nil
  self.tasks, self.told, self.untold = tasks.of(self.flow), value.dict(), {}
  self.ready, self.granted, self.running = {}, {}, {}
  self.results, self.node_results = {}, {}
  if not self.parent and self.job.given.write_json ~= false then
    self.job.records = require("report.hook_results").new(self.job, self.mask)
  end
  self.engine = require("run").new(engine_job.new(self, nil, { command = "flow" }))
  self.engine.invocation_id = self.id
  return self
end

-- What it says -------------------------------------------------------------------------------------------

--- A line of the log, of a task or of the run. Does not wait.
---@param task dex.FlowTask|nil
---@param level "debug"|"info"|"warn"|"error"
---@param text string
function FlowRun:say(task, level, text)
  text = self.mask(text)
  if level ~= "debug" then
    self.recorder:note("add_log", self.id, task and task.name, level, text, engine_job.now())
  end
  self.job.report:log(level, task and ("%s: %s"):format(task.name, text) or text)
end

--- Work that came up on the way, for who counts. Does not wait.
---@param count integer
function FlowRun:more(count) self.job.report:event("more", { count = count }) end

--- Keeps what a run of the engine has given, for the artifacts.
---@param outcome table of lua/run
function FlowRun:keep_results(outcome)
  local root = self.parent or self
  while root.parent do root = root.parent end
  for _, result in ipairs(outcome.results) do root.node_results[#root.node_results + 1] = result end
end

--- What an outer flow sees of this one: the results of its tasks by name.
---@return table dict
function FlowRun:results_value()
  local all = value.dict()
  for _, task in ipairs(self.tasks) do all[task.name] = value.or_none(task.result) end
  return all
end

-- Tasks --------------------------------------------------------------------------------------------------

-- What the history keeps of a task's result; of an item, by which a rerun knows it.
local function kept_of(task)
  if task.group and (not task.kept or task.kept.item == nil) then
    task.kept = task.kept and value.copy_dict(task.kept) or value.dict()
    task.kept.item = value.or_none(task.item)
  end
  return task.kept
end

--- An attempt of a task begins. Does not wait.
---@param task dex.FlowTask
function FlowRun:begin(task)
  task.status, task.began = "running", time.mono()
  task.started_at = task.started_at or time.now()
  self.recorder:note("set_task", self.id, task.name, "running", { result = kept_of(task),
    started_at = engine_job.now() })
  if task.attempt == 1 then report.task_start(self, task) end
end

--- An attempt has failed, and another one will follow. Does not wait.
---@param task dex.FlowTask
---@param message string
---@param e dex.Error|nil
---@param delay number seconds
function FlowRun:again(task, message, e, delay)
  task.status = "retrying"
  self.recorder:note("set_task", self.id, task.name, "retrying", { message = self.mask(message), result = kept_of(task),
    ended_at = engine_job.now() })
  self:say(task, "warn", ("attempt %d of %d failed%s, again in %.1f s: %s"):format(task.attempt,
    task.node.retries.count + 1, e and (" (error %d)"):format(e.code) or "", delay, message))
end

-- A status that a task keeps.
local function finish(self, task, status, message, e)
  task.status, task.message, task.error = status, message, e
  self.recorder:note("set_task", self.id, task.name, status, { message = message and self.mask(message) or nil,
    result = kept_of(task), rows = task.rows, ended_at = engine_job.now() })
  report.task_end(self, task)
  self.open = self.open - 1
  local group = task.group
  if group then
    group.left_items = group.left_items - 1
    if group.left_items == 0 then self:close_items(group) end
    return
  end
  self.untold[#self.untold + 1] = task
  for _, below in ipairs(task.below) do
    below.left = below.left - 1
    if below.left == 0 then self.ready[#self.ready + 1] = below end
  end
end

-- Calls fn in place of a task; what it raises is a defect, which ends the run.
local function guarded(self, fn, ...)
  local ok, e = pcall(fn, ...)
  if not ok then
    self.defect = self.defect or e
    self:cancel "defect"
  end
  self:wake()
end

local function live(self, task)
  local status, message, e = task_module.perform(self, task)
  self.running[task] = nil
  task.status = status
  local kind = task_module.kind(task.kind)
  if kind.close then kind.close(self, task) end
  self.limits:release(task)
  finish(self, task, status, message, e)
end

-- Begins a task that has its place. Its work starts with the loop's next turn, when this is written.
local function start(self, task)
  self.running[task] = true
  task_module.prepare(self, task)
  task.handle = loop.spawn(guarded, self, live, self, task)
end

--- A place in its pool has become free for a task. Does not wait.
---@param task dex.FlowTask
function FlowRun:grant(task)
  self.granted[#self.granted + 1] = task
  self:wake()
end

local function enqueue(self, task)
  if self.limits:take(self, task) then
    start(self, task)
  else
    task.status = "queued"
    self.recorder:note("set_task", self.id, task.name, "queued")
  end
end

-- What the history has of a task before it begins: how it ended in the run that this one takes up, or what there is to
-- take up of it.
local function row_of(task)
  local earlier, kept = task.earlier, task.kept
  if not kept and earlier then
    kept = value.dict("invocation_id", value.or_none(earlier.ledger_run), "run_id", value.or_none(earlier.child_id))
  end
  return { name = task.name, kind = task.kind, label = task.name, needs = tasks.needs_of(task), status = task.status,
    message = task.message, result = kept, started_at = task.started_us, ended_at = task.ended_us }
end

-- What the earlier run has completed of the nodes inside of a task.
local function carry_nodes(self, task)
  local kind = task_module.kind(task.kind)
  if task.earlier and kind.carry then kind.carry(self, task) end
end

-- for_each ------------------------------------------------------------------------------------------------

local function text_of(v) return json.encode(value.list { value.or_none(v) }) end

-- What the earlier run has done for the same item.
local function carried(group, index, item)
  local row = group.earlier and group.earlier.items and group.earlier.items[index]
  if row and row.result and text_of(row.result.item) == text_of(item) then return row end
end

local function items_of(self, task)
  local node = task.node
  local given = values.render(self, task, node.for_each, "for_each")
  local items = tasks.items_of(given)
  if items then return items end
  err.raise { code = 630, file = node.file, line = node.line, message =
    ("node '%s': `for_each` must give a list, not %s"):format(node.name,
      given == nil and "nothing" or ("'%s'"):format(tostring(given))) }
end

-- A node with `for_each` becomes a task for each item.
local function expand(self, task)
  local list, rows = {}, {}
  for i, item in ipairs(items_of(self, task)) do
    local one = tasks.item(task, i - 1, item)
    local row = carried(task, i - 1, item)
    if row then
      one.status, one.result, one.message, one.kept = row.status, row.result.returned, row.message, row.result
    else
      one.earlier = task.earlier and task.earlier.of_item and task.earlier.of_item(i - 1, item)
    end
    list[i] = one
    one.started_us, one.ended_us = row and row.started_at, row and row.ended_at
    rows[i] = row_of(one)
  end
  task.items, task.left_items = list, #list
  task.attempt = 1
  self:begin(task)
  self.recorder:note("add_tasks", self.id, rows)
  for _, one in ipairs(list) do carry_nodes(self, one) end
  self:more(#list)
  self.open = self.open + #list
  if #list == 0 then self:close_items(task) end
  for _, one in ipairs(list) do
    if one.status == "waiting" then
      enqueue(self, one)
    else
      self.open, task.left_items = self.open - 1, task.left_items - 1
      report.task_end(self, one)
      if task.left_items == 0 then self:close_items(task) end
    end
  end
end

--- All items of a `for_each` have ended. Does not wait.
---@param group dex.FlowTask
function FlowRun:close_items(group)
  local results = value.list()
  for i, item in ipairs(group.items) do results[i] = value.or_none(item.result) end
  group.result, group.kept = results, value.dict("items", #group.items)
  local status, message = tasks.of_items(group.items)
  finish(self, group, status, message or ("%d item%s"):format(#group.items, #group.items == 1 and "" or "s"))
end

-- What comes next ----------------------------------------------------------------------------------------

local function consider(self, task)
  if task.status ~= "waiting" then return end
  if self.cancelled then
    finish(self, task, "cancelled")
    return
  end
  local ok, what, why = pcall(tasks.decide, task, function(one) return values.holds(self, one) end)
  if not ok then
    finish(self, task, "failed", tostring(err.wrap(what).message), err.wrap(what))
  elseif what ~= "start" then
    finish(self, task, what, why)
  elseif task.node.for_each then
    local expanded, e = pcall(expand, self, task)
    if not expanded then finish(self, task, "failed", tostring(err.wrap(e).message), err.wrap(e)) end
  else
    enqueue(self, task)
  end
end

-- Decides about everything that can be decided now.
local function advance(self)
  while #self.ready > 0 or #self.granted > 0 do
    local ready, granted = self.ready, self.granted
    self.ready, self.granted = {}, {}
    for _, task in ipairs(granted) do
      if task.status == "queued" then start(self, task) else self.limits:release(task) end
    end
    for _, task in ipairs(ready) do consider(self, task) end
  end
end

--- Lets `execute` look what there is to do. Does not wait.
function FlowRun:wake()
  self.woken = true
  if self.gate then self.gate:cancel() end
end

local FOREVER = 86400 * 3650

local function rest(self)
  if not self.woken then
    self.gate = loop.spawn(loop.sleep, FOREVER)
    pcall(self.gate.wait, self.gate)
    self.gate = nil
  end
  self.woken = false
end

local function run_tasks(self)
  for _, task in ipairs(self.tasks) do
    if task.left == 0 and task.status == "waiting" then self.ready[#self.ready + 1] = task end
  end
  while true do
    advance(self)
    local ok, e = pcall(self.recorder.flush, self.recorder)
    if not ok then -- what has its place and did not begin does not begin any more
      self.defect = self.defect or e
      self:cancel "defect"
    end
    if self.open == 0 then return end
    rest(self)
  end
end

--- Ends it early: nothing begins any more, what runs is ended, and `execute` returns when that has happened. Does not
--- wait; harmless when done twice.
---@param how string a signal, or why
function FlowRun:cancel(how)
  self.cancelled = self.cancelled or how
  local function end_early(task)
    if task.status == "waiting" or task.status == "queued" then finish(self, task, "cancelled") end
  end
  if self.open then
    for _, task in ipairs(self.tasks) do
      for _, item in ipairs(task.items or {}) do end_early(item) end
      end_early(task)
    end
  end
  for task in pairs(self.running) do task_module.stop(task, how) end
  if self.hook_work then self.hook_work:cancel() end
  self:wake()
end

-- From the beginning to the end ---------------------------------------------------------------------------

-- The rows of a run and of its tasks, with all that it has from an earlier run: in one transaction, so that whoever
-- takes up this run in its turn finds the whole of it.
local function open(self)
  local rows, recorder = {}, self.recorder
  self.open = 0
  for i, task in ipairs(self.tasks) do
    rows[i] = row_of(task)
    if task.status == "waiting" then
      self.open = self.open + 1
    else
      self.untold[#self.untold + 1] = task
    end
  end
  local fields = { parameters = self.shown, target = tostring(self.job.project.profile.target_name),
    command = "flow run " .. self.flow.name }
  fields.rerun_of = self.rerun_of
  if self.adopted then
    recorder:note("set_run", self.id, "running", fields)
  else
    for name, v in pairs { id = self.id, kind = "flow", name = self.flow.name, trigger = self.trigger,
      status = "running" } do
      fields[name] = v
    end
    fields.by, fields.scheduled_for = self.by, self.scheduled_for
    fields.parent_id = self.parent and self.parent.id
    recorder:note("create_run", fields)
  end
  recorder:note("add_tasks", self.id, rows)
  for _, task in ipairs(self.tasks) do carry_nodes(self, task) end
  local ok, e = pcall(self.store.batch, self.store, function()
    if self.guard then self.guard() end
    recorder:flush()
  end)
  if ok then return end
  recorder:drop() -- there is no such run
  error(e, 0)
end

local function message_of(self, status)
  if status == "cancelled" then return "cancelled" end
  if status == "timed_out" then return ("it took longer than its timeout of %g s"):format(self.flow.timeout) end
  local failed = self.failed
  if #failed == 0 then return nil end
  local first = self.tasks[failed[1]]
  return ("'%s' failed: %s"):format(table.concat(failed, "', '"), first and first.message or "see its items")
end

-- The hooks of the end, and what they make of the status.
local function conclude(self, status)
  local moment = status == "success" and "success" or "failure"
  self.engine.ending, self.engine.results = true, report.for_hooks(self)
  local failed
  if not self.cancelled or self.timed_out then failed = lifecycle.run(self, moment, status) end
  failed = lifecycle.run(self, "always", status) or failed
  if failed then
    self:say(nil, "error", tostring(failed.message))
    if status == "success" then
      status, self.message = "failed", tostring(failed.message)
      self.error = failed
    end
  end
  if not self.cancelled or self.timed_out then lifecycle.notify(self, moment == "success" and status ~= "success"
    and "failure" or moment, status) end
  return status
end

local function perform(self)
  self.engine.events = require("run.hook_events").new(self.engine)
  report.start(self)
  lifecycle.notify(self, "start", "running")
  local failed = lifecycle.run(self, "start", "running")
  if failed then
    self.message, self.error = tostring(failed.message), failed
    for _, task in ipairs(self.tasks) do
      if task.status == "waiting" then finish(self, task, "skipped", "a hook of the flow's start failed") end
    end
  end
  run_tasks(self)
  local status
  status, self.failed = tasks.outcome(self.tasks)
  if failed then status = "failed" end
  if self.cancelled then status = self.timed_out and "timed_out" or "cancelled" end
  self.message = self.message or message_of(self, status)
  return conclude(self, status)
end

local function close(self, status)
  self.status = status
  local failed = value.list()
  for i, name in ipairs(self.failed or {}) do failed[i] = name end
  self.recorder:note("set_run", self.id, status, { message = self.message and self.mask(self.message) or nil,
    result = #failed > 0 and value.dict("failed", failed) or nil })
  self.recorder:flush()
  report.finish(self)
  if self.engine.events then self.engine.events:drain() end
end

--- Runs it to its end. What goes wrong in a task is that task's; raises what is wrong with the run itself: a hook that
--- is not there, a state that cannot be written. May wait.
---@return string status of the run
function FlowRun:execute()
  lifecycle.check(self)
  open(self)
  local watch
  if self.flow.timeout then
    watch = loop.spawn(function()
      loop.sleep(self.flow.timeout)
      self.timed_out = true
      self:cancel "timeout"
    end)
  end
  local ok, status = pcall(perform, self)
  if watch and not self.timed_out then watch:cancel() end
  local e = self.defect or not ok and err.wrap(status) or nil
  if e then
    self:cancel "defect"
    while next(self.running) do rest(self) end
    self.message = tostring(err.wrap(e).message)
    self.failed = self.failed or {}
    pcall(close, self, "failed")
    error(e, 0)
  end
  close(self, status)
  return status
end

return M
