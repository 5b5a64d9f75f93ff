--- The documentation of a project as one page that a browser opens from disk: no server, nothing from
-- elsewhere. The page is lua/report/docs/, the project is put into it as JSON.

local embed = require "dex.embed"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}

local dict, list, opt = value.dict, value.list, value.opt

local shown = { model = true, seed = true, snapshot = true, test = true, unit_test = true, analysis = true,
  ["function"] = true, source = true, exposure = true, metric = true, semantic_model = true, saved_query = true }

-- An entry leaves out what it has not: a page of 5,000 nodes is as small as it can be.
local function put(entry, key, v)
  v = opt(v)
  if v == nil or v == "" or (type(v) == "table" and #v == 0) then return end
  entry[key] = v
end

-- Columns by name: those of the catalogue first, in their order, then those that are only described.
local function columns_of(node, catalogued)
  local columns, seen = list(), {}
  local described = opt(node.columns) or dict()
  local function add(name, kind)
    local entry = dict("name", name)
    local about = described[name]
    put(entry, "type", kind or about and about.data_type)
    put(entry, "about", about and about.description)
    columns[#columns + 1] = entry
    seen[name] = true
  end
  local known = {}
  for _, column in pairs(catalogued and catalogued.columns or {}) do known[#known + 1] = column end
  table.sort(known, function(a, b) return a.index < b.index end)
  for _, column in ipairs(known) do add(column.name, column.type) end
  for name in pairs(described) do
    if not seen[name] then add(name) end
  end
  return columns
end

local function hooks_of(info)
  local hooks = list()
  for _, phase in ipairs { "pre", "post", "on_failure", "always" } do
    for _, hook in ipairs(info and info.hooks and info.hooks[phase] or {}) do
      local entry = dict("phase", phase, "sql", tostring(opt(hook.sql) or opt(hook.lua) or opt(hook.operation) or ""))
      put(entry, "name", hook.name)
      put(entry, "file", hook.file and (hook.file .. (opt(hook.line) and (":" .. hook.line) or "")))
      if hook.transaction == false then entry.outside = true end
      hooks[#hooks + 1] = entry
    end
  end
  return hooks
end

local function entry_of(project, id, node, catalog)
  local kind = node.resource_type
  local entry = dict("id", id, "name", node.name, "kind", kind, "package", node.package_name, "path",
    node.original_file_path)
  if kind == "source" then entry.name = node.source_name .. "." .. node.name end
  local catalogued = catalog.nodes[id] or catalog.sources[id]
  put(entry, "about", node.description)
  put(entry, "relation", node.relation_name)
  put(entry, "materialized", node.config and node.config.materialized)
  put(entry, "tags", node.tags)
  put(entry, "type", catalogued and catalogued.metadata.type)
  put(entry, "owner", catalogued and catalogued.metadata.owner)
  put(entry, "group", node.group)
  if opt(node.access) ~= "protected" then put(entry, "access", node.access) end
  put(entry, "raw", node.raw_code)
  put(entry, "sql", node.compiled_code)
  put(entry, "columns", kind ~= "test" and columns_of(node, catalogued) or nil)
  put(entry, "column", node.column_name)
  put(entry, "hooks", hooks_of(project.info[id]))
  return entry
end

local function data_of(project, catalog)
  local nodes, edges, index = list(), list(), {}
  local function add(id, node)
    if not shown[node.resource_type] or index[id] then return end
    nodes[#nodes + 1] = entry_of(project, id, node, catalog)
    index[id] = #nodes - 1
  end
  for _, group in ipairs { project.sources, project.nodes, project.exposures, project.metrics or {},
    project.semantic_models or {}, project.saved_queries or {}, project.functions or {}, project.unit_tests or {} } do
    for id, node in pairs(group) do add(id, node) end
  end
  for id, at in pairs(index) do
    for _, parent in ipairs(project.parents[id] or {}) do
      if index[parent] then edges[#edges + 1] = list { index[parent], at } end
    end
  end
  table.sort(edges, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  return dict("project", project.name, "target", project.profile.target_name, "nodes", nodes, "edges", edges)
end

-- A text that nothing in the page can mistake for its own markup.
local function embedded(data) return (json.encode(data, { compact = true }):gsub("<", "\\u003c")) end

--- The page.
---@param project table loaded, and compiled as far as its SQL is to be shown
---@param catalog table of lua/run/catalog.lua
---@return string html
function M.make(project, catalog)
  local parts = { title = project.name:gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }),
    data = embedded(data_of(project, catalog)) }
  for _, name in ipairs { "style.css", "layout.js", "lineage.js", "page.js" } do
    parts[name] = embed.read("lua/report/docs/" .. name)
  end
  return (embed.read("lua/report/docs/page.html"):gsub("<!%-%- (%S+) %-%->", parts))
end

return M
