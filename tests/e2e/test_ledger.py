"""ledger: true. What a run has completed is in the database; what hooks do outside waits for the commit."""
import json
import signal

import pytest

from receiver import receiving
from test_hook_concurrency import session, waiting

PROJECT = "name: shop\nprofile: shop\nledger: true\nhook-programs: true\n"
COUNTS = "select who || ' ' || count(*) from public.out group by who order by min(at)"


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


def hook(body):
    return {"hooks/h.lua": "local function post(hook, path, more)\n"
                           "  local request = { url = hook:env('URL') .. path, json = { node = hook.node.name } }\n"
                           "  for key, v in pairs(more or {}) do request[key] = v end\n  return hook:http(request)\nend\n"
                           f"return {{ run = function(hook)\n{body}\nend }}\n"}


def entries(p):
    return p.db.rows("select split_part(node, '.', 3) || ' ' || hook || coalesce(' ' || nullif(array_to_string(pending, '+'), ''), '') "
                     "from dev.dex_ledger order by at, hook")


@pytest.mark.san
def test_what_is_written_down(project):
    p = project({"dbt_project.yml": PROJECT + "on-run-start: select 1\non-run-end: {sql: select 1, transaction: true}\n",
                 "models/m.sql": "{{ config(materialized='table', pre_hook='select 1', post_hook=['select 1', {'sql': 'select 2', "
                                 "'name': 'named'}, {'sql': 'vacuum {{ this }}', 'transaction': false}], always='select 3') }} select 1 as n",
                 "models/v.sql": "select n from {{ ref('m') }}",
                 "models/all.yml": "models: [{name: m, columns: [{name: n, data_tests: [unique]}]}]\n"})
    result = p.run("build").ok()
    assert entries(p) == ["shop-on-run-start-0 run_start", "m pre_hooks:1", "m post_hooks:1", "m post_hooks:named",
                          "m commit post_outside:1+always", "m post_outside:1", "m always", "v commit", "shop-on-run-end-0 run_end"]
    run = p.db.rows("select run_id, root_id, command, args ->> 'which', ended_at is not null from dev.dex_runs")
    identity = result.run_results["metadata"]["invocation_id"]
    assert run == [f"{identity}|{identity}|build|build|t"]
    p.run("retry").ok().says("Nothing to do")
    p.run("build").ok()
    assert p.db.rows("select count(*) from dev.dex_runs") == ["3"]


@pytest.mark.parametrize("setting, words", [("7", "ledger must be true, false or a mapping"), ("{x: 1}", "`x` cannot be 1"),
                                            ("{keep_days: 0}", "`keep_days` cannot be 0")])
def test_a_setting_that_is_none(project, setting, words):
    p = project({"dbt_project.yml": f"name: shop\nprofile: shop\nledger: {setting}\n", "models/m.sql": "select 1 as n"})
    p.run("build").fails(2).says("dbt_project.yml:3", words)
    assert p.db.relations() == []


def test_another_schema_and_old_rows(project):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\nledger: {schema: Books, keep_days: 2}\n", "models/m.sql": "select 1 as n"})
    p.run("build").ok()
    p.db.sql("update \"Books\".dex_ledger set at = at - interval '3 days'; update \"Books\".dex_runs set started_at = started_at - "
             "interval '3 days'")
    p.run("build").ok()
    assert p.db.rows("select (select count(*) from \"Books\".dex_ledger), (select count(*) from \"Books\".dex_runs)") == ["1|1"]


