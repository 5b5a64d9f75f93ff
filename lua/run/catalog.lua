--- What stands in the database: the relations of the project with their columns, as dbt's catalog has them
-- (catalog.json, schema version 1).

local context = require "run.context"
local node_module = require "run.node"
local relations = require "run.relation"
local value = require "jinja.value"

local M = {}

local dict, opt = value.dict, value.opt

-- Relations that one query asks for: a long `or` list is slow to plan.
local CHUNK = 500

-- Everything of the project that may have a relation: unique_id -> node or source, in order.
local function wanted(project, only)
  local list = {}
  for id, node in pairs(project.nodes) do
    local kind = node.resource_type
    local built = kind == "model" or kind == "seed" or kind == "snapshot"
    if built and opt(node.relation_name) and (not only or only[id]) then
      list[#list + 1] = { id = id, node = node, name = node.alias }
    end
  end
  for id, source in pairs(project.sources) do
    if not only or only[id] then
      list[#list + 1] = { id = id, node = source, name = source.identifier, is_source = true }
    end
  end
  return list
end

local function key(schema, name) return tostring(schema):lower() .. "\0" .. tostring(name):lower() end

local function no_stats()
  return dict("has_stats", dict("id", "has_stats", "label", "Has Stats?", "value", false, "include", false,
    "description", "Indicates whether there are statistics for this table"))
end

-- An entry of the catalog from the first row of a relation.
local function new_entry(item, row)
  local comment = opt(row.table_comment)
  return dict("metadata", dict("type", row.table_type, "schema", row.table_schema, "name", row.table_name, "database",
    row.table_database, "comment", value.or_none(comment), "owner", value.or_none(opt(row.table_owner))),
    "columns", dict(), "stats", no_stats(), "unique_id", item.id)
end

local function add_row(found, by_key, row)
  for _, item in ipairs(by_key[key(row.table_schema, row.table_name)] or {}) do
    local entry = found[item.id]
    if not entry then
      entry = new_entry(item, row)
      found[item.id] = entry
    end
    local index = math.tointeger(row.column_index) or row.column_index
    entry.columns[row.column_name] = dict("type", row.column_type, "index", index, "name", row.column_name, "comment",
      value.or_none(opt(row.column_comment)))
  end
end

-- A row of a result table as a plain table by column name.
local function named(table_of, row)
  local out = {}
  for i, name in ipairs(table_of.names.keys) do out[name] = rawget(row, i) end
  return out
end

local function relation_of(item)
  return relations.create { database = opt(item.node.database), schema = item.node.schema, identifier = item.name }
end

--- Reads the catalogue. May wait.
---@param run table of lua/run/init.lua
---@param conn userdata
---@param only? table<string, boolean> unique_ids; nil for all
---@return table catalog {nodes = dict, sources = dict}
function M.read(run, conn, only)
  local state = node_module.new_state(run, dict("resource_type", "operation", "name", "catalog", "unique_id",
    "operation.dex.catalog", "package_name", run.project.name, "config", dict(), "raw_code", ""))
  state.conn = conn
  state.context = context.operation(state)
  local items, by_key, found = wanted(run.project, only), {}, {}
  for from = 1, #items, CHUNK do
    local list = value.list()
    for i = from, math.min(from + CHUNK - 1, #items) do
      local item = items[i]
      local k = key(item.node.schema, item.name)
      by_key[k] = by_key[k] or {}
      table.insert(by_key[k], item)
      list[#list + 1] = relation_of(item)
    end
    local schema = relations.create { database = opt(items[from].node.database) }
    local table_of = state.context.get_catalog_relations(schema:information_schema(), list)
    for _, row in ipairs(table_of.rows_of) do add_row(found, by_key, named(table_of, row)) end
  end
  local catalog = { nodes = dict(), sources = dict() }
  for _, item in ipairs(items) do
    if found[item.id] then catalog[item.is_source and "sources" or "nodes"][item.id] = found[item.id] end
  end
  return catalog
end

--- An empty one.
function M.empty() return { nodes = dict(), sources = dict() } end

return M
