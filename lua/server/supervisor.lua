--- Starts runs as child processes, each a dex-lua of its own, and sees them to their end. What waits for its turn is a
-- row of the state with the status `queued` and this process in it: when the server dies, the next one takes it over,
-- and what was running goes on by itself. A run whose process died is settled, and taken up again when it wants that.

local alarm = require "dex.alarm"
local child = require "dex.child"
local core = require "dex.core"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local loop = require "dex.loop"
local state = require "state"
local process = require "state.process"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local MICRO = 1000000
local MOST_RETRIES = 3 -- of a run whose process died, one after the other: what kills it each time is not ended by more
local HIDDEN = "*****" -- what stands for a secret in the state

---@class dex.Supervisor
---@field store dex.Store
---@field queue table[] what waits for its turn, the first first
---@field running table<string, table> by the run's id
local Supervisor = {}
Supervisor.__index = Supervisor

--- A supervisor. It does nothing until something is started, or `recover` is called.
---@param opts {root: string, store: dex.Store, options?: string[], max_runs?: integer, flows: (fun(): dex.Flow[]),
---  log: fun(level: string, text: string), grace?: number, program?: string} `root`: the project's folder, absolute;
---  `options`: words that every child gets; `max_runs` 4; `grace`: seconds between TERM and KILL (10)
---@return dex.Supervisor
function M.new(opts)
  local exe = opts.program or fs.realpath "/proc/self/exe"
  return setmetatable({ root = opts.root, store = opts.store, options = opts.options or {}, flows = opts.flows,
    log = opts.log, max_runs = opts.max_runs or 4, grace = opts.grace or 10, program = exe, queue = {}, running = {},
    count = 0, bell = alarm.new(), seen = opts.store:last_event_id(), listeners = {} }, Supervisor)
end

-- A program that was replaced while we run is still there under this name.
local function program_of(self) return fs.exists(self.program) and self.program or "/proc/self/exe" end

