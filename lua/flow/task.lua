--- The life of a task: its attempts, with time limits and pauses, to its last status.

local err = require "err"
local loop = require "dex.loop"

local M = {}

local kinds = { transformation = "flow.transformation", operation = "flow.operation", script = "flow.script",
  flow = "flow.sub_flow", wait = "flow.wait" }

--- The module of a kind of node: `run(run, task)` gives a status and a message, or raises; it may have `before(task)`,
--- `stop(task, how)` and `close(run, task)`.
---@param kind string
---@return table
function M.kind(kind) return require(kinds[kind]) end

-- What another attempt cannot mend: wrong arguments, templates, settings, a missing target.
local function is_hopeless(e)
  return err.is(e) and (e.code < 300 or e.code >= 601 and e.code <= 604 or e.code == 613 or e.code == 630
    or e.code >= 650 and e.code < 660)
end

--- Seconds before an attempt, by the node's `retries`.
---@param retries {delay: number, backoff: string, jitter: number, max_delay: number}
---@param attempt integer which one has failed
---@param random? fun(): number from 0 to 1
---@return number
function M.delay(retries, attempt, random)
  local delay = retries.delay
  if retries.backoff == "linear" then
    delay = delay * attempt
  elseif retries.backoff == "exponential" then
    delay = delay * 2 ^ math.min(attempt - 1, 60)
  end
  delay = math.min(delay, retries.max_delay)
  local part = retries.jitter * ((random or math.random)() * 2 - 1) -- both ways, so that the mean stays
  return math.max(0, math.min(delay * (1 + part), retries.max_delay))
end

--- What the history has of an attempt before it begins. Does not wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
function M.prepare(run, task)
  local kind = M.kind(task.kind)
  if kind.before then kind.before(task) end
  task.attempt, task.late = task.attempt + 1, nil
  run:begin(task)
end

-- Ends what a task does; in the pause before another attempt that is the pause.
local function interrupt(task, how)
  local kind = M.kind(task.kind)
  if kind.stop and not task.pausing then kind.stop(task, how) else task.handle:cancel() end
end

-- One attempt, within the node's time. Gives a status, a message and an error.
local function attempt(run, task)
  local node, watch = task.node, nil
  if node.timeout then
    watch = loop.spawn(function()
      loop.sleep(node.timeout)
      task.late = true
      interrupt(task, "timeout")
    end)
  end
  local ok, status, message = pcall(M.kind(task.kind).run, run, task)
  if watch and not task.late then watch:cancel() end
  local wrong = not ok or status == "failed" or status == "cancelled"
  if wrong and task.stopping then return "cancelled", "cancelled" end
  if wrong and task.late then return "timed_out", ("it took longer than its timeout of %g s"):format(node.timeout) end
  if ok then return status, message end
  local e = err.wrap(status)
  if e.cancelled then return "cancelled", "cancelled" end
  if not e.file then e.file, e.line = node.file, node.line end
  return "failed", tostring(e.message), e
end

--- Takes a task through its attempts, the first of which is prepared. May wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return string status
---@return string|nil message
---@return dex.Error|nil error
function M.perform(run, task)
  local retries = task.node.retries
  task.begun = true
  if task.stopping then return "cancelled", "cancelled" end
  while true do
    local status, message, e = attempt(run, task)
    local wrong = status == "failed" or status == "timed_out"
    if not wrong or task.stopping or task.attempt > retries.count or is_hopeless(e) then return status, message, e end
    local delay = M.delay(retries, task.attempt)
    run:again(task, message, e, delay)
    task.pausing = true
    pcall(loop.sleep, delay)
    task.pausing = false
    if task.stopping then return "cancelled", "cancelled" end
    M.prepare(run, task)
    run.recorder:flush()
  end
end

--- Ends what a task does. Does not wait: `perform` returns when it has ended.
---@param task dex.FlowTask
---@param how string a signal, or why
function M.stop(task, how)
  task.stopping = how
  if not task.begun then return end -- it will see it: a task of the loop that is cancelled before would never begin
  interrupt(task, how)
end

return M
