--- What stands behind a prompt: the project, a connection of its own with its transaction, and the commands that are
-- run from there. The project is read when it is first asked for; on a terminal that begins behind the first prompt.

local err = require "err"
local loop = require "dex.loop"
local rows_module = require "repl.rows"
local time = require "dex.time"
local value = require "jinja.value"
local watch = require "repl.watch"

local M = {}

---@class repl.Workspace
---@field job table of lua/pipeline.lua, as the command line made it
---@field reader repl.Reader
---@field loaded table|nil the job whose project is in use
---@field selection string|nil of .select, for commands without one of their own
---@field background table|nil {job, handle} a command that runs beside the prompt
---@field place repl.Place|nil the node in whose place the prompt stands
local Workspace = {}
Workspace.__index = Workspace

--- A workspace for a job whose project is not read yet.
---@param job table
---@param reader repl.Reader
---@return repl.Workspace
function M.new(job, reader)
  return setmetatable({ job = job, reader = reader }, Workspace)
end

--- Says something to the person, above the line that is being typed; of a script it is no output.
function Workspace:say(text)
  if self.reader.terminal then self.reader:write(text) else self.job.report:log("info", text) end
end

--- A text without the secrets of the project, once that is read, and of the environment. Does not wait.
---@param text string
---@return string
function Workspace:masked(text)
  if not self.mask or self.mask_of ~= self.loaded then
    local secrets = require "run.secrets"
    self.mask_of, self.mask = self.loaded, self.loaded and secrets.masker(self.loaded.project)
      or secrets.environment_masker() or function(plain) return plain end
  end
  return self.mask(text)
end

-- The project ------------------------------------------------------------------------------------------

-- A job like the session's, for one command: it shares the project and the options that the session was given.
local function derive(self, name, given)
  local command = require("help.options").command(name)
  local merged = {}
  for key, v in pairs(self.job.given) do merged[key] = v end
  for key, v in pairs(given or {}) do merged[key] = v end
  return { command = command, given = merged, words = {}, rest = {}, closers = {}, started_at = time.now(),
    started = time.mono(), invocation_id = require("dex.uuid")(), argv = self.job.argv, report = self.job.report,
    at_prompt = true }
end

local function load(self)
  local job = derive(self, "run")
  require("command.steps").load(job)
  return job
end

-- Puts another load in place of the one in use.
local function use(self, job)
  self.loaded, self.run, self.names = job, nil, nil
  self.seen = watch.look(job.project)
end

--- The project; reads it when nobody has. May wait. Raises what is wrong with it.
---@return table project
function Workspace:project()
  if not self.loaded and self.loading then
    local loading = self.loading
    pcall(loading.wait, loading)
  end
  if not self.loaded then
    local ok, result = pcall(load, self)
    if not ok then
      result = err.wrap(result)
      result.of_project = true
      error(result, 0)
    end
    use(self, result)
  end
  return self.loaded.project
end

--- Begins to read the project beside the prompt, and says what is wrong with it.
function Workspace:begin_loading()
  self.loading = loop.spawn(function()
    local ok, result = pcall(load, self)
    if ok then use(self, result) else self:failure(err.wrap(result)) end
    self.loading = nil
  end)
end

--- Prints an error as commands do.
function Workspace:failure(e)
  self:say(require("report.errors").format(e, { width = self.reader:width() }))
end

--- Reads the project again. When that fails, what was there stays in use. May wait. Gives whether it was read.
---@param why string|nil what has changed
---@return boolean
function Workspace:reload(why)
  local ok, result = pcall(load, self)
  if ok then
    use(self, result)
    self:say(why and ("%s: the project was read again"):format(why) or "the project was read again")
    return true
  end
  self:failure(err.wrap(result))
  if self.loaded then
    self.seen = watch.look(self.loaded.project)
    self:say((why and why .. ": " or "") .. "it could not be read again; what was there before is still in use")
  end
  return false
