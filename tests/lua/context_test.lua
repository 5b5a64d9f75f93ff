--- What templates see, phase by phase, without a database: tests/lua/adapter_test.lua has the rest.

local compile = require "run.compile"
local context = require "run.context"
local fixture = require "project_fixture"
local jinja = require "jinja"
local scan = require "project.scan"
local t = require "tap"
local value = require "jinja.value"

local project = fixture.load {
  ["dbt_project.yml"] = [[
name: shop
version: '1.0'
profile: shop
vars:
  start: '2024-01-01'
  relation: "{{ target.schema }}.orders"
  nothing:
  shop: {own: 1}
  helper: {theirs: 2}
dispatch:
  - macro_namespace: helper
    search_order: [shop, helper]
models:
  shop:
    +meta: {owner: me}
]],
  ["models/orders.sql"] = "select 1 as id",
  ["models/sub/spare.sql"] = "{{ config(materialized='ephemeral') }}select * from {{ ref('orders') }}",
  ["models/outer_spare.sql"] = "{{ config(materialized='ephemeral') }}select * from {{ ref('spare') }}",
  ["models/report.sql"] = [[
{{ config(materialized='table', tags=['nightly'], unique_key='id', alias='the_report',
  persist_docs={'relation': true}) }}
select * from {{ ref('orders') }}, {{ source('raw', 'items') }}, {{ ref('outer_spare') }}{{ '' if ref('spare') }}
{% if execute and var('hidden', false) %}{{ ref('secret') }}{% endif %}]],
  ["models/secret.sql"] = "{{ config(quoting={'schema': false}) }}select 1",
  ["models/schema.yml"] = [[
version: 2
models:
  - name: report
    description: All of it
    columns:
      - name: id
        data_type: string
        data_tests:
          - not_null
          - accepted_values: {arguments: {values: [a, "b"]}}
          - shaped: {arguments: {opts: {list: [ref('orders'), x], n: 3}}}
          - relationships: {arguments: {to: ref('orders'), field: id}, config: {where: "id > 0"}}
sources:
  - name: raw
    schema: raw_data
    quoting: {identifier: false}
    tables: [{name: items, identifier: ITEMS}]
]],
  ["macros/own.sql"] = [[
{% macro twice(n) %}{{ return(n * 2) }}{% endmacro %}
{% macro lines(a, b='x') %}{{ a }}-{{ b }}-{{ varargs | length }}-{{ kwargs }}{% endmacro %}
{% macro wrapper() %}[{{ caller() }}]{% endmacro %}
{% macro date_trunc(datepart, date) %}own trunc{% endmacro %}
{% macro default__hash(field) %}own hash of {{ field }}{% endmacro %}
{% macro default__greet(name) %}hi {{ name }}{% endmacro %}
{% test shaped(model, column_name, opts) %}{{ opts.list | join(',') }} {{ opts.n + 1 }} {{ column_name }}{% endtest %}
{% macro fails() %}{% do exceptions.raise_compiler_error('no, ' ~ 1) %}{% endmacro %}
]],
  ["packages.yml"] = "packages:\n  - local: pkg/helper\n",
  ["pkg/helper/dbt_project.yml"] = "name: helper\nversion: '1.0'\nvars: {theirs: 1, deep: 7}\n",
  ["pkg/helper/macros/m.sql"] = [[
{% macro greet(name) %}{{ return(adapter.dispatch('greet', 'helper')(name)) }}{% endmacro %}
{% macro default__greet(name) %}hello {{ name }}{% endmacro %}
{% macro sibling() %}{{ helper.greet('you') }}{% endmacro %}
{% macro twice(n) %}theirs{% endmacro %}
]],
  ["pkg/helper/models/theirs.sql"] = "select {{ twice(1) }}, {{ var('theirs') }}, {{ var('deep') }}",
}

