--- Time zones of schedules, from the system's zone files: what a clock there shows at an instant, when it is changed,
-- and which instants a time on the clock means. Times are whole seconds since 1970: instants in UTC, `clock` seconds as
-- if the clock were one of UTC.

local calendar = require "jinja.modules.calendar"
local files = require "jinja.modules.zones"

local M = {}

local DAY, EPOCH = 86400, 719163 -- the ordinal of 1970-01-01

---@class dex.Zone
---@field name string
local Zone = {}
Zone.__index = Zone

-- POSIX rules --------------------------------------------------------------------------------------------
-- What follows the last change that a zone file lists, such as CET-1CEST,M3.5.0,M10.5.0/3.

local function seconds_of(text)
  local sign, h, m, s = text:match("^([+-]?)(%d+):?(%d*):?(%d*)$")
  local n = tonumber(h) * 3600 + (tonumber(m) or 0) * 60 + (tonumber(s) or 0)
  return math.tointeger(sign == "-" and -n or n)
end

local function take_name(text)
  local name, rest = text:match("^<([^>]+)>(.*)$")
  if name then return name, rest end
  return text:match("^(%a+)(.*)$")
end

local function take_offset(text)
  local offset, rest = text:match("^([+-]?[%d:]+)(.*)$")
  if not offset then return nil, text end
  return -seconds_of(offset), rest
end

-- "M3.5.0/2", "J60", "59": the clock's seconds of a year at which the rule begins.
local function date_rule(text)
  local date, time = text:match("^([^/]+)/?(.*)$")
  local at = time == "" and 7200 or seconds_of(time)
  local month, week, weekday = date:match("^M(%d+)%.(%d+)%.(%d+)$")
  if month then
    month, week, weekday = math.tointeger(tonumber(month)), math.tointeger(tonumber(week)),
      math.tointeger(tonumber(weekday))
    return function(year)
      local first = calendar.ordinal(year, month, 1)
      local day = first + (weekday - first) % 7 + (week - 1) * 7 -- an ordinal is 0 modulo 7 on Sundays
      if day >= first + calendar.days_in(year, month) then day = day - 7 end
      return (day - EPOCH) * DAY + at
    end
  end
  local julian, day = date:match("^(J?)(%d+)$")
  day = math.tointeger(tonumber(day))
  return function(year)
    local n = julian == "J" and day - 1 or day -- J counts without 29 February
    if julian == "J" and calendar.is_leap(year) and day >= 60 then n = n + 1 end
    return (calendar.ordinal(year, 1, 1) - EPOCH + n) * DAY + at
  end
end

-- {standard = kind, saving = kind|nil, begins = fn(year), ends = fn(year)}
local function posix_rule(text)
  local rule = { standard = {}, text = text }
  local rest
  rule.standard.name, rest = take_name(text)
  if not rule.standard.name then return nil end
  rule.standard.offset, rest = take_offset(rest)
  if rest == "" then return rule end
  rule.saving = {}
  rule.saving.name, rest = take_name(rest)
  rule.saving.offset, rest = take_offset(rest)
  rule.saving.offset = rule.saving.offset or rule.standard.offset + 3600
  local begins, ends = rest:match("^,([^,]+),([^,]+)$")
  if not begins then return nil end
  rule.begins, rule.ends = date_rule(begins), date_rule(ends)
  return rule
end

-- The changes of a year by the rule, in their order: {at, kind from then on}.
local function changes_of_year(self, year)
  local known = self.years[year]
  if known then return known end
  local rule = self.rule
  local begin = { at = rule.begins(year) - rule.standard.offset, kind = rule.saving }
  local finish = { at = rule.ends(year) - rule.saving.offset, kind = rule.standard }
  known = begin.at < finish.at and { begin, finish } or { finish, begin }
  self.years[year] = known
  return known
end

