--- An index of packages with dbt's API: `index.json` is the list of all names, `NAMESPACE/NAME.json` the versions
-- of one and where their archives are.

local env = require "dex.env"
local entries = require "deps.entries"
local err = require "err"
local json = require "dex.json"
local root = require "project.root"
local value = require "jinja.value"
local version = require "deps.version"

local M = {}

local opt = value.opt
local default_base = "https://hub.getdbt.com/"

--- The address of the index: DEX_PACKAGE_HUB_URL, dbt's DBT_PACKAGE_HUB_URL, or dbt's public one.
---@return string with a slash at its end
function M.base()
  for _, name in ipairs { "DEX_PACKAGE_HUB_URL", "DBT_ENGINE_PACKAGE_HUB_URL", "DBT_PACKAGE_HUB_URL" } do
    local url = env.get(name)
    if url and url ~= "" then return (url:gsub("/*$", "/")) end
  end
  return default_base
end

local function get(downloads, path, where)
  local url = M.base() .. "api/v1/" .. path .. ".json"
  local ok, content = pcall(json.decode, downloads:text(url, where))
  if ok then return content end
  err.raise { code = 119, message = ("package %s: the answer of the index is no JSON (%s)"):format(where.label, url),
    file = where.file, line = where.line, hint = "the index is named by DEX_PACKAGE_HUB_URL" }
end

local function bad(where, message, hint)
  err.raise { code = 119, message = ("package %s: %s"):format(where.label, message), file = where.file,
    line = where.line, hint = hint }
end

-- All versions of a package: a dict of text -> what the index says.
local function versions_of(downloads, name, where)
  local index = get(downloads, "index", where)
  local names, there = {}, false
  for i, known in ipairs(value.is_list(index) and index or {}) do
    names[i] = known
    there = there or known == name
  end
  if not there then
    bad(where, "the index does not have it", err.did_you_mean(name, names) or "the index is " .. M.base())
  end
  local answer = get(downloads, name, where)
  local versions = value.is_dict(answer) and opt(answer.versions)
  if not value.is_dict(versions) then bad(where, "the index gives no versions of it") end
  local namespace, plain = opt(answer.redirectnamespace), opt(answer.redirectname)
  if (namespace or plain) and where.warn then
    where.warn { code = 141, message = ("package %s is now %s/%s"):format(name, namespace or name:match("^[^/]+"),
      plain or name:match("[^/]+$")), file = where.file, line = where.line }
  end
  return versions
end

-- Whether a version goes with the dbt that projects find here.
local function suits(info)
  local required = opt(info.require_dbt_version)
  if required == nil then return true end
  local own = version.parse(root.dbt_version)
  for _, text in ipairs(value.is_list(required) and required or { required }) do
    for part in tostring(text):gmatch("[^,]+") do
      local spec = version.parse(part)
      if spec and not version.satisfies(own, spec) then return false end
    end
  end
  return true
end

local function texts(list)
  local out = {}
  for i, spec in ipairs(list) do out[i] = spec.text end
  return table.concat(out, ", ")
end

-- The versions that may be installed, the oldest first.
local function installable(versions, pre)
  local found = {}
  for text, info in pairs(versions) do
    local parsed = version.parse(text)
    if parsed and (pre or not parsed.pre) and suits(info) then found[#found + 1] = parsed end
  end
  table.sort(found, function(a, b) return version.compare(a, b) < 0 end)
  return found
end

--- The newest version that all entries let in.
---@param downloads dex.Downloads
---@param list dex.PackageEntry[] of one package
---@param where {label: string, file: string|nil, line: integer|nil, warn: function|nil}
---@return string version
---@return string latest the newest one there is
---@return table info dict: what the index says of the version
function M.pin(downloads, list, where)
  local name = list[1].data.package
  local wanted, pre = {}, opt(list[1].data.install_prerelease) == true
  for _, entry in ipairs(list) do
    for _, spec in ipairs(entries.versions(entry.data, entry)) do
      wanted[#wanted + 1] = spec
      pre = pre or spec.pre ~= nil
    end
  end
  local versions = versions_of(downloads, name, where)
  local there = installable(versions, pre)
  local best
  for _, candidate in ipairs(there) do
    if version.satisfies_all(candidate, wanted) then best = candidate end
  end
  if not best then
    local asked = {}
    for i, entry in ipairs(list) do asked[i] = ("%s:%s"):format(entry.file or "?", entry.line or "?") end
    bad(where, ("no version is %s; the index has %s"):format(texts(wanted), #there > 0 and texts(there) or "none that "
      .. "goes with dbt " .. root.dbt_version), #list > 1 and "it is asked for at " .. table.concat(asked, ", ") or nil)
  end
  return best.text, there[#there].text, versions[best.text]
end

return M
