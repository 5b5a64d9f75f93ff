--- `modules.datetime`: Python's date, datetime, time, timedelta, tzinfo.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local bigint = require "jinja.bigint"
local calendar = require "jinja.modules.calendar"
local fault = require "jinja.fault"

local none = value.none
local fn = value.fn

local M = value.dict()

local Date = { __name = "dex.date", __pytype = "datetime.date", __methods = {} }
local DateTime = { __name = "dex.datetime", __pytype = "datetime.datetime", __methods = {} }
local Time = { __name = "dex.time", __pytype = "datetime.time", __methods = {} }
local Delta = { __name = "dex.timedelta", __pytype = "datetime.timedelta", __methods = {} }

local DAY = 86400000000 -- microseconds

local function is(x, class) return type(x) == "table" and getmetatable(x) == class end

local function integer(x, what)
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  return fault.type(("%s must be an integer, not %s"):format(what, runtime.type_name(x)))
end

local function within(x, low, high, message)
  if x < low or x > high then return fault.value(message) end
  return x
end

local function check_date(y, m, d)
  within(integer(y, "year"), 1, 9999, ("year %s is out of range"):format(tostring(y)))
  within(integer(m, "month"), 1, 12, "month must be in 1..12")
  within(integer(d, "day"), 1, calendar.days_in(y, m), "day is out of range for month")
end

local function check_time(h, mi, s, us)
  within(integer(h, "hour"), 0, 23, "hour must be in 0..23")
  within(integer(mi, "minute"), 0, 59, "minute must be in 0..59")
  within(integer(s, "second"), 0, 59, "second must be in 0..59")
  within(integer(us, "microsecond"), 0, 999999, "microsecond must be in 0..999999")
end

local function check_zone(tz)
  if tz == nil or tz == none then return nil end
  if type(tz) ~= "table" or not getmetatable(tz) or not getmetatable(tz).is_tzinfo then
    return fault.type(("tzinfo argument must be None or of a tzinfo subclass, not type '%s'")
      :format(runtime.type_name(tz)))
  end
  return tz
end

local function new_date(y, m, d)
  check_date(y, m, d)
  return setmetatable({ year = y, month = m, day = d }, Date)
end

local function new_datetime(y, m, d, h, mi, s, us, tz)
  check_date(y, m, d)
  check_time(h, mi, s, us)
  return setmetatable({ year = y, month = m, day = d, hour = h, minute = mi, second = s, microsecond = us, tz = tz },
    DateTime)
end

local function new_time(h, mi, s, us, tz)
  check_time(h, mi, s, us)
  return setmetatable({ hour = h, minute = mi, second = s, microsecond = us, tz = tz }, Time)
end

