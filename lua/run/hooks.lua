--- Runs the hooks of a phase: each in order, rendered just before it runs, timed and recorded. The contract
-- is stdlib/README.md.

local compile = require "run.compile"
local copying = require "run.copy"
local err = require "err"
local failure = require "run.failure"
local fault = require "jinja.fault"
local grants = require "run.grants"
local hash = require "dex.hash"
local hook_limits = require "run.hook_limits"
local hook_object = require "run.hook_object"
local hook_transaction = require "run.hook_transaction"
local jinja = require "jinja"
local json = require "dex.json"
local query_comment = require "run.query_comment"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt
local check_transaction, with_savepoint = hook_transaction.check, hook_transaction.with_savepoint

--- One hook that ran, as in target/hook_results.json.
---@class dex.HookRecord
---@field node? string unique_id; none for run hooks
---@field name string its name, or what it does
---@field label string for people: the node and the name
---@field kind "sql"|"lua"|"operation"
---@field phase string
---@field place string where it is declared: config, properties, project
---@field file string
---@field line? integer
---@field index integer|nil its place in the list of its phase, from 1; nil for what an earlier hook left for later
---@field transaction boolean whether it ran inside the node's transaction
---@field try integer|nil from 2 on: which one of the node's transaction, each before it was undone
---@field started_at number seconds since 1970
---@field seconds number
---@field rows? integer
---@field status "success"|"error"|"warn"|"ignored"
---@field message? string
---@field sql? string what was sent to the database, secrets masked
---@field error? dex.Error

-- Names -------------------------------------------------------------------------------------------

local phase_words = { pre_outside = "pre-hook", pre_hooks = "pre-hook", post_hooks = "post-hook",
  post_outside = "post-hook", on_failure = "on_failure hook", always = "always hook",
  run_start = "on-run-start hook", run_end = "on-run-end hook" }

local one_line = {} -- text -> name: a hook of the project file runs around every node

--- What a hook is called when it has no name: what it does, on one line.
function M.name_of(hook)
  if opt(hook.name) then return hook.name end
  if hook.kind == "lua" then return hook.lua end
  if hook.kind == "operation" then return hook.operation end
  local name = one_line[hook.sql]
  if not name then
    name = hook.sql:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
    if #name > 60 then name = name:sub(1, 58) .. ".." end
    one_line[hook.sql] = name
  end
  return name
end

-- The node that a hook belongs to; run hooks are operations of their own in the manifest, and belong to none.
local function node_of(state)
  local node = state.node
  if node and (node.resource_type ~= "operation" or state.info and state.info.operation) then return node end
end

-- "post-hook 'audit' of model orders"
local function title_of(state, hook, phase, index)
  local name = opt(hook.name) and ("'%s'"):format(hook.name)
    or hook.kind == "sql" and tostring(opt(hook.index) or index) or ("%d (%s)"):format(opt(hook.index) or index,
      M.name_of(hook))
  local whose = node_of(state) and (" of %s %s"):format(state.node.resource_type, state.node.name) or ""
  return ("%s %s%s"):format(phase_words[phase] or phase, name, whose)
end

-- Statements --------------------------------------------------------------------------------------

local function exec(state, sql, params)
  if params and params.n > 0 then return state.conn:exec(sql, table.unpack(params, 1, params.n)) end
  return query_comment.exec(state, sql)
end

local function set_timeout(own)
  if not own.deadline then return end
  local left = own.deadline - time.mono()
  if left <= 0 then
    err.raise { code = 507, message = ("it took longer than its timeout of %g s"):format(own.hook.timeout) }
  end
  own.state.conn:exec(("set %s statement_timeout = %d"):format(own.inside and "local" or "session",
    math.max(1, math.ceil(left * 1000))))
end

-- The rows that a hook copies may come from the same connection.
local function pause_copy(own)
  local copying_now = own.copying
  if copying_now and copying_now.pause then copying_now.pause() end
end

local SHOWN = 10000 -- bytes of SQL that a record keeps

