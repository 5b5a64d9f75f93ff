"""The portable grants of the hook contract, as they are written."""
import pytest


@pytest.mark.san
def test_both_statements_of_the_documentation(project):
    p = project({"models/m.sql": """
        {{ config(materialized='table', schema='reporting', post_hook=[
          "grant select on {{ this }} to role analytics",
          "grant select on schema {{ this.schema }} to role finance"]) }} select 1 as n"""})
    p.db.role("analytics")
    p.db.role("finance")
    result = p.run("run").ok().says("portable grant", "grant select on", "to analytics")
    assert p.db.rows("select r, has_schema_privilege(r, 'dev_reporting', 'usage'), has_table_privilege(r, "
                     "'dev_reporting.m', 'select') from unnest(array['analytics', 'finance']) r order by 1") == [
        "analytics|f|t", "finance|t|t"]
    assert "grant usage on schema dev_reporting to finance" in result.hooks[1]["sql"]
    p.db.sql("create table dev_reporting.later as select 1 as n")
    assert p.db.rows("select has_table_privilege('finance', 'dev_reporting.later', 'select')") == ["t"], "and what comes"
    p.run("run").ok()


def test_revoke_and_the_run_hook(project):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\non-run-end: \"grant select on schema dev to role readers\"\n",
                 "models/m.sql": "select 1 as n",
                 "operations/take_back.sql": "revoke select on schema dev from role readers"})
    p.db.role("readers")
    p.run("run").ok()
    assert p.db.rows("select has_table_privilege('readers', 'dev.m', 'select')") == ["t"]
    p.run("operation run take_back").ok()
    assert p.db.rows("select has_table_privilege('readers', 'dev.m', 'select')") == ["f"]


def test_postgresqls_own_words_pass_untouched(project):
    p = project({"models/m.sql": "{{ config(materialized='table', post_hook='grant select on table {{ this }} to readers "
                                 "with grant option') }} select 1 as n"})
    p.db.role("readers")
    result = p.run("run").ok()
    assert "portable grant" not in result.stdout
    assert result.hooks[0]["sql"] == f'grant select on table "{p.db.name}"."dev"."m" to readers with grant option'


def test_a_role_that_is_not_there(project):
    p = project({"models/m.sql": "{{ config(materialized='table', post_hook='grant select on {{ this }} to role nobody_here') }} select 1 as n"})
    p.run("run").fails(1).says('role "nobody_here" does not exist', "models/m.sql:1")
    assert p.db.relations() == []
