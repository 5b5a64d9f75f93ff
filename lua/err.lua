--- The one failure shape of the Lua side: a table with this module's metatable.
-- Codes: 1xx project, 2xx template, 3xx graph, 4xx database, 5xx hook, 6xx flow, 9xx internal.
-- C raises the same shape (engine/script/lua_err.c); lua/help/errors.lua explains every code.

local core = require "dex.core"

local M = {}

--- Fields of an error. All but `code` and `message` are optional.
---@class dex.Error
---@field code integer
---@field message string one or more lines, without file and line
---@field file? string as the user would type it
---@field line? integer 1-based
---@field column? integer 1-based
---@field hint? string what to do, or the nearest valid name
---@field excerpt? string the line itself, when it is known and need not be looked up in the file
---@field source? string text in which `line` points, when it is not the file's own
---@field sql? string statement that failed
---@field sqlstate? string
---@field position? integer 1-based character offset in `sql`
---@field node? string unique_id of the node
---@field phase? string phase of the node's life
---@field hook? string hook's name or place
---@field stack? table list of {name=, file=, line=}, innermost first: the macros that led there

local mt = core.error
mt.__name = "dex.error"
mt.__index = mt.__index or nil
mt.__tostring = function(e)
  local where = ""
  if e.file then
    where = e.file .. (e.line and (":" .. e.line) or "") .. ": "
  end
  return where .. tostring(e.message)
end

--- Makes an error object without raising it.
---@param fields dex.Error
---@return dex.Error
function M.new(fields)
  return setmetatable(fields, mt)
end

--- Raises an error object.
---@param fields dex.Error
function M.raise(fields)
  error(setmetatable(fields, mt), 0)
end

--- Whether a caught value is an error object of dex-lua's.
---@param e any
---@return boolean
function M.is(e)
  return type(e) == "table" and getmetatable(e) == mt
end

-- "lua/x.lua:12: words" and "[string ...]:3: words" as Lua's own errors begin
local function split_position(text)
  local file, line, rest = text:match("^([^\n:]+):(%d+): (.*)$")
  if file then return file, math.tointeger(tonumber(line)), rest end
  return nil, nil, text
end

--- Turns any caught value into an error object and fills in fields that it lacks.
--- A plain Lua error keeps its own position: it is code 901 unless `fields.code` is given.
---@param e any
---@param fields? table
---@return dex.Error
function M.wrap(e, fields)
  if not M.is(e) then
    if e == "not enough memory" then -- Lua's own words: it has no memory for more
      e = M.new { code = 908, message = "the memory that this process may have is used up",
        hint = "raise its limit (ulimit -v, or that of the container), or run fewer threads" }
    else
      local file, line, message = split_position(tostring(e))
      e = M.new { code = fields and fields.code or 901, message = message, file = file, line = line }
    end
  end
  for k, v in pairs(fields or {}) do
    if e[k] == nil then e[k] = v end
  end
  return e
end

--- The nearest of several names, for "did you mean": at most a third of the letters may be wrong, missing, too many
--- or, two neighbours at a time, swapped.
---@param name string
---@param names string[]
---@return string|nil
function M.nearest(name, names)
  local best, best_distance = nil, math.max(1, #name // 3) + 1
  for _, candidate in ipairs(names) do
    if math.abs(#candidate - #name) < best_distance then
      local previous, before = {}, nil
      for j = 0, #candidate do previous[j] = j end
      for i = 1, #name do
        local row = { [0] = i }
        for j = 1, #candidate do
          local a, b = name:byte(i), candidate:byte(j)
          row[j] = math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a == b and 0 or 1))
          if before and j > 1 and a == candidate:byte(j - 1) and name:byte(i - 1) == b then
            row[j] = math.min(row[j], before[j - 2] + 1)
          end
        end
        before, previous = previous, row
      end
      local distance = previous[#candidate]
      if distance < best_distance or (distance == best_distance and best and candidate < best) then
        best, best_distance = candidate, distance
      end
    end
  end
  return best
end

--- "did you mean 'x'?" or nil.
---@param name string
---@param names string[]
---@return string|nil
function M.did_you_mean(name, names)
  local best = M.nearest(name, names)
  return best and ("did you mean '" .. best .. "'?") or nil
end

return M
