--- A node's result as templates of on-run-end see it: dbt's RunResult, made when it is asked for.

local data = require "run.data_object"
local object = require "run.object"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local none = value.none

--- Made of a result of lua/run/node.lua, in `of`.
local RunResult = { __name = "dex.run_result" }

local function response_of(result)
  local response = result.adapter_response
  if not response then return value.dict() end
  local d = value.dict("_message", response.message)
  if response.code then d.code = response.code end
  if response.rows_affected or response.code then d.rows_affected = response.rows_affected or -1 end -- as dbt says it
  return d
end

local function timing_of(result)
  local list = value.list()
  for i, t in ipairs(result.timing or {}) do
    list[i] = value.dict("name", t.name, "started_at", time.iso(t.started_at), "completed_at",
      time.iso(t.completed_at))
  end
  return list
end

local function status_of(result)
  return result.status == "cancelled" and "skipped" or result.status
end

local function node_of(result) return result.node and data.of(result.node) end

local function timings_of(result)
  local list = timing_of(result)
  for i, t in ipairs(list) do list[i] = data.of(t) end
  return list
end

local getters = {
  status = function(r) return status_of(r.of) end,
  message = function(r) return r.of.message end,
  failures = function(r) return r.of.failures end,
  execution_time = function(r) return r.of.seconds or 0.0 end,
  thread_id = function(r) return r.of.thread_id end,
  adapter_response = function(r) return response_of(r.of) end,
  timing = function(r) return timings_of(r.of) end,
  node = function(r) return node_of(r.of) end,
  unique_id = function(r) return r.of.id end,
  agate_table = function() return none end,
  batch_results = function(r) return r.of.batch_results end,
}

local function to_dict(r)
  local of = r.of
  return value.dict("status", status_of(of), "timing", timing_of(of), "thread_id", value.or_none(of.thread_id),
    "execution_time", of.seconds or 0.0, "adapter_response", response_of(of), "message", value.or_none(of.message),
    "failures", value.or_none(of.failures), "node", value.or_none(of.node), "agate_table", none,
    "batch_results", value.or_none(of.batch_results), "overload_results", none)
end

object.class(RunResult, getters, object.methods { ["to_dict()"] = to_dict })

--- The view of a result.
---@param result table
---@return table
function M.view(result)
  local r = setmetatable({}, RunResult)
  rawset(r, "of", result)
  return r
end

return M
