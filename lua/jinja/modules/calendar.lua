--- Days of the Gregorian calendar, and strftime and strptime as Python has them.

local fault = require "jinja.fault"

local M = {}

local month_days = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local months = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
  "November", "December" }
local weekdays = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" }

function M.is_leap(y) return y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0) end

--- Days of a month.
function M.days_in(y, m)
  return m == 2 and M.is_leap(y) and 29 or month_days[m]
end

--- Python's ordinal: day 1 is 0001-01-01.
function M.ordinal(y, m, d)
  local n = (y - 1) * 365 + (y - 1) // 4 - (y - 1) // 100 + (y - 1) // 400
  for i = 1, m - 1 do n = n + M.days_in(y, i) end
  return n + d
end

--- Year, month and day of an ordinal; raises OverflowError outside of the years 1 to 9999.
function M.from_ordinal(n)
  if n < 1 or n > 3652059 then return fault.raise("OverflowError", "date value out of range") end
  local y = math.max(1, n // 366)
  while M.ordinal(y + 1, 1, 1) <= n do y = y + 1 end
  local m = 1
  local rest = n - M.ordinal(y, 1, 1) + 1
  while rest > M.days_in(y, m) do
    rest = rest - M.days_in(y, m)
    m = m + 1
  end
  return y, m, rest
end

--- 0 for Monday.
function M.weekday(y, m, d) return (M.ordinal(y, m, d) + 6) % 7 end

function M.day_of_year(y, m, d) return M.ordinal(y, m, d) - M.ordinal(y, 1, 1) + 1 end

--- ISO year, week and weekday (1 to 7).
function M.iso(y, m, d)
  local weekday = M.weekday(y, m, d) + 1
  local week = (M.day_of_year(y, m, d) - weekday + 10) // 7
  if week < 1 then
    y = y - 1
    local last = M.ordinal(y, 12, 31) - M.ordinal(y, 1, 1) + 1
    week = (last - (M.weekday(y, 12, 31) + 1) + 10) // 7
  elseif week == 53 and M.weekday(y, 12, 31) < 3 then
    y, week = y + 1, 1
  end
  return y, week, weekday
end

local function two(n) return ("%02d"):format(n) end

-- offset in seconds as +hhmm or +hh:mm
function M.offset_text(seconds, colon)
  local sign = seconds < 0 and "-" or "+"
  local s = math.abs(seconds)
  local text = ("%s%02d%s%02d"):format(sign, s // 3600, colon and ":" or "", s % 3600 // 60)
  if s % 60 ~= 0 then text = text .. (colon and ":" or "") .. two(s % 60) end
  return text
end

local directives = {
  Y = function(t) return tostring(t.year) end,
  y = function(t) return two(t.year % 100) end,
  C = function(t) return two(t.year // 100) end,
  m = function(t) return two(t.month) end,
  d = function(t) return two(t.day) end,
  e = function(t) return ("%2d"):format(t.day) end,
  H = function(t) return two(t.hour) end,
  k = function(t) return ("%2d"):format(t.hour) end,
  I = function(t) return two((t.hour + 11) % 12 + 1) end,
  l = function(t) return ("%2d"):format((t.hour + 11) % 12 + 1) end,
  M = function(t) return two(t.minute) end,
  S = function(t) return two(t.second) end,
  f = function(t) return ("%06d"):format(t.microsecond) end,
  p = function(t) return t.hour < 12 and "AM" or "PM" end,
  P = function(t) return t.hour < 12 and "am" or "pm" end,
  A = function(t) return weekdays[M.weekday(t.year, t.month, t.day) + 1] end,
  a = function(t) return weekdays[M.weekday(t.year, t.month, t.day) + 1]:sub(1, 3) end,
  B = function(t) return months[t.month] end,
  b = function(t) return months[t.month]:sub(1, 3) end,
  h = function(t) return months[t.month]:sub(1, 3) end,
  j = function(t) return ("%03d"):format(M.day_of_year(t.year, t.month, t.day)) end,
  U = function(t)
    return two((M.day_of_year(t.year, t.month, t.day) + 6 - (M.weekday(t.year, t.month, t.day) + 1) % 7) // 7)
  end,
  W = function(t) return two((M.day_of_year(t.year, t.month, t.day) + 6 - M.weekday(t.year, t.month, t.day)) // 7) end,
  w = function(t) return tostring((M.weekday(t.year, t.month, t.day) + 1) % 7) end,
  u = function(t) return tostring(M.weekday(t.year, t.month, t.day) + 1) end,
  G = function(t) return tostring((M.iso(t.year, t.month, t.day))) end,
  g = function(t) return two(M.iso(t.year, t.month, t.day) % 100) end,
  V = function(t) return two((select(2, M.iso(t.year, t.month, t.day)))) end,
  z = function(t) return t.offset and M.offset_text(t.offset) or "" end,
  Z = function(t) return t.zone_name or "" end,
  s = function(t)
    return tostring((M.ordinal(t.year, t.month, t.day) - 719163) * 86400 + t.hour * 3600 + t.minute * 60 + t.second)
  end,
  n = function() return "\n" end,
  t = function() return "\t" end,
  ["%"] = function() return "%" end,
}

local composite = { D = "%m/%d/%y", x = "%m/%d/%y", X = "%H:%M:%S", T = "%H:%M:%S", R = "%H:%M", F = "%Y-%m-%d",
  r = "%I:%M:%S %p", c = "%a %b %e %H:%M:%S %Y" }

--- strftime. `t` has year, month, day, hour, minute, second, microsecond and for aware times offset (seconds) and
--- zone_name.
function M.format(t, spec)
  local out, at = {}, 1
  while true do
    local stop = spec:find("%", at, true)
    if not stop then break end
    out[#out + 1] = spec:sub(at, stop - 1)
    local flag, c = spec:match("^([-_0^#]?)(.)", stop + 1)
    if not c then
      out[#out + 1] = "%"
      at = stop + 1
    else
      at = stop + 2 + #flag
      local text
      if composite[c] then
        text = M.format(t, composite[c])
      elseif directives[c] then
        text = directives[c](t)
      else
        text = "%" .. flag .. c
      end
      if flag == "-" then
        text = text:gsub("^[0 ]+(.)", "%1")
      elseif flag == "_" then
        text = text:gsub("^0+(.)", function(rest) return (" "):rep(#text - #text:gsub("^0+(.)", "%1")) .. rest end)
      elseif flag == "^" then
        text = text:upper()
      end
      out[#out + 1] = text
    end
  end
  out[#out + 1] = spec:sub(at)
  return table.concat(out)
end

-- strptime ---------------------------------------------------------------------------------------

-- most digits of a directive, its field, smallest and largest value
local numbers = { Y = { 4, "year", 0, 9999 }, m = { 2, "month", 1, 12 }, d = { 2, "day", 1, 31 },
  H = { 2, "hour", 0, 23 },
  I = { 2, "hour12", 1, 12 }, M = { 2, "minute", 0, 59 }, S = { 2, "second", 0, 61 }, j = { 3, "yearday", 1, 366 },
  y = { 2, "year2", 0, 99 }, U = { 2, "week_sunday", 0, 53 }, W = { 2, "week_monday", 0, 53 },
  w = { 1, "weekday", 0, 6 },
  u = { 1, "isoweekday", 1, 7 }, G = { 4, "isoyear", 0, 9999 }, V = { 2, "isoweek", 1, 53 } }

local function name_index(s, at, names, short)
  for i, name in ipairs(names) do
    local wanted = short and name:sub(1, 3) or name
    if s:sub(at, at + #wanted - 1):lower() == wanted:lower() then return i, at + #wanted end
  end
end

local parse_fields

local function directive(f, s, at, c)
  local number = numbers[c]
  if number then
    local width, field, low, high = number[1], number[2], number[3], number[4]
    local digits = s:match("^%d+", at)
    if not digits then return nil end
    digits = digits:sub(1, width)
    -- as many digits as give a value in range
    while #digits > 1 and (tonumber(digits) < low or tonumber(digits) > high) do digits = digits:sub(1, -2) end
    local n = math.tointeger(tonumber(digits))
    if n < low or n > high or c == "Y" and #digits ~= 4 or c == "y" and #digits ~= 2 then return nil end
    f[field] = n
    return at + #digits
  end
  local i, after
  if c == "B" or c == "b" then
    i, after = name_index(s, at, months, c == "b")
    f.month = i
  elseif c == "A" or c == "a" then
    i, after = name_index(s, at, weekdays, c == "a")
    f.weekday = i and i % 7
  elseif c == "p" then
    local word = s:sub(at, at + 1):upper()
    if word ~= "AM" and word ~= "PM" then return nil end
    f.pm = word == "PM"
    return at + 2
  elseif c == "f" then
    local digits = s:match("^%d+", at)
    if not digits then return nil end
    digits = digits:sub(1, 6)
    f.microsecond = math.tointeger(tonumber(digits .. ("0"):rep(6 - #digits)))
    return at + #digits
  elseif c == "z" then
    if s:sub(at, at) == "Z" then
      f.offset = 0
      return at + 1
    end
    local sign, h, m, stop = s:match("^([-+])(%d%d):?(%d%d)()", at)
    if not sign then return nil end
    f.offset = (sign == "-" and -1 or 1) * (tonumber(h) * 3600 + tonumber(m) * 60) // 1 | 0
    return stop
  elseif c == "Z" then
    local name, stop = s:match("^(%a+)()", at)
    name = name and name:upper()
    if name ~= "UTC" and name ~= "GMT" then return nil end
    return stop
  elseif c == "%" then
    return s:sub(at, at) == "%" and at + 1 or nil
  elseif composite[c] then
    return parse_fields(f, s, at, composite[c])
  else
    return fault.value(("'%s' is a bad directive in format"):format(c))
  end
  return i and after
end

parse_fields = function(f, s, at, spec)
  local pos = 1
  while pos <= #spec do
    local c = spec:sub(pos, pos)
    if c == "%" then
      local d = spec:sub(pos + 1, pos + 1)
      if d == "" then return fault.value("stray % in format") end
      at = directive(f, s, at, d)
      if not at then return nil end
      pos = pos + 2
    elseif c:find("%s") then
      local stop = s:match("^%s+()", at)
      if not stop then return nil end
      at = stop
      pos = spec:match("^%s+()", pos)
    else
      if s:sub(at, at):lower() ~= c:lower() then return nil end
      at, pos = at + 1, pos + 1
    end
  end
  return at
end

--- strptime: the fields of a text. Raises ValueError.
function M.parse(s, spec)
  local f = {}
  local stop = parse_fields(f, s, 1, spec)
  if not stop then return fault.value(("time data '%s' does not match format '%s'"):format(s, spec)) end
  if stop <= #s then return fault.value("unconverted data remains: " .. s:sub(stop)) end
  if f.year2 then f.year = f.year2 + (f.year2 < 69 and 2000 or 1900) end
  if f.hour12 then f.hour = f.hour12 % 12 + (f.pm and 12 or 0) end
  if f.isoyear and f.isoweek and (f.isoweekday or f.weekday) then
    local weekday = f.isoweekday or (f.weekday == 0 and 7 or f.weekday)
    local first = M.ordinal(f.isoyear, 1, 4)
    local monday = first - (first + 6) % 7
    f.year, f.month, f.day = M.from_ordinal(monday + (f.isoweek - 1) * 7 + weekday - 1)
  end
  f.year = f.year or 1900
  local week = f.week_monday or f.week_sunday
  if week and (f.weekday or f.isoweekday) then
    local weekday = f.weekday or f.isoweekday % 7
    local first = M.weekday(f.year, 1, 1) -- 0 is Monday
    local yearday
    if f.week_monday then
      yearday = 1 - first + week * 7 + (weekday + 6) % 7
      if first == 0 then yearday = yearday - 7 end
    else
      local sunday_first = (first + 1) % 7
      yearday = 1 - sunday_first + week * 7 + weekday
      if sunday_first == 0 then yearday = yearday - 7 end
    end
    f.yearday = yearday
  end
  if f.yearday and not f.month then
    f.year, f.month, f.day = M.from_ordinal(M.ordinal(f.year, 1, 1) + f.yearday - 1)
  end
  f.month, f.day = f.month or 1, f.day or 1
  return f
end

return M
