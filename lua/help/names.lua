--- The names of a project for the completion of command lines: target/names.txt, written by whoever has read the
-- project, so that completing costs no reading. A line is a kind, a tab and a name.

local fs = require "dex.fs"
local value = require "jinja.value"

local M = {}

local FILE = "names.txt"
local opt = value.opt

local function of_node(add, node)
  local kind = node.resource_type
  if kind == "test" or kind == "unit_test" or kind == "operation" then return end
  if kind == "source" then
    add("source", ("source:%s.%s"):format(node.source_name, node.name))
  else
    add("node", node.name)
  end
  for _, tag in ipairs(opt(node.tags) or {}) do add("tag", "tag:" .. tag) end
end

--- The names of a project, as they stand in the file.
---@param project dex.Project
---@return string
function M.text(project)
  local lines, seen = {}, {}
  local function add(kind, name)
    local line = kind .. "\t" .. name
    if not seen[line] then
      seen[line] = true
      lines[#lines + 1] = line
    end
  end
  require("project.members").each(project, function(_, node) of_node(add, node) end)
  for name in pairs(project.operations) do add("operation", name) end
  for _, selector in ipairs(project.selectors.list) do add("selector", selector.name) end
  for name, macro in pairs(project.macro_index[project.name] or {}) do
    if macro.unique_id then add("macro", name) end
  end
  for _, name in ipairs(project.profile.targets or {}) do add("target", name) end
  table.sort(lines)
  return table.concat(lines, "\n") .. "\n"
end

--- Writes the names of a project. A folder that cannot be written to is none of the command's business.
---@param project dex.Project
function M.write(project)
  pcall(function()
    fs.mkdirs(project.target_path)
    fs.update(project.target_path .. "/" .. FILE, project.stored and project.stored:text "names" or M.text(project))
  end)
end

--- The names by kind; empty when no command has read the project yet.
---@param dir string folder of artifacts
---@return table<string, string[]>
function M.read(dir)
  local path, found = dir .. "/" .. FILE, {}
  if not fs.exists(path) then return found end
  for kind, name in fs.read(path):gmatch("([^\t\n]+)\t([^\n]+)") do
    found[kind] = found[kind] or {}
    table.insert(found[kind], name)
  end
  return found
end

return M
