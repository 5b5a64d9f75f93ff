--- What can be seen and done where a run stands still: the session that lua/repl/prompt.lua runs there. Names are first
-- the variables of the chosen function, then what stands for the place (hook, this, node, error, query ...).

local errors = require "report.errors"
local jinja = require "jinja"
local failure = require "run.failure"
local rows = require "repl.rows"
local show = require "repl.show"
local source_line = require "run.source_line"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- What is shown ----------------------------------------------------------------------------------------

local AROUND = 2 -- lines shown before and behind the one where it stands
local MOST = 100 -- characters of a value in a list

local function files_of(stop)
  local modules = stop.state and stop.state.run.modules
  return modules and modules.chunks
end

local function source_lines(stop, frame, around)
  local out = {}
  for _, line in ipairs(frame:source(around, files_of(stop))) do
    out[#out + 1] = ("%s %5d | %s"):format(line.number == frame.line and ">" or " ", line.number, line.text)
  end
  return out
end

local function place_of(frame, files)
  return ("%s:%d  %s"):format(errors.relative(frame.file), frame.line, frame:title(files))
end

-- A value on one line: in a template as Python would write it, in Lua as the prompt shows it.
local function brief(v, kind)
  if value.is_undefined(v) then return "undefined" end
  local ok, text
  if type(v) == "string" then
    ok, text = true, ("%q"):format(v)
  elseif kind == "template" then
    ok, text = pcall(jinja.repr, v)
  else
    ok, text = pcall(show.value, v, 80)
  end
  text = ok and text:gsub("%s+", " ") or "a " .. type(v)
  if (utf8.len(text) or #text) > MOST then text = text:sub(1, (utf8.offset(text, MOST) or MOST) - 1) .. "..." end
  return text
end

--- The SQL that failed, with a caret below the position that the server named.
---@param e dex.Error
---@param mask fun(text: string): string
---@return string[]
function M.failed_sql(e, mask)
  local out, n, line, column = {}, 0, nil, nil
  if e.position then line, column = source_line.locate(e.sql, e.position) end
  for text in (mask(e.sql) .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    out[#out + 1] = ("  %5d | %s"):format(n, text)
    if n == line then
      local before = utf8.len(text:sub(1, column - 1)) or column - 1
      out[#out + 1] = "        | " .. (" "):rep(before) .. "^"
    end
  end
  return out
end

-- Commands ---------------------------------------------------------------------------------------------

-- name -> {short, help, run(own, argument) -> text}; `own`: debugger, stop, number of the frame, session
local commands = {}
local order = {}

local function command(name, short, help, run)
  commands[name] = { name = name, short = short, help = help, run = run }
  order[#order + 1] = name
end

local function chosen(own) return own.stop.frames[own.number] end

local function no_frames(own)
  if #own.stop.frames == 0 then return "no template and no Lua stands on the stack here: `sql` shows what failed" end
end

local function show_frame(own)
  local frame = chosen(own)
  local out = { ("#%d  %s"):format(own.number, place_of(frame, files_of(own.stop))) }
  table.move(source_lines(own.stop, frame, AROUND), 1, 2 * AROUND + 1, 2, out)
  return table.concat(out, "\n")
end

local function move(own, to)
  local none = no_frames(own)
  if none then return none end
  if to < 1 then return "this is the innermost function" end
  if to > #own.stop.frames then return "nothing of yours stands above this one" end
  own.number, own.stop.frame = to, to
  return show_frame(own)
end

local function count(argument, default)
  return math.tointeger(tonumber(argument)) or default
end

command("where", "w", "the functions that stand on the stack, the innermost first", function(own)
  local out = { no_frames(own) }
  for i, frame in ipairs(own.stop.frames) do
    out[#out + 1] = ("%s #%d  %s"):format(i == own.number and ">" or " ", i, place_of(frame, files_of(own.stop)))
  end
  return table.concat(out, "\n")
end)
command("up", "u", "look at the function that called this one", function(own, argument)
  return move(own, own.number + count(argument, 1))
end)
command("down", "d", "back towards the innermost one", function(own, argument)
  return move(own, own.number - count(argument, 1))
end)
command("frame", nil, "frame N: look at the function of this number", function(own, argument)
  return move(own, count(argument, own.number))
end)
command("locals", "l", "the variables here; `name = value` sets one", function(own)
  local frame = chosen(own)
  if not frame then return no_frames(own) end
  local out, hidden = {}, 0
  for _, v in ipairs((frame:variables())) do
    if v.kind == "upvalue" and type(v.value) == "function" then
      hidden = hidden + 1
    else
      out[#out + 1] = ("  %-20s = %s%s"):format(v.name, brief(v.value, frame.kind),
        v.kind == "upvalue" and "  (upvalue)" or "")
    end
  end
  if hidden > 0 then out[#out + 1] = ("  and %d functions as upvalues"):format(hidden) end
  return #out > 0 and table.concat(out, "\n") or "  no variables"
end)
command("list", nil, "list [N]: the lines around this one", function(own, argument)
  local frame = chosen(own)
  if not frame then return no_frames(own) end
  return table.concat(source_lines(own.stop, frame, count(argument, 10)), "\n")
end)
command("sql", nil, "the SQL that failed, else the node's own", function(own)
  local stop = own.stop
  local mask = stop.state.run.mask
  if stop.error and stop.error.sql then return table.concat(M.failed_sql(stop.error, mask), "\n") end
  local record = stop.own and stop.own.record.sql
  local text = record or opt(stop.state.node.compiled_code)
  return text and mask(text) or "no SQL yet"
end)
command("notices", nil, "what the server has said lately", function(own)
  local list = own.debugger.job.notices or {}
  return #list > 0 and table.concat(list, "\n") or "the server has said nothing"
end)
command("jinja", "j", "jinja EXPRESSION: its value as a template has it here", function(own, argument)
  if argument == "" then return "write an expression behind it: jinja orders | length" end
  local frame, context = chosen(own), own.stop.state.context
  local ctx = setmetatable({}, { __index = function(_, name)
    if frame then
      local found, v = frame:get(name)
      if found then return v end
    end
    return context and context[name]
  end })
  return jinja.repr(jinja.eval(argument, ctx, { file = "prompt" }))
end)

-- How it goes on.
local function goes_on(name, short, help, kinds)
  command(name, short, help, function(own)
    local stop = own.stop
    if not kinds[stop.kind] then
      return stop.kind == "failure" and "it has failed: no line is left to go on from. continue, retry, skip or abort"
        or ("`%s` is for a failure with --debug-hooks; here: continue, step, next, finish or abort"):format(name)
    end
    if stop.kind == "failure" and name == "retry" and stop.again then
      local ok, e = pcall(stop.again)
      if not ok then return errors.format(require("err").wrap(e), {}) .. "\n  (nothing was run again)" end
    end
    if name == "abort" then own.debugger:abort() end
    stop.answer = name
  end)
end

local live, failed, both = { breakpoint = true, step = true }, { failure = true },
  { breakpoint = true, step = true, failure = true }
goes_on("continue", "c", "go on; a failure is then one", both)
goes_on("step", "s", "go on to the next line of yours, in whatever is called", live)
goes_on("next", "n", "go on to the next line of this function, or of what called it", live)
goes_on("finish", "f", "go on until the chosen function has ended", live)
goes_on("retry", "r", "read the files again and run what failed once more", failed)
goes_on("skip", nil, "go on as if what failed had succeeded; what it did is undone", failed)
goes_on("abort", nil, "end the whole run; what goes on is rolled back", both)
command("hold", nil, "start no more nodes while this prompt is open", function()
  require("dex.run").hold(true)
  return "no more nodes start until this goes on, or `unhold`"
end)
command("unhold", nil, "let nodes start again", function()
  require("dex.run").hold(false)
  return "nodes start again"
end)

local function help()
  local out = { "Lua is evaluated where it stands: names are its variables, then hook, this, node, error, query, exec",
    "" }
  for _, name in ipairs(order) do
    local one = commands[name]
    out[#out + 1] = ("  %-10s %-2s %s"):format(name, one.short or "", one.help)
  end
  return table.concat(out, "\n")
end

local by_word = {}
for name, one in pairs(commands) do
  by_word[name] = one
  if one.short then by_word[one.short] = one end
end

-- A command as lua/repl/prompt.lua calls it: what it gives leaves the prompt.
local function as_word(own, one)
  return function(session, rest)
    local text = one.run(own, rest)
    if text and text ~= "" then session.reader:write(own.stop.state.run.mask(text)) end
    return own.stop.answer
  end
end

-- The commands as words, and their letters, unless a variable has that name: `n` is then the variable.
local function words_of(own)
  local words = {}
  for name, one in pairs(commands) do words[name] = as_word(own, one) end
  return setmetatable(words, { __index = function(_, letter)
    local one = by_word[letter]
    local frame = one and chosen(own)
    if not one or frame and (frame:get(letter)) then return nil end
    return as_word(own, one)
  end })
end

local function dots_of(own)
  local dots = {}
  for word, one in pairs(by_word) do dots[word] = as_word(own, one) end
  dots.help = as_word(own, { run = help })
  dots.h = dots.help
  return dots
end

-- The session ------------------------------------------------------------------------------------------

-- hook, this, query ...: what stands for the place.
local function names_of(stop)
  local hooks, hook_object = require "run.hooks", require "run.hook_object"
  local own = hooks.at(stop.state, stop.own)
  local object = hook_object.new(own)
  local names = { hook = object, node = hook_object.view(stop.state.node), error = stop.error,
    this = stop.state.context and hook_object.relation(stop.state.context.this) }
  function names.query(sql, ...)
    return rows.new(own.execute(tostring(sql), table.pack(...)))
  end
  for _, method in ipairs { "exec", "value", "rows", "ref", "source", "macro", "render" } do
    names[method] = function(...) return object[method](object, ...) end
  end
  return names
end

local function scope_of(own, names)
  local library = require("project.sandbox").environment { trusted = true, require = require }
  library = setmetatable({}, { __index = function(_, name) return rawget(library, name) end })
  return setmetatable({}, {
    __index = function(_, name)
      local frame = chosen(own)
      if frame then
        local found, v = frame:get(name)
        if found then return v end
      end
      local v = names[name]
      if v ~= nil then return v end
      return library[name]
    end,
    __newindex = function(_, name, v)
      local frame = chosen(own)
      if frame and frame:set(name, v) then return end
      names[name] = v
    end,
    __names = function()
      local list = {}
      for name in pairs(names) do list[#list + 1] = name end
      local frame = chosen(own)
      for _, v in ipairs(frame and (frame:variables()) or {}) do list[#list + 1] = v.name end
      return list
    end,
  })
end

local function title(stop)
  local node = stop.state.node
  if stop.own then return stop.own.title end
  return ("%s %s%s"):format(node.resource_type, node.name, stop.state.phase and (", phase " .. stop.state.phase) or "")
end

local function greeting(own)
  local stop, out = own.stop, {}
  if stop.kind == "failure" then
    out[1] = errors.format(stop.error, {})
    if stop.error.sql then
      out[#out + 1] = "The SQL that failed:"
      table.move(M.failed_sql(stop.error, stop.state.run.mask), 1, 1000, #out + 1, out)
    end
    local txn = stop.state.conn and stop.state.conn:txn()
    if txn == "intrans" then
      out[#out + 1] = ("The transaction is open, as it was before this %s."):format(stop.own and "hook" or "phase")
    end
    out[#out + 1] = "continue, retry, skip or abort; `.help` lists what else"
  else
    out[1] = ("%s in %s"):format(stop.kind == "step" and "at a line" or "breakpoint", title(stop))
    if chosen(own) then out[#out + 1] = show_frame(own) end
  end
  return table.concat(out, "\n")
end

-- Names that may stand for a word that is typed: variables, what stands for the place, commands; fields of those.
local function completion(own, scope, names)
  local complete = require "repl.complete"
  local function variable(name)
    local frame = chosen(own)
    local found, v
    if frame then found, v = frame:get(name) end
    if not found then v = rawget(names, name) end
    return v
  end
  return function(text, cursor)
    local owner, mark, field = text:sub(1, cursor - 1):match("([%a_][%w_%.]*)([:.])([%w_]*)$")
    if owner == "hook" then return cursor - #field, complete.hook_names(field, mark == ":") end
    if owner then return cursor - #field, complete.fields(variable, owner, field) end
    local word = text:sub(1, cursor - 1):match("[%a_][%w_]*$") or ""
    local before, found, seen = text:sub(1, cursor - 1 - #word), {}, {}
    local function add(name)
      if name:sub(1, #word) == word and not seen[name] then
        seen[name] = true
        found[#found + 1] = name
      end
    end
    for _, name in ipairs(getmetatable(scope).__names()) do add(name) end
    if not before:find("%S") then
      for name in pairs(commands) do add(name) end
    end
    table.sort(found)
    return cursor - #word, found
  end
end

--- The session of a stop, for lua/repl/prompt.lua; its `reader` is still to be set.
---@param debugger dex.Debugger
---@param stop dex.Stop
---@return repl.Session with `place`, where it stands
function M.session(debugger, stop)
  local own = { debugger = debugger, stop = stop, number = 1 }
  local node, names = stop.state.node, names_of(stop)
  local scope, frame = scope_of(own, names), chosen(own)
  local label = ("%s%s"):format(node.name, stop.state.phase and " " .. stop.state.phase or "")
  return {
    name = "prompt", scope = scope, banner = greeting(own), words = words_of(own), dots = dots_of(own),
    complete = completion(own, scope, names), place = frame and ("%s:%d"):format(frame.file, frame.line) or label,
    prompt = function(more) return more and (" "):rep(#label) .. ">> " or label .. "> " end,
    sql = function(session, text) session:show(table.pack(names.query(text))) end,
    show = function(session, results)
      local text = show.results(results, session.reader:width())
      if text then session.reader:write(stop.state.run.mask(text)) end
    end,
    failed = function(session, e)
      if e.sql and e.position then
        e.message = tostring(e.message) .. failure.excerpt(stop.state.run.mask(e.sql), e.position)
      end
      session.reader:write(stop.state.run.mask(errors.format(e, { width = session.reader:width() })))
    end,
  }
end

return M
