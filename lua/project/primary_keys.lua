--- The primary key of each model, as far as constraints and tests tell: `primary_key` in the manifest.

local members = require "project.members"
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

--- Notes what a test says of the model that it is attached to.
---@param by_model table<string, table> what is known of each model
---@param test table
---@param enabled boolean
function M.note(by_model, test, enabled)
  local id = test.resource_type == "test" and opt(test.attached_node)
  if not id then return end
  by_model[id] = by_model[id] or {}
  note(by_model[id], test, enabled)
end

--- The key that a model's own constraints declare.
---@param node table
---@return table|nil list
function M.declared(node)
  local columns = from_constraints(node)
  if not columns then return nil end
  local key = value.list(table.move(columns, 1, #columns, 1, {}))
  table.sort(key)
  return key
end

--- The key that the tests of a model tell.
---@param by_model table<string, table>
---@param id string
---@return table|nil list
function M.tested(by_model, id) return by_model[id] and from_tests(by_model[id]) end

--- Fills `primary_key` of all models but those whose key is known.
---@param project table
function M.infer(project)
  local by_model = {}
  local reader = members.reader(project)
  local ids = members.ids(project, "nodes")
  local known = project.stored
  for _, id in ipairs(ids) do
    local node = reader(id)
    local attached = node.resource_type == "test" and opt(node.attached_node)
    if attached and not (known and known:has_key(attached)) then M.note(by_model, project.nodes[id], true) end
  end
  for _, nodes in pairs(project.disabled) do
    for _, node in ipairs(nodes) do M.note(by_model, node, false) end
  end
  for _, id in ipairs(ids) do
    if members.kind(id) == "model" and not (known and known:has_key(id)) then
      local node = project.nodes[id]
      node.primary_key = M.declared(node) or M.tested(by_model, id) or node.primary_key
    end
  end
end

return M
