--- /api/history and /api/audit: what many runs tell, and who did what.

local err = require "err"
local shapes = require "server.shapes"
local state = require "state"
local value = require "jinja.value"

local dict, none, or_none = value.dict, value.none, value.or_none

local DAY = 86400 * 1000000

local function since(query) return query.days and state.now() - query.days * DAY or nil end

local function durations(request)
  local query, store = request.query, request.server.store
  local limit = query.limit or 100
  local rows
  if query.node then
    rows = store:durations(query.node, limit)
  else
    local name, kind = query.flow, "flow"
    if query.operation then name, kind = query.operation, "operation" end
    if query.command then name, kind = query.command, "command" end
    if not name then err.raise { code = 676, message = "the address needs node, flow, operation or command" } end
    rows = store:run_durations(kind, name, limit)
  end
  return dict("items", shapes.each(rows, shapes.duration))
end

local function slowest(request)
  local query = request.query
  local rows = request.server.store:slowest { kind = query.kind, since = since(query), limit = query.limit or 20 }
  return dict("items", shapes.each(rows, function(row)
    return dict("name", row.name, "count", row.count, "failed", row.failed, "total", shapes.seconds(row.total),
      "mean", shapes.seconds(row.mean), "longest", shapes.seconds(row.longest))
  end))
end

local function failures(request)
  local query = request.query
  local rows = request.server.store:failures { since = since(query), limit = query.limit or 50 }
  return dict("items", shapes.each(rows, function(row)
    return dict("run_id", row.run_id, "run_kind", row.run_kind, "run_name", or_none(row.run_name), "task", row.task,
      "node_id", or_none(row.node_id), "status", row.status, "started_at", shapes.iso(row.started_at),
      "ended_at", shapes.iso(row.ended_at), "message", or_none(row.message))
  end))
end

local function audit(request)
  local query = request.query
  local limit = query.limit or 100
  local rows = request.server.store:audit { before = query.before, limit = limit }
  return dict("items", shapes.each(rows, function(row)
    return dict("id", row.id, "at", shapes.iso(row.at), "who", or_none(row.who), "role", or_none(row.role),
      "action", row.action, "subject", or_none(row.subject), "outcome", or_none(row.outcome), "data", or_none(row.data))
  end), "next", #rows == limit and rows[limit].id or none)
end

return {
  { method = "GET", path = "/api/history/durations", about = "How long a node, flow, operation or command took, the " ..
    "newest run first", handler = durations, gives = "items: [Duration]",
    query = "node?: text\nflow?: text\noperation?: text\ncommand?: text\nlimit?: integer 1..1000" },
  { method = "GET", path = "/api/history/slowest", about = "What took longest altogether", handler = slowest,
    query = "kind: node|hook\ndays?: integer 1..3650\nlimit?: integer 1..1000", gives = "items: [Slow]" },
  { method = "GET", path = "/api/history/failures", about = "Tasks that failed, the newest first", handler = failures,
    query = "days?: integer 1..3650\nlimit?: integer 1..1000", gives = "items: [Failure]" },
  { method = "GET", path = "/api/audit", about = "Who did what", handler = audit, gives = "items: [AuditEntry]\n" ..
    "next: integer?    -- for `before`: there may be more",
    query = "limit?: integer 1..1000\nbefore?: integer 0..9223372036854775807" },
}
