--- How old a source is: one query for each, and the thresholds of its `freshness` decide. Sources run like nodes
-- (lua/run/node.lua), and depend on nothing.

local err = require "err"
local jinja = require "jinja"
local statement = require "run.statement"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local seconds_of = { minute = 60, hour = 3600, day = 86400 }

local function is_set(threshold)
  threshold = opt(threshold)
  return threshold ~= nil and opt(threshold.count) ~= nil and opt(threshold.period) ~= nil
end

--- Whether a source says how fresh it has to be.
---@param source table node
---@return boolean
function M.is_checked(source)
  local freshness = opt(source.freshness)
  return freshness ~= nil and (is_set(freshness.warn_after) or is_set(freshness.error_after))
end

--- The list for dex.run.execute: the selected sources that are checked.
---@param project table
---@param selected string[]
---@return table[] nodes {id, kind, deps, weight, node}
function M.plan(project, selected)
  local nodes = {}
  for _, id in ipairs(selected) do
    local source = project.sources[id]
    if source and M.is_checked(source) then
      nodes[#nodes + 1] = { id = id, kind = "source", deps = {}, weight = 1, node = source }
    end
  end
  return nodes
end

local moment = [[
{%- set utc = modules.pytz.utc -%}
{%- set at = v.replace(tzinfo=utc) if v.tzinfo is none else v.astimezone(utc) -%}
{{ at.timestamp() }} {{ at.isoformat() }}]]

-- A point in time as seconds since 1970 and as text; without a zone it is taken for UTC, as in dbt.
local function read_moment(state, v, what)
  local pytype = type(v) == "table" and (getmetatable(v) or {}).__pytype
  if pytype ~= "datetime.datetime" then
    local kind = pytype and pytype:gsub("^datetime%.", "") or require("jinja.runtime").type_name(v)
    err.raise { code = 178, message = ("%s of source '%s' is a %s, and a timestamp is needed"):format(what,
      state.node.name, kind), file = state.info.display, line = state.info.line,
      hint = ("cast it: %s::timestamp"):format(opt(state.node.loaded_at_field) or "loaded_at") }
  end
  local seconds, text = jinja.render(moment, { v = v, modules = state.context.modules }):match("(%S+)%s+(%S+)")
  return { seconds = tonumber(seconds), text = text }
end

local long_ago = { seconds = -62135596800.0, text = "0001-01-01T00:00:00+00:00" }

-- The query's row: when the newest row was loaded, and when that was asked. May wait.
local function ask(state)
  local source, ctx = state.node, state.context
  local query = opt(source.loaded_at_query)
  if query then
    local sql = jinja.render(query, ctx, { file = state.info.display, line = state.info.line })
    return ctx.collect_freshness_custom_sql(ctx.this, sql)
  elseif opt(source.loaded_at_field) then
    return ctx.collect_freshness(ctx.this, source.loaded_at_field, value.or_none(opt(source.freshness.filter)))
  end
  err.raise { code = 178, message = ("the freshness of source '%s.%s' cannot be told: PostgreSQL keeps no time of the "
    .. "last change of a table"):format(source.source_name, source.name), file = state.info.display,
    line = state.info.line, hint = "set `loaded_at_field` or `loaded_at_query`" }
end

local function read(state)
  local ok, found = pcall(ask, state)
  if not ok then
    -- what the database refuses is the source's, not the macro's that asks
    if err.is(found) and found.sqlstate then
      found.file, found.line, found.stack, found.source = state.info.display, state.info.line, nil, nil
      found.column, found.excerpt = nil, nil
    end
    error(found, 0)
  end
  local rows = opt(found) and opt(found.table) and found.table.rows_of or {}
  local row = rows[1]
  if #rows ~= 1 or #row ~= 2 then
    err.raise { code = 178, message = ("the freshness query of source '%s' gave %d rows instead of one of two columns")
      :format(state.node.name, #rows), file = state.info.display, line = state.info.line }
  end
  local loaded, asked = opt(rawget(row, 1)), rawget(row, 2)
  statement.store(state, "main", found.response)
  return loaded == nil and long_ago or read_moment(state, loaded, "max_loaded_at"),
    read_moment(state, asked, "snapshotted_at")
end

local function exceeded(threshold, age)
  return is_set(threshold) and age > threshold.count * seconds_of[threshold.period]
end

-- "3 days" of a number of seconds.
local function span(seconds)
  for _, unit in ipairs { { 86400, "day" }, { 3600, "hour" }, { 60, "minute" }, { 1, "second" } } do
    local n = seconds // unit[1]
    if n >= 1 or unit[1] == 1 then
      n = math.tointeger(n) or n
      return ("%d %s%s"):format(n, unit[2], n == 1 and "" or "s")
    end
  end
end

local function message(loaded, age, threshold, word)
  if loaded == long_ago then return ("no row has a time of loading: %s"):format(word) end
  return ("the newest row is %s old: %s after %d %s%s"):format(span(age), word, threshold.count, threshold.period,
    threshold.count == 1 and "" or "s")
end

--- Asks for the age of the source of a state and sets its outcome: pass, warn or error. May wait.
---@param state table
function M.run(state)
  local outcome, limits = state.outcome, state.node.freshness
  local loaded, asked = read(state)
  local age = math.floor((asked.seconds - loaded.seconds) * 1e6 + 0.5) / 1e6
  outcome.freshness = { max_loaded_at = loaded.text, snapshotted_at = asked.text, age = age }
  if exceeded(limits.error_after, age) then
    outcome.status, outcome.message = "error", message(loaded, age, limits.error_after, "error")
  elseif exceeded(limits.warn_after, age) then
    outcome.status, outcome.message = "warn", message(loaded, age, limits.warn_after, "warn")
  else
    outcome.status = "pass"
  end
end

return M
