--- Query results as Lua hooks see them: rows by column name, SQL's values as Lua's own.

local err = require "err"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}

-- Types by oid (pg_type): those that are not text in Lua.
local BOOL, INT8, INT2, INT4, OID, FLOAT4, FLOAT8, NUMERIC, JSON, JSONB = 16, 20, 21, 23, 26, 700, 701, 1700, 114, 3802

-- array's oid -> its elements'
local arrays = { [1000] = BOOL, [1005] = INT2, [1007] = INT4, [1016] = INT8, [1028] = OID, [1021] = FLOAT4,
  [1022] = FLOAT8, [1231] = NUMERIC, [199] = JSON, [3807] = JSONB, [1002] = 18, [1003] = 19, [1009] = 25,
  [1014] = 1042, [1015] = 1043, [1115] = 1114, [1182] = 1082, [1183] = 1083, [1185] = 1184, [1187] = 1186,
  [2951] = 2950, [1041] = 869, [651] = 650, [1034] = 1033, [1270] = 1266 }

-- Decoded JSON as plain Lua: objects and arrays are tables, null is nil; an array has its length in `n` when
-- nulls leave holes in it.
local function plain(v)
  if v == value.none then return nil end
  if value.is_dict(v) then
    local t = {}
    for key, item in pairs(v) do t[key] = plain(item) end
    return t
  elseif value.is_list(v) then
    local t, holes = {}, false
    for i = 1, #v do
      t[i] = plain(v[i])
      holes = holes or t[i] == nil
    end
    if holes then t.n = #v end
    return t
  end
  return v
end

-- A number when its digits survive the way there and back, else the text.
local function numeric(text)
  local whole = math.tointeger(text)
  if whole and text == tostring(whole) then return whole end
  local digits = text:gsub("^%-", ""):gsub("%.", ""):gsub("^0+", "")
  if #digits > 15 or text:find("[^%d%.%-]") then return text end
  return text:find("%.") and tonumber(text) or math.tointeger(text) or text
end

local convert

-- {1,2,NULL,"a b",{...}}: the text of one array from `at`, behind its opening brace.
local function array(text, at, element)
  local list, n, holes = {}, 0, false
  while text:sub(at, at) ~= "}" do
    local c = text:sub(at, at)
    n = n + 1
    if c == "{" then
      list[n], at = array(text, at + 1, element)
    elseif c == '"' then
      local out = {}
      at = at + 1
      while true do
        local stop = text:find('["\\]', at)
        out[#out + 1] = text:sub(at, stop - 1)
        if text:sub(stop, stop) == '"' then
          at = stop + 1
          break
        end
        out[#out + 1] = text:sub(stop + 1, stop + 1)
        at = stop + 2
      end
      list[n] = convert(table.concat(out), element)
    else
      local word
      word, at = text:match("^([^,}]*)()", at)
      if word == "NULL" then holes = true else list[n] = convert(word, element) end
    end
    if text:sub(at, at) == "," then at = at + 1 end
  end
  if holes then list.n = n end
  return list, at + 1
end

-- Of the text that the server sent.
function convert(text, oid)
  if oid == BOOL then return text == "t" end
  if oid == INT4 or oid == INT8 or oid == INT2 or oid == OID then return math.tointeger(text) end
  if oid == FLOAT8 or oid == FLOAT4 then
    local words = { NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge }
    local v = words[text] or tonumber(text)
    return v and v + 0.0
  end
  if oid == NUMERIC then return numeric(text) end
  if oid == JSON or oid == JSONB then return plain(json.decode(text)) end
  if arrays[oid] then
    -- "[0:1]={...}" names unusual bounds
    local start = text:find("{", 1, true)
    return start and (array(text, start + 1, arrays[oid])) or text
  end
  return text
end

M.plain = plain

--- Column `c` of row `r` as Lua's own value: nil for NULL.
---@param result userdata a dex.db result
---@param r integer
---@param c integer
function M.cell(result, r, c)
  local text = result:text(r, c)
  if text == nil then return nil end
  return convert(text, result.types[c])
end

-- One shape for all the rows of a result: its metatable knows the names.
local function row_shape(columns)
  local known = {}
  for _, name in ipairs(columns) do known[name] = true end
  return { __name = "row", __index = function(_, key)
    if known[key] or type(key) ~= "string" then return nil end
    err.raise { code = 509, message = ("the query has no column '%s'"):format(key),
      hint = "its columns are " .. table.concat(columns, ", ") }
  end }
end

local function make_row(result, r, columns, types, shape)
  local row = {}
  for c = 1, #columns do
    local text = result:text(r, c)
    if text ~= nil then row[columns[c]] = convert(text, types[c]) end
  end
  return setmetatable(row, shape)
end

--- All rows of a result: a sequence of rows with `columns`, a list of names.
---@param result userdata
---@return table
function M.all(result)
  local columns, types = result.columns, result.types
  local shape = row_shape(columns)
  local rows = { columns = columns }
  for r = 1, #result do rows[r] = make_row(result, r, columns, types, shape) end
  return rows
end

-- What M.stream made and nobody has asked for a row yet: iterator -> its fetch.
local untouched = setmetatable({}, { __mode = "k" })

--- An iterator over results that `fetch` gives until one is empty.
---@param fetch fun(many?: boolean): userdata|nil may wait; `many` for larger ones
---@return fun(): table|nil
function M.stream(fetch)
  local result, r, columns, types, shape, at_end = nil, 0, nil, nil, nil, false
  local function following()
    while not result or r == #result do
      untouched[following] = nil
      result = not at_end and fetch() or nil
      if not result or #result == 0 then
        result, at_end = nil, true
        return nil
      end
      columns, types, r = result.columns, result.types, 0
      shape = shape or row_shape(columns)
    end
    r = r + 1
    return make_row(result, r, columns, types, shape)
  end
  untouched[following] = fetch
  return following
end

local function positions_of(result, columns)
  local index, positions = {}, {}
  for i, name in ipairs(result.columns) do index[name] = i end
  for i, name in ipairs(columns) do
    positions[i] = index[name]
    if not positions[i] then
      err.raise { code = 509, message = ("the query has no column '%s'"):format(name),
        hint = "its columns are " .. table.concat(result.columns, ", ") }
    end
  end
  return positions
end

--- The rows of an iterator of M.stream as texts for COPY, when nobody has taken one of them: they need not become
--- Lua's values on their way.
---@param iterator function
---@param columns string[]
---@return (fun(): string|nil)|nil pieces; nil for any other iterator
function M.pieces(iterator, columns)
  local fetch = untouched[iterator]
  if not fetch then return nil end
  local positions
  return function()
    untouched[iterator] = nil
    local result = fetch(true)
    if not result or #result == 0 then return nil end
    positions = positions or positions_of(result, columns)
    return result:copy_text(positions)
  end
end

local escapes = { ["\\"] = "\\\\", ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r" }

--- A row in COPY's text format, with its newline.
---@param row table values by position, or by column name
---@param columns string[]
---@return string
function M.copy_line(row, columns)
  local cells = {}
  for i, name in ipairs(columns) do
    local v = rawget(row, name)
    if v == nil then v = rawget(row, i) end
    if v == nil or v == value.none then
      cells[i] = "\\N"
    elseif type(v) == "boolean" then
      cells[i] = v and "t" or "f"
    else
      cells[i] = tostring(v):gsub("[\\\t\n\r]", escapes)
    end
  end
  return table.concat(cells, "\t") .. "\n"
end

return M
