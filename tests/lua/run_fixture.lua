--- Projects that are run by tests: written into a folder, loaded, run on a PostgreSQL in a database of their
-- own. The server is that of PGHOST when it is set, else a private one in a temporary folder.

local db = require "dex.db"
local env = require "dex.env"
local fs = require "dex.fs"
local time = require "dex.time"
local uuid = require "dex.uuid"
local value = require "jinja.value"

local M = {}

local function temporary(kind)
  return ("%s/dex-%s-%s"):format(env.get("TMPDIR") or "/tmp", kind, uuid():sub(1, 8))
end

local server, admin, private, private_dir
local folders, databases = {}, {}

local function start_server()
  if server then return end
  if env.get("PGHOST") then
    server = { host = env.get("PGHOST"), port = env.get("PGPORT") or "5432", user = env.get("PGUSER") or "postgres",
      password = env.get("PGPASSWORD"), dbname = "postgres" }
  else
    private_dir = temporary("server")
    fs.mkdirs(private_dir)
    private = db.private { dir = private_dir }
    server = private:ensure()
  end
  admin = db.pool(server, { size = 1 })
end

local function admin_exec(sql)
  local conn = admin:lease()
  local ok, e = pcall(conn.exec, conn, sql)
  conn:release()
  if not ok then error(e, 0) end
end

--- A new empty database. Returns libpq parameters.
---@return table
function M.database()
  start_server()
  local name = "dex_test_" .. uuid():sub(1, 8):gsub("%-", "")
  admin_exec("create database " .. name)
  databases[#databases + 1] = name
  local params = {}
  for key, v in pairs(server) do params[key] = v end
  params.dbname = name
  return params
end

local function profile_text(params, threads)
  local lines = { "shop:", "  target: dev", "  outputs:", "    dev:", "      type: postgres", "      schema: sch",
    "      threads: " .. threads }
  for _, key in ipairs { "host", "port", "user", "password", "dbname" } do
    if params[key] then lines[#lines + 1] = ("      %s: %q"):format(key, tostring(params[key])) end
  end
  if not params.password then lines[#lines + 1] = "      password: \"\"" end
  return table.concat(lines, "\n") .. "\n"
end

--- A project in a folder of its own, on a database of its own.
---@class dex.TestProject
---@field dir string
---@field params table
local Project = {}
Project.__index = Project

--- Writes a project.
---@param files table<string, string> path -> text
---@param opts? {threads: integer}
---@return dex.TestProject
function M.project(files, opts)
  local self = setmetatable({ dir = temporary("project"), params = M.database() }, Project)
  self.pool = db.pool(self.params, { size = 1 })
  folders[#folders + 1] = self.dir
  self:write { ["dbt_project.yml"] = "name: shop\nversion: '1.0'\nprofile: shop\n",
    ["profiles.yml"] = profile_text(self.params, opts and opts.threads or 4) }
  self:write(files)
  return self
end

--- Writes files; `false` deletes one.
function Project:write(files)
  for path, text in pairs(files) do
    local full = self.dir .. "/" .. path
    fs.mkdirs(full:match("^(.*)/"))
    if text then fs.write(full, text) else fs.remove_tree(full) end
  end
end

--- Runs SQL beside the project. Returns the result.
function Project:sql(sql)
  local conn = self.pool:lease()
  local ok, result = pcall(conn.exec, conn, sql)
  conn:release()
  if not ok then error(result, 0) end
  return result
end

--- The rows of a query as text: cells joined with "|", rows with " ".
function Project:rows(sql)
  local result = self:sql(sql)
  local rows = {}
  for r = 1, #result do
    local cells = {}
    for c = 1, #result.columns do cells[c] = result:text(r, c) or "-" end
    rows[r] = table.concat(cells, "|")
  end
  return table.concat(rows, " ")
end

-- A reporter that only remembers.
local Recorder = {}
Recorder.__index = Recorder

function Recorder:event(name, data) self.events[#self.events + 1] = { name = name, data = data } end
function Recorder:log(level, text) self.messages[#self.messages + 1] = level .. ": " .. text end
function Recorder:warning(e) self.warnings[#self.warnings + 1] = e end
function Recorder:failure(e) self.failed = e end
function Recorder.tick() end

local function recorder()
  return setmetatable({ events = {}, messages = {}, warnings = {} }, Recorder)
end

--- A job of the project, loaded and with a pool, which the caller closes.
---@param command string run, build, seed, test
---@param given? table options, with _ for -
---@return table job
function Project:job(command, given)
  local all = { project_dir = self.dir, target_path = self.dir .. "/target" }
  for key, v in pairs(given or {}) do all[key] = v end
  local job = { command = { name = command }, given = all, words = {}, rest = {}, closers = {}, started_at = time.now(),
    started = time.mono(), invocation_id = uuid(), report = recorder() }
  require("command.steps").load(job)
  job.connection = self.params
  job.pool = db.pool(self.params, { size = job.project.profile.threads })
  return job
end

--- Runs a command of the project. Raises what stops it before any node.
---@param command string run, build, seed, test
---@param given? table options, with _ for -
---@return table outcome results, hooks, and by id: `outcome.of[name]`; `job`; `messages`
function Project:run(command, given)
  local job = self:job(command, given)
  local steps, all = require "command.steps", job.given
  if not all.operation then steps.select(job) end
  if all.operation then
    local operation = job.project.operations[all.operation]
    local args = value.from_lua(all.args or {})
    if getmetatable(args) == value.List then args = value.dict() end
    job.operation = require("run.operation").prepare(job.project, operation, args)
  end
  local ok, outcome = pcall(require("run").execute, job)
  job.pool:close()
  if not ok then error(outcome, 0) end
  outcome.job, outcome.messages, outcome.events = job, job.report.messages, job.report.events
  outcome.of = {}
  for _, result in ipairs(outcome.results) do outcome.of[result.name] = result end
  return outcome
end

--- "name: status" of all results, sorted.
function M.statuses(outcome)
  local lines = {}
  for i, result in ipairs(outcome.results) do lines[i] = ("%s: %s"):format(result.name, result.status) end
  table.sort(lines)
  return table.concat(lines, ", ")
end

--- Gives everything back. Call it at the end of a test file.
function M.clean()
  for _, dir in ipairs(folders) do fs.remove_tree(dir) end
  for _, name in ipairs(databases) do pcall(admin_exec, ("drop database if exists %s with (force)"):format(name)) end
  if admin then admin:close() end
  if private then
    private:release()
    private:destroy()
    fs.remove_tree(private_dir)
  end
  folders, databases, server, admin, private = {}, {}, nil, nil, nil
end

--- Closes a project's own connection.
function Project:close() self.pool:close() end

return M
