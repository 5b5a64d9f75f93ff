--- target/graph_summary.json: the lineage in numbers, as dbt writes it (dbt-core compilation.py, Linker): every node
-- has an index, its unique_id, its kind, and the indexes of what depends on it.

local members = require "project.members"
local value = require "jinja.value"

local M = {}

local dict = value.dict

-- The order in which dbt comes upon the members: sources by themselves, all others each before what it depends on.
local groups = { "nodes", "semantic_models", "exposures", "functions", "metrics", "unit_tests", "saved_queries" }

local Graph = {}
Graph.__index = Graph

local function new_graph() return setmetatable({ ids = {}, index = {}, successors = {}, seen = {} }, Graph) end

function Graph:add(id)
  if self.index[id] then return end
  self.ids[#self.ids + 1] = id
  self.index[id] = #self.ids - 1
  self.successors[id], self.seen[id] = value.list(), {}
end

function Graph:link(parent, child)
  self:add(parent)
  if self.seen[parent][child] then return end
  self.seen[parent][child] = true
  local list = self.successors[parent]
  list[#list + 1] = self.index[child]
end

function Graph:summary()
  local found = dict()
  for i, id in ipairs(self.ids) do
    local entry = dict("name", id, "type", id:match("^[^.]+"))
    -- A copy: edges of tests are added behind it.
    local after = self.successors[id]
    if #after > 0 then entry.succ = value.list(table.move(after, 1, #after, 1, {})) end
    found[tostring(i - 1)] = entry
  end
  return found
end

--- The content of the file.
---@param project table
---@param invocation_id string
---@param with_tests boolean whether nodes wait for the tests of what they read: the graph with these edges, too
---@return table dict
function M.make(project, invocation_id, with_tests)
  local graph = new_graph()
  for _, id in ipairs(members.ids(project, "sources")) do graph:add(id) end
  for _, group in ipairs(groups) do
    for _, id in ipairs(members.ids(project, group)) do
      graph:add(id)
      for _, parent in ipairs(project.parents[id] or {}) do graph:link(parent, id) end
    end
  end
  local content = dict("_invocation_id", invocation_id, "linked", graph:summary())
  if with_tests then
    local waiting_for = require("run.plan").waiting_for
    for _, id in ipairs(members.ids(project, "nodes")) do
      if id:find("^test%.") then
        for _, waiting in ipairs(waiting_for(project, id)) do graph:link(id, waiting) end
      end
    end
    content.with_test_edges = graph:summary()
  end
  return content
end

return M
