--- Where a run stands still for a person: at breakpoint() in Lua, {{ debug() }} in a template, and, with --debug-hooks,
-- at a failure. The prompt runs in a task of its own while the task that has stopped waits: all others go on. One
-- prompt is open at a time; whoever stops meanwhile waits for its turn. Nothing of this is loaded, and no hook is set,
-- before something stops.

local debugger = require "dex.debugger"
local err = require "err"
local fault = require "jinja.fault"
local frames = require "repl.frames"
local loop = require "dex.loop"
local step = require "repl.step"
local term = require "dex.term"
local time = require "dex.time"
local with_savepoint = require("run.hook_transaction").with_savepoint

local M = {}

--- What stands still.
---@class dex.Stop
---@field kind "breakpoint"|"step"|"failure"
---@field state table of lua/run/node.lua, what runs
---@field own table|nil of lua/run/hooks.lua, when it is a hook
---@field frames dex.Frame[]|nil the innermost first; nil until they are looked at
---@field error dex.Error|nil of a failure
---@field again fun() reads the files again, for `retry`; may wait, and raises what is wrong
---@field skip fun() what `skip` does
---@field thread thread|nil of what can go on line by line
---@field answer string|nil how it goes on: continue, step, next, finish, retry, skip, abort
---@field frame integer which of the frames `finish` leaves

--- The debugger of a job.
---@class dex.Debugger
---@field job table of lua/pipeline.lua
---@field catches boolean whether failures stop (--debug-hooks)
---@field door table|nil of lua/repl/attach.lua (--debug-listen)
---@field open table|nil the task whose prompt is open
local Debugger = {}
Debugger.__index = Debugger

-- What stands on the stack of the running coroutine ----------------------------------------------------

-- The innermost hook, and what runs, of the calling functions: the engine has them in locals of these names.
local function running_state()
  local state
  for level = 3, 400 do
    local info = debug.getinfo(level, "S")
    if not info then break end
    if info.source:find("^@lua/") then
      local i = 1
      while true do
        local name, v = debug.getlocal(level, i)
        if not name then break end
        if type(v) == "table" then
          if name == "own" and rawget(v, "record") and rawget(v, "state") then return v.state, v end
          if name == "state" and not state and rawget(v, "run") and rawget(v, "node") then state = v end
        end
        i = i + 1
      end
    end
  end
  return state
end

-- Failures as they happen ------------------------------------------------------------------------------

-- error -> the frames that led there, since they are gone when it is known that nobody catches it
local copies = setmetatable({}, { __mode = "k" })

local function observe(e)
  if e == nil or copies[e] then return end
  local ok, list = pcall(frames.copy, 3)
  if ok then copies[e] = list end
end

-- The debugger -----------------------------------------------------------------------------------------

--- The debugger of a job, made when it is first needed.
---@param job table
---@return dex.Debugger
function M.of(job)
  local self = job.debugger
  if not self then
    self = setmetatable({ job = job }, Debugger)
    job.debugger = self
  end
  return self
end

