--- dex.db.private: the Lua side. What the server does is tested in tests/unit/test_private.c.

local t = require "tap"
local db = require "dex.db"
local env = require "dex.env"
local fs = require "dex.fs"
local loop = require "dex.loop"
local uuid = require "dex.uuid"

local dir = ("%s/dex-private-%s"):format(env.get("TMPDIR") or "/tmp", uuid():sub(1, 8))
fs.mkdirs(dir)
local server = db.private { dir = dir }

local function value(params, sql)
  local pool = db.pool(params, { size = 1 })
  local conn = pool:lease()
  local result = conn:exec(sql)
  conn:release()
  pool:close()
  return result:text(1, 1)
end

t.test("nothing is there yet", function()
  t.eq(server:status(), { running = false, exists = false, kept = false })
  t.eq(server:stop(), false)
  t.eq(server:destroy(), false)
  server:release()
  t.raises(function() server:psql {} end, "call ensure first")
  t.raises(function() db.private { dir = dir .. "/missing" } end, "cannot find the project's folder")
  t.raises(function() db.private {} end, "string expected")
end)

t.test("ensure gives libpq's parameters, others run meanwhile", function()
  local turns = 0
  local done = false
  local ticking = loop.spawn(function()
    while not done do
      turns = turns + 1
      loop.sleep(0.001)
    end
  end)
  local params = server:ensure()
  done = true
  ticking:wait()
  t.ok(turns > 10)
  t.eq(params, { host = params.host, port = "5432", user = "dex", dbname = "dex", application_name = "dex-lua" })
  t.eq(value(params, "select current_database()"), "dex")
  local state = server:status()
  t.eq({ state.running, state.exists, state.kept, state.socket }, { true, true, false, params.host })
  t.ok(state.pid > 1)
  t.ok(state.version:match("^%d+$"))
  t.ok(fs.isdir(state.data))
end)

t.test("psql is led to the server, whatever the environment says", function()
  local out = dir .. "/out"
  t.eq(server:psql { "-XqAt", "-o", out, "-c", "select current_user || current_database()" }, 0)
  t.eq(fs.read(out), "dexdex\n")
  t.eq(server:psql { "-Xq", "-o", out, "-c", "\\! exit 0", "-c", "\\q" }, 0)
  t.eq(server:psql { "-Xq", "-o", out, "-f", dir .. "/missing.sql" }, 1)
  t.raises(function() server:psql { {} } end, "string expected")
end)

t.test("psql that is waited for no longer is killed", function()
  local handle = loop.spawn(function() return server:psql { "-Xq", "-c", "select pg_sleep(600)" } end)
  local params = server:ensure()
  local waiting = "select count(*) from pg_stat_activity where query = 'select pg_sleep(600)'"
  while value(params, waiting) ~= "1" do loop.sleep(0.001) end
  handle:cancel()
  t.raises(function() handle:wait() end, "cancelled")
  value(params, "select pg_terminate_backend(pid) from pg_stat_activity where query = 'select pg_sleep(600)'")
end)

t.test("one object, one action at a time", function()
  local begun
  local first = loop.spawn(function()
    begun = true
    return server:stop() -- which takes its time, as a share that is there already does not
  end)
  repeat loop.sleep(0) until begun
  t.eq(t.raises(function() server:status() end, "is busy").code, 417)
  t.eq(first:wait(), true)
end)

t.test("start keeps it, stop does not", function()
  t.eq(server:start(), nil)
  server:release()
  t.eq({ server:status().running, server:status().kept }, { true, true })
  t.eq(server:stop(), true)
  t.eq({ server:status().running, server:status().kept }, { false, false })
end)

t.test("an object that nobody holds any more gives its share back", function()
  do
    local other = db.private { dir = dir }
    other:ensure()
  end
  t.eq(server:status().running, true)
  collectgarbage()
  collectgarbage()
  while server:status().running do loop.sleep(0.001) end
end)

t.test("a task that is cancelled while it waits leaves no server behind", function()
  local handle = loop.spawn(function() return server:ensure() end)
  loop.sleep(0)
  handle:cancel()
  t.raises(function() handle:wait() end, "cancelled")
  server:ensure()
  server:release()
  while server:status().running do loop.sleep(0.001) end
end)

t.test("destroy deletes the data; errors carry their code", function()
  local other = db.private { dir = dir }
  other:ensure()
  local e = t.raises(function() server:destroy() end, "another process is using the private server")
  t.eq(e.code, 417)
  t.ok(e.hint:find("db stop", 1, true))
  other:release()
  t.eq(server:destroy(), true)
  t.eq(server:status(), { running = false, exists = false, kept = false })
  t.ok(not fs.isdir(dir .. "/.dex/pg"))
end)

fs.remove_tree(dir)
