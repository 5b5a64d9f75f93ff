--- dex.alarm, dex.watch.folder, programs that outlive us, and messages to a Unix socket.

local alarm = require "dex.alarm"
local child = require "dex.child"
local fs = require "dex.fs"
local loop = require "dex.loop"
local socket = require "dex.socket"
local tap = require "tap"
local time = require "dex.time"
local watch = require "dex.watch"

local test, eq, ok = tap.test, tap.eq, tap.ok

local dir = ("%s/dex-alarm-%s"):format(require("dex.env").get "TMPDIR" or "/tmp", require "dex.uuid"())
fs.mkdirs(dir)

local function now() return math.floor(time.now() * 1000000) end

test("an alarm wakes at its time, and at once when that is over", function()
  local a <close> = alarm.new()
  local at = now() + 50000
  eq(a:wait(at), "time")
  ok(now() >= at)
  eq(a:wait(now() - 5000000), "time")
  eq(a:wait(0), "time")
end)

test("an alarm is rung by another task, before the wait or in it", function()
  local a = alarm.new()
  a:ring()
  eq(a:wait(), "rung")
  local waiting = loop.spawn(function() return a:wait() end)
  loop.sleep(0)
  a:ring()
  eq(waiting:wait(), "rung")
  waiting = loop.spawn(function() return a:wait() end)
  loop.sleep(0)
  a:close()
  eq(waiting:wait(), "closed")
  eq(a:wait(), "closed")
end)

test("an alarm that is rung after its time, while nobody waits, is not forgotten", function()
  local a <close> = alarm.new()
  local at = now() + 20000
  local waiting = loop.spawn(function() return a:wait(at) end)
  loop.sleep(0)
  a:ring()
  eq(waiting:wait(), "rung")
  local other <close> = alarm.new()
  other:wait(at + 20000)
  a:ring()
  eq(a:wait(now() + 1000000), "rung")
end)

test("a cancelled wait leaves the alarm as it was", function()
  local a <close> = alarm.new()
  local waiting = loop.spawn(function() return a:wait() end)
  loop.sleep(0)
  waiting:cancel()
  ok(not pcall(waiting.wait, waiting))
  a:ring()
  eq(a:wait(), "rung")
end)

test("a folder is watched for files that are written, moved and deleted", function()
  local w <close> = watch.folder(dir)
  fs.write(dir .. "/a", "x")
  eq(w:wait(), true)
  fs.rename(dir .. "/a", dir .. "/b")
  eq(w:wait(), true)
  tap.raises(function() watch.folder(dir .. "/none") end, "cannot watch")
end)

test("a launched program has its input, its output in a file, and a session of its own", function()
  local l = child.launch { argv = { "sh", "-c", "cat; echo $X; ps -o sid= -p $$ >&2; exit 3" }, input = "secret\n",
    env = { "X=7" }, output = dir .. "/out" }
  ok(l:pid() > 1)
  eq(l:wait(), 3)
  eq(l:wait(), 3)
  local text = fs.read(dir .. "/out")
  eq(text:match "^secret\n7\n%s*(%d+)", tostring(l:pid()))
  tap.raises(function() child.launch { argv = { "/no/such/program" }, output = dir .. "/out" } end, "no/such/program")
  tap.raises(function() child.launch { argv = { "true" }, output = dir .. "/none/out" } end, "cannot write the output")
end)

test("a launched program is ended by a signal, also by its number", function()
  local l = child.launch { argv = { "sleep", "100" }, output = "/dev/null" }
  l:kill "TERM"
  eq(l:wait(), -15)
  l = child.launch { argv = { "sleep", "100" }, output = "/dev/null" }
  tap.raises(function() child.signal(l:pid() + (1 << 32), "TERM") end, "not a process")
  eq(child.signal(l:pid(), "KILL"), true)
  eq(l:wait(), -9)
  eq(child.signal(l:pid(), "TERM"), false)
end)

test("a message to a Unix socket", function()
  tap.raises(function() socket.send(dir .. "/none", "READY=1") end, "nobody listens")
  tap.raises(function() socket.send("relative", "READY=1") end, "no address")
  tap.raises(function() socket.send("/" .. ("x"):rep(200), "READY=1") end, "no address")
end)

fs.remove_tree(dir)
