--- The names of a project for the completion of command lines: target/names.txt, written by whoever has read the
-- project, so that completing costs no reading. A line is a kind, a tab and a name.

local fs = require "dex.fs"
local value = require "jinja.value"

local M = {}

local FILE, FLOWS = "names.txt", "flow_names.txt"
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

--- Writes the names of its flows, which only commands that work with flows have read.
---@param project dex.Project
---@param flows dex.Flow[]
function M.write_flows(project, flows)
  local lines = {}
  for i, flow in ipairs(flows) do lines[i] = ("flow\t%s\n"):format(flow.name) end
  pcall(function()
    fs.mkdirs(project.target_path)
    fs.update(project.target_path .. "/" .. FLOWS, table.concat(lines))
  end)
end

--- The names by kind; empty when no command has read the project yet.
---@param dir string folder of artifacts
---@return table<string, string[]>
function M.read(dir)
  local found = {}
  for _, file in ipairs { FILE, FLOWS } do
    local path = dir .. "/" .. file
    for kind, name in (fs.exists(path) and fs.read(path) or ""):gmatch("([^\t\n]+)\t([^\n]+)") do
      found[kind] = found[kind] or {}
      table.insert(found[kind], name)
    end
  end
  return found
end

return M
