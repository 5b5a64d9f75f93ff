--- luatest bench.lua FOLDER NAME...: microseconds for compiling and rendering, and for rendering again through the
-- cache, as templates.py reads them; at the end the memory of compiled templates.

local clock = require("dex.time").mono
local fs = require "dex.fs"
local jinja = require "jinja"
local value = require "jinja.value"

local folder = ...
local names = { select(2, ...) }

local vars = { lookback_days = 3, start_date = "2024-01-01" }
local ctx = {
  config = function() return "" end,
  ref = function(...) return ('"db"."sch"."%s"'):format((select(select("#", ...), ...))) end,
  source = function(a, b) return ('"db"."%s"."%s"'):format(a, b) end,
  var = function(name) return vars[name] or value.none end,
  is_incremental = function() return true end,
  this = '"db"."sch"."this"', invocation_id = "abc",
  target = value.dict("name", "dev", "schema", "sch"),
}

local function micros(f)
  f()
  local start, rounds = clock(), 0
  repeat
    f()
    rounds = rounds + 1
  until clock() - start > 0.15
  return (clock() - start) * 1e6 / rounds
end

local bytes = {}
for _, name in ipairs(names) do
  local text = fs.read(("%s/%s.sql"):format(folder, name))
  local cold = micros(function() jinja.compile(text, { file = name, keep = false }):render(ctx) end)
  local again = micros(function() jinja.compile(text, { file = name }):render(ctx) end)
  local out = jinja.render(text, ctx, { file = name })
  print(("%s\t%f\t%f\t%s"):format(name, cold, again, (out:gsub("\\", "\\\\"):gsub("\n", "\\n"))))
  -- a hundred that differ, each with a text of its own
  collectgarbage()
  local before, kept = collectgarbage("count"), {}
  for i = 1, 100 do kept[i] = jinja.compile(text .. "-- " .. i, { file = name }) end
  collectgarbage()
  bytes[#bytes + 1] = ("%s %.0f of %d"):format(name, (collectgarbage("count") - before) * 1024 / #kept, #text)
end
print("memory\t" .. table.concat(bytes, ", "))
