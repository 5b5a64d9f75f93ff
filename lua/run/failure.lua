--- Turns what went wrong in a node into the error that a person reads: which node, the line of the model
-- rather than of the SQL that was sent, and dbt's words for the artifacts.

local err = require "err"
local fs = require "dex.fs"
local grants = require "run.grants"
local source_line = require "run.source_line"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Where a node's SQL begins and ends in a statement that wraps it, in bytes; nil when it is not there as it is.
local function find_compiled(statement, compiled)
  if not compiled then return nil end
  for _, pattern in ipairs { "^%s*(.-)%s*$", "^%s*(.-)[%s;]*$" } do -- a materialization may cut semicolons off
    local text = compiled:match(pattern)
    local from = text ~= "" and statement:find(text, 1, true)
    if from then return from, from + #text - 1, text end
  end
end

-- The part of a compiled text that came from another node: an ephemeral model's common table expression.
local function find_ephemeral(project, node, compiled, offset)
  for _, cte in ipairs(opt(node.extra_ctes) or {}) do
    local text = opt(cte.sql)
    local from = text and compiled:find(text, 1, true)
    if from and offset >= from and offset < from + #text then
      return project.nodes[cte.id], text, offset - from + 1
    end
  end
end

-- Characters up to a byte offset, from 1.
local function character(text, offset)
  return (utf8.len(text:sub(1, offset - 1)) or offset - 1) + 1
end

local function point_into(e, info, compiled, position)
  local ok, source = pcall(fs.read, info.file)
  if not ok then return end
  local line, column = source_line.map(source, compiled, position)
  if not line then return end
  if column then column = character(source_line.text(source, line), column) end -- from bytes
  e.file, e.line, e.column = info.file, line, column
end

-- What came up in a macro of the standard library is told at the line of the user's that led there.
local function lift(e)
  local function is_own(file) return file ~= nil and not file:find("^stdlib/") end
  if not e.file or is_own(e.file) then return end
  for i, frame in ipairs(e.stack or {}) do
    if is_own(frame.file) then
      e.file, e.line, e.column, e.excerpt, e.source = frame.file, frame.line, frame.column, nil, nil
      e.stack = frame.name and table.move(e.stack, i, #e.stack, 1, {}) or nil
      if e.sql and e.position and not e.message:find("\nLINE ", 1, true) then
        e.message = e.message .. M.excerpt(e.sql, e.position)
      end
      return
    end
  end
end

-- What is wrong with the node's own SQL, where PostgreSQL's words do not say it.
local function hint_of(node, e)
  if e.sqlstate ~= "42601" then return nil end
  if grants.is_empty(opt(node.compiled_code) or "") then
    return ("%s %s renders to no SQL"):format(node.resource_type, node.name)
  end
  if e.message:find 'at or near ";"' then return "a model is one query, without a semicolon at its end" end
end

--- Finds the source line of a database error: sets e.file, e.line and e.column as far as they are known.
---@param run table
---@param node table
---@param e dex.Error with sql and position
function M.locate(run, node, e)
  local info = run.project.info[node.unique_id] or {}
  lift(e)
  if not e.file and not fs.isdir(info.file or "") then e.file = info.file end -- --inline is in no file
  local kind = node.resource_type
  if kind == "test" and opt(node.test_metadata) then
    if e.file == info.file or e.file == info.display then
      -- its template is made by the engine: the user's own is where the test is declared
      e.file, e.line, e.column, e.excerpt, e.source = info.file, info.line, nil, nil, nil
    end
    return
  end
  if kind == "unit_test" and (e.sql or not e.line) then
    e.file, e.line = info.file, e.line or info.line
    return
  end
  if node.resource_type == "unit_test" then return end
  if not e.sql or not e.position then return end
  local _, _, offset = source_line.locate(e.sql, e.position)
  local from, to, compiled = find_compiled(e.sql, opt(node.compiled_code))
  if not from or offset < from or offset > to + 1 then return end
  offset = offset - from + 1
  local other, text, within = find_ephemeral(run.project, node, compiled, offset)
  if other then
    point_into(e, run.project.info[other.unique_id], text, character(text, within))
  else
    point_into(e, info, compiled, character(compiled, offset))
  end
end

--- "LINE 3: ..." with a caret below, as psql shows an error; "" when it would not fit.
---@param sql string
---@param position integer
---@return string
function M.excerpt(sql, position)
  local line, column = source_line.locate(sql, position)
  local n = 0
  for text in (sql .. "\n"):gmatch("(.-)\n") do
    n = n + 1
    if n == line then
      if #text > 200 then return "" end
      local head = ("LINE %d: "):format(line)
      local before = utf8.len(text:sub(1, column - 1)) or column - 1
      return ("\n%s%s\n%s^"):format(head, text, (" "):rep(#head + before))
    end
  end
  return ""
end

local function kind_of_error(e)
  local code = e.code or 900
  if code >= 400 and code < 500 then return "Database Error" end
  if code >= 500 and code < 600 then return e.sqlstate and "Database Error" or "Hook Error" end
  if code >= 200 and code < 300 then return "Compilation Error" end
  return "Runtime Error"
end

--- dbt's message for run_results.json: what kind of error, in which node, the words, the compiled file.
---@param node table
---@param e dex.Error
---@return string
function M.message(node, e)
  local lines = { ("%s in %s %s (%s)"):format(kind_of_error(e), node.resource_type, node.name,
    node.original_file_path) }
  local text = tostring(e.message)
  if e.sql and e.position and not text:find("\nLINE ", 1, true) then text = text .. M.excerpt(e.sql, e.position) end
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = "  " .. line end
  if e.detail and e.detail ~= "" then lines[#lines + 1] = "  DETAIL:  " .. e.detail end
  if e.hint and e.hint ~= "" and e.sqlstate then lines[#lines + 1] = "  HINT:  " .. e.hint end
  if e.compiled_path then lines[#lines + 1] = "  compiled code at " .. e.compiled_path end
  return table.concat(lines, "\n")
end

--- Any caught value as the error of a node: with the node, the place in its file, and masked.
---@param run table
---@param node table
---@param e any
---@param phase string
---@return dex.Error
function M.of_node(run, node, e, phase)
  local known = err.is(e)
  e = err.wrap(e, { node = node.unique_id, phase = phase })
  if not known then e.message = tostring(e.message) end
  e.message = run.mask(tostring(e.message))
  if e.detail then e.detail = run.mask(e.detail) end
  if (e.code or 0) < 500 or e.code >= 900 then
    M.locate(run, node, e)
    e.hint = e.hint or hint_of(node, e)
  end
  if e.sql and e.position and not e.line and not e.message:find("\nLINE ", 1, true) then
    e.message = e.message .. M.excerpt(run.mask(e.sql), e.position)
  end
  e.compiled_path = e.compiled_path or opt(node.compiled_path) or opt(node.build_path)
  return e
end

return M
