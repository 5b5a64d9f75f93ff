--- The adapter, statements, the relation cache and the built-in macros against a real PostgreSQL.

local context = require "run.context"
local db = require "dex.db"
local fixture = require "run_fixture"
local jinja = require "jinja"
local relations = require "run.relation"
local scan = require "project.scan"
local t = require "tap"
local value = require "jinja.value"

local shop = fixture.project {
  ["models/plain.sql"] = "select 1 as id",
  ["models/contracted.sql"] = "{{ config(materialized='table', contract={'enforced': true}) }}select 1 as id, 'x' as \z
    name",
  ["models/headed.sql"] = [[{{ config(materialized='table', sql_header="set work_mem to '5MB';", unlogged=true,
    indexes=[{'columns': ['id'], 'unique': true}, {'columns': ['id', 'name'], 'type': 'btree'}],
    persist_docs={'relation': true, 'columns': true}) }}select 1 as id, 'x' as name]],
  ["models/added.sql"] = "{{ config(materialized='incremental', unique_key='id') }}select 1 as id, 'x' as name",
  ["models/schema.yml"] = [[
version: 2
models:
  - name: contracted
    columns:
      - {name: id, data_type: integer, constraints: [{type: not_null}, {type: check, expression: "id > 0"}]}
      - {name: name, data_type: varchar}
    constraints: [{type: primary_key, columns: [id], name: contracted_key}]
  - name: headed
    description: it's "all" \ of it
    columns:
      - {name: id, description: "the 'id'"}
      - {name: gone, description: not there}
]],
}

