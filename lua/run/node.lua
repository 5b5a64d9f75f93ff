--- One node's life, phase by phase: the handlers that the engine (engine/run) calls, each in the node's own
-- task, so each may wait. A handler takes the engine's table of the node, `ctx`; what the handlers
-- share hangs off it as `ctx.state`.

local clone = require "run.clone"
local compile = require "run.compile"
local context = require "run.context"
local data_test = require "run.data_test"
local dex_run = require "dex.run"
local err = require "err"
local failure = require "run.failure"
local freshness = require "run.freshness"
local fs = require "dex.fs"
local hook_object = require "run.hook_object"
local hooks = require "run.hooks"
local materialize = require "run.materialize"
local microbatch = require "run.microbatch"
local members = require "project.members"
local operations = require "project.operations"
local operation = require "run.operation"
local operation_result = require "run.operation_result"
local outbox = require "run.outbox"
local seed = require "run.seed"
local statement = require "run.statement"
local time = require "dex.time"
local unit_test = require "run.unit_test"
local value = require "jinja.value"
local repetition = require "run.repetition"
local version_pointer = require "run.version_pointer"

local M = {}

local opt = value.opt

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
---@field statements table by name: what load_result gives (lua/run/statement.lua)
local State = {}
State.__index = State
M.State = State

--- Runs SQL of the engine's own, logged like a statement of a macro. May wait.
---@param sql string
---@return userdata result
function State:execute(sql)
  return statement.execute(self, sql)
end

--- Keeps the outcome of the node's own statement: load_result('main') and the result say it.
---@param response dex.Response
function State:store_main(response)
  statement.store(self, "main", response)
end

-- Where a node's file stands below target/compiled or target/run; a batch's is in a folder of its node.
local function artifact_path(node, batch)
  local base = function(path) return path:match("[^/]*$") end
  local path = node.original_file_path
  if node.resource_type == "snapshot" then
    path = ("%s/%s.sql"):format(path, node.name)
  elseif base(node.path) ~= base(path) then path = path .. "/" .. node.path end
  if batch then
    local stem, extension = path:match("^(.*)(%.[^./]*)$")
    path = ("%s/%s_%s%s"):format(stem, base(stem), batch, extension)
  end
  return node.package_name .. "/" .. path
end

local function write_artifact(state, kind, text)
  local run = state.run
  local path = ("%s/%s/%s"):format(run.target_path, kind, artifact_path(state.node, state.artifact_suffix))
  local folder = path:match("^(.*)/")
  if not run.folders[folder] then
    -- older versions of dbt wrote a snapshot as a file where its folder is now
    if fs.exists(folder) and not fs.isdir(folder) then fs.remove_tree(folder) end
    fs.mkdirs(folder)
    run.folders[folder] = true
  end
  fs.update(path, run.mask(text))
  return path
end

--- Writes target/compiled/...; sets node.compiled_path.
function State:write_compiled()
  self.node.compiled_path = write_artifact(self, "compiled", self.node.compiled_code)
end

--- Writes target/run/...: the statement that builds the node.
function State:write_run(sql)
  self.node.build_path = write_artifact(self, "run", sql)
end

--- Lets hooks see an error: `hook.error` in Lua, `error` in templates.
---@param e any
function State:show_error(e)
  local known = err.is(e) and e or { message = tostring(e) }
  local shown = value.dict("message", tostring(known.message))
  for _, key in ipairs { "sqlstate", "sql", "file", "line" } do shown[key] = value.or_none(known[key]) end
  shown.phase = value.or_none(self.ctx and self.ctx.failed_phase or known.phase)
  self.hook_error = hook_object.view(shown, "hook.error")
  self.context.error = shown
end

--- A state for a node.
---@param run table
---@param node table
---@param ctx? table
---@return dex.State
function M.new_state(run, node, ctx)
  return setmetatable({ run = run, node = node, info = run.project.info[node.unique_id] or { hooks = {} }, ctx = ctx,
    outcome = {}, statements = {} }, State)
end

-- Phases ---------------------------------------------------------------------------------------------

local handlers = {}

local test_kinds = { test = true, unit_test = true, source = true }

local function is_test(state) return test_kinds[state.node.resource_type] ~= nil end

local function is_operation(state) return state.node.resource_type == "operation" end

