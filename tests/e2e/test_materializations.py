"""Materializations: materialized views, those of a project in Jinja and in Lua, and settings of PostgreSQL."""
import pytest

MATVIEW = """
    {{ config(materialized='materialized_view', indexes=var('indexes', []),
              on_configuration_change=var('on_change', 'apply')) }}
    select count(*) as n, 1 as one from public.rows
    """
INDEXES = "select indexdef from pg_indexes where schemaname = 'dev' order by 1"


@pytest.fixture
def matview(project):
    p = project({"models/m.sql": MATVIEW, "models/reader.sql": "select * from {{ ref('m') }}"})
    p.db.sql("create table rows (n int)")
    p.run("run").ok()
    p.db.sql("insert into rows values (1)")
    return p


def indexed(p, text, *args):
    return p.run("run", "--vars", "{indexes: [" + text + "]" + "".join(", " + arg for arg in args) + "}")


@pytest.mark.san
def test_a_materialized_view_is_refreshed(matview):
    assert matview.db.relations() == ["m materialized view", "reader view"]
    assert matview.db.rows("select n from dev.reader") == ["0"]
    before = matview.db.rows("select 'dev.m'::regclass::oid")
    matview.run("run").ok()
    assert matview.db.rows("select n from dev.reader") == ["1"]
    assert matview.db.rows("select 'dev.m'::regclass::oid") == before
    matview.run("run", "--full-refresh").ok()
    assert matview.db.rows("select 'dev.m'::regclass::oid") != before
    assert matview.db.relations() == ["m materialized view", "reader view"]


def test_changed_indexes_are_applied(matview):
    indexed(matview, "{columns: [n], unique: true}, {columns: [one], type: hash}").ok()
    assert [text.split(" ON ")[0].split()[1] + text.split("USING")[1] for text in matview.db.rows(INDEXES)] == [
        "INDEX hash (one)", "UNIQUE btree (n)"]
    indexed(matview, "{columns: [one], type: hash}").ok()
    assert len(matview.db.rows(INDEXES)) == 1
    indexed(matview, "{columns: [one], type: hash}").ok()
    assert matview.db.rows("select n from dev.m") == ["1"], "refreshed, since nothing changed"


def test_changed_indexes_continue_or_fail(matview):
    indexed(matview, "{columns: [n]}", "on_change: continue").ok().says("on_configuration_change is continue")
    assert matview.db.rows("select n from dev.m") == ["0"]
    indexed(matview, "{columns: [n]}", "on_change: fail").fails().says("on_configuration_change is fail", "models/m.sql")
    indexed(matview, "{columns: [n]}", "on_change: maybe").fails().says("is apply, continue or fail, not 'maybe'")
    assert matview.db.rows(INDEXES) == []


def test_privileges_of_a_materialized_view(project):
    p = project({"models/m.sql": "{{ config(materialized='materialized_view', grants={'select': var('who')}) }} select 1 as n"})
    grants = "select relacl::text from pg_class where oid = 'dev.m'::regclass"
    for who in "[pg_monitor, public]", "[pg_signal_backend]", "[pg_signal_backend]":
        p.run("run", "--vars", f"{{who: {who}}}").ok()
    assert "pg_signal_backend=r" in p.db.rows(grants)[0] and "pg_monitor" not in p.db.rows(grants)[0]
    assert "=r/" not in p.db.rows(grants)[0].replace("backend=r/", "")
    p.run("run", "--vars", "{who: []}").ok()
    assert "backend" not in p.db.rows(grants)[0]


def test_every_kind_becomes_every_other(project):
    p = project({"models/m.sql": "{{ config(materialized=var('kind')) }} select 1 as n",
                 "models/reader.sql": "select * from {{ ref('m') }}"})
    words = {"materialized_view": "materialized view", "incremental": "table"}
    for kind in ("table", "materialized_view", "view", "materialized_view", "incremental", "view", "table",
                 "materialized_view", "table"):
        p.run("run", "--vars", f"{{kind: {kind}}}").ok()
        assert p.db.relations() == [f"m {words.get(kind, kind)}", "reader view"]


