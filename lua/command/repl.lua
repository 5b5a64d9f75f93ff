--- `dex-lua repl`: a prompt with the whole project in reach; the same for scripts, -e and pipes.

local chunk = require "repl.chunk"
local complete = require "repl.complete"
local core = require "dex.core"
local dots = require "repl.dots"
local err = require "err"
local errors = require "report.errors"
local fs = require "dex.fs"
local place = require "repl.place"
local prompt = require "repl.prompt"
local reach = require "repl.reach"
local show = require "repl.show"
local term = require "dex.term"
local time = require "dex.time"
local workspace = require "repl.workspace"

local M = {}

-- A database's error shows the SQL that it points into; none shows a secret.
local function located(w, e)
  if e.sql and e.position and not e.marked and not tostring(e.message):find("\nLINE ", 1, true) then
    e.message, e.marked = e.message .. require("run.failure").excerpt(e.sql, e.position), true
  end
  if type(e.message) == "string" then e.message = w:masked(e.message) end
  if e.excerpt then e.excerpt = w:masked(e.excerpt) end
  return e
end

local marks = { idle = "", intrans = "*", inerror = "!" }

-- The workspace of a job, in a node's place when --node says so: that is not entered yet.
local function new_workspace(job, reader)
  local w = workspace.new(job, reader)
  if job.given.node then
    w.place = place.new(w, job.given.node, job.given.phase)
  elseif job.given.phase then
    err.raise { code = 101, message = "--phase says where in a node's life the prompt stands: it needs --node NAME" }
  end
  return w
end

