--- `--log-format json`: one event a line on standard output; with `debug` the same events as text.

local events = require "report.events"
local lines = require "report.lines"
local term = require "dex.term"

local M = {}

--- A reporter with the methods of report/terminal.lua.
---@param opts {level: string, quiet: boolean, print: boolean|nil, format: string, command: string,
---  invocation_id: string, fd: integer|nil}
function M.new(opts)
  local as_text = opts.format == "debug"
  local report
  report = events.new { command = opts.command, level = opts.quiet and "error" or opts.level, print = opts.print,
    emit = function(event)
      local line = as_text and lines.text(event) or lines.json(event, opts.invocation_id)
      if report.broken then return end
      local ok, e = pcall(term.write, opts.fd or 1, line .. "\n")
      if not ok then report.broken = e end -- as in report/terminal.lua
    end }
  report.tick = function() end
  return report
end

return M
