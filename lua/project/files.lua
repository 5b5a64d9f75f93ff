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

-- The files below a folder by their ending, each with its place among all.
local function walk(package, folder)
  package.walked = package.walked or {}
  local found = package.walked[folder]
  if found then return found end
  found = {}
  package.walked[folder] = found
  local dir = package.dir .. "/" .. folder
  for at, path in ipairs(fs.isdir(dir) and fs.walk(dir) or {}) do
    local name, extension = path:match("([^/]*)(%.[^./]*)$")
    if name and name ~= "" and not name:find("^[.#~]") then
      extension = extension:lower()
      found[extension] = found[extension] or {}
      table.insert(found[extension], { path = path, name = name, at = at })
    end
  end
  return found
end

-- Those with one of these endings, in order.
local function with_endings(walked, extensions)
  if not extensions[2] then return walked[extensions[1]] or {} end
  local found = {}
  for _, extension in ipairs(extensions) do
    local files = walked[extension] or {}
    table.move(files, 1, #files, #found + 1, found)
  end
  table.sort(found, function(a, b) return a.at < b.at end)
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
  for _, folder in ipairs(folders) do
    folder = folder:gsub("^%./", ""):gsub("/+$", "")
    for _, file in ipairs(with_endings(walk(package, folder), extensions)) do
      local path = file.path
      local original = folder == "" and path or folder .. "/" .. path
      if not seen[original] and not (ignored and ignored(original)) then
        seen[original] = true
        found[#found + 1] = { path = path, original = original, abs = package.dir .. "/" .. original,
          display = package.prefix .. original, name = file.name }
      end
    end
  end
  return found
end

return M
