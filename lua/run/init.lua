--- A run, from the selected nodes to their results: schemas, on-run-start, the nodes, on-run-end. The engine
-- (engine/run) drives the nodes; what each one does is in lua/run/node.lua.

local collecting = require "project.collecting"
local context = require "run.context"
local core = require "dex.core"
local earlier = require "run.earlier"
local err = require "err"
local flags = require "run.flags"
local hook_module = require "run.hook_module"
local hook_object = require "run.hook_object"
local hooks = require "run.hooks"
local ledger = require "run.ledger"
local lock = require "run.lock"
local members = require "project.members"
local no_op = require "run.no_op"
local node_module = require "run.node"
local plan = require "run.plan"
local relations = require "run.relation"
local repetition = require "run.repetition"
local results = require "run.result"
local run_hooks = require "run.run_hooks"
local secrets = require "run.secrets"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- What is known of one run. Made once for a command.
---@class dex.Run
---@field job table of lua/pipeline.lua
---@field project table
---@field pool userdata
---@field which string the command
---@field results table[] results in the order in which they ended
---@field by_id table<string, table> results by unique_id
---@field records table|nil where the records of hooks go (lua/report/hook_results.lua); nil when nobody reads them
---@field mask fun(text: string): string hides secrets
---@field cache table relations that exist (lua/run/cache.lua)
local Run = {}
Run.__index = Run

--- Tells the reporter, and whoever else listens, what happened. Does not wait.
---@param name string run_start, node_start, sql, phase_end, hook_end, node_end, test_failed, run_hook_end,
---  operation_end, run_end
---@param data table
function Run:emit(name, data)
  local report = self.job.report
  if report then report:event(name, data) end
  local recorder = self.job.recorder
  if recorder then recorder:event(name, data) end
  if self.events then self.events:note(name, data) end
end

--- A message for people.
---@param level "debug"|"info"|"warn"|"error"|"print"
---@param text string
---@param node? table whose template says it
function Run:log(level, text, node)
  local report = self.job.report
  if report then report:log(level, text, node) end
end

--- A warning of a macro or a hook, which has no code of ours. Raises code 149 when --warn-error makes it an error.
---@param text string
---@param event? string dbt's name of it
function Run:warn(text, event)
  local report = self.job.report
  local policy = report and report.policy
  local what = policy and policy:of(event or "JinjaLogWarning") or "warn"
  if what == "error" then
    err.raise { code = 149, message = text, hint = "--warn-error makes this warning an error" }
  elseif what == "warn" then
    self:log("warn", text)
  end
end

--- Whether a warning that dbt knows by this name is an error (--warn-error).
---@param event string
---@return boolean
function Run:is_error(event)
  local policy = self.job.report and self.job.report.policy
  return policy ~= nil and policy:of(event) == "error"
end

--- A statement on its way to the server.
function Run:log_sql(state, sql)
  if not self.debugging then return end
  self:emit("sql", { id = state.node and state.node.unique_id or "engine", node = state.node,
    sql = self.mask(sql) })
end

--- The variables that a node sees, as a dict.
function Run:vars_of(node)
  return require("project.vars").of(self.project.vars, node and node.package_name or self.project.name)
end

--- The flags of the command as a dict, under the names that templates use.
function Run:flags_dict(state)
  if not self.flag_values then
    local names, d = {}, value.dict()
    for name in pairs(flags.of(state)) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      local v = flags.of(state)[name]
      d[name:upper()] = value.or_none(v)
    end
    self.flag_values = d
  end
  return self.flag_values
end

local function list_of_results(run)
  local list = value.list()
  for i, result in ipairs(run.results) do
    list[i] = value.dict("unique_id", result.id, "name", result.name, "kind", result.kind, "status", result.status,
      "seconds", result.seconds, "message", result.message, "rows", result.rows_affected, "failures", result.failures)
  end
  return list
end

--- What Lua hooks see as `hook.run`.
function Run:hook_view()
  local view = value.dict("id", self.invocation_id, "started_at", time.iso(self.started_at), "command", self.which,
    "results", value.or_none(self.ending and list_of_results(self) or nil))
  return hook_object.view(view, "hook.run")
end

--- A result as templates see it.
function Run:result_value(result)
  local view = self.views[result]
  if not view then
    view = results.view(result)
    self.views[result] = view
  end
  return view
end

--- The records of its hooks go into hook_results.json, which outcome.records writes at the end; those of a flow's runs
--- into one file of the flow.
function Run:keep_records()
  if self.records or (self.job.given or {}).write_json == false then return end
  self.records = require("report.hook_results").new(self.job, self.mask)
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list or {}) do set[name] = true end
  return set
