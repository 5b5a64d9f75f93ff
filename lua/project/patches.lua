--- Brings entries of properties files together with the nodes that they describe.

local columns = require "project.columns"
local err = require "err"
local hash = require "dex.hash"
local json = require "dex.json"
local lines_of = require("project.lines").of
local merge = require "project.merge"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- A file, or block of one, that becomes a node.
---@class dex.Candidate
---@field kind string resource type
---@field name string
---@field package dex.Package
---@field file dex.File
---@field block? dex.Block
---@field patch? dex.Patch

--- What a properties file says about one node.
---@class dex.Patch
---@field entry dex.Entry
---@field config table|nil dict
---@field columns table list of dicts
---@field description string
---@field version? any
---@field latest? any
---@field version_data? table dict

local kinds = { models = "model", seeds = "seed", snapshots = "snapshot", analyses = "analysis", data_tests = "test",
  functions = "function" }
local plural = { model = "models", seed = "seeds", snapshot = "snapshots" }

-- The candidate of a name: of the entry's own package, else of any.
local function find(index, kind, name, package)
  local found = index[kind] and index[kind][name]
  if not found then return nil end
  for _, candidate in ipairs(found) do
    if candidate.package == package then return candidate end
  end
  return found[1]
end

local function names_of(index, kind)
  local names = {}
  for name in pairs(index[kind] or {}) do names[#names + 1] = name end
  return names
end

--- A warning for an entry that no file belongs to.
---@param project table
---@param index table as for M.attach
---@param entry dex.Entry its section, package, file and line
---@param kind string resource type
---@param name string
function M.not_found(project, index, entry, kind, name)
  for other, words in pairs(plural) do
    if other ~= kind and plural[kind] and find(index, other, name, entry.package) then
      project.problems:warn { code = 131, message = ("'%s' is a %s and stands under `%s`: move it to `%s`"):format(name,
        other, entry.section, words), file = entry.file.display, line = entry.line }
      return
    end
  end
  project.problems:warn { code = 131, message = ("there is no %s '%s' for this entry of `%s`"):format(kind, name,
    entry.section), file = entry.file.display, line = entry.line, hint = err.did_you_mean(name, names_of(index, kind)) }
end

-- One process of several (lua/project/share.lua) knows only its own entries.
local function missed(project, index, entry, kind, name)
  if project.share then return project.share:missed(entry, kind, name) end
  M.not_found(project, index, entry, kind, name)
end

local function attach(project, candidate, patch)
  if project.share then project.share:claim(candidate) end
  local other = candidate.patch
  if other then
    err.raise { code = 118, message = ("%s '%s' is described twice: also in %s, line %s"):format(candidate.kind,
      candidate.name, other.entry.file.display, tostring(other.entry.line)), file = patch.entry.file.display,
      line = patch.entry.line }
  end
  candidate.patch = patch
end

local function number_or_text_less(a, b)
  local x, y = tonumber(a), tonumber(b)
  if x and y then return x < y end
  return tostring(a) < tostring(b)
end

local function merged_config(base, own)
  if not own then return base end
  if not base then return own end
  local merged = value.copy(base)
  for k, v in pairs(own) do
    if value.is_dict(v) and value.is_dict(merged[k]) then merged[k] = merged_config(merged[k], v) else merged[k] = v end
  end
  return merged
end

-- Every version has a `v` of its own, and `latest_version` is one of them.
local function check_versions(entry, versions, latest)
  local seen, names = {}, {}
  for i, version in ipairs(versions) do
    local v = opt(version.v)
    if v == nil or seen[v] then
      err.raise { code = 113, message = v == nil and ("models '%s': a version needs `v`"):format(entry.name)
        or ("models '%s': there are two versions %s"):format(entry.name, tostring(v)),
        file = entry.file.display, line = lines_of(entry.lines, versions, i) }
    end
    seen[v], names[i] = true, tostring(v)
  end
  if latest ~= nil and not seen[latest] then
    err.raise { code = 113, message = ("models '%s': latest_version is %s, and its versions are %s"):format(entry.name,
      tostring(latest), table.concat(names, ", ")), file = entry.file.display,
      line = lines_of(entry.lines, entry.data, "latest_version") or entry.line }
  end
end

local function attach_versions(project, index, entry)
  local versions = entry.data.versions
  local latest = opt(entry.data.latest_version)
  check_versions(entry, versions, latest)
  if latest == nil then
    latest = versions[1].v
    for _, version in ipairs(versions) do
      if number_or_text_less(latest, version.v) then latest = version.v end
    end
  end
  for i, version in ipairs(versions) do
    local name = opt(version.defined_in) or ("%s_v%s"):format(entry.name, tostring(version.v))
    local candidate = find(index, "model", name, entry.package)
    if not candidate and version.v == latest then candidate = find(index, "model", entry.name, entry.package) end
    if candidate then
      attach(project, candidate, { entry = entry, config = merged_config(opt(entry.data.config), opt(version.config)),
        columns = columns.of_version(entry, version), version = version.v, latest = latest, version_data = version,
        description = opt(version.description) or opt(entry.data.description) or "",
        line = lines_of(entry.lines, versions, i) })
    else
      missed(project, index, entry, "model", name)
    end
  end
end

local function attach_entry(project, index, entry)
  local kind = kinds[entry.section]
  local versions = kind == "model" and opt(entry.data.versions)
  if versions and #versions > 0 then return attach_versions(project, index, entry) end
  local candidate = find(index, kind, entry.name, entry.package)
  if not candidate then return missed(project, index, entry, kind, entry.name) end
  attach(project, candidate, { entry = entry, config = opt(entry.data.config), columns = opt(entry.data.columns) or {},
    description = opt(entry.data.description) or "" })
end

--- The sections whose entries describe files, in the order in which they are attached.
M.sections = { "models", "seeds", "snapshots", "analyses", "data_tests", "functions" }

--- Gives the candidates of one entry their patches.
---@param project table
---@param index table as for M.attach
---@param entry dex.Entry
function M.attach_one(project, index, entry)
  project.problems:try({ file = entry.file.display, line = entry.line }, attach_entry, project, index, entry)
end

--- Gives the candidates their patches.
---@param project table
---@param index table<string, table<string, dex.Candidate[]>> by kind and name
function M.attach(project, index)
  for _, section in ipairs(M.sections) do
    for _, entry in ipairs(project.entries[section]) do M.attach_one(project, index, entry) end
  end
end

-- A checksum over what a contract promises.
local function contract_checksum(node)
  local names = value.keys(node.columns)
  table.sort(names)
  local parts = {}
  for _, name in ipairs(names) do
    local column = node.columns[name]
    parts[#parts + 1] = ("|%s%s%s"):format(name, tostring(opt(column.data_type)), json.encode(column.constraints))
  end
  return hash.sha256(table.concat(parts))
end

local access_levels = { public = true, protected = true, private = true }

-- As it is given, each of its custom granularities with its two fields.
local function time_spine(given)
  local custom = value.is_dict(given) and opt(given.custom_granularities)
  if not value.is_list(custom) then return value.or_none(given) end
  given = value.copy(given)
  given.custom_granularities = value.list()
  for i, one in ipairs(custom) do
    given.custom_granularities[i] = value.dict("name", one.name, "column_name", value.or_none(opt(one.column_name)))
  end
  return given
end

local function apply_to_model(node, patch, config)
  local data, version = patch and patch.entry.data or value.dict(), patch and patch.version_data
  local constraints = version and opt(version.constraints) or opt(data.constraints)
  if constraints then node.constraints = constraints end
  node.version, node.latest_version = value.or_none(patch and patch.version), value.or_none(patch and patch.latest)
  local date = version and version.deprecation_date
  if date == nil then date = data.deprecation_date end
  node.deprecation_date = value.or_none(opt(date))
  node.time_spine = time_spine(opt(data.time_spine))
  local access = version and opt(version.access) or opt(config.access) or "protected"
  if not access_levels[access] then
    err.raise { code = 111, message = ("model '%s': access is private, protected or public, not '%s'"):format(node.name,
      tostring(access)), file = patch and patch.entry.file.display, line = patch and patch.entry.line }
  end
  node.access = access
  if node.contract.enforced then
    if #node.columns == 0 then
      err.raise { code = 111, message = ("model '%s' enforces a contract, and no columns are described"):format(
        node.name),
        file = patch and patch.entry.file.display, line = patch and patch.entry.line }
    end
    node.contract.checksum = contract_checksum(node)
  end
end

--- Fills the fields of a node that its patch and config decide. The config is final.
---@param node table dict
---@param patch dex.Patch|nil
function M.apply(node, patch)
  local config = node.config
  if patch then
    node.patch_path = patch.entry.package.name .. "://" .. patch.entry.file.original
    node.description = patch.description
    node.columns = columns.make(patch.columns)
  end
  merge.add_missing(node.tags, config.tags)
  if #config.meta > 0 then node.meta = value.copy(config.meta) end
  if opt(config.group) then node.group = config.group end
  local docs = opt(config.docs)
  if docs then
    if docs.show ~= nil then node.docs.show = docs.show end
    if opt(docs.node_color) then node.docs.node_color = docs.node_color end
  end
  local contract = opt(config.contract)
  if contract and node.contract then
    if contract.enforced ~= nil then node.contract.enforced = contract.enforced end
    if contract.alias_types ~= nil then node.contract.alias_types = contract.alias_types end
  end
  if node.resource_type == "model" then apply_to_model(node, patch, config) end
end

return M
