--- Finds the files of a package: every folder is walked once, however many kinds of files lie in it.

local fs = require "dex.fs"

local M = {}

---@class dex.File
---@field path string relative to the folder that was searched: dbt's `path`
---@field original string relative to the package: dbt's `original_file_path`
---@field abs string
---@field display string as messages name it
---@field name string file name without its extension

local function ignored_in(package)
  if package.ignored == nil then
    local path = package.dir .. "/.dbtignore"
    package.ignored = fs.exists(path) and require("project.ignore").compile(fs.read(path)) or false
  end
  return package.ignored
end

local function walk(package, folder)
  package.walked = package.walked or {}
  local found = package.walked[folder]
  if not found then
    local dir = package.dir .. "/" .. folder
    found = fs.isdir(dir) and fs.walk(dir) or {}
    package.walked[folder] = found
  end
  return found
end

--- The files with one of these endings below these folders, sorted by path within each folder. Files that
--- begin with `.`, `#` or `~`, and files that .dbtignore names, are left out.
---@param package table
---@param folders string[] relative to the package
---@param extensions string[] such as ".sql"
---@return dex.File[]
function M.find(package, folders, extensions)
  local found, seen = {}, {}
  local ignored = ignored_in(package)
  local wanted = {}
  for _, extension in ipairs(extensions) do wanted[extension] = true end
  for _, folder in ipairs(folders) do
    folder = folder:gsub("^%./", ""):gsub("/+$", "")
    for _, path in ipairs(walk(package, folder)) do
      local name, extension = path:match("([^/]*)(%.[^./]*)$")
      if name and wanted[extension:lower()] and not name:find("^[.#~]") and (name ~= "") then
        local original = folder == "" and path or folder .. "/" .. path
        if not seen[original] and not (ignored and ignored(original)) then
          seen[original] = true
          found[#found + 1] = { path = path, original = original, abs = package.dir .. "/" .. original,
            display = package.prefix .. original, name = name }
        end
      end
    end
  end
  return found
end

return M
