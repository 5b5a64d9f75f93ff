--- on-run-start and on-run-end: of the root project first, then of the packages by name. They are
-- `operation` nodes in the manifest, as in dbt.

local build = require "project.node"
local hooks = require "project.hooks"
local lines_of = require("project.lines").of
local scan = require "project.scan"

local M = {}

local phases = { { "start", "on-run-start" }, { "finish", "on-run-end" } }

local function declared(package, key)
  local written = key
  local given = rawget(package.config, key)
  if given == nil then
    written = key:gsub("-", "_")
    given = rawget(package.config, written)
  end
  -- each commits by itself, as in dbt, unless it has `transaction: true`
  return hooks.normalise(given, { place = "project", file = package.file, lines = package.lines,
    line = lines_of(package.lines, package.raw, written), what = key, transaction = false })
end

-- Every package's list; the root's entries that only name a package's hook move or remove that hook.
local function collect(project, key)
  local list, later = {}, {}
  local packages = table.move(project.packages, 2, #project.packages, 1, {})
  table.sort(packages, function(a, b) return a.name < b.name end)
  for _, package in ipairs(packages) do
    for i, hook in ipairs(declared(package, key)) do
      hook.index, hook.package = i, package.name
      later[#later + 1] = hook
    end
  end
  local function take(name)
    for i, hook in ipairs(later) do
      if hook.name == name then return table.remove(later, i) end
    end
  end
  local root = project.packages[1]
  local position = 0
  for _, hook in ipairs(declared(root, key)) do
    if hook.kind == "removal" then
      take(hook.name)
    elseif hook.kind == "reference" then
      local moved = take(hook.name)
      if not moved then hooks.add(list, { hook }) end -- raises: there is no such hook
      list[#list + 1] = moved
    else
      position = position + 1
      hook.index, hook.package = position, root.name
      list[#list + 1] = hook
    end
  end
  return table.move(later, 1, #later, #list + 1, list)
end

--- Fills project.run_hooks and adds their nodes. Each record has, beside a hook's fields, `package`, `id`
--- (the node's unique_id) and `index` (its place in its package's list, from 1).
---@param project table
function M.load(project)
  project.run_hooks = {}
  for _, phase in ipairs(phases) do
    local name, key = phase[1], phase[2]
    local list = project.problems:try(nil, collect, project, key) or {}
    project.run_hooks[name] = list
    for _, hook in ipairs(list) do
      local node = build.operation(project, hook, key)
      hook.id = node.unique_id
      project.nodes[node.unique_id] = node
      project.info[node.unique_id] = { file = hook.file, display = hook.file, line = hook.line, hooks = {},
        hook = hook }
      if hook.kind == "sql" then
        project.problems:try({ file = hook.file, line = hook.line }, scan.hook, project, node, hook)
      end
    end
  end
end

return M
