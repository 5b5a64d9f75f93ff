--- /api/status, /api/events and /api/openapi.json.

local core = require "dex.core"
local err = require "err"
local json = require "dex.json"
local members = require "project.members"
local shapes = require "server.shapes"
local time = require "dex.time"
local value = require "jinja.value"

local dict, list, none = value.dict, value.list, value.none

local kinds = { "model", "seed", "snapshot", "source", "test", "unit_test", "exposure", "function" }

local function count(project)
  local counts = dict()
  for _, kind in ipairs(kinds) do counts[kind .. "s"] = 0 end
  for _, group in ipairs(members.groups) do
    for _, id in ipairs(members.ids(project, group)) do
      local key = members.kind(id) .. "s"
      if counts[key] then counts[key] = counts[key] + 1 end
    end
  end
  counts.operations = #require("project.operations").list(project)
  return counts
end

local function about_project(server)
  local ok, project = pcall(server.loaded.get, server.loaded)
  if not ok then return dict("problem", err.wrap(project).message, "counts", none, "name", none, "target", none) end
  return dict("problem", none, "counts", server.loaded:cached("counts", count), "name", project.name,
    "target", value.or_none(value.opt(project.profile.target_name)))
end

local function status(request)
  local server = request.server
  local store, about = server.store, about_project(server)
  local running = list()
  for i, run in ipairs(store:runs { open = true, limit = 200 }) do running[i] = shapes.run(store, run) end
  return dict("version", core.version, "project", about.name, "target", about.target, "project_problem", about.problem,
    "now", time.iso(time.now()), "who", request.who.name, "role", request.who.role,
    "schedules_on", server.schedules_on, "last_event_id", store:last_event_id(), "running", running,
    "counts", about.counts)
end

local stream_fields = { { "Content-Type", "text/event-stream; charset=utf-8" }, { "Cache-Control", "no-store" },
  { "X-Content-Type-Options", "nosniff" }, { "X-Accel-Buffering", "no" }, { "Referrer-Policy", "no-referrer" } }

local function events(request)
  local after = request.query.after
  local last = request.headers["last-event-id"]
  if last then
    after = math.tointeger(tonumber(last))
    if not after or after < 0 then
      err.raise { code = 670, status = 400, message = "Last-Event-ID must be the number of an event" }
    end
  end
  local run, ends = request.query.run, request.query.ends
  if run and not request.server.store:run(run) then
    err.raise { code = 674, message = ("there is no run '%s'"):format(run) }
  end
  if ends and not run then err.raise { code = 676, message = "`ends` goes with `run`" } end
  request.server.events:follow(request.who, request.answer, stream_fields, after, run, ends)
end

-- The same for as long as the program runs.
local text

local function document()
  text = text or json.encode(require("server.openapi").document(), { compact = true })
  return text
end

return {
  { method = "GET", path = "/api/status", about = "The project, who asks, and what runs", handler = status,
    gives = [=[
      version: text
      project: text?
      target: text?
      project_problem: text?   -- why the project cannot be loaded
      now: time
      who: text
      role: view|run
      schedules_on: boolean
      last_event_id: integer
      running: [Run]           -- and what is queued
      counts: {integer}?]=] },
  { method = "GET", path = "/api/events", handler = events,
    query = "after?: integer 0..9223372036854775807\nrun?: text    -- only those of this run\n" ..
      "ends?: boolean    -- the stream ends when that run has",
    about = "What happens, as server-sent events: run, tasks, task, phase, hook, log, cancel, schedule. The field " ..
      "Last-Event-ID, or `after`, replays what came since" },
  { method = "GET", path = "/api/openapi.json", about = "This document", gives = "mapping",
    handler = document },
}
