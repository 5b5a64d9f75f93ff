--- Runs operations: SQL, Python and Lua scripts. Each is a node with the phases of a node (lua/run/node.lua); what is
-- its own is here: the arguments, the script as the build phase, retries and the time limit.

local context = require "run.context"
local err = require "err"
local failure = require "run.failure"
local fs = require "dex.fs"
local grants = require "run.grants"
local hook_module = require "run.hook_module"
local hook_object = require "run.hook_object"
local hooks = require "run.hooks"
local loop = require "dex.loop"
local operation_result = require "run.operation_result"
local operation_settings = require "project.operation_settings"
local operations = require "project.operations"
local parameters = require "project.parameters"
local python = require "run.python_script"
local source_line = require "run.source_line"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- One call of an operation: what it is given.
---@class dex.OperationCall
---@field operation dex.Operation
---@field args table dict of values
---@field shown table dict: the same without secrets
---@field secrets string[] texts that are hidden
---@field confirmed boolean|nil the answer that an operation with `confirm` needs
---@field result table|nil once it has run: what M.run gives

--- The operation that a hook names. Raises code 513.
---@param project table
---@param name string such as "permissions/grant_access" or "grant_access"
---@param from? {file: string, line: integer} where it is named, for the message
---@return dex.Operation
function M.find(project, name, from)
  return operations.find(project, name, { code = 513, file = from and from.file, line = from and opt(from.line) })
end

local function check_target(project, operation)
  local allowed = operation_settings.texts(operation.config.targets)
  if #allowed == 0 then return end
  local target = tostring(project.profile.target_name)
  for _, name in ipairs(allowed) do
    if name == target then return end
  end
  err.raise { code = 603, message = ("operation '%s' may not run on the target '%s'"):format(operation.name, target),
    file = operation.display, line = 1, hint = "it is for " .. table.concat(allowed, ", ") .. ": see `targets` of it" }
end

--- What a call gives an operation. Touches no database. Raises code 602 for arguments that do not fit, 603 when it
--- may not run on the project's target.
---@param project table
---@param operation dex.Operation
---@param args table|nil dict
---@return dex.OperationCall
function M.prepare(project, operation, args)
  check_target(project, operation)
  local values = parameters.bind(operation.parameters, args or value.dict(), {
    what = ("operation '%s'"):format(operation.name) })
  return { operation = operation, args = values, shown = parameters.shown(operation.parameters, values),
    secrets = parameters.secrets(operation.parameters, values) }
end

-- The script ---------------------------------------------------------------------------------------------

--- The text of a SQL or Python operation after Jinja. May wait.
---@param operation dex.Operation
---@param ctx table context
---@param args table dict
---@return string
function M.render(operation, ctx, args)
  if operation.language == "python" and not operations.has_jinja(operation) then return operation.source end
  return operation.template:render(setmetatable({ args = args }, { __index = ctx }))
end

local function sql_of(operation, ctx, args) return M.render(operation, ctx, args):match("^%s*(.-)%s*$") end

-- The line of the operation's file that a database error points to.
local function locate(operation, sql, e)
  if not err.is(e) or e.file then return e end
  e.file = operation.file
  local at = e.position and e.sql and sql:find(e.sql, 1, true)
  if at then
    local _, _, offset = source_line.locate(e.sql, e.position)
    local position = (utf8.len(sql:sub(1, at + offset - 2)) or at + offset - 2) + 1
    e.line, e.column = source_line.map(fs.read(operation.file), sql, position)
  end
  if not e.line and e.sql and e.position then e.message = e.message .. failure.excerpt(e.sql, e.position) end
  return e
end

