--- Sources: tables that others fill. One node for each table, with the tests on it.

local build = require "project.node"
local columns = require "project.columns"
local config = require "project.config"
local data_tests = require "project.data_tests"
local err = require "err"
local is_checked = require("run.freshness").is_checked
local lines_of = require("project.lines").of
local merge = require "project.merge"
local naming = require "project.naming"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

local function time_threshold(given)
  return value.dict("count", value.or_none(given and opt(given.count)), "period",
    value.or_none(given and opt(given.period)))
end

-- Each threshold over the ones before it; nil from `null`, which switches freshness off.
local function merge_freshness(levels)
  local merged = value.dict("warn_after", time_threshold(), "error_after", time_threshold(), "filter", none)
  local any = false
  for _, given in ipairs(levels) do
    if given == none then
      merged, any = nil, true
    elseif given ~= false then
      any = true
      merged = merged or value.dict("warn_after", time_threshold(), "error_after", time_threshold(), "filter", none)
      for _, key in ipairs { "warn_after", "error_after" } do
        local threshold = given[key]
        if threshold == none then
          merged[key] = none
        elseif threshold ~= nil then
          local base = opt(merged[key]) or time_threshold()
          for k, v in pairs(threshold) do base[k] = v end
          merged[key] = base
        end
      end
      if given.filter ~= nil then merged.filter = given.filter end
    end
  end
  return merged, any
end

-- What was written, also when it was written as null; false when it was not.
local function given(data, key)
  local v = data and rawget(data, key)
  if v == nil then return false end
  return v
end

local function merged_meta(source, source_config, data, table_config)
  local meta = value.dict()
  for _, from in ipairs { source, source_config or false, data, table_config or false } do
    local own = from and opt(from.meta)
    if value.is_dict(own) then
      for k, v in pairs(own) do meta[k] = v end
    end
  end
  return meta
end

local function merged_tags(...)
  local tags = value.list()
  for i = 1, select("#", ...) do
    local from = select(i, ...)
    local own = from and opt(from.tags)
    if own then merge.add_missing(tags, merge.listify(own)) end
  end
  table.sort(tags)
  return tags
end

local periods = { "minute", "hour", "day" }

-- A threshold is a whole number of minutes, hours or days, or null.
local function check_threshold(entry, freshness, key)
  local threshold = opt(freshness[key])
  if threshold == nil then return end
  local what = ("source '%s': `%s`"):format(entry.name, key)
  shape.check(nil, entry, threshold, { count = "number", period = "text" }, what, freshness, key)
  shape.one_of(entry, threshold, "period", periods, what)
  local count = opt(threshold.count)
  if count ~= nil and math.type(count) ~= "integer" then
    shape.fail(entry, { container = threshold, key = "count" }, ("%s: `count` must be a whole number, not %s"):format(
      what, tostring(count)))
  end
end

-- Freshness where it is written: of a source, a table, or the config of one. True when nothing is raised.
local function check_freshness(entry, data)
  local nested = opt(data.config)
  for _, from in ipairs { data, value.is_dict(nested) and nested or false } do
    local freshness = from and opt(from.freshness)
    if freshness then
      local what = ("source '%s': `freshness`"):format(entry.name)
      shape.check(nil, entry, freshness, { warn_after = "dict", error_after = "dict", filter = "text" }, what, from,
        "freshness")
      check_threshold(entry, freshness, "warn_after")
      check_threshold(entry, freshness, "error_after")
    end
  end
  return true
end

-- The two ways to tell a source's age exclude each other where they are written.
local function check_loaded_at(entry, data, settings)
  local function has(key) return opt(data[key]) ~= nil or settings and opt(settings[key]) ~= nil end
  if has("loaded_at_field") and has("loaded_at_query") then
    err.raise { code = 113,
      message = ("source '%s': `loaded_at_field` and `loaded_at_query` exclude each other"):format(entry.name),
      file = entry.file.display, line = lines_of(entry.lines, data, "name") }
  end
end

-- The settings that the properties file gives, in the order table config, table, source config, source.
local function settings_of(entry, data)
  local source = entry.data
  local source_config, table_config = opt(source.config), opt(data.config)
  local settings = value.dict()
  for _, from in ipairs { source_config or false, table_config or false } do
    for k, v in pairs(from or value.dict()) do settings[k] = v end
  end
  local freshness, any = merge_freshness { given(source, "freshness"), given(source_config, "freshness"),
    given(data, "freshness"), given(table_config, "freshness") }
  value.del(settings, "freshness")
  if any then settings.freshness = freshness or none end
  for _, key in ipairs { "loaded_at_field", "loaded_at_query" } do
    local found = none
    for _, from in ipairs { data, table_config or false, source, source_config or false } do
      if from and rawget(from, key) ~= nil then
        found = from[key]
        break
      end
    end
    settings[key] = found
  end
  check_loaded_at(entry, data, table_config)
  check_loaded_at(entry, source, source_config)
  if data.loaded_at_field ~= nil and not opt(data.loaded_at_query) then settings.loaded_at_query = none end
  settings.meta = merged_meta(source, source_config, data, table_config)
  settings.tags = merged_tags(source, source_config, data, table_config)
  return settings
end

local function quoting_of(source, data)
  local quoting = value.dict("database", none, "schema", none, "identifier", none, "column", none)
  for _, from in ipairs { source, data } do
    for k, v in pairs(opt(from.quoting) or value.dict()) do quoting[k] = v end
  end
  return quoting
end

