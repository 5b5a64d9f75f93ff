--- The properties files (*.yml below the source folders): reads them, renders their Jinja except where that is
-- for later, and sorts their entries. What an entry means is the work of the module of its section.

local context = require "project.context"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local hooks = require "project.hooks"
local known = require "project.known"
local lines_of = require("project.lines").of
local lines = require "project.lines"
local tree = require "project.tree"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

--- One entry of a section.
---@class dex.Entry
---@field data table dict, rendered
---@field raw table dict, as written
---@field name string
---@field section string models, seeds, ...
---@field package dex.Package
---@field file dex.File
---@field lines table
---@field used? boolean a node was found for it

local sections = { "models", "seeds", "snapshots", "sources", "macros", "analyses", "exposures", "metrics",
  "semantic_models", "saved_queries", "unit_tests", "groups", "functions", "data_tests", "operations" }
local vocabularies = { models = known.model, seeds = known.model, snapshots = known.model, sources = known.source }

local late_words = { tests = true, data_tests = true, description = true, loaded_at_query = true }
local with_items = { columns = true, dimensions = true, measures = true, entities = true, metrics = true }

-- Whether the text at path[first..depth] is rendered later or never: tests, descriptions, hooks.
local function is_late(path, first, depth)
  local n = depth - first + 1
  local a, b, c = path[first], path[first + 1], path[first + 2]
  if late_words[a] then return true end
  if n >= 2 and n == 2 and late_words[b] then return true end
  if a == "config" and n >= 2 and (hooks.phases[b:gsub("^%+%s*", "")] or b == "loaded_at_query") then return true end
  if n == 5 and path[first + 4] == "description" then return true end
  if n >= 3 and with_items[a] and late_words[c] and c ~= "loaded_at_query" then return true end
  if a == "versions" and n >= 3 then
    if late_words[c] then return true end
    if c == "config" and n >= 4 and hooks.phases[path[first + 3]:gsub("^%+%s*", "")] then return true end
    if c == "columns" and n >= 5 and late_words[path[first + 4]] then return true end
  end
  return false
end

-- The `filter` of a metric or of one of its inputs, a text or a list: Jinja of the semantic layer.
local function is_filter(path, depth)
  return path[depth] == "filter" or depth > 1 and path[depth - 1] == "filter"
end

local function skip_for(section)
  if section == "sources" then
    return function(path, depth)
      if path[1] == "description" or path[1] == "loaded_at_query" then return true end
      if path[1] == "config" and path[2] == "loaded_at_query" then return true end
      return path[1] == "tables" and depth >= 3 and is_late(path, 3, depth)
    end
  elseif section == "macros" then
    return function(path, depth)
      if path[1] == "arguments" then return depth >= 2 and is_late(path, 2, depth) end
      return is_late(path, 1, depth)
    end
  elseif section == "saved_queries" then
    return function(path, depth)
      return path[1] == "query_params" and path[2] == "where" or is_late(path, 1, depth)
    end
  elseif section == "operations" then
    return function(path, depth)
      local key = path[1] == "config" and path[2] or path[1]
      return key == "hooks" or key and hooks.phases[key] ~= nil or is_late(path, 1, depth)
    end
  elseif section == "metrics" then
    return function(path, depth) return is_filter(path, depth) or is_late(path, 1, depth) end
  end
  return function(path, depth)
    -- metrics of models, and descriptions of what a model derives
    if path[1] == "metrics" and is_filter(path, depth) then return true end
    if path[1] == "derived_semantics" and depth >= 4 and late_words[path[4]] then return true end
    return is_late(path, 1, depth)
  end
end

local function bad(file, line, message, hint)
  err.raise { code = 113, message = message, file = file.display, line = line, hint = hint }
end

-- `tests` is the old word for `data_tests`.
local function rename_tests(data, file, file_lines)
  local old = value.opt(data.tests)
  if data.tests == nil then return data end
  if old ~= nil and value.opt(data.data_tests) ~= nil then
    bad(file, lines_of(file_lines, data, "tests"), "`tests` and `data_tests` are the same setting: keep `data_tests`")
  end
  local copy = lines.carry(file_lines, data, value.copy_dict(data))
  value.del(copy, "tests")
  if old ~= nil then copy.data_tests = old end
  return copy
end

local function list_of(data, key, file, file_lines, what)
  local list = value.opt(data[key])
  if list == nil then return nil end
  if not value.is_list(list) then
    bad(file, lines_of(file_lines, data, key), ("%s: `%s` must be a list"):format(what, key))
  end
  return list
end

-- Renames tests in the items of a list such as columns; gives the list, changed in place.
local function rename_in(data, key, file, file_lines, what)
  local list = list_of(data, key, file, file_lines, what)
  for i, item in ipairs(list or {}) do
    if not value.is_dict(item) then
      bad(file, lines_of(file_lines, list, i), ("%s: every item of `%s` must be a mapping with a name"):format(what,
        key))
    end
    item = rename_tests(item, file, file_lines)
    list[i] = item
    if key ~= "columns" then rename_in(item, "columns", file, file_lines, what) end
  end
end

local to_config = { "meta", "docs", "group", "contract", "access" }

-- Settings that may stand beside `config:` as well as in it.
local function move_to_config(data, entry)
  local config = value.opt(data.config)
  for _, key in ipairs(to_config) do
    local v = data[key]
    if v ~= nil then
      if config and config[key] ~= nil then
        bad(entry.file, lines_of(entry.lines, data, key),
          ("%s '%s': `%s` stands in `config` and beside it: keep the one in "
          .. "`config`"):format(entry.section, entry.name, key))
      end
      if not entry.own_config then
        config = config and lines.carry(entry.lines, config, value.copy_dict(config)) or value.dict()
        entry.own_config = true
        data.config = config
      end
      config[key] = v
      value.del(data, key)
    end
  end