local messages = {}
local run = { project = project, invocation_id = "the-id", started_at = 1700000000.25, args = value.dict("which",
  "run"),
  selected = { "model.shop.report" }, which = "run", full_refresh = true,
  log = function(_, level, text) messages[#messages + 1] = level .. ": " .. text end,
  warn = function(self, text) self:log("warn", text) end,
  mask = function(text) return (text:gsub("s3cret", "*****")) end }

local function state_of(id, more)
  local state = { run = run, node = project.nodes[id], thread_id = "Thread-1 (worker)" }
  for k, v in pairs(more or {}) do state[k] = v end
  return state
end

local function ctx_of(id) return context.node(state_of(id)) end

local report = "model.shop.report"
local function render(text, id) return jinja.render(text, ctx_of(id or report)) end

local function parse(text, id)
  local capture = scan.new_capture()
  local node = project.nodes[id or report]
  local out = jinja.render(text, context.parse_context(project, node, capture))
  return out, capture
end

local function last() return messages[#messages] end

-- Names --------------------------------------------------------------------------------------------

local everywhere = [[adapter api builtins column config context dbt_metadata_envs dbt_version database
  diff_of_two_dicts env env_var exceptions execute flags fromjson fromyaml graph invocation_args_dict invocation_id
  load_result local_md5 log model print project_name ref render schema selected_resources set set_strict source sql_now
  statement run_query store_raw_result store_result target thread_id tojson toyaml try_or_compiler_error validation var
  write zip zip_strict generate_schema_name dbt helper pre_hooks post_hooks this load_agate_table]]

local function missing(ctx)
  local names = {}
  for name in everywhere:gmatch("%S+") do
    if ctx[name] == nil then names[#names + 1] = name end
  end
  return table.concat(names, " ")
end

t.test("every phase has dbt's names", function()
  t.eq(missing(ctx_of(report)), "")
  t.eq(missing(context.parse_context(project, project.nodes[report], scan.new_capture())), "")
  local hook = value.dict("resource_type", "operation", "name", "h", "unique_id", "operation.shop.h", "package_name",
    "shop",
    "config", value.dict())
  t.eq(missing(context.operation { run = run, node = hook }), "")
end)

t.test("results and schemas are the run's end's alone", function()
  t.eq(render "{{ results is defined }} {{ schemas is defined }} {{ database_schemas is defined }}",
    "False False False")
end)

t.test("parsing and running differ", function()
  t.eq(render "{{ execute }}", "True")
  t.eq((parse "{{ execute }}"), "False")
  t.eq((parse "{{ var('not there') }}"), "None")
  t.eq((parse "{{ adapter.get_relation('a', 'b', 'c') }}{{ adapter.get_columns_in_relation(this) }}"), "None[]")
  t.eq((parse "{{ run_query('select 1') is none }}{{ config.get('x') }}{{ config.require('y') }}"), "False")
end)

t.test("what is behind an undefined value is undefined while files are parsed, and an error later", function()
  -- as in dbt: what a query gives decides about many of them
  local function read(text)
    local ctx = context.parse_context(project, project.nodes[report], scan.new_capture())
    return jinja.compile(text):read(ctx)
  end
  t.eq(read "{{ x.y.z }}|{{ x.y() }}|{{ x['a'].b[1:] }}|{{ nothing_known(1).k is defined }}|{{ model.foo.bar }}",
    "|||False|")
  t.eq(read "{% if x.y %}t{% else %}f{% endif %}{% for i in x.y %}{{ i }}{% endfor %}{{ x.y.z | default('d') }}", "fd")
  t.raises(function() read "{{ x + 1 }}" end, "'x' is undefined")
  for _, text in ipairs { "{{ x.y }}", "{{ x['a'] }}", "{{ x[1:] }}", "{{ x() }}" } do
    t.raises(function() render(text) end, "'x' is undefined")
  end
  t.raises(function() render "{{ model.foo.bar }}" end, "has no attribute 'foo'")
  fixture.load { ["models/a.sql"] = "select {{ x.y.z() }} 1" }
end)

t.test("keys of the context", function()
  local keys = render "{{ context.keys() | join(' ') }} "
  for name in everywhere:gmatch("%S+") do t.ok(keys:find("%f[%w_]" .. name .. " "), name) end
  for _, name in ipairs { "results", "schemas", "_dbt_generic_test_kwargs" } do
    t.ok(not keys:find(" " .. name .. " ", 1, true), name)
  end
  t.eq(render "{{ context.keys() | unique | list | length == context.keys() | length }}", "True")
end)

t.test("a query's result that is used while files are parsed", function()
  local e = t.raises(function()
    fixture.load { ["models/a.sql"] = "select 1\n{% set found = run_query('select 1').columns[0].values() %}" }
  end, "'NoneType' object has no attribute 'table'")
  t.eq({ e.file, e.line }, { "models/a.sql", 2 })
  t.ok(e.hint:find("{% if execute %}", 1, true), e.hint)
end)

t.test("what a model sees of itself", function()
  t.eq(render "{{ this }} {{ this.schema }} {{ this.name }}", '"db"."sch"."the_report" sch the_report')
  t.eq(render "{{ model.name }} {{ model.alias }} {{ model.config.materialized }} {{ model.tags }}",
    "report the_report table ['nightly']")
  t.eq(render "{{ model.group is defined }} {{ model.config.group is defined }}", "False False",
    "what is null is absent")
  t.eq(render "{{ model.columns.id.data_type }}", "TEXT", "types are translated")
  t.eq(render("{{ this }}", "model.shop.secret"), '"db"."sch"."secret"', "a node's quoting has no effect, as in dbt")
  t.eq(render "{{ sql }} {{ model.compiled_sql is defined }} {{ defer_relation }}", "None False None")
  t.eq(render "{{ database }}.{{ schema }} {{ target.name }} {{ env.name }} {{ project_name }}", "db.sch dev dev shop")
  t.eq(render "{{ invocation_id }} {{ thread_id }} {{ selected_resources }} {{ invocation_args_dict.which }}",
    "the-id Thread-1 (worker) ['model.shop.report'] run")
  t.eq(render "{{ run_started_at }} {{ run_started_at.strftime('%Y') }}", "2023-11-14 22:13:20.250000+00:00 2023")
  t.eq(render "{{ dbt_version.split('.')[0] }} {{ flags.FULL_REFRESH }} {{ flags.WHICH }} {{ flags.NO_SUCH is \z
    defined }}",
    "1 True run False")
  t.eq(render "{{ graph.nodes['model.shop.orders'].name }} {{ graph.sources | length }}", "orders 1")
end)

t.test("hooks and operations have no this", function()
  local hook = value.dict("resource_type", "operation", "name", "h", "unique_id", "operation.shop.h", "package_name",
    "shop",
    "config", value.dict())
  local ctx = context.operation { run = run, node = hook }
  t.eq(jinja.render("{{ this }} {{ schema }} {{ ref('orders') }}", ctx), 'None sch "db"."sch"."orders"')
  local e = t.raises(function() jinja.render("{{ ref('spare') }}", ctx) end, "ephemeral model 'spare'")
  t.eq(e.code, 235)
end)

-- ref, source, var ---------------------------------------------------------------------------------

t.test("ref and source are noted while files are parsed", function()
  local out, capture = parse [[{{ ref('orders') }} {{ ref('helper', 'theirs', v=2) }} {{ source('raw', 'items') }}]]
  t.eq(out, '"db"."sch"."the_report" "db"."sch"."the_report" "db"."sch"."the_report"')
  t.eq(capture.refs[1].name, "orders")
  t.eq({ capture.refs[2].package, capture.refs[2].name, capture.refs[2].version }, { "helper", "theirs", 2 })
  t.eq(capture.sources[1], value.list { "raw", "items" })
end)

t.test("ref and source give relations when a node runs", function()
  t.eq(render "{{ ref('orders') }} {{ ref('shop', 'orders').identifier }}", '"db"."sch"."orders" orders')
  t.eq(render "{{ source('raw', 'items') }}", '"db"."raw_data".ITEMS')
  t.eq(render "{{ ref('outer_spare') }}", "__dbt__cte__outer_spare")
end)

t.test("a ref that the parse did not see", function()
  local e = t.raises(function() render "{{ ref('secret') }}" end, "was not seen when the files were read")
  t.eq(e.code, 234)
  t.ok(e.hint:find("-- depends_on: {{ ref('secret') }}", 1, true))
end)

t.test("refs to nowhere, and bad arguments", function()
  local e = t.raises(function() render "{{ ref('ordres') }}" end, "ref%('ordres'%): 'ordres' was not found")
  t.eq({ e.code, e.hint, e.line }, { 233, "did you mean 'orders'?", 1 })
  t.raises(function() render "{{ ref() }}" end, "takes one or two names, not 0")
  t.raises(function() render "{{ ref(1) }}" end, "needs the model's name as text, not int")
  t.raises(function() render "{{ source('raw') }}" end, "source%(%) takes two names")
  e = t.raises(function() render "{{ source('raw', 'item') }}" end, "was not found")
  t.eq(e.hint, "did you mean 'raw.items'?")
  e = t.raises(function() render "{{ ref('orders', 'orders') }}" end, "ref%('orders', 'orders'%)")
  t.eq(e.code, 233)
  t.raises(function() render "{{ ref('orders', v=[]) }}" end, "needs the version as text or number")
end)

t.test("var", function()
  t.eq(render "{{ var('start') }} {{ var('relation') }} {{ var('own') }} {{ var('nothing') }}",
    "2024-01-01 sch.orders 1 None")
  t.eq(render "{{ var('gone', 'default') }} {{ var('gone', default=[1]) }} {{ var.has_var('start') }}",
    "default [1] True")
  local e = t.raises(function() render "{{ var('starts') }}" end, "required variable 'starts' is not set")
  t.eq(e.hint, "did you mean 'start'?")
  t.eq(render("{{ var('theirs') }} {{ var('deep') }}", "model.helper.theirs"), "2 7", "the root's over the package's")
end)

t.test("env_var", function()
  t.eq(render "{{ env_var('DEX_NO_SUCH', 'd') }}", "d")
  t.eq(project.env_vars.DEX_NO_SUCH, "d", "what is read is known")
  t.raises(function() render "{{ env_var('DEX_NO_SUCH') }}" end, "not set and has no default")
  t.raises(function() render "{{ env_var('DBT_ENV_SECRET_X', 'd') }}" end, "secret")
end)

-- Macros -------------------------------------------------------------------------------------------

t.test("macros by name: own package, root, packages, built-in", function()
  t.eq(render "{{ twice(4) }} {{ helper.twice(4) }} {{ dbt.type_string() }} {{ type_int() }}", "8 theirs TEXT integer")
  t.eq(render("{{ twice(4) }} {{ shop.twice(4) }}", "model.helper.theirs"), "theirs 8")
  t.eq(render "{{ lines(1) }} {{ lines(1, 2, 3, c=4) }}", "1-x-0-{} 1-2-1-{'c': 4}")
  t.eq(render "{% call wrapper() %}in{% endcall %}", "[in]")
  t.eq(render "{{ helper.no_such is defined }} {{ helper.sibling() }}", "False hi you")
end)

t.test("a project overrides what is built in", function()
  t.eq(render "{{ date_trunc('day', 'x') }}", "own trunc")
  t.eq(render "{{ dbt.date_trunc('day', 'x') }}", "date_trunc('day', x)", "dbt. means the built-in one")
  t.eq(render "{{ dbt.hash('x') }} {{ hash('x') }}", "own hash of x own hash of x",
    "dispatch looks into the root first")
  t.eq(render "{{ dbt.last_day('x', 'day') }}":gsub("%s+", ""),
    "cast(date_trunc('day',x)+((interval'1day')*(1))+((interval'1day')*(-1))asdate)")
end)

t.test("dispatch", function()
  t.eq(render "{{ helper.greet('you') }}", "hi you")
  local e = t.raises(function() render "{{ adapter.dispatch('no', 'helper')() }}" end, "found no macro 'no'")
  t.ok(e.message:find("shop.postgres__no, shop.default__no, helper.postgres__no, helper.default__no", 1, true),
    e.message)
  e = t.raises(function() render "{{ adapter.dispatch('no')() }}" end, "namespace 'none'")
  t.ok(e.message:find("looking for postgres__no, default__no", 1, true), e.message)
  t.raises(function() render "{{ adapter.dispatch('x', packages=['a']) }}" end, "`packages` is not supported")
  t.raises(function() render "{{ adapter.dispatch('x', 3) }}" end, "must be the name of a package")
  e = t.raises(function() render "{{ adapter.dispatch('helper.x')() }}" end, "is not the name of a macro")
  t.ok(e.hint:find("adapter.dispatch('x', macro_namespace='helper')", 1, true), e.hint)
  t.raises(function() render "{{ adapter.no_such_method() }}" end, "adapter has no method 'no_such_method'")
end)

t.test("an unknown name names the nearest one", function()
  local e = t.raises(function() render "{{ twise(1) }}" end, "'twise' is undefined")
  t.eq(e.hint, "did you mean 'twice'?")
end)

t.test("macros that a node calls are its dependencies, those behind them are not", function()
  local _, capture = parse "{{ helper.sibling() }}{{ twice(1) }}{% set x = dbt.type_string() %}"
  t.eq(capture.macros,
    { ["macro.helper.sibling"] = true, ["macro.shop.twice"] = true, ["macro.dbt.type_string"] = true })
end)

t.test("context and builtins", function()
  t.eq(render "{{ context['twice'](2) }} {{ context.get('gone', 5) }} {{ 'twice' in context }} {{ 'gone' in context }}",
    "4 5 True False")
  t.eq(render "{{ builtins.ref('orders') }} {{ builtins['var']('own') }} {{ builtins.twice is defined }}",
    '"db"."sch"."orders" 1 False')
end)

t.test("templates cannot reach what is behind the objects", function()
  for _, name in ipairs { "adapter", "var", "exceptions", "config", "context", "builtins", "helper", "flags", "this",
    "api.Relation", "api.Column", "ref", "adapter.behavior.x" } do
    for _, field in ipairs { "state", "ctx", "from", "scope", "__index", "fn", "signature", "quoting_", "flags_" } do
      t.eq(render(("{{ %s.%s is defined }}"):format(name, field)), "False", name .. "." .. field)
    end
  end
end)

-- Settings -----------------------------------------------------------------------------------------

t.test("config() is collected while files are parsed", function()
  local out, capture = parse [[{{ config(materialized='view', tags='a', pre_hook='x') }}{{
    config({'tags': ['b'], 'post-hook': 'y'}) }}
{%- do config.set('extra', 1) %}]]
  t.eq(out, "")
  t.eq({ capture.config.materialized, capture.config.extra }, { "view", 1 })
  t.eq(capture.config.tags, value.list { "a", "b" })
  t.eq({ capture.config["pre-hook"][1], capture.config["post-hook"][1] }, { "x", "y" })
  t.raises(function() parse "{{ config(1) }}" end, "either keyword arguments or one mapping")
  t.raises(function() parse "{{ config({'pre_hook': 'a', 'pre-hook': 'b'}) }}" end, "the same setting")
end)

t.test("config answers when a node runs", function()
  t.eq(render "{{ config.get('unique_key') }} {{ config.get('no', 3) }} {{ config.get('full_refresh', 9) }}",
    "id 3 None")
  t.eq(render "{{ config.meta_get('owner') }} {{ config.meta_get('no', 1) }}", "me 1")
  t.eq(render "{{ config.persist_relation_docs() }} {{ config.persist_column_docs() }}", "True False")
  t.eq(render "{{ config.require('alias') }}{{ config(x=1) }} {{ config.get('pre_hook') }} {{ 'alias' in config }}",
    "the_report [] True")
  t.eq(render "{{ config.model.name }} {{ config.meta_require('owner') }} {{ config.get('no') }}", "report me None")
  local e = t.raises(function() render "{{ config.require('unique_kye') }}" end, "needs the setting 'unique_kye'")
  t.eq({ e.code, e.hint }, { 236, "did you mean 'unique_key'?" })
  t.eq(render "{{ should_full_refresh() }} {{ should_store_failures() }} {{ is_incremental() }}", "True False False")
end)

-- Functions ----------------------------------------------------------------------------------------

t.test("log, print, warn", function()
  t.eq(render "{{ log('quiet') }}", "")
  t.eq(last(), "debug: quiet")
  render "{% do log([1, none], info=True) %}"
  t.eq(last(), "info: [1, None]")
  render "{{ print('a s3cret') }}"
  t.eq(last(), "print: a *****")
  t.eq(render "{{ exceptions.warn('careful') }}", "")
  t.eq(last(), "warn: careful")
end)

t.test("exceptions", function()
  local e = t.raises(function() render "a\n{{ fails() }}" end, "^no, 1$")
  t.eq({ e.code, e.stack[1].name, e.stack[1].line, e.line }, { 231, "fails", 8, 8 })
  t.ok(e.file:find("macros/own.sql", 1, true), e.file)
  t.raises(function() render "{{ exceptions.raise_not_implemented('later') }}" end, "later")
  t.raises(function() render "{{ exceptions.relation_wrong_type(this, 'view') }}" end, "a view is needed here")
  e = t.raises(function()
    render "{{ exceptions.raise_contract_error([{'name': 'a', 'data_type': 'TEXT'}], [{'name': 'b', 'data_type': \z
      'INT'}]) }}"
  end, "not those of its contract")
  t.ok(e.message:find("| a           |                 | TEXT          | missing in definition |\n" ..
    "| b           | INT             |               | missing in contract   |", 1, true),
    e.message)
