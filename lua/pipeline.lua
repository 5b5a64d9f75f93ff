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
  build = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  test = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  seed = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  snapshot = { "steps.load", "steps.select", "steps.connect", "steps.execute", "steps.write", "steps.finish" },
  compile = { "steps.load", "steps.select", "steps.connect", "inspect.compile", "steps.write", "steps.finish" },
  show = { "steps.load", "inspect.select_one", "steps.connect", "inspect.show" },
  ls = { "steps.load", "steps.select", "inspect.list" },
  parse = { "steps.load", "steps.write_manifest" },
  operation = { "steps.load", "operation.dispatch" },
  docs = { "docs.run" },
  ["run-operation"] = { "steps.load", "run_operation.run" },
  retry = { "retry.run" },
  init = { "init.run" },
  source = { "steps.load", "source.dispatch" },
  debug = { "debug.run" },
  deps = { "deps.run" },
  clean = { "clean.run" },
  db = { "private_server.run" },
  render = { "meta.render" },
  version = { "meta.version" },
  help = { "meta.help" },
}

local function reporter(job)
  local given = job.given
  local opts = { level = given.debug and "debug" or given.log_level, quiet = given.quiet, use_colors = given.use_colors,
    command = job.command.name, invocation_id = job.invocation_id }
  return require(given.log_format == "json" and "report.json_log" or "report.terminal").new(opts)
end

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

-- Everything that a command holds is given back here, however it ended.
local function close(job)
  for i = #job.closers, 1, -1 do
    pcall(job.closers[i])
  end
end

--- Runs one command line. May wait.
---@param argv string[] without the program's name
---@return integer exit status: 0, 1 something failed, 2 usage, project or connection
function M.main(argv)
  local getenv = require("dex.env").get
  local ok, command, given, words, rest = pcall(require("help.arguments").parse, argv, getenv)
  if not ok then
    require("report.terminal").new({ level = "error" }):failure(err.wrap(command))
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
  local time = require "dex.time"
  local job = { command = command, given = given, words = words, rest = rest, closers = {}, started_at = time.now(),
    started = time.mono(), invocation_id = require("dex.uuid")() }
  job.report = reporter(job)
  local done, result = pcall(M.run_steps, job)
  close(job)
  if done then return result end
  local failure = err.wrap(result)
  if failure.cancelled then
    job.report:log("warn", "cancelled")
    return require("command.steps").cancelled_status(job)
  end
  job.report:failure(failure)
  if failure.code >= 900 and not given.debug then
    job.report:log("error", "this is a defect of dex-lua; --debug shows where")
  end
  return 2
end

return M
