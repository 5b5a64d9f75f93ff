--- Exposures, which say who uses the models, and groups, which say who owns them.

local build = require "project.node"
local config = require "project.config"
local err = require "err"
local jinja = require "jinja"
local members = require "project.members"
local merge = require "project.merge"
local scan = require "project.scan"
local semantic = require "project.semantic"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function owner_of(given)
  local owner = value.dict("email", value.or_none(given and opt(given.email)), "name",
    value.or_none(given and opt(given.name)))
  for k, v in pairs(given or value.dict()) do owner[k] = v end
  return owner
end

local exposure_shape = { name = "text!", type = "text!", owner = "dict!", description = "text", label = "text",
  maturity = "text", url = "text", depends_on = "list", tags = "text or list", meta = "dict", config = "dict" }
local types = { "dashboard", "notebook", "analysis", "ml", "application" }
local maturities = { "low", "medium", "high" }

local function settings_of(project, entry, fqn)
  local data = entry.data
  local own = opt(data.config) or value.dict()
  local settings = value.dict("enabled", true, "tags", value.list(), "meta", value.dict())
  local level = { settings = value.dict("tags", opt(data.tags) or value.list(), "meta",
    opt(data.meta) or value.dict()) }
  for _, one in ipairs(config.levels(project, "exposure", entry.package, fqn, { level, { settings = own } })) do
    merge.level(settings, one.settings)
  end
  local tags = value.list()
  merge.add_missing(tags, merge.listify(settings.tags))
  table.sort(tags)
  settings.tags = tags
  return settings, value.copy(own)
end

-- What it depends on: each item is ref(), source() or metric().
local function capture_of(project, entry, node)
  local lines = {}
  for i, text in ipairs(opt(entry.data.depends_on) or {}) do
    if type(text) ~= "string" or not text:find("^%s*[%a_]+%s*%(.*%)%s*$") then
      shape.fail(entry, { container = entry.data.depends_on, key = i }, ("exposure '%s': '%s' is no ref(), source() or "
        .. "metric()"):format(entry.name, tostring(text)))
    end
    lines[#lines + 1] = "{{ " .. text .. " }}"
  end
  local source = table.concat(lines, "\n")
  return scan.template(project, node, source, function()
    return jinja.compile(source, { file = entry.file.display, line = shape.line(entry, entry.data, "depends_on") })
  end)
end

local function load_exposure(project, entry)
  local data = entry.data
  local what = ("exposure '%s'"):format(entry.name)
  shape.check(project, entry, data, exposure_shape, what)
  if not (opt(data.owner.name) or opt(data.owner.email)) then
    shape.fail(entry, { container = data, key = "owner" }, what .. " needs an `owner` with a name or an email")
  end
  shape.one_of(entry, data, "type", types, what)
  shape.one_of(entry, data, "maturity", maturities, what)
  local fqn = shape.fqn(entry)
  local settings, unrendered = settings_of(project, entry, fqn)
  local node = build.exposure {
    name = entry.name, resource_type = "exposure", package_name = entry.package.name, path = entry.file.path,
    original_file_path = entry.file.original, unique_id = ("exposure.%s.%s"):format(entry.package.name, entry.name),
    fqn = fqn, type = data.type, owner = owner_of(data.owner), description = opt(data.description) or "",
    label = value.or_none(opt(data.label)), maturity = value.or_none(opt(data.maturity)),
    meta = value.copy(settings.meta), tags = value.copy(settings.tags), config = settings,
    unrendered_config = unrendered, url = value.or_none(opt(data.url)), refs = value.list(), sources = value.list(),
    metrics = value.list(), created_at = project.loaded_at,
  }
  local capture = capture_of(project, entry, node)
  node.refs, node.sources, node.metrics = capture.refs, capture.sources, capture.metrics
  semantic.place(project, "exposures", entry, node)
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
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    local node = reader(id)
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
