--- /api/lineage and /api/nodes: the project as its files are, and what the database holds of it.

local err = require "err"
local members = require "project.members"
local shapes = require "server.shapes"
local look = require "server.look"
local start = require "server.start"
local value = require "jinja.value"

local dict, list, none, opt = value.dict, value.list, value.none, value.opt

local or_none = value.or_none

-- Lineage ------------------------------------------------------------------------------------------------

local shown_kinds = { "model", "seed", "source", "snapshot", "test", "unit_test", "exposure", "operation", "function" }

local function last_of(latest, id)
  local last = latest[id]
  return last and last.status or none, last and shapes.iso(last.ended_at) or none
end

local function graph_node(project, latest, id)
  local node = members.get(project, id)
  local status, ended_at = last_of(latest, id)
  local config = opt(node.config) or dict()
  local info = project.info[id]
  return dict("id", id, "name", node.resource_type == "source" and node.source_name .. "." .. node.name or node.name,
    "type", node.resource_type, "package", or_none(opt(node.package_name)), "schema", or_none(opt(node.schema)),
    "materialized", or_none(opt(config.materialized)),
    "tags", list(table.move(opt(node.tags) or {}, 1, #(opt(node.tags) or {}), 1, {})),
    "file", or_none(info and info.display or opt(node.original_file_path)), "status", status, "ended_at", ended_at)
end

-- What a flow runs first: of what a transformation selects those that nothing else selected stands above, and its
-- operations.
local function run_by(project, flow)
  local found = {}
  for _, node in ipairs(flow.nodes) do
    if node.kind == "operation" then
      local operation = require("project.operations").lookup(project, node.operation)
      if operation then found[operation.unique_id] = true end
    elseif node.kind == "transformation" then
      local builds = require("command.steps").builds
      local ok, ids = pcall(require("project.select").select, project, { select = node.select, exclude = node.exclude,
        selector = node.selector, types = (builds[node.command] or builds.build).types })
      local selected = {}
      for _, id in ipairs(ok and ids or {}) do selected[id] = true end
      for id in pairs(selected) do
        local inner = members.kind(id):find "test" ~= nil
        for _, parent in ipairs(project.parents[id] or {}) do inner = inner or selected[parent] end
        if not inner then found[id] = true end
      end
    end
  end
  return found
end

local function flow_id(project, name) return ("flow.%s.%s"):format(project.name, name) end

-- The flows, with edges to what they run that is shown. A project whose flows are wrong has its lineage all the same.
local function add_flows(server, project, nodes, edges, included)
  local ok, flows = pcall(start.flows, server)
  if not ok then return end
  for _, flow in ipairs(flows) do
    local id, last = flow_id(project, flow.name), server.store:runs { kind = "flow", name = flow.name, limit = 1 }[1]
    nodes[#nodes + 1] = dict("id", id, "name", flow.name, "type", "flow", "package", project.name, "schema", none,
      "materialized", none, "tags", list(table.move(flow.tags, 1, #flow.tags, 1, {})),
      "file", require("report.errors").relative(flow.file, project.root), "status", last and last.status or none,
      "ended_at", last and shapes.iso(last.ended_at) or none)
    for target in pairs(run_by(project, flow)) do
      if included[target] then edges[#edges + 1] = list { id, target } end
    end
    for _, node in ipairs(flow.nodes) do
      if node.kind == "flow" then edges[#edges + 1] = list { id, flow_id(project, node.flow) } end
    end
  end
end

local function lineage(request)
  local server, query = request.server, request.query
  local project = server.loaded:get()
  local chosen = query.select or query.exclude
  local ids, warnings = require("project.select").select(project, {
    select = query.select and start.words(query.select, "select"),
    exclude = query.exclude and start.words(query.exclude, "exclude"), types = shown_kinds,
    resource_types = shown_kinds, no_default_selector = true })
  local latest = server.store:latest_nodes()
  local edges, included = list(), {}
  for _, id in ipairs(ids) do included[id] = true end
  local nodes = shapes.each(ids, function(id) return graph_node(project, latest, id) end)
  for _, id in ipairs(ids) do
    for _, parent in ipairs(project.parents[id] or {}) do
      if included[parent] then edges[#edges + 1] = list { parent, id } end
    end
  end
  if not chosen then add_flows(server, project, nodes, edges, included) end
  table.sort(edges, function(a, b) return a[1] < b[1] or a[1] == b[1] and a[2] < b[2] end)
  local told = list()
  for i, warning in ipairs(warnings) do told[i] = warning.message end
  return dict("nodes", nodes, "edges", edges, "warnings", told)
end

-- Nodes --------------------------------------------------------------------------------------------------

local function find(request)
  local project = request.server.loaded:get()
  local id = request.params.id
  local node = members.get(project, id)
  if not node then
    local ids = {}
    for _, group in ipairs(members.groups) do
      for _, known in ipairs(members.ids(project, group)) do ids[#ids + 1] = known end
    end
    err.raise { code = 674, message = ("there is no node '%s'"):format(id),
      hint = #ids <= 2000 and err.did_you_mean(id, ids) or nil }
  end
  return project, node, id
end

local function is_test(project, id)
  local kind = members.kind(id)
  return (kind == "test" or kind == "unit_test") and members.get(project, id) ~= nil
end

local function columns_of(project, node, tests)
  local by_column = {}
  for _, id in ipairs(tests) do
    local column = opt(members.get(project, id).column_name)
    if column then
      by_column[column] = by_column[column] or list()
      table.insert(by_column[column], id)
    end
  end
  local columns = list()
  for name, column in pairs(opt(node.columns) or dict()) do
    columns[#columns + 1] = dict("name", name, "type", or_none(opt(column.data_type)),
      "description", or_none(opt(column.description)), "tests", by_column[name] or list())
  end
  return columns
end

-- The parts of a node's surroundings: parents, children that are built, its tests.
local function neighbours(project, id)
  local children, tests = list(), list()
  for _, child in ipairs(project.children[id] or {}) do
    if is_test(project, child) then tests[#tests + 1] = child else children[#children + 1] = child end
  end
  local parents = project.parents[id] or {}
  table.sort(children)
  table.sort(tests)
  return list(table.move(parents, 1, #parents, 1, {})), children, tests
end

local compiled_kinds = { model = true, snapshot = true, test = true, analysis = true }

local function node(request)
  local project, found, id = find(request)
  local info = project.info[id] or {}
  local parents, children, tests = neighbours(project, id)
  local config = opt(found.config) or dict()
  local source = opt(found.raw_code)
  if found.resource_type == "operation" and info.operation then source = info.operation.source end
  local compiled, compile_error = none, none
  if compiled_kinds[found.resource_type] then compiled, compile_error = look.compiled(request.server, id) end
  local last = request.server.store:durations(id, 1)[1]
  return dict("id", id, "name", found.name, "type", found.resource_type, "package", or_none(opt(found.package_name)),
    "description", or_none(opt(found.description)), "file", or_none(info.display or opt(found.original_file_path)),
    "line", or_none(opt(info.line)), "relation", or_none(opt(found.relation_name)),
    "materialized", or_none(opt(config.materialized)),
    "tags", list(table.move(opt(found.tags) or {}, 1, #(opt(found.tags) or {}), 1, {})), "config", config,
    "columns", columns_of(project, found, tests), "source_code", or_none(source), "compiled_code", compiled,
    "compile_error", compile_error, "tests", tests, "hooks", look.hooks(project, info, found.resource_type),
    "parents", parents, "children", children, "last_run", last and dict("run_id", last.run_id, "status", last.status,
      "started_at", shapes.iso(last.started_at), "ended_at", shapes.iso(last.duration and last.started_at
        + last.duration), "duration", shapes.seconds(last.duration)) or none)
end

local function preview(request)
  local _, found = find(request)
  return look.preview(request.server, found, request.query.limit or 50)
end

local function columns(request)
  local project, found, id = find(request)
  local _, _, tests = neighbours(project, id)
  local described = {}
  for _, column in ipairs(columns_of(project, found, tests)) do described[column.name] = column end
  local items = list()
  for i, column in ipairs(look.columns(request.server, found)) do
    local about = described[column.name]
    items[i] = dict("name", column.name, "type", column.type, "description", about and about.description or none,
      "tests", about and about.tests or list())
  end
  return dict("items", items)
end

local function runs(request)
  local items = shapes.each(request.server.store:durations(request.params.id, request.query.limit or 50),
    shapes.duration)
  return dict("items", items)
end

return {
  { method = "GET", path = "/api/lineage", about = "The graph of the project, or what a selection has of it",
    handler = lineage, query = "select?: text    -- in the syntax of --select\nexclude?: text", gives = [=[
      nodes: [GraphNode]
      edges: [[text]]          -- from, to
      warnings: [text]         -- words of the selection that match nothing]=] },
  { method = "GET", path = "/api/nodes/{id}", about = "A node: its code, columns, tests, hooks and neighbours",
    handler = node, gives = "Node" },
  { method = "GET", path = "/api/nodes/{id}/columns", about = "The columns that the database has of it",
    handler = columns, gives = "items: [Column]" },
  { method = "GET", path = "/api/nodes/{id}/preview", about = "Its first rows, read in a transaction that is read only",
    handler = preview, query = "limit?: integer 1..1000", gives = [=[
      columns: [PreviewColumn]
      rows: [[any]]
      more: boolean            -- there are more rows]=] },
  { method = "GET", path = "/api/nodes/{id}/runs", about = "How long it took, the newest run first", handler = runs,
    query = "limit?: integer 1..1000", gives = "items: [Duration]" },
}
