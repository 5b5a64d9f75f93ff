--- .dbtignore: which files of a project are not read. Patterns as in .gitignore.

local M = {}

-- One pattern as a Lua pattern for a path relative to the folder of the ignore file.
local function translate(text)
  local out = {}
  local i = 1
  while i <= #text do
    local c = text:sub(i, i)
    if text:sub(i, i + 2) == "**/" then
      out[#out + 1] = "\0" -- any folders, also none: replaced below, since Lua has no groups
      i = i + 3
    elseif text:sub(i, i + 1) == "**" then
      out[#out + 1] = ".*"
      i = i + 2
    elseif c == "*" then
      out[#out + 1] = "[^/]*"
      i = i + 1
    elseif c == "?" then
      out[#out + 1] = "[^/]"
      i = i + 1
    elseif c == "[" then
      local set, stop = text:match("^%[(!?[^%]]+)%]()", i)
      if set then
        out[#out + 1] = "[" .. set:gsub("^!", "^"):gsub("%%", "%%%%") .. "]"
        i = stop
      else
        out[#out + 1] = "%["
        i = i + 1
      end
    else
      out[#out + 1] = c:gsub("%W", "%%%0")
      i = i + 1
    end
  end
  return table.concat(out)
end

-- A `**/` is either nothing or `.*/`: one Lua pattern for each choice.
local function alternatives(pattern, found)
  local at = pattern:find("\0", 1, true)
  if not at then
    found[#found + 1] = "^" .. pattern .. "$"
    return found
  end
  alternatives(pattern:sub(1, at - 1) .. pattern:sub(at + 1), found)
  alternatives(pattern:sub(1, at - 1) .. ".*/" .. pattern:sub(at + 1), found)
  return found
end

--- Compiles the text of an ignore file.
---@param text string
---@return fun(path: string): boolean whether a path relative to the project is ignored
function M.compile(text)
  local rules = {}
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    line = line:gsub("^%s+", ""):gsub("%s+$", "")
    if line ~= "" and line:sub(1, 1) ~= "#" then
      local rule = { negated = line:sub(1, 1) == "!" }
      if rule.negated then line = line:sub(2) end
      rule.folder = line:sub(-1) == "/"
      line = line:gsub("/+$", "")
      if line:find("/", 1, true) then line = line:gsub("^/", "") else line = "**/" .. line end
      rule.patterns = alternatives(translate(line), {})
      rules[#rules + 1] = rule
    end
  end
  local function matches(rule, path)
    for _, pattern in ipairs(rule.patterns) do
      if path:find(pattern) then return true end
    end
    return false
  end
  return function(path)
    local ignored = false
    for _, rule in ipairs(rules) do
      local hit = not rule.folder and matches(rule, path)
      local slash = 0
      while not hit do
        slash = path:find("/", slash + 1, true)
        if not slash then break end
        hit = matches(rule, path:sub(1, slash - 1))
      end
      if hit then ignored = not rule.negated end
    end
    return ignored
  end
end

return M
