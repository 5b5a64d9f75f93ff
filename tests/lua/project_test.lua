--- lua/project: what a project's files mean, and what is said about wrong ones.

local fixture = require "project_fixture"
local tap = require "tap"
local value = require "jinja.value"

local test, equal = tap.test, tap.eq

local function matches(text, pattern) tap.ok(text:find(pattern), text) end

local function list(v) return table.concat(v, " ") end

local function hooks_of(project, id, phase)
  local out = {}
  for i, hook in ipairs(project.info[id].hooks[phase] or {}) do
    out[i] = hook.sql .. (hook.transaction and "" or "!")
  end
  return table.concat(out, "; ")
end

test("a model is a node of the manifest", function()
  local project = fixture.load {
    ["models/staging/orders.sql"] = "\n\n  select 1 as id\n\n",
  }
  local node = project.nodes["model.shop.orders"]
  equal(node.raw_code, "select 1 as id")
  equal(list(node.fqn), "shop staging orders")
  equal(node.path, "staging/orders.sql")
  equal(node.original_file_path, "models/staging/orders.sql")
  equal(node.relation_name, '"db"."sch"."orders"')
  equal(node.config.materialized, "view")
  equal(node.checksum.checksum, require("dex.hash").sha256("select 1 as id"))
  equal(project.info["model.shop.orders"].line, 3)
end)

test("config: project file outer to inner, properties, in-file", function()
  local project = fixture.load {
    ["dbt_project.yml"] = [[
name: shop
version: '1.0'
profile: shop
models:
  +meta: {a: 1, b: 1}
  +tags: [all]
  shop:
    +materialized: table
    staging:
      tags: stg
      +meta: {b: 2}
      orders:
        +schema: own
]],
    ["models/staging/orders.sql"] = "{{ config(tags=['x'], meta={'c': 3}, materialized='incremental') }} select 1",
    ["models/staging/p.yml"] = "models:\n- name: orders\n  config: {materialized: view, meta: {a: 9}, alias: ord}\n",
    ["models/other.sql"] = "select 1",
  }
  local node = project.nodes["model.shop.orders"]
  equal(node.config.materialized, "incremental")
  equal(list(node.config.tags), "all stg x")
  equal(list(node.tags), "all stg x")
  equal(node.config.meta.a .. node.config.meta.b .. node.config.meta.c, "923")
  equal(node.relation_name, '"db"."sch_own"."ord"')
  equal(project.nodes["model.shop.other"].config.materialized, "table")
end)

test("grants: + extends, its absence replaces", function()
  local project = fixture.load {
    ["dbt_project.yml"] = "name: shop\nprofile: shop\nmodels:\n  +grants: {select: [a]}\n  shop:\n" ..
      "    +grants: {+select: b, insert: c}\n",
    ["models/m.sql"] = "{{ config(grants={'+select': ['d'], 'insert': ['e']}) }} select 1",
  }
  local grants = project.nodes["model.shop.m"].config.grants
  equal(list(grants.select), "a b d")
  equal(list(grants.insert), "e")
end)

test("the root's settings for a package come last", function()
  local project = fixture.load {
    ["dbt_project.yml"] = "name: shop\nprofile: shop\nmodels:\n  inner: {+materialized: table, +tags: [root]}\n",
    ["packages.yml"] = "packages: [{local: inner}]\n",
    ["inner/dbt_project.yml"] = "name: inner\nmodels: {inner: {+tags: [own], +schema: s}}\n",
    ["inner/models/m.sql"] = "{{ config(materialized='view', tags='file') }} select 1",
  }
  local node = project.nodes["model.inner.m"]
  equal(node.config.materialized, "table")
  equal(list(node.config.tags), "own file root")
  equal(node.schema, "sch_s")
  equal(node.original_file_path, "models/m.sql")
end)

