--- Saved queries: entries of `saved_queries:`, with the exports that other tools build from them.

local err = require "err"
local merge = require "project.merge"
local naming = require "project.naming"
local semantic = require "project.semantic"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt

local query_shape = { name = "text!", query_params = "dict!", description = "text", label = "text", exports = "list",
  config = "dict", tags = "text or list" }
local params_shape = { metrics = "list", group_by = "list", where = "text or list", order_by = "list",
  limit = "number" }
local export_shape = { name = "text!", config = "dict" }
local kinds = { "table", "view" }

-- Where an export is built: the names that a model of these settings would have.
local function export_of(project, entry, given, config, what)
  local own = opt(given.config) or dict()
  local settings = dict("export_as", value.or_none(opt(config.export_as)), "schema", value.or_none(opt(config.schema)))
  for k, v in pairs(own) do settings[k] = v end
  shape.one_of(entry, settings, "export_as", kinds, what)
  if opt(settings.export_as) == nil then
    shape.fail(entry, { container = given }, ("%s: the export '%s' needs `export_as`"):format(what, given.name))
  end
  local node = dict("resource_type", "saved_query", "name", given.name, "package_name", entry.package.name, "version",
    none, "config", dict("database", value.or_none(opt(settings.database)), "schema",
      value.or_none(opt(settings.schema)), "alias", value.or_none(opt(settings.alias)), "quoting", dict(),
      "materialized", "view"))
  naming.apply(project, node)
  return dict("name", given.name, "config", dict("export_as", settings.export_as, "schema_name",
    opt(settings.schema_name) or opt(settings.schema) or node.schema, "alias", opt(settings.alias) or node.alias,
    "database", node.database), "unrendered_config", value.copy(own))
end

local function load_one(project, entry)
  local data = entry.data
  local what = ("saved query '%s'"):format(entry.name)
  shape.check(project, entry, data, query_shape, what)
  local params = data.query_params
  shape.check(project, entry, params, params_shape, what .. ": `query_params`", data, "query_params")
  local node = semantic.head(project, "saved_query", entry, entry.name)
  local settings, unrendered = semantic.config(project, "saved_query", entry, node.fqn, opt(data.config),
    dict("enabled", true, "group", none, "meta", dict(), "export_as", none, "schema", none, "cache",
      dict("enabled", false)))
  local exports = value.list()
  for i, given in ipairs(opt(data.exports) or {}) do
    shape.check(project, entry, given, export_shape, what .. ": an export", data.exports, i)
    exports[i] = export_of(project, entry, given, settings, what)
  end
  local tags = value.list()
  for _, from in ipairs { value.or_none(data.tags), value.or_none(settings.tags) } do
    if opt(from) then merge.add_missing(tags, merge.listify(from)) end
  end
  table.sort(tags)
  for k, v in pairs(dict("query_params", dict("metrics", opt(params.metrics) or value.list(), "group_by",
    opt(params.group_by) or value.list(), "where", semantic.filter(params.where), "order_by", opt(params.order_by)
      or value.list(), "limit", value.or_none(opt(params.limit))), "exports", exports, "description",
    value.or_none(opt(data.description)), "label", value.or_none(opt(data.label)), "metadata", none, "config", settings,
    "unrendered_config", unrendered, "group", value.or_none(opt(settings.group)), "depends_on", semantic.depends_on(),
    "refs", value.list(), "tags", tags)) do
    node[k] = v
  end
  semantic.place(project, "saved_queries", entry, node)
end

--- Fills project.saved_queries. The metrics are there. May wait: names come from macros.
---@param project table
function M.load(project)
  local known = {}
  for _, metric in pairs(project.metrics) do known[metric.name] = metric end
  for _, entry in ipairs(project.entries.saved_queries) do
    project.problems:try({ file = entry.file.display, line = entry.line }, load_one, project, entry)
  end
  for id, query in pairs(project.saved_queries) do
    for _, name in ipairs(query.query_params.metrics) do
      local metric = known[name]
      if metric then
        semantic.depend(query, metric.unique_id)
      else
        local info, names = project.info[id], {}
        for other in pairs(known) do names[#names + 1] = other end
        project.problems:error { code = 315, message = ("saved query '%s' depends on a metric named '%s', which was "
          .. "not found"):format(query.name, tostring(name)), file = info.display, line = info.line, node = id,
          hint = err.did_you_mean(tostring(name), names) }
      end
    end
  end
end

return M
