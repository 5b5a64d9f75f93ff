--- --defer: a ref() to a node that this run does not build means the relation of an earlier manifest, when the
-- node's own is not there; with --favor-state, always.

local members = require "project.members"
local relations = require "run.relation"
local state_module = require "project.state"
local value = require "jinja.value"

local M = {}

local opt = value.opt
local refable = { model = true, seed = true, snapshot = true }

--- Prepares a project for the rest of a command; nothing happens without --defer.
---@param project table
---@param state dex.State|nil of --defer-state or --state
---@param opts {favor_state: boolean|nil, selected: string[]}
function M.prepare(project, state, opts)
  local selected = {}
  for _, id in ipairs(opts.selected) do selected[id] = true end
  project.deferral = { nodes = opt(state_module.manifest_of(state).nodes) or value.dict(), favor = opts.favor_state,
    selected = selected }
end

-- The node of the earlier manifest that stands in for one of the project's.
local function earlier(deferral, id)
  local node = rawget(deferral.nodes, id)
  if node and refable[node.resource_type] and node.config.materialized ~= "ephemeral" then return node end
end

--- The relation that a ref() is deferred to, or nil when it means the node's own. May wait: a schema may have to be
--- listed.
---@param state table of the node that refers
---@param target table node
---@return dex.Relation|nil
function M.relation(state, target)
  local project = state.project
  local deferral = project.deferral
  local node = deferral and refable[target.resource_type] and earlier(deferral, target.unique_id)
  if not node then return nil end
  local favored = deferral.favor and not deferral.selected[target.unique_id]
  if not favored then
    local found = state.context.adapter.get_relation(target.database, target.schema, target.alias)
    if found ~= value.none then return nil end
  end
  return relations.of_node(project, node)
end

--- `defer_relation` of a node's templates.
---@param state table
---@return any relation or none
function M.of_node(state)
  local deferral = state.project.deferral
  local id = state.node and state.node.unique_id
  local node = deferral and id and members.get(state.project, id) and earlier(deferral, id)
  return node and relations.of_node(state.project, node) or value.none
end

return M
