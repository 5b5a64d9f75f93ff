--- The batches of a microbatch model: which spans of time a run builds. Times are whole hours since the year 1
-- in UTC, for every batch begins and ends on an hour; what a person wrote may lie between two.

local calendar = require "jinja.modules.calendar"
local err = require "err"

local M = {}

--- The sizes that a batch may have.
M.sizes = { "hour", "day", "month", "year" }

local EPOCH = calendar.ordinal(1970, 1, 1) * 24

--- A moment: the hour that it lies in, and whether it is the beginning of that hour.
---@class dex.Moment
---@field hour integer
---@field whole boolean

--- Reads a date or a time in ISO form. A zone is not looked at, as in dbt.
---@param text string
---@return dex.Moment|nil
function M.parse(text)
  local date, rest = tostring(text):match("^%s*(%d%d%d%d%-%d%d%-%d%d)(.*)$")
  if not date then return nil end
  local y, m, d = date:match("(%d+)-(%d+)-(%d+)")
  y, m, d = math.tointeger(y), math.tointeger(m), math.tointeger(d)
  if m < 1 or m > 12 or d < 1 or d > calendar.days_in(y, m) then return nil end
  local hour, minute, second = rest:match("^[T ](%d%d):?(%d?%d?):?(%d?%d?%.?%d*)[Z%d+:-]*%s*$")
  if not hour and not rest:find("^%s*$") then return nil end
  hour = math.tointeger(hour or "0")
  if hour > 23 then return nil end
  return { hour = calendar.ordinal(y, m, d) * 24 + hour,
    whole = (tonumber(minute) or 0) == 0 and (tonumber(second) or 0) == 0 }
end

--- The moment of a number of seconds since 1970.
function M.at(seconds)
  return { hour = EPOCH + math.floor(seconds / 3600), whole = seconds % 3600 == 0 }
end

local function first_of(year, month) return calendar.ordinal(year, month, 1) * 24 end

--- The beginning of the batch that an hour lies in.
function M.floor(hour, size)
  if size == "hour" then return hour end
  local y, m = calendar.from_ordinal(hour // 24)
  if size == "day" then return hour // 24 * 24 end
  return first_of(y, size == "month" and m or 1)
end

--- The beginning of the batch that lies n batches after that of an hour.
function M.offset(hour, size, n)
  if size == "hour" then return hour + n end
  if size == "day" then return (hour // 24 + n) * 24 end
  local y, m = calendar.from_ordinal(hour // 24)
  if size == "year" then return first_of(y + n, 1) end
  local months = y * 12 + m - 1 + n
  return first_of(months // 12, months % 12 + 1)
end

local function ceiling(moment, size)
  local floor = M.floor(moment.hour, size)
  if floor == moment.hour and moment.whole then return floor end
  return M.offset(floor, size, 1)
end

-- Where a run begins that goes on from earlier ones: `lookback` batches before the one that ends it.
local function start_of(config, range, incremental, finish)
  local size = config.batch_size
  if range.start then return M.floor(range.start.hour, size) end
  if not incremental then return M.floor(config.begin.hour, size) end
  return M.offset(finish, size, -(config.lookback + 1))
end

--- The batches of a run, each from `from` up to, but without, `to`.
---@param config {batch_size: string, lookback: integer, begin: dex.Moment}
---@param range {start: dex.Moment|nil, finish: dex.Moment|nil, now: dex.Moment} what the command line asks for
---@param incremental boolean whether earlier batches are there
---@return {from: integer, to: integer}[]
function M.of(config, range, incremental)
  local size = config.batch_size
  local finish = ceiling(range.finish or range.now, size)
  local from = start_of(config, range, incremental, finish)
  local list = {}
  repeat
    local to = M.offset(from, size, 1)
    list[#list + 1] = { from = from, to = to }
    from = to
  until from >= finish
  list[#list].to = finish
  return list
end

local function fields(hour)
  local y, m, d = calendar.from_ordinal(hour // 24)
  return y, m, d, hour % 24
end

--- An hour as a datetime of templates, in UTC.
function M.datetime(hour)
  local y, m, d, h = fields(hour)
  return require("jinja.modules.datetime").datetime(y, m, d, h, 0, 0, 0, require("jinja.modules.zones").utc)
end

--- An hour as SQL and artifacts have it.
---@param hour integer
---@param separator string " " or "T"
function M.text(hour, separator)
  local y, m, d, h = fields(hour)
  return ("%04d-%02d-%02d%s%02d:00:00+00:00"):format(y, m, d, separator, h)
end

local names = { year = "%04d", month = "%04d-%02d", day = "%04d-%02d-%02d", hour = "%04d-%02d-%02dT%02d" }

--- How a batch is called, such as 2024-09-17.
function M.name(hour, size) return (names[size]:format(fields(hour))) end

--- The span that the command line asks for. Raises code 101 when it is none.
---@param given table options
---@param started_at number seconds since 1970
---@return table range for M.of
function M.range(given, started_at)
  local range = { now = M.at(started_at) }
  for key, option in pairs { start = "event_time_start", finish = "event_time_end" } do
    local text = given[option]
    local shown = "--" .. option:gsub("_", "-")
    if text ~= nil then
      range[key] = M.parse(text)
      if not range[key] then
        err.raise { code = 101, message = ("%s '%s' is no date"):format(shown, text),
          hint = "such as 2024-09-17 or '2024-09-17 12:00:00', in UTC" }
      end
    end
  end
  if (range.start == nil) ~= (range.finish == nil) then
    err.raise { code = 101, message = "--event-time-start and --event-time-end come together",
      hint = range.start and "--event-time-end is missing" or "--event-time-start is missing" }
  end
  if range.start and range.start.hour >= range.finish.hour then
    err.raise { code = 101, message = "--event-time-start must lie before --event-time-end" }
  end
  return range
end

return M
