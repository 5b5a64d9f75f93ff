"""retry after a hook that failed behind the commit: the node stays as it is."""


def test_only_the_hook_runs_again(project):
    p = project({"models/m.sql": """
        {{ config(materialized='table', pre_hook="insert into public.out values ('pre')", post_hook=[
          "insert into public.out values ('inside')",
          {'sql': "insert into public.out values ('first')", 'transaction': false},
          {'sql': "insert into public.out select 'second' where 1 / {{ env_var('OK') }} = 1", 'transaction': false},
          {'sql': "insert into public.out values ('third')", 'transaction': false}]) }} select txid_current() as n""",
                 "models/below.sql": "select * from {{ ref('m') }}"})
    p.db.sql("create table public.out (who text)")
    result = p.run("run", env={"OK": "0"}).fails(1).says("only what follows the commit failed")
    assert result.statuses == {"m": "error", "below": "skipped"}
    built = p.db.rows("select n from dev.m")
    assert p.db.rows("select who from public.out") == ["pre", "inside", "first"]
    assert p.run("retry", env={"OK": "1"}).ok().statuses == {"m": "success", "below": "success"}
    assert p.db.rows("select who from public.out") == ["pre", "inside", "first", "second", "third"]
    assert p.db.rows("select n from dev.m") == built
    p.run("retry", env={"OK": "1"}).ok().says("Nothing to do")
    p.run("run", env={"OK": "1"}).ok()
    assert p.db.rows("select n from dev.m") != built


def test_what_was_left_for_after_the_commit_is_made_again(project):
    p = project({"models/m.sql": "{{ config(materialized='table', post_hook='lua: h.run') }} select txid_current() as n",
                 "hooks/h.lua": "return { run = function(hook) hook:after_commit(function(h) "
                                "if h:env('OK') == '0' then h:fail('not yet') end end) end }"})
    p.run("run", env={"OK": "0"}).fails(1).says("not yet")
    built = p.db.rows("select n from dev.m")
    p.run("retry", env={"OK": "1"}).ok()
    assert p.db.rows("select n from dev.m") != built, "its function is gone, so the node is built"
