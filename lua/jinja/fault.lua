--- Raising the template engine's errors: each is an error object (lua/err.lua) with Python's class as its `kind`.
-- Where it happened, and through which macros, is read from the Lua stack at the moment of failure: nothing
-- is paid for it while nothing fails.

local err = require "err"

local M = {}

local codes = {
  TemplateSyntaxError = 201, TemplateAssertionError = 201, UndefinedError = 202, CompilationError = 203,
  TypeError = 204, FilterArgumentError = 204, AttributeError = 204, RecursionError = 206, SecurityError = 207,
}

-- chunk name -> { [line where a function is defined] = macro's name }
local chunks = {}

--- Makes the frames of a compiled template known to stack traces.
---@param chunk string as load() got it, "@file"
---@param macros table line -> name
function M.register(chunk, macros)
  local known = chunks[chunk]
  if not known then
    chunks[chunk] = macros
    return
  end
  for line, name in pairs(macros) do known[line] = name end
end

local function trace(e, level)
  local stack, seen = {}, false
  local file, line = nil, nil
  local skipped = 0
  while true do
    local info = debug.getinfo(level, "Sl")
    if not info or skipped > 2000 then break end
    local macros = chunks[info.source]
    if macros then
      local name = info.source:sub(2)
      if not seen then
        seen = true
        file, line = name, info.currentline
      end
      local macro = macros[info.linedefined]
      if macro and #stack < 50 then
        stack[#stack + 1] = { name = macro, file = name, line = info.currentline }
      end
    end
    level = level + 1
    skipped = skipped + 1
  end
  if e.file == nil and file then e.file, e.line = file, line end
  if #stack > 0 and e.stack == nil then e.stack = stack end
  return e
end

--- Raises an error of Python's class `kind` at the template line that is running.
---@param kind string
---@param message string
---@param hint string|nil
function M.raise(kind, message, hint)
  local e = err.new { code = codes[kind] or 205, kind = kind, message = message, hint = hint }
  error(trace(e, 3), 0)
end

--- Raises a TypeError.
function M.type(message) return M.raise("TypeError", message) end

--- Raises a ValueError.
function M.value(message) return M.raise("ValueError", message) end

--- Raises a syntax error at a place in a file.
function M.syntax(file, line, column, message, hint, kind)
  err.raise { code = 201, kind = kind or "TemplateSyntaxError", message = message, file = file, line = line,
    column = column, hint = hint }
end

-- Lua's own words for what a template did
local function translate(text)
  if text:find("stack overflow", 1, true) then
    return "RecursionError", "macros or loops call each other without end"
  end
  local message = text:match("^[^\n]-:%d+: (.*)$") or text
  if message:find("not enough memory", 1, true) then return "MemoryError", "not enough memory" end
  local what = message:match("^attempt to call a (%S+) value")
  if what then return "TypeError", "this is not callable (" .. what .. ")" end
  return "InternalError", message
end

--- Message handler for xpcall around template code: makes any error an error object with place and stack.
function M.handler(e)
  if err.is(e) then
    if e.stack == nil or e.file == nil then trace(e, 3) end
    return e
  end
  if type(e) == "table" and e.is_return then return e end
  local kind, message = translate(tostring(e))
  local object = err.new { code = kind == "InternalError" and 901 or codes[kind] or 205, kind = kind,
    message = message }
  if kind == "InternalError" then object.traceback = debug.traceback(tostring(e), 2) end
  return trace(object, 3)
end

return M
