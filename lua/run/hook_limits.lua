--- Ends Lua hooks that do not end by themselves. While a hook's function runs, Lua counts its instructions: one that
-- has done very many without ever waiting, that is past its own timeout, or, in a package, has filled too much
-- memory, is ended by an error that it cannot catch. Between them everything else of the program stands still, so
-- the count starts again whenever the hook waits.

local err = require "err"
local limits = require "dex.limits"
local time = require "dex.time"

local M = {}

--- Instructions without a wait: those of the root project and of the standard library, and those of packages.
M.trusted = 3000000000
M.untrusted = 300000000
--- The same in seconds of processor time: what few instructions do with very long texts is seen by them.
M.trusted_seconds = 120
M.untrusted_seconds = 20
--- Kilobytes by which Lua's memory may grow while a hook of a package runs.
M.memory = 512 * 1024

local STEP = 1000000

local watched = setmetatable({}, { __mode = "k" })

-- Why the hook has to end now; nil when it may go on.
local function reason(own)
  if own.deadline and time.mono() >= own.deadline then
    return 507, ("it took longer than its timeout of %g s"):format(own.hook.timeout)
  elseif own.spent >= (own.trusted and M.trusted or M.untrusted) then
    return 517, ("it does not come to an end: it was stopped after %.0f million instructions"):format(own.spent / 1e6),
      "look for a loop that never stops, or let the database do the work"
  elseif own.seconds >= (own.trusted and M.trusted_seconds or M.untrusted_seconds) then
    return 517, ("it does not come to an end: it was stopped after %d seconds"):format(own.seconds),
      "look for a loop that never stops, or let the database do the work"
  elseif not own.trusted and collectgarbage "count" - own.memory_before > M.memory then
    return 517, ("it needs too much memory: hooks of packages may have %d MB"):format(M.memory // 1024),
      "read with hook:rows, which keeps one row at a time"
  end
end

local tick

local function check(own)
  if not own.ended then
    local code, message, hint = reason(own)
    if not code then return end
    own.ended = { code = code, message = message, hint = hint }
    debug.sethook(tick, "", 1) -- from here on always, so that no pcall of the hook holds it up
  end
  local info = debug.getinfo(3, "S") -- what the hook interrupted
  if info and own.run.modules.chunks[info.short_src] then err.raise(own.ended) end
end

tick = function()
  local own = watched[coroutine.running()]
  if not own then return debug.sethook() end
  own.spent = own.spent + STEP
  check(own)
end

limits.each_second(function()
  local own = watched[coroutine.running()]
  if not own then return end
  own.seconds = own.seconds + 1
  debug.sethook(tick, "", own.ended and 1 or STEP)
  check(own)
end)

--- The hook is about to wait: what others need meanwhile is not counted as its memory.
---@param own table of lua/run/hooks.lua
function M.lift(own)
  if not own.limit_before then return end
  limits.memory(own.limit_before)
  own.limit_before = nil
end

--- The hook has waited: its count begins anew.
---@param own table of lua/run/hooks.lua
function M.rest(own)
  own.spent, own.seconds = 0, 0
  if own.trusted or own.limit_before or not own.memory_before then return end
  local growth = collectgarbage "count" - own.memory_before
  own.limit_before = limits.memory(-math.max(1024, (M.memory - growth) * 1024) // 1 | 0)
end

--- xpcall(fn, handler, ...) under the limits. May wait.
---@param own table of lua/run/hooks.lua, with `trusted`
---@return boolean ok
---@return any ... results, or what the handler made of the error
function M.call(own, fn, handler, ...)
  local co = coroutine.running()
  own.memory_before = collectgarbage "count"
  M.rest(own)
  watched[co] = own
  debug.sethook(tick, "", STEP)
  local results = table.pack(xpcall(fn, handler, ...))
  debug.sethook()
  M.lift(own)
  watched[co] = nil
  return table.unpack(results, 1, results.n)
end

--- The error object of what a hook raised, when Lua had no memory left; else the value itself.
---@param own table of lua/run/hooks.lua
---@param e any
---@return any
function M.explain(own, e)
  if e ~= "not enough memory" then return e end
  local limit = limits.memory()
  local message = "it needs more memory than there is"
  if own.trusted == false then
    message = ("it needs too much memory: hooks of packages may have %d MB"):format(M.memory // 1024)
  elseif limit > 0 then
    message = ("it needs too much memory: Lua may have %.1f GB"):format(limit / 2 ^ 30)
  end
  return err.new { code = 517, message = message, hint = "read with hook:rows, which keeps one row at a time" }
end

return M
