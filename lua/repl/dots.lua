--- The commands of the prompt that begin with a dot, each also by one letter.

local err = require "err"
local fs = require "dex.fs"
local rows_module = require "repl.rows"
local time = require "dex.time"

local M = {}

-- name, letter, arguments, what it does.
local everywhere = {
  { "help", "h", "", "this list" },
  { "more", "m", "", "the next rows of the last result" },
  { "select", "s", "[SELECTION]", "what run{}, nodes() ... work on; - for everything" },
  { "target", "t", "[NAME]", "the target in use; another one" },
  { "reload", "r", "", "reads the project again" },
  { "stop", "x", "", "cancels the command that runs beside the prompt" },
  { "time", "i", "", "says how long each input took, or no longer" },
  { "log", "l", "[LEVEL]", "what commands say: debug, info, warn, error, none" },
  { "save", "w", "FILE", "writes what was typed to a file, as a script" },
  { "quit", "q", "", "leaves, as Ctrl-D does" },
}

--- The commands of a workspace's prompt: {name, letter, arguments, what it does}.
---@param w repl.Workspace
---@return string[][]
function M.list(w)
  local list = w.place and table.move(require("repl.place").dots, 1, #require("repl.place").dots, 1, {}) or {}
  return table.move(everywhere, 1, #everywhere, #list + 1, list)
end

local commands = {}

function commands.help(session)
  local out = {}
  for _, one in ipairs(M.list(session.workspace)) do
    out[#out + 1] = ("  .%-8s .%s  %-11s %s"):format(one[1], one[2], one[3], one[4])
  end
  out[#out + 1] = "help() lists the functions."
  session.reader:write(table.concat(out, "\n"))
end

function commands.more(session)
  session.reader:write(session.workspace:masked(rows_module.more(session.reader:width()) or "there are no more rows"))
end

function commands.select(session, rest)
  local w = session.workspace
  if rest == "-" then
    w.selection = nil
  elseif rest ~= "" then
    local before = w.selection
    w.selection = rest
    local ok, names = pcall(session.scope.nodes)
    if not ok then
      w.selection = before
      error(names, 0)
    end
    session.reader:write(("%d node%s"):format(#names, #names == 1 and "" or "s"))
    return
  end
  session.reader:write(w.selection or "everything")
end

function commands.target(session, rest)
  local w = session.workspace
  if rest ~= "" then
    local given = w.job.given
    local before = given.target
    local lost = w.place and w.place:lost()
    given.target = rest
    if not w:reload() then
      given.target = before
      return
    end
    if lost then session.reader:write(lost) end
    w:close_connections()
    if w.place then w.place:stand() end
  end
  local profile = w:project().profile
  session.reader:write(("%s (%s)"):format(tostring(profile.target_name), table.concat(profile.targets or {}, ", ")))
end

function commands.reload(session) session.workspace:reload() end

function commands.stop(session)
  if not session.workspace:stop_background() then session.reader:write("nothing runs beside the prompt") end
end

function commands.time(session)
  session.timing = not session.timing
  session.reader:write(session.timing and "times are shown" or "times are not shown")
end

local levels = { debug = 1, info = 2, warn = 3, error = 4, none = 5 }

function commands.log(session, rest)
  local w = session.workspace
  local front = w.job.report.front
  if rest ~= "" then
    if not levels[rest] then
      err.raise { code = 101, message = ("'%s' is no level"):format(rest),
        hint = "levels are debug, info, warn, error, none" }
    end
    front.level, w.job.given.log_level = levels[rest], rest
  end
  session.reader:write(w.job.given.log_level or "info")
end

function commands.save(session, rest)
  if rest == "" then err.raise { code = 101, message = ".save needs the name of a file" } end
  local typed = session.typed
  if #typed == 0 then err.raise { code = 101, message = "nothing was typed yet that could be saved" } end
  if fs.exists(rest) then
    err.raise { code = 110, message = "this file is there already", file = rest, hint = "take another name" }
  end
  fs.write(rest, table.concat(typed, "\n") .. "\n")
  session.reader:write(("%d input%s in %s"):format(#typed, #typed == 1 and "" or "s", rest))
end

function commands.quit() return true end

--- The functions by their names and letters, for a session.
---@param w repl.Workspace
---@return table<string, fun(session: repl.Session, rest: string): any>
function M.commands(w)
  local found = {}
  for _, one in ipairs(M.list(w)) do
    local command = w.place and w.place.commands[one[1]] or commands[one[1]]
    found[one[1]], found[one[2]] = command, command
  end
  found["?"], found.exit = commands.help, commands.quit
  return found
end

--- Tells how long an input took, when that is wanted.
---@param session repl.Session
---@param since number
function M.tell_time(session, since)
  if session.timing then session.reader:write(("%.3f s"):format(time.mono() - since)) end
end

return M
