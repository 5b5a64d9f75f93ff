--- The prompt: reads lines, runs them, prints what came out. `dex-lua repl`, a stop of the debugger and a connection of
-- `dex-lua attach` are sessions of it; they differ in what is in reach and in where lines come from.

local chunk = require "repl.chunk"
local core = require "dex.core"
local err = require "err"
local limits = require "dex.limits"
local loop = require "dex.loop"

local M = {}

--- Where lines come from and text goes to: a terminal (repl/terminal.lua), a pipe or file (repl/pipe.lua), a socket.
---@class repl.Reader
---@field terminal boolean a person sits there: prompts are shown and Ctrl-C is heard
---@field line fun(self, prompt: string, complete: function|nil): string|false|nil a line without its newline; false
---  when Ctrl-C ended it, nil at the end of input. May wait. `complete` is repl.Session's.
---@field write fun(self, text: string) prints whole lines, above the line that is being typed. May wait.
---@field width fun(self): integer columns of the terminal
---@field remember nil|fun(self, text: string) a complete input, for the history
---@field gone nil|fun(self): boolean whether it will never give another line. Does not wait.

--- What a session gives to M.run, which adds `interrupt`.
---@class repl.Session
---@field reader repl.Reader
---@field scope table the environment of what is typed: reading an unknown name may raise, writing makes a variable
---@field prompt fun(more: boolean): string the prompt's text; `more` behind an unfinished input. Does not wait.
---@field words table<string, fun(session, rest: string): any> commands that are a whole line: the first word, when it
---  is followed by nothing, or by words (`step`, `up 2`), and what is typed is no Lua. Any result but nil leaves the
---  prompt with it. May wait.
---@field dots table<string, fun(session, rest: string): any> the same for lines that begin with a dot, without the dot
---@field banner string|nil printed first
---@field complete nil|fun(text: string, cursor: integer): integer, string[] names that may stand for what is typed from
---  the byte that is returned up to the cursor (a byte, too: 1 is before the first). Does not wait.
---@field show fun(session, results: table) prints the results of an input, results.n many. May wait.
---@field failed fun(session, e: dex.Error, text: string) prints what went wrong. May wait.
---@field before nil|fun(session) called before each input is run. May wait.
---@field sql nil|fun(session, text: string) runs an input that is SQL. May wait.
---@field name string how messages call what is typed: "stdin", a file's name
---@field line_of fun(session, line: integer): string|nil a line of what is run, for messages
---@field stop_on_error boolean|nil an error leaves the prompt: M.run gives nil, and session.status is 1
---@field interrupt fun() Ctrl-C, set by M.run: ends what runs, never the prompt. Does not wait.

-- Interrupting -----------------------------------------------------------------------------------------

-- coroutine -> its session: those whose code is to end
local ending = setmetatable({}, { __mode = "k" })

local function stop()
  err.raise { code = 907, message = "interrupted", cancelled = true }
end

-- From Ctrl-C on, each instruction of the typed code raises, so that no pcall in it holds that up.
local function tick()
  local session = ending[coroutine.running()]
  if not (session and session.interrupted) then return debug.sethook() end
  local info = debug.getinfo(2, "S")
  if info and not info.source:find("^@lua/") then stop() end
end

-- A look at the running coroutine, from a hook of it.
local function look()
  local session = ending[coroutine.running()]
  if not session then return end
  local reader = session.reader
  if session.interrupted or core.interrupted() or reader.gone and reader:gone() then
    session.interrupted = true
    debug.sethook(tick, "", 1)
    stop()
  end
end

limits.each_second(look)

local STEP = 1000000 -- instructions

local function finish(co, ok, ...)
  if ok then return ... end
  if coroutine.status(co) == "dead" then coroutine.close(co) end
  error(..., 0)
end

--- `coroutine` for typed code: Ctrl-C ends what runs in its coroutines, too. The seconds are those of tasks, so these
--- count their instructions.
---@return table<string, function>
function M.coroutines()
  local library = {}
  for name, fn in pairs(coroutine) do library[name] = fn end
  function library.create(f)
    local co = coroutine.create(f)
    ending[co] = ending[coroutine.running()]
    debug.sethook(co, look, "", STEP)
    return co
  end
  function library.wrap(f)
    local co = library.create(f)
    return function(...) return finish(co, coroutine.resume(co, ...)) end
  end
  return library
end

-- Running ----------------------------------------------------------------------------------------------

-- An error with the line of what was typed, when it has no place of its own.
local function placed(session, e)
  if type(e) == "table" and not err.is(e) and not (debug.getmetatable(e) or {}).__tostring then
    e = err.new { code = 901, message = require("repl.show").value(e, 80) }
  end
  e = err.wrap(e)
  if e.file == session.name then e.excerpt = e.excerpt or session:line_of(e.line) end
  if e.file or e.cancelled then return e end
  for level = 2, 60 do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    if info.source == "@" .. session.name then
      e.file, e.line, e.excerpt = session.name, info.currentline, session:line_of(info.currentline)
      return e
    end
  end
  if session.first_line and not session.reader.terminal then -- a call in `return f()` leaves no trace
    e.file, e.line, e.excerpt = session.name, session.first_line, session:line_of(session.first_line)
  end
  return e
