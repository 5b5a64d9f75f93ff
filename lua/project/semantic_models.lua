--- Semantic models: entries of `semantic_models:`, and models that describe themselves as one (`semantic_model:` with
-- dimensions and entities at their columns). Their measures may make metrics.

local metrics = require "project.metrics"
local scan = require "project.scan"
local semantic = require "project.semantic"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt
local pick = semantic.pick

local dimension_types = { "categorical", "time" }
local entity_types = { "foreign", "natural", "primary", "unique" }

local model_shape = { name = "text!", model = "text!", config = "dict", description = "text", label = "text",
  defaults = "dict", entities = "list", measures = "list", dimensions = "list", primary_entity = "text" }
local element = { name = "text!", type = "text!", description = "text", label = "text", expr = "scalar",
  config = "dict" }

local function with(fields)
  for k, v in pairs(element) do fields[k] = fields[k] or v end
  return fields
end

local entity_shape = with { role = "text" }
local dimension_shape = with { is_partition = "boolean", type_params = "dict" }
local measure_shape = { name = "text!", agg = "text!", description = "text", label = "text", expr = "scalar",
  agg_params = "dict", non_additive_dimension = "dict", agg_time_dimension = "text", create_metric = "boolean",
  config = "dict" }

local function meta_of(given, model_meta)
  local meta = value.copy(model_meta)
  local own = opt(given)
  for k, v in pairs(own and opt(own.meta) or dict()) do meta[k] = v end
  return dict("meta", meta)
end

local function text_or_none(v)
  v = opt(v)
  if v == nil then return none end
  return require("jinja.printing").str(v)
end

local function each(project, entry, data, key, spec, what, fn)
  local list, seen = value.list(), {}
  for i, given in ipairs(opt(data[key]) or {}) do
    local here = ("%s: an item of `%s`"):format(what, key)
    shape.check(project, entry, given, spec, here, data[key], i)
    semantic.check_name(entry, given, given.name, here)
    if seen[given.name] then
      shape.fail(entry, { container = given, key = "name" }, ("%s: two of `%s` have the name '%s'"):format(what, key,
        given.name))
    end
    seen[given.name] = true
    list[i] = fn(given, here)
  end
  return list
end

local function entities(project, entry, data, meta, what)
  return each(project, entry, data, "entities", entity_shape, what, function(given, here)
    shape.one_of(entry, given, "type", entity_types, here)
    local item = pick(given, { "name", "type", "description", "label", "role", "expr" })
    item.expr, item.config = text_or_none(given.expr), meta_of(given.config, meta)
    return item
  end)
end

local function validity(given)
  given = opt(given)
  if given == nil then return none end
  return pick(given, { "is_start", "is_end" }, { is_start = false, is_end = false })
end

local function dimensions(project, entry, data, meta, what)
  return each(project, entry, data, "dimensions", dimension_shape, what, function(given, here)
    local kind = shape.one_of(entry, given, "type", dimension_types, here)
    local params = opt(given.type_params)
    local item = pick(given, { "name", "type", "description", "label", "is_partition" }, { is_partition = false })
    if params then shape.one_of(entry, params, "time_granularity", semantic.granularities, here) end
    if kind == "time" and not (params and opt(params.time_granularity)) then
      shape.fail(entry, { container = given }, ("%s: the time dimension '%s' needs a `time_granularity`"):format(here,
        given.name))
    end
    item.type_params = params and dict("time_granularity", value.or_none(params.time_granularity), "validity_params",
      validity(params.validity_params)) or none
    item.expr, item.metadata, item.config = text_or_none(given.expr), none, meta_of(given.config, meta)
    item.datatype = none
    return item
  end)
end

local function non_additive(given)
  given = opt(given)
  if given == nil then return none end
  return pick(given, { "name", "window_choice", "window_groupings" }, { window_groupings = value.list() })
end

local function measures(project, entry, data, meta, what)
  return each(project, entry, data, "measures", measure_shape, what, function(given, here)
    shape.one_of(entry, given, "agg", semantic.aggregations, here)
    local item = pick(given, { "name", "agg", "description", "label" })
    item.create_metric, item.expr = false, text_or_none(given.expr)
    item.agg_params = opt(given.agg_params) and pick(given.agg_params, { "percentile", "use_discrete_percentile",
      "use_approximate_percentile" }, { use_discrete_percentile = false, use_approximate_percentile = false }) or none
    item.non_additive_dimension = non_additive(given.non_additive_dimension)
    item.agg_time_dimension = value.or_none(opt(given.agg_time_dimension))
    item.config = meta_of(given.config, meta)
    return item
  end)