-- a timedelta of microseconds
local function delta_of(us)
  if us // DAY > 999999999 or us // DAY < -999999999 then
    return fault.raise("OverflowError", ("days=%d; must have magnitude <= 999999999"):format(us // DAY))
  end
  return setmetatable({ us = us }, Delta)
end

-- local microseconds since 0001-01-01
local function stamp(t)
  local days = calendar.ordinal(t.year, t.month, t.day)
  return days * DAY + (((t.hour or 0) * 60 + (t.minute or 0)) * 60 + (t.second or 0)) * 1000000 + (t.microsecond or 0)
end

local function from_stamp(us, tz)
  local y, m, d = calendar.from_ordinal(us // DAY)
  local rest = us % DAY
  local seconds = rest // 1000000
  return new_datetime(y, m, d, seconds // 3600, seconds % 3600 // 60, seconds % 60, rest % 1000000, tz)
end

local function offset_of(t)
  return t.tz and t.tz.offset
end

local function utc_stamp(t) return stamp(t) - (offset_of(t) or 0) * 1000000 end

local function fields(t)
  return { year = t.year or 1900, month = t.month or 1, day = t.day or 1, hour = t.hour or 0, minute = t.minute or 0,
    second = t.second or 0, microsecond = t.microsecond or 0, offset = offset_of(t), zone_name = t.tz and t.tz.name }
end

local function text_of(x)
  if type(x) == "string" then return x end
  return fault.type(("argument must be str, not %s"):format(runtime.type_name(x)))
end

-- Texts ------------------------------------------------------------------------------------------

local function date_text(t) return ("%04d-%02d-%02d"):format(t.year, t.month, t.day) end

local function time_text(t, spec)
  local s = ("%02d:%02d:%02d"):format(t.hour, t.minute, t.second)
  if spec == "minutes" then
    s = s:sub(1, 5)
  elseif spec == "hours" then
    s = s:sub(1, 2)
  elseif spec == "milliseconds" then
    s = s .. (".%03d"):format(t.microsecond // 1000)
  elseif spec == "microseconds" or (spec == nil or spec == "auto") and t.microsecond ~= 0 then
    s = s .. (".%06d"):format(t.microsecond)
  elseif spec ~= nil and spec ~= "auto" and spec ~= "seconds" then
    return fault.value("Unknown timespec value")
  end
  local offset = offset_of(t)
  return s .. (offset and calendar.offset_text(offset, true) or "")
end

Date.__str = date_text
Date.__repr = function(t) return ("datetime.date(%d, %d, %d)"):format(t.year, t.month, t.day) end
DateTime.__str = function(t) return date_text(t) .. " " .. time_text(t) end

local function time_parts(t, parts)
  parts[#parts + 1] = t.hour
  parts[#parts + 1] = t.minute
  if t.second ~= 0 or t.microsecond ~= 0 then parts[#parts + 1] = t.second end
  if t.microsecond ~= 0 then parts[#parts + 1] = t.microsecond end
  if t.tz then parts[#parts + 1] = "tzinfo=" .. getmetatable(t.tz).__repr(t.tz) end
  return table.concat(parts, ", ")
end
DateTime.__repr = function(t) return "datetime.datetime(" .. time_parts(t, { t.year, t.month, t.day }) .. ")" end
Time.__str = function(t) return time_text(t) end
Time.__repr = function(t) return "datetime.time(" .. time_parts(t, {}) .. ")" end

Delta.__str = function(d)
  local days, rest = d.us // DAY, d.us % DAY
  local seconds = rest // 1000000
  local s = ("%d:%02d:%02d"):format(seconds // 3600, seconds % 3600 // 60, seconds % 60)
  if rest % 1000000 ~= 0 then s = s .. (".%06d"):format(rest % 1000000) end
  if days ~= 0 then s = ("%d day%s, %s"):format(days, (days == 1 or days == -1) and "" or "s", s) end
  return s
end
Delta.__repr = function(d)
  local parts = {}
  local days, rest = d.us // DAY, d.us % DAY
  if days ~= 0 then parts[#parts + 1] = "days=" .. days end
  if rest // 1000000 ~= 0 then parts[#parts + 1] = "seconds=" .. rest // 1000000 end
  if rest % 1000000 ~= 0 then parts[#parts + 1] = "microseconds=" .. rest % 1000000 end
  return "datetime.timedelta(" .. (#parts == 0 and "0" or table.concat(parts, ", ")) .. ")"
end

for _, class in ipairs { Date, DateTime, Time } do
  class.__format = function(t, spec)
    if spec == "" then return class.__str(t) end
    return calendar.format(fields(t), spec)
  end
end

-- Attributes -------------------------------------------------------------------------------------

local function attributes(class, ...)
  local allowed = {}
  for _, name in ipairs { ... } do allowed[name] = true end
  class.__getattr = function(t, name)
    if allowed[name] then return t[name] end
    if name == "tzinfo" and class ~= Date then return t.tz or none end
    if name == "fold" and class ~= Date then return 0 end
  end
  class.__getitem = function() return nil end
  class.__truth = function() return true end
end
attributes(Date, "year", "month", "day")
attributes(DateTime, "year", "month", "day", "hour", "minute", "second", "microsecond")
attributes(Time, "hour", "minute", "second", "microsecond")
Delta.__getattr = function(d, name)
  if name == "days" then return d.us // DAY end
  if name == "seconds" then return d.us % DAY // 1000000 end
  if name == "microseconds" then return d.us % DAY % 1000000 end
end
Delta.__getitem = function() return nil end
Delta.__truth = function(d) return d.us ~= 0 end

-- Operators --------------------------------------------------------------------------------------

local function plus(t, us)
  if is(t, Date) then
    local y, m, d = calendar.from_ordinal(calendar.ordinal(t.year, t.month, t.day) + us // DAY)
    return new_date(y, m, d)
  end
  return from_stamp(stamp(t) + us, t.tz)
end

local function add(a, b)
  if is(a, Delta) and is(b, Delta) then return delta_of(a.us + b.us) end
  if is(a, Delta) then a, b = b, a end
  if is(b, Delta) and (is(a, Date) or is(a, DateTime)) then return plus(a, b.us) end
end

local function sub(a, b)
  if is(b, Delta) then
    if is(a, Delta) then return delta_of(a.us - b.us) end
    if is(a, Date) then
      -- a date counts whole days of the timedelta only
      local y, m, d = calendar.from_ordinal(calendar.ordinal(a.year, a.month, a.day) - b.us // DAY)
      return new_date(y, m, d)
    end
    if is(a, DateTime) then return plus(a, -b.us) end
  elseif is(a, Date) and is(b, Date) then
    return delta_of(stamp(a) - stamp(b))
  elseif is(a, DateTime) and is(b, DateTime) then
    if (offset_of(a) == nil) ~= (offset_of(b) == nil) then
      return fault.type("can't subtract offset-naive and offset-aware datetimes")
    end
    return delta_of(utc_stamp(a) - utc_stamp(b))
  end
end

local function order_value(a)
  if is(a, Delta) then return a.us end
  if is(a, Time) then
    return (a.hour * 3600 + a.minute * 60 + a.second - (offset_of(a) or 0)) * 1000000 + a.microsecond
  end
  if is(a, Date) then return stamp(a) end
  return utc_stamp(a)
end

local function comparable(a, b)
  if (offset_of(a) == nil) ~= (offset_of(b) == nil) then
    return fault.type("can't compare offset-naive and offset-aware datetimes")
  end
end

for _, class in ipairs { Date, DateTime, Time, Delta } do
  class.__add, class.__sub = add, sub
  class.__eq = function(a, b)
    if getmetatable(a) ~= getmetatable(b) or (offset_of(a) == nil) ~= (offset_of(b) == nil) then return false end
    return order_value(a) == order_value(b)
  end
  class.__lt = function(a, b)
    comparable(a, b)
    return order_value(a) < order_value(b)
  end
  class.__le = function(a, b)
    comparable(a, b)
    return order_value(a) <= order_value(b)
  end
  class.__hash = function(t) return tostring(order_value(t)) end
end

local function number(x)
  if type(x) == "boolean" then return x and 1 or 0 end
  return type(x) == "number" and x or nil
end

-- the nearest whole number, half to even
local function rounded(x)
  if math.type(x) == "integer" then return x end
  return math.tointeger(tonumber(("%.0f"):format(x)))
end

Delta.__mul = function(a, b)
  if is(b, Delta) then a, b = b, a end
  local n = number(b)
  return n and delta_of(rounded(a.us * n))
end
Delta.__div = function(a, b)
  if not is(a, Delta) then return nil end
  if is(b, Delta) then
    if b.us == 0 then return fault.raise("ZeroDivisionError", "division by zero") end
    return a.us / b.us
  end
  local n = number(b)
  if n == 0 then return fault.raise("ZeroDivisionError", "division by zero") end
  return n and delta_of(rounded(a.us / n))
end
Delta.__idiv = function(a, b)
  if not is(a, Delta) then return nil end
  local n = is(b, Delta) and b.us or math.type(b) == "integer" and b
  if not n then return nil end
  if n == 0 then return fault.raise("ZeroDivisionError", "integer division or modulo by zero") end
  if is(b, Delta) then return a.us // n end
  return delta_of(a.us // n)
end
Delta.__mod = function(a, b)
  if is(a, Delta) and is(b, Delta) and b.us ~= 0 then return delta_of(a.us % b.us) end
end
Delta.__unm = function(a) return delta_of(-a.us) end
Delta.__abs = function(a) return delta_of(math.abs(a.us)) end

-- Methods ----------------------------------------------------------------------------------------

local date, datetime = registry.definer(Date.__methods), registry.definer(DateTime.__methods)
local time, delta = registry.definer(Time.__methods), registry.definer(Delta.__methods)

local function both(spec, f)
  date(spec, f)
  datetime(spec, f)
end
local function clock(spec, f)
  datetime(spec, f)
  time(spec, f)
end

both("weekday()", function(t) return calendar.weekday(t.year, t.month, t.day) end)
both("isoweekday()", function(t) return calendar.weekday(t.year, t.month, t.day) + 1 end)
local Iso = { __name = "dex.isocalendar", __pytype = "IsoCalendarDate" }
Iso.__getitem = function(t, k)
  if math.type(k) == "integer" then return rawget(t, k < 0 and k + 4 or k + 1) end
  return ({ year = t[1], week = t[2], weekday = t[3] })[k]
end
Iso.__getattr = Iso.__getitem
Iso.__len = function() return 3 end
Iso.__iter = function(t)
  local i = 0
  return function()
    i = i + 1
    return rawget(t, i)
  end
end
Iso.__repr = function(t) return ("datetime.IsoCalendarDate(year=%d, week=%d, weekday=%d)"):format(t[1], t[2], t[3]) end
both("isocalendar()", function(t) return setmetatable({ calendar.iso(t.year, t.month, t.day) }, Iso) end)
both("toordinal()", function(t) return calendar.ordinal(t.year, t.month, t.day) end)
both("strftime(format)", function(t, spec) return calendar.format(fields(t), text_of(spec)) end)
both("ctime()", function(t) return calendar.format(fields(t), "%a %b %e %H:%M:%S %Y") end)
time("strftime(format)", function(t, spec) return calendar.format(fields(t), text_of(spec)) end)
date("isoformat()", date_text)
time("isoformat(timespec?)", time_text)
datetime("isoformat(sep?, timespec?)", function(t, sep, spec)
  return date_text(t) .. (sep or "T") .. time_text(t, spec)
end)

local function pick(t, name, new) if new == nil then return t[name] end return new end
date("replace(year?, month?, day?)", function(t, y, m, d)
  return new_date(pick(t, "year", y), pick(t, "month", m), pick(t, "day", d))
end)
datetime("replace(year?, month?, day?, hour?, minute?, second?, microsecond?, tzinfo?)",
function(t, y, m, d, h, mi, s, us, tz)
  local zone = t.tz
  if tz ~= nil then zone = check_zone(tz) end
  return new_datetime(pick(t, "year", y), pick(t, "month", m), pick(t, "day", d), pick(t, "hour", h),
    pick(t, "minute", mi), pick(t, "second", s), pick(t, "microsecond", us), zone)
end)
time("replace(hour?, minute?, second?, microsecond?, tzinfo?)", function(t, h, mi, s, us, tz)
  local zone = t.tz
  if tz ~= nil then zone = check_zone(tz) end
  return new_time(pick(t, "hour", h), pick(t, "minute", mi), pick(t, "second", s), pick(t, "microsecond", us), zone)
end)

datetime("date()", function(t) return new_date(t.year, t.month, t.day) end)
datetime("time()", function(t) return new_time(t.hour, t.minute, t.second, t.microsecond) end)
datetime("timetz()", function(t) return new_time(t.hour, t.minute, t.second, t.microsecond, t.tz) end)
datetime("timestamp()", function(t) return (utc_stamp(t) - 719163 * DAY) / 1000000 end)
clock("utcoffset()", function(t)
  local offset = offset_of(t)
  return offset and delta_of(offset * 1000000) or none
end)
clock("tzname()", function(t) return t.tz and t.tz.name or none end)
clock("dst()", function(t) return t.tz and delta_of((t.tz.dst or 0) * 1000000) or none end)
datetime("astimezone(tz?)", function(t, tz)
  tz = check_zone(tz) or require("jinja.modules.pytz").utc
  local us = utc_stamp(t)
  local zone = getmetatable(tz).at_utc(tz, (us - 719163 * DAY) // 1000000)
  return from_stamp(us + zone.offset * 1000000, zone)
end)
local function timetuple(t)
  return value.tuple { t.year, t.month, t.day, t.hour or 0, t.minute or 0, t.second or 0,
    calendar.weekday(t.year, t.month, t.day), calendar.day_of_year(t.year, t.month, t.day), -1 }
end
both("timetuple()", timetuple)
delta("total_seconds()", function(d) return d.us / 1000000 end)

-- Classes ----------------------------------------------------------------------------------------

local function class_object(name, new, extra)
  return setmetatable({ name = "datetime." .. name, new = new, attributes = extra }, classes.Type)
end

local function iso_time(s)
  local h, mi, rest = s:match("^(%d%d):?(%d?%d?)(.*)$")
  if not h then return nil end
  local sec, fraction = 0, 0
  local more = rest:match("^:?(%d%d)")
  if mi ~= "" and more and not rest:find("^[-+]") then
    sec = tonumber(more)
    rest = rest:gsub("^:?%d%d", "")
    local digits = rest:match("^[.,](%d+)")
    if digits then
      rest = rest:sub(#digits + 2)
      digits = digits:sub(1, 6)
      fraction = tonumber(digits .. ("0"):rep(6 - #digits))
    end
  end
  local zone
  if rest == "Z" then
    zone = 0
  elseif rest ~= "" then
    local sign, zh, zm = rest:match("^([-+])(%d%d):?(%d?%d?)$")
    if not sign then return nil end
    zone = (sign == "-" and -1 or 1) * (tonumber(zh) * 3600 + (tonumber(zm) or 0) * 60)
  end
  local int = math.tointeger
  return int(tonumber(h)), int(tonumber(mi) or 0), int(sec), int(fraction), zone and int(zone)
end

local function fixed(offset)
  if not offset then return nil end
  return require("jinja.modules.zones").fixed(offset)
end

local function iso_date(s)
  local y, m, d = s:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not y then y, m, d = s:match("^(%d%d%d%d)(%d%d)(%d%d)$") end
  if y then return math.tointeger(tonumber(y)), math.tointeger(tonumber(m)), math.tointeger(tonumber(d)) end
  local week, day
  y, week, day = s:match("^(%d%d%d%d)%-?W(%d%d)%-?(%d?)$")
  if not y then return nil end
  local first = calendar.ordinal(math.tointeger(tonumber(y)), 1, 4)
  local monday = first - (first + 6) % 7
  return calendar.from_ordinal(math.tointeger(monday + (tonumber(week) - 1) * 7 + (tonumber(day) or 1) - 1))
end

local function bad_iso(s) return fault.value("Invalid isoformat string: " .. require("jinja.printing").repr(s)) end

local now_stamp = function() return math.tointeger(require("dex.time").now() * 1000000 // 1) + 719163 * DAY end

local function from_timestamp(seconds, tz)
  local n = number(seconds) or fault.type("a number is required")
  tz = check_zone(tz)
  local us = rounded(n * 1000000) + 719163 * DAY
  if not tz then return from_stamp(us) end
  local zone = getmetatable(tz).at_utc(tz, (us - 719163 * DAY) // 1000000)
  return from_stamp(us + zone.offset * 1000000, zone)
end

M.date = class_object("date", fn("date(year, month, day)", new_date), {
  today = fn("today()", function()
    local t = from_stamp(now_stamp())
    return new_date(t.year, t.month, t.day)
  end),
  fromisoformat = fn("fromisoformat(date_string)", function(s)
    local y, m, d = iso_date(text_of(s))
    if not y then return bad_iso(s) end
    return new_date(y, m, d)
  end),
  fromordinal = fn("fromordinal(ordinal)", function(n)
    if integer(n, "ordinal") < 1 then return fault.value("ordinal must be >= 1") end
    return new_date(calendar.from_ordinal(n))
  end),
  fromtimestamp = fn("fromtimestamp(timestamp)", function(n)
    local t = from_timestamp(n)
    return new_date(t.year, t.month, t.day)
  end),
  fromisocalendar = fn("fromisocalendar(year, week, day)", function(y, w, d)
    local first = calendar.ordinal(y, 1, 4)
    return new_date(calendar.from_ordinal(first - (first + 6) % 7 + (w - 1) * 7 + d - 1))
  end),
  min = new_date(1, 1, 1), max = new_date(9999, 12, 31), resolution = delta_of(DAY),
})

local function parsed(s, spec)
  local f = calendar.parse(text_of(s), text_of(spec))
  return new_datetime(f.year, f.month, f.day, f.hour or 0, f.minute or 0, f.second or 0, f.microsecond or 0,
    fixed(f.offset))
end

M.datetime = class_object("datetime",
  fn("datetime(year, month, day, hour=0, minute=0, second=0, microsecond=0, tzinfo=none)",
  function(y, m, d, h, mi, s, us, tz)
    return new_datetime(y, m, d, h, mi, s, us, check_zone(tz))
  end), {
  now = fn("now(tz=none)", function(tz) return from_timestamp((now_stamp() - 719163 * DAY) / 1000000, tz) end),
  utcnow = fn("utcnow()", function() return from_stamp(now_stamp()) end),
  today = fn("today()", function() return from_stamp(now_stamp()) end),
  strptime = fn("strptime(date_string, format)", parsed),
  fromtimestamp = fn("fromtimestamp(timestamp, tz=none)", from_timestamp),
  utcfromtimestamp = fn("utcfromtimestamp(timestamp)", function(n) return from_timestamp(n) end),
  fromordinal = fn("fromordinal(ordinal)", function(n) return from_stamp(integer(n, "ordinal") * DAY) end),
  combine = fn("combine(date, time, tzinfo=none)", function(d, t, tz)
    if not (is(d, Date) or is(d, DateTime)) then return fault.type("combine() argument 1 must be datetime.date") end
    if not is(t, Time) then return fault.type("combine() argument 2 must be datetime.time") end
    return new_datetime(d.year, d.month, d.day, t.hour, t.minute, t.second, t.microsecond, check_zone(tz) or t.tz)
  end),
  fromisoformat = fn("fromisoformat(date_string)", function(s)
    s = text_of(s)
    local day, rest = s, ""
    if s:find("^%d%d%d%d%-%d%d%-%d%d") then
      day, rest = s:sub(1, 10), s:sub(11)
    elseif s:find("^%d%d%d%d%d%d%d%d") then
      day, rest = s:sub(1, 8), s:sub(9)
    end
    local y, m, d = iso_date(day)
    if not y then return bad_iso(s) end
    if rest == "" then return new_datetime(y, m, d, 0, 0, 0, 0) end
    local h, mi, sec, us, zone = iso_time(rest:sub((utf8.offset(rest, 2))))
    if not h then return bad_iso(s) end
    return new_datetime(y, m, d, h, mi, sec, us, fixed(zone))
  end),
  min = new_datetime(1, 1, 1, 0, 0, 0, 0), max = new_datetime(9999, 12, 31, 23, 59, 59, 999999),
  resolution = delta_of(1),
})

M.time = class_object("time", fn("time(hour=0, minute=0, second=0, microsecond=0, tzinfo=none)",
function(h, mi, s, us, tz)
  return new_time(h, mi, s, us, check_zone(tz))
end), {
  min = new_time(0, 0, 0, 0), max = new_time(23, 59, 59, 999999), resolution = delta_of(1),
  fromisoformat = fn("fromisoformat(time_string)", function(s)
    local h, mi, sec, us, zone = iso_time(text_of(s))
    if not h then return bad_iso(s) end
    return new_time(h, mi, sec, us, fixed(zone))
  end),
})

M.timedelta = class_object("timedelta",
  fn("timedelta(days=0, seconds=0, microseconds=0, milliseconds=0, minutes=0, hours=0, weeks=0)", function(...)
    local total = 0
    local units = { DAY, 1000000, 1, 1000, 60000000, 3600000000, 7 * DAY }
    for i, x in ipairs { ... } do
      local n = number(x)
      if not n then
        return fault.type(("unsupported type for timedelta component: %s"):format(runtime.type_name(x)))
      end
      if math.abs(n) > 1e13 or bigint.is(x) then return fault.raise("OverflowError", "the timedelta is too large") end
      total = total + (math.type(n) == "integer" and n * units[i] or rounded(n * units[i]))
    end
    return delta_of(total)
  end), { min = delta_of(-999999999 * DAY), max = delta_of(999999999 * DAY + DAY - 1), resolution = delta_of(1) })

M.tzinfo = class_object("tzinfo", function()
  return fault.raise("NotImplementedError", "a tzinfo subclass must implement utcoffset()")
end)

local internal = { from_stamp = from_stamp, stamp = stamp, utc_stamp = utc_stamp, Date = Date, DateTime = DateTime,
  Time = Time, new_date = new_date, new_datetime = new_datetime, DAY = DAY }
package.loaded["jinja.modules.datetime_internal"] = internal

return M
