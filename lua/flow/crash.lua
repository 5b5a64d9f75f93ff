--- Runs of flows whose process is gone: what the history says of them, and what becomes of it.

local value = require "jinja.value"

local M = {}

local open = { running = true, retrying = true, queued = true }

--- Marks a run whose process has ended as failed, with the tasks that it was at, so that `flow rerun ID --from failure`
--- can take it up; its sub-flows, too.
---@param store dex.Store
---@param run table its row, of store:stale_runs()
---@param flows dex.Flow[]|nil
---@return boolean whether its flow wants to be taken up by itself (`on_crash: retry`)
function M.settle(store, run, flows)
  local flow = flows and flows[run.name]
  store:batch(function()
    local now = store:run(run.id)
    if not now or now.status ~= "running" then return end -- somebody else has seen it
    for _, task in ipairs(store:tasks(run.id)) do
      local result = value.is_dict(task.result) and value.copy_dict(task.result) or value.dict()
      if open[task.status] then
        result.crashed = true
        store:set_task(run.id, task.name, "failed", { message = "its process ended before it did", result = result })
      elseif task.status == "waiting" then
        store:set_task(run.id, task.name, "cancelled", { message = "the process of the run ended" })
      end
    end
    store:set_run(run.id, "failed", { message = "its process ended before it did",
      result = value.dict("crashed", true) })
    for _, child in ipairs(store:runs { parent_id = run.id, open = true }) do M.settle(store, child, flows) end
  end)
  return flow ~= nil and flow.on_crash == "retry"
end

--- Marks all such runs of flows on this machine.
---@param store dex.Store
---@param flows dex.Flow[]|nil
function M.settle_all(store, flows)
  for _, run in ipairs(store:stale_runs()) do
    if run.kind == "flow" then M.settle(store, run, flows) end
  end
end

return M
