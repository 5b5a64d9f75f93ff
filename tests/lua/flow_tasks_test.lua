--- What becomes of a flow's tasks: decisions, outcomes, delays, places in pools. No database is asked.

local limits = require "flow.limits"
local tap = require "tap"
local task_module = require "flow.task"
local tasks = require "flow.tasks"

local function node(name, needs, more)
  local n = { name = name, kind = "script", needs = needs or {}, when = "success" }
  for key, v in pairs(more or {}) do n[key] = v end
  return n
end

-- Tasks whose statuses are given by name.
local function with(nodes, statuses)
  local list = tasks.of { nodes = nodes }
  for name, status in pairs(statuses) do list[name].status = status end
  return list
end

tap.test("a task begins when what it needs went well", function()
  local nodes = { node "a", node "b", node("c", { "a", "b" }) }
  local function decide(a, b) return (tasks.decide(with(nodes, { a = a, b = b }).c)) end
  tap.eq(decide("success", "warn"), "start")
  for _, status in ipairs { "failed", "upstream_failed", "timed_out", "cancelled" } do
    tap.eq(decide("success", status), "upstream_failed")
    tap.eq(decide("skipped", status), "upstream_failed")
  end
  tap.eq(decide("success", "skipped"), "skipped")
  local list = with(nodes, { a = "skipped", b = "success" })
  list.a.passed = true -- a person has said so
  tap.eq((tasks.decide(list.c)), "start")
end)

tap.test("conditions", function()
  local function decide(when, status, holds)
    local list = with({ node "a", node("b", { "a" }, { when = when }) }, { a = status })
    return (tasks.decide(list.b, function() return holds end))
  end
  tap.eq({ decide("failed", "failed"), decide("failed", "timed_out"), decide("failed", "success"),
    decide("failed", "skipped") }, { "start", "start", "skipped", "skipped" })
  tap.eq({ decide("always", "failed"), decide("always", "skipped") }, { "start", "start" })
  local own, beside = { expression = "tasks.a.status == 'x'" }, { expression = "params.mytasks" }
  tap.eq({ decide(own, "failed", true), decide(own, "success", false) }, { "start", "skipped" })
  tap.eq({ decide(beside, "failed", true), decide(beside, "success", true), decide(beside, "success", false) },
    { "upstream_failed", "start", "skipped" })
end)

tap.test("what a run has come to", function()
  local nodes = { node "a", node("b", { "a" }), node("alarm", { "b" }, { when = "failed" }), node("clean", { "b" },
    { when = "always" }), node "beside" }
  local function outcome(statuses)
    for _, name in ipairs { "a", "b", "alarm", "clean", "beside" } do statuses[name] = statuses[name] or "skipped" end
    return tasks.outcome(with(nodes, statuses))
  end
  tap.eq({ outcome { a = "success", b = "warn" } }, { "success", {} })
  tap.eq({ outcome { a = "success", b = "failed", alarm = "success" } }, { "failed", { "b" } })
  tap.eq({ outcome { a = "success", b = "failed", clean = "success" } }, { "partial", { "b" } })
  tap.eq({ outcome { a = "timed_out", b = "upstream_failed", beside = "success" } }, { "partial", { "a" } })
end)

tap.test("the pauses before attempts", function()
  local function delays(retries)
    for key, v in pairs { delay = 2, backoff = "fixed", jitter = 0, max_delay = 10 } do
      if retries[key] == nil then retries[key] = v end
    end
    local list = {}
    for attempt = 1, 5 do list[attempt] = task_module.delay(retries, attempt, retries.random) end
    return list
  end
  tap.eq(delays {}, { 2.0, 2.0, 2.0, 2.0, 2.0 })
  tap.eq(delays { backoff = "linear" }, { 2.0, 4.0, 6.0, 8.0, 10.0 })
  tap.eq(delays { backoff = "exponential" }, { 2.0, 4.0, 8.0, 10.0, 10.0 })
  tap.eq(delays { jitter = 0.5, random = function() return 0 end }, { 1.0, 1.0, 1.0, 1.0, 1.0 })
  tap.eq(delays { jitter = 0.5, random = function() return 1 end }, { 3.0, 3.0, 3.0, 3.0, 3.0 })
  tap.eq(task_module.delay({ delay = 1, backoff = "exponential", jitter = 0, max_delay = 1e9 }, 5000), 1e9)
end)

tap.test("places in pools go to those in line, but for those that have been cancelled", function()
  local pools, granted = limits.new { two = 2 }, {}
  local run = { grant = function(_, task) granted[#granted + 1] = task.name end }
  local list = {}
  for i = 1, 5 do
    list[i] = { name = tostring(i), status = "queued", kind = "script", node = { pool = "two" } }
    tap.eq(pools:take(run, list[i]), i <= 2)
  end
  list[3].status = "cancelled"
  pools:release(list[1])
  tap.eq(granted, { "4" })
  pools:release(list[2])
  pools:release(list[4])
  pools:release(list[5])
  tap.eq(granted, { "4", "5" })
  tap.eq({ pools:take(run, list[1]), pools:take(run, list[1]), pools:take(run, list[1]) }, { true, true, false })
  local free = { name = "w", status = "queued", kind = "wait", node = {} }
  for _ = 1, 100 do tap.eq(pools:take(run, free), true) end
end)
