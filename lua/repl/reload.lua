--- The files of a project are read again while a run of it stands still, for what runs there: its hooks, macros and
-- Lua modules are then those of the files as they are now. Other nodes go on with what they began with.

local context = require "run.context"
local err = require "err"
local hook_module = require "run.hook_module"

local M = {}

local silent = { warning = function() end, log = function() end }

-- The project of a job's files as they are. Raises what is wrong with them. May wait.
local function read_again(job)
  local again = setmetatable({ report = silent }, { __index = job })
  require("command.steps").load(again)
  return again.project
end

-- Where a hook is declared: a function that finds the one at the same place in a project; nil for one that an earlier
-- hook has left.
local function finder(run, state, hook)
  local function in_list(list, lists_of)
    for i, one in ipairs(list or {}) do
      if one == hook then return function(project) return (lists_of(project) or {})[i] end end
    end
  end
  local id = state.node.unique_id
  for key, list in pairs(state.info and state.info.hooks or {}) do
    local found = type(list) == "table" and in_list(list, function(project)
      return project.info[id] and project.info[id].hooks[key]
    end)
    if found then return found end
  end
  for _, key in ipairs { "start", "finish" } do
    local found = in_list(run.project.run_hooks[key], function(project) return project.run_hooks[key] end)
    if found then return found end
  end
end

-- What a run has found out about a node, which its files do not say.
local found_out = { "compiled", "compiled_code", "compiled_path", "build_path", "extra_ctes", "extra_ctes_injected",
  "relation_name" }

-- Makes the project that of what runs.
local function adopt(state, project)
  local run, old = state.run, state.node
  local node = project.nodes[old.unique_id] or old
  if node ~= old then
    for _, key in ipairs(found_out) do node[key] = old[key] end
  end
  state.run = setmetatable({ project = project, modules = hook_module.new(project) },
    { __index = run, __newindex = run })
  state.project, state.node, state.model_view = project, node, nil
  state.info = project.info[node.unique_id] or state.info
  state.context = context.node(state)
end

--- Reads the files again for a hook that has failed: `own` is then as it is declared now. Raises what is wrong with the
--- files, and leaves all as it was then. May wait.
---@param own table of lua/run/hooks.lua
function M.hook(own)
  local state = own.state
  local find = finder(own.run, state, own.hook)
  local project = read_again(own.run.job)
  local hook = own.hook
  if find then
    hook = find(project)
    if not hook then
      err.raise { code = 504, message = own.title .. " is no longer declared", file = own.hook.file }
    end
  end
  adopt(state, project)
  own.run, own.context, own.hook = state.run, state.context, hook
  own.deadline = nil
  own.record.name = state.run.mask(require("run.hooks").name_of(hook))
end

--- The same for a node whose own SQL has failed.
---@param state table of lua/run/node.lua
function M.node(state)
  local project = read_again(state.run.job)
  if not project.nodes[state.node.unique_id] then
    err.raise { code = 301, message = state.node.name .. " is no longer in the project" }
  end
  adopt(state, project)
end

return M
