--- The ledger: tables in the target database that say what a run has completed. A node's commit and its hooks are
-- written in the node's own transaction, so that after a crash at any instant `dex-lua retry` knows what is done.
-- Switched on by `ledger: true` in dbt_project.yml. lua/run/outbox.lua keeps what hooks do outside of the database.

local core = require "dex.core"
local err = require "err"
local fs = require "dex.fs"
local lock = require "run.lock"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

---@class dex.Ledger
---@field run dex.Run
---@field root string the run that a chain of retries began with: what is done is done once for it
---@field ending string the run whose on-run-end this is
---@field runs string names of the tables, as SQL
---@field entries string
---@field outbox string
local Ledger = {}
Ledger.__index = Ledger

-- Settings ----------------------------------------------------------------------------------------------

--- The file below target/ that says which run has begun.
M.MARKER = "run_started.json"

local function refuse(project, message)
  local package = project.packages[1]
  err.raise { code = 102, message = message, file = package.file,
    line = require("project.lines").of(package.lines, package.raw, "ledger"),
    hint = "ledger: true, or ledger: {schema: NAME, keep_days: 30}" }
end

--- What the project file says: nil when there is no ledger. Raises code 102.
---@param project table
---@return {schema: string, keep_days: integer}|nil
function M.settings(project)
  local given = opt(project.packages[1].config.ledger)
  if given == nil or given == false then return nil end
  local settings = { schema = project.profile.target and project.profile.target.schema, keep_days = 30 }
  if given == true then return settings end
  if not value.is_dict(given) then refuse(project, "ledger must be true, false or a mapping") end
  for key, v in pairs(given) do
    if key == "schema" and type(v) == "string" and v ~= "" then
      settings.schema = v
    elseif key == "keep_days" and math.type(v) == "integer" and v > 0 then
      settings.keep_days = v
    else
      refuse(project, ("ledger: `%s` cannot be %s"):format(tostring(key), tostring(v)))
    end
  end
  return settings
end

--- Whether the project of a command line has a ledger. Reads its file only.
---@param given table its options
---@return boolean
function M.is_on(given)
  local package = require("project.root").load(given.project_dir, given)
  local setting = opt(package.config.ledger)
  return setting ~= nil and setting ~= false
end

-- Tables ------------------------------------------------------------------------------------------------

local TABLES = [[
create schema if not exists %(schema);
create table if not exists %(runs) (run_id text primary key, root_id text not null, end_id text not null,
  project text not null, target text not null, command text not null, args jsonb not null, host text, pid integer,
  started_at timestamptz not null default clock_timestamp(), ended_at timestamptz);
create table if not exists %(entries) (scope_id text, node text, hook text, run_id text not null, pending text[],
  at timestamptz not null default clock_timestamp(), primary key (scope_id, node, hook));
create table if not exists %(outbox) (key text primary key, seq bigserial, root_id text not null, run_id text not null,
  node text not null, hook text not null, title text not null, kind text not null, request jsonb not null,
  tries integer not null default 0, last_error text, created_at timestamptz not null default clock_timestamp(),
  delivered_at timestamptz, answer jsonb);
create index if not exists dex_ledger_at on %(entries) (at);
create index if not exists dex_outbox_root on %(outbox) (root_id) where delivered_at is null]]

local PRUNE = [[
delete from %(entries) where at < now() - interval '%(days) days';
delete from %(outbox) where delivered_at < now() - interval '%(days) days';
delete from %(runs) where started_at < now() - interval '%(days) days']]

function Ledger:fill(sql)
  return (sql:gsub("%%%((%w+)%)", function(name) return tostring(self[name]) end))
end

--- Whether its tables are there. May wait.
---@return boolean
function Ledger:is_there(conn)
  local found = conn:exec("select to_regclass($1) is not null and to_regclass($2) is not null and " ..
    "to_regclass($3) is not null", self.runs, self.entries, self.outbox)
  return found:text(1, 1) == "t"
end

-- Makes the tables where they are missing. Two commands may do that at once. May wait.
function Ledger:prepare(conn)
  if self:is_there(conn) then
    conn:exec(self:fill(PRUNE))
    return
  end
  local has_schema = conn:exec("select 1 from pg_namespace where nspname = $1", self.schema_name)
  local tables = self:fill(TABLES)
  if #has_schema > 0 then tables = tables:gsub("^[^;]*;", "") end -- it takes a privilege even where it does nothing
  conn:exec(("begin; select pg_advisory_xact_lock(%d)"):format(lock.key("tables of the ledger")))
  local ok, e = pcall(conn.exec, conn, tables)
  conn:exec(ok and "commit" or "rollback")
  if not ok then error(err.wrap(e, { hook = "creating the ledger in schema " .. self.schema_name }), 0) end
end

-- The run -----------------------------------------------------------------------------------------------

local function quoted(name) return '"' .. name:gsub('"', '""') .. '"' end

local function new(run, settings)
  local schema = quoted(settings.schema)
  local id = run.invocation_id
  return setmetatable({ run = run, id = id, root = id, ending = id, schema_name = settings.schema, schema = schema,
    days = settings.keep_days, runs = schema .. ".dex_runs", entries = schema .. ".dex_ledger",
    outbox = schema .. ".dex_outbox" }, Ledger)
end

--- A ledger to read from, without a run.
---@param job table
---@param settings table of M.settings
---@return dex.Ledger
function M.reader(job, settings)
  return new({ invocation_id = job.invocation_id, project = job.project, job = job }, settings)
end

