--- The artifacts in dbt's schemas (run_results.json version 6, sources.json 3, catalog.json 1, and the two that have
-- no version). Written by write-then-rename; lua/project/manifest.lua writes manifest.json, and
-- lua/report/hook_results.lua hook_results.json.

local builtins = require "run.builtins"
local draft = require "dex.draft"
local fs = require "dex.fs"
local json = require "dex.json"
local operation_result = require "run.operation_result"
local secrets = require "run.secrets"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local dict, none = value.dict, value.none

local AT_ONCE = 65536 -- bytes that are written in one go

local function metadata(job, schema)
  return dict("dbt_schema_version", schema, "dbt_version", builtins.DBT_VERSION, "generated_at", time.iso(time.now()),
    "invocation_id", job.invocation_id, "invocation_started_at", time.iso(job.started_at), "env", dict())
end

local function timing(result)
  local list = value.list()
  for _, t in ipairs(result.timing or {}) do
    list[#list + 1] = dict("name", t.name, "started_at", time.iso(t.started_at), "completed_at",
      time.iso(t.completed_at))
  end
  return list
end

local function adapter_response(result)
  local response, d = result.adapter_response, dict()
  if response then
    d._message = response.message
    if response.code then d.code = response.code end
    if response.rows_affected or response.code then d.rows_affected = response.rows_affected or -1 end -- as dbt says it
  end
  if result.tries then d.tries = result.tries end -- of its transaction, the last one included
  d.operation = operation_result.of(result)
  return d
end

-- Keys and their order as dbt's RunResultOutput (core/dbt/artifacts/schemas/run/v5/run.py) has them.
local function run_result(result)
  return dict("status", result.status == "cancelled" and "skipped" or result.status, "timing", timing(result),
    "thread_id", result.thread_id or "MainThread", "execution_time", result.seconds or 0.0,
    "adapter_response", adapter_response(result), "message", result.message or none,
    "failures", result.failures or none, "unique_id", result.id,
    "compiled", value.or_none(result.compiled), "compiled_code", result.compiled_code or none,
    "relation_name", result.relation_name or none, "batch_results", result.batch_results or none)
end

local function write(path, content)
  fs.mkdirs(path:match("^(.*)/"))
  fs.write(path, secrets.encode(content))
end

--- Writes run_results.json; one result after the other, so that those of a large project are not in memory twice.
---@param job table of lua/pipeline.lua
---@param results table[] result records of lua/run, in the order in which they ended
function M.run_results(job, results)
  local path = job.target_path .. "/run_results.json"
  fs.mkdirs(path:match("^(.*)/"))
  local file = draft.new(path)
  file:write(('{"metadata": %s, "results": ['):format(secrets.encode(metadata(job,
    "https://schemas.getdbt.com/dbt/run-results/v6.json"))))
  local texts, size = {}, 0
  for i, result in ipairs(results) do
    texts[#texts + 1] = (i > 1 and ", " or "") .. secrets.encode(run_result(result))
    size = size + #texts[#texts]
    if size > AT_ONCE then
      file:write(table.concat(texts))
      texts, size = {}, 0
    end
  end
  texts[#texts + 1] = ('], "elapsed_time": %s, "args": %s}'):format(json.encode(time.now() - job.started_at),
    secrets.encode(job.args))
  file:write(table.concat(texts))
  file:publish()
end

local function threshold(given)
  given = value.opt(given)
  return given and dict("count", value.or_none(given.count), "period", value.or_none(given.period)) or none
end

-- Keys as dbt's SourceFreshnessOutput has them. A source that could not be asked is left out, as dbt does.
local function source_result(result)
  local found, criteria = result.freshness, result.node.freshness
  return dict("unique_id", result.id, "max_loaded_at", found.max_loaded_at, "snapshotted_at", found.snapshotted_at,
    "max_loaded_at_time_ago_in_s", found.age, "status", result.status, "criteria", dict("warn_after",
      threshold(criteria.warn_after), "error_after", threshold(criteria.error_after), "filter",
      value.or_none(criteria.filter)),
    "adapter_response", adapter_response(result), "timing", timing(result), "thread_id", result.thread_id
      or "MainThread", "execution_time", result.seconds or 0.0)
end

--- Writes sources.json (dbt's schema, version 3).
---@param job table of lua/pipeline.lua
---@param results table[] results of lua/run, those of sources with `freshness`
---@param path string
function M.sources(job, results, path)
  local list = value.list()
  for _, result in ipairs(results) do
    if result.freshness then list[#list + 1] = source_result(result) end
  end
  fs.write(path, secrets.encode(dict("metadata", metadata(job, "https://schemas.getdbt.com/dbt/sources/v3.json"),
    "results", list, "elapsed_time", time.now() - job.started_at)))
end

--- Writes catalog.json.
---@param job table of lua/pipeline.lua
---@param catalog table of lua/run/catalog.lua
function M.catalog(job, catalog)
  write(job.target_path .. "/catalog.json", dict(
    "metadata", metadata(job, "https://schemas.getdbt.com/dbt/catalog/v1.json"),
    "nodes", catalog.nodes, "sources", catalog.sources, "errors", none))
end

--- Writes graph_summary.json.
---@param job table of lua/pipeline.lua
function M.graph_summary(job)
  write(job.target_path .. "/graph_summary.json", require("report.graph_summary").make(job.project, job.invocation_id,
    job.command.name == "build"))
end

--- Writes semantic_manifest.json.
---@param job table of lua/pipeline.lua
function M.semantic_manifest(job)
  local content, warning = require("report.semantic_manifest").make(job.project)
  if warning then job.report:warning(warning) end
  write(job.target_path .. "/semantic_manifest.json", content)
end

return M