def test_effects_wait_for_the_commit(project, receiver):
    """A node that fails has done nothing outside; one that is repeated by the server has done it once."""
    p = project({"dbt_project.yml": PROJECT, **hook("""
        local answer = post(hook, '/in')
        assert(answer.ok and answer.queued and answer.status == 202)
        local ran = hook:run{'sh', '-c', 'echo $DEX_IDEMPOTENCY_KEY >> keys'}
        assert(ran.ok and ran.queued)
        assert(hook:run{'echo', 'now', now = true}.stdout == 'now\\n')
        assert(post(hook, '/get', { method = 'GET', json = nil }).json.said == 'thanks')"""),
                 "models/m.sql": "{{ config(materialized='table', pre_hook='lua: h.run', post_hook=\"select 1 / {{ env_var('OK') }}\") }} select 1 as n"})
    p.run("run", env={"OK": "0", "URL": receiver.url}).fails(1)
    assert receiver.keys("/in") == [] and receiver.keys("/get") == [None]
    p.run("retry", env={"OK": "1", "URL": receiver.url}).ok()
    assert len(receiver.keys("/in")) == 1 and len(receiver.keys("/in")[0]) == 32
    assert json.loads(receiver.got[-1][2] or "{}") == {"node": "m"}
    assert len(p.read("keys").split()) == 1
    assert p.db.rows("select kind, hook, tries, delivered_at is not null, answer ->> 'status' from dev.dex_outbox order by seq") == [
        "http|pre_hooks:1|1|t|200", "run|pre_hooks:1|1|t|0"]


def test_a_delivery_is_tried_again_and_then_left(project, receiver):
    p = project({"dbt_project.yml": PROJECT, **hook("post(hook, '/in')"),
                 "models/m.sql": "{{ config(materialized='table', post_hook='lua: h.run') }} select txid_current() as n",
                 "models/below.sql": "select n from {{ ref('m') }}"})
    receiver.answers[:] = [500, 503]
    p.run("run", env={"URL": receiver.url}).ok()
    assert len(receiver.got) == 3 and len(set(receiver.keys("/in"))) == 1
    receiver.answers[:] = [404]
    result = p.run("run", env={"URL": receiver.url}).fails(1).says("error 518", "hook:http was not delivered (1 try): the answer is 404",
                                                                  "`dex-lua retry` delivers it")
    assert result.statuses == {"m": "error", "below": "skipped"}
    built = p.db.rows("select n from dev.m")
    assert p.run("retry", env={"URL": receiver.url}).ok().statuses == {"m": "success", "below": "success"}
    assert p.db.rows("select n from dev.m") == built
    assert len(receiver.got) == 5 and receiver.got[3][1] == receiver.got[4][1]
    p.run("retry", env={"URL": receiver.url}).ok().says("Nothing to do")
    assert len(receiver.got) == 5


def test_outside_of_transactions_the_answer_is_the_receivers(project, receiver):
    """And one that has come is not asked for again when the hook is run again."""
    p = project({"dbt_project.yml": PROJECT + "on-run-end: 'lua: h.run'\n", **hook("""
        local request = { url = hook:env('URL') .. '/end', json = { n = 1 } }
        assert(hook:http(request).json.said == 'thanks')
        if hook:env('OK') == '0' then hook:fail('not yet') end"""), "models/m.sql": "select 1 as n"})
    p.run("run", env={"OK": "0", "URL": receiver.url}).fails(1)
    p.run("retry", env={"OK": "1", "URL": receiver.url}).ok()
    assert len(receiver.got) == 1
    p.run("run", env={"OK": "1", "URL": receiver.url}).ok()
    assert len(set(receiver.keys("/end"))) == 2


def test_failures_are_told_each_time(project, receiver):
    p = project({"dbt_project.yml": PROJECT, **hook("post(hook, '/failed')"),
                 "models/m.sql": "{{ config(materialized='table', on_failure='lua: h.run') }} select 1 / {{ env_var('OK') }} as n"})
    for command in "run", "retry":
        p.run(command, env={"OK": "0", "URL": receiver.url}).fails(1)
    assert len(set(receiver.keys("/failed"))) == 2 == len(receiver.got)


def test_secrets_are_not_kept(project, receiver):
    p = project({"dbt_project.yml": PROJECT, **hook("post(hook, '/in', { headers = { ['X-Token'] = hook:env('DEX_SECRET_T') } })"),
                 "models/m.sql": "{{ config(post_hook='lua: h.run') }} select 1 as n"})
    receiver.answers[:] = [400]
    env = {"URL": receiver.url, "DEX_SECRET_T": "hush-hush-123"}
    p.run("run", env=env).fails(1)
    kept = p.db.sql("select request, args from dev.dex_outbox, dev.dex_runs")
    assert "hush" not in kept and "DEX_SECRET_T" in kept
    p.run("retry", env={"URL": receiver.url}).fails(1).says("DEX_SECRET_T is no longer in the environment")
    p.run("retry", env=env).ok()
    assert p.db.rows("select count(*) from dev.dex_outbox where delivered_at is null") == ["0"]


