--- Starts flows at the times of their schedules. It keeps no list of what it has started: the claims of the state say
-- which times were taken, by whatever server, and a time that was claimed is never started again.
--
-- A time that is found late, after the server was down, the machine asleep or the flow paused, is missed; what becomes
-- of missed times is the flow's `catchup`: `none` leaves them out, `latest` runs the last one, `all` runs each, one
-- after the other.

local err = require "err"
local state = require "state"
local time = require "dex.time"

local M = {}

local MICRO = 1000000
local LATE = 60 * MICRO -- a time found within a minute is not missed: a server that restarts takes no longer
local DAY = 86400 * MICRO

--- What the time is, and how to wait for one: the wall clock, or a test's.
---@class dex.Clock
---@field now fun(): integer microseconds since 1970
---@field alarm {wait: (fun(self: table, at?: integer): string), ring: fun(self: table), close: fun(self: table)}

---@class dex.Scheduler
local Scheduler = {}
Scheduler.__index = Scheduler

local function wall_clock()
  return { now = function() return math.floor(time.now() * MICRO) end, alarm = require("dex.alarm").new() }
end

--- A scheduler, which does nothing until it is run.
---@param opts {store: dex.Store, supervisor: dex.Supervisor, flows: (fun(): dex.Flow[]), clock?: dex.Clock,
---  log: fun(level: string, text: string)}
---@return dex.Scheduler
function M.new(opts)
  local clock = opts.clock or wall_clock()
  return setmetatable({ store = opts.store, supervisor = opts.supervisor, flows = opts.flows, clock = clock,
    log = opts.log, since = {} }, Scheduler)
end

local function queued(self, name)
  return #self.store:runs { kind = "flow", name = name, status = "queued", limit = 10 }
end

-- Claims a time and puts its run into the queue, both or neither.
local function start(self, flow, at)
  local id = state.new_id()
  local started = self.store:batch(function()
    if not self.store:claim(flow.name, at, id) then return false end
    self.supervisor:start { id = id, kind = "flow", name = flow.name, argv = { "flow", "run", flow.name },
      trigger = "schedule", by = "schedule", scheduled_for = at }
    return true
  end)
  if started then
    self.log("info", ("flow %s (%s): due %s"):format(flow.name, id:sub(1, 8), flow.schedule:clock(at)))
  end
end

-- A time that nobody runs, because the flow still waits for its turn from the time before.
local function leave_out(self, flow, at)
  if self.store:claim(flow.name, at) then
    self.log("warn", ("flow %s: the run of %s is left out, one is waiting already"):format(flow.name,
      flow.schedule:clock(at)))
  end
end

-- Each missed time in its turn: the next one is claimed when nothing waits any more, so that thousands of them are no
-- queue of thousands.
local function catch_up_all(self, flow, base, now)
  local at = flow.schedule:next(base)
  if at and at <= now and queued(self, flow.name) == 0 then
    start(self, flow, at)
    return at
  end
  return base
end

local function catch_up_last(self, flow, base, now)
  local at = flow.schedule:previous(now)
  if not at or at <= base then return base end
  if flow.catchup == "none" and now - at > LATE then
    self.log("info", ("flow %s: the run of %s was missed and is left out"):format(flow.name, flow.schedule:clock(at)))
  elseif queued(self, flow.name) > 0 then
    leave_out(self, flow, at)
  else
    start(self, flow, at)
  end
  return at
end

-- What is due of one flow. Gives the time that comes next.
local function tick_flow(self, flow, now)
  local since = self.since[flow.name]
  if not since or since.text ~= flow.schedule:text() then -- new, or another schedule: its times begin now
    local taken = not since and self.store:last_claim(flow.name)
    since = { text = flow.schedule:text(), at = taken or now }
    self.since[flow.name] = since
  end
  -- times that were taken while the clock was wrong by days do not hold up those that really come
  local taken, base = self.store:last_claim(flow.name), since.at
  if base > now + DAY then base = now end
  if taken and taken <= now + DAY then base = math.max(base, taken) end
  since.at = flow.catchup == "all" and catch_up_all(self, flow, base, now) or catch_up_last(self, flow, base, now)
  return flow.schedule:next(math.max(now, since.at))
end

--- Starts what is due. Does not wait.
---@return integer|nil microseconds since 1970 of the time that comes next, of any flow
function Scheduler:tick()
  local now, coming = self.clock.now(), nil
  local seen = {}
  for _, flow in ipairs(self.flows()) do
    if flow.schedule then
      seen[flow.name] = true
      if not self.store:schedule(flow.name).paused then
        local ok, at = pcall(tick_flow, self, flow, now)
        if ok then
          if at and (not coming or at < coming) then coming = at end
        else -- the state cannot be written now: the time is not lost, it is tried again
          self.log("error", ("flow %s: %s; it is tried again"):format(flow.name, tostring(err.wrap(at))))
          coming = math.min(coming or math.maxinteger, now + 10 * MICRO)
        end
      end
    end
  end
  for name in pairs(self.since) do
    if not seen[name] then self.since[name] = nil end
  end
  return coming
end

--- Runs until `stop`. Waits.
function Scheduler:run()
  local why
  while not self.stopped do
    -- now and then, what another server has left when it died
    if why ~= "rung" then pcall(self.supervisor.recover, self.supervisor) end
    local ok, coming = pcall(self.tick, self)
    if not ok then
      self.log("error", tostring(err.wrap(coming)))
      coming = self.clock.now() + 10 * MICRO
    end
    why = self.clock.alarm:wait(coming)
    if why == "clock" then self.log("info", "the clock was set: schedules are looked at anew") end
    if why == "closed" then break end
  end
end

--- Flows, pauses or runs have changed: everything is looked at anew. Does not wait.
function Scheduler:changed() self.clock.alarm:ring() end

--- Nothing is started any more. Does not wait.
function Scheduler:stop()
  self.stopped = true
  self.clock.alarm:close()
end

return M