local project = require("project").load { project_dir = shop.dir, vars = value.dict(), command = "run" }
local database = shop.params.dbname
local pool = db.pool(shop.params, { size = 1 })
local conn = pool:lease()
local messages = {}
local run = { project = project, invocation_id = "id", started_at = 0, selected = {}, which = "run",
  log = function(_, level, text) messages[#messages + 1] = level .. ": " .. text end,
  warn = function(_, text) messages[#messages + 1] = "warn: " .. text end }
run.cache = require("run.cache").new(run)

local function state_of(id) return { run = run, conn = conn, node = project.nodes[id or "model.shop.plain"] } end

local function render(text, id, state)
  local ctx = context.node(state or state_of(id))
  return (jinja.render(text, ctx):gsub("^%s+", ""):gsub("%s+$", ""))
end

local function squeezed(...) return (render(...):gsub("%s+", " ")) end

local function rows(sql)
  local result = conn:exec(sql)
  local out = {}
  for r = 1, #result do
    local cells = {}
    for c = 1, #result.columns do cells[c] = result:text(r, c) or "-" end
    out[r] = table.concat(cells, "|")
  end
  return table.concat(out, " ")
end

-- A state whose changes of the cache can be undone, in a schema with nothing in it.
local function fresh()
  conn:exec "drop schema if exists sch cascade; create schema sch"
  run.cache = require("run.cache").new(run)
  t.eq(#run.cache:load(conn, { { database = database, schema = "sch" } }), 0)
  return state_of()
end

-- Statements ---------------------------------------------------------------------------------------

t.test("values of every type", function()
  t.eq(render [[{% set q %}select 1 as a, 2::bigint as b, 1.50::numeric as c, 0.25::float8 as d, true as e, 'x' as f,
    null::int as g, array[1, 2, null] as h, array['a b', 'c"d', null] as i, '{"k": [1, 2]}'::jsonb as j, 7::numeric as k
{% endset %}{{ run_query(q).rows[0].values() | list }}]],
    "[1, 2, Decimal('1.50'), 0.25, True, 'x', None, '[1, 2, null]', '[\"a b\", \"c\\\\\"d\", null]', "
    .. "'{\"k\": [1, 2]}', 7]")
  t.eq(render "{{ run_query('select 1 as a, 2 as a').column_names }}", "('a', 'a_2')")
  t.eq(squeezed [[{% set q = run_query("select 1.50::numeric as a, '2026-01-02'::date as b, null::text as c,
      true as d") %}
    {%- for name in q.column_names %}{{ q.columns[name].data_type.jsonify(q.rows[0][name]) }} {% endfor -%}
    {{ q.columns.a.data_type.csvify(q.rows[0].a) }}]], "1.5 2026-01-02 None True 1.50")
  t.eq(render [==[{% set q %}select array[true, false] as a, array[[1, 2], [3, 4]] as b, '[2:3]={1,2}'::int[] as c,
    array[1.5] as d, '"x"'::json as e, 'null'::json as f, '3'::json as g{% endset %}
    {{- run_query(q).rows[0].values() | list }}]==],
    "['[true, false]', '[[1, 2], [3, 4]]', '[1, 2]', '[1.5]', 'x', None, 3]")
  t.eq(render [[{% set q %}select date '2024-02-29' as d, timestamp '2024-02-29 10:00:00.5' as t, 'infinity'::date as i,
    timestamptz '2024-02-29 10:00:00+00' as z{% endset %}{% set r = run_query(q).rows[0] -%}
    {{ r.d }} {{ r.t }} {{ r.i }} {{ r.d.strftime('%d.%m.%Y') }} {{ (r.z - r.z).days }} {{ r.z.year }}]],
    "2024-02-29 2024-02-29 10:00:00.500000 infinity 29.02.2024 0 2024")
  t.eq(render [[{% set q %}select interval '1 day 2 hours' as a, interval '-1 second' as b, interval '0' as c,
    interval '1 year 2 months 3 days 00:00:00.5' as d, interval '2 days -1 hour' as e{% endset %}
    {{- run_query(q).rows[0].values() | join('; ') }}]],
    "1 day, 2:00:00; -1 day, 23:59:59; 0:00:00; 428 days, 0:00:00.500000; 1 day, 23:00:00")
  t.eq(render [[{% set t = run_query("select date '2024-02-01' as d union all select '2024-01-05'
      union all select null") -%}
    {{ t.order_by('d').rows[0].d }} {{ t.columns.d.values_sorted() | first }} {{ t.distinct() | length }}]],
    "2024-01-05 2024-01-05 3")
end)

t.test("run_query and statement", function()
  t.eq(render [[{% call statement('s', fetch_result=true) %}select x as id from generate_series(1, 3) x{% endcall %}
{%- set r = load_result('s') %}{{ r.data }} {{ r['table'].columns['id'].values() }} {{ r.response }} {{
    r.response.code }}]],
    "[(1,), (2,), (3,)] (1, 2, 3) SELECT 3 SELECT")
  t.eq(render "{% set t = run_query('create temp table made (a int)') %}{{ t is none }} {{ t | length }}", "False 0")
  t.eq(render [[{% set res, t = adapter.execute('insert into made values (1),
    (2)') %}{{ res }} {{ res.rows_affected }} {{ res.code }}]],
    "INSERT 0 2 2 INSERT")
  t.eq(render [[{% set res, t = adapter.execute('select a from made order by 1', fetch=true, limit=1) %}{{
    t | length }}]], "1")
  t.eq(render [[{% call statement('two') %}delete from made; update made set a = 1{% endcall %}{{
    load_result('two').response }}]],
    "UPDATE 0")
  t.eq(render [[{% do adapter.add_query('insert into made values (%s), (%s)', bindings=[5, none]) %}
{{- run_query("select a from made order by 1").columns[0].values() }}]], "(5, None)")
  t.eq(render "{{ adapter.execute('-- nothing')[0].rows_affected }}", "-1")
end)

t.test("a failed query is a database error that names the macro's place", function()
  local e = t.raises(function() render "a\n{{ run_query('select nope') }}" end, 'column "nope" does not exist')
  t.eq({ e.code, e.sqlstate }, { 401, "42703" })
end)

-- Relations ----------------------------------------------------------------------------------------

t.test("the cache knows what stands in a schema", function()
  fresh()
  conn:exec [[create table sch.tab (a int); create view sch.vw as select * from sch.tab;
    create materialized view sch.mat as select * from sch.vw; create table sch."Mixed" (a int);
    create function sch.fn() returns int language sql as 'select 1']]
  run.cache = require("run.cache").new(run)
  t.eq(#run.cache:load(conn, { { schema = "sch" }, { schema = "not there" } }), 1)
  t.eq(render "{% for n in ['tab', 'vw', 'mat', 'fn'] %}{{ (adapter.get_relation(target.database, 'sch', n) or \z
    {}).type }} {% endfor %}",
    "table view materialized_view")
  t.eq(render "{{ load_cached_relation(api.Relation.create(schema='sch', identifier='tab')) }}",
    '"' .. database .. '"."sch"."tab"')
  t.eq(render "{{ adapter.already_exists('sch', 'tab') }} {{ adapter.already_exists('sch', 'no') }}", "True False")
  t.eq(render "{{ adapter.get_relation('other', 'sch', 'tab') }} {{ adapter.get_relation(none, 'sch', 'no') }}",
    "None None")
  t.eq(t.raises(function() render "{{ adapter.get_relation(none, 'sch', 'mixed') }}" end, "only in the case").code, 423)
  t.raises(function() run.cache:load(conn, { { database = "elsewhere", schema = "s" } }) end, "another database")
end)

t.test("a schema that is not cached is listed when it is asked for", function()
  conn:exec "drop schema if exists late cascade; create schema late; create view late.v as select 1"
  t.eq(render "{{ adapter.get_relation(none, 'late', 'v').type }}", "view")
  conn:exec "drop view late.v"
  local asked = 0
  run.log_sql = function() asked = asked + 1 end
  t.eq(render "{{ adapter.get_relation(none, 'late', 'v').type }}", "view", "and then it is known")
  run.log_sql = nil
  t.eq(asked, 0)
end)

t.test("dropping takes the views along, renaming keeps them", function()
  fresh()
  conn:exec "create table sch.base (a int); create view sch.v1 as select * from sch.base; create view sch.v2 as \z
    select * from sch.v1"
  run.cache = require("run.cache").new(run)
  run.cache:load(conn, { { schema = "sch" } })
  local state = state_of()
  render([[{% set base = adapter.get_relation(none, 'sch', 'base') %}
{% do adapter.rename_relation(base, make_backup_relation(base, 'table')) %}]], nil, state)
  t.eq(rows "select to_regclass('sch.base') is null, to_regclass('sch.base__dbt_backup') is null", "t|f")
  t.ok(run.cache:get("sch", "v2"))
  render([[{% set v1 = adapter.get_relation(none, 'sch', 'v1') %}
{% do adapter.rename_relation(v1, v1.incorporate(path={'identifier': 'v3'})) %}]], nil, state)
  render("{% do adapter.drop_relation(adapter.get_relation(none, 'sch', 'base__dbt_backup')) %}", nil, state)
  t.eq(rows "select to_regclass('sch.v2') is null", "t")
  t.eq({ run.cache:get("sch", "base__dbt_backup"), run.cache:get("sch", "v3"), run.cache:get("sch", "v2") }, {})
  run.cache:rollback(state)
  t.ok(run.cache:get("sch", "base"), "a rollback brings back what the state changed")
  t.ok(run.cache:get("sch", "v2"))
  t.eq(run.cache:get("sch", "base__dbt_backup"), nil)
end)

t.test("what is committed stays", function()
  local state = fresh()
  run.cache:add(relations.create { schema = "sch", identifier = "x", type = "table" }, state)
  run.cache:commit(state)
  run.cache:rollback(state)
  t.eq(run.cache:get("sch", "x").type, "table")
  run.cache:drop_schema("SCH")
  t.eq(run.cache:get("sch", "x"), nil)
end)

t.test("a materialization of a project's own tells the cache", function()
  fresh()
  local text = "{% set r = api.Relation.create(schema='sch', identifier='x', type='view') %}"
  render(text .. "{% do adapter.cache_added(r) %}")
  t.eq(run.cache:get("sch", "x").type, "view")
  render(text .. "{% do adapter.cache_renamed(r, r.incorporate(path={'identifier': 'y'})) %}")
  t.eq({ run.cache:get("sch", "x"), run.cache:get("sch", "y").type }, { nil, "view" })
  render(text .. "{% do adapter.cache_dropped(r.incorporate(path={'identifier': 'y'})) %}")
  t.eq(run.cache:get("sch", "y"), nil)
  t.raises(function() render "{{ adapter.cache_added(none) }}" end, "cache_added: there is no relation")
end)

t.test("misuse of the adapter", function()
  t.raises(function() render "{% do adapter.drop_relation(none) %}" end, "must be a relation, not none")
  t.raises(function() render "{% do adapter.drop_relation(api.Relation.create(identifier='x')) %}" end, "table or a \z
    view")
  t.eq(render "{{ 'warn' in exceptions }} {{ 'worn' in exceptions }}", "True False")
  t.raises(function() render "{{ adapter.verify_database('elsewhere') }}" end, "is not the target's")
  t.raises(function() render "{{ adapter.get_relation('a') }}" end, "missing required argument: 'schema'")
end)

t.test("quoting as it is configured", function()
  t.eq(render "{{ adapter.quote('a\"b') }} {{ adapter.quote_as_configured('x', 'schema') }} {{ \z
    adapter.quote_as_configured('x', 'y') }}",
    '"a""b" "x" x')
  t.eq(render "{{ adapter.quote_seed_column('X', none) }} {{ adapter.quote_seed_column('X', false) }} {{ \z
    adapter.quote_seed_column('X', true) }}",
    '"X" X "X"')
  t.raises(function() render "{{ adapter.quote_seed_column('X', 'yes') }}" end, "must be true or false")
  project.quoting.schema = false
  local text = render "{{ adapter.quote_as_configured('x', 'schema') }}"
  project.quoting.schema = true
  t.eq(text, "x")
end)

t.test("what contracts and settings of a project say", function()
  t.eq(render "{{ 'on' if adapter.behavior.some_flag else 'off' }} {{ adapter.behavior.some_flag.no_warn }}",
    "off False")
  t.eq(render "{{ adapter.type() }} {{ adapter.config.credentials.schema }} {{ adapter.config.quoting.schema }} {{ \z
    adapter.commit() }}",
    "postgres sch True None")
  t.eq(render [[{{ adapter.render_raw_columns_constraints({'a': {'name': 'a b', 'quote': true, 'data_type': 'int',
    'constraints': [
    {'type': 'unique', 'expression': ''}, {'type': 'foreign_key', 'to': 'x', 'to_columns': ['y']},
    {'type': 'foreign_key', 'expression': 'z (q)'}, {'type': 'custom', 'expression': 'own'}, {'type': 'check'}]}}) }}]],
    "['\"a b\" int unique references x (y) references z (q) own']")
  t.eq(render [[{{ adapter.render_raw_model_constraints([{'type': 'unique', 'columns': ['a', 'b'], 'expression': ''},
    {'type': 'check', 'expression': 'a > 0', 'name': 'n'}, {'type': 'not_null', 'columns': ['a']},
    {'type': 'custom', 'expression': 'c'},
    {'type': 'foreign_key', 'columns': ['a'], 'to': 'x', 'to_columns': ['y']},
    {'type': 'primary_key', 'columns': ['a'], 'expression': 'e'}]) | join('; ') }}]],
    "unique (a, b); constraint n check (a > 0); c; foreign key (a) references x (y); primary key e (a)")
  t.raises(function() render "{{ adapter.render_raw_model_constraints([{'type': 'odd'}]) }}" end, "not 'odd'")
  t.eq(render "{{ adapter.get_hard_deletes_behavior({'hard_deletes': 'invalidate'}) }} {{ \z
    adapter.get_hard_deletes_behavior(config) }}",
    "invalidate ignore")
  t.eq(render "{{ adapter.get_hard_deletes_behavior({'invalidate_hard_deletes': true}) }}", "invalidate")
  t.raises(function() render "{{ adapter.get_hard_deletes_behavior({'hard_deletes': 'x'}) }}" end, "not 'x'")
end)

t.test("schemas", function()
  render "{% do adapter.create_schema(api.Relation.create(schema='made here')) %}"
  t.eq(render "{{ adapter.check_schema_exists(target.database, 'made here') }} {{ \z
    adapter.check_schema_exists(target.database, 'no') }}",
    "True False")
  t.ok(render("{{ list_schemas(target.database).columns[0].values() }}"):find("'made here'", 1, true))
  render "{% do drop_schema_named('made here') %}"
  t.eq(render "{{ adapter.check_schema_exists(target.database, 'made here') }}", "False")
end)

-- Columns ------------------------------------------------------------------------------------------

t.test("columns are described as information_schema does", function()
  fresh()
  conn:exec [[create domain sch.short as varchar(7);
    create table sch.many (a int, b bigint, c smallint, d numeric, e numeric(10,2),
      f real, g float8, h text, i varchar(5),
      j char(3), k date, l timestamp, m timestamptz, n boolean, o int[], p jsonb, q uuid, r sch.short, s "char", t name,
      u bit(4), v interval, w varbit(6), gone int, x time);
    alter table sch.many drop column gone]]
  local own = render [[{% set many = api.Relation.create(schema='sch', identifier='many') %}
{%- for c in adapter.get_columns_in_relation(many) %}
{{- [c.column, c.dtype, c.char_size, c.numeric_precision, c.numeric_scale] | join('|') }} {% endfor %}]]
  local theirs = rows [[select column_name, data_type, coalesce(character_maximum_length::text, 'None'),
    case when data_type in ('real', 'double precision') then numeric_precision::text
      else coalesce(numeric_precision::text, 'None') end, coalesce(numeric_scale::text, 'None')
    from information_schema.columns where table_schema = 'sch' and table_name = 'many' order by ordinal_position]]
  t.eq(own, theirs)
end)

t.test("columns of temporary tables and materialized views", function()
  conn:exec "create temp table many (other int); create materialized view sch.mat as select 1 as one, \z
    'x'::varchar(3) as two"
  t.eq(render "{{ adapter.get_columns_in_relation(api.Relation.create(identifier='many')) | map(attribute='name') | \z
    list }}", "['other']")
  t.eq(render "{{ adapter.get_columns_in_relation(api.Relation.create(schema='sch', identifier='mat')) | \z
    map(attribute='data_type') | list }}",
    "['integer', 'character varying(3)']")
  t.eq(render "{{ get_columns_in_query('select 1 as a, 2 as b') }}", "['a', 'b']")
  t.eq(render "{{ adapter.get_columns_in_table('sch', 'mat') | map(attribute='name') | list }}", "['one', 'two']")
  t.eq(render "{{ adapter.list_relations_without_caching(this) | selectattr('type', 'equalto', 'materialized_view') \z
    | map(attribute='name') | list }}",
    "['mat']")
  t.eq(render "{% for c in get_column_schema_from_query('select 1 as a, now() as b, 1.5 as c') %}{{ c.name }} {{ \z
    c.dtype }} {% endfor %}",
    "a INTEGER b DATETIMETZ c DECIMAL")