end)

t.test("json, yaml, sets, zip, md5", function()
  t.eq(render "{{ fromjson('{\"a\": [1, null]}') }} {{ fromjson('{', 'bad') }} {{ tojson({'b': 1, 'a': none}, \z
    sort_keys=true) }}",
    "{'a': [1, None]} bad {\"a\": null, \"b\": 1}")
  t.eq(render "{{ fromyaml('a: [1, yes]') }} {{ fromyaml('a: [', 0) }}", "{'a': [1, True]} 0")
  t.eq(render "{{ toyaml({'a': [1, {'b': none}], 'c': {}, 'd': 'yes', 'e': 'x: y', 'f': 1.0, 'g': '1'}) }}",
    "a:\n- 1\n- b: null\nc: {}\nd: 'yes'\ne: 'x: y'\nf: 1.0\ng: '1'\n")
  t.eq(render "{{ set([1, 2, 1]) | list }} {{ set(3, 'no') }} {{ zip([1, 2], ['a', 'b', 'c']) | list }}",
    "[1, 2] no [(1, 'a'), (2, 'b')]")
  t.raises(function() render "{{ set_strict(3) }}" end, "not iterable")
  t.raises(function() render "{{ zip_strict([1], 2) }}" end, "must support iteration")
  t.eq(render "{{ local_md5('hello world') }}", "5eb63bbbe01eeed093cb22bb8f5acdc3")
  t.eq(render "{{ diff_of_two_dicts({'x': ['v1', 'V2'], 'Y': ['3']}, {'X': ['V1'], 'z': ['4']}) }}",
    "{'x': ['V2'], 'Y': ['3']}")
