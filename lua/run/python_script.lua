--- Runs the text of a Python operation: by the project's interpreter, as a child process that leads a group of its
-- own, with the connection in libpq's variables. What it prints is logged line by line while it runs.

local child = require "dex.child"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local loop = require "dex.loop"
local operation_settings = require "project.operation_settings"
local source_line = require "run.source_line"
local start = require "run.python_start"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- Seconds that a script has for its own end, after SIGTERM.
M.GRACE = 5

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

local variables = { host = "PGHOST", hostaddr = "PGHOSTADDR", port = "PGPORT", user = "PGUSER", dbname = "PGDATABASE",
  options = "PGOPTIONS", application_name = "PGAPPNAME", connect_timeout = "PGCONNECT_TIMEOUT", sslmode = "PGSSLMODE",
  sslcert = "PGSSLCERT", sslkey = "PGSSLKEY", sslrootcert = "PGSSLROOTCERT" }

-- The connection of the profile, and nothing else of libpq's from our own environment.
local function connection(params, folder)
  local list = {}
  for name in pairs(env.all()) do
    if name:find "^PG%u+$" then list[#list + 1] = name end
  end
  for key, name in pairs(variables) do
    if opt(params[key]) ~= nil and params[key] ~= "" then list[#list + 1] = ("%s=%s"):format(name, params[key]) end
  end
  local password = opt(params.password)
  if password and password ~= "" then
    M.write(folder .. "/pgpass", ("*:*:*:*:%s\n"):format((password:gsub("[\\:]", "\\%0"))))
    list[#list + 1] = ("PGPASSFILE=%s/pgpass"):format(folder)
  end
  return list
end

--- Writes a file into a folder that is ours alone, for nobody else to read.
function M.write(path, text)
  fs.write(path, text)
  fs.chmod(path, 0x180) -- 0600, as libpq wants it
end

local function context_of(state, call)
  local run, operation, project = state.run, call.operation, state.run.project
  return value.dict("args", call.args, "operation", value.dict("name", operation.name, "unique_id",
    operation.unique_id, "path", operation.node.original_file_path, "description", operation.node.description, "tags",
    operation.node.tags, "meta", operation.node.meta), "project", project.name, "project_dir", project.root,
    "target_dir", run.target_path, "target", project.profile.target, "vars", run:vars_of(operation.node),
    "run", value.dict("id", run.invocation_id, "command", run.which, "started_at", time.iso(run.started_at)))
end

-- What it prints -----------------------------------------------------------------------------------------

--- The most bytes of a line that is logged.
M.LONGEST = 10000

-- A line as a person may read it: bytes that are no text are written out.
local function printable(line)
  line = line:gsub("\27%[[%d;]*m", "")
  local out, at_byte = {}, 1
  while true do
    local _, bad = utf8.len(line, at_byte)
    if not bad then break end
    out[#out + 1] = line:sub(at_byte, bad - 1)
    out[#out + 1] = ("\\x%02x"):format(line:byte(bad))
    at_byte = bad + 1
  end
  out[#out + 1] = line:sub(at_byte)
  return (table.concat(out):gsub("[%z\1-\8\11-\31\127]", function(c) return ("\\x%02x"):format(c:byte()) end))
end

local function cut(line, length)
  if length <= M.LONGEST then return printable(line) end
  return ("%s ... (%d bytes in this line)"):format(printable(line:sub(1, M.LONGEST)), length)
end

-- Takes the pieces of one stream, calls show(line) for every line. Of a long one the beginning is kept and the rest
-- only counted.
local function splitter(show)
  local kept, length = "", 0
  local self = {}
  function self.take(text)
    local from = 1
    while true do
      local stop = text:find("\n", from, true)
      local piece = text:sub(from, (stop or #text + 1) - 1)
      length = length + #piece
      if #kept <= M.LONGEST then kept = kept .. piece:sub(1, M.LONGEST + 1 - #kept) end
      if not stop then return end
      show(cut((kept:gsub("\r$", "")), length))
      kept, length, from = "", 0, stop + 1
    end
  end
  function self.finish()
    if length > 0 then show(cut(kept, length)) end
  end
  return self
end

-- Its life -----------------------------------------------------------------------------------------------

-- Reads to the end, and ends it when its time is over or the run is cancelled: SIGTERM, and SIGKILL when it is still
-- there after the grace time. Gives the status, and whether it was too late; raises what cancelled it.
local function follow(process, streams, seconds)
  local late, cancelled, watch
  local function stop()
    process:kill "TERM"
    return loop.spawn(function()
      loop.sleep(M.GRACE)
      process:kill "KILL"
    end)
  end
  local timer = seconds and loop.spawn(function()
    loop.sleep(seconds)
    late = true
    watch = watch or stop()
  end)
  local status
  while not status do
    local ok, from, text = pcall(process.read, process)
    if not ok then -- the engine asks again and again until it has ended
      if not (err.is(from) and from.cancelled) then error(from, 0) end
      cancelled = from
      watch = watch or stop()
    elseif from == "end" then
      status = text
    else
      streams[from].take(text)
    end
  end
  if timer then timer:cancel() end
  if watch then watch:cancel() end
  for _, stream in pairs(streams) do stream.finish() end
  if cancelled then error(cancelled, 0) end
  return status, late
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
  M.write(folder .. "/script.py", text)
  M.write(folder .. "/lines.json", json.encode(value.list(source_line.map_all(operation.source, text))))
  return { program, "-u", "-c", start.TEXT, operation.file, folder .. "/script.py", folder .. "/lines.json" }
end

local function environment_of(state, folder, venv)
  local list = connection(state.run.job.connection, folder)
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
  M.write(folder .. "/context.json", json.encode(context_of(state, call)))
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
  local status, late = follow(process, { stdout = splitter(show), stderr = splitter(show_error) }, seconds)
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