end)

t.test("columns that are missing, and types that grow", function()
  fresh()
  conn:exec [[create table sch.old (a varchar(3), b int); create table sch.new (a varchar(9), b int, c text);
    insert into sch.old values ('x', 1)]]
  local both = "{% set old, new = api.Relation.create(schema='sch', identifier='old', type='table'), "
    .. "api.Relation.create(schema='sch', identifier='new', type='table') %}"
  t.eq(render(both .. "{{ adapter.get_missing_columns(new, old) | map(attribute='name') | list }}"), "['c']")
  render(both .. "{% do adapter.expand_target_column_types(new, old) %}")
  t.eq(rows "select a, b from sch.old", "x|1")
  t.eq(render(both .. "{{ adapter.get_columns_in_relation(old) | map(attribute='data_type') | list }}"),
    "['integer', 'character varying(9)']")
  t.eq(render(both .. "{{ process_schema_changes('sync_all_columns', new, old) | length }}"), "3")
  t.eq(render(both .. "{{ adapter.get_columns_in_relation(old) | map(attribute='name') | sort }}"), "['a', 'b', 'c']")
  conn:exec "alter table sch.new drop column c"
  t.raises(function() render(both .. "{{ process_schema_changes('fail', new, old) }}") end, "only in the table: %[c%]")
  t.eq(render(both .. "{{ process_schema_changes('ignore', new, old) }}"), "{}")
end)

