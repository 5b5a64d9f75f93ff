--- dex.child's processes: programs that are followed while they run.

local child = require "dex.child"
local loop = require "dex.loop"
local tap = require "tap"

local test, eq = tap.test, tap.eq

local function sh(script) return child.start { argv = { "sh", "-c", script } } end

-- Reads to the end: what came on each pipe, and the status.
local function finish(process, read)
  local got = read or { stdout = "", stderr = "" }
  while true do
    local from, text = process:read()
    if from == "end" then return got, text end
    got[from] = got[from] .. text
  end
end

-- Reads until the text has come.
local function await(process, text)
  local got = { stdout = "", stderr = "" }
  while not got.stdout:find(text, 1, true) do
    local from, more = process:read()
    got[from] = got[from] .. more
  end
  return got
end

-- That a process that was sent SIGKILL ends: dying takes it a moment.
local function gone(pid)
  for _ = 1, 1000 do
    local state = child.run({ argv = { "sh", "-c", ("cat /proc/%s/stat 2>/dev/null"):format(pid) } }).stdout
    if state == "" or state:find("%) [ZX] ") then return end
    loop.sleep(0.01)
  end
  error(pid .. " lives")
end

test("output comes while it runs, with the status at the end", function()
  local process = child.start { argv = { "cat" } }
  eq({ process:read() }, { "end", 0 })
  local got, status = finish(sh "echo out; echo err >&2; exit 3")
  eq({ got.stdout, got.stderr, status }, { "out\n", "err\n", 3 })
end)

test("more than the pipes hold", function()
  local got, status = finish(sh "head -c 3000000 /dev/zero; head -c 200000 /dev/zero >&2")
  eq({ #got.stdout, #got.stderr, status }, { 3000000, 200000, 0 })
end)

test("signals reach the group", function()
  local process = sh "sh -c 'echo ready; sleep 60'; sleep 60"
  await(process, "ready")
  process:kill "TERM"
  local _, status = finish(process)
  eq(status, -15)
  process:kill "KILL" -- after the end: nothing
end)

test("one that ignores TERM goes with KILL, and what is left of its group with it", function()
  local process = sh "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; exec sleep 60' & wait; sleep 60"
  local other = await(process, "\n").stdout:match "%d+"
  process:kill "TERM"
  process:kill "KILL"
  local _, status = finish(process)
  eq(status, -9)
  gone(other)
end)

test("what a program leaves running in its group ends with it", function()
  local got = finish(sh "sleep 60 & echo $!")
  gone(got.stdout:match "%d+")
end)

test("a cancelled reader may read on", function()
  local process, status = sh "trap 'echo bye; exit 4' TERM; echo ready; while :; do sleep 0.01; done", nil
  local is_ready = false
  local reader = loop.spawn(function()
    local got = await(process, "ready")
    is_ready = true
    local ok, e = pcall(finish, process, got)
    eq({ ok, e.code }, { false, 907 })
    process:kill "TERM"
    got, status = finish(process, got)
    return got.stdout
  end)
  while not is_ready do loop.sleep(0.001) end
  reader:cancel()
  eq(reader:wait(), "ready\nbye\n")
  eq(status, 4)
end)

test("one that nobody holds any more is killed", function()
  local process = sh "echo $$; sleep 60"
  local pid = await(process, "\n").stdout:match "%d+"
  process = nil -- luacheck: ignore
  collectgarbage()
  collectgarbage()
  eq(child.run({ argv = { "kill", "-0", pid } }).status, 1)
end)

test("what cannot be started", function()
  tap.raises(function() child.start { argv = { "dex-no-such-program" } } end, "cannot run dex%-no%-such%-program")
  tap.raises(function() child.start { argv = {} } end, "argv")
end)
