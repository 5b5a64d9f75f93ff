--- /api/flows: what they are, when they run next, and starting them.

local shapes = require "server.shapes"
local show = require "flow.show"
local start = require "server.start"
local state = require "state"
local value = require "jinja.value"

local dict, none = value.dict, value.none

local LAST_RUNS = 20

-- A flow as `flow show` has it, with what the state knows.
local function describe(server, flow)
  local store = server.store
  local kept = store:schedule(flow.name)
  local d = show.describe(flow, { now = state.now(), paused = kept.paused and (kept.paused_by or "somebody") or nil })
  d.file = require("report.errors").relative(flow.file, server.loaded:get().root)
  if d.schedule ~= none then d.schedule.paused_at = shapes.iso(kept.paused and kept.paused_at or nil) end
  d.last_runs = shapes.runs(store, store:runs { kind = "flow", name = flow.name, limit = LAST_RUNS })
  return d
end

local function ls(request)
  return dict("items", shapes.each(start.flows(request.server), function(flow)
    return describe(request.server, flow)
  end))
end

local function one(request) return describe(request.server, start.flow(request.server, request.params.name)) end

local function run(request)
  local server, flow = request.server, start.flow(request.server, request.params.name)
  local args, shown = start.bind(flow.parameters, ("flow '%s'"):format(flow.name), request.body.parameters)
  return dict("id", server.supervisor:start { kind = "flow", name = flow.name, argv = { "flow", "run", flow.name },
    trigger = "api", by = request.who.name, parameters = args, shown = shown })
end

local function pause(request)
  local flow = start.flow(request.server, request.params.name)
  request.server.store:pause(flow.name, request.who.name)
  return describe(request.server, flow)
end

local function resume(request)
  local flow = start.flow(request.server, request.params.name)
  request.server.store:resume(flow.name, request.who.name)
  return describe(request.server, flow)
end

return {
  { method = "GET", path = "/api/flows", about = "The flows with their schedules and last runs", handler = ls,
    gives = "items: [Flow]" },
  { method = "GET", path = "/api/flows/{name}", about = "A flow", handler = one, gives = "Flow" },
  { method = "POST", path = "/api/flows/{name}/runs", about = "Runs a flow", handler = run, status = 201,
    body = "parameters?: mapping", gives = "Started", audit = "run flow", subject = "name" },
  { method = "POST", path = "/api/flows/{name}/pause", about = "Its schedule starts nothing until it is resumed",
    handler = pause, body = ":", gives = "Flow", audit = "pause", subject = "name" },
  { method = "POST", path = "/api/flows/{name}/resume", about = "Its schedule holds again", handler = resume,
    body = ":", gives = "Flow", audit = "resume", subject = "name" },
}