-- Building -----------------------------------------------------------------------------------------

local target = "{% set target_relation = this.incorporate(type='table') %}"

t.test("tables and views are created", function()
  fresh()
  t.eq(squeezed "{{ get_create_view_as_sql(this, 'select 1 as id -- x') }}",
    ('create view "%s"."sch"."plain" as ( select 1 as id -- x );'):format(database))
  t.eq(squeezed "{{ create_table_as(true, make_temp_relation(this).include(schema=false), 'select 1') }}":gsub("%d+",
    "N"),
    'create temporary table "plain__dbt_tmpN" as ( select N );')
  render("{% do run_query(get_create_table_as_sql(false, this, 'select 1 as id, 2 as name')) %}", "model.shop.headed")
  t.eq(rows "select relpersistence from pg_class where relname = 'headed'", "u", "unlogged")
  t.eq(rows "show work_mem", "5MB", "the header ran")
  conn:exec "reset work_mem"
  render(target .. "{% do run_query(get_replace_sql(adapter.get_relation(none, 'sch', 'headed') or target_relation,"
    .. " this.incorporate(type='view'), 'select 5 as id')) %}", "model.shop.headed")
  t.eq(rows "select id, (select relkind from pg_class where relname = 'headed') from sch.headed", "5|v")
  render(target .. "{% do run_query(get_create_materialized_view_as_sql(this, 'select 7 as id, 1 as name')) %}",
    "model.shop.added")
  t.eq(rows "select id from sch.added", "7")
end)