test("hooks: every form, every place, general to specific", function()
  local project = fixture.load {
    ["dbt_project.yml"] = [[
name: shop
profile: shop
models:
  +pre-hook: "select 'project'"
  shop:
    post_hook: [{sql: "select 'list'", transaction: false}, "select 'text'"]
    +on_failure: {lua: alarms.page, args: {to: ops}}
]],
    ["models/m.sql"] = [[
{{ config(materialized='table',
          pre_hook=["select 'file'", {"sql": "select 'dict'", "transaction": False}]) }}
select 1]],
    ["models/p.yml"] = [[
models:
- name: m
  config:
    pre_hook: "select 'yaml'"
    post-hook:
    - "lua: audit.row_count"
    - operation: operations/maintenance/index.sql
      timeout: 5m
      on_error: warn
    always: [{sql: "select 1", when: "target.name == 'dev'", retries: 2, commands: [run]}]
]],
  }
  local id = "model.shop.m"
  equal(hooks_of(project, id, "pre"), "select 'project'; select 'yaml'; select 'file'; select 'dict'!")
  equal(hooks_of(project, id, "post"),
    "select 'list'!; select 'text'; lua: audit.row_count; operation: operations/maintenance/index.sql")
  local info = project.info[id].hooks
  equal(info.pre[1].place .. info.pre[2].place .. info.pre[3].place, "projectpropertiesconfig")
  matches(info.pre[1].file, "dbt_project.yml$")
  equal(info.pre[1].line, 4)
  equal(info.pre[2].line, 4)
  equal(info.pre[3].line, 2)
  equal(info.post[3].kind, "lua")
  equal(info.post[3].lua, "audit.row_count")
  equal(info.post[4].operation, "maintenance/index")
  equal(info.post[4].timeout, 300)
  equal(info.post[4].on_error, "warn")
  equal(info.on_failure[1].args.to, "ops")
  equal(info.always[1].retries, 2)
  equal(info.always[1].when, "target.name == 'dev'")
  equal(info.post[4].index, 4)
  local shown = project.nodes[id].config["post-hook"]
  equal(#shown, 4)
  equal(shown[1].transaction, false)
  equal(shown[1].index, value.none)
end)

test("a named hook is replaced or removed by a more specific level", function()
  local files = {
    ["dbt_project.yml"] = [[
name: shop
profile: shop
models:
  +post-hook: [{name: a, sql: "select 'a'"}, {name: b, sql: "select 'b'"}, "select 'c'"]
]],
    ["models/m.sql"] = "{{ config(post_hook=[{'name': 'a', 'sql': 'select 2'}, {'name': 'b', 'enabled': false}]) }} " ..
      "select 1",
    ["models/n.sql"] = "select 1",
  }
  local project = fixture.load(files)
  equal(hooks_of(project, "model.shop.m", "post"), "select 2; select 'c'")
  equal(hooks_of(project, "model.shop.n", "post"), "select 'a'; select 'b'; select 'c'")
  equal(project.info["model.shop.n"].hooks.post[3].index, 3)
  equal(project.info["model.shop.m"].hooks.post[2].index, 2)
end)

test("before_begin and its siblings: a text that is JSON", function()
  local project = fixture.load {
    ["models/m.sql"] = [[{{ config(post_hook='{"sql": "vacuum", "transaction": false}') }} select 1]],
  }
  equal(hooks_of(project, "model.shop.m", "post"), "vacuum!")
end)

test("refs in hooks are dependencies", function()
  local project = fixture.load {
    ["dbt_project.yml"] = "name: shop\nprofile: shop\nmodels:\n  shop:\n    b:\n" ..
      "      +post-hook: \"select * from {{ ref('a') }}\"\n",
    ["models/a.sql"] = "select 1",
    ["models/b.sql"] = "select 2",
  }
  equal(list(project.nodes["model.shop.b"].depends_on.nodes), "model.shop.a")
end)

test("run hooks: root first, packages by name, the root moves and removes", function()
  local project = fixture.load {
    ["dbt_project.yml"] = [[
name: shop
profile: shop
on-run-start: ["select 'root'", {name: z2}]
on-run-end: [{name: gone, enabled: false}, "select 'end'"]
]],
    ["packages.yml"] = "packages: [{local: zed}, {local: abc}]\n",
    ["zed/dbt_project.yml"] = "name: zed\non-run-start: [\"select 'z1'\", {name: z2, sql: \"select 'z2'\"}]\n",
    ["abc/dbt_project.yml"] = "name: abc\non-run-start: \"select 'a'\"\non-run-end: [{name: gone, sql: x}]\n",
    ["models/m.sql"] = "select 1",
  }
  local ids = {}
  for i, hook in ipairs(project.run_hooks.start) do ids[i] = hook.id end
  equal(list(ids), "operation.shop.shop-on-run-start-0 operation.zed.zed-on-run-start-1 " ..
    "operation.abc.abc-on-run-start-0 operation.zed.zed-on-run-start-0")
  equal(#project.run_hooks.finish, 1)
  equal(list(project.nodes[ids[1]].tags), "on-run-start")
end)

test("generic tests have dbt's names and ids", function()
  local project = fixture.load {
    ["models/stg_a.sql"] = "select 1 as id",
    ["seeds/raw.csv"] = "id\n1\n",
    ["models/schema.yml"] = [[
models:
- name: stg_a
  columns:
  - name: id
    tags: [c1]
    data_tests:
    - unique
    - not_null: {config: {severity: warn, where: "id > 1"}}
    - accepted_values: {arguments: {values: [1, 2, 'a b']}}
    - relationships: {to: ref('raw'), field: id}
  - name: a_very_long_column_name_that_makes_the_name_of_the_test_too_long
    tests: [not_null]
]],
  }
  local found = {}
  for id, node in pairs(project.nodes) do
    if node.resource_type == "test" then found[#found + 1] = id end
  end
  table.sort(found)
  equal(table.concat(found, "\n"), [[
test.shop.accepted_values_stg_a_id__1__2__a_b.82598e9fea
test.shop.not_null_stg_a_a_very_long_column_name_that_makes_the_name_of_the_test_too_long.b9f6374a0d
test.shop.not_null_stg_a_id.8f75690087
test.shop.relationships_stg_a_id__id__ref_raw_.1705c47661
test.shop.unique_stg_a_id.944f84deb7]])
  local node = project.nodes["test.shop.not_null_stg_a_id.8f75690087"]
  equal(node.config.severity, "warn")
  equal(node.raw_code, '{{ test_not_null(**_dbt_generic_test_kwargs) }}{{ config(severity="warn",where="id > 1") }}')
  equal(list(node.tags), "c1")
  equal(node.attached_node, "model.shop.stg_a")
  equal(node.test_metadata.kwargs.model, "{{ get_where_subquery(ref('stg_a')) }}")
  equal(list(project.nodes["test.shop.relationships_stg_a_id__id__ref_raw_.1705c47661"].depends_on.nodes),
    "seed.shop.raw model.shop.stg_a")
  equal(list(project.nodes["model.shop.stg_a"].primary_key), "id")
  equal(project.nodes[found[2]].alias, "not_null_stg_a_b48cc94585329ccdeb05411a3af6fe97")
end)

test("models that are read without being compiled", function()
  local literal = require "project.literal"
  local function calls(source)
    local found = literal.calls(source)
    if not found then return nil end
    local out = {}
    for i, call in ipairs(found) do
      local args = {}
      for j, arg in ipairs(call.args) do
        args[j] = (arg.keyword and arg.keyword .. "=" or "") .. require("jinja").str(arg.value)
      end
      out[i] = call.name .. "(" .. table.concat(args, ",") .. ")"
    end
    return table.concat(out, " ")
  end
  equal(calls("select 1"), "")
  equal(calls("a {{ ref('x') }} {#- {{ ref('y') }} #} {{- source ( \"a\" , 'b' ) -}} {b}"), "ref(x) source(a,b)")
  equal(calls("{{ config(a=1, b=-2.5, c=[1, 'x',], d={'k': none, \"l\": True}, e=()) }}"), nil)
  equal(calls("{{ config(a=1, b=-2.5, c=[1, 'x',], d={'k': none, \"l\": True},) }}"),
    "config(a=1,b=-2.5,c=[1, 'x'],d={'k': None, 'l': True})")
  equal(calls("{{ ref('p', 'm', v=2) }} {{ this }} {{ target.name }}"), "ref(p,m,v=2)")
  equal(calls("{{ ref('a' ~ 'b') }}"), nil)
  equal(calls("{{ ref('it\\'s') }}"), nil)
  equal(calls("{% set x = 1 %}"), nil)
  equal(calls("{% if is_incremental() %} {{ ref('y') }} {%- else -%} {{ ref('z') }} {% endif %} {{ ref('q') }}"),
    "ref(z) ref(q)")
  equal(calls("{% if is_incremental() %} {{ foo() }} {% endif %}"), nil)
  equal(calls("{% if is_incremental() %}"), nil)
end)

test("what is read without being compiled is what a render finds", function()
  local files = {
    ["macros/own.sql"] = "{% macro id(x) %}{{ return(x) }}{% endmacro %}",
    ["models/a.sql"] = "select 1",
    ["models/plain.sql"] = "{{ config(materialized='incremental', tags=['x']) }} select * from {{ ref('a') }}"
      .. "{% if is_incremental() %} where {{ ref('nope') }} {% endif %}",
    ["models/rendered.sql"] = "{{ config(materialized=id('incremental'), tags=['x']) }} " ..
      "select * from {{ ref(id('a')) }}"
      .. "{% if is_incremental() %} where {{ ref('nope') }} {% endif %}",
  }
  local project = fixture.load(files)
  local one, two = project.nodes["model.shop.plain"], project.nodes["model.shop.rendered"]
  equal(two.config, one.config)
  equal(two.refs, one.refs)
  equal(list(one.depends_on.macros), "macro.dbt.is_incremental")
  equal(list(two.depends_on.macros), "macro.dbt.is_incremental macro.shop.id")
end)

test("names are made by the project's macros", function()
  local project = fixture.load {
    ["macros/names.sql"] = [[
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- if custom_schema_name is none -%} {{ target.schema }} {%- else -%}
  {{ custom_schema_name }}_{{ node.name }} {%- endif -%}
{%- endmacro %}
{% macro default__generate_alias_name(custom_alias_name=none, node=none) %}x_{{ node.name }}{% endmacro %}
]],
    ["models/a.sql"] = "{{ config(schema='s') }} select 1",
    ["models/b.sql"] = "select 1",
  }
  equal(project.nodes["model.shop.a"].relation_name, '"db"."s_a"."x_a"')
  equal(project.nodes["model.shop.b"].relation_name, '"db"."sch"."x_b"')
end)

test("a generic test of the project may configure itself and refer to nodes", function()
  local project = fixture.load {
    ["models/a.sql"] = "select 1", ["models/b.sql"] = "select 1",
    ["tests/generic/mine.sql"] = "{% test mine(model, column_name, other) %}{{ config(severity='warn', tags=['m']) }}"
      .. "select * from {{ model }}, {{ ref('b') }} where {{ column_name }} = {{ other }}{% endtest %}",
    ["models/p.yml"] = "models:\n- name: a\n  columns: [{name: x, tests: [{mine: {other: 1, config: {limit: 3}}}]}]\n",
  }
  local node
  for _, n in pairs(project.nodes) do
    if n.resource_type == "test" then node = n end
  end
  equal(node.config.severity .. node.config.limit, "warn3")
  equal(list(node.tags), "m")
  equal(list(node.depends_on.nodes), "model.shop.a model.shop.b")
end)

test("versions of a model", function()
  local project = fixture.load {
    ["models/dim_v1.sql"] = "select 1 as id",
    ["models/dim.sql"] = "select 1 as id",
    ["models/a.sql"] = "select * from {{ ref('dim', v=1) }}, {{ ref('dim') }}, {{ ref('shop', 'dim', version=2) }}",
    ["models/p.yml"] = [[
models:
- name: dim
  latest_version: 2
  columns: [{name: id, tests: [unique]}, {name: b}]
  versions: [{v: 1, columns: [{include: all, exclude: [b]}]}, {v: 2, defined_in: dim}]
]],
  }
  equal(list(project.nodes["model.shop.a"].depends_on.nodes), "model.shop.dim.v1 model.shop.dim.v2")
  equal(project.nodes["model.shop.dim.v1"].alias, "dim_v1")
  equal(#project.nodes["model.shop.dim.v1"].columns, 1)
  equal(list(project.nodes["model.shop.dim.v2"].fqn), "shop dim v2")
end)

test("sources, docs blocks, vars", function()
  local project = fixture.load({
    ["dbt_project.yml"] = "name: shop\nprofile: shop\nvars: {schema_of: raw, shop: {inner: 1}}\n",
    ["models/m.sql"] = "select * from {{ source('src', 't1') }} where {{ var('inner') }} = {{ var('other', 5) }}",
    ["models/d.md"] = "{% docs text %}\nwords\n{% enddocs %}\n",
    ["models/s.yml"] = [[
sources:
- name: src
  schema: "{{ var('schema_of') }}"
  tags: [a]
  tables: [{name: t1, identifier: T1, description: "{{ doc('text') }}", tags: [b], quoting: {identifier: false}}]
]],
  })
  local source = project.sources["source.shop.src.t1"]
  equal(source.relation_name, '"db"."raw".T1')
  equal(source.description, "words")
  equal(list(source.doc_blocks), "doc.shop.text")
  equal(list(source.tags), "a b")
  equal(list(project.nodes["model.shop.m"].depends_on.nodes), "source.shop.src.t1")
end)

test("vars: --vars over the root's over the package's", function()
  local vars = require "project.vars"
  local project = fixture.load({
    ["dbt_project.yml"] = "name: shop\nprofile: shop\nvars: {a: root, b: root, inner: {b: for_inner}}\n",
    ["packages.yml"] = "packages: [{local: inner}]\n",
    ["inner/dbt_project.yml"] = "name: inner\nvars: {a: own, c: own, inner: {d: scoped}}\n",
  }, { vars = value.dict("a", "cli") })
  local seen = vars.of(project.vars, "inner")
  equal(seen.a .. " " .. seen.b .. " " .. seen.c .. " " .. seen.d, "cli for_inner own scoped")
  equal(vars.of(project.vars, "shop").b, "root")
end)

test("profile: targets, threads, libpq keys", function()
  local project = fixture.load({}, { target = "prod" })
  equal(project.profile.params.host, "h")
  equal(project.profile.params.password, "p")
  equal(project.profile.target.schema, "prod")
  equal(project.profile.threads, 8)
  equal(fixture.load({}, { target = "prod", threads = 2 }).profile.threads, 2)
  local embedded = fixture.load({ ["profiles.yml"] = "shop: {outputs: {default: {type: embedded, schema: x}}}\n" })
  equal(embedded.profile.params, nil)
  equal(embedded.profile.type, "embedded")
  equal(embedded.profile.target.type, "postgres")
  equal(embedded.profile.target.schema, "x")
end)

local home = require("dex.env").get("HOME")
if not (home and require("dex.fs").exists(home .. "/.dbt/profiles.yml")) then
  test("without any profile: the private server, and no --target", function()
    local project = fixture.load { ["profiles.yml"] = false }
    equal(project.profile.params, nil)
    equal(project.profile.type .. " " .. project.profile.target_name, "embedded default")
    matches(fixture.failure({ ["profiles.yml"] = false }, { target = "prod" }),
      "^104 target 'prod' was asked for, but there is no")
  end)
end

test("dex_project.yml, and settings that templates give", function()
  local project = fixture.load({
    ["dbt_project.yml"] = false,
    ["dex_project.yml"] = "name: shop\nprofile: \"{{ var('p', 'shop') }}\"\nmodel-paths: [sql]\n"
      .. "models:\n  shop:\n    +enabled: \"{{ target.name == 'dev' and var('on', true) }}\"\n" ..
      "    +tags: [\"{{ target.schema }}\"]\n",
    ["sql/a.sql"] = "select 1",
  })
  equal(project.nodes["model.shop.a"].config.enabled, true)
  equal(list(project.nodes["model.shop.a"].tags), "sch")
end)

test("disabled nodes are set apart; tests on them go with them", function()
  local project = fixture.load {
    ["models/a.sql"] = "{{ config(enabled=false) }} select 1",
    ["models/p.yml"] = "models: [{name: a, columns: [{name: x, tests: [unique]}]}]\n",
  }
  equal(#project.nodes, 0)
  equal(#project.disabled["model.shop.a"], 1)
  equal(#project.disabled, 2)
  equal(fixture.warnings(project), "")
end)

test("snapshots in blocks and in properties files", function()
  local project = fixture.load {
    ["models/m.sql"] = "select 1 as id",
    ["snapshots/all.sql"] = "{% snapshot one %}\n{{ config(unique_key='id', strategy='check', check_cols='all') }}\n"
      .. "select * from {{ ref('m') }}\n{% endsnapshot %}\n",
    ["snapshots/p.yml"] = "snapshots:\n- name: two\n  relation: ref('m')\n" ..
      "  config: {unique_key: id, strategy: check, check_cols: all}\n",
  }
  equal(list(project.nodes["snapshot.shop.one"].fqn), "shop all one")
  equal(project.info["snapshot.shop.one"].line, 2)
  equal(project.nodes["snapshot.shop.two"].raw_code, "select * from {{ ref('m') }}")
  equal(list(project.nodes["snapshot.shop.two"].depends_on.nodes), "model.shop.m")
end)

test("operations", function()
  local project = fixture.load {
    ["operations/permissions/grant.sql"] =
      "{{ config(description='Lets analysts read', transaction=false) }}\ngrant select on all tables in schema x to y",
  }
  local operation = project.operations["permissions/grant"]
  equal(operation.config.description, "Lets analysts read")
  equal(operation.config.transaction, false)
end)

test("dbtignore", function()
  local project = fixture.load {
    [".dbtignore"] = "# comment\n*.draft.sql\n!keep.draft.sql\nold/\n/models/sub/x*.sql\n",
    ["models/a.sql"] = "select 1", ["models/b.draft.sql"] = "select 1", ["models/keep.draft.sql"] = "select 1",
    ["models/old/c.sql"] = "select 1",
    ["models/sub/xy.sql"] = "select 1", ["models/sub/y.sql"] = "select 1", ["models/.hidden.sql"] = "select 1",
  }
  local names = {}
  for _, node in pairs(project.nodes) do names[#names + 1] = node.name end
  equal(list(names), "a keep.draft y")
end)

test("blocks of a file", function()
  local source = [==[
{# {% macro no() %} #}
{% macro one(a, b="%}{% endmacro %}", c=[1, 2]) -%}
  {% raw %}{% endmacro %}{% endraw %}
  {% macro inner() %}x{% endmacro %}
{%- endmacro %} text {{ "{% macro nor() %}" }}
{% test two(model) %}
{% endtest %}{% materialization three, adapter='postgres' %}{% endmaterialization %}
]==]
  local out = {}
  for i, block in ipairs(require("project.blocks").find(source)) do
    out[i] = ("%s %s %s %d %d"):format(block.kind, block.name, block.header, block.line, #block.contents)
  end
  equal(table.concat(out, "\n"), [==[
macro one (a, b="%}{% endmacro %}", c=[1, 2]) 2 76
test two (model) 6 1
materialization three , adapter='postgres' 7 0]==])
end)

-- Bad input --------------------------------------------------------------------------------------

local function fails(name, files, text, opts)
  test(name, function() equal(fixture.failure(files, opts), text) end)
end

fails("no project file", { ["dbt_project.yml"] = false, ["profiles.yml"] = "x: {}\n" },
  "102 there is no dbt_project.yml in '' (run it in the project's folder, or name that with --project-dir)")
fails("unknown ref", { ["models/a.sql"] = "select 1", ["models/b.sql"] = "\nselect *\nfrom {{ ref('aa') }}" },
  "301 models/b.sql:3: model 'b' depends on a node named 'aa', which was not found (did you mean 'a'?)")
fails("ref to a disabled node", { ["models/a.sql"] = "{{ config(enabled=false) }} select 1",
  ["models/b.sql"] = "select * from {{ ref('a') }}" },
  "304 models/b.sql:1: model 'b' depends on a node named 'a', which is disabled")
fails("unknown source", { ["models/b.sql"] = "select 1\n\nfrom {{ source('src', 'tt') }}",
  ["models/s.yml"] = "sources: [{name: src, tables: [{name: t}]}]\n" },
  "303 models/b.sql:3: model 'b' depends on the source 'src.tt', which was not found (did you mean 'src.t'?)")
fails("cycle", { ["models/a.sql"] = "select * from {{ ref('c') }}", ["models/b.sql"] = "select * from {{ ref('a') }}",
  ["models/c.sql"] = "select * from {{ ref('b') }}" },
  "302 models/a.sql:1: these models depend on each other in a circle: a -> b -> c -> a")
fails("duplicate names", { ["models/x/a.sql"] = "select 1", ["models/y/a.sql"] = "select 1" },
  "116 models/y/a.sql:1: two models have the name 'a': the other one is models/x/a.sql " ..
  "(rename one of them: ref() finds a node by its name)")
fails("duplicate relations", { ["models/a.sql"] = "select 1", ["models/b.sql"] = "{{ config(alias='a') }} select 1" },
  "117 models/b.sql:1: model 'b' and model 'a' would both be built as \"db\".\"sch\".\"a\": the other one is " ..
  "models/a.sql (give one of them another alias or schema)")
fails("described twice", { ["models/a.sql"] = "select 1", ["models/p.yml"] = "models: [{name: a}]\n",
  ["models/q.yml"] = "models:\n\n- name: a\n" },
  "118 models/q.yml:3: model 'a' is described twice: also in models/p.yml, line 1")
fails("missing profile", { ["dbt_project.yml"] = "name: shop\nprofile: shp\n" },
  "104 profiles.yml:1: there is no profile 'shp' in profiles.yml: it has shop (did you mean 'shop'?)")
fails("unknown target", {},
  "106 profiles.yml:3: profile 'shop' has no target 'prd': it has dev, prod (did you mean 'prod'?)",
  { target = "prd" })
fails("unknown type of database", { ["profiles.yml"] = "shop:\n  outputs:\n    default:\n      type: snowflake\n" },
  "107 profiles.yml:4: profile 'shop', target 'default': dex-lua has no adapter for type 'snowflake' " ..
  "(types are embedded, postgres, redshift, greenplum, materialize, cockroachdb)")
fails("env_var without a value", { ["profiles.yml"] =
  "shop:\n  outputs:\n    default:\n      type: postgres\n      host: \"{{ env_var('DEX_NO_SUCH_VARIABLE') }}\"\n" },
  "105 profiles.yml:5: shop.outputs.default.host: environment variable 'DEX_NO_SUCH_VARIABLE' is not set and has " ..
  "no default")
fails("both spellings of a hook", { ["models/a.sql"] = "select 1\n{{ config({'pre_hook': 'x', 'pre-hook': 'y'}) }}" },
  "111 models/a.sql:2: model 'a': 'pre_hook' and 'pre-hook' are the same setting: keep one of them")
fails("a hook with an unknown key", { ["models/a.sql"] = "select 1",
  ["models/p.yml"] = "models:\n- name: a\n  config:\n    post_hook:\n    - {sql: x, transction: false}\n" },
  "112 models/p.yml:5: model 'a', post_hook: a hook has no key 'transction' (did you mean 'transaction'?)")
fails("wrong type of a setting", { ["models/a.sql"] = "select 1",
  ["models/p.yml"] = "models:\n- name: a\n  config:\n    enabled: sometimes\n" },
  "111 models/p.yml:4: model 'a': `enabled` must be true or false, not 'sometimes'")
fails("unknown generic test", { ["models/a.sql"] = "select 1",
  ["models/p.yml"] = "models:\n- name: a\n  columns:\n  - name: x\n    tests:\n    - uniqe\n" },
  "115 models/p.yml:6: there is no generic test 'uniqe' (did you mean 'unique'?)")
fails("arguments beside a test's name", { ["models/a.sql"] = "select 1",
  ["models/p.yml"] = "models:\n- name: a\n  columns:\n  - name: x\n    tests:\n    - accepted_values:\n" ..
    "      values: [1]\n" },
  "114 models/p.yml:6: test on 'a', column 'x': a test is one name with its arguments, and here are 2 keys: " ..
  "accepted_values, values (indent the arguments below the test's name)")
fails("a section that is no list", { ["models/p.yml"] = "models:\n  name: a\n" },
  "113 models/p.yml:1: the properties file: `models` must be a list")
fails("an entry without a name", { ["models/p.yml"] = "models:\n- name: a\n- description: x\n",
  ["models/a.sql"] = "select 1" },
  "113 models/p.yml:3: an item of `models` has no name")
fails("unknown docs block", { ["models/a.sql"] = "select 1", ["models/d.md"] = "{% docs words %}x{% enddocs %}",
  ["models/p.yml"] = "models:\n- name: a\n  description: \"{{ doc('word') }}\"\n" },
  "121 models/p.yml:2: there is no docs block 'word' (did you mean 'words'?)")
fails("a block that is not closed", { ["macros/m.sql"] = "\n{% macro m() %}\nx\n" },
  "201 macros/m.sql:2: {% macro %} is never closed by {% endmacro %}")
fails("a hook of a seed with a ref", { ["seeds/s.csv"] = "a\n1\n", ["models/a.sql"] = "select 1",
  ["seeds/p.yml"] = "seeds:\n- name: s\n  config:\n    post_hook: \"select * from {{ ref('a') }}\"\n" },
  "308 seeds/p.yml:4: seed 's' has a hook with ref() or source(): seeds cannot depend on other nodes")
fails("a version of dbt that is not there",
  { ["dbt_project.yml"] = "name: shop\nprofile: shop\nrequire-dbt-version: \">=2.0.0\"\n" },
  "120 dbt_project.yml:3: package 'shop' needs dbt >=2.0.0; dex-lua does as dbt 1.12.3 does")
fails("a package that is not installed",
  { ["packages.yml"] = "packages:\n- package: dbt-labs/dbt_utils\n  version: 1.0.0\n" },
  "119 packages.yml:2: a package is not installed in dbt_packages: dbt_utils (run `dex-lua deps`)")

test("template errors name file and line", function()
  local function failure(source) return (fixture.failure { ["models/a.sql"] = source }) end
  matches(failure("select 1\n\n{% if %}"), "^201 models/a.sql:3: ")
  matches(failure("select 1\n{{ config(materialized=nope()) }}"), "^202 models/a.sql:2: .*nope")
  matches(failure("\n\nselect {{ exceptions.raise_compiler_error('no') }}"), "models/a.sql:3: no")
  matches(fixture.failure { ["macros/m.sql"] = "\n{% macro m() %}\n{{ 1 + }}\n{% endmacro %}" },
    "^201 macros/m.sql:3: ")
  matches(fixture.failure {
    ["dbt_project.yml"] = "name: shop\nprofile: shop\non-run-start:\n- select 1\n- '{{ 1 + }}'\n" },
    "^201 dbt_project.yml:5: ")
end)

test("SQL that is in no file", function()
  local project = fixture.load { ["models/a.sql"] = "select 1" }
  local id = require("project").inline(project, "select * from {{ ref('a') }}")
  equal(list(project.nodes[id].depends_on.nodes), "model.shop.a")
  equal(project.info[id].display, "--inline")
  local ok, e = pcall(require("project").inline, project, "select * from {{ ref('b') }}")
  equal(ok, false)
  equal(e.code .. " " .. tostring(e),
    "301 --inline:1: analysis 'inline_query' depends on a node named 'b', which was not found")
end)

test("all errors are reported, not the first", function()
  local ok, e = pcall(fixture.load, { ["models/a.sql"] = "select * from {{ ref('x') }}",
    ["models/b.sql"] = "select * from {{ ref('y') }}" })
  equal(ok, false)
  equal(e.file .. " " .. e.others[1].file, "models/a.sql models/b.sql")
end)

test("warnings", function()
  local project = fixture.load {
    ["dbt_project.yml"] = [[
name: shop
profile: shop
modles: {}
models:
  shop:
    +materialised: table
    +my_own_setting: 1
    nowhere:
      +schema: x
    sub:
      post-hook: {sql: x}
]],
    ["models/a.sql"] = "select 1", ["models/sub/b.sql"] = "select 1",
    ["models/eph.sql"] = "{{ config(materialized='ephemeral', pre_hook='select 1') }} select 1",
    ["models/p.yml"] = "models:\n- name: aa\n- name: a\n  descripton: x\n- name: b\n  tests: []\nmodel: []\n",
  }
  equal(fixture.warnings(project), table.concat({
    "130 dbt_project.yml:3: the project file has no key 'modles' (did you mean 'models'?)",
    "130 models/p.yml:7: a properties file has no key 'model' (did you mean 'models'?)",
    "130 models/p.yml:4: model 'a' has no key 'descripton' (did you mean 'description'?)",
    "131 models/p.yml:2: there is no model 'aa' for this entry of `models` (did you mean 'a'?)",
    "130 dbt_project.yml:6: models.shop has no key 'materialised' (did you mean 'materialized'?)",
    "133 models/eph.sql:1: model 'eph' is ephemeral: it builds nothing, and its hooks never run",
    "134 dbt_project.yml:11: models.shop.sub: 'post-hook' with a mapping is read as a folder: write '+post-hook'",
    "132 dbt_project.yml:8: no node is in the folder that 'models.shop.nowhere' configures",
  }, "\n"))
end)

test("a test on a missing model is left out with a warning", function()
  local project = fixture.load {
    ["models/p.yml"] = "models:\n- name: gone\n  columns: [{name: x, tests: [unique]}]\n",
    ["tests/t.sql"] = "select * from {{ ref('nope') }}",
  }
  equal(#project.nodes, 0)
  matches(fixture.warnings(project),
    "309 tests/t.sql:1: test 't' depends on a node named 'nope', which was not found: the test is left out")
end)

fixture.clean()
