--- From the selected nodes to the list that a run executes: what each one waits for.

local members = require "project.members"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Everything that a run may execute. An ephemeral model is text inside those that read it.
local function is_executed(node)
  local kind = node.resource_type
  if kind == "model" then return node.config.materialized ~= "ephemeral" end
  return kind == "seed" or kind == "test" or kind == "snapshot" or kind == "unit_test" or kind == "function"
    or kind == "operation"
end

--- Whether a run executes a node.
M.is_executed = is_executed

local function parents_of(project, id)
  return project.parents[id] or {}
end

-- The nearest executed ancestors of a node that are in the run: through ephemeral models, sources and
-- nodes that are not selected.
local function nearest(project, id, included, known)
  local found = known[id]
  if found then return found end
  found = {}
  known[id] = found
  local seen = {}
  for _, parent in ipairs(parents_of(project, id)) do
    if included[parent] then
      if not seen[parent] then
        seen[parent] = true
        found[#found + 1] = parent
      end
    else
      for _, further in ipairs(nearest(project, parent, included, known)) do
        if not seen[further] then
          seen[further] = true
          found[#found + 1] = further
        end
      end
    end
  end
  return found
end

-- All that stands below a node, tests left out.
local function descendants(project, id, into)
  for _, child in ipairs(project.children[id] or {}) do
    local node = project.nodes[child]
    if not into[child] and node and node.resource_type ~= "test" then
      into[child] = true
      descendants(project, child, into)
    end
  end
  return into
end

--- The nodes that have to wait for a test: those whose ancestors hold all that the test reads, where that
--- begins to be so.
---@param project table
---@param test string unique_id
---@return string[] unique_ids
function M.waiting_for(project, test)
  local parents = parents_of(project, test)
  local held
  if #parents == 1 then
    local first = {}
    for _, child in ipairs(project.children[parents[1]] or {}) do
      local node = project.nodes[child]
      if node and node.resource_type ~= "test" then first[#first + 1] = child end
    end
    return first
  end
  for _, parent in ipairs(parents) do
    local below = descendants(project, parent, {})
    if not held then
      held = below
    else
      for id in pairs(held) do
        if not below[id] then held[id] = nil end
      end
    end
  end
  local first = {}
  for id in pairs(held or {}) do
    local later = false
    for _, parent in ipairs(parents_of(project, id)) do later = later or held[parent] end
    if not later then first[#first + 1] = id end
  end
  table.sort(first)
  return first
end

-- test -> nodes waiting for it, as extra parents of those nodes.
local function test_edges(project, ids)
  local extra = {}
  for _, id in ipairs(ids) do
    if members.runnable(project, id).resource_type == "test" then
      for _, waiting in ipairs(M.waiting_for(project, id)) do
        extra[waiting] = extra[waiting] or {}
        table.insert(extra[waiting], id)
      end
    end
  end
  return extra
end

-- A view of a project in which some nodes have other parents.
local function with_parents(view, parents_for)
  return { parents = setmetatable({}, { __index = function(t, id)
    local parents = parents_for(id) or view.parents[id] or {}
    t[id] = parents
    return parents
  end }) }
end

-- Unit tests run when the parents of their model are there, and the model waits for them. Nil without any.
local function unit_test_edges(project, view, ids)
  local tests, any = {}, false
  for _, id in ipairs(ids) do
    local test = rawget(project.unit_tests, id)
    if test then
      local model = test.depends_on.nodes[1]
      tests[model] = tests[model] or {}
      table.insert(tests[model], id)
      any = true
    end
  end
  if not any then return nil end
  return with_parents(view, function(id)
    local test = rawget(project.unit_tests, id)
    if test then return view.parents[test.depends_on.nodes[1]] or {} end
    local own = tests[id]
    if not own then return nil end
    local all = table.move(own, 1, #own, 1, {})
    local parents = view.parents[id] or {}
    return table.move(parents, 1, #parents, #all + 1, all)
  end)
end

--- The list for dex.run.execute, in the order given.
---@param project table
---@param selected string[] unique_ids in graph order
---@param with_tests boolean whether nodes wait for the tests of what they read (`build`)
---@return table[] nodes {id, kind, deps, weight, node}
function M.make(project, selected, with_tests)
  local ids, included, index = {}, {}, {}
  for _, id in ipairs(selected) do
    local node = members.runnable(project, id)
    if node and is_executed(node) then
      ids[#ids + 1] = id
      included[id] = true
      index[id] = #ids
    end
  end
  local view = project
  if with_tests then
    local extra = test_edges(project, ids)
    view = with_parents(project, function(id)
      local more = extra[id]
      if not more then return nil end
      local parents = project.parents[id] or {}
      local all = table.move(parents, 1, #parents, 1, {})
      return table.move(more, 1, #more, #all + 1, all)
    end)
  end
  local known, nodes = {}, {}
  local before = unit_test_edges(project, view, ids)
  if before then view = before end
  for i, id in ipairs(ids) do
    local node = members.runnable(project, id)
    local deps = {}
    for _, parent in ipairs(nearest(view, id, included, known)) do deps[#deps + 1] = index[parent] end
    nodes[i] = { id = id, kind = node.resource_type, deps = deps, weight = 1, node = node }
  end
  return nodes
end

--- The schemas that the nodes are built in.
---@param nodes table[] of M.make
---@return {database: string, schema: string}[]
function M.schemas(nodes)
  local list, seen = {}, {}
  for _, item in ipairs(nodes) do
    local node = item.node
    local schema = opt(node.schema)
    if schema and opt(node.relation_name) and not seen[schema] then
      seen[schema] = true
      list[#list + 1] = { database = opt(node.database), schema = schema }
    end
  end
  return list
end

return M
