--- Ends templates that do not end by themselves. Loops, macro calls and lazy sequences count what they do, which is one
-- subtraction each; only a render that has done very much is watched more closely, by a hook that counts Lua's
-- instructions and raises when there were too many. Each second of processor time a look is taken at what is running:
-- that ends what does little, but with very long texts and lists. So nothing is paid by templates as they are.

local each_second = require("dex.limits").each_second
local fault = require "jinja.fault"
local memory_limit = require("dex.limits").memory

local M = {}

--- Rounds of loops and calls of macros before a render is watched.
M.rounds = 1000000
--- Instructions of the watched part of a render before it is ended: some seconds.
M.instructions = 400000000
--- Seconds of processor time of a render, from the first that is seen, before it is ended.
M.seconds = 20
--- What the current render may still do before it is watched.
M.left = M.rounds
--- The function that renders run in, for those that are seen each second: set by jinja/init.lua.
M.guard = nil

-- how often the hook counts
local STEP = 1000000

-- coroutine -> {done = instructions, seconds = used, entered = renders inside of the watched one, ended = what was too
-- much}
local watched = setmetatable({}, { __mode = "k" })
local watching = 0

local function stop(state)
  fault.raise("LimitError", ("this template does not come to an end: it was stopped after %s"):format(state.ended),
    "look for a loop, or for macros that call each other, that never stop")
end

-- Once there was too much, each instruction of a template and of a project's Lua code raises, so that no pcall holds
-- it up; the engine's own code is left to clean up, unless that lasts.
local function tick()
  local state = watched[coroutine.running()]
  if not state then return debug.sethook() end
  if state.ended then
    state.done = state.done + 1
    local info = debug.getinfo(2, "S")
    if info and fault.knows(info.source) or state.done % STEP == 0 then stop(state) end
    return
  end
  state.done = state.done + STEP
  if state.done < M.instructions then return end
  state.ended, state.done = ("%.0f million instructions"):format(state.done / 1e6), 0
  debug.sethook(tick, "", 1)
  stop(state)
end

local function watch(co, entered)
  local state = { done = 0, seconds = 0, entered = entered }
  watched[co] = state
  watching = watching + 1
  debug.sethook(tick, "", math.min(STEP, M.instructions))
  return state
end

local function unwatch(co)
  watched[co] = nil
  watching = watching - 1
  debug.sethook()
end

-- How many renders the running coroutine is in.
local function renders()
  local count, level = 0, 3
  while true do
    local info = debug.getinfo(level, "f")
    if not info then return count end
    if info.func == M.guard then count = count + 1 end
    level = level + 1
  end
end

each_second(function()
  local co = coroutine.running()
  local state = watched[co]
  if state then
    debug.sethook(tick, "", state.ended and 1 or math.min(STEP, M.instructions))
  else
    local count = renders()
    if count == 0 then return end
    state = watch(co, count - 1)
  end
  state.seconds = state.seconds + 1
  if state.seconds >= M.seconds and not state.ended then
    state.ended, state.done = ("%d seconds"):format(state.seconds), 0
    debug.sethook(tick, "", 1)
    stop(state)
  end
end)

local function overdrawn()
  M.left = M.rounds
  local co = coroutine.running()
  if not watched[co] then watch(co, 0) end
end

--- Counts rounds. Everything calls it that a template can do without end.
---@param rounds integer
function M.spend(rounds)
  local left = M.left - rounds
  M.left = left
  if left < 0 then overdrawn() end
end

--- Begins a render. Gives what leave() wants.
---@return integer
function M.enter()
  local before = M.left
  M.left = M.rounds
  if watching > 0 then
    local state = watched[coroutine.running()]
    if state then state.entered = state.entered + 1 end
  end
  return before
end

--- Ends a render, however it ended.
---@param before integer from enter()
function M.leave(before)
  M.left = before
  if watching == 0 then return end
  local co = coroutine.running()
  local state = watched[co]
  if not state then return end
  if state.entered > 0 then
    state.entered = state.entered - 1
    return
  end
  unwatch(co)
end

local function finish(co, ok, ...)
  unwatch(co)
  if not ok then error(..., 0) end
  return ...
end

--- Calls a function that is no template's, and counts its instructions from the beginning: Lua code of a project counts
--- no rounds.
---@param f function
function M.watched(f, ...)
  local co = coroutine.running()
  if watched[co] then return f(...) end
  watch(co, 0)
  return finish(co, xpcall(f, fault.handler, ...))
end

--- An error object for what xpcall gave instead of one: Lua had no memory left, or no room to explain the error.
---@param f function what was called
---@param failure any
function M.explain(f, failure)
  if failure ~= "not enough memory" then return fault.handler(failure) end
  local limit = memory_limit()
  return fault.beside(f, "MemoryError", limit > 0
    and ("this template needs too much memory: Lua may have %.1f GB"):format(limit / 2^30)
    or "this template needs more memory than there is",
    "look for a text or a list that grows in a loop, and ask the database for less at once")
end

return M
