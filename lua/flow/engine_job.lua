--- The jobs that a flow's tasks give to the engine (lua/run): each is like that of a command of its own, shares the
-- connections and the project with the flow, and its report goes to the flow's and into the history.

local loop = require "dex.loop"
local secrets = require "run.secrets"
local time = require "dex.time"
local uuid = require "dex.uuid"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Options of the flow's own command, which mean something else or nothing to the engine.
local own_options = { select = true, args = true, arg = true, from = true, dry_run = true, output = true,
  full_refresh = true, exclude = true, selector = true, invocation_id = true }

local function given_of(run, given)
  local all = {}
  for name, v in pairs(run.job.given) do
    if not own_options[name] then all[name] = v end
  end
  for name, v in pairs(given or {}) do all[name] = v end
  return all
end

-- The report ---------------------------------------------------------------------------------------------

--- Where the engine's events go: to the flow's report and to the recorder.
---@class dex.FlowOutlet
local Outlet = {}
Outlet.__index = function(self, key)
  local own = Outlet[key]
  if own ~= nil then return own end
  return rawget(self, "base")[key]
end

local shown = { node_start = true, node_end = true, hook_end = true, run_hook_end = true, sql = true,
  test_failed = true }

function Outlet:event(name, data)
  local handler = self.handlers and self.handlers[name]
  if handler then handler(data) end
  if name == "hook_end" then self:hook(data) end
  local is_node = name == "node_start" or name == "node_end"
  if shown[name] and (self.shows_nodes or not is_node) then self.base:event(name, data) end
end

-- A hook that ran stands in the history with its task: the model's, or that of the flow's node.
function Outlet:hook(record)
  local run, task = self.run, self.task
  run.recorder:note("add_hook", run.id, self.row_of and self.row_of(record.node) or task and task.name, {
    phase = record.phase, position = record.index, name = record.name, file = record.file, line = record.line,
    status = record.status == "error" and "failed" or record.status,
    started_at = M.micro(record.started_at), duration = M.micro(record.seconds),
    message = record.message })
end

function Outlet:log(level, text, node)
  local run, task = self.run, self.task
  if level ~= "debug" then
    run.recorder:note("add_log", run.id, self.row_of and node and self.row_of(node.unique_id) or task and task.name,
      level == "print" and "info" or level, run.mask(text), M.now())
  end
  self.base:log(level, run.mask(text), node)
end

function Outlet:warning(e)
  self.base:warning(e)
  local run = self.run
  run.recorder:note("add_log", run.id, self.task and self.task.name, "warn", run.mask(tostring(e.message)),
    M.now())
end

-- Asked by name, so that `self` is what the base knows.
for _, name in ipairs { "failure", "finish", "tick", "debugging" } do
  Outlet[name] = function(self, ...) return self.base[name](self.base, ...) end
end

--- Seconds as the history has them: whole microseconds.
---@param seconds number|nil
---@return integer|nil
function M.micro(seconds) return seconds and math.floor(seconds * 1e6 + 0.5) end

--- Now, as the history has it.
---@return integer
function M.now() return math.floor(time.now() * 1e6) end

--- A report for what a task, or the flow itself, lets the engine do.
---@param run dex.FlowRun
---@param task dex.FlowTask|nil
---@param opts? {handlers: table|nil, shows_nodes: boolean|nil, row_of: (fun(id: string|nil): string|nil)|nil}
---  `handlers`: event -> function; `shows_nodes`: nodes have lines of their own; `row_of`: the task's row of a node
---@return dex.FlowOutlet
function M.outlet(run, task, opts)
  opts = opts or {}
  return setmetatable({ run = run, task = task, base = run.job.report, handlers = opts.handlers,
    shows_nodes = opts.shows_nodes, row_of = opts.row_of }, Outlet)
end

-- The last words of a transaction -------------------------------------------------------------------------

-- Which transaction it is, is written before it commits. Whoever takes the run up asks the server what became of it,
-- so that what has committed is not repeated even when the process ended in the moment after that.
local function note_transaction(run, task, row_of)
  return function(state)
    local xid = state.conn:exec("select txid_current_if_assigned()"):text(1, 1)
    if xid == nil or xid == value.none then return end -- it has changed nothing
    local row = row_of and row_of(state.node.unique_id) or task.name
    local kept = value.is_dict(task.kept) and not row_of and value.copy_dict(task.kept) or value.dict()
    kept.xid = tostring(xid)
    if not row_of then kept.returned = value.or_none(secrets.masked(state.outcome.returned, run.mask)) end
    run.recorder:note("keep_result", run.id, row, kept)
    run.recorder:flush()
  end
end

--- Which of some transactions have committed, by the server's word. One that is still under way there is waited for.
--- May wait.
---@param pool userdata
---@param xids string[]
---@return table<string, boolean>
function M.committed(pool, xids)
  local found, conn = {}, pool:lease()
  local ok, e = pcall(function()
    for _, xid in ipairs(xids) do
      local status
      repeat
        status = conn:exec(("select txid_status(%s)"):format(xid)):text(1, 1)
        if status == "in progress" then loop.sleep(0.1) end
      until status ~= "in progress"
      found[xid] = status == "committed"
    end
  end)
  conn:release()
  if not ok then error(e, 0) end
  return found
end

--- Whether the server can say what became of a transaction. May wait.
---@param pool userdata
---@return boolean
function M.knows_transactions(pool)
  local conn = pool:lease()
  local ok, result = pcall(conn.exec, conn, "select to_regproc('pg_catalog.txid_status') is not null")
  conn:release()
  return ok and result:text(1, 1) == "t"
end

-- The job ------------------------------------------------------------------------------------------------

--- A job for the engine.
---@param run dex.FlowRun
---@param task dex.FlowTask|nil
---@param opts {command: string, given: table|nil, project: table|nil, report: table|nil, row_of: function|nil}
---  `row_of`: the rows of nodes in the history, when they have their own
---@return table job of lua/pipeline.lua
function M.new(run, task, opts)
  local base = run.job
  local given = given_of(run, opts.given)
  local args = value.dict("which", opts.command, "invocation_command", "dex-lua flow run " .. run.flow.name, "flow",
    run.flow.name, "task", value.or_none(task and task.name))
  for _, name in ipairs { "full_refresh", "fail_fast", "vars", "target", "profile" } do
    if opt(given[name]) ~= nil then args[name] = given[name] end
  end
  return { command = { name = opts.command }, given = given, words = {}, project = opts.project or base.project,
    pool = base.pool, connection = base.connection, report = opts.report or M.outlet(run, task),
    target_path = base.target_path, invocation_id = uuid(), started_at = time.now(), started = time.mono(), args = args,
    closers = base.closers, records = base.records, lock_session = base.lock_session, private = base.private,
    selected = {},
    before_commit = task and base.knows_transactions and note_transaction(run, task, opts.row_of) or nil }
end

--- Ends what a job of the engine does: what runs on the server is cancelled. Does not wait.
---@param job table
---@param how string the signal, or why
---@param work {cancel: fun(self: table)} the task that waits for the engine
function M.cancel(job, how, work)
  job.cancelled = job.cancelled or how
  if job.nodes_run then require("dex.run").cancel(how, job) else work:cancel() end
end

return M
