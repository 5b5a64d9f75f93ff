--- The file .env of a project: variables for its commands, as dbt reads it. What the environment has already wins.

local env = require "dex.env"
local fs = require "dex.fs"

local M = {}

local escapes = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

-- ${NAME} and ${NAME:-default}, from the environment and the lines above.
local function expand(text, known)
  return (text:gsub("%${([^}]*)}", function(inside)
    local name, default = inside:match("^([%a_][%w_]*):%-(.*)$")
    local found = env.get(name or inside) or known[name or inside]
    return found or default or ""
  end))
end

-- The value that begins at `at`, and where the rest of the file begins; nil when it is not closed.
local function value_at(text, at)
  local quote = text:match("^['\"]", at)
  if not quote then
    local line, stop = text:match("^([^\r\n]*)()", at)
    return line:gsub("%s+#.*$", ""):gsub("^#.*$", ""):match("^(.-)%s*$"), stop
  end
  local i = at + 1
  while true do
    local next_at = text:find("[\\" .. quote .. "]", i)
    if not next_at then return nil end
    if text:sub(next_at, next_at) == quote then
      local inside = text:sub(at + 1, next_at - 1)
      inside = quote == '"' and inside:gsub("\\(.)", function(c) return escapes[c] or "\\" .. c end)
        or inside:gsub("\\(['\\])", "%1")
      return inside, next_at + 1
    end
    i = next_at + 2
  end
end

--- Reads the text of such a file.
---@param text string
---@return {[1]: string, [2]: string}[] names and values, in order
---@return integer[] lines that are none
function M.parse(text)
  local found, known, bad = {}, {}, {}
  local at, line = text:find("^\239\187\191") and 4 or 1, 1
  while at <= #text do
    local first = at
    local name, after = text:match("^[ \t]*export[ \t]+([^%s=#]+)[ \t]*=[ \t]*()", at)
    if not name then name, after = text:match("^[ \t]*([^%s=#]+)[ \t]*=[ \t]*()", at) end
    local v, stop
    if name then v, stop = value_at(text, after) end
    if v then
      v = expand(v, known)
      found[#found + 1], known[name] = { name, v }, v
    elseif not text:match("^[ \t]*\r?\n", at) and not text:match("^[ \t]*#", at)
      and not text:match("^[ \t]*$", at) and not text:match("^[ \t]*export[ \t]+[%w_]+[ \t]*[\r\n]", at) then
      bad[#bad + 1] = line
    end
    at = text:find("\n", stop or at, true)
    at = at and at + 1 or #text + 1
    line = line + select(2, text:sub(first, at - 1):gsub("\n", ""))
  end
  return found, bad
end

-- The file of the project's folder, else the nearest one above the working folder.
local function find(dir)
  if fs.exists(dir .. "/.env") and not fs.isdir(dir .. "/.env") then return dir .. "/.env" end
  local above = fs.cwd()
  while above ~= "" do
    if fs.exists(above .. "/.env") and not fs.isdir(above .. "/.env") then return above .. "/.env" end
    above = above:match("^(.*)/[^/]*$")
  end
end

--- Sets the variables of a project's .env that are not set.
---@param dir string folder of the project
---@return dex.Error[] warnings: lines that are no `NAME=value`
function M.load(dir)
  local path = find(dir)
  if not path then return {} end
  local found, bad = M.parse(fs.read(path))
  for _, pair in ipairs(found) do env.set(pair[1], pair[2]) end
  local warnings = {}
  for i, line in ipairs(bad) do
    warnings[i] = require("err").new { code = 142, message = "a line of .env is no NAME=value", file = path,
      line = line }
  end
  return warnings
end

return M
