--- Events as lines of a log: one JSON object, or text with time and level.

local core = require "dex.core"
local json = require "dex.json"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local dict = value.dict
local short = { debug = "debug", info = "info ", warn = "warn ", error = "error" }

--- An event as one JSON object, without a line end.
---@param event dex.Event
---@param invocation_id string
---@return string
function M.json(event, invocation_id)
  local info = dict("category", "", "code", event.code, "extra", dict(), "invocation_id", invocation_id,
    "level", event.level, "msg", event.message, "name", event.name, "pid", core.pid(),
    "thread", event.thread or "MainThread", "ts", time.iso(time.now()))
  local data = event.data
  return json.encode(dict("data", type(data) == "function" and data() or data, "info", info))
end

--- An event as text: the time of day in UTC, the level, the words.
---@param event dex.Event
---@return string
function M.text(event)
  local clock = time.iso(time.now()):sub(12, 26) -- 03:04:05.678901
  return ("%s [%s] [%s]: %s"):format(clock, short[event.level], event.thread or "MainThread", event.message)
end

return M
