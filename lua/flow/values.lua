--- What the texts of a flow's nodes become when they run: Jinja that sees the parameters, the run, what ended before,
-- and the item of a `for_each`.

local context = require "run.context"
local err = require "err"
local jinja = require "jinja"
local node_module = require "run.node"
local tree = require "project.tree"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- What stands for the flow where the engine asks for a node.
---@param run dex.FlowRun
---@return table dict
function M.node_of(run)
  local flow = run.flow
  return value.dict("resource_type", "flow", "name", flow.name, "unique_id", ("flow.%s.%s"):format(
    run.job.project.name, flow.name), "package_name", run.job.project.name, "original_file_path", flow.file, "path",
    flow.file, "description", flow.description or "", "config", value.dict(), "raw_code", "")
end

-- What all nodes of a run see.
local function base_of(run)
  local ctx = run.context
  if not ctx then
    local state = node_module.new_state(run.engine, M.node_of(run))
    ctx = context.operation(state)
    for name, v in pairs(M.names(run)) do rawset(ctx, name, v) end
    run.context = ctx
  end
  return ctx
end

-- What later nodes see of a task that has ended: `tasks.NAME`.
local function told_of(task)
  return value.dict("name", task.name, "kind", task.kind, "status", task.status, "message",
    value.or_none(task.message), "result", value.or_none(task.result), "rows", value.or_none(task.rows), "attempt",
    task.attempt, "run_id", value.or_none(task.child_id))
end

-- All that have ended until now.
local function tasks_of(run)
  for i, task in ipairs(run.untold) do
    run.told[task.name], run.untold[i] = told_of(task), nil
  end
  return run.told
end

--- The names that templates and SQL hooks of a flow see besides those of every operation.
---@param run dex.FlowRun
---@return table<string, any>
function M.names(run)
  return { params = run.values, tasks = tasks_of(run), run = value.dict("id", run.id, "flow", run.flow.name, "trigger",
    run.trigger, "by", value.or_none(run.by), "scheduled_for", value.or_none(run.scheduled_text), "target",
    run.job.project.profile.target_name) }
end

local function context_of(run, task)
  local base = base_of(run)
  tasks_of(run)
  local info = value.copy_dict(base.run)
  info.task, info.attempt = task.name, task.attempt
  return setmetatable({ run = info, item = task.item, index = task.index }, { __index = base })
end

-- Whether Jinja has anything to do in a tree of values.
local function is_late(v)
  if type(v) ~= "table" or v == value.none then return tree.has_jinja(v) end
  if value.is_dict(v) then
    for _, item in pairs(v) do
      if is_late(item) then return true end
    end
    return false
  end
  for _, item in ipairs(v) do
    if is_late(item) then return true end
  end
  return false
end

local function render(v, ctx, node, what)
  if type(v) == "string" then
    local given = jinja.render_native(v, ctx, { file = node.file, line = node.line })
    if value.is_undefined(given) then
      err.raise { code = 630, file = node.file, line = node.line, message = ("node '%s': %s is undefined: %s"):format(
        node.name, what, v) }
    end
    return given
  elseif value.is_dict(v) then
    local copy = value.dict()
    for key, item in pairs(v) do copy[key] = render(item, ctx, node, what .. "." .. tostring(key)) end
    return copy
  elseif value.is_list(v) or type(v) == "table" and not getmetatable(v) then
    local copy = value.list()
    for i, item in ipairs(v) do copy[i] = render(item, ctx, node, ("%s[%d]"):format(what, i - 1)) end
    return copy
  end
  return v
end

--- A setting of a task's node, as it is for this run. Texts that are one `{{ expression }}` give its own value. Raises
--- 630 for what is undefined, 2xx for templates.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@param v any of the node; nil gives nil
---@param what string its name, for messages
---@return any
function M.render(run, task, v, what)
  v = opt(v)
  if v == nil or not is_late(v) then return v end
  return opt(render(v, context_of(run, task), task.node, what))
end

--- The same as text.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@param v any
---@param what string
---@return string|nil
function M.text(run, task, v, what)
  local given = M.render(run, task, v, what)
  if given == nil then return nil end
  return type(given) == "string" and given or jinja.str(given)
end

--- Whether an expression of `when` holds.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return boolean
function M.holds(run, task)
  local node = task.node
  return jinja.truth(jinja.eval(node.when.expression, context_of(run, task), { file = node.file, line = node.line }))
end

return M