end

local function check_entry(project, entry, data)
  local what = ("%s '%s'"):format(entry.section:gsub("s$", ""), entry.name)
  local vocabulary = vocabularies[entry.section]
  local opts = { what = what, file = entry.file.display, lines = entry.lines, slip = true }
  if vocabulary then known.check(project.problems, vocabulary, data, opts) end
  if value.opt(data.config) ~= nil and not value.is_dict(data.config) then
    bad(entry.file, lines_of(entry.lines, data, "config"), what .. ": `config` must be a mapping")
  end
  for _, key in ipairs { "columns", "tables" } do
    local words = key == "columns" and known.column or known.table
    for i, item in ipairs(value.is_list(data[key]) and data[key] or {}) do
      if type(value.opt(item.name)) ~= "string" then
        bad(entry.file, lines_of(entry.lines, data[key], i), ("%s: every item of `%s` needs a name"):format(what, key))
      end
      if vocabulary then known.check(project.problems, words, item, opts) end
    end
  end
end

local testable = { models = true, seeds = true, snapshots = true }

local function read_entry(project, entry, has_jinja, ctx)
  local data = entry.raw
  if has_jinja then
    data = tree.render(data, { context = ctx, file = entry.file.display, lines = entry.lines,
      skip = skip_for(entry.section) }, {})
  end
  if data == entry.raw then data = lines.carry(entry.lines, data, value.copy_dict(data)) end
  if entry.section == "sources" then
    local what = ("source '%s'"):format(entry.name)
    rename_in(data, "tables", entry.file, entry.lines, what)
  elseif testable[entry.section] then
    local what = ("%s '%s'"):format(entry.section, entry.name)
    data = rename_tests(data, entry.file, entry.lines)
    rename_in(data, "columns", entry.file, entry.lines, what)
    rename_in(data, "versions", entry.file, entry.lines, what)
    move_to_config(data, entry)
  elseif entry.section == "analyses" or entry.section == "data_tests" or entry.section == "functions" then
    move_to_config(data, entry)
  end
  entry.data = data
  check_entry(project, entry, data)
  local list = project.entries[entry.section]
  list[#list + 1] = entry
end

local function read_section(project, package, file, content, file_lines, section, has_jinja, ctx)
  local list = list_of(content, section, file, file_lines, "the properties file")
  for i, raw in ipairs(list or {}) do
    local line = lines_of(file_lines, list, i)
    if not value.is_dict(raw) then
      project.problems:error { code = 113,
        message = ("every item of `%s` must be a mapping with a name"):format(section),
        file = file.display, line = line }
    elseif type(value.opt(raw.name)) ~= "string" then
      project.problems:error { code = 113, file = file.display, line = line, message = value.opt(raw.name) == nil
        and ("an item of `%s` has no name"):format(section)
        or ("an item of `%s` has '%s' for a name, which is no text: put it in quotes"):format(section,
          tostring(raw.name)) }
    else
      local entry = { raw = raw, name = raw.name, section = section, package = package, file = file, lines = file_lines,
        line = lines_of(file_lines, raw, "name") or line }
      project.problems:try({ file = file.display, line = line }, read_entry, project, entry, has_jinja, ctx)
    end
  end
end

local function read_file(project, package, file)
  local text = fs.read(file.abs)
  local content, file_lines = yaml.decode(text, file.display)
  if content == nil or content == value.none then return end
  if not value.is_dict(content) then
    err.raise { code = 113, message = "a properties file must be a mapping with sections such as `models:`",
      file = file.display, line = 1 }
  end
  for key in pairs(content) do
    if type(key) == "string" and not key:find("^[%._]") and not key:find("^x%-") then
      known.check_key(project.problems, known.sections, key, { what = "a properties file", file = file.display,
        line = lines_of(file_lines, content, key) })
    end
  end
  local has_jinja = text:find("{[{%%#]") ~= nil
  local ctx = has_jinja and context.properties(project, package.name)
  for _, section in ipairs(sections) do
    if content[section] ~= nil then
      project.problems:try({ file = file.display }, read_section, project, package, file, content, file_lines, section,
        has_jinja, ctx)
    end
  end
end

--- Reads one properties file of a package into project.entries, which have to be there by section.
---@param project table
---@param package dex.Package
---@param file dex.File
function M.read_one(project, package, file)
  project.problems:try({ file = file.display }, read_file, project, package, file)
end

--- The sections that there are.
M.sections = sections

--- Empties project.entries.
---@param project table
function M.begin(project)
  project.entries = {}
  for _, section in ipairs(sections) do project.entries[section] = {} end
end

--- The properties files of all packages, in order.
---@param project table
---@return {package: dex.Package, file: dex.File}[]
function M.files(project)
  local found = {}
  for _, package in ipairs(project.packages) do
    for _, file in ipairs(files.find(package, package.paths.all, { ".yml", ".yaml" })) do
      if not file.original:find("^dbt_project%.yml$") then found[#found + 1] = { package = package, file = file } end
    end
  end
  return found
end

--- Reads the properties files of all packages into project.entries[section], lists of entries in order.
---@param project table
function M.load(project)
  M.begin(project)
  for _, item in ipairs(M.files(project)) do M.read_one(project, item.package, item.file) end
end

return M
