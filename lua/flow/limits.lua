--- Pools: named limits of how many tasks run at once, over all runs of a process. Whoever finds no place stands in
-- line.

local M = {}

--- How many tasks without a `pool` run at once, when the project has no pool `default`. Waits and sub-flows, which do
--- nothing themselves, are not counted.
M.DEFAULT = 32

---@class dex.FlowLimits
local Limits = {}
Limits.__index = Limits

--- The limits of a project.
---@param pools table<string, integer>
---@return dex.FlowLimits
function M.new(pools)
  local self = setmetatable({ pools = {} }, Limits)
  for name, limit in pairs(pools) do self.pools[name] = { limit = limit, used = 0, line = {}, first = 1 } end
  self.pools.default = self.pools.default or { limit = M.DEFAULT, used = 0, line = {}, first = 1 }
  return self
end

local idle = { wait = true, flow = true }

local function pool_of(self, task)
  local name = task.node.pool or not idle[task.kind] and "default" or nil
  return name and self.pools[name]
end

--- Takes a place for a task, or a place in line for one.
---@param run dex.FlowRun its method `grant(task)` is called later on, when it has to wait
---@param task dex.FlowTask
---@return boolean whether it may begin at once
function Limits:take(run, task)
  local pool = pool_of(self, task)
  if not pool then return true end
  if pool.used < pool.limit then
    pool.used = pool.used + 1
    return true
  end
  table.insert(pool.line, { run = run, task = task })
  return false
end

--- Gives a task's place to the next in line.
---@param task dex.FlowTask
function Limits:release(task)
  local pool = pool_of(self, task)
  if not pool then return end
  while pool.line[pool.first] do
    local next_one = pool.line[pool.first]
    pool.line[pool.first] = nil
    pool.first = pool.first + 1
    if next_one.task.status == "queued" then
      next_one.run:grant(next_one.task)
      return
    end
  end
  pool.line, pool.first = {}, 1
  pool.used = pool.used - 1
end

return M
