--- What a materialized view's configuration says other than the database: its indexes, and in what they differ.

local object = require "run.object"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function raw(name) return function(x) return rawget(x, name) end end

--- An index, as it is or as it should be; two are the same when their key is.
local Index = { __name = "dex.view_index" }
object.class(Index, {
  name = raw "name", column_names = raw "columns", unique = raw "unique", method = raw "method",
  as_node_config = function(index)
    return value.dict("columns", index.columns, "unique", index.unique, "type", index.method)
  end,
}, {})

local Change = object.class({ __name = "dex.index_change" }, {
  action = raw "action", context = raw "context", requires_full_refresh = function() return false end,
}, {})

local Changes = object.class({ __name = "dex.view_changes" }, {
  indexes = raw "indexes", requires_full_refresh = function() return false end,
  has_changes = function() return true end,
}, {})

local function new_index(name, columns, unique, method)
  local sorted = {}
  for i, column in ipairs(columns) do sorted[i] = tostring(column):lower() end
  table.sort(sorted)
  local index = setmetatable({ name = name, columns = columns, unique = unique == true, method = method or "btree" },
    Index)
  rawset(index, "key", ("%s|%s|%s"):format(table.concat(sorted, ","), index.unique, index.method))
  return index
end

local function split(text)
  local list = value.list()
  for part in tostring(text):gmatch("[^,]+") do list[#list + 1] = part end
  return list
end

local function existing_indexes(shown)
  local list = {}
  for i, row in ipairs(shown and shown.rows_of or {}) do
    list[i] = new_index(row:get("name"), split(row:get("column_names")), row:get("unique"), row:get("method"))
  end
  return list
end

local function wanted_indexes(config)
  local list = {}
  for i, given in ipairs(opt(config.indexes) or {}) do
    list[i] = new_index(nil, given.columns, opt(given.unique), opt(given.type))
  end
  return list
end

local function add_missing(changes, action, from, known)
  local keys = {}
  for _, index in ipairs(known) do keys[index.key] = true end
  for _, index in ipairs(from) do
    if not keys[index.key] then
      keys[index.key] = true
      changes[#changes + 1] = setmetatable({ action = action, context = index }, Change)
    end
  end
end

--- The changes that bring a materialized view to its configuration: indexes to drop, then those to create.
---@param described table dict of the macro describe_materialized_view: `indexes` is a table
---@param node table
---@return table changes none when there are none
function M.changes(described, node)
  local existing, wanted = existing_indexes(opt(described.indexes)), wanted_indexes(node.config)
  local changes = value.list()
  add_missing(changes, "drop", existing, wanted)
  add_missing(changes, "create", wanted, existing)
  if #changes == 0 then return value.none end
  return setmetatable({ indexes = changes }, Changes)
end

return M
