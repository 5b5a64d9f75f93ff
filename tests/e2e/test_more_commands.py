"""run-operation, retry, init: commands that dbt's users know."""
import pytest

MACROS = {
    "macros/tools.sql": """
{% macro make(name, rows=2) %}
  {% do run_query("create table " ~ target.schema ~ "." ~ name ~ " as select generate_series(1, " ~ rows ~ ") as n") %}
  {{ return(rows * 10) }}
{% endmacro %}
{% macro words() %}printed{% endmacro %}
{% macro breaks() %}{% do run_query("select 1/0") %}{% endmacro %}
{% macro left_open() %}{% do run_query("begin; create table public.left_open ()") %}{% endmacro %}
""",
    "models/m.sql": "select 1 as n",
}


@pytest.mark.san
def test_run_operation(project):
    p = project({**MACROS, "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: select 1/0\n"})
    p.db.sql("create schema dev")
    result = p.run("run-operation", "make", "--args", "{name: made, rows: 3}").ok()
    assert p.db.rows("select count(*) from dev.made") == ["3"]
    result.says("30")
    assert [r["unique_id"] for r in result.results] == ["macro.shop.make"]
    assert result.run_results["args"]["macro"] == "make" and not result.hooks
    p.run("run-operation", "shop.words").ok().says("printed")


def test_run_operation_of_sql(project):
    p = project(MACROS)
    p.run("run").ok()
    result = p.run("run-operation", "--sql", "select n + 41 as answer from {{ ref('m') }}").ok()
    result.says("answer", "42")
    assert [r["unique_id"] for r in result.results] == ["sql_operation.shop.inline_query"]
    p.run("run-operation", "--sql", "vacuum").ok()  # which no transaction allows


def test_run_operation_that_fails(project):
    p = project(MACROS)
    result = p.run("run-operation", "breaks").fails(1)
    result.says("division by zero", "macros/tools.sql")
    p.run("run-operation", "left_open").ok().says("left a transaction open")
    assert p.db.rows("select to_regclass('public.left_open') is null") == ["t"]
    p.run("run-operation", "word").fails(2).says("there is no macro 'word'", "words")
    p.run("run-operation", "make", "--args", "[1]").fails(2).says("--args")
    p.run("run-operation").fails(2).says("--sql")
    p.run("run-operation", "make", "--sql", "select 1").fails(2).says("not both")


@pytest.mark.san
def test_retry_runs_what_is_left(project):
    p = project({
        "models/a.sql": "select 1 as n",
        "models/b.sql": "select 1/0 as n from {{ ref('a') }}",
        "models/c.sql": "select n from {{ ref('b') }}",
        "models/d.sql": "select {{ var('v') }} as n",
        "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {+materialized: table}\non-run-end: select 1\n",
    })
    p.run("build", "--select", "a", "b", "c", "d", "--vars", "v: 7").fails(1)
    p.run("retry").fails(1)
    p.write({"models/b.sql": "select {{ var('v') }} as n from {{ ref('a') }}"})
    result = p.run("retry").ok()
    assert {k: v for k, v in result.statuses.items() if "on-run" not in k} == {"b": "success", "c": "success"}
    assert p.db.rows("select n from dev.c") == ["7"]
    p.run("retry").ok().says("Nothing to do")


def test_retry_of_an_operation(project):
    p = project(MACROS)
    p.run("run-operation", "make", "--args", "{name: made}").fails(1)  # there is no schema yet
    p.db.sql("create schema dev")
    p.run("retry").ok()
    assert p.db.rows("select count(*) from dev.made") == ["2"]
    p.run("retry").ok().says("Nothing to do")


def test_retry_without_an_earlier_run(project):
    p = project(MACROS)
    p.run("retry").fails(2).says("run_results.json", "no earlier run")
    p.write({"target/run_results.json": "{\"results\": []"})
    p.run("retry").fails(2).says("run_results.json")
    p.write({"target/run_results.json": "{\"results\": [], \"args\": {\"which\": \"ls\"}}"})
    p.run("retry").fails(2).says("'ls'")


def test_init_makes_a_project_that_builds(project):
    p = project(profile=False)
    p.run("init", "corner_shop").ok().says("cd corner_shop", "dex-lua build")
    result = p.run("build", "--project-dir", "corner_shop", env={"HOME": p.dir}, timeout=120).ok()
    result.says("customers: not empty", "8 ok")
    p.run("db", "destroy", "--project-dir", "corner_shop", env={"HOME": p.dir}).ok()
    p.run("init", "corner_shop").fails(2).says("not empty")
    p.run("init", "no-name").fails(2).says("'no-name' is no name")
    p.run("init").fails(2).says("needs the name")
