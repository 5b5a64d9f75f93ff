"""Hooks and the transaction of their node: what holds whatever a hook does."""
import pytest

TRACE = "create table public.trace (n serial, who text, tx bigint default txid_current())"


def note(who):
    return f"insert into public.trace (who) values ('{who}')"


def made(project, files, **options):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\n", **files}, **options)
    p.db.sql(TRACE)
    return p


def trace(p):
    return p.db.rows("select who from public.trace order by n")


@pytest.mark.san
def test_an_outside_pre_hook_does_not_cost_the_transaction(project):
    """In dbt a pre-hook with `transaction: false` ends in a commit, behind which nothing is rolled back."""
    p = made(project, {"models/m.sql": f"""
        {{{{ config(materialized='table', pre_hook=[{{'sql': "{note('outside')}", 'transaction': false}}, "{note('inside')}"],
          post_hook=["{note('post')}", "select 1/{{{{ var('n', 1) }}}}"]) }}}} select {{{{ var('n', 1) }}}} as n"""})
    p.run("run").ok()
    transactions = dict(row.split("|") for row in p.db.rows("select who, tx from trace"))
    assert transactions["inside"] == transactions["post"] != transactions["outside"]
    p.run("run", "--vars", "n: 0").fails(1).says("division by zero")
    assert trace(p) == ["outside", "inside", "post", "outside"]
    assert p.db.rows("select n from dev.m") == ["1"]


@pytest.mark.parametrize("phase", ["pre_hook", "post_hook"])
@pytest.mark.parametrize("sql", ["commit", "rollback", "select 1; commit; begin", "rollback; begin", "abort", "end",
                                 "commit and chain"])
def test_an_ended_transaction_is_named(project, phase, sql):
    p = made(project, {"models/m.sql": f"{{{{ config(materialized='table', {phase}=\"{sql}\") }}}} select 1 as n"})
    result = p.run("run").fails(1)
    result.says(f"{phase.replace('_', '-')} 1 of model m ended the node's transaction", "models/m.sql:1", "transaction: false")
    assert result.hooks[0]["status"] == "error" and result.hooks[0]["phase"] == phase + "s"


@pytest.mark.parametrize("body", ["hook:exec('commit')", "pcall(hook.exec, hook, 'commit')", "hook:exec('commit') hook:exec('begin')",
                                  "pcall(hook.exec, hook, 'select 1; commit; begin')", "hook:savepoint(function() hook:exec('commit') end)",
                                  "hook:macro('hidden')", "return 'commit'"])
def test_an_ended_transaction_of_lua_is_named(project, body):
    p = made(project, {"models/m.sql": "{{ config(materialized='table', post_hook={'lua': 'h.run', 'name': 'bad'}) }} select 1 as n",
                       "macros/hidden.sql": "{% macro hidden() %}{% do run_query('commit') %}{% do run_query('begin') %}{% endmacro %}",
                       "hooks/h.lua": f"return {{ run = function(hook) {body} end }}"})
    p.run("run").fails(1).says("post-hook 'bad' of model m ended the node's transaction")


def test_hooks_of_packages_may_commit(project):
    """dbt's packages do so: it is told once, and the rest of the node has a transaction of its own."""
    p = made(project, {
        "packages.yml": "packages: [{local: pkg}]\n",
        "pkg/dbt_project.yml": "name: pkg\n",
        "pkg/macros/upload.sql": "{% macro upload() %}{% do run_query(\"begin transaction; " + note("committed").replace('"', '\\"')
                                 + "; commit;\") %}{{ return('') }}{% endmacro %}",
        **{f"pkg/models/{name}.sql": f"""
            {{{{ config(materialized='table', post_hook=["{{{{ upload() }}}}", "{note(name)}", "select 1/{{{{ var('n', 1) }}}}"]) }}}}
            select {{{{ var('n', 1) }}}} as n""" for name in "ab"}})
    result = p.run("run").ok()
    assert result.stdout.count("ended the node's transaction") == 1
    result.says("post-hook 1 of model", "of package pkg")
    assert sorted(trace(p)) == ["a", "b", "committed", "committed"]
    assert p.run("run").ok().statuses == {"a": "success", "b": "success"}
    p.db.sql("truncate public.trace")
    p.run("run", "--vars", "n: 0").fails(1).says("division by zero")
    assert sorted(trace(p)) == ["committed", "committed"]
    assert p.db.rows("select n from dev.a") == ["0"], "what was committed stays"
    p.run("rehearse").fails(2).says("ended the node's transaction")