end

-- Whether anybody reads the statements.
local function debugging(job)
  local report = job.report
  if report and report.debugging then return report:debugging() end
  local given = job.given or {}
  return given.debug or given.log_level == "debug"
end

--- A run for a job whose project is loaded.
---@param job table
---@return dex.Run
function M.new(job)
  local given = job.given or {}
  local run = setmetatable({
    job = job, project = job.project, pool = job.pool, which = job.command.name, invocation_id = job.invocation_id,
    started_at = job.started_at, args = job.args, target_path = job.target_path, selected = job.selected or {},
    full_refresh = given.full_refresh, fail_fast = given.fail_fast, no_hooks = given.no_hooks,
    skip_hook = set_of(given.skip_hook), debugging = debugging(job),
    results = {}, by_id = {}, records = job.records, unbuilt = {}, slots = {}, folders = {},
    views = setmetatable({}, { __mode = "k" }),
  }, Run)
  run.modules = hook_module.new(run.project)
  run.mask = secrets.masker(run.project)
  run.cache = require("run.cache").new(run)
  if given.debug_hooks or given.debug_listen then require("repl.stop").prepare(job) end
  return run
end

-- Stages -----------------------------------------------------------------------------------------

-- 1. The list of what will run.
local function make_plan(run)
  local given, sample = run.job.given or {}, require "run.sample"
  run.transaction_retries = repetition.limit(run.project)
  run.sample = sample.parse(given.sample, run.started_at)
  run.event_times = sample.narrow(require("run.batches").range(given, run.started_at), run.sample)
  if run.job.freshness then
    run.nodes = require("run.freshness").plan(run.project, run.selected)
  else
    run.nodes = plan.make(run.project, run.selected, run.which == "build")
    run.unbuilt = no_op.of(run.project, run.selected)
  end
  if run.which == "clone" then -- a view on something elsewhere waits for nothing
    for _, item in ipairs(run.nodes) do item.deps = {} end
  end
  run.schemas = plan.schemas(run.nodes)
end

-- 2. Hook files load before anything runs.
local function check_hooks(run)
  if run.no_hooks or #run.nodes == 0 then return end
  run.events = require("run.hook_events").new(run)
  hooks.check(run, run.project.run_hooks.start)
  hooks.check(run, run.project.run_hooks.finish)
  for _, item in ipairs(run.nodes) do
    local info = run.project.info[item.id]
    for _, list in pairs(info and info.hooks or {}) do hooks.check(run, list) end
  end
end

