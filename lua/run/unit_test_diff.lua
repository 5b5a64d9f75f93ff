--- How the rows of a model differ from the expected ones, as dbt shows it: a table with a mark before every row that
-- is too much (+++), missing (---) or different (→, with expected→actual in its cells). The order of rows is no
-- difference.

local printing = require "jinja.printing"
local value = require "jinja.value"

local M = {}

local none = value.none

local function shown(v)
  if v == none or v == nil then return "NULL" end
  return printing.str(v)
end

-- Cells as texts; rows in an order of their own, NULL last.
local function texts_of(rows)
  local list = {}
  for i, row in ipairs(rows) do
    local texts = {}
    for c = 1, #row do texts[c] = shown(row[c]) end
    list[i] = { cells = row, texts = texts, key = table.concat(texts, "\0") }
  end
  return list
end

local function cell_less(a, b)
  if a == none or b == none then return a ~= none and b == none end
  if type(a) == "number" and type(b) == "number" then return a < b end
  return shown(a) < shown(b)
end

local function row_less(a, b)
  for c = 1, #a.cells do
    if cell_less(a.cells[c], b.cells[c]) then return true end
    if cell_less(b.cells[c], a.cells[c]) then return false end
  end
  return false
end

-- Takes equal rows out of both sides, one for one: what is left differs.
local function take_equal(expected, actual)
  local waiting = {}
  for _, row in ipairs(actual) do
    local list = waiting[row.key] or {}
    waiting[row.key] = list
    list[#list + 1] = row
  end
  for _, row in ipairs(expected) do
    local list = waiting[row.key]
    local other = list and table.remove(list)
    if other then row.same, other.same = true, true end
  end
end

-- How alike two rows are: their equal cells that are not NULL; the first one, most often a key, counts twice.
local function likeness(a, b)
  local n, key = 0, false
  for c = 1, #a.texts do
    if a.texts[c] == b.texts[c] and a.cells[c] ~= none then
      n = n + 1
      key = key or c == 1
    end
  end
  return key and n + 1 or n, key
end

-- Pairs the rows that are left, the most alike first: rows of one key, or with half of their cells equal.
local function pair(expected, actual)
  local candidates = {}
  for i, row in ipairs(expected) do
    for j, other in ipairs(row.same and {} or actual) do
      local n, key = 0, false
      if not other.same then n, key = likeness(row, other) end
      if n > 0 and (key or n >= #row.texts // 2) then candidates[#candidates + 1] = { n = n, i = i, j = j } end
    end
  end
  table.sort(candidates, function(a, b)
    if a.n ~= b.n then return a.n > b.n end
    if a.i ~= b.i then return a.i < b.i end
    return a.j < b.j
  end)
  for _, candidate in ipairs(candidates) do
    local row, other = expected[candidate.i], actual[candidate.j]
    if not row.other and not other.other then row.other, other.other = other, row end
  end
end

-- The lines of the table: {mark, cells}, unchanged ones with an empty mark.
local function lines_of(expected, actual)
  local lines = {}
  for _, row in ipairs(actual) do
    if row.same then
      lines[#lines + 1] = { row = row, mark = "", texts = row.texts }
    elseif row.other then
      local texts = {}
      for c, text in ipairs(row.texts) do
        local before = row.other.texts[c]
        texts[c] = before == text and text or before .. "→" .. text
      end
      lines[#lines + 1] = { row = row, mark = "→", texts = texts }
    else
      lines[#lines + 1] = { row = row, mark = "+++", texts = row.texts }
    end
  end
  for _, row in ipairs(expected) do
    if not row.same and not row.other then lines[#lines + 1] = { row = row, mark = "---", texts = row.texts } end
  end
  table.sort(lines, function(a, b)
    if row_less(a.row, b.row) then return true end
    if row_less(b.row, a.row) then return false end
    return a.mark < b.mark
  end)
  return lines
end

-- Leaves out unchanged rows that are next to no change; each gap is one row of dots.
local function with_gaps(lines, columns)
  local near, kept = {}, {}
  for i, line in ipairs(lines) do
    if line.mark ~= "" then near[i - 1], near[i], near[i + 1] = true, true, true end
  end
  local dots = {}
  for c = 1, columns do dots[c] = "..." end
  for i, line in ipairs(lines) do
    if near[i] then
      kept[#kept + 1] = line
    elseif i == 1 or near[i - 1] then
      kept[#kept + 1] = { mark = "...", texts = dots }
    end
  end
  return kept
end

local function width(text) return utf8.len(text) or #text end

local function row_text(mark, texts, widths)
  local out = { mark .. (" "):rep(widths[0] - width(mark)) }
  for c, text in ipairs(texts) do
    out[#out + 1] = c < #texts and text .. (" "):rep(widths[c] - width(text)) or text
  end
  return table.concat(out, ",")
end

--- Compares two sets of rows.
---@param names string[]
---@param expected any[][] rows of values, none for NULL
---@param actual any[][]
---@return string|nil text nil when there is no difference
function M.render(names, expected, actual)
  expected, actual = texts_of(expected), texts_of(actual)
  take_equal(expected, actual)
  pair(expected, actual)
  local lines = lines_of(expected, actual)
  local different = false
  for _, line in ipairs(lines) do different = different or line.mark ~= "" end
  if not different then return nil end
  lines = with_gaps(lines, #names)
  table.insert(lines, 1, { mark = "@@", texts = names })
  local widths = { [0] = 0 }
  for _, line in ipairs(lines) do
    widths[0] = math.max(widths[0], width(line.mark))
    for c, text in ipairs(line.texts) do widths[c] = math.max(widths[c] or 0, width(text)) end
  end
  local out = {}
  for i, line in ipairs(lines) do out[i] = row_text(line.mark, line.texts, widths) end
  return table.concat(out, "\n")
end

return M
