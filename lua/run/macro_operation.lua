--- `run-operation`: a macro, or SQL with Jinja, run by itself. As in dbt nothing opens a transaction: each
-- statement commits by itself unless the macro sends its own begin and commit
-- (dbt-core task/run_operation.py, dbt-adapters base/connections.py).

local context = require "run.context"
local err = require "err"
local jinja = require "jinja"
local node_module = require "run.node"
local source_line = require "run.source_line"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- dbt's order for a bare name: the root project, the built-in macros, then any package.
local function find(project, name)
  local package, macro = name:match("^([^.]+)%.(.+)$")
  local index = project.macro_index
  if package then return index[package] and index[package][macro] end
  if index[project.name][name] then return index[project.name][name] end
  if index.dbt[name] then return index.dbt[name] end
  for _, one in ipairs(project.packages) do
    if index[one.name][name] then return index[one.name][name] end
  end
end

--- The macro of a name.
---@param project table
---@param name string "macro" or "package.macro"
---@return dex.Macro
function M.find(project, name)
  local found = find(project, name)
  if found then return found end
  local names = {}
  for _, macro in pairs(project.macros) do
    names[#names + 1] = macro.package_name == project.name and macro.name or (macro.package_name .. "." .. macro.name)
  end
  err.raise { code = 101, message = ("there is no macro '%s'"):format(name), hint = err.did_you_mean(name, names) }
end

-- What runs, in the shape of a node: dbt's unique_ids are macro.<package>.<name> and
-- sql_operation.<project>.inline_query.
local function describe(run, given)
  local macro = given.macro
  local name = macro and macro.name or "inline_query"
  local package = macro and macro.package_name or run.project.name
  return value.dict("resource_type", macro and "macro" or "sql_operation", "name", name, "unique_id",
    ("%s.%s.%s"):format(macro and "macro" or "sql_operation", package, name), "package_name", package,
    "original_file_path", macro and macro.original or "--sql", "path", name, "config", value.dict(),
    "raw_code", macro and macro.source or given.sql)
end

local function call_macro(state, given)
  local bound = given.macro.fn:bind(state.context)
  return bound(value.kwargs(given.args))
end

local function call_sql(state, given, result)
  local sql = jinja.render(given.sql, state.context, { file = "--sql" })
  result.compiled_code, result.compiled = state.run.mask(sql), true
  local answer = state:execute(sql)
  for _, one in ipairs(answer.all or { answer }) do
    if #one.columns > 0 then result.rows[#result.rows + 1] = one end
    result.message, result.rows_affected = one.status, one.affected
  end
end

local function locate(e)
  if err.is(e) and e.sql and e.position and not e.line then
    local line, column = source_line.locate(e.sql, e.position)
    e.source, e.line, e.column = e.sql, line, column
  end
  return err.wrap(e)
end

--- Runs it. Never raises for a failure of the macro: the result says it. May wait.
---@param run table
---@param given {macro: dex.Macro|nil, sql: string|nil, args: table|nil} `args`: a dict, the macro's keyword arguments
---@return table result like a node's, with `rows` (result sets) and `returned`, what the macro returned
function M.run(run, given)
  local node = describe(run, given)
  local state = node_module.new_state(run, node)
  local result = { id = node.unique_id, unique_id = node.unique_id, kind = "operation", name = node.name,
    label = node.name, node = node, file = given.macro and given.macro.file or nil, thread_id = "MainThread",
    rows = {} }
  local started, started_at = time.mono(), time.now()
  run:emit("node_start", { id = result.id, kind = "operation", label = result.label, name = result.name, node = node })
  state.conn = run.pool:lease()
  local ok, e = pcall(function()
    state.context = context.operation(state)
    if given.macro then result.returned = opt(call_macro(state, given)) else call_sql(state, given, result) end
  end)
  local open = state.conn:txn()
  if open == "intrans" or open == "inerror" then
    run:log("warn", ("%s left a transaction open, which is rolled back"):format(node.name))
  end
  state.conn:release()
  result.seconds = time.mono() - started
  result.timing = { { name = "compile", started_at = started_at, completed_at = started_at },
    { name = "execute", started_at = started_at, completed_at = time.now() } }
  if ok then
    result.status, result.failures = "success", 0
  else
    result.error = locate(e)
    result.error.message = run.mask(tostring(result.error.message))
    result.status, result.failures = "error", 1
    result.message = require("run.failure").message(node, result.error)
  end
  run.results[#run.results + 1] = result
  run:emit("node_end", result)
  return result
end

return M
