--- What has to be read again of a kept project (lua/project/cache.lua) when only the SQL of models has changed: these
-- models. It is done where nothing else can have changed with them, and where it shows that something may have, the
-- whole project is read, as without a cache: errors and warnings are always those of the whole.

local asked = require "project.asked"
local checks = require "project.checks"
local docs = require "project.docs"
local err = require "err"
local graph = require "project.graph"
local json = require "dex.json"
local members = require "project.members"
local models = require "project.models"
local patches = require "project.patches"
local problems = require "project.problems"
local properties = require "project.properties"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

-- Readers that take more from a model than where it is.
local curious = { unit_test = true, semantic_model = true, metric = true, saved_query = true }

-- What other members, and files beside the manifest, have taken from a model.
local seen_outside = { "resource_type", "name", "package_name", "database", "schema", "alias", "relation_name",
  "access", "group", "version", "latest_version", "tags", "fqn", "deprecation_date", "time_spine", "description",
  "patch_path" }
local seen_in_config = { "enabled", "event_time", "materialized", "group", "contract" }
local references = { "refs", "sources", "functions", "metrics" }

local function same(a, b) return json.encode(value.or_none(a)) == json.encode(value.or_none(b)) end

local function same_fields(a, b, names)
  for _, name in ipairs(names) do
    if not same(a[name], b[name]) then return false end
  end
  return true
end

-- Whether the kept warnings speak of a model or of its files.
local function has_warnings(project, id, info)
  for _, warning in ipairs(project.problems.warnings) do
    if warning.node == id or warning.file == info.display or info.patch_file and warning.file == info.patch_file then
      return true
    end
  end
  return false
end

-- Whether there are others than those that are kept: those of the project file come again.
local function has_more(found, kept)
  local known = {}
  local function words(w) return ("%s:%s:%s"):format(w.file or "", w.line or "", w.message) end
  for _, warning in ipairs(kept) do known[words(warning)] = true end
  for _, warning in ipairs(found) do
    if not known[words(warning)] then return true end
  end
  return false
end

-- A project in which one file is loaded: it finds everything else in the kept one, and leaves that as it is.
local function scratch(project)
  local entries = {}
  for _, section in ipairs(properties.sections) do entries[section] = {} end
  return setmetatable({ nodes = value.dict(), functions = value.dict(), info = {}, disabled = value.dict(),
    disabled_info = {}, problems = problems.new(), entries = entries, hook_captures = {}, name_macros = {} },
    { __index = project })
end

-- The entry of the properties file that describes a model.
local function read_entry(beside, package, node)
  local original = node.patch_path:match("://(.*)$")
  properties.read_one(beside, package, { path = original, original = original, abs = package.dir .. "/" .. original,
    display = package.prefix .. original, name = original:match("([^/]*)%.[^./]*$") })
  for _, entry in ipairs(beside.entries.models) do
    if entry.name == node.name then return entry end
  end
end

local function candidate_of(project, node, info)
  local package = project.packages[node.package_name]
  return { kind = "model", name = node.name, package = package, file = { path = node.path,
    original = node.original_file_path, abs = info.file, display = info.display,
    name = info.file:match("([^/]*)%.[^./]*$") } }
end

-- The model as its file is now, in a project of its own; nil when only the whole project tells.
local function load(project, id)
  local node, info = project.nodes[id], project.info[id]
  if opt(node.version) ~= nil or has_warnings(project, id, info) then return nil end
  for _, child in ipairs(project.children[id]) do
    if curious[members.kind(child)] then return nil end
  end
  local beside = scratch(project)
  local candidate = candidate_of(project, node, info)
  if node.patch_path ~= none then
    local entry = read_entry(beside, candidate.package, node)
    if not entry then return nil end
    beside.entries.models = { entry }
    for _, section in ipairs { "seeds", "snapshots", "analyses", "data_tests", "functions" } do
      beside.entries[section] = {}
    end
    patches.attach(beside, { model = { [candidate.name] = { candidate } } })
  end
  models.load_one(beside, candidate)
  return beside
end

-- Resolves what the model refers to. Gives whether that is something else than before.
local function resolve(project, found, old, new)
  if same_fields(old, new, references) then
    new.depends_on.nodes = value.copy(old.depends_on.nodes)
    return false
  end
  graph.resolve_refs(setmetatable({ problems = found }, { __index = project }), new)
  return not same(old.depends_on.nodes, new.depends_on.nodes)
end

-- Puts the model in the place of the old one; false when only the whole project tells.
local function renew_one(project, id)
  local beside = load(project, id)
  local old, new = project.nodes[id], beside and beside.nodes[id]
  if not new or beside.problems.errors[1] then return false end
  local info = beside.info[id]
  beside.problems:try(nil, docs.apply, beside, new, { file = info.patch_file or info.display,
    line = info.patch_line or info.line })
  if not same_fields(old, new, seen_outside) or not same_fields(old.config, new.config, seen_in_config)
    or not same(old.columns, new.columns) then
    return false
  end
  new.primary_key = old.primary_key
  local moved = resolve(project, beside.problems, old, new)
  if beside.problems.errors[1] then return false end
  project.nodes[id], project.info[id] = new, info
  if moved then
    project.parents[id] = new.depends_on.nodes
    graph.reorder(project)
    project.edges_changed = true
  end
  local found = problems.new()
  checks.one(setmetatable({ problems = found }, { __index = project }), new)
  local kept = project.problems.warnings
  return not found.errors[1] and not found.warnings[1] and not has_more(beside.problems.warnings, kept)
end

local function renew_all(project, changed)
  local files = json.decode(project.stored:text "model_files")
  for _, path in ipairs(changed) do
    if not rawget(files, path) then return false end
  end
  for _, path in ipairs(changed) do
    if not renew_one(project, files[path]) then return false end
  end
  return true
end

--- Brings a kept project up to date with files that have another content now. May wait: templates run.
---@param project table as it was kept
---@param changed string[] absolute paths
---@return boolean whether it is; if not, the project is good for nothing more
function M.renew(project, changed)
  if #changed == 0 then return true end
  if project.stored.head.reads_graph then return false end
  asked.begin()
  local ok, result = pcall(renew_all, project, changed)
  local of = asked.finish()
  if not ok and (not err.is(result) or (result.code or 900) >= 900) then error(result, 0) end
  return ok and result and not of.graph
end

return M
