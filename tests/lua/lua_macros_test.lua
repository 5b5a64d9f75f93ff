--- Macros, filters and tests that a project writes in Lua.

local context = require "run.context"
local errors = require "report.errors"
local fixture = require "project_fixture"
local jinja = require "jinja"
local limits = require "jinja.limits"
local t = require "tap"
local value = require "jinja.value"

local money = [[
local M = { filters = {}, tests = {} }

local function euros(cents, digits)
  return ("%." .. (digits or 2) .. "f"):format(cents / 100)
end

function M.cents_to_euros(ctx, column, digits)
  return ("(%s / 100)::numeric(16, %d)"):format(column, digits or 2)
end

function M.union_of(ctx, names)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = "select * from " .. ctx.ref(name) end
  return table.concat(parts, " union all ")
end

function M.settings(ctx) return { name = "x", list = { 1, 2.5, "a" }, nested = { deep = true } } end
function M.nothing(ctx) end
function M.null(ctx) return nil end
function M.echo(ctx, a, b, ...) return { a = a, b = b, more = { ... } } end
function M.with_kwargs(ctx, a, kwargs)
  local names = {}
  for name in pairs(kwargs) do names[#names + 1] = name end
  table.sort(names)
  return tostring(a) .. ":" .. table.concat(names, ",")
end
function M.wrapped(ctx, caller) return "<" .. caller() .. ">" end
function M.default__where(ctx, x) return "lua default " .. x end
function M.calls_others(ctx) return ctx.in_jinja("y") .. " " .. ctx.echo("z").a end
function M.generate_alias_name(ctx, custom, node) return "lua_" .. (custom or node.name) end
function M.fails(ctx, x)
  local y = x.field.deeper
  return y
end
function M.fails_in_jinja(ctx) return "" .. ctx.broken() end
function M.raises(ctx) error("own words", 0) end
function M.endless(ctx) while true do end end

M.filters.euros = euros
function M.filters.upper(s) return "own " .. s end
function M.tests.even(n) return n % 2 == 0 end
function M.tests.divisible_into(n, by) return n % by == 0 end
return M
]]

local macros = [[
{% macro in_jinja(x) %}jinja {{ x }}{% endmacro %}
{% macro where(x) %}{{ return(adapter.dispatch('where')(x)) }}{% endmacro %}
{% macro uses_lua() %}{{ return(echo(1, b=2)) }}{% endmacro %}
{% macro broken() %}{{ missing.x }}{% endmacro %}
]]

local project = fixture.load {
  ["macros/money.lua"] = money, ["macros/m.sql"] = macros,
  ["models/a.sql"] = "select {{ cents_to_euros('x') }} as x, '{{ 1250 | euros }}' as y",
  ["models/b.sql"] = "{{ union_of(['a']) }}",
}

local function render(text)
  local capture = require("project.scan").new_capture()
  return jinja.render(text, context.parse_context(project, project.nodes["model.shop.a"], capture), { file = "m.sql" })
end

t.test("a Lua function is called like any other macro", function()
  t.eq(render "{{ cents_to_euros('amount') }}", "(amount / 100)::numeric(16, 2)")
  t.eq(render "{{ cents_to_euros(digits=4, column='amount') }}", "(amount / 100)::numeric(16, 4)")
  t.eq(render "{{ shop.cents_to_euros('a', 1) }}", "(a / 100)::numeric(16, 1)")
  t.eq(render "{{ cents_to_euros(*['a'], **{'digits': 3}) }}", "(a / 100)::numeric(16, 3)")
  t.eq(render "[{{ nothing() }}] [{{ null() }}] {{ null() is none }}", "[] [None] True")
  t.eq(render "{{ with_kwargs(1, b=2, c=3) }} {{ with_kwargs(1) }}", "1:b,c 1:")
  t.eq(render "{% call wrapped() %}x{{ 1 + 1 }}{% endcall %}", "<x2>")
  t.eq(render "{{ cents_to_euros is callable }} {{ cents_to_euros is defined }}", "True True")
end)

t.test("values go both ways", function()
  t.eq(render "{% set s = settings() %}{{ s }} {{ s.list[1] + 1 }} {{ s.nested.deep }}",
    "{'list': [1, 2.5, 'a'], 'name': 'x', 'nested': {'deep': True}} 3.5 True")
  t.eq(render "{{ echo([1, [2]], {'k': none}, 3, 'four') }}", "{'a': [1, [2]], 'b': {'k': None}, 'more': [3, 'four']}")
  t.eq(render "{{ echo(none, missing_name) }}", "{'more': []}")
  t.eq(render "{{ echo(target).a is mapping }} {{ echo(target).a.name }}", "True dev")
end)

t.test("the context is what a template sees", function()
  t.eq(render "{{ union_of(['a', 'a']) }}",
    'select * from "db"."sch"."lua_a" union all select * from "db"."sch"."lua_a"')
  t.eq(render "{{ calls_others() }}", "jinja y z")
end)

t.test("dispatched and overridden like any other", function()
  t.eq(render "{{ where('x') }}", "lua default x")
  t.eq(render "{{ uses_lua().b }}", "2")
  t.eq(project.nodes["model.shop.a"].alias, "lua_a")
  t.eq(value.keys(project.nodes["model.shop.b"].refs[1])[1], "name")
  local macro = project.macros["macro.shop.cents_to_euros"]
  t.eq(macro.arguments, { "column", "digits" })
  t.eq(macro.source, 'function M.cents_to_euros(ctx, column, digits)\n'
    .. '  return ("(%s / 100)::numeric(16, %d)"):format(column, digits or 2)\nend')
end)

t.test("filters and tests", function()
  t.eq(render "{{ 1250 | euros }} {{ 1250 | euros(digits=1) }} {{ [100, 200] | map('euros') | list }}",
    "12.50 12.5 ['1.00', '2.00']")
  t.eq(render "{{ 4 is even }} {{ 3 is even }} {{ [1, 2, 3] | select('even') | list }} {{ 9 is divisible_into(3) }}",
    "True False [2] True")
  t.eq(render "{{ 'a' | upper }}", "own a")
  local e = t.raises(function() render "{{ 1 | euro }}" end, "there is no filter named 'euro'")
  t.eq(e.hint, "did you mean 'euros'?")
end)

local function message(text)
  local ok, e = pcall(render, text)
  return ok and "no error" or (errors.format(e):gsub("/%S-/macros/", "macros/"))
end

t.test("errors name the Lua file's line, and the way to it", function()
  t.eq(message "select {{ fails({}) }}", [[
error 209: attempt to index a nil value (field 'field')
  macros/money.lua:32
    32 |   local y = x.field.deeper
  in macro fails (macros/money.lua:32)
  called from m.sql:1]])
  t.eq(message "{{ raises() }}", [[
error 209: own words
  macros/money.lua:36
    36 | function M.raises(ctx) error("own words", 0) end
  in macro raises (macros/money.lua:36)
  called from m.sql:1]])
  t.eq(message "{{ fails_in_jinja() }}", [[
error 202: 'missing' is undefined
  macros/m.sql:4:24
    4 | {% macro broken() %}{{ missing.x }}{% endmacro %}
      |                        ^
  in macro broken (macros/m.sql:4)
  called from macro fails_in_jinja (macros/money.lua:35)
  called from m.sql:1]])
  t.eq(message "{{ cents_to_euros('a', digit=1) }}", [[
error 204: macro 'cents_to_euros' takes no keyword argument 'digit'
  m.sql:1:4
    1 | {{ cents_to_euros('a', digit=1) }}
      |    ^
  hint: did you mean 'digits'?]])
  local instructions = limits.instructions
  limits.instructions = 3000000
  t.raises(function() render "{{ endless() }}" end, "does not come to an end")
  limits.instructions = instructions
end)

t.test("files that are none", function()
  local function failure(text) return fixture.failure { ["macros/x.lua"] = text } end
  t.eq(failure "return 1", "209 macros/x.lua: a Lua file of macros returns its table of functions, and this one returns"
    .. " a number")
  t.eq(failure "return {\n  f = function( end\n}", "209 macros/x.lua:2: this Lua file does not load:"
    .. " <name> or '...' expected near 'end'")
  t.eq(failure "local x = {}\nx.y.z = 2\nreturn {}", "209 macros/x.lua:2: attempt to index a nil value (field 'y')")
  t.eq(failure "y = 1", "209 macros/x.lua:1: 'y' is no local: write `local y` first")
  t.eq(failure "return { filters = 1 }", "209 macros/x.lua: `filters` must be a table of functions")
  t.eq(failure "return { ['a b'] = function() end }",
    "209 macros/x.lua: 'a b' is no name for a macro, filter or test")
end)

-- What a package may not reach ---------------------------------------------------------------------

local function packaged(code)
  return fixture.load {
    ["dbt_packages/other/dbt_project.yml"] = "name: other\nversion: '1.0'\n",
    ["dbt_packages/other/macros/evil.lua"] = code,
    ["packages.yml"] = "packages: [{local: dbt_packages/other}]\n",
    ["models/a.sql"] = "select 1",
  }
end

local function in_package(body)
  local loaded = packaged("local M = {}\nfunction M.f(ctx, x)\n" .. body .. "\nend\n"
    .. "M.filters = { upper = function() return 'stolen' end, mine = function(s) return s .. '!' end }\nreturn M")
  local capture = require("project.scan").new_capture()
  local ctx = context.parse_context(loaded, loaded.nodes["model.shop.a"], capture)
  return jinja.render("{{ other.f(target) }}", ctx, { file = "m.sql" }), ctx
end

t.test("a package's Lua has no way out", function()
  for _, name in ipairs { "os", "io", "debug", "load", "loadstring", "dofile", "package", "collectgarbage",
    "coroutine" } do
    t.raises(function() in_package("return tostring(" .. name .. ")") end, "there is no global '" .. name .. "'")
  end
  for _, name in ipairs { "lpeg", "jinja", "dex.fs", "dex.db", "os" } do
    t.raises(function() in_package("return tostring(require('" .. name .. "'))") end, "there is no module")
  end
  t.eq(in_package "return tostring(getmetatable(''))", "protected")
  for _, object in ipairs { "ctx", "x", "ctx.adapter", "_G" } do
    t.eq(in_package("return tostring(getmetatable(" .. object .. "))"), "protected", object)
  end
  t.eq(in_package "return tostring(rawget(ctx, 'adapter')) .. tostring(next(ctx)) .. tostring(next(ctx.adapter))",
    "nilnilnil")
  t.eq(in_package "return tostring(ctx.adapter.state) .. tostring(ctx.config.capture) .. tostring(ctx._state)",
    "nilnilnil")
  t.eq(in_package "return tostring(x.password) .. tostring(ctx.target.pass)", "nilnil")
  t.raises(function() in_package "setmetatable(ctx, {})" end, "protected metatable")
  t.raises(function() in_package "ctx.ref = 1" end, "read only")
  t.raises(function() in_package "for k in pairs(ctx) do end" end, "cannot be listed")
  t.raises(function() in_package "return require('..secret')" end, "there is no module")
  t.eq(in_package "string.format = nil; table.concat = nil; math.floor = nil; return 'ok'", "ok")
  t.eq(("%d"):format(3) .. table.concat { 1, 2 } .. math.floor(1.5), "3121")
  t.eq(in_package "local j = require 'dex.json'; j.encode = nil; return 'ok'", "ok")
  t.ok(require("dex.json").encode)
end)

t.test("a package's filters do not replace built-in ones", function()
  local _, ctx = in_package "return ''"
  t.eq(jinja.render("{{ 'a' | upper }}{{ 'a' | mine }}", ctx), "Aa!")
end)
