--- Read this first. A command is a list of steps; each step takes the job, adds its one value to it, and
-- knows nothing of the steps to its right:
--
--   project files -> load -> select -> connect -> execute -> write -> finish
--                   project  selected   pool      outcome   artifacts  status
--
-- Nothing before `execute` opens a transaction or changes anything in a database.

local err = require "err"

local M = {}

--- The steps of each command, in order. A step is `module.function`.
M.commands = {
  run = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  build = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "inspect.show_seeds",
    "steps.finish" },
  test = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  seed = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "inspect.show_seeds",
    "steps.finish" },
  snapshot = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  compile = { "steps.load", "steps.select", "steps.connect_late", "inspect.compile", "steps.write", "steps.finish" },
  clone = { "steps.load", "clone.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  graph = { "steps.load", "steps.select", "graph.run" },
  show = { "inspect.direct", "steps.load", "inspect.select_one", "steps.connect", "inspect.show" },
  ls = { "steps.load", "steps.select", "inspect.list" },
  parse = { "steps.load", "steps.write_manifest" },
  operation = { "steps.load", "operation.dispatch" },
  flow = { "flow.dispatch" },
  hooks = { "steps.load", "hooks.dispatch" },
  plan = { "steps.load", "plan.run" },
  rehearse = { "steps.load", "hooks.rehearse" },
  docs = { "docs.run" },
  ["run-operation"] = { "steps.load", "run_operation.run" },
  retry = { "retry.run" },
  init = { "init.run" },
  source = { "steps.load", "source.dispatch" },
  debug = { "debug.run" },
  deps = { "deps.run" },
  clean = { "clean.run" },
  serve = { "serve.run" },
  ui = { "serve.ui" },
  db = { "private_server.run" },
  history = { "history.run" },
  state = { "state.run" },
  repl = { "repl.run" },
  render = { "meta.render" },
  version = { "meta.version" },
  help = { "meta.help" },
  completion = { "completion.run" },
  attach = { "attach.run" },
}

--- Runs the steps of the job's command until one gives a status. May wait.
---@return integer status
function M.run_steps(job)
  for _, step in ipairs(M.commands[job.command.name]) do
    local module, name = step:match("^(.-)%.(.*)$")
    local status = require("command." .. module)[name](job)
    if status then return status end
  end
  return 0
end

-- A server that cannot be reached: the profile names it.
local function place_of_connection(job, failure)
  local profile = job.project and job.project.profile
  if failure.code ~= 403 or failure.file or not profile or not profile.file then return end
  failure.file, failure.line = profile.file, profile.line
  failure.hook = ("profile %s, target %s"):format(profile.name, profile.target_name)
end

local LIMIT = 20

-- All that is wrong with a project, the first error first.
local function report_failure(job, failure)
  place_of_connection(job, failure)
  job.report:failure(failure)
  local others = failure.others or {}
  for i = 1, math.min(#others, LIMIT) do job.report:failure(others[i]) end
  if #others > LIMIT then job.report:log("error", ("and %d more"):format(#others - LIMIT)) end
end

-- Everything that a command holds is given back here, however it ended.
local function close(job)
  for i = #job.closers, 1, -1 do
    pcall(job.closers[i])
  end
end

-- The status of a command that raised.
local function failed(job, result)
  local failure = err.wrap(result)
  if failure.cancelled then
    job.report:log("warn", "cancelled")
    return require("command.steps").cancelled_status(job)
  end
  report_failure(job, failure)
  if failure.code >= 900 and failure.code ~= 908 and not job.given.debug then
    job.report:log("error", "this is a defect of dex-lua; --debug shows where")
  end
  return 2
end

--- Runs one command line. May wait.
---@param argv string[] without the program's name
---@return integer exit status: 0, 1 something failed, 2 usage, project or connection
function M.main(argv)
  local environment = require "command.environment"
  local warnings
  local ok, command, given, words, rest = pcall(function()
    warnings = environment.prepare(argv)
    return require("help.arguments").parse(argv, require("dex.env").get, environment.flags)
  end)
  if not ok then
    require("report.terminal").new({ level = "error", fd = 2 }):failure(err.wrap(command))
    return 2
  end
  if not command then
    require("dex.term").write(1, require("help.usage").overview())
    return (given.help or #argv == 0) and 0 or 2
  end
  if given.help then
    require("dex.term").write(1, require("help.usage").command(command))
    return 0
  end
  local time, asked = require "dex.time", require("state.asked").take()
  local job = { command = command, given = given, words = words, rest = rest, closers = {}, started_at = time.now(),
    started = time.mono(), invocation_id = given.invocation_id or asked and asked.id or require("dex.uuid")(),
    argv = argv, asked = asked }
  if given.single_threaded then given.threads = 1 end
  local done, result = pcall(function()
    job.report = require("report.outlets").new(job)
    for _, warning in ipairs(warnings) do job.report:warning(warning) end
    return M.run_steps(job)
  end)
  job.report = job.report or require("report.terminal").new { level = "error", fd = 2 }
  if not done then job.failure = err.wrap(result) end
  close(job)
  if asked and not job.recorder then require("state.recorder").came_to_nothing(job) end
  local status = done and result or failed(job, result)
  local broken = job.report.broken
  if broken then
    pcall(require("dex.term").write, 2, ("dex-lua: %s\n"):format(tostring(broken)))
    if status == 0 then status = 2 end
  end
  if job.report.close then job.report:close() end
  return status
end

return M