local function note_sql(own, sql)
  local record = own.record
  if record.sql and #record.sql > SHOWN then return end
  local text = own.run.mask(sql)
  if #text > SHOWN then text = text:sub(1, SHOWN) .. " ..." end
  record.sql = record.sql and (record.sql .. ";\n" .. text) or text
end

-- Runs SQL for a hook on the node's connection. May wait.
local function execute(own, sql, params)
  hook_limits.lift(own)
  pause_copy(own)
  if not params or params.n == 0 then
    local translated
    sql, translated = grants.translate(sql)
    for _, t in ipairs(translated) do
      own.run:log("info", ("portable grant: %s => %s"):format(t.from, t.to:gsub("\n", " ")))
    end
    if grants.is_empty(sql) then sql = "" end
  end
  note_sql(own, sql)
  if own.hook.timeout then set_timeout(own) end
  own.run:log_sql(own.state, sql)
  local result = exec(own.state, sql, params)
  hook_limits.rest(own)
  own.rows = own.rows or result.affected and 0
  for _, one in ipairs(result.all or { result }) do
    if one.affected then own.rows = (own.rows or 0) + one.affected end
  end
  check_transaction(own)
  return result
end

-- The forms ---------------------------------------------------------------------------------------

-- `{"sql": ..., "transaction": ...}`, which before_begin() and after_commit() give inside a hook's text.
local function unpack_helper(own, text)
  if not text:find('^{%s*"') then return text end
  local ok, decoded = pcall(json.decode, text)
  if not ok or not value.is_dict(decoded) or type(decoded.sql) ~= "string" then return text end
  if decoded.transaction == false and own.inside then
    if own.phase == "post_hooks" then
      local later = own.state.later or {}
      own.state.later = later
      later[#later + 1] = setmetatable({ kind = "sql", sql = decoded.sql, transaction = false, deferred = true },
        { __index = own.hook })
      return ""
    end
    err.raise { code = 512, message = "before_begin() inside a hook's text comes too late: the transaction has begun",
      hint = "write config(pre_hook=before_begin(\"...\")), or {sql: ..., transaction: false}" }
  end
  return decoded.sql
end

local function run_sql_text(own, text)
  text = unpack_helper(own, text:match("^%s*(.*%S)") or "")
  own.record.sql = ""
  if grants.is_empty(text) then return end
  own.record.sql = nil
  execute(own, text)
end

-- Calls a Lua hook. An error object keeps the line of the hook's own file that led to it. May wait.
local function call(own, fn)
  local chunks = own.run.modules.chunks
  local function note_line(e)
    for level = 2, err.is(e) and not e.hook_file and 30 or 0 do
      local info = debug.getinfo(level, "Sl")
      if not info then break end
      if chunks[info.short_src] then
        e.hook_file, e.hook_line = chunks[info.short_src], info.currentline
        break
      end
    end
    if fault.observer then fault.observer(e) end
    return e
  end
  local object = hook_object.new(own)
  local results = table.pack(hook_limits.call(own, fn, note_line, object))
  hook_object.close(object)
  return table.unpack(results, 1, results.n)
end

local forms = {}

function forms.sql(own)
  local hook = own.hook
  run_sql_text(own, compile.text(own.state, own.context, hook.sql, { file = hook.file, line = opt(hook.line) }))
end

function forms.lua(own)
  local fn, module = own.run.modules:resolve(own.hook.lua, own.hook)
  own.trusted = module.trusted
  local ok, returned = call(own, fn)
  if not ok then
    if returned == hook_object.SKIP then return end
    error(returned, 0)
  end
  if type(returned) == "string" then
    run_sql_text(own, returned)
  elseif type(returned) == "table" or type(returned) == "number" or type(returned) == "function" then
    err.raise { code = 510, message = ("%s returned a %s: a hook returns nothing, or SQL as text"):format(own.hook.lua,
      type(returned)) }
  end
end

function forms.operation(own)
  local operation = require "run.operation"
  operation.within(own, operation.find(own.run.project, own.hook.operation, own.hook), opt(own.hook.args))
