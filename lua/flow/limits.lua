--- Pools: named limits of how many tasks run at once. A pool that the project declares is one for all runs of the
-- project, in whatever process; whoever finds no place stands in line.

local loop = require "dex.loop"
local uuid = require "dex.uuid"

local M = {}

--- How many tasks without a `pool` run at once in a process, when the project has no pool `default`. Waits and
--- sub-flows, which do nothing themselves, are not counted.
M.DEFAULT = 32

-- Seconds after which one who stands in line looks whether a process has died that held a place: nobody tells of that.
local LOOK = 5

---@class dex.FlowLimits
---@field store dex.Store|nil where other processes see the places that are taken
local Limits = {}
Limits.__index = Limits

local function new_pool(name, limit, is_shared)
  return { name = name, limit = limit, is_shared = is_shared, held = {}, used = 0, line = {}, first = 1, last = 0 }
end

--- The limits of a project.
---@param pools table<string, integer>
---@param store? dex.Store
---@return dex.FlowLimits
function M.new(pools, store)
  local self = setmetatable({ pools = {}, store = store }, Limits)
  for name, limit in pairs(pools) do self.pools[name] = new_pool(name, limit, store ~= nil) end
  self.pools.default = self.pools.default or new_pool("default", M.DEFAULT, false)
  return self
end

local idle = { wait = true, flow = true }

local function pool_of(self, task)
  local name = task.node.pool or not idle[task.kind] and "default" or nil
  return name and self.pools[name]
end

-- A place of the pool for this process. Gives whether there was one.
local function occupy(self, pool)
  if pool.used >= pool.limit then return false end
  if pool.is_shared then
    local holder = uuid()
    if not self.store:take_place(pool.name, pool.limit, holder) then return false end
    pool.held[#pool.held + 1] = holder
  end
  pool.used = pool.used + 1
  return true
end

local function vacate(self, pool)
  pool.used = pool.used - 1
  if pool.is_shared then self.store:give_place(pool.name, table.remove(pool.held)) end
end

-- The first in line who still waits; it leaves the line.
local function next_of(pool)
  while pool.first <= pool.last do
    local one = pool.line[pool.first]
    pool.line[pool.first] = nil
    pool.first = pool.first + 1
    if one.task.status == "queued" then return one end
  end
end

local function anybody(pool)
  for i = pool.first, pool.last do
    if pool.line[i].task.status == "queued" then return true end
  end
  return false
end

-- Gives places that other processes have left to those in line. Gives whether somebody still waits.
local function look(self)
  local waiting = false
  for _, pool in pairs(self.pools) do
    if pool.is_shared then
      while anybody(pool) and occupy(self, pool) do
        local one = next_of(pool)
        one.run:grant(one.task)
      end
      waiting = waiting or anybody(pool)
    end
  end
  return waiting
end

-- While somebody waits for a place that another process has, changes of the store are heard.
local function listen(self)
  if self.watcher then return end
  local function stop()
    if self.watcher then self.watcher:close() end
    if self.timer then self.timer:cancel() end
    self.watcher, self.timer = nil, nil
  end
  self.watcher = self.store:watch(function()
    if not look(self) then stop() end
  end)
  self.timer = loop.spawn(function()
    repeat loop.sleep(LOOK) until not look(self)
    self.timer = nil
    stop()
  end)
end

--- Takes a place for a task, or a place in line for one.
---@param run dex.FlowRun its method `grant(task)` is called later on, when it has to wait
---@param task dex.FlowTask
---@return boolean whether it may begin at once
function Limits:take(run, task)
  local pool = pool_of(self, task)
  if not pool or occupy(self, pool) then return true end
  pool.last = pool.last + 1
  pool.line[pool.last] = { run = run, task = task }
  if pool.is_shared then listen(self) end
  return false
end

--- Gives a task's place to the next in line.
---@param task dex.FlowTask
function Limits:release(task)
  local pool = pool_of(self, task)
  if not pool then return end
  local one = next_of(pool)
  if one then one.run:grant(one.task) else vacate(self, pool) end
end

return M
