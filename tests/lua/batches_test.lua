--- lua/run/batches.lua: spans of time, as dbt cuts them.

local batches = require "run.batches"
local t = require "tap"

local function at(text) return batches.parse(text) end
local function shown(hour) return batches.text(hour, "T"):sub(1, 13) end

-- "from to" of each batch.
local function spans(config, range, incremental)
  local list = {}
  local all = { batch_size = config.size, lookback = config.lookback or 1, begin = at(config.begin or "2024-01-01") }
  for i, batch in ipairs(batches.of(all, range, incremental)) do
    list[i] = shown(batch.from) .. " " .. shown(batch.to)
  end
  return table.concat(list, ", ")
end

t.test("dates and times are read in ISO form", function()
  for text, expected in pairs {
    ["2024-02-29"] = "2024-02-29T00", ["2024-09-17 16:06:00"] = "2024-09-17T16", ["2024-09-17T16"] = "2024-09-17T16",
    ["2024-09-17T16:06:00.5Z"] = "2024-09-17T16", ["2024-09-17 16:00:00+02:00"] = "2024-09-17T16",
  } do
    t.eq(shown(at(text).hour), expected, text)
  end
  t.eq(at("2024-09-17 16:00:00").whole, true)
  t.eq(at("2024-09-17 16:00:01").whole, false)
  for _, text in ipairs { "2023-02-29", "2024-13-01", "2024-1-1", "soon", "2024-01-01 25:00", "" } do
    t.eq(at(text), nil, text)
  end
  t.eq(shown(batches.at(0).hour), "1970-01-01T00")
end)

t.test("hours are cut and moved by batches", function()
  local hour = at("2024-09-17 16:06:00").hour
  for size, expected in pairs { hour = "2024-09-17T16 2024-09-17T15 2024-09-17T17",
    day = "2024-09-17T00 2024-09-16T00 2024-09-18T00", month = "2024-09-01T00 2024-08-01T00 2024-10-01T00",
    year = "2024-01-01T00 2023-01-01T00 2025-01-01T00" } do
    t.eq(("%s %s %s"):format(shown(batches.floor(hour, size)), shown(batches.offset(hour, size, -1)),
      shown(batches.offset(hour, size, 1))), expected, size)
  end
  t.eq(shown(batches.offset(at("2024-12-31").hour, "month", 14)), "2026-02-01T00")
end)

t.test("a first run begins at `begin`", function()
  t.eq(spans({ size = "day", begin = "2024-01-01 05:00:00" }, { now = at "2024-01-03 10:00:00" }, false),
    "2024-01-01T00 2024-01-02T00, 2024-01-02T00 2024-01-03T00, 2024-01-03T00 2024-01-04T00")
  t.eq(spans({ size = "day" }, { now = at "2024-01-02" }, false), "2024-01-01T00 2024-01-02T00",
    "midnight is the end of a batch")
end)

t.test("later runs look back", function()
  local now = { now = at "2024-03-10 10:00:00" }
  t.eq(spans({ size = "day", lookback = 0 }, now, true), "2024-03-10T00 2024-03-11T00")
  t.eq(spans({ size = "day", lookback = 2 }, now, true),
    "2024-03-08T00 2024-03-09T00, 2024-03-09T00 2024-03-10T00, 2024-03-10T00 2024-03-11T00")
  t.eq(spans({ size = "month" }, now, true), "2024-02-01T00 2024-03-01T00, 2024-03-01T00 2024-04-01T00")
end)

t.test("the command line's span wins", function()
  local range = { start = at "2024-02-01 12:00:00", finish = at "2024-02-02 12:00:00", now = at "2024-03-10" }
  t.eq(spans({ size = "day" }, range, true), "2024-02-01T00 2024-02-02T00, 2024-02-02T00 2024-02-03T00")
  t.eq(spans({ size = "year" }, range, false), "2024-01-01T00 2025-01-01T00")
end)

t.test("names of batches", function()
  local hour = at("2024-09-17 16:00:00").hour
  t.eq(batches.name(hour, "hour") .. " " .. batches.name(hour, "day") .. " " .. batches.name(hour, "month") .. " "
    .. batches.name(hour, "year"), "2024-09-17T16 2024-09-17 2024-09 2024")
  t.eq(batches.text(hour, " "), "2024-09-17 16:00:00+00:00")
end)

t.test("options that are no span", function()
  t.raises(function() batches.range({ event_time_start = "x", event_time_end = "2024-01-01" }, 0) end, "is no date")
  t.raises(function() batches.range({ event_time_end = "2024-01-01" }, 0) end, "come together")
  t.raises(function() batches.range({ event_time_start = "2024-01-02", event_time_end = "2024-01-02" }, 0) end,
    "must lie before")
  t.eq(batches.range({}, 3600 * 5 + 1).now.hour - batches.at(0).hour, 5)
end)
