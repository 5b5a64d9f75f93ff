--- Cron expressions of five fields: `minute hour day month weekday`, as crontab(5) has them, with L, W and #.

local calendar = require "jinja.modules.calendar"
local err = require "err"

local M = {}

--- What an expression means: sets of numbers, and days that only a month's calendar tells.
---@class dex.Cron
---@field minutes integer[] sorted
---@field hours integer[] sorted
---@field every_hour boolean all hours
---@field months table<integer, boolean>
---@field text string

local function names(text)
  local list, numbers = {}, {}
  for word in text:gmatch "%S+" do
    list[#list + 1] = word
    numbers[word] = #list
  end
  return list, numbers
end

local month_list, month_numbers = names "jan feb mar apr may jun jul aug sep oct nov dec"
local day_list, day_numbers = names "sun mon tue wed thu fri sat"
for word, number in pairs(day_numbers) do day_numbers[word] = number - 1 end

local fields = {
  { key = "minute", low = 0, high = 59 },
  { key = "hour", low = 0, high = 23 },
  { key = "day", what = "day of the month", low = 1, high = 31 },
  { key = "month", low = 1, high = 12, numbers = month_numbers, names = month_list },
  { key = "weekday", what = "day of the week", low = 0, high = 7, numbers = day_numbers, names = day_list },
}

local shortcuts = { ["@yearly"] = "0 0 1 1 *", ["@annually"] = "0 0 1 1 *", ["@monthly"] = "0 0 1 * *",
  ["@weekly"] = "0 0 * * 0", ["@daily"] = "0 0 * * *", ["@midnight"] = "0 0 * * *", ["@hourly"] = "0 * * * *" }

-- What is raised inside, with the place in the expression.
local function bad(at, message, hint) error({ cron = true, at = at, message = message, hint = hint }, 0) end

local function what(field) return field.what or field.key end

local function number_of(field, text, at)
  local n = math.tointeger(tonumber(text:match "^%d+$"))
  if not n and field.numbers then
    n = field.numbers[text:lower()]
    if not n and text:find "^%a+$" then
      bad(at, ("%s is no %s"):format(text, what(field)), err.did_you_mean(text:lower(), field.names)
        or ("they are %s"):format(table.concat(field.names, " ")))
    end
  end
  if not n then
    bad(at, text == "" and ("a %s is missing here"):format(what(field)) or ("'%s' is no %s"):format(text, what(field)))
  end
  if n < field.low or n > field.high then
    bad(at, ("%d is no %s: it is from %d to %d"):format(n, what(field), field.low, field.high))
  end
  return n
end

-- L, LW, L-3 and 15W of days; 5L and 5#2 of weekdays. Gives whether it was one.
local function special(field, text, at, found)
  local upper = text:upper()
  if field.key == "day" then
    if upper == "L" then found.last[#found.last + 1] = 0 return true end
    if upper == "LW" or upper == "WL" then found.last_workday = true return true end
    local before = upper:match "^L%-(%d+)$"
    if before then
      local n = math.tointeger(tonumber(before))
      if n > 27 then bad(at + 2, ("L-%d: some months have no %d days before their last one"):format(n, n)) end
      found.last[#found.last + 1] = n
      return true
    end
    local near = upper:match "^(%d+)W$"
    if near then
      found.near[#found.near + 1] = number_of(field, near, at)
      return true
    end
  elseif field.key == "weekday" then
    if upper == "L" then bad(at, "L is no day of the week", "the last Friday of a month is 5L or friL") end
    local name, nth = text:match "^(%w+)#(.*)$"
    if name then
      local n = math.tointeger(tonumber(nth))
      if not n or n < 1 or n > 5 then bad(at + #name + 1, ("'%s': a month has 1 to 5 of a weekday"):format(nth)) end
      found.nth[#found.nth + 1] = { weekday = number_of(field, name, at) % 7, n = n }
      return true
    end
    local last = text:match "^(%w+)[lL]$"
    if last and (last:find "^%d$" or day_numbers[last:lower()]) then
      found.nth[#found.nth + 1] = { weekday = number_of(field, last, at) % 7, n = 0 }
      return true
    end
  end
  return false
end

-- One item of a list: `*`, `5`, `1-5`, each with a step behind `/`.
local function range(field, text, at, found)
  local body, step = text:match "^([^/]*)/(.*)$"
  local size = field.high - field.low + 1
  if step then
    local n = math.tointeger(tonumber(step:match "^%d+$"))
    if not n or n == 0 then
      bad(at + #body + 1, ("'%s' is no step: it is a number above 0"):format(step))
    end
    if n >= size then bad(at + #body + 1, ("a step of %d is longer than all of the %ss"):format(n, field.key)) end
    step = n
  end
  body = body or text
  local from, to
  if body == "*" or body == "?" and (field.key == "day" or field.key == "weekday") then
    from, to = field.low, field.key == "weekday" and 6 or field.high
  else
    local first, dash, last = body:match "^([^-]*)(%-?)(.*)$"
    from = number_of(field, first, at)
    to = from
    if dash ~= "" then
      to = number_of(field, last, at + #first + 1)
      if field.key == "weekday" and to == 0 and from > 0 then to = 7 end
    elseif step then
      to = field.key == "weekday" and 6 or field.high
    end
    if to < from then
      bad(at, ("%s ends before it begins"):format(body), ("write %s-%d,%d-%s"):format(first,
        field.key == "weekday" and 6 or field.high, field.low, last))
    end
  end
  for n = from, to, step or 1 do found.set[field.key == "weekday" and n % 7 or n] = true end
end

local function read_field(field, text, at)
  local found = { set = {}, last = {}, near = {}, nth = {}, star = text:find "^[*?]" ~= nil }
  local pos = 1
  while true do
    local comma = text:find(",", pos, true)
    local item = text:sub(pos, (comma or 0) - 1)
    if item == "" then bad(at + pos - 1, ("a %s is missing here"):format(what(field))) end
    if not special(field, item, at + pos - 1, found) then range(field, item, at + pos - 1, found) end
    if not comma then return found end
    pos = comma + 1
  end
end

local function sorted(set)
  local list = {}
  for n in pairs(set) do list[#list + 1] = n end
  table.sort(list)
  return list
end

local Cron = {}
Cron.__index = Cron

local longest = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

-- Days that no month of the expression has: 31 2.
local function check_possible(cron, at)
  local days = cron.day
  if not cron.by_day or #days.last + #days.near > 0 or days.last_workday then return end
  if cron.by_weekday and not cron.both then return end
  local first
  for day in pairs(days.set) do
    first = math.min(first or day, day)
    for month in pairs(cron.months) do
      if day <= longest[month] then return end
    end
  end
  local named = {}
  for _, month in ipairs(sorted(cron.months)) do named[#named + 1] = month_list[month] end
  bad(at, ("there is no day %d in %s: it would never run"):format(first, table.concat(named, " and ")))
end

local function parse(text)
  local words, places = {}, {}
  local expression = shortcuts[text:match "^%s*(@%a+)%s*$" or ""]
  if not expression and text:find "^%s*@" then
    local at = text:find "@"
    local shortcut = text:sub(at):match "^%S+"
    if shortcut == "@reboot" then bad(at, "@reboot is no time: a schedule is one") end
    local known = {}
    for word in pairs(shortcuts) do known[#known + 1] = word end
    table.sort(known)
    bad(at, ("there is no %s"):format(shortcut), err.did_you_mean(shortcut, known) or table.concat(known, " "))
  end
  for at, word in (expression or text):gmatch "()(%S+)" do
    words[#words + 1], places[#places + 1] = word, at
  end
  if #words ~= 5 then
    bad(#words > 5 and places[6] or #text:gsub("%s+$", "") + 1, ("it has %d field%s, not five"):format(#words,
      #words == 1 and "" or "s"), #words == 6 and "the first field is the minute: seconds are none of cron's"
      or "they are minute, hour, day of the month, month and day of the week")
  end
  local parts = {}
  for i, field in ipairs(fields) do parts[i] = read_field(field, words[i], places[i]) end
  local day, weekday = parts[3], parts[5]
  local cron = setmetatable({ text = text, minutes = sorted(parts[1].set), hours = sorted(parts[2].set),
    months = parts[4].set, day = day, weekday = weekday, both = day.star or weekday.star,
    by_day = words[3] ~= "*" and words[3] ~= "?", by_weekday = words[5] ~= "*" and words[5] ~= "?" }, Cron)
  cron.every_hour = #cron.hours == 24
  check_possible(cron, places[3])
  return cron
end

--- Reads an expression, or one of @yearly, @monthly, @weekly, @daily and @hourly.
---@param text string
---@return dex.Cron|nil
---@return {at: integer, message: string, hint: string|nil}|nil what is wrong, and the character where
function M.parse(text)
  local ok, result = pcall(parse, text)
  if ok then return result end
  if type(result) ~= "table" or not result.cron then error(result, 0) end
  return nil, result
end

local function is_workday(year, month, day) return calendar.weekday(year, month, day) < 5 end

-- The day from Monday to Friday that is nearest to one, in the same month.
local function nearest_workday(year, month, day)
  local length = calendar.days_in(year, month)
  for _, delta in ipairs { 0, -1, 1, -2, 2 } do
    local candidate = day + delta
    if candidate >= 1 and candidate <= length and is_workday(year, month, candidate) then return candidate end
  end
end

local function is_day(self, year, month, day)
  local found, length = self.day, calendar.days_in(year, month)
  if found.set[day] then return true end
  for _, before in ipairs(found.last) do
    if day == length - before then return true end
  end
  if found.last_workday and day == nearest_workday(year, month, length) then return true end
  for _, wanted in ipairs(found.near) do
    if wanted <= length and day == nearest_workday(year, month, wanted) then return true end
  end
  return false
end

local function is_weekday(self, year, month, day)
  local weekday = (calendar.weekday(year, month, day) + 1) % 7 -- 0 for Sunday
  if self.weekday.set[weekday] then return true end
  for _, nth in ipairs(self.weekday.nth) do
    if nth.weekday == weekday then
      if nth.n == 0 and day + 7 > calendar.days_in(year, month) then return true end
      if nth.n > 0 and (day + 6) // 7 == nth.n then return true end
    end
  end
  return false
end

--- Whether it runs on a day. When days of the month and of the week are both given, either is enough, unless one of
--- them begins with `*`: the rule of crontab(5).
---@return boolean
function Cron:on(year, month, day)
  if not self.months[month] then return false end
  local by_day = not self.by_day or is_day(self, year, month, day)
  local by_weekday = not self.by_weekday or is_weekday(self, year, month, day)
  if self.both then return by_day and by_weekday end
  return by_day or by_weekday
end

return M
