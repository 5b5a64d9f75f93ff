--- What a selection says, before it is known which nodes it means: the words of --select and --exclude read into a
-- tree of criteria, unions, intersections and differences. selectors.yml gives the same trees (selectors.lua), and
-- select.lua evaluates them.

local err = require "err"

local M = {}

--- One criterion: a method, a value, and the relatives to take along.
---@class dex.Criterion
---@field kind "criterion"
---@field raw any as it was written
---@field method string with its arguments, such as "config.materialized"
---@field value any a text; YAML may give a boolean or number as well
---@field at boolean `@x`: with all that depends on it, and what that needs
---@field parents? integer depth; math.huge for all
---@field children? integer
---@field mode? string of indirect selection; the command's when absent

--- Several specs together.
---@class dex.SpecGroup
---@field kind "union"|"intersection"|"difference"
---@field parts dex.Spec[]
---@field mode? string of indirect selection; `eager` when absent
---@field raw? string given, a warning names it when nothing matches

---@alias dex.Spec dex.Criterion|dex.SpecGroup

--- The modes of indirect selection.
M.modes = { eager = true, cautious = true, buildable = true, empty = true }

local function method_of(text)
  if text:find("/", 1, true) then return "path" end
  local lower = text:lower()
  if lower:sub(-4) == ".sql" or lower:sub(-3) == ".py" or lower:sub(-4) == ".csv" then return "file" end
  return "fqn"
end

local function bad(message, hint) err.raise { code = 307, message = message, hint = hint } end

local function check(criterion)
  if criterion.at and criterion.children then
    bad(("'%s': `@` in front and `+` behind exclude each other"):format(tostring(criterion.raw)))
  end
  if criterion.value == "" then bad(("'%s' names no node"):format(tostring(criterion.raw))) end
  return criterion
end

--- Reads one word. Raises 307 when it is none.
---@param raw string
---@return dex.Criterion
function M.parse(raw)
  local rest = raw
  local at = rest:sub(1, 1) == "@"
  if at then rest = rest:sub(2) end
  local depth, after = rest:match("^(%d*)%+(.*)$")
  local parents
  if depth then
    parents = tonumber(depth) or math.huge
    rest = after
  end
  local before, child_depth = rest:match("^(.-)%+(%d*)$")
  local children
  if before then
    children = tonumber(child_depth) or math.huge
    rest = before
  end
  local method, text = rest:match("^([%w_.]+):(.*)$")
  text = text or rest
  return check { kind = "criterion", raw = raw, method = method or method_of(text), value = text, at = at,
    parents = parents, children = children }
end

--- Words side by side, of which any may match; parts of a word joined by commas must all match.
---@param words string[] texts with one or more words
---@param mode string
---@param expected? boolean whether a word without a match is worth a warning
---@return dex.SpecGroup
function M.union(words, mode, expected)
  local parts = {}
  for _, text in ipairs(words) do
    for word in text:gmatch("%S+") do
      local all = {}
      for part in (word .. ","):gmatch("(.-),") do all[#all + 1] = M.parse(part) end
      parts[#parts + 1] = { kind = "intersection", parts = all, mode = mode, raw = expected and word or nil }
    end
  end
  return { kind = "union", parts = parts, mode = mode }
end

-- Everything there is; dbt's default words.
local default_words = { "fqn:*", "source:*", "exposure:*", "metric:*", "semantic_model:*" }

--- What --select and --exclude say together.
---@param include string[]|nil
---@param exclude string[]|nil
---@param mode string
---@return dex.SpecGroup
function M.difference(include, exclude, mode)
  local given = include and #include > 0
  return { kind = "difference", parts = { M.union(given and include or default_words, mode, given),
    M.union(exclude or {}, mode, true) } }
end

return M
