--- What happens in a command, as events in the shape of dbt's structured log: names, codes, levels and fields are
-- those of dbt-core's core/dbt/events, which Airflow's Cosmos, Dagster and log collectors read. Where they go, and as
-- what, the owner says: report/json_log.lua, report/file_log.lua.

local builtins = require "run.builtins"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local Events = {}
Events.__index = Events

local dict, none, opt = value.dict, value.none, value.opt

--- The levels in their order.
M.levels = { debug = 1, info = 2, warn = 3, error = 4, none = 5 }

local result_events = { model = { "LogModelResult", "Q012" }, seed = { "LogSeedResult", "Q016" },
  test = { "LogTestResult", "Q007" }, unit_test = { "LogTestResult", "Q007" },
  snapshot = { "LogSnapshotResult", "Q015" }, source = { "LogFreshnessResult", "Q018" },
  ["function"] = { "LogFunctionResult", "Q047" }, no_op = { "LogNodeNoOpResult", "Q019" } }

local shown_kind = { test = "data test" }

--- One event.
---@class dex.Event
---@field level "debug"|"info"|"warn"|"error"
---@field name string of dbt's event
---@field code string
---@field message string
---@field data table|function dict, or what makes it
---@field thread string|nil

--- A reporter with the methods of report/terminal.lua, that gives each event to `emit`.
---@param opts {command: string, level: string, print: boolean|nil, emit: fun(event: dex.Event)}
function M.new(opts)
  return setmetatable({ emit = opts.emit, command = opts.command, level = M.levels[opts.level] or M.levels.info,
    print = opts.print ~= false, index = 0, begun = 0, total = 0, started = {}, counts = {}, failures = {},
    warned = {} }, Events)
end

-- `data` is a dict, or a function that makes it: a log of text never asks.
local function emit(self, level, name, code, message, data, thread)
  if M.levels[level] < self.level and name ~= "PrintEvent" then return end
  self.emit { level = level, name = name, code = code, message = message, data = data or dict(), thread = thread }
end

-- A function that makes a thing when it is first called.
local function later(make)
  local made
  return function()
    made = made or make()
    return made
  end
end

local function node_info(node, status, started, finished)
  local relation = dict("alias", opt(node.alias) or "", "database", opt(node.database) or "",
    "relation_name", opt(node.relation_name) or "", "schema", opt(node.schema) or "")
  local config = opt(node.config)
  local checksum = opt(node.checksum)
  return dict("materialized", config and opt(config.materialized) or "", "meta", config and opt(config.meta) or dict(),
    "node_checksum", checksum and opt(checksum.checksum) or "",
    "node_finished_at", finished and time.iso(finished) or "", "node_name", node.name,
    "node_path", opt(node.path) or "",
    "node_relation", relation, "node_started_at", started and time.iso(started) or "", "node_status", status,
    "resource_type", node.resource_type, "unique_id", node.unique_id)
end

-- What a text says; of a node that is being built, with its `node_info`, by which tools know whose text it is.
local function of_node(self, node, field, text)
  local data = dict(field, text)
  local started = node and self.started[node.unique_id]
  if started then data.node_info = node_info(node, "executing", started) end
  return data
end

function Events:log(level, text, node)
  if level == "print" then
    if self.print then emit(self, "info", "PrintEvent", "Z052", text, dict("msg", text)) end
  elseif level == "error" then
    emit(self, "error", "MainEncounteredError", "Z002", text, dict("exc", text))
  elseif level == "warn" then
    emit(self, "warn", "JinjaLogWarning", "I061", text, dict("msg", text))
  else
    emit(self, level, level == "debug" and "JinjaLogDebug" or "JinjaLogInfo", level == "debug" and "I063" or "I062",
      text, function() return of_node(self, node, "msg", text) end)
  end
end

function Events:warning(e)
  local where = e.file and (e.file .. (e.line and (":" .. e.line) or "") .. ": ") or ""
  local name, code = require("report.warnings").event_of(e)
  emit(self, "warn", name, code, where .. e.message, dict("msg", where .. e.message))
end

function Events:failure(e)
  local text = require("report.errors").format(e)
  emit(self, "error", "MainEncounteredError", "Z002", text, dict("exc", text, "code", e.code))
end

