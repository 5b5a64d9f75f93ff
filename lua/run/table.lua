--- Tables of query results, as far as templates know agate's: rows, columns, names, and what table_ops.lua makes
-- of them. Rows and columns are sequences whose items have names.

local cells = require "run.cells"
local decimal = require "run.decimal"
local err = require "err"
local object = require "run.object"
local ops_lt = require("jinja.ops").lt
local printing = require "jinja.printing"
local value = require "jinja.value"

local M = {}

local none = value.none

-- Sequences with names ---------------------------------------------------------------------------

--- A row, a column, or the rows or columns of a table: items from 1, their names beside them.
---@class dex.Sequence
---@field keys string[]|nil
---@field index table<string, integer>|nil name -> position
---@field label string as it prints

local function names_of(keys)
  local index = {}
  for i, name in ipairs(keys) do index[name] = index[name] or i end
  return { keys = keys, index = index }
end

local function at(sequence, i)
  if i < 0 then i = i + #sequence end
  return rawget(sequence, i + 1)
end

-- What a name that there is not gives: undefined, and a message once it is used.
local function unknown(sequence, name)
  local u = value.undefined(name, ("%s has no '%s'"):format(getmetatable(sequence).label, tostring(name)))
  local names = rawget(sequence, "names")
  u.suggest = type(name) == "string" and names and err.did_you_mean(name, names.keys) or nil
  return u
end

local function by_name(sequence, name)
  local names = rawget(sequence, "names")
  local i = names and names.index[name]
  return i and rawget(sequence, i)
end

