--- `adapter` in templates: what it can do on PostgreSQL. Queries run on the connection of the template's state;
-- whatever dbt does through a macro is done through that macro, so that a project can replace it.

local constraints = require "run.constraints"
local columns = require "run.column"
local err = require "err"
local hash = require "dex.hash"
local macro_scope = require "run.macro_scope"
local object = require "run.object"
local printing = require "jinja.printing"
local relations = require "run.relation"
local statement = require "run.statement"
local tables = require "run.table"
local time = require "dex.time"
local type_codes = require "run.type_codes"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

--- The object. Its fields are raw.
---@class dex.Adapter
---@field state table
---@field ctx table
local Adapter = { __name = "dex.adapter" }

local function project_of(adapter) return adapter.state.project end

-- Calls a macro of the project in a context without a node, as dbt does.
local function call_macro(adapter, name, ...)
  local macro = require("run.context").macros(adapter.state)[name]
  if not macro then err.raise { code = 237, message = ("there is no macro '%s'"):format(name) } end
  return macro(...)
end

local function need_relation(method, argument, relation)
  if not relations.is(relation) then
    err.raise { code = 240, message = ("adapter.%s: `%s` must be a relation, not %s"):format(method, argument,
      relation == none and "none" or type(relation)) }
  end
end

local function quote(identifier) return '"' .. tostring(identifier):gsub('"', '""') .. '"' end

-- Dispatch ---------------------------------------------------------------------------------------

local function dispatch(adapter, name, namespace, packages)
  if type(name) == "string" and name:find(".", 1, true) then
    local package, macro = name:match("^(.-)%.(.*)$")
    err.raise { code = 237, message = ("adapter.dispatch: '%s' is not the name of a macro"):format(name),
      hint = ("did you mean adapter.dispatch('%s', macro_namespace='%s')?"):format(macro, package) }
  end
  if opt(packages) ~= nil then
    err.raise { code = 237, message = ("adapter.dispatch: `packages` is not supported (for '%s')"):format(name),
      hint = "name the package with `macro_namespace`, and list packages under `dispatch:` in the project file" }
  end
  namespace = opt(namespace)
  if namespace ~= nil and type(namespace) ~= "string" then
    err.raise { code = 237, message = "adapter.dispatch: `macro_namespace` must be the name of a package" }
  end
  local state = adapter.state
  local macro, attempts = macro_scope.dispatch(state.scope, name, namespace)
  if not macro then
    err.raise { code = 237, message = ("adapter.dispatch found no macro '%s' in namespace '%s', looking for %s")
      :format(tostring(name), namespace or "none", table.concat(attempts, ", ")) }
  end
  return state.bind(adapter.ctx, state, macro)
end

-- Relations and the cache ------------------------------------------------------------------------

local function cache_of(adapter)
  local run = adapter.state.run
  local cache = run and run.cache
  if not cache then err.raise { code = 421, message = "relations are not known at this point" } end
  return cache
end

local function get_relation(adapter, database, schema, identifier)
  schema, identifier, database = opt(schema), opt(identifier), opt(database)
  if type(schema) ~= "string" or type(identifier) ~= "string" then return none end
  local target = project_of(adapter).profile.target.database
  if database and target and database:lower() ~= target:lower() then return none end
  local cache = cache_of(adapter)
  if not cache:knows(schema) then
    cache:list_by_macro(schema, function(...) return call_macro(adapter, ...) end)
  end
  return cache:get(schema, identifier) or none
end

local function drop_relation(adapter, relation)
  need_relation("drop_relation", "relation", relation)
  if not relation.type then
    err.raise { code = 424, message = ("cannot drop %s: it is not known whether it is a table or a view"):format(
      tostring(relation)) }
  end
  call_macro(adapter, "drop_relation", relation)
  cache_of(adapter):drop(relation, adapter.state)
  return none
end

local function rename_relation(adapter, from, to)
  need_relation("rename_relation", "from_relation", from)
  need_relation("rename_relation", "to_relation", to)
  call_macro(adapter, "rename_relation", from, to)
  cache_of(adapter):rename(from, to, adapter.state)
  return none
end

