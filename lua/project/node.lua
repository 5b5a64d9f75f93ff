--- Makes the nodes of the manifest: dicts with the fields and the order of dbt's manifest, schema version 12.
-- There may be many thousands, so each is one table constructor over a prepared order.

local clock = require "dex.time"
local value = require "jinja.value"

local M = {}

local unpack = table.unpack
local none, ORDER, Dict, List = value.none, value.ORDER, value.Dict, value.List

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

local function empty_dict() return setmetatable({ [ORDER] = {} }, Dict) end
local function empty_list() return setmetatable({}, List) end

-- Turns a filled table into a dict whose keys have this order. A constructor that names ORDER makes its table
-- in the size that it needs.
local function ordered(t, order)
  t[ORDER] = { unpack(order) } -- of exactly this size
  return setmetatable(t, Dict)
end

-- Configs ----------------------------------------------------------------------------------------

local base_config = words [[enabled alias schema database tags meta group static_analysis materialized
  incremental_strategy batch_size lookback begin persist_docs post-hook pre-hook quoting column_types full_refresh
  unique_key on_schema_change on_configuration_change grants packages docs contract event_time concurrent_batches]]

local config_orders = {
  analysis = base_config,
  operation = base_config,
  model = words(table.concat(base_config, " ") .. " access freshness on_error latest_version_pointer"),
  seed = words(table.concat(base_config, " ") .. " delimiter quote_columns"),
  snapshot = words(table.concat(base_config, " ") .. [[ strategy target_schema target_database updated_at check_cols
    snapshot_meta_column_names dbt_valid_to_current]]),
  ["function"] = words(table.concat(base_config, " ") .. " type volatility runtime_version entry_point snowflake"),
  test = words [[enabled alias schema database tags meta group static_analysis materialized severity store_failures
    store_failures_as sql_header where limit fail_calc warn_if error_if]],
  source = words [[enabled event_time freshness loaded_at_field loaded_at_query meta tags static_analysis]],
}

local show_order, contract_order = { "show", "node_color" }, { "enforced", "alias_types" }
local pointer_order = { "enabled", "alias" }
local snapshot_columns = words "dbt_valid_to dbt_valid_from dbt_scd_id dbt_updated_at dbt_is_deleted"

local function node_config(materialized)
  return {
    [ORDER] = false, enabled = true, alias = none, schema = none, database = none, tags = empty_list(),
    meta = empty_dict(), group = none,
    static_analysis = none, materialized = materialized, incremental_strategy = none, batch_size = none, lookback = 1,
    begin = none, persist_docs = empty_dict(), ["post-hook"] = empty_list(), ["pre-hook"] = empty_list(),
    quoting = empty_dict(), column_types = empty_dict(), full_refresh = none, unique_key = none,
    on_schema_change = "ignore", on_configuration_change = "apply", grants = empty_dict(), packages = empty_list(),
    docs = ordered({ [ORDER] = false, show = true, node_color = none }, show_order),
    contract = ordered({ [ORDER] = false, enforced = false, alias_types = true }, contract_order), event_time = none,
    concurrent_batches = none,
  }
end

local config_makers = {
  analysis = function() return node_config("view") end,
  operation = function() return node_config("view") end,
  model = function()
    local c = node_config("view")
    c.access, c.freshness, c.on_error = "protected", none, none
    c.latest_version_pointer = ordered({ enabled = none, alias = none }, pointer_order)
    return c
  end,
  seed = function()
    local c = node_config("seed")
    c.delimiter, c.quote_columns = ",", none
    return c
  end,
  snapshot = function()
    local c = node_config("snapshot")
    c.strategy, c.target_schema, c.target_database, c.updated_at, c.check_cols = none, none, none, none, none
    c.snapshot_meta_column_names = ordered({ dbt_valid_to = none, dbt_valid_from = none, dbt_scd_id = none,
      dbt_updated_at = none, dbt_is_deleted = none }, snapshot_columns)
    c.dbt_valid_to_current = none
    return c
  end,
  ["function"] = function()
    local c = node_config("function")
    c.type, c.volatility, c.runtime_version, c.entry_point = "scalar", none, none, none
    c.snowflake = ordered({ quote_args = true }, { "quote_args" })
    return c
  end,
  test = function()
    return { [ORDER] = false, enabled = true, alias = none, schema = "dbt_test__audit", database = none,
      tags = empty_list(), meta = empty_dict(), group = none, static_analysis = none, materialized = "test",
      severity = "ERROR",
      store_failures = none, store_failures_as = none, sql_header = none, where = none, limit = none,
      fail_calc = "count(*)", warn_if = "!= 0", error_if = "!= 0" }
  end,
  source = function()
    return { enabled = true, event_time = none, freshness = none, loaded_at_field = none, loaded_at_query = none,
      meta = empty_dict(), tags = empty_list(), static_analysis = none }
  end,
}

