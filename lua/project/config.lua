--- The config of a node: dbt's defaults, the project file from outer to inner, the properties file, config()
-- calls, and for nodes of packages the root project's settings last. Hooks take the same way, beside it.

local err = require "err"
local build = require "project.node"
local hooks = require "project.hooks"
local known = require "project.known"
local lines_of = require("project.lines").of
local merge = require "project.merge"
local value = require "jinja.value"

local M = {}

local none = value.none

--- Section of the project file for each resource type.
M.sections = { model = "models", seed = "seeds", snapshot = "snapshots", test = "data_tests", source = "sources",
  analysis = "models", exposure = "exposures", unit_test = "unit_tests", metric = "metrics",
  semantic_model = "semantic-models", saved_query = "saved-queries", ["function"] = "functions",
  operation = "operations" }

local function is_text_or_list(v) return type(v) == "string" or value.is_list(v) or value.is_tuple(v) end
local function is_boolean(v) return type(v) == "boolean" end
local function is_text(v) return type(v) == "string" end

-- What a key must be: a test and words for it. Everything else goes unchecked, as in dbt.
local expected = {
  enabled = { is_boolean, "true or false" }, materialized = { is_text, "a text" },
  tags = { is_text_or_list, "a text or a list of texts" }, meta = { value.is_dict, "a mapping" },
  alias = { is_text, "a text" }, schema = { is_text, "a text" }, database = { is_text, "a text" },
  docs = { value.is_dict, "a mapping" }, grants = { value.is_dict, "a mapping of privileges to roles" },
  contract = { value.is_dict, "a mapping" }, persist_docs = { value.is_dict, "a mapping" },
  column_types = { value.is_dict, "a mapping of columns to types" }, quoting = { value.is_dict, "a mapping" },
  full_refresh = { is_boolean, "true or false" }, quote_columns = { is_boolean, "true or false" },
  store_failures = { is_boolean, "true or false" }, group = { is_text, "a text" },
}

local function bad_value(key, v, words, origin, container, written)
  err.raise { code = 111, message = ("%s: `%s` must be %s, not '%s'"):format(origin.what, key, words, tostring(v)),
    file = origin.file, line = lines_of(origin.lines, container, written or key) or origin.line }
end

-- Checks one setting where it was written.
local function check(key, v, origin, container, written)
  local rule = expected[key]
  if rule and v ~= none and not rule[1](v) then bad_value(key, v, rule[2], origin, container, written) end
  if key == "severity" and v ~= none
    and not (type(v) == "string" and (v:lower() == "warn" or v:lower() == "error")) then
    bad_value(key, v, "warn or error", origin, container, written)
  end
end

--- What a place says: its settings without the hooks, and its hooks by phase.
---@class dex.Level
---@field settings table dict
---@field written table|nil dict: the settings and hooks before their Jinja was rendered; `settings` when absent
---@field hooks table<string, dex.Hook[]>|nil
---@field is_call boolean|nil it is a config() call

--- A level from a dict of settings, as in properties files and config() calls.
---@param settings table dict
---@param origin table {what, place, file, line, lines, locate} for hooks and errors
---@param problems dex.Problems
---@param written? table dict: the same before its Jinja was rendered
---@return dex.Level
function M.level(settings, origin, problems, written)
  local found = hooks.extract(settings, origin)
  local plain = settings
  for key, v in pairs(settings) do
    if hooks.phases[key] then
      if plain == settings then plain = value.copy_dict(settings) end
      value.del(plain, key)
    else
      check(key, v, origin, settings)
      if not known.config.set[key] then
        known.check_key(problems, known.config, key, { what = origin.what, file = origin.file, slip = true,
          line = lines_of(origin.lines, settings, key) or origin.line })
      end
    end
  end
  return { settings = plain, hooks = found, written = written or settings, is_call = origin.place == "config" }
end

local function strip_plus(key) return (key:gsub("^%+%s*", "")) end

