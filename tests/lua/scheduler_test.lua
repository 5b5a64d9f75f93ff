--- The scheduler with a clock of the test's own: what it starts, and what it leaves out.

local cron = require "flow.cron"
local fs = require "dex.fs"
local loop = require "dex.loop"
local schedule = require "flow.schedule"
local scheduler = require "server.scheduler"
local state = require "state"
local tap = require "tap"
local zone = require "flow.zone"

local test, eq, ok = tap.test, tap.eq, tap.ok
local SECOND, MINUTE, HOUR, DAY = 1000000, 60 * 1000000, 3600 * 1000000, 86400 * 1000000
local START = 1774652400 * SECOND -- 2026-03-27 23:00 UTC

local dirs = {}

-- A server's half of the world: a scheduler, a state that others may share, and what was started.
local function server(flows, world)
  world = world or {}
  if not world.dir then
    world.dir = ("%s/dex-scheduler-%s"):format(require("dex.env").get "TMPDIR" or "/tmp", require "dex.uuid"())
    dirs[#dirs + 1] = world.dir
    fs.mkdirs(world.dir)
    world.now, world.started = START, {}
  end
  local s = { world = world, store = state.open(world.dir), said = {} }
  function s.recover() s.recovered = true end
  function s.start(_, spec)
    s.store:create_run { id = spec.id, kind = spec.kind, name = spec.name, trigger = spec.trigger,
      scheduled_for = spec.scheduled_for }
    table.insert(world.started, { spec.name, (spec.scheduled_for - START) // MINUTE, id = spec.id })
    return spec.id
  end
  s.scheduler = scheduler.new { store = s.store, supervisor = s, flows = function() return flows end,
    clock = { now = function() return world.now end, alarm = world.alarm },
    log = function(_, text) table.insert(s.said, text) end }
  return s
end

local function flow(name, text, more)
  local f = { name = name, catchup = "none", schedule = schedule.new({ assert(cron.parse(text)) },
    zone.find(more and more.zone or "UTC"), text) }
  for key, v in pairs(more or {}) do f[key] = v end
  return f
end

-- Minutes behind the beginning at which runs were due, in the order of their start.
local function times(world)
  local list = {}
  for i, started in ipairs(world.started) do list[i] = started[2] end
  return list
end

-- What was started last runs and ends.
local function finish(s)
  local last = s.world.started[#s.world.started]
  s.store:set_run(last.id, "running")
  s.store:set_run(last.id, "success")
end

-- Looks once at each of `minutes`, as if it had been woken.
local function pass(s, minutes)
  for _ = 1, minutes do
    s.world.now = s.world.now + MINUTE
    local before = #s.world.started
    s.scheduler:tick()
    if #s.world.started > before then finish(s) end
  end
end

test("a flow starts at its time, once, and the time that comes next is told", function()
  local s = server { flow("a", "10,40 * * * *"), flow("b", "15 * * * *"), { name = "c" } }
  eq(s.scheduler:tick(), START + 10 * MINUTE)
  eq(#s.world.started, 0)
  s.world.now = START + 10 * MINUTE + 20
  eq(s.scheduler:tick(), START + 15 * MINUTE)
  eq(s.scheduler:tick(), START + 15 * MINUTE)
  eq(times(s.world), { 10 })
  local run = s.store:run(s.world.started[1].id)
  eq({ run.name, run.trigger, run.status, run.scheduled_for }, { "a", "schedule", "queued", START + 10 * MINUTE })
  s.store:close()
end)

test("two servers of one project never start the same time twice", function()
  local flows = { flow("a", "*/5 * * * *"), flow("b", "*/7 * * * *", { catchup = "all" }) }
  local one = server(flows)
  local two = server(flows, one.world)
  for i = 1, 60 do
    one.world.now = START + i * MINUTE
    local before = #one.world.started
    for _, s in ipairs(i % 2 == 0 and { one, two } or { two, one }) do s.scheduler:tick() end
    for n = before + 1, #one.world.started do
      one.store:set_run(one.world.started[n].id, "running")
      one.store:set_run(one.world.started[n].id, "success")
    end
  end
  local seen = {}
  for _, started in ipairs(one.world.started) do
    local key = started[1] .. started[2]
    ok(not seen[key], "twice: " .. key)
    seen[key] = true
  end
  eq(#one.world.started, 12 + 9)
  one.store:close()
  two.store:close()
end)

-- A server runs for two hours, none for `gap`, then one again.
local function after_downtime(catchup, gap)
  local s = server { flow("a", "0 * * * *", { catchup = catchup }) }
  s.scheduler:tick()
  pass(s, 120)
  eq(times(s.world), { 60, 120 })
  s.store:close()
  s.world.now = s.world.now + gap
  return server({ flow("a", "0 * * * *", { catchup = catchup }) }, s.world)
end

test("catchup none: what was missed is left out, a minute is not missed", function()
  local s = after_downtime("none", 3 * HOUR + 10 * MINUTE)
  eq(s.scheduler:tick(), START + 360 * MINUTE)
  eq(times(s.world), { 60, 120 })
  ok(s.said[1]:find("missed", 1, true), s.said[1])
  s.store:close()
  s = after_downtime("none", HOUR + 50 * SECOND)
  s.scheduler:tick()
  eq(times(s.world), { 60, 120, 180 })
  s.store:close()
end)

test("catchup latest: the last of what was missed runs", function()
  local s = after_downtime("latest", 3 * HOUR + 10 * MINUTE)
  eq(s.scheduler:tick(), START + 360 * MINUTE)
  s.scheduler:tick()
  eq(times(s.world), { 60, 120, 300 })
  s.store:close()
end)

test("catchup all: each time runs, one after the other, and none is lost when the server dies between", function()
  local s = after_downtime("all", 3 * HOUR + 10 * MINUTE)
  s.scheduler:tick()
  s.scheduler:tick()
  eq(times(s.world), { 60, 120, 180 }, "one waits")
  finish(s)
  s.scheduler:tick()
  finish(s)
  s.store:close()
  s = server({ flow("a", "0 * * * *", { catchup = "all" }) }, s.world)
  s.scheduler:tick()
  finish(s)
  s.scheduler:tick()
  eq(times(s.world), { 60, 120, 180, 240, 300 })
  s.store:close()
end)

test("a flow that is new, and one whose schedule has changed, begin now", function()
  local flows = { flow("a", "0 0 * * *", { catchup = "all" }) }
  local s = server(flows)
  s.world.now = START + 30 * MINUTE
  s.scheduler:tick()
  flows[2] = flow("b", "*/10 * * * *", { catchup = "all" })
  s.scheduler:tick()
  s.world.now = START + 200 * MINUTE
  flows[1] = flow("a", "* * * * *", { catchup = "all" })
  s.scheduler:tick()
  eq(times(s.world), { 40 }, "b has missed times since it is known, a has none")
  s.store:close()
end)

test("a paused flow rests; what falls into the pause is missed", function()
  local s = server { flow("a", "0 * * * *", { catchup = "latest" }) }
  s.scheduler:tick()
  s.store:pause("a", "eve")
  pass(s, 190)
  eq(times(s.world), {})
  s.store:resume "a"
  s.scheduler:tick()
  eq(times(s.world), { 180 })
  s.store:close()
end)

test("a clock that is set back repeats nothing", function()
  local s = server { flow("a", "*/10 * * * *") }
  s.scheduler:tick()
  pass(s, 35)
  s.world.now = START + 5 * MINUTE
  pass(s, 40)
  eq(times(s.world), { 10, 20, 30, 40 })
  s.store:close()
end)

test("a clock that was wrong by years holds nothing up when it is right again", function()
  local s = server { flow("a", "*/10 * * * *") }
  s.world.now = START + 1000 * DAY
  s.scheduler:tick()
  pass(s, 10)
  eq(#s.world.started, 1)
  s.world.now = START
  s.scheduler:tick()
  pass(s, 10)
  eq(s.world.started[2][2], 10)
  s.store:close()
end)

test("a clock that jumps ahead, as after a sleep, has missed what lies between", function()
  local s = server { flow("a", "*/10 * * * *"), flow("b", "*/10 * * * *", { catchup = "latest" }) }
  s.scheduler:tick()
  s.world.now = START + 95 * MINUTE
  s.scheduler:tick()
  eq(times(s.world), { 90 })
  eq(s.world.started[1][1], "b")
  s.store:close()
end)

test("through changes of the clock every day has its run", function()
  local s = server { flow("a", "30 2 * * *", { zone = "Europe/Berlin" }) }
  s.scheduler:tick()
  pass(s, 3 * 1440)
  eq(times(s.world), { 150, 1560, 2970 }) -- 02:30 CET, 03:00 CEST, 02:30 CEST
  s.store:close()
end)

test("a time comes while the run before it still waits: it is left out, and told", function()
  local s = server { flow("a", "*/10 * * * *") }
  s.scheduler:tick()
  for i = 1, 3 do
    s.world.now = START + i * 10 * MINUTE
    s.scheduler:tick()
  end
  eq(times(s.world), { 10 })
  ok(s.said[#s.said]:find("left out", 1, true))
  finish(s)
  s.world.now = START + 40 * MINUTE
  s.scheduler:tick()
  eq(times(s.world), { 10, 40 })
  s.store:close()
end)

test("a state that cannot be written loses no time: it is tried again", function()
  local s = server { flow("a", "*/10 * * * *"), flow("b", "*/10 * * * *") }
  s.scheduler:tick()
  s.world.now = START + 10 * MINUTE
  local claim = s.store.claim
  s.store.claim = function(store, name, ...)
    if name == "a" then require("err").raise { code = 652, message = "the disk is full" } end
    return claim(store, name, ...)
  end
  eq(s.scheduler:tick(), s.world.now + 10 * SECOND)
  eq(s.world.started[1][1], "b")
  s.store.claim = nil
  s.world.now = s.world.now + 10 * SECOND
  s.scheduler:tick()
  eq(s.world.started[2][1], "a")
  s.store:close()
end)

test("it waits for the time that comes next, is rung, and stops", function()
  local world_alarm = require("dex.alarm").new()
  local waited = {}
  local s = server { flow("a", "*/10 * * * *") }
  s.scheduler.clock.alarm = { wait = function(_, at)
    waited[#waited + 1] = (at - START) // MINUTE
    return world_alarm:wait()
  end, ring = function() world_alarm:ring() end, close = function() world_alarm:close() end }
  local task = loop.spawn(function() s.scheduler:run() end)
  loop.sleep(0)
  s.world.now = START + 10 * MINUTE
  s.scheduler:changed()
  loop.sleep(0)
  loop.sleep(0)
  s.scheduler:stop()
  task:wait()
  eq(waited, { 10, 20 })
  ok(s.recovered)
  eq(times(s.world), { 10 })
  s.store:close()
end)

for _, dir in ipairs(dirs) do fs.remove_tree(dir) end