CUSTOM = """
    {% materialization log_table, default %}
      {%- set target = this.incorporate(type='table') -%}
      {{ run_hooks(pre_hooks, inside_transaction=False) }}
      {{ run_hooks(pre_hooks, inside_transaction=True) }}
      {%- set existing = adapter.get_relation(this.database, this.schema, this.identifier) -%}
      {%- if existing is none -%}
        {% call statement('main') %} create table {{ target }} as {{ sql }} {% endcall %}
      {%- else -%}
        {% call statement('main') %} insert into {{ target }} {{ sql }} {% endcall %}
      {%- endif -%}
      {% do create_indexes(target) %}
      {{ run_hooks(post_hooks, inside_transaction=True) }}
      {{ adapter.commit() }}
      {{ run_hooks(post_hooks, inside_transaction=False) }}
      {{ return({'relations': [target]}) }}
    {% endmaterialization %}
    """


@pytest.mark.san
def test_a_materialization_in_jinja(project):
    p = project({
        "macros/log_table.sql": CUSTOM,
        "models/m.sql": """
            {{ config(materialized='log_table', pre_hook='insert into public.log values (1)', indexes=[{'columns': ['n']}],
                      post_hook=['insert into public.log select count(*) from {{ this }}']) }}
            select 1 as n
            """,
        "models/reader.sql": "select * from {{ ref('m') }}"})
    p.db.sql("create table log (n int)")
    for _ in range(2):
        result = p.run("run").ok()
    assert p.db.rows("select count(*) from dev.reader") == ["2"]
    assert p.db.rows("select n from log") == ["1", "1", "1", "2"], "each hook ran once in a run"
    assert result.result("m")["adapter_response"]["rows_affected"] == 1
    p.write({"models/m.sql": "{{ config(materialized='log_table', post_hook='select 1/0') }} select 1 as n"})
    p.run("run", "--select", "m").fails().says("division by zero")
    assert p.db.rows("select count(*) from dev.m") == ["2"]


def test_a_materialization_that_ends_with_a_built_in_one(project):
    p = project({
        "macros/noted.sql": """
            {% materialization noted, default %}
              {% do run_query("insert into public.log values (1)") %}
              {{ return(materialization_table_default()) }}
            {% endmaterialization %}
            """,
        "models/m.sql": "{{ config(materialized='noted', grants={'select': ['pg_monitor']}) }} select 1 as n"})
    p.db.sql("create table log (n int)")
    for _ in range(2):
        p.run("run").ok()
    assert p.db.relations() == ["m table"]
    assert p.db.rows("select count(*) from log") == ["2"]
    assert p.db.rows("select table_name from information_schema.role_table_grants where grantee = 'pg_monitor'") == ["m"]


def test_a_materialization_without_relations(project):
    p = project({"macros/lost.sql": """
            {% materialization lost, default %}
              {% call statement('main') %} create table {{ this }} as {{ sql }} {% endcall %}
            {% endmaterialization %}
            """,
                 "models/m.sql": "{{ config(materialized='lost') }} select 1 as n"})
    p.run("run").fails().says("did not return the relations that it built", "macros/lost.sql:1", "'relations'")
    assert p.db.relations() == []


LUA = """
    return function(build)
      local target = build:relation("table")
      build:replace(target, function(relation)
        build:main(("create table %s as select now() as built_at, q.* from (%s) q"):format(relation, build.sql))
      end)
      return { target }
    end
    """


@pytest.mark.san
def test_a_materialization_in_lua(project):
    p = project({"materializations/stamped.lua": LUA,
                 "models/m.sql": """
                     {{ config(materialized='stamped', grants={'select': ['pg_monitor']}, post_hook='insert into public.log values (1)') }}
                     select 1 as n
                     """})
    p.db.sql("create table log (n int)")
    for _ in range(2):
        p.run("run").ok()
    assert p.db.rows("select n, built_at is not null from dev.m") == ["1|t"]
    assert p.db.rows("select count(*) from log") == ["2"]
    assert p.db.rows("select table_name from information_schema.role_table_grants where grantee = 'pg_monitor'") == ["m"]


