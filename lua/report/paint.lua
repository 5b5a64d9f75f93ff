--- Colours of the terminal, when there are any.

local M = {}

local codes = { red = "31", green = "32", yellow = "33", blue = "34", grey = "90", bold = "1" }

--- Whether to paint: --use-colors decides, then NO_COLOR, then whether `fd` is a terminal.
---@param wanted boolean|nil what --use-colors says
---@param fd integer
---@return boolean
function M.wanted(wanted, fd)
  if wanted ~= nil then return wanted end
  local env = require "dex.env"
  local no_color = env.get("NO_COLOR")
  if no_color and no_color ~= "" then return false end
  return require("dex.term").isatty(fd) and env.get("TERM") ~= "dumb"
end

--- A function that paints text in a style, or leaves it alone.
---@param on boolean
---@return fun(style: string, text: string): string
function M.painter(on)
  if not on then return function(_, text) return text end end
  return function(style, text) return "\27[" .. codes[style] .. "m" .. text .. "\27[0m" end
end

return M
