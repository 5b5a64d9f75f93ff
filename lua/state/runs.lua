--- The part of the store that is about runs: methods of lua/state/init.lua's store.

local err = require "err"
local process = require "state.process"
local status = require "state.status"
local uuid = require "dex.uuid"
local values = require "state.values"

local M = {}

local columns = { "id", "kind", "name", "command", "trigger", "by", "status", "parameters", "args", "target",
  "scheduled_for", "parent_id", "rerun_of", "created_at", "started_at", "ended_at", "pid", "pid_started", "host",
  "message", "result", "counts", "cancel_requested", "cancel_by" }

local is_column, is_json = {}, { parameters = true, args = true, result = true, counts = true }
for _, name in ipairs(columns) do is_column[name] = true end

local function row_of(row)
  if not row then return nil end
  for name in pairs(is_json) do row[name] = values.from_json(row[name]) end
  row.cancel_requested = row.cancel_requested == 1
  return row
end

local function bound(name, v) return is_json[name] and values.to_json(v) or v end

-- The fields of a table as columns, in their order, and their values.
local function fields_of(fields)
  local names, bound_values = {}, {}
  for name in pairs(fields) do
    if not is_column[name] then
      error(("there is no field '%s' of runs: %s"):format(name, table.concat(columns, ", ")), 3)
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do bound_values[i] = bound(name, fields[name]) end
  return names, bound_values
end

--- The number of a run in the tables. Raises 655 when there is none of this id.
---@param id string
---@return integer
function M:seq(id)
  local seq = self.seqs[id]
  if not seq then
    seq = self.db:value("select seq from runs where id = ?1", id)
    if not seq then
      err.raise { code = 655, message = ("there is no run '%s' in the history"):format(tostring(id)),
        hint = "`dex-lua history` lists the runs" }
    end
    self.seqs[id] = seq
  end
  return seq
end

local function tell(self, id, kind_of_run, name, fields)
  self:add_event(id, nil, "run", { status = fields.status, kind = kind_of_run, name = name, message = fields.message,
    trigger = fields.trigger, by = fields.by, parent_id = fields.parent_id,
    started_at = values.iso(fields.started_at), ended_at = values.iso(fields.ended_at) })
end

