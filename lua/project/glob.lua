--- Shell patterns as Python's fnmatch and pathlib understand them.

local M = {}

local cache = {}

-- One part of a pattern as a Lua pattern; `any` stands for `*`.
local function translate(text, any, one)
  local out = {}
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == "*" then
      out[#out + 1] = any
      i = i + 1
    elseif c == "?" then
      out[#out + 1] = one
      i = i + 1
    elseif c == "[" then
      local set, stop = text:match("^%[(!?%]?[^%]]*)%]()", i)
      if set and set ~= "" then
        out[#out + 1] = "[" .. set:gsub("^!", "^"):gsub("%%", "%%%%"):gsub("%[", "%%[") .. "]"
        i = stop
      else
        out[#out + 1] = "%["
        i = i + 1
      end
    else
      out[#out + 1] = c:gsub("[^%w_\x80-\xff]", "%%%0")
      i = i + 1
    end
  end
  return table.concat(out)
end

--- Whether a text matches a pattern with `*`, `?` and `[...]` as a whole; `*` takes anything.
---@param text string
---@param pattern string
---@return boolean
function M.matches(text, pattern)
  if text == pattern then return true end
  local lua = cache[pattern]
  if not lua then
    lua = "^" .. translate(pattern, ".*", ".") .. "$"
    cache[pattern] = lua
  end
  return text:find(lua) ~= nil
end

--- Whether there is anything in a pattern but a plain text.
function M.is_pattern(text) return text:find("[*?%[%]]") ~= nil end

local function split(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    if part ~= "." then parts[#parts + 1] = part end
  end
  return parts
end

local function match_parts(parts, i, patterns, j)
  while patterns[j] do
    local pattern = patterns[j]
    if pattern == "**" then
      if not patterns[j + 1] then return true end
      for k = i, #parts + 1 do
        if match_parts(parts, k, patterns, j + 1) then return true end
      end
      return false
    end
    local part = parts[i]
    if not part or not (part == pattern or part:find("^" .. translate(pattern, ".*", ".") .. "$")) then return false end
    i, j = i + 1, j + 1
  end
  return parts[i] == nil
end

--- Makes a test whether a path matches a path pattern; `*` stays within a folder, `**` does not.
---@param pattern string
---@return fun(path: string): boolean
function M.path(pattern)
  local patterns = split(pattern)
  local known = {}
  return function(path)
    local answer = known[path]
    if answer == nil then
      answer = match_parts(split(path), 1, patterns, 1)
      known[path] = answer
    end
    return answer
  end
end

return M
