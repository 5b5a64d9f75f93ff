--- A flow's node that is a script: a program of the user's, without a shell unless it asks for one.

local child = require "dex.child"
local engine_job = require "flow.engine_job"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local program = require "run.program"
local secrets = require "run.secrets"
local value = require "jinja.value"
local values = require "flow.values"

local M = {}

local opt = value.opt

local MOST_WORDS = 400 -- bytes of the last line of errors that a message shows

-- The program and its arguments.
local function argv_of(run, task)
  local node = task.node
  if node.shell_text then return { "/bin/sh", "-c", values.text(run, task, node.shell_text, "run") } end
  local argv = {}
  for i, word in ipairs(node.argv) do argv[i] = values.text(run, task, word, ("run[%d]"):format(i - 1)) or "" end
  return argv
end

-- What it finds in its environment: the connection, where its context is and its result goes, and what `env` says.
local function environment_of(run, task, folder)
  local list = program.connection(run.job.connection, folder)
  local function set(name, text) list[#list + 1] = name .. "=" .. text end
  set("DEX_CONTEXT", folder .. "/context.json")
  set("DEX_RESULT", folder .. "/result.json")
  set("DEX_FLOW", run.flow.name)
  set("DEX_FLOW_RUN", run.id)
  set("DEX_TASK", task.name)
  set("DEX_ATTEMPT", tostring(task.attempt))
  for name in pairs(task.node.env or {}) do
    local text = values.text(run, task, task.node.env[name], "env." .. tostring(name))
    if text then set(tostring(name), text) end
  end
  return list
end

local function write_context(run, task, folder)
  local project = run.job.project
  program.write(folder .. "/context.json", json.encode(value.dict("params", run.values, "item",
    value.or_none(task.item), "flow", run.flow.name, "task", task.name, "attempt", task.attempt, "run",
    values.names(run).run, "project",
    project.name, "project_dir", project.root, "target_dir", run.job.target_path, "target", project.profile.target)))
end

local function place(task) return task.node.file, task.node.line end

local function start(run, task, argv, folder)
  local cwd, root = values.text(run, task, task.node.cwd, "cwd"), run.job.project.root
  cwd = cwd and (cwd:sub(1, 1) == "/" and cwd or root .. "/" .. cwd) or root
  local file, line = place(task)
  if not fs.isdir(cwd) then
    err.raise { code = 631, file = file, line = line, message = ("script '%s': there is no folder %s"):format(task.name,
      cwd), hint = "`cwd` is relative to the project's folder" }
  end
  local ok, process = pcall(child.start, { argv = argv, env = environment_of(run, task, folder), cwd = cwd })
  if ok then return process end
  if not (err.is(process) and process.code == 902) then error(process, 0) end
  err.raise { code = 631, file = file, line = line, message = ("script '%s' cannot be started: %s"):format(task.name,
    process.message), hint = "`script: [PROGRAM, ARGUMENT, ...]`; a text for a shell needs `shell: true`" }
end

local function result_of(task, path)
  if not fs.exists(path) then return nil end
  local text = fs.read(path)
  if not text:find "%S" then return nil end
  local ok, decoded = pcall(json.decode, text)
  if ok then return opt(decoded) end
  local file, line = place(task)
  err.raise { code = 606, file = file, line = line, message = ("script '%s' left no JSON in the file of DEX_RESULT: %s")
    :format(task.name, tostring(err.is(decoded) and decoded.message or decoded)) }
end

local function perform(run, task, folder)
  write_context(run, task, folder)
  local argv = argv_of(run, task)
  local hide = secrets.of(run.secrets)
  local function say(line)
    line = hide(run.job_mask(line))
    run.recorder:note("add_log", run.id, task.name, "info", line, engine_job.now())
    run.job.report:log("info", ("%s: %s"):format(task.name, line))
  end
  local last
  local process = start(run, task, argv, folder)
  local status = program.follow(process, { stdout = program.splitter(say), stderr = program.splitter(function(line)
    if line:find "%S" then last = line end
    say(line)
  end) })
  if status ~= 0 then
    local file, line = place(task)
    local how = status < 0 and ("was ended by signal %d"):format(-status) or ("ended with status %d"):format(status)
    err.raise { code = 632, file = file, line = line, message = ("script '%s' %s%s"):format(task.name, how,
      last and ": " .. hide(run.job_mask(last:sub(1, MOST_WORDS))) or "") }
  end
  task.result = result_of(task, folder .. "/result.json")
  task.kept = task.result ~= nil and value.dict("returned", secrets.masked(task.result, run.mask)) or nil
end

--- Runs it. When the wait is cancelled its process group is ended: SIGTERM, then SIGKILL. Raises 631 when it cannot be
--- started, 632 when it failed, 606 for a result that is no JSON. May wait.
---@param run dex.FlowRun
---@param task dex.FlowTask
---@return string status
function M.run(run, task)
  local folder = fs.temporary((env.get "TMPDIR" or "/tmp") .. "/dex-script-")
  local ok, e = pcall(perform, run, task, folder)
  fs.remove_tree(folder)
  if not ok then error(e, 0) end
  return "success"
end

return M