--- Makes the row of a run.
---@param fields table columns of `runs`; `kind`, and what is known besides. Given when absent: `id`, `status` queued,
---  `trigger` manual, `created_at` now; for one that is running at once also `started_at` and this process
---@return string id
function M:create_run(fields)
  local row = {}
  for name, v in pairs(fields) do row[name] = v end
  row.id = row.id or uuid()
  row.status, row.trigger = row.status or "queued", row.trigger or "manual"
  row.created_at = row.created_at or values.now()
  status.check("runs", row.status)
  if row.status == "running" then
    row.started_at = row.started_at or row.created_at
    for name, v in pairs(process.own()) do row[name] = row[name] or v end
  end
  local names, bound_values = fields_of(row)
  local marks = {}
  for i = 1, #names do marks[i] = "?" .. i end
  self:batch(function()
    self.db:exec(("insert into runs (%s) values (%s)"):format(table.concat(names, ", "), table.concat(marks, ", ")),
      table.unpack(bound_values, 1, #names))
    self.seqs[row.id] = self.db:last_id()
    tell(self, row.id, row.kind, row.name, row)
  end)
  return row.id
end

-- How many tasks ended how, and what they and the hooks of the run took: kept with the run, so that lists and reports
-- need not count again.
local function sum_up(self, seq)
  local counts, total = {}, 0
  for _, row in ipairs(self.db:rows("select status, count(*) as n from tasks where run = ?1 group by status", seq)) do
    counts[row.status] = row.n
    total = total + row.n
  end
  counts.total = total
  return values.to_json(counts)
end

local spent_by = {
  [[insert into spent (day, kind, name, count, failed, total, longest)
    select tasks.ended_at / 86400000000, 'node', nodes.unique_id, count(*),
      sum(tasks.status in ('failed', 'timed_out')), sum(tasks.ended_at - tasks.started_at),
      max(tasks.ended_at - tasks.started_at)
    from tasks join nodes on nodes.id = tasks.node
    where tasks.run = ?1 and tasks.started_at is not null and tasks.ended_at is not null group by 1, 3
    on conflict (kind, day, name) do update set count = count + excluded.count, failed = failed + excluded.failed,
      total = total + excluded.total, longest = max(longest, excluded.longest)]],
  [[insert into spent (day, kind, name, count, failed, total, longest)
    select started_at / 86400000000, 'hook', coalesce(task || ': ', '') || name, count(*), sum(status = 'failed'),
      sum(duration), max(duration)
    from hooks where run = ?1 and started_at is not null and duration is not null and name is not null group by 1, 3
    on conflict (kind, day, name) do update set count = count + excluded.count, failed = failed + excluded.failed,
      total = total + excluded.total, longest = max(longest, excluded.longest)]],
}


--- Changes the status of a run and whatever else `fields` says. When it begins to run, this process becomes its own,
--- and `started_at` is now unless it is given; when it ends, `ended_at` is, and its tasks are summed up. Raises 656
--- when the status cannot follow the one that it has; the same status again changes only the fields.
---@param id string
---@param to string
---@param fields? table columns of `runs`; `marked = true`: a person has changed the outcome of a run that had ended
function M:set_run(id, to, fields)
  status.check("runs", to)
  local row, marked = {}, fields and fields.marked
  for name, v in pairs(fields or {}) do row[name] = v end
  row.marked = nil
  row.status = to
  local final = status.is_final("runs", to)
  self:batch(function()
    local seq = self:seq(id)
    local now = self.db:row("select kind, name, status, trigger, by, parent_id, started_at from runs where seq = ?1",
      seq)
    local which = marked and "marked_runs" or "runs"
    if now.status ~= to and not status.can(which, now.status, to) then
      error(status.refused(which, "run " .. id, now.status, to), 0)
    end
    if to == "running" and now.status ~= to then
      row.started_at = row.started_at or now.started_at or values.now()
      for name, v in pairs(process.own()) do row[name] = row[name] or v end
    end
    if final and now.status ~= to then
      if not marked then
        row.ended_at = row.ended_at or values.now()
        for _, sql in ipairs(spent_by) do self.db:exec(sql, seq) end
      end
      row.counts = sum_up(self, seq)
      self.positions[seq] = nil
    end
    local names, bound_values = fields_of(row)
    local sets, n = {}, #names
    for i, name in ipairs(names) do sets[i] = ("%s = ?%d"):format(name, i) end
    bound_values[n + 1] = seq
    self.db:exec(("update runs set %s where seq = ?%d"):format(table.concat(sets, ", "), n + 1),
      table.unpack(bound_values, 1, n + 1))
    tell(self, id, now.kind, now.name, { status = to, message = row.message, trigger = now.trigger, by = now.by,
      parent_id = now.parent_id, started_at = row.started_at or now.started_at, ended_at = row.ended_at })
  end)
end

--- A run, or nil. JSON columns are decoded; `seq` is its number, `counts` is there once it has ended.
---@param id string
---@return table|nil
function M:run(id) return row_of(self.db:row("select * from runs where id = ?1", id)) end

--- Runs by the beginning of an id, as people type it; raises 655 when there is none, or several.
---@param text string
---@return table
function M:find_run(text)
  local exact = self:run(text)
  if exact then return exact end
  local low, rows = text:lower(), {}
  if #low >= 4 and low:find "^[%x-]+$" then
    rows = self.db:rows("select id from runs where id >= ?1 and id < ?1 || 'g' order by id limit 2", low)
  end
  if #rows == 1 then return self:run(rows[1].id) end
  err.raise { code = 655, message = #rows == 0 and ("there is no run '%s' in the history"):format(text)
    or ("several runs begin with '%s'"):format(text), hint = "`dex-lua history` lists the runs" }
end

--- Runs, the newest first.
---@param filter? {kind: string|nil, name: string|nil, status: string|nil, since: integer|nil, before: integer|nil,
---  limit: integer|nil, parent_id: string|nil, rerun_of: string|nil, open: boolean|nil} `since`: created at or after
---  this time; `before`: a `seq`, of the last run of the page before; `open`: those that are queued or running;
---  `limit` 50
---@return table[]
function M:runs(filter)
  filter = filter or {}
  local wheres, bound_values = {}, {}
  local function add(text, v)
    bound_values[#bound_values + 1] = v
    wheres[#wheres + 1] = text:format(#bound_values)
  end
  for _, name in ipairs { "kind", "name", "status", "parent_id", "rerun_of" } do
    if filter[name] then add(name .. " = ?%d", filter[name]) end
  end
  if filter.since then add("created_at >= ?%d", filter.since) end
  if filter.before then add("seq < ?%d", filter.before) end
  if filter.open then wheres[#wheres + 1] = "status in ('queued', 'running')" end
  bound_values[#bound_values + 1] = filter.limit or 50
  local rows = self.db:rows(("select * from runs %s order by seq desc limit ?%d"):format(
    #wheres > 0 and "where " .. table.concat(wheres, " and ") or "", #bound_values), table.unpack(bound_values))
  for _, row in ipairs(rows) do row_of(row) end
  return rows
end

--- How many tasks of a run have each status, and `total`: a dict.
---@param run table of `run` or `runs`
---@return table
function M:counts(run) return run.counts or values.from_json(sum_up(self, run.seq)) end

--- Asks the process of a run to end it. The row says so, and an event; who runs it looks for that.
---@param id string
---@param by? string
---@return boolean whether it had not ended
function M:request_cancel(id, by)
  return self:batch(function()
    local changed = self.db:exec([[update runs set cancel_requested = 1, cancel_by = ?2
      where id = ?1 and status in ('queued', 'running')]], id, by)
    if changed == 0 then self:seq(id) else self:add_event(id, nil, "cancel", { by = by }) end
    return changed == 1
  end)
end

--- Runs that are said to run, on this machine, and whose process is gone.
---@return table[]
function M:stale_runs()
  local stale = {}
  for _, row in ipairs(self.db:rows "select * from runs where status = 'running' order by seq") do
    if process.lives(row) == false then stale[#stale + 1] = row_of(row) end
  end
  return stale
end

--- Ends a run whose process is gone: what ran has failed, what waited is cancelled. Nothing happens to a run that has
--- ended.
---@param id string
---@param message? string
function M:bury(id, message)
  message = message or "its process ended without a word"
  self:batch(function()
    local run = self:run(id)
    if not run or status.is_final("runs", run.status) then return end
    local now = values.now()
    self.db:exec([[update tasks set message = ?2,
        status = case when status in ('running', 'retrying') then 'failed' else 'cancelled' end,
        ended_at = case when started_at is null then null else ?3 end
      where run = ?1 and status in ('waiting', 'queued', 'running', 'retrying')]], run.seq, message, now)
    self:add_event(id, nil, "tasks", { count = 0 })
    self:set_run(id, "failed", { message = message, ended_at = now })
  end)
end

-- Schedules ----------------------------------------------------------------------------------------------

--- What is kept of a flow's schedule.
---@param flow string
---@return {flow: string, paused: boolean, paused_by: string|nil, paused_at: integer|nil}
function M:schedule(flow)
  local row = self.db:row("select * from schedules where flow = ?1", flow) or { flow = flow, paused = 0 }
  row.paused = row.paused == 1
  return row
end

local function set_paused(self, flow, paused, by)
  self:batch(function()
    self.db:exec([[insert into schedules (flow, paused, paused_by, paused_at) values (?1, ?2, ?3, ?4)
      on conflict (flow) do update set paused = excluded.paused, paused_by = excluded.paused_by,
        paused_at = excluded.paused_at]], flow, paused, paused and by or nil, paused and values.now() or nil)
    self:add_event(nil, nil, "schedule", { flow = flow, paused = paused, by = by })
  end)
end

--- Nothing starts by the schedule of this flow any more, until it is resumed.
---@param flow string
---@param by? string
function M:pause(flow, by) set_paused(self, flow, true, by) end

--- The schedule holds again.
---@param flow string
---@param by? string
function M:resume(flow, by) set_paused(self, flow, false, by) end

--- Takes a time of a schedule; of several processes that ask, one gets it.
---@param flow string
---@param time integer
---@param run_id? string
---@return boolean whether it was free
function M:claim(flow, time, run_id)
  return self:batch(function()
    return self.db:exec([[insert into claims (flow, scheduled_for, run_id, claimed_at) values (?1, ?2, ?3, ?4)
      on conflict do nothing]], flow, time, run_id, values.now()) == 1
  end)
end

--- The last time of a flow's schedule that was taken, or nil.
---@param flow string
---@return integer|nil
function M:last_claim(flow)
  return self.db:value("select max(scheduled_for) from claims where flow = ?1", flow)
end

-- What people did ----------------------------------------------------------------------------------------

--- Keeps who did what.
---@param fields {at: integer|nil, who: string|nil, role: string|nil, action: string, subject: string|nil, outcome:
---  string|nil, data: any}
function M:add_audit(fields)
  self:batch(function()
    self.db:exec([[insert into audit (at, who, role, action, subject, outcome, data)
      values (?1, ?2, ?3, ?4, ?5, ?6, ?7)]], fields.at or values.now(), fields.who, fields.role, fields.action,
      fields.subject, fields.outcome, values.to_json(fields.data))
  end)
end

--- What was kept of it, the newest first.
---@param filter? {before: integer|nil, limit: integer|nil} `before`: an `id`
---@return table[] rows of id, at, who, role, action, subject, outcome, data
function M:audit(filter)
  filter = filter or {}
  local rows = self.db:rows("select * from audit where id < ?1 order by id desc limit ?2",
    filter.before or math.maxinteger, filter.limit or 100)
  for _, row in ipairs(rows) do row.data = values.from_json(row.data) end
  return rows
end

return M
