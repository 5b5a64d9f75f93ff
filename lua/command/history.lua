--- `dex-lua history`: what ran, from .dex/state.db: runs, one run with its nodes, phases and hooks, what took longest,
--- what failed. Reads only, and needs neither the database nor a project that can be read.

local err = require "err"
local grid = require "report.grid"
local json = require "dex.json"
local shapes = require "server.shapes"
local state = require "state"
local term = require "dex.term"
local value = require "jinja.value"
local values = require "state.values"

local M = {}

-- Printing -----------------------------------------------------------------------------------------------

local function shown(micro) return micro and (values.iso(micro):gsub("%.%d+Z$", "Z")) end

local function seconds(micro) return micro and ("%.2f"):format(micro / 1e6) end

local function took(row) return row.started_at and seconds((row.ended_at or values.now()) - row.started_at) end

local function room() return term.isatty(1) and term.width() or 120 end

-- Prints a list: as JSON its items, else its rows.
local function print_list(job, items, columns, rows, nothing)
  local format = job.given.output
  if format == "json" then
    term.write(1, json.encode(items, { indent = 2 }) .. "\n")
  elseif #rows == 0 and format ~= "csv" then
    job.report:log("info", nothing)
  else
    term.write(1, (format == "csv" and grid.csv(grid.of(columns, rows)) or grid.table(grid.of(columns, rows), room()))
      .. "\n")
  end
  return 0
end

local function first_line(text) return text and text:match "^[^\n]*" or nil end

-- Lists --------------------------------------------------------------------------------------------------

local function counts_of(store, row)
  local counts = store:counts(row)
  local wrong = (counts.failed or 0) + (counts.timed_out or 0)
  return wrong > 0 and ("%d, %d failed"):format(counts.total, wrong) or tostring(counts.total)
end

local function list_runs(job, store, filter)
  local rows, cells = store:runs(filter), {}
  for i, row in ipairs(rows) do
    cells[i] = { row.id:sub(1, 8), shown(row.started_at or row.created_at), row.kind, row.name or "", row.status,
      took(row) or "", counts_of(store, row), row.trigger, first_line(row.message) or "" }
  end
  return print_list(job, shapes.runs(store, rows), { "run", "started", "kind", "name", "status", "seconds", "nodes",
    "trigger", "message" }, cells, filter.name and ("no run of '%s' is in the history"):format(filter.name)
    or "no such run is in the history")
end

local function list_node(job, store, id)
  local rows, cells = store:durations(id, job.given.limit), {}
  for i, row in ipairs(rows) do
    cells[i] = { row.run_id:sub(1, 8), shown(row.started_at), row.command or "", row.status,
      seconds(row.duration) or "", row.rows or "", first_line(row.message) or "" }
  end
  return print_list(job, shapes.each(rows, shapes.duration), { "run", "started", "command", "status", "seconds", "rows",
    "message" }, cells, ("%s is not in the history"):format(id))
end

local function list_slowest(job, store, since)
  local kind = job.given.slowest:gsub("s$", "")
  local rows, cells = store:slowest { kind = kind, since = since, limit = job.given.limit }, {}
  for i, row in ipairs(rows) do
    cells[i] = { row.name, row.count, row.failed, seconds(row.total), ("%.3f"):format(row.mean / 1e6),
      ("%.3f"):format(row.longest / 1e6) }
  end
  local items = shapes.each(rows, function(row)
    return value.dict("name", row.name, "count", row.count, "failed", row.failed, "total", row.total / 1e6, "mean",
      row.mean / 1e6, "longest", row.longest / 1e6)
  end)
  return print_list(job, items, { kind, "runs", "failed", "seconds", "mean", "longest" }, cells,
    ("no %s is in the history"):format(kind))
end

local function list_failures(job, store, since)
  local rows, cells = store:failures { since = since, limit = job.given.limit }, {}
  for i, row in ipairs(rows) do
    cells[i] = { row.run_id:sub(1, 8), shown(row.ended_at) or "", row.run_name or "", row.task, row.status,
      first_line(row.message) or "" }
  end
  local items = shapes.each(rows, function(row)
    return value.dict("run_id", row.run_id, "kind", row.run_kind, "name", value.or_none(row.run_name), "task", row.task,
      "node_id", value.or_none(row.node_id), "status", row.status, "started_at", shapes.iso(row.started_at), "ended_at",
      shapes.iso(row.ended_at), "message", value.or_none(row.message))
  end)
  return print_list(job, items, { "run", "ended", "name", "node", "status", "message" }, cells, "nothing has failed")
end

-- One run ------------------------------------------------------------------------------------------------

local function phases_text(task)
  local parts = {}
  for i, phase in ipairs(task.phases) do parts[i] = ("%s %.3f"):format(phase.phase, phase.duration / 1e6) end
  return table.concat(parts, ", ")
end

