--- Metrics: entries of `metrics:` in both of dbt's forms (`type_params`, or flat), those of models, and those that a
-- measure makes; then what each one is made of.

local semantic = require "project.semantic"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt
local pick = semantic.pick

local types = { "simple", "ratio", "cumulative", "derived", "conversion" }
local periods = { "first", "last", "average" }

local common = { name = "text!", type = "text", label = "text", description = "text", filter = "text or list",
  time_granularity = "text", config = "dict" }

local function with(fields)
  for k, v in pairs(common) do fields[k] = fields[k] or v end
  return fields
end

local nested_shape = with { label = "text!", type_params = "dict!", meta = "dict", tags = "text or list" }
local flat_shape = with { hidden = "boolean", agg = "text", percentile = "number", percentile_type = "text",
  join_to_timespine = "boolean", fill_nulls_with = "scalar", expr = "scalar", non_additive_dimension = "dict",
  agg_time_dimension = "text", window = "text", grain_to_date = "text", period_agg = "text",
  input_metric = "text or dict", numerator = "text or dict", denominator = "text or dict", input_metrics = "list",
  entity = "text", calculation = "text", base_metric = "text or dict", conversion_metric = "text or dict",
  constant_properties = "list" }
local params_shape = { measure = "text or dict", numerator = "text or dict", denominator = "text or dict",
  expr = "scalar", window = "text", grain_to_date = "text", metrics = "list", conversion_type_params = "dict",
  cumulative_type_params = "dict" }
local measure_shape = { name = "text!", filter = "text or list", alias = "text", join_to_timespine = "boolean",
  fill_nulls_with = "scalar" }
local input_shape = { name = "text!", filter = "text or list", alias = "text", offset_window = "text",
  offset_to_grain = "text" }
local cumulative_shape = { window = "text", grain_to_date = "text", period_agg = "text" }
local conversion_shape = { base_measure = "text or dict!", conversion_measure = "text or dict!", entity = "text!",
  calculation = "text", window = "text", constant_properties = "list" }

--- What is read at the moment.
---@class dex.MetricReader
---@field project table
---@field entry dex.Entry
---@field what string

local function fail(reader, container, key, message, hint)
  shape.fail(reader.entry, { container = container, key = key, hint = hint }, reader.what .. ": " .. message)
end

-- "7 days" -> 7, day
local function window(reader, container, key)
  local text = opt(container[key])
  if text == nil then return none end
  local count, granularity = text:lower():match("^(%d+) (%S+)$")
  if not count then
    fail(reader, container, key, ("'%s' is no window"):format(text), "a window is a count and a granularity: 28 days")
  end
  for _, known in ipairs(semantic.granularities) do
    if granularity == known .. "s" then granularity = known end
  end
  return dict("count", math.tointeger(tonumber(count)), "granularity", granularity)
end

local function measure(reader, container, key)
  local given = opt(container[key])
  if given == nil then return none end
  if type(given) == "string" then given = dict("name", given) end
  shape.check(reader.project, reader.entry, given, measure_shape, ("%s: `%s`"):format(reader.what, key), container, key)
  local picked = pick(given, { "name", "filter", "alias", "join_to_timespine", "fill_nulls_with" },
    { join_to_timespine = false })
  picked.filter = semantic.filter(given.filter)
  if opt(given.alias) then semantic.check_name(reader.entry, given, given.alias, reader.what .. ": an alias") end
  return picked
end

local function input(reader, container, key)
  local given = opt(container[key])
  if given == nil then return none end
  if type(given) == "string" then given = dict("name", given) end
  shape.check(reader.project, reader.entry, given, input_shape, reader.what .. ": an input metric", container, key)
  local picked = pick(given, { "name", "filter", "alias", "offset_window", "offset_to_grain" })
  picked.filter = semantic.filter(given.filter)
  picked.offset_window = window(reader, given, "offset_window")
  if opt(given.alias) then semantic.check_name(reader.entry, given, given.alias, reader.what .. ": an alias") end
  return picked
end

local function inputs(reader, list)
  local found = value.list()
  for i in ipairs(opt(list) or {}) do found[i] = input(reader, list, i) end
  return found
end

