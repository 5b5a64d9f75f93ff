--- Writes into the history what a command does: its run, its nodes as tasks, their phases and hooks, and what it warns
-- of. It hears of these as reports do (Run:emit, report/outlets.lua), keeps them for 50 ms and writes them as one
-- transaction. Whatever befalls the history, the command goes on: a failure is said once.

local err = require "err"
local json = require "dex.json"
local loop = require "dex.loop"
local node_label = require("run.node").label_of
local operation_result = require "run.operation_result"
local secrets = require "run.secrets"
local state = require "state"
local time = require "dex.time"
local upkeep = require "state.upkeep"
local values = require "state.values"

local M = {}

--- Commands that are recorded.
M.commands = { run = true, build = true, test = true, seed = true, snapshot = true, clone = true, operation = true,
  ["run-operation"] = true }

local DELAY = 0.05     -- between what happens and its being written
local SHORT = 1        -- seconds: nobody watches a shorter run, so nobody sees what waits in it
local YOUNG = 250000   -- microseconds
local PATIENCE = 20000 -- what may wait while another process holds the file

---@class state.Recorder
local Recorder = {}
Recorder.__index = Recorder

local function new(store, run_id, opts)
  return setmetatable({ store = store, run_id = run_id, mask = opts.mask, report = opts.report, info = opts.info,
    known = {}, planned = {}, count = 0, open = {}, changed = {}, hooks = {}, logs = {} }, Recorder)
end

-- Beginning ----------------------------------------------------------------------------------------------

local hidden = { ["-a"] = true, ["--arg"] = true, ["--args"] = true, ["--vars"] = true }