t.test("names beside a long name stay within what PostgreSQL keeps", function()
  local long = ("n"):rep(60)
  local text = "{% set r = api.Relation.create(schema='sch', identifier='" .. long .. "') %}"
  t.eq(render(text .. "{{ make_intermediate_relation(r).identifier }}"), ("n"):rep(54) .. "__dbt_tmp")
  t.eq(render(text .. "{{ make_backup_relation(r, 'view').identifier | length }} {{ make_backup_relation(r, \z
    'view').type }}"), "63 view")
  t.eq(render(text .. "{% set x = make_temp_relation(r) %}{{ x.identifier | length }} {{ x.schema }} {{ x.database }}"),
    "63 None None")
end)

t.test("indexes", function()
  fresh()
  render("{% do run_query(get_create_table_as_sql(false, this, model.compiled_code or 'select 1 as id, 2 as name')) %}"
    .. "{% do create_indexes(this) %}", "model.shop.headed")
  t.eq(rows "select indisunique, indnatts from pg_index where indrelid = 'sch.headed'::regclass order by 2", "t|1 f|2")
  t.eq(render("{{ run_query(get_show_indexes_sql(this)).columns['column_names'].values() | sort }}",
    "model.shop.headed"), "['id', 'id,name']")
  t.raises(function() render "{{ get_create_index_sql(this, {'column': 'id'}) }}" end, "an index is a mapping with \z
    `columns`")
  t.ok(render "{{ adapter.parse_index({'columns': ['a']}).render(this) == adapter.parse_index({'columns': \z
    ['b']}).render(this) }}", "False")
  t.eq(render "{% set i = adapter.parse_index({'columns': ['a'], 'type': 'hash'}) %}{{ i.unique }} {{ i.type }} {{ \z
    adapter.parse_index(none) }}",
    "False hash None")
end)