local function cache_change(method)
  return function(adapter, a, b)
    if opt(a) == nil then
      err.raise { code = 240, message = ("adapter.cache_%s: there is no relation"):format(method) }
    end
    local run = adapter.state.run
    if run and run.cache then
      if b then run.cache:rename(a, b, adapter.state)
      elseif method == "added" then run.cache:add(a, adapter.state)
      else run.cache:drop(a, adapter.state) end
    end
    return ""
  end
end

local function by_name(list)
  local found = {}
  for _, column in ipairs(list) do found[column.name] = column end
  return found
end

local function get_columns(adapter, relation) return call_macro(adapter, "get_columns_in_relation", relation) end

local function get_missing_columns(adapter, from, to)
  need_relation("get_missing_columns", "from_relation", from)
  need_relation("get_missing_columns", "to_relation", to)
  local source, known = get_columns(adapter, from), by_name(get_columns(adapter, to))
  local missing = value.list()
  for _, column in ipairs(source) do
    if not known[column.name] then missing[#missing + 1] = column end
  end
  return missing
end

local function expand_target_column_types(adapter, from, to)
  need_relation("expand_target_column_types", "from_relation", from)
  need_relation("expand_target_column_types", "to_relation", to)
  local wanted = by_name(get_columns(adapter, from))
  for _, column in ipairs(get_columns(adapter, to)) do
    local goal = wanted[column.name]
    if goal and column:can_expand_to(goal) then
      call_macro(adapter, "alter_column_type", to, column.name, columns.string_type(goal:string_size()))
    end
  end
  return none
end

local function snapshot_columns(adapter, relation, names, wanted)
  need_relation("valid_snapshot_target", "relation", relation)
  local present, missing = {}, {}
  for _, column in ipairs(get_columns(adapter, relation)) do present[column.name:lower()] = true end
  for _, name in ipairs(wanted) do
    local desired = opt(names) and opt(names[name]) or name
    if not present[desired:lower()] then missing[#missing + 1] = desired end
  end
  if #missing > 0 then
    err.raise { code = 424, message = ("%s is not a snapshot: it has no column %s"):format(tostring(relation),
      table.concat(missing, ", ")) }
  end
  return none
end

-- Schemas ----------------------------------------------------------------------------------------

local function verify_database(adapter, database)
  local name = tostring(database):gsub('^"(.*)"$', "%1")
  local target = project_of(adapter).profile.target.database
  if target and name:lower() ~= target:lower() then
    err.raise { code = 422, message = ("database '%s' is not the target's, '%s'"):format(name, target),
      hint = "PostgreSQL cannot reach from one database into another" }
  end
  return ""
end

local function check_schema_exists(adapter, database, schema)
  local information_schema = relations.create { database = database, schema = schema }:information_schema()
  local found = call_macro(adapter, "check_schema_exists", information_schema, schema)
  return rawget(found.rows_of[1], 1) > 0
end

local function create_schema(adapter, relation)
  relation = relation:without_identifier()
  call_macro(adapter, "create_schema", relation)
  return none
end

local function drop_schema(adapter, relation)
  relation = relation:without_identifier()
  call_macro(adapter, "drop_schema", relation)
  local run = adapter.state.run
  if run and run.cache and relation.schema then run.cache:drop_schema(relation.schema) end
  return none
end

-- Statements -------------------------------------------------------------------------------------

local function execute(adapter, sql, _, fetch, limit)
  local response, rows = statement.run(adapter.state, tostring(sql), fetch == true, opt(limit))
  return value.tuple { response, rows }
end

local function add_query(adapter, sql, _, bindings)
  local params = opt(bindings)
  if params and #params > 0 then
    local texts = {}
    for i, v in ipairs(params) do texts[i] = type(v) == "table" and printing.str(v) or v end
    statement.execute(adapter.state, statement.number_placeholders(sql), texts)
  else
    statement.execute(adapter.state, sql)
  end
  return value.tuple { none, none }
end

-- The engine opens and commits transactions itself, and everything else commits by itself.
local function commit() return none end

local function get_column_schema(adapter, sql)
  local result = statement.execute(adapter.state, sql)
  local list = value.list()
  for i, name in ipairs(result.columns) do
    list[i] = columns.new(name, columns.translate_type(type_codes.name(result.types[i])))
  end
  return list
end

-- Settings ---------------------------------------------------------------------------------------

local function quote_as_configured(adapter, identifier, key)
  local quoting = project_of(adapter).quoting
  if quoting[key] == false then return identifier end
  if key ~= "database" and key ~= "schema" and key ~= "identifier" then return identifier end
  return quote(identifier)
end

local function quote_seed_column(_, column, configured)
  if opt(configured) == nil or configured == true then return quote(column) end
  if configured ~= false then
    err.raise { code = 240, message = "quote_columns must be true or false" }
  end
  return column
end

local sql_types = { Integer = "integer", Text = "text", Boolean = "boolean", DateTime = "timestamp without time zone",
  Date = "date", TimeDelta = "time" }

local function convert_type(_, t, index)
  local kind = t.kinds[index + 1]
  if kind ~= "Number" then return sql_types[kind] or none end
  for _, row in ipairs(t.rows_of) do
    local v = rawget(row, index + 1)
    if v ~= none and not math.tointeger(v) then return "float8" end
  end
  return "integer"
end

local Index = { __name = "dex.index" }
local function raw(name) return function(index) return rawget(index, name) end end
object.class(Index, { columns = raw "columns", unique = raw "unique", type = raw "kind" }, object.methods {
  -- The name has the time in it: an index of the table that is being replaced may still have the old one.
  ["render(relation)"] = function(index, relation)
    local parts = table.move(index.columns, 1, #index.columns, 1, {})
    parts[#parts + 1] = relations.render(relation)
    parts[#parts + 1] = tostring(rawget(index, "unique")) .. tostring(rawget(index, "kind")) .. tostring(time.now())
    return hash.md5(table.concat(parts, "_"))
  end,
})

local function parse_index(_, given)
  if opt(given) == nil then return none end
  local named = value.is_dict(given) and opt(given.columns)
  if not named or not value.is_list(named) or #named == 0 then
    err.raise { code = 240, message = "an index is a mapping with `columns`, and `unique` or `type` if wanted",
      hint = "indexes: [{columns: [a, b], unique: true}]" }
  end
  return setmetatable({ columns = named, unique = opt(given.unique) == true, kind = opt(given.type) }, Index)
end

local function standardize_grants(_, t)
  local found = value.dict()
  for _, row in ipairs(t.rows_of) do
    local grantee, privilege = row:get("grantee"), row:get("privilege_type")
    found[privilege] = found[privilege] or value.list()
    table.insert(found[privilege], grantee)
  end
  return found
end

local valid_strategies = { append = true, ["delete+insert"] = true, merge = true, microbatch = true, default = true }

local function strategy_macro(_, context, strategy)
  strategy = opt(strategy) or "default"
  if strategy == "insert_overwrite" and not valid_strategies[strategy] then
    err.raise { code = 240, message = "the incremental strategy 'insert_overwrite' does not exist on PostgreSQL",
      hint = "the strategies are append, delete+insert, merge and microbatch" }
  end
  local name = ("get_incremental_%s_sql"):format((strategy:gsub("%+", "_")))
  local macro = context[name]
  if not macro then
    err.raise { code = 237, message = ("there is no incremental strategy '%s': no macro %s"):format(strategy, name) }
  end
  return macro
end

-- A setting of `config`, or of a dict like it.
local function setting_of(config, name)
  if value.is_dict(config) then return opt(config[name]) end
  return opt(config:get(name))
end

local function hard_deletes(_, config)
  local legacy, setting = setting_of(config, "invalidate_hard_deletes"), setting_of(config, "hard_deletes")
  if legacy ~= nil and setting ~= nil then
    err.raise { code = 240, message = "a snapshot has invalidate_hard_deletes and hard_deletes: set only the latter" }
  end
  if legacy or setting == "invalidate" then return "invalidate" end
  if setting == "new_record" then return "new_record" end
  if setting == nil or setting == "ignore" then return "ignore" end
  err.raise { code = 240, message = ("hard_deletes is ignore, invalidate or new_record, not '%s'"):format(
    tostring(setting)) }
end

local Flag = object.class({ __name = "dex.behavior_flag" }, { no_warn = raw "on", setting = raw "on" }, {})
Flag.__truth = function(flag) return flag.on end

-- adapter.behavior.<flag>: what `flags:` of the project file says, false when it says nothing.
local Behavior = { __name = "dex.behavior" }
Behavior.__getattr = function(behavior, name)
  local flags = opt(behavior.flags)
  return setmetatable({ on = flags and opt(flags[name]) == true or false }, Flag)
end

local function not_here(name)
  return function()
    err.raise { code = 242, message = ("adapter.%s is not available on PostgreSQL"):format(name) }
  end
end

-- What a foreign key refers to: ref('x') and source('x', 'y') as in templates, anything else as it stands.
local function resolver(adapter)
  return function(text)
    if not text:find("^%s*ref%s*%(") and not text:find("^%s*source%s*%(") then return text end
    return require("jinja").render("{{ " .. text .. " }}", adapter.ctx)
  end
end

-- The surface ------------------------------------------------------------------------------------

local methods = object.methods {
  ["dispatch(macro_name, macro_namespace=none, packages=none)"] = dispatch,
  ["type()"] = function(adapter) return (project_of(adapter).profile.adapter_types or { "postgres" })[1] end,
  ["commit()"] = commit,
  ["execute(sql, auto_begin=false, fetch=false, limit=none)"] = execute,
  ["add_query(sql, auto_begin=true, bindings=none, abridge_sql_log=false)"] = add_query,
  ["get_relation(database, schema, identifier)"] = get_relation,
  ["already_exists(schema, name)"] = function(adapter, schema, name)
    return get_relation(adapter, none, schema, name) ~= none
  end,
  ["list_relations_without_caching(schema_relation)"] = function(adapter, relation)
    local list = value.list()
    for _, row in ipairs(call_macro(adapter, "list_relations_without_caching", relation).rows_of) do
      list[#list + 1] = relations.create { database = row[1], schema = row[3], identifier = row[2], type = row[4] }
    end
    return list
  end,
  ["get_columns_in_relation(relation)"] = get_columns,
  ["get_columns_in_table(schema, identifier)"] = function(adapter, schema, identifier)
    return get_columns(adapter, relations.create { schema = schema, identifier = identifier })
  end,
  ["get_missing_columns(from_relation, to_relation)"] = get_missing_columns,
  ["get_column_schema_from_query(sql)"] = get_column_schema,
  ["expand_target_column_types(from_relation, to_relation)"] = expand_target_column_types,
  ["drop_relation(relation)"] = drop_relation,
  ["rename_relation(from_relation, to_relation)"] = rename_relation,
  ["truncate_relation(relation)"] = function(adapter, relation)
    call_macro(adapter, "truncate_relation", relation)
    return none
  end,
  ["create_schema(relation)"] = create_schema,
  ["drop_schema(relation)"] = drop_schema,
  ["check_schema_exists(database, schema)"] = check_schema_exists,
  ["cache_added(relation)"] = cache_change "added",
  ["cache_dropped(relation)"] = cache_change "dropped",
  ["cache_renamed(from_relation, to_relation)"] = cache_change "renamed",
  ["quote(identifier)"] = function(_, identifier) return quote(identifier) end,
  ["quote_as_configured(identifier, quote_key)"] = quote_as_configured,
  ["quote_seed_column(column, quote_config)"] = quote_seed_column,
  ["convert_type(agate_table, col_idx)"] = convert_type,
  ["parse_index(raw_index)"] = parse_index,
  ["standardize_grants_dict(grants_table)"] = standardize_grants,
  ["verify_database(database)"] = verify_database,
  ["get_incremental_strategy_macro(model_context, strategy)"] = strategy_macro,
  ["get_hard_deletes_behavior(config)"] = hard_deletes,
  ["valid_snapshot_target(relation, column_names=none)"] = function(adapter, relation, names)
    return snapshot_columns(adapter, relation, names, { "dbt_scd_id", "dbt_valid_from", "dbt_valid_to" })
  end,
  ["assert_valid_snapshot_target_given_strategy(relation, column_names, strategy)"] =
    function(adapter, relation, names, strategy)
      local wanted = { "dbt_scd_id", "dbt_valid_from", "dbt_valid_to" }
      if opt(strategy) and strategy.hard_deletes == "new_record" then wanted[4] = "dbt_is_deleted" end
      return snapshot_columns(adapter, relation, names, wanted)
    end,
  ["render_raw_columns_constraints(raw_columns)"] = function(adapter, list)
    return constraints.columns(list, resolver(adapter))
  end,
  ["render_raw_model_constraints(raw_constraints)"] = function(adapter, list)
    return constraints.table(list, resolver(adapter))
  end,
  ["run_sql_for_tests(sql, fetch, conn)"] = function(adapter, sql, fetch)
    local _, found = statement.run(adapter.state, sql, true)
    local list = tables.matrix(found)
    if fetch == "one" then return list[1] or none elseif fetch == "all" then return list end
    return none
  end,
  ["build_catalog_relation(config)"] = function() return none end,
  ["get_pseudocolumns_for_relation(relation)"] = function() return value.list() end,
  ["get_catalog_integration(name)"] = not_here "get_catalog_integration",
  ["get_partitions_metadata(table)"] = not_here "get_partitions_metadata",
}

local function constant(v) return function() return v end end
local function fresh(make) return function() return make() end end

-- What a method gives while files are parsed: nothing is asked then.
local parsing = {}
for _, name in ipairs { "get_relation", "drop_relation", "truncate_relation", "rename_relation", "create_schema",
  "drop_schema", "valid_snapshot_target", "assert_valid_snapshot_target_given_strategy", "expand_target_column_types",
  "get_incremental_strategy_macro", "get_hard_deletes_behavior" } do
  parsing[name] = constant(none)
end
for _, name in ipairs { "get_columns_in_relation", "get_missing_columns", "get_column_schema_from_query",
  "get_columns_in_table", "list_relations_without_caching" } do
  parsing[name] = fresh(value.list)
end
parsing.check_schema_exists, parsing.already_exists = constant(false), constant(false)
parsing.commit = constant(none)
parsing.execute = function() return value.tuple { "", tables.empty() } end
parsing.add_query = function() return value.tuple { none, none } end
parsing.get_partitions_metadata = function() return tables.empty() end

local getters = {
  Relation = function(adapter) return relations.class(project_of(adapter).quoting) end,
  Column = function() return columns.class end,
  behavior = function(adapter) return setmetatable({ flags = project_of(adapter).config.flags }, Behavior) end,
  config = function(adapter)
    local project = project_of(adapter)
    local q, target = project.quoting, project.profile.target
    return value.dict("quoting", value.dict("database", q.database, "schema", q.schema, "identifier", q.identifier),
      "project_name", project.name, "credentials", value.dict("database", target.database, "schema", target.schema,
        "type", target.type))
  end,
}

local names

local function unknown(name)
  if not names then
    names = {}
    for known in pairs(methods) do names[#names + 1] = known end
  end
  local hint = err.did_you_mean(name, names)
  return value.undefined("adapter." .. name, ("adapter has no method '%s'%s"):format(name, hint and ": " .. hint or ""))
end

Adapter.__methods = object.entries(methods)

Adapter.__getattr = function(adapter, name)
  local getter = getters[name]
  if getter then return getter(adapter) end
  return unknown(name)
end

--- From Lua: `adapter.drop_relation(relation)`, with a dot; methods come bound.
Adapter.__index = function(adapter, name)
  local method = methods[name]
  if method then return object.bound(adapter, method) end
  local getter = getters[name]
  return getter and getter(adapter)
end
Adapter.__repr = function() return "<adapter>" end

-- The same while files are parsed.
local Parsing = { __name = "dex.parse_adapter", __methods = {}, __repr = Adapter.__repr, __getattr = Adapter.__getattr }
for name, entry in pairs(Adapter.__methods) do
  local fn = parsing[name]
  Parsing.__methods[name] = fn and { fn = fn, name = name, min = 0, limit = math.huge, open = true }
    or entry
end
Parsing.__index = function(adapter, name) return parsing[name] or Adapter.__index(adapter, name) end

--- The `adapter` of a context.
---@param state table
---@param ctx table
---@return dex.Adapter
function M.new(state, ctx)
  return setmetatable({ state = state, ctx = ctx }, state.capture and Parsing or Adapter)
end

--- The names of all methods, for checks.
function M.surface()
  local list = {}
  for name in pairs(methods) do list[#list + 1] = name end
  table.sort(list)
  return list
end

return M
