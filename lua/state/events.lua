--- The part of the store that is the bus between processes: methods of lua/state/init.lua's store. An event tells of
--- what was written in the same transaction; who hears of it reads the rest in the other tables.

local json = require "dex.json"
local values = require "state.values"

local M = {}

local insert = "insert into events (at, run, task, kind, data, ref) values (?1, ?2, ?3, ?4, ?5, ?6)"

--- Adds an event. The other methods of the store do so by themselves.
---@param run_id string|nil
---@param task string|nil
---@param kind "run"|"tasks"|"task"|"phase"|"hook"|"log"|"cancel"|"schedule"
---@param data any what becomes JSON; nil for none
---@param ref? integer the row that it tells of, whose data are read with the event
---@param at? integer
function M:add_event(run_id, task, kind, data, ref, at)
  self.told = true
  self.db:exec(insert, at or values.now(), run_id and self:seq(run_id), task, kind, values.to_json(data), ref)
end

--- The number of the last event; 0 without any.
---@return integer
function M:last_event_id() return self.db:value "select max(id) from events" or 0 end

local after = [[select events.id, events.at, runs.id as run_id, events.task, events.kind, events.data, events.ref,
    events.run
  from events left join runs on runs.seq = events.run where events.id > ?1 %s order by events.id limit ?2]]
local after_any, after_of_run = after:format "", after:format "and events.run = ?3"

-- What the row says that an event tells of: the name of its task, and the data.
local readers = {}

function readers.task(db, event)
  local row = db:row([[select name, status, attempt, started_at, ended_at, message, rows, phases from tasks
    where run = ?1 and position = ?2]], event.run, event.ref)
  if not row then return nil end
  return row.name, { status = row.status, attempt = row.attempt, started_at = values.iso(row.started_at),
    ended_at = values.iso(row.ended_at), message = row.message, rows = row.rows,
    duration = row.started_at and row.ended_at and (row.ended_at - row.started_at) / 1e6 or nil,
    phases = values.from_json(row.phases) }
end

function readers.hook(db, event)
  local row = db:row([[select task, phase, position, name, file, line, status, started_at, duration, message from hooks
    where id = ?1]], event.ref)
  if not row then return nil end
  local task = row.task
  row.task, row.started_at, row.duration = nil, values.iso(row.started_at), row.duration and row.duration / 1e6
  return task, row
end

function readers.log(db, event)
  local row = db:row("select task, level, text from logs where id = ?1", event.ref)
  if row then return row.task, { level = row.level, text = row.text } end
end

--- Events behind a number, in their order.
---@param id integer
---@param filter? {run_id: string|nil, limit: integer|nil} `limit` 1000
---@return {id: integer, at: integer, run_id: string|nil, task: string|nil, kind: string, data: string}[] `data` is
---  JSON: an object with the times as ISO 8601 and durations in seconds; `phases` as the tasks have them
function M:events_after(id, filter)
  local limit, run_id = filter and filter.limit or 1000, filter and filter.run_id
  local rows
  if run_id then
    rows = self.db:rows(after_of_run, id, limit, self:seq(run_id))
  else
    rows = self.db:rows(after_any, id, limit)
  end
  for _, row in ipairs(rows) do
    if row.ref then
      local task, data = readers[row.kind](self.db, row)
      row.task, row.data = task, data and json.encode(values.plain(data))
    end
    row.ref, row.run, row.data = nil, nil, row.data or "{}"
  end
  return rows
end

return M
