--- target/semantic_manifest.json: what MetricFlow reads, in the shape of its PydanticSemanticManifest
-- (metricflow-semantic-interfaces, implementations/): the semantic layer of the manifest without dbt's own fields.

local err = require "err"
local members = require "project.members"
local semantic = require "project.semantic"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt


-- Fields in their order; `name:shape` is an object of that shape, `name[shape]` a list of them, `name=x` has a default:
-- a list, an object, false. All others are null when they are not given.
local shapes = {
  semantic_model = [[name defaults:defaults description node_relation:node_relation primary_entity entities[entity]
    measures[measure] dimensions[dimension] label metadata config:config]],
  defaults = "agg_time_dimension",
  node_relation = "alias schema_name database relation_name",
  config = "meta={}",
  entity = "name description type role expr metadata label config:config",
  measure = [[name agg description create_metric expr agg_params:agg_params metadata
    non_additive_dimension:non_additive agg_time_dimension label config:config]],
  agg_params = "percentile use_discrete_percentile=false use_approximate_percentile=false",
  non_additive = "name window_choice=min window_groupings=[]",
  dimension = [[name description type datatype is_partition=false type_params:time_params expr metadata label
    config:config]],
  time_params = "time_granularity validity_params:validity",
  validity = "is_start=false is_end=false",
  metric = [[name description type datatype type_params:type_params filter:filters metadata label config:config
    time_granularity]],
  type_params = [[measure:input_measure numerator:input denominator:input expr window:window grain_to_date
    metrics[input] conversion_type_params:conversion cumulative_type_params:cumulative input_measures[input_measure]
    metric_aggregation_params:aggregation join_to_timespine=false fill_nulls_with is_private=false]],
  input_measure = "name filter:filters alias join_to_timespine=false fill_nulls_with",
  input = "name filter:filters alias offset_window:window offset_to_grain",
  window = "count granularity",
  conversion = [[base_measure:input_measure base_metric:input conversion_measure:input_measure conversion_metric:input
    entity calculation=conversion_rate window:window constant_properties[constant_property]?]],
  constant_property = "base_property conversion_property",
  cumulative = "window:window grain_to_date period_agg=first metric:input",
  aggregation = "semantic_model agg agg_params:agg_params agg_time_dimension non_additive_dimension:non_additive",
  filters = "where_filters[filter]",
  filter = "where_sql_template",
  saved_query = "name query_params:query_params description metadata label exports[export] tags=[]",
  query_params = "metrics=[] group_by=[] order_by=[] limit where:filters",
  export = "name config:export_config",
  export_config = "export_as schema_name alias",
}

local defaults = { ["{}"] = function() return dict() end, ["[]"] = function() return value.list() end,
  ["false"] = function() return false end }

local compiled = {}