end

--- Before an input: what changed on disk is read again. May wait.
function Workspace:refresh()
  if not self.loaded then return end
  local changed = watch.changes(self.loaded.project, self.seen)
  if changed then self:reload(changed) end
  if self.place then self.place:stand() end
end

-- The connection ---------------------------------------------------------------------------------------

--- The pool of the prompt's own connections; made when it is first needed. May wait: a private server is started.
function Workspace:own_pool()
  if self.pool then return self.pool end
  self:project()
  local connecting = { project = self.loaded.project, closers = self.job.closers, report = self.job.report }
  require("command.steps").connect(connecting)
  connecting.pool:close()
  local pool = require("dex.db").pool(connecting.connection, { size = 2,
    retries = self.loaded.project.profile.retries,
    on_notice = function(severity, message) self:say(severity .. ": " .. message) end })
  self.job.closers[#self.job.closers + 1] = function() self:close_connections() end
  self.pool = pool
  return pool
end

--- Ends the connections: an open transaction is rolled back. Does not wait.
function Workspace:close_connections()
  if self.conn then self.conn:release() end
  if self.pool then self.pool:close() end
  self.conn, self.pool, self.cursor = nil, nil, nil
end

--- "idle", "intrans", "inerror": of the prompt's connection, as the user sees it. Does not wait.
function Workspace:transaction()
  if not self.conn or self.cursor then return "idle" end
  local state = self.conn:txn()
  return (state == "intrans" or state == "inerror") and state or "idle"
end

--- The prompt's connection. One that was lost is said and opened again. May wait.
function Workspace:connection()
  if self.conn and self.conn:txn() == "broken" then
    self:say("the connection was lost" .. (self.was_open and ", and its transaction with it" or "") ..
      ": opening another one")
    self.conn:release()
    self.conn, self.cursor, self.was_open = nil, nil, false
  end
  if not self.conn then self.conn = self:own_pool():lease() end
  return self.conn
end

-- Ends the cursor of a result that was not shown to its end.
local function end_cursor(self)
  if not self.cursor then return end
  self.cursor = nil
  if self.conn and self.conn:txn() ~= "broken" then pcall(self.conn.exec, self.conn, "rollback") end
end

--- Sends SQL on the prompt's connection. May wait. Raises code 401 or 402.
---@param sql string
---@param ... any values of $1, $2, ...
---@return userdata result
function Workspace:execute(sql, ...)
  local conn = self:connection()
  end_cursor(self)
  local ok, result
  if self.place then
    ok, result = pcall(self.place.execute, self.place, sql, table.pack(...))
  else
    ok, result = pcall(conn.exec, conn, sql, ...)
  end
  -- a statement that was cancelled still waits for the server's word
  if not ok and conn:txn() == "active" then pcall(conn.exec, conn, "select 1") end
  if conn:txn() == "broken" then self:connection() else self.was_open = self:transaction() ~= "idle" end
  if not ok then error(result, 0) end
  return result
end

-- Whether a cursor can be declared for a text.
local function is_query(sql)
  local text = sql:gsub("^%s+", "")
  local first = (text:match("^%a+") or ""):lower()
  if first ~= "select" and first ~= "values" and first ~= "table" and first ~= "with" then return false end
  local lower = text:lower()
  if lower:find(";%s*%S") or lower:find("%f[%a]into%f[%A]") then return false end
  return not (lower:find("%f[%a]insert%f[%A]") or lower:find("%f[%a]update%f[%A]") or lower:find("%f[%a]delete%f[%A]")
    or lower:find("%f[%a]merge%f[%A]"))
end

--- The rows of a query. On a terminal at most rows.batch of them are read at once, through a cursor. May wait.
---@param sql string
---@param ... any values of $1, $2, ...
---@return table rows of repl/rows.lua
function Workspace:query(sql, ...)
  if not self.reader.terminal or not is_query(sql) then return rows_module.new(self:execute(sql, ...)) end
  local own = self:transaction() == "idle"
  if own then self:execute("begin") end
  local fetch = ("fetch %d from dex_prompt"):format(rows_module.batch)
  local ok, result = pcall(function(...)
    if not own then self:execute("savepoint dex_prompt") end
    self:execute(("declare dex_prompt no scroll cursor for %s"):format((sql:gsub("[%s;]+$", ""))), ...)
    return self:execute(fetch)
  end, ...)
  if not ok then
    local prefix = "declare dex_prompt no scroll cursor for "
    if err.is(result) and result.sql and result.sql:sub(1, #prefix) == prefix then -- as the user has it
      result.sql, result.position = result.sql:sub(#prefix + 1), result.position and result.position - #prefix
    end
    if own and self.conn and self.conn:txn() ~= "idle" then
      pcall(self.execute, self, "rollback")
    elseif not own and self:transaction() == "intrans" then -- in a node's place, where it is still usable
      pcall(self.execute, self, "rollback to savepoint dex_prompt; release savepoint dex_prompt")
    end
    error(result, 0)
  end
  if not own then -- the user's transaction: nothing of ours stays in it
    if #result == rows_module.batch then
      self:say(("only the first %d rows are read inside of a transaction: rows(sql) gives all"):format(#result))
    end
    self:execute("close dex_prompt")
    self:execute("release savepoint dex_prompt")
    return rows_module.new(result)
  elseif #result < rows_module.batch then
    self:execute("commit")
    return rows_module.new(result)
  end
  local cursor = {}
  self.cursor = cursor
  return rows_module.new(result, function()
    if self.cursor ~= cursor then
      err.raise { code = 404, message = "the rest of these rows is gone: another statement has run since" }
    end
    local ran, following = pcall(self.conn.exec, self.conn, fetch)
    if not ran or #following < rows_module.batch then end_cursor(self) end
    if not ran then error(following, 0) end
    return following
  end)
end

-- Templates --------------------------------------------------------------------------------------------

--- The state in which templates and macros of the prompt run: an operation's, on the prompt's connection. May wait.
---@return table state of lua/run/node.lua, with `context`
function Workspace:state()
  self:project()
  if self.place then return self.place.state end
  if self.run then return self.run.prompt_state end
  local job = derive(self, "run-operation")
  job.project, job.target_path, job.args, job.pool = self.loaded.project, self.loaded.target_path, self.loaded.args,
    self.pool
  -- what runs nodes is loaded when it is needed: a prompt stands there before
  local run, node_module, context = require("run").new(job), require "run.node", require "run.context"
  local state = node_module.new_state(run, value.dict("resource_type", "operation", "name", "prompt", "unique_id",
    "operation.dex.prompt", "package_name", run.project.name, "config", value.dict(), "raw_code", ""))
  state.free_refs = true
  local methods = getmetatable(state).__index
  setmetatable(state, { __index = function(_, key)
    if key == "conn" then return self:connection() end
    return methods[key]
  end })
  state.context = context.operation(state)
  run.prompt_state, self.run = state, run
  return state
end

--- A template's text. May wait.
function Workspace:render(source)
  return require("jinja").render(source, self:state().context, { file = "prompt" })
end

--- SQL that may hold Jinja, or a relation, as SQL. May wait.
---@param sql any
---@return string
function Workspace:sql(sql)
  if type(sql) ~= "string" then
    if require("run.relation").is(sql) then return "select * from " .. tostring(sql) end
    err.raise { code = 101, message = "this needs SQL as text, or a relation, not a " .. type(sql) }
  end
  if sql:find("{[{%%#]") then return (self:render(sql)) end
  return sql
end

-- Commands ---------------------------------------------------------------------------------------------

local results_mt = { __name = "results" }
results_mt.__tostring = function(t)
  return ("%d result%s, %s"):format(#t, #t == 1 and "" or "s", t.ok and "all well" or ("status %d"):format(t.status))
end

local function results_of(job, status)
  local list = setmetatable({ status = status, ok = status == 0, by_name = {} }, results_mt)
  for i, r in ipairs(job.outcome and job.outcome.results or {}) do
    list[i] = { unique_id = r.id, name = r.name, kind = r.kind, status = r.status, seconds = r.seconds,
      message = r.message, rows_affected = r.rows_affected, failures = r.failures }
    list.by_name[r.name] = list[i]
  end
  return list
end

local function execute(self, job)
  local ok, status = pcall(function()
    local steps = require("command.steps")
    for _, step in ipairs { "select", "connect", "execute", "write" } do steps[step](job) end
    return steps.finish(job)
  end)
  for i = #job.closers, 1, -1 do pcall(job.closers[i]) end
  if job.given.defer then self.loaded = nil end -- what refs mean was changed for this command
  if not ok then error(status, 0) end
  return results_of(job, status)
end

-- The options of a command, by their names with `_`; a text where a list is wanted is one of words.
local function options_of(self, name, given)
  local wanted, known, names = {}, {}, {}
  for _, option in ipairs(require("help.options").of(require("help.options").command(name))) do
    local key = option.name:gsub("-", "_")
    known[key] = option
    names[#names + 1] = key
  end
  for key, v in pairs(given or {}) do
    local option = known[key]
    if key ~= "background" and not option then
      err.raise { code = 101, message = ("%s has no option '%s'"):format(name, tostring(key)),
        hint = err.did_you_mean(tostring(key), names) }
    elseif key == "target" or key == "vars" or key == "project_dir" or key == "profile" then
      err.raise { code = 101, message = ("'%s' is the session's: start it with --%s"):format(key, key:gsub("_", "-")),
        hint = key == "target" and "or change it with .target" or nil }
    elseif option and option.many and type(v) == "string" then
      local list = {}
      for word in v:gmatch("%S+") do list[#list + 1] = word end
      v = list
    end
    wanted[key] = v
  end
  if wanted.select == nil and self.selection then wanted.select = { self.selection } end
  return wanted
end

--- Runs run, build, test, seed or snapshot. With `background` it goes on beside the prompt and nothing is returned.
-- May wait.
---@param name string
---@param given table|nil options by their names: select, exclude, full_refresh, ...
---@return table|nil results: a list of {unique_id, name, status, ...} with `ok`, `status` and `by_name`
function Workspace:command(name, given)
  if self.background then
    err.raise { code = 101, message = "a command is running already: wait for it, or stop it with .stop" }
  end
  local options = options_of(self, name, given)
  local project = self:project()
  local job = derive(self, name, options)
  job.project, job.target_path, job.args = project, self.loaded.target_path, self.loaded.args
  job.args = value.copy_dict(job.args)
  job.args.which, job.args.invocation_command = name, "dex-lua " .. name
  if not options.background then
    job.report = require("report.outlets").new(job)
    local ok, results = pcall(execute, self, job)
    job.report:close()
    if not ok then error(results, 0) end
    return results
  end
  job.in_background, job.report = true, require("repl.aside").new(self, name)
  local background = { job = job }
  self.background = background
  background.handle = loop.spawn(function()
    local ok, e = pcall(execute, self, job)
    self.background = nil
    if not ok then
      e = err.wrap(e)
      if e.cancelled then self:say(name .. " was cancelled") else self:failure(e) end
    end
  end)
end

--- Cancels the command that runs beside the prompt. Gives whether there was one. Does not wait.
function Workspace:stop_background()
  local background = self.background
  if not background then return false end
  background.job.cancelled = "SIGINT"
  if background.job.nodes_run then require("dex.run").cancel("SIGINT") else background.handle:cancel() end
  return true
end

M.derive = derive

return M
