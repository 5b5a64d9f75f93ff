--- What a person says of a task of a run that has ended: that it is done, may be skipped, or has failed after all.

local err = require "err"
local state = require "state"

local M = {}

local bad = { failed = true, upstream_failed = true, timed_out = true, cancelled = true }

-- What a run is when one of its tasks has another status.
local function settle(store, row)
  local any_bad, any_good = false, false
  for _, task in ipairs(store:tasks(row.id)) do
    if not task.name:find "[/%[]" then -- what a node is made of counts with it
      any_bad = any_bad or bad[task.status] == true
      any_good = any_good or task.status == "success" or task.status == "warn"
    end
  end
  local status = not any_bad and "success" or any_good and "partial" or "failed"
  if status ~= row.status and state.status.can("marked_runs", row.status, status) then
    store:set_run(row.id, status, { marked = true })
  end
  return status
end

--- Marks a task, and gives its run the outcome that follows from that. Raises 638 while the run goes on, 655 for an
--- unknown run or task, 656 for a status that it cannot get.
---@param store dex.Store
---@param id string
---@param task string
---@param status "success"|"skipped"|"failed"
---@param by string who says so
---@return string status of the run
function M.task(store, id, task, status, by)
  local row = store:find_run(id)
  if not state.status.is_final("runs", row.status) then
    err.raise { code = 638, message = ("run %s is %s: what ends by itself is not marked"):format(row.id, row.status),
      hint = "end it with `dex-lua flow cancel`" }
  end
  local now
  store:batch(function()
    store:set_task(row.id, task, status, { marked_by = by, message = ("marked as %s by %s"):format(status, by) })
    now = settle(store, row)
  end)
  return now
end

return M