local function year_of(seconds)
  return (calendar.from_ordinal(seconds // DAY + EPOCH))
end

local function kind_by_rule(self, instant)
  local rule = self.rule
  if not rule.saving then return rule.standard end
  local year = year_of(instant)
  for y = year, year - 1, -1 do
    local changes = changes_of_year(self, y)
    for i = 2, 1, -1 do
      if changes[i].at <= instant then return changes[i].kind end
    end
  end
  return rule.standard
end

-- Instants -----------------------------------------------------------------------------------------------

-- The last listed change that is not after an instant; 0: it is before all.
local function position(times, instant)
  local low, high = 0, #times
  while low < high do
    local middle = (low + high + 1) // 2
    if times[middle] <= instant then low = middle else high = middle - 1 end
  end
  return low
end

local function kind_at(self, instant)
  local times = self.times
  local at = position(times, instant)
  if at == #times and self.rule then return kind_by_rule(self, instant) end
  return self.kinds[at == 0 and 1 or self.types[at]]
end

--- What the clock there shows more than UTC at an instant, and the name of that.
---@param instant integer
---@return integer seconds
---@return string abbreviation
function Zone:offset(instant)
  local kind = kind_at(self, instant)
  return kind.offset, kind.name
end

--- The changes of the clock with from < instant <= to, in their order. The span is a few days or years.
---@param from integer
---@param to integer
---@return {at: integer, before: integer, after: integer}[] offsets before and after
function Zone:changes(from, to)
  local found = {}
  local function add(at)
    if at <= from or at > to then return end
    local before, after = kind_at(self, at - 1).offset, kind_at(self, at).offset
    if before ~= after then found[#found + 1] = { at = at, before = before, after = after } end
  end
  local times = self.times
  for i = position(times, from) + 1, #times do
    if times[i] > to then break end
    add(times[i])
  end
  local last = times[#times]
  if self.rule and self.rule.saving and (not last or to > last) then
    for year = math.max(1, year_of(math.max(from, last or from)) - 1), math.min(9998, year_of(to) + 1) do
      for _, change in ipairs(changes_of_year(self, year)) do
        if not last or change.at > last then add(change.at) end
      end
    end
  end
  return found
end

local NEAR = 36 * 3600 -- further than any clock is from UTC

--- The instants at which the clock shows a time: one, two when it is set back, or none when it is set forward.
---@param clock integer
---@return integer first, or the first instant after the time that was left out
---@return integer|nil second
---@return boolean|nil left_out
function Zone:instants(clock)
  local changes = self:changes(clock - NEAR, clock + NEAR)
  if #changes == 0 then return clock - self:offset(clock) end
  local found, seen = {}, {}
  local function try(offset)
    local instant = clock - offset
    if not seen[offset] and self:offset(instant) == offset then found[#found + 1] = instant end
    seen[offset] = true
  end
  for _, change in ipairs(changes) do
    try(change.before)
    try(change.after)
  end
  table.sort(found)
  if found[1] then return found[1], found[2] end
  for _, change in ipairs(changes) do
    if change.at + change.before <= clock and clock < change.at + change.after then return change.at, nil, true end
  end
  return clock - changes[#changes].after
end

-- Zones --------------------------------------------------------------------------------------------------

local known = {}

--- The zone of a name such as Europe/Berlin, or nil. UTC is known without any file.
---@param name string
---@return dex.Zone|nil
function M.find(name)
  if known[name] then return known[name] end
  local rules = (name == "UTC" or name == "utc")
    and { times = {}, types = {}, kinds = { { offset = 0, name = "UTC" } } } or files.rules(name)
  if not rules then return nil end
  local zone = setmetatable({ name = name, times = rules.times, types = rules.types, kinds = rules.kinds, years = {},
    rule = rules.footer and posix_rule(rules.footer) or nil }, Zone)
  known[name] = zone
  return zone
end

--- The names of all zones; none when the system has no list of them.
---@return string[]
function M.names()
  local ok, names = pcall(files.names)
  return ok and table.move(names, 1, #names, 1, {}) or {}
end

return M