end)

t.test("render, try_or_compiler_error, validation", function()
  t.eq(render "{{ render('{' ~ '{ 1 + 1 }' ~ '}') }}", "2")
  t.raises(function() render "{{ try_or_compiler_error('sorry', fails) }}" end, "^sorry$")
  t.eq(render "{{ try_or_compiler_error('sorry', twice, n=4) }}", "8")
  t.raises(function() render "{{ validation.any('a', 'b')('c') }}" end, 'expected value "c"')
end)

t.test("ref.config is the project's, for packages that ask it", function()
  t.eq(render "{{ ref.config.project_name }} {{ builtins.ref.config.dependencies['shop'].version }}", "shop 1.0")
  t.eq(render("{{ source.config.args.select is none }} {{ source.config.vars.to_dict() is mapping }} " ..
    "{{ ref.nothing is defined }}"),
    "True True False")
end)

t.test("results by name", function()
  t.eq(render [[{% do store_raw_result('x', message='OK 3', code='OK', rows_affected=3) %}
{%- set r = load_result('x') %}{{ r.response }} {{ r.response.rows_affected }} {{ r['data'] }} {{
    r.table | length }}]], "OK 3 3 [] 0")
  t.raises(function() render "{% do store_result('y', 'OK') %}{% do load_result('y') %}{{ load_result('y') }}" end,
    "has been taken already")
  t.eq(render "{% do store_result('main', 'OK') %}{{ load_result('main').response }}{{ load_result('main').response }}",
    "OKOK")
  t.eq(render "{{ load_result('never') }}", "None")
end)