t.test("comments", function()
  render("{% do persist_docs(this.incorporate(type='table'), model) %}", "model.shop.headed")
  t.eq(rows "select obj_description('sch.headed'::regclass), col_description('sch.headed'::regclass, 1)",
    'it\'s "all" \\ of it|the \'id\'')
  t.ok(messages[#messages]:find("are described but are not in the database: gone", 1, true), messages[#messages])
end)

t.test("contracts", function()
  fresh()
  render("{% do run_query(get_create_table_as_sql(false, this, \"select 'a'::text as name, 3 as id\")) %}",
    "model.shop.contracted")
  t.eq(rows "select id, name from sch.contracted", "3|a")
  t.eq(rows "select count(*), min(conname) from pg_constraint where conrelid = 'sch.contracted'::regclass",
    "2|contracted_id_check")
  local e = t.raises(function()
    render("{{ get_assert_columns_equivalent(\"select 1.5 as id, 'x' as title\") }}", "model.shop.contracted")
  end, "not those of its contract")
  t.eq(e.code, 241)
  t.ok(e.message:find("| id%s+| DECIMAL%s+| INTEGER%s+| data type mismatch%s*|"), e.message)
  t.ok(e.message:find("| title%s+| TEXT%s+|%s+| missing in contract%s*|"), e.message)
  t.raises(function() render "{{ get_assert_columns_equivalent('select 1') }}" end, "its columns are not described")
end)

t.test("grants", function()
  fresh()
  conn:exec [[do $$ begin
    if not exists (select from pg_roles where rolname = 'dex_reader') then create role dex_reader; end if;
    if not exists (select from pg_roles where rolname = 'dex-writer') then create role "dex-writer"; end if;
  end $$; create table sch.plain (id int)]]
  local granted = "select grantee, privilege_type from information_schema.role_table_grants where table_schema = 'sch' "
    .. "and grantee in ('dex_reader', 'dex-writer') order by 1, 2"
  render "{% do apply_grants(this, {'select': ['dex_reader'], 'insert': ['\"dex-writer\"', 'dex_reader']}, \z
    should_revoke=false) %}"
  t.eq(rows(granted), "dex-writer|INSERT dex_reader|INSERT dex_reader|SELECT")
  render "{% do apply_grants(this, {'select': ['dex_reader'], 'insert': []}, should_revoke=true) %}"
  t.eq(rows(granted), "dex_reader|SELECT")
  render "{% do apply_grants(this, {'select': ['DEX_READER']}, should_revoke=true) %}"
  t.ok(messages[#messages]:find("all grants are in place", 1, true), "names are compared without regard to case")
  render "{% do apply_grants(this, {}, should_revoke=true) %}"
  t.eq(rows(granted), "dex_reader|SELECT", "an empty setting changes nothing")
  t.eq(render "{{ should_revoke(none) }} {{ should_revoke(this) }} {{ should_revoke(this, false) }}",
    "False False True")
  conn:exec 'drop table sch.plain; drop role dex_reader; drop role "dex-writer"'
end)

-- Adding -------------------------------------------------------------------------------------------

t.test("incremental strategies", function()
  fresh()
  conn:exec [[create table sch.added (id int, name text); insert into sch.added values (1, 'old'), (2, 'kept');
    create temp table fresh_rows as select 1 as id, 'new' as name]]
  local args = "{% set args = {'target_relation': this, 'temp_relation': api.Relation.create(identifier='fresh_rows'),"
    .. " 'unique_key': 'id', 'dest_columns': adapter.get_columns_in_relation(this), 'incremental_predicates': none} %}"
  render(args .. "{% do run_query(adapter.get_incremental_strategy_macro(context, 'default')(args)) %}",
    "model.shop.added")
  t.eq(rows "select * from sch.added order by 1", "1|new 2|kept")
  render(args .. "{% do args.update({'unique_key': none}) %}{% do run_query(get_incremental_append_sql(args)) %}",
    "model.shop.added")
  t.eq(rows "select count(*) from sch.added where id = 1", "2")
  conn:exec "delete from sch.added; insert into sch.added values (1, 'old')"
  render(args .. "{% do run_query(get_incremental_merge_sql(args)) %}", "model.shop.added")
  t.eq(rows "select * from sch.added", "1|new")
  conn:exec "delete from sch.added; insert into sch.added values (1, 'old')"
  render(args .. "{% do run_query(adapter.get_incremental_strategy_macro(context, none)(args)) %}", "model.shop.added")
  t.eq(rows "select * from sch.added", "1|new")
  t.raises(function() render("{% do adapter.get_incremental_strategy_macro(context, 'insert_overwrite') \z
    %}") end, "does not exist")
  t.raises(function() render("{% do adapter.get_incremental_strategy_macro(context, 'mine') %}") end, "no macro \z
    get_incremental_mine_sql")
end)

t.test("is_incremental", function()
  fresh()
  t.eq(render("{{ is_incremental() }}", "model.shop.added"), "False")
  run.cache:add(relations.create { schema = "sch", identifier = "added", type = "table" })
  t.eq(render("{{ is_incremental() }} {{ dbt.is_incremental() }}", "model.shop.added"), "True True")
  t.eq(render "{{ is_incremental() }}", "False", "the model is a view")
end)

t.test("loading a table through SQL", function()
  fresh()
  local csv = "{% set t = run_query(\"select 1 as id, 'it''s' as name, 2.5 as x, true as b, null::int as n, date \z
    '2024-01-02' as d "
    .. "union all select 2, '%s', null, false, 7, null\") %}"
  t.eq(render(csv .. "{% for i in range(6) %}{{ adapter.convert_type(t, i) }},{% endfor %}"),
    "integer,text,float8,boolean,integer,date,")
  t.eq(render "{{ adapter.convert_type(run_query('select 1.5 as a, 3::numeric as b'), 1) }}", "integer")
  local sql = render(csv .. "{{ create_csv_table(model, t) }}; {{ load_csv_rows(model, t) }}")
  t.ok(sql:find('"."sch"."plain" ("id", "name", "x", "b", "n", "d") values (%s, %s', 1, true), sql)
  t.eq(rows "select * from sch.plain order by 1", "1|it's|2.5|t|-|2024-01-02 2|%s|-|f|7|-")
  t.eq(render(csv .. "{{ reset_csv_table(model, false, this.incorporate(type='table'), t) }}"),
    'truncate table "' .. database .. '"."sch"."plain"')
  t.eq(rows "select count(*) from sch.plain", "0")
  t.eq(render "{{ adapter.truncate_relation(this) }}{{ get_binding_char() }}{{ get_batch_size() }}", "None%s10000")
end)

t.test("what a snapshot needs", function()
  fresh()
  conn:exec "create table sch.plain (dbt_scd_id text, dbt_valid_from timestamp, vt timestamp)"
  t.eq(render "{{ adapter.valid_snapshot_target(this, {'dbt_valid_to': 'vt'}) }}", "None")
  t.raises(function() render "{{ adapter.valid_snapshot_target(this) }}" end, "has no column dbt_valid_to")
  t.raises(function()
    render "{{ adapter.assert_valid_snapshot_target_given_strategy(this, {'dbt_valid_to': 'vt'}, {'hard_deletes': \z
      'new_record'}) }}"
  end, "has no column dbt_is_deleted")
end)