def gated(name, more=""):
    return {f"models/{name}.sql": "{{ config(materialized='table', pre_hook=[\"insert into public.out values ('" + name + "')\", "
                                  "'select pg_advisory_xact_lock_shared(7)']" + more + ") }} select 1 as n from {{ ref('a') }}"}


def test_a_run_that_goes_on_is_not_taken_up(project):
    p = project({"dbt_project.yml": PROJECT, "models/a.sql": "select 1 as n", **gated("b")})
    p.db.sql("create table public.out (who text, at timestamptz default clock_timestamp())")
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = p.start("run")
        waiting(p.db, 1)
        identity = p.db.rows("select run_id from dev.dex_runs")[0]
        p.run("retry").fails(2).says("error 426", f"run {identity} is still going on: `dex-lua run` holds it (pid {running.process.pid}")
        say("select pg_advisory_unlock(7)")
        running.finish().ok()


def crash(p):
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = p.start("build")
        waiting(p.db, 1)
        running.signal(signal.SIGKILL)
        running.process.wait()
        say("select pg_advisory_unlock(7)")


@pytest.mark.parametrize("where", ["beside", "elsewhere", "by its id"])
def test_after_a_crash_without_artifacts(project, where):
    """Done is what the ledger says; `elsewhere`: the folder target/ is gone, too."""
    p = project({"dbt_project.yml": PROJECT + "on-run-start: \"insert into public.out values ('start')\"\n"
                                              "on-run-end: \"insert into public.out values ('end')\"\n",
                 "models/a.sql": "{{ config(materialized='table', post_hook=\"insert into public.out values ('a')\") }} select 1 as n",
                 **gated("b"), "models/c.sql": "select n from {{ ref('b') }}"})
    p.db.sql("create table public.out (who text, at timestamptz default clock_timestamp())")
    crash(p)
    assert p.db.rows(COUNTS) == ["start 1", "a 1"]
    identity = p.db.rows("select run_id from dev.dex_runs")[0]
    words = []
    if where == "elsewhere":
        p.write({"target/run_started.json": None})
    if where == "by its id":
        words = [identity]
    result = p.run("retry", *words).ok().says(f"by the ledger (run {identity})")
    assert [r["unique_id"] for r in result.results] == ["model.shop.b", "model.shop.c", "operation.shop.shop-on-run-end-0"]
    assert p.db.rows(COUNTS) == ["start 1", "a 1", "b 1", "end 1"]
    p.run("retry").ok().says("Nothing to do")
    assert p.db.rows(COUNTS) == ["start 1", "a 1", "b 1", "end 1"]


def test_no_such_run(project):
    p = project({"dbt_project.yml": PROJECT, "models/m.sql": "select 1 as n"})
    p.run("retry").fails(2).says("error 311", "there is no earlier run to take up")
    p.run("run").ok()
    p.run("retry", "11111111-1111-1111-1111-111111111111").fails(2).says("the ledger has no run '1111")


def test_a_later_command_without_a_ledger(project):
    """`compile` has results of its own: those are the last ones, as with dbt. A crash before it is not forgotten."""
    p = project({"dbt_project.yml": PROJECT, "models/a.sql": "select 1 as n", "models/bad.sql": "select {{ 1 if env_var('OK') == '1' else x.y.z }} as n"})
    p.run("run", env={"OK": "1"}).ok()
    p.run("compile", env={"OK": "0"}).fails(1)
    p.run("retry", env={"OK": "1"}).ok().says("retrying 1 of `dex-lua compile`")


def test_nothing_to_do_keeps_the_results(project):
    p = project({"dbt_project.yml": PROJECT, "models/a.sql": "select 1 as n"})
    before = p.run("run").ok().results
    after = p.run("retry").ok().says("Nothing to do").results
    assert after == before
