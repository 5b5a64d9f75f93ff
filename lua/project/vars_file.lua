--- The root project's variables: `vars:` of the project file, or the file vars.yml beside it.

local err = require "err"
local fs = require "dex.fs"
local lines_of = require("project.lines").of
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

--- The variables of a package's files. Raises when both places have some.
---@param package dex.Package rendered
---@return table dict
function M.load(package)
  local own = value.opt(package.config.vars)
  local path = package.dir .. "/vars.yml"
  if not fs.exists(path) then return own or value.dict() end
  local display = package.prefix .. "vars.yml"
  local content, lines = yaml.decode(fs.read(path), display)
  local found = value.is_dict(content) and value.opt(content.vars)
  if found == nil or found == false then return own or value.dict() end
  if not value.is_dict(found) then
    err.raise { code = 102, message = "`vars` must be a mapping", file = display,
      line = lines_of(lines, content, "vars") }
  end
  if own and #own > 0 then
    err.raise { code = 102, message = ("variables stand in both vars.yml and %s: keep one of them"):format(
      package.file),
      file = display, line = lines_of(lines, content, "vars") }
  end
  return found
end

return M
