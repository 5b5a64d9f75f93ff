--- `dex-lua clone`: each selected node becomes a view on the relation that the artifacts of --state know it by.
-- PostgreSQL copies no table without reading it, and a view is what dbt makes there as well.

local context = require "run.context"
local materialize = require "run.materialize"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- A node of its own for the view; it is in no manifest.
local function view_node(node, other)
  local config = value.copy_dict(node.config)
  config.materialized, config.persist_docs = "view", value.dict()
  local copy = value.copy_dict(node)
  copy.config, copy.resource_type = config, "model"
  copy.raw_code = "select * from " .. tostring(other)
  copy.compiled_code = copy.raw_code
  return copy
end

local function leave(state, message)
  state.outcome.status, state.outcome.message = "no-op", message
  return {}
end

--- Clones the node of a state, in its transaction. What is there already stays, except with --full-refresh. May wait.
---@param state table of lua/run/node.lua
---@return dex.Relation[] relations
function M.run(state)
  local node = state.node
  state.custom = true -- no grants, no comments: the view is none of the project's own
  local other = require("run.deferral").of_node(state)
  if other == value.none then return leave(state, "the artifacts of --state do not know it") end
  local found = opt(state.context.adapter.get_relation(node.database, node.schema, node.alias))
  if found and not state.run.full_refresh then return leave(state, "the relation is there already") end
  local own = setmetatable({ node = view_node(node, other), statements = state.statements, macro_context = false,
    model_view = false, replaced = false, rebuilt = true, custom = false, batch = false },
    { __index = state, __newindex = state })
  own.context = context.node(own)
  return materialize.run(own)
end

return M
