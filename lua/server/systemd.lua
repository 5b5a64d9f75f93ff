--- What the service manager is told (sd_notify(3)): ready, what goes on, that we still turn, that we stop; and the unit
-- file that `serve --print-unit` prints. Without a manager nothing is told.

local core = require "dex.core"
local env = require "dex.env"
local loop = require "dex.loop"
local socket = require "dex.socket"

local M = {}

-- A manager that does not listen any more is no reason to stop.
local function tell(text)
  local path = env.get "NOTIFY_SOCKET"
  if path and path ~= "" then pcall(socket.send, path, text) end
end

--- Everything is there: whoever waits for the service goes on.
---@param status string
function M.ready(status) tell(("READY=1\nSTATUS=%s\nMAINPID=%d\n"):format(status, core.pid())) end

--- One line for `systemctl status`; nobody asks for it without a manager.
---@param fn fun(): string
function M.status(fn)
  if env.get "NOTIFY_SOCKET" then tell("STATUS=" .. fn():gsub("%c", " ") .. "\n") end
end

--- It stops now, and may take as long as it needs for that.
---@param seconds number
function M.stopping(seconds)
  tell(("STOPPING=1\nSTATUS=waits for runs to end\nEXTEND_TIMEOUT_USEC=%d\n"):format(math.floor(seconds * 1e6)))
end

--- Tells the watchdog that the loop turns, twice in the time that it waits. Nothing happens without one. The task is
--- the caller's to cancel.
---@return table|nil handle of dex.loop
function M.watchdog()
  local microseconds = tonumber(env.get "WATCHDOG_USEC" or "")
  local pid = env.get "WATCHDOG_PID"
  if not microseconds or microseconds <= 0 or pid and tonumber(pid) ~= core.pid() then return nil end
  return loop.spawn(function()
    while true do
      tell "WATCHDOG=1\n"
      loop.sleep(microseconds / 2e6)
    end
  end)
end

local unit = [[
# Made by `dex-lua serve --print-unit`. To install it:
#   dex-lua serve --print-unit | sudo tee /etc/systemd/system/dex-lua-@name@.service
#   sudo systemctl daemon-reload
#   sudo systemctl enable --now dex-lua-@name@

[Unit]
Description=dex-lua: the flows of @name@
Wants=network-online.target
After=network-online.target postgresql.service

[Service]
Type=notify
NotifyAccess=main
ExecStart=@command@
WorkingDirectory=@root@
User=@user@
# Secrets stand in this file, NAME=value, readable for root only.
EnvironmentFile=-/etc/dex-lua/@name@.env
# The loop of the server says twice in this time that it turns.
WatchdogSec=60
Restart=on-failure
RestartSec=5
# The server alone gets SIGTERM: what it runs ends by itself, or is cancelled after --grace.
KillMode=mixed
TimeoutStopSec=@timeout@
UMask=0077
NoNewPrivileges=yes
ProtectSystem=full
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictSUIDSGID=yes

[Install]
WantedBy=multi-user.target
]]

-- A word of a command line as a unit file quotes it.
local function quoted(word)
  word = word:gsub("[\\\"]", "\\%0"):gsub("%%", "%%%%"):gsub("%$", "$$")
  return word:find "[%s'\"\\;]" and '"' .. word .. '"' or word
end

--- A unit file for a project.
---@param opts {name: string, root: string, user: string, argv: string[], grace: number}
---@return string
function M.unit(opts)
  local words = {}
  for i, word in ipairs(opts.argv) do words[i] = quoted(word) end
  local values = { name = opts.name, root = opts.root:gsub("%%", "%%%%"), user = opts.user,
    command = table.concat(words, " "), timeout = ("%d"):format(math.ceil(opts.grace) + 30) }
  return (unit:gsub("@(%l+)@", values))
end

return M
