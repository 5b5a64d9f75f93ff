--- What is typed at the prompt, as code: an expression whose value is wanted, statements, or SQL; whether it is
-- complete; and where it is wrong.

local err = require "err"

local M = {}

-- Words that a line of SQL begins with. `do` is Lua's, and `show` a function of the prompt's.
local sql_words = {}
for word in ([[select with insert update delete merge create drop alter truncate grant revoke explain analyze vacuum
  comment savepoint release copy refresh set reindex call values begin commit rollback]]):gmatch("%a+") do
  sql_words[word] = true
end

-- As the user means it: `= x` is `return x`, and so is an expression by itself.
local function variants(text)
  local expression = text:match("^%s*=(.*)$")
  if expression then return { "return " .. expression } end
  return { "return " .. text, text }
end

-- The first variant that compiles; else the message of the last one.
local function compile(text, name, scope)
  local message
  for _, source in ipairs(variants(text)) do
    local fn
    fn, message = load(source, name, "t", scope)
    if fn then return fn end
  end
  return nil, message
end

--- Whether a text is Lua.
---@param text string
---@return boolean
function M.compiles(text)
  return compile(text, "=stdin", {}) ~= nil
end

local function is_sql(text)
  local word, after = text:match("^%s*(%a+)(.*)$")
  if not word or not sql_words[word:lower()] then return false end
  return after == "" or after:find("^%s*;") ~= nil or after:find("^%s+[^=%s]") ~= nil
end

--- An input as a statement of a script: an expression that is none is printed there.
---@param text string
---@return string
function M.statement(text)
  local expression = text:match("^%s*=(.*)$")
  if not expression and load(text, "=stdin") then return text end
  return ("print(%s)"):format(expression or text)
end

--- The function of a whole file.
---@param text string
---@param path string for messages
---@param scope table
---@return function
function M.script(text, path, scope)
  local source = text:gsub("^#[^\n]*", "")
  local fn, message = load(source, "@" .. path, "t", scope)
  return fn or M.syntax_error(source, path, message)
end

-- A statement of SQL ends with a semicolon that stands in no quotes and no comment.
local function sql_complete(text)
  local rest = text:gsub("%-%-[^\n]*", ""):gsub("/%*.-%*/", "")
  rest = rest:gsub("'[^']*'", ""):gsub('"[^"]*"', ""):gsub("(%$[%w_]*%$).-%1", "")
  return rest:find(";%s*$") ~= nil
end

--- What an input is, and whether it is complete. One that is wrong is complete: running it says what is wrong.
---@param text string
---@param sql boolean whether it may be SQL
---@return "lua"|"sql" kind
---@return boolean complete
function M.kind(text, sql)
  if sql and is_sql(text) then
    local only = text:match("^%s*(%a+)%s*$")
    return "sql", only ~= nil and only:lower() ~= "select" or sql_complete(text)
  end
  local fn, message = compile(text, "=stdin", {})
  return "lua", fn ~= nil or message:find("<eof>", 1, true) == nil
end

-- The column of the word at which Lua's message points ("near 'x'"): of those in the line it is the first that makes
-- the same message when everything behind it is left out.
local function column_of(text, before, line, near, message)
  if near == "<eof>" then return (utf8.len(line) or #line) + 1 end
  local from, first = 1, nil
  while true do
    local start, stop = line:find(near, from, true)
    if not start then break end
    first = first or start
    local _, shorter = load(text:sub(1, before + stop), "=stdin")
    if shorter and shorter:match(":%d+: (.*)$") == message then
      first = start
      break
    end
    from = start + 1
  end
  return first and (utf8.len(line:sub(1, first - 1)) or first - 1) + 1
end

--- Raises the error of a text that is no Lua: file, line, column, and the line itself.
function M.syntax_error(text, name, message, first_line)
  local line, words = message:match("^[^\n]-:(%d+): (.*)$")
  line = tonumber(line) or 1
  words = words or message
  local number, before, excerpt = 0, 0, nil
  for each in (text .. "\n"):gmatch("(.-)\r?\n") do
    number = number + 1
    if number == line then
      excerpt = each
      break
    end
    before = before + #each + 1
  end
  local near = words:match(" near '(.*)'$") or words:match(" near (<eof>)$")
  local column = excerpt and near and column_of(text, before, excerpt, near, words)
  if near == "<eof>" then words = words:gsub(" near <eof>$", " at the end of the input") end
  err.raise { code = 221, message = words, file = name, line = line + (first_line or 1) - 1, column = column,
    excerpt = excerpt, syntax = true }
end

--- The function of an input.
---@param text string
---@param name string the file, for messages
---@param scope table
---@param first_line integer|nil the number of the input's first line
---@return function
function M.load(text, name, scope, first_line)
  local padding = ("\n"):rep((first_line or 1) - 1)
  local fn, message = compile(text, "@" .. name, scope)
  if not fn then return M.syntax_error(text, name, message, first_line) end
  if padding == "" then return fn end
  for _, source in ipairs(variants(text)) do
    fn = load(padding .. source, "@" .. name, "t", scope)
    if fn then return fn end
  end
end

return M
