--- The settings in the comment at the head of a Python or Lua file:
--
--   # config:
--   #   description: Loads the day's rates
--   #   tags: [nightly]
--
-- The comment is YAML from its line `config:` to the first line that is no comment, or is indented no more than that.

local err = require "err"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

-- The comment's lines without their mark, each at the line that it has in the file.
local function text_of(source, mark)
  local lines, found, n = {}, nil, 0
  for line in (source .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    local comment = line:sub(1, #mark) == mark and line:sub(#mark + 1) or nil
    if found then
      if not comment or comment:find("%S") and #comment:match("^%s*") <= found.indent then break end
      lines[n] = comment
    elseif comment then
      local indent = comment:match("^(%s*)config:%s*$")
      if indent then found = { indent = #indent, line = n } end
      lines[n] = indent and comment or ""
    elseif line:find("%S") then
      break
    else
      lines[n] = ""
    end
  end
  return found and table.concat(lines, "\n"), found and found.line
end

--- Reads the head of a file. Raises code 103 or 122 with the line of what is wrong.
---@param source string
---@param mark string "#" or "--", which begins a comment
---@param display string the file as messages name it
---@return table|nil settings dict; nil without such a comment
---@return table|nil lines of dex.yaml
---@return integer|nil line of `config:`
function M.read(source, mark, display)
  local text, line = text_of(source, mark)
  if not text then return nil end
  local content, lines = yaml.decode(text, display)
  local settings = value.opt(content.config)
  if settings == nil then return value.dict(), lines, line end
  if not value.is_dict(settings) then
    err.raise { code = 122, message = "`config:` in the head of the file must be a mapping", file = display,
      line = line }
  end
  return settings, lines, line
end

return M
