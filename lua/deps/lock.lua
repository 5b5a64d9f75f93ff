--- package-lock.yml: the packages that a project's wishes came to, with a checksum of the wishes. dbt's format, so that
-- either program honours what the other has written.

local entries = require "deps.entries"
local fs = require "dex.fs"
local hash = require "dex.hash"
local json = require "jinja.json"
local pyyaml = require "jinja.yaml"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

M.name = "package-lock.yml"

-- The fields of an entry that dbt hashes, absent ones as null.
local fields = {
  ["local"] = function(d) return value.dict("local", d["local"]) end,
  tarball = function(d) return value.dict("tarball", d.tarball) end,
  git = function(d)
    return value.dict("git", d.git, "revision", value.or_none(opt(d.revision)), "subdirectory",
      value.or_none(opt(d.subdirectory)), "warn-unpinned", value.or_none(opt(d["warn-unpinned"])))
  end,
  hub = function(d)
    local pre = opt(d.install_prerelease)
    return value.dict("package", d.package, "version", d.version, "install_prerelease", pre == true)
  end,
}

--- The checksum of what a project asks for.
---@param list dex.PackageEntry[]
---@return string
function M.checksum(list)
  local texts = {}
  for i, entry in ipairs(list) do
    local d = fields[entry.kind](entry.data)
    if opt(entry.data.name) ~= nil then d.name = entry.data.name end
    d.unrendered = entry.raw
    texts[i] = json.encode(d, { sort_keys = true })
  end
  table.sort(texts)
  return hash.sha1(table.concat(texts, "\n"))
end

--- Reads the lock file of a project.
---@param package table root
---@param render table context of templates
---@return {entries: dex.PackageEntry[], checksum: string|nil}|nil nil when there is none
function M.read(package, render)
  local path = package.dir .. "/" .. M.name
  if not fs.exists(path) then return nil end
  local found, content = entries.read_file(path, { display = package.prefix .. M.name, base = package.dir,
    render = render })
  return { entries = found or {}, checksum = value.is_dict(content) and opt(content.sha1_hash) or nil }
end

-- One package as an item of the list, its keys in alphabetical order as dbt dumps them.
local function item(pinned)
  local lines = {}
  local text = pyyaml.dump(pinned, true)
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = (#lines == 0 and "  - " or "    ") .. line end
  return table.concat(lines, "\n")
end

--- Writes the lock file.
---@param package table root
---@param pinned table[] dicts: what each package is pinned to, and its name
---@param checksum string
function M.write(package, pinned, checksum)
  local out = { "packages:" }
  for _, d in ipairs(pinned) do out[#out + 1] = item(d) end
  if #pinned == 0 then out[1] = "packages: []" end
  out[#out + 1] = pyyaml.dump(value.dict("sha1_hash", checksum), true)
  fs.write(package.dir .. "/" .. M.name, table.concat(out, "\n"))
end

--- The names of the packages in a lock file that are expected in the folder of packages.
---@param lock {entries: dex.PackageEntry[]}
---@return string[]
function M.names(lock)
  local names = {}
  for _, entry in ipairs(lock.entries) do
    local name = opt(entry.data.name)
    if name and name ~= none then names[#names + 1] = name end
  end
  return names
end

return M