-- One level of the tree of a project file: keys with + and whatever is no mapping.
local function project_level(package, container, raw, path, problems)
  package.levels, package.used = package.levels or {}, package.used or {}
  local level = package.levels[container]
  if level then return level end
  local origin = { what = path, place = "project", file = package.file, lines = package.lines }
  local settings, written = value.dict(), value.dict()
  for key, v in pairs(container) do
    local plain = strip_plus(key)
    if plain ~= key or not value.is_dict(v) then written[plain] = raw[key] end
    if hooks.phases[plain] then
      if plain == key and value.is_dict(v) then
        problems:warn { code = 134, message = ("%s: '%s' with a mapping is read as a folder: write '+%s'"):format(path,
          key,
          key), file = package.file, line = lines_of(package.lines, container, key) }
      end
    elseif plain ~= key or not value.is_dict(v) then
      check(plain, v, origin, container, key)
      known.check_key(problems, known.config, plain, { what = path, file = package.file, slip = true,
        line = lines_of(package.lines, container, key) })
      settings[plain] = v
    end
  end
  level = { settings = settings, written = written, hooks = hooks.extract(container, origin, strip_plus),
    container = container }
  package.levels[container], package.used[container] = level, true
  return level
end

-- Levels from the top of a section down to a folder; `deepest` is the mapping at its end, or nil when the
-- path ends before.
local function levels_to(package, section, fqn, depth, problems)
  local levels = {}
  local container = package.config[section]
  if not value.is_dict(container) then return levels, nil end
  local raw = rawget(package.raw, section) or section == "data_tests" and package.raw.tests or container
  levels[1] = project_level(package, container, raw, section, problems)
  for i = 1, depth do
    container, raw = rawget(container, fqn[i]), rawget(raw, fqn[i])
    if not value.is_dict(container) then return levels, nil end
    levels[#levels + 1] = project_level(package, container, raw, section .. "." .. table.concat(fqn, ".", 1, i),
      problems)
  end
  return levels, container, raw
end