--- A fresh config with dbt's defaults.
---@param kind string resource type
---@return table dict
function M.config(kind)
  return ordered(config_makers[kind](), config_orders[kind])
end

-- Nodes ------------------------------------------------------------------------------------------

local parsed = [[database schema name resource_type package_name path original_file_path unique_id fqn alias checksum
  config tags description columns meta group docs patch_path build_path unrendered_config created_at relation_name
  raw_code doc_blocks]]
local compiled = parsed .. [[ language refs sources metrics functions depends_on compiled_path contract]]

local orders = {
  model = words(compiled .. " access constraints version latest_version deprecation_date primary_key time_spine"),
  seed = words(parsed .. " root_path depends_on"),
  snapshot = words(compiled),
  analysis = words(compiled),
  test = words(compiled),
  generic_test = words(compiled .. " column_name file_key_name attached_node test_metadata"),
  operation = words(compiled .. " index"),
  ["function"] = words("returns " .. compiled .. " arguments overloads"),
}

local checksum_order, depends_order = { "name", "checksum" }, { "macros", "nodes" }
local node_contract_order = { "enforced", "alias_types", "checksum" }

--- A checksum as in the manifest.
function M.checksum(name, sum)
  return ordered({ [ORDER] = false, name = name, checksum = sum }, checksum_order)
end

--- The metadata of a generic test.
local metadata_order = { "name", "kwargs", "namespace" }
function M.test_metadata(name, kwargs, namespace)
  return ordered({ [ORDER] = false, name = name, kwargs = kwargs, namespace = namespace or none }, metadata_order)
end

--- A reference to a model, as in `refs`.
local ref_order = { "name", "package", "version" }
function M.ref(name, package, version)
  return ordered({ [ORDER] = false, name = name, package = package or none, version = version or none }, ref_order)
end

local created_now = clock.now

-- The fields of a node with SQL; one constructor, so that its table is made in its final size. `of` gives:
-- resource_type, name, package (its name), path, original, fqn, unique_id, checksum, raw_code.
local function compiled_fields(project, of)
  local target = project.profile.target
  return {
    [ORDER] = false,
    database = target.database, schema = target.schema, name = of.name, resource_type = of.resource_type,
    package_name = of.package, path = of.path, original_file_path = of.original, unique_id = of.unique_id, fqn = of.fqn,
    alias = of.name, checksum = of.checksum, config = of.config or none, tags = of.tags or empty_list(),
    description = of.description or "", columns = empty_dict(), meta = empty_dict(), group = none,
    docs = ordered({ [ORDER] = false, show = true, node_color = none }, show_order), patch_path = none,
    build_path = none,
    unrendered_config = of.unrendered or empty_dict(), created_at = created_now(), relation_name = none,
    raw_code = of.raw_code, doc_blocks = empty_list(), language = of.language or "sql", refs = of.refs or empty_list(),
    sources = of.sources or empty_list(), metrics = empty_list(), functions = empty_list(),
    depends_on = ordered({ [ORDER] = false, macros = empty_list(), nodes = empty_list() }, depends_order),
    compiled_path = none,
    contract = ordered({ [ORDER] = false, enforced = false, alias_types = true, checksum = none }, node_contract_order),
  }
end

--- A model, snapshot, analysis or singular test.
---@param project table
---@param of table fields that differ: resource_type, name, package, path, original, fqn, unique_id, checksum, raw_code
---@return table dict
function M.sql(project, of)
  local n = compiled_fields(project, of)
  if of.resource_type == "model" then
    n.access, n.constraints, n.version, n.latest_version = "protected", empty_list(), none, none
    n.deprecation_date, n.primary_key, n.time_spine = none, empty_list(), none
  elseif of.resource_type == "function" then
    n.returns, n.arguments, n.overloads = none, empty_list(), empty_list()
  end
  return ordered(n, orders[of.resource_type])
end

local seedless = { "language", "refs", "sources", "metrics", "functions", "compiled_path", "contract" }

--- A seed; `of` has `root_path` as well.
function M.seed(project, of)
  local n = compiled_fields(project, of)
  for _, key in ipairs(seedless) do n[key] = nil end
  n.root_path = of.root_path
  n.depends_on = ordered({ macros = empty_list() }, { "macros" })
  return ordered(n, orders.seed)
