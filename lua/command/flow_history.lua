--- `dex-lua flow history`, `flow cancel ID` and `flow mark ID NODE STATUS`: what works with the history alone.

local crash = require "flow.crash"
local env = require "dex.env"
local err = require "err"
local json = require "dex.json"
local state = require "state"
local term = require "dex.term"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local function folder_of(job)
  return require("project.root").load(job.given.project_dir, job.given).dir
end

local function open(job, readonly)
  local store = state.open(folder_of(job), { readonly = readonly, durable = false })
  if not store then return nil end
  job.closers[#job.closers + 1] = function() store:close() end
  if not readonly then crash.settle_all(store) end
  return store
end

local function iso(micro) return micro and time.iso(micro / 1e6) or value.none end

local function seconds_of(row)
  if not row.started_at then return nil end
  return ((row.ended_at or math.floor(time.now() * 1e6)) - row.started_at) / 1e6
end

local function duration(row)
  local seconds = seconds_of(row)
  if not seconds then return "" end
  if seconds < 100 then return ("%.2fs"):format(seconds) end
  return ("%dm %02ds"):format(seconds // 60, math.floor(seconds % 60))
end

-- history -------------------------------------------------------------------------------------------------

local function run_dict(store, row)
  return value.dict("id", row.id, "flow", row.name, "status", row.status, "trigger", row.trigger, "by",
    value.or_none(row.by), "parameters", value.or_none(row.parameters), "scheduled_for", iso(row.scheduled_for),
    "created_at", iso(row.created_at), "started_at", iso(row.started_at), "ended_at", iso(row.ended_at), "duration",
    value.or_none(seconds_of(row)), "message", value.or_none(row.message), "parent_id", value.or_none(row.parent_id),
    "rerun_of", value.or_none(row.rerun_of), "tasks", value.or_none(store:counts(row)))
end

local function task_dict(row)
  return value.dict("name", row.name, "kind", value.or_none(row.kind), "node_id", value.or_none(row.node_id), "needs",
    row.needs, "status", row.status, "attempt", row.attempt, "started_at", iso(row.started_at), "ended_at",
    iso(row.ended_at), "duration", value.or_none(seconds_of(row)), "message", value.or_none(row.message), "rows",
    value.or_none(row.rows), "result", value.or_none(row.result))
end

-- Rows of texts as columns.
local function print_columns(job, rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i = 1, #row - 1 do widths[i] = math.max(widths[i] or 0, utf8.len(row[i]) or #row[i]) end
  end
  for _, row in ipairs(rows) do
    local parts = {}
    for i, text in ipairs(row) do
      parts[i] = i < #row and text .. (" "):rep(widths[i] - (utf8.len(text) or #text)) or text
    end
    job.report:log("print", (table.concat(parts, "  "):gsub("%s+$", "")))
  end
end

local function first_line(text) return text and text:match "^[^\n]*" or "" end

local function show_run(job, store, row)
  local tasks = store:tasks(row.id)
  if job.given.output == "json" then
    local d, list = run_dict(store, row), value.list()
    for i, task in ipairs(tasks) do list[i] = task_dict(task) end
    d.tasks = list
    term.write(1, json.encode(d) .. "\n")
    return 0
  end
  job.report:log("print", ("run %s of flow %s: %s%s"):format(row.id, row.name, row.status, row.message and ": " ..
    first_line(row.message) or ""))
  local rows = {}
  for i, task in ipairs(tasks) do
    rows[i] = { "  " .. task.name, task.kind or "", task.status, duration(task), first_line(task.message) }
  end
  print_columns(job, rows)
  return 0
end

-- "2 of 5 failed"
local function count_of(store, row)
  local counts = store:counts(row)
  local wrong = (counts.failed or 0) + (counts.timed_out or 0)
  return wrong > 0 and ("%d of %d failed"):format(wrong, counts.total or 0) or ("%d tasks"):format(counts.total or 0)
end

-- A word that is the beginning of a run's id.
local function run_of(store, word)
  if not word or not word:find "^[%x-]+$" or #word < 4 then return nil end
  local ok, row = pcall(store.find_run, store, word)
  return ok and row.kind == "flow" and row or nil
end

--- `flow history [NAME | ID]`.
---@param job table
---@return integer status
function M.history(job)
  local store = open(job, true)
  local word = job.words[2]
  local row = store and run_of(store, word)
  if row then return show_run(job, store, row) end
  local rows = store and store:runs { kind = "flow", name = word, limit = job.given.count or 20 } or {}
  if job.given.output == "json" then
    local list = value.list()
    for i, one in ipairs(rows) do list[i] = run_dict(store, one) end
    term.write(1, json.encode(list) .. "\n")
    return 0
  end
  if #rows == 0 then
    job.report:log("info", word and ("there is no run of a flow '%s'"):format(word) or "no flow has run yet")
    return 0
  end
  local lines = {}
  for i, one in ipairs(rows) do
    local at = time.iso(one.created_at / 1e6):gsub("%.%d+Z$", "Z")
    lines[i] = { one.id:sub(1, 8), one.name, one.status, one.trigger, at, duration(one), count_of(store, one) }
  end
  print_columns(job, lines)
  return 0
end

-- cancel --------------------------------------------------------------------------------------------------

local function find(job, store)
  local id = job.words[2]
  if not id then err.raise { code = 101, message = "which run? `dex-lua flow history` lists them" } end
  local row = store:find_run(id)
  if row.parent_id then
    err.raise { code = 638, message = ("run %s is a part of run %s"):format(row.id, row.parent_id),
      hint = "work with that one" }
  end
  return row
end

--- `flow cancel ID`: asks the process of a run to end it.
---@param job table
---@return integer status
function M.cancel(job)
  local store = open(job)
  local row = find(job, store)
  if state.status.is_final("runs", row.status) then
    err.raise { code = 638, message = ("run %s has ended already: %s"):format(row.id, row.status) }
  end
  local lives = row.status == "running" and state.lives(row)
  if row.status == "running" and lives == nil then
    err.raise { code = 638, message = ("run %s is one of another machine: %s"):format(row.id, tostring(row.host)),
      hint = "cancel it there" }
  end
  store:request_cancel(row.id, env.get "USER")
  if row.status == "queued" then
    store:set_run(row.id, "cancelled", { message = "cancelled before it began" })
    job.report:log("print", ("run %s is cancelled before it began"):format(row.id))
    return 0
  end
  require("dex.child").signal(row.pid, "TERM")
  job.report:log("print", ("run %s is asked to end (process %d)"):format(row.id, row.pid))
  return 0
end

-- mark ----------------------------------------------------------------------------------------------------

local marks = { success = true, skipped = true, failed = true }

--- `flow mark ID NODE success|skipped|failed`.
---@param job table
---@return integer status
function M.mark(job)
  local name, status = job.words[3], job.words[4]
  if not status or not marks[status] or job.words[5] then
    err.raise { code = 101, message = status and not marks[status]
      and ("a node cannot be marked as '%s'"):format(status) or "flow mark needs a run, a node and a status",
      hint = "dex-lua flow mark ID NODE success|skipped|failed" }
  end
  local store = open(job)
  local row = find(job, store)
  local now = require("flow.mark").task(store, row.id, name, status, env.get "USER" or "somebody")
  job.report:log("print", ("'%s' of run %s is marked as %s; the run is %s"):format(name, row.id, status, now))
  return 0
end

return M
