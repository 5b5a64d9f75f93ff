--- Runs a data test: its query gives the rows that are wrong, and their number decides.

local err = require "err"
local relations = require "run.relation"
local statement = require "run.statement"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function results(n) return n == 1 and "1 result" or ("%d results"):format(n) end

-- Keeps the failing rows as a table or view, and gives the query that reads them. May wait.
local function store(state)
  local context, node = state.context, state.node
  local kind = opt(node.config.store_failures_as) or "table"
  if kind == "ephemeral" then return nil end
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
    state:execute(context.get_create_sql(target, node.compiled_code))
  end)
  state.conn:exec(ok and "commit" or "rollback")
  if not ok then error(e, 0) end
  return ("select * from %s"):format(tostring(target))
end

local function should_store(state)
  local config = state.node.config
  local as = opt(config.store_failures_as)
  if as then return as ~= "ephemeral" end
  return opt(state.context.should_store_failures()) == true
end

local function number(result, column)
  local n = result:get(1, column)
  if n == nil then return nil end
  return math.tointeger(n) or math.tointeger(tonumber(n)) or tonumber(n)
end

--- Runs the test of a state and sets its outcome: status, failures, message. May wait.
---@param state table
function M.run(state)
  local node, context = state.node, state.context
  local config = node.config
  local query = should_store(state) and store(state) or node.compiled_code
  local sql = context.get_test_sql(query, config.fail_calc, config.warn_if, config.error_if,
    value.or_none(config.limit))
  state:write_run(sql)
  local result = state:execute(sql)
  state:store_main(statement.response(result))
  if #result ~= 1 or #result.columns ~= 3 then
    err.raise { code = 171, message = ("the test's query gave %d rows of %d columns instead of one row"):format(#result,
      #result.columns), file = state.info.file, line = state.info.line,
      hint = "fail_calc must be an aggregate, such as count(*)" }
  end
  local failures = number(result, 1)
  if failures == nil then
    err.raise { code = 171, message = ("fail_calc gave NULL: %s"):format(config.fail_calc), file = state.info.file,
      line = state.info.line, hint = "write coalesce(..., 0)" }
  end
  local outcome = state.outcome
  local severity = tostring(config.severity):upper()
  if severity == "ERROR" and result:get(1, 3) == true then
    outcome.status, outcome.failures = "fail", failures
    outcome.message = ("Got %s, configured to fail if %s"):format(results(failures), config.error_if)
    state.ctx.blocks = true
  elseif result:get(1, 2) == true then
    outcome.status, outcome.failures = "warn", failures
    outcome.message = ("Got %s, configured to warn if %s"):format(results(failures), config.warn_if)
  else
    outcome.status, outcome.failures = "pass", 0
  end
end

return M
