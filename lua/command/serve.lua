--- `dex-lua serve`: runs the flows of a project at the times of their schedules, and serves its page. `dex-lua ui` is
-- the same for a person at this machine: it opens the page and runs no schedules unless asked.

local alarm = require "dex.alarm"
local child = require "dex.child"
local core = require "dex.core"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local loop = require "dex.loop"
local seconds = require("project.operation_settings").seconds
local state = require "state"
local systemd = require "server.systemd"
local term = require "dex.term"
local time = require "dex.time"

local M = {}

local MICRO = 1000000
local KILL_AFTER = 10 -- seconds that a cancelled run has to end

local function absolute(path)
  return path:sub(1, 1) == "/" and path or fs.cwd() .. "/" .. path
end

-- Options that every run gets as the server has them.
local function options_of(given, root)
  local words = { "--project-dir", root }
  local function add(...) table.move({ ... }, 1, select("#", ...), #words + 1, words) end
  if given.profiles_dir then add("--profiles-dir", absolute(given.profiles_dir)) end
  if given.profile then add("--profile", given.profile) end
  if given.target then add("--target", given.target) end
  if given.target_path then add("--target-path", given.target_path) end
  if given.vars then add("--vars", given.vars) end
  if given.threads then add("--threads", tostring(given.threads)) end
  return words
end

local function grace_of(given)
  local grace = given.grace == "0" and 0 or seconds(given.grace)
  if not grace then
    err.raise { code = 101, message = ("--grace is a time such as 30s or 5m, not '%s'"):format(given.grace) }
  end
  return grace
end

-- Unit files -------------------------------------------------------------------------------------------

local function print_unit(job, files)
  local given = job.given
  local argv = { fs.realpath "/proc/self/exe", "serve" }
  local words = options_of(given, files.root)
  table.move(words, 1, #words, #argv + 1, argv)
  for _, name in ipairs { "listen", "grace", "max_runs" } do
    if given[name] then table.move({ "--" .. name:gsub("_", "-"), tostring(given[name]) }, 1, 2, #argv + 1, argv) end
  end
  if given.no_page then argv[#argv + 1] = "--no-page" end
  term.write(1, systemd.unit { name = files.name, root = files.root, user = env.get "USER" or "root", argv = argv,
    grace = grace_of(given) + KILL_AFTER })
  return 0
end

-- The server -------------------------------------------------------------------------------------------

-- "2 flows have schedules, nightly comes next, at ..."
local function summary(server)
  local scheduled, first, at = 0, nil, nil
  local now = math.floor(time.now() * MICRO)
  for _, flow in ipairs(server.files.flows) do
    if flow.schedule then
      scheduled = scheduled + 1
      local coming = not server.store:schedule(flow.name).paused and flow.schedule:next(now)
      if coming and (not at or coming < at) then first, at = flow, coming end
    end
  end
  local words = ("%d flow%s, %d with a schedule"):format(#server.files.flows, #server.files.flows == 1 and "" or "s",
    scheduled)
  if not server.scheduler then return words .. "; schedules are off" end
  return at and ("%s; %s comes next, %s"):format(words, first.name, first.schedule:clock(at)) or words
end

-- A terminal is its owner's, and shows the address with the token; a log is not, and names the file that holds it.
local function tell_the_way_in(http, log)
  local path = http:open_file()
  if term.isatty(1) then
    log("info", "the page is at " .. http.url)
    term.write(1, ("let in by %s\n"):format(http:entrance()))
  else
    log("info", ("the page is at %s (%s leads a browser in)"):format(http.url, require("report.errors").relative(path)))
  end
end

local function show_page(job, http)
  local path = http:open_file()
  local ok, result = pcall(child.run, { argv = { env.get "BROWSER" or "xdg-open", path } })
  if not ok or result.status ~= 0 then
    job.report:log("info", ("no browser could be started here; open %s"):format(path))
  end
end

local function start_scheduler(server, log)
  server.scheduler = require("server.scheduler").new { store = server.store, supervisor = server.supervisor,
    flows = function() return server.files.flows end, log = log }
  server.supervisor:on_change(function() server.scheduler:changed() end)
  server.schedule_task = loop.spawn(function() server.scheduler:run() end)
end

local function start(job, files, opts, log)
  local given = job.given
  local store = state.open(files.root)
  job.closers[#job.closers + 1] = function() store:close() end
  local server = { files = files, store = store }
  server.supervisor = require("server.supervisor").new { root = files.root, store = store, log = log,
    options = options_of(given, files.root), max_runs = given.max_runs, grace = KILL_AFTER,
    flows = function() return files.flows end }
  if opts.page then
    server.http = require("server.http").start { job = job, root = files.root, store = store,
      supervisor = server.supervisor, listen = given.listen, schedules_on = opts.schedules }
  end
  server.supervisor:recover()
  server.supervisor:listen()
  if opts.schedules then start_scheduler(server, log) end
  local function status()
    local words = summary(server)
    return server.supervisor.count == 0 and words or ("%d running; %s"):format(server.supervisor.count, words)
  end
  server.supervisor:on_change(function() systemd.status(status) end)
  server.follow_task = loop.spawn(function()
    files:follow(function()
      systemd.status(status)
      if server.scheduler then server.scheduler:changed() end
    end)
  end)
  server.watchdog = systemd.watchdog()
  return server
end

-- In the order in which one thing feeds the next: no new runs, then those that go on, then who looks at them.
local function stop(server, grace)
  systemd.stopping(grace + KILL_AFTER + 10)
  if server.scheduler then
    server.scheduler:stop()
    server.schedule_task:wait()
  end
  server.files:close()
  server.follow_task:wait()
  server.supervisor:stop(grace)
  if server.http then server.http:close() end
  if server.watchdog then server.watchdog:cancel() end
end

local function serve(job, opts)
  local grace = grace_of(job.given)
  local function log(level, text) job.report:log(level, text) end
  local files = require("server.flow_files").open(job, log)
  if job.given.print_unit then
    files:close()
    return print_unit(job, files)
  end
  local bell = alarm.new()
  core.on_signal(function(name)
    job.report:log("info", ("%s: no new runs, those that go on have %g s to end (again: at once)"):format(name, grace))
    bell:ring()
  end)
  local server = start(job, files, opts, log)
  log("info", ("project %s, target %s: %s"):format(files.name, tostring(files.target), summary(server)))
  if server.http then tell_the_way_in(server.http, log) end
  systemd.ready(summary(server))
  if opts.open then loop.spawn(show_page, job, server.http) end
  bell:wait()
  stop(server, grace)
  bell:close()
  core.on_signal(nil)
  log("info", "stopped")
  return 0
end

--- `dex-lua serve`, and `serve token add|ls|rm`.
---@param job table of lua/pipeline.lua
---@return integer status
function M.run(job)
  if job.words[1] == "token" then return require("server.auth").command(job) end
  if job.words[1] then
    err.raise { code = 101, message = ("serve has no action '%s': it is token, or nothing"):format(job.words[1]) }
  end
  return serve(job, { page = not job.given.no_page, schedules = not job.given.no_schedules })
end

--- `dex-lua ui`.
---@param job table
---@return integer status
function M.ui(job)
  return serve(job, { page = true, schedules = job.given.schedules, open = not job.given.no_open })
end

return M