--- What --debug-hooks and --debug-listen ask for, before anything runs. Raises code 110 when nothing can listen there.
---@param job table
function M.prepare(job)
  local self, given = M.of(job), job.given
  if given.debug_listen then
    self.door = require("repl.attach").listen(job, given.debug_listen)
    job.closers[#job.closers + 1] = function() self.door:close() end
  end
  if given.debug_hooks then
    self.catches = true
    fault.observer = observe
    job.closers[#job.closers + 1] = function() fault.observer = nil end
  end
end

local function report_of(self) return self.job.report end

-- The reporter that has the terminal, nil when none has.
local function screen_of(self)
  local report = report_of(self)
  return report and (rawget(report, "front") or report)
end

--- Whether there is somebody to stop for.
function Debugger:interactive()
  if self.door then return true end
  local screen = screen_of(self)
  return screen ~= nil and screen.lend ~= nil and screen.fd == 1 and term.isatty(0) and term.isatty(1)
end

local function say(self, level, text)
  local report = report_of(self)
  if report then report:log(level, text) else term.write(2, text .. "\n") end
end

local function whose(state)
  local node = state.node
  local what = ("%s %s"):format(node.resource_type, node.name)
  return state.phase and ("%s, phase %s"):format(what, state.phase) or what
end

-- Waits until no other prompt is open.
local function take_turn(self, me)
  while self.open do
    local other = self.open
    local ok, e = pcall(other.wait, other)
    if not ok and not other:done() then error(e, 0) end -- this one was cancelled
    if self.open == other then self.open = nil end
  end
  self.open = me
end

-- Opens the prompt of a stop, where the user is. May wait.
local function converse(self, stop)
  take_turn(self, stop.work)
  stop.frames = stop.frames or frames.of(stop.thread) -- it stands still now
  local look = require "repl.look"
  local session = look.session(self, stop)
  self.session = session
  if self.door then
    self.door:converse(session, stop)
  else
    local screen = screen_of(self)
    session.reader = require("repl.terminal").new()
    screen:lend(function(text) session.reader:write(text) end)
    local ok, e = pcall(require("repl.prompt").run, session)
    session.reader:close()
    screen:take_back()
    if not ok then error(e, 0) end
  end
  self.session = nil
  -- a signal that ends the program
  if type(session.left) == "string" and self.job.cancel then self.job.cancel(session.left) end
end

-- How the coroutine of a stop goes on. Does not wait.
local function go_on(self, stop)
  stop.answer = stop.answer or "continue"
  if not stop.thread or stop.answer ~= "step" and stop.answer ~= "next" and stop.answer ~= "finish" then return end
  local frame = stop.frames[stop.answer == "finish" and stop.frame or 1]
  if not frame then return end
  local co, state, node = stop.thread, stop.state, stop.state.node
  step.start(co, { how = stop.answer, depth = frame.depth, file = frame.file, line = frame.line,
    -- the coroutine of a node is another node's afterwards
    wanted = function() return state.node == node and not (state.ctx and state.ctx.state ~= state) end,
    stopped = function(note) self:stop_at_line(co, note, state, stop.own) end })
end

-- The time that a person takes is not the hook's.
local function give_time(stop, since)
  local own = stop.own
  if own and own.deadline then own.deadline = own.deadline + time.mono() - since end
end

-- What is typed may fail, with the hook's own object, too: in a transaction that is then undone alone. Gives what ends
-- this.
local function protect(own)
  local execute = own.execute
  own.execute = function(sql, params)
    local conn = own.state.conn
    if not conn or conn:txn() ~= "intrans" then return execute(sql, params) end
    return with_savepoint(own, execute, sql, params)
  end
  return function() own.execute = execute end
end

-- Runs the prompt, which nothing but a cancellation ends early. May wait.
local function talk(self, stop)
  local since = time.mono()
  local limits = require "run.hook_limits"
  if stop.own then limits.lift(stop.own) end
  local unprotect = stop.own and protect(stop.own)
  stop.work = loop.spawn(converse, self, stop)
  local ok, e = pcall(stop.work.wait, stop.work)
  if not ok and not stop.work:done() then
    stop.work:cancel()
    stop.cancelled = true
  end
  give_time(stop, since)
  if unprotect then unprotect() end
  if stop.own then limits.rest(stop.own) end
  if ok then return end
  if stop.cancelled or err.is(e) and e.cancelled then error(e, 0) end
  say(self, "error", "the debugger's prompt has failed: " .. tostring(e))
end

-- The stop at a line, from the line hook: the coroutine stands from now on. Does not wait.
function Debugger:stop_at_line(co, note, state, own)
  loop.spawn(function()
    local stop = { kind = "step", thread = co, state = state, own = own, frames = frames.of(co, note), frame = 1 }
    local ok, e = pcall(talk, self, stop)
    if ok then
      go_on(self, stop)
    elseif not (err.is(e) and e.cancelled) then
      say(self, "error", tostring(e))
    end
    debugger.resume(co)
  end)
end

--- Ends the run: what goes on is rolled back, as after Ctrl-C.
function Debugger:abort()
  local job = self.job
  if job.cancel then job.cancel("abort") end
end

--- Cancels the prompt that is open, and those that wait for their turn.
function Debugger:cancel()
  if self.session then self.session.left = true end
  if self.open and not self.open:done() then self.open:cancel() end
end

-- Breakpoints ------------------------------------------------------------------------------------------

local function unstoppable(co)
  if not debugger.is_task(co) then return "it is in a coroutine of its own" end
  if not coroutine.isyieldable() then
    return "it is in a sort comparator, a gsub callback, a __tostring, or a file that is being loaded"
  end
end

--- breakpoint() and {{ debug() }}: stops, when there is somebody to stop for; else tells where it was met. Nothing
--- happens while files are only read. May wait.
---@param state table|nil what runs, when the caller knows it
function M.breakpoint(state)
  local found, own = running_state()
  state = state or found
  local run = state and state.run
  if not run or not run.job then return end
  if own and own.state ~= state then own = nil end
  local self, here = M.of(run.job), frames.here()
  local where = here and ("%s:%d"):format(here.file, here.line) or "an unknown place"
  local met = ("breakpoint at %s in %s"):format(where, whose(state))
  if not self:interactive() then
    return say(self, "warn", met .. ": nobody is at a terminal, so it goes on (--debug-listen 127.0.0.1:0 waits)")
  end
  local co = coroutine.running()
  local why = unstoppable(co)
  if why then return say(self, "warn", ("%s cannot stop: %s"):format(met, why)) end
  local stop = { kind = "breakpoint", thread = co, state = state, own = own, frame = 1 }
  talk(self, stop)
  go_on(self, stop)
end

-- Failures ---------------------------------------------------------------------------------------------

-- A part of the work has failed and is rolled back as far as it can be. Asks the user; runs it again as often as
-- wanted. Gives whether it is to be taken as a success, else its error. May wait.
local function ask(self, stop, e, explain, work, ...)
  while self.catches and self:interactive() and not (err.is(e) and e.cancelled) do
    stop.kind, stop.error, stop.answer = "failure", explain(e), nil
    stop.frames, stop.frame = copies[e] or {}, 1
    talk(self, stop)
    if stop.answer == "skip" then
      stop.skip()
      return true
    elseif stop.answer ~= "retry" then
      return false, e
    end
    local ok
    ok, e = pcall(work, ...)
    if ok then return true end
  end
  return false, e
end

--- A hook has failed, and what it did is undone when it runs in a transaction. May wait.
---@param own table of lua/run/hooks.lua
---@param e any what it raised
---@param explain fun(own: table, e: any): dex.Error
---@param work fun(own: table) runs the hook
---@return boolean ok whether it is to be taken as a success
---@return any e else its error
function Debugger:hook_failed(own, e, explain, work)
  local stop = { state = own.state, own = own }
  function stop.again() require("repl.reload").hook(own) end
  function stop.skip() own.warnings[#own.warnings + 1] = "skipped in the debugger" end
  return ask(self, stop, e, function(raised) return explain(own, raised) end, work, own)
end

-- Undoes what fn(state) did when it raises, if it runs in a transaction. May wait.
local function undoable(state, fn)
  local conn = state.conn
  if not conn or conn:txn() ~= "intrans" then return fn(state) end
  conn:exec "savepoint dex_debugger"
  local ok, e = pcall(fn, state)
  local txn = conn:txn()
  if ok and txn == "intrans" then conn:exec "release savepoint dex_debugger" end
  if ok then return end
  if txn == "intrans" or txn == "inerror" then
    conn:exec "rollback to savepoint dex_debugger; release savepoint dex_debugger"
  end
  error(e, 0)
end

--- Runs a node's phase, such as its build; asks the user when it fails. May wait. Raises its error.
---@param state table of lua/run/node.lua
---@param phase string
---@param work fun(state: table)
---@param compile fun(state: table) renders its SQL again
function Debugger:phase(state, phase, work, compile)
  local ok, e = pcall(undoable, state, work)
  if ok then return end
  local stop = { state = state }
  function stop.again()
    require("repl.reload").node(state)
    if work ~= compile then compile(state) end
  end
  function stop.skip() state.skipped = "skipped in the debugger" end
  local function explain(raised)
    local copy = {}
    for key, v in pairs(err.wrap(raised)) do copy[key] = v end
    return require("run.failure").of_node(state.run, state.node, err.new(copy), phase)
  end
  ok, e = ask(self, stop, e, explain, undoable, state, work)
  if not ok then error(e, 0) end
end

return M
