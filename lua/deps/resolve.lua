--- From what a project asks for to the packages that it gets: packages ask for packages, and of each there is one, in a
-- version that suits all who ask.

local entries = require "deps.entries"
local err = require "err"
local fs = require "dex.fs"
local hub = require "deps.hub"
local root = require "project.root"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- A package in the one version that it will be installed in.
---@class dex.Pinned
---@field kind string
---@field name string of its project
---@field dir string|nil where it lies already; an archive of an index is fetched when it is installed
---@field url string|nil of such an archive
---@field lock table dict for the lock file
---@field label string
---@field version string for people
---@field latest string|nil the newest version, when that is another one
---@field entries dex.PackageEntry[] what it asks for itself

local function where_of(job, entry, label)
  return { label = label, file = entry.file, line = entry.line, base = entry.base, warn = job.warn }
end

local function read_package(job, dir, where)
  if not fs.exists(dir .. "/dbt_project.yml") and not fs.exists(dir .. "/dex_project.yml") then
    err.raise { code = 119, message = ("package %s holds no dbt_project.yml"):format(where.label), file = where.file,
      line = where.line }
  end
  local package = root.read(dir, where.label .. "/")
  return package.name, entries.read(package, { vars = job.vars, secrets = job.secrets })
end

-- Pinning, by kind ------------------------------------------------------------------------------------

local pin = {}

-- The folder of a local package: relative to the package that asks, or, as dbt has it, to the root.
local function local_dir(job, entry)
  local path = entry.data["local"]
  for _, base in ipairs { path:sub(1, 1) == "/" and "" or entry.base .. "/", job.root.dir .. "/" } do
    if fs.isdir(base .. path) then return fs.realpath(base .. path) end
  end
  err.raise { code = 119, message = ("the local package '%s' does not exist"):format(path), file = entry.file,
    line = entry.line }
end

