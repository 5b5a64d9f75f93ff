--- Columns of relations: name, type, and what types can become of each other.

local err = require "err"
local object = require "run.object"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- A column, as information_schema describes it.
---@class dex.Column
---@field column string
---@field dtype string
---@field char_size integer|nil
---@field numeric_precision integer|nil
---@field numeric_scale integer|nil
---@field name string the same as `column`
---@field quoted string
---@field data_type string with its size
local Column = { __name = "dex.column" }

local function set(words)
  local found = {}
  for word in words:gmatch("[^,]+") do found[word] = true end
  return found
end

local strings = set "text,character varying,character,varchar"
local floats = set "real,float4,float,double precision,float8,double"
local integers = set "smallint,integer,bigint,smallserial,serial,bigserial,int2,int4,int8,serial2,serial4,serial8"
local numerics = set "numeric,decimal"

local labels = { STRING = "TEXT" }

--- The name of a type that is the same everywhere -> the database's own.
---@param name string
---@return string
function M.translate_type(name)
  return labels[name:upper()] or name
end

function M.string_type(size) return ("character varying(%s)"):format(tostring(size)) end

function M.numeric_type(name, precision, scale)
  if opt(precision) == nil or opt(scale) == nil then return name end
  return ("%s(%s,%s)"):format(name, tostring(precision), tostring(scale))
end

--- Makes a column.
---@param name string
---@param dtype string
---@param char_size? integer
---@param precision? integer
---@param scale? integer
---@return dex.Column
function M.new(name, dtype, char_size, precision, scale)
  return setmetatable({ column = name, dtype = dtype, char_size = opt(char_size), numeric_precision = opt(precision),
    numeric_scale = opt(scale) }, Column)
end

local function size_number(text, raw)
  local n = math.tointeger(tonumber(text))
  if not n then
    err.raise { code = 240, message = ("'%s' is no data type: '%s' is not a whole number"):format(raw, text) }
  end
  return n
end

--- Makes a column from a type with its size: "numeric(10,2)".
function M.from_description(name, raw)
  local dtype, size = raw:match("^([^(]+)%(([^)]+)%)")
  if not dtype then return M.new(name, raw:match("^[^(]+") or raw) end
  local precision, scale = size:match("^(.-),(.*)$")
  if precision then return M.new(name, dtype, nil, size_number(precision, raw), size_number(scale, raw)) end
  return M.new(name, dtype, size_number(size, raw))
end

local function is_string(column) return strings[column.dtype:lower()] == true end
local function is_numeric(column) return numerics[column.dtype:lower()] == true end
local function is_integer(column) return integers[column.dtype:lower()] == true end
local function is_float(column) return floats[column.dtype:lower()] == true end

local function string_size(column)
  if not is_string(column) then
    err.raise { code = 240, message = ("string_size() of column '%s', which is of type %s"):format(column.column,
      column.dtype) }
  end
  if column.dtype == "text" or not rawget(column, "char_size") then return 256 end
  return rawget(column, "char_size")
end

local function data_type(column)
  local dtype = column.dtype
  local lower = dtype:lower()
  if lower == "text" or (lower == "character varying" and not rawget(column, "char_size")) then return dtype end
  if is_string(column) then return M.string_type(string_size(column)) end
  if is_numeric(column) then
    return M.numeric_type(dtype, rawget(column, "numeric_precision"), rawget(column, "numeric_scale"))
  end
  return dtype
end

local function raw(key) return function(column) return rawget(column, key) end end

local getters = {
  column = raw "column", name = raw "column", dtype = raw "dtype", char_size = raw "char_size",
  numeric_precision = raw "numeric_precision", numeric_scale = raw "numeric_scale", data_type = data_type,
  expanded_data_type = data_type,
  quoted = function(column) return '"' .. column.column:gsub('"', '""') .. '"' end,
}

-- The class's own functions, which its objects have too.
local static = {
  ["translate_type(dtype)"] = function(_, dtype) return M.translate_type(dtype) end,
  ["create(name, label_or_dtype)"] = function(_, name, dtype) return M.new(name, M.translate_type(dtype)) end,
  ["string_type(size)"] = function(_, size) return M.string_type(size) end,
  ["numeric_type(dtype, precision, scale)"] = function(_, ...) return M.numeric_type(...) end,
  ["from_description(name, raw_data_type)"] = function(_, ...) return M.from_description(...) end,
}

local definitions = {
  ["is_string()"] = is_string,
  ["is_number()"] = function(column) return is_integer(column) or is_numeric(column) or is_float(column) end,
  ["is_float()"] = is_float,
  ["is_integer()"] = is_integer,
  ["is_numeric()"] = is_numeric,
  ["string_size()"] = string_size,
  ["can_expand_to(other_column)"] = function(column, other)
    return is_string(column) and is_string(other) and string_size(other) > string_size(column)
  end,
  ["literal(value)"] = function(column, v) return ("%s::%s"):format(tostring(v), data_type(column)) end,
}
for signature, fn in pairs(static) do definitions[signature] = fn end

object.class(Column, getters, object.methods(definitions))

local fields = { "column", "dtype", "char_size", "numeric_precision", "numeric_scale" }

Column.__eq = function(a, b)
  if getmetatable(a) ~= Column or getmetatable(b) ~= Column then return false end
  for _, key in ipairs(fields) do
    if rawget(a, key) ~= rawget(b, key) then return false end
  end
  return true
end

-- As Python prints the dataclass: templates log it.
Column.__tostring = function(column)
  local out = {}
  for i, key in ipairs(fields) do
    local v = rawget(column, key)
    out[i] = ("%s=%s"):format(key, v == nil and "None" or type(v) == "string" and "'" .. v .. "'" or tostring(v))
  end
  return ("PostgresColumn(%s)"):format(table.concat(out, ", "))
end
Column.__repr = Column.__tostring

--- The class as templates see it, `api.Column`: to call, and with the functions above.
local ColumnClass = object.class({ __name = "dex.column_class" }, {}, object.methods(static))
local construct = value.fn("Column(column, dtype, char_size=none, numeric_precision=none, numeric_scale=none)", M.new)
ColumnClass.__call = function(_, ...) return construct(...) end
ColumnClass.__tostring = function() return "<class 'PostgresColumn'>" end

M.class = setmetatable({}, ColumnClass)

return M
