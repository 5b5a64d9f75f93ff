--- --sample: ref() and source() give the rows of a span of time only, of inputs that say which column tells it
-- (`event_time`). The span ends now, as '3 days', or is given, as '{start: 2024-01-01, end: 2024-02-01}'.

local batches = require "run.batches"
local calendar = require "jinja.modules.calendar"
local err = require "err"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

--- A span as SQL has it: two times in UTC, which are in their order as texts, too.
---@class dex.Sample
---@field from string
---@field to string

local function bad(text)
  err.raise { code = 101, message = ("--sample '%s' is no span of time"):format(text),
    hint = "such as '3 days' (hours, days, months, years), or '{start: 2024-01-01, end: 2024-02-01}' in UTC" }
end

-- Months before a time: the same day, or the last one of a shorter month.
local function months_before(iso, count)
  local y, m, d, rest = iso:match("^(%d+)%-(%d+)%-(%d+)(.*)$")
  local months = math.tointeger(y) * 12 + math.tointeger(m) - 1 - count
  y, m = months // 12, months % 12 + 1
  return ("%04d-%02d-%02d%s"):format(y, m, math.min(math.tointeger(d), calendar.days_in(y, m)), rest)
end

local function as_sql(iso) return (iso:gsub("T", " "):gsub("Z$", "+00:00")) end

local function relative(text, now)
  local count, unit = text:match("^(%d+) (%a+)$")
  count = math.tointeger(tonumber(count))
  unit = unit and unit:lower():gsub("s$", "")
  if not count then bad(text) end
  local from
  if unit == "hour" or unit == "day" then
    from = time.iso(now - count * (unit == "day" and 86400 or 3600))
  elseif unit == "month" or unit == "year" then
    from = months_before(time.iso(now), count * (unit == "year" and 12 or 1))
  else
    bad(text)
  end
  return { from = as_sql(from), to = as_sql(time.iso(now)) }
end

local function moment(v, text)
  local moment_text = tostring(value.or_none(v))
  if v == nil or not batches.parse(moment_text) then bad(text) end
  local date, clock = moment_text:match("^%s*(%d+%-%d+%-%d+)[T ]?([%d:.]*)")
  local h, m, s = clock:match("^(%d*):?(%d*):?([%d.]*)$")
  local second, fraction = (s or ""):match("^(%d*)%.?(%d*)$")
  return ("%s %02d:%02d:%02d%s+00:00"):format(date, tonumber(h) or 0, tonumber(m) or 0, tonumber(second) or 0,
    fraction ~= "" and ("." .. fraction) or "")
end

--- Reads the option.
---@param text string|nil
---@param now number seconds since 1970
---@return dex.Sample|nil nil without the option
function M.parse(text, now)
  if text == nil then return nil end
  if not text:find("^%s*{") then return relative(text, now) end
  local given = require("command.meta").yaml_argument("--sample", text)
  local sample = { from = moment(value.opt(given.start), text), to = moment(value.opt(given["end"]), text) }
  if sample.from >= sample.to then bad(text) end
  return sample
end

--- The range of a microbatch model's batches under --sample.
---@param range table of batches.range
---@param sample dex.Sample|nil
---@return table range
function M.narrow(range, sample)
  if not sample then return range end
  return { now = range.now, start = batches.parse(sample.from), finish = batches.parse(sample.to) }
end

return M
