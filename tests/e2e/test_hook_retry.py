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


RUN_HOOKS = {"dbt_project.yml": """name: shop
profile: shop
on-run-start:
  - "insert into public.out values ('start 1')"
  - "insert into public.out select 'start 2' where 1 / {{ env_var('START', '1') }} = 1"
  - "insert into public.out values ('start 3')"
on-run-end:
  - "insert into public.out values ('end 1')"
  - "insert into public.out select 'end 2, {% for r in results if r.node.resource_type == 'model' %}{{ r.node.name }} {{ r.status }} {{ r.timing | length }} {{ r.execution_time > 0 }}{% endfor %}' where 1 / {{ env_var('END', '1') }} = 1"
  - "insert into public.out values ('end 3, {{ schemas | join }}')"
""", "models/m.sql": "{{ config(materialized='table') }} select txid_current() as n where 1 / {{ env_var('M', '1') }} = 1"}


def said(p):
    rows = p.db.rows("select who from public.out")
    p.db.sql("truncate public.out")
    return rows


def test_a_failed_end_is_taken_up(project):
    """Only the hook that failed and those behind it run; they see the results of the run; a retry of the retry, too."""
    p = project(RUN_HOOKS)
    p.db.sql("create table public.out (who text)")
    result = p.run("build", env={"END": "0"}).fails(1).says("on-run-end hook 2 failed")
    assert result.statuses["m"] == "success"
    built = p.db.rows("select n from dev.m")
    assert said(p) == ["start 1", "start 2", "start 3", "end 1"]
    again = p.run("retry", env={"END": "0"}).fails(1)
    assert [r["status"] for r in again.results][-3:] == ["success", "error", "skipped"]
    assert said(p) == []
    good = p.run("retry").ok().says("retrying 2 of `dex-lua build`")
    assert said(p) == ["end 2, m success 2 True", "end 3, dev"]
    assert p.db.rows("select n from dev.m") == built
    for one in again, good:  # the earlier results stay
        assert [r["unique_id"] for r in one.results] == [
            "operation.shop.shop-on-run-start-0", "operation.shop.shop-on-run-start-1", "operation.shop.shop-on-run-start-2",
            "model.shop.m", "operation.shop.shop-on-run-end-0", "operation.shop.shop-on-run-end-1",
            "operation.shop.shop-on-run-end-2"]
    assert {r["status"] for r in good.results} == {"success"}
    node = next(r for r in result.results if r["unique_id"] == "model.shop.m")
    assert next(r for r in good.results if r["unique_id"] == "model.shop.m") == node
    p.run("retry").ok().says("Nothing to do")


def test_a_failed_start_goes_on_where_it_stopped(project):
    p = project(RUN_HOOKS)
    p.db.sql("create table public.out (who text)")
    assert p.run("run", env={"START": "0"}).fails(1).statuses["m"] == "skipped"
    assert said(p) == ["start 1", "end 1", "end 2, m skipped 0 False", "end 3, "]
    assert p.run("retry").ok().statuses["m"] == "success"
    assert said(p) == ["start 2", "start 3", "end 1", "end 2, m success 2 True", "end 3, dev"]


def test_around_a_node_that_runs_again_all_of_them_do(project):
    p = project(RUN_HOOKS)
    p.db.sql("create table public.out (who text)")
    p.run("run", env={"M": "0", "END": "0"}).fails(1)
    said(p)
    p.run("retry").ok()
    assert said(p) == ["start 1", "start 2", "start 3", "end 1", "end 2, m success 2 True", "end 3, dev"]
