--- Runs a unit test: the model's SQL over the rows that the test gives, compared with the rows that it expects.
-- Every input becomes a common table expression; nothing of the model's parents is read but their columns' types.

local compile = require "run.compile"
local context = require "run.context"
local diff = require "run.unit_test_diff"
local err = require "err"
local graph = require "project.graph"
local hash = require "dex.hash"
local jinja = require "jinja"
local literal = require "project.literal"
local materialize = require "run.materialize"
local relations = require "run.relation"
local statement = require "run.statement"
local tables = require "run.table"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt

-- The test as a node -----------------------------------------------------------------------------

-- Settings that would act on the test's own query; all others are the model's, so that config.get() finds them.
local fixed = { materialized = "unit", enabled = true, contract = dict("enforced", false, "alias_types", true),
  ["pre-hook"] = value.list(), ["post-hook"] = value.list(), grants = dict(), persist_docs = dict(), sql_header = none,
  unlogged = none, indexes = none }

local function config_of(model, expect)
  local config = value.copy_dict(model.config)
  for key, v in pairs(fixed) do config[key] = v end
  local rows = opt(expect.rows)
  config.expected_rows = type(rows) == "string" and value.list() or rows
  config.expected_sql = type(rows) == "string" and rows or none
  return config
end

-- What runs in the place of the definition: the model's code under the test's name.
local function node_of(test, model)
  local version = opt(test.version)
  local name = version ~= nil and ("%s_v%s"):format(test.name, tostring(version)) or test.name
  return dict("database", model.database, "schema", model.schema, "name", name, "resource_type", "unit_test",
    "package_name", test.package_name, "path", test.original_file_path:match("^.*/") .. name .. ".sql",
    "original_file_path", test.original_file_path, "unique_id", test.unique_id, "fqn", test.fqn, "alias", name,
    "config", config_of(model, test.expect), "raw_code", model.raw_code, "tags", test.config.tags, "columns", dict(),
    "meta", dict(), "depends_on", model.depends_on, "relation_name", none, "language", "sql", "model", test.model,
    "tested_node_unique_id", model.unique_id)
end

-- Inputs -----------------------------------------------------------------------------------------

-- An identifier as dbt puts it, unquoted; one that needs quotes gets them.
local function plain(name)
  return name:find("^[%a_][%w_]*$") and name or '"' .. name:gsub('"', '""') .. '"'
end

local function fail(state, message, hint)
  err.raise { code = 179, message = message, file = state.info.display, line = state.info.line, hint = hint }
end

