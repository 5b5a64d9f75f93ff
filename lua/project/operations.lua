--- Operations: standalone SQL scripts below operations/, with an optional {{ config(...) }} of their own.

local config = require "project.config"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local jinja = require "jinja"
local literal = require "project.literal"
local scan = require "project.scan"
local value = require "jinja.value"

local M = {}

--- One operation.
---@class dex.Operation
---@field name string path below operations/ without .sql; of a package: its name and a slash before it
---@field package_name string
---@field file string absolute
---@field display string as messages name it
---@field source string
---@field template table compiled, when first read
---@field config table dict
---@field hooks table<string, dex.Hook[]> by phase
---@field unique_id string

local Operation = { __index = function(operation, key)
  if key ~= "template" then return nil end
  local template = jinja.compile(operation.source, { file = operation.display, line = 1 })
  rawset(operation, "template", template)
  return template
end }

-- The arguments of the config() calls in a source. Anything else in it is for when it runs.
local function settings_of(project, operation)
  local capture = scan.new_capture()
  for at, call in operation.source:gmatch("{{[-+]?%s*()(config%s*%b())%s*[-+]?}}") do
    local found = literal.call(call) and scan.python("dbt." .. call)
    if not found then
      local _, newlines = operation.source:sub(1, at):gsub("\n", "")
      found = scan.new_capture()
      local node = value.dict("name", operation.name, "package_name", operation.package_name, "resource_type",
        "operation",
        "unique_id", operation.unique_id)
      local template = jinja.compile("{{ " .. call .. " }}", { file = operation.display, line = newlines + 1 })
      template:render(require("run.context").parse_context(project, node, found))
    end
    for k, v in pairs(found.config) do capture.config[k] = v end
  end
  return capture.config
end

local known = { description = "a text", transaction = "true or false", tags = "a list", meta = "a mapping",
  timeout = "seconds", retries = "a whole number", lock = "a text", args = "a mapping" }

local function load_one(project, package, file)
  local root = package == project.packages[1]
  local name = (file.path:gsub("%.sql$", ""))
  if not root then name = package.name .. "/" .. name end
  local operation = setmetatable({ name = name, package_name = package.name, file = file.abs, display = file.display,
    source = fs.read(file.abs), unique_id = ("operation.%s.%s"):format(package.name, (file.path:gsub("%.sql$", ""))) },
    Operation)
  local settings = settings_of(project, operation)
  local level = config.level(settings, { what = ("operation '%s'"):format(name), place = "config", file = file.display,
    line = 1 }, project.problems)
  for key, v in pairs(level.settings) do
    if key == "transaction" and type(v) ~= "boolean" then
      err.raise { code = 122, message = ("operation '%s': `transaction` must be %s"):format(name, known.transaction),
        file = file.display, line = 1 }
    end
  end
  operation.config, operation.hooks = level.settings, level.hooks or {}
  for _, list in pairs(operation.hooks) do
    for i, hook in ipairs(list) do hook.index = i end
  end
  if root then local _ = operation.template end
  project.operations[name] = operation
end

--- Fills project.operations, by name. Those of the root project are compiled, so that their errors are found.
---@param project table
function M.load(project)
  project.operations = {}
  for _, package in ipairs(project.packages) do
    for _, file in ipairs(files.find(package, package.paths.operation, { ".sql" })) do
      project.problems:try({ file = file.display }, load_one, project, package, file)
    end
  end
end

return M