local function folders(path)
  local list = value.list()
  for part in path:gmatch("([^/]+)/") do list[#list + 1] = part end
  return list
end

local function text_or(v, default)
  v = opt(v)
  if v == nil then return default end
  return type(v) == "string" and v or tostring(v)
end

-- dbt's keys of an external table come first.
local function external_of(data)
  local written = opt(data.external)
  if not value.is_dict(written) then return none end
  local external = value.dict("location", none, "file_format", none, "row_format", none, "tbl_properties", none,
    "partitions", none)
  for k, v in pairs(written) do external[k] = v end
  return external
end

local function new_source(project, entry, data, fqn, id)
  local source = entry.data
  local level = config.level(settings_of(entry, data), { what = ("source '%s.%s'"):format(entry.name, data.name),
    place = "properties", file = entry.file.display, lines = entry.lines, line = lines_of(entry.lines, data, "name") },
    project.problems)
  local settings, _, unrendered = config.of(project, "source", entry.package, fqn, { level })
  if settings.freshness == none and not level.settings.freshness then
    settings.freshness = merge_freshness {}
  end
  local node = build.source {
    database = text_or(source.database, project.profile.target.database), schema = text_or(source.schema, entry.name),
    name = data.name, resource_type = "source", package_name = entry.package.name, path = entry.file.original,
    original_file_path = entry.file.original, unique_id = id, fqn = fqn, source_name = entry.name,
    source_description = text_or(source.description, ""), loader = text_or(source.loader, ""),
    identifier = text_or(data.identifier, data.name), quoting = quoting_of(source, data),
    loaded_at_field = settings.loaded_at_field, loaded_at_query = settings.loaded_at_query,
    freshness = settings.freshness,
    external = external_of(data), description = text_or(data.description, ""),
    columns = columns.make(opt(data.columns)), meta = value.copy(settings.meta),
    source_meta = merged_meta(source, opt(source.config), value.dict()), tags = value.copy(settings.tags),
    config = settings,
    patch_path = none, unrendered_config = unrendered, relation_name = none, created_at = project.loaded_at,
    unrendered_database = value.or_none(opt(entry.raw.database)),
    unrendered_schema = value.or_none(opt(entry.raw.schema)),
    doc_blocks = value.list(),
  }
  node.relation_name = naming.of_source(project, node)
  return node
end

local function check_type(entry, data, key, container)
  local v = opt(data[key])
  if v ~= nil and type(v) ~= "string" then
    err.raise { code = 113, message = ("source '%s': `%s` must be a text, not '%s'"):format(entry.name, key,
      tostring(v)),
      file = entry.file.display, line = lines_of(entry.lines, container, key) }
  end
end

-- Freshness needs to know where to look: PostgreSQL keeps no time of a table's last change.
local function check_loaded_at_known(project, node, info)
  if opt(node.loaded_at_field) or opt(node.loaded_at_query) or not is_checked(node) then return end
  project.problems:warn { code = 138, message = ("source '%s.%s' has `freshness` and neither `loaded_at_field` nor "
    .. "`loaded_at_query`: `source freshness` cannot check it"):format(node.source_name, node.name),
    file = info.display, line = info.line }
end

local function load_table(project, entry, data)
  local id = ("source.%s.%s.%s"):format(entry.package.name, entry.name, data.name)
  local fqn = folders(entry.file.path)
  table.insert(fqn, 1, entry.package.name)
  fqn[#fqn + 1] = entry.name
  fqn[#fqn + 1] = data.name
  check_freshness(entry, data)
  for _, key in ipairs { "database", "schema" } do check_type(entry, entry.data, key, entry.raw) end
  local other = project.sources[id]
  if other then
    err.raise { code = 116, message = ("two sources have the name '%s.%s': the other one is in %s"):format(entry.name,
      data.name, project.info[id].display), file = entry.file.display, line = lines_of(entry.lines, data, "name") }
  end
  local node = new_source(project, entry, data, fqn, id)
  local info = { file = entry.file.abs, display = entry.file.display, line = lines_of(entry.lines, data, "name"),
    package = entry.package, hooks = {} }
  if node.config.enabled then
    check_loaded_at_known(project, node, info)
    project.sources[id] = node
    project.info[id] = info
  else
    project.disabled[id] = value.list { node }
    project.disabled_info[node] = info
  end
  local target = { name = entry.name .. "_" .. data.name, entry = entry, is_source = true,
    key = "sources." .. entry.name,
    call = ("source('%s', '%s')"):format(entry.name, data.name), refs = {},
    sources = { value.list { entry.name, data.name } }, tags = merged_tags(entry.data, data) }
  local quote = opt(data.quote_columns)
  if quote == nil then quote = opt(entry.data.quote_columns) end
  target.quote_columns = quote
  project.source_tests[#project.source_tests + 1] = { target = target, data = data }
end

--- Fills project.sources. The tests on them wait for M.load_tests.
---@param project table
function M.load(project)
  project.source_tests = {}
  for _, entry in ipairs(project.entries.sources) do
    if opt(entry.data.overrides) then
      project.problems:warn { code = 131,
        message = ("source '%s': `overrides` is not supported and is left out"):format(entry.name),
        file = entry.file.display, line = lines_of(entry.lines, entry.data, "overrides") or entry.line }
    else
      local where = { file = entry.file.display, line = entry.line }
      local good = project.problems:try(where, check_freshness, entry, entry.data)
      for _, data in ipairs(good and opt(entry.data.tables) or {}) do
        project.problems:try({ file = entry.file.display, line = entry.line }, load_table, project, entry, data)
      end
    end
  end
end

--- Makes the tests on sources. May wait.
---@param project table
function M.load_tests(project)
  for _, item in ipairs(project.source_tests) do
    data_tests.load_columns(project, item.target, opt(item.data.columns))
    data_tests.load_list(project, item.target, item.data.data_tests)
  end
end

return M
