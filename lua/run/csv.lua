--- What a CSV file holds: names and types of its columns. The work is done by dex.csv (engine/base/csv.c),
-- a part of the file at a time, so that other nodes go on meanwhile.

local dex_csv = require "dex.csv"
local err = require "err"
local loop = require "dex.loop"

local M = {}

local STEP = 4 * 1024 * 1024 -- bytes between two turns of the event loop

-- Names as dbt (agate) makes them: an empty one is a letter by position, a repeated one gets a number.
local function name_columns(header)
  local names, seen = {}, {}
  for i, name in ipairs(header) do
    if name == "" then name = string.char(97 + (i - 1) % 26):rep((i - 1) // 26 + 1) end
    local unique, n = name, 1
    while seen[unique] do
      n = n + 1
      unique = name .. "_" .. n
    end
    seen[unique] = true
    names[i] = unique
  end
  return names
end

--- Reads a file once. Memory is constant; may wait.
---@param path string
---@param opts {delimiter: string, text: table<string, boolean>} `text`: columns whose type is given, by name
---@return table found columns, types (lists), rows; body and line: byte offset and line of the first row; plain:
---  whether COPY reads the bytes as they are; scan: what M.source goes on with
function M.scan(path, opts)
  local ok, scan, header = pcall(dex_csv.scan, path, opts.delimiter, opts.text)
  if not ok then error(err.wrap(scan, { file = path }), 0) end
  local done
  repeat
    ok, done = pcall(scan.step, scan, STEP)
    if not ok then
      scan:close()
      error(err.wrap(done, { file = path }), 0)
    end
    if not done then loop.sleep(0) end
  until done
  local found = scan:result()
  found.columns, found.scan = name_columns(header), scan
  return found
end

--- Where COPY gets the rows from: the file itself, or its rows rewritten.
---@param path string
---@param found table of M.scan
---@return table|function source for run.copy
function M.source(path, found)
  if found.plain then return { file = path, from = found.body } end
  local scan = found.scan
  scan:rewind(path)
  return function() return scan:rewrite() end
end

return M