local function send(state, operation, whole, sql)
  local translated
  sql, translated = grants.translate(sql)
  for _, t in ipairs(translated) do
    state.run:log("info", ("portable grant: %s => %s"):format(t.from, t.to:gsub("\n", " ")))
  end
  state.run:log_sql(state, sql)
  local ok, result = pcall(state.conn.exec, state.conn, sql)
  if not ok then error(locate(operation, #translated == 0 and whole or sql, result), 0) end
  if state.transactional and state.conn:txn() ~= "intrans" then
    err.raise { code = 505, message = "the operation ended its transaction", file = operation.file,
      hint = "leave out its commit or rollback, or write {{ config(transaction=false) }}" }
  end
  return result
end

local function gather(outcome, result)
  for _, one in ipairs(result.all or { result }) do
    if #one.columns > 0 then outcome.rows[#outcome.rows + 1] = one end
    if one.affected then outcome.affected = (outcome.affected or 0) + one.affected end
    outcome.response = one.status
  end
end

local scripts = {}

-- In one piece inside a transaction, else statement by statement.
function scripts.sql(state, call)
  local operation, outcome = call.operation, state.outcome
  outcome.rows, outcome.affected = {}, nil
  local sql = sql_of(operation, state.context, call.args)
  outcome.compiled = sql
  if not state.transactional then
    for _, one in ipairs(grants.split(sql)) do gather(outcome, send(state, operation, sql, one)) end
  elseif not grants.is_empty(sql) then
    gather(outcome, send(state, operation, sql, sql))
  end
end

function scripts.python(state, call)
  local text = M.render(call.operation, state.context, call.args)
  state.outcome.compiled = text
  state.outcome.returned = python.run(state, call, text)
end

-- The function of a Lua operation. Its files are no hooks, but messages find them in the same way.
local function function_of(run, operation)
  local modules = run.operation_modules
  if not modules then
    modules = hook_module.new(run.project, { kind = "operation", returns = "function" })
    modules.chunks = run.modules.chunks
    rawset(run, "operation_modules", modules)
  end
  return modules:load(operation.path:gsub("/", "."), operation.package_name)
end

-- What a Lua function gave, as JSON has it.
local function returned_by(operation, v)
  if v == nil then return nil end
  if type(v) == "function" or type(v) == "userdata" or type(v) == "thread" then
    err.raise { code = 606, message = ("operation '%s' returned a %s: it returns what JSON can hold"):format(
      operation.name, type(v)), file = operation.display, line = 1 }
  end
  return opt(value.from_lua(hook_object.plain(v)))
end

function scripts.lua(state, call)
  local operation = call.operation
  local module = function_of(state.base_run or state.run, operation)
  local returned, rows = hooks.call_script(state, { name = operation.name, file = operation.file, fn = module.value,
    trusted = module.trusted, args = call.args, timeout = operation.config.timeout })
  state.outcome.returned, state.outcome.affected = returned_by(operation, returned), rows
end

-- Time and tries -----------------------------------------------------------------------------------------

-- What a statement that was cancelled leaves, so that the connection can be used again.
local function settle(conn)
  if conn:txn() == "active" then pcall(conn.exec, conn, "rollback") end
end

-- Calls fn, which is cancelled when its time is over, or when we are, and then waited for. Gives what pcall gives, and
-- whether it was too late.
local function limited(seconds, fn)
  if not seconds then return pcall(fn) end
  local late = false
  local work = loop.spawn(fn)
  local watch = loop.spawn(function()
    loop.sleep(seconds)
    late = true
    work:cancel()
  end)
  local ok, e = pcall(work.wait, work)
  watch:cancel()
  if not ok and not work:done() then -- it is us who were cancelled, and the engine asks again
    work:cancel()
    repeat pcall(work.wait, work) until work:done()
  end
  return ok, e, late and not ok
end

-- The script within its time. One in Python has its own limit, which ends it gently.
local function within_time(state, operation, fn)
  local seconds = operation.language ~= "python" and operation_settings.seconds(opt(operation.config.timeout) or 0)
  local ok, e, late = limited(seconds or nil, fn)
  if ok then return end
  settle(state.conn)
  if not late then error(e, 0) end
  err.raise { code = 605, message = ("operation '%s' took longer than its timeout of %g s"):format(operation.name,
    seconds), file = operation.display, line = 1 }
end

local DELAY, LONGEST = 0.1, 5 -- seconds before the second try, and the most before a later one

local function is_hopeless(state, e)
  return err.is(e) and (e.cancelled or e.code == 505) or state.conn:txn() == "broken" or state.transaction_lost
end

-- Runs the script, again when it failed and has `retries`. Inside a transaction a failed try is undone to where the
-- script began; outside, what it committed stays.
local function attempt(state, call)
  local operation, conn = call.operation, state.conn
  local tries = (opt(operation.config.retries) or 0) + 1
  for try = 1, tries do
    if state.transactional and tries > 1 then conn:exec "savepoint dex_operation" end
    state.outcome.attempts = try
    local ok, e = pcall(within_time, state, operation, function() scripts[operation.language](state, call) end)
    if ok then return end
    if try == tries or is_hopeless(state, e) then error(e, 0) end
    local txn = conn:txn()
    if state.transactional then
      if txn == "idle" then error(e, 0) end
      conn:exec "rollback to savepoint dex_operation"
    elseif txn ~= "idle" then
      conn:exec "rollback"
    end
    state.run:log("warn", ("operation %s failed and is tried again (%d of %d): %s"):format(operation.name, try,
      tries - 1, tostring(err.is(e) and e.message or e)))
    loop.sleep(math.min(DELAY * 2 ^ (try - 1), LONGEST))
  end
end

-- As a node ----------------------------------------------------------------------------------------------

--- The compile phase of a node that is an operation: its arguments, its context. From here on the state's run is a
--- view of it that hides the call's secrets and remembers its log.
---@param state dex.State
function M.compile(state)
  local operation = state.info.operation
  state.call = state.call or M.prepare(state.run.project, operation)
  if opt(operation.config.confirm) and not state.call.confirmed and not (state.run.job.given or {}).yes then
    err.raise { code = 604, message = ("operation '%s' asks before it runs, and here it cannot"):format(
      operation.name), file = operation.display, line = 1, hint = "--yes answers for all operations of a run" }
  end
  state.base_run = state.run
  state.run = operation_result.recording(state.run, state)
  state.context = context.operation(state)
  rawset(state.context, "args", state.call.args) -- for its hooks as well
end

--- The build phase: the script. May wait.
---@param state dex.State
function M.build(state)
  state.outcome.rows = {}
  if state.base_run.rehearsing and state.call.operation.language == "python" then
    state.skipped = "a rehearsal runs no programs"
    return
  end
  attempt(state, state.call)
end

--- Runs one operation as a task: with its hooks, to its record. Never raises for its own failure: the result says
--- it. May wait; several may run at once. What it holds is given back when the waiting task is cancelled.
---@param run table lua/run/init.lua's
---@param call dex.OperationCall of M.prepare
---@return table result as nodes have it (lua/run/node.lua), in run.results as well; `rows`: its result sets,
---  `returned`: what it returned, `operation`: what is kept of it (lua/run/operation_result.lua)
function M.run(run, call)
  local node = call.operation.node
  local item = { id = node.unique_id, kind = "operation", deps = {}, weight = 1, node = node }
  local ok, e = pcall(require("run.node").execute, run, { item }, 1, call)
  if not ok then
    -- the engine ends the node by itself, with the connections that it has: whoever cancelled us may close them next
    while err.is(e) and e.cancelled and not call.result do pcall(loop.sleep, 0.01) end
    error(e, 0)
  end
  return call.result
end

--- Runs an operation as part of a hook: SQL and Lua in the hook's connection and transaction. May wait.
---@param own table of lua/run/hooks.lua
---@param operation dex.Operation
---@param args table|nil dict
function M.within(own, operation, args)
  if opt(operation.config.confirm) then
    err.raise { code = 604, message = ("operation '%s' asks before it runs: no hook can answer"):format(
      operation.name) }
  end
  local call = M.prepare(own.run.project, operation, args)
  local base, outcome = own.run, own.state.outcome
  own.run = operation_result.hiding(own.run, call.secrets)
  own.state.base_run = own.state.base_run or base
  if operation.language == "sql" then
    local sql = sql_of(operation, own.context, call.args)
    own.record.sql = ""
    if grants.is_empty(sql) then return end
    own.record.sql = nil
    for _, one in ipairs(own.inside and { sql } or grants.split(sql)) do own.execute(one) end
    return
  end
  own.state.outcome = { rows = {} }
  local before, before_run = own.state.transactional, own.state.run
  own.state.transactional, own.state.run = own.inside, own.run
  local ok, e, late = limited(own.deadline and math.max(own.deadline - time.mono(), 0.001),
    function() scripts[operation.language](own.state, call) end)
  if late then
    settle(own.state.conn)
    e = err.new { code = 507, message = ("it took longer than its timeout of %g s"):format(own.hook.timeout) }
  end
  own.state.outcome, own.state.transactional, own.state.run = outcome, before, before_run
  if not ok then error(e, 0) end
end

return M