local function constant_properties(given)
  given = opt(given)
  if given == nil then return none end
  local list = value.list()
  for i, item in ipairs(given) do list[i] = pick(item, { "base_property", "conversion_property" }) end
  return list
end

local function period_agg(reader, container)
  return shape.one_of(reader.entry, container, "period_agg", periods, reader.what) or "first"
end

local param_fields = { "measure", "input_measures", "numerator", "denominator", "expr", "window", "grain_to_date",
  "metrics", "conversion_type_params", "cumulative_type_params", "metric_aggregation_params", "fill_nulls_with",
  "join_to_timespine", "is_private" }

local function new_params()
  return pick(dict("input_measures", value.list(), "metrics", value.list(), "join_to_timespine", false, "is_private",
    false), param_fields)
end

local function text_or_none(v)
  v = opt(v)
  if v == nil then return none end
  return require("jinja.printing").str(v)
end

local function conversion(reader, given)
  given = opt(given)
  if given == nil then return none end
  shape.check(reader.project, reader.entry, given, conversion_shape, reader.what .. ": `conversion_type_params`")
  return dict("entity", given.entity, "base_measure", measure(reader, given, "base_measure"), "conversion_measure",
    measure(reader, given, "conversion_measure"), "base_metric", none, "conversion_metric", none, "calculation",
    opt(given.calculation) or "conversion_rate", "window", window(reader, given, "window"), "constant_properties",
    constant_properties(given.constant_properties))
end

-- `window` and `grain_to_date` have moved; dbt's flag lets them stay.
local function check_old_place(reader, given)
  local flags = opt(reader.project.config.flags)
  if flags and flags.require_nested_cumulative_type_params == false then return end
  for _, key in ipairs { "window", "grain_to_date" } do
    if opt(given[key]) then
      fail(reader, given, key, ("`%s` stands in the wrong place"):format(key),
        ("type_params: {cumulative_type_params: {%s: ...}}"):format(key))
    end
  end
end

-- The form with `type_params`.
local function nested_params(reader, data, kind)
  local given = data.type_params
  shape.check(reader.project, reader.entry, given, params_shape, reader.what .. ": `type_params`", data, "type_params")
  local params = new_params()
  params.measure = measure(reader, given, "measure")
  params.numerator, params.denominator = input(reader, given, "numerator"), input(reader, given, "denominator")
  params.expr = text_or_none(given.expr)
  check_old_place(reader, given)
  params.window, params.grain_to_date = window(reader, given, "window"), value.or_none(opt(given.grain_to_date))
  params.metrics = inputs(reader, given.metrics)
  params.conversion_type_params = conversion(reader, given.conversion_type_params)
  if kind == "cumulative" then
    local more = value.copy(opt(given.cumulative_type_params) or dict())
    for _, key in ipairs { "window", "grain_to_date" } do
      if opt(more[key]) == nil then more[key] = given[key] end
    end
    shape.check(reader.project, reader.entry, more, cumulative_shape, reader.what .. ": `cumulative_type_params`",
      given, "cumulative_type_params")
    params.cumulative_type_params = dict("window", window(reader, more, "window"), "grain_to_date",
      value.or_none(opt(more.grain_to_date)), "period_agg", period_agg(reader, more), "metric", none)
  end
  return params
end

local function non_additive(given)
  given = opt(given)
  if given == nil then return none end
  return dict("name", given.name, "window_choice", given.window_agg, "window_groupings", opt(given.group_by)
    or value.list())
end

local function aggregation(reader, data, of)
  if not of then
    fail(reader, data, "agg", "a simple metric with `agg` belongs under `metrics:` of a model with a semantic model")
  end
  shape.one_of(reader.entry, data, "agg", semantic.aggregations, reader.what)
  local kind = (opt(data.percentile_type) or ""):lower()
  return dict("semantic_model", of.semantic_model, "agg", data.agg, "agg_params", dict("percentile",
    value.or_none(opt(data.percentile)), "use_discrete_percentile", kind == "discrete", "use_approximate_percentile",
    kind == "continuous"), "agg_time_dimension", value.or_none(opt(data.agg_time_dimension) or of.agg_time_dimension),
    "non_additive_dimension", non_additive(data.non_additive_dimension))
