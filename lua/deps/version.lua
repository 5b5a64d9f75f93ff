--- Versions of packages, and what a project asks of them: ">=1.0.0", "<2.0.0", "1.1.1". dbt's rules, which are those of
-- semantic versioning.

local M = {}

--- A version, or with a matcher what is asked of one.
---@class dex.Version
---@field text string as written
---@field matcher ">"|">="|"<"|"<="|"="
---@field parts integer[] major, minor, patch
---@field pre string|nil what stands behind the hyphen

--- Reads one version; nil when it is none.
---@param text string
---@return dex.Version|nil
function M.parse(text)
  local matcher, rest = text:match("^%s*([<>=]*)%s*(.-)%s*$")
  if matcher == "" then matcher = "=" end
  if not (matcher == "=" or matcher:find("^[<>]=?$")) then return nil end
  local major, minor, patch, tail = rest:match("^v?(%d+)%.(%d+)%.(%d+)(.*)$")
  if not major then return nil end
  local pre = tail:gsub("%+[%w.-]*$", "")
  pre = pre:match("^%-?([%w][%w.-]*)$")
  if tail:gsub("%+[%w.-]*$", "") ~= "" and not pre then return nil end
  return { text = text, matcher = matcher, pre = pre,
    parts = { math.tointeger(tonumber(major)), math.tointeger(tonumber(minor)), math.tointeger(tonumber(patch)) } }
end

local function sign(a, b) return a == b and 0 or a < b and -1 or 1 end

-- "rc1" and "beta.2": numbers before words, a longer one after a shorter one that it begins with.
local function compare_pre(a, b)
  if a == b then return 0 end
  if not a then return 1 end
  if not b then return -1 end
  local rest = b:gmatch("[^.]+")
  for part in a:gmatch("[^.]+") do
    local other = rest()
    if not other then return 1 end
    local x, y = tonumber(part), tonumber(other)
    local order = x and y and sign(x, y) or x and -1 or y and 1 or sign(part, other)
    if order ~= 0 then return order end
  end
  return rest() and -1 or 0
end

local function compare_parts(a, b)
  for i = 1, 3 do
    if a.parts[i] ~= b.parts[i] then return sign(a.parts[i], b.parts[i]) end
  end
  return 0
end

--- -1, 0 or 1: which of two versions is the older one.
---@param a dex.Version
---@param b dex.Version
---@return integer
function M.compare(a, b)
  local order = compare_parts(a, b)
  return order ~= 0 and order or compare_pre(a.pre, b.pre)
end

--- Whether a version is what is asked for.
---@param version dex.Version
---@param wanted dex.Version
---@return boolean
function M.satisfies(version, wanted)
  local order = M.compare(version, wanted)
  local matcher = wanted.matcher
  if matcher == "=" then return order == 0 end
  if matcher == ">" then return order > 0 end
  if matcher == ">=" then return order >= 0 end
  if matcher == "<=" then return order <= 0 end
  -- 2.0.0-rc1 is not what "<2.0.0" means
  if version.pre and not wanted.pre and compare_parts(version, wanted) == 0 then return false end
  return order < 0
end

--- Whether a version is all that is asked for.
---@param version dex.Version
---@param wanted dex.Version[]
---@return boolean
function M.satisfies_all(version, wanted)
  for _, spec in ipairs(wanted) do
    if not M.satisfies(version, spec) then return false end
  end
  return true
end

return M
