--- The rows of a CSV text as mappings, read as Python's csv.DictReader reads it: for fixtures of unit tests, which are
-- small. Seeds are read by dex.csv. An empty cell is none.

local err = require "err"
local value = require "jinja.value"

local M = {}

-- One cell from `at` on: its text, and where the delimiter or line end behind it is.
local function cell(text, at)
  if text:sub(at, at) ~= '"' then
    local stop = text:find("[,\r\n]", at) or #text + 1
    return text:sub(at, stop - 1), stop
  end
  local parts, from = {}, at + 1
  while true do
    local quote = text:find('"', from, true)
    if not quote then return nil end
    parts[#parts + 1] = text:sub(from, quote - 1)
    if text:sub(quote + 1, quote + 1) ~= '"' then
      local stop = text:find("[,\r\n]", quote + 1) or #text + 1
      parts[#parts + 1] = text:sub(quote + 1, stop - 1)
      return table.concat(parts), stop
    end
    parts[#parts + 1] = '"'
    from = quote + 2
  end
end

-- The lines of a text as lists of cells, each with its line; blank lines are left out.
local function records(text, fail)
  local list, at, line = {}, 1, 1
  while at <= #text do
    local record, more = { line = line }, true
    while more do
      local found, stop = cell(text, at)
      if not found then fail(line, "a quoted cell never ends") end
      local _, newlines = found:gsub("\n", "")
      line = line + newlines
      record[#record + 1] = found
      more = text:sub(stop, stop) == ","
      at = stop + 1
      if not more and text:sub(stop, stop + 1) == "\r\n" then at = stop + 2 end
    end
    line = line + 1
    if #record > 1 or record[1] ~= "" then list[#list + 1] = record end
  end
  return list
end

--- Reads a CSV text. Raises code 125 with the line for a quote that does not end and for a row with more cells than
--- the header has; a shorter row lacks the rest, which are none.
---@param text string
---@param where {what: string, file: string, line: integer|nil} for messages; where the text's first line stands
---@return table list of dicts, column -> text or none
function M.read(text, where)
  local function fail(line, message)
    err.raise { code = 125, message = where.what .. ": " .. message, file = where.file,
      line = where.line and where.line + line - 1 }
  end
  text = text:gsub("^\xEF\xBB\xBF", "")
  local all = records(text, fail)
  local header = table.remove(all, 1)
  local rows = value.list()
  for i, record in ipairs(all) do
    if #record > #header then
      fail(record.line, ("row %d has %d cells, and the header has %d"):format(i, #record, #header))
    end
    local row = value.dict()
    for c, name in ipairs(header) do
      local v = record[c]
      row[name] = (v == nil or v == "") and value.none or v
    end
    rows[i] = row
  end
  return rows
end

return M
