--- The report of a command that runs beside the prompt: a line for what failed, and one at the end.

local errors = require "report.errors"

local M = {}

local Aside = {}
Aside.__index = Aside

local bad = { error = true, fail = true, warn = true }

--- A report (report/outlets.lua).
---@param workspace repl.Workspace
---@param name string the command
function M.new(workspace, name)
  return setmetatable({ workspace = workspace, name = name, counts = {}, order = {},
    policy = workspace.job.report.policy }, Aside)
end

function Aside:event(what, data)
  if what ~= "node_end" then return end
  if not self.counts[data.status] then self.order[#self.order + 1] = data.status end
  self.counts[data.status] = (self.counts[data.status] or 0) + 1
  if bad[data.status] then
    self.workspace:say(("%s: %s %s%s"):format(self.name, data.status, data.name,
      data.message and ": " .. tostring(data.message) or ""))
  end
end

function Aside:log(level, text)
  if level == "warn" or level == "error" or level == "print" then self.workspace:say(text) end
end

function Aside:warning(e) self.workspace.job.report:warning(e) end

function Aside:failure(e) self.workspace:say(errors.format(e, { width = self.workspace.reader:width() })) end

function Aside:finish(how)
  local parts = {}
  for _, status in ipairs(self.order) do parts[#parts + 1] = ("%d %s"):format(self.counts[status], status) end
  self.workspace:say(("%s %s in %.1fs: %s"):format(self.name, how.cancelled and "was cancelled" or "ended", how.seconds,
    #parts > 0 and table.concat(parts, ", ") or "nothing to do"))
end

-- What is said beside the prompt is no part of the history.
function Aside.attach() end

function Aside.debugging() return false end

function Aside.tick() end

return M
