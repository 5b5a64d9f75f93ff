--- The statuses of runs and of their tasks, and the one table of how each may change. Whoever writes a status
-- (state.set_run, state.set_task) is held to it.

local err = require "err"

local M = {}

--- What each status of a run may become.
M.runs = {
  queued = { "running", "failed", "cancelled", "timed_out" },
  running = { "queued", "success", "partial", "failed", "cancelled", "timed_out" }, -- queued: its process died
  success = {},
  partial = {},
  failed = {},
  cancelled = {},
  timed_out = {},
}

--- What each status of a task may become.
M.tasks = {
  waiting = { "queued", "running", "failed", "upstream_failed", "skipped", "cancelled", "timed_out" },
  queued = { "waiting", "running", "failed", "upstream_failed", "skipped", "cancelled", "timed_out" },
  running = { "queued", "retrying", "success", "warn", "failed", "skipped", "cancelled", "timed_out" },
  retrying = { "queued", "running", "failed", "skipped", "cancelled", "timed_out" },
  success = {},
  warn = {},
  failed = {},
  upstream_failed = {},
  skipped = {},
  cancelled = {},
  timed_out = {},
}

--- What a person may make of a task that does not run (`flow mark`).
M.marks = {
  waiting = { "success", "skipped", "failed" },
  queued = { "success", "skipped", "failed" },
  failed = { "success", "skipped" },
  upstream_failed = { "success", "skipped" },
  skipped = { "success", "failed" },
  cancelled = { "success", "skipped", "failed" },
  timed_out = { "success", "skipped", "failed" },
  success = { "skipped", "failed" },
  warn = { "success", "skipped", "failed" },
}

--- What a run becomes after tasks of it were marked.
M.marked_runs = {
  partial = { "success", "failed" },
  failed = { "success", "partial" },
  cancelled = { "success", "partial", "failed" },
  timed_out = { "success", "partial", "failed" },
  success = { "partial", "failed" },
}

local function names_of(map)
  local names = {}
  for name in pairs(map) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- The names of all statuses, sorted.
M.run_names, M.task_names = names_of(M.runs), names_of(M.tasks)

-- status -> list of those that may become it
local function turned(map)
  local from = {}
  for status, nexts in pairs(map) do
    for _, next_status in ipairs(nexts) do
      from[next_status] = from[next_status] or {}
      table.insert(from[next_status], status)
    end
  end
  for _, list in pairs(from) do table.sort(list) end
  return from
end

local before = {}
for _, name in ipairs { "runs", "tasks", "marks", "marked_runs" } do before[name] = turned(M[name]) end

-- A task that has begun and ended since it was last written goes through `running`, which nobody saw.
before.through = {}
for to, list in pairs(before.tasks) do
  local through, seen = {}, {}
  for _, from in ipairs(list) do through[#through + 1], seen[from] = from, true end
  for _, from in ipairs(seen.running and before.tasks.running or {}) do
    if not seen[from] then through[#through + 1] = from end
  end
  before.through[to] = through
end

--- The statuses that may become this one; "through": at once, or by way of `running`.
---@param which "runs"|"tasks"|"through"|"marks"|"marked_runs"
---@param status string
---@return string[]
function M.before(which, status) return before[which][status] or {} end

--- Whether one status may become another.
---@param which "runs"|"tasks"|"through"|"marks"|"marked_runs"
---@param from string
---@param to string
---@return boolean
function M.can(which, from, to)
  for _, status in ipairs(before[which][to] or {}) do
    if status == from then return true end
  end
  return false
end

--- Whether nothing but a mark changes it any more.
---@param which "runs"|"tasks"
---@param status string
---@return boolean
function M.is_final(which, status)
  return M[which][status] ~= nil and #M[which][status] == 0
end

--- Raises 656 unless it is a status.
---@param which "runs"|"tasks"
---@param status any
function M.check(which, status)
  if M[which][status] then return end
  local names = which == "runs" and M.run_names or M.task_names
  err.raise { code = 656, message = ("there is no status '%s' of %s"):format(tostring(status), which),
    hint = err.did_you_mean(tostring(status), names) or "there are " .. table.concat(names, ", ") }
end

--- The error of a change that the table does not have.
---@param which "runs"|"tasks"|"through"|"marks"|"marked_runs"
---@param what string what it is, for people
---@param from string
---@param to string
---@return dex.Error
function M.refused(which, what, from, to)
  local nexts = M[which == "through" and "tasks" or which][from] or {}
  return err.new { code = 656, message = ("%s is %s and cannot become %s"):format(what, from, to),
    hint = #nexts > 0 and "it may become " .. table.concat(nexts, ", ")
      or "nothing changes it any more; a rerun makes a new run" }
end

return M