def test_the_project_comes_first(project):
    """A project replaces a built-in materialization; a package does not."""
    package = {"packages.yml": "packages: [{local: lib}]", "lib/dbt_project.yml": "name: lib\n",
               "lib/materializations/table.lua": LUA, "lib/materializations/stamped.lua": LUA}
    p = project({**package, "models/a.sql": "{{ config(materialized='table') }} select 1 as n",
                 "models/b.sql": "{{ config(materialized='stamped') }} select 1 as n"})
    p.run("run").ok()
    columns = "select attrelid::regclass, count(*) from pg_attribute where attnum > 0 and attrelid in ({}) group by 1 order by 1"
    columns = columns.format("'dev.a'::regclass, 'dev.b'::regclass")
    assert p.db.rows(columns) == ["dev.a|1", "dev.b|2"]
    p.write({"materializations/table.lua": LUA})
    p.run("run").ok()
    assert p.db.rows(columns) == ["dev.a|2", "dev.b|2"]


def test_materializations_that_are_wrong(project):
    p = project({"models/m.sql": "{{ config(materialized='tabel') }} select 1 as n"})
    p.run("run").fails().says("there is no materialization 'tabel'", "did you mean 'table'?", "models/m.sql")
    p.write({"materializations/tabel.lua": "return {}"})
    p.run("run").fails().says("the materialization 'tabel' returns a table: it must return a function",
                             "materializations/tabel.lua")
    p.write({"materializations/tabel.lua": "return function(build)\n  build:mian()\nend"})
    p.run("run").fails().says("materializations/tabel.lua:2")


def test_docs_headers_and_storage(project):
    p = project({
        "models/t.sql": "{{ config(materialized='table', unlogged=true, sql_header=\"set local work_mem = '7MB';\") }}"
                        " select current_setting('work_mem') as mem",
        "models/v.sql": "{% call set_sql_header(config) %} create temporary table seen as select 1 as n; {% endcall %}"
                        " select 1 as n",
        "models/docs.yml": """
            models:
              - name: t
                description: "It's \\\\ a table, 表"
                config: {persist_docs: {relation: true, columns: true}}
                columns: [{name: mem, description: "the 'setting'"}, {name: absent, description: nowhere}]
              - name: v
                description: not written
                columns: [{name: n, description: not written}]
            """})
    p.run("run").ok().says("these columns are described but are not in the database: absent")
    assert p.db.rows("select mem from dev.t") == ["7MB"]
    assert p.db.rows("select relpersistence from pg_class where oid = 'dev.t'::regclass") == ["u"]
    comments = "select obj_description('dev.{0}'::regclass), col_description('dev.{0}'::regclass, 1)"
    assert p.db.rows(comments.format("t")) == ["It's \\ a table, 表|the 'setting'"]
    assert p.db.rows(comments.format("v")) == ["NULL|NULL"]


def test_grants_of_levels(project):
    p = project({
        "dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  +grants: {select: [pg_monitor]}\n",
        "models/more.sql": "{{ config(materialized='table', grants={'+select': ['pg_signal_backend']}) }} select 1 as n",
        "models/other.sql": "{{ config(materialized='view', grants={'select': 'pg_signal_backend'}) }} select 1 as n",
        "models/nobody.sql": "{{ config(materialized='incremental', grants={'select': []}) }} select 1 as n"})
    grants = ("select table_name, string_agg(grantee, ' ' order by grantee) from information_schema.role_table_grants"
              " where table_schema = 'dev' and grantee <> 'postgres' group by 1 order by 1")
    for _ in range(2):
        p.run("run").ok()
        assert p.db.rows(grants) == ["more|pg_monitor pg_signal_backend", "other|pg_signal_backend"]
    p.write({"models/other.sql": "{{ config(grants={'select': 'no_such_role'}) }} select 1 as n"})
    p.run("run").fails().says('role "no_such_role" does not exist')
    assert p.db.rows(grants) == ["more|pg_monitor pg_signal_backend", "other|pg_signal_backend"]


def test_wrong_indexes(project):
    p = project({"models/m.sql": "{{ config(materialized='table', indexes=[{'unique': true}]) }} select 1 as n"})
    p.run("run").fails().says("an index is a mapping with `columns`")
    p.write({"models/m.sql": "{{ config(materialized='table', indexes=[{'columns': ['x']}]) }} select 1 as n"})
    p.run("run").fails().says('column "x" does not exist')
    assert p.db.relations() == []
