"""Versions, their pointers, groups and access, deprecation dates, names and places of models."""
import pytest

VERSIONS = {
    "models/orders_v1.sql": "{{ config(materialized='table') }} select 1 as id",
    "models/orders_v2.sql": "{{ config(materialized='table') }} select 2 as id, 'x'::text as name",
}


def versions(text="latest_version: 2", settings=""):
    return {**VERSIONS, "models/orders.yml": f"""
        models:
          - name: orders
            {text}
            {settings}
            columns: [{{name: id, data_type: integer}}, {{name: name, data_type: text}}]
            versions:
              - v: 1
                columns: [{{include: all, exclude: [name]}}]
              - v: 2
        """}


@pytest.mark.san
def test_a_pointer_to_the_latest_version(project):
    p = project({**versions(settings="config: {latest_version_pointer: true, grants: {select: [pg_monitor]}}"),
                 "models/reader.sql": "select * from {{ ref('orders') }}"})
    for _ in range(2):
        result = p.run("run").ok()
        assert p.db.relations() == ["orders view", "orders_v1 table", "orders_v2 table", "reader view"]
        assert p.db.rows("select * from dev.orders") == ["2|x"]
    assert "orders" not in result.order
    assert p.db.rows("select table_name from information_schema.role_table_grants where grantee = 'pg_monitor'"
                     " order by 1") == ["orders", "orders_v1", "orders_v2"]
    p.write(versions("latest_version: 1", "config: {latest_version_pointer: {enabled: true, alias: current_orders}}"))
    p.run("run", "--threads", "1").ok()
    assert p.db.rows("select * from dev.current_orders") == ["1"]


def test_pointers_by_default(project):
    p = project(versions())
    p.run("run").ok()
    assert p.db.relations() == ["orders_v1 table", "orders_v2 table"]
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nflags: {latest_version_pointer_enabled_by_default: true}\n"})
    p.run("run").ok()
    assert "orders view" in p.db.relations()


def test_a_pointer_of_the_same_name(project):
    p = project(versions(settings="config: {latest_version_pointer: true, alias: orders}", text="latest_version: 2")
                | {"models/orders_v1.sql": None} | {"models/orders_v1.sql": "{{ config(alias='first') }} select 1 as id"})
    p.run("run").fails().says("would have the version's own name, 'orders'", "models/orders_v2.sql")
    assert p.db.relations() == ["first view"]


def test_versions_that_contradict_each_other(project):
    p = project(versions("latest_version: 3"))
    p.run("parse").fails(2).says("latest_version is 3, and its versions are 1, 2", "models/orders.yml:3")
    p.write(versions())
    p.write({"models/orders.yml": "models:\n  - name: orders\n    versions: [{v: 1}, {v: 1}]\n"})
    p.run("parse").fails(2).says("there are two versions 1")
    p.write({**versions(), "models/reader.sql": "select * from {{ ref('orders', v=7) }}"})
    p.run("parse").fails(2).says("'orders, version 7', which was not found", "its versions are 1, 2", "models/reader.sql:1")


def test_access_and_groups(project):
    p = project({
        "models/secret.sql": "select 1 as n",
        "models/inside.sql": "select * from {{ ref('secret') }}",
        "models/groups.yml": """
            groups: [{name: finance, owner: {name: ann}}]
            models:
              - name: secret
                config: {group: finance, access: private}
              - name: inside
                config: {group: finance}
            """})
    p.run("run").ok()
    p.write({"models/outside.sql": "select * from {{ ref('secret') }}"})
    p.run("parse").fails(2).says("model 'outside' may not refer to model 'secret': it is private to group 'finance'",
                                 "models/outside.sql:1")
    p.write({"models/outside.sql": "{{ config(group='finanze') }} select 1 as n"})
    p.run("parse").fails(2).says("is in group 'finanze', which is declared nowhere", "finance")
    p.write({"models/outside.sql": "{{ config(access='secret') }} select 1 as n"})
    p.run("parse").fails(2).says("access is private, protected or public, not 'secret'")
    p.write({"models/outside.sql": "{{ config(access='public', materialized='ephemeral') }} select 1 as n"})
    p.run("parse").fails(2).says("an ephemeral model cannot be public")


def test_deprecation_dates(project):
    p = project({**VERSIONS, "models/reader.sql": "select * from {{ ref('orders', v=1) }}", "models/orders.yml": """
        models:
          - name: orders
            versions:
              - {v: 1, deprecation_date: 2020-01-31}
              - {v: 2, deprecation_date: 2990-12-31 00:00:00}
        """})
    p.run("run").ok().says("model 'orders.v1' is past its deprecation date, 2020-01-31",
                           "model 'reader' refers to 'orders.v1', which was deprecated on 2020-01-31",
                           "its latest version is 2")
    p.write({"models/reader.sql": "select * from {{ ref('orders') }}"})
    p.run("parse").ok().says("which will be deprecated on 2990-12-31")


def test_names_in_any_language(project):
    p = project({
        "models/größe.sql": "{{ config(materialized='table') }} select 1 as \"Größe\"",
        "models/表.sql": "{{ config(materialized='incremental', unique_key='\"Größe\"') }} select * from {{ ref('größe') }}",
        "models/leser.sql": "{{ config(alias='mit \"Zeichen\" und Leerraum') }} select * from {{ ref('表') }}",
    })
    for _ in range(2):
        p.run("run").ok()
    assert p.db.relations() == ['größe table', 'mit "Zeichen" und Leerraum view', '表 table']


def test_long_names(project):
    long = "n" * 63
    p = project({"models/t.sql": f"{{{{ config(materialized='table', alias='{long}') }}}} select 1 as n",
                 "models/i.sql": f"{{{{ config(materialized='incremental', alias='{'i' * 63}') }}}} select 1 as n",
                 "models/v.sql": f"{{{{ config(alias='{'v' * 63}') }}}} select * from {{{{ ref('t') }}}}"})
    for _ in range(3):
        p.run("run").ok()
    assert p.db.rows(f"select count(*) from dev.{'i' * 63}") == ["3"]
    wide = "表" * 21
    p.write({"models/i.sql": f"{{{{ config(materialized='incremental', alias='{wide}') }}}} select 1 as n"})
    for flag in (), (), ("--full-refresh",):
        p.run("run", "--select", "i", *flag).ok()
    assert p.db.rows(f"select count(*) from dev.{wide}") == ["1"]
    p.write({"models/t.sql": f"{{{{ config(materialized='table', alias='{long}x') }}}} select 1 as n"})
    p.run("run").fails().says(f"relation name '{long}x' is longer than 63")
    assert p.db.rows(f"select n from dev.{long}") == ["1"]


def test_another_database(project):
    p = project({"models/m.sql": "{{ config(database='elsewhere') }} select 1 as n", "models/n.sql": "select 1 as n"})
    p.run("run").fails(2).says("elsewhere", "PostgreSQL cannot reach from one database into another")
    assert p.db.relations() == []
