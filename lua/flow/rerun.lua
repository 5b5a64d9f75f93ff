--- A run that takes up an earlier one: which of its tasks are done already, and what of the others is.

local engine_job = require "flow.engine_job"
local err = require "err"
local tasks = require "flow.tasks"
local value = require "jinja.value"

local M = {}

local good = { success = true, warn = true }

-- Of what was under way when its process ended, what has committed is done.
local function ask(run, rows)
  local waiting, xids = {}, {}
  local has_ledger = run.job and require("run.ledger").settings(run.job.project) -- which knows more of nodes
  for _, row in ipairs(rows) do
    local result = row.status == "failed" and value.is_dict(row.result) and row.result
    local xid = result and result.crashed and value.opt(result.xid)
    if xid and not (has_ledger and row.name:find("/", 1, true)) then
      waiting[#waiting + 1] = row
      xids[#xids + 1] = xid
    end
  end
  if #xids == 0 or not run.job then return end
  local committed = engine_job.committed(run.job.pool, xids)
  for _, row in ipairs(waiting) do
    if committed[row.result.xid] then
      row.status, row.message = "success", "it had committed when its process ended"
      value.del(row.result, "crashed")
    end
  end
end

-- What the earlier run has of its tasks: rows of nodes by name; of each the items of its `for_each`, and the rows of
-- its models by name of the task and unique_id.
local function rows_of(run, id)
  local nodes, items, models = {}, {}, {}
  local rows = run.store:tasks(id)
  ask(run, rows)
  for _, row in ipairs(rows) do
    local owner, node_id = row.name:match "^([^/]+)/(.+)$"
    local group, index = row.name:match "^([^/%[]+)%[(%d+)%]$"
    if owner then
      models[owner] = models[owner] or {}
      if good[row.status] then models[owner][node_id] = row end
    elseif group then
      items[group] = items[group] or {}
      items[group][math.tointeger(tonumber(index))] = row
    else
      nodes[row.name] = row
    end
  end
  return nodes, items, models
end

local function crashed(row) return value.is_dict(row.result) and row.result.crashed == true end

local function kept_of(row)
  if not value.is_dict(row.result) then return nil end
  local kept = value.copy_dict(row.result)
  value.del(kept, "crashed")
  return kept
end

-- A task that keeps the end that it has.
local function carry(task, row)
  task.status, task.message, task.kept = row.status, row.message, kept_of(row)
  task.started_us, task.ended_us, task.rows, task.carried = row.started_at, row.ended_at, row.rows, true
  task.passed = row.marked_by ~= nil and row.status == "skipped"
  local kept = task.kept
  if kept then
    task.child_id = value.opt(kept.run_id)
    task.result = value.opt(kept.returned)
    if task.result == nil and task.kind == "transformation" then task.result = kept end
  end
  for _, below in ipairs(task.below) do below.left = below.left - 1 end
end

-- What can be taken up inside of a task that runs again.
local function take_up(run, task, row, items, models)
  local kept = value.is_dict(row.result) and row.result or value.dict()
  local earlier = { nodes = models[task.name], ledger_run = value.opt(kept.invocation_id) }
  for _, key in ipairs { "earlier_run_id", "run_id" } do -- the later one, when its process got so far
    local child = value.opt(kept[key])
    if child and run.store:run(child) then earlier.child_id = child end
  end
  local found = items[task.name]
  if found then
    earlier.items = {}
    for index, item in pairs(found) do
      if good[item.status] then earlier.items[index] = item end
    end
    earlier.of_item = function(index)
      local item = found[index]
      local of = item and value.is_dict(item.result) and item.result or value.dict()
      return item and { nodes = models[item.name], ledger_run = value.opt(of.invocation_id) }
    end
  end
  task.earlier = earlier
end

local function find(run, name)
  local task = run.tasks[name]
  if task then return task end
  local names = {}
  for i, one in ipairs(run.tasks) do names[i] = one.name end
  err.raise { code = 636, message = ("flow '%s' has no node '%s' to run again"):format(run.flow.name, name),
    hint = err.did_you_mean(name, names) or "its nodes are " .. table.concat(names, ", ") }
end

-- Those that did not come to a good end, with all below them. What was running when its process ended, and says
-- `on_crash: fail`, stays as it is.
local function unfinished(run, nodes)
  local list, stays = {}, {}
  for _, task in ipairs(run.tasks) do
    local row = nodes[task.name]
    if row and crashed(row) and task.node.on_crash == "fail" then
      stays[task] = true
    elseif not row or not (good[row.status] or row.status == "skipped") then
      list[#list + 1] = task
    end
  end
  local again = tasks.downstream(list)
  -- what was skipped because of something that runs again is below that; `marked` ones stay
  return again, stays
end

--- Prepares a run that has not begun: its tasks that are done get the end that they have, the others what can be taken
--- up. Raises 636 for a node that is not there, 637 when nothing is left to do. May wait.
---@param run dex.FlowRun
---@param earlier table row of the earlier run
---@param opts {from: string, select: string[]|nil} `from`: all, failure, or the name of a node; `select`: only these
function M.prepare(run, earlier, opts)
  local nodes, items, models = rows_of(run, earlier.id)
  local from, again, stays = opts.from, {}, {}
  if opts.select then
    for _, name in ipairs(opts.select) do again[find(run, name)] = true end
  elseif from == "all" then
    for _, task in ipairs(run.tasks) do again[task] = true end
  elseif from == "failure" then
    again, stays = unfinished(run, nodes)
  else
    again = tasks.downstream { find(run, from) }
  end
  local any = false
  for _, task in ipairs(run.tasks) do
    local row = nodes[task.name]
    if again[task] and not stays[task] then
      any = true
      if row and from == "failure" and not opts.select then take_up(run, task, row, items, models) end
    elseif row and (good[row.status] or row.status == "skipped" or stays[task]) then
      carry(task, row)
    else -- not asked for, and never done: it does not run, and holds nothing up
      carry(task, { status = "skipped", message = "not selected" })
      task.passed = true
    end
  end
  -- a run whose process ended behind its last task still has its own end before it
  if not any and (from ~= "failure" or earlier.status == "success") then
    err.raise { code = 637, message = ("nothing of run %s is left to do"):format(earlier.id),
      hint = "--from all runs everything again, --from NODE all from one on" }
  end
end

return M
