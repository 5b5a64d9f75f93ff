local t = require "tap"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local loop = require "dex.loop"
local schema = require "state.schema"
local sqlite = require "dex.sqlite"
local state = require "state"
local status = state.status
local upkeep = require "state.upkeep"

local root = os.tmpname()
os.remove(root)
local made = 0

local function open(opts)
  made = made + 1
  fs.mkdirs(root .. "/" .. made)
  return state.open(root .. "/" .. made, opts)
end

local function code_of(fn, ...)
  local ok, e = pcall(fn, ...)
  if ok then return nil end
  return err.wrap(e).code
end

t.test("every change of a status is as the table says", function()
  local s = open { durable = false }
  local names, runs = status.task_names, status.run_names
  t.eq(#names, 11)
  t.eq(#runs, 7)
  for _, from in ipairs(names) do
    for _, to in ipairs(names) do
      local id = s:create_run { kind = "flow", status = "running" }
      s:add_tasks(id, { { name = "x", status = from } })
      local can = status.can("tasks", from, to)
      t.eq(code_of(s.set_task, s, id, "x", to), not can and 656 or nil)
      t.eq(s:tasks(id)[1].status, can and to or from)
      local other = s:create_run { kind = "flow", status = "running" }
      s:add_tasks(other, { { name = "x", status = from } })
      local marked = status.can("marks", from, to)
      t.eq(code_of(s.set_task, s, other, "x", to, { marked_by = "me" }), not marked and 656 or nil)
    end
  end
  for _, from in ipairs(runs) do
    for _, to in ipairs(runs) do
      local id = s:create_run { kind = "flow", status = from }
      local can = from == to or status.can("runs", from, to)
      t.eq(code_of(s.set_run, s, id, to), not can and 656 or nil)
      t.eq(s:run(id).status, can and to or from)
    end
  end
  s:close()
end)

t.test("random walks end, and what has ended stays", function()
  math.randomseed(7)
  for _ = 1, 300 do
    local at, steps = "waiting", 0
    while not status.is_final("tasks", at) do
      local nexts = status.tasks[at]
      at = nexts[math.random(#nexts)]
      t.ok(status.tasks[at], "a status that is none")
      steps = steps + 1
      t.ok(steps < 1000, "no end")
    end
    t.eq(#status.tasks[at], 0)
  end
end)

t.test("an unknown status, run, task and field", function()
  local s = open { durable = false }
  local id = s:create_run { kind = "flow" }
  s:add_tasks(id, { { name = "load" } })
  t.raises(function() s:set_task(id, "load", "runing") end, "no status 'runing'")
  t.raises(function() s:set_task(id, "laod", "running") end, "no task 'laod'")
  t.raises(function() s:set_run("x", "running") end, "no run 'x'")
  t.raises(function() s:set_run(id, "running", { colour = 1 }) end, "no field 'colour'")
  t.raises(function() s:find_run "0000" end, "no run '0000'")
  t.eq(s:find_run(id:sub(1, 8)).id, id)
  s:close()
end)

t.test("a batch is written as a whole or not at all, and events tell of it", function()
  local s = open { durable = false }
  local id = s:create_run { kind = "flow", name = "f" }
  local last = s:last_event_id()
  t.raises(function()
    s:batch(function()
      s:set_run(id, "running")
      s:add_tasks(id, { { name = "a" } })
      error "out"
    end)
  end, "out")
  t.eq(s:run(id).status, "queued")
  t.eq(#s:tasks(id), 0)
  t.eq(s:last_event_id(), last)
  s:batch(function()
    s:set_run(id, "running")
    s:add_tasks(id, { { name = "a" }, { name = "b", needs = { "a" } } })
    s:set_task(id, "a", "running")
    s:add_hook(id, "a", { phase = "pre_hooks", name = "h", status = "success", started_at = 1000000, duration = 5 })
    s:add_log(id, "a", "info", "words")
    s:set_task(id, "a", "success", { rows = 3, started_at = 1000000, ended_at = 3000000,
      phases = { { "build", 10, 20 } } })
  end)
  local kinds, datas = {}, {}
  for i, event in ipairs(s:events_after(last)) do
    kinds[i], datas[event.kind] = event.kind .. ":" .. tostring(event.task), json.decode(event.data)
    t.eq(event.run_id, id)
  end
  t.eq(kinds, { "run:nil", "tasks:nil", "task:a", "hook:a", "log:a", "task:a" })
  t.eq(datas.task.status, "success")
  t.eq(datas.task.duration, 2.0)
  t.eq(datas.task.started_at, "1970-01-01T00:00:01.000000Z")
  t.eq(datas.hook.name, "h")
  t.eq(datas.log.text, "words")
  local tasks = s:tasks(id)
  t.eq(tasks[2].needs[1], "a")
  t.eq(tasks[1].phases, { { phase = "build", started_at = 1000010, duration = 20 } })
  t.eq(#s:events_after(s:last_event_id()), 0)
  t.eq(#s:events_after(0, { run_id = id, limit = 2 }), 2)
  s:close()
end)

t.test("attempts, sums and reports", function()
  local s = open { durable = false }
  for i = 1, 3 do
    local id = s:create_run { kind = "flow", name = "f", status = "running" }
    s:add_tasks(id, { { name = "a", node_id = "model.x.a" }, { name = "b" } })
    s:set_task(id, "a", "running")
    s:set_task(id, "a", "retrying", { message = "deadlock" })
    s:set_task(id, "a", "running", { started_at = 5000000 })
    s:set_task(id, "a", i == 3 and "failed" or "success", { ended_at = 5000000 + i * 1000000, message = "m" })
    s:set_task(id, "b", "skipped")
    s:set_run(id, i == 3 and "failed" or "success")
    local tasks = s:tasks(id)
    t.eq(tasks[1].attempt, 2)
    t.eq({ tasks[1].attempts[1].status, tasks[1].attempts[1].message, #tasks[1].attempts }, { "failed", "deadlock", 2 })
    t.eq(s:counts(s:run(id)).total, 2)
  end
  local slow = s:slowest { kind = "node" }[1]
  t.eq({ slow.name, slow.count, slow.failed, slow.total, slow.longest },
    { "model.x.a", 3, 1, 6000000, 3000000 })
  t.eq(#s:durations("model.x.a", 2), 2)
  t.eq(s:durations("model.x.a", 1)[1].duration, 3000000)
  t.eq(#s:failures(), 1)
  t.eq(#s:runs { name = "f", status = "success" }, 2)
  local first = s:runs { limit = 1 }[1]
  t.eq(#s:runs { before = first.seq }, 2)
  s:close()
end)

t.test("claims, pauses, cancelling, audit", function()
  local s = open { durable = false }
  t.eq(s:claim("f", 5), true)
  t.eq(s:claim("f", 5), false)
  t.eq(s:last_claim "f", 5)
  t.eq(s:schedule("f").paused, false)
  s:pause("f", "ann")
  t.eq({ s:schedule("f").paused, s:schedule("f").paused_by }, { true, "ann" })
  s:resume("f", "ann")
  t.eq(s:schedule("f").paused, false)
  local id = s:create_run { kind = "flow", status = "running" }
  t.eq(s:request_cancel(id, "ann"), true)
  t.eq(s:run(id).cancel_requested, true)
  s:set_run(id, "cancelled")
  t.eq(s:request_cancel(id), false)
  s:add_audit { who = "ann", action = "cancel", subject = id, data = { a = 1 } }
  t.eq(s:audit()[1].data.a, 1)
  s:close()
end)

t.test("a process that is gone is found", function()
  local s = open { durable = false }
  local mine = s:create_run { kind = "command", status = "running" }
  local gone = s:create_run { kind = "command", status = "running" }
  local elsewhere = s:create_run { kind = "command", status = "running", host = "another-machine", pid = 1 }
  s:add_tasks(gone, { { name = "a", status = "running" }, { name = "b" }, { name = "c", status = "success" } })
  s:set_run(gone, "running", { pid_started = 1 }) -- its number is another process's now
  t.eq({ #s:stale_runs(), s:stale_runs()[1].id }, { 1, gone })
  upkeep.bury_commands(s)
  t.eq({ s:run(mine).status, s:run(gone).status, s:run(elsewhere).status }, { "running", "failed", "running" })
  local tasks = s:tasks(gone)
  t.eq({ tasks[1].status, tasks[2].status, tasks[3].status }, { "failed", "cancelled", "success" })
  s:close()
end)

t.test("two stores hear of each other", function()
  local one = open { durable = false }
  local two = state.open(one.dir)
  local heard, last = {}, 0
  local watcher = one:watch(function()
    for _, event in ipairs(one:events_after(last)) do
      last = event.id
      heard[#heard + 1] = event.kind
    end
  end)
  local id = two:create_run { kind = "flow" }
  repeat loop.sleep(0) until #heard == 1
  two:set_run(id, "running")
  repeat loop.sleep(0) until #heard == 2
  watcher:close()
  one:close()
  two:close()
end)

t.test("what a watcher's function raises comes to who wants it", function()
  local s = open { durable = false }
  local said
  s:watch(function() error { "no" } end, function(e) said = e[1] end)
  repeat loop.sleep(0) until said
  t.eq(said, "no")
  s:close()
end)

t.test("a file of version 1 is brought to this version, a later one is refused", function()
  local dir = root .. "/old"
  fs.mkdirs(dir .. "/.dex")
  local db = sqlite.open(state.path(dir), {})
  db:script(schema.steps[1])
  db:exec "pragma user_version = 1"
  db:exec [[insert into runs (id, kind, trigger, status, created_at) values ('r', 'flow', 'manual', 'success', 1)]]
  db:close()
  local steps, version = schema.steps, schema.version
  schema.steps = table.move(steps, 1, #steps, 1, {})
  table.insert(schema.steps, "create table later (n); insert into later values (7)")
  schema.version = #schema.steps
  local s = state.open(dir)
  t.eq({ s.db:value "select n from later", s.db:value "pragma user_version" }, { 7, #steps + 1 })
  t.eq(s:run("r").status, "success")
  s:close()
  schema.steps, schema.version = steps, version
  t.eq(code_of(state.open, dir), 654)
  t.eq(code_of(state.open, dir, { readonly = true }), 654)
end)

t.test("a step that fails changes nothing", function()
  local dir = root .. "/broken"
  local s = state.open(dir)
  s:close()
  local steps, version = schema.steps, schema.version
  schema.steps = table.move(steps, 1, #steps, 1, {})
  table.insert(schema.steps, "create table half (n); create table runs (n)")
  schema.version = #schema.steps
  t.eq(code_of(state.open, dir), 901)
  schema.steps, schema.version = steps, version
  s = state.open(dir)
  t.eq(s.db:value "select count(*) from sqlite_master where name = 'half'", 0)
  s:close()
end)

t.test("upkeep removes what is old and keeps what has not ended", function()
  local s = open { durable = false }
  local now, day = state.now(), 86400000000
  for i = 1, 10 do
    local id = s:create_run { kind = "flow", name = "f", status = i == 1 and "running" or "success",
      created_at = now - (20 - i) * day + day // 2 }
    s:add_tasks(id, { { name = "a", status = "success" } })
  end
  local settings = { keep_days = 15, keep_runs = 100, keep_log_days = 14, keep_audit_days = 365 }
  t.eq(upkeep.apply(s, settings, 2), 2)
  t.eq(upkeep.apply(s, settings), 1)
  t.eq(#s:runs(), 7)
  settings.keep_runs = 3
  upkeep.apply(s, settings)
  t.eq(#s:runs(), 4) -- the one that runs, too
  t.eq(s.db:value "select count(*) from tasks", 4)
  local last = s:last_event_id()
  s.db:exec("update events set at = ?1", now - 5 * day)
  upkeep.apply(s, settings)
  t.eq(s.db:value "select count(*) from events", 1)
  s:create_run { kind = "flow" }
  t.eq(s:last_event_id(), last + 1) -- numbers go on
  s:close()
end)

t.test("a long line of a log is cut between characters", function()
  local values = require "state.values"
  local text = values.line(("ä"):rep(50000))
  t.ok(utf8.len(text) and #text < 66000, "whole characters")
  t.ok(text:find("and 34464 more bytes", 1, true), text:sub(-40))
end)

t.test("without a history there is nothing to read", function()
  t.eq(state.open(root .. "/nothing", { readonly = true }), nil)
end)

fs.remove_tree(root)
