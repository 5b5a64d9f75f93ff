--- The primary key of each model, as far as constraints and tests tell: `primary_key` in the manifest.

local value = require "jinja.value"

local M = {}

local opt = value.opt

local function from_constraints(node)
  for _, constraint in ipairs(node.constraints) do
    if constraint.type == "primary_key" then return opt(constraint.columns) end
  end
  for name, column in pairs(node.columns) do
    for _, constraint in ipairs(column.constraints) do
      if constraint.type == "primary_key" then return { name } end
    end
  end
end

local unique_tests = { unique = true, unique_combination_of_columns = true }

-- Notes the columns of a test under what it says of them.
local function note(found, test, enabled)
  local kwargs = test.test_metadata.kwargs
  local columns = type(kwargs.column_name) == "string" and { kwargs.column_name }
    or value.is_list(kwargs.combination_of_columns) and kwargs.combination_of_columns or {}
  local name = test.test_metadata.name
  local set = unique_tests[name] and (enabled and "unique" or "disabled") or name == "not_null" and "not_null"
  for _, column in ipairs(set and columns or {}) do
    if type(column) == "string" then
      found[set] = found[set] or {}
      found[set][column] = true
    end
  end
end

local function sorted(set)
  local list = value.list()
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function from_tests(found)
  local both = {}
  for column in pairs(found.not_null or {}) do
    if found.unique and found.unique[column] or found.disabled and found.disabled[column] then both[column] = true end
  end
  if next(both) then return sorted(both) end
  return sorted(found.unique or found.disabled or {})
end

--- Fills `primary_key` of all models.
---@param project table
function M.infer(project)
  local by_model = {}
  local function collect(node, enabled)
    local id = node.resource_type == "test" and opt(node.attached_node)
    if not id then return end
    by_model[id] = by_model[id] or {}
    note(by_model[id], node, enabled)
  end
  for _, node in pairs(project.nodes) do collect(node, true) end
  for _, list in pairs(project.disabled) do
    for _, node in ipairs(list) do collect(node, false) end
  end
  for id, node in pairs(project.nodes) do
    if node.resource_type == "model" then
      local columns = from_constraints(node)
      if columns then
        node.primary_key = value.list(table.move(columns, 1, #columns, 1, {}))
        table.sort(node.primary_key)
      elseif by_model[id] then
        node.primary_key = from_tests(by_model[id])
      end
    end
  end
end

return M
