--- The part of the store that is about the tasks of runs, their phases, hooks and logs: methods of lua/state/init.lua's
--- store.

local err = require "err"
local status = require "state.status"
local value = require "jinja.value"
local values = require "state.values"

local M = {}

--- The short number of a node, which stands for its unique_id in the tables.
---@param unique_id string|nil
---@return integer|nil
function M:node(unique_id)
  if not unique_id then return nil end
  local id = self.nodes[unique_id]
  if not id then
    id = self.db:value("select id from nodes where unique_id = ?1", unique_id)
    if not id then
      self.db:exec("insert into nodes (unique_id) values (?1)", unique_id)
      id = self.db:last_id()
    end
    self.nodes[unique_id] = id
  end
  return id
end

-- name -> position of a run's tasks
local function positions_of(self, seq)
  local positions = self.positions[seq]
  if not positions then
    positions = {}
    for row in self.db:each("select name, position from tasks where run = ?1", seq) do
      positions[row.name] = row.position
    end
    self.positions[seq] = positions
  end
  return positions
end

local function position(self, seq, run_id, name)
  local at = positions_of(self, seq)[name]
  if not at then -- another process may have added it
    self.positions[seq] = nil
    at = positions_of(self, seq)[name]
  end
  if at then return at end
  local names = {}
  for known in pairs(positions_of(self, seq)) do names[#names + 1] = known end
  err.raise { code = 655, message = ("run %s has no task '%s'"):format(run_id, name),
    hint = err.did_you_mean(name, names) }
end

-- So many nodes are asked for one by one; before more, all are read, once (0 is the number of none).
local FEW = 50

local function know_nodes(self, count)
  if count < FEW or self.nodes[0] then return end
  self.nodes[0] = true
  for row in self.db:each "select id, unique_id from nodes" do self.nodes[row.unique_id] = row.id end
end

local insert = [[insert into tasks (run, position, name, kind, node, label, needs, status, attempt, started_at,
  ended_at, message, response, rows, result, phases)
  values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)]]

local function put(self, seq, at, task, to, fields)
  local needs = task.needs
  if type(needs) == "table" then needs = needs[1] and values.to_json(needs) or nil end
  self.db:exec(insert, seq, at, task.name, task.kind, self:node(task.node_id), task.label, needs, to,
    fields.attempt or 0, fields.started_at, fields.ended_at, fields.message, fields.response, fields.rows,
    values.to_json(fields.result), fields.phases)
end

