--- One node's life, phase by phase: the handlers that the engine (engine/run) calls, each in the node's own
-- task, so each may wait. A handler takes the engine's table of the node, `ctx`; what the handlers
-- share hangs off it as `ctx.state`.

local compile = require "run.compile"
local context = require "run.context"
local data_test = require "run.data_test"
local err = require "err"
local failure = require "run.failure"
local fs = require "dex.fs"
local hook_object = require "run.hook_object"
local hooks = require "run.hooks"
local materialize = require "run.materialize"
local seed = require "run.seed"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

-- The state ------------------------------------------------------------------------------------------

--- What runs: a node, a run hook or an operation.
---@class dex.State
---@field run table the run (lua/run/init.lua)
---@field node table the manifest's node, or an operation's
---@field info table project.info of the node
---@field conn userdata|nil its connection while it has one
---@field context table what templates see
---@field ctx table|nil the engine's table of the node
---@field outcome table status, message, failures, rows_affected: what the result will say
---@field results table by name: what load_result gives
local State = {}
State.__index = State
M.State = State

--- Runs SQL of the engine's own, logged like a statement of a macro. May wait.
---@param sql string
---@return userdata result
function State:execute(sql)
  self.run:log_sql(self, sql)
  return self.conn:exec(sql)
end

-- "INSERT 0 5" -> "INSERT"
local function code_of(tag)
  local words = {}
  for word in tag:gmatch("%S+") do
    if not word:find("^%d+$") then words[#words + 1] = word end
  end
  return table.concat(words, " ")
end

--- Keeps a result for load_result(name).
function State:store_raw(name, response)
  self.context.store_raw_result(value.kwargs { name = name, message = response.message, code = response.code,
    rows_affected = response.rows_affected or -1 })
  if name == "main" then self.outcome.response = response end
end

--- The same from what the server answered.
---@param name string
---@param result userdata
function State:store_result(name, result)
  local tag = result.status or ""
  self:store_raw(name, { message = tag, code = code_of(tag), rows_affected = result.affected })
end

-- Where a node's file stands below target/compiled or target/run.
local function artifact_path(node)
  local base = function(path) return path:match("[^/]*$") end
  local path = node.original_file_path
  if base(node.path) ~= base(path) then path = path .. "/" .. node.path end
  return node.package_name .. "/" .. path
end

local function write_artifact(run, kind, node, text)
  local path = ("%s/%s/%s"):format(run.target_path, kind, artifact_path(node))
  local folder = path:match("^(.*)/")
  if not run.folders[folder] then
    fs.mkdirs(folder)
    run.folders[folder] = true
  end
  fs.write(path, run.mask(text))
  return path
end

--- Writes target/compiled/...; sets node.compiled_path.
function State:write_compiled()
  self.node.compiled_path = write_artifact(self.run, "compiled", self.node, self.node.compiled_code)
end

--- Writes target/run/...: the statement that builds the node.
function State:write_run(sql)
  self.node.build_path = write_artifact(self.run, "run", self.node, sql)
end

--- A state for a node.
---@param run table
---@param node table
---@param ctx? table
---@return dex.State
function M.new_state(run, node, ctx)
  return setmetatable({ run = run, node = node, info = run.project.info[node.unique_id] or { hooks = {} }, ctx = ctx,
    outcome = {}, results = {} }, State)
end

-- Phases ---------------------------------------------------------------------------------------------

local handlers = {}

local function is_test(state) return state.node.resource_type == "test" end

local function split_hooks(state, which, inside)
  local list = {}
  for _, hook in ipairs((state.info.hooks or {})[which] or {}) do
    if (hook.transaction ~= false) == inside then list[#list + 1] = hook end
  end
  return list
end

local function run_hooks(state, which, phase, inside)
  local list = split_hooks(state, which, inside)
  if #list > 0 then hooks.run_phase(state, list, phase, inside and not is_test(state)) end
end

-- compile: renders the SQL; a seed's file is read.
function handlers.compile(state)
  state.context = context.node(state)
  state.compile_started = time.now()
  if state.node.resource_type == "seed" then
    seed.prepare(state)
  else
    compile.node(state)
    state:write_compiled()
  end
  state.compile_ended = time.now()
end

function handlers.pre_outside(state) run_hooks(state, "pre", "pre_outside", false) end

function handlers.pre_hooks(state) run_hooks(state, "pre", "pre_hooks", true) end

local builders = { model = materialize.run, snapshot = materialize.run, seed = seed.run, test = data_test.run }

-- What post-hooks see of it.
local function publish(state)
  local outcome = state.outcome
  local response = outcome.response or {}
  outcome.rows_affected = response.rows_affected
  state.result = { status = outcome.status or "success", message = outcome.message or response.message,
    rows = response.rows_affected, rows_affected = response.rows_affected, failures = outcome.failures,
    seconds = time.mono() - state.started, timings = state.timings }
end

function handlers.build(state)
  if state.skipped then return end
  state.relations = builders[state.node.resource_type](state) or {}
  publish(state)
end

-- post_hooks: grants and comments, the hooks, then what had to wait for them.
function handlers.post_hooks(state)
  if state.skipped then return end
  if not is_test(state) and not state.custom then
    for _, relation in ipairs(state.relations) do materialize.configure(state, relation) end
  end
  run_hooks(state, "post", "post_hooks", true)
  for _, fn in ipairs(state.finally or {}) do fn() end
end

local function run_always(state)
  if state.always_done or not (state.info.hooks or {}).always then return end
  state.always_done = true
  hooks.run_all(state, state.info.hooks.always, "always")
end

function handlers.post_outside(state)
  if state.skipped then return end
  state.committed = true
  hooks.run_after_commit(state)
  run_hooks(state, "post", "post_outside", false)
  for i, hook in ipairs(state.later or {}) do
    local failed = hooks.run(state, hook, "post_outside", { inside = false, index = i })
    if failed then error(failed, 0) end
  end
end

-- What hooks see of an error.
local function show_error(state, e)
  local known = err.is(e) and e or { message = tostring(e) }
  local shown = value.dict("message", tostring(known.message), "sqlstate", known.sqlstate, "sql", known.sql,
    "file", known.file, "line", known.line, "phase", state.ctx.failed_phase or known.phase)
  for _, key in ipairs { "sqlstate", "sql", "file", "line", "phase" } do
    if shown[key] == nil then shown[key] = none end
  end
  state.hook_error = hook_object.view(shown, "hook.error")
  state.context.error = shown
end

function handlers.on_failure(state)
  local list = (state.info.hooks or {}).on_failure
  if not list or not state.context then return end
  show_error(state, state.ctx.error)
  hooks.run_all(state, list, "on_failure")
end

function handlers.always(state)
  if not (state.info.hooks or {}).always or not state.context then return end
  if state.ctx.error ~= nil then
    show_error(state, state.ctx.error)
    state.result = state.result or { status = "error", message = state.hook_error.message }
  end
  run_always(state)
end

-- Results --------------------------------------------------------------------------------------------

local function label_of(node)
  if node.resource_type == "test" then return node.name end
  local schema = opt(node.schema)
  return schema and ("%s.%s"):format(schema, opt(node.alias) or node.name) or node.name
end

local function take_thread(run)
  local slot = 1
  while run.slots[slot] do slot = slot + 1 end
  run.slots[slot] = true
  return slot
end

local function begin(run, ctx)
  local node = ctx.node
  local state = M.new_state(run, node, ctx)
  state.started, state.started_at, state.timings = time.mono(), time.now(), {}
  state.slot = take_thread(run)
  state.thread_id = ("Thread-%d (worker)"):format(state.slot)
  ctx.state = state
  run:emit("node_start", { id = node.unique_id, kind = node.resource_type, label = label_of(node), name = node.name,
    node = node })
  return state
end

-- dbt's two timings: of the compilation, and of everything behind it.
local function timing(state)
  local list, now = {}, time.now()
  if state.compile_started then
    list[1] = { name = "compile", started_at = state.compile_started, completed_at = state.compile_ended or now }
    if state.compile_ended then
      list[2] = { name = "execute", started_at = state.compile_ended, completed_at = now }
    end
  end
  return list
end

local function new_result(run, node, status)
  local info = run.project.info[node.unique_id] or {}
  return { id = node.unique_id, unique_id = node.unique_id, kind = node.resource_type, name = node.name, node = node,
    label = label_of(node), status = status, file = info.file, line = info.line,
    relation_name = opt(node.relation_name), compiled = opt(node.compiled_code) ~= nil and true or nil,
    compiled_code = opt(node.compiled_code), compiled_path = opt(node.compiled_path) }
end

local function add_result(run, result)
  run.results[#run.results + 1] = result
  run.by_id[result.id] = result
  run:emit("node_end", result)
  if result.status == "fail" then run:emit("test_failed", result) end
end

local function fail_result(state, result, ctx)
  local run, node = state.run, state.node
  local e = failure.of_node(run, node, ctx.error, ctx.failed_phase or ctx.phase)
  result.error, result.message = e, failure.message(node, e)
  result.committed = ctx.committed or nil
  if node.resource_type ~= "test" then
    result.rerun = ("dex-lua %s --select %s"):format(node.resource_type == "seed" and "seed" or "run", node.name)
  end
  if result.committed then
    e.hint = e.hint or "the node itself is built and committed: only what follows the commit failed"
  end
end

local function report(run, ctx)
  local state = ctx.state
  run.slots[state.slot] = nil
  local outcome = state.outcome
  local result = new_result(run, state.node, outcome.status or ctx.status)
  result.thread_id, result.seconds, result.timing = state.thread_id, time.mono() - state.started, timing(state)
  result.phases = state.timings
  local response = outcome.response
  if ctx.status == "error" or ctx.status == "cancelled" then
    result.status = ctx.status
    if ctx.status == "error" then
      fail_result(state, result, ctx)
    else
      result.message = "cancelled"
    end
  elseif state.skipped then
    result.status, result.message, result.by_hook = "skipped", state.skipped, true
  else
    result.adapter_response = not is_test(state) and response or nil
    result.message = outcome.message or (not is_test(state) and response and response.message) or nil
    result.response = response and response.message
    result.failures = outcome.failures
    local rows = response and response.rows_affected
    result.rows_affected = not is_test(state) and rows and rows >= 0 and rows or nil
  end
  if outcome.status then ctx.status = outcome.status end
  add_result(run, result)
  state.conn = nil
end

local function skip(run, ctx)
  local node = ctx.node
  local result = new_result(run, node, ctx.status == "cancelled" and "cancelled" or "skipped")
  result.seconds, result.timing, result.thread_id = 0.0, {}, "MainThread"
  local cause = ctx.cause and run.project.nodes[ctx.cause]
  result.message = cause and ("%s %s did not succeed"):format(cause.resource_type, cause.name) or nil
  result.cause = ctx.cause
  add_result(run, result)
end

--- The result of a node that was never started.
---@param run table
---@param node table
---@param message string
function M.skipped(run, node, message)
  local result = new_result(run, node, "skipped")
  result.seconds, result.timing, result.message, result.thread_id = 0.0, {}, message, "MainThread"
  add_result(run, result)
end

-- A phase's work between its events.
local function timed(run, phase, work)
  return function(ctx)
    local state = ctx.state
    state.conn, state.phase = ctx.conn, phase
    local started = time.mono()
    local ok, e = pcall(work, state)
    local seconds = time.mono() - started
    state.timings[#state.timings + 1] = { phase = phase, seconds = seconds }
    run:emit("phase_end", { id = ctx.id, phase = phase, seconds = seconds, ok = ok })
    if not ok then error(e, 0) end
  end
end

--- The handlers for dex.run.execute.
---@param run table
---@return table<string, fun(ctx: table)>
function M.handlers(run)
  local all = {
    start = function(ctx) begin(run, ctx) end,
    report = function(ctx) report(run, ctx) end,
    skip = function(ctx) skip(run, ctx) end,
  }
  for phase, work in pairs(handlers) do all[phase] = timed(run, phase, work) end
  return all
end

return M
