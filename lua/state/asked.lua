--- What the environment says when another process, the server, has asked for this run: its row is there already,
-- queued, and this process takes it over.

local env = require "dex.env"

local M = {}

--- Takes it out of the environment, so that programs which this one starts are not taken for the same run.
---@return {id: string, trigger: string|nil, by: string|nil, scheduled_for: integer|nil}|nil
function M.take()
  local id = env.get "DEX_RUN_ID"
  if not id or id == "" then return nil end
  local asked = { id = id, trigger = env.get "DEX_RUN_TRIGGER", by = env.get "DEX_RUN_BY",
    scheduled_for = math.tointeger(tonumber(env.get "DEX_RUN_SCHEDULED_FOR" or "")) }
  for _, name in ipairs { "DEX_RUN_ID", "DEX_RUN_TRIGGER", "DEX_RUN_BY", "DEX_RUN_SCHEDULED_FOR" } do
    env.unset(name)
  end
  return asked
end

return M