local function with_connection(run, fn)
  local conn = run.pool:lease()
  local ok, e = pcall(fn, conn)
  conn:release()
  if not ok then error(e, 0) end
  return e
end

-- Held by the process that works on a chain of runs.
function Ledger:alive_key() return lock.key("ledger run\0" .. self.root) end

-- Held, shared, by every transaction that has written into the ledger.
function Ledger:commits_key() return lock.key("ledger commits\0" .. self.root) end

function Ledger:mark(ended)
  local path = self.run.target_path
  fs.mkdirs(path)
  fs.write(path .. "/" .. M.MARKER, require("run.secrets").encode(value.dict("invocation_id", self.id, "ended", ended,
    "args", self.run.args)))
end

local function target_of(project)
  local profile = project.profile
  return tostring(profile.target_name)
end

--- Opens the ledger of a run: run.ledger is set when there is one. A retry finds out what is left. May wait.
---@param run dex.Run
function M.open(run)
  local job = run.job
  local settings = M.settings(run.project)
  if not settings or job.freshness or run.which == "clone" then return end
  local self = new(run, settings)
  self:mark(false)
  job.ledger = self
  with_connection(run, function(conn)
    self:prepare(conn)
    if job.take_up then require("run.ledger_retry").find(self, conn, job.take_up) end
    lock.session(job):claim(self:alive_key(), self.root)
    conn:exec(self:fill("insert into %(runs) (run_id, root_id, end_id, project, target, command, args, host, pid) " ..
      "values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"), self.id, self.root, self.ending, run.project.name,
      target_of(run.project), run.which, require("run.secrets").encode(run.args), core.host(), core.pid())
    run.ledger = self
    if job.take_up then require("run.ledger_retry").take_up(self, conn, job.take_up) end
  end)
end

--- The run has come to its end. May wait.
function M.close(run)
  local self = run.ledger
  if not self then return end
  pcall(with_connection, run, function(conn)
    conn:exec(self:fill("update %(runs) set ended_at = clock_timestamp() where run_id = $1"), self.id)
  end)
end

--- The command's artifacts are written: from here on its results are the last ones, or those of a later command.
---@param job table
function M.conclude(job)
  if job.ledger then job.ledger:mark(true) end
end

-- Nodes -------------------------------------------------------------------------------------------------

--- What a hook is called in the ledger: its phase, and its name or its place.
---@param phase string
---@param hook dex.Hook
---@param index integer|nil
---@return string
function M.key(phase, hook, index)
  if hook.deferred then return ("deferred:%d"):format(index or 1) end
  return ("%s:%s"):format(phase, (tostring(opt(hook.name) or index or 1):gsub("\n", " ")))
end

Ledger.key = M.key

local inside = { pre_hooks = true, post_hooks = true }

-- The hooks that follow a node's commit, which is complete when they are.
local function pending_of(state)
  local hooks = require "run.hooks"
  local list, index = {}, 0
  for _, hook in ipairs(state.info.hooks.post or {}) do
    if hook.transaction == false then
      index = index + 1
      if hooks.is_wanted(state.run, hook) then list[#list + 1] = M.key("post_outside", hook, index) end
    end
  end
  if state.ctx.has_always then list[#list + 1] = "always" end
  if state.after_commit or state.later then list[#list + 1] = "deferred" end
  return list
end

-- Adds rows in the transaction that is open, or in one of their own. A transaction that has done so keeps others from
-- reading the ledger until it has ended, even when its process is gone.
function Ledger:add(conn, scope, node, keys, pending)
  self.insert = self.insert or self:fill("insert into %(entries) (scope_id, node, hook, run_id, pending) " ..
    "select $1, $2, h, $3, case when h = 'commit' then string_to_array($5, E'\\n') end " ..
    "from unnest(string_to_array($4, E'\\n')) h, (select pg_advisory_xact_lock_shared(") .. self:commits_key() ..
    ")) held"
  conn:exec(self.insert, scope, node, self.id, table.concat(keys, "\n"), pending or none)
end

--- Writes down that a node is done, with the hooks of its transaction, which is about to be committed. May wait.
---@param state dex.State
function Ledger:commit(state)
  if state.outcome.status == "partial success" then return end -- a retry goes on with it
  local keys = state.ledger_keys or {}
  keys[#keys + 1] = "commit"
  self:add(state.conn, self.root, state.node.unique_id, keys, table.concat(pending_of(state), "\n"))
end

--- A hook of a node is done. May wait.
---@param state dex.State
---@param phase string
---@param hook dex.Hook
---@param index integer
function Ledger:note(state, phase, hook, index)
  if state.transactional == false then return end -- tests
  if inside[phase] then
    state.ledger_keys = state.ledger_keys or {}
    table.insert(state.ledger_keys, M.key(phase, hook, index))
  elseif phase == "post_outside" and state.ctx and state.ctx.committed then
    self:add(state.conn, self.root, state.node.unique_id, { M.key(phase, hook, index) })
  end
end

--- The same for the rest of what follows a commit: "always", "deferred". May wait.
function Ledger:note_rest(state, what)
  self:add(state.conn, self.root, state.node.unique_id, { what })
end

-- Hooks of the run --------------------------------------------------------------------------------------

--- For what a hook's effects are counted: once for a chain of runs, but again where something has failed anew.
---@param phase string
function Ledger:scope(phase)
  if phase == "run_end" then return self.ending end
  if phase == "on_failure" or phase == "always" then return self.id end
  return self.root
end

--- A hook of the run is done: in its transaction, when it has one. May wait.
function Ledger:note_run_hook(conn, phase, hook)
  self:add(conn, self:scope(phase), hook.id, { phase })
end

return M
