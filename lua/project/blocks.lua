--- Finds the top-level blocks of a template file without compiling it: macros, tests, materializations,
-- docs, snapshots. Macro files are compiled when a macro is first called, and a manifest holds the text
-- of every block, so this is also where that text comes from.

local err = require "err"
local tags = require "dex.tags"

local M = {}

local block_kinds = { macro = true, test = true, data_test = true, materialization = true, docs = true, snapshot = true,
  call = true, raw = true, ["for"] = true, ["if"] = true, filter = true }
local wanted_kinds = { macro = true, test = true, data_test = true, materialization = true, docs = true,
  snapshot = true }

-- Counts lines forward from where it last counted: linear over a file.
local function line_counter(source, first)
  local line, pos = first or 1, 1
  return function(upto)
    if upto > pos then line, pos = line + tags.lines(source, pos, upto), upto end
    return line
  end
end

-- The next tag from pos on: its word, start, stop (exclusive); other delimiters are passed over.
local next_tag = tags.next

-- The end tag that belongs to a block: start and stop of `{% endkind %}`.
local function find_end(source, kind, pos)
  if kind == "raw" then
    local at, stop = source:find("{%%[-+]?%s*endraw%s*[-+]?%%}", pos)
    return at, stop and stop + 1
  elseif kind == "docs" then
    local at, stop = source:find("{%%[-+]?%s*enddocs%s*[-+]?%%}", pos)
    return at, stop and stop + 1
  end
  local depth = 1
  while true do
    local name, at, stop = next_tag(source, pos)
    if not name then return nil end
    if name == "raw" then
      local _, raw_stop = find_end(source, "raw", stop)
      if not raw_stop then return nil end
      stop = raw_stop
    elseif name == kind then
      depth = depth + 1
    elseif name == "end" .. kind then
      depth = depth - 1
      if depth == 0 then return at, stop end
    end
    pos = stop
  end
end

--- A top-level block of a template file.
---@class dex.Block
---@field kind string macro, test, materialization, docs or snapshot
---@field name string
---@field header string what stands between the name and the end of the opening tag
---@field line integer of the opening tag
---@field contents_line integer where the contents begin
---@field contents string without the tags
---@field full string with the tags

local function describe(source, kind, at, stop, end_at, end_stop, line_at)
  local line = line_at(at)
  local inside = source:sub(at + 2, stop - 3):gsub("^[-+]?%s*[%a_]+%s*", ""):gsub("%s*[-+]?$", "")
  local name, header = inside:match("^([%w_]+)%s*(.*)$")
  local contents = source:sub(stop, end_at - 1)
  return {
    kind = kind == "data_test" and "test" or kind, name = name or "", header = header or "", line = line,
    contents = contents, full = source:sub(at, end_stop - 1), contents_line = line_at(stop), at = at,
  }
end

--- The blocks of a file, in order. Raises code 201 for a block that is not closed.
---@param source string
---@param where? {file: string, line?: integer} for errors
---@param only? table<string, boolean> kinds to give; every kind when absent
---@return dex.Block[]
function M.find(source, where, only)
  local found = {}
  only = only or wanted_kinds
  local line_at = line_counter(source, where and where.line)
  local pos = 1
  while true do
    local kind, at, stop = next_tag(source, pos)
    if not kind then return found end
    if block_kinds[kind] then
      local end_at, end_stop = find_end(source, kind, stop)
      if wanted_kinds[kind] or kind == "raw" then
        if not end_at then
          err.raise { code = 201, message = ("{%% %s %%} is never closed by {%% end%s %%}"):format(kind, kind),
            file = where and where.file, line = line_at(at) }
        end
        if only[kind] then
          found[#found + 1] = describe(source, kind, at, stop, end_at, end_stop, line_at)
        end
        stop = end_stop
      end
    end
    pos = stop
  end
end

return M
