--- What of the graph a command runs: the selected nodes and the edges among them.

local M = {}

-- For each node the selected nodes that it depends on directly or over nodes that are left out. Worked out in
-- graph order; what is left out passes its own set on.
local function reduced_parents(project, chosen)
  local reach = {}
  for _, id in ipairs(project.order) do
    local set, list = {}, {}
    local function add(parent)
      if not set[parent] then
        set[parent] = true
        list[#list + 1] = parent
      end
    end
    for _, parent in ipairs(project.parents[id]) do
      if chosen[parent] then
        add(parent)
      else
        for _, further in ipairs(reach[parent] or {}) do add(further) end
      end
    end
    reach[id] = list
  end
  return reach
end

local function children_of(order, parents)
  local children = {}
  for _, id in ipairs(order) do children[id] = {} end
  for _, id in ipairs(order) do
    for _, parent in ipairs(parents[id]) do
      local list = children[parent]
      if list then list[#list + 1] = id end
    end
  end
  return children
end

local function descendants_of(id, children, is_test, cache)
  local found = cache[id]
  if found then return found end
  found = {}
  local stack = { id }
  while #stack > 0 do
    local at = table.remove(stack)
    for _, child in ipairs(children[at]) do
      if not found[child] and not is_test(child) then
        found[child] = true
        stack[#stack + 1] = child
      end
    end
  end
  cache[id] = found
  return found
end

-- The nodes that wait for a test: the first ones that stand below all of its parents.
local function below_all(of, parents, children, is_test, cache)
  local waiting = {}
  if #of == 1 then
    for _, child in ipairs(children[of[1]]) do
      if not is_test(child) then waiting[#waiting + 1] = child end
    end
    return waiting
  end
  local sets = {}
  for i, parent in ipairs(of) do sets[i] = descendants_of(parent, children, is_test, cache) end
  local function in_all(id)
    for _, set in ipairs(sets) do
      if not set[id] then return false end
    end
    return true
  end
  for id in pairs(sets[1]) do
    if in_all(id) then
      local first = true
      for _, parent in ipairs(parents[id]) do first = first and not in_all(parent) end
      if first then waiting[#waiting + 1] = id end
    end
  end
  table.sort(waiting)
  return waiting
end

local function add_test_edges(project, order, parents)
  local function is_test(id)
    local node = project.nodes[id]
    return node ~= nil and node.resource_type == "test"
  end
  local children = children_of(order, parents)
  local cache = {}
  local more = {}
  for _, id in ipairs(order) do
    if is_test(id) and #parents[id] > 0 then
      for _, waiting in ipairs(below_all(parents[id], parents, children, is_test, cache)) do
        more[#more + 1] = { waiting, id }
      end
    end
  end
  for _, edge in ipairs(more) do
    local list = table.move(parents[edge[1]], 1, #parents[edge[1]], 1, {})
    list[#list + 1] = edge[2]
    parents[edge[1]] = list
  end
end

--- See lua/project/graph.lua, plan.
---@param project table
---@param selected string[]
---@param opts? {test_edges?: boolean}
---@return {id: string, node: table, deps: integer[]}[]
function M.make(project, selected, opts)
  local chosen = {}
  for _, id in ipairs(selected) do chosen[id] = true end
  local parents = reduced_parents(project, chosen)
  local order = {}
  for _, id in ipairs(project.order) do
    if chosen[id] then order[#order + 1] = id end
  end
  if opts and opts.test_edges then
    add_test_edges(project, order, parents)
    order = M.sort(order, parents)
  end
  local position, plan = {}, {}
  for i, id in ipairs(order) do position[id] = i end
  for i, id in ipairs(order) do
    local deps = {}
    for j, parent in ipairs(parents[id]) do deps[j] = position[parent] end
    plan[i] = { id = id, node = project.nodes[id] or project.sources[id] or project.exposures[id], deps = deps }
  end
  return plan
end

--- Sorts ids so that parents come first, else in the order given. The graph has no cycle.
---@param ids string[]
---@param parents table<string, string[]>
---@return string[]
function M.sort(ids, parents)
  local waiting, children, ready, order = {}, children_of(ids, parents), {}, {}
  for _, id in ipairs(ids) do
    waiting[id] = #parents[id]
    if waiting[id] == 0 then ready[#ready + 1] = id end
  end
  local at = 1
  while ready[at] do
    local id = ready[at]
    at = at + 1
    order[#order + 1] = id
    for _, child in ipairs(children[id]) do
      waiting[child] = waiting[child] - 1
      if waiting[child] == 0 then ready[#ready + 1] = child end
    end
  end
  return order
end

return M
