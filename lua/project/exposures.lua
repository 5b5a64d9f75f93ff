--- Exposures and groups; the sections whose meaning comes later (metrics, semantic models, saved queries,
-- unit tests, functions) stay in project.entries as they were read.

local build = require "project.node"
local config = require "project.config"
local err = require "err"
local literal = require "project.literal"
local scan = require "project.scan"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function fqn_of(entry)
  local fqn = value.list { entry.package.name }
  for part in entry.file.path:gmatch("([^/]+)/") do fqn[#fqn + 1] = part end
  fqn[#fqn + 1] = entry.name
  return fqn
end

local function owner_of(given)
  local owner = value.dict("email", value.or_none(given and opt(given.email)), "name",
    value.or_none(given and opt(given.name)))
  for k, v in pairs(given or value.dict()) do owner[k] = v end
  return owner
end

local function load_exposure(project, entry)
  local data = entry.data
  local fqn = fqn_of(entry)
  local owner = opt(data.owner)
  if not value.is_dict(owner) or not (opt(owner.name) or opt(owner.email)) then
    err.raise { code = 113, message = ("exposure '%s' needs an `owner` with a name or an email"):format(entry.name) }
  end
  local settings = value.dict("enabled", true, "tags", value.list(), "meta", value.dict())
  local own = value.copy(opt(data.config) or value.dict())
  for _, key in ipairs { "tags", "meta" } do
    if opt(data[key]) and own[key] == nil then own[key] = data[key] end
  end
  for _, level in ipairs(config.levels(project, "exposure", entry.package, fqn, { { settings = own } })) do
    for k, v in pairs(level.settings) do settings[k] = v end
  end
  if type(settings.tags) == "string" then settings.tags = value.list { settings.tags } end
  local node = build.exposure {
    name = entry.name, resource_type = "exposure", package_name = entry.package.name, path = entry.file.path,
    original_file_path = entry.file.original, unique_id = ("exposure.%s.%s"):format(entry.package.name, entry.name),
    fqn = fqn, type = value.or_none(opt(data.type)), owner = owner_of(owner),
    description = opt(data.description) or "", label = value.or_none(opt(data.label)),
    maturity = value.or_none(opt(data.maturity)), meta = value.copy(settings.meta), tags = value.copy(settings.tags),
    config = settings, unrendered_config = value.copy(opt(data.config) or value.dict()), url = value.or_none(opt(data.url)), refs = value.list(),
    sources = value.list(), metrics = value.list(), created_at = project.loaded_at,
  }
  for _, text in ipairs(opt(data.depends_on) or {}) do
    local call = literal.call(tostring(text))
    local capture = scan.python("dbt." .. tostring(text):match("^%s*(.-)%s*$"))
    if call == nil and not tostring(text):find("^%s*metric") then
      err.raise { code = 113, message = ("exposure '%s': '%s' is no ref() or source()"):format(entry.name,
        tostring(text)) }
    end
    for _, ref in ipairs(capture.refs) do node.refs[#node.refs + 1] = ref end
    for _, source in ipairs(capture.sources) do node.sources[#node.sources + 1] = source end
  end
  project.info[node.unique_id] = { file = entry.file.abs, display = entry.file.display, line = entry.line, hooks = {},
    package = entry.package }
  if settings.enabled then
    project.exposures[node.unique_id] = node
  else
    project.disabled[node.unique_id] = value.list { node }
  end
end

local function load_group(project, entry)
  local id = ("group.%s.%s"):format(entry.package.name, entry.name)
  local owner = opt(entry.data.owner)
  local settings = opt(entry.data.config)
  project.groups[id] = value.dict("name", entry.name, "resource_type", "group", "package_name", entry.package.name,
    "path", entry.file.path, "original_file_path", entry.file.original, "unique_id", id, "owner", owner_of(owner),
    "description", value.or_none(opt(entry.data.description)), "config", settings or value.dict("meta", value.dict()))
end

-- A group that a node names must be one.
local function check_groups(project)
  local names, known = {}, {}
  for _, group in pairs(project.groups) do
    names[#names + 1] = group.name
    known[group.name] = true
  end
  for id, node in pairs(project.nodes) do
    local group = opt(node.group)
    if group and not known[group] then
      project.problems:error { code = 111, message = ("%s '%s' is in group '%s', which is declared nowhere"):format(
        node.resource_type, node.name, group), file = project.info[id].display, line = project.info[id].line, node = id,
        hint = err.did_you_mean(group, names) }
    end
  end
end

--- Fills project.exposures and project.groups.
---@param project table
function M.load(project)
  for _, entry in ipairs(project.entries.exposures) do
    project.problems:try({ file = entry.file.display, line = entry.line }, load_exposure, project, entry)
  end
  for _, entry in ipairs(project.entries.groups) do
    project.problems:try({ file = entry.file.display, line = entry.line }, load_group, project, entry)
  end
  check_groups(project)
end


return M
