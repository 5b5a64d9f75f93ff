--- The part of the store that is the bus between processes: methods of lua/state/init.lua's store. An event tells of
--- what was written in the same transaction; who hears of it reads the rest in the other tables.

local json = require "dex.json"
local value = require "jinja.value"
local values = require "state.values"

local M = {}

local insert = "insert into events (at, run_id, task, kind, data, log) values (?1, ?2, ?3, ?4, ?5, ?6)"

--- Adds an event. The other methods of the store do so by themselves.
---@param run_id string|nil
---@param task string|nil
---@param kind "run"|"tasks"|"task"|"phase"|"hook"|"log"|"cancel"|"schedule"
---@param data any what becomes JSON; nil for none
---@param log? integer the line of the log that it tells of
---@param at? integer
function M:add_event(run_id, task, kind, data, log, at)
  self.told = true
  self.db:exec(insert, at or values.now(), run_id, task, kind, values.to_json(data), log)
end

--- The number of the last event; 0 without any.
---@return integer
function M:last_event_id() return self.db:value "select max(id) from events" or 0 end

local after = [[select events.id, events.at, events.run_id, coalesce(events.task, logs.task) as task, events.kind,
    events.data, logs.level, logs.text
  from events left join logs on logs.id = events.log
  where events.id > ?1 %s order by events.id limit ?2]]
local after_any, after_of_run = after:format "", after:format "and events.run_id = ?3"

--- Events behind a number, in their order.
---@param id integer
---@param filter? {run_id: string|nil, limit: integer|nil} `limit` 1000
---@return {id: integer, at: integer, run_id: string|nil, task: string|nil, kind: string, data: string}[] `data` is
---  JSON: an object with the times as ISO 8601 and durations in seconds
function M:events_after(id, filter)
  local limit, run_id = filter and filter.limit or 1000, filter and filter.run_id
  local rows
  if run_id then
    rows = self.db:rows(after_of_run, id, limit, run_id)
  else
    rows = self.db:rows(after_any, id, limit)
  end
  for _, row in ipairs(rows) do
    if row.text then row.data = json.encode(value.dict("level", row.level, "text", row.text)) end
    row.level, row.text = nil, nil
    row.data = row.data or "{}"
  end
  return rows
end

return M