end

--- Calls fn as a task of its own, which session.work is meanwhile; gives what pcall gives. Errors have the line of what
--- was typed. May wait.
local function guarded(session, fn, ...)
  session.interrupted = false
  local work = loop.spawn(function(...)
    local co = coroutine.running()
    ending[co] = session
    local results = table.pack(xpcall(fn, function(e) return placed(session, e) end, ...))
    ending[co] = nil
    return table.unpack(results, 1, results.n)
  end, ...)
  session.work = work
  local results = table.pack(pcall(work.wait, work))
  session.work = nil
  core.interrupted(true)
  if results[1] then return table.unpack(results, 2, results.n) end
  return false, results[2]
end

M.guarded = guarded

--- Runs a function of the session as its inputs are run: Ctrl-C ends it, and what it raises is printed. Gives whether
--- it ended well, and its results. May wait.
function M.call(session, fn, ...)
  local results = table.pack(guarded(session, fn, ...))
  if not results[1] then
    local e = err.wrap(results[2])
    if e.cancelled then
      session.reader:write("interrupted")
    else
      session:failed(e, session.text or "")
    end
    session.status = 1
  end
  return table.unpack(results, 1, results.n)
end

-- The command that a line is: its function and the rest of the line.
local function command_of(session, text)
  local dot, rest = text:match("^%s*%.([%a?][%w_]*)%s*(.-)%s*$")
  if dot then
    local found = session.dots and session.dots[dot]
    if not found then
      local names = {}
      for name in pairs(session.dots or {}) do names[#names + 1] = name end
      err.raise { code = 101, message = ("there is no command .%s"):format(dot),
        hint = err.did_you_mean(dot, names) or ".help lists them" }
    end
    return found, rest
  end
  local word, more = text:match("^%s*([%a_][%w_]*)%s*(.-)%s*;?%s*$")
  local found = word and session.words and session.words[word]
  if found and (more == "" or more:find("^[%w_]") and not chunk.compiles(text)) then return found, more end
end

-- Runs one complete input. Gives what a command left the prompt with.
local function run_input(session, text, input)
  if session.before then session:before() end
  local command, rest = command_of(session, text)
  if command then return command(session, rest) end
  if input == "sql" then return session:sql(text) end
  local fn = chunk.load(text, session.name, session.scope, session.first_line)
  local results = table.pack(fn())
  session:show(results)
end

-- Reads until the input is complete: nil at the end, false when it was given up.
local function read_input(session)
  local reader, lines = session.reader, {}
  session.first_line = (session.lines or 0) + 1
  while true do
    local line = reader:line(session.prompt(#lines > 0), session.complete)
    if line == nil then
      if #lines == 0 then return nil end
      return table.concat(lines, "\n"), "lua" -- an input that never ended: its error says so
    elseif line == false then
      return false
    end
    session.lines = (session.lines or 0) + 1
    lines[#lines + 1] = line
    session.recent[session.lines] = line
    local text = table.concat(lines, "\n")
    if text:find("^%s*%.%a") then return text, "command" end
    local kind, complete = chunk.kind(text, session.sql ~= nil)
    if complete then return text, kind end
  end
end

--- Reads and runs inputs until a command leaves the prompt, or the input ends. Hears SIGINT while it lasts, when a
--- person sits there. May wait.
---@param session repl.Session
---@return any left what the command gave that left the prompt; nil at the end of the input
function M.run(session)
  local reader = session.reader
  function session.interrupt()
    session.interrupted = true
    if session.work then session.work:cancel() elseif reader.interrupt then reader:interrupt() end
  end
  session.recent = {} -- line number -> text, of all that was typed
  session.line_of = session.line_of or function(_, line) return session.recent[line] end
  local before, patient
  if reader.terminal then before, patient = core.on_signal(function(name)
    if name == "SIGINT" then -- unless it has ended a loop that never waited
      if core.interrupted(true) then session.interrupt() end
    else
      session.left = name
      if session.work then session.work:cancel() end
      if reader.leave then reader:leave() end
    end
  end, true) end
  if session.banner then reader:write(session.banner) end
  local left
  while left == nil and not session.left do
    local text, kind = read_input(session)
    if text == nil then break end
    if text and text:find("%S") then
      session.text = text
      if reader.remember then reader:remember(text) end
      local ok, result = M.call(session, run_input, session, text, kind)
      if ok then left = result elseif session.stop_on_error then break end
    end
  end
  if reader.terminal then core.on_signal(before, patient) end
  return left
end

return M