t.test("a query without a connection says so", function()
  local e = t.raises(function() render "{{ run_query('select 1') }}" end, "no connection")
  t.eq(e.code, 421)
end)

-- Tests' arguments ---------------------------------------------------------------------------------

local function test_of(pattern)
  for id in pairs(project.nodes) do
    if id:find(pattern) then return id end
  end
end

t.test("generic tests compile", function()
  local sql = compile.node(state_of(test_of "^test.shop.not_null"))
  t.eq(sql:gsub("%s+", " "), 'select id from "db"."sch"."the_report" where id is null')
  sql = compile.node(state_of(test_of "^test.shop.accepted_values"))
  t.ok(sql:find("not in ('a', 'b')", 1, true), sql)
  sql = compile.node(state_of(test_of "^test.shop.relationships"))
  t.ok(sql:find('from (select * from "db"."sch"."the_report" where id > 0) dbt_subquery where', 1, true), sql)
  t.ok(sql:find('from "db"."sch"."orders"', 1, true), sql)
  t.eq(compile.node(state_of(test_of "^test.shop.shaped")), '"db"."sch"."orders",x 4 id')
end)

t.test("a test that keeps its failures has a relation", function()
  local state = state_of(test_of "^test.shop.not_null")
  t.eq(state.node.relation_name, value.none)
  compile.node(state)
  t.eq(state.node.relation_name, value.none)
  state.run = setmetatable({ flags = { store_failures = true } }, { __index = run })
  compile.node(state)
  t.ok(state.node.relation_name:find('^"db"."sch_dbt_test__audit"."not_null_'), state.node.relation_name)
end)

