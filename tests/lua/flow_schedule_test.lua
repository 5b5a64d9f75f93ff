--- Schedules: cron against croniter's answers and a search through every minute, zones against Python's zoneinfo, and
-- what a changed clock does.

local calendar = require "jinja.modules.calendar"
local cron = require "flow.cron"
local schedule = require "flow.schedule"
local tap = require "tap"
local zone = require "flow.zone"

local test, eq, ok = tap.test, tap.eq, tap.ok
local MICRO, DAY = 1000000, 86400

-- zone, instant, offset, name: zoneinfo of Python 3.11, tzdata 2025b
local by_python = {
  { "Europe/Berlin", 1618635406, 7200, "CEST" },
  { "Europe/Berlin", 926782426, 7200, "CEST" },
  { "Europe/Berlin", 4400003992, 7200, "CEST" },
  { "Europe/Berlin", 2245809572, 3600, "CET" },
  { "Europe/Berlin", 2580700582, 7200, "CEST" },
  { "America/New_York", 2111023108, -18000, "EST" },
  { "America/New_York", 1748906830, -14400, "EDT" },
  { "America/New_York", 3376556507, -18000, "EST" },
  { "America/New_York", 6429732873, -14400, "EDT" },
  { "America/New_York", 4929669671, -14400, "EDT" },
  { "Asia/Kolkata", 613719363, 19800, "IST" },
  { "Asia/Kolkata", -411898278, 19800, "IST" },
  { "Asia/Kolkata", 4479196814, 19800, "IST" },
  { "Asia/Kolkata", 5396706134, 19800, "IST" },
  { "Asia/Kolkata", 2508207877, 19800, "IST" },
  { "Africa/Cairo", 1538197155, 7200, "EET" },
  { "Africa/Cairo", 3021716193, 10800, "EEST" },
  { "Africa/Cairo", 3521505130, 10800, "EEST" },
  { "Africa/Cairo", 5498414348, 7200, "EET" },
  { "Africa/Cairo", 3697855385, 7200, "EET" },
  { "Pacific/Apia", 1020008931, -39600, "-11" },
  { "Pacific/Apia", -361383816, -39600, "-11" },
  { "Pacific/Apia", 5940925375, 46800, "+13" },
  { "Pacific/Apia", 5740486316, 46800, "+13" },
  { "Pacific/Apia", 4535642967, 46800, "+13" },
  { "Australia/Lord_Howe", 2441971176, 37800, "+1030" },
  { "Australia/Lord_Howe", 3641301641, 37800, "+1030" },
  { "Australia/Lord_Howe", 498874972, 37800, "+1030" },
  { "Australia/Lord_Howe", 4809294711, 37800, "+1030" },
  { "Australia/Lord_Howe", 6902206016, 37800, "+1030" },
  { "Europe/Dublin", 5991821336, 0, "GMT" },
  { "Europe/Dublin", 1658339135, 3600, "IST" },
  { "Europe/Dublin", 5711518754, 0, "GMT" },
  { "Europe/Dublin", 4377826554, 3600, "IST" },
  { "Europe/Dublin", 6463796457, 0, "GMT" },
  { "America/St_Johns", -1170322221, -12652, "NST" },
  { "America/St_Johns", -1114986496, -9052, "NDT" },
  { "America/St_Johns", 1218269812, -9000, "NDT" },
  { "America/St_Johns", 2303282092, -12600, "NST" },
  { "America/St_Johns", 2201225001, -9000, "NDT" },
  { "Africa/Casablanca", -2347560823, -1820, "LMT" },
  { "Africa/Casablanca", 6128265547, 3600, "+01" },
  { "Africa/Casablanca", -1183913989, 0, "+00" },
  { "Africa/Casablanca", 4625303620, 3600, "+01" },
  { "Africa/Casablanca", 4422551913, 3600, "+01" },
  { "Asia/Gaza", 5333036265, 7200, "EET" },
  { "Asia/Gaza", 1209353139, 10800, "EEST" },
  { "Asia/Gaza", 3041927641, 10800, "EEST" },
  { "Asia/Gaza", 5479760344, 10800, "EEST" },
  { "Asia/Gaza", 2744779556, 7200, "EET" },
  { "America/Sao_Paulo", 5874459670, -10800, "-03" },
  { "America/Sao_Paulo", 5858461408, -10800, "-03" },
  { "America/Sao_Paulo", 2686988667, -10800, "-03" },
  { "America/Sao_Paulo", 3489532062, -10800, "-03" },
  { "America/Sao_Paulo", 5874459670, -10800, "-03" },
  { "Asia/Kathmandu", 4761964461, 20700, "+0545" },
  { "Asia/Kathmandu", 38233558, 19800, "+0530" },
  { "Asia/Kathmandu", 223923880, 19800, "+0530" },
  { "Asia/Kathmandu", 6216001049, 20700, "+0545" },
  { "Asia/Kathmandu", 6989948303, 20700, "+0545" },
  { "Pacific/Chatham", 1081942474, 45900, "+1245" },
  { "Pacific/Chatham", -297870807, 45900, "+1245" },
  { "Pacific/Chatham", 2885658719, 45900, "+1245" },
  { "Pacific/Chatham", 5466735426, 49500, "+1345" },
  { "Pacific/Chatham", 5769808942, 49500, "+1345" },
  { "Antarctica/Troll", 249464866, 0, "-00" },
  { "Antarctica/Troll", -2406730892, 0, "-00" },
  { "Antarctica/Troll", 3354883115, 7200, "+02" },
  { "Antarctica/Troll", 2775296161, 0, "+00" },
  { "Antarctica/Troll", 2475301783, 7200, "+02" },
}