@pytest.mark.san
def test_failure_and_always_hooks_have_a_transaction_of_their_own(project):
    """It is fresh: the failed one is rolled back, its locks are gone, and one that fails does not undo the others."""
    p = made(project, {"models/m.sql": f"""
        {{{{ config(materialized='table', pre_hook="lock table public.trace",
          on_failure=["{note('failure 1')}", "{note('lost')}; select 1/0", "{note('failure 2')}", "lua: h.look"],
          always=["{note('always')}", "select * from nowhere"]) }}}} select 1/0 as n""",
        "hooks/h.lua": """return { look = function(hook)
          hook:exec("insert into public.trace (who) values ($1)", hook.error.phase .. " " .. hook.error.sqlstate)
        end }"""})
    result = p.run("run").fails(1).says("division by zero", "nowhere")
    assert trace(p) == ["failure 1", "failure 2", "build 22012", "always"]
    assert result.statuses == {"m": "error"}
    assert "division by zero" in result.result("m")["message"]
    assert [h["status"] for h in result.hooks] == ["success", "success", "error", "success", "success", "success", "error"]


def test_a_hook_behind_the_commit_has_its_own_outcome(project):
    p = made(project, {
        "models/m.sql": f"""
            {{{{ config(materialized='table', post_hook=[
              {{'sql': "{note('one')}", 'transaction': false}},
              {{'sql': "select 1/{{{{ var('n', 0) }}}}", 'transaction': false, 'name': 'refresh'}},
              {{'sql': "{note('three')}", 'transaction': false}}]) }}}} select now() as at""",
        "models/below.sql": "select * from {{ ref('m') }}"})
    result = p.run("run").fails(1).says("post-hook 'refresh' of model m failed", "the node itself is built and committed")
    at = p.db.rows("select at from dev.m")
    assert [(h["name"], h["status"]) for h in result.hooks] == [(note("one"), "success"), ("refresh", "error")]
    p.run("retry", "--vars", "n: 1").ok()
    assert trace(p) == ["one", "three"]
    assert p.db.rows("select at from dev.m") == at, "the node is not built again"
    assert "below view" in p.db.relations()


def test_what_ran_before_a_failed_hook_is_undone(project):
    """The old table and its rows stay, seen from another connection."""
    p = made(project, {
        "models/m.sql": f"{{{{ config(materialized='table', post_hook=[\"{note('x')}\", \"{{{{ 'select 1/0' if var('bad', false) }}}}\"]) }}}} "
                        "select {{ var('n', 1) }} as n",
        "seeds/s.csv": "n\n1\n",
        "dbt_project.yml": "name: shop\nprofile: shop\nseeds:\n  +post-hook: \"{{ 'select 1/0' if var('bad', false) }}\"\n"})
    p.run("build").ok()
    p.write({"seeds/s.csv": "n\n1\n2\n"})
    p.run("build", "--vars", "{n: 2, bad: true}").fails(1)
    assert p.db.rows("select n from dev.m") == ["1"] and p.db.rows("select n from dev.s") == ["1"]
    assert trace(p) == ["x"]


def test_several_statements_of_one_hook_succeed_or_fail_together(project):
    p = made(project, {"models/m.sql": "{{ config(post_hook={'sql': \"" + note("a") + "; select 1/0; " + note("b")
                                       + "\", 'on_error': 'warn'}) }} select 1 as n"})
    p.run("run").ok().says("division by zero")
    assert trace(p) == []


@pytest.mark.parametrize("text", ["-- nothing", ";", " ; ;\n", "/* a */ -- b", "", "{{ '' }}", "{# x #}"])
def test_hooks_that_are_empty_do_nothing(project, text):
    p = made(project, {"dbt_project.yml": "name: shop\nprofile: shop\non-run-start: \"%s\"\nmodels:\n  +post-hook: \"%s\"\n"
                       % ((text.replace("\n", "\\n"),) * 2), "models/m.sql": "select 1 as n"})
    result = p.run("run").ok()
    assert {h["status"] for h in result.hooks} <= {"success"}
