--- Several runs of dex.run at once in one process: each is cancelled alone, and a pool that is closed too early waits
-- for those who work with it.

local db = require "dex.db"
local fixture = require "run_fixture"
local loop = require "dex.loop"
local run = require "dex.run"
local tap = require "tap"

local params = fixture.database()

local function node(id) return { id = id, kind = "model", deps = {}, node = { name = id } } end

-- Runs one node beside us; gives its handle, and where its report comes.
local function beside(pool, owner, build)
  local reported = {}
  local work = loop.spawn(function()
    return run.execute { nodes = { node "a" }, threads = 1, pool = pool, owner = owner, handlers = { build = build,
      report = function(ctx) reported.status, reported.committed = ctx.status, ctx.committed end } }
  end)
  return work, reported
end

tap.test("cancel with an owner ends the runs of that owner alone", function()
  local pool = db.pool(params, { size = 2 })
  local mine, other = {}, {}
  local building, gate = 0, loop.spawn(loop.sleep, 60)
  local function build(ctx)
    building = building + 1
    if building == 2 then gate:cancel() end
    ctx.conn:exec "select pg_sleep(1)"
  end
  local first, of_first = beside(pool, mine, build)
  local second, of_second = beside(pool, other, build)
  pcall(gate.wait, gate)
  run.cancel("late", mine)
  tap.eq(first:wait(), { cancelled = true, reason = "late", counts = { cancelled = 1 } })
  tap.eq(second:done(), false)
  tap.eq(second:wait().cancelled, false)
  tap.eq({ of_first.status, of_second.status, of_second.committed }, { "cancelled", "success", true })
  pool:close()
end)

-- Closes a pool while a run is at work with it. Nobody refers to either afterwards.
local function close_too_early()
  local pool = db.pool(params, { size = 2 })
  local gate = loop.spawn(loop.sleep, 60)
  local work, reported = beside(pool, nil, function(ctx)
    gate:cancel()
    ctx.conn:exec "select pg_sleep(0.1)"
    ctx.conn:exec "create table closed_too_early as select 1 as n"
  end)
  pcall(gate.wait, gate)
  pool:close()
  local ok, e = pcall(pool.lease, pool)
  tap.eq({ ok, e.message }, { false, "this pool of connections is closed" })
  tap.eq(work:wait().counts, { success = 1 })
  tap.eq(reported, { status = "success", committed = true })
end

tap.test("a pool that is closed while a run is at work takes nothing new, and the run comes to its end", function()
  close_too_early()
  collectgarbage()
  collectgarbage()
  local side = db.pool(params, { size = 1 })
  local conn = side:lease()
  tap.eq(conn:exec("select count(*) from closed_too_early"):get(1, 1), 1)
  local others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
  repeat until conn:exec(others):get(1, 1) == 0 -- the server notices that the pool's connections are gone
  conn:release()
  side:close()
end)

fixture.clean()
