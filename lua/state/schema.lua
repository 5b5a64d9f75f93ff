--- The tables of .dex/state.db, and how a file of an earlier version becomes one of this. A step once released is
-- never changed: the next version is a step more.

local err = require "err"

local M = {}

-- Tasks and what belongs to them are kept under the run's short number; a task's row stands beside its neighbours of
-- the same run, so that a whole run is read, and removed, as one piece of the file. Events are the bus between
-- processes; most say only what they tell of (`ref`: a task's position, a hook, a line of a log).
local version_1 = [[
create table runs (
  seq integer primary key, id text not null unique, kind text not null, name text, command text, trigger text not null,
  by text, status text not null, parameters text, args text, target text, scheduled_for integer, parent_id text,
  rerun_of text, created_at integer not null, started_at integer, ended_at integer, pid integer, pid_started integer,
  host text, message text, result text, counts text, cancel_requested integer not null default 0, cancel_by text);
create index runs_by_name on runs (kind, name);
create index runs_by_only_name on runs (name);
create index runs_by_status on runs (status);
create index runs_by_time on runs (created_at);
create index runs_by_parent on runs (parent_id) where parent_id is not null;
create index runs_by_rerun on runs (rerun_of) where rerun_of is not null;

create table nodes (id integer primary key, unique_id text not null unique);

create table tasks (
  run integer not null, position integer not null, name text not null, kind text, node integer, label text, needs text,
  status text not null, attempt integer not null default 0, started_at integer, ended_at integer, message text,
  response text, rows integer, result text, phases text, marked_by text,
  primary key (run, position)) without rowid;
create index tasks_by_node on tasks (node, run) where node is not null;
create index tasks_failed on tasks (run) where status in ('failed', 'timed_out');

create table attempts (
  run integer not null, task text not null, attempt integer not null, started_at integer, ended_at integer,
  status text, message text, primary key (run, task, attempt)) without rowid;

create table hooks (
  id integer primary key, run integer not null, task text, phase text, position integer, name text, file text,
  line integer, status text, started_at integer, duration integer, message text);
create index hooks_by_run on hooks (run);

create table logs (
  id integer primary key, run integer not null, task text, at integer not null, level text not null,
  text text not null);
create index logs_by_run on logs (run);

create table events (
  id integer primary key, at integer not null, run integer, task text, kind text not null, data text, ref integer);

create table spent (
  day integer not null, kind text not null, name text not null, count integer not null, failed integer not null,
  total integer not null, longest integer not null, primary key (kind, day, name)) without rowid;

create table facts (name text primary key, value integer) without rowid;
create table schedules (flow text primary key, paused integer not null default 0, paused_by text, paused_at integer);
create table claims (
  flow text not null, scheduled_for integer not null, run_id text, claimed_at integer not null,
  primary key (flow, scheduled_for)) without rowid;
create table audit (
  id integer primary key, at integer not null, who text, role text, action text not null, subject text, outcome text,
  data text);
]]

-- Who has a place in a pool of the project's flows.
local version_2 = [[
create table places (
  pool text not null, holder text not null, pid integer not null, pid_started integer, host text,
  primary key (pool, holder)) without rowid;
]]

--- Step N makes a file of version N out of one of version N - 1; an empty file is of version 0.
M.steps = { version_1, version_2 }

--- The version that this program reads and writes.
M.version = #M.steps

local function newer(version, path)
  err.raise { code = 654, file = path, message = ("the history is of version %d, and this dex-lua knows versions up " ..
    "to %d"):format(version, M.version), hint = "a newer dex-lua has written it: use that one, or move the file away" }
end

--- Brings the tables to this version, in one transaction. Raises 654 when they are of a later one.
---@param db userdata
---@param path string
---@param readonly boolean|nil then nothing is changed, and an older version is refused
---@return boolean|nil false when it is readonly and has no tables yet: another process may just be making them
function M.migrate(db, path, readonly)
  local version = db:value "pragma user_version"
  if version == M.version then return end
  if version > M.version then newer(version, path) end
  if readonly then
    if version == 0 then return false end
    err.raise { code = 650, file = path, message = ("the history is of version %d and cannot be brought to %d: it is "
      .. "read only"):format(version, M.version) }
  end
  db:exec "begin immediate"
  local ok, e = pcall(function()
    version = db:value "pragma user_version" -- another process may have been faster
    if version > M.version then newer(version, path) end
    for step = version + 1, M.version do
      db:script(M.steps[step])
      db:exec(("pragma user_version = %d"):format(step))
    end
  end)
  if ok then ok, e = pcall(db.exec, db, "commit") end
  if ok then return end
  if db:in_transaction() then db:exec "rollback" end
  error(e, 0)
end

return M
