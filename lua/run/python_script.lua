--- Runs the text of a Python operation: by the project's interpreter, as a child process that leads a group of its
-- own, with the connection in libpq's variables. What it prints is logged line by line while it runs.

local child = require "dex.child"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local operation_settings = require "project.operation_settings"
local program_module = require "run.program"
local source_line = require "run.source_line"
local start = require "run.python_start"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- The interpreter ----------------------------------------------------------------------------------------

-- The program of a setting: an interpreter, or the folder of a virtual environment, which is given as well.
local function at(root, path)
  if not path:find("/", 1, true) and not fs.isdir(root .. "/" .. path) then return path, nil end
  local full = path:sub(1, 1) == "/" and path or root .. "/" .. path
  if fs.isdir(full) then return full .. "/bin/python", full end
  local folder = full:match("^(.*)/bin/[^/]+$")
  return full, folder and fs.exists(folder .. "/pyvenv.cfg") and folder or nil
end

--- The interpreter for an operation: its `python`, the project's, that of the active virtual environment, that of
--- .venv or venv in the project's folder, else python3.
---@param project table
---@param operation dex.Operation
---@return string program
---@return string|nil environment folder of a virtual environment
function M.interpreter(project, operation)
  local root = project.root
  local setting = opt(operation.config.python) or opt(project.config.python)
  if setting then return at(root, tostring(setting)) end
  local active = env.get "VIRTUAL_ENV"
  if active and fs.exists(active .. "/bin/python") then return at(root, active) end
  for _, name in ipairs { ".venv", "venv" } do
    if fs.exists(root .. "/" .. name .. "/bin/python") then return at(root, name) end
  end
  return "python3", nil
end

-- What it is given ---------------------------------------------------------------------------------------

local function context_of(state, call)
  local run, operation, project = state.run, call.operation, state.run.project
  return value.dict("args", call.args, "operation", value.dict("name", operation.name, "unique_id",
    operation.unique_id, "path", operation.node.original_file_path, "description", operation.node.description, "tags",
    operation.node.tags, "meta", operation.node.meta), "project", project.name, "project_dir", project.root,
    "target_dir", run.target_path, "target", project.profile.target, "vars", run:vars_of(operation.node),
    "run", value.dict("id", run.invocation_id, "command", run.which, "started_at", time.iso(run.started_at)))
end

-- The place in a traceback that is nearest to where it went wrong and in the operation's own file.
local function place_in(lines, operation)
  local line
  for _, text in ipairs(lines) do
    local file, n = text:match '^%s*File "(.-)", line (%d+)'
    if file == operation.file then line = math.tointeger(tonumber(n)) end
  end
  return line
end

local function raise_status(operation, status, errors)
  local last
  for i = #errors, 1, -1 do
    if errors[i]:find "%S" then
      last = errors[i]
      break
    end
  end
  local how = status < 0 and ("was ended by signal %d"):format(-status) or ("ended with status %d"):format(status)
  err.raise { code = 607, message = ("operation '%s' %s%s"):format(operation.name, how, last and ": " .. last or ""),
    file = operation.display, line = place_in(errors, operation) or 1 }
end

local function result_of(operation, path)
  if not fs.exists(path) then return nil end
  local text = fs.read(path)
  if not text:find "%S" then return nil end
  local ok, decoded = pcall(json.decode, text)
  if ok then return opt(decoded) end
  err.raise { code = 606, message = ("operation '%s' left no JSON in the file of DEX_RESULT: %s"):format(operation.name,
    tostring(err.is(decoded) and decoded.message or decoded)), file = operation.display, line = 1 }
end

-- The command that runs a text: the user's file itself as long as Jinja has not changed it.
local function command_of(operation, text, program, folder)
  if text == operation.source then return { program, "-u", operation.file } end
  program_module.write(folder .. "/script.py", text)
  program_module.write(folder .. "/lines.json", json.encode(value.list(source_line.map_all(operation.source, text))))
  return { program, "-u", "-c", start.TEXT, operation.file, folder .. "/script.py", folder .. "/lines.json" }
end

local function environment_of(state, folder, venv)
  local list = program_module.connection(state.run.job.connection, folder)
  local function set(name, text) list[#list + 1] = name .. "=" .. text end
  set("DEX_CONTEXT", folder .. "/context.json")
  set("DEX_RESULT", folder .. "/result.json")
  set("PYTHONUNBUFFERED", "1")
  set("PYTHONIOENCODING", "utf-8:backslashreplace")
  set("PYTHONDONTWRITEBYTECODE", "1")
  if venv then
    set("VIRTUAL_ENV", venv)
    set("PATH", venv .. "/bin:" .. (env.get "PATH" or "/usr/bin:/bin"))
    list[#list + 1] = "PYTHONHOME"
  end
  return list
end

local function perform(state, call, text, folder)
  local operation = call.operation
  local program, venv = M.interpreter(state.run.project, operation)
  program_module.write(folder .. "/context.json", json.encode(context_of(state, call)))
  local ok, process = pcall(child.start, { argv = command_of(operation, text, program, folder),
    env = environment_of(state, folder, venv), cwd = state.run.project.root })
  if not ok then
    if not (err.is(process) and process.code == 902) then error(process, 0) end
    err.raise { code = 608, message = ("operation '%s' needs the Python interpreter '%s', which cannot be started: %s")
      :format(operation.name, program, (process.message:gsub("^cannot run .-: ", ""))), file = operation.display,
      line = 1, hint = "`python:` in dbt_project.yml, or in the operation's config, names an interpreter or a " ..
        "virtual environment" }
  end
  local errors = {}
  local function show(line) state.run:log("info", line) end
  local function show_error(line)
    if #errors >= 200 then table.remove(errors, 1) end
    errors[#errors + 1] = line
    state.run:log("info", line)
  end
  local seconds = operation_settings.seconds(opt(operation.config.timeout) or 0)
  local status, late = program_module.follow(process, { stdout = program_module.splitter(show),
    stderr = program_module.splitter(show_error) }, seconds)
  if late then
    err.raise { code = 605, message = ("operation '%s' took longer than its timeout of %g s"):format(operation.name,
      seconds), file = operation.display, line = 1 }
  end
  if status ~= 0 then raise_status(operation, status, errors) end
  return result_of(operation, folder .. "/result.json")
end

--- Runs it. May wait. When the wait is cancelled, so is the script, which is waited for. Raises 605 when its time was
--- over, 606 for a result that is no JSON, 607 when it failed, 608 without an interpreter.
---@param state table with `run`, whose job has `connection`: libpq's keywords
---@param call dex.OperationCall
---@param text string the script after Jinja
---@return any what it left in the file of DEX_RESULT; nil when it left nothing
function M.run(state, call, text)
  local folder = fs.temporary((env.get "TMPDIR" or "/tmp") .. "/dex-operation-")
  local ok, result = pcall(perform, state, call, text, folder)
  fs.remove_tree(folder)
  if not ok then error(result, 0) end
  return result
end

return M
