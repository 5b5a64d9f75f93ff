--- The unit file for a service manager.

local systemd = require "server.systemd"
local tap = require "tap"

local test, eq, ok = tap.test, tap.eq, tap.ok

local function exec_of(...)
  local unit = systemd.unit { name = "shop", root = "/srv/100%", user = "dex", grace = 40, argv = { ... } }
  return unit:match "ExecStart=([^\n]*)\n", unit
end

test("words of the command are quoted as systemd reads them", function()
  eq(exec_of("/usr/bin/dex-lua", "serve", "--target", "prod"), "/usr/bin/dex-lua serve --target prod")
  eq(exec_of("/opt/my tools/dex-lua", "--vars", "{a: 'b'}"), [["/opt/my tools/dex-lua" --vars "{a: 'b'}"]])
  eq(exec_of("dex-lua", 'say "x"', "100%", "$HOME", "a\\b"), [[dex-lua "say \"x\"" 100%% $$HOME "a\\b"]])
end)

test("the other settings", function()
  local _, unit = exec_of "dex-lua"
  for _, line in ipairs { "Type=notify", "WorkingDirectory=/srv/100%%", "User=dex", "TimeoutStopSec=70",
    "KillMode=mixed", "Description=dex-lua: the flows of shop" } do
    ok(("\n" .. unit):find("\n" .. line .. "\n", 1, true), line)
  end
  ok(not unit:find "@%l+@")
end)

test("without a service manager nothing is told, and there is no watchdog", function()
  systemd.ready "x"
  systemd.status(function() error "nobody asks" end)
  systemd.stopping(1)
  eq(systemd.watchdog(), nil)
end)
