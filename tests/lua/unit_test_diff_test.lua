-- How unit tests show differences, and how CSV fixtures are read.
local csv_rows = require "project.csv_rows"
local diff = require "run.unit_test_diff"
local tap = require "tap"
local value = require "jinja.value"

local test, equal = tap.test, tap.eq
local none = value.none

test("equal rows in another order, one for one", function()
  equal(diff.render({ "a" }, { { 1 }, { 2 }, { 2 } }, { { 2 }, { 1 }, { 2 } }), nil)
  equal(diff.render({ "a" }, { { 1 }, { 2 } }, { { 2 }, { 1 }, { 2 } }), "@@ ,a\n...,...\n   ,2\n+++,2")
end)

test("a row that differs, one too few, one too many", function()
  equal(diff.render({ "id", "name", "ok" }, { { 1, "one", true }, { 2, "two", true }, { 9, "x", none } },
    { { 1, "one", true }, { 2, "two", false }, { 3, "three", none } }),
    "@@ ,id,name ,ok\n   ,1 ,one  ,True\n→  ,2 ,two  ,True→False\n+++,3 ,three,NULL\n---,9 ,x    ,NULL")
end)

test("rows of one key are one row that differs", function()
  equal(diff.render({ "id", "a", "b" }, { { 1, "x", 2 } }, { { 1, "y", 3 } }), "@@,id,a  ,b\n→ ,1 ,x→y,2→3")
end)

test("unchanged rows far from a change are left out", function()
  local expected, actual = {}, {}
  for i = 1, 9 do
    expected[i], actual[i] = { i, "same" }, { i, i == 5 and "other" or "same" }
  end
  equal(diff.render({ "id", "t" }, expected, actual),
    "@@ ,id ,t\n...,...,...\n   ,4  ,same\n→  ,5  ,same→other\n   ,6  ,same\n...,...,...")
end)

local function read(text)
  local out = {}
  for i, row in ipairs(csv_rows.read(text, { what = "t", file = "f.csv", line = 1 })) do
    local cells = {}
    for k, v in pairs(row) do cells[#cells + 1] = k .. "=" .. (v == none and "-" or v) end
    out[i] = table.concat(cells, " ")
  end
  return table.concat(out, "|")
end

test("CSV fixtures as Python reads them", function()
  equal(read 'a,b\n1,x\n2,\n', "a=1 b=x|a=2 b=-")
  equal(read 'a,b\r\n"x, ""y""","l\n2"\r\n\r\n3\r\n', 'a=x, "y" b=l\n2|a=3 b=-')
  equal(read "\xEF\xBB\xBFa\nü", "a=ü")
  equal(read "", "")
end)

local function fails(text, message)
  local ok, e = pcall(csv_rows.read, text, { what = "t", file = "f.csv", line = 5 })
  equal(ok, false)
  equal(("%d %s"):format(e.code, tostring(e)), message)
end

test("CSV fixtures that are wrong", function()
  fails("a,b\n1,2\n1,2,3\n", "125 f.csv:7: t: row 2 has 3 cells, and the header has 2")
  fails('a\n"x\n', "125 f.csv:6: t: a quoted cell never ends")
end)
