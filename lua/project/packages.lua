--- The packages of a project: those installed under dbt_packages/, and local ones that packages.yml names by
-- their path. (Fetching packages is another command's work.)

local context = require "project.context"
local err = require "err"
local fs = require "dex.fs"
local lines_of = require("project.lines").of
local root = require "project.root"
local tree = require "project.tree"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

-- What a project asks for: {entry, file, line} in order.
local function wanted(project_root, opts)
  local found = {}
  for _, name in ipairs { "packages.yml", "dependencies.yml" } do
    local path = project_root.dir .. "/" .. name
    if fs.exists(path) then
      local display = project_root.prefix .. name
      local content, lines = yaml.decode(fs.read(path), display)
      local list = value.is_dict(content) and value.opt(content.packages)
      if list then
        if not value.is_list(list) then
          err.raise { code = 119, message = "`packages` must be a list", file = display, line = lines_of(lines, content,
            "packages") }
        end
        for i, entry in ipairs(list) do
          if value.is_dict(entry) then
            if name == "packages.yml" then
              entry = tree.render(entry, { context = context.profile(opts.vars, {}), file = display, lines = lines },
                { "packages", tostring(i - 1) })
            end
            found[#found + 1] = { entry = entry, file = display, line = lines_of(lines, list, i) }
          end
        end
      end
    end
  end
  return found
end

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
  local named = value.opt(entry.name) or value.opt(entry.package) or value.opt(entry.git) or value.opt(entry.tarball)
  return named and (tostring(named):gsub("%.git$", ""):match("[^/]+$")) or "?"
end

local function add(project, dir, prefix, opts)
  local package = root.read(dir, prefix)
  for _, other in ipairs(project.packages) do
    if other.name == package.name then
      if other.dir == package.dir then return end
      err.raise { code = 119, message = ("two packages have the name '%s': %s and %s"):format(package.name, other.file,
        package.file), file = package.file, line = lines_of(package.lines, package.raw, "name") }
    end
  end
  root.render(package, { context = context.project_file(value.dict(), opts.target) }, project.problems)
  project.packages[#project.packages + 1] = package
  project.packages[package.name] = package
  project.vars.files[package.name] = value.opt(package.config.vars) or value.dict()
  return package
end

-- Local packages are read where they are; their own local packages too.
local function add_local(project, package, opts)
  for _, want in ipairs(wanted(package, opts)) do
    local path = value.opt(want.entry["local"])
    if path then
      local dir = path:sub(1, 1) == "/" and path or package.dir .. "/" .. path
      if not fs.isdir(dir) then dir = project.packages[1].dir .. "/" .. path end -- where dbt looks
      if not fs.isdir(dir) then
        err.raise { code = 119, message = ("the local package '%s' does not exist"):format(path), file = want.file,
          line = want.line }
      end
      local real = fs.realpath(dir)
      local known
      for _, other in ipairs(project.packages) do known = known or fs.realpath(other.dir) == real end
      if not known then
        local added = add(project, real, (path:sub(1, 1) == "/" and path or package.prefix .. path) .. "/", opts)
        if added then add_local(project, added, opts) end
      end
    end
  end
end

--- Adds the packages to project.packages, after the root.
---@param project table with `packages` = {root}, `vars`, `problems`
---@param opts {vars: table, target: table}
function M.load(project, opts)
  local package = project.packages[1]
  local folder = package.packages_install_path
  local dir = package.dir .. "/" .. folder
  local there = installed(dir)
  local present = {}
  for _, name in ipairs(there) do
    present[name] = true
    project.problems:try(nil, add, project, dir .. "/" .. name, package.prefix .. folder .. "/" .. name .. "/", opts)
  end
  local remote, missing = 0, {}
  for _, want in ipairs(wanted(package, opts)) do
    if not value.opt(want.entry["local"]) then
      remote = remote + 1
      if not present[folder_name(want.entry)] then missing[#missing + 1] = want end
    end
  end
  if #there < remote and missing[1] then
    local names = {}
    for i, want in ipairs(missing) do names[i] = folder_name(want.entry) end
    err.raise { code = 119, message = ("%s not installed in %s: %s"):format(#names == 1 and "a package is"
      or "packages are", package.prefix .. folder, table.concat(names, ", ")), file = missing[1].file,
      line = missing[1].line }
  end
  add_local(project, package, opts)
end

return M