local function count_kinds(run)
  local counts, order = {}, {}
  for _, item in ipairs(run.nodes) do
    if not counts[item.kind] then order[#order + 1] = item.kind end
    counts[item.kind] = (counts[item.kind] or 0) + 1
  end
  table.sort(order)
  local parts = {}
  for _, kind in ipairs(order) do
    parts[#parts + 1] = ("%d %s%s"):format(counts[kind], kind:gsub("_", " "), counts[kind] == 1 and "" or "s")
  end
  return table.concat(parts, ", ")
end

local function announce(run)
  local project, profile = run.project, run.project.profile
  local what = #run.nodes > 0 and count_kinds(run) .. " of" or earlier.has_only_hooks(run) and "hooks of the run of"
    or "nothing to do in"
  local line = ("dex-lua %s: %s project %s, target %s, %d thread%s"):format(core.version, what, project.name,
    tostring(profile.target_name), profile.threads, profile.threads == 1 and "" or "s")
  run:emit("run_start", { total = #run.nodes + #run.unbuilt, lines = { line }, nodes = run.nodes,
    threads = profile.threads, target_path = run.target_path })
end

-- A state for what the engine itself does: creating schemas, listing relations.
local function engine_state(run, conn)
  local state = node_module.new_state(run, value.dict("resource_type", "operation", "name", "prepare", "unique_id",
    "operation.dex.prepare", "package_name", run.project.name, "config", value.dict(), "raw_code", ""))
  state.conn = conn
  return state
end

-- 3. What stands in the schemas; those that are missing are created. May wait.
local function prepare_database(run, conn, schemas, create)
  local missing = run.cache:load(conn, schemas)
  if not create or #missing == 0 then return end
  local state = engine_state(run, conn)
  state.context = context.operation(state)
  for _, schema in ipairs(missing) do
    local relation = relations.create { database = schema.database, schema = schema.schema }
    local ok, e = pcall(state.context.create_schema, relation)
    -- two processes may create the same schema at once: the second try finds it
    if not ok and err.is(e) and e.sqlstate == "23505" then ok, e = pcall(state.context.create_schema, relation) end
    if not ok then error(err.wrap(e, { hook = "creating schema " .. schema.schema }), 0) end
  end
end

--- Lists what stands in schemas, and creates those that are missing when `create` is true. May wait.
M.prepare_database = prepare_database

-- Gives a connection back. What still runs on it was cancelled: the process may end right after this, so the
-- server's answer is waited for.
local function give_back(conn)
  if conn:txn() == "active" then pcall(conn.exec, conn, "rollback") end
  conn:release()
end

-- Whether nodes wait for hooks that failed: dbt's flag, true unless the project says otherwise.
local function goes_on_anyway(run)
  local given = opt(run.project.config.flags)
  return given ~= nil and given.skip_nodes_if_on_run_start_fails == false
end

-- 4. on-run-start. Gives whether the nodes may run. May wait.
local function start(run)
  local conn = run.pool:lease()
  local ok, e = pcall(function()
    prepare_database(run, conn, run.schemas, true)
    return run.no_hooks or run_hooks.run(run, conn, "run_start") or goes_on_anyway(run)
  end)
  give_back(conn)
  if not ok then error(e, 0) end
  return e
end

-- 5. The nodes. May wait.
local function run_nodes(run)
  collecting.settle()
  local summary = node_module.execute(run, run.nodes, run.job.threads or run.project.profile.threads)
  run.cancelled = summary and summary.cancelled
end

-- 6. on-run-end: after failures too, but not when the run was cancelled. May wait.
local function finish(run)
  run.ending = true
  if run.no_hooks or run.job.cancelled or not run_hooks.any(run, "run_end") then return end
  local conn = run.pool:lease()
  local ok, e = pcall(run_hooks.run, run, conn, "run_end")
  give_back(conn)
  if not ok then error(e, 0) end
end

local function outcome(run)
  local how = run.job.cancelled
  ledger.close(run)
  lock.check(run.job)
  if how then run:emit("cancel", { signal = how }) end
  if run.events then
    run.events:note("run_end", { results = run.results })
    run.events:drain() -- what it says belongs to the report
    run.events = nil
  end
  run:emit("run_end", { results = run.results })
  return { results = run.results, records = run.records, cancelled = run.cancelled }
end

local function run_operation(run)
  local operation = require "run.operation"
  run.events = require("run.hook_events").new(run)
  run:emit("run_start", { total = 1, lines = {}, nodes = {} })
  local call = run.job.operation
  for _, list in pairs(call.operation.hooks) do hooks.check(run, list) end
  local result = operation.run(run, call)
  local out = outcome(run)
  out.rows, out.returned = result.rows, result.returned
  return out
end

--- The text that an operation would run, secrets hidden. It is rendered in a transaction that is read only and
--- rolled back. May wait.
---@param job table
---@param call dex.OperationCall
---@return string
function M.preview(job, call)
  local run = M.new(job)
  if call.operation.language == "lua" then return (call.operation.source:gsub("%s+$", "")) end
  local conn = run.pool:lease()
  local state = node_module.new_state(run, call.operation.node)
  state.call, state.conn = call, conn
  local ok, text = pcall(function()
    conn:exec "begin transaction read only"
    local operation = require "run.operation"
    operation.compile(state)
    return state.run.mask(operation.render(call.operation, state.context, call.args))
  end)
  if conn:txn() ~= "idle" then conn:exec "rollback" end
  conn:release()
  if not ok then error(err.wrap(text, { file = call.operation.file }), 0) end
  return (text:gsub("^%s*\n", ""):gsub("%s+$", ""))
end

local function run_macro(run)
  run:emit("run_start", { total = 1, lines = {}, nodes = {} })
  local result = require("run.macro_operation").run(run, run.job.macro_operation)
  local out = outcome(run)
  out.rows, out.returned = result.rows, result.returned
  return out
end

--- Runs what a job selected, or its operation. Raises only for what is wrong before any node starts: a hook
-- file that does not load, a server that cannot be reached. May wait.
---@param job table project, selected, pool, given, command, report, target_path, ... of lua/pipeline.lua
---@return table outcome results, records, cancelled; for an operation rows
function M.execute(job)
  lock.project(job)
  local run = M.new(job)
  run:keep_records()
  if job.operation then return run_operation(run) end
  if job.macro_operation then return run_macro(run) end
  ledger.open(run)
  make_plan(run)
  check_hooks(run)
  announce(run)
  earlier.fill(run, job.earlier and job.earlier.results)
  if #run.nodes == 0 and not earlier.has_only_hooks(run) then
    if run:is_error "NothingToDo" then
      err.raise { code = 149, message = "there is nothing to do", hint = "--warn-error makes this warning an error" }
    end
    return outcome(run)
  end
  local ok, started = pcall(start, run)
  if not ok and not job.cancelled then error(started, 0) end
  if ok and started and not job.cancelled then
    run_nodes(run)
  else
    local why = job.cancelled and "cancelled" or "an on-run-start hook failed"
    for _, item in ipairs(run.nodes) do node_module.unstarted(run, item.node, "skipped", why) end
  end
  if not run.job.cancelled then
    no_op.report(run, run.unbuilt, function(...) node_module.unstarted(run, ...) end)
  end
  finish(run)
  return outcome(run)
end

-- Without building ---------------------------------------------------------------------------------

-- A result of `compile`.
local function compile_one(run, conn, id)
  local node = members.runnable(run.project, id)
  local state = node_module.new_state(run, node)
  state.conn, state.started, state.timings = conn, time.mono(), {}
  local started_at = time.now()
  local ok, e = pcall(function()
    state.context = context.node(state)
    require("run.compile").node(state)
    state:write_compiled()
  end)
  local result = { id = id, unique_id = id, kind = node.resource_type, name = node.name, label = node.name, node = node,
    status = ok and "success" or "error", seconds = time.mono() - state.started, thread_id = "MainThread",
    timing = { { name = "compile", started_at = started_at, completed_at = time.now() } },
    compiled = opt(node.compiled_code) and true or nil, compiled_code = opt(node.compiled_code),
    relation_name = opt(node.relation_name), file = state.info.file }
  if not ok then
    local failure = require "run.failure"
    result.error = failure.of_node(run, node, e, "compile")
    result.message = failure.message(node, result.error)
  end
  run.results[#run.results + 1] = result
  run.by_id[id] = result
  return result
end

local function with_connection(run, fn)
  local conn = run.pool:lease()
  local results_of = table.pack(pcall(fn, conn))
  give_back(conn)
  if not results_of[1] then error(results_of[2], 0) end
  return table.unpack(results_of, 2, results_of.n)
end

-- A connection that its first use takes from the pool, and what gives it back. A cache that knows no schema lists those
-- that a template asks for.
local function late_connection(run)
  local conn
  local late = setmetatable({}, { __index = function(_, name)
    return function(_, ...)
      conn = conn or run.job.pool:lease()
      return conn[name](conn, ...)
    end
  end })
  return late, function()
    if conn then give_back(conn) end
  end
end

--- Renders the selected nodes to target/compiled. Hooks are not touched. May wait: templates may query.
---@param job table
---@return table outcome
function M.compile(job)
  local run = M.new(job)
  run:keep_records() -- none: what stands there is of another command
  run.nodes = {}
  local ids = {}
  for _, id in ipairs(job.selected) do
    if members.runnable(run.project, id).resource_type ~= "seed" then ids[#ids + 1] = id end
  end
  run:emit("run_start", { total = #ids, lines = {}, nodes = {} })
  local conn, done = late_connection(run)
  local ok, e = pcall(function()
    for _, id in ipairs(ids) do run:emit("node_end", compile_one(run, conn, id)) end
  end)
  done()
  if not ok then error(e, 0) end
  return { results = run.results, records = run.records }
end

--- What the database holds of the project. May wait.
---@param job table
---@param only? table<string, boolean> unique_ids; nil for all
---@return table catalog of lua/run/catalog.lua
function M.catalog(job, only)
  local run = M.new(job)
  return with_connection(run, function(conn) return require("run.catalog").read(run, conn, only) end)
end

--- Runs the query of one node with a limit. May wait.
---@param job table
---@param id string unique_id of a model, test or seed
---@param limit integer|nil
---@return userdata result
---@return table node
function M.show(job, id, limit)
  local run = M.new(job)
  local node = members.runnable(run.project, id)
  return with_connection(run, function(conn)
    local state = node_module.new_state(run, node)
    state.conn, state.context = conn, context.node(state)
    local ok, result = pcall(function()
      local sql
      if node.resource_type == "seed" then
        sql = "select * from " .. tostring(state.context.this)
      else
        sql = require("run.compile").node(state)
      end
      local header = value.or_none(opt(node.config and node.config.sql_header))
      return state:execute(state.context.get_show_sql(sql, header, value.or_none(limit)))
    end)
    if not ok then error(require("run.failure").of_node(run, node, result, "show"), 0) end
    return result, node
  end)
end

return M