end

-- What hook:after_commit() left: a function of an earlier hook.
function forms.after_commit(own)
  own.trusted = own.hook.trusted
  local ok, e = call(own, own.hook.fn)
  if not ok then error(e, 0) end
end

-- Failures ----------------------------------------------------------------------------------------

local codes = { [505] = true, [507] = true, [508] = true, [509] = true, [510] = true, [512] = true, [515] = true,
  [516] = true, [517] = true }

-- Any error of a hook as the error of that hook: who, where it is declared, what the database said.
local function explain(own, e)
  local hook = own.hook
  e = hook_limits.explain(own, e)
  local fields = { code = 501, hook = own.title, phase = own.phase, node = own.state.node and own.state.node.unique_id,
    declared_file = hook.file, declared_line = opt(hook.line) }
  local file, line, message
  if err.is(e) then
    for _, key in ipairs { "detail", "hint", "sql", "sqlstate", "position", "context", "stack", "column",
      "cancelled" } do
      fields[key] = e[key]
    end
    message, file, line = tostring(e.message), e.file, e.line
    if e.hook_file and (not file or file:find "^lua/") then file, line = e.hook_file, e.hook_line end
    fields.code = codes[e.code] and e.code or (e.code >= 200 and e.code < 300 or e.code >= 503) and e.code or 501
    if e.sqlstate == "57014" and hook.timeout and own.deadline and time.mono() >= own.deadline - 0.01 then
      fields.code, message = 507, ("it took longer than its timeout of %g s"):format(hook.timeout)
    end
    if e.sql and e.position then message = message .. failure.excerpt(own.run.mask(e.sql), e.position) end
  elseif type(e) == "table" and type(e.message) == "string" then
    fields.code, message = 502, e.message
  elseif type(e) == "table" or type(e) == "nil" or type(e) == "function" then
    fields.code, message = 502, ("it raised a %s, not a message"):format(type(e))
  else
    file, line, message = own.run.modules:place(tostring(e))
    fields.code = 502
  end
  message = own.run.mask(message)
  if fields.code ~= 505 then message = ("%s failed: %s"):format(own.title, message) end
  if own.state.transaction_lost and fields.code ~= 505 then
    message = message .. "\nand it ended the node's transaction before that"
  end
  fields.message = message
  fields.file, fields.line = file or hook.file, file and line or opt(hook.line)
  if file and file ~= hook.file and hook.file then
    fields.hook = ("%s, declared at %s%s"):format(own.title, hook.file, opt(hook.line) and (":" .. hook.line) or "")
  end
  return err.new(fields)
end

-- One hook ----------------------------------------------------------------------------------------

local function lock_key(key)
  local hex = hash.md5("dex-lua hook " .. key)
  return math.tointeger(tonumber("0x" .. hex:sub(1, 16)))
end

local function previous_timeout(own)
  local result = own.state.conn:exec "select current_setting('statement_timeout')"
  return result:text(1, 1)
end

-- The hook's own work, with its timeout and lock. May wait.
local function perform(own)
  local hook, conn = own.hook, own.state.conn
  local restore
  if hook.timeout then
    restore = previous_timeout(own)
    own.deadline = time.mono() + hook.timeout
  end
  local scope = own.inside and "local" or "session"
  local ok, e = pcall(forms[hook.kind], own)
  if ok then ok, e = pcall(check_transaction, own) end
  local state = conn:txn()
  if restore and (state == "intrans" or state == "idle") then
    conn:exec(("set %s statement_timeout = '%s'"):format(scope, restore))
  end
  if not ok then error(e, 0) end
  if not own.inside and state ~= "idle" then
    conn:exec "rollback"
    err.raise { code = 506, message = "it left a transaction open, which was rolled back",
      hint = "end it with commit, or declare the hook with `transaction: true`" }
  end
end