local function split_hooks(state, which, inside)
  local list = {}
  for _, hook in ipairs((state.info.hooks or {})[which] or {}) do
    if (hook.transaction ~= false) == inside then list[#list + 1] = hook end
  end
  return list
end

local function run_hooks(state, which, phase, inside, from)
  local list = split_hooks(state, which, inside)
  if #list > 0 then hooks.run_phase(state, list, phase, inside and state.transactional, from) end
end

-- compile: renders the SQL; a seed's file is read.
function handlers.compile(state)
  state.compile_started = time.now()
  if is_operation(state) then
    operation.compile(state)
    state.compile_ended = time.now()
    return
  end
  state.context = context.node(state)
  state.compile_ended = state.compile_started
  if state.run.which == "clone" then return end
  local kind = state.node.resource_type
  if kind == "seed" then
    seed.prepare(state)
  elseif microbatch.is(state.run.project, state.node) then
    microbatch.compile(state)
  elseif kind ~= "source" then
    if kind == "unit_test" then unit_test.prepare(state) else compile.node(state) end
    state:write_compiled()
  end
  state.compile_ended = time.now()
end

function handlers.pre_outside(state)
  run_hooks(state, "pre", "pre_outside", false)
  state.skipped_outside = state.skipped ~= nil
end

function handlers.pre_hooks(state) run_hooks(state, "pre", "pre_hooks", true) end

local function build_model(state)
  return (state.batches and microbatch.build or materialize.run)(state)
end

local builders = { model = build_model, ["function"] = materialize.run, snapshot = materialize.run, seed = seed.run,
  test = data_test.run,
  unit_test = unit_test.run, source = freshness.run, operation = operation.build }

-- What the node's own statement did: {message, code, rows_affected}, or nil.
local function main_response(state)
  local main = state.statements.main
  local response = main and main.response
  if not response then return nil end
  local rows = opt(response.rows_affected)
  return { message = opt(response._message), code = opt(response.code),
    rows_affected = rows and rows >= 0 and rows or nil }
end

-- What post-hooks see of it.
local function publish(state)
  local outcome = state.outcome
  local response = is_operation(state) and { message = outcome.response, rows_affected = outcome.affected }
    or main_response(state) or {}
  state.result = { status = outcome.status or "success", message = outcome.message or response.message,
    rows = response.rows_affected, rows_affected = response.rows_affected, failures = outcome.failures,
    seconds = time.mono() - state.started, timings = state.timings }
end

function handlers.build(state)
  if state.skipped then return end
  local build = state.run.which == "clone" and clone.run or builders[state.node.resource_type]
  state.relations = build(state) or {}
  for _, relation in ipairs(state.relations) do state.run.cache:add(relation, state) end
  if state.relations[1] and state.run.which ~= "clone" and version_pointer.wanted(state.run.project, state.node) then
    version_pointer.build(state, state.relations[1])
  end
  publish(state)
end

-- The last words of a node's transaction.
local function note_commit(state)
  local ledger = state.run.ledger
  if ledger and state.transactional then ledger:commit(state) end
  local note = state.run.job.before_commit
  if note and state.transactional then note(state) end
end

-- post_hooks: grants and comments, the hooks, then what had to wait for them.
function handlers.post_hooks(state)
  if state.skipped then
    note_commit(state)
    return
  end
  if not is_test(state) and not state.custom then
    for _, relation in ipairs(state.relations) do materialize.configure(state, relation) end
  end
  run_hooks(state, "post", "post_hooks", true)
  for _, fn in ipairs(state.finally or {}) do fn() end
  note_commit(state)
end

-- What the node changed in the cache of relations stays, or is undone, with its transaction.
local function settle_cache(state)
  local cache, ctx = state.run.cache, state.ctx
  if ctx.committed or state.node.resource_type == "test" then cache:commit(state) else cache:rollback(state) end
end

-- What was left for after the commit is gone with the run that a retry takes up.
local function tell_lost(state)
  state.run:warn(("%s: what hook:after_commit had left for after its commit is lost with the earlier run"):format(
    state.node.name))
end

function handlers.post_outside(state)
  local ledger, ctx = state.run.ledger, state.ctx
  if ledger and ctx.committed and (state.queued or state.done) then
    outbox.deliver(state.run, state.conn, state.node.unique_id)
  end
  if state.skipped then return end
  settle_cache(state)
  local deferred = state.after_commit ~= nil or state.later ~= nil
  local lost = state.done and state.done.pending:find("deferred", 1, true) and not state.done.deferred
  if lost then tell_lost(state) end
  hooks.run_after_commit(state)
  run_hooks(state, "post", "post_outside", false, state.resume_from)
  for i, hook in ipairs(state.later or {}) do
    local failed = hooks.run(state, hook, "post_outside", { inside = false, index = i })
    if failed then error(failed, 0) end
  end
  if ledger and state.transactional and (deferred or lost) then ledger:note_rest(state, "deferred") end
end

-- The context of a node that failed before it was compiled is made now.
local function need_context(state)
  state.context = state.context or (is_operation(state) and context.operation or context.node)(state)
end

-- The error as it will be reported: hooks see the file and line as well.
local function explain(state)
  local ctx = state.ctx
  ctx.error = failure.of_node(state.run, state.node, ctx.error, ctx.failed_phase or ctx.phase)
end

function handlers.on_failure(state)
  settle_cache(state)
  need_context(state)
  explain(state)
  state:show_error(state.ctx.error)
  hooks.run_all(state, state.info.hooks.on_failure, "on_failure")
end

function handlers.always(state)
  if state.done and state.done.always then return end
  need_context(state)
  if state.ctx.error ~= nil then
    explain(state)
    state:show_error(state.ctx.error)
    state.result = { status = state.ctx.status, message = state.hook_error.message,
      seconds = time.mono() - state.started, timings = state.timings }
  end
  hooks.run_all(state, state.info.hooks.always, "always")
  local ledger = state.run.ledger
  if ledger and state.transactional and state.ctx.committed then ledger:note_rest(state, "always") end
end

-- Results --------------------------------------------------------------------------------------------

local function label_of(node)
  if node.resource_type == "test" then return node.name end
  if node.resource_type == "operation" then return (node.unique_id:gsub("^operation%.[^.]*%.", "")) end
  if node.resource_type == "source" then return ("%s.%s"):format(node.source_name, node.name) end
  if node.resource_type == "unit_test" then return ("%s::%s"):format(node.model, node.name) end
  local schema = opt(node.schema)
  return schema and ("%s.%s"):format(schema, opt(node.alias) or node.name) or node.name
end

--- What people are shown of a node.
---@param node table
---@return string
M.label_of = label_of

local function take_thread(run)
  local slot = 1
  while run.slots[slot] do slot = slot + 1 end
  run.slots[slot] = true
  return slot
end

local function any_hook(run, info, which)
  for _, hook in ipairs((info.hooks or {})[which] or {}) do
    if hooks.is_wanted(run, hook) then return true end
  end
  return false
end

local function begin(run, ctx, call)
  local node = ctx.node
  local state = M.new_state(run, node, ctx)
  state.call = call
  state.transactional = not is_test(state)
  if is_operation(state) then
    state.transactional = operations.is_transactional(state.info.operation)
    ctx.transaction = state.transactional
  end
  state.started, state.started_at, state.timings = time.mono(), time.now(), {}
  state.slot = take_thread(run)
  state.thread_id = ("Thread-%d (worker)"):format(state.slot)
  ctx.state = state
  local earlier = run.job.earlier
  state.resume_from = earlier and earlier.hooks and earlier.hooks[node.unique_id]
  state.done = earlier and earlier.done and earlier.done[node.unique_id]
  if state.resume_from then state.result = { status = "success", timings = state.timings } end
  ctx.has_on_failure = any_hook(run, state.info, "on_failure")
  ctx.has_always = any_hook(run, state.info, "always")
  run:emit("node_start", { id = node.unique_id, kind = node.resource_type, label = label_of(node), name = node.name,
    node = node, timings = state.timings })
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
  if result.kind == "operation" then run:emit("operation_end", result) end
end

-- The command that builds a kind of node by itself.
local rerun_commands = { model = "run", ["function"] = "build" }

-- Options that the same command needs again, as a shell takes them.
local function same_options(run)
  local words, given = {}, run.job.given or {}
  for _, name in ipairs { "target", "profile", "profiles_dir", "project_dir", "target_path", "vars" } do
    local v = given[name]
    if v then
      v = v:find("[^%w_./:-]") and "'" .. v:gsub("'", "'\\''") .. "'" or v
      words[#words + 1] = (" --%s %s"):format((name:gsub("_", "-")), v)
    end
  end
  return table.concat(words)
end

local function fail_result(state, result, ctx)
  local run, node = state.run, state.node
  local e = failure.of_node(run, node, ctx.error, ctx.failed_phase or ctx.phase)
  result.error, result.message = e, run.mask(failure.message(node, e))
  if is_operation(state) and e.sql then e.sql = run.mask(e.sql) end -- its arguments stand in it
  result.committed = ctx.committed or nil
  if not is_test(state) then
    local kind = node.resource_type
    result.rerun = kind ~= "operation" and ("dex-lua %s --select %s%s"):format(rerun_commands[kind] or kind, node.name,
      same_options(run)) or run.which ~= "operation" and ("dex-lua operation run %s%s"):format(label_of(node),
      same_options(run)) or nil
  end
  if result.committed then
    e.hint = e.hint or "the node itself is built and committed: only what follows the commit failed"
  end
end

-- What hooks of on_failure and always wanted to do, whose transactions have ended. It changes no outcome.
local function deliver_late(state)
  local run = state.run
  local conn = run.pool:lease()
  local ok, e = pcall(outbox.deliver, run, conn, state.node.unique_id)
  conn:release()
  if not ok then run:log("error", tostring(err.wrap(e).message)) end
end

local function report(run, ctx)
  local state = ctx.state
  run.slots[state.slot] = nil
  settle_cache(state)
  local outcome = state.outcome
  local result = new_result(run, state.node, outcome.status or ctx.status)
  result.thread_id, result.seconds, result.timing = state.thread_id, time.mono() - state.started, timing(state)
  result.phases = state.timings
  local response = main_response(state)
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
    result.adapter_response = response
    result.message = outcome.message or (not is_test(state) and response and response.message) or nil
    result.response = response and response.message
    result.failures, result.freshness, result.stored = outcome.failures, outcome.freshness, outcome.stored
    result.rows_affected = not is_test(state) and response and response.rows_affected or nil
    result.error = outcome.error
  end
  result.tries = state.tries
  if state.batches then
    result.batch_results = microbatch.results(state.batch_results)
    microbatch.close(state)
  end
  if outcome.status then ctx.status = outcome.status end
  if is_operation(state) then operation_result.fill(result, state) end
  add_result(run, result)
  state.conn = nil
  if state.queued_late then deliver_late(state) end
end

local function skip(run, ctx, call)
  local node = ctx.node
  local result = new_result(run, node, ctx.status == "cancelled" and "cancelled" or "skipped")
  result.seconds, result.timing, result.thread_id = 0.0, {}, "MainThread"
  local cause = ctx.cause and members.runnable(run.project, ctx.cause)
  result.message = cause and ("%s %s did not succeed"):format(cause.resource_type, cause.name) or nil
  result.cause = ctx.cause
  add_result(run, result)
  if call then call.result = result end
end

--- The result of a node that was never started.
---@param run table
---@param node table
---@param status "skipped"|"no-op"
---@param message string
function M.unstarted(run, node, status, message)
  local result = new_result(run, node, status)
  result.seconds, result.timing, result.message, result.thread_id = 0.0, {}, message, "MainThread"
  add_result(run, result)
end

-- What a node has behind it that `retry` takes up after its commit.
local before_commit = { pre_outside = true, pre_hooks = true, build = true, post_hooks = true }

-- Phases that are the node's own, for --debug-hooks: those of hooks ask for each hook.
local own_work = { compile = true, build = true }

-- A phase's work between its events.
local function timed(run, phase, work)
  return function(ctx)
    local state = ctx.state
    state.conn, state.phase = ctx.conn, phase
    if state.resume_from and before_commit[phase] then return end
    local started, debugger = time.mono(), run.job.debugger
    local ok, e
    if debugger and debugger.catches and own_work[phase] then
      ok, e = pcall(debugger.phase, debugger, state, phase, work, handlers.compile)
    else
      ok, e = pcall(work, state)
    end
    local seconds = time.mono() - started
    state.timings[#state.timings + 1] = { phase = phase, seconds = seconds, started = started }
    if run.events then run:emit("phase_end", { id = ctx.id, phase = phase, seconds = seconds, ok = ok }) end
    if run.job.recorder then run.job.recorder:phase_ended(ctx.id) end
    if not ok then error(e, 0) end
  end
end

--- The handlers for dex.run.execute.
---@param run table
---@param call? dex.OperationCall what the one node, an operation, is given
---@return table<string, fun(ctx: table)>
function M.handlers(run, call)
  local all = {
    start = function(ctx) begin(run, ctx, call) end,
    report = function(ctx) report(run, ctx) end,
    again = function(ctx) repetition.decide(ctx.state) end,
    skip = function(ctx) skip(run, ctx, call) end,
  }
  for phase, work in pairs(handlers) do all[phase] = timed(run, phase, work) end
  return all
end

--- Takes nodes through their phases, each when those before it have ended. Their results come into run.results. May
--- wait; several may run at once, and what a signal cancels are all of them.
---@param run table
---@param nodes table[] of lua/run/plan.lua
---@param threads integer
---@param call? dex.OperationCall what the one node, an operation, is given
---@return table|nil summary {cancelled, reason, counts}
function M.execute(run, nodes, threads, call)
  local job = run.job
  job.nodes_run = (job.nodes_run or 0) + 1
  local ok, summary = pcall(dex_run.execute, { nodes = nodes, threads = threads, pool = run.pool,
    fail_fast = run.fail_fast or false, owner = job, handlers = M.handlers(run, call) })
  job.nodes_run = job.nodes_run > 1 and job.nodes_run - 1 or nil
  if not ok then error(summary, 0) end
  return summary
end

return M
