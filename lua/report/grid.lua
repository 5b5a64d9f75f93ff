--- A query's result as text: a table that fits the terminal, CSV, or JSON.

local hook_rows = require "run.hook_rows"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}

local function cell(text)
  return (text:gsub("[\r\n\t]", { ["\r"] = "\\r", ["\n"] = "\\n", ["\t"] = "\\t" }):gsub("%c", "?"))
end

local function display_width(text) return utf8.len(text) or #text end

local function clip(text, width)
  if display_width(text) <= width then return text end
  local stop = utf8.offset(text, width) or width
  return text:sub(1, stop - 1) .. "…"
end

local function widths(columns, rows, room)
  local wide = {}
  for i, name in ipairs(columns) do wide[i] = math.max(display_width(name), 1) end
  for _, row in ipairs(rows) do
    for i = 1, #columns do wide[i] = math.max(wide[i], display_width(row[i])) end
  end
  -- the widest columns give way first
  local function total()
    local sum = 3 * (#columns - 1)
    for _, w in ipairs(wide) do sum = sum + w end
    return sum
  end
  while total() > room do
    local widest = 1
    for i = 2, #wide do
      if wide[i] > wide[widest] then widest = i end
    end
    if wide[widest] <= 6 then break end
    wide[widest] = wide[widest] - 1
  end
  return wide
end

--- A table with a header, columns cut to fit.
---@param result userdata a dex.db result with rows
---@param room integer columns of the terminal
---@return string without a final newline
function M.table(result, room)
  local columns = result.columns
  local rows, numeric = {}, {}
  for r = 1, #result do
    local row = {}
    for c = 1, #columns do
      local v = result:get(r, c)
      if v == nil then
        row[c] = "NULL"
      else
        numeric[c] = numeric[c] ~= false and type(v) == "number"
        row[c] = cell(result:text(r, c))
      end
    end
    rows[r] = row
  end
  local wide = widths(columns, rows, room)
  local out = {}
  local function line(cells, right)
    local parts = {}
    for i, text in ipairs(cells) do
      text = clip(text, wide[i])
      local pad = (" "):rep(wide[i] - display_width(text))
      parts[i] = right and numeric[i] and (pad .. text) or (text .. pad)
    end
    out[#out + 1] = (table.concat(parts, " | "):gsub("%s+$", ""))
  end
  line(columns)
  local rule = {}
  for i, w in ipairs(wide) do rule[i] = ("-"):rep(w) end
  out[#out + 1] = table.concat(rule, "-+-")
  for _, row in ipairs(rows) do line(row, true) end
  return table.concat(out, "\n")
end

--- CSV with a header, as RFC 4180 has it; NULL is an empty cell, an empty text is "".
---@param result userdata
---@return string
function M.csv(result)
  local out = {}
  local function quote(text)
    if text == "" or text:find('[,"\r\n]') then return '"' .. text:gsub('"', '""') .. '"' end
    return text
  end
  local names = {}
  for i, name in ipairs(result.columns) do names[i] = quote(name) end
  out[1] = table.concat(names, ",")
  for r = 1, #result do
    local row = {}
    for c = 1, #names do
      row[c] = result:get(r, c) == nil and "" or quote(result:text(r, c))
    end
    out[#out + 1] = table.concat(row, ",")
  end
  return table.concat(out, "\n")
end

local JSON, JSONB = 114, 3802 -- oids

local function listed(v)
  if type(v) ~= "table" then return value.or_none(v) end
  local list = value.list()
  for i = 1, v.n or #v do list[i] = listed(v[i]) end
  return list
end

-- A cell for JSON: documents are embedded, arrays are lists, numbers are numbers as far as they are exact.
local function json_cell(result, r, c)
  local oid = result.types[c]
  local text = result:text(r, c)
  if text and (oid == JSON or oid == JSONB) then return json.decode(text) end
  local v = hook_rows.cell(result, r, c)
  if math.type(v) == "float" and (v ~= v or v == math.huge or v == -math.huge) then return text end
  return listed(v)
end

--- Lists of values as a result, for `table` and `csv`.
---@param columns string[]
---@param rows any[][] texts, numbers and nil
---@return table
function M.of(columns, rows)
  return setmetatable({ columns = columns, get = function(_, r, c) return rows[r][c] end,
    text = function(_, r, c) return tostring(rows[r][c]) end }, { __len = function() return #rows end })
end

--- The rows as a list of dicts, in the order of the columns.
---@param result userdata
---@return table list
function M.rows(result)
  local rows = value.list()
  for r = 1, #result do
    local row = value.dict()
    for c, name in ipairs(result.columns) do row[name] = json_cell(result, r, c) end
    rows[r] = row
  end
  return rows
end

--- A result in one of the formats of --output.
---@param result userdata
---@param format "table"|"csv"|"json"
---@param room integer
---@return string
function M.format(result, format, room)
  if format == "csv" then return M.csv(result) end
  if format == "json" then return json.encode(M.rows(result), { indent = 2 }) end
  return M.table(result, room)
end

return M
