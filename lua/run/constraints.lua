--- Constraints of contracts as SQL: what stands in `constraints:` of a column or a model.

local err = require "err"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local kinds = { check = true, not_null = true, unique = true, primary_key = true, foreign_key = true, custom = true }

local function text(constraint, key)
  local v = opt(constraint[key])
  return v ~= nil and tostring(v) or nil
end

local function kind_of(constraint)
  local kind = value.is_dict(constraint) and text(constraint, "type")
  if not kind or not kinds[kind] then
    err.raise { code = 245, message = ("a constraint needs a type, one of check, not_null, unique, primary_key, "
      .. "foreign_key and custom, not '%s'"):format(tostring(kind)) }
  end
  return kind
end

local function join(list) return table.concat(list, ", ") end

-- `resolve` makes a relation of ref('x') or source('x', 'y').
local function references(constraint, resolve)
  local to, columns = text(constraint, "to"), opt(constraint.to_columns)
  if to and columns and #columns > 0 then return ("references %s (%s)"):format(resolve(to), join(columns)) end
  local expression = text(constraint, "expression")
  return expression and "references " .. expression or nil
end

local of_column = {
  check = function(_, expression) return expression and ("check (%s)"):format(expression) end,
  not_null = function(_, expression) return "not null " .. (expression or "") end,
  unique = function(_, expression) return "unique " .. (expression or "") end,
  primary_key = function(_, expression) return "primary key " .. (expression or "") end,
  foreign_key = function(constraint, _, resolve) return references(constraint, resolve) end,
  custom = function(_, expression) return expression end,
}

--- The columns of a table with their types and constraints: a line for each.
---@param columns table dict of a node
---@param resolve fun(text: string): string what the `to` of a foreign key means
---@return table list of text
function M.columns(columns, resolve)
  local lines = value.list()
  for _, column in pairs(columns) do
    local name = opt(column.quote) and '"' .. column.name:gsub('"', '""') .. '"' or column.name
    local parts = { name, text(column, "data_type") }
    for _, constraint in ipairs(opt(column.constraints) or {}) do
      local expression = text(constraint, "expression")
      if expression == "" then expression = nil end
      local sql = of_column[kind_of(constraint)](constraint, expression, resolve)
      if sql then parts[#parts + 1] = sql:gsub("%s+$", "") end
    end
    lines[#lines + 1] = table.concat(parts, " ")
  end
  return lines
end

local function key(words)
  return function(_, columns, expression)
    return ("%s%s (%s)"):format(words, expression and " " .. expression or "", columns)
  end
end

local of_table = {
  check = function(_, _, expression) return expression and ("check (%s)"):format(expression) end,
  not_null = function() return nil end,
  unique = key "unique",
  primary_key = key "primary key",
  foreign_key = function(constraint, columns, _, resolve)
    local target = references(constraint, resolve)
    return target and ("foreign key (%s) %s"):format(columns, target)
  end,
  custom = function(_, _, expression) return expression end,
}

--- The constraints of a whole table: a line for each.
---@param constraints table list
---@param resolve fun(text: string): string
---@return table list of text
function M.table(constraints, resolve)
  local lines = value.list()
  for _, constraint in ipairs(opt(constraints) or {}) do
    local expression = text(constraint, "expression")
    if expression == "" then expression = nil end
    local sql = of_table[kind_of(constraint)](constraint, join(opt(constraint.columns) or {}), expression,
      resolve)
    local name = text(constraint, "name")
    if sql then lines[#lines + 1] = (name and ("constraint %s "):format(name) or "") .. sql end
  end
  return lines
end

return M
