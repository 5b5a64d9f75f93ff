--- Versions of packages, .env files, and what is written of settings.

local dotenv = require "command.dotenv"
local tap = require "tap"
local unrendered = require "project.unrendered"
local version = require "deps.version"

local test, eq = tap.test, tap.eq

local function allowed(wanted, ...)
  local specs, found = {}, {}
  for text in wanted:gmatch("[^,]+") do specs[#specs + 1] = version.parse(text) end
  for _, text in ipairs { ... } do
    if version.satisfies_all(version.parse(text), specs) then found[#found + 1] = text end
  end
  return table.concat(found, " ")
end

test("versions that are asked for", function()
  local all = { "1.0.0", "1.0.1-rc1", "1.0.1", "1.10.0", "2.0.0-rc1", "2.0.0" }
  local function of(wanted) return allowed(wanted, table.unpack(all)) end
  eq(of "1.0.1", "1.0.1")
  eq(of "=1.0.1", "1.0.1")
  eq(of ">1.0.1", "1.10.0 2.0.0-rc1 2.0.0")
  eq(of ">=1.0.1,<2.0.0", "1.0.1 1.10.0")
  eq(of "<=2.0.0", table.concat(all, " "))
  eq(of "<2.0.0", "1.0.0 1.0.1-rc1 1.0.1 1.10.0")
  eq(of ">=1.0.1-rc1, <1.10.0", "1.0.1-rc1 1.0.1")
  eq(of "<2.0.0-rc1", "1.0.0 1.0.1-rc1 1.0.1 1.10.0")
end)

test("the order of versions", function()
  local list = { "1.0.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-2", "1.0.0-beta", "1.0.0-11", "0.9.9", "v1.2.3+b1" }
  local parsed = {}
  for i, text in ipairs(list) do parsed[i] = version.parse(text) end
  table.sort(parsed, function(a, b) return version.compare(a, b) < 0 end)
  for i, v in ipairs(parsed) do list[i] = v.text end
  eq(table.concat(list, " "), "0.9.9 1.0.0-2 1.0.0-11 1.0.0-alpha 1.0.0-alpha.1 1.0.0-beta 1.0.0 v1.2.3+b1")
end)

test("what is no version", function()
  for _, text in ipairs { "1.0", "latest", "", "==1.0.0", "~1.0.0", "1.0.0.0", "1.0.0-", "<>1.0.0" } do
    eq(version.parse(text), nil)
  end
end)

local function parsed(text)
  local found, bad = dotenv.parse(text)
  local out = {}
  for i, pair in ipairs(found) do out[i] = pair[1] .. "=" .. pair[2] end
  return table.concat(out, "|"), table.concat(bad, " ")
end

test(".env", function()
  eq(parsed "A=1\nB = 2 \n\n# no\nexport C=3", "A=1|B=2|C=3")
  eq(parsed "A='it''s'\n", "A=it")
  eq(parsed "A=\"two\nlines\"\nB=\"a\\tb\\\"c\"\nC='a\\tb'", "A=two\nlines|B=a\tb\"c|C=a\\tb")
  eq(parsed "A=x # y\nB=x#y\nC=# z\nD='# w' # v", "A=x|B=x#y|C=|D=# w")
  eq(parsed "A=1\nB=${A}2\nC=${NO_SUCH_VARIABLE:-d}e\nD=${NO_SUCH_VARIABLE}", "A=1|B=12|C=de|D=")
  eq(parsed "A=1\r\nB=2\r\n", "A=1|B=2")
  eq(parsed "\239\187\191A=1", "A=1")
  eq(select(2, parsed "A=1\nno\nB=\"two\nlines\"\nnor this\nC='open"), "2 5 6")
end)

test("settings of a config() call as they were written", function()
  local function written(source)
    local d = unrendered.of_call(source)
    if not d then return "none" end
    local out = {}
    for k, v in pairs(d) do out[#out + 1] = k .. "=" .. tostring(v) end
    return table.concat(out, "|")
  end
  eq(written "{{ config(materialized='table', tags=['a', \"b\"], enabled=true, n=1) }}",
    "materialized=table|tags=['a', 'b']|enabled=True|n=1")
  eq(written "{{ config(schema=var('s', 'x, y'), post_hook=\"vacuum (x)\") }}",
    "schema=var('s', 'x, y')|post_hook=vacuum (x)")
  eq(written "{{ config(\n  a = 'b',\n  c = 'd' ~\n   'e'\n) }}", "a=b|c='d' ~ 'e'")
  eq(written "{{ config({'a': 1}) }}", "none")
  eq(written "select 1", "none")
end)
