"""Hooks around nodes: their forms, places, order and transactions on a real server."""
import pytest

# Notes who ran, in which transaction; the sequence survives rollbacks.
TRACE = "create table trace (n serial, who text, tx bigint default txid_current())"


def note(who):
    return f"insert into public.trace (who) values ('{who}')"


def traced(project, files, **options):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\n", **files}, **options)
    p.db.sql(TRACE)
    return p


def trace(p):
    return p.db.rows("select who from trace order by n")


ALL_PHASES = """
{{ config(materialized='table',
  pre_hook=[
    {'sql': "%s", 'transaction': false}, "%s"],
  post_hook=[
    {'sql': "%s", 'transaction': false}, "%s"],
  on_failure=["%s"], always=["%s"]) }}
select traced('build') as n
""" % tuple(note(who) for who in ("pre_outside", "pre_inside", "post_outside", "post_inside", "on_failure", "always"))

TRACED = """create function traced(who text, bad int default 0) returns int language plpgsql as $$
  begin insert into public.trace (who) values (traced.who); return 1 / (1 - bad); end $$"""


@pytest.mark.san
def test_the_phases_in_their_order(project):
    p = traced(project, {"models/m.sql": ALL_PHASES})
    p.db.sql(TRACED)
    result = p.run("run").ok()
    assert trace(p) == ["pre_outside", "pre_inside", "build", "post_inside", "post_outside", "always"]
    transactions = dict(row.split("|") for row in p.db.rows("select who, tx from trace"))
    assert transactions["pre_inside"] == transactions["build"] == transactions["post_inside"]
    assert len(set(transactions.values())) == 4, "the others have their own"
    assert [h["phase"] for h in result.hooks] == ["pre_outside", "pre_hooks", "post_hooks", "post_outside", "always"]
    assert all(h["status"] == "success" and h["node"] == "model.shop.m" for h in result.hooks)


@pytest.mark.san
def test_the_phases_when_the_build_fails(project):
    p = traced(project, {"models/m.sql": ALL_PHASES.replace("traced('build')", "traced('build', 1)")})
    p.db.sql(TRACED)
    result = p.run("run").fails(1)
    assert trace(p) == ["pre_outside", "on_failure", "always"], "the rest is rolled back"
    assert [h["phase"] for h in result.hooks] == ["pre_outside", "pre_hooks", "on_failure", "always"]
    assert p.db.relations() == []


@pytest.mark.parametrize("phase, bad, left, built", [
    ("pre_outside", "pre_hook={'sql': 'select 1/0', 'transaction': false}", ["on_failure", "always"], False),
    ("pre_hooks", "pre_hook='select 1/0'", ["on_failure", "always"], False),
    ("post_hooks", "post_hook='select 1/0'", ["on_failure", "always"], False),
    ("post_outside", "post_hook={'sql': 'select 1/0', 'transaction': false}", ["on_failure", "always"], True),
])
@pytest.mark.san
def test_a_failed_hook_fails_its_node(project, phase, bad, left, built):
    """What is inside the transaction is rolled back with the node; what follows the commit is not."""
    p = traced(project, {
        "models/m.sql": f"{{{{ config(materialized='table', {bad}, on_failure=\"{note('on_failure')}\", "
                        f"always=\"{note('always')}\") }}}} select {{{{ var('n', 1) }}}} as n",
        "models/below.sql": "select * from {{ ref('m') }}"})
    p.run("run --no-hooks").ok()
    result = p.run("run", "--vars", "n: 2").fails(1).says("division by zero")
    assert trace(p) == left
    assert p.db.rows("select n from dev.m") == ["2" if built else "1"]
    assert result.statuses == {"m": "error", "below": "skipped"}
    failed = next(h for h in result.hooks if h["status"] == "error")
    assert failed["phase"] == phase and "division by zero" in failed["message"] and failed["file"] == "models/m.sql"


@pytest.mark.san
def test_every_place_from_general_to_specific(project):
    """Project file from outside in, properties, the file itself; unnamed hooks add up."""
    p = traced(project, {
        "dbt_project.yml": f"""
            name: shop
            profile: shop
            models:
              +post-hook: "{note('everywhere')}"
              shop:
                post-hook: ["{note('project')}"]
                marts:
                  +post_hook: {{sql: "{note('marts')}"}}
                  m:
                    +post-hook: "{note('by name')}"
            seeds:
              +pre-hook: "{note('seed')}"
            """,
        "models/marts/m.sql": f"""
            {{{{ config(post_hook=["{note('file 1')}", "{note('file 2')}"]) }}}}
            {{{{ config({{"post-hook": "{note('file 3')}"}}) }}}}
            select 1 as n""",
        "models/marts/m.yml": f"""
            models:
              - name: m
                config:
                  post_hook: ["{note('properties')}"]
            """,
        "seeds/s.csv": "n\n1\n",
    })
    p.run("run").ok()
    assert trace(p) == ["everywhere", "project", "marts", "by name", "properties", "file 1", "file 2", "file 3"]
    p.run("seed").ok()
    assert trace(p)[-1] == "seed"


