--- What metrics, semantic models and saved queries have in common: their configuration, their place, and the checks of
-- names.

local config = require "project.config"
local err = require "err"
local merge = require "project.merge"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt

M.granularities = { "nanosecond", "microsecond", "millisecond", "second", "minute", "hour", "day", "week", "month",
  "quarter", "year" }

M.aggregations = { "sum", "min", "max", "count_distinct", "sum_boolean", "average", "percentile", "median", "count" }

--- A dict of fields from data in a given order: what is absent is none, or its default.
---@param data table
---@param fields string[]
---@param defaults? table<string, any>
---@return table dict
function M.pick(data, fields, defaults)
  local picked = dict()
  for _, field in ipairs(fields) do
    local v = opt(data[field])
    if v == nil and defaults then v = defaults[field] end
    picked[field] = value.or_none(v)
  end
  return picked
end

--- Raises unless a name is one that the semantic layer takes.
---@param entry dex.Entry
---@param container table
---@param name string
---@param what string
function M.check_name(entry, container, name, what)
  local plain = name:find("^[a-z][a-z0-9_]*$") and not name:find("__", 1, true) and not name:find("_$")
  if #name >= 2 and plain then return end
  shape.fail(entry, { container = container, key = "name", hint = "lower-case letters, digits and single underscores, "
    .. "a letter first, no underscore last, at least two characters" }, ("%s: '%s' is no name"):format(what, name))
end

--- `filter` and `where`: a text or a list of texts.
---@param given any
---@return table|any dict or none
function M.filter(given)
  given = opt(given)
  if given == nil then return none end
  local filters = value.list()
  for i, text in ipairs(merge.listify(given)) do filters[i] = dict("where_sql_template", text) end
  return dict("where_filters", filters)
end

--- The config of an entry: defaults, project file, its own settings.
---@param project table
---@param kind string
---@param entry dex.Entry
---@param fqn table
---@param own table|nil dict
---@param settings table dict of defaults, which is filled
---@return table settings
---@return table unrendered dict
function M.config(project, kind, entry, fqn, own, settings)
  own = own or dict()
  local level = config.level(own, { what = ("%s '%s'"):format(kind, fqn[#fqn]), place = "properties",
    file = entry.file.display, lines = entry.lines, line = entry.line }, project.problems)
  for _, one in ipairs(config.levels(project, kind, entry.package, fqn, { level })) do
    merge.level(settings, one.settings)
  end
  return settings, value.copy(own)
end

--- Puts a member where it belongs, and what stands beside it. A second one of the name raises code 116.
---@param project table
---@param group string field of the project
---@param entry dex.Entry
---@param node table
function M.place(project, group, entry, node)
  local id = node.unique_id
  local other = project[group][id]
  if other then
    local where = project.info[id]
    err.raise { code = 116, message = ("two of the %s have the name '%s': the other one is in %s, line %d"):format(
      group:gsub("_", " "), node.name, where.display, where.line), file = entry.file.display, line = entry.line }
  end
  local info = shape.info(entry)
  if opt(node.config.enabled) == false then
    project.disabled[id] = value.list { node }
    project.disabled_info[node] = info
    return
  end
  project[group][id] = node
  project.info[id] = info
end

--- What every member of the semantic layer begins with.
---@param project table
---@param kind string resource type
---@param entry dex.Entry
---@param name string
---@return table dict
function M.head(project, kind, entry, name)
  return dict("name", name, "resource_type", kind, "package_name", entry.package.name, "path", entry.file.path,
    "original_file_path", entry.file.original, "unique_id", ("%s.%s.%s"):format(kind, entry.package.name, name),
    "fqn", shape.fqn(entry, name), "created_at", project.loaded_at)
end

--- An empty depends_on.
function M.depends_on() return dict("macros", value.list(), "nodes", value.list()) end

--- Adds an id to a node's dependencies once.
function M.depend(node, id)
  local list = node.depends_on.nodes
  for _, known in ipairs(list) do
    if known == id then return end
  end
  list[#list + 1] = id
end

return M