end

-- Measures need a time to be aggregated over, and dimensions an entity that they belong to.
local function check(entry, node, what)
  local times, has_primary = {}, opt(node.primary_entity) ~= nil
  for _, one in ipairs(node.dimensions) do
    if one.type == "time" then times[one.name] = true end
  end
  for _, one in ipairs(node.entities) do has_primary = has_primary or one.type == "primary" end
  if #node.dimensions > 0 and not has_primary then
    shape.fail(entry, {}, what .. " has dimensions and no primary entity: give an entity `type: primary`, or set "
      .. "`primary_entity`")
  end
  local default = opt(node.defaults) and opt(node.defaults.agg_time_dimension)
  for _, one in ipairs(node.measures) do
    local name = opt(one.agg_time_dimension) or default
    if not name or not times[name] then
      local names = {}
      for known in pairs(times) do names[#names + 1] = known end
      shape.fail(entry, { hint = name and require("err").did_you_mean(name, names)
        or "set `agg_time_dimension` under `defaults`" }, name
        and ("%s: the measure '%s' is aggregated over '%s', which is no time dimension"):format(what, one.name, name)
        or ("%s: the measure '%s' has no time dimension to be aggregated over"):format(what, one.name))
    end
  end
end

-- The metrics of measures with `create_metric`.
local function create_metrics(project, entry, data, node)
  for _, given in ipairs(opt(data.measures) or {}) do
    if given.create_metric == true then
      local expr = opt(given.expr)
      metrics.make(project, entry, dict("name", given.name, "label", opt(given.label) or given.name, "type", "simple",
        "type_params", dict("measure", given.name, "expr", expr == nil and given.name or expr), "description",
        opt(given.description) or ("Metric created from measure %s"):format(given.name), "config",
        dict("enabled", node.config.enabled, "meta", value.copy(node.config.meta))))
    end
  end
end

local function new(project, entry, of)
  local what = ("semantic model '%s'"):format(of.name)
  local node = semantic.head(project, "semantic_model", entry, of.name)
  local settings, unrendered = semantic.config(project, "semantic_model", entry, node.fqn, of.config,
    dict("enabled", true, "group", none, "meta", dict()))
  local meta = settings.meta
  local parts = of.parts(meta, what)
  local capture = scan.python("dbt." .. of.model:match("^%s*(.-)%s*$"))
  if #capture.refs == 0 then
    shape.fail(entry, { container = of.data, key = "model" }, ("%s: '%s' is no ref()"):format(what, of.model))
  end
  for k, v in pairs(dict("model", of.model, "node_relation", none, "description", value.or_none(of.description),
    "label", value.or_none(of.label), "defaults", of.defaults and pick(of.defaults, { "agg_time_dimension" }) or none,
    "entities", parts.entities, "measures", parts.measures, "dimensions", parts.dimensions, "metadata", none,
    "depends_on", semantic.depends_on(), "refs", capture.refs, "config", settings, "unrendered_config", unrendered,
    "primary_entity", value.or_none(of.primary_entity), "group", value.or_none(opt(settings.group)))) do
    node[k] = v
  end
  check(entry, node, what)
  semantic.place(project, "semantic_models", entry, node)
  return node
end

local function load_one(project, entry)
  local data = entry.data
  local what = ("semantic model '%s'"):format(entry.name)
  shape.check(project, entry, data, model_shape, what)
  semantic.check_name(entry, data, entry.name, "semantic model")
  local node = new(project, entry, { name = entry.name, model = data.model, config = opt(data.config), data = data,
    description = opt(data.description), label = opt(data.label), defaults = opt(data.defaults),
    primary_entity = opt(data.primary_entity), parts = function(meta)
      return { entities = entities(project, entry, data, meta, what), measures = measures(project, entry, data, meta,
        what), dimensions = dimensions(project, entry, data, meta, what) }
    end })
  create_metrics(project, entry, data, node)
end

-- Models that are one ----------------------------------------------------------------------------

local function column_meta(column)
  local config = opt(column.config)
  return config and opt(config.meta) or opt(column.meta) or dict()
end

-- A dimension or entity at a column: a type, or a mapping.
local function column_element(column, key)
  local given = opt(column[key])
  if type(given) == "string" then given = dict("type", given) end
  if not given then return nil end
  local name = opt(given.name) or column.name
  local own = opt(given.config)
  local meta = value.copy(column_meta(column))
  for k, v in pairs(own and opt(own.meta) or dict()) do meta[k] = v end
  local item = dict("name", name, "type", given.type, "description", value.or_none(opt(given.description)
    or opt(column.description) or ""), "label", value.or_none(opt(given.label)), "config", dict("meta", meta))
  if name ~= column.name then item.expr = column.name end
  return item, given
end

local function column_dimension(column)
  local item, given = column_element(column, "dimension")
  if not item then return nil end
  item.is_partition = opt(given.is_partition) or false
  if opt(column.granularity) then
    item.type_params = dict("time_granularity", column.granularity, "validity_params", validity(given.validity_params))
  end
  return item
end

-- The lists of a model's columns and of its `derived_semantics` as a semantic model's.
local function model_parts(data)
  local lists = dict("entities", value.list(), "dimensions", value.list(), "measures", value.list())
  for _, column in ipairs(opt(data.columns) or {}) do
    local dimension, entity = column_dimension(column), (column_element(column, "entity"))
    if dimension then lists.dimensions[#lists.dimensions + 1] = dimension end
    if entity then lists.entities[#lists.entities + 1] = entity end
  end
  local derived = opt(data.derived_semantics) or dict()
  for _, given in ipairs(opt(derived.dimensions) or {}) do
    local item = value.copy(given)
    if opt(given.granularity) then
      item.type_params = dict("time_granularity", given.granularity, "validity_params", validity(given.validity_params))
    end
    value.del(item, "granularity")
    value.del(item, "validity_params")
    lists.dimensions[#lists.dimensions + 1] = item
  end
  for _, given in ipairs(opt(derived.entities) or {}) do lists.entities[#lists.entities + 1] = given end
  return lists
end

local own_shape = { name = "text", enabled = "boolean", group = "text", config = "dict" }

-- What `semantic_model:` of a model says: its name and config.
local function own_settings(project, entry, given)
  if given == true then return entry.name, dict() end
  shape.check(project, entry, given, own_shape, ("model '%s': `semantic_model`"):format(entry.name), entry.data,
    "semantic_model")
  local settings = dict()
  local nested = opt(given.config)
  if nested and opt(nested.meta) then settings.meta = nested.meta end
  for _, key in ipairs { "enabled", "group" } do
    if opt(given[key]) ~= nil then settings[key] = given[key] end
  end
  return opt(given.name) or entry.name, settings
end

local function load_model(project, entry)
  local data = entry.data
  local given = opt(data.semantic_model)
  local name = entry.name
  if given then
    local settings
    name, settings = own_settings(project, entry, given)
    local lists = model_parts(data)
    local time = opt(data.agg_time_dimension)
    new(project, entry, { name = name, model = ("ref('%s')"):format(entry.name), config = settings, data = data,
      description = opt(data.description), defaults = dict("agg_time_dimension", value.or_none(time)),
      primary_entity = opt(data.primary_entity), parts = function(meta, what)
        return { entities = entities(project, entry, lists, meta, what), measures = value.list(),
          dimensions = dimensions(project, entry, lists, meta, what) }
      end })
  end
  for _, metric in ipairs(opt(data.metrics) or {}) do
    project.problems:try({ file = entry.file.display, line = shape.line(entry, metric) }, metrics.make, project, entry,
      metric, { semantic_model = name, agg_time_dimension = opt(data.agg_time_dimension) })
  end
end

--- Fills project.semantic_models, and the metrics that come with them.
---@param project table
function M.load(project)
  for _, entry in ipairs(project.entries.semantic_models) do
    project.problems:try({ file = entry.file.display, line = entry.line }, load_one, project, entry)
  end
  for _, entry in ipairs(project.entries.models) do
    if opt(entry.data.semantic_model) or opt(entry.data.metrics) then
      project.problems:try({ file = entry.file.display, line = entry.line }, load_model, project, entry)
    end
  end
end

--- Says where the model of each one stands. Refs are resolved.
---@param project table
function M.finish(project)
  for _, model in pairs(project.semantic_models) do
    local node = project.nodes[model.depends_on.nodes[1]]
    if node then
      model.node_relation = dict("alias", node.alias, "schema_name", node.schema, "database", node.database,
        "relation_name", node.relation_name)
    end
  end
end

return M