@pytest.mark.san
def test_every_form(project):
    p = traced(project, {
        "macros/noted.sql": "{% macro noted(who) %}insert into public.trace (who) values ('{{ who }} ' || '{{ this.name }}'){% endmacro %}",
        "hooks/lua_hooks.lua": """
            local M = {}
            function M.note(hook)
              hook:exec("insert into public.trace (who) values ($1)", "lua " .. (hook.args.who or "nobody"))
            end
            function M.sql(hook) return "insert into public.trace (who) values ('returned')" end
            return M
            """,
        "operations/notes/one.sql": "insert into public.trace (who) values ('operation {{ args.who }}')",
        "models/m.sql": f"""
            {{{{ config(post_hook=[
              "{note('text')}",
              {{'sql': "{note('mapping')}"}},
              "{{{{ noted('macro') }}}}",
              noted('at parse'),
              "lua: lua_hooks.note",
              {{'lua': 'lua_hooks.note', 'args': {{'who': 'args'}}}},
              {{'lua': 'lua_hooks.sql'}},
              {{'operation': 'notes/one', 'args': {{'who': 'x'}}}},
              after_commit("{note('after commit')}"),
              "   -- only a comment",
              "{{{{ '' }}}}",
            ]) }}}} select 1 as n""",
    })
    result = p.run("run").ok()
    assert trace(p) == ["text", "mapping", "macro m", "at parse m", "lua nobody", "lua args", "returned", "operation x",
                        "after commit"]
    assert [h["kind"] for h in result.hooks] == ["sql"] * 4 + ["lua"] * 3 + ["operation"] + ["sql"] * 3
    assert {h["phase"] for h in result.hooks} == {"post_hooks", "post_outside"}


@pytest.mark.san
def test_named_hooks_replace_and_leave(project):
    p = traced(project, {
        "dbt_project.yml": f"""
            name: shop
            profile: shop
            models:
              +post-hook:
                - {{name: first, sql: "{note('inherited first')}"}}
                - {{name: second, sql: "{note('inherited second')}"}}
            """,
        "models/a.sql": f"{{{{ config(post_hook={{'name': 'first', 'sql': \"{note('own first')}\"}}) }}}} select 1 as n",
        "models/b.sql": "{{ config(post_hook={'name': 'second', 'enabled': false}) }} select n from {{ ref('a') }}",
    })
    p.run("run").ok()
    assert trace(p) == ["own first", "inherited second", "inherited first"]
    p.run("run --skip-hook first").ok()
    assert trace(p)[3:] == ["inherited second"]
    result = p.run("run --no-hooks").ok()
    assert trace(p)[4:] == [] and result.hooks == []


@pytest.mark.san
def test_texts_are_rendered_when_they_run(project):
    """Wherever they are written: hooks see this, earlier hooks' work, and what the model did."""
    p = traced(project, {
        "dbt_project.yml": """
            name: shop
            profile: shop
            models:
              +post-hook: "insert into public.trace (who) values ('project {{ this }} {{ execute }}')"
            """,
        "models/m.yml": """
            models:
              - name: m
                config:
                  post-hook: "insert into public.trace (who) values ('properties {{ this.schema }}.{{ this.name }}')"
            """,
        "models/m.sql": """
            {{ config(materialized='table', post_hook=[
              "insert into public.trace (who) values ('{{ run_query('select count(*) from public.trace').columns[0][0] }} before')",
              "insert into public.trace (who) values ('{{ load_result('main').response.rows_affected }} rows')",
              "insert into public.trace (who) values ('{{ target.name }} {{ var('v') }} {{ flags.WHICH }} {{ model.name }}')"]) }}
            select 1 as n union all select 2""",
    })
    p.run("run", "--vars", "v: 7").ok()
    assert trace(p) == [f'project "{p.db.name}"."dev"."m" True', "properties dev.m", "2 before", "2 rows", "dev 7 run m"]


def test_settings_of_a_hook(project):
    p = traced(project, {
        "models/m.sql": f"""
            {{{{ config(materialized='table', post_hook=[
              {{'sql': "{note('when true')}", 'when': "target.name == 'dev'"}},
              {{'sql': "{note('when false')}", 'when': "target.name == 'prod'"}},
              {{'sql': "{note('other command')}", 'commands': ['build']}},
              {{'sql': "{note('undone')}; select 1/0", 'on_error': 'warn', 'name': 'warns'}},
              {{'sql': "select 1/0", 'on_error': 'ignore'}},
              {{'sql': "select pg_sleep(60)", 'timeout': 0.2, 'on_error': 'warn', 'name': 'slow'}},
              {{'sql': "select flaky()", 'retries': 3}},
              {{'sql': "{note('locked')}", 'lock': 'one at a time'}},
            ]) }}}} select 1 as n""",
    })
    p.db.sql("create sequence tries; create function flaky() returns int language plpgsql as $$ begin "
             "if nextval('public.tries') < 3 then raise exception 'not yet'; end if; return 1; end $$")
    result = p.run("run").ok().says("warns", "division by zero", "slow", "0.2")
    assert trace(p) == ["when true", "locked"]
    assert [h["status"] for h in result.hooks] == ["success", "warn", "ignored", "warn", "success", "success"]
    p.run("build").ok()
    assert "other command" in trace(p)