local function copy(sequence)
  return table.move(sequence, 1, #sequence, 1, {})
end

local function keys_of(sequence)
  local names = rawget(sequence, "names")
  return names and value.tuple(copy(names.keys)) or none
end

local function items_of(sequence)
  local names = rawget(sequence, "names")
  local pairs_of = {}
  for i = 1, #sequence do
    pairs_of[i] = value.tuple { names and names.keys[i] or i - 1, rawget(sequence, i) }
  end
  return value.tuple(pairs_of)
end

local definitions = {
  ["keys()"] = keys_of,
  ["values()"] = function(sequence) return value.tuple(copy(sequence)) end,
  ["items()"] = items_of,
  ["get(key, default=none)"] = function(sequence, key, default)
    local item = by_name(sequence, key)
    if item == nil then return default end
    return item
  end,
  ["dict()"] = function(sequence)
    local d = value.dict()
    for _, pair in ipairs(items_of(sequence)) do d[pair[1]] = pair[2] end
    return d
  end,
}

local methods = object.methods(definitions)

local function sequence_class(name, getters, more)
  local class = { __name = name }
  local own = more or methods
  if more then
    for key, method in pairs(methods) do own[key] = own[key] or method end
  end
  class.__pytype = name:match("[^.]+$")
  class.label = "the " .. class.__pytype:lower()
  class.__methods = object.entries(own)
  class.__getattr = function(sequence, key)
    local getter = getters and getters[key]
    if getter then return getter(sequence) end
    return by_name(sequence, key)
  end
  class.__getitem = function(sequence, key)
    if math.type(key) == "integer" then return at(sequence, key) end
    local item = by_name(sequence, key)
    if item == nil and not own[key] and not (getters and getters[key]) then return unknown(sequence, key) end
    return item
  end
  class.__index = own
  class.__iter = function(sequence)
    local i = 0
    return function()
      i = i + 1
      return rawget(sequence, i)
    end
  end
  class.__slice = function(sequence, start, stop, step)
    return require("jinja.runtime").slice(value.tuple(copy(sequence)), start, stop, step)
  end
  class.__len = function(sequence) return rawlen(sequence) end
  class.__truth = function(sequence) return rawlen(sequence) > 0 end
  class.__eq = function(a, b)
    if #a ~= #b then return false end
    for i = 1, #a do
      if rawget(a, i) ~= rawget(b, i) then return false end
    end
    return true
  end
  class.__tostring = function(sequence)
    local shown = {}
    for i = 1, math.min(5, #sequence) do shown[i] = printing.repr(rawget(sequence, i)) end
    if #sequence > 5 then shown[6] = "..." end
    return ("<agate.%s: (%s)>"):format(class.__pytype, table.concat(shown, ", "))
  end
  class.__repr = class.__tostring
  return class
end


local Row = sequence_class("dex.Row")
local Mapped = sequence_class("dex.MappedSequence")

--- Makes a row from values, which become the row itself.
local function row_of(values, names)
  values.names = names
  return setmetatable(values, Row)
end

-- Columns ----------------------------------------------------------------------------------------

local function distinct(items)
  local seen, out = {}, {}
  for _, item in ipairs(items) do
    local key = type(item) == "table" and printing.str(item) or item
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = item
    end
  end
  return out
end

local function without_nulls(items)
  local out = {}
  for _, item in ipairs(items) do
    if item ~= none then out[#out + 1] = item end
  end
  return out
end

--- Whether a comes before b; nulls are last.
function M.before(a, b)
  if a == none or b == none then return b == none and a ~= none end
  if type(a) == "boolean" and type(b) == "boolean" then return not a and b end
  if type(a) == type(b) or (type(a) ~= "string" and type(b) ~= "string") then return ops_lt(a, b) end
  return printing.str(a) < printing.str(b)
end

local function sorted(items)
  local out = table.move(items, 1, #items, 1, {})
  table.sort(out, M.before)
  return value.list(out)
end

-- A value as JSON has it: exact numbers as floats, dates as ISO text (agate's DataType.jsonify).
local function jsonify(_, v)
  if v == none or type(v) == "number" or type(v) == "string" or type(v) == "boolean" then return v end
  if decimal.is(v) then return decimal.tonumber(v) + 0.0 end
  local isoformat = (getmetatable(v).__methods or {}).isoformat
  return isoformat and isoformat.fn(v) or printing.str(v)
end

local Type = { __name = "dex.data_type" }
object.class(Type, {}, object.methods {
  ["jsonify(value)"] = jsonify,
  ["csvify(value)"] = function(_, v) return v == none and v or printing.str(v) end,
})
Type.__tostring = function(of) return ("<agate.data_types.%s>"):format(of.kind) end
Type.__repr = Type.__tostring
local types = {}

--- The object that stands for a kind of column.
---@param kind dex.CellKind
function M.data_type(kind)
  types[kind] = types[kind] or setmetatable({ kind = kind }, Type)
  return types[kind]
end

local column_methods = object.methods {
  ["values_distinct()"] = function(column) return value.tuple(distinct(column)) end,
  ["values_without_nulls()"] = function(column) return value.tuple(without_nulls(column)) end,
  ["values_sorted()"] = sorted,
  ["values_without_nulls_sorted()"] = function(column) return sorted(without_nulls(column)) end,
}

local Column = sequence_class("dex.Column", {
  name = function(column) return rawget(column, "name") end,
  index = function(column) return rawget(column, "position") end,
  data_type = function(column) return M.data_type(rawget(column, "kind")) end,
}, column_methods)

-- Tables -----------------------------------------------------------------------------------------

--- A table.
---@class dex.Table
---@field names table {keys, index} of the columns
---@field kinds dex.CellKind[]
---@field rows_of table[] rows
---@field out (fun(text: string))|nil where print_table() prints
local Table = { __name = "dex.table" }

local function columns_of(t)
  local columns = rawget(t, "columns_of")
  if columns then return columns end
  columns = { names = t.names }
  for i, name in ipairs(t.names.keys) do
    local column = { name = name, position = i - 1, kind = t.kinds[i] }
    for r, row in ipairs(t.rows_of) do column[r] = rawget(row, i) end
    columns[i] = setmetatable(column, Column)
  end
  rawset(t, "columns_of", setmetatable(columns, Mapped))
  return columns
end

local function mapped_rows(t)
  local rows = rawget(t, "mapped_rows")
  if not rows then
    rows = setmetatable(table.move(t.rows_of, 1, #t.rows_of, 1, {}), Mapped)
    rawset(t, "mapped_rows", rows)
  end
  return rows
end

local getters = {
  rows = mapped_rows,
  columns = columns_of,
  column_names = function(t) return value.tuple(copy(t.names.keys)) end,
  column_types = function(t)
    local list = {}
    for i, kind in ipairs(t.kinds) do list[i] = M.data_type(kind) end
    return value.tuple(list)
  end,
  row_names = function() return none end,
}

--- Makes a table.
---@param keys string[] column names
---@param kinds dex.CellKind[]
---@param rows any[][] values or rows, which become the table's; absent values are none
---@param out? fun(text: string)
---@return dex.Table
function M.new(keys, kinds, rows, out)
  local names = names_of(keys)
  for _, row in ipairs(rows) do
    if getmetatable(row) ~= Row then row_of(row, names) end
  end
  return setmetatable({ names = names, kinds = kinds, rows_of = rows, out = out }, Table)
end

--- The same columns with other rows of this table.
function M.with_rows(t, rows)
  return setmetatable({ names = t.names, kinds = t.kinds, rows_of = rows, out = rawget(t, "out") }, Table)
end

--- A row of new values.
function M.row(values, keys) return row_of(values, names_of(keys)) end

--- A table without columns or rows: the result of what returns none.
function M.empty() return M.new({}, {}, {}) end

--- Whether x is a table of results.
function M.is(x) return type(x) == "table" and getmetatable(x) == Table end

-- Later columns of a name get a number: a, a_2, a_3.
local function unique_names(columns)
  local seen, keys = {}, {}
  for i, name in ipairs(columns) do
    seen[name] = (seen[name] or 0) + 1
    keys[i] = seen[name] > 1 and ("%s_%d"):format(name, seen[name]) or name
  end
  return keys
end

--- The rows of a query.
---@param result userdata of dex.db
---@param out? fun(text: string) where print_table() prints
---@param limit? integer rows at most
---@return dex.Table
function M.from_result(result, out, limit)
  local columns = result.columns
  local width = #columns
  if width == 0 then return M.new({}, {}, {}, out) end
  local oids, kinds, converters = result.types, {}, {}
  for i = 1, width do
    kinds[i] = cells.kind(oids[i])
    converters[i] = cells.converter(oids[i]) or false
  end
  local rows = {}
  for r = 1, math.min(#result, limit or math.huge) do
    local row = {}
    for i = 1, width do
      local v = result:get(r, i)
      if v == nil then v = none elseif converters[i] and type(v) == "string" then v = converters[i](v) end
      row[i] = v
    end
    rows[r] = row
  end
  return M.new(unique_names(columns), kinds, rows, out)
end

--- The rows as a plain matrix, dbt's `load_result(...)['data']`.
---@return table list of tuples
function M.matrix(t)
  local list = value.list()
  for i, row in ipairs(t.rows_of) do list[i] = value.tuple(copy(row)) end
  return list
end

Table.__iter = function(t) return Mapped.__iter(mapped_rows(t)) end
Table.__len = function(t) return #t.rows_of end
Table.__truth = function(t) return #t.rows_of > 0 end
Table.__eq = rawequal

local ops = require "run.table_ops"
local table_methods = object.methods(ops.methods(M))
object.class(Table, getters, table_methods)
Table.__getitem = function(t, key)
  return Mapped.__getitem(mapped_rows(t), key)
end
Table.__tostring = function(t) return ops.structure(t) end
Table.__repr = function() return "<agate.Table>" end

return M
