--- Builds a microbatch model: one batch of time after the other, each between savepoints of the node's
-- transaction. A batch that fails is undone and the others stay; when the first one fails, the node does.

local batches = require "run.batches"
local compile = require "run.compile"
local context = require "run.context"
local err = require "err"
local failure = require "run.failure"
local macros = require "project.macros"
local materialize = require "run.materialize"
local statement = require "run.statement"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Whether the strategy is the built-in one, which merges.
local function is_builtin(project)
  local own = project.macro_index[project.name]
  return not own.get_incremental_microbatch_sql and not own.postgres__get_incremental_microbatch_sql
end

-- A project's own strategy of that name is built at once, as long as the flag does not say otherwise.
local function is_batched(project)
  local macro = macros.find(project, "get_incremental_microbatch_sql", project.name)
  if macro and macro.package_name == "dbt" then return true end
  local flags = opt(project.config.flags)
  return flags ~= nil and opt(flags.require_batched_execution_for_custom_microbatch_strategy) == true
end

--- Whether a node is built batch by batch.
---@param project table
---@param node table
function M.is(project, node)
  local config = node.config
  return node.resource_type == "model" and config.materialized == "incremental"
    and opt(config.incremental_strategy) == "microbatch" and is_batched(project)
end

local function shown(batch, size) return batches.name(batch.from, size) end

-- What one batch sees instead of its node's state.
local function batch_state(state, batch)
  local own = setmetatable({ statements = {}, context = false, macro_context = false, model_view = false,
    finally = {}, cache_journal = {}, replaced = false, batch = batch,
    artifact_suffix = shown(batch, state.node.config.batch_size) }, { __index = state })
  own.context = context.node(own)
  return own
end

-- Renders a batch: the inputs that have an event_time are filtered (lua/run/resolve.lua).
local function compile_batch(state, batch)
  local node = state.node
  local size = node.config.batch_size
  node.batch = value.dict("id", shown(batch, size):gsub("-", ""), "event_time_start", batches.datetime(batch.from),
    "event_time_end", batches.datetime(batch.to))
  local own = batch_state(state, batch)
  compile.node(own)
  own:write_compiled()
  return own
end

local function is_incremental(state)
  local ctx = state.context
  local existing = opt(ctx.load_cached_relation(ctx.this))
  return existing ~= nil and existing.is_table and opt(ctx.should_full_refresh()) ~= true
end

-- The span of the command line. `retry` goes on from the time of the command that it takes up.
local function range_of(run)
  local started_at = run.job.earlier and opt(run.job.earlier.started_at)
  local now = started_at and batches.parse(started_at)
  return now and { start = run.event_times.start, finish = run.event_times.finish, now = now } or run.event_times
end

-- The batches of an earlier run's artifact.
local function spans(pairs_of_times)
  local list = {}
  for i, pair in ipairs(pairs_of_times) do
    list[i] = { from = batches.parse(pair[1]).hour, to = batches.parse(pair[2]).hour }
  end
  return list
end

--- The phase `compile`: finds the batches, and renders the first one. May wait.
---@param state table
function M.compile(state)
  local node, run = state.node, state.run
  local config = node.config
  if opt(config.unique_key) == nil and is_builtin(run.project) then
    err.raise { code = 177, message = ("microbatch model '%s' needs a unique_key on PostgreSQL"):format(node.name),
      file = state.info.file, line = state.info.line, hint = "its batches are merged by it" }
  end
  local earlier = run.job.earlier and run.job.earlier.batches[node.unique_id]
  state.incremental = earlier ~= nil or is_incremental(state)
  if earlier then
    state.batches, state.earlier_batches = spans(earlier.failed), spans(earlier.successful)
  else
    state.batches = batches.of({ batch_size = config.batch_size, lookback = opt(config.lookback) or 1,
      begin = batches.parse(tostring(config.begin)) }, range_of(run), state.incremental)
  end
  state.first_batch = compile_batch(state, state.batches[1])
end

local function yes() return true end
local function no() return false end