-- What all sessions of a workspace have.
local function new_session(w, reader, name)
  local session = { workspace = w, reader = reader, name = name, typed = {}, dots = dots.commands(w) }
  local function print_line(...)
    local parts = table.pack(...)
    for i = 1, parts.n do parts[i] = tostring(parts[i]) end
    reader:write(table.concat(parts, "\t", 1, parts.n))
  end
  session.scope = reach.scope(w, { print = print_line, coroutine = prompt.coroutines() })
  session.words = {}
  for _, word in ipairs { "begin", "commit", "rollback" } do
    session.words[word] = w.place and w.place.commands[word] or function() w:execute(word) end
  end
  session.words.help = function(_, topic)
    reader:write(reach.help(w, topic ~= "" and topic or nil))
  end
  function session.words.quit() return true end
  session.words.exit = session.words.quit
  function session.prompt(more)
    local mark = marks[w:transaction()]
    local label = w.place and w.place:label() or "dex"
    return more and ("%s%s> "):format((" "):rep(utf8.len(label) or #label), mark == "" and "." or mark)
      or ("%s%s> "):format(label, mark)
  end
  function session.complete(text, cursor)
    local kind = chunk.kind(text, true)
    return complete.find(w, kind == "sql", text, cursor)
  end
  function session.before()
    session.since = time.mono()
    w:refresh()
  end
  function session.show(_, results)
    local text = show.results(results, reader:width())
    if text then reader:write(w:masked(text)) end
    if session.text then session.typed[#session.typed + 1] = chunk.statement(session.text) end
    dots.tell_time(session, session.since)
  end
  function session.sql(_, text)
    local sql = w:sql((text:gsub("[%s;]+$", "")))
    local result = w:query(sql)
    if #result.columns > 0 then
      reader:write(w:masked(show.value(result, reader:width())))
    else
      reader:write(require("repl.rows").status(result) or "done")
    end
    session.typed[#session.typed + 1] = ("query %q"):format(text):gsub("\\\n", "\\n")
    dots.tell_time(session, session.since)
  end
  function session.failed(_, e)
    w:say(errors.format(located(w, e), { width = reader:width(), debug = w.job.given.debug,
      paint = reader.terminal and require("report.paint").painter(require("report.paint").wanted(
        w.job.given.use_colors, 1)) or nil }))
  end
  return session
end

-- At the terminal --------------------------------------------------------------------------------------

local function at_terminal(job)
  local dir = job.given.project_dir or "."
  local in_project = fs.exists(dir .. "/dbt_project.yml") or fs.exists(dir .. "/dex_project.yml")
  local mask = require("run.secrets").environment_masker()
  local history = in_project and require("repl.history").open(dir, mask) or nil
  local reader = require("repl.terminal").new(history)
  local w = new_workspace(job, reader)
  job.closers[#job.closers + 1] = function() reader:close() end
  local session = new_session(w, reader, "prompt")
  session.banner = ("dex-lua %s: help lists what is in reach, .help the commands, Ctrl-D leaves"):format(core.version)
  if w.place then
    w.place:enter()
    if w.place.failure then w:failure(w.place.failure) end
    session.banner = w.place:greeting()
  elseif in_project then
    w:begin_loading()
  end
  prompt.run(session)
  w:stop_background()
  if w.background then pcall(w.background.handle.wait, w.background.handle) end
  local lost = w.place and w.place:lost() or not w.place and w:transaction() ~= "idle"
    and "the open transaction is rolled back"
  if lost then reader:write(lost) end
  return session.left == "SIGTERM" and 143 or 0
end

-- Scripts ----------------------------------------------------------------------------------------------

local PROJECT_FAILED, FAILED = 2, 1

-- A function of a script; gives the exit status. A signal ends it.
local function run_script(job, session, fn, ...)
  local here = session.workspace.place
  core.on_signal(function(name)
    job.cancelled = name
    if session.work then session.work:cancel() end
  end)
  local results = table.pack(prompt.guarded(session, function(...)
    if here then
      here:enter()
      if here.failure then job.report:warning(here.failure) end
    end
    return fn(...)
  end, ...))
  core.on_signal(nil)
  local lost = here and here:lost()
  if lost then job.report:log("info", lost) end
  if job.cancelled then return require("command.steps").cancelled_status(job) end
  if results[1] then
    local status = results[2]
    return math.type(status) == "integer" and status >= 0 and status < 256 and status or 0
  end
  local e = located(session.workspace, err.wrap(results[2]))
  if e.cancelled then -- a loop that never waited was ended before anybody heard the signal
    job.report:log("warn", "cancelled")
    job.cancelled = "SIGINT"
    return require("command.steps").cancelled_status(job)
  end
  job.report:failure(e)
  return (e.of_project or e.syntax and e.file == "-e") and PROJECT_FAILED or FAILED
end

local function script_session(job, name)
  local reader = require("repl.pipe").new("")
  local w = new_workspace(job, reader)
  return new_session(w, reader, name)
end

local function run_file(job, path, arguments)
  if not fs.exists(path) or fs.isdir(path) then
    err.raise { code = 101, message = "there is no such script", file = path }
  end
  local session = script_session(job, path)
  local text = fs.read(path)
  session.line_of = function() end -- it is in the file
  session.scope.arg = table.move(arguments, 1, #arguments, 1, { [0] = path })
  return run_script(job, session, function(...) return chunk.script(text, path, session.scope)(...) end,
    table.unpack(arguments))
end

-- What -e gives is printed, as at the prompt.
local function run_text(job, text, arguments)
  local session = script_session(job, "-e")
  session.scope.arg = arguments
  session.line_of = function(_, line) return line == 1 and text:match("^[^\n]*") or nil end
  return run_script(job, session, function(...)
    local results = table.pack(chunk.load(text, "-e", session.scope)(...))
    local shown = show.results(results, session.reader:width())
    if shown then session.reader:write(session.workspace:masked(shown)) end
  end, table.unpack(arguments))
end

local function run_pipe(job)
  local reader = require("repl.pipe").new(io.read("a") or "")
  local w = new_workspace(job, reader)
  local session = new_session(w, reader, "stdin")
  session.stop_on_error = true
  function session.failed(_, e)
    job.report:failure(located(w, e))
    session.of_project = e.of_project
  end
  local status = run_script(job, session, function() prompt.run(session) end)
  if status ~= 0 then return status end
  return session.of_project and PROJECT_FAILED or session.status or 0
end

--- The command.
---@param job table of lua/pipeline.lua
---@return integer status: 0; 1 when an error was raised; 2 when the project or the command line is wrong
function M.run(job)
  local words = table.move(job.rest, 1, #job.rest, #job.words + 1, job.words)
  if job.given.execute then return run_text(job, job.given.execute, words) end
  if words[1] == "-" or not words[1] and not term.isatty(0) then return run_pipe(job) end
  if words[1] then return run_file(job, words[1], table.move(words, 2, #words, 1, {})) end
  if not term.isatty(1) then
    err.raise { code = 101, message = "the prompt needs a terminal to write to, too",
      hint = "give a script, -e 'code', or input through a pipe" }
  end
  return at_terminal(job)
end

return M