t.test("the catalogue", function()
  fresh()
  conn:exec "create table sch.b (id int, v varchar(3)); comment on table sch.b is 'a table'; create view sch.a as \z
    select * from sch.b"
  t.eq(render [[{% set rel = api.Relation.create(database=target.database, schema='sch', identifier='B') %}
{%- for r in get_catalog_relations(rel.information_schema(), [rel]) %}{{ r[1:9] | join(',') }};{% endfor %}]],
    "sch,b,BASE TABLE,a table,id,1,integer,None;sch,b,BASE TABLE,a table,v,2,character varying(3),None;")
  t.eq(render "{{ get_catalog(this.information_schema(), ['sch']) | length }}", "4")
  t.eq(render "{{ get_relations().rows | map('join', ',') | select('in', ['sch,a,sch,b']) | list }}", "['sch,a,sch,b']")
  t.eq(render "{{ collect_freshness('(select 1 as x) s', 'x', 'true').table.rows[0].max_loaded_at }}", "1")
  t.eq(render "{{ collect_freshness_custom_sql('x', 'select 5').table.rows[0][0] }}", "5")
end)

-- Expressions --------------------------------------------------------------------------------------

-- Runs a list of `macro call | value` and compares the values.
local function expressions(list)
  for call, expected in list:gmatch("%s*([^\n]-)%s+=>%s+([^\n]+)") do
    t.eq(rows("select " .. render("{{ " .. call .. " }}")), expected, call)
  end
end

t.test("dates", function()
  expressions [[
    dbt.dateadd('day', 3, "'2024-02-27'::date") => 2024-03-01 00:00:00
    dbt.dateadd('quarter', 1, "'2024-02-27'::date") => 2024-05-27 00:00:00
    dbt.datediff("'2023-12-31'", "'2024-01-01'", 'year') => 1
    dbt.datediff("'2023-11-30'", "'2024-02-01'", 'quarter') => 1
    dbt.datediff("'2023-11-30'", "'2024-02-01'", 'month') => 3
    dbt.datediff("'2024-01-06'", "'2024-01-07'", 'week') => 1
    dbt.datediff("'2024-01-07'", "'2024-01-13'", 'week') => 0
    dbt.datediff("'2024-01-14'", "'2024-01-07'", 'week') => -1
    dbt.datediff("'2024-01-01'", "'2024-03-01'", 'day') => 60
    dbt.datediff("'2024-01-01 23:59'", "'2024-01-02 00:01'", 'hour') => 1
    dbt.datediff("'2024-01-01 23:59:59'", "'2024-01-02 00:00'", 'minute') => 1
    dbt.datediff("'2024-01-01 00:00:01.9'", "'2024-01-01 00:01:00.1'", 'second') => 59
    dbt.datediff("'2024-01-01 00:00:00.001'", "'2024-01-01 00:00:01.002'", 'millisecond') => 1001
    dbt.date_trunc('month', "'2024-02-27'::date")|string ~ '::date' => 2024-02-01
    dbt.last_day("'2024-02-10'::date", 'month') => 2024-02-29
    dbt.last_day("'2024-02-10'::date", 'quarter') => 2024-03-31]]
  t.raises(function() render "{{ dbt.datediff('a', 'b', 'eon') }}" end, "'eon' is not a date part")
  t.eq(rows("select count(*), min(date_day)::date, max(date_day)::date from (" .. render(
    "{{ dbt.date_spine('day', \"'2024-01-01'::date\", \"'2024-01-10'::date\") }}") .. ") x"), "9|2024-01-01|2024-01-09")
  t.eq(rows("select count(*), max(generated_number) from (" .. render "{{ dbt.generate_series(5) }}" .. ") x"), "5|5")
end)