-- expression, from, the next four times, the last time before: croniter 6, UTC
local by_croniter = {
  { "14-18/6,15 10-21,10-11 10,12,25 * 2", 1225455721, "1225793640 1225793700 1225797240 1225797300", 1225228500 },
  { "3,13-21,15 19,4 10 feb,8 3,sat,3-4", 646465343, "649483380 649483980 649484040 649484100", 636232860 },
  { "* 15,22,3-8 * 11 fri#5", 422510819, "470631600 470631660 470631720 470631780", 312850740 },
  { "24,51 * * 7-10 wed,1-5/2", 1494930160, "1499041440 1499043060 1499045040 1499046660", 1477957860 },
  { "27-30,41 * 21,7,29 11 4,1-5", 3222727579, "3245185620 3245185680 3245185740 3245185800", 3216152460 },
  { "* 5-20 * jul,3-6/2,7 5#2", 1078225892, "1079067600 1079067660 1079067720 1079067780", 1057957140 },
  { "27,13 19 * */5 thu,1,4-5/2", 2836560930, "2836581180 2836582020 2836926780 2836927620", 2836322820 },
  { "* 2,8 * 2-6,2 3", 1371477842, "1371607200 1371607260 1371607320 1371607380", 1371027540 },
  { "*/16 */9 2 * *", 3490440819, "3492460800 3492461760 3492462720 3492463680", 3489850080 },
  { "* 8 * 7,4-10/2,1-8 fri#5", 3061379690, "3071289600 3071289660 3071289720 3071289780", 3055568340 },
  { "*/20 4,22 11-27/2 * 2", 1883933002, "1883966400 1883967600 1883968800 1884031200", 1883860800 },
  { "46,48,0 17,5 15 * 0-3/2,6", 1927081053, "1927083600 1927086360 1927086480 1927126800", 1926784080 },
  { "26 5,3,2 * 6,4-12/1 1,2,1-3/1", 621580606, "621581160 621656760 621660360 621667560", 621573960 },
  { "6,5 10-18,16,9 * 10-12/2,11 0-1,sun", 2979119431, "2990423100 2990423160 2990426700 2990426760", 2966349960 },
  { "33 7,22 * */2 0-2/1,1,0", 853781241, "853799580 853831980 853885980 854263980", 853745580 },
  { "*/23 16,5 25,17 4-10 5,thu,thu", 3014628934, "3014946000 3014947380 3014948760 3014985600", 3014469960 },
  { "14,27-42 */11 11,14,8 5 6,sun", 3005320689, "3008448840 3008449620 3008449680 3008449740", 2979499320 },
  { "* 22,23 17,16 * *", 2620725858, "2620764000 2620764060 2620764120 2620764180", 2620684740 },
  { "18,45 1-19,14 * 3,3,11 5#2", 21566579, "27307080 27308700 27310680 27312300", 6205500 },
  { "* 4-22,23 9,31,12 11,8-10/3,11 *", 947716946, "965793600 965793660 965793720 965793780", 942451140 },
  { "3-28/5,13,35 8,17 10,31 11,2-11,12 *", 2360532157, "2361513780 2361514080 2361514380 2361514680", 2359733700 },
  { "1 */3 23-29,8 sep,3-9,11 5,mon", 3240070898, "3240075660 3240259260 3240270060 3240280860", 3240064860 },
  { "9 * * 1-4 *", 708878227, "725846940 725850540 725854140 725857740", 704675340 },
  { "3 */9 5,19 7-8/2,11 thu,3-4/2", 3278399444, "3278534580 3278566980 3278599380 3278620980", 3278340180 },
  { "12,3 20,4,22 * * 5#2", 3920411398, "3921624180 3921624720 3921681780 3921682320", 3919270320 },
  { "36 14,10 12 mar,2 sun,6,0", 2925434843, "2937724560 2937738960 2937810960 2937825360", 2910609360 },
  { "28,47 * L,15 3-7/2 *", 843109029, "858385680 858386820 858389280 858390420", 838856820 },
  { "57 * * sep,feb 3#4", 1402840754, "1411520220 1411523820 1411527420 1411531020", 1393459020 },
  { "55,45 * L,15 6 *", 2569225774, "2570402700 2570403300 2570406300 2570406900", 2540246100 },
  { "* 2,14 * 12,5,5-10 6,mon,4", 344728746, "344743200 344743260 344743320 344743380", 344530740 },
  { "34-49 15,13 * dec,mar *", 1660813962, "1669901640 1669901700 1669901760 1669901820", 1648741740 },
  { "3,38,27 */6 12 * mon,5", 3854752320, "3854757780 3854759220 3854759880 3854779380", 3854738280 },
  { "13,13 * 28,28,15 * 6,1", 2468843237, "2468967180 2468970780 2468974380 2468977980", 2468617980 },
  { "28-32/9,9-16/11 3-10 * 1-4/3 6,2,mon", 1218004714, "1230952140 1230953280 1230955740 1230956880", 1209464880 },
  { "2,38,29 19,5,21 28,14 */5 4", 2964921116, "2966562120 2966563740 2966564280 2966612520", 2963597880 },
  { "20,10-38/18,8 17 * 4-6,nov mon#1", 2855991498, "2866554480 2866554600 2866555200 2866555680", 2853854880 },
  { "*/12 9,15,16 20,24,11 nov,9 1-3/2", 1166933805, "1188810000 1188810720 1188811440 1188812160", 1164818880 },
  { "*/9 11-20,7 29,1 9,8,6-8 thu", 842259773, "842511600 842512140 842512680 842513220", 841956840 },
  { "16-17,36,2 */9 26,27 2-4,12,mar mon", 890004420, "890006520 890007360 890007420 890008560", 889468560 },
  { "5-44,14,32 * * 12,1,6 *", 3620977714, "3626467500 3626467560 3626467620 3626467680", 3613247040 },
}

