--- Values as a person reads them: rows as tables, dicts and lists with their contents, errors with their fields.

local err = require "err"
local rows_module = require "repl.rows"
local value = require "jinja.value"

local M = {}

local MOST_ITEMS, MOST_DEPTH = 60, 5

local inner

local function key_text(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return "[" .. inner(key, 1, {}) .. "]"
end

local function by_text(a, b)
  if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
  return type(a) < type(b)
end

-- The keys of a table in the order in which they are shown.
local function keys_of(t)
  if value.is_dict(t) then return value.keys(t) end
  local keys = {}
  for key in next, t do
    if not (math.type(key) == "integer" and key >= 1 and key <= #t) then keys[#keys + 1] = key end
  end
  table.sort(keys, by_text)
  return keys
end

-- Parts in braces: on one line when they fit, else one a line.
local function braces(parts, depth, open, close)
  local line = open .. table.concat(parts, ", ") .. close
  if #parts == 0 then return open .. close end
  if #line + depth * 2 <= 100 and not line:find("\n") then return line end
  local pad = ("  "):rep(depth)
  return ("%s\n%s%s\n%s%s"):format(open, pad, table.concat(parts, ",\n" .. pad), ("  "):rep(depth - 1), close)
end

local function contents(t, depth, seen)
  if seen[t] then return "..." end
  if depth > MOST_DEPTH then return "{...}" end
  seen[t] = true
  local parts, left = {}, MOST_ITEMS
  local list = value.is_list(t) or value.is_tuple(t)
  local length = value.is_dict(t) and 0 or rawlen(t)
  for i = 1, length do
    if left == 0 then break end
    parts[#parts + 1], left = inner(rawget(t, i), depth + 1, seen), left - 1
  end
  local keys = list and {} or keys_of(t)
  for _, key in ipairs(keys) do
    if left == 0 then break end
    parts[#parts + 1] = ("%s = %s"):format(key_text(key), inner(rawget(t, key), depth + 1, seen))
    left = left - 1
  end
  if length + #keys > MOST_ITEMS then parts[#parts + 1] = ("and %d more"):format(length + #keys - MOST_ITEMS) end
  seen[t] = nil
  return braces(parts, depth, list and "[" or "{", list and "]" or "}")
end

-- A function by its place.
local function function_text(f)
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return "function" end
  return ("function of %s:%d"):format(info.short_src, info.linedefined)
end

local function object_text(v)
  local ok, text = pcall(tostring, v)
  return ok and text or "?"
end

function inner(v, depth, seen)
  if v == value.none then return "none" end
  local kind = type(v)
  if kind == "string" then return (("%q"):format(v):gsub("\\\n", "\\n"):gsub("\\9", "\\t")) end
  if kind == "function" then return function_text(v) end
  if kind ~= "table" then return object_text(v) end
  if value.is_dict(v) or value.is_list(v) or value.is_tuple(v) then return contents(v, depth, seen) end
  local mt = debug.getmetatable(v)
  if not mt or mt.__name == "row" or mt.__tostring == nil and mt.__pytype == nil and mt.__name == nil then
    return contents(v, depth, seen)
  end
  if mt.__tostring == nil and mt.__pairs then -- a view that is read only
    local copy = {}
    for key, item in pairs(v) do copy[key] = item end
    return contents(copy, depth, seen)
  end
  if mt.__tostring == nil then
    local ok, text = pcall(require("jinja").str, v)
    return ok and type(text) == "string" and text or object_text(v)
  end
  return object_text(v)
end

local first_fields = { "code", "message", "detail", "hint", "file", "line", "column", "sqlstate", "sql", "position" }

--- An error with all its fields.
---@param e dex.Error
---@return string
function M.error(e)
  local out, done = { "error" }, { traceback = true, cancelled = true }
  local function add(key)
    if done[key] or e[key] == nil then return end
    done[key] = true
    local v = e[key]
    local text = type(v) == "string" and v or inner(v, 2, {})
    out[#out + 1] = ("  %-9s %s"):format(key, (text:gsub("\n", "\n            ")))
  end
  for _, key in ipairs(first_fields) do add(key) end
  local rest = {}
  for key in next, e do rest[#rest + 1] = tostring(key) end
  table.sort(rest)
  for _, key in ipairs(rest) do add(key) end
  return table.concat(out, "\n")
end

-- A table of macros (agate) as a result has it.
local function agate_result(t)
  local names = {}
  for i, name in ipairs(t.column_names) do names[i] = name end
  local rows = t.rows
  local function cell(r, c)
    local v = rows[r][c]
    if v == value.none then return nil end
    return v
  end
  return setmetatable({ columns = names, get = function(_, r, c) return cell(r, c) end,
    text = function(_, r, c) return require("jinja").str(cell(r, c)) end }, { __len = function() return #rows end })
end

local function is_agate(v)
  local mt = debug.getmetatable(v)
  return mt and mt.__name == "dex.table"
end

--- Any value, without a final newline. Rows show their first page.
---@param v any
---@param room integer columns of the terminal
---@return string
function M.value(v, room)
  if type(v) == "string" then return v end
  if rows_module.is(v) then return rows_module.first_page(v, room) end
  if err.is(v) then return M.error(v) end
  if is_agate(v) then
    local ok, text = pcall(function() return require("report.grid").table(agate_result(v), room) end)
    if ok then return text end
  end
  return inner(v, 1, {})
end

--- The results of an input, each on lines of its own; nil when there are none.
---@param results table with n
---@param room integer
---@return string|nil
function M.results(results, room)
  local out = {}
  for i = 1, results.n do out[i] = M.value(results[i], room) end
  if results.n == 0 then return nil end
  return table.concat(out, "\n")
end

return M