-- Builds a batch that is compiled. May wait.
local function build_batch(state, own, first)
  if not first or state.incremental then
    own.context.is_incremental, own.context.should_full_refresh = yes, no
  end
  local relations = materialize.run(own)
  for _, fn in ipairs(own.finally) do fn() end
  for _, relation in ipairs(relations) do state.run.cache:add(relation, own) end
  return relations, statement.rows(own, "main")
end

-- The same between savepoints. Gives the relations and the number of rows, or nil and the error. May wait.
local function try_batch(state, batch, first)
  state.conn:exec("savepoint dex_batch")
  local own
  local ok, relations, rows = pcall(function()
    own = first and state.first_batch or compile_batch(state, batch)
    return build_batch(state, own, first)
  end)
  local transaction = state.conn:txn()
  if ok and transaction == "intrans" then
    state.conn:exec("release savepoint dex_batch")
    state.cache_journal = table.move(own.cache_journal, 1, #own.cache_journal, #(state.cache_journal or {}) + 1,
      state.cache_journal or {})
    if first then state.replaced, state.rebuilt, state.custom = own.replaced, own.rebuilt, own.custom end
    return relations, rows
  end
  if own then state.run.cache:rollback(own) end
  local e = relations
  if transaction ~= "intrans" and transaction ~= "inerror" or err.is(e) and e.cancelled then error(e, 0) end
  state.conn:exec("rollback to savepoint dex_batch; release savepoint dex_batch")
  return nil, e
end

local function tell(state, index, e)
  local run, node = state.run, state.node
  local name = shown(state.batches[index], node.config.batch_size)
  local head = ("batch %s of %s (%d of %d)"):format(name, node.name, index, #state.batches)
  if e == nil then return run:log("info", head .. " is built") end
  run:log("error", ("%s failed: %s"):format(head, tostring(err.is(e) and e.message or e)))
end

-- Everything that was not built, for the artifacts of a node that fails.
local function none_built(state)
  state.batch_results = { successful = {}, failed = state.batches }
end

local function conclude(state, results, rows, first_error)
  local outcome = state.outcome
  local earlier = state.earlier_batches or {}
  table.move(earlier, 1, #earlier, #results.successful + 1, results.successful)
  local done, failed = #results.successful, #results.failed
  state.batch_results = results
  state:store_main(statement.new_response("SUCCESS", nil, rows))
  if failed > 0 then
    outcome.status, outcome.error = "partial success", first_error
    outcome.message = ("PARTIAL SUCCESS (%d/%d)"):format(done, done + failed)
    state.ctx.blocks = true
  end
end

--- The phase `build`. Returns the relations. May wait.
---@param state table
---@return table[] relations
function M.build(state)
  none_built(state)
  local results, total, first_error, built = { successful = {}, failed = {} }, 0, nil, nil
  for i, batch in ipairs(state.batches) do
    local relations, rows = try_batch(state, batch, i == 1)
    if not relations then
      local e = failure.of_node(state.run, state.node, rows, "build")
      tell(state, i, e)
      if i == 1 then error(e, 0) end
      first_error = first_error or e
      table.insert(results.failed, batch)
    else
      tell(state, i)
      built, total = built or relations, total + (rows or 0)
      table.insert(results.successful, batch)
    end
  end
  conclude(state, results, total, first_error)
  return built
end

--- Takes from the node what only its batches had. Called however the node ended.
---@param state table
function M.close(state)
  value.del(state.node, "batch")
end

--- The batches of a result as the artifacts have them: pairs of ISO times.
---@param found {successful: table[], failed: table[]}|nil
---@return table|nil dict
function M.results(found)
  if not found then return nil end
  local d = value.dict()
  for _, key in ipairs { "successful", "failed" } do
    local list = value.list()
    for i, batch in ipairs(found[key]) do
      list[i] = value.list { batches.text(batch.from, "T"), batches.text(batch.to, "T") }
    end
    d[key] = list
  end
  return d
end

return M