local function hook_row(hook, indent)
  local place = hook.file and (hook.file .. (hook.line and ":" .. hook.line or "")) or ""
  return { indent .. (hook.name or ""), hook.phase or "", hook.status or "",
    hook.duration and ("%.3f"):format(hook.duration / 1e6) or "", hook.message and first_line(hook.message) or place }
end

local function print_run(job, store, run)
  local tasks, hooks = store:tasks(run.id)
  if job.given.output == "json" then
    local d = shapes.run(store, run)
    d.args, d.counts, d.result = value.or_none(run.args), d.tasks, value.or_none(run.result)
    d.tasks, d.hooks = shapes.each(tasks, shapes.task), shapes.each(hooks, shapes.hook)
    d.log = shapes.each(store:logs(run.id), function(line)
      return value.dict("at", shapes.iso(line.at), "task", value.or_none(line.task), "level", line.level, "text",
        line.text)
    end)
    term.write(1, json.encode(d, { indent = 2 }) .. "\n")
    return 0
  end
  local cells = {}
  for _, hook in ipairs(hooks) do cells[#cells + 1] = hook_row(hook, "") end
  for _, task in ipairs(tasks) do
    cells[#cells + 1] = { task.name, task.kind or "", task.status,
      task.started_at and task.ended_at and ("%.3f"):format((task.ended_at - task.started_at) / 1e6) or "",
      first_line(task.message) or task.response or phases_text(task) }
    if job.given.output ~= "csv" and #task.phases > 0 then
      cells[#cells + 1] = { "  phases", "", "", "", phases_text(task) }
    end
    for _, hook in ipairs(task.hooks) do cells[#cells + 1] = hook_row(hook, "  hook ") end
  end
  local columns = { "node", "kind", "status", "seconds", "message" }
  if job.given.output == "csv" then
    term.write(1, grid.csv(grid.of(columns, cells)) .. "\n")
    return 0
  end
  local lines = { ("run %s: %s"):format(run.id, run.command or run.name or run.kind),
    ("%s, %s, %s s%s"):format(run.status, shown(run.started_at or run.created_at), took(run) or "0",
      run.by and ", by " .. run.by or "") }
  if run.message then lines[#lines + 1] = run.message end
  for _, line in ipairs(store:logs(run.id, { limit = 100 })) do
    lines[#lines + 1] = ("%s  %s"):format(line.level, (line.text:gsub("\n", "\n      ")))
  end
  term.write(1, table.concat(lines, "\n") .. "\n")
  if #cells > 0 then term.write(1, grid.table(grid.of(columns, cells), room()) .. "\n") end
  return 0
end

-- What is asked ------------------------------------------------------------------------------------------

-- "7d", "12h", or a day.
local function since_of(text)
  if not text then return nil end
  local back = require("project.operation_settings").seconds(text)
  if back then return values.now() - values.micro(back) end
  local moment = require("run.batches").parse(text)
  if moment then return values.micro((moment.hour - require("run.batches").parse("1970-01-01").hour) * 3600) end
  err.raise { code = 101, message = ("--since takes a time like 7d, 12h or 2026-01-31, not '%s'"):format(text) }
end

-- The unique_id of a node by it or by its name.
local function node_of(store, text)
  local rows = store.db:rows([[select unique_id from nodes where unique_id = ?1 or unique_id like '%.' || ?1
    order by unique_id limit 2]], text)
  if #rows == 1 then return rows[1].unique_id end
  if #rows == 2 then
    err.raise { code = 101, message = ("'%s' may be %s or %s"):format(text, rows[1].unique_id, rows[2].unique_id) }
  end
  local names = {}
  for row in store.db:each "select unique_id from nodes" do names[#names + 1] = row.unique_id:match "([^.]+)$" end
  err.raise { code = 655, message = ("the history has no node '%s'"):format(text),
    hint = err.did_you_mean(text, names) }
end

-- A run, when the word is the beginning of an id and not the name of something that ran.
local function run_of(store, word)
  if not word:find "^[%x-]+$" or #word < 4 then return nil end
  if #store:runs { name = word, limit = 1 } > 0 then return nil end
  return store:find_run(word)
end

--- `dex-lua history [NAME | RUN]`.
---@param job table
---@return integer status
function M.run(job)
  local given, word = job.given, job.words[1]
  if job.words[2] then err.raise { code = 101, message = "history takes one name or run, not several" } end
  local store = state.open(require("project.root").resolve(given.project_dir), { readonly = true })
  local since = since_of(given.since)
  if not store then
    if given.output == "json" then term.write(1, "[]\n") else job.report:log("info", "nothing has run here yet") end
    return 0
  end
  job.closers[#job.closers + 1] = function() store:close() end
  store.db:interruptible(true)
  if given.slowest then return list_slowest(job, store, since) end
  if given.failures then return list_failures(job, store, since) end
  if given.node then return list_node(job, store, node_of(store, given.node)) end
  local run = word and run_of(store, word)
  if run then return print_run(job, store, run) end
  if given.status then state.status.check("runs", given.status) end
  return list_runs(job, store, { name = word, since = since, status = given.status, limit = given.limit })
end

return M
