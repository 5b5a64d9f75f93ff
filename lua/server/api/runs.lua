--- /api/runs: what ran and runs, and what can be done about it.

local err = require "err"
local shapes = require "server.shapes"
local value = require "jinja.value"

local dict, list, none = value.dict, value.list, value.none

local LOG_LIMIT = 1000

local function run_of(request)
  local run = request.server.store:run(request.params.id)
  if not run then
    err.raise { code = 674, message = ("there is no run '%s'"):format(request.params.id) }
  end
  return run
end

local function runs(request)
  local query, store = request.query, request.server.store
  local limit = query.limit or 50
  local rows = store:runs { kind = query.kind, name = query.name, status = query.status, parent_id = query.parent,
    before = query.before, limit = limit }
  return dict("items", shapes.runs(store, rows), "next", #rows == limit and rows[limit].seq or none)
end

local function run(request)
  local store, row = request.server.store, run_of(request)
  local detail = shapes.run(store, row)
  local tasks, hooks = store:tasks(row.id)
  detail.counts = detail.tasks
  detail.result = value.or_none(row.result)
  detail.tasks, detail.hooks = shapes.each(tasks, shapes.task), shapes.each(hooks, shapes.hook)
  return detail
end

local function log(request)
  local query = request.query
  local limit = query.limit or LOG_LIMIT
  local rows = request.server.store:logs(run_of(request).id, { after = query.after, task = query.task, limit = limit })
  local items = list()
  for i, row in ipairs(rows) do
    items[i] = dict("id", row.id, "at", shapes.iso(row.at), "task", value.or_none(row.task), "level", row.level,
      "text", row.text)
  end
  return dict("items", items, "next", #rows == limit and rows[limit].id or none)
end

local is_open = { queued = true, running = true }

local function cancel(request)
  local row = run_of(request)
  if not is_open[row.status] then
    err.raise { code = 675, message = "the run has ended already: it is " .. row.status }
  end
  request.server.supervisor:cancel(row.id, request.who.name)
  return dict("id", row.id)
end

local function must_be_flow(row)
  if row.kind == "flow" then return end
  err.raise { code = 675, message = ("only runs of flows have tasks for that, and this is one of %s"):format(
    row.kind == "command" and "a command" or "an operation"), hint = "start it anew" }
end

-- Raises 676 for what is no task of a run, so that it is told here and not by a run that fails.
local function check_tasks(store, row, names)
  local known, all = {}, {}
  for i, task in ipairs((store:tasks(row.id))) do known[task.name], all[i] = true, task.name end
  for _, name in ipairs(names) do
    if not known[name] then
      err.raise { code = 676, message = ("the run has no task '%s'"):format(name), hint = err.did_you_mean(name, all) }
    end
  end
end

local function rerun(request)
  local row, body = run_of(request), request.body
  must_be_flow(row)
  if is_open[row.status] then err.raise { code = 675, message = "the run has not ended yet: it is " .. row.status } end
  local argv, tasks = { "flow", "rerun", row.id }, body.tasks or list()
  check_tasks(request.server.store, row, tasks)
  if body.from and body.from ~= "failure" and body.from ~= "all" then
    check_tasks(request.server.store, row, { body.from })
  end
  if body.from then table.move({ "--from", body.from }, 1, 2, 4, argv) end
  if #tasks > 0 then argv[#argv + 1] = "--select" end
  table.move(tasks, 1, #tasks, #argv + 1, argv)
  local parameters, shown = require("server.start").arguments(request.server, row.name, body.parameters)
  return dict("id", request.server.supervisor:start { kind = "flow", name = row.name, argv = argv, trigger = "rerun",
    by = request.who.name, parameters = parameters, shown = shown or row.parameters, rerun_of = row.id })
end

local function mark(request)
  local row = run_of(request)
  must_be_flow(row)
  require("flow.mark").task(request.server.store, row.id, request.params.name, request.body.status, request.who.name)
  return dict("id", row.id)
end

return {
  { method = "GET", path = "/api/runs", about = "Runs, the newest first", handler = runs,
    query = "kind?: flow|operation|command\nname?: text\nstatus?: " .. shapes.RUN_STATUS ..
      "\nparent?: text\nlimit?: integer 1..1000\nbefore?: integer 0..9223372036854775807",
    gives = "items: [Run]\nnext: integer?    -- for `before`: there may be more" },
  { method = "GET", path = "/api/runs/{id}", about = "A run with its tasks, their phases and hooks", handler = run,
    gives = "RunDetail" },
  { method = "GET", path = "/api/runs/{id}/log", about = "Lines of a run's log", handler = log,
    query = "after?: integer 0..9223372036854775807\ntask?: text\nlimit?: integer 1..10000",
    gives = "items: [Line]\nnext: integer?    -- for `after`: there may be more" },
  { method = "POST", path = "/api/runs/{id}/cancel", about = "Ends a run: queries are cancelled and rolled back",
    handler = cancel, body = ":", gives = "Started", status = 202, audit = "cancel", subject = "id" },
  { method = "POST", path = "/api/runs/{id}/rerun", about = "Runs a flow again: all, from what failed, from a task, " ..
    "or some tasks; with the same parameters or others", handler = rerun, gives = "Started", status = 201,
    body = "from?: text    -- failure, all, or a task\ntasks?: [text]\nparameters?: mapping", audit = "rerun",
    subject = "id" },
  { method = "POST", path = "/api/runs/{id}/tasks/{name}/mark", about = "Says how a task that does not run has ended",
    handler = mark, body = "status: success|skipped|failed", gives = "Started", audit = "mark", subject = "id" },
}
