--- dex.run on a real PostgreSQL: order, transactions, failures, cancellation, faults.

local core = require "dex.core"
local db = require "dex.db"
local err = require "err"
local fixture = require "run_fixture"
local loop = require "dex.loop"
local run = require "dex.run"
local tap = require "tap"

local params = fixture.database()
local pool = db.pool(params, { size = 4 })
local side = db.pool(params, { size = 1 })

local function sql(text)
  local conn = side:lease()
  local ok, result = pcall(conn.exec, conn, text)
  conn:release()
  if not ok then error(result, 0) end
  return result
end

local function count(text) return sql("select count(*) from " .. text):get(1, 1) end

local function exists(name) return sql(("select to_regclass('%s') is not null"):format(name)):get(1, 1) end

-- Nodes "a", "b", ... from "a", "b < a", "c < a b".
local function plan(...)
  local nodes, index = {}, {}
  for i, text in ipairs { ... } do
    local id = text:match("^%w+")
    index[id] = i
    nodes[i] = { id = id, kind = "model", deps = {}, node = { name = id } }
    for parent in (text:match("<(.*)") or ""):gmatch("%w+") do table.insert(nodes[i].deps, index[parent]) end
  end
  return nodes
end

-- Runs nodes and notes in `log` what is reported and skipped; afterwards nothing may be left over.
local function execute(nodes, handlers, opts)
  local log, all = {}, {}
  all.report = function(ctx) log[#log + 1] = ctx.id .. ":" .. ctx.status end
  all.skip = function(ctx) log[#log + 1] = ("%s:%s(%s %s)"):format(ctx.id, ctx.status, ctx.reason, ctx.cause) end
  for name, fn in pairs(handlers) do all[name] = fn end
  opts = opts or {}
  if opts.pool == nil then opts.pool = pool end
  local summary = run.execute { nodes = nodes, threads = opts.threads or 4, pool = opts.pool or nil,
    fail_fast = opts.fail_fast, handlers = all }
  for _, used in ipairs { pool, opts.pool or nil } do
    tap.eq(used:counts().leased, 0, "leased connections")
    tap.eq(used:counts().waiting, 0, "waiting leases")
  end
  tap.eq(#core.tasks(), 1, "tasks")
  return log, summary
end

local function joined(list) return table.concat(list, " ") end

-- A copy of ctx as it is reported, by id.
local function keeper()
  local kept = {}
  return kept, function(ctx)
    local copy = {}
    for k, v in pairs(ctx) do copy[k] = v end
    kept[ctx.id] = copy
  end
end

-- The life of a node --------------------------------------------------------------------------------

tap.test("the phases come in their order, each in its place of the transaction", function()
  local seen = {}
  local handlers = {}
  for _, name in ipairs { "start", "compile", "pre_outside", "pre_hooks", "build", "post_hooks", "post_outside",
    "always",
    "on_failure", "report" } do
    handlers[name] = function(ctx)
      if name == "start" then ctx.has_always, ctx.has_on_failure = true, true end
      if name ~= "start" then tap.eq(ctx.phase, name) end
      seen[#seen + 1] = name .. "=" .. (ctx.conn and ctx.conn:txn() or "none")
    end
  end
  local _, summary = execute(plan "a", handlers)
  tap.eq(joined(seen), "start=none compile=idle pre_outside=idle pre_hooks=intrans build=intrans post_hooks=intrans " ..
    "post_outside=idle always=intrans report=none")
  tap.eq(summary.counts, { success = 1 })
  tap.eq(summary.cancelled, false)
end)

tap.test("every phase is timed", function()
  local kept, keep = keeper()
  execute(plan "a", { build = function() loop.sleep(0.03) end, compile = function() end, report = keep })
  local names = {}
  for i, timing in ipairs(kept.a.timings) do
    names[i] = timing.phase
    tap.ok(timing.started > 1.6e9 and timing.seconds >= 0)
    if timing.phase == "build" then tap.ok(timing.seconds >= 0.03 and timing.seconds < 5) end
  end
  tap.eq(joined(names), "lease compile begin build commit")
  tap.ok(kept.a.started_at > 1.6e9 and kept.a.started_at <= kept.a.timings[1].started)
end)

tap.test("what is built is committed, and ctx says so", function()
  local kept, keep = keeper()
  execute(plan "a", {
    build = function(ctx) ctx.conn:exec "create table committed_a as select 1 as n" end,
    post_outside = function(ctx) tap.eq(ctx.committed, true) end,
    report = keep,
  })
  tap.eq(exists "committed_a", true)
  tap.eq(kept.a.committed, true)
  tap.eq(kept.a.index, 1)
  tap.eq(kept.a.node, { name = "a" })
end)

tap.test("tests have no transaction, ephemeral nodes no connection", function()
  local nodes = plan("a", "b")
  nodes[1].kind, nodes[2].kind = "test", "ephemeral"
  local seen = {}
  local function note(ctx) seen[#seen + 1] = ctx.id .. "." .. ctx.phase .. "=" ..
    (ctx.conn and ctx.conn:txn() or "none") end
  execute(nodes, { compile = note, pre_hooks = note, build = note, post_hooks = note }, { threads = 1 })
  tap.eq(joined(seen), "a.compile=idle a.pre_hooks=idle a.build=idle a.post_hooks=idle b.compile=none")
end)

tap.test("ctx.transaction = false builds outside a transaction", function()
  local kept, keep = keeper()
  execute(plan "a", {
    compile = function(ctx) ctx.transaction = false end,
    build = function(ctx)
      tap.eq(ctx.conn:txn(), "idle")
      ctx.conn:exec "create table outside_a as select 1 as n"
    end,
    post_hooks = function(ctx) ctx.conn:exec "vacuum outside_a" end,
    report = keep,
  })
  tap.eq(kept.a.status, "success")
  tap.eq(kept.a.committed, true)
end)

tap.test("a node that needs no connection waits for none", function()
  local busy = pool:lease()
  local only = db.pool(params, { size = 1 })
  local held = only:lease()
  local summary = run.execute { nodes = plan "a", threads = 1, pool = only, handlers = {
    start = function(ctx) ctx.needs_connection = false end,
    compile = function(ctx) tap.eq(ctx.conn, nil) end } }
  tap.eq(summary.counts, { success = 1 })
  held:release()
  only:close()
  busy:release()
end)

tap.test("without a pool, nodes run all the same", function()
  local log, summary = execute(plan("a", "b < a"), { build = function(ctx) tap.eq(ctx.conn, nil) end },
    { pool = false })
  tap.eq(joined(log), "a:success b:success")
  tap.eq(summary.counts, { success = 2 })
end)

tap.test("a handler may name the status, and block what is below", function()
  local log, summary = execute(plan("a", "b < a", "c"), {
    build = function(ctx)
      if ctx.id == "a" then ctx.status, ctx.blocks = "fail", true end
      if ctx.id == "c" then ctx.status = "warn" end
    end }, { threads = 1 })
  tap.eq(joined(log), "a:fail b:skipped(ancestor a) c:warn")
  tap.eq(summary.counts, { fail = 1, skipped = 1, warn = 1 })
end)

-- Order -----------------------------------------------------------------------------------------------

tap.test("a node starts when its parents are reported, never earlier", function()
  local nodes, over, running, most = {}, {}, 0, 0
  for i = 1, 60 do
    nodes[i] = { id = "n" .. i, kind = "model", deps = {}, weight = i % 3 }
    for k = math.max(1, i - 7), i - 1 do
      if (i * k) % 5 == 0 then table.insert(nodes[i].deps, k) end
    end
  end
  execute(nodes, {
    start = function(ctx)
      for _, dep in ipairs(nodes[ctx.index].deps) do tap.ok(over[dep], "a parent has not ended") end
      running = running + 1
      most = math.max(most, running)
    end,
    compile = function(ctx) loop.sleep((ctx.index % 4) / 1000) end,
    report = function(ctx)
      over[ctx.index] = true
      running = running - 1
    end }, { threads = 3 })
  tap.eq(most, 3)
  tap.eq(#over, 60)
end)

tap.test("the longest remaining path comes first", function()
  local order = {}
  local nodes = plan("short", "long", "mid < long", "last < mid", "other")
  execute(nodes, { start = function(ctx) order[#order + 1] = ctx.id end }, { threads = 1 })
  tap.eq(joined(order), "long mid short last other")
  order = {}
  nodes = plan("light", "heavy", "equal")
  nodes[2].weight = 5
  execute(nodes, { start = function(ctx) order[#order + 1] = ctx.id end }, { threads = 1 })
  tap.eq(joined(order), "heavy light equal")
end)

tap.test("fewer connections than threads: nodes wait for one", function()
  local small = db.pool(params, { size = 2 })
  local leased, most = 0, 0
  execute(plan("a", "b", "c", "d", "e", "f"), {
    build = function(ctx)
      leased = leased + 1
      most = math.max(most, leased)
      ctx.conn:exec "select pg_sleep(0.01)"
      leased = leased - 1
    end }, { threads = 6, pool = small })
  tap.eq(most, 2)
  small:close()
end)

tap.test("more threads than nodes, no nodes, a node alone", function()
  local _, two = execute(plan("a", "b"), {}, { threads = 1000 })
  tap.eq(two.counts, { success = 2 })
  local _, summary = execute({}, {})
  tap.eq(summary, { cancelled = false, counts = {} })
end)

tap.test("two runs at once", function()
  local logs = {}
  local function one(name)
    local log = {}
    logs[name] = log
    run.execute { nodes = plan("a", "b < a"), threads = 2, pool = pool, handlers = {
      build = function(ctx) ctx.conn:exec "select pg_sleep(0.01)" end,
      report = function(ctx) log[#log + 1] = ctx.id .. ":" .. ctx.status end } }
  end
  local first, second = loop.spawn(one, "first"), loop.spawn(one, "second")
  first:wait()
  second:wait()
  tap.eq(joined(logs.first) .. "; " .. joined(logs.second), "a:success b:success; a:success b:success")
end)

-- Failure -----------------------------------------------------------------------------------------------

tap.test("a failure inside is rolled back, and what is below is skipped", function()
  local kept, keep = keeper()
  local skipped = {}
  local _, summary = execute(plan("a", "b < a", "c < b", "d", "e < c d"), {
    pre_hooks = function(ctx) ctx.conn:exec("create table fails_" .. ctx.id .. "()") end,
    build = function(ctx) if ctx.id == "a" then ctx.conn:exec "select 1/0" end end,
    report = keep,
    skip = function(ctx) skipped[#skipped + 1] = ("%s(%s %s)"):format(ctx.id, ctx.reason, ctx.cause) end })
  tap.eq(joined(skipped), "b(ancestor a) c(ancestor a) e(ancestor a)")
  tap.eq(summary.counts, { error = 1, success = 1, skipped = 3 })
  tap.eq({ kept.a.status, kept.a.failed_phase, kept.a.committed }, { "error", "build" })
  tap.eq({ kept.a.error.code, kept.a.error.sqlstate }, { 401, "22012" })
  tap.eq({ exists "fails_a", exists "fails_d" }, { false, true })
end)

tap.test("any raised value is an error object when it is reported", function()
  local kept, keep = keeper()
  local values = { a = "words", b = { message = "a table" }, c = err.new { code = 123, message = "own" }, d = 17 }
  execute(plan("a", "b", "c", "d", "e"), { report = keep, compile = function(ctx) error(values[ctx.id], 0) end })
  for id, node in pairs(kept) do
    tap.eq(node.status, "error")
    tap.ok(err.is(node.error), id)
    tap.eq(node.failed_phase, "compile")
  end
  tap.eq(kept.a.error.message, "words")
  tap.eq(kept.a.error.code, 901)
  tap.ok(kept.c.error == values.c)
end)

tap.test("a failed start fails the node", function()
  local kept, keep = keeper()
  execute(plan("a", "b < a"), { start = function() error "no" end, report = keep })
  tap.eq({ kept.a.status, kept.a.failed_phase, kept.a.conn }, { "error", "start" })
end)

tap.test("fail-fast: nothing starts after a failure, what runs is ended", function()
  local log, summary = execute(plan("a", "b", "c", "d < b"), {
    build = function(ctx)
      if ctx.id == "a" then error "no" end
      ctx.conn:exec "select pg_sleep(60)"
    end }, { threads = 2, fail_fast = true })
  -- d's remaining path makes b run before a, and c last
  tap.eq(joined(log), "a:error c:skipped(fail_fast a) d:skipped(fail_fast a) b:cancelled")
  tap.eq(summary.counts, { error = 1, cancelled = 1, skipped = 2 })
  tap.eq(summary.cancelled, false)
end)

tap.test("a hidden commit or rollback is found and named", function()
  for _, text in ipairs { "commit", "rollback", "commit; begin", "end; select 1", "commit and chain" } do
    for _, phase in ipairs { "pre_hooks", "build", "post_hooks" } do
      local kept, keep = keeper()
      execute(plan("a", "b < a"), { report = keep, [phase] = function(ctx) ctx.conn:exec(text) end })
      local what = text .. " in " .. phase
      tap.eq({ kept.a.status, kept.a.failed_phase }, { "error", phase }, what)
      tap.eq({ kept.a.error.code, kept.a.error.node, kept.a.error.phase }, { 505, "a", phase }, what)
      tap.ok(kept.a.error.message:find("phase " .. phase .. " of a", 1, true), what)
      tap.eq(kept.b, nil)
    end
  end
end)

tap.test("a caught error leaves nothing to commit: a failure, too", function()
  local kept, keep = keeper()
  execute(plan "a", { report = keep, build = function(ctx)
    ctx.conn:exec "create table aborted_a()"
    pcall(ctx.conn.exec, ctx.conn, "select 1/0")
  end })
  tap.eq({ kept.a.status, kept.a.error.code, kept.a.error.phase }, { "error", 514, "build" })
  tap.eq(exists "aborted_a", false)
end)

tap.test("a transaction left open outside is rolled back and is a failure", function()
  local kept, keep = keeper()
  execute(plan "a", { report = keep, post_outside = function(ctx) ctx.conn:exec "begin; create table open_a()" end,
    build = function(ctx) ctx.conn:exec "create table built_a()" end })
  tap.eq({ kept.a.status, kept.a.error.code, kept.a.failed_phase, kept.a.committed },
    { "error", 506, "post_outside", true })
  tap.eq({ exists "open_a", exists "built_a" }, { false, true })
end)

tap.test("a commit that the server refuses fails in phase commit", function()
  local kept, keep = keeper()
  execute(plan "a", { report = keep, build = function(ctx)
    ctx.conn:exec "create table deferred_a (n int unique deferrable initially deferred)"
    ctx.conn:exec "insert into deferred_a values (1), (1)"
  end })
  tap.eq({ kept.a.status, kept.a.failed_phase, kept.a.committed }, { "error", "commit" })
  tap.eq({ kept.a.error.code, kept.a.error.sqlstate, kept.a.error.node }, { 401, "23505", "a" })
  tap.eq(exists "deferred_a", false)
end)

tap.test("post_outside fails after the commit: the node is built, its children are skipped", function()
  local kept, keep = keeper()
  local _, summary = execute(plan("a", "b < a"), {
    build = function(ctx) ctx.conn:exec "create table kept_a()" end,
    post_outside = function() error "no" end, report = keep })
  tap.eq({ kept.a.status, kept.a.committed, kept.a.failed_phase }, { "error", true, "post_outside" })
  tap.eq(exists "kept_a", true)
  tap.eq(summary.counts, { error = 1, skipped = 1 })
end)

tap.test("after a failure: rollback, on_failure, always, report, each on its own transaction", function()
  sql "create table told (what text)"
  local seen = {}
  local function tell(what)
    return function(ctx)
      seen[#seen + 1] = what .. "=" .. (ctx.conn and ctx.conn:txn() or "none")
      if ctx.conn then ctx.conn:exec(("insert into told values ('%s')"):format(what)) end
      tap.ok(ctx.error and ctx.failed_phase == "build")
    end
  end
  local _, summary = execute(plan "a", {
    start = function(ctx) ctx.has_always, ctx.has_on_failure = true, true end,
    build = function(ctx)
      ctx.conn:exec "insert into told values ('build')"
      error "no"
    end,
    on_failure = tell "on_failure", always = tell "always", report = tell "report" })
  tap.eq(joined(seen), "on_failure=intrans always=intrans report=none")
  tap.eq(count "told", 2)
  tap.eq(count "told where what = 'build'", 0)
  tap.eq(summary.counts, { error = 1 })
end)

tap.test("on_failure and always are called for nodes that have them only", function()
  local called = {}
  local function note(ctx) called[#called + 1] = ctx.id .. "." .. ctx.phase end
  execute(plan("a", "b"), {
    compile = function(ctx) ctx.has_always = ctx.id == "b" end,
    build = function() error "no" end, on_failure = note, always = note }, { threads = 1 })
  tap.eq(joined(called), "b.always")
end)

tap.test("a failing on_failure does not stop always, and keeps the first error", function()
  local kept, keep = keeper()
  execute(plan "a", {
    start = function(ctx) ctx.has_always, ctx.has_on_failure = true, true end,
    build = function() error("first", 0) end,
    on_failure = function(ctx) ctx.conn:exec "select 1/0" end,
    always = function(ctx)
      ctx.conn:exec "create table always_a()"
      ctx.always = ctx.conn:txn()
    end, report = keep })
  tap.eq({ kept.a.error.message, kept.a.always, #kept.a.later_errors }, { "first", "intrans", 1 })
  tap.eq(kept.a.later_errors[1].sqlstate, "22012")
  tap.eq(exists "always_a", true)
end)

tap.test("a failing always fails a node that was a success", function()
  local kept, keep = keeper()
  execute(plan("a", "b < a"), {
    start = function(ctx) ctx.has_always = true end,
    build = function(ctx) ctx.conn:exec "create table before_always_a()" end,
    always = function(ctx) ctx.conn:exec "create table in_always_a(); select 1/0" end, report = keep })
  tap.eq({ kept.a.status, kept.a.failed_phase, kept.a.committed, kept.b }, { "error", "always", true })
  tap.eq({ exists "before_always_a", exists "in_always_a" }, { true, false })
end)

tap.test("a report that fails is raised by execute, after everything has ended", function()
  local reported, skipped = {}, {}
  local e = tap.raises(function()
    execute(plan("a", "b", "c < a"), {
      build = function(ctx) loop.sleep(ctx.id == "a" and 0 or 0.1) end,
      report = function(ctx)
        reported[#reported + 1] = ctx.id
        error("broken report of " .. ctx.id, 0)
      end,
      skip = function(ctx) skipped[#skipped + 1] = ctx.id .. " " .. ctx.reason end }, { threads = 2 })
  end, "broken report of a")
  tap.ok(err.is(e))
  tap.eq(joined(reported) .. "; " .. joined(skipped), "a b; c defect")
  tap.eq(pool:counts().leased, 0)
  tap.raises(function()
    execute(plan("a", "b < a"), { build = function() error "no" end, skip = function() error("broken skip", 0) end })
  end, "broken skip")
end)

-- Connections -------------------------------------------------------------------------------------------

tap.test("a connection that dies fails its node only", function()
  local kept, keep = keeper()
  local _, summary = execute(plan("a", "b", "c < b", "d < a"), {
    start = function(ctx) ctx.has_on_failure = true end,
    build = function(ctx)
      if ctx.id ~= "a" then return ctx.conn:exec "select pg_sleep(0.02)" end
      sql(("select pg_terminate_backend(%d)"):format(ctx.conn.pid))
      ctx.conn:exec "select pg_sleep(1)"
    end,
    on_failure = function(ctx) ctx.alive = ctx.conn:exec("select 1"):get(1, 1) end,
    report = keep }, { threads = 2 })
  tap.eq(summary.counts, { error = 1, success = 2, skipped = 1 })
  tap.eq({ kept.a.status, kept.a.failed_phase, kept.a.alive }, { "error", "build", 1 })
  tap.ok(kept.a.error.code >= 400 and kept.a.error.code < 500)
end)

tap.test("a connection that dies between statements is found by the next one of ours", function()
  local kept, keep = keeper()
  execute(plan "a", { report = keep, post_hooks = function(ctx)
    sql(("select pg_terminate_backend(%d)"):format(ctx.conn.pid))
    loop.sleep(0.05)
  end })
  tap.eq(kept.a.status, "error")
  tap.ok(kept.a.error.code >= 400 and kept.a.error.code < 500)
  tap.eq(kept.a.committed, nil)
end)

tap.test("a server that cannot be reached fails every node with its words", function()
  local nowhere = {}
  for k, v in pairs(params) do nowhere[k] = v end
  nowhere.dbname = "no_such_database"
  local bad = db.pool(nowhere, { size = 2 })
  local kept, keep = keeper()
  local _, summary = execute(plan("a", "b", "c < b"), {
    start = function(ctx) ctx.has_always = true end,
    always = function() error "is not called" end, report = keep }, { pool = bad, threads = 2 })
  tap.eq(summary.counts, { error = 2, skipped = 1 })
  tap.eq(kept.a.failed_phase, "lease")
  tap.ok(kept.a.error.message:find("no_such_database", 1, true))
  bad:close()
end)

-- Cancellation ------------------------------------------------------------------------------------------

-- Cancels after a while, from another task.
local function cancel_after(seconds, reason)
  return loop.spawn(function()
    loop.sleep(seconds)
    run.cancel(reason or "SIGINT")
  end)
end

local function sleeping()
  return count [[pg_stat_activity where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
    and query like '%pg_sleep(6%']]
end

tap.test("cancel ends queries on the server, rolls back, and tells every node", function()
  local kept, keep = keeper()
  local skipped = {}
  local time = require "dex.time"
  local started = time.mono()
  local helper = cancel_after(0.2)
  local _, summary = execute(plan("a", "b", "c < a", "d", "e"), {
    pre_hooks = function(ctx) ctx.conn:exec("create table cancelled_" .. ctx.id .. "()") end,
    build = function(ctx)
      if ctx.id == "d" then return end
      ctx.conn:exec "select pg_sleep(60)"
    end,
    report = keep,
    skip = function(ctx) skipped[#skipped + 1] = ("%s(%s)"):format(ctx.id, ctx.cause) end }, { threads = 3 })
  helper:wait()
  tap.ok(time.mono() - started < 5)
  tap.eq(sleeping(), 0)
  tap.eq({ summary.cancelled, summary.reason }, { true, "SIGINT" })
  tap.eq(joined(skipped), "c(cancelled)")
  tap.eq({ kept.a.status, kept.b.status, kept.d.status, kept.e.status },
    { "cancelled", "cancelled", "success", "cancelled" })
  tap.eq({ exists "cancelled_a", exists "cancelled_d" }, { false, true })
  tap.eq(summary.counts, { cancelled = 3, success = 1, skipped = 1 })
end)

tap.test("cancel ends other waits, and handlers that catch it and go on", function()
  local kept, keep = keeper()
  local caught = 0
  local helper = cancel_after(0.1)
  execute(plan("a", "b"), {
    build = function(ctx)
      if ctx.id == "a" then loop.sleep(60) end
      for _ = 1, 3 do
        local ok = pcall(ctx.conn.exec, ctx.conn, "select pg_sleep(60)")
        pcall(ctx.conn.exec, ctx.conn, "rollback")
        if not ok then caught = caught + 1 end
      end
    end,
    report = keep }, { threads = 2 })
  helper:wait()
  tap.eq({ kept.a.status, kept.b.status, caught }, { "cancelled", "cancelled", 3 })
  tap.eq(sleeping(), 0)
end)

tap.test("cancel while waiting for a connection, and before anything began", function()
  local only = db.pool(params, { size = 1 })
  local held = only:lease()
  local kept, keep = keeper()
  local helper = cancel_after(0.05)
  local summary = run.execute { nodes = plan("a", "b"), threads = 2, pool = only, handlers = { report = keep } }
  helper:wait()
  tap.eq(summary.counts, { cancelled = 2 })
  tap.eq({ kept.a.status, kept.a.failed_phase, only:counts().waiting }, { "cancelled", "lease", 0 })
  held:release()
  only:close()
  local starts = 0
  helper = loop.spawn(run.cancel)
  local log = execute(plan("a", "b < a"), { start = function() starts = starts + 1 end })
  helper:wait()
  tap.eq(joined(log), "b:skipped(cancelled cancelled) a:cancelled")
  tap.eq(starts, 1, "what is reported was started")
  helper = loop.spawn(run.cancel)
  run.execute { nodes = plan "a", threads = 1, pool = pool, handlers = { report = keep } }
  helper:wait()
  tap.eq({ kept.a.status, kept.a.failed_phase }, { "cancelled", "start" })
end)

tap.test("a cancelled node goes through always, not through on_failure", function()
  local kept, keep = keeper()
  local seen = {}
  local helper = cancel_after(0.1)
  execute(plan "a", {
    start = function(ctx) ctx.has_always, ctx.has_on_failure = true, true end,
    build = function(ctx) ctx.conn:exec "select pg_sleep(60)" end,
    on_failure = function() seen[#seen + 1] = "on_failure" end,
    always = function(ctx)
      ctx.conn:exec "select pg_sleep(0.3)" -- longer than the time after which others are asked again
      seen[#seen + 1] = "always"
    end, report = keep })
  helper:wait()
  tap.eq({ joined(seen), kept.a.status, kept.a.later_errors }, { "always", "cancelled" })
end)

tap.test("a handler may cancel the run it belongs to", function()
  local log, summary = execute(plan("a", "b < a"), {
    build = function(ctx)
      run.cancel "enough"
      ctx.conn:exec "select 1"
    end })
  tap.eq(joined(log), "b:skipped(cancelled cancelled) a:cancelled")
  tap.eq(summary.reason, "enough")
end)

tap.test("a run whose waiting task is cancelled ends by itself", function()
  local reports = {}
  local task = loop.spawn(function()
    run.execute { nodes = plan("a", "b < a"), threads = 1, pool = pool, handlers = {
      build = function(ctx) ctx.conn:exec "select pg_sleep(60)" end,
      report = function(ctx) reports[#reports + 1] = ctx.id .. ":" .. ctx.status end } }
  end)
  loop.sleep(0.1)
  task:cancel()
  tap.raises(function() task:wait() end, "cancelled")
  loop.sleep(0.3)
  collectgarbage()
  tap.eq(joined(reports), "a:cancelled")
  tap.eq({ pool:counts().leased, sleeping(), #core.tasks() }, { 0, 0, 1 })
end)

-- Faults ------------------------------------------------------------------------------------------------

-- Makes the nth statement of the run fail, for n = 1, 2, ... until none is left to fail: each time everything
-- must come to its end, with nothing left over, and either everything of a node is there or nothing.
local function fault_loop(break_it)
  for n = 1, 100 do
    sql "drop schema if exists faults cascade; create schema faults"
    local statements, kept, keep = 0, keeper()
    local function exec(ctx, text)
      statements = statements + 1
      if statements == n then return break_it(ctx, text) end
      return ctx.conn:exec(text)
    end
    local _, summary = execute(plan("a", "b < a", "c", "d < b c"), {
      start = function(ctx) ctx.has_always, ctx.has_on_failure = true, true end,
      compile = function(ctx) exec(ctx, "select 1") end,
      pre_outside = function(ctx) exec(ctx, "select 2") end,
      pre_hooks = function(ctx) exec(ctx, ("create table faults.%s_pre()"):format(ctx.id)) end,
      build = function(ctx) exec(ctx, ("create table faults.%s()"):format(ctx.id)) end,
      post_hooks = function(ctx) exec(ctx, ("create table faults.%s_post()"):format(ctx.id)) end,
      post_outside = function(ctx) exec(ctx, "select 3") end,
      on_failure = function(ctx) exec(ctx, ("create table faults.%s_failed()"):format(ctx.id)) end,
      always = function(ctx) exec(ctx, ("create table faults.%s_always()"):format(ctx.id)) end,
      report = keep }, { threads = 2 })
    local counts = summary.counts
    tap.eq((counts.success or 0) + (counts.error or 0) + (counts.skipped or 0), 4)
    for id, ctx in pairs(kept) do
      local there = ctx.committed == true
      for _, suffix in ipairs { "_pre", "", "_post" } do
        tap.eq(exists("faults." .. id .. suffix), there, ("fault %d, %s%s"):format(n, id, suffix))
      end
    end
    if statements < n then
      tap.eq(counts, { success = 4 })
      return n - 1
    end
  end
  error "the fault loop has no end"
end

tap.test("fault loop: the nth statement fails", function()
  tap.eq(fault_loop(function(ctx) return ctx.conn:exec "select 1/0" end), 28)
end)

tap.test("fault loop: the connection dies at the nth statement", function()
  tap.eq(fault_loop(function(ctx, text)
    sql(("select pg_terminate_backend(%d)"):format(ctx.conn.pid))
    return ctx.conn:exec(text)
  end), 28)
end)

tap.test("fault loop: the nth statement is followed by a hidden commit", function()
  fault_loop(function(ctx, text)
    if ctx.conn:txn() ~= "intrans" then error "no" end
    ctx.conn:exec(text)
    error "raised while inside"
  end)
end)

-- Size ------------------------------------------------------------------------------------------------

tap.test("10,000 nodes: under 10 kB each", function()
  local fs = require "dex.fs"
  local function resident() return tonumber(fs.read("/proc/self/statm"):match("^%d+ (%d+)")) * 4096 end
  local nodes = {}
  for i = 1, 10000 do
    nodes[i] = { id = "n" .. i, kind = "model", deps = i > 20 and { i - 20, i - 7 } or {} }
  end
  collectgarbage()
  local before = fs.exists "/proc/self/statm" and resident() or 0
  local _, summary = execute(nodes, { compile = function() end, build = function() end }, { pool = false, threads = 8 })
  tap.eq(summary.counts, { success = 10000 })
  if before > 0 then tap.ok(resident() - before < 10000 * 10000, "memory") end
end)

-- Arguments ---------------------------------------------------------------------------------------------

tap.test("wrong arguments are the caller's mistake", function()
  local function try(fields, pattern)
    local all = { nodes = plan "a", threads = 1, handlers = {} }
    for k, v in pairs(fields) do all[k] = v end
    tap.raises(function() run.execute(all) end, pattern)
  end
  try({ nodes = 1 }, "`nodes` is a list")
  try({ threads = 0 }, "`threads` at least 1")
  try({ handlers = 1 }, "`handlers` is a table")
  try({ handlers = { biuld = print } }, "no handler 'biuld'")
  try({ handlers = { commit = print } }, "no handler 'commit'")
  try({ handlers = { build = 1 } }, "'build' is no function")
  try({ nodes = { { id = 1, kind = "model" } } }, "`id` and `kind`")
  try({ nodes = { { id = "a", kind = "model", deps = { 2 } } } }, "`deps` are indexes")
  try({ nodes = { { id = "a", kind = "model", weight = -1 } } }, "weight is not negative")
  local cyclic = plan("a", "b < a", "c < b")
  cyclic[1].deps = { 3 }
  local e = tap.raises(function() run.execute { nodes = cyclic, handlers = {} } end, "a %-> b %-> c %-> a")
  tap.eq(e.code, 302)
end)

tap.test("the phase table", function()
  local names, transactions = {}, {}
  for i, phase in ipairs(run.phases()) do
    names[i], transactions[i] = phase.name, phase.transaction
    tap.ok(#phase.does > 0 and #phase.when > 0 and type(phase.skipped_by) == "table")
  end
  tap.eq(joined(names),
    "lease compile pre_outside begin pre_hooks build post_hooks commit post_outside on_failure always report")
  tap.eq(joined(transactions), "none none none opens inside inside inside closes none own own none")
end)

pool:close()
side:close()
fixture.clean()
