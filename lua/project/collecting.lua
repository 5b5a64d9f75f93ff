--- Loading a project makes many tables that live as long as it does: tracing them again and again while they
-- are made would take as long as the load itself. So the collector rests during a load. What a load drops is
-- about as much as it keeps, so memory does not grow further than it would between two of the collector's
-- rounds; templates that make much more garbage than that wake it.

local M = {}

local LIMIT = 1024 * 1024 -- kB of Lua memory at which it works again

--- Calls fn(...) with the collector at rest. May wait if fn does.
---@param fn function
---@return any
function M.rest(fn, ...)
  collectgarbage("stop")
  local results = table.pack(pcall(fn, ...))
  collectgarbage("restart")
  -- it would begin a round at once: as after a round of its own, memory may double first
  collectgarbage("step", -math.ceil(collectgarbage("count")))
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- To be called now and then during a load, with a counter: a project that is too large wakes the collector.
---@param i integer
function M.check(i)
  if i % 256 == 0 and collectgarbage("count") > LIMIT then collectgarbage("restart") end
end

--- Collects what is garbage by now, and lets the collector work again: for a load that holds little for long.
---@param pause? integer percent of what is held after a round at which the next one begins, from now on
function M.wake(pause)
  if pause then collectgarbage("incremental", pause) end
  collectgarbage()
  collectgarbage("restart")
end

local LARGE = 32 * 1024 -- kB of Lua memory

--- Once, before the nodes of a project run: what they drop may be twice what lives (engine/script/vm.c) while that is
--- little; of a large project as much as lives, which takes a few percent longer and a third less memory.
function M.settle()
  if collectgarbage("count") > LARGE then collectgarbage("incremental", 200, 400) end
end

return M
