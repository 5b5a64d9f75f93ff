"""Models: what is built, under which name, of which kind."""
import pytest


@pytest.mark.san
def test_kinds(project):
    p = project({
        "models/a_table.sql": "{{ config(materialized='table') }} select 1 as n",
        "models/a_view.sql": "{{ config(materialized='view') }} select n + 1 as n from {{ ref('a_table') }}",
        "models/inside.sql": "{{ config(materialized='ephemeral') }} select n + 1 as n from {{ ref('a_view') }}",
        "models/deeper.sql": "{{ config(materialized='ephemeral') }} select n + 1 as n from {{ ref('inside') }}",
        "models/top.sql": "select i.n, d.n as m from {{ ref('inside') }} i, {{ ref('deeper') }} d",
    })
    result = p.run("run").ok()
    assert p.db.relations() == ["a_table table", "a_view view", "top view"]
    assert p.db.rows("select * from dev.top") == ["3|4"]
    assert result.order == ["a_table", "a_view", "top"]
    assert "__dbt__cte__inside as" in p.read("target/compiled/shop/models/top.sql")


@pytest.mark.san
def test_a_model_changes_its_kind(project):
    p = project({"models/m.sql": "{{ config(materialized=var('kind')) }} select {{ var('n') }} as n"})
    for n, kind in enumerate(["view", "table", "table", "view", "view", "table"]):
        p.run("run", "--vars", f"{{kind: {kind}, n: {n}}}").ok()
        assert p.db.relations() == [f"m {kind}"]
        assert p.db.rows("select * from dev.m") == [str(n)]


def test_new_columns(project):
    p = project({"models/m.sql": "{{ config(materialized=var('kind')) }} select {{ var('columns') }}"})
    for kind in "view", "table":
        for columns, row in ("1 as a, 2 as b", "1|2"), ("'x'::text as a", "x"), ("3 as z, 4 as a", "3|4"):
            p.run("run", "--vars", f"{{kind: {kind}, columns: \"{columns}\"}}").ok()
            assert p.db.rows("select * from dev.m") == [row]


def test_views_on_a_table_that_is_built_anew(project):
    p = project({"models/base.sql": "{{ config(materialized='table') }} select 1 as n",
                 "models/top.sql": "select * from {{ ref('base') }}"})
    p.run("run").ok()
    p.run("run").ok()
    assert p.db.relations() == ["base table", "top view"]


@pytest.mark.san
def test_tests_and_models_see_sources(project):
    p = project({
        "models/sources.yml": """
            sources:
              - name: raw
                schema: landing
                tables:
                  - name: orders
                    identifier: ORDERS_2024
                  - name: customers
            """,
        "models/m.sql": "select o.n, c.name from {{ source('raw', 'orders') }} o, {{ source('raw', 'customers') }} c",
    })
    p.db.sql('create schema landing; create table landing."ORDERS_2024" as select 5 as n;'
             "create table landing.customers as select 'ann'::text as name")
    p.run("run").ok()
    assert p.db.rows("select * from dev.m") == ["5|ann"]


def test_ref_by_package_and_version(project):
    p = project({
        "models/orders_v1.sql": "select 1 as n",
        "models/orders_v2.sql": "select 2 as n",
        "models/orders.yml": """
            models:
              - name: orders
                latest_version: 2
                versions: [{v: 1}, {v: 2}]
            """,
        "models/reader.sql": """
            select (select n from {{ ref('orders') }}) as latest, (select n from {{ ref('orders', v=1) }}) as v1,
              (select n from {{ ref('orders', version=2) }}) as v2, (select n from {{ ref('shop', 'orders', v=1) }}) as v3
            """,
    })
    result = p.run("run").ok()
    assert p.db.rows("select * from dev.reader") == ["2|1|2|1"]
    assert p.db.relations() == ["orders_v1 view", "orders_v2 view", "reader view"]
    assert set(result.order) == {"orders.v1", "orders.v2", "reader"}
    assert p.run("ls --select orders").ok().stdout.splitlines() == ["shop.orders.v1", "shop.orders.v2"]


def test_schema_and_alias(project):
    p = project({
        "models/a.sql": "{{ config(schema='marts') }} select 1 as n",
        "models/b.sql": "{{ config(alias='renamed') }} select n + 1 as n from {{ ref('a') }}",
        "models/c.sql": "{{ config(schema='marts', alias='Strange Name') }} select n + 1 as n from {{ ref('b') }}",
        "models/d.sql": "select n + 1 as n, '{{ this.schema }}.{{ this.name }}' as this from {{ ref('c') }}",
    })
    p.run("run").ok()
    assert p.db.relations("dev") == ["d view", "renamed view"]
    assert p.db.relations("dev_marts") == ["Strange Name view", "a view"]
    assert p.db.rows("select * from dev.d") == ["4|dev.d"]


def test_own_names_of_schemas(project):
    p = project({
        "macros/names.sql": """
            {% macro generate_schema_name(custom_schema_name, node) -%}
              {{ custom_schema_name or target.schema }}
            {%- endmacro %}
            {% macro generate_alias_name(custom_alias_name=none, node=none) -%}
              {{ (custom_alias_name or node.name) ~ '_x' }}
            {%- endmacro %}
            """,
        "models/a.sql": "{{ config(schema='marts') }} select 1 as n",
        "models/b.sql": "select * from {{ ref('a') }}",
    })
    p.run("run").ok()
    assert p.db.relations("marts") == ["a_x view"]
    assert p.db.relations("dev") == ["b_x view"]