local function of(text, name)
  return schedule.new({ assert(cron.parse(text)) }, zone.find(name or "UTC"), text)
end

-- Seconds since 1970 of a time in UTC.
local function at(text)
  local y, m, d, hour, minute = text:match "^(%d+)-(%d+)-(%d+) (%d+):(%d+)$"
  y, m, d = math.tointeger(tonumber(y)), math.tointeger(tonumber(m)), math.tointeger(tonumber(d))
  return (calendar.ordinal(y, m, d) - 719163) * DAY + math.tointeger(tonumber(hour)) * 3600
    + math.tointeger(tonumber(minute)) * 60
end

-- The times of a schedule from an instant on, as its clock shows them.
local function shown(s, from, n)
  local list = {}
  for i, time in ipairs(s:between(at(from) * MICRO, at("2200-01-01 00:00") * MICRO, n)) do list[i] = s:clock(time) end
  return table.concat(list, ", ")
end

test("clocks of zones, as Python has them", function()
  for _, case in ipairs(by_python) do
    local offset, name = zone.find(case[1]):offset(case[2])
    eq({ case[1], case[2], offset, name }, case)
  end
end)

test("times of cron, as croniter has them", function()
  for _, case in ipairs(by_croniter) do
    local s, time, found = of(case[1]), case[2] * MICRO, {}
    for i = 1, 4 do
      time = s:next(time)
      found[i] = time // MICRO
    end
    eq({ case[1], case[2], table.concat(found, " "), s:previous(case[2] * MICRO - 1) // MICRO }, case)
  end
end)

test("L, W and #", function()
  eq(shown(of "0 0 L * *", "2028-01-31 12:00", 3), "2028-02-29 00:00 UTC, 2028-03-31 00:00 UTC, 2028-04-30 00:00 UTC")
  eq(shown(of "0 0 L-2 2 *", "2026-01-01 00:00", 3),
    "2026-02-26 00:00 UTC, 2027-02-26 00:00 UTC, 2028-02-27 00:00 UTC")
  eq(shown(of "0 9 LW * *", "2026-04-30 12:00", 3), "2026-05-29 09:00 UTC, 2026-06-30 09:00 UTC, 2026-07-31 09:00 UTC")
  eq(shown(of "0 9 1W * *", "2026-07-30 00:00", 2), "2026-08-03 09:00 UTC, 2026-09-01 09:00 UTC")
  eq(shown(of "0 9 15W * *", "2026-08-01 00:00", 1), "2026-08-14 09:00 UTC")
  eq(shown(of "0 0 * * friL", "2026-04-01 00:00", 2), "2026-04-24 00:00 UTC, 2026-05-29 00:00 UTC")
  eq(shown(of "0 0 * * mon#5", "2026-04-01 00:00", 2), "2026-06-29 00:00 UTC, 2026-08-31 00:00 UTC")
  eq(shown(of "0 0 * 2 mon#5", "2026-04-01 00:00", 2), "2044-02-29 00:00 UTC, 2072-02-29 00:00 UTC")
end)

test("leap years, and centuries that are none", function()
  eq(shown(of "0 0 29 2 *", "2093-01-01 00:00", 2), "2096-02-29 00:00 UTC, 2104-02-29 00:00 UTC")
end)

test("a day or a weekday when both are given, both when one begins with a star", function()
  eq(shown(of "0 0 13 * 5", "2026-11-01 00:00", 3), "2026-11-06 00:00 UTC, 2026-11-13 00:00 UTC, 2026-11-20 00:00 UTC")
  eq(shown(of "0 0 */2 * 5", "2026-11-01 00:00", 3),
    "2026-11-13 00:00 UTC, 2026-11-27 00:00 UTC, 2026-12-11 00:00 UTC")
end)

test("a time that the clock leaves out runs at the first instant after it, once", function()
  eq(shown(of("30 2 * * *", "Europe/Berlin"), "2026-03-27 23:00", 3),
    "2026-03-28 02:30 CET, 2026-03-29 03:00 CEST, 2026-03-30 02:30 CEST")
  eq(shown(of("0,30 2,3 * * *", "Europe/Berlin"), "2026-03-28 23:00", 3),
    "2026-03-29 03:00 CEST, 2026-03-29 03:30 CEST, 2026-03-30 02:00 CEST")
  -- Samoa had no 30 December 2011
  eq(shown(of("0 12 * * *", "Pacific/Apia"), "2011-12-29 00:00", 3),
    "2011-12-29 12:00 UTC-10:00, 2011-12-31 00:00 UTC+14:00, 2011-12-31 12:00 UTC+14:00")
end)

test("a time that comes twice runs at the first of the two", function()
  local s = of("30 2 * * *", "Europe/Berlin")
  eq(shown(s, "2026-10-24 00:30", 3), "2026-10-25 02:30 CEST, 2026-10-26 02:30 CET, 2026-10-27 02:30 CET")
  eq(s:previous(at "2026-10-25 01:30" * MICRO) // MICRO, at "2026-10-25 00:30")
end)

test("what runs every hour does so in each hour that passes", function()
  eq(shown(of("15 * * * *", "Europe/Berlin"), "2026-10-24 23:20", 4),
    "2026-10-25 02:15 CEST, 2026-10-25 02:15 CET, 2026-10-25 03:15 CET, 2026-10-25 04:15 CET")
  eq(shown(of("15 * * * *", "Europe/Berlin"), "2026-03-29 00:00", 3),
    "2026-03-29 01:15 CET, 2026-03-29 03:15 CEST, 2026-03-29 04:15 CEST")
  local s = of("* * * * *", "America/St_Johns") -- until 2011 its clock was changed a minute after midnight
  local time = at "2010-11-06 00:00"
  for _ = 1, 3000 do
    local next = s:next(time * MICRO) // MICRO
    eq(next - time, 60)
    time = next
  end
end)

-- The slow way: every minute of some days, told by the clock that it shows.
local function by_search(text, name, from, to)
  local rule, z = assert(cron.parse(text)), zone.find(name)
  local hours, minutes, instants, found = {}, {}, {}, {}
  for _, n in ipairs(rule.hours) do hours[n] = true end
  for _, n in ipairs(rule.minutes) do minutes[n] = true end
  local function wanted(clock)
    return minutes[clock % 3600 // 60] and hours[clock % DAY // 3600]
      and rule:on(calendar.from_ordinal(clock // DAY + 719163))
  end
  local previous
  for u = from - 2 * DAY, to + 2 * DAY, 60 do
    local clock = u + z:offset(u)
    for left_out = previous or clock, clock - 60, 60 do -- what the clock has jumped over
      if wanted(left_out) and not rule.every_hour and not instants[left_out] then found[u] = true end
      instants[left_out] = true
    end
    if wanted(clock) and (rule.every_hour or not instants[clock]) then found[u] = true end
    instants[clock] = true
    previous = clock + 60
  end
  local list = {}
  for u in pairs(found) do
    if u > from and u <= to then list[#list + 1] = u end
  end
  table.sort(list)
  return list
end

test("the same times as a search through every minute, around changes of the clock", function()
  math.randomseed(11)
  local changes = { { "Europe/Berlin", "2026-03-29 01:00" }, { "Europe/Berlin", "2026-10-25 01:00" },
    { "America/New_York", "2040-03-11 07:00" }, { "America/New_York", "2040-11-04 06:00" },
    { "Australia/Lord_Howe", "2027-04-03 15:00" }, { "Australia/Lord_Howe", "2027-10-02 15:30" },
    { "America/Havana", "2026-11-01 05:00" }, { "America/St_Johns", "2010-11-07 02:31" },
    { "America/Sao_Paulo", "2018-11-04 03:00" }, { "Pacific/Apia", "2011-12-30 10:00" },
    { "Africa/Cairo", "2026-04-23 22:00" }, { "Asia/Kathmandu", "2026-05-01 00:00" } }
  local some = { "*", "0", "30", "*/20", "1,59", "15-45/10" }
  local hours = { "*", "*", "2", "0", "1-3", "23", "*/2", "0,2,12", "22-23" }
  local days = { "* * *", "* * *", "* * *", "29,30,31,1,2 * *", "* * 0,6", "L * *" }
  for _, change in ipairs(changes) do
    local middle = at(change[2])
    for _ = 1, 8 do
      local text = ("%s %s %s"):format(some[math.random(#some)], hours[math.random(#hours)], days[math.random(#days)])
      local s, from, to = of(text, change[1]), middle - 2 * DAY, middle + 2 * DAY
      local wanted, found = by_search(text, change[1], from, to), s:between(from * MICRO, to * MICRO)
      for i, time in ipairs(found) do found[i] = time // MICRO end
      eq(found, wanted, text .. " " .. change[1])
      local back, time = {}, to
      while true do
        time = s:previous(time * MICRO) // MICRO
        if time <= from then break end
        table.insert(back, 1, time)
        time = time - 1
      end
      eq(back, wanted, text .. " back " .. change[1])
    end
  end
end)

test("how far the next time is does not matter for how long it takes to find it", function()
  local seconds = require("dex.time").mono
  for _, text in ipairs { "0 0 29 2 *", "0 0 * 2 mon#5", "* * * * *" } do
    local s = of(text, "Europe/Berlin")
    local before = seconds()
    for i = 0, 9 do s:next((at "2026-11-01 00:00" + i * 7 * DAY) * MICRO) end
    ok(seconds() - before < 1, text)
  end
end)

-- expression -> the character of the mistake, words
local mistakes = {
  { "0 25 * * *", 3, "25 is no hour" }, { "* * * *", 8, "4 fields, not five" }, { "* * * * * *", 11, "6 fields" },
  { "", 1, "0 fields" }, { "0 0 31 2 *", 5, "no day 31 in feb" }, { "0 0 31 apr,jun *", 5, "no day 31 in apr and jun" },
  { "@dayly", 1, "there is no @dayly" }, { "@reboot", 1, "no time" }, { "* * * foo *", 7, "foo is no month" },
  { "30-10 * * * *", 1, "ends before it begins" }, { "*/0 * * * *", 3, "no step" }, { "*/x * * * *", 3, "no step" },
  { "*/99 * * * *", 3, "longer than all" }, { "1,,2 * * * *", 3, "a minute is missing" },
  { "1- * * * *", 3, "a minute is missing" }, { "0 0 * * 8", 9, "8 is no day of the week" },
  { "0 0 * * L", 9, "no day of the week" }, { "0 0 * * 1#6", 11, "1 to 5" }, { "a * * * *", 1, "'a' is no minute" },
  { "0 0 0 1 *", 5, "0 is no day of the month" }, { "0 0 L-30 * *", 7, "no 30 days before" },
}

test("mistakes of cron, with their place", function()
  for _, case in ipairs(mistakes) do
    local rule, wrong = cron.parse(case[1])
    ok(not rule, case[1])
    ok(wrong.message:find(case[3], 1, true), case[1] .. ": " .. wrong.message)
    eq(wrong.at, case[2], case[1])
  end
end)

test("whatever is written, it is read or refused", function()
  math.randomseed(4)
  local letters = "0123456789*/-,LW#? monfri@"
  for _ = 1, 5000 do
    local n, text = math.random(0, 24), {}
    for i = 1, n do
      local k = math.random(#letters)
      text[i] = letters:sub(k, k)
    end
    local rule, wrong = cron.parse(table.concat(text))
    ok(rule or wrong.message and wrong.at >= 1 and wrong.at <= n + 1, table.concat(text))
  end
end)
