--- When a flow runs: `every:` with `at:` and `on:`, or `cron:`, on the clock of a time zone.
--
-- A schedule names times on a clock. Where that is set forward, a time that is left out runs at the first instant after
-- it; where it is set back, a time that comes twice runs at the first of the two. One that names every hour of the day
-- (every: hour, every: 15 minutes, cron with * for the hour) runs whenever the clock shows its minute: in both hours
-- of a doubled one, and not in one that is left out, so that it runs in each hour that really passes.

local calendar = require "jinja.modules.calendar"
local cron = require "flow.cron"
local err = require "err"
local shown = require("flow.reader").shown
local value = require "jinja.value"
local zones = require "flow.zone"

local M = {}

local opt = value.opt
local CODE, ZONE = 614, 615
local DAY, EPOCH, MICRO = 86400, 719163, 1000000
local FURTHEST = 400 * 366 -- days: the calendar repeats itself after 400 years
local NEAR = 36 * 3600

---@class dex.Schedule
---@field rules dex.Cron[]
---@field zone dex.Zone
---@field words string as a person says it, without the zone
---@field line integer
local Schedule = {}
Schedule.__index = Schedule

-- Days ---------------------------------------------------------------------------------------------------

-- The clock's times of a day by one rule, as seconds.
local function clock_times(rule, day, times)
  local year, month, date = calendar.from_ordinal(day + EPOCH)
  if not rule:on(year, month, date) then return end
  for _, hour in ipairs(rule.hours) do
    for _, minute in ipairs(rule.minutes) do
      times[#times + 1] = { day * DAY + hour * 3600 + minute * 60, rule.every_hour }
    end
  end
end

local function unique(list)
  table.sort(list)
  local n = 0
  for _, item in ipairs(list) do
    if item ~= list[n] then
      n = n + 1
      list[n] = item
    end
  end
  for i = #list, n + 1, -1 do list[i] = nil end
  return list
end

-- The instants of a day of the zone's clock, sorted. On days without a change of the clock they lie at one offset.
local function instants_of(self, day)
  local kept = self.days[day]
  if kept then return kept end
  local times = {}
  for _, rule in ipairs(self.rules) do clock_times(rule, day, times) end
  local list = {}
  if #times > 0 then
    local zone, midnight = self.zone, day * DAY
    if #zone:changes(midnight - NEAR, midnight + DAY + NEAR) == 0 then
      local offset = zone:offset(midnight)
      for i, time in ipairs(times) do list[i] = time[1] - offset end
    else
      for _, time in ipairs(times) do
        local first, second, left_out = zone:instants(time[1])
        local always = time[2]
        if not (left_out and always) then list[#list + 1] = first end
        if second and always then list[#list + 1] = second end
      end
    end
    unique(list)
  end
  if self.kept_days > 8 then self.days, self.kept_days = {}, 0 end
  self.days[day], self.kept_days = list, self.kept_days + 1
  return list
end

local function day_of(self, instant)
  return (instant + self.zone:offset(instant)) // DAY
end

-- The first of a sorted list above a number, or the last one that is not.
local function above(list, n)
  local low, high = 1, #list + 1
  while low < high do
    local middle = (low + high) // 2
    if list[middle] > n then high = middle else low = middle + 1 end
  end
  return list[low], list[low - 1]
end

-- The next day, or the previous one, that is in a month of some rule.
local function step(self, day, by)
  day = day + by
  local year, month, date = calendar.from_ordinal(day + EPOCH)
  for _ = 1, 12 do
    for _, rule in ipairs(self.rules) do
      if rule.months[month] then return day end
    end
    if by > 0 then
      day, date, month = day + calendar.days_in(year, month) - date + 1, 1, month + 1
      if month > 12 then year, month = year + 1, 1 end
    else
      day, month = day - date, month - 1
      if month < 1 then year, month = year - 1, 12 end
      date = calendar.days_in(year, month)
    end
  end
  return day
end

--- The first time after an instant, or nil when it never comes.
---@param after integer microseconds since 1970, UTC
---@return integer|nil microseconds
function Schedule:next(after)
  local instant = after // MICRO
  local day = day_of(self, instant)
  -- a change of the clock around midnight mixes the instants of neighbouring days
  local d = day - 2
  while d < day + FURTHEST do
    d = step(self, d, 1)
    local found = above(instants_of(self, d), instant)
    if found then
      local other = above(instants_of(self, d + 1), instant)
      return math.min(found, other or found) * MICRO
    end
  end
end

--- The last time that is not after an instant.
---@param at integer microseconds
---@return integer|nil microseconds
function Schedule:previous(at)
  local instant = at // MICRO
  local day = day_of(self, instant)
  local d = day + 2
  while d > day - FURTHEST do
    d = step(self, d, -1)
    local _, found = above(instants_of(self, d), instant)
    if found then
      local _, other = above(instants_of(self, d - 1), instant)
      return math.max(found, other or found) * MICRO
    end
  end
end

--- The times with a < time <= b, the first ones when there are more than `limit`.
---@param a integer microseconds
---@param b integer
---@param limit? integer
---@return integer[]
function Schedule:between(a, b, limit)
  local found = {}
  while #found < (limit or math.huge) do
    a = self:next(a)
    if not a or a > b then break end
    found[#found + 1] = a
  end
  return found
end

--- The schedule in words, with its zone: "every day at 02:00 (Europe/Berlin)".
---@return string
function Schedule:text() return ("%s (%s)"):format(self.words, self.zone.name) end

--- A time as the zone's clock shows it: "2026-03-29 03:00 CEST".
---@param at integer microseconds
---@return string
function Schedule:clock(at)
  local instant = at // MICRO
  local offset, name = self.zone:offset(instant)
  local clock = instant + offset
  local year, month, day = calendar.from_ordinal(clock // DAY + EPOCH)
  local text = ("%04d-%02d-%02d %02d:%02d"):format(year, month, day, clock % DAY // 3600, clock % 3600 // 60)
  return text .. " " .. (name:find "^%a+$" and name or "UTC" .. calendar.offset_text(offset, true))
end

-- Reading ------------------------------------------------------------------------------------------------

--- The zone that a setting names. Raises 615 with the nearest name.
---@param self dex.FlowReader
---@param name any
---@param container any
---@param key any
---@param what string
---@return dex.Zone
function M.zone(self, name, container, key, what)
  local zone = type(name) == "string" and zones.find(name)
  if zone then return zone end
  local names = zones.names()
  self:fail({ code = ZONE, container = container, key = key, hint = #names == 0
      and "this system has no zone data: install tzdata"
      or type(name) == "string" and err.did_you_mean(name, names) or "zones have names such as Europe/Berlin" },
    ("%s: there is no time zone %s"):format(what, shown(name)))
end

-- Where an expression stands in its line, in characters.
local function column_of(self, line, text)
  if not line or not self.text then return nil end
  local n = 0
  for candidate in (self.text .. "\n"):gmatch "(.-)\r?\n" do
    n = n + 1
    if n == line then
      local at = candidate:find(text, 1, true)
      return at and utf8.len(candidate:sub(1, at - 1))
    end
  end
end

local function cron_rule(self, what, text, container, key)
  if type(text) ~= "string" then
    self:fail({ code = CODE, container = container, key = key },
      ("%s: `cron` must be a text of five fields, not %s"):format(what, shown(text)))
  end
  local rule, wrong = cron.parse(text)
  if rule then return rule end
  local line = self:line(container, key)
  local before = column_of(self, line, text)
  err.raise { code = CODE, message = ("%s: cron '%s': %s"):format(what, text, wrong.message), file = self.file,
    line = line, column = (before or 0) + wrong.at, excerpt = not before and text or nil, hint = wrong.hint }
end

local weekdays = { "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday" }
local nths = { first = "1", second = "2", third = "3", fourth = "4", fifth = "5" }

local function weekday_of(word)
  word = tostring(word):lower()
  for i, name in ipairs(weekdays) do
    if name == word or #word == 3 and name:sub(1, 3) == word then return i, name end
  end
end

local function bad(self, data, key, what, message, hint)
  self:fail({ code = CODE, container = data, key = key, hint = hint }, ("%s: %s"):format(what, message))
end

local function list_of(v)
  v = opt(v)
  if v == nil then return {} end
  return value.is_list(v) and table.move(v, 1, #v, 1, {}) or { v }
end

-- "02:00", "2:00", or the number that YAML makes of 12:30: hour and minute.
local function time_of(v)
  if math.type(v) == "integer" and v >= 60 and v < 1440 then return v // 60, v % 60 end
  local hour, minute = tostring(v):match "^%s*(%d%d?):(%d%d)%s*$"
  hour, minute = math.tointeger(tonumber(hour)), math.tointeger(tonumber(minute))
  if hour and hour < 24 and minute < 60 then return hour, minute end
end

-- The times of a day as {minute, hour} texts; an hour needs only minutes.
local function times_of(self, data, what, hourly)
  local found = {}
  for _, v in ipairs(list_of(data.at)) do
    local hour, minute
    if hourly then
      minute = math.tointeger(tonumber(tostring(v):match "^%s*:?(%d%d?)%s*$"))
      if not minute or minute > 59 then
        bad(self, data, "at", what, ("with `every: hour`, `at` is a minute from 0 to 59, not %s"):format(shown(v)))
      end
    else
      hour, minute = time_of(v)
      if not hour then
        bad(self, data, "at", what, ("`at` is a time such as \"02:00\", not %s"):format(shown(v)))
      end
    end
    found[#found + 1] = { minute = minute, hour = hour }
  end
  if #found == 0 then found[1] = { minute = 0, hour = 0 } end
  return found
end

local days_of = {}

function days_of.week(self, data, what)
  local numbers, words = {}, {}
  for _, v in ipairs(list_of(data.on)) do
    local number, name = weekday_of(v)
    if not number then
      bad(self, data, "on", what, ("%s is no day of the week"):format(shown(v)),
        err.did_you_mean(tostring(v):lower(), weekdays))
    end
    numbers[#numbers + 1], words[#words + 1] = tostring(number), name
  end
  if #numbers == 0 then numbers[1], words[1] = "1", "monday" end
  return ("* * %s"):format(table.concat(numbers, ",")), words
end

function days_of.month(self, data, what)
  local days, weekday_items, words = {}, {}, {}
  for _, v in ipairs(list_of(data.on)) do
    local text = tostring(v):lower()
    local number = math.tointeger(tonumber(text:match "^%d+$"))
    local nth, name = text:match "^(%a+)%s+(%a+)$"
    local weekday = name and weekday_of(name)
    if number and number >= 1 and number <= 31 then
      days[#days + 1] = text
    elseif text == "last" or text == "last day" then
      days[#days + 1] = "L"
    elseif weekday and nth == "last" then
      weekday_items[#weekday_items + 1] = ("%dL"):format(weekday)
    elseif weekday and nths[nth] then
      weekday_items[#weekday_items + 1] = ("%d#%s"):format(weekday, nths[nth])
    else
      bad(self, data, "on", what, ("%s is no day of a month: it is a number, last, first monday, last friday, ..."
        ):format(shown(v)))
    end
    words[#words + 1] = text
  end
  if #words == 0 then days[1], words[1] = "1", "1" end
  return ("%s * %s"):format(#days > 0 and table.concat(days, ",") or "*",
    #weekday_items > 0 and table.concat(weekday_items, ",") or "*"), words
end

function days_of.year(self, data, what)
  local v = opt(data.on) or "01-01"
  local month, day = tostring(v):match "^(%d%d?)%-(%d%d?)$"
  month, day = math.tointeger(tonumber(month)), math.tointeger(tonumber(day))
  if not month or month < 1 or month > 12 or day < 1 or day > calendar.days_in(2000, month) then
    bad(self, data, "on", what, ("%s is no day of a year: it is such as \"03-31\""):format(shown(v)))
  end
  return ("%d %d *"):format(day, month), { ("%02d-%02d"):format(month, day) }
end

local periods = { "minute", "hour", "day", "weekday", "week", "month", "year" }
-- How many there are in what is the next larger, cron for a step, what they are called, cron for all of them.
local steps = { m = { 60, "*/%d * * * *", "minute", "0 * * * *" }, h = { 24, "0 */%d * * *", "hour", "0 0 * * *" } }
local units = { m = "m", min = "m", minute = "m", minutes = "m", h = "h", hour = "h", hours = "h" }

-- `every: 15 minutes`, `every: 6h`: steps that divide an hour or a day, from its beginning.
local function step_of(self, data, what, text)
  local number, unit = tostring(text):match "^%s*(%d+)%s*(%a+)%s*$"
  local span = unit and steps[units[unit:lower()]]
  if not span then
    bad(self, data, "every", what, ("`every` is %s or a span such as 15 minutes, not %s"):format(
      table.concat(periods, ", "), shown(text)), err.did_you_mean(tostring(text), periods))
  end
  local n = math.tointeger(tonumber(number))
  if n < 1 or span[1] % n ~= 0 then
    bad(self, data, "every", what, ("every %d %ss: %d is no part of the %d %ss, so the last step would be shorter"
      ):format(n, span[3], n, span[1], span[3]), "`cron` says which minutes and hours are meant")
  end
  if opt(data.at) ~= nil or opt(data.on) ~= nil then
    bad(self, data, opt(data.at) ~= nil and "at" or "on", what, "a span takes neither `at` nor `on`")
  end
  local expression = n == span[1] and span[4] or span[2]:format(n)
  return { assert(cron.parse(expression)) }, ("every %d %s%s"):format(n, span[3], n == 1 and "" or "s")
end

local function clock_words(times)
  local words = {}
  for i, time in ipairs(times) do words[i] = ("%02d:%02d"):format(time.hour, time.minute) end
  return table.concat(words, ", ")
end

local function every_rules(self, data, what)
  local every = opt(data.every)
  local known = {}
  for _, period in ipairs(periods) do known[period] = true end
  if not known[every] then return step_of(self, data, what, every) end
  if opt(data.on) ~= nil and not days_of[every] then
    bad(self, data, "on", what, ("`every: %s` takes no `on`"):format(every))
  end
  if every == "minute" then
    if opt(data.at) ~= nil then bad(self, data, "at", what, "`every: minute` takes no `at`") end
    return { assert(cron.parse "* * * * *") }, "every minute"
  end
  local rules = {}
  if every == "hour" then
    local minutes = {}
    for i, time in ipairs(times_of(self, data, what, true)) do
      rules[i] = assert(cron.parse(("%d * * * *"):format(time.minute)))
      minutes[i] = (":%02d"):format(time.minute)
    end
    return rules, "every hour at " .. table.concat(minutes, ", ")
  end
  local days, words = every == "weekday" and "* * 1-5" or "* * *", nil
  if days_of[every] then days, words = days_of[every](self, data, what) end
  local times = times_of(self, data, what)
  for i, time in ipairs(times) do
    local rule, wrong = cron.parse(("%d %d %s"):format(time.minute, time.hour, days))
    if not rule then bad(self, data, "on", what, wrong.message) end
    rules[i] = rule
  end
  return rules, ("every %s%s at %s"):format(every, words and " on " .. table.concat(words, ", ") or "",
    clock_words(times))
end

local function rules_of(self, given, what, container, key)
  if type(given) == "string" then return { cron_rule(self, what, given, container, key) }, given end
  given = self:check(given, { every = "any", at = "any", on = "any", cron = "any", time_zone = "text" },
    { what = what, code = CODE, container = container, key = key, hints = { timezone = "did you mean 'time_zone'?" } })
  local every, text = opt(given.every), opt(given.cron)
  if every ~= nil and text ~= nil then bad(self, given, "cron", what, "it is `every` or `cron`, not both") end
  if text ~= nil then
    for _, other in ipairs { "at", "on" } do
      if opt(given[other]) ~= nil then bad(self, given, other, what, ("`cron` takes no `%s`"):format(other)) end
    end
    return { cron_rule(self, what, text, given, "cron") }, "cron " .. text
  end
  if every == nil then bad(self, given, nil, what, "it needs `every` or `cron`") end
  return every_rules(self, given, what)
end

--- Reads the schedule of a flow: a text (cron), a mapping, or a list of them, which runs at the times of each. Raises
--- 614 and 615.
---@param self dex.FlowReader
---@param flow dex.Flow
---@param data table dict of the flow
---@param default dex.Zone|nil
---@return dex.Schedule|nil
function M.read(self, flow, data, default)
  local given = opt(data.schedule)
  local name = opt(data.time_zone)
  local zone = name ~= nil and M.zone(self, name, data, "time_zone", flow.what) or default or zones.find "UTC"
  if given == nil then return nil end
  local what = flow.what .. ": `schedule`"
  local rules, words = {}, {}
  for i, item in ipairs(value.is_list(given) and given or { given }) do
    local container, key = data, "schedule"
    if value.is_list(given) then container, key = given, i end
    local own = value.is_dict(item) and opt(item.time_zone)
    if own and value.is_list(given) then
      bad(self, item, "time_zone", what, "the times of a list are all of one zone: it stands beside `schedule`")
    elseif own then
      zone = M.zone(self, own, item, "time_zone", what)
    end
    local more, said = rules_of(self, item, what, container, key)
    table.move(more, 1, #more, #rules + 1, rules)
    words[#words + 1] = said
  end
  if #rules == 0 then bad(self, data, "schedule", what, "it is an empty list") end
  return M.new(rules, zone, table.concat(words, "; "), self:line(data, "schedule") or flow.line)
end

--- A schedule of rules, such as cron.parse gives.
---@param rules dex.Cron[]
---@param zone dex.Zone
---@param words string
---@param line? integer
---@return dex.Schedule
function M.new(rules, zone, words, line)
  return setmetatable({ rules = rules, zone = zone, words = words, line = line, days = {}, kept_days = 0 }, Schedule)
end

return M