--- Adds tasks to a run, behind those that it has.
---@param run_id string
---@param list {name: string, kind: string|nil, node_id: string|nil, label: string|nil, needs: string[]|string|nil,
---  status: string|nil, position: integer|nil, started_at: integer|nil, ended_at: integer|nil, message: string|nil,
---  rows: integer|nil, result: any}[] `needs`: names, or as JSON, where positions (1 is the run's first task) may stand
---  as well; `status`: waiting unless given: what a rerun has from the run before comes with the end that it had there;
---  `position`: the place of one that was planned together with others (add_ended)
function M:add_tasks(run_id, list)
  self:batch(function()
    local seq = self:seq(run_id)
    local positions = positions_of(self, seq)
    local last = self.db:value("select max(position) from tasks where run = ?1", seq) or 0
    know_nodes(self, #list)
    for i, task in ipairs(list) do
      local at = task.position or last + i
      put(self, seq, at, task, task.status or "waiting", task)
      positions[task.name] = at
    end
    self:add_event(run_id, nil, "tasks", { count = #list })
  end)
end

--- Adds tasks to a run that have begun and ended already: one row where add_tasks and end_task write it twice.
---@param run_id string
---@param list {task: table, status: string, fields: table}[] `task` as in add_tasks, with `position`; `fields` as in
---  end_task, with `ended_at`, `phases` as JSON
function M:add_ended(run_id, list)
  self:batch(function()
    local seq = self:seq(run_id)
    local positions = positions_of(self, seq)
    know_nodes(self, #list)
    for _, item in ipairs(list) do
      local task, to = item.task, item.status
      if not status.can("through", "waiting", to) then
        error(status.refused("through", ("task '%s'"):format(task.name), "waiting", to), 0)
      end
      put(self, seq, task.position, task, to, item.fields)
      positions[task.name] = task.position
      self:add_event(run_id, nil, "task", nil, task.position, item.fields.ended_at)
    end
  end)
end

-- status -> SQL that gives it to a task that may have it
local updates = {}

local function update_of(which, to, is_start, is_end)
  local key = which .. to
  local sql = updates[key]
  if sql then return sql end
  local before = status.before(which, to)
  local quoted = {}
  for i, name in ipairs(before) do quoted[i] = "'" .. name .. "'" end
  local marks = which == "marks"
  sql = ([[update tasks set status = '%s', attempt = coalesce(?3, %s), started_at = %s, ended_at = %s, message = %s,
      response = coalesce(?7, response), rows = coalesce(?8, rows), result = coalesce(?9, result),
      phases = coalesce(?10, phases), marked_by = coalesce(?11, marked_by)
    where run = ?1 and position = ?2 and ?12 > 0 and status in (%s)]]):format(to,
    is_start and "attempt + 1" or "attempt",
    is_start and "coalesce(?4, ?12)" or "coalesce(?4, started_at)",
    not is_end and "null" or marks and "coalesce(?5, ended_at, ?12)" or "coalesce(?5, ?12)",
    marks and "coalesce(?6, message)" or "?6", table.concat(quoted, ", "))
  updates[key] = sql
  return sql
end

local function refuse(self, which, seq, at, name, to)
  local now = self.db:value("select status from tasks where run = ?1 and position = ?2", seq, at)
  error(status.refused(which, ("task '%s'"):format(name), now or "gone", to), 0)
end

-- An attempt that has ended stays beside the task, which shows the one that follows.
local attempt_of = [[insert or replace into attempts (run, task, attempt, started_at, ended_at, status, message)
  select run, name, attempt, started_at, coalesce(?3, ?5), ?4, coalesce(?6, message) from tasks
  where run = ?1 and position = ?2]]

-- What an event says of a task that goes on: the row will soon say something else.
local function told(self, seq, at, to)
  local row = self.db:row("select attempt, started_at, message from tasks where run = ?1 and position = ?2", seq, at)
  return { status = to, attempt = row.attempt, started_at = values.iso(row.started_at), message = row.message }
end

local function write(self, which, run_id, name, to, fields)
  local seq, phases = self:seq(run_id), fields.phases
  if type(phases) == "table" then phases = values.to_json(phases) end
  local at, now, db = position(self, seq, run_id, name), values.now(), self.db
  local is_end = status.is_final("tasks", to)
  local changed = db:exec(update_of(which, to, to == "running", is_end), seq, at, fields.attempt, fields.started_at,
    fields.ended_at, fields.message, fields.response, fields.rows, values.to_json(fields.result), phases,
    fields.marked_by, now)
  if changed == 0 then refuse(self, which, seq, at, name, to) end
  if to == "retrying" then
    db:exec(attempt_of, seq, at, fields.ended_at, "failed", now, fields.message)
  elseif is_end and which == "tasks" then
    local attempt = db:value("select attempt from tasks where run = ?1 and position = ?2", seq, at)
    if attempt > 1 then db:exec(attempt_of, seq, at, fields.ended_at, to, now, fields.message) end
  end
  if is_end then
    self:add_event(run_id, nil, "task", nil, at, now) -- what the row says it says for good
  else
    self:add_event(run_id, name, "task", told(self, seq, at, to), nil, now)
  end
end

--- Changes the status of a task and whatever else `fields` says. One that begins to run gets `started_at` now and the
--- next `attempt`, one that ends `ended_at` now, unless they are given. Raises 656 when the status cannot follow the
--- one that it has.
---@param run_id string
---@param name string
---@param to string
---@param fields? {attempt: integer|nil, started_at: integer|nil, ended_at: integer|nil, message: string|nil, response:
---  string|nil, rows: integer|nil, result: any, phases: table|nil, marked_by: string|nil} `phases`: a list of {name,
---  microseconds behind `started_at`, microseconds that it took}; `marked_by`: a person has done it, to a task that
---  does not run
function M:set_task(run_id, name, to, fields)
  status.check("tasks", to)
  fields = fields or {}
  self:batch(function() write(self, fields.marked_by and "marks" or "tasks", run_id, name, to, fields) end)
end

--- The same at the end of a task whose beginning was perhaps not written: it passes through `running` unseen.
---@param run_id string
---@param name string
---@param to string
---@param fields table of set_task, with `started_at` and `attempt` when it has begun
function M:end_task(run_id, name, to, fields)
  status.check("tasks", to)
  self:batch(function() write(self, "through", run_id, name, to, fields) end)
end

--- Keeps what is known so far of the result of a task that runs. No event tells of it.
---@param run_id string
---@param name string
---@param result any
function M:keep_result(run_id, name, result)
  local seq = self:seq(run_id)
  self.db:exec("update tasks set result = ?3 where run = ?1 and position = ?2 and status = 'running'", seq,
    position(self, seq, run_id, name), values.to_json(result))
end

--- Adds a phase that has ended to a task.
---@param run_id string
---@param name string of the task
---@param phase string
---@param started_at integer
---@param duration integer microseconds
function M:add_phase(run_id, name, phase, started_at, duration)
  self:batch(function()
    local seq = self:seq(run_id)
    self.db:exec([[update tasks set phases = json_insert(coalesce(phases, '[]'), '$[#]',
        json_array(?3, ?4 - coalesce(started_at, ?4), ?5)) where run = ?1 and position = ?2]], seq,
      position(self, seq, run_id, name), phase, started_at, duration)
    self:add_event(run_id, name, "phase", { phase = phase, started_at = values.iso(started_at),
      duration = duration / 1e6 })
  end)
end

local insert_hook = [[insert into hooks (run, task, phase, position, name, file, line, status, started_at, duration,
  message) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)]]

--- Adds a hook that has run.
---@param run_id string
---@param task string|nil the name of its task; nil for hooks of the run
---@param hook {phase: string, position: integer|nil, name: string|nil, file: string|nil, line: integer|nil, status:
---  string, started_at: integer|nil, duration: integer|nil, message: string|nil}
function M:add_hook(run_id, task, hook)
  self:batch(function()
    self.db:exec(insert_hook, self:seq(run_id), task, hook.phase, hook.position, hook.name, hook.file, hook.line,
      hook.status, hook.started_at, hook.duration, hook.message)
    self:add_event(run_id, nil, "hook", nil, self.db:last_id())
  end)
end

--- Adds a line of a log; of a very long one only the beginning is kept.
---@param run_id string
---@param task string|nil
---@param level "debug"|"info"|"warn"|"error"
---@param text string
---@param at? integer
function M:add_log(run_id, task, level, text, at)
  self:batch(function()
    at = at or values.now()
    self.db:exec("insert into logs (run, task, at, level, text) values (?1, ?2, ?3, ?4, ?5)", self:seq(run_id), task,
      at, level, values.line(text))
    self:add_event(run_id, nil, "log", nil, self.db:last_id(), at)
  end)
end

-- Reading ------------------------------------------------------------------------------------------------

-- The phases as the table keeps them, [[phase, microseconds behind the start, microseconds], ...].
local function phases_of(row)
  local list, start = {}, row.started_at or 0
  for i, phase in ipairs(values.from_json(row.phases) or {}) do
    list[i] = { phase = phase[1], started_at = start + phase[2], duration = phase[3] }
  end
  return list
end

-- Names of tasks, or their positions.
local function needs_of(row, rows)
  local list = values.from_json(row.needs) or value.list()
  for i, need in ipairs(list) do
    if math.type(need) == "integer" then list[i] = rows[need].name end
  end
  return list
end

-- Rows by the task that they belong to; under 0 those of the run.
local function by_task(rows)
  local map = {}
  for _, row in ipairs(rows) do
    local key = row.task or 0
    map[key] = map[key] or {}
    table.insert(map[key], row)
  end
  return map
end

--- The tasks of a run in their order, each with `needs`, `phases` ({phase, started_at, duration}), `hooks` (rows of
--- add_hook) and `attempts` (rows of those that have ended, when there were several); then the hooks of the run itself.
---@param run_id string
---@return table[] tasks
---@return table[] hooks
function M:tasks(run_id)
  local seq, db = self:seq(run_id), self.db
  local hooks = by_task(db:rows([[select task, phase, position, name, file, line, status, started_at, duration, message
    from hooks where run = ?1 order by id]], seq))
  local attempts = by_task(db:rows([[select task, attempt, started_at, ended_at, status, message from attempts
    where run = ?1 order by task, attempt]], seq))
  local rows = db:rows([[select tasks.name, tasks.kind, nodes.unique_id as node_id, tasks.label, tasks.needs,
      tasks.status, tasks.attempt, tasks.started_at, tasks.ended_at, tasks.message, tasks.response, tasks.rows,
      tasks.result, tasks.phases, tasks.marked_by, tasks.position
    from tasks left join nodes on nodes.id = tasks.node where tasks.run = ?1 order by tasks.position]], seq)
  for _, row in ipairs(rows) do
    row.needs = needs_of(row, rows)
    row.result = values.from_json(row.result)
    row.phases = phases_of(row)
    row.hooks = hooks[row.name] or {}
    row.attempts = attempts[row.name] or {}
  end
  return rows, hooks[0] or {}
end

--- Lines of a run's log in their order.
---@param run_id string
---@param filter? {after: integer|nil, task: string|nil, limit: integer|nil} `after`: an `id`; `limit` 1000
---@return {id: integer, at: integer, task: string|nil, level: string, text: string}[]
function M:logs(run_id, filter)
  filter = filter or {}
  return self.db:rows([[select id, at, task, level, text from logs
    where run = ?1 and id > ?2 and (?3 is null or task = ?3) order by id limit ?4]], self:seq(run_id),
    filter.after or 0, filter.task, filter.limit or 1000)
end

return M
