--- The tasks of a flow's run and what becomes of each when those that it needs have ended. Nothing here waits or asks
-- anybody.

local value = require "jinja.value"

local M = {}

--- One task: a node of the flow, or an item of its `for_each`.
---@class dex.FlowTask
---@field name string
---@field node dex.FlowNode
---@field kind string
---@field needs dex.FlowTask[]
---@field below dex.FlowTask[] those that need it
---@field left integer how many that it needs have not ended
---@field status string of lua/state/status.lua
---@field attempt integer
---@field group dex.FlowTask|nil whose item it is
---@field item any of `for_each`
---@field index integer|nil its number, from 0
---@field passed boolean|nil skipped by a person, which holds up nothing
---@field result any what it gave, for templates
---@field kept table|nil what the history keeps of its result
---@field message string|nil
---@field error dex.Error|nil
---@field child_id string|nil the run of a sub-flow
---@field earlier table|nil what is taken up of an earlier run (lua/flow/rerun.lua)

local function new(node, name)
  return { name = name or node.name, node = node, kind = node.kind, needs = {}, below = {}, left = 0,
    status = "waiting", attempt = 0 }
end

--- The tasks of a flow, one for each node, in the order of its file.
---@param flow dex.Flow
---@return dex.FlowTask[] by name as well
function M.of(flow)
  local list = {}
  for i, node in ipairs(flow.nodes) do
    local task = new(node)
    list[i], list[node.name] = task, task
  end
  for _, task in ipairs(list) do
    for i, name in ipairs(task.node.needs) do
      task.needs[i] = list[name]
      table.insert(list[name].below, task)
    end
    task.left = #task.needs
  end
  return list
end

--- A task for an item of a node's `for_each`.
---@param group dex.FlowTask
---@param index integer from 0
---@param item any
---@return dex.FlowTask
function M.item(group, index, item)
  local task = new(group.node, ("%s[%d]"):format(group.name, index))
  task.group, task.index, task.item, task.needs = group, index, item, group.needs
  return task
end

--- The names of the tasks that a task needs.
---@param task dex.FlowTask
---@return string[]
function M.needs_of(task)
  local names = {}
  for i, need in ipairs(task.needs) do names[i] = need.name end
  return names
end

local bad = { failed = true, upstream_failed = true, timed_out = true, cancelled = true }

--- Whether a status is that of something that went wrong.
---@param status string
---@return boolean
function M.is_bad(status) return bad[status] == true end

-- The first need that went wrong, and the first that was skipped.
local function first_of(task)
  local failed, skipped
  for _, need in ipairs(task.needs) do
    if bad[need.status] then failed = failed or need end
    if need.status == "skipped" and not need.passed then skipped = skipped or need end
  end
  return failed, skipped
end

local function unless_hindered(failed, skipped)
  if failed then return "upstream_failed", ("'%s' %s"):format(failed.name, failed.status:gsub("_", " ")) end
  if skipped then return "skipped", ("'%s' was skipped"):format(skipped.name) end
  return "start"
end

--- What becomes of a task all of whose needs have ended.
---@param task dex.FlowTask
---@param holds fun(task: dex.FlowTask): boolean evaluates the expression of `when`; may raise
---@return string "start", or the status that it has without having run
---@return string|nil why
function M.decide(task, holds)
  local when = task.node.when
  local failed, skipped = first_of(task)
  if when == "always" then return "start" end
  if when == "failed" then
    if failed then return "start" end
    return "skipped", "nothing that it needs has failed"
  end
  if when == "success" then return unless_hindered(failed, skipped) end
  -- an expression that asks how tasks ended decides alone; any other is a condition beside success
  if not when.expression:find("%f[%w_]tasks%f[^%w_]") then
    local what, why = unless_hindered(failed, skipped)
    if what ~= "start" then return what, why end
  end
  if holds(task) then return "start" end
  return "skipped", ("`when: %s` did not hold"):format(when.expression)
end

--- What a `for_each` has come to, from its items.
---@param items dex.FlowTask[]
---@return string status
---@return string|nil message
function M.of_items(items)
  local counts, status = {}, "success"
  for _, item in ipairs(items) do counts[item.status] = (counts[item.status] or 0) + 1 end
  for _, name in ipairs { "warn", "timed_out", "failed", "cancelled" } do
    if counts[name] then status = name end
  end
  if counts.failed and status ~= "cancelled" then status = "failed" end
  local wrong = (counts.failed or 0) + (counts.timed_out or 0) + (counts.cancelled or 0)
  return status, wrong > 0 and ("%d of %d items did not succeed"):format(wrong, #items) or nil
end

-- Some tasks with all that lead to them, or follow them: `key` is `needs` or `below`.
local function reach(list, key)
  local found, stack = {}, table.move(list, 1, #list, 1, {})
  while #stack > 0 do
    local task = table.remove(stack)
    if not found[task] then
      found[task] = true
      table.move(task[key], 1, #task[key], #stack + 1, stack)
    end
  end
  return found
end

--- What the run has come to when all its tasks have ended: `failed` when nothing succeeded but what led to a failure,
--- `partial` when something beside it or behind it did. A task that runs because something failed does not make up for
--- it.
---@param list dex.FlowTask[]
---@return string status
---@return string[] failed names of the tasks that failed by themselves
function M.outcome(list)
  local names, failed, any_bad = {}, {}, false
  for _, task in ipairs(list) do
    if task.status == "failed" or task.status == "timed_out" then
      names[#names + 1], failed[#failed + 1] = task.name, task
    end
    any_bad = any_bad or bad[task.status] == true
  end
  if not any_bad then return "success", names end
  local led = reach(failed, "needs")
  for _, task in ipairs(list) do
    local good = task.status == "success" or task.status == "warn"
    if good and not led[task] and task.node.when ~= "failed" then return "partial", names end
  end
  return "failed", names
end

--- The tasks below some, those themselves included.
---@param list dex.FlowTask[]
---@return table<dex.FlowTask, boolean>
function M.downstream(list) return reach(list, "below") end

--- The values of `for_each` as a plain list.
---@param v any
---@return any[]|nil nil when it is no list
function M.items_of(v)
  if value.is_list(v) or value.is_tuple(v) then return v end
end

return M
