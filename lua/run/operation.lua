--- Operations: SQL scripts of operations/**/*.sql, run by name with arguments.

local context = require "run.context"
local err = require "err"
local failure = require "run.failure"
local fs = require "dex.fs"
local grants = require "run.grants"
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
    line = opt(from.line), hint = err.did_you_mean(name, paths) or (#paths > 0 and "there are " .. table.concat(paths, ", ")
      or "operations are .sql files below operations/") }
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

-- Renders and sends; with `transaction: false` each statement commits by itself.
local function perform(state, operation, args, outcome)
  local conn = state.conn
  if config_of(operation).transaction == false then
    local sql = render(operation, state.context, args)
    outcome.sql = sql
    for _, one in ipairs(grants.split(sql)) do gather(outcome, send(state, operation, one)) end
    return
  end
  conn:exec "begin"
  local ok, e = pcall(function()
    local sql = render(operation, state.context, args)
    outcome.sql = sql
    if not grants.is_empty(sql) then gather(outcome, send(state, operation, sql)) end
    if conn:txn() ~= "intrans" then
      err.raise { code = 505, message = "the operation ended its transaction", file = operation.file,
        hint = "leave out its commit or rollback, or write {{ config(transaction=false) }}" }
    end
  end)
  if ok then
    conn:exec "commit"
  else
    if conn:txn() == "intrans" or conn:txn() == "inerror" then conn:exec "rollback" end
    error(e, 0)
  end
end

--- Runs an operation by itself. Never raises for its own failure: the outcome says it. May wait.
---@param run table
---@param operation table
---@param args table dict
---@return table result like a node's, with `rows`: the result sets
function M.run(run, operation, args)
  local node = value.dict("resource_type", "operation", "name", operation.name, "unique_id",
    ("operation.%s.%s"):format(run.project.name, (operation.name:gsub("/", "."))), "package_name", run.project.name,
    "original_file_path", operation.file, "path", operation.name .. ".sql", "config", operation.config or value.dict(),
    "raw_code", operation.source or "")
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
  state.conn:release()
  result.seconds = time.mono() - started
  result.timing = { { name = "compile", started_at = started_at, completed_at = started_at },
    { name = "execute", started_at = started_at, completed_at = time.now() } }
  result.compiled_code = outcome.sql and run.mask(outcome.sql)
  result.compiled = outcome.sql and true or nil
  if ok then
    result.status, result.message, result.rows_affected = "success", outcome.message, outcome.affected
    result.response = outcome.message
    result.adapter_response = outcome.message and { message = outcome.message, rows_affected = outcome.affected } or nil
  else
    e = err.wrap(e, { file = operation.file })
    e.message = run.mask(tostring(e.message))
    result.status, result.error, result.message = "error", e, e.message
  end
  run.results[#run.results + 1] = result
  run:emit("node_end", result)
  run:emit("operation_end", result)
  return result
end

return M
