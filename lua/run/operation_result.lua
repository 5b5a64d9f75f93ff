--- What is kept of an operation's run: the one place that makes the record which run_results.json, and whoever keeps a
-- history, take.

local secrets = require "run.secrets"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The most rows of a result set, and lines of the log, that a record keeps.
M.MOST_ROWS, M.MOST_LINES = 1000, 2000

-- While it runs -----------------------------------------------------------------------------------------

--- A view of a run that hides more secrets than the run does.
---@param run table lua/run/init.lua's
---@param hidden string[]
---@return table
function M.hiding(run, hidden)
  local view = setmetatable({}, { __index = run })
  if #hidden > 0 then
    local hide = secrets.of(hidden)
    view.mask = function(text) return hide(run.mask(text)) end
    view.log = function(_, level, text) return run:log(level, view.mask(text)) end
  end
  return view
end

--- The same for an operation's state, which remembers what is logged as well.
---@param run table
---@param state dex.State with `call`
---@return table
function M.recording(run, state)
  local view = M.hiding(run, state.call.secrets)
  local log = { dropped = 0 }
  state.log = log
  view.log = function(_, level, text)
    text = view.mask(text)
    if level ~= "debug" then
      if #log < M.MOST_LINES then log[#log + 1] = text else log.dropped = log.dropped + 1 end
    end
    return run:log(level, text)
  end
  return view
end

-- At its end --------------------------------------------------------------------------------------------

local function cell(result, r, c) return value.or_none(result:text(r, c)) end

-- A result set as it is kept: the texts that the server gave.
local function kept_rows(result)
  local columns, rows = value.list(), value.list()
  for c, column in ipairs(result.columns) do columns[c] = type(column) == "table" and column.name or column end
  for r = 1, math.min(#result, M.MOST_ROWS) do
    local row = value.list()
    for c = 1, #columns do row[c] = cell(result, r, c) end
    rows[r] = row
  end
  return value.dict("columns", columns, "rows", rows, "count", #result)
end

local function log_of(state)
  local list = value.list(table.move(state.log or {}, 1, #(state.log or {}), 1, {}))
  local dropped = state.log and state.log.dropped or 0
  if dropped > 0 then list[#list + 1] = ("... and %d more lines"):format(dropped) end
  return list
end

--- Completes the result of a node that is an operation.
---@param result table of lua/run/node.lua
---@param state dex.State
function M.fill(result, state)
  local outcome, call, mask = state.outcome, state.call, state.run.mask
  result.rows, result.returned = outcome.rows or {}, outcome.returned
  result.compiled_code = outcome.compiled and mask(outcome.compiled) or nil
  result.compiled = outcome.compiled and true or nil
  if result.status == "success" then
    result.message, result.response, result.rows_affected = outcome.response, outcome.response, outcome.affected
    result.adapter_response = outcome.response and { message = outcome.response, rows_affected = outcome.affected }
      or nil
  end
  local rows = value.list()
  for i, one in ipairs(result.rows) do rows[i] = secrets.masked(kept_rows(one), mask) end
  result.operation = value.dict("name", state.info.operation.name, "language", state.info.operation.language,
    "parameters", call and call.shown or value.dict(), "attempts", outcome.attempts or 0,
    "returned", value.or_none(secrets.masked(outcome.returned, mask)), "rows", rows, "log", log_of(state))
  if call then call.result = result end
end

--- What is kept of a result: nil when it is none of an operation.
---@param result table of lua/run/node.lua
---@return table|nil dict name, language, parameters (secrets hidden), attempts, returned, rows (a list of {columns,
---  rows, count}), log (a list of lines)
function M.of(result) return opt(result.operation) end

return M
