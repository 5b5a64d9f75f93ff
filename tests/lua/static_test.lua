--- Models that are understood from their text are understood as a render would: checked over generated templates, of
-- which some have what only a render understands.

local fixture = require "project_fixture"
local jinja = require "jinja"
local json = require "jinja.json"
local literal = require "project.literal"
local scan = require "project.scan"
local t = require "tap"
local value = require "jinja.value"

-- Templates --------------------------------------------------------------------------------------

-- the same templates at every run
math.randomseed(20240611)
local random = math.random

local function pick(list) return list[random(#list)] end

local function spaces() return pick { "", "", " ", "  ", "\n", "\t" } end

local function quoted(s)
  return pick { "'%s'", '"%s"' }:format(s)
end

local names = { "orders", "stg_orders", "a", "Größe", "x y", "under_score", "it{{s", "50%", "}}" }

local literal_value
local function listed(open, close, item)
  local parts = {}
  for i = 1, random(0, 3) do parts[i] = spaces() .. item() .. spaces() end
  local text = table.concat(parts, ",")
  if #parts > 0 and random(4) == 1 then text = text .. "," .. spaces() end
  return open .. spaces() .. text .. close
end

literal_value = function(depth)
  local kind = random(depth > 2 and 7 or 9)
  if kind <= 3 then return quoted(pick(names)) end
  if kind == 4 then return tostring(random(-20, 1000)) end
  if kind == 5 then return ("%s%d.%d"):format(pick { "", "-" }, random(0, 9), random(0, 99)) end
  if kind == 6 then return pick { "true", "false", "True", "False", "none", "None" } end
  if kind == 7 then return pick { "[]", "{}", "''", "1e3", "1_000", "(1, 2)", "'a' 'b'", "'it\\'s'", "0x1F", "007" } end
  if kind == 8 then return listed("[", "]", function() return literal_value(depth + 1) end) end
  return listed("{", "}", function()
    return quoted(pick(names)) .. spaces() .. ":" .. spaces() .. literal_value(depth + 1)
  end)
end

local settings = { "materialized='table'", "tags=['a', 'b']", "tags='c'", "meta={'k': 1}", "schema='s'", "enabled=true",
  "unique_key=['a', 'b']", "pre_hook='select 1'", "own_setting=none" }

local function call()
  local kind = random(12)
  if kind <= 4 then
    local package = random(5) == 1 and quoted(pick(names)) .. spaces() .. "," .. spaces() or ""
    local version = random(5) == 1 and ", " .. pick { "v", "version", "ver" } .. "=" .. literal_value(3) or ""
    return "ref" .. pick { "", " " } .. "(" .. spaces() .. package .. quoted(pick(names)) .. version .. spaces() .. ")"
  elseif kind <= 6 then
    return "source(" .. quoted(pick(names)) .. "," .. spaces() .. quoted(pick(names)) .. ")"
  elseif kind <= 8 then
    local args = {}
    for i = 1, random(0, 3) do args[i] = pick(settings) end
    if random(4) == 1 then
      args[#args + 1] = "other_" .. random(9) .. spaces() .. "=" .. spaces() .. literal_value(0)
    end
    return "config(" .. table.concat(args, "," .. spaces()) .. pick { "", ",", "" } .. ")"
  elseif kind == 9 then
    return pick { "var('start')", "var('start', 1)", "var('none_such', 'x')", "var('templated')", "var('none_such')" }
  elseif kind == 10 then
    return pick { "this", "this.schema", "target.name", "target.schema", "this.identifier" }
  elseif kind == 11 then
    return "config(" .. listed("{", "}", function() return quoted("other") .. ":" .. literal_value(0) end) .. ")"
  end
  return pick { "1 + 1", "ref('a').schema", "ref(var('start'))", "ref('a' ~ 'b')", "ref(*['a'])", "config",
    "ref('a')|upper",
    "source('a', 'b') ~ ''", "own('a')", "ref('a', 'b', 'c')", "source('a')", "is_incremental()", "ref(name)",
    "builtins.ref('a')", "config.get('x')", "var.has_var('start')", "execute", "ref()", "ref('a') if true" }
end

local template
local function piece(depth)
  local kind = random(14)
  if kind <= 4 then
    return pick { "select 1", "\nfrom ", " { } ", "{ {", "%}", "# ", "-- it's a comment\n", "'ü'", "\r\n", "}}", "\n",
      "" }
  elseif kind <= 10 then
    return "{{" .. pick { "", "-", "+" } .. spaces() .. call() .. spaces() .. pick { "", "-" } .. "}}"
  elseif kind == 11 then
    return "{#" .. pick { "", "-" } .. pick { " x ", " {{ ref('hidden') }} ", "" } .. pick { "", "-" } .. "#}"
  elseif kind == 12 and depth < 2 then
    local otherwise = random(2) == 1 and "{% else %}" .. template(depth + 1) or ""
    return "{% if is_incremental() %}" .. template(depth + 1) .. otherwise .. "{%- endif %}"
  elseif kind == 13 then
    return pick { "{% raw %}{{ ref('raw') }}{% endraw %}", "{% set x = ref('a') %}",
      "{% if true %}{{ ref('b') }}{% endif %}", "{% for i in [1, 2] %}{{ ref('c') }}{% endfor %}",
      "{% do config(tags=['d']) %}", "{% if execute %}{{ x.y }}{% endif %}" }
  end
  return spaces()
end

template = function(depth)
  local parts = {}
  for i = 1, random(1, depth == 0 and 6 or 2) do parts[i] = piece(depth) end
  return table.concat(parts)
end

-- Both ways --------------------------------------------------------------------------------------

local function new_node()
  return value.dict("name", "m", "unique_id", "model.shop.m", "package_name", "shop", "resource_type", "model",
    "schema",
    "sch", "database", "db", "alias", "m", "config", value.dict("materialized", "view", "enabled", true), "refs",
    value.list(), "sources", value.list(), "depends_on", value.dict("macros", value.list(), "nodes", value.list()))
end

-- what was found, as text; or the error
local function found(project, source, no_literals)
  project.no_literals = no_literals
  local ok, capture = pcall(scan.template, project, new_node(), source, function()
    return jinja.compile(source, { file = "m.sql", keep = false })
  end)
  project.no_literals = nil
  if not ok then return nil, capture end
  local macros = {}
  for id in pairs(capture.macros) do macros[#macros + 1] = id end
  table.sort(macros)
  return ("%s\n%s\n%s\n%s"):format(json.encode(capture.refs), json.encode(capture.sources), json.encode(capture.config),
    table.concat(macros, " "))
end

local function load(files)
  local all = { ["dbt_project.yml"] = "name: shop\nversion: '1.0'\nprofile: shop\n" ..
    "vars: {start: '2024-01-01', templated: \"{{ ref('in_var') }}\"}\n",
    ["macros/own.sql"] = "{% macro own(x) %}{{ return(ref(x)) }}{% endmacro %}" }
  for path, text in pairs(files or {}) do all[path] = text end
  return fixture.load(all)
end

t.test("what is read from the text is what a render finds, over 4,000 templates", function()
  local project = load()
  local plain = 0
  for _ = 1, 4000 do
    local source = template(0)
    local calls = literal.calls(source)
    local expected, e = found(project, source, true)
    local got, other = found(project, source, false)
    if calls and got then plain = plain + 1 end
    if got ~= expected then
      error(("%s\n--- from the text:\n%s\n--- by a render:\n%s"):format(source, got or tostring(other),
        expected or tostring(e)), 0)
    end
  end
  t.ok(plain > 1200, ("only %d templates were read from their text"):format(plain))
end)

t.test("a project's own ref(), source(), config() or var() is called", function()
  for name, text in pairs {
    ref = "{% macro ref(x) %}{% do return(builtins.ref('renamed_' ~ x)) %}{% endmacro %}",
    source = "{% macro source(a, b) %}{% do return(builtins.ref(b)) %}{% endmacro %}",
    config = "{% macro config() %}{% do return(builtins.config(tags=['own'], **kwargs)) %}{% endmacro %}",
    var = "{% macro var(x) %}{% do return(ref('from_var')) %}{% endmacro %}",
  } do
    local project = load { ["macros/" .. name .. ".sql"] = text }
    local source = "{{ config(materialized='table') }}{{ ref('a') }}{{ source('b', 'c') }}{{ var('start') }}"
    local expected, e = found(project, source, true)
    t.ok(expected, tostring(e))
    t.eq(found(project, source, false), expected, name)
    local trace = { ref = "renamed_a", source = '"c"', config = '"own"', var = "from_var" }
    t.ok(expected:find(trace[name], 1, true), expected)
  end
end)
