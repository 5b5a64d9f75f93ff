--- The packages of a project: those installed in its folder of packages (dbt_packages), and local ones that
-- packages.yml names by their path. lua/deps installs them.

local context = require "project.context"
local deps = require "deps"
local entries = require "deps.entries"
local err = require "err"
local fs = require "dex.fs"
local lines_of = require("project.lines").of
local lock = require "deps.lock"
local root = require "project.root"
local value = require "jinja.value"

local M = {}

local function installed(dir)
  local found = {}
  if not fs.isdir(dir) then return found end
  for _, name in ipairs(fs.list(dir)) do
    if name:sub(1, 2) ~= "__" and name:sub(1, 1) ~= "." and fs.isdir(dir .. "/" .. name) then
      found[#found + 1] = name
    end
  end
  table.sort(found)
  return found
end

-- The folder name that an entry is expected to have.
local function folder_name(entry)
  local data = entry.data
  local named = value.opt(data.name) or data.package or data.git or data.tarball
  return tostring(named):gsub("%.git$", ""):match("[^/]+$") or "?"
end

local function forget(project, package)
  for i, other in ipairs(project.packages) do
    if other == package then table.remove(project.packages, i) end
  end
  project.packages[package.name], project.vars.files[package.name] = nil, nil
end

-- `is_installed`: it stands in the folder of packages, where dbt may have put a copy of a local package: the local
-- one itself is read then.
local function add(project, dir, prefix, opts, is_installed)
  local package = root.read(dir, prefix)
  package.is_installed = is_installed
  local other = project.packages[package.name]
  if other then
    if other.dir == package.dir then return end
    if other.is_installed and not is_installed then
      forget(project, other)
    else
      err.raise { code = 119, message = ("two packages have the name '%s': %s and %s"):format(package.name, other.file,
        package.file), file = package.file, line = lines_of(package.lines, package.raw, "name") }
    end
  end
  root.render(package, { context = context.project_file(value.dict(), opts.target),
    version_check = project.version_check }, project.problems)
  project.packages[#project.packages + 1] = package
  project.packages[package.name] = package
  project.vars.files[package.name] = value.opt(package.config.vars) or value.dict()
  return package
end

local function names_of(chain, from)
  local names = {}
  for i = from, #chain do names[#names + 1] = chain[i].name end
  names[#names + 1] = chain[from].name
  return table.concat(names, " -> ")
end

-- Local packages are read where they are; their own local packages too. `chain` is who asked for whom.
local function add_local(project, chain, opts)
  local package = chain[#chain]
  for _, entry in ipairs(entries.read(package, opts)) do
    local path = entry.kind == "local" and entry.data["local"]
    if path then
      local prefix = path:sub(1, 1) == "/" and "" or package.prefix
      local dir = path:sub(1, 1) == "/" and path or package.dir .. "/" .. path
      if not fs.isdir(dir) then dir, prefix = project.packages[1].dir .. "/" .. path, "" end -- where dbt looks
      if not fs.isdir(dir) then
        err.raise { code = 119, message = ("the local package '%s' does not exist"):format(path), file = entry.file,
          line = entry.line }
      end
      local real = fs.realpath(dir)
      for i, link in ipairs(chain) do
        if fs.realpath(link.dir) == real then
          err.raise { code = 126, message = "packages ask for each other in a circle: " .. names_of(chain, i),
            file = entry.file, line = entry.line }
        end
      end
      local known
      for _, other in ipairs(project.packages) do known = fs.realpath(other.dir) == real and other or known end
      local added = known or add(project, real, prefix .. path .. "/", opts)
      if added then
        local longer = table.move(chain, 1, #chain, 1, {})
        longer[#longer + 1] = added
        add_local(project, longer, opts)
      end
    end
  end
end

-- What is asked for and not installed, as names; nil when nothing is. The lock file knows the names for certain;
-- without it they are guessed, and as many packages as are asked for are taken for the right ones.
local function missing(package, wanted, there, opts)
  local present = {}
  for _, name in ipairs(there) do present[name] = true end
  local absent, remote, first = {}, 0, nil
  local locked = lock.read(package, context.profile(opts.vars, {}))
  if locked and locked.checksum == lock.checksum(wanted) then
    for _, entry in ipairs(locked.entries) do
      local name = value.opt(entry.data.name)
      if entry.kind ~= "local" and name and not present[name] then
        absent[#absent + 1], first = name, first or wanted[1]
      end
    end
  else
    for _, entry in ipairs(wanted) do
      if entry.kind ~= "local" then
        remote = remote + 1
        if not present[folder_name(entry)] then
          absent[#absent + 1], first = folder_name(entry), first or entry
        end
      end
    end
    if #there >= remote then return nil end
  end
  return absent[1] and absent, first
end

local function warn_with(project) return function(fields) project.problems:warn(fields) end end

--- Adds the packages to project.packages, after the root.
---@param project table with `packages` = {root}, `vars`, `problems`
---@param opts {vars: table, target: table, install: fun(package: table)|nil} `install` brings what is missing
function M.load(project, opts)
  local package = project.packages[1]
  local dir = deps.folder(package)
  local wanted = entries.read(package, { vars = opts.vars, warn = warn_with(project) })
  local absent, first = missing(package, wanted, installed(dir), opts)
  if absent and opts.install then
    opts.install(package)
  elseif absent then
    err.raise { code = 119, message = ("%s not installed in %s: %s"):format(#absent == 1 and "a package is"
      or "packages are", package.prefix .. package.packages_install_path, table.concat(absent, ", ")),
      file = first.file, line = first.line, hint = "run `dex-lua deps`" }
  end
  local folder = package.packages_install_path
  local prefix = folder:sub(1, 1) == "/" and folder or package.prefix .. folder
  for _, name in ipairs(installed(dir)) do
    local display = prefix .. "/" .. name .. "/"
    project.problems:try(nil, add, project, fs.realpath(dir .. "/" .. name), display, opts, true)
  end
  add_local(project, { package }, opts)
end

return M
