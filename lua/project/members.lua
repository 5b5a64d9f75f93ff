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

--- Calls fn(id, member) for every member.
---@param project table
---@param fn fun(id: string, member: table)
function M.each(project, fn)
  for _, group in ipairs(M.groups) do
    for id, member in pairs(project[group]) do fn(id, member) end
  end
end

return M
