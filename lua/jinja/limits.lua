--- Ends templates that do not end by themselves. Loops, macro calls and lazy sequences count what they do, which is one
-- subtraction each; only a render that has done very much is watched more closely, by a hook that counts Lua's
-- instructions and raises when there were too many. So nothing is paid by templates as they are.

local fault = require "jinja.fault"
local memory_limit = require("dex.limits").memory

local M = {}

--- Rounds of loops and calls of macros before a render is watched.
M.rounds = 1000000
--- Instructions of the watched part of a render before it is ended: some seconds.
M.instructions = 400000000
--- What the current render may still do before it is watched.
M.left = M.rounds

-- how often the hook counts
local STEP = 1000000

-- coroutine -> {done = instructions, entered = renders inside of the watched one}
local watched = setmetatable({}, { __mode = "k" })
local watching = 0

local function tick()
  local state = watched[coroutine.running()]
  if not state then return debug.sethook() end
  state.done = state.done + STEP
  if state.done >= M.instructions then
    fault.raise("LimitError", ("this template does not come to an end: it was stopped after %.0f million instructions")
      :format(state.done / 1e6), "look for a loop, or for macros that call each other, that never stop")
  end
end

local function watch(co)
  watched[co] = { done = 0, entered = 0 }
  watching = watching + 1
  debug.sethook(tick, "", math.min(STEP, M.instructions))
end

local function unwatch(co)
  watched[co] = nil
  watching = watching - 1
  debug.sethook()
end

local function overdrawn()
  M.left = M.rounds
  local co = coroutine.running()
  if not watched[co] then watch(co) end
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
  watch(co)
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