local function fields_of(shape)
  if compiled[shape] then return compiled[shape] end
  local fields = {}
  for word in shapes[shape]:gmatch("%S+") do
    local name, mark, rest = word:match("^([%w_]+)([%[:=]?)(.*)$")
    local field = { name = name }
    if mark == ":" then field.shape = rest end
    if mark == "[" then field.items, field.nullable = rest:match("^([%w_]+)%](%??)$") end
    if mark == "=" then field.default = defaults[rest] or function() return rest end end
    fields[#fields + 1] = field
  end
  compiled[shape] = fields
  return fields
end

local project_onto

local function list_of(given, field)
  if given == nil and field.nullable == "?" then return none end
  local list = value.list()
  for i, item in ipairs(given or {}) do list[i] = project_onto(field.items, item) end
  return list
end

-- The fields of a shape, taken from an entry of the manifest.
function project_onto(shape, given)
  local found = dict()
  for _, field in ipairs(fields_of(shape)) do
    local v = opt(rawget(given, field.name))
    if field.items then
      v = list_of(v, field)
    elseif v == nil then
      if field.default then v = field.default() else v = none end
    elseif field.shape then
      v = project_onto(field.shape, v)
    end
    found[field.name] = v
  end
  return found
end

local function relation_of(node)
  return dict("alias", node.alias, "schema_name", node.schema, "database", value.or_none(opt(node.database)),
    "relation_name", value.or_none(opt(node.relation_name)))
end

local function rank(granularity)
  for i, name in ipairs(semantic.granularities) do
    if name == granularity then return i end
  end
end

local function wrong(node, message, hint)
  err.raise { code = 113, message = ("model '%s': %s"):format(node.name, message), hint = hint,
    file = (opt(node.patch_path) or node.original_file_path):gsub("^.*://", "") }
end

local function time_spine(node)
  local spine, custom = node.time_spine, value.list()
  local name = value.is_dict(spine) and opt(spine.standard_granularity_column)
  if not name then wrong(node, "`time_spine` needs `standard_granularity_column`, the name of a column") end
  local column = rawget(node.columns, name)
  if not column then wrong(node, ("`time_spine` names the column '%s', which is not described"):format(name)) end
  if not rank(opt(column.granularity)) then
    wrong(node, ("the column '%s' of `time_spine` needs a `granularity`"):format(name), "such as day: " ..
      table.concat(semantic.granularities, ", "))
  end
  for i, one in ipairs(opt(spine.custom_granularities) or {}) do
    custom[i] = dict("name", one.name, "column_name", value.or_none(opt(one.column_name)))
  end
  return dict("node_relation", relation_of(node), "primary_column", dict("name", name,
    "time_granularity", column.granularity), "custom_granularities", custom), rank(column.granularity)
end

-- The time spines of the project, and whether one of them has days or less.
local function configuration(project)
  local spines, tables, fine = value.list(), value.list(), false
  local legacy
  for _, node in ipairs(members.spines(project)) do
    if opt(node.time_spine) then
      local spine, granularity = time_spine(node)
      spines[#spines + 1] = spine
      fine = fine or granularity <= rank("day")
    end
    if node.name == members.LEGACY_SPINE then legacy = node end
  end
  if legacy and #value.keys(project.semantic_models) > 0 then
    fine = true
    if not opt(legacy.time_spine) then
      tables[1] = dict("location", value.or_none(opt(legacy.relation_name)), "column_name", "date_day", "grain", "day")
    end
  end
  -- The release of the interfaces whose shape this is.
  local release = dict("major_version", "0", "minor_version", "213", "patch_version", "0")
  return dict("time_spine_table_configurations", tables, "metadata", none, "dsi_package_version", release,
    "time_spines", spines), fine
end

local function all(entries, shape)
  local list = value.list()
  for _, member in pairs(entries) do list[#list + 1] = project_onto(shape, member) end
  return list
end

-- MetricFlow reads grains in lower case.
local function lower_grains(metrics)
  for _, metric in ipairs(metrics) do
    local params = metric.type_params
    for _, of in ipairs { params.cumulative_type_params, table.unpack(params.metrics) } do
      for _, key in ipairs { "grain_to_date", "offset_to_grain" } do
        local grain = opt(of) and opt(rawget(of, key))
        if grain then of[key] = grain:lower() end
      end
    end
  end
  return metrics
end

local function sorted_tags(queries)
  for _, query in ipairs(queries) do
    local tags = value.list(table.move(query.tags, 1, #query.tags, 1, {}))
    table.sort(tags)
    query.tags = tags
  end
  return queries
end

--- The content of the file.
---@param project table
---@return table dict
---@return dex.Error|nil warning when semantic models have no time spine, without which MetricFlow makes no query
function M.make(project)
  local config, fine = configuration(project)
  local first = project.semantic_models[value.keys(project.semantic_models)[1]]
  local warning
  if first and not fine then
    warning = err.new { code = 148, message = "the semantic layer has no time spine with days or less",
      file = first.original_file_path, hint = "a model with `time_spine: {standard_granularity_column: ...}`" }
  end
  return dict("semantic_models", all(project.semantic_models, "semantic_model"), "metrics",
    lower_grains(all(project.metrics, "metric")), "project_configuration", config, "saved_queries",
    sorted_tags(all(project.saved_queries, "saved_query"))), warning
end

return M
