--- What happens around a flow's run: its hooks of `start`, `success`, `failure` and `always`, and whom `notify` tells.

local context = require "run.context"
local err = require "err"
local hook_object = require "run.hook_object"
local hooks = require "run.hooks"
local loop = require "dex.loop"
local node_module = require "run.node"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

local phases = { start = "flow_start", success = "flow_success", failure = "flow_failure", always = "flow_always" }

-- What hooks see of the run so far: `hook.result`, and `result` in templates.
local function result_of(run, status)
  local failed = value.list()
  for i, name in ipairs(run.failed or {}) do failed[i] = name end
  return value.dict("flow", run.flow.name, "run_id", run.id, "status", status, "message", value.or_none(run.message),
    "failed", failed, "trigger", run.trigger, "scheduled_for", value.or_none(run.scheduled_text))
end

local function state_of(run, conn, status)
  local state = node_module.new_state(run.engine, values.node_of(run))
  state.conn, state.context = conn, context.operation(state)
  for name, v in pairs(values.names(run)) do rawset(state.context, name, v) end
  local result = result_of(run, status)
  rawset(state.context, "result", result)
  state.result = hook_object.view(result, "hook.result")
  if run.message and status ~= "running" and status ~= "success" then
    state:show_error(err.new { code = 635, message = run.message, file = run.flow.file, line = run.flow.line })
  end
  return state
end

local function give_back(conn)
  if conn:txn() == "active" then pcall(conn.exec, conn, "rollback") end
  conn:release()
end

-- Calls fn(state) with a connection; who cancels the run cancels it.
local function with_state(run, status, fn)
  local work = loop.spawn(function()
    local conn = run.job.pool:lease()
    local ok, e = pcall(function() return fn(state_of(run, conn, status)) end)
    give_back(conn)
    if not ok then error(e, 0) end
    return e
  end)
  run.hook_work = work
  local ok, e = pcall(work.wait, work)
  run.hook_work = nil
  if not ok then error(e, 0) end
  return e
end

local function run_one(state, hook, phase, index)
  return (hooks.run(state, hook, phase, { inside = false, own_transaction = hook.transaction ~= false, index = index }))
end

--- Loads what the hooks name; raises what is wrong with it.
---@param run dex.FlowRun
function M.check(run)
  for _, list in pairs(run.flow.hooks) do hooks.check(run.engine, list) end
  for _, notice in ipairs(run.flow.notify) do hooks.check(run.engine, { notice.hook }) end
end

--- Runs the hooks of a moment. After a failure those of `start` and `success` stop; the others all have their turn. May
--- wait.
---@param run dex.FlowRun
---@param moment "start"|"success"|"failure"|"always"
---@param status string of the run
---@return dex.Error|nil the first failure
function M.run(run, moment, status)
  local list = run.flow.hooks[moment]
  if #list == 0 or run.engine.no_hooks then return nil end
  return with_state(run, status, function(state)
    local first
    for i, hook in ipairs(list) do
      if hooks.is_wanted(run.engine, hook) then
        local failed = run_one(state, hook, phases[moment], i)
        first = first or failed
        if failed and (moment == "start" or moment == "success") then return first end
      end
    end
    return first
  end)
end

-- A hook of `notify`, whose arguments say what it is about.
local function notice_hook(notice, moment, status, run)
  local args = value.dict()
  for name, v in pairs(value.opt(notice.hook.args) or {}) do args[name] = v end
  for name, v in pairs { severity = notice.severity, moment = moment, flow = run.flow.name, status = status } do
    if args[name] == nil then args[name] = v end
  end
  return setmetatable({ args = args }, { __index = notice.hook })
end

--- Tells those whom `notify` names. What fails is a warning: a flow does not fail because nobody could be told. May
--- wait.
---@param run dex.FlowRun
---@param moment "start"|"success"|"failure"
---@param status string of the run
function M.notify(run, moment, status)
  local wanted = {}
  for _, notice in ipairs(run.flow.notify) do
    if notice.on == moment then wanted[#wanted + 1] = notice end
  end
  if #wanted == 0 or run.engine.no_hooks then return end
  local ok, e = pcall(with_state, run, status, function(state)
    for i, notice in ipairs(wanted) do
      rawset(state.context, "severity", notice.severity)
      local failed = run_one(state, notice_hook(notice, moment, status, run), "notify", i)
      if failed then run:say(nil, "warn", "nobody was told: " .. tostring(failed.message)) end
    end
  end)
  if not ok then run:say(nil, "warn", "nobody was told: " .. tostring(err.wrap(e).message)) end
end

return M
