--- Which process runs something, so that another one can tell whether it still lives: its number, and the moment of its
-- start, as numbers are given out again.

local core = require "dex.core"
local fs = require "dex.fs"

local M = {}

--- When a process has begun, in the kernel's own count; nil when there is none of this number.
---@param pid integer
---@return integer|nil
function M.started(pid)
  local ok, text = pcall(fs.read, ("/proc/%d/stat"):format(pid))
  if not ok then return nil end
  local n = 0
  for word in text:match("^.*%)(.*)$"):gmatch "%S+" do -- behind the name, which may hold anything
    n = n + 1
    if n == 1 and (word == "Z" or word == "X") then return nil end -- it has ended and waits to be buried
    if n == 20 then return math.tointeger(tonumber(word)) end
  end
end

local mine

--- This process.
---@return {pid: integer, pid_started: integer|nil, host: string}
function M.own()
  local pid = core.pid()
  if not mine or mine.pid ~= pid then mine = { pid = pid, pid_started = M.started(pid), host = core.host() } end
  return mine
end

--- Whether the process of a run lives; nil when it is one of another machine.
---@param run {pid: integer|nil, pid_started: integer|nil, host: string|nil}
---@return boolean|nil
function M.lives(run)
  if run.host ~= core.host() then return nil end
  if not run.pid then return false end
  local started = M.started(run.pid)
  return started ~= nil and (run.pid_started == nil or started == run.pid_started)
end

return M
