--- Statements that templates send, and their results: what `statement`, `run_query`, `load_result` and
-- `adapter.execute` are made of. All of them run on the connection of the state.

local err = require "err"
local object = require "run.object"
local query_comment = require "run.query_comment"
local tables = require "run.table"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

-- Responses --------------------------------------------------------------------------------------

--- What the server said of a statement: dbt's AdapterResponse. Prints its message.
---@class dex.Response
---@field message string the command tag, "SELECT 5"
---@field code string the tag without its numbers
---@field rows_affected integer -1 when the server gave no number
local Response = { __name = "dex.response" }

local function raw(name) return function(response) return rawget(response, name) end end

object.class(Response, {
  _message = raw "message", message = raw "message", code = raw "code", rows_affected = raw "rows_affected",
  query_id = function() return nil end,
}, object.methods {
  ["to_dict(omit_none=false)"] = function(response)
    return value.dict("_message", value.or_none(rawget(response, "message")), "code",
      value.or_none(rawget(response, "code")), "rows_affected", value.or_none(rawget(response, "rows_affected")))
  end,
})
Response.__tostring = function(response) return tostring(rawget(response, "message")) end

--- Makes a response.
---@param message string|nil
---@param code string|nil
---@param rows integer|nil
---@return dex.Response
function M.new_response(message, code, rows)
  return setmetatable({ message = message, code = code, rows_affected = rows }, Response)
end

--- The response for a result of the database: of its last statement.
---@param result userdata
---@return dex.Response
function M.response(result)
  local all = result.all
  local last = all and all[#all] or result
  local tag = last.status or ""
  local code = tag:gsub("%f[%w]%d+%f[%W]", ""):gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")
  return M.new_response(tag, code, last.affected or -1)
end

-- Results by name --------------------------------------------------------------------------------

--- What load_result gives: response, table, and data, its rows as a matrix.
local Result = { __name = "dex.result" }
object.class(Result, {
  response = raw "response",
  table = raw "table",
  data = function(result)
    local data = rawget(result, "matrix")
    if not data then
      data = tables.matrix(rawget(result, "table"))
      rawset(result, "matrix", data)
    end
    return data
  end,
}, object.methods {
  ["get(key, default=none)"] = function(result, key, default)
    if key == "response" or key == "table" or key == "data" then return result[key] end
    return default
  end,
})

--- Keeps the result of a statement under a name.
---@param state table
---@param name string
---@param response any
---@param result_table? dex.Table
function M.store(state, name, response, result_table)
  local statements = state.statements
  if not statements then
    statements = {}
    state.statements = statements
  end
  statements[name] = setmetatable({ response = response, table = opt(result_table) or tables.empty() }, Result)
end

--- Takes a result: each but 'main' can be taken once. none when there never was one.
function M.load(state, name)
  local statements = state.statements
  local found = statements and statements[name]
  if found == nil then return none end
  if found == false then
    err.raise { code = 238, message = ("the result of statement '%s' has been taken already"):format(tostring(name)),
      hint = "load_result gives a result once: keep it in a variable" }
  end
  if name ~= "main" then statements[name] = false end
  return found
end

--- All results by name, dbt's `_sql_results`: none for one that was taken.
---@param state table
---@return table dict
function M.all(state)
  local names, all = {}, value.dict()
  for name in pairs(state.statements or {}) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do all[name] = state.statements[name] or none end
  return all
end

--- The number of rows that the statement of a name touched, nil when it is not known.
function M.rows(state, name)
  local found = state.statements and state.statements[name]
  local response = found and found.response
  local rows = type(response) == "table" and opt(response.rows_affected)
  return type(rows) == "number" and rows >= 0 and rows or nil
end

-- Sending ----------------------------------------------------------------------------------------

--- Sends SQL on the state's connection. May wait. Raises code 401 when it fails.
---@param state table
---@param sql string
---@param params? any[] values of $1, $2, ...
---@return userdata result
function M.execute(state, sql, params)
  local conn = state.conn
  if not conn then
    err.raise { code = 421, message = "there is no connection to the database at this point",
      hint = "run queries while a node, a hook or an operation runs" }
  end
  local run = state.run
  if run and run.log_sql then run:log_sql(state, sql) end
  if params and #params > 0 then return conn:exec(sql, table.unpack(params)) end
  return query_comment.exec(state, sql)
end

-- "%s" of dbt's bindings -> "$1"; "%%" -> "%".
function M.number_placeholders(sql)
  local n = 0
  local text = sql:gsub("%%(.)", function(c)
    if c == "%" then return "%" end
    if c ~= "s" then return nil end
    n = n + 1
    return "$" .. n
  end)
  return text
end

--- Sends SQL and gives what adapter.execute gives. May wait.
---@param state table
---@param sql string
---@param fetch boolean whether rows are wanted
---@param limit? integer
---@return dex.Response
---@return dex.Table
function M.run(state, sql, fetch, limit)
  local result = M.execute(state, sql)
  local out = state.run and function(text) state.run:log("print", text) end
  return M.response(result), fetch and tables.from_result(result, out, limit) or tables.empty()
end

return M
