--- Shell patterns as Python's fnmatch and pathlib understand them.

local M = {}

local cache, cached = {}, 0
local MOST_CACHED = 1000

-- What stands between two stars as a Lua pattern, and how many bytes it matches.
local function translate(text)
  local out = {}
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    local set, stop
    if c == "[" then set, stop = text:match("^%[(!?%]?[^%]]*)%]()", i) end
    if c == "?" then
      out[#out + 1] = "."
    elseif set and set ~= "" and set ~= "!" then
      local inner = set:gsub("%%", "%%%%"):gsub("%[", "%%["):gsub("^%^", "%%^"):gsub("^!", "^")
      out[#out + 1] = "[" .. inner .. "]"
      i = stop - 1
    else
      out[#out + 1] = c:gsub("[^%w_\x80-\xff]", "%%%0")
    end
    i = i + 1
  end
  return table.concat(out), #out
end

-- The end of the part that begins at `at` and goes to the next star: a star inside of brackets is none.
local function next_star(pattern, at)
  while at <= #pattern do
    local c = pattern:sub(at, at)
    if c == "*" then return at end
    local stop = c == "[" and pattern:match("^%[!?%]?[^%]]*%]()", at)
    at = stop or at + 1
  end
  return at
end

-- A pattern as its parts between stars.
local function compile(pattern)
  local parts, at = {}, 1
  repeat
    local star = next_star(pattern, at)
    local lua, length = translate(pattern:sub(at, star - 1))
    parts[#parts + 1] = { lua = lua, length = length }
    at = star + 1
  until star > #pattern
  return parts
end

--- Whether a text matches a pattern with `*`, `?` and `[...]` as a whole; `*` takes anything. A part between two stars
--- may stand where it is found first, so nothing is ever tried twice.
---@param text string
---@param pattern string
---@return boolean
function M.matches(text, pattern)
  if text == pattern then return true end
  local parts = cache[pattern]
  if not parts then
    if cached == MOST_CACHED then cache, cached = {}, 0 end
    parts = compile(pattern)
    cache[pattern], cached = parts, cached + 1
  end
  local last = #parts
  if last == 1 then return text:find("^" .. parts[1].lua .. "$") ~= nil end
  local _, stop = text:find("^" .. parts[1].lua)
  for i = 2, last - 1 do
    if not stop then return false end
    _, stop = text:find(parts[i].lua, stop + 1)
  end
  local from = #text - parts[last].length + 1
  return stop ~= nil and from > stop and text:find("^" .. parts[last].lua .. "$", from) ~= nil
end

--- Whether there is anything in a pattern but a plain text.
function M.is_pattern(text) return text:find("[*?%[%]]") ~= nil end

local function split(path)
  local parts = {}
  for part in path:gmatch("[^/]+") do
    local again = part == "**" and parts[#parts] == "**" -- says what one of them says
    if part ~= "." and not again then parts[#parts + 1] = part end
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
    if not part or not M.matches(part, pattern) then return false end
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
