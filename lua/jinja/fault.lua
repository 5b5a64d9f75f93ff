--- Raising the template engine's errors: each is an error object (lua/err.lua) with Python's class as its `kind`.
-- Where it happened, and through which macros, is read from the Lua stack at the moment of failure: nothing
-- is paid for it while nothing fails.

local err = require "err"

local M = {}

local codes = {
  TemplateSyntaxError = 201, TemplateAssertionError = 201, UndefinedError = 202, CompilationError = 203,
  TypeError = 204, FilterArgumentError = 204, AttributeError = 204, RecursionError = 206, SecurityError = 207,
  LimitError = 208, MemoryError = 208, LuaError = 209,
}

-- Places -----------------------------------------------------------------------------------------

--- What is known of a compiled template: which byte of the template each line of its Lua code stands for.
---@class jinja.Chunk
---@field file string
---@field source string
---@field first integer number of the source's first line in the file
---@field map string the bytes, line by line, written as characters
---@field names string[] variables that it sets
---@field macros table<integer, string> line on which a function begins -> its macro's name

-- name as load() got it -> jinja.Chunk. The code's constants hold the chunk as long as the code lives; those of a
-- project's Lua files stay.
local lua_chunks = {}
local chunks = setmetatable({}, { __mode = "v", __index = lua_chunks })
local last_id = 0

--- Makes the frames of a compiled template known to stack traces. Gives the name for load().
---@param chunk jinja.Chunk
---@return string
function M.register(chunk)
  last_id = last_id + 1
  local name = ("@%s#%d"):format(chunk.file, last_id)
  chunks[name] = chunk
  return name
end

--- Makes the frames of a project's Lua file known to them, too.
---@param name string as load() got it
---@param file string
---@param source string
---@param functions table<integer, string> line on which a function begins -> its name
function M.register_lua(name, file, source, functions)
  lua_chunks[name] = { lua = true, file = file, source = source, macros = functions }
end

--- Whether a function's `source` (debug.getinfo) is a template or a project's Lua file.
---@param source string
---@return boolean
function M.knows(source) return chunks[source] ~= nil end

