--- target/manifest.json: the project as dbt's manifest, schema version 12.

local build = require "project.node"
local docs = require "project.docs"
local env = require "dex.env"
local fs = require "dex.fs"
local hash = require "dex.hash"
local macros = require "project.macros"
local members = require "project.members"
local root = require "project.root"
local secrets = require "run.secrets"
local selectors = require "project.selectors"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt

local function custom_env()
  local found = {}
  for name, v in pairs(env.all()) do
    local plain = name:match("^DBT_ENV_CUSTOM_ENV_(.+)$")
    if plain then found[plain] = v end
  end
  return value.from_lua(next(found) and found or nil) or dict()
end

local function metadata(project)
  local q = project.quoting
  return dict("dbt_schema_version", "https://schemas.getdbt.com/dbt/manifest/v12.json", "dbt_version", root.dbt_version,
    "generated_at", time.iso(time.now()), "invocation_id", project.invocation_id or none,
    "invocation_started_at", time.iso(project.loaded_at), "env", custom_env(), "project_name", project.name,
    "project_id", hash.md5(project.name), "user_id", none, "send_anonymous_usage_stats", false,
    "adapter_type", "postgres",
    "quoting", dict("database", q.database, "schema", q.schema, "identifier", q.identifier, "column", none),
    "run_started_at", time.iso(project.loaded_at))
end

local function argument(name, given)
  return dict("name", name, "type", given and value.or_none(opt(given.type)) or none, "description",
    given and opt(given.description) or "")
end

-- Descriptions of macros: macro's unique_id -> entry.
local function macro_entries(project)
  local found = {}
  for _, entry in ipairs(project.entries.macros) do
    found[("macro.%s.%s"):format(entry.package.name, entry.name)] = entry
  end
  return found
end

local function macro_node(project, macro, entry)
  local data = entry and entry.data or dict()
  local settings = opt(data.config) or dict()
  local meta = dict()
  for _, from in ipairs { opt(data.meta) or dict(), opt(settings.meta) or dict() } do
    for k, v in pairs(from) do meta[k] = v end
  end
  local shown = opt(settings.docs) or opt(data.docs) or dict()
  local arguments = value.list()
  local written = opt(data.arguments)
  if written and #written > 0 then
    for i, given in ipairs(written) do arguments[i] = argument(given.name, given) end
  elseif not macro.original:find("^[^/]*/generic/") then -- dbt reads no arguments there
    for i, name in ipairs(macro.arguments) do arguments[i] = argument(name) end
  end
  local node = build.macro {
    name = macro.name, resource_type = "macro", package_name = macro.package_name, path = macro.original,
    original_file_path = macro.original, unique_id = macro.unique_id, macro_sql = macro.source,
    description = opt(data.description) or "", meta = meta, docs = build.docs(shown.show, opt(shown.node_color)),
    config = dict("meta", value.copy(meta), "docs", build.docs(shown.show, opt(shown.node_color))),
    patch_path = entry and entry.package.name .. "://" .. entry.file.original or none, arguments = arguments,
    created_at = project.loaded_at, supported_languages = none,
  }
  node.depends_on.macros = macros.calls_of(project, macro)
  if entry then docs.apply(project, node, { file = entry.file.display, line = entry.line }) end
  if macro.kind == "materialization" then node.supported_languages = value.list { "sql" } end
  return node
end

local function all_macros(project)
  local entries, found = macro_entries(project), dict()
  for _, macro in ipairs(project.macro_list) do
    found[macro.unique_id] = macro_node(project, macro, entries[macro.unique_id])
  end
  return found
end

local function sorted_map(project, edges)
  local map = dict()
  for _, id in ipairs(project.ids) do
    local list = value.list(table.move(edges[id], 1, #edges[id], 1, {}))
    table.sort(list)
    map[id] = list
  end
  return map
end

local function group_map(project)
  local map = dict()
  for _, group in pairs(project.groups) do map[group.name] = value.list() end
  if #project.groups == 0 then return map end
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    local node = reader(id)
    local list = opt(node.group) and map[node.group]
    if list then list[#list + 1] = id end
  end
  return map
end

--- The parts of the manifest in their order.
M.order = { "metadata", "nodes", "sources", "macros", "docs", "exposures", "metrics", "groups", "selectors", "disabled",
  "parent_map", "child_map", "group_map", "saved_queries", "semantic_models", "unit_tests", "functions" }

--- Those that are the same as long as the project's files are.
M.fixed = { "macros", "docs", "groups", "disabled", "parent_map", "child_map", "group_map" }

local makers = { metadata = metadata, macros = all_macros, group_map = group_map,
  selectors = selectors.for_manifest,
  parent_map = function(project) return sorted_map(project, project.parents) end,
  child_map = function(project) return sorted_map(project, project.children) end }

--- One part of the manifest.
---@param project table
---@param name string
---@return table
function M.part(project, name)
  local make = makers[name]
  if make then return make(project) end
  return project[name]
end

--- Writes the manifest.
---@param project table
---@param path string
function M.write(project, path)
  if project.stored then return project.stored:write_manifest(project, path) end
  local content = dict()
  for _, name in ipairs(M.order) do content[name] = M.part(project, name) end
  fs.write(path, secrets.encode(content))
end

return M
