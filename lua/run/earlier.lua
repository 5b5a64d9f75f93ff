--- What `dex-lua retry` takes up: results of the earlier run, from its run_results.json, as results of this one.

local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Seconds since 1970 of an artifact's time, by the calendar's 400 years of 146,097 days.
local function seconds_of(text)
  local y, m, d, h, min, s = tostring(text):match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):([%d.]+)")
  if not y then return nil end
  y, m, d = math.tointeger(y), math.tointeger(m), math.tointeger(d)
  if m <= 2 then y, m = y - 1, m + 12 end
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * (m - 3) + 2) // 5 + d - 1 - 719468
  return days * 86400 + math.tointeger(h) * 3600 + math.tointeger(min) * 60 + tonumber(s)
end

local function timing_of(list)
  local timing = {}
  for _, t in ipairs(opt(list) or {}) do
    local from, to = seconds_of(t.started_at), seconds_of(t.completed_at)
    if from and to then timing[#timing + 1] = { name = t.name, started_at = from, completed_at = to } end
  end
  return timing
end

local function response_of(given)
  given = opt(given)
  if not value.is_dict(given) or #given == 0 then return nil end
  return { message = opt(given._message), code = opt(given.code), rows_affected = opt(given.rows_affected) }
end

--- Puts results of an earlier run before those of this one, so that on-run-end and the artifacts have all of them.
---@param run table
---@param list table[]|nil of run_results.json
function M.fill(run, list)
  for _, given in ipairs(list or {}) do
    local id = given.unique_id
    local node = run.project.nodes[id]
    local name = node and node.name or id
    local result = { id = id, unique_id = id, node = node, kind = node and node.resource_type or "node", name = name,
      label = name, status = given.status, seconds = given.execution_time, timing = timing_of(given.timing),
      thread_id = opt(given.thread_id), message = opt(given.message), failures = opt(given.failures),
      adapter_response = response_of(given.adapter_response), compiled = opt(given.compiled),
      compiled_code = opt(given.compiled_code), relation_name = opt(given.relation_name),
      batch_results = opt(given.batch_results) }
    if node and node.resource_type == "operation" then result.kind, result.thread_id = "hook", "main" end
    run.results[#run.results + 1] = result
    run.by_id[id] = result
  end
end

--- Whether a hook of the run has its turn in a retry.
---@param run table
---@param phase "run_start"|"run_end"
---@param hook dex.Hook
---@return boolean
function M.wants(run, phase, hook)
  local only = run.job.earlier and run.job.earlier.run_hooks and run.job.earlier.run_hooks[phase]
  return not only or only[hook.id] == true
end

--- Whether a retry has hooks of the run to do, and no node.
---@param run table
---@return boolean
function M.has_only_hooks(run)
  local hooks = run.job.earlier and run.job.earlier.run_hooks
  return hooks ~= nil and hooks.run_end ~= nil and next(hooks.run_end) ~= nil
end

return M
