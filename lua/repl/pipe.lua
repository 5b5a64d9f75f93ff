--- Lines from a text that is there already: what came through a pipe.

local term = require "dex.term"

local M = {}

local Pipe = { terminal = false }
Pipe.__index = Pipe

--- A reader (repl/prompt.lua) of a text, which writes to standard output.
---@param text string
function M.new(text)
  local following = (text:sub(-1) == "\n" and text or text .. "\n"):gmatch("(.-)\r?\n")
  return setmetatable({ following = text == "" and function() end or following }, Pipe)
end

function Pipe:line() return self.following() end

function Pipe.write(_, text) term.write(1, (text:gsub("\n*$", "")) .. "\n") end

function Pipe.width() return term.isatty(1) and term.width() or 80 end

return M
