--- What a flow's run writes into the state (lua/state): facts gather and are written together, at the latest after a
-- moment, and always before anything starts that depends on them.

local loop = require "dex.loop"

local M = {}

--- Seconds after which what was noted is written, when nobody asks for it sooner.
M.LATEST = 0.05

---@class dex.FlowRecorder
---@field store dex.Store
local Recorder = {}
Recorder.__index = Recorder

--- A recorder; one for a process.
---@param store dex.Store
---@param on_error fun(e: any) told when what was noted cannot be written later on; everything after that is dropped
---@return dex.FlowRecorder
function M.new(store, on_error)
  return setmetatable({ store = store, on_error = on_error, queue = {}, count = 0 }, Recorder)
end

--- Notes a call of a method of the store. Does not wait.
---@param method string
---@param ... any its arguments
function Recorder:note(method, ...)
  if self.broken then return end
  self.count = self.count + 1
  self.queue[self.count] = table.pack(method, ...)
  if not self.timer then
    self.timer = loop.spawn(function()
      loop.sleep(M.LATEST)
      self.timer = nil
      local ok, e = pcall(self.flush, self)
      if not ok then self.on_error(e) end
    end)
  end
end

--- Writes what was noted, in one transaction. Raises what the store raises; then nothing more is written. Does not
--- wait.
function Recorder:flush()
  if self.count == 0 or self.broken then return end
  local queue, count, store = self.queue, self.count, self.store
  self.queue, self.count = {}, 0
  local ok, e = pcall(store.batch, store, function()
    for i = 1, count do
      local call = queue[i]
      store[call[1]](store, table.unpack(call, 2, call.n))
    end
  end)
  if ok then return end
  self.broken = true
  error(e, 0)
end

--- Forgets what was noted; nothing more is written.
function Recorder:drop()
  self.queue, self.count, self.broken = {}, 0, true
end

--- Ends it: what is left is written.
function Recorder:close()
  if self.timer then self.timer:cancel() end
  self:flush()
end

return M
