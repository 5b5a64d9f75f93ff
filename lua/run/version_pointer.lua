--- The view under a model's plain name that shows its latest version: `latest_version_pointer` in the model's
-- settings, or the flag latest_version_pointer_enabled_by_default. It is built in the version's transaction.

local context = require "run.context"
local err = require "err"
local jinja = require "jinja"
local materialize = require "run.materialize"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- Whether a model is a latest version that has a pointer.
---@param project table
---@param node table
function M.wanted(project, node)
  local version = opt(node.version)
  if node.resource_type ~= "model" or version == nil or version ~= opt(node.latest_version) then return false end
  local setting = opt(node.config.latest_version_pointer)
  local enabled = setting and opt(setting.enabled)
  if enabled ~= nil then return enabled == true end
  local flags = opt(project.config.flags)
  return flags ~= nil and opt(flags.latest_version_pointer_enabled_by_default) == true
end

-- The name of the view, through the macro that a project may replace.
local function name_of(state)
  local node = state.node
  local setting = opt(node.config.latest_version_pointer)
  local name = jinja.str(state.context.generate_latest_version_pointer_alias(
    value.or_none(setting and opt(setting.alias)), node)):match("^%s*(.-)%s*$")
  if name == node.alias then
    err.raise { code = 177, file = state.info.file, line = state.info.line,
      message = ("the pointer to the latest version of '%s' would have the version's own name, '%s'"):format(node.name,
        name), hint = "give the version another alias, or set latest_version_pointer: false" }
  end
  return name
end

-- A node of its own for the view; it is in no manifest.
local function pointer_node(state, relation)
  local node = state.node
  local config = value.copy_dict(node.config)
  config.materialized, config.persist_docs = "view", value.dict()
  local copy = value.copy_dict(node)
  copy.config, copy.alias = config, name_of(state)
  copy.unique_id = node.unique_id .. "__latest_version_pointer"
  copy.raw_code = "select * from " .. relation
  copy.compiled_code = copy.raw_code
  return copy
end

--- Builds the view of a state whose node is built, in the same transaction, with the node's grants; none when only
--- a part of it is built. May wait.
---@param state table of lua/run/node.lua
---@param relation table that the node was built as
function M.build(state, relation)
  if state.outcome.status then return end
  state.cache_journal, state.finally = state.cache_journal or {}, state.finally or {}
  local own = setmetatable({ node = pointer_node(state, relation), statements = {}, macro_context = false,
    model_view = false, replaced = false, rebuilt = true, custom = false, batch = false,
    artifact_suffix = "latest_version_pointer" }, { __index = state })
  own.context = context.node(own)
  for _, pointer in ipairs(materialize.run(own)) do
    state.run.cache:add(pointer, own)
    if not own.custom then materialize.configure(own, pointer) end
  end
end

return M
