--- Operations: SQL scripts of operations/**/*.sql, run by name with arguments.

local context = require "run.context"
local err = require "err"
local failure = require "run.failure"
local fs = require "dex.fs"
local grants = require "run.grants"
local hooks = require "run.hooks"
local node_module = require "run.node"
local source_line = require "run.source_line"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The operation of a path or of a unique file name.
---@param project table
---@param name string such as "permissions/grant_access" or "grant_access"
---@param from? {file: string, line: integer} where it is named, for the message
---@return table operation
function M.find(project, name, from)
  from = from or {}
  local exact = project.operations[name]
  if exact then return exact end
  local paths, found = {}, {}
  for path in pairs(project.operations) do
    paths[#paths + 1] = path
    if path:match("[^/]+$") == name then found[#found + 1] = path end
  end
  table.sort(paths)
  table.sort(found)
  if #found == 1 then return project.operations[found[1]] end
  if #found > 1 then
    err.raise { code = 513, message = ("'%s' is the name of several operations: %s"):format(name,
      table.concat(found, ", ")), file = from.file, line = opt(from.line) }
  end
  err.raise { code = 513, message = ("there is no operation '%s'"):format(name), file = from.file,
    line = opt(from.line), hint = err.did_you_mean(name, paths) or (#paths > 0
      and "there are " .. table.concat(paths, ", ") or "operations are .sql files below operations/") }
end

local function render(operation, ctx, args)
  local scope = setmetatable({ args = args or value.dict() }, { __index = ctx })
  return operation.template:render(scope):match("^%s*(.-)%s*$")
end

local function config_of(operation) return opt(operation.config) or {} end

--- Runs an operation as part of a hook: in the hook's connection and transaction. May wait.
---@param own table of lua/run/hooks.lua
---@param operation table
---@param args table|nil dict
function M.within(own, operation, args)
  local sql = render(operation, own.context, args)
  if grants.is_empty(sql) then
    own.record.sql = ""
    return
  end
  if not own.inside then
    for _, one in ipairs(grants.split(sql)) do own.execute(one) end
  else
    own.execute(sql)
  end
end

-- The line of the operation's file that a database error points to.
local function locate(operation, sql, e)
  if not err.is(e) then return e end
  if not e.file then
    e.file = operation.file
    local at = e.position and e.sql and sql:find(e.sql, 1, true)
    if at then
      local _, _, offset = source_line.locate(e.sql, e.position)
      local position = (utf8.len(sql:sub(1, at + offset - 2)) or at + offset - 2) + 1
      e.line, e.column = source_line.map(fs.read(operation.file), sql, position)
    end
    if not e.line and e.sql and e.position then e.message = e.message .. failure.excerpt(e.sql, e.position) end
  end
  return e
end

local function send(state, operation, sql)
  local translated
  sql, translated = grants.translate(sql)
  for _, t in ipairs(translated) do
    state.run:log("info", ("portable grant: %s => %s"):format(t.from, t.to:gsub("\n", " ")))
  end
  state.run:log_sql(state, sql)
  local ok, result = pcall(state.conn.exec, state.conn, sql)
  if not ok then error(locate(operation, sql, result), 0) end
  return result
end

local function gather(outcome, result)
  for _, one in ipairs(result.all or { result }) do
    if #one.columns > 0 then outcome.rows[#outcome.rows + 1] = one end
    if one.affected then outcome.affected = (outcome.affected or 0) + one.affected end
    outcome.message = one.status
  end
end

-- The operation's hooks of a kind that run inside its transaction, or outside of it.
local function run_hooks(state, operation, which, inside)
  local list = {}
  for _, hook in ipairs(operation.hooks and operation.hooks[which] or {}) do
    if (hook.transaction ~= false) == inside then list[#list + 1] = hook end
  end
  local phase = which .. (inside and "_hooks" or "_outside")
  hooks.run_phase(state, list, phase, inside and state.transactional)
end

-- The script itself: in one piece inside a transaction, else statement by statement.
local function send_script(state, operation, args, outcome)
  local sql = render(operation, state.context, args)
  outcome.sql = sql
  if not state.transactional then
    for _, one in ipairs(grants.split(sql)) do gather(outcome, send(state, operation, one)) end
  elseif not grants.is_empty(sql) then
    gather(outcome, send(state, operation, sql))
  end
end

local function within_transaction(state, operation, fn)
  local conn = state.conn
  conn:exec "begin"
  local ok, e = pcall(fn)
  if ok and conn:txn() ~= "intrans" then
    ok, e = false, err.new { code = 505, message = "the operation ended its transaction", file = operation.file,
      hint = "leave out its commit or rollback, or write {{ config(transaction=false) }}" }
  end
  if ok then
    conn:exec "commit"
  else
    local txn = conn:txn() -- active: what runs was cancelled, and the rollback waits for its end
    if txn ~= "idle" and txn ~= "broken" then conn:exec "rollback" end
    error(e, 0)
  end
end

-- Hooks and script, as the phases of a node. With `transaction: false` each statement commits by itself.
local function perform(state, operation, args, outcome)
  state.transactional = config_of(operation).transaction ~= false
  run_hooks(state, operation, "pre", false)
  local function inside()
    run_hooks(state, operation, "pre", true)
    if state.skipped then return end
    send_script(state, operation, args, outcome)
    run_hooks(state, operation, "post", true)
  end
  if state.transactional then within_transaction(state, operation, inside) else inside() end
  hooks.run_after_commit(state)
  run_hooks(state, operation, "post", false)
end

-- on_failure and always, each in a transaction of its own.
local function run_last(state, operation, which, e)
  local list = operation.hooks and operation.hooks[which]
  if not list or #list == 0 or state.conn:txn() == "broken" then return end
  if e then state:show_error(e) end
  state.conn:exec "begin"
  hooks.run_all(state, list, which)
  state.conn:exec(state.conn:txn() == "intrans" and "commit" or "rollback")
end

--- Runs an operation by itself. Never raises for its own failure: the outcome says it. May wait.
---@param run table
---@param operation table
---@param args table dict
---@return table result like a node's, with `rows`: the result sets
function M.run(run, operation, args)
  local node = value.dict("resource_type", "operation", "name", operation.name, "unique_id", operation.unique_id,
    "package_name", operation.package_name, "original_file_path", operation.display, "path", operation.name .. ".sql",
    "config", operation.config or value.dict(), "raw_code", operation.source)
  local state = node_module.new_state(run, node)
  local result = { id = node.unique_id, unique_id = node.unique_id, kind = "operation", name = operation.name,
    label = operation.name, node = node, file = operation.file, thread_id = "MainThread", rows = {} }
  local started, started_at = time.mono(), time.now()
  run:emit("node_start", { id = result.id, kind = "operation", label = result.label, name = result.name, node = node })
  local outcome = { rows = result.rows }
  state.conn = run.pool:lease()
  local ok, e = pcall(function()
    state.context = context.operation(state)
    perform(state, operation, args, outcome)
  end)
  if not ok then
    e = err.wrap(e, { file = operation.file })
    if not e.cancelled then run_last(state, operation, "on_failure", e) end
  end
  run_last(state, operation, "always", not ok and e or nil)
  state.conn:release()
  result.seconds = time.mono() - started
  result.timing = { { name = "compile", started_at = started_at, completed_at = started_at },
    { name = "execute", started_at = started_at, completed_at = time.now() } }
  result.compiled_code = outcome.sql and run.mask(outcome.sql)
  result.compiled = outcome.sql and true or nil
  if ok and state.skipped then
    result.status, result.message, result.by_hook = "skipped", state.skipped, true
  elseif ok then
    result.status, result.message, result.rows_affected = "success", outcome.message, outcome.affected
    result.response = outcome.message
    result.adapter_response = outcome.message and { message = outcome.message, rows_affected = outcome.affected } or nil
  else
    e.message = run.mask(tostring(e.message))
    if e.cancelled then
      result.status, result.message = "cancelled", "cancelled"
    else
      result.status, result.error, result.message = "error", e, e.message
    end
  end
  run.results[#run.results + 1] = result
  run:emit("node_end", result)
  run:emit("operation_end", result)
  return result
end

return M
