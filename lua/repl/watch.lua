--- Which files of a project have changed since it was read.

local fs = require "dex.fs"

local M = {}

-- Folders at the root that hold no source.
local function skipped(project)
  local names = { [".git"] = true, [".dex"] = true, logs = true, target = true, dbt_packages = true,
    node_modules = true }
  local target = project.target_path
  if target and target:sub(1, #project.root + 1) == project.root .. "/" then
    names[target:sub(#project.root + 2):match("^[^/]+")] = true
  end
  return names
end

--- What stands there now: path -> when and how large.
---@param project table
---@return table<string, string>
function M.look(project)
  local found, skip = {}, skipped(project)
  local function note(path)
    local stat = fs.stat(path)
    if stat and stat.type == "file" then found[path] = ("%.6f %d"):format(stat.mtime, stat.size) end
  end
  for _, name in ipairs(fs.list(project.root)) do
    local path = project.root .. "/" .. name
    if not skip[name] then
      if fs.isdir(path) then
        local ok, paths = pcall(fs.walk, path)
        for _, each in ipairs(ok and paths or {}) do note(path .. "/" .. each) end
      else
        note(path)
      end
    end
  end
  if project.profile.file then note(project.profile.file) end
  return found
end

--- What is different from an earlier look, in words; nil when nothing is.
---@param project table
---@param before table<string, string>
---@return string|nil
function M.changes(project, before)
  local now, list = M.look(project), {}
  local function add(path, what)
    local shown = path:sub(1, #project.root + 1) == project.root .. "/" and path:sub(#project.root + 2) or path
    list[#list + 1] = ("%s %s"):format(shown, what)
  end
  for path, stamp in pairs(now) do
    if not before[path] then add(path, "is new") elseif before[path] ~= stamp then add(path, "has changed") end
  end
  for path in pairs(before) do
    if not now[path] then add(path, "is gone") end
  end
  if #list == 0 then return nil end
  table.sort(list)
  return list[1] .. (#list > 1 and (" and %d more"):format(#list - 1) or "")
end

return M