pin["local"] = function(job, list)
  local entry = list[1]
  local dir = local_dir(job, entry)
  local name, more = read_package(job, dir, where_of(job, entry, entry.data["local"]))
  local path = entry.data["local"]
  local prefix = job.root.dir .. "/"
  if entry.base ~= job.root.dir and dir:sub(1, #prefix) == prefix then path = dir:sub(#prefix + 1) end
  return { name = name, dir = dir, entries = more, lock = value.dict("local", path),
    version = "<local @ " .. path .. ">" }
end

-- The address as a message may show it: without user and token.
local function plain_url(url) return (url:gsub("^(%a[%w+.-]*://)[^/@]*@", "%1")) end

function pin.git(job, list)
  local entry = list[1]
  local url, raw = entry.data.git, entry.raw.git
  local revision, asked, warn = nil, {}, true
  for _, other in ipairs(list) do
    local given = opt(other.data.revision)
    if given ~= nil and not asked[tostring(given)] then
      asked[tostring(given)] = true
      if revision then
        err.raise { code = 119, message = ("package %s is asked for in several revisions: %s and %s"):format(
          plain_url(url), revision, tostring(given)), file = other.file, line = other.line }
      end
      revision = tostring(given)
    end
    if opt(other.data["warn-unpinned"]) == false or opt(other.data.warn_unpinned) == false then warn = false end
  end
  revision = revision or "HEAD"
  local where = where_of(job, entry, plain_url(url))
  if warn and (revision == "HEAD" or revision == "main" or revision == "master") then
    job.warn { code = 140, message = ("package %s is pinned to no version: it is whatever %s is today"):format(
      where.label, revision), file = entry.file, line = entry.line,
      hint = "`revision:` names a tag or a commit; `warn-unpinned: false` is for those who mean it" }
  end
  local dir, commit = job.downloads:git(url, revision, where)
  local sub = opt(entry.data.subdirectory)
  if sub then
    local below = fs.realpath(dir .. "/" .. sub)
    if not below or below:sub(1, #fs.realpath(dir) + 1) ~= fs.realpath(dir) .. "/" then
      err.raise { code = 119, message = ("package %s has no folder '%s'"):format(where.label, sub), file = entry.file,
        line = entry.line }
    end
    dir = below
  end
  local name, more = read_package(job, dir, where)
  local lock = value.dict("git", raw, "revision", commit)
  if sub then lock.subdirectory = sub end
  return { name = name, dir = dir, entries = more, lock = lock, label = where.label,
    version = ("revision %s"):format(commit) }
end

function pin.tarball(job, list)
  local entry = list[1]
  local where = where_of(job, entry, entry.data.name)
  local dir = job.downloads:archive(entry.data.tarball, where)
  local _, more = read_package(job, dir, where)
  return { name = entry.data.name, dir = dir, entries = more, label = entry.data.name,
    lock = value.dict("tarball", entry.raw.tarball),
    version = ("tarball (url: %s)"):format(plain_url(entry.data.tarball)) }
end

function pin.hub(job, list)
  local entry = list[1]
  local name = entry.data.package
  local where = where_of(job, entry, name)
  local version, latest, info = hub.pin(job.downloads, list, where)
  local downloads = opt(info.downloads)
  local url = downloads and opt(downloads.tarball)
  if not url then
    err.raise { code = 119, message = ("package %s: the index gives no archive of version %s"):format(name, version),
      file = entry.file, line = entry.line }
  end
  local more = {}
  for i, data in ipairs(opt(info.packages) or {}) do
    more[i] = entries.make(data, data, { file = name .. " " .. version, base = entry.base })
  end
  return { name = opt(info.name) or name:match("[^/]+$"), url = url, entries = more, label = name,
    lock = value.dict("package", name, "version", version), version = "version " .. version,
    latest = latest ~= version and latest or nil }
end

--- Pins the one package that several entries ask for. May wait.
---@param job dex.DepsJob
---@param list dex.PackageEntry[]
---@return dex.Pinned
function M.pin(job, list)
  local pinned = pin[list[1].kind](job, list)
  pinned.kind, pinned.entry = list[1].kind, list[1]
  pinned.label = pinned.label or pinned.name
  pinned.lock.name = pinned.name
  return pinned
end

-- Resolving -------------------------------------------------------------------------------------------

-- What makes two entries the same package.
local function key_of(job, entry)
  local d = entry.data
  if entry.kind == "git" then return "git " .. d.git:gsub("%.git$", "") .. "/" .. (opt(d.subdirectory) or "") end
  if entry.kind == "local" then return "local " .. local_dir(job, entry) end
  return entry.kind .. " " .. (d.package or d.tarball)
end

local function check_circle(chain, key, name, entry)
  for i, link in ipairs(chain) do
    if link.key == key then
      local names = {}
      for k = i, #chain do names[#names + 1] = chain[k].name end
      names[#names + 1] = name or chain[i].name
      err.raise { code = 126, message = "packages ask for each other in a circle: " .. table.concat(names, " -> "),
        file = entry.file, line = entry.line }
    end
  end
end

local function check_names(job, list)
  local seen = { [job.root.name] = { label = "the project itself" } }
  for _, pinned in ipairs(list) do
    local other = seen[pinned.name]
    if other then
      err.raise { code = 119, message = ("two packages have the name '%s': %s and %s"):format(pinned.name, other.label,
        pinned.label), file = pinned.entry.file, line = pinned.entry.line,
        hint = "the same package from two places? Keep one of them" }
    end
    if not pinned.name:find("^[%w_-]+$") then
      err.raise { code = 119, message = ("'%s' is no name for a package"):format(pinned.name), file = pinned.entry.file,
        line = pinned.entry.line }
    end
    seen[pinned.name] = pinned
  end
end

--- What a resolution works with.
---@class dex.DepsJob
---@field root table the root project, read
---@field vars table dict of --vars
---@field secrets string[]
---@field downloads dex.Downloads
---@field warn fun(fields: table)

--- Every package that is needed, directly or by others, each pinned. May wait.
---@param job dex.DepsJob
---@param list dex.PackageEntry[]
---@return dex.Pinned[]
function M.all(job, list)
  local wishes, order, pinned = {}, {}, {}
  local pending = {}
  for i, entry in ipairs(list) do
    pending[i] = { entry = entry, chain = { { key = "local " .. fs.realpath(job.root.dir), name = job.root.name } } }
  end
  local at = 1
  while pending[at] do
    local entry, chain = pending[at].entry, pending[at].chain
    at = at + 1
    local key = key_of(job, entry)
    check_circle(chain, key, pinned[key] and pinned[key].name, entry)
    if not wishes[key] then
      wishes[key] = {}
      order[#order + 1] = key
    end
    table.insert(wishes[key], entry)
    local now = M.pin(job, wishes[key])
    local known = pinned[key]
    pinned[key] = now
    if not known or known.version ~= now.version then
      local longer = table.move(chain, 1, #chain, 1, {})
      longer[#longer + 1] = { key = key, name = now.name }
      for _, further in ipairs(now.entries) do pending[#pending + 1] = { entry = further, chain = longer } end
    end
  end
  local all = {}
  for i, key in ipairs(order) do all[i] = pinned[key] end
  check_names(job, all)
  return all
end

return M