local function attempt(own)
  local hook = own.hook
  if own.own_transaction then
    own.state.conn:exec "begin"
    own.inside = true
    hook_transaction.enter(own)
    local ok, e = pcall(perform, own)
    if ok and own.before_commit then ok, e = pcall(own.before_commit) end
    own.inside = false
    own.state.conn:exec(ok and "commit" or "rollback")
    if not ok then error(e, 0) end
  elseif own.inside and (hook.on_error ~= "fail" or (hook.retries or 0) > 0 or own.isolated
    or own.run.job.debugger and own.run.job.debugger.catches) then
    with_savepoint(own, perform, own)
  else
    perform(own)
  end
end

local function locked(own)
  local key = opt(own.hook.lock)
  if not key then return attempt(own) end
  local conn, number = own.state.conn, lock_key(key)
  if own.inside then
    conn:exec(("select pg_advisory_xact_lock(%d)"):format(number))
    return attempt(own)
  end
  conn:exec(("select pg_advisory_lock(%d)"):format(number))
  local ok, e = pcall(attempt, own)
  if conn:txn() == "idle" then conn:exec(("select pg_advisory_unlock(%d)"):format(number)) end
  if not ok then error(e, 0) end
end

-- What a try has left for after the commit goes with it when it fails.
local function forget_left(state, before)
  for name, count in pairs(before) do
    local list = state[name]
    for i = #(list or {}), count + 1, -1 do list[i] = nil end
    if count == 0 then state[name] = nil end
  end
end