-- The levels of a folder, found once for all nodes in it, and then the one of the node's own name.
local function levels_of(package, section, fqn, problems)
  package.folders = package.folders or {}
  local depth = #fqn - 1
  local key = section .. "\0" .. table.concat(fqn, "\0", 1, depth)
  local folder = package.folders[key]
  if not folder then
    local levels, deepest, raw = levels_to(package, section, fqn, depth, problems)
    folder = { levels = levels, deepest = deepest, raw = raw }
    package.folders[key] = folder
  end
  local own = folder.deepest and rawget(folder.deepest, fqn[depth + 1])
  if value.is_dict(own) then
    local levels = table.move(folder.levels, 1, #folder.levels, 1, {})
    levels[#levels + 1] = project_level(package, own, rawget(folder.raw, fqn[depth + 1]),
      section .. "." .. table.concat(fqn, "."), problems)
    return levels
  end
  return folder.levels
end

--- Every level that speaks about a node, general to specific.
---@param project table
---@param kind string resource type
---@param package dex.Package the node's
---@param fqn string[]
---@param own dex.Level[] levels of properties file and config() calls
---@return dex.Level[]
function M.levels(project, kind, package, fqn, own)
  local section = M.sections[kind]
  if not section then return own end
  local levels = levels_of(package, section, fqn, project.problems)
  local root = project.packages[1]
  if own[1] == nil and package == root then return levels end
  levels = table.move(levels, 1, #levels, 1, {})
  table.move(own, 1, #own, #levels + 1, levels)
  if package ~= root then
    local last = levels_of(root, section, fqn, project.problems)
    table.move(last, 1, #last, #levels + 1, levels)
  end
  return levels
end

-- What nodes without hooks share.
local none_at_all = setmetatable({},
  { __newindex = function() error("hooks of a node are added by its config", 2) end })

local function collect_hooks(levels)
  local found
  for _, level in ipairs(levels) do
    if level.hooks then
      found = found or {}
      for phase, list in pairs(level.hooks) do
        found[phase] = found[phase] or {}
        hooks.add(found[phase], list)
      end
    end
  end
  if not found then return none_at_all end
  for _, list in pairs(found) do
    -- a project file's hook belongs to many nodes: each gets its own record, for its place in the list
    for i, hook in ipairs(list) do
      if hook.index ~= i then
        if hook.index then hook = value.copy_dict(hook) end
        hook.index = i
        list[i] = hook
      end
    end
  end
  return found
end

local fixed = { seed = "seed", test = "test", snapshot = "snapshot", ["function"] = "function" }

-- Settings that come in short forms.
local function finish(config, kind)
  if config.tags ~= nil then config.tags = merge.listify(config.tags) end
  if kind == "model" and type(config.latest_version_pointer) == "boolean" then
    config.latest_version_pointer = value.dict("enabled", config.latest_version_pointer, "alias", none)
  end
  if kind == "test" then
    local as = value.opt(config.store_failures_as)
    if as == nil then
      local store = config.store_failures
      config.store_failures_as = store == true and "table" or store == false and "ephemeral" or none
    else
      config.store_failures = as ~= "ephemeral"
    end
  end
end

local function make(project, kind, package, levels, own)
  local config = build.config(kind)
  local unrendered = value.dict()
  for _, level in ipairs(levels) do
    if kind == "source" then merge.source_level(config, level.settings) else merge.level(config, level.settings) end
    for k, v in pairs(level.written) do unrendered[k] = v end
  end
  -- as in dbt, where the root's settings for packages come last, but not before the node's own in what was written
  local last = own[#own]
  if last and last.is_call and package ~= project.packages[1] then
    for k, v in pairs(last.written) do unrendered[k] = v end
  end
  local found = collect_hooks(levels)
  if config["post-hook"] ~= nil then
    config["pre-hook"], config["post-hook"] = hooks.for_manifest(found.pre), hooks.for_manifest(found.post)
  end
  finish(config, kind)
  if fixed[kind] and config.materialized ~= fixed[kind] then
    err.raise { code = 111, message = ("a %s is materialized as '%s', not as '%s'"):format(kind, fixed[kind],
      tostring(config.materialized)) }
  end
  return config, found, unrendered
end

--- Works out the config of a node.
---@param project table
---@param kind string resource type
---@param package dex.Package
---@param fqn string[]
---@param own dex.Level[] levels of properties file and config() calls
---@return table config dict with dbt's keys
---@return table<string, dex.Hook[]> hooks by phase
---@return table unrendered dict: what was written, level over level
function M.of(project, kind, package, fqn, own)
  local levels = M.levels(project, kind, package, fqn, own)
  if project.share and own[1] == nil and package == project.packages[1] then
    return project.share:config_of(levels, kind, function() return make(project, kind, package, levels, own) end)
  end
  return make(project, kind, package, levels, own)
end

-- Whether any setting stands below a mapping of the project file.
local function has_settings(container)
  for key, v in pairs(container) do
    if not value.is_dict(v) or key:sub(1, 1) == "+" then return true end
  end
  return false
end

local function warn_unused(package, container, path, problems)
  for key, v in pairs(container) do
    if value.is_dict(v) and key:sub(1, 1) ~= "+" then
      local below = path .. "." .. key
      if package.used and package.used[v] then
        warn_unused(package, v, below, problems)
      elseif has_settings(v) and not hooks.phases[key] then
        problems:warn { code = 132, message = ("no node is in the folder that '%s' configures"):format(below),
          file = package.file, line = lines_of(package.lines, container, key) }
      else
        warn_unused(package, v, below, problems)
      end
    end
  end
end

local checked = { "models", "seeds", "snapshots", "data_tests", "sources" }

local function add_used(package, container, path, found)
  for key, v in pairs(container) do
    if value.is_dict(v) then
      path[#path + 1] = key
      if package.used[v] then found[#found + 1] = value.list(table.move(path, 1, #path, 1, {})) end
      add_used(package, v, path, found)
      path[#path] = nil
    end
  end
end

--- The mappings of the root's project file that have spoken about a node, for M.note_used in another process.
---@param project table
---@return table list of paths, each a list of keys
function M.used(project)
  local root, found = project.packages[1], value.list()
  if root.used then add_used(root, root.config, {}, found) end
  return found
end

--- What M.used gave in another process has been used, too.
---@param project table
---@param paths table
function M.note_used(project, paths)
  local root = project.packages[1]
  root.used = root.used or {}
  for _, path in ipairs(paths) do
    local container = root.config
    for _, key in ipairs(path) do container = rawget(container, key) end
    root.used[container] = true
  end
end

--- Warns about folders in the root's project file that hold no node.
function M.check_unused(project)
  local root = project.packages[1]
  for _, section in ipairs(checked) do
    local container = root.config[section]
    if value.is_dict(container) then warn_unused(root, container, section, project.problems) end
  end
end

return M