end

--- A generic test; `of` has column_name, file_key_name, attached_node and test_metadata as well.
function M.generic_test(project, of)
  local n = compiled_fields(project, of)
  n.column_name, n.file_key_name = of.column_name or none, of.file_key_name
  n.attached_node, n.test_metadata = of.attached_node or none, of.test_metadata
  return ordered(n, orders.generic_test)
end

--- The node of a run hook. Its config has dbt's defaults and inherits nothing.
---@param project table
---@param hook dex.Hook with `package` and `index`
---@param phase string on-run-start or on-run-end
function M.operation(project, hook, phase)
  local name = ("%s-%s-%d"):format(hook.package, phase, hook.index - 1)
  local config = M.config("operation")
  config.materialized = "table"
  local n = compiled_fields(project, {
    resource_type = "operation", name = name, package = hook.package, path = "hooks/" .. name .. ".sql",
    original = "./dbt_project.yml", unique_id = ("operation.%s.%s"):format(hook.package, name),
    fqn = value.list { hook.package, "hooks", name },
    checksum = M.checksum("sha256", require("dex.hash").sha256(hook.sql)), raw_code = hook.sql,
    config = config, tags = value.list { phase },
  })
  n.index = hook.index - 1
  return ordered(n, orders.operation)
end

--- The node of an operation: a script below operations/. `of` is as for M.sql, with config, tags, refs, sources.
---@param project table
---@param of table
function M.script(project, of)
  local n = compiled_fields(project, of)
  n.index = none
  return ordered(n, orders.operation)
end

-- Columns ----------------------------------------------------------------------------------------

local column_order = words [[name description meta data_type constraints quote config tags granularity dimension entity
  doc_blocks]]
local column_config_order = { "meta", "tags" }

--- A column of a node or source. Unknown keys of the YAML are kept behind the known ones, as in dbt.
---@param of table name, description, meta, data_type, constraints, quote, tags, granularity, dimension, entity
---@return table dict
function M.column(of)
  return ordered({
    [ORDER] = false, name = of.name, description = of.description or "", meta = of.meta,
    data_type = of.data_type or none,
    constraints = of.constraints or empty_list(), quote = of.quote == nil and none or of.quote,
    config = ordered({ [ORDER] = false, meta = value.copy(of.meta), tags = value.copy(of.tags) }, column_config_order),
    tags = of.tags,
    granularity = of.granularity or none, dimension = of.dimension or none, entity = of.entity or none,
    doc_blocks = empty_list(),
  }, column_order)
end

-- Others -----------------------------------------------------------------------------------------

local source_order = words [[database schema name resource_type package_name path original_file_path unique_id fqn
  source_name source_description loader identifier quoting loaded_at_field loaded_at_query freshness external
  description columns meta source_meta tags config patch_path unrendered_config relation_name created_at
  unrendered_database unrendered_schema doc_blocks]]
local exposure_order = words [[name resource_type package_name path original_file_path unique_id fqn type owner
  description label maturity meta tags config unrendered_config url depends_on refs sources metrics created_at]]
local macro_order = words [[name resource_type package_name path original_file_path unique_id macro_sql depends_on
  description meta docs config patch_path arguments created_at supported_languages]]
local doc_order = words "name resource_type package_name path original_file_path unique_id block_contents"

--- A source table; every field is given.
function M.source(t) return ordered(t, source_order) end

--- An exposure; every field is given.
function M.exposure(t)
  t.depends_on = ordered({ macros = empty_list(), nodes = empty_list() }, depends_order)
  return ordered(t, exposure_order)
end

local unit_test_order = words [[model given expect name resource_type package_name path original_file_path unique_id
  fqn description overrides depends_on config checksum schema created_at versions version]]

--- A unit test; every field is given but unique_id, checksum, schema and version.
function M.unit_test(of)
  local t = { resource_type = "unit_test",
    depends_on = ordered({ macros = empty_list(), nodes = empty_list() }, depends_order) }
  for k, v in pairs(of) do t[k] = v end
  return ordered(t, unit_test_order)
end

--- A macro as the manifest has it; every field but depends_on and docs is given.
function M.macro(t)
  t.depends_on = ordered({ macros = empty_list() }, { "macros" })
  t.docs = t.docs or M.docs()
  return ordered(t, macro_order)
end

--- A docs block; every field is given.
function M.doc(t) return ordered(t, doc_order) end

--- The `docs` of a node or macro.
function M.docs(show, node_color)
  if show == nil then show = true end
  return ordered({ show = show, node_color = node_color or none }, show_order)
end

return M