--- The events of a run (lua/run/init.lua). Does not wait.
function Events:event(name, data)
  local handler = self["on_" .. name]
  if handler then handler(self, data) end
end

local function counted(nodes)
  local counts, order = {}, {}
  for _, item in ipairs(nodes or {}) do
    local kind = shown_kind[item.kind] or item.kind:gsub("_", " ")
    if not counts[kind] then order[#order + 1] = kind end
    counts[kind] = (counts[kind] or 0) + 1
  end
  table.sort(order)
  local parts = {}
  for i, kind in ipairs(order) do parts[i] = ("%d %s%s"):format(counts[kind], kind, counts[kind] == 1 and "" or "s") end
  return table.concat(parts, ", ")
end

function Events:on_run_start(data)
  self.total, self.run_started, self.stats = data.total, time.mono(), counted(data.nodes)
  emit(self, "info", "MainReportVersion", "A001", "Running with dbt=" .. builtins.DBT_VERSION,
    dict("log_version", 3, "version", "=" .. builtins.DBT_VERSION))
  local line = self.stats ~= "" and self.stats or (data.total .. " nodes")
  emit(self, "info", "FoundStats", "W006", "Found " .. line, dict("stat_line", line))
  for _, text in ipairs(data.lines or {}) do emit(self, "debug", "Note", "Z050", text, dict("msg", text)) end
end

-- Work that came up on the way.
function Events:on_more(data) self.total = self.total + data.count end

function Events:on_node_start(data)
  local node = data.node
  if not node then return end
  local now = time.now()
  self.begun = self.begun + 1
  self.started[data.id] = now
  local info = later(function() return node_info(node, "started", now) end)
  emit(self, "debug", "NodeStart", "Q024", "Began running node " .. data.id,
    function() return dict("node_info", info()) end)
  local described = ("%s %s"):format(data.kind, data.label)
  emit(self, "info", "LogStartLine", "Q011", ("%d of %d START %s"):format(self.begun, self.total, described),
    function()
      return dict("description", described, "index", self.begun, "node_info", info(), "total", self.total)
    end)
end

local function run_result(result)
  local response, timing = dict(), value.list()
  local given = result.adapter_response
  if given then
    response._message = given.message
    if given.code then response.code = given.code end
    if given.rows_affected then response.rows_affected = given.rows_affected end
  end
  for i, t in ipairs(result.timing or {}) do
    timing[i] = dict("completed_at", time.iso(t.completed_at), "name", t.name, "started_at", time.iso(t.started_at))
  end
  return dict("adapter_response", response, "execution_time", result.seconds or 0.0, "message", result.message or "",
    "num_failures", result.failures or 0, "status", result.status, "thread", result.thread_id or "MainThread",
    "timing_info", timing)
end

local failed = { error = true, fail = true, ["partial success"] = true }

local function level_of(status)
  return failed[status] and "error" or status == "warn" and "warn" or "info"
end

-- What is its kind's own in a result's event.
local function own_fields(result, data)
  local node = result.node
  if result.kind == "test" or result.kind == "unit_test" then
    data.attached_node = opt(node.attached_node) or ""
    data.name, data.num_failures, data.num_models = result.name, result.failures or 0, data.total
  elseif result.kind == "seed" then
    data.relation, data.schema, data.result_message = node.alias, opt(node.schema) or "", result.message or ""
  elseif result.kind == "snapshot" then
    data.result_message, data.cfg = result.message or "", node.config
  elseif result.kind == "source" then
    data.source_name, data.table_name = node.source_name, node.name
  end
end

local function emit_failure(self, result, info)
  local node = result.node
  local path = opt(node.original_file_path) or ""
  emit(self, "error", "RunResultFailure", "Z022", ("ERROR in %s %s (%s)"):format(node.resource_type, node.name, path),
    dict("node_info", info(), "node_name", node.name, "path", path, "resource_type", node.resource_type))
  local text = result.error and require("report.errors").format(result.error) or result.message or result.status
  emit(self, "error", "RunResultError", "Z024", text, dict("msg", text, "node_info", info()))
end

function Events:on_node_end(result)
  if not result.node then return end
  self.index = self.index + 1
  local status = result.status
  self.counts[status] = (self.counts[status] or 0) + 1
  local finished = time.now()
  local info = later(function() return node_info(result.node, status, self.started[result.id], finished) end)
  local event = result_events[status == "no-op" and "no_op" or result.kind] or result_events.model
  local message = ("%d of %d %s %s"):format(self.index, self.total, status:upper(), result.label)
  if result.seconds then message = ("%s in %.2fs"):format(message, result.seconds) end
  if status == "skipped" then
    emit(self, "info", "SkippingDetails", "Q034", message, dict("index", self.index, "node_info", info(),
      "node_name", result.name, "resource_type", result.node.resource_type, "schema", opt(result.node.schema) or "",
      "total", self.total), result.thread_id)
  else
    local shown = (result.kind == "model" or result.kind == "snapshot") and status == "success" and result.message
    emit(self, level_of(status), event[1], event[2], message, function()
      local data = dict("description", result.label, "execution_time", result.seconds or 0.0, "index", self.index,
        "node_info", info(), "status", shown or status, "total", self.total)
      own_fields(result, data)
      return data
    end, result.thread_id)
  end
  emit(self, "debug", "NodeFinished", "Q025", "Finished running node " .. result.id,
    function() return dict("node_info", info(), "run_result", run_result(result)) end, result.thread_id)
  if failed[status] then emit_failure(self, result, info) end
  if status == "warn" then
    local text = result.message or "warning"
    emit(self, "warn", "RunResultWarningMessage", "Z046", text, dict("msg", text, "node_info", info()))
  end
end

-- A statement on its way to the server.
function Events:on_sql(data)
  emit(self, "debug", "SQLQuery", "E016", ("On %s: %s"):format(data.id, data.sql),
    function()
      local shown = of_node(self, data.node, "sql", data.sql)
      shown.conn_name = data.id
      return shown
    end)
end

function Events:on_hook_end(record)
  local bad = record.status == "error"
  local of_run = record.phase == "run_start" or record.phase == "run_end"
  emit(self, bad and "error" or of_run and "info" or "debug", "LogHookEndLine", "Q033",
    ("%s hook: %s %s"):format(bad and "ERROR" or "OK", record.phase, record.label), function()
      return dict("execution_time", record.seconds or 0.0, "statement", record.label, "status", record.status, "phase",
        record.phase, "node", record.node or none)
    end)
end

function Events:on_run_hook_end(result)
  if not result.error then return end
  emit_failure(self, result, later(function() return node_info(result.node, result.status, nil, time.now()) end))
end

local function emit_summary(self, summary)
  local n = function(name) return self.counts[name] or 0 end
  local seconds = time.mono() - self.run_started
  emit(self, "info", "FinishedRunningStats", "E047", ("Finished running %s in %.2f seconds"):format(self.stats,
    seconds), dict("execution", (" in %.2f seconds"):format(seconds), "execution_time", seconds, "stat_line",
    self.stats))
  local errors = n "error" + n "fail"
  emit(self, "info", "EndOfRunSummary", "Z030", errors == 0 and n "warn" == 0 and "Completed successfully"
    or ("Completed with %d errors, %d partial successes, and %d warnings"):format(errors, n "partial success",
      n "warn"),
    dict("keyboard_interrupt", summary.cancelled and true or false, "num_errors", errors,
      "num_partial_success", n "partial success", "num_warnings", n "warn"))
  local pass = n "success" + n "pass"
  local skip = n "skipped" + n "cancelled"
  local line = ("Done. PASS=%d WARN=%d ERROR=%d SKIP=%d NO-OP=%d REUSED=0 TOTAL=%d"):format(pass, n "warn", errors,
    skip, n "no-op", self.index)
  emit(self, "info", "StatsLine", "Z023", line, dict("stats", dict("error", errors, "noop", n "no-op", "pass", pass,
    "reused", 0, "skip", skip, "total", self.index, "warn", n "warn")))
end

--- The last events.
---@param summary {seconds: number, success: boolean, cancelled: any}
function Events:finish(summary)
  if self.run_started then emit_summary(self, summary) end
  emit(self, "debug", "CommandCompleted", "Q039", ("Command `dex-lua %s` %s after %.2f seconds"):format(self.command,
    summary.success and "succeeded" or "failed", summary.seconds), dict("command", "dex-lua " .. self.command,
    "completed_at", time.iso(time.now()), "elapsed", summary.seconds, "success", summary.success))
end

return M