end

local needed = { cumulative = { "input_metric" }, conversion = { "base_metric", "conversion_metric", "entity" },
  ratio = { "numerator", "denominator" }, simple = { "agg" } }

-- The flat form. `of` is the model that it stands under.
local function flat_params(reader, data, kind, of)
  for _, key in ipairs(needed[kind] or {}) do
    if opt(data[key]) == nil then fail(reader, data, nil, ("a %s metric needs `%s`"):format(kind, key)) end
  end
  local params = new_params()
  params.numerator, params.denominator = input(reader, data, "numerator"), input(reader, data, "denominator")
  params.expr, params.window = text_or_none(data.expr), window(reader, data, "window")
  params.metrics = inputs(reader, data.input_metrics)
  if kind == "conversion" then
    params.conversion_type_params = dict("entity", data.entity, "base_measure", none, "conversion_measure", none,
      "base_metric", input(reader, data, "base_metric"), "conversion_metric", input(reader, data, "conversion_metric"),
      "calculation", opt(data.calculation) or "conversion_rate", "window", window(reader, data, "window"),
      "constant_properties", constant_properties(data.constant_properties))
  elseif kind == "cumulative" then
    params.cumulative_type_params = dict("window", window(reader, data, "window"), "grain_to_date",
      value.or_none(opt(data.grain_to_date)), "period_agg", period_agg(reader, data), "metric",
      input(reader, data, "input_metric"))
  end
  if opt(data.agg) then params.metric_aggregation_params = aggregation(reader, data, of) end
  params.join_to_timespine = opt(data.join_to_timespine) or false
  params.is_private = opt(data.hidden) or false
  return params
end

--- Makes a metric from an entry's data.
---@param project table
---@param entry dex.Entry
---@param data table dict
---@param of? {semantic_model: string, agg_time_dimension: string|nil} the model that it stands under
function M.make(project, entry, data, of)
  local reader = { project = project, entry = entry, what = ("metric '%s'"):format(tostring(data.name)) }
  local nested = opt(data.type_params) ~= nil
  shape.check(project, entry, data, nested and nested_shape or flat_shape, reader.what)
  semantic.check_name(entry, data, data.name, "metric")
  local kind = shape.one_of(entry, data, "type", types, reader.what) or "simple"
  local node = semantic.head(project, "metric", entry, data.name)
  local settings, unrendered = semantic.config(project, "metric", entry, node.fqn, opt(data.config),
    dict("enabled", true, "group", none, "meta", dict()))
  local meta = #settings.meta > 0 and settings.meta or opt(data.meta) or dict()
  local more = dict("description", opt(data.description) or "", "label", opt(data.label) or data.name, "type", kind,
    "type_params", nested and nested_params(reader, data, kind) or flat_params(reader, data, kind, of),
    "filter", semantic.filter(data.filter), "metadata", none, "time_granularity",
    value.or_none(opt(data.time_granularity)), "config", settings, "unrendered_config", unrendered, "sources",
    value.list(), "depends_on", semantic.depends_on(), "refs", value.list(), "metrics", value.list(), "group",
    value.or_none(opt(settings.group)), "meta", nested and value.copy(meta) or dict(), "tags",
    nested and require("project.merge").listify(opt(data.tags) or value.list()) or value.list())
  for k, v in pairs(more) do node[k] = v end
  semantic.place(project, "metrics", entry, node)
end

-- What they are made of --------------------------------------------------------------------------

local function problem(project, metric, message, hint)
  local info = project.info[metric.unique_id]
  project.problems:error { code = 113, message = ("metric '%s': %s"):format(metric.name, message), file = info.display,
    line = info.line, node = metric.unique_id, hint = hint }
end