-- The command line, without the values of arguments and variables: what may be seen of those stands in `parameters`
-- and `args`.
local function command_line(job, mask)
  local words, hide = { "dex-lua" }, false
  for _, word in ipairs(job.argv or { job.command.name }) do
    local option, rest = word:match("^(%-%-?[%w-]+)=(.*)$")
    if hide or option and hidden[option] then
      local key = (rest or word):match("^([%w_]+)=")
      word = (hide and "" or option .. "=") .. (key and key .. "=..." or "...")
      hide = false
    else
      hide = hidden[word] or false
    end
    words[#words + 1] = word:find("[^%w_@%%+=:,./*-]") and "'" .. word:gsub("'", "'\\''") .. "'" or word
  end
  return mask(table.concat(words, " "))
end

local function fields_of(job, mask)
  local call, macro = job.operation, job.macro_operation
  local fields = { kind = call and "operation" or "command", name = job.command.name, command = command_line(job, mask),
    args = secrets.masked(job.args, mask), target = job.project.profile.target_name,
    created_at = values.micro(job.started_at), started_at = values.micro(job.started_at) }
  if call then
    fields.name, fields.parameters = call.operation.name, secrets.masked(call.shown, mask)
  elseif macro then
    fields.parameters = json.encode(secrets.masked(macro.args, mask))
  end
  return fields
end

-- The queued row that the server has made, or one of its own.
local function enter(store, job, mask)
  local fields, asked = fields_of(job, mask), job.asked
  local row = asked and store:run(asked.id)
  if row and row.status == "queued" then
    store:set_run(asked.id, "running", { command = fields.command, args = fields.args, target = fields.target,
      parameters = row.parameters == nil and fields.parameters or nil })
    return asked.id
  end
  fields.id = store:run(job.invocation_id) and state.new_id() or job.invocation_id
  fields.status = "running"
  if asked then fields.trigger, fields.by, fields.scheduled_for = asked.trigger, asked.by, asked.scheduled_for end
  return store:create_run(fields)
end

local function complain(report, e)
  e = err.wrap(e)
  local where = e.file and (" (%s)"):format(require("report.errors").relative(e.file)) or ""
  report:log("warn", ("history: %s%s; this command goes on without it"):format(e.message, where))
end

--- Begins to record a command; `job.recorder` is the recorder from now on. Nothing is recorded of a command that is not
--- in `M.commands`, or under --no-history. Raises 657 when the project's settings of the history are wrong.
---@param job table of lua/pipeline.lua with `project`
function M.begin(job)
  if job.given.history == false or not M.commands[job.command.name] then return end
  upkeep.settings(job.project)
  local mask = secrets.masker(job.project)
  local store
  local ok, e = pcall(function()
    store = state.open(job.project.root, { durable = false, timeout = 0.5 })
    local id = enter(store, job, mask)
    store.db:timeout(0.1) -- while nodes run: what cannot be written now is written later
    job.recorder = new(store, id, { mask = mask, report = job.report,
      info = job.operation ~= nil or job.macro_operation ~= nil })
  end)
  if not ok then
    if store then store:close() end
    return complain(job.report, e)
  end
  job.closers[#job.closers + 1] = function() M.finish(job) end
  job.report:attach(job.recorder)
end

-- Hearing ------------------------------------------------------------------------------------------------

local function give_up(self, e)
  self.broken = true
  self.changed, self.hooks, self.logs, self.planned = {}, {}, {}, {}
  complain(self.report, e)
end

-- Something waits to be written.
local function arm(self)
  if self.armed or self.broken then return end
  self.armed = true
  loop.spawn(function()
    loop.sleep(DELAY)
    self.armed = false
    self:flush()
  end)
end

local function note(self, task)
  if task.noted then return end
  task.noted = true
  self.changed[#self.changed + 1] = task
  arm(self)
end

-- Plans a task for a node, behind those that there are.
local function add(self, id, kind, label, needs)
  self.count = self.count + 1
  self.known[id] = true
  self.planned[id] = { name = id, kind = kind, node_id = id, label = label, needs = needs, position = self.count }
end

local function task_of(self, id, kind, label)
  local task = self.open[id]
  if task then return task end
  if not self.known[id] then add(self, id, kind, label) end
  task = { id = id, told = 0 }
  self.open[id] = task
  return task
end

local handlers = {}

function handlers.run_start(self, data)
  for _, item in ipairs(data.nodes) do
    local deps = item.deps -- places in this list, which are those of the tasks
    add(self, item.id, item.kind, node_label(item.node), deps[1] and "[" .. table.concat(deps, ",") .. "]" or nil)
  end
  loop.spawn(function()
    loop.sleep(SHORT)
    if self.over then return end
    self.is_long = true
    self:flush()
  end)
end

function handlers.node_start(self, data)
  local task = task_of(self, data.id, data.kind, data.label)
  task.begun, task.started_at, task.timings, task.mono = true, values.now(), data.timings or {}, time.mono()
  self.latest = task
  note(self, task)
end

function handlers.node_end(self, result)
  local task = task_of(self, result.id, result.kind, result.label)
  task.result = result
  task.ended_at = values.now()
  self.open[result.id] = nil
  note(self, task)
end

local hook_statuses = { error = "failed" }

function handlers.hook_end(self, record)
  self.hooks[#self.hooks + 1] = record
  arm(self)
end

function handlers.run_hook_end(self, result)
  if result.status ~= "skipped" then return end -- of those that ran there is a record
  local phase = result.name:find("on-run-start", 1, true) and "run_start" or "run_end"
  handlers.hook_end(self, { name = result.label, phase = phase, file = result.file, line = result.line,
    status = "skipped", message = result.message, started_at = time.now(), seconds = 0 })
end

function handlers.run_end(self) self.ended = true end

--- A phase of a node has ended. Does not wait.
---@param id string
function Recorder:phase_ended(id)
  local task = self.open[id]
  if task then note(self, task) end
end

--- Hears what Run:emit tells. Does not wait.
---@param name string
---@param data table
function Recorder:event(name, data)
  local handler = handlers[name]
  if handler and not self.broken then handler(self, data) end
end

local kept = { warn = true, error = true }
local kept_of_operations = { warn = "warn", error = "error", info = "info", print = "info" }

--- Hears a line of the log. Does not wait.
---@param level "debug"|"info"|"warn"|"error"|"print"
---@param text string
---@param node? table whose line it is
function Recorder:log(level, text, node)
  if self.broken then return end
  if self.info and not self.ended then level = kept_of_operations[level] end
  if not kept[level] and not (self.info and level == "info") then return end
  local id = node and node.unique_id
  local name = id and self.known[id] and id or nil
  if not name and self.info and self.latest then name = self.latest.id end
  self.logs[#self.logs + 1] = { at = values.now(), level = level, text = text, task = name }
  arm(self)
end

-- Writing ------------------------------------------------------------------------------------------------

local statuses = { success = "success", pass = "success", warn = "warn", error = "failed", fail = "failed",
  ["runtime error"] = "failed", ["partial success"] = "failed", cancelled = "cancelled", ["no-op"] = "skipped" }

local function status_of(result)
  if result.status == "skipped" then return result.cause and "upstream_failed" or "skipped" end
  return statuses[result.status] or "success"
end

-- What a node's result holds beside the columns that every task has.
local function kept_result(result)
  local operation = operation_result.of(result)
  if operation then return operation end
  local failures = math.tointeger(result.failures)
  return failures and (result.kind == "test" or result.kind == "unit_test") and ('{"failures":%d}'):format(failures)
    or nil
end

-- A phase that did nothing is not worth its place.
local SHORTEST = 1e-5

-- Phases as the table has them.
local function phases_of(task)
  local parts, start, n = {}, task.mono, 0
  for _, timing in ipairs(task.timings) do
    if timing.seconds >= SHORTEST then
      n = n + 1
      parts[n] = ('["%s",%d,%d]'):format(timing.phase, (timing.started - start) * 1e6 // 1, timing.seconds * 1e6 // 1)
    end
  end
  return n > 0 and "[" .. table.concat(parts, ",") .. "]" or nil
end

local function text_of(self, text) return text and values.line(self.mask(tostring(text))) end

local function write_end(self, task, ended)
  local result = task.result
  local fields = { attempt = task.begun and (result.tries or 1) or 0, started_at = task.started_at,
    ended_at = task.ended_at, message = text_of(self, result.message),
    response = result.response ~= result.message and text_of(self, result.response) or nil,
    rows = math.tointeger(result.rows_affected), result = kept_result(result) }
  if task.begun then fields.phases = phases_of(task) end
  local planned = self.planned[task.id]
  if planned then
    ended[#ended + 1] = { task = planned, status = status_of(result), fields = fields }
  else
    self.store:end_task(self.run_id, task.id, status_of(result), fields)
  end
end

-- A task that goes on. Most last no longer than a moment: only their end is told.
local function write_open(self, task, now)
  if now - task.started_at < YOUNG then
    self.young[#self.young + 1] = task
    return
  end
  local store = self.store
  if not task.written then
    local planned = self.planned[task.id]
    if planned then
      store:add_tasks(self.run_id, { planned })
      self.placed[#self.placed + 1] = task.id
    end
    store:set_task(self.run_id, task.id, "running", { started_at = task.started_at })
    task.written = true
  end
  for i = task.told + 1, #task.timings do
    local timing = task.timings[i]
    if timing.seconds >= SHORTEST then
      store:add_phase(self.run_id, task.id, timing.phase, task.started_at + values.micro(timing.started - task.mono),
        values.micro(timing.seconds))
    end
  end
  task.told = #task.timings
end

local function write_hook(self, record)
  self.store:add_hook(self.run_id, self.known[record.node] and record.node, { phase = record.phase,
    position = record.index, name = text_of(self, record.name), line = record.line,
    file = record.file and require("report.errors").relative(record.file),
    status = hook_statuses[record.status] or record.status, started_at = values.micro(record.started_at),
    duration = values.micro(record.seconds), message = text_of(self, record.message) })
end

-- Tasks of which nothing has been heard yet.
local function write_waiting(self)
  local is_placed, waiting = {}, {}
  for _, id in ipairs(self.placed) do is_placed[id] = true end
  for id, task in pairs(self.planned) do
    if not is_placed[id] then waiting[#waiting + 1] = task end
  end
  if #waiting == 0 then return end
  table.sort(waiting, function(a, b) return a.position < b.position end)
  self.store:add_tasks(self.run_id, waiting)
  for _, task in ipairs(waiting) do self.placed[#self.placed + 1] = task.name end
end

local function write(self, last)
  local store = self.store
  for _, record in ipairs(self.hooks) do write_hook(self, record) end
  self.young, self.placed = {}, {}
  local now, ended = values.now(), {}
  for _, task in ipairs(self.changed) do
    if task.result then write_end(self, task, ended) else write_open(self, task, now) end
  end
  if #ended > 0 then store:add_ended(self.run_id, ended) end
  for _, item in ipairs(ended) do self.placed[#self.placed + 1] = item.task.name end
  if self.is_long or last then write_waiting(self) end
  for _, line in ipairs(self.logs) do
    store:add_log(self.run_id, line.task, line.level, self.mask(line.text), line.at)
  end
end

--- Writes what waits. Does not yield; when another process holds the file, it may stay for the next time.
---@param last? boolean nothing may stay
function Recorder:flush(last)
  if self.broken then return end
  if #self.changed + #self.hooks + #self.logs == 0 and not next(self.planned) then return end
  local ok, e = pcall(self.store.batch, self.store, function() write(self, last) end)
  if ok then
    for _, id in ipairs(self.placed) do self.planned[id] = nil end
    for _, task in ipairs(self.changed) do task.noted = nil end
    self.changed, self.hooks, self.logs = {}, {}, {}
    for _, task in ipairs(self.young) do note(self, task) end
  elseif err.is(e) and e.code == 651 and not last and #self.changed + #self.hooks + #self.logs < PATIENCE then
    arm(self)
  else
    give_up(self, e)
  end
end

-- The end ------------------------------------------------------------------------------------------------

local good = { success = true, pass = true, warn = true, ["no-op"] = true }
local bad = { error = true, fail = true, ["runtime error"] = true, ["partial success"] = true, skipped = true,
  cancelled = true }

-- How a command ended.
local function outcome_of(job)
  if job.cancelled then return "cancelled", "cancelled by " .. job.cancelled end
  if not job.outcome then return "failed", job.failure and tostring(job.failure) or nil end
  local any_good, any_bad, message = false, job.undelivered and true or false, nil
  for _, result in ipairs(job.outcome.results) do
    any_good = any_good or good[result.status] or false
    if bad[result.status] then
      any_bad = true
      if not message and result.status ~= "skipped" then message = ("%s: %s"):format(result.name, result.message) end
    end
  end
  return any_bad and (any_good and "partial" or "failed") or "success", message
end

--- Writes how a command ended, and what is due of the history's upkeep. Harmless when done twice.
---@param job table
function M.finish(job)
  local self = job.recorder
  if not self or self.over then return end
  self.over = true
  local store = self.store
  pcall(store.db.timeout, store.db, 2)
  self:flush(true)
  if not self.broken then
    local ok, e = pcall(function()
      local to, message = outcome_of(job)
      store:set_run(self.run_id, to, { message = text_of(self, message) })
      upkeep.after_command(store, job.project)
    end)
    if not ok then give_up(self, e) end
  end
  store:close()
end

--- The end of a run that the server has asked for and that came to nothing before it began: a broken project, a wrong
--- option. Raises nothing.
---@param job table with `asked`
function M.came_to_nothing(job)
  local dir = job.project and job.project.root or job.given.project_dir or "."
  local ok, store = pcall(state.open, dir, {})
  if not ok then return end
  pcall(function()
    local row = store:run(job.asked.id)
    if row and row.status == "queued" then
      store:set_run(row.id, job.cancelled and "cancelled" or "failed", {
        message = job.failure and tostring(job.failure) })
    end
  end)
  store:close()
end

return M