--- Calls fn() whenever a run has ended or was queued.
---@param fn fun()
function Supervisor:on_change(fn) self.listeners[#self.listeners + 1] = fn end

local function changed(self)
  self.bell:ring()
  for _, fn in ipairs(self.listeners) do fn() end
end

local function short(id) return id:sub(1, 8) end

-- What runs ----------------------------------------------------------------------------------------------

-- How many other runs of its flow there are, by whomever they were started. A queued one that has a beginning is about
-- to run; sub-flows belong to the flow that runs them.
local function active(self, entry)
  local n = 0
  for _, row in ipairs(self.store:runs { kind = "flow", name = entry.name, open = true, limit = 1000 }) do
    local runs = row.status == "running" or row.started_at ~= nil
    if runs and row.id ~= entry.id and not row.parent_id and process.lives(row) ~= false then n = n + 1 end
  end
  return n
end

local function limit_of(self, name)
  local flow = self.flows()[name]
  return flow and flow.max_active_runs or 1
end

-- Whether it may run now; from then on it counts as one that does, for other servers, too.
local function take_place(self, entry)
  if entry.kind ~= "flow" then return true end
  return self.store:batch(function()
    if active(self, entry) >= limit_of(self, entry.name) then return false end
    self.store:set_run(entry.id, "queued", { started_at = state.now() })
    return true
  end)
end

-- The last lines that a child has printed, for one that could not say more.
local function last_words(path)
  local ok, text = pcall(fs.read, path)
  if not ok then return nil end
  local lines = {}
  for line in text:gmatch "[^\r\n]+" do lines[#lines + 1] = line end
  local from = math.max(1, #lines - 7)
  local words = table.concat(lines, "\n", from)
  return words ~= "" and words:sub(-2000) or nil
end

local function how_it_ended(status)
  if status < 0 then return ("its process was killed by signal %d"):format(-status) end
  return ("its process ended with status %d"):format(status)
end

-- How often in a row a run has been taken up because its process had died.
local function retries_before(self, row)
  local n = 0
  while row and row.rerun_of and row.by == "on_crash" do
    n = n + 1
    row = self.store:run(row.rerun_of)
  end
  return n
end

-- What was cancelled, did not end by itself and was killed; sub-flows are runs in the same process.
local function end_cancelled(self, row, message)
  for _, task in ipairs(self.store:tasks(row.id)) do
    if not state.status.is_final("tasks", task.status) then
      self.store:set_task(row.id, task.name, "cancelled", { message = message })
    end
  end
  self.store:set_run(row.id, "cancelled", { message = message })
  for _, sub_flow in ipairs(self.store:runs { parent_id = row.id, open = true }) do
    end_cancelled(self, sub_flow, message)
  end
end

-- The row of a run whose process is gone without having said how it ended.
local function settle(self, row, message)
  local what = ("%s %s (%s)"):format(row.kind, row.name or row.command or "", short(row.id))
  self.store:batch(function()
    local now = self.store:run(row.id)
    if now.status ~= "running" or process.lives(now) then return end -- another server was faster
    self.log("error", what .. ": " .. message)
    if now.cancel_requested then return end_cancelled(self, now, message) end
    if row.kind ~= "flow" then return self.store:bury(row.id, message) end
    local again = require("flow.crash").settle(self.store, now, self.flows())
    if not again or row.parent_id then return end
    if retries_before(self, row) >= MOST_RETRIES then
      self.log("error", ("%s is not taken up again: its process died %d times in a row"):format(what, MOST_RETRIES + 1))
      return
    end
    self.log("info", what .. " is taken up where it was")
    self:start { kind = "flow", name = row.name, argv = { "flow", "rerun", row.id, "--from", "failure" },
      trigger = "rerun", by = "on_crash", rerun_of = row.id, scheduled_for = row.scheduled_for }
  end)
end

-- What a child's end leaves to do.
local function finish(self, run, status)
  local row = self.store:run(run.id)
  if row and row.status == "queued" then
    if row.pid ~= run.pid and row.pid ~= core.pid() then return end -- another server has it by now
    self.store:set_run(run.id, row.cancel_requested and "cancelled" or "failed",
      { message = last_words(run.output) or how_it_ended(status) })
    self.log("error", ("%s %s (%s) could not begin:\n%s"):format(run.kind, run.name or "", short(run.id),
      last_words(run.output) or how_it_ended(status)))
  elseif row and row.status == "running" then
    settle(self, row, how_it_ended(status))
  elseif row then
    self.log(row.status == "success" and "info" or "warn", ("%s %s (%s): %s in %.1f s"):format(run.kind, run.name or "",
      short(run.id), row.status, ((row.ended_at or 0) - (row.started_at or row.created_at)) / MICRO))
  end
  fs.remove_tree(run.output)
end

-- Starting -----------------------------------------------------------------------------------------------

-- What is meant for the server alone.
local without = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" }

local function spec_of(self, entry, output)
  local argv = { program_of(self), entry.argv[1] }
  table.move(self.options, 1, #self.options, #argv + 1, argv)
  table.move(entry.argv, 2, #entry.argv, #argv + 1, argv) -- the last of an option counts: the run's own
  if entry.input then table.move({ "--args", "-" }, 1, 2, #argv + 1, argv) end
  local changes = { "DEX_RUN_ID=" .. entry.id, "DEX_RUN_TRIGGER=" .. entry.trigger }
  if entry.by then changes[3] = "DEX_RUN_BY=" .. entry.by end
  for _, name in ipairs(without) do
    if env.get(name) then changes[#changes + 1] = name end
  end
  if entry.scheduled_for then
    changes[#changes + 1] = ("DEX_RUN_SCHEDULED_FOR=%d"):format(entry.scheduled_for)
  end
  return { argv = argv, env = changes, input = entry.input, output = output }
end

local function spawn(self, entry)
  local output = ("%s/.dex/runs/%s.out"):format(self.root, entry.id)
  local ok, handle = pcall(function()
    fs.mkdirs(self.root .. "/.dex/runs")
    return child.launch(spec_of(self, entry, output))
  end)
  if not ok then
    local e = err.wrap(handle)
    self.store:set_run(entry.id, "failed", { message = tostring(e) })
    self.log("error", ("%s %s cannot be started: %s"):format(entry.kind, entry.name or "", tostring(e)))
    return
  end
  local pid = handle:pid()
  local run = { id = entry.id, kind = entry.kind, name = entry.name, handle = handle, output = output, pid = pid }
  self.running[entry.id], self.count = run, self.count + 1
  self.log("debug", ("%s %s (%s) is process %d"):format(entry.kind, entry.name or "", short(entry.id), pid))
  loop.spawn(function()
    local status = handle:wait()
    self.running[entry.id], self.count = nil, self.count - 1
    local done, e = pcall(finish, self, run, status)
    if not done then self:failed(e) end
    done, e = pcall(self.pump, self)
    if not done then self:failed(e) end
    changed(self)
  end)
  self.store:batch(function()
    -- from here on it is this process that will run it, also for a server that comes after us
    if self.store:run(entry.id).status ~= "queued" then return end -- it was faster
    self.store:set_run(entry.id, "queued", { pid = pid, pid_started = process.started(pid), host = core.host() })
  end)
end

--- Starts what waits, as far as there is room. Does not wait.
function Supervisor:pump()
  if self.stopping then return end
  local i = 1
  while self.queue[i] and self.count < self.max_runs do
    local entry = self.queue[i]
    local row = self.store:run(entry.id)
    if not row or row.status ~= "queued" then
      table.remove(self.queue, i)
    elseif take_place(self, entry) then
      table.remove(self.queue, i)
      spawn(self, entry)
    else
      i = i + 1
    end
  end
end

--- The state could not be read or written: told, and tried again at the next event.
---@param e any
function Supervisor:failed(e) self.log("error", tostring(err.wrap(e))) end

local function own_row(spec, id)
  local own = process.own()
  local argv = value.list(table.move(spec.argv, 1, #spec.argv, 1, {}))
  return { id = id, kind = spec.kind, name = spec.name, command = table.concat(argv, " "), trigger = spec.trigger,
    by = spec.by, status = "queued", parameters = spec.shown, args = value.dict("argv", argv),
    scheduled_for = spec.scheduled_for, rerun_of = spec.rerun_of, pid = own.pid, pid_started = own.pid_started,
    host = own.host }
end

local function enqueue(self, spec, id)
  self.queue[#self.queue + 1] = { id = id, kind = spec.kind, name = spec.name, argv = spec.argv, trigger = spec.trigger,
    by = spec.by, scheduled_for = spec.scheduled_for,
    input = spec.parameters and require("dex.json").encode(spec.parameters) or nil }
  if not self.woken then
    self.woken = true
    loop.spawn(function() -- after the batch that this may be a part of
      self.woken = false
      local ok, e = pcall(self.pump, self)
      if not ok then self:failed(e) end
    end)
  end
end

--- Puts a run into the queue, from which it starts when there is room. Part of the caller's batch, if it is in one.
--- Does not wait.
---@param spec {kind: "flow"|"operation"|"command", name: string, argv: string[], parameters?: table, shown?: table,
---  trigger: string, by?: string, scheduled_for?: integer, rerun_of?: string, id?: string} `parameters`: a dict that
---  the child reads from its standard input; `shown`: the same without secrets, for the state
---@return string id
function Supervisor:start(spec)
  local id = spec.id or state.new_id()
  self.store:create_run(own_row(spec, id))
  enqueue(self, spec, id)
  return id
end

-- Cancelling ---------------------------------------------------------------------------------------------

local function take_from_queue(self, id)
  for i, entry in ipairs(self.queue) do
    if entry.id == id then return table.remove(self.queue, i) end
  end
end

-- TERM, and KILL when that has not ended it after the grace time.
local function end_process(self, run)
  if run.ending then return end
  run.ending = true
  run.handle:kill "TERM"
  loop.spawn(function()
    loop.sleep(self.grace)
    if self.running[run.id] == run then
      self.log("warn", ("%s %s (%s) did not end within %g s and is killed"):format(run.kind, run.name or "",
        short(run.id), self.grace))
      run.handle:kill "KILL"
    end
  end)
end

-- What another process runs, on this machine.
local function end_foreign(self, row)
  if not process.lives(row) then return end
  child.signal(row.pid, "TERM")
  loop.spawn(function()
    loop.sleep(self.grace)
    if process.lives(row) then child.signal(row.pid, "KILL") end
  end)
end

--- Ends a run, whoever has started it. Does not wait for its end.
---@param id string
---@param by? string
---@return boolean whether it had not ended
function Supervisor:cancel(id, by)
  local asked = self.store:request_cancel(id, by)
  if not asked then return false end
  local row = self.store:run(id)
  if take_from_queue(self, id) then
    self.store:set_run(id, "cancelled", { message = "cancelled before it began" })
    changed(self)
  elseif self.running[id] then
    end_process(self, self.running[id])
  elseif row.status == "running" then
    end_foreign(self, row)
  end
  return true
end

-- Hearing and recovering ---------------------------------------------------------------------------------

-- What other processes have done: cancelled a run, or ended one, which makes room.
local function hear(self)
  local any = false
  repeat
    local events = self.store:events_after(self.seen)
    for _, event in ipairs(events) do
      self.seen = event.id
      if event.kind == "cancel" then
        if take_from_queue(self, event.run_id) then
          self.store:set_run(event.run_id, "cancelled", { message = "cancelled before it began" })
        elseif self.running[event.run_id] then
          end_process(self, self.running[event.run_id])
        end
      end
      any = any or event.kind == "run" or event.kind == "cancel" or event.kind == "schedule"
    end
  until #events == 0
  if not any then return end
  self:pump()
  changed(self)
end

--- Listens from now on to what other processes write. Does not wait.
function Supervisor:listen()
  self.watcher = self.store:watch(function()
    local ok, e = pcall(hear, self)
    if not ok then self:failed(e) end
  end, function(e) self:failed(e) end)
end

local function has_hidden(v)
  if v == HIDDEN then return true end
  if type(v) ~= "table" then return false end
  for _, item in (value.is_dict(v) and pairs or ipairs)(v) do
    if has_hidden(item) then return true end
  end
  return false
end

-- A run that a dead server has queued: it becomes ours. Nobody else can have taken it meanwhile.
local function adopt(self, row)
  local argv = row.args and value.is_dict(row.args) and row.args.argv
  local lost = row.cancel_requested and "cancelled before it began"
    or has_hidden(row.parameters) and "the server that was to start it has ended, and its secret arguments with it"
    or not argv and "the process that was to start it has ended"
  self.store:batch(function()
    local now = self.store:run(row.id)
    if now.status ~= "queued" or process.lives(now) then return end
    if lost then
      self.store:set_run(row.id, row.cancel_requested and "cancelled" or "failed", { message = lost })
      return
    end
    local own = process.own()
    self.store:set_run(row.id, "queued", { pid = own.pid, pid_started = own.pid_started, host = own.host })
    enqueue(self, { kind = row.kind, name = row.name, argv = table.move(argv, 1, #argv, 1, {}), trigger = row.trigger,
      by = row.by, scheduled_for = row.scheduled_for, parameters = row.parameters }, row.id)
    self.log("info", ("%s %s (%s) is taken over from a server that has ended"):format(row.kind, row.name or "",
      short(row.id)))
  end)
end

--- Settles runs whose process is gone, and takes over what a dead server has queued. Does not wait.
function Supervisor:recover()
  for _, row in ipairs(self.store:stale_runs()) do
    if not self.running[row.id] and not row.parent_id then settle(self, row, "its process ended before it did") end
  end
  for _, row in ipairs(self.store:runs { status = "queued", limit = 10000 }) do
    if not self.running[row.id] and row.host == core.host() and process.lives(row) == false then adopt(self, row) end
  end
  for _, name in ipairs(fs.isdir(self.root .. "/.dex/runs") and fs.list(self.root .. "/.dex/runs") or {}) do
    local row = self.store:run(name:match "^[^.]*")
    if not row or state.status.is_final("runs", row.status) then fs.remove_tree(self.root .. "/.dex/runs/" .. name) end
  end
end

-- Ending -------------------------------------------------------------------------------------------------

local function wait_for_all(self, seconds)
  local stop = time.mono() + seconds
  while self.count > 0 do
    local left = stop - time.mono()
    if left <= 0 then return false end
    self.bell:wait(math.floor((time.now() + left) * MICRO))
  end
  return true
end

--- Starts nothing more and waits until what runs has ended: for `grace` seconds by itself, then it is cancelled. What
--- is queued stays so, for the next server. Waits.
---@param grace number
function Supervisor:stop(grace)
  self.stopping = true
  if not wait_for_all(self, grace) then
    self.log("warn", ("%d run%s still going after %g s: cancelled"):format(self.count, self.count == 1 and " is" or
      "s are", grace))
    for _, run in pairs(self.running) do
      self.store:request_cancel(run.id, "server")
      end_process(self, run)
    end
    wait_for_all(self, self.grace + 5)
  end
  if self.watcher then self.watcher:close() end
  self.bell:close()
end

return M
