--- on-run-start and on-run-end: the root project's hooks first, then those of its packages by name, one after
-- the other on a connection of their own. Each is a result of its own.

local context = require "run.context"
local earlier = require "run.earlier"
local err = require "err"
local hooks = require "run.hooks"
local node_module = require "run.node"
local outbox = require "run.outbox"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local words = { run_start = "on-run-start", run_end = "on-run-end" }

-- What on-run-end sees of a finished run: results, schemas, database_schemas.
local function results_context(run)
  local results, schemas, pairs_of = value.list(), value.list(), value.list()
  local seen = {}
  for _, result in ipairs(run.results) do
    if result.thread_id ~= "main" or result.status == "error" then
      results[#results + 1] = run:result_value(result)
    end
    local node = result.node
    local built = result.status ~= "error" and result.status ~= "fail" and result.status ~= "skipped"
      and result.status ~= "cancelled"
    if built and node and node.resource_type ~= "operation" and opt(node.relation_name) and opt(node.schema) then
      if not seen[node.schema] then schemas[#schemas + 1] = node.schema end
      local key = tostring(opt(node.database)) .. "\0" .. node.schema
      if not seen[key] then pairs_of[#pairs_of + 1] = value.tuple { value.or_none(node.database), node.schema } end
      seen[node.schema], seen[key] = true, true
    end
  end
  return { results = results, schemas = schemas, database_schemas = pairs_of }
end

local function new_result(run, hook, index, phase, status)
  local node = run.project.nodes[hook.id]
  local number = opt(hook.index) or index
  return { id = hook.id, unique_id = hook.id, kind = "hook", node = node, status = status, thread_id = "main",
    name = ("%s.%s.%d"):format(hook.package, words[phase], number - 1),
    label = ("%s %s"):format(words[phase], hooks.name_of(hook)), file = hook.file, line = opt(hook.line),
    seconds = 0.0, timing = {}, failures = status == "success" and 0 or 1 }
end

local function add(run, result)
  run.results[#run.results + 1] = result
  run.by_id[result.id] = result
  run:emit("run_hook_end", result)
end

-- One hook, as a result. May wait.
local function run_one(run, conn, hook, index, phase, extra)
  local state = node_module.new_state(run, run.project.nodes[hook.id])
  state.conn = conn
  state.context = context.operation(state)
  for name, v in pairs(extra or {}) do state.context[name] = v end
  local started_at, started = time.now(), time.mono()
  local ledger, noted = run.ledger, false
  local function note()
    ledger:note_run_hook(conn, phase, hook)
    noted = true
  end
  local failed, record = hooks.run(state, hook, phase, { inside = false, own_transaction = hook.transaction == true,
    index = opt(hook.index) or index, before_commit = ledger and note })
  if not failed then
    local ok, e = pcall(function()
      if ledger and not noted then note() end
      if state.queued then outbox.deliver(run, conn, hook.id) end
      if state.after_commit then hooks.run_after_commit(state) end
    end)
    if not ok then failed = err.wrap(e) end
  end
  if not failed and not record then return nil end -- its `when` was false
  local result = new_result(run, hook, index, phase, failed and "error" or "success")
  result.seconds = time.mono() - started
  local now = time.now()
  result.timing = { { name = "compile", started_at = started_at, completed_at = started_at },
    { name = "execute", started_at = started_at, completed_at = now } }
  result.compiled_code = record and record.sql
  result.compiled = result.compiled_code ~= nil or nil
  if failed then
    result.error = failed
    result.message = ("%s failed, error:\n %s"):format(result.name, tostring(failed.message))
  else
    result.message = result.name .. " passed"
  end
  return result
end

--- Runs the hooks of the start or the end. A failure ends the list: the rest is skipped. May wait.
---@param run table
---@param conn userdata
---@param phase "run_start"|"run_end"
---@return boolean ok
function M.run(run, conn, phase)
  local list = run.project.run_hooks[phase == "run_start" and "start" or "finish"] or {}
  local extra = phase == "run_end" and results_context(run) or nil
  local ok = true
  for i, hook in ipairs(list) do
    if hooks.is_wanted(run, hook) and earlier.wants(run, phase, hook) then
      local result
      if ok then
        result = run_one(run, conn, hook, i, phase, extra)
      else
        result = new_result(run, hook, i, phase, "skipped")
        result.message = result.name .. " skipped"
      end
      if result then
        if result.status == "error" then ok = false end
        add(run, result)
      end
    end
  end
  return ok
end

--- Whether any hook of the start or the end has its turn.
function M.any(run, phase)
  for _, hook in ipairs(run.project.run_hooks[phase == "run_start" and "start" or "finish"] or {}) do
    if hooks.is_wanted(run, hook) and earlier.wants(run, phase, hook) then return true end
  end
  return false
end

return M