local function with_retries(own)
  local tries, state = (own.hook.retries or 0) + 1, own.state
  local before = { after_commit = #(state.after_commit or {}), later = #(state.later or {}) }
  for try = 1, tries do
    own.rows, own.record.sql, own.effects = nil, nil, nil
    local ok, e = pcall(locked, own)
    if ok then return end
    forget_left(state, before)
    local hopeless = own.state.transaction_lost or own.state.conn:txn() == "broken" or (err.is(e) and e.cancelled)
    if try == tries or hopeless then error(e, 0) end
    own.run:log("info", ("%s failed and is tried again (%d of %d)"):format(own.title, try, tries - 1))
    require("dex.loop").sleep(math.min(0.1 * 2 ^ (try - 1), 5))
  end
end

local function is_wanted(run, hook)
  if hook.enabled == false or hook.kind == "removal" then return false end
  if run.no_hooks or (opt(hook.name) and run.skip_hook[hook.name]) then return false end
  local commands = opt(hook.commands)
  if not commands then return true end
  for _, command in ipairs(commands) do
    if command == run.which then return true end
  end
  return false
end

--- Whether a hook has its turn in a run: not switched off, and declared for this command. `when` is asked
--- just before the hook runs.
M.is_wanted = is_wanted

local function is_true(v)
  if type(v) == "string" then
    local text = v:lower():match("^%s*(.-)%s*$")
    return not (text == "" or text == "false" or text == "none" or text == "0")
  end
  return opt(v) ~= nil and v ~= false and v ~= 0 and not (type(v) == "table" and not getmetatable(v).__call and #v == 0)
end

local function condition(own)
  local when = own.hook.when
  if opt(when) == nil or type(when) == "boolean" then return when ~= false end
  local place = { file = own.hook.file, line = opt(own.hook.when_line) or opt(own.hook.line) }
  if when:find("{{", 1, true) or when:find("{%%") then return is_true(jinja.render(when, own.context, place)) end
  return is_true(jinja.eval(when, own.context, place))
end

local function new_record(state, hook, phase, is_inside, index)
  local name = M.name_of(hook)
  local node = node_of(state)
  return { node = node and node.unique_id, name = state.run.mask(name), kind = hook.kind, phase = phase,
    label = state.run.mask(node and ("%s: %s"):format(node.name, name) or name),
    place = hook.place, file = hook.file, line = opt(hook.line), index = not hook.deferred and index or nil,
    transaction = is_inside, try = state.tries, started_at = time.now() }
end

local function finish(own, started, ok, e)
  local record, run = own.record, own.run
  record.seconds = time.mono() - started
  record.rows = own.rows
  record.status = "success"
  if #own.warnings > 0 then record.message, record.warned = table.concat(own.warnings, "\n"), true end
  local failed
  if not ok then
    failed = explain(own, e)
    record.message, record.error = failed.message, failed
    record.status = "error"
    local forgivable = own.hook.on_error ~= "fail" and not own.state.transaction_lost
      and (own.event or own.state.conn and own.state.conn:txn() ~= "broken") and not (err.is(e) and e.cancelled)
      and not (own.hook.on_error == "warn" and run:is_error "JinjaLogWarning")
    if forgivable then
      record.status = own.hook.on_error == "warn" and "warn" or "ignored"
      if record.status == "warn" then run:warn(failed.message) end
      record.code, failed, record.error = failed.code, nil, nil
    end
  end
  if own.event and record.status == "success" and not record.message then return nil end
  if run.records then run.records:add(record) end
  run:emit("hook_end", record)
  return failed
end

-- What one call of a hook needs, and what its object works with.
local function new_own(state, hook, phase, opts)
  local own = { run = state.run, state = state, hook = hook, phase = phase, inside = opts.inside or false,
    isolated = opts.isolated, own_transaction = opts.own_transaction, context = state.context, warnings = {},
    title = title_of(state, hook, phase, opts.index or 1), index = opts.index, before_commit = opts.before_commit }
  own.record = new_record(state, hook, phase, own.inside or own.own_transaction or false, opts.index or 1)
  own.execute = function(sql, params) return execute(own, sql, params) end
  own.savepoint = function(fn, object)
    pause_copy(own)
    return with_savepoint(own, fn, object)
  end
  own.copy = function(sql, chunks)
    pause_copy(own)
    note_sql(own, sql)
    local before = own.copying
    own.copying = {}
    local ok, rows = pcall(hook_transaction.around, own, copying.into, own.state.conn, sql, chunks, own.copying)
    own.copying = before
    if not ok then error(rows, 0) end
    own.rows = (own.rows or 0) + rows
    check_transaction(own)
    hook_limits.rest(own)
    return rows
  end
  hook_transaction.enter(own)
  return own
end

--- Calls the function of a Lua operation, as a hook is called: with the same object. May wait. Raises its error.
---@param state table what runs, with `conn`, `context` and `transactional`: whether a transaction is open
---@param script {name: string, file: string, fn: function, trusted: boolean, args: table}
---@return any what it returned
---@return integer|nil rows that its statements changed
function M.call_script(state, script)
  local hook = value.dict("kind", "lua", "lua", script.name, "sql", "", "args", script.args, "on_error", "fail",
    "transaction", state.transactional, "place", "operation", "file", script.file)
  local own = new_own(state, hook, "build", { inside = state.transactional })
  own.trusted, own.title = script.trusted, ("operation '%s'"):format(script.name)
  local ok, returned = call(own, script.fn)
  if not ok then error(explain(own, returned), 0) end
  check_transaction(own)
  return returned, own.rows
end

--- Calls a function that a module has subscribed with. It takes a connection when it first asks for one, which the
--- caller gives back. A failure is a warning, and recorded; a success is not. May wait.
---@param state table of an event; `conn` is set when it was needed
---@param hook table {fn, trusted, name, file, ...}
---@param phase string the event's name
---@param event table what `hook.event` is
function M.observe(state, hook, phase, event)
  local own = new_own(state, hook, phase, {})
  own.event, own.trusted, own.title = event, hook.trusted, "the event function " .. hook.name
  own.record.kind = "lua"
  local function leasing(fn)
    return function(...)
      state.conn = state.conn or state.run.pool:lease()
      return fn(...)
    end
  end
  own.execute, own.copy = leasing(own.execute), leasing(own.copy)
  local started = time.mono()
  local ok, e = call(own, hook.fn)
  finish(own, started, ok, e)
end

--- What the object of a hook works with that stands at a place of a run: for a prompt there. Its statements are undone
--- when they fail inside a transaction.
---@param state table
---@param like table|nil what belongs to the hook that runs there
---@return table for lua/run/hook_object.lua
function M.at(state, like)
  local open = state.conn ~= nil and state.conn:txn() == "intrans"
  local hook = like and like.hook or { kind = "lua", lua = "prompt", on_error = "fail" }
  local own = new_own(state, hook, like and like.phase or state.phase or "build", { inside = open })
  local send = own.execute
  own.trusted, own.title = true, "the prompt"
  own.execute = function(sql, params)
    if not (state.conn and state.conn:txn() == "intrans") then return send(sql, params) end
    return with_savepoint(own, send, sql, params)
  end
  return own
end

--- Runs one hook. Returns the error that it failed with, which its `on_error` does not forgive, or nil. May
--- wait.
---@param state table what runs: {run, node, conn, context, ...} of lua/run/node.lua
---@param hook dex.Hook
---@param phase string a phase of the node, or run_start, run_end
---@param opts {inside: boolean, isolated: boolean|nil, own_transaction: boolean|nil, index: integer|nil,
---  before_commit: function|nil}
---  inside: a transaction is open; isolated: a failure must leave it usable; own_transaction: one for this hook;
---  before_commit: called at its end
---@return dex.Error|nil failure
---@return dex.HookRecord|nil record nil when `when` was false
function M.run(state, hook, phase, opts)
  local own = new_own(state, hook, phase, opts)
  local started = time.mono()
  local ok, wanted = pcall(condition, own)
  if ok and not wanted then return nil, nil end
  local e = wanted
  if ok then ok, e = pcall(with_retries, own) end
  local debugger = state.run.job.debugger
  if not ok and debugger and hook.on_error == "fail" then
    ok, e = debugger:hook_failed(own, e, explain, with_retries)
  end
  return finish(own, started, ok, e), own.record
end

--- Runs the hooks of a phase of a node, in order; the first failure is raised and the rest does not run. May
--- wait.
---@param state table
---@param list dex.Hook[]
---@param phase string
---@param is_inside boolean whether the node's transaction is open
---@param from integer|nil the place in the list to begin with
function M.run_phase(state, list, phase, is_inside, from)
  for i, hook in ipairs(list) do
    if state.skipped then return end
    local ledger = state.run.ledger
    local done = state.done and state.done[ledger.key(phase, hook, i)]
    if i >= (from or 1) and not done and is_wanted(state.run, hook) then
      local failed = M.run(state, hook, phase, { inside = is_inside, index = i })
      if failed then error(failed, 0) end
      if ledger then ledger:note(state, phase, hook, i) end
    end
  end
end

--- Runs every hook of a list whatever becomes of the others, in a transaction that is open: what happens
--- after a failure. May wait.
function M.run_all(state, list, phase)
  for i, hook in ipairs(list) do
    if is_wanted(state.run, hook) then
      local failed = M.run(state, hook, phase, { inside = true, isolated = true, index = i })
      if failed then state.run:log("error", failed.message) end
    end
  end
end

--- Calls what hook:after_commit() left, each recorded like a hook. Raises the first failure. May wait.
function M.run_after_commit(state)
  local queue = state.after_commit
  state.after_commit = nil
  for i, item in ipairs(queue or {}) do
    local declared = setmetatable({ kind = "lua", on_error = item.hook.on_error }, { __index = item.hook })
    declared.deferred = true
    declared.kind, declared.fn, declared.trusted = "after_commit", item.fn, item.trusted
    local failed, record = M.run(state, declared, "post_outside", { inside = false, index = i })
    if record then record.kind = "lua" end
    if failed then error(failed, 0) end
  end
end

--- Loads what hooks name, before anything runs: a file that does not load, or a name that is not there, is
--- told at once.
---@param run table
---@param list dex.Hook[]|nil
function M.check(run, list)
  for _, hook in ipairs(list or {}) do
    if is_wanted(run, hook) then
      if hook.kind == "lua" then
        run.modules:resolve(hook.lua, hook)
      elseif hook.kind == "operation" then
        require("run.operation").find(run.project, hook.operation, hook)
      end
    end
  end
end

return M
