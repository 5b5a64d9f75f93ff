--- Runs a data test: its query gives the rows that are wrong, and their number decides.

local err = require "err"
local materialize = require "run.materialize"
local relations = require "run.relation"
local statement = require "run.statement"
local tables = require "run.table"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function results(n) return n == 1 and "1 result" or ("%d results"):format(n) end

-- SQL that stands before the test's own statements, if the project's flag lets it, as in dbt.
local function header(state)
  local text = opt(state.node.config.sql_header)
  local flags = opt(state.run.project.config.flags)
  return text and flags and flags.require_sql_header_in_test_configs == true and text .. "\n" or ""
end

-- Keeps the failing rows as a table or view, and gives the query that reads them. May wait.
local function store(state, query)
  local context, node = state.context, state.node
  local kind = opt(node.config.store_failures_as) or "table"
  if kind ~= "table" and kind ~= "view" then
    err.raise { code = 170, message = ("store_failures_as must be table, view or ephemeral, not '%s'"):format(
      tostring(kind)), file = state.info.file, line = state.info.line }
  end
  local adapter = context.adapter
  local target = relations.create { database = node.database, schema = node.schema, identifier = node.alias,
    type = kind }
  local existing = opt(adapter.get_relation(node.database, node.schema, node.alias))
  state.conn:exec "begin"
  local ok, e = pcall(function()
    if existing then adapter.drop_relation(existing) end
    state:execute(header(state) .. context.get_create_sql(target, query))
  end)
  state.conn:exec(ok and "commit" or "rollback")
  if not ok then error(e, 0) end
  state.run.cache:add(target, state)
  state.outcome.stored = ("select * from %s"):format(tostring(target))
  return state.outcome.stored
end

local function should_store(state)
  local config = state.node.config
  local as = opt(config.store_failures_as)
  if as then return as ~= "ephemeral" end
  return opt(state.context.should_store_failures()) == true
end

local function number(v)
  v = opt(v)
  if type(v) == "boolean" then return v and 1 or 0 end
  if type(v) == "table" or type(v) == "string" then v = tonumber(tostring(v)) end
  return v and math.tointeger(v) or v
end

-- What a condition says: true, 1, 't' or 'true'.
local function truth(v)
  if type(v) == "string" then return v == "t" or v:lower() == "true" end
  return v == true or v == 1
end

local function bad_result(state, rows, columns)
  err.raise { code = 171, message = ("the test's query gave %d rows of %d columns instead of one row"):format(rows,
    columns), file = state.info.file, line = state.info.line,
    hint = "fail_calc must be an aggregate, such as count(*)" }
end

-- The one row of a project's own materialization: failures, should_warn, should_error. May wait.
local function run_custom(state)
  materialize.run(state)
  local main = state.statements.main
  local rows = main and opt(main.table) and main.table.rows_of or {}
  if #rows ~= 1 or #rows[1] ~= 3 then bad_result(state, #rows, #rows > 0 and #rows[1] or 0) end
  return { rawget(rows[1], 1), rawget(rows[1], 2), rawget(rows[1], 3) }
end

-- The query's rows are counted by the database: its answer. May wait.
local function count(state)
  local node, context = state.node, state.context
  local config = node.config
  local query = node.compiled_code
  if opt(config.limit) ~= nil then query = context.get_limit_subquery_sql(query, config.limit) end
  if should_store(state) then query = store(state, query) end
  local sql = header(state) .. context.get_test_sql(query, config.fail_calc, config.warn_if, config.error_if,
    value.none)
  state:write_run(sql)
  return state:execute(sql)
end

-- The same of the built-in one. May wait.
local function run_builtin(state)
  local result = count(state)
  state:store_main(statement.response(result))
  if #result ~= 1 or #result.columns ~= 3 then bad_result(state, #result, #result.columns) end
  return { result:get(1, 1), result:get(1, 2), result:get(1, 3) }
end

--- The built-in materialization as dbt's macro materialization_test_default: for one of a project, or a package,
--- that ends with it.
---@param state table
---@return function
function M.as_macro(state)
  return function()
    local result = count(state)
    statement.store(state, "main", statement.response(result), tables.from_result(result))
    return value.dict("relations", value.list())
  end
end

--- Runs the test of a state and sets its outcome: status, failures, message. May wait.
---@param state table
function M.run(state)
  local config = state.node.config
  local row = (materialize.is_custom(state.run, config.materialized) and run_custom or run_builtin)(state)
  local failures = number(row[1])
  if failures == nil then
    err.raise { code = 171, message = ("fail_calc gave NULL: %s"):format(config.fail_calc), file = state.info.file,
      line = state.info.line, hint = "write coalesce(..., 0)" }
  end
  local outcome = state.outcome
  local severity = tostring(config.severity):upper()
  if severity == "ERROR" and truth(row[3]) then
    outcome.status, outcome.failures = "fail", failures
    outcome.message = ("Got %s, configured to fail if %s"):format(results(failures), config.error_if)
    state.ctx.blocks = true
  elseif truth(row[2]) then
    local is_error = state.run:is_error "LogTestResult"
    outcome.status, outcome.failures = is_error and "fail" or "warn", failures
    outcome.message = ("Got %s, configured to %s if %s"):format(results(failures), is_error and "fail" or "warn",
      config.warn_if)
    if is_error then state.ctx.blocks = true end
  else
    outcome.status, outcome.failures = "pass", 0
  end
end

return M
