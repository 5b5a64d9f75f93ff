--- Columns of errors in lines with templates.

local tap = require "tap"
local sl = require "run.source_line"
local function at(source, compiled, needle)
  local _, col = sl.map(source, compiled, compiled:find(needle, 1, true))
  return col
end
tap.test("columns", function()
  tap.eq(at("select {{ x }} as n, wrong from t", "select 1 as n, wrong from t", "wrong"), 22)
  tap.eq(at("select {{ x }} as n from {{ ref('a') }}", "select 1 as n from db.dev.a", "db.dev"), 26)
  tap.eq(at("{{ config(a=1) }} select {{ x }} as n from {{ ref('a') }}", "select 1 as n from db.dev.a", "db.dev"), 44)
  tap.eq(at("{{ config(a=1) }} select {{ x }} as n from {{ ref('a') }}", "select 1 as n from db.dev.a", "select"), 19)
  tap.eq(at("{{ a }}, {{ b }}, {{ c }} x", "1, 2, 3 x", "2"), nil)
  tap.eq(at("{{ a }}, {{ b }}, {{ c }} x", "1, 2, 3 x", "1"), nil)
  tap.eq(at("{{ a }} wrong", "1 wrong", "wrong"), 9)
  tap.eq(at("select {% if x %} wrong {% endif %} y", "select  wrong  y", "wrong"), 19)
end)