def test_enabled(project):
    p = project({
        "models/on.sql": "select 1 as n",
        "models/off.sql": "{{ config(enabled=false) }} select wrong",
        "models/maybe.sql": "{{ config(enabled=var('maybe', false)) }} select 2 as n",
        "dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  shop:\n    old:\n      +enabled: false\n",
        "models/old/ancient.sql": "select wrong",
    })
    p.run("run").ok()
    assert p.db.relations() == ["on view"]
    p.run("run", "--vars", "maybe: true").ok()
    assert p.db.relations() == ["maybe view", "on view"]
    p.write({"models/reader.sql": "select * from {{ ref('off') }}"})
    p.run("run").fails(2).says("off", "disabled")


@pytest.mark.san
def test_configuration_is_inherited(project):
    """Project file from outside in, then properties, then the file's own; tags add up."""
    p = project({
        "dbt_project.yml": """
            name: shop
            profile: shop
            models:
              +materialized: table
              +tags: outer
              shop:
                staging:
                  +materialized: view
                  +tags: [inner]
                  deep:
                    +schema: deep
            """,
        "models/a.sql": "select 1 as n",
        "models/staging/b.sql": "select 1 as n",
        "models/staging/deep/c.sql": "select 1 as n",
        "models/staging/d.sql": "{{ config(materialized='table', tags='own') }} select 1 as n",
        "models/staging/e.sql": "select 1 as n",
        "models/staging/all.yml": """
            models:
              - name: d
                config: {materialized: view, tags: properties}
              - name: e
                config: {materialized: table}
            """,
    })
    result = p.run("run").ok()
    assert p.db.relations("dev") == ["a table", "b view", "d table", "e table"]
    assert p.db.relations("dev_deep") == ["c view"]
    tags = {node["name"]: node["tags"] for node in result.manifest["nodes"].values()}
    assert tags["a"] == ["outer"] and tags["b"] == ["outer", "inner"]
    assert sorted(tags["d"]) == ["inner", "outer", "own", "properties"]


def test_templates_ask_the_database(project):
    p = project({
        "models/base.sql": "{{ config(materialized='table') }} select 1 as a, 'x'::text as b",
        "models/asks.sql": """
            {% set columns = adapter.get_columns_in_relation(ref('base')) %}
            {% if execute %}
              {% set n = run_query('select 40 + 2 as n').columns[0].values()[0] %}
            {% endif %}
            {% call statement('names', fetch_result=true) %}select b from {{ ref('base') }}{% endcall %}
            select '{{ columns | map(attribute="name") | join(",") }}' as names, {{ n or 0 }} as n,
              '{{ load_result("names")["data"][0][0] if execute }}' as b,
              '{{ adapter.get_relation(target.database, target.schema, "base").type if execute }}' as kind,
              '{{ adapter.get_relation(target.database, target.schema, "nowhere") is none }}' as nowhere
            """,
    })
    p.run("run").ok()
    assert p.db.rows("select * from dev.asks") == ["a,b|42|x|table|True"]


def test_descriptions_are_kept_in_the_database(project):
    p = project({
        "models/m.sql": "{{ config(materialized='table', persist_docs={'relation': true, 'columns': true}) }} select 1 as n",
        "models/m.yml": """
            models:
              - name: m
                description: It's "the" model
                columns: [{name: n, description: a number}]
            """,
    })
    p.run("run").ok()
    assert p.db.rows("select obj_description('dev.m'::regclass), col_description('dev.m'::regclass, 1)") == [
        "It's \"the\" model|a number"]


def test_grants_of_the_configuration(project):
    p = project({"models/m.sql": "{{ config(materialized='table', grants={'select': ['reader_a']}) }} select 1 as n"})
    p.db.role("reader_a")
    p.run("run").ok()
    assert p.db.rows("select has_table_privilege('reader_a', 'dev.m', 'select')") == ["t"]


def test_indexes(project):
    p = project({"models/m.sql": """
        {{ config(materialized='table', indexes=[{'columns': ['n'], 'unique': true}, {'columns': ['a', 'n']}]) }}
        select 1 as n, 2 as a"""})
    for _ in range(2):
        p.run("run").ok()
        assert p.db.rows("select count(*), count(*) filter (where indexdef like '%UNIQUE%') from pg_indexes "
                         "where schemaname = 'dev' and tablename = 'm'") == ["2|1"]


def test_strange_names_and_texts(project):
    """Quotes, percent signs, semicolons, unicode and comments pass through untouched."""
    p = project({"models/straße.sql": "select 'a;b' as \"Ünï\", 'it''s 100% {not} jinja' as b -- comment; with ; semicolons\n",
                 "models/m.sql": "select \"Ünï\" as u, b, '{{ '{{' }}' as braces from {{ ref('straße') }}\n"})
    p.run("run").ok()
    assert p.db.rows("select * from dev.m") == ["a;b|it's 100% {not} jinja|{{"]


def test_concurrent_commands_of_one_project(project):
    """Two runs at once may stand in each other's way, as in dbt, but leave nothing half done."""
    p = project({f"models/m{i}.sql": f"{{{{ config(schema='s{i % 2}') }}}} select {i} as n" for i in range(6)})
    first, second = p.start("run --target-path one"), p.start("run --target-path two")
    assert {first.finish().status, second.finish().status} <= {0, 1}
    p.run("run").ok()
    assert p.db.rows("select relname from pg_class where relname like '%\\_\\_dbt%'") == []
    assert p.db.relations("dev_s0") == ["m0 view", "m2 view", "m4 view"]
