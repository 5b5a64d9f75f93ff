--- dex.child: programs beside us.

local child = require "dex.child"
local loop = require "dex.loop"
local tap = require "tap"

local test, eq = tap.test, tap.eq

local function sh(script, more)
  local spec = { argv = { "sh", "-c", script } }
  for k, v in pairs(more or {}) do spec[k] = v end
  return child.run(spec)
end

test("status and output", function()
  local r = sh "echo out; echo err >&2; exit 3"
  eq({ r.status, r.stdout, r.stderr }, { 3, "out\n", "err\n" })
  eq(sh("true").status, 0)
  eq(sh("kill -9 $$").status, -9)
end)

test("standard input is empty", function() eq(sh("cat; echo end").stdout, "end\n") end)

test("folder and environment", function()
  eq(sh("pwd", { cwd = "/" }).stdout, "/\n")
  eq(sh("echo $DEX_CHILD", { env = { "DEX_CHILD=yes" } }).stdout, "yes\n")
  require("dex.env").set("DEX_CHILD_GONE", "1")
  eq(sh("echo ${DEX_CHILD_GONE-gone}").stdout, "1\n")
  eq(sh("echo ${DEX_CHILD_GONE-gone}", { env = { "DEX_CHILD_GONE" } }).stdout, "gone\n")
end)

test("much output on both pipes", function()
  local r = sh("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; " ..
    "echo 0123456789012345678901234567890123456789 >&2; i=$((i+1)); done")
  eq({ #r.stdout, #r.stderr }, { 123000, 123000 })
end)

test("a child of its own that keeps the pipes is not waited for", function()
  local pid = sh("sleep 60 & echo $!").stdout
  eq(sh("kill " .. pid).status, 0)
end)

test("what cannot be started", function()
  local ok, e = pcall(child.run, { argv = { "dex-no-such-program" } })
  eq({ ok, e.code }, { false, 902 })
  tap.raises(function() child.run { argv = {} } end, "argv")
  tap.raises(function() child.run { argv = { 1 } } end, "argv")
end)

test("several at once, and cancelling kills", function()
  local a, b = loop.spawn(sh, "echo a"), loop.spawn(sh, "echo b")
  eq({ a:wait().stdout, b:wait().stdout }, { "a\n", "b\n" })
  local long = loop.spawn(sh, "sleep 60")
  loop.sleep(0)
  long:cancel()
  local ok, e = pcall(long.wait, long)
  eq({ ok, e.code }, { false, 907 })
end)
