--- dex.db on a real PostgreSQL: results, parameters, COPY, cancelling, the pool, and what breaks.

local core = require "dex.core"
local copying = require "run.copy"
local db = require "dex.db"
local fixture = require "run_fixture"
local fs = require "dex.fs"
local loop = require "dex.loop"
local tap = require "tap"
local value = require "jinja.value"

local params = fixture.database()
local pool = db.pool(params, { size = 2 })
local conn = pool:lease()
local side = db.pool(params, { size = 1 })

local function with(changes)
  local all = {}
  for k, v in pairs(params) do all[k] = v end
  for k, v in pairs(changes) do all[k] = v end
  return all
end

local function sql(text)
  local other = side:lease()
  local ok, result = pcall(other.exec, other, text)
  other:release()
  if not ok then error(result, 0) end
  return result
end

-- Waits until the server says so.
local function wait_for(query)
  for _ = 1, 500 do
    if sql(query):get(1, 1) then return end
    loop.sleep(0.01)
  end
  error("this never became true: " .. query, 2)
end

-- Results ---------------------------------------------------------------------------------------------

tap.test("values have Lua's types where PostgreSQL's are the same", function()
  local r = conn:exec [[select 1::int2, 2::int4, 9223372036854775807::int8, 1.5::float4, 'NaN'::float8,
    '-Infinity'::float8, true, false, null, 12.50::numeric, 'text', '2026-01-02'::date, array[1,2], 7::oid]]
  tap.eq({ r:get(1, 1), r:get(1, 2), r:get(1, 3), r:get(1, 4) }, { 1, 2, math.maxinteger, 1.5 })
  tap.ok(r:get(1, 5) ~= r:get(1, 5))
  tap.eq({ r:get(1, 6), r:get(1, 7), r:get(1, 8) }, { -math.huge, true, false })
  tap.eq(r:get(1, 9), nil)
  tap.eq({ r:get(1, 10), r:get(1, 11), r:get(1, 12), r:get(1, 13), r:get(1, 14) },
    { "12.50", "text", "2026-01-02", "{1,2}", 7 })
  tap.eq({ r:text(1, 7), r:text(1, 9) }, { "t" })
  tap.eq({ #r, r.status, r.affected, r.all }, { 1, "SELECT 1", 1 })
  tap.eq(r.types[3], 20)
  tap.raises(function() r:get(2, 1) end, "no such row")
  tap.raises(function() r:get(1, 15) end, "no such column")
  tap.eq(r.nothing, nil)
end)

tap.test("several statements give several results, and the last is the result", function()
  local r = conn:exec "create temp table t (a int); insert into t values (1), (2); select a from t order by a"
  tap.eq({ #r.all, r.all[1].status, r.all[2].status, r.all[2].affected, r.status },
    { 3, "CREATE TABLE", "INSERT 0 2", 2, "SELECT 2" })
  tap.eq(r.columns, { "a" })
  tap.eq(conn:exec("drop table t").affected, nil)
end)

tap.test("an empty query is no error", function()
  for _, text in ipairs { "", ";", "-- nothing", "/* nothing */" } do
    local r = conn:exec(text)
    tap.eq({ #r, #r.columns, r.status }, { 0, 0, "" })
  end
end)

tap.test("an error says what the server said, and where", function()
  local text = "select 1;\nselect nothing_here"
  local e = tap.raises(function() conn:exec(text) end, 'column "nothing_here" does not exist')
  tap.eq({ e.code, e.sqlstate, e.position, e.sql, e.severity }, { 401, "42703", 18, text, "ERROR" })
  text = "do $$ begin raise exception 'no' using detail = 'd', hint = 'h'; end $$"
  e = tap.raises(function() conn:exec(text) end, "^no$")
  tap.eq({ e.detail, e.hint, e.sqlstate }, { "d", "h", "P0001" })
  tap.ok(e.context:find("PL/pgSQL"))
  tap.eq(conn:txn(), "idle")
end)

tap.test("parameters are bound, never pasted", function()
  local printed = setmetatable({}, { __tostring = function() return "printed" end })
  local r = conn:exec("select $1::text, $2::int, $3::float8, $4::bool, $5::text, $6::text, $7::text", "it's; drop", 3,
    0.1, true, nil, value.none, printed)
  tap.eq({ r:get(1, 1), r:get(1, 2), r:get(1, 3), r:get(1, 4) }, { "it's; drop", 3, 0.1, true })
  tap.eq({ r:get(1, 5) == nil, r:get(1, 6) == nil, r:get(1, 7) }, { true, true, "printed" })
  tap.eq(conn:exec("select $1::float8", math.huge):get(1, 1), math.huge)
  tap.eq(tap.raises(function() conn:exec("select $1", {}) end, "a table cannot be bound").code, 407)
  tap.eq(tap.raises(function() conn:exec("select $1", "a\0b") end, "zero byte").code, 407)
  tap.eq(tap.raises(function() conn:exec "select '\0'" end, "zero byte").code, 407)
  tap.raises(function() conn:exec("select 1; select $1::int", 1) end, "cannot insert multiple commands")
end)

tap.test("literals are quoted by the connection's rules", function()
  tap.eq({ conn:escape_literal "it's", conn:escape_literal "a\\b" }, { "'it''s'", " E'a\\\\b'" })
  tap.eq(conn:exec("select " .. conn:escape_literal "x\\'y"):get(1, 1), "x\\'y")
  tap.eq(tap.raises(function() conn:escape_literal "\xff" end, "multibyte").code, 401)
end)

tap.test("notices are told in their order", function()
  local told = {}
  local function tell(severity, text) told[#told + 1] = severity .. " " .. text end
  local noisy = db.pool(params, { size = 1, on_notice = tell })
  local own = noisy:lease()
  own:exec "do $$ begin raise notice 'one'; raise warning 'two'; end $$; drop table if exists never_was"
  tap.eq(told, { "NOTICE one", "WARNING two", 'NOTICE table "never_was" does not exist, skipping' })
  pcall(own.exec, own, "do $$ begin raise notice 'three'; raise exception 'no'; end $$")
  tap.eq(told[4], "NOTICE three")
  noisy:close()
end)

tap.test("a result of many rows", function()
  local r = conn:exec "select i, repeat('x', 100) from generate_series(1, 100000) i"
  tap.eq({ #r, r:get(100000, 1), #r:get(77777, 2) }, { 100000, 100000, 100 })
end)

-- Transactions ------------------------------------------------------------------------------------------

tap.test("the state of the transaction is the server's", function()
  conn:exec "begin"
  tap.eq(conn:txn(), "intrans")
  pcall(conn.exec, conn, "select 1/0")
  tap.eq(conn:txn(), "inerror")
  conn:exec "rollback"
  tap.eq(conn:txn(), "idle")
  local beside = loop.spawn(function() return conn:exec "select pg_sleep(0.05)" end)
  loop.sleep(0)
  tap.eq(conn:txn(), "active")
  beside:wait()
  tap.eq(conn:txn(), "idle")
end)

tap.test("statements of several tasks on one connection follow each other", function()
  conn:exec "create temp table seen (n int)"
  local tasks = {}
  for i = 1, 5 do
    local text = ("insert into seen values (%d); select count(*) from seen"):format(i)
    tasks[i] = loop.spawn(function() return conn:exec(text):get(1, 1) end)
  end
  local counts = {}
  for i = 1, 5 do counts[i] = tasks[i]:wait() end
  tap.eq(counts, { 1, 2, 3, 4, 5 })
end)

tap.test("a cancelled task's statement is ended on the server, and the connection goes on", function()
  local task = loop.spawn(function() conn:exec "select pg_sleep(60)" end)
  wait_for "select exists (select from pg_stat_activity where query = 'select pg_sleep(60)' and state = 'active')"
  task:cancel()
  tap.raises(function() task:wait() end, "cancelled")
  tap.eq(conn:exec("select 1"):get(1, 1), 1)
  tap.eq(sql("select count(*) from pg_stat_activity where query = 'select pg_sleep(60)'"):get(1, 1), 0)
end)

tap.test("a late cancel never hits the next statement", function()
  for _ = 1, 50 do
    local task = loop.spawn(function() conn:exec "select 1" end)
    loop.sleep(0)
    task:cancel()
    pcall(task.wait, task)
    tap.eq(conn:exec("select 2"):get(1, 1), 2)
  end
end)

tap.test("what was not sent yet is withdrawn", function()
  conn:exec "create temp table withdrawn (n int)"
  local first = loop.spawn(function() conn:exec "select pg_sleep(0.1)" end)
  loop.sleep(0)
  local second = loop.spawn(function() conn:exec "insert into withdrawn values (1)" end)
  loop.sleep(0)
  second:cancel()
  first:wait()
  pcall(second.wait, second)
  tap.eq(conn:exec("select count(*) from withdrawn"):get(1, 1), 0)
end)

-- COPY --------------------------------------------------------------------------------------------------

tap.test("copy from a function that waits, in pieces of any size", function()
  conn:exec "create temp table copied (a int, b text)"
  local n = 0
  local rows = copying.into(conn, "copy copied from stdin", function()
    n = n + 1
    loop.sleep(0)
    if n <= 100 then return ("%d\t%s\n"):format(n, ("x"):rep(n * 1000)) end
  end)
  tap.eq({ rows, conn:exec("select sum(length(b)) from copied"):get(1, 1) }, { 100, 5050000 })
end)

tap.test("copy from a file, from an offset on", function()
  local path = os.tmpname()
  fs.write(path, "a,b\n" .. ("1,one\n"):rep(100000))
  conn:exec "truncate copied"
  tap.eq(copying.into(conn, "copy copied from stdin (format csv)", { file = path, from = 4 }), 100000)
  os.remove(path)
  local function copy(file) copying.into(conn, "copy copied from stdin", { file = file, from = 0 }) end
  local e = tap.raises(function() copy(path) end, "No such file")
  tap.eq({ e.code, e.file }, { 405, path })
  e = tap.raises(function() copy "/" end, "cannot read the file")
  tap.eq({ e.code, conn:txn() }, { 405, "idle" })
  tap.eq(conn:exec("select count(*) from copied"):get(1, 1), 100000)
end)

tap.test("a source that raises copies nothing, and its error is the error", function()
  conn:exec "begin; truncate copied"
  local n = 0
  tap.raises(function()
    copying.into(conn, "copy copied from stdin", function()
      n = n + 1
      if n > 3 then error("the source broke", 0) end
      return "1\tx\n"
    end)
  end, "^the source broke$")
  tap.eq(conn:txn(), "inerror")
  conn:exec "rollback"
  tap.eq(conn:exec("select count(*) from copied"):get(1, 1), 100000)
end)

tap.test("what the server refuses in a copy", function()
  tap.eq(copying.into(conn, "copy copied from stdin", function() end), 0)
  local e = tap.raises(function()
    local sent
    copying.into(conn, "copy copied from stdin", function()
      if not sent then
        sent = true
        return "nothing\tx\n"
      end
    end)
  end, "invalid input syntax")
  tap.ok(e.context:find("COPY copied, line 1"))
  tap.eq(tap.raises(function() copying.into(conn, "copy no_table from stdin", print) end, "no_table").code, 401)
  tap.eq(tap.raises(function() copying.into(conn, "select 1", print) end, "takes no data").code, 404)
  tap.eq(conn:exec("select 3"):get(1, 1), 3)
end)

tap.test("COPY in a plain statement ends with an error, not with a wait", function()
  tap.raises(function() conn:exec "copy copied from stdin" end, "a plain statement has no data")
  local e = tap.raises(function() conn:exec "copy (select generate_series(1, 100000)) to stdout" end, "COPY TO STDOUT")
  tap.eq({ e.code, conn:txn() }, { 406, "idle" })
end)

tap.test("a copy that is cancelled", function()
  local task = loop.spawn(function()
    copying.into(conn, "copy copied from stdin", function()
      loop.sleep(60)
      return ""
    end)
  end)
  loop.sleep(0.05)
  task:cancel()
  tap.raises(function() task:wait() end, "cancelled")
  tap.eq({ conn:exec("select 4"):get(1, 1), conn:txn() }, { 4, "idle" })
end)

-- The pool ----------------------------------------------------------------------------------------------

tap.test("a second connection is made, a third waits its turn", function()
  local second = pool:lease()
  tap.ok(second.pid ~= conn.pid)
  local third = loop.spawn(function()
    local c = pool:lease()
    local pid = c.pid
    c:release()
    return pid
  end)
  loop.sleep(0.01)
  tap.eq({ pool:counts().leased, pool:counts().waiting }, { 2, 1 })
  local pid = second.pid
  second:release()
  tap.eq(third:wait(), pid)
  tap.eq({ pool:counts().leased, pool:counts().idle, pool:counts().waiting }, { 1, 1, 0 })
end)

tap.test("what was left open is rolled back before the next one has it", function()
  local only = db.pool(params, { size = 1 })
  local c = only:lease()
  c:exec "begin; create table left_open ()"
  c:release()
  c = only:lease()
  tap.eq({ c:txn(), c:exec("select to_regclass('left_open') is null"):get(1, 1) }, { "idle", true })
  only:close()
end)

tap.test("a connection that died in the pool is replaced", function()
  local only = db.pool(params, { size = 1 })
  local c = only:lease()
  local pid = c.pid
  c:release()
  sql(("select pg_terminate_backend(%d)"):format(pid))
  wait_for(("select not exists (select from pg_stat_activity where pid = %d)"):format(pid))
  loop.sleep(0)
  c = only:lease()
  tap.ok(c.pid ~= pid)
  tap.eq(c:exec("select 1"):get(1, 1), 1)
  only:close()
end)

tap.test("a connection that dies under a statement says so", function()
  local only = db.pool(params, { size = 1 })
  local c = only:lease()
  local task = loop.spawn(function() c:exec "select pg_sleep(60)" end)
  wait_for(("select exists (select from pg_stat_activity where pid = %d and state = 'active')"):format(c.pid))
  sql(("select pg_terminate_backend(%d)"):format(c.pid))
  local e = tap.raises(function() task:wait() end, "lost: terminating connection due to administrator command")
  tap.eq({ e.code, e.sql, c:txn() }, { 402, "select pg_sleep(60)", "broken" })
  tap.eq(tap.raises(function() c:exec "select 1" end, "lost").code, 402)
  c:release()
  only:close()
end)

tap.test("a connection that nobody holds goes back", function()
  local only = db.pool(params, { size = 1 })
  do
    local _ = only:lease()
  end
  collectgarbage()
  collectgarbage()
  tap.eq(only:counts().leased, 0)
  only:close()
end)

tap.test("a server with no room left: the pool makes do with what it has", function()
  local role = "dex_few_" .. params.dbname
  sql(("create role %s login connection limit 1 password 'few'"):format(role))
  local few = db.pool(with { user = role, password = "few" }, { size = 3 })
  local first = few:lease()
  local second = loop.spawn(function()
    local c = few:lease()
    c:release()
    return "served"
  end)
  loop.sleep(0.1)
  first:release()
  tap.eq(second:wait(), "served")
  few:close()
  wait_for(("select not exists (select from pg_stat_activity where usename = '%s')"):format(role))
  sql("drop role " .. role)
end)

tap.test("a server that is not there", function()
  local nowhere = db.pool({ host = "127.0.0.1", port = "1", user = "x", dbname = "x" }, { size = 1 })
  local e = tap.raises(function() nowhere:lease() end, "Connection refused")
  tap.eq({ e.code, e.hint }, { 403, "Is the server running on that host and accepting TCP/IP connections?" })
  nowhere:close()
  e = tap.raises(function() db.pool({ host = "/nowhere", dbname = "x" }, { size = 1 }):lease() end, "/nowhere")
  tap.eq(e.code, 403)
  e = tap.raises(function() db.pool({ no_such_keyword = "x" }, { size = 1 }):lease() end, "no_such_keyword")
  tap.eq(e.code, 403)
end)

tap.test("a server that never answers: the time limit", function()
  local dir = os.tmpname()
  os.remove(dir)
  fs.mkdirs(dir)
  local helper = io.popen(([[exec python3 -c 'import os, signal, socket
s = socket.socket(socket.AF_UNIX); s.bind("%s/.s.PGSQL.5432"); s.listen(5)
print(os.getpid(), flush=True); signal.pause()']]):format(dir))
  local pid = helper:read "l"
  local deaf = db.pool({ host = dir, port = "5432", dbname = "x", connect_timeout = "0.2" }, { size = 1 })
  local e = tap.raises(function() deaf:lease() end, "did not answer in time")
  tap.eq(e.code, 403)
  deaf:close()
  os.execute("kill " .. pid)
  helper:close()
  fs.remove_tree(dir)
end)

tap.test("what was given back or closed cannot be used", function()
  local only = db.pool(params, { size = 1 })
  local c = only:lease()
  c:release()
  c:release()
  tap.eq(tap.raises(function() c:exec "select 1" end, "given back").code, 404)
  c = only:lease()
  only:close()
  only:close()
  tap.eq(tap.raises(function() c:txn() end, "given back").code, 404)
  tap.eq(tap.raises(function() only:lease() end, "closed").code, 404)
  tap.raises(function() db.pool({}, { size = 0 }) end, "at least 1")
  tap.raises(function() db.pool({ host = {} }, {}) end, "texts by name")
end)

tap.test("a lease that is cancelled leaves the line", function()
  local only = db.pool(params, { size = 1 })
  local c = only:lease()
  local waiting = loop.spawn(function() only:lease() end)
  loop.sleep(0)
  waiting:cancel()
  pcall(waiting.wait, waiting)
  tap.eq(only:counts().waiting, 0)
  c:release()
  tap.eq(only:counts().idle, 1)
  only:close()
end)

tap.eq(#core.tasks(), 1)
conn:release()
pool:close()
side:close()
fixture.clean()
