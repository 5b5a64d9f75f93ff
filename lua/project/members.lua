--- The members of a project's graph. As in the manifest, each kind stands in a dict of its own: nodes (models,
-- seeds, snapshots, tests, analyses), sources, functions, unit tests, exposures and the semantic layer's three.

local value = require "jinja.value"

local M = {}

--- The fields of a project that hold members, dicts by unique_id.
M.groups = { "sources", "nodes", "functions", "unit_tests", "exposures", "semantic_models", "metrics",
  "saved_queries" }

--- Gives a new project its empty dicts.
---@param project table
function M.init(project)
  for _, group in ipairs(M.groups) do project[group] = value.dict() end
end

--- A member by its unique_id, or nil.
---@param project table
---@param id string
---@return table|nil
function M.get(project, id)
  for _, group in ipairs(M.groups) do
    local found = project[group][id]
    if found then return found end
  end
end

--- The member of that id if it is of a kind that a run executes: a node, a function, a unit test.
---@param project table
---@param id string
---@return table|nil
function M.runnable(project, id)
  return project.nodes[id] or project.functions[id] or project.unit_tests[id]
end

--- The ids of a group in order, without reading members that are kept in a file.
---@param project table
---@param group string
---@return string[]
function M.ids(project, group) return value.keys(project[group]) end

--- What kind of member an id is of: its first word.
---@param id string
---@return string resource type
function M.kind(id) return id:match("^[^.]+") end

--- The fields of members that M.reader() gives without reading what is kept in a file.
M.columns = { "name", "package_name", "fqn", "tags", "version", "latest_version", "original_file_path", "patch_path",
  "source_name" }

--- A function that gives something to read a member's fields from, for passes over all of them: the member, or what
--- stands for it until the next call. Fields that are none may be nil there.
---@param project table
---@return fun(id: string): table
function M.reader(project)
  if project.stored then return project.stored:reader(project) end
  return function(id) return M.get(project, id) end
end

--- What a model is called whose rows are days, for want of a `time_spine`.
M.LEGACY_SPINE = "metricflow_time_spine"

--- The models that are time spines, in order.
---@param project table
---@return table[]
function M.spines(project)
  local found = {}
  if project.stored then
    for i, id in ipairs(project.stored:spines(project)) do found[i] = project.nodes[id] end
    return found
  end
  for _, node in pairs(project.nodes) do
    if node.resource_type == "model" and (value.opt(node.time_spine) or node.name == M.LEGACY_SPINE) then
      found[#found + 1] = node
    end
  end
  return found
end

--- Calls fn(id, member) for every member, with what M.reader() gives: good until the next call.
---@param project table
---@param fn fun(id: string, member: table)
function M.each(project, fn)
  local reader = M.reader(project)
  for _, group in ipairs(M.groups) do
    for _, id in ipairs(M.ids(project, group)) do fn(id, reader(id)) end
  end
end

return M
