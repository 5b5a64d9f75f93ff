"""hooks ls, hooks run, hooks check, plan, rehearse."""
import json

import pytest

FILES = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        on-run-start: {name: schema, sql: create schema if not exists ops}
        on-run-end: "lua: h.note"
        models:
          +post-hook: {name: readers, sql: "grant select on {{ this }} to public"}
        """,
    "hooks/h.lua": "return { note = function(hook) end }",
    "models/a.sql": "select 1 as n",
    "models/b.sql": """
        {{ config(materialized='table', pre_hook="create table if not exists public.log (n int)", post_hook=[
          {'sql': 'vacuum {{ this }}', 'transaction': false},
          {'name': 'index', 'sql': 'create index if not exists by_n on {{ this }} (n)'},
          {'sql': 'insert into public.log values (1)', 'commands': ['run']}]) }}
        select * from {{ ref('a') }}""",
}


def test_ls(project):
    p = project(FILES)
    result = p.run("hooks ls").ok()
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines if line[0]] == ["on-run-start", "model.shop.a", "model.shop.b", "on-run-end"]
    result.says("models/b.sql:", "dbt_project.yml:", "post_outside outside")
    assert "public.log values" not in result.stdout, "not for build"
    assert "public.log values" in p.run("hooks ls --of run").ok().stdout
    rows = [json.loads(line) for line in p.run("hooks ls --of run --select b -o json").ok().stdout.splitlines()]
    assert [(r["phase"], r["name"], r["transaction"]) for r in rows] == [
        ("run_start", "schema", "none"), ("pre_hooks", None, "node"), ("post_hooks", "readers", "node"),
        ("post_hooks", "index", "node"), ("post_hooks", None, "node"), ("post_outside", None, "none"), ("run_end", None, "none")]
    assert p.db.relations("dev") == [] and p.run("hooks ls --select nothing").ok().stdout == ""


def test_plan_is_what_runs(project):
    p = project({**FILES, "seeds/s.csv": "n\n1\n", "tests/t.sql": "select 1 where false"})
    for command in "run", "build", "seed", "test":
        rows = [json.loads(line) for line in p.run(f"plan {command} -o json").ok().stdout.splitlines()]
        planned = [r["unique_id"] for r in rows if "step" in r]
        hooks = [(r["node"], r["phase"], r["does"]) for r in rows if "phase" in r]
        assert p.db.relations("dev") == [] or command != "run", "a plan builds nothing"
        result = p.run(command, "--threads", "1").ok()
        assert sorted(planned) == sorted(r["unique_id"] for r in result.results if "on-run" not in r["unique_id"])
        assert sorted(hooks, key=str) == sorted(((h["node"], h["phase"], h["name"]) for h in result.hooks), key=str)
    p.run("plan").ok().says("dex-lua build would run", "1. ", ", after ")
    p.run("plan compile").fails(2).says("plan takes one of")
    p.run("plan buidl").fails(2).says("did you mean 'build'?")


@pytest.mark.san
def test_run_alone(project):
    p = project({**FILES, "models/b.sql": FILES["models/b.sql"].replace(
        "'commands': ['run']", "'name': 'log'")})
    p.run("hooks run b").fails(2).says("b is not built")
    p.run("run").ok()
    p.run("hooks run b").ok().says("Hooks that ran: 5")
    p.run("hooks run b --name log").ok()
    assert p.db.rows("select count(*) from public.log") == ["3"]
    p.run("hooks run b --phase post_outside").ok().says("vacuum")
    p.run("hooks run b --name lag").fails(2).says("did you mean 'log'?")
    p.run("hooks run b --phase on_failure").fails(2).says("no such hook")
    p.run("hooks run c").fails(2)
    p.write({"models/b.sql": "{{ config(post_hook=['insert into public.log values (5)', 'select 1/0']) }} select 1 as n"})
    p.run("hooks run b").fails(1).says("division by zero", "post-hook", "models/b.sql:1")
    assert p.db.rows("select count(*) from public.log where n = 5") == ["0"], "one transaction for a phase"


@pytest.mark.san
def test_check(project):
    p = project({
        "dbt_project.yml": "name: shop\nprofile: shop\nhook-programs: true\n",
        "hooks/h.lua": "return { out = function(hook) hook:run{'true'} end, bad = function(hook) error('always') end }",
        "models/good.sql": """
            {{ config(materialized='table', pre_hook='create table if not exists public.log (n int)', post_hook=[
              'grant select on {{ this }} to public', "comment on table {{ this }} is 'x'", 'analyze {{ this }}',
              'truncate public.log; insert into public.log values (1)']) }} select 1 as n""",
        "models/bad.sql": """
            {{ config(materialized='table', post_hook=[
              {'name': 'appends', 'sql': 'insert into public.log values (1)'},
              {'name': 'indexes', 'sql': 'create index on {{ this }} (n)'},
              {'name': 'columns', 'sql': 'alter table {{ this }} add column m int'},
              {'name': 'outside', 'sql': 'vacuum {{ this }}', 'transaction': false},
              {'name': 'program', 'lua': 'h.out'},
              {'name': 'never', 'sql': 'select 1/0', 'when': 'false'},
              {'name': 'broken', 'lua': 'h.bad', 'on_error': 'warn'}]) }} select n from {{ ref('good') }}"""})
    p.run("hooks check --select good").ok().says("5 hooks, 0 not idempotent")
    result = p.run("hooks check").fails(1).says("12 hooks, 4 not idempotent", "rows of public.log: 2 -> 3", "+ index dev.bad_n_idx1",
                                                 'the second time: post-hook \'columns\' of model bad failed: column "m"',
                                                 "the first time: post-hook 'broken'", "models/bad.sql:")
    verdicts = {line.split("'")[1]: line.split()[0] for line in result.stdout.splitlines() if " bad, " in line}
    assert verdicts == {"appends": "CHANGES", "indexes": "CHANGES", "columns": "FAILS", "outside": "unchecked",
                        "program": "unchecked", "never": "unchecked", "broken": "FAILS"}
    assert p.db.relations() == [] and p.db.relations("public") == [], "nothing of it stays"


@pytest.mark.san
def test_rehearse(project):
    p = project({**FILES, "seeds/s.csv": "n\n1\n2\n", "models/c.sql": "select 1 / (n - {{ var('bad', 0) }}) as n from {{ ref('b') }}"})
    before = p.db.rows("select nspname from pg_namespace order by 1")
    result = p.run("rehearse run").ok().says("It would change", "+ view dev.a", "+ table dev.b", "+ index dev.by_n", "+ schema ops",
                                             "privileges of dev.b", "rows of public.log: 1", "left out", "vacuum")
    assert "rolled back" in result.stdout
    assert p.db.rows("select nspname from pg_namespace order by 1") == before
    p.run("run").ok()
    text = p.run("rehearse run").ok().stdout
    assert "+ table" not in text and "~ rows of dev.b: 1 now" in text
    p.run("rehearse build").ok().says("+ table dev.s", "rows of dev.s: 2")
    p.run("rehearse build --empty").ok().says("+ table dev.s")
    p.write({"models/b.sql": "{{ config(materialized='table') }} select 1/0 as n from {{ ref('a') }}"})
    p.run("rehearse run").fails(1).says("division by zero", "model b did not succeed")
    assert p.db.relations() == ["a view", "b table", "c view"]
    p.run("rehearse test").ok()
    p.run("rehearse docs").fails(2)


def test_a_commit_in_a_rehearsal_is_told(project):
    p = project({"models/a.sql": "{{ config(post_hook='commit') }} select 1 as n"})
    p.run("rehearse").fails(2).says("ended the transaction of the rehearsal")


def test_wrong_words(project):
    p = project({"models/a.sql": "select 1 as n"})
    for command in "hooks list", "hooks ls a", "hooks run", "hooks run a b", "rehearse run run":
        p.run(command).fails(2)
