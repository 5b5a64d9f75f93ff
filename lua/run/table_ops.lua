--- What agate's tables do: choosing, sorting and grouping rows, and printing.

local decimal = require "run.decimal"
local err = require "err"
local printing = require "jinja.printing"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

local function position(t, name)
  if math.type(name) == "integer" then return name + 1 end
  local i = t.names.index[name]
  if not i then
    err.raise { code = 202, kind = "KeyError", message = ("there is no column '%s'"):format(tostring(name)),
      hint = type(name) == "string" and err.did_you_mean(name, t.names.keys) or nil }
  end
  return i
end

local function is_sequence(x) return value.is_list(x) or value.is_tuple(x) end

local function as_list(x)
  if is_sequence(x) then return x end
  return { x }
end

local function is_callable(x)
  if type(x) == "function" then return true end
  local mt = type(x) == "table" and getmetatable(x)
  return mt and mt.__call ~= nil
end

-- Choosing ---------------------------------------------------------------------------------------

local function truthy(v) return v ~= nil and v ~= none and v ~= false and v ~= 0 and v ~= "" end

-- The values of a row that a key names: a column, several, or a function of the row.
local function key_function(t, key)
  if is_callable(key) then
    return function(row) return { key(row) } end
  end
  local places = {}
  for i, name in ipairs(as_list(key)) do places[i] = position(t, name) end
  return function(row)
    local found = {}
    for i, place in ipairs(places) do found[i] = rawget(row, place) end
    return found
  end
end

local function text_key(parts)
  local out = {}
  for i, part in ipairs(parts) do out[i] = type(part) .. ":" .. printing.str(part) end
  return table.concat(out, "\0")
end

local function order_by(tables, t, key, reverse)
  local key_of = key_function(t, key)
  local sortable = {}
  for i, row in ipairs(t.rows_of) do sortable[i] = { row = row, key = key_of(row), place = i } end
  table.sort(sortable, function(a, b)
    for i = 1, #a.key do
      local x, y = a.key[i], b.key[i]
      if tables.before(x, y) then return not reverse end
      if tables.before(y, x) then return reverse end
    end
    return a.place < b.place
  end)
  local rows = {}
  for i, item in ipairs(sortable) do rows[i] = item.row end
  return tables.with_rows(t, rows)
end