local function did_you_mean(name, index)
  local names = {}
  for known in pairs(index) do names[#names + 1] = known end
  return require("err").did_you_mean(name, names)
end

local function add_measure(metric, given)
  local list = metric.type_params.input_measures
  for _, known in ipairs(list) do
    if known.name == given.name and known.alias == given.alias and known.fill_nulls_with == given.fill_nulls_with
      and known.join_to_timespine == given.join_to_timespine then
      return
    end
  end
  list[#list + 1] = given
end

local function on_measures(project, index, metric, given)
  for _, one in ipairs(given) do
    add_measure(metric, one)
    local model = index.measures[one.name]
    if not model then
      problem(project, metric, ("no semantic model has a measure '%s'"):format(one.name),
        did_you_mean(one.name, index.measures))
    elseif model.config.enabled == false then
      problem(project, metric, ("the measure '%s' is of the semantic model '%s', which is disabled"):format(one.name,
        model.name))
    else
      semantic.depend(metric, model.unique_id)
    end
  end
end

local resolve

local function on_metrics(project, index, metric, given, path)
  for _, one in ipairs(given) do
    local target = index.metrics[one.name]
    if not target then
      local disabled = index.disabled[one.name]
      problem(project, metric, ("the metric '%s' %s"):format(one.name, disabled and "is disabled" or "was not found"),
        not disabled and did_you_mean(one.name, index.metrics) or nil)
    elseif path[target] then
      problem(project, metric, ("it is made of itself, by way of '%s'"):format(one.name))
    else
      resolve(project, index, target, path)
      for _, used in ipairs(target.type_params.input_measures) do add_measure(metric, used) end
      semantic.depend(metric, target.unique_id)
    end
  end
end

local resolvers = {}

function resolvers.simple(project, index, metric, path)
  local params = metric.type_params
  if opt(params.measure) then return on_measures(project, index, metric, { params.measure }) end
  local own = opt(params.metric_aggregation_params)
  if own then
    semantic.depend(metric, ("semantic_model.%s.%s"):format(metric.package_name, own.semantic_model))
    return
  end
  local cumulative = opt(params.cumulative_type_params)
  if cumulative and opt(cumulative.metric) then
    return on_metrics(project, index, metric, { cumulative.metric }, path)
  end
  problem(project, metric, ("a %s metric needs a `measure`"):format(metric.type))
end
resolvers.cumulative = resolvers.simple

function resolvers.conversion(project, index, metric, path)
  local given = opt(metric.type_params.conversion_type_params)
  if not given then return problem(project, metric, "a conversion metric needs `conversion_type_params`") end
  if opt(given.base_measure) then
    on_measures(project, index, metric, { given.base_measure, given.conversion_measure })
  else
    on_metrics(project, index, metric, { given.base_metric, given.conversion_metric }, path)
  end
end

function resolvers.ratio(project, index, metric, path)
  local params = metric.type_params
  if not opt(params.numerator) or not opt(params.denominator) then
    return problem(project, metric, "a ratio metric needs `numerator` and `denominator`")
  end
  on_metrics(project, index, metric, { params.numerator, params.denominator }, path)
end

function resolvers.derived(project, index, metric, path)
  if #metric.type_params.metrics == 0 then return problem(project, metric, "a derived metric needs `metrics`") end
  on_metrics(project, index, metric, metric.type_params.metrics, path)
end

resolve = function(project, index, metric, path)
  if index.resolved[metric] then return end
  index.resolved[metric] = true
  path[metric] = true
  resolvers[metric.type](project, index, metric, path)
  path[metric] = nil
end

--- Finds the measures and metrics that metrics are made of: their input measures and dependencies. All metrics and
--- semantic models are there.
---@param project table
function M.resolve(project)
  local index = { measures = {}, metrics = {}, disabled = {}, resolved = {} }
  local function add_model(model)
    for _, one in ipairs(model.measures) do index.measures[one.name] = index.measures[one.name] or model end
  end
  for _, model in pairs(project.semantic_models) do add_model(model) end
  for _, list in pairs(project.disabled) do
    if list[1].resource_type == "semantic_model" then add_model(list[1]) end
    if list[1].resource_type == "metric" then index.disabled[list[1].name] = true end
  end
  for _, metric in pairs(project.metrics) do index.metrics[metric.name] = metric end
  for _, metric in pairs(project.metrics) do resolve(project, index, metric, {}) end
end

--- Makes the metrics of all properties files.
---@param project table
function M.load(project)
  for _, entry in ipairs(project.entries.metrics) do
    project.problems:try({ file = entry.file.display, line = entry.line }, M.make, project, entry, entry.data)
  end
end

return M