-- Compilation --------------------------------------------------------------------------------------

t.test("ephemeral models become CTEs, those that they use first, each once", function()
  local sql = compile.node(state_of(report))
  t.eq(sql, "\nwith __dbt__cte__spare as (\nselect * from \"db\".\"sch\".\"orders\"\n),  __dbt__cte__outer_spare as (\n"
    .. "select * from __dbt__cte__spare\n) select * from \"db\".\"sch\".\"orders\", \"db\".\"raw_data\".ITEMS, "
    .. "__dbt__cte__outer_spare\n")
 local node = project.nodes[report]
  t.eq(render "{{ sql == model.compiled_sql }} {{ compiled_code[:5] }}", "True \nwith")
  t.eq({ node.compiled, node.extra_ctes_injected, #node.extra_ctes, node.extra_ctes[1].id },
    { true, true, 2, "model.shop.spare" })
  t.eq(project.nodes["model.shop.outer_spare"].compiled_code,
    "with __dbt__cte__spare as (\nselect * from \"db\".\"sch\".\"orders\"\n) select * from __dbt__cte__spare")
end)

t.test("where CTEs are put", function()
  local function prefix(sql) return compile.prefix(sql, { " a as (x)" }) end
  t.eq(prefix "select 1", "with a as (x) select 1")
  t.eq(prefix "\n -- note\nselect 1", "\n with a as (x) -- note\nselect 1")
  t.eq(prefix "with b as (y) select 1", "with  a as (x), b as (y) select 1")
  t.eq(prefix "WITH RECURSIVE\nb as (y) select 1", "WITH RECURSIVE\n a as (x), b as (y) select 1")
  t.eq(prefix "-- with\n/* with /* nested */ */ with b as (y) select 1",
    "-- with\n/* with /* nested */ */ with  a as (x), b as (y) select 1")
  t.eq(prefix "select 'x'::timestamp with time zone", "with a as (x) select 'x'::timestamp with time zone")
  t.eq(prefix "within as (y)", "with a as (x) within as (y)")
  t.eq(compile.prefix("select 1", {}), "select 1")
end)

t.test("a hook's text gets its CTEs, and leaves the node's alone", function()
  local state = state_of(report)
  local ctx = context.node(state)
  jinja.render("{{ ref('spare') }}{{ ref('spare') }}", ctx)
  t.eq(state.ctes, { "model.shop.spare" })
  state.ctes = { "kept" }
  t.eq(compile.text(state, ctx, "insert into x select * from {{ ref('orders') }}"),
    'insert into x select * from "db"."sch"."orders"')
  t.eq(state.ctes, { "kept" })
  t.ok(compile.text(state, ctx, "select * from {{ ref('outer_spare') }}"):find("^with __dbt__cte__spare as"))
end)

t.test("Python models fail clearly", function()
  local e = t.raises(function()
    compile.node { run = run, node = value.dict("language", "python", "name", "py", "unique_id", "model.shop.py") }
  end, "PostgreSQL cannot run it")
  t.eq(e.code, 244)
end)

fixture.clean()