local function distinct(tables, t, key)
  local key_of = key == none and function(row) return row end or key_function(t, key)
  local seen, rows = {}, {}
  for _, row in ipairs(t.rows_of) do
    local id = text_key(key_of(row))
    if not seen[id] then
      seen[id] = true
      rows[#rows + 1] = row
    end
  end
  return tables.with_rows(t, rows)
end

local function select_columns(tables, t, names)
  local keys, kinds, places = {}, {}, {}
  for i, name in ipairs(names) do
    places[i] = position(t, name)
    keys[i], kinds[i] = t.names.keys[places[i]], t.kinds[places[i]]
  end
  local rows = {}
  for r, row in ipairs(t.rows_of) do
    local values = {}
    for i, place in ipairs(places) do values[i] = rawget(row, place) end
    rows[r] = values
  end
  return tables.new(keys, kinds, rows, rawget(t, "out"))
end

local function rename(tables, t, names)
  local keys = {}
  for i, old in ipairs(t.names.keys) do
    if value.is_dict(names) then
      keys[i] = names[old] or old
    else
      keys[i] = opt(names) and names[i] or old
    end
  end
  local rows = {}
  for r, row in ipairs(t.rows_of) do rows[r] = table.move(row, 1, #row, 1, {}) end
  return tables.new(keys, t.kinds, rows, rawget(t, "out"))
end

-- A dict from the group's name to its table, in the order in which the groups appear.
local function group_by(tables, t, key)
  local key_of = key_function(t, key)
  local groups, order = {}, value.dict()
  for _, row in ipairs(t.rows_of) do
    local name = key_of(row)[1]
    local id = text_key { name }
    if not groups[id] then
      groups[id] = {}
      order[type(name) == "table" and printing.str(name) or name] = groups[id]
    end
    table.insert(groups[id], row)
  end
  for name, rows in pairs(value.copy_dict(order)) do order[name] = tables.with_rows(t, rows) end
  return order
end

local function limit(tables, t, start_or_stop, stop, step)
  start_or_stop, stop, step = opt(start_or_stop), opt(stop), opt(step) or 1
  local first, last = 0, start_or_stop or #t.rows_of
  if stop or step ~= 1 then first, last = start_or_stop or 0, stop or #t.rows_of end
  local rows = {}
  for i = first + 1, math.min(last, #t.rows_of), step do rows[#rows + 1] = t.rows_of[i] end
  return tables.with_rows(t, rows)
end

-- Printing ---------------------------------------------------------------------------------------

local function length(text) return utf8.len(text) or #text end

local function shorten(text, width)
  if not width or length(text) <= width then return text end
  local cut = utf8.offset(text, width - 2)
  return text:sub(1, cut - 1) .. "..."
end

local function places_of(v)
  local text = decimal.is(v) and v.text or ("%.14g"):format(v)
  local fraction = text:match("%.(%d+)$")
  return fraction and #fraction or 0
end

-- 1,234.5: thousands apart, as many places as the longest of the column needs, three at most.
local function number_text(v, places, cut)
  local text = ("%." .. places .. "f"):format(decimal.tonumber(v))
  local sign, whole, rest = text:match("^(-?)(%d+)(.*)$")
  if not whole then return tostring(v) end
  whole = whole:reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  rest = rest:gsub("0+$", ""):gsub("%.$", "")
  return sign .. whole .. rest .. (cut and "…" or "")
end

local function number_format(t, column, rows, most)
  local places = 0
  for r = 1, rows do
    local v = rawget(t.rows_of[r], column)
    if v ~= none then places = math.max(places, places_of(v)) end
  end
  return math.min(places, most), places > most
end

local function cell_text(v, places, cut)
  if v == none then return "" end
  if places and v == v and math.abs(decimal.tonumber(v)) ~= math.huge then return number_text(v, places, cut) end
  return printing.str(v)
end

-- A grid of texts, its first line the column names.
local function grid_of(t, opts)
  local rows = math.min(opts.rows, #t.rows_of)
  local columns = math.min(opts.columns, #t.names.keys)
  local grid = { {} }
  for i = 1, columns do grid[1][i] = shorten(t.names.keys[i], opts.width) end
  for r = 1, rows do grid[r + 1] = {} end
  for i = 1, columns do
    local places, cut
    if t.kinds[i] == "Number" then places, cut = number_format(t, i, rows, opts.precision) end
    for r = 1, rows do grid[r + 1][i] = shorten(cell_text(rawget(t.rows_of[r], i), places, cut), opts.width) end
  end
  if columns < #t.names.keys then
    for _, line in ipairs(grid) do line[columns + 1] = "..." end
  end
  if rows < #t.rows_of then
    local line = {}
    for i = 1, #grid[1] do line[i] = "..." end
    grid[#grid + 1] = line
  end
  return grid
end

--- The table as lines of Markdown.
---@param t dex.Table
---@param opts {rows: integer, columns: integer, width: integer|nil, precision: integer}
---@return string
function M.format(t, opts)
  local grid = grid_of(t, opts)
  local widths = {}
  for _, line in ipairs(grid) do
    for i, text in ipairs(line) do widths[i] = math.max(widths[i] or 0, length(text)) end
  end
  local out = {}
  for r, line in ipairs(grid) do
    local texts = {}
    for i, text in ipairs(line) do
      local pad = (" "):rep(widths[i] - length(text))
      texts[i] = t.kinds[i] == "Text" and text .. pad or pad .. text
    end
    out[#out + 1] = "| " .. table.concat(texts, " | ") .. " |"
    if r == 1 then
      for i, width in ipairs(widths) do texts[i] = ("-"):rep(width) end
      out[#out + 1] = "| " .. table.concat(texts, " | ") .. " |"
    end
  end
  return table.concat(out, "\n")
end

--- The columns and their kinds, as a table prints when it is printed itself.
function M.structure(t)
  local lines = { "| column | data_type |", "| ------ | --------- |" }
  for i, name in ipairs(t.names.keys) do lines[#lines + 1] = ("| %s | %s |"):format(name, t.kinds[i]) end
  return table.concat(lines, "\n")
end

local function print_text(t, text)
  local out = rawget(t, "out")
  if out then out(text) end
  return none
end

local function csv_field(v)
  local text = v == none and "" or printing.str(v)
  if text:find('[",\n\r]') then text = '"' .. text:gsub('"', '""') .. '"' end
  return text
end

local function csv(t)
  local lines = {}
  local function add(items)
    local fields = {}
    for i = 1, #t.names.keys do fields[i] = csv_field(items[i]) end
    lines[#lines + 1] = table.concat(fields, ",")
  end
  add(t.names.keys)
  for _, row in ipairs(t.rows_of) do add(row) end
  return table.concat(lines, "\n")
end

-- "max_rows=none" means all of them.
local function most(v) return opt(v) or math.huge end

--- The methods of tables, for object.methods.
---@param tables table lua/run/table.lua
function M.methods(tables)
  return {
    ["order_by(key, reverse=false)"] = function(t, key, reverse) return order_by(tables, t, key, truthy(reverse)) end,
    ["where(test)"] = function(t, test)
      local rows = {}
      for _, row in ipairs(t.rows_of) do
        if truthy(test(row)) then rows[#rows + 1] = row end
      end
      return tables.with_rows(t, rows)
    end,
    ["find(test)"] = function(t, test)
      for _, row in ipairs(t.rows_of) do
        if truthy(test(row)) then return row end
      end
      return none
    end,
    ["distinct(key=none)"] = function(t, key) return distinct(tables, t, key) end,
    ["limit(start_or_stop=none, stop=none, step=none)"] = function(t, ...) return limit(tables, t, ...) end,
    ["select(key)"] = function(t, key) return select_columns(tables, t, as_list(key)) end,
    ["exclude(key)"] = function(t, key)
      local out, names = {}, {}
      for _, name in ipairs(as_list(key)) do out[name] = true end
      for _, name in ipairs(t.names.keys) do
        if not out[name] then names[#names + 1] = name end
      end
      return select_columns(tables, t, names)
    end,
    ["rename(column_names=none, row_names=none, **more)"] = function(t, names) return rename(tables, t, names) end,
    ["group_by(key, key_name=none, key_type=none)"] = function(t, key) return group_by(tables, t, key) end,
    ["print_table(max_rows=20, max_columns=6, output=none, max_column_width=20, locale=none, max_precision=3)"] =
      function(t, rows, columns, _, width, _, precision)
        return print_text(t, M.format(t, { rows = most(rows), columns = most(columns), width = opt(width),
          precision = opt(precision) or 14 }))
      end,
    ["print_csv(**more)"] = function(t) return print_text(t, csv(t)) end,
    ["print_structure(**more)"] = function(t) return print_text(t, M.structure(t)) end,
  }
end

return M