t.test("text, casts and aggregates", function()
  expressions [[
    dbt.concat(["'a'", "'b'"]) => ab
    dbt.length("'abc'") => 3
    dbt.position("'b'", "'abc'") => 2
    dbt.replace("'abc'", "'b'", "'x'") => axc
    dbt.right("'abc'", 2) => bc
    dbt.split_part("'a|b|c'", "'|'", 2) => b
    dbt.split_part("'a|b|c'", "'|'", -1) => c
    dbt.split_part("'a::b::c'", "'::'", -2) => b
    dbt.hash("'x'") => 9dd4e461268c8034f5c8564e155c67a6
    dbt.string_literal(dbt.escape_single_quotes("it's")) => it's
    dbt.safe_cast("'3'", dbt.type_int()) => 3
    dbt.cast_bool_to_text('true') => true
    dbt.array_append(dbt.array_construct([1, 2]), 3) => {1,2,3}
    dbt.array_concat(dbt.array_construct([1]), dbt.array_construct()) => {1}
    dbt.equals('1', '1') => t
    dbt.type_numeric() ~ " '1.5'" => 1.500000]]
  local over = " from (values (1, 'b'), (1, 'a'), (2, 'c')) v(n, x)"
  t.eq(rows("select " .. render "{{ dbt.listagg('x', \"','\", 'order by x') }}" .. over), "a,b,c")
  t.eq(rows("select " .. render "{{ dbt.listagg('x', \"','\", 'order by x', 2) }}" .. over), "a,b")
  t.eq(rows("select " .. render "{{ dbt.bool_or('n = 2') }}, {{ dbt.any_value('n') }}" .. over), "t|1")
  t.eq(rows("select 1 " .. render "{{ dbt.except() }}" .. " select 1"), "")
end)

t.test("whole queries", function()
  t.eq(rows(render "{{ get_test_sql('select 1 union all select 2', 'count(*)', '!= 0', '> 5', none) }}"), "2|t|f")
  t.eq(rows(render "{{ get_show_sql('select generate_series(1, 9) -- x', none, 2) }}"), "1 2")
  t.eq(render "{{ validate_sql('select 1').response }}", "EXPLAIN")
  t.raises(function() render "{{ validate_sql('select nope') }}" end, "does not exist")
  t.eq(render "{{ get_catalog_relations(api.Relation.create(database=target.database).information_schema(), \z
    []) | length }}", "0")
end)

-- Overriding ---------------------------------------------------------------------------------------

t.test("a project replaces what the adapter does", function()
  shop:write { ["macros/own.sql"] = [[
{% macro drop_relation(relation) %}{% do run_query("drop table sch.instead") %}{% endmacro %}
{% macro postgres__list_relations_without_caching(schema_relation) %}
{{ return(run_query("select 'd' as database, 'told' as name, '" ~ schema_relation.schema
  ~ "' as schema, 'view' as type")) }}
{% endmacro %}]] }
  local own = require("project").load { project_dir = shop.dir, vars = value.dict(), command = "run" }
  local other = { project = own, log = function() end }
  other.cache = require("run.cache").new(other)
  conn:exec "create table sch.instead (a int); create table sch.real (a int)"
  other.cache:load(conn, { { schema = "sch" } })
  local ctx = context.node { run = other, conn = conn, node = own.nodes["model.shop.plain"] }
  t.eq(jinja.render("{{ adapter.get_relation(none, 'sch', 'told') }} {{ adapter.get_relation(none, 'sch', 'real') }}",
    ctx),
    '"d"."sch"."told" None')
  ctx.adapter.drop_relation(relations.create { schema = "sch", identifier = "real", type = "table" })
  t.eq(rows "select to_regclass('sch.instead') is null, to_regclass('sch.real') is null", "t|f")
end)

t.test("the surface", function()
  local methods = require("run.adapter").surface()
  t.eq(#methods, 40)
  t.eq(methods[1], "add_query")
  t.eq(render "{{ adapter.run_sql_for_tests('select 1, 2', 'one', none) }}", "(1, 2)")
  t.raises(function() render "{{ adapter.get_partitions_metadata('x') }}" end, "is not available on PostgreSQL")
end)

t.test("while files are parsed nothing is asked", function()
  local ctx = context.parse_context(project, project.nodes["model.shop.plain"], scan.new_capture())
  t.eq(jinja.render("{{ adapter.execute('drop schema sch')[1] | length }}{{ adapter.check_schema_exists('a', 'b') }}",
    ctx), "0False")
end)

conn:release()
pool:close()
shop:close()
fixture.clean()