def test_hooks_of_seeds_and_tests_of_what_they_did(project):
    p = traced(project, {
        "seeds/s.csv": "n\n1\n",
        "seeds/s.yml": f"""
            seeds:
              - name: s
                config:
                  pre-hook: "{note('before')}"
                  post-hook: ["{note('after')}", "lua: check.rows"]
            """,
        "hooks/check.lua": "return { rows = function(hook) assert(hook:value('select count(*) from ' .. hook.this) == 1) end }",
    })
    p.run("seed").ok()
    p.run("seed").ok()
    assert trace(p) == ["before", "after"] * 2


def test_hooks_of_views_and_what_is_not_built(project):
    p = traced(project, {
        "models/v.sql": f"{{{{ config(post_hook=\"{note('view')}\") }}}} select 1 as n",
        "models/e.sql": f"{{{{ config(materialized='ephemeral', post_hook=\"{note('never')}\") }}}} select 1 as n",
        "models/top.sql": "select e.n from {{ ref('e') }} e, {{ ref('v') }}",
    })
    result = p.run("run").ok()
    assert trace(p) == ["view"]
    assert "e" in result.stdout and "never run" in result.stdout, "dbt says nothing here"
    for command in "compile", "ls", "parse", "show --select v":
        p.run(command).ok()
    assert trace(p) == ["view"], "these have no side effects"


@pytest.mark.parametrize("sql", ["commit", "rollback", "select 1; commit; begin"])
def test_a_hook_that_ends_the_transaction_is_named(project, sql):
    p = traced(project, {"models/m.sql": f"{{{{ config(materialized='table', post_hook='{sql}') }}}} select 1 as n"})
    p.run("run").fails(1).says("post-hook 1 of model m ended the node's transaction", "models/m.sql:1")


def test_what_cannot_run_in_a_transaction(project):
    p = traced(project, {"models/m.sql": """
        {{ config(materialized='table', post_hook=[
          {'sql': 'vacuum {{ this }}', 'transaction': false},
          {'sql': 'create index concurrently on {{ this }} (n)', 'transaction': false}]) }} select 1 as n"""})
    p.run("run").ok()
    assert p.db.rows("select count(*) from pg_indexes where schemaname = 'dev'") == ["1"]


def test_a_hooks_ref_is_a_dependency(project):
    p = traced(project, {
        "models/z_first.sql": "select 1 as n",
        "models/a.sql": "{{ config(pre_hook=\"insert into public.trace (who) select 'saw ' || n from {{ ref('z_first') }}\") }} select 1 as n",
    })
    assert p.run("run --threads 4").ok().order == ["z_first", "a"]
    assert trace(p) == ["saw 1"]


def test_hooks_of_packages_and_the_roots_settings_for_them(project):
    p = traced(project, {
        "packages.yml": "packages: [{local: pkg}]\n",
        "pkg/dbt_project.yml": f"name: pkg\nmodels:\n  pkg:\n    +post-hook: \"{note('package')}\"\n",
        "pkg/models/m.sql": f"{{{{ config(post_hook=\"{note('file')}\") }}}} select 1 as n",
        "dbt_project.yml": f"name: shop\nprofile: shop\nmodels:\n  pkg:\n    +post-hook: \"{note('root')}\"\n",
    })
    p.run("run").ok()
    assert trace(p) == ["package", "file", "root"]


def test_the_summary_shows_every_hook(project):
    p = traced(project, {"models/m.sql": f"{{{{ config(post_hook={{'name': 'audit', 'sql': \"{note('x')}\"}}) }}}} select 1 as n"})
    p.run("run").ok().says("Hooks that ran: 1", "post_hooks   m: audit")


def test_ready_made_hooks(project):
    p = traced(project, {
        "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: 'lua: audit.prepare'\n"
                           "models:\n  +post-hook: ['lua: audit.record', 'lua: analyze.run']\n",
        "models/m.sql": """{{ config(materialized='table', post_hook=[
            {'lua': 'row_counts.check', 'args': {'warn_below': 5, 'fail_below': var('least', 1)}}]) }} select 1 as n""",
    })
    p.run("run").ok().says("1 row")
    result = p.run("run", "--vars", "least: 2").fails(1)
    assert result.statuses["m"] == "error"
    assert p.db.rows("select n from dev.m") == ["1"]
