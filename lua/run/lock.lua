--- Locks that last as long as a command: advisory locks of the server, held by a session of their own, which says in
-- its application_name whose it is. The server gives them back when the process is gone, however it ended.

local core = require "dex.core"
local err = require "err"
local hash = require "dex.hash"
local time = require "dex.time"

local M = {}

local Session = {}
Session.__index = Session

--- The number of a lock for a text.
---@param text string
---@return integer
function M.key(text)
  return math.tointeger(tonumber("0x" .. hash.md5("dex-lua " .. text):sub(1, 16)))
end

-- What other commands read: NAMEDATALEN leaves 63 bytes.
local function name_of(job)
  return ("dex-lua %s %d %d %s"):format(job.command.name, core.pid(), math.floor(time.now()), core.host()):sub(1, 63)
end

-- No setting of a role or a profile ends the session, or its wait.
local TIMEOUTS = [[
select count(set_config(name, '0', false)) from pg_settings
where name in ('lock_timeout', 'statement_timeout', 'idle_session_timeout')]]

--- The session of a command, which is opened at the first call. May wait.
---@param job table
function M.session(job)
  if job.lock_session then return job.lock_session end
  local pool = require("dex.db").pool(job.connection, { size = 1, retries = job.project.profile.retries })
  job.closers[#job.closers + 1] = function() pool:close() end
  local self = setmetatable({ conn = pool:lease(), job = job }, Session)
  self.conn:exec(TIMEOUTS)
  self:show_name()
  job.lock_session = self
  return self
end

function Session:show_name()
  self.conn:exec("select set_config('application_name', $1, false)", name_of(self.job))
end

--- Takes a lock when nobody has it.
---@param key integer
---@return boolean
function Session:try(key)
  return self.conn:exec(("select pg_try_advisory_lock(%d)"):format(key)):text(1, 1) == "t"
end

--- Takes a lock, however long that takes. May wait.
---@param key integer
function Session:wait(key)
  self.conn:exec(("select pg_advisory_lock(%d)"):format(key))
  self:show_name() -- it is held since now
end

local PATIENCE = 5 -- seconds in which the server notices that a process is gone

--- Takes the lock of a run, which another process may have had that is no more. Raises code 426 when it goes on. May
--- wait.
---@param key integer
---@param id string the run, for the message
function Session:claim(key, id)
  if self.claimed == key or self:try(key) then
    self.claimed = key
    return
  end
  self.conn:exec(("set lock_timeout = '%ds'"):format(PATIENCE))
  local ok, e = pcall(self.conn.exec, self.conn, ("select pg_advisory_lock(%d)"):format(key))
  self.conn:exec "set lock_timeout = 0"
  if ok then
    self.claimed = key
    return
  end
  if err.is(e) and e.sqlstate == "55P03" then
    err.raise { code = 426, message = ("run %s is still going on: %s"):format(id, self:holder(key)),
      hint = "let it end; what it leaves can be taken up then" }
  end
  error(e, 0)
end

--- Whether the session has not been lost.
---@return boolean
function Session:is_alive()
  return (pcall(self.conn.exec, self.conn, "select 1"))
end

local HOLDER = [[
select a.application_name, a.pid, a.usename from pg_locks l join pg_stat_activity a using (pid)
where l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = %d::oid and l.objid = %d::oid
  and l.database = (select oid from pg_database where datname = current_database()) limit 1]]

--- Who holds a lock, for people: "`dex-lua build` holds it (pid 12 on host, since ...)".
---@param key integer
---@return string
function Session:holder(key)
  local result = self.conn:exec(HOLDER:format(key >> 32 & 0xffffffff, key & 0xffffffff))
  if #result == 0 then return "whoever held it has just ended" end
  local command, pid, since, host = result:text(1, 1):match("^dex%-lua (%S+) (%d+) (%d+) ?(.*)$")
  if not command then
    return ("a session of %s holds it (process %s of the server)"):format(result:text(1, 3), result:text(1, 2))
  end
  return ("`dex-lua %s` holds it (pid %s on %s, since %s)"):format(command, pid, host ~= "" and host or "unknown",
    time.iso(tonumber(since)))
end

local function names(project)
  local profile = project.profile
  return project.name, tostring(profile.target_name), tostring(profile.target and profile.target.schema)
end

--- The lock of a project and its target, as --lock asks for it: `wait`, `fail`, or `off`. Raises code 425 when somebody
--- else holds it and `fail` is asked for. May wait.
---@param job table with `connection`
function M.project(job)
  local mode = job.given.lock
  if mode ~= "wait" and mode ~= "fail" then return end
  local name, target, schema = names(job.project)
  local key = M.key(table.concat({ "project", name, target, schema }, "\0"))
  local session = M.session(job)
  if session:try(key) then return end
  local holder = session:holder(key)
  if mode == "fail" then
    err.raise { code = 425, message = ("project %s, target %s is locked: %s"):format(name, target, holder),
      hint = "--lock wait waits for its end, --lock off runs beside it" }
  end
  job.report:log("info", ("waiting for the lock of project %s, target %s: %s"):format(name, target, holder))
  session:wait(key)
end

--- Tells when the lock was lost on the way.
---@param job table
function M.check(job)
  if not job.lock_session or job.lock_session:is_alive() then return end
  job.report:log("warn", "the session that held the command's lock was lost: another command may have run beside it")
end

return M
