--- `dex-lua flow ls|show|next|pause|resume|run|rerun|cancel|mark|history`.

local err = require "err"

local M = {}

local modules = { ls = "flow.show", show = "flow.show", next = "flow.show", pause = "flow.show",
  resume = "flow.show", run = "command.flow_run", rerun = "command.flow_run", cancel = "command.flow_history",
  mark = "command.flow_history", history = "command.flow_history" }
local names = { "cancel", "history", "ls", "mark", "next", "pause", "rerun", "resume", "run", "show" }

-- What works with the history alone reads no project.
local reads_project = { ls = true, show = true, next = true, pause = true, resume = true, run = true, rerun = true }

--- Runs the action that the first word names. May wait.
---@param job table of lua/pipeline.lua
---@return integer status
function M.dispatch(job)
  local action = job.words[1] or "ls"
  if not modules[action] then
    err.raise { code = 101, message = ("flow has no action '%s'"):format(action), hint = err.did_you_mean(action, names)
      or "it is " .. table.concat(names, ", ") }
  end
  if reads_project[action] then require("command.steps").load(job) end
  return require(modules[action])[action](job)
end

return M