--- Byte positions as jinja.Chunk holds them.
---@param positions integer[]
---@return string
function M.pack(positions)
  local n = #positions
  if n < 200 then return utf8.char(table.unpack(positions)) end
  local parts = {}
  for i = 1, n, 200 do parts[#parts + 1] = utf8.char(table.unpack(positions, i, math.min(i + 199, n))) end
  return table.concat(parts)
end

-- the byte of the template that a line of the code stands for
local function byte_of(chunk, line)
  local at = utf8.offset(chunk.map, line)
  return at and at <= #chunk.map and utf8.codepoint(chunk.map, at, at, true) or 1
end

-- line in the file, column (both from 1) and the line's text
local function place(chunk, pos)
  local source, line, start = chunk.source, chunk.first, 1
  while true do
    local stop = source:find("\n", start, true)
    if not stop or stop >= pos then
      local text = source:sub(start, (stop or 0) - 1)
      return line, (utf8.len(source:sub(start, pos - 1)) or pos - start) + 1, text
    end
    line, start = line + 1, stop + 1
  end
end

--- The line of a byte of a template, in its file.
---@param chunk {source: string, first: integer}
---@param pos integer
function M.line(chunk, pos) return (place(chunk, pos)) end

-- the place of a word in the tag around `pos`, when it stands there
local function word_near(source, pos, word)
  local opened, at = 1, 0
  while true do
    at = source:find("{[{%%]", at + 1)
    if not at or at > pos then break end
    opened = at
  end
  local pattern = "%f[%w_]" .. word:gsub("%W", "%%%0") .. "%f[^%w_]"
  local close = source:find("[%%}]}", pos) or #source
  local found, from = nil, opened
  while true do
    local hit, stop = source:find(pattern, from)
    -- the nearest one before, else the first one after
    if not hit or hit > close or found and hit > pos then break end
    found, from = hit, stop + 1
  end
  return found or pos
end

-- the line of a file that a line of code stands for
local function line_of(chunk, line)
  if chunk.lua then return line end
  return (place(chunk, byte_of(chunk, line)))
end

local function set_place(e, chunk, line, word)
  e.file = chunk.file
  if chunk.lua then
    e.line = line
    local n = 0
    for text in chunk.source:gmatch("([^\n]*)\n?") do
      n = n + 1
      if n == line then e.excerpt = text end
    end
    return
  end
  local pos = byte_of(chunk, line)
  if word then pos = word_near(chunk.source, pos, word) end
  e.line, e.column, e.excerpt = place(chunk, pos)
end

local MOST_FRAMES = 50

-- Completes an error. Gives it, and the template whose place it got.
local function trace(e, level, word)
  local stack, first, failed = {}, nil, nil
  local placed = e.file ~= nil
  for depth = level, level + 5000 do
    local info = debug.getinfo(depth, "Sl")
    if not info then break end
    local chunk = chunks[info.source]
    if chunk then
      if not placed then
        set_place(e, chunk, info.currentline, word)
        placed, failed = true, chunk
      end
      local macro = chunk.macros[info.linedefined]
      if macro == nil and (chunk.lua or info.linedefined ~= 1) then
        first = first or info -- a part of what stands around it: its frame follows
      elseif #stack < MOST_FRAMES then
        stack[#stack + 1] = { name = macro, file = chunk.file,
          line = line_of(chunk, (first or info).currentline) }
        first = nil
      end
    end
  end
  -- a failure outside of macros has no chain
  if stack[1] and stack[1].name and e.stack == nil then e.stack = stack end
  return e, failed
end

-- "models/a.sql#12:7:" in a traceback, with the template's own line
local function readable(traceback)
  return (traceback:gsub("([^%s:#]+#%d+):(%d+)", function(name, line)
    local chunk = chunks["@" .. name]
    if chunk then return ("%s:%d"):format(chunk.file, line_of(chunk, math.tointeger(line))) end
  end))
end

--- What a function on a stack is, when it is a template's or that of a project's Lua file: its file, the line there and
--- the macro's name. `part` says that it is a piece of the function around it.
---@param info table of debug.getinfo, with "Sl"
---@return {chunk: jinja.Chunk, file: string, line: integer, name: string|nil, part: boolean}|nil
function M.frame(info)
  local chunk = chunks[info.source]
  if not chunk then return nil end
  local name = chunk.macros[info.linedefined]
  return { chunk = chunk, file = chunk.file, line = line_of(chunk, info.currentline), name = name,
    part = name == nil and not chunk.lua and info.linedefined ~= 1 }
end

--- Called with each error that a render ends with, while the functions that led there still stand on the stack; nil,
--- unless `run --debug-hooks` wants to look at them (lua/repl/frames.lua).
---@type fun(e: any)|nil
M.observer = nil

-- Raising ----------------------------------------------------------------------------------------

--- Raises an error of Python's class `kind` at the template line that is running.
---@param kind string
---@param message string
---@param hint string|nil
---@param word string|nil a name in the failing tag, where the caret then is
function M.raise(kind, message, hint, word)
  local e = err.new { code = codes[kind] or 205, kind = kind, message = message, hint = hint }
  local chunk
  e, chunk = trace(e, 3, word)
  if word and not e.hint and chunk and chunk.names then e.hint = err.did_you_mean(word, chunk.names) end
  error(e, 0)
end

--- Raises a TypeError.
function M.type(message) return M.raise("TypeError", message) end

--- Raises a ValueError.
function M.value(message) return M.raise("ValueError", message) end

--- Raises a syntax error at a byte of a template.
---@param chunk {file: string, source: string, first: integer}
function M.syntax(chunk, pos, message, hint, kind)
  local line, column, text = place(chunk, pos)
  err.raise { code = 201, kind = kind or "TemplateSyntaxError", message = message, file = chunk.file, line = line,
    column = column, excerpt = text, hint = hint }
end

--- An error of a compiled template that left no trace on the stack: only its file is known.
---@param f function as compiled
---@param kind string
---@param message string
---@param hint string|nil
function M.beside(f, kind, message, hint)
  local chunk = chunks[debug.getinfo(f, "S").source]
  return err.new { code = codes[kind] or 205, kind = kind, message = message, hint = hint,
    file = chunk and chunk.file }
end

-- Lua's own words for what a template did
local function translate(text)
  if text:find("stack overflow", 1, true) then
    return "RecursionError", "macros or loops call each other without end"
  end
  local message = text:match("^[^\n]-:%d+: (.*)$") or text
  if message:find("not enough memory", 1, true) then
    return "MemoryError", "not enough memory: this template needs more than there is"
  end
  local what = message:match("^attempt to call a (%S+) value")
  if what then return "TypeError", "this is not callable (" .. what .. ")" end
  return "InternalError", message
end

-- Whether it is a Lua file of the project that failed, and not the engine.
local function in_lua_file(level)
  for depth = level, level + 20 do
    local info = debug.getinfo(depth, "S")
    if not info then return false end
    local chunk = chunks[info.source]
    if chunk then return chunk.lua or false end
  end
  return false
end

--- Message handler for xpcall around a whole render, where nobody waits for a return().
function M.outermost(e)
  if type(e) == "table" and e.is_return then
    return (trace(err.new { code = 203, kind = "CompilationError", message = "return() outside of a macro",
      hint = "only a macro has a value to return" }, 3, "return"))
  end
  return M.handler(e)
end

-- Any error as an error object with place and stack.
local function explain(e)
  if err.is(e) then
    if e.stack == nil or e.file == nil then trace(e, 4) end
    return e
  end
  local kind, message = translate(tostring(e))
  if kind == "InternalError" and in_lua_file(4) then
    return (trace(err.new { code = 209, kind = "LuaError", message = message }, 4))
  end
  local object = err.new { code = kind == "InternalError" and 901 or codes[kind] or 205, kind = kind,
    message = message }
  if kind == "InternalError" then object.traceback = readable(debug.traceback(tostring(e), 3)) end
  return (trace(object, 4))
end

--- Message handler for xpcall around template code: makes any error an error object with place and stack.
function M.handler(e)
  if type(e) == "table" and not err.is(e) and e.is_return then return e end
  e = explain(e)
  if M.observer then M.observer(e) end
  return e
end

return M
