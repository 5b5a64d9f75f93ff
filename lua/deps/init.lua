--- The packages of a project, brought into its folder of packages (dbt_packages): `dex-lua deps`, and the first command
-- of a project whose packages are missing.

local context = require "project.context"
local entries = require "deps.entries"
local err = require "err"
local fetch = require "deps.fetch"
local fs = require "dex.fs"
local lock = require "deps.lock"
local resolve = require "deps.resolve"
local value = require "jinja.value"

local M = {}

--- The folder of packages of a root project.
---@param package table
---@return string absolute
function M.folder(package)
  local path = package.packages_install_path
  return path:sub(1, 1) == "/" and path or package.dir .. "/" .. path
end

-- Puts one package into the folder that becomes the folder of packages.
local function place(job, pinned, folder)
  local to = folder .. "/" .. pinned.name
  if pinned.kind == "local" then return fs.symlink(pinned.dir, to) end
  local dir = pinned.dir or job.downloads:archive(pinned.url, { label = pinned.label, base = job.root.dir,
    file = pinned.entry.file, line = pinned.entry.line })
  fs.rename(dir, to)
  fs.remove_tree(to .. "/.git")
end

-- Links are removed, not what they point to. Of several commands that find the packages missing, the first one that has
-- them puts them there, and the others leave it at that.
local function replace(job, new)
  local folder = M.folder(job.root)
  if job.was_there then fs.remove_tree(folder) end
  local ok, e = pcall(fs.rename, new, folder)
  if not ok and (job.was_there or not fs.isdir(folder)) then error(e, 0) end
end

local function install(job, list)
  local new = job.downloads.dir .. "/packages"
  fs.mkdirs(new)
  for _, pinned in ipairs(list) do
    job.log("info", "Installing " .. pinned.label)
    place(job, pinned, new)
    job.log("info", ("  Installed %s%s"):format(pinned.version, pinned.latest
      and (", and version %s is there"):format(pinned.latest) or ""))
  end
  replace(job, new)
end

-- The lock file when it belongs to what the project asks for now.
local function valid_lock(job, checksum)
  local found = lock.read(job.root, context.profile(job.vars, job.secrets))
  return found and found.checksum == checksum and found or nil
end

local function pinned_by(job, found)
  local list = {}
  for i, entry in ipairs(found.entries) do list[i] = resolve.pin(job, { entry }) end
  return list
end

local function work(job, opts)
  local list = entries.read(job.root, { vars = job.vars, secrets = job.secrets, warn = job.warn })
  if #list == 0 then
    job.log("info", "no packages are asked for: packages.yml names them")
    return
  end
  local checksum = lock.checksum(list)
  local found = not opts.upgrade and valid_lock(job, checksum)
  local pinned
  if found and not opts.lock then
    job.quiet = true
    pinned = pinned_by(job, found)
  elseif not found then
    pinned = resolve.all(job, list)
    local dicts = {}
    for i, one in ipairs(pinned) do dicts[i] = one.lock end
    lock.write(job.root, dicts, checksum)
    job.log("info", "Updated " .. job.root.prefix .. lock.name)
  end
  if not opts.lock then install(job, pinned) end
end

--- Installs the packages of a project, as its lock file says or, when it asks for others than that, as is resolved
--- anew. What is installed already is replaced only when all of it has come. May wait.
---@param package table the root project, read (lua/project/root.lua)
---@param opts {vars: table, upgrade: boolean|nil, lock: boolean|nil, log: function, warn: function, secrets: table|nil}
---  `upgrade` ignores the lock file, `lock` writes only that
function M.install(package, opts)
  local folder = M.folder(package)
  local above = folder:match("^(.*)/")
  fs.mkdirs(above)
  local dir = fs.temporary(above .. "/.dex-packages-")
  local job = { root = package, vars = opts.vars or value.dict(), secrets = opts.secrets or {},
    downloads = fetch.new(dir), log = opts.log, was_there = fs.exists(folder) }
  function job.warn(fields)
    if not job.quiet then opts.warn(err.new(fields)) end
  end
  local ok, e = pcall(work, job, opts)
  fs.remove_tree(dir)
  if not ok then error(e, 0) end
end

return M