-- The node or source that an input stands for.
local function original_of(state, text, model)
  if text == "this" then return model end
  local call, words, version = literal.call(text), {}, nil
  for _, arg in ipairs(call.args) do
    if arg.positional then words[#words + 1] = arg.value else version = opt(arg.value) end
  end
  local package = state.node.package_name
  local found
  if call.name == "source" then
    found = graph.find_source(state.project, package, words[1], words[2])
  else
    found = graph.find_ref(state.project, package, words[#words], words[2] and words[1], version)
  end
  if found then return found end
  fail(state, ("the input %s was not found"):format(text), call.name == "ref"
    and err.did_you_mean(words[#words], graph.names(state.project)) or nil)
end

--- An input: the name of its common table expression, the node that it stands for, its rows.
local function new_input(state, given, model)
  local text = given.input:match("^%s*(.-)%s*$")
  local original = original_of(state, text, model)
  local name
  if original.resource_type == "source" then
    name = original.source_name .. "__" .. original.name
  else
    name = original.alias
  end
  return { id = original.unique_id, original = original, given = given, name = plain(relations.cte_name(name)),
    line = state.info.line }
end

-- The rows as SQL, in a context of the node that they stand for.
local function render_input(state, input)
  local own = setmetatable({ node = input.original, statements = {}, context = false, macro_context = false,
    model_view = false, fixtures = false, vars = false }, { __index = state })
  local ctx = context.node(own)
  own.context = ctx
  local rows = input.given.rows
  if type(rows) == "string" then
    return jinja.render(rows, ctx, { file = state.info.display, line = state.info.line })
  end
  return jinja.str(ctx.get_fixture_sql(rows, none))
end

-- The relation that ref(), source() or `this` gives for an input.
local function relation_of(input)
  return relations.with(relations.of_ephemeral(dict("alias", "x")), { identifier = input.name })
end

--- What a reference in the tested model means: lua/run/resolve.lua asks.
---@param state table
---@param target table node or source
---@param call string as written, for the message
---@return table relation
function M.relation(state, target, call)
  local input = state.fixtures[target.unique_id]
  if not input then
    fail(state, ("the model reads %s, and the test gives no rows for it"):format(call),
      ("add an input: {input: \"%s\", rows: []}"):format(call))
  end
  state.used[input.id] = true
  return relation_of(input)
end

-- Overrides --------------------------------------------------------------------------------------

local function returning(v)
  return function() return v end
end

local function override(ctx, name, v)
  if ctx[name] == nil then return end
  rawset(ctx, name, context.is_macro(ctx, name) and returning(v) or v)
end

local function override_macros(ctx, macros)
  local namespaces = {}
  local function in_namespace(package, name, v)
    namespaces[package] = namespaces[package] or {}
    namespaces[package][name] = returning(v)
  end
  for full, v in pairs(macros) do
    local package, name = full:match("^(.-)%.(.*)$")
    if package and ctx[package] ~= nil then
      in_namespace(package, name, v)
      if package == "dbt" and macros[name] == nil then override(ctx, name, v) end
    elseif not package then
      override(ctx, full, v)
      in_namespace("dbt", full, v)
    end
  end
  for package, names in pairs(namespaces) do rawset(ctx[package], "overrides", names) end
end

local function override_env(ctx, given)
  if #given == 0 then return end
  local original = ctx.env_var
  rawset(ctx, "env_var", function(name, ...)
    local v = type(name) == "string" and rawget(given, name)
    if v ~= nil and v ~= false then return v end
    return original(name, ...)
  end)
end

-- The variables of the model with the test's own over them.
local function variables(state, overrides)
  local given = opt(overrides.vars)
  if not given or #given == 0 then return nil end
  local merged = value.copy_dict(state.run:vars_of(state.node))
  for k, v in pairs(given) do merged[k] = v end
  return merged
end

local function new_context(state, overrides)
  state.vars = variables(state, overrides)
  local ctx = context.node(state)
  override_env(ctx, opt(overrides.env_vars) or dict())
  local this = none
  local model = state.tested.unique_id
  if state.this_input then this = relation_of(state.fixtures[model]) end
  rawset(ctx, "this", this)
  if state.this_input then state.used[model] = true end
  override_macros(ctx, opt(overrides.macros) or dict())
  return ctx
end

-- Phases -----------------------------------------------------------------------------------------

local function model_template(state, model)
  local info = state.project.info[model.unique_id]
  if info and info.template then return info.template end
  fail(state, ("'%s' is no SQL model: it cannot be tested with rows"):format(model.name))
end

--- Renders the model over the inputs. Sets state.node to what runs. May wait.
---@param state table
function M.prepare(state)
  local test, project = state.node, state.run.project
  state.project = project
  local model = project.nodes[test.depends_on.nodes[1]]
  local node = node_of(test, model)
  state.tested, state.node, state.test = model, node, test
  local inputs = {}
  state.fixtures, state.used, state.free_refs = {}, {}, true
  for i, given in ipairs(test.given) do
    local input = new_input(state, given, model)
    inputs[i] = input
    state.fixtures[input.id] = input
    if input.id == model.unique_id then state.this_input = true end
  end
  local ctx = new_context(state, opt(test.overrides) or dict())
  local sql = model_template(state, model):render(ctx)
  local ctes = {}
  for _, input in ipairs(inputs) do
    if state.used[input.id] then
      ctes[#ctes + 1] = { id = input.id, sql = (" %s as (\n%s\n)"):format(input.name, render_input(state, input)) }
    end
  end
  compile.finish(node, sql, ctes)
  -- what follows is the engine's own work, without the test's overrides
  state.fixtures, state.vars = nil, nil
  state.context = context.node(state)
end

-- A name of the test's own for a temporary table: unit tests may have long names.
local function temporary(state)
  local name = "dbt_unit_test_" .. hash.md5(state.node.unique_id):sub(1, 16)
  local base = relations.create { database = state.node.database, schema = state.node.schema, identifier = name,
    type = "table" }
  return state.context.make_temp_relation(base)
end

local quoted_name = function(column) return column.quoted end

-- Types and quoted names of the model's columns, by lower-case name.
local function columns_of(state, sql)
  local ctx = state.context
  local relation = temporary(state)
  state:execute(ctx.get_create_table_as_sql(true, relation, ctx.get_empty_subquery_sql(sql)))
  local types, quoted = dict(), dict()
  for _, column in ipairs(ctx.get_columns_for_unit_tests(relation)) do
    types[column.name:lower()] = column.data_type
    quoted[column.name:lower()] = quoted_name(column)
  end
  state:execute("drop table " .. tostring(relation))
  return types, quoted
end

-- The columns that are compared: those of the first expected row, or all.
local function compared(state, rows, quoted)
  if #rows == 0 then return value.keys(quoted) end
  local names, first = {}, {}
  for name in pairs(rows[1]) do
    names[#names + 1] = name:lower()
    first[name:lower()] = true
  end
  for i = 2, #rows do
    local same = #rows[i] == #names
    for name in pairs(rows[i]) do same = same and first[name:lower()] end
    if not same then
      fail(state, ("expected rows have different columns: (%s) and (%s)"):format(table.concat(names, ", "),
        table.concat(value.keys(rows[i]), ", ")), "give every expected row the same columns")
    end
  end
  for _, name in ipairs(names) do
    if not quoted[name] then
      fail(state, ("the model has no column '%s', which is expected"):format(name),
        err.did_you_mean(name, value.keys(quoted)) or "it has " .. table.concat(value.keys(quoted), ", "))
    end
  end
  return names
end

-- The result's rows of one side, without the column that tells the side.
local function side(result_table, names, which)
  local rows = {}
  for _, row in ipairs(result_table.rows_of) do
    if row:get("actual_or_expected") == which then
      local cells = {}
      for i = 1, #names do cells[i] = rawget(row, i) end
      rows[#rows + 1] = cells
    end
  end
  return rows
end

-- The rows of both sides by the project's own materialization: the names of their columns, and the table. May wait.
local function run_custom(state)
  materialize.run(state)
  local found = state.statements.main.table
  local names = {}
  for _, name in ipairs(found.column_names) do
    if name:lower() ~= "actual_or_expected" then names[#names + 1] = name end
  end
  return names, found
end

-- The same by the built-in one. May wait.
local function run_builtin(state)
  local node, ctx = state.node, state.context
  local config, sql = node.config, node.compiled_code
  local types, quoted = columns_of(state, sql)
  local rows, expected = config.expected_rows, opt(config.expected_sql)
  local names = compared(state, rows, quoted)
  if expected then
    expected = jinja.render(expected, ctx, { file = state.info.display, line = state.info.line })
  else
    expected = jinja.str(ctx.get_expected_sql(rows, types, quoted))
  end
  local list = value.list()
  for i, name in ipairs(names) do list[i] = quoted[name] end
  local statement_sql = jinja.str(ctx.get_unit_test_sql(sql, expected, list))
  state:write_run(statement_sql)
  local result = state:execute(statement_sql)
  local result_table = tables.from_result(result)
  statement.store(state, "main", statement.response(result), result_table)
  return names, result_table
end

--- Runs the test and sets its outcome: pass, or fail with the rows that differ. May wait.
---@param state table
function M.run(state)
  local run = materialize.is_custom(state.run, "unit") and run_custom or run_builtin
  local ok, names, result_table = pcall(run, state)
  if not ok then
    local e = names
    if err.is(e) and e.sqlstate and (e.hint or "") == "" then
      e.hint = "check the types of the values in the test's rows"
    end
    error(e, 0)
  end
  local text = diff.render(names, side(result_table, names, "expected"), side(result_table, names, "actual"))
  local outcome = state.outcome
  if text then
    outcome.status, outcome.failures = "fail", 1
    outcome.message = "\n\nactual differs from expected:\n\n" .. text .. "\n"
    state.ctx.blocks = true
  else
    outcome.status, outcome.failures = "pass", 0
  end
end

return M
