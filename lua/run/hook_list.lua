--- Which hooks a run would call, in their order: what `hooks ls` and `plan` show and `hooks run` runs.

local hooks = require "run.hooks"
local operations = require "project.operations"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The phases of a node that have hooks, in their order: config key, whether `transaction: false` belongs there, and
--- what the hooks run in.
M.phases = {
  { name = "pre_outside", key = "pre", outside = true, transaction = "none" },
  { name = "pre_hooks", key = "pre", transaction = "node" },
  { name = "post_hooks", key = "post", transaction = "node" },
  { name = "post_outside", key = "post", outside = true, transaction = "none" },
  { name = "on_failure", key = "on_failure", transaction = "own" },
  { name = "always", key = "always", transaction = "own" },
}

--- One hook that would run.
---@class dex.ListedHook
---@field phase string
---@field transaction "node"|"own"|"none"
---@field index integer its place among those of its phase that are declared
---@field hook dex.Hook

-- Whether a hook of pre or post belongs to a phase.
local function belongs(phase, hook)
  if phase.key ~= "pre" and phase.key ~= "post" then return true end
  return (hook.transaction == false) == (phase.outside == true)
end

--- The hooks of a node.
---@param run table with `which`, `no_hooks`, `skip_hook`
---@param info table project.info of the node
---@param resource_type string tests and some operations run outside of transactions
---@return dex.ListedHook[]
function M.of_node(run, info, resource_type)
  local list = {}
  local outside = resource_type == "test" or resource_type == "unit_test"
    or resource_type == "operation" and not operations.is_transactional(info.operation)
  for _, phase in ipairs(M.phases) do
    local index = 0
    for _, hook in ipairs((info and info.hooks or {})[phase.key] or {}) do
      if belongs(phase, hook) then
        index = index + 1
        if hooks.is_wanted(run, hook) then
          list[#list + 1] = { phase = phase.name, index = index, hook = hook,
            transaction = outside and phase.transaction == "node" and "none" or phase.transaction }
        end
      end
    end
  end
  return list
end

--- The hooks of a run: on-run-start, on-run-end.
---@param phase "run_start"|"run_end"
---@return dex.ListedHook[]
function M.of_run(run, phase)
  local list = {}
  for i, hook in ipairs(run.project.run_hooks[phase == "run_start" and "start" or "finish"] or {}) do
    if hooks.is_wanted(run, hook) then
      list[#list + 1] = { phase = phase, index = opt(hook.index) or i, hook = hook,
        transaction = hook.transaction == true and "own" or "none" }
    end
  end
  return list
end

local function place(hook)
  local file = require("report.errors").relative(hook.file)
  return opt(hook.line) and ("%s:%d"):format(file, hook.line) or file
end

--- A listed hook as a dict for JSON.
---@param listed dex.ListedHook
---@param node string|nil unique_id
---@return table
function M.to_dict(listed, node)
  local hook = listed.hook
  return value.dict("node", value.or_none(node), "phase", listed.phase, "index", listed.index, "name",
    value.or_none(opt(hook.name)), "kind", hook.kind, "does", hooks.name_of(hook), "transaction", listed.transaction,
    "when", value.or_none(opt(hook.when)), "on_error", hook.on_error, "package", value.or_none(opt(hook.package)),
    "file", require("report.errors").relative(hook.file), "line", value.or_none(opt(hook.line)))
end

local in_words = { node = "inside", own = "own", none = "outside" }

--- A listed hook as a line: phase, transaction, what it does, its conditions, where it is declared.
---@param listed dex.ListedHook
---@param indent string
---@return string
function M.line(listed, indent)
  local hook = listed.hook
  local does = hooks.name_of(hook)
  if opt(hook.name) then does = ("%s (%s)"):format(does, (hook.sql:gsub("%s+", " "):sub(1, 60))) end
  if hook.kind == "lua" and not opt(hook.name) then does = "lua: " .. hook.lua end
  if hook.kind == "operation" and not opt(hook.name) then does = "operation: " .. hook.operation end
  if opt(hook.when) ~= nil then does = ("%s  when %s"):format(does, tostring(hook.when)) end
  if hook.on_error ~= "fail" then does = ("%s  on_error %s"):format(does, hook.on_error) end
  return ("%s%-12s %-7s  %s  %s"):format(indent, listed.phase, in_words[listed.transaction], does, place(hook))
end

return M
