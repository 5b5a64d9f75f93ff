--- `--log-format json`: one event a line on standard output, in the shape of dbt's structured log, which
-- Airflow, Dagster and log collectors read. The event names and codes are those of dbt's core/dbt/events.

local core = require "dex.core"
local json = require "dex.json"
local term = require "dex.term"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local Log = {}
Log.__index = Log

local levels = { debug = 1, info = 2, warn = 3, error = 4, none = 5 }
local dict, none = value.dict, value.none

local result_events = { model = { "LogModelResult", "Q012" }, seed = { "LogSeedResult", "Q016" },
  test = { "LogTestResult", "Q007" }, unit_test = { "LogTestResult", "Q007" },
  snapshot = { "LogSnapshotResult", "Q015" }, source = { "LogFreshnessResult", "Q018" },
  ["function"] = { "LogFunctionResult", "Q047" } }

--- A reporter with the methods of report.terminal's.
---@param opts {level: string, quiet: boolean, command: string, invocation_id: string}
function M.new(opts)
  return setmetatable({ level = opts.quiet and levels.error or levels[opts.level] or levels.info,
    command = opts.command, invocation_id = opts.invocation_id, index = 0, total = 0, started = {} }, Log)
end

local function emit(self, level, name, code, message, data)
  if levels[level] < self.level and name ~= "PrintEvent" then return end
  local info = dict("category", "", "code", code, "extra", dict(), "invocation_id", self.invocation_id,
    "level", level, "msg", message, "name", name, "pid", core.pid and core.pid() or 0,
    "thread", "MainThread", "ts", time.iso(time.now()))
  term.write(1, json.encode(dict("data", data or dict(), "info", info)) .. "\n")
end

local function node_info(node, status, started, finished)
  local relation = dict("alias", node.alias or "", "database", value.opt(node.database) or "",
    "relation_name", value.opt(node.relation_name) or "", "schema", value.opt(node.schema) or "")
  return dict("materialized", node.config and value.opt(node.config.materialized) or "", "meta", dict(),
    "node_finished_at", finished and time.iso(finished) or "", "node_name", node.name, "node_path", node.path or "",
    "node_relation", relation, "node_started_at", started and time.iso(started) or "", "node_status", status,
    "resource_type", node.resource_type, "unique_id", node.unique_id)
end

function Log:log(level, text)
  if level == "print" then
    emit(self, "info", "PrintEvent", "Z052", text, dict("msg", text))
  else
    emit(self, level, level == "debug" and "JinjaLogDebug" or "JinjaLogInfo", level == "debug" and "I062" or "I063",
      text, dict("msg", text))
  end
end

function Log:warning(e)
  local where = e.file and (e.file .. (e.line and (":" .. e.line) or "") .. ": ") or ""
  emit(self, "warn", "Note", "Z050", where .. e.message, dict("msg", e.message))
end

function Log:failure(e)
  local text = require("report.errors").format(e)
  emit(self, "error", "MainEncounteredError", "Z002", text, dict("exc", text, "code", e.code))
end

function Log:tick() end -- luacheck: ignore self

--- The events of a run (lua/run/init.lua). Does not wait.
function Log:event(name, data)
  local handler = self["on_" .. name]
  if handler then handler(self, data) end
end

function Log:on_run_start(data)
  self.total = data.total
  emit(self, "info", "MainReportVersion", "A001", "Running with dex-lua=" .. core.version,
    dict("log_version", 3, "version", core.version))
  emit(self, "info", "FoundStats", "W006", "Found " .. data.total .. " nodes",
    dict("stat_line", data.total .. " nodes"))
end

function Log:on_node_start(data)
  if not data.node then return end
  local now = time.now()
  self.started[data.id] = now
  emit(self, "info", "NodeStart", "Q024", "Began running node " .. data.id,
    dict("node_info", node_info(data.node, "started", now)))
end

function Log:on_node_end(result)
  if not result.node then return end
  self.index = self.index + 1
  local status = result.status
  local level = (status == "error" or status == "fail") and "error" or status == "warn" and "warn" or "info"
  local info = node_info(result.node, status, self.started[result.id], time.now())
  local event = result_events[result.kind] or result_events.model
  local message = ("%d of %d %s %s"):format(self.index, self.total, status:upper(), result.label)
  emit(self, level, event[1], event[2], message, dict("description", result.label, "execution_time",
    result.seconds or 0.0, "index", self.index, "node_info", info, "status", status, "total", self.total,
    "num_failures", result.failures or 0, "name", result.name))
  emit(self, "debug", "NodeFinished", "Q025", "Finished running node " .. result.id,
    dict("node_info", info, "run_result", dict("execution_time", result.seconds or 0.0, "message",
      result.message or none, "num_failures", result.failures or 0, "status", status, "thread", "MainThread")))
  if result.error then
    local text = require("report.errors").format(result.error)
    emit(self, "error", "RunResultError", "Z024", text, dict("msg", text, "node_info", info))
  end
end

function Log:on_hook_end(record)
  emit(self, record.status == "error" and "error" or "info", "LogHookEndLine", "Q033",
    ("%s hook %s %s"):format(record.status, record.phase, record.label), dict("execution_time", record.seconds or 0.0,
      "statement", record.label, "status", record.status, "phase", record.phase, "node", record.node or none))
end

function Log:on_run_hook_end(result)
  if not result.error then return end
  local text = require("report.errors").format(result.error)
  emit(self, "error", "RunResultError", "Z024", text, dict("msg", text, "node_info",
    node_info(result.node, result.status, nil, time.now())))
end

--- The last event.
---@param summary {seconds: number, success: boolean}
function Log:finish(summary)
  emit(self, "info", "CommandCompleted", "Q039", ("Command `dex-lua %s` %s after %.2f seconds"):format(self.command,
    summary.success and "succeeded" or "failed", summary.seconds), dict("command", self.command, "completed_at",
    time.iso(time.now()), "elapsed", summary.seconds, "success", summary.success))
end

return M
