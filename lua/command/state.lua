--- `dex-lua state export | vacuum | check`: the upkeep of .dex/state.db.

local grid = require "report.grid"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local shapes = require "server.shapes"
local state = require "state"
local term = require "dex.term"
local upkeep = require "state.upkeep"
local value = require "jinja.value"
local values = require "state.values"

local M = {}

local actions = {}

local function open(job, opts)
  local store = state.open(require("project.root").resolve(job.given.project_dir), opts)
  if not store then
    err.raise { code = 650, message = "there is no history: nothing has run here yet" }
  end
  job.closers[#job.closers + 1] = function() store:close() end
  store.db:interruptible(true)
  return store
end

-- export -------------------------------------------------------------------------------------------------

local COLUMNS = { "run_id", "kind", "name", "status", "trigger", "by", "target", "created_at", "started_at", "ended_at",
  "task", "task_kind", "task_status", "task_attempt", "task_started_at", "task_ended_at", "task_rows", "task_message" }

local function csv_rows(store, run, out)
  local tasks = store:tasks(run.id)
  if #tasks == 0 then tasks = { {} } end
  for _, task in ipairs(tasks) do
    out[#out + 1] = { run.id, run.kind, run.name, run.status, run.trigger, run.by, run.target,
      values.iso(run.created_at), values.iso(run.started_at), values.iso(run.ended_at), task.name, task.kind,
      task.status, task.attempt, values.iso(task.started_at), values.iso(task.ended_at), task.rows, task.message }
  end
end

local function json_line(store, run)
  local d = shapes.run(store, run)
  local tasks, hooks = store:tasks(run.id)
  d.args, d.counts, d.result = value.or_none(run.args), d.tasks, value.or_none(run.result)
  d.tasks, d.hooks = shapes.each(tasks, shapes.task), shapes.each(hooks, shapes.hook)
  return json.encode(d) .. "\n"
end

-- Where the export goes: a file that is there when all of it is written, or standard output.
local function sink(path)
  if not path then
    return function(text) term.write(1, text) end, function() end
  end
  local parts, temporary = {}, path .. ".new"
  fs.write(temporary, "")
  local function put()
    fs.append(temporary, table.concat(parts))
    parts = {}
  end
  return function(text)
    parts[#parts + 1] = text
    if #parts >= 1000 then put() end
  end, function()
    put()
    fs.rename(temporary, path)
  end
end

--- `state export [FILE]`: all runs with their tasks, the oldest first: a JSON object a line, or CSV with a row for each
--- task. All of it is of one moment, whatever runs meanwhile.
function actions.export(job)
  local store = open(job, { readonly = true })
  local write, done = sink(job.words[2])
  local as_csv = job.given.format == "csv"
  if as_csv then write(grid.csv(grid.of(COLUMNS, {})) .. "\n") end
  store.db:exec "begin"
  local ok, e = pcall(function()
    for row in store.db:each "select id from runs order by seq" do
      local run = store:run(row.id)
      if as_csv then
        local rows = {}
        csv_rows(store, run, rows)
        write(grid.csv(grid.of(COLUMNS, rows)):gsub("^[^\n]*\n", "", 1) .. "\n")
      else
        write(json_line(store, run))
      end
    end
  end)
  if store.db:in_transaction() then store.db:exec "rollback" end
  if not ok then
    if job.words[2] and fs.exists(job.words[2] .. ".new") then os.remove(job.words[2] .. ".new") end
    error(e, 0)
  end
  done()
  return 0
end

-- vacuum and check ---------------------------------------------------------------------------------------

--- `state vacuum`: removes what the project's settings no longer keep, and gives the room back to the disk.
function actions.vacuum(job)
  local root = require("project.root").load(job.given.project_dir, job.given)
  local settings = upkeep.settings { config = root.config, packages = { root } }
  local store = open(job, { timeout = 10 })
  store.db:row "pragma wal_checkpoint(truncate)" -- what stands beside the file counts, too
  local before = fs.stat(store.path).size
  upkeep.bury_commands(store)
  local runs = upkeep.apply(store, settings)
  store.db:exec "vacuum"
  store.db:row "pragma wal_checkpoint(truncate)"
  job.report:log("info", ("%d run%s removed, %d kept; %.1f MB, %.1f MB before"):format(runs, runs == 1 and "" or "s",
    store.db:value "select count(*) from runs", fs.stat(store.path).size / 1e6, before / 1e6))
  return 0
end

--- `state check`: whether the file is whole; status 1 when it is not.
function actions.check(job)
  local store = open(job, { readonly = true })
  local problems = {}
  local ok, e = pcall(function()
    for row in store.db:each "pragma integrity_check(20)" do
      if row.integrity_check ~= "ok" then problems[#problems + 1] = row.integrity_check end
    end
  end)
  if not ok then
    if not err.is(e) or e.code ~= 653 then error(e, 0) end
    problems[1] = e.message
  end
  for _, problem in ipairs(problems) do job.report:log("error", problem) end
  if #problems > 0 then
    err.raise { code = 653, message = "the history is damaged", file = store.path,
      hint = "move the file away: it is made anew; `dex-lua state export` saves what can still be read" }
  end
  job.report:log("info", ("%s: version %d, %d runs, %.1f MB, nothing wrong"):format(
    require("report.errors").relative(store.path), require("state.schema").version,
    store.db:value "select count(*) from runs", fs.stat(store.path).size / 1e6))
  return 0
end

--- `state export`, `state vacuum`, `state check`.
---@param job table
---@return integer status
function M.run(job)
  local word = job.words[1]
  local action = actions[word or ""]
  if not action then
    err.raise { code = 101, message = word and ("there is no `dex-lua state %s`"):format(word)
      or "state needs a word", hint = "dex-lua state export|vacuum|check" }
  end
  if job.words[word == "export" and 3 or 2] then
    err.raise { code = 101, message = ("state %s does not take '%s'"):format(word, job.words[#job.words]) }
  end
  return action(job)
end

return M
