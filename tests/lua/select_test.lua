--- lua/project/select.lua: what --select means.

local fixture = require "project_fixture"
local tap = require "tap"

local test, equal = tap.test, tap.eq

-- raw -> a -> b -> d, a -> c -> d, e alone; tests on a and b; a source below c.
local project = fixture.load {
  ["dbt_project.yml"] = "name: shop\nprofile: shop\nmodels:\n  shop:\n" ..
    "    marts: {+tags: [nightly], +materialized: table}\n",
  ["packages.yml"] = "packages: [{local: inner}]\n",
  ["inner/dbt_project.yml"] = "name: inner\n",
  ["inner/models/pm.sql"] = "select 1",
  ["seeds/raw.csv"] = "id\n1\n",
  ["models/staging/a.sql"] = "select * from {{ ref('raw') }}",
  ["models/staging/b.sql"] = "{{ config(tags='x') }} select * from {{ ref('a') }}",
  ["models/marts/c.sql"] = "select * from {{ ref('a') }}, {{ source('src', 't') }}",
  ["models/marts/d.sql"] = "{{ config(meta={'owner': 'me'}) }} select * from {{ ref('b') }}, {{ ref('c') }}",
  ["models/e.sql"] = "select 1",
  ["tests/check.sql"] = "select * from {{ ref('b') }}, {{ ref('c') }}",
  ["models/staging/p.yml"] = [[
models:
- name: a
  columns: [{name: id, tests: [unique]}]
- name: b
  columns: [{name: id, tests: [{relationships: {to: ref('raw'), field: id}}]}]
sources: [{name: src, tables: [{name: t}, {name: u}]}]
exposures: [{name: board, type: dashboard, owner: {name: me}, depends_on: [ref('d')]}]
]],
}

local short = {}
for id, node in pairs(project.nodes) do
  short[id] = node.resource_type == "test" and (node.name:match("^unique") or node.name:match("^rel") or "check")
    or node.name
end

local function chosen(words, opts)
  local all = { select = words and { words } or nil }
  for k, v in pairs(opts or {}) do all[k] = v end
  local ids, warnings = require("project.select").select(project, all)
  local names = {}
  for i, id in ipairs(ids) do names[i] = short[id] or id:match("[^.]*$") end
  table.sort(names)
  for _, warning in ipairs(warnings) do
    names[#names + 1] = ("[%d %s%s]"):format(warning.code, warning.message, warning.hint and " " .. warning.hint or "")
  end
  return table.concat(names, " ")
end

local models = { types = { "model" } }
local function selects(words, expected, opts)
  test("--select " .. words, function() equal(chosen(words, opts or models), expected) end)
end

test("everything", function()
  equal(chosen(nil, models), "a b c d e pm")
  equal(chosen(nil), "a b board c check d e pm raw rel t u unique")
end)
selects("a", "a")
selects("shop.staging.a", "a")
selects("staging.a", "a")
selects("staging", "a b")
selects("staging.*", "a b")
selects("shop", "a b c d e")
selects("*", "a b c d e pm")
selects("[ab]", "a b")
selects("a e", "a e")
selects("staging,tag:x", "b")
selects("tag:x,staging", "b")
selects("tag:nightly", "c d")
selects("tag:n*", "c d")
selects("path:models/staging", "a b")
selects("models/staging", "a b")
selects("./models/staging/", "a b")
selects("models/**/b.sql", "b")
selects("models/*/*.sql", "a b c d")
selects("b.sql", "b")
selects("file:b", "b")
selects("package:inner", "pm")
selects("package:this", "a b c d e")
selects("config.materialized:table", "c d")
selects("config.meta.owner:me", "d")
selects("config.enabled:true", "a b c d e pm")
selects("resource_type:seed", "raw rel", {})
selects("source:src", "t u", {})
selects("source:src.t+", "board c check d t", {})
selects("exposure:board", "board", {})
selects("+d", "a b c d")
selects("a+", "a b c d")
selects("1+d", "b c d")
selects("a+1", "a b c")
selects("1+b+1", "a b d")
selects("@b", "a b c d")
selects("+exposure:board", "a b c d")
selects("test_type:singular", "check", {})
selects("test_type:generic", "rel unique", {})
selects("test_name:unique", "unique", {})
selects("a", "a unique", {})
selects("nope", "[310 the selection 'nope' matches no enabled node]")
selects("stagin", "[310 the selection 'stagin' matches no enabled node]")

test("tests come with their parents in four modes", function()
  local function mode(name, words) return chosen(words or "b", { indirect_selection = name }) end
  equal(mode("eager"), "b check rel")
  equal(mode("cautious"), "b")
  equal(mode("cautious", "b raw"), "b raw rel")
  equal(mode("buildable"), "b rel")
  equal(mode("empty"), "b")
  equal(mode("cautious", "b c"), "b c check")
end)

test("--exclude", function()
  equal(chosen(nil, { types = { "model" }, exclude = { "staging", "e pm" } }), "c d")
  equal(chosen("a+", { types = { "model" }, exclude = { "tag:x" } }), "a c d")
  equal(chosen("a", { exclude = { "test_type:generic" } }), "a")
end)

test("--resource-type", function()
  equal(chosen(nil, { types = { "model", "seed" }, resource_types = { "seed" } }), "raw")
  equal(chosen(nil, { types = { "model", "seed" }, resource_types = { "models", "test" } }), "a b c d e pm")
end)

local function fails(words, message, opts)
  test("--select " .. words, function()
    local ok, e = pcall(chosen, words, opts)
    equal(ok, false)
    equal(("%d %s%s"):format(e.code, e.message, e.hint and " (" .. e.hint .. ")" or ""), message)
  end)
end
fails("tags:x", "307 'tags' is no selection method (did you mean 'tag'?)")
fails("@a+", "307 '@a+': `@` in front and `+` behind exclude each other")
fails("+", "307 '+' names no node")
fails("test_type:sing", "307 'sing' is no type of test: it is generic, singular, unit or data")
fails("resource_type:modle", "307 'modle' is no resource type (did you mean 'model'?)")

test("in graph order", function()
  local ids = require("project.select").select(project, { select = { "+d" }, types = { "model", "seed" } })
  equal(ids[1], "seed.shop.raw")
  equal(ids[2], "model.shop.a")
  equal(ids[#ids], "model.shop.d")
end)

fixture.clean()
