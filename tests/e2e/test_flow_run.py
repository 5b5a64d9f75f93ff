"""Flows: every kind of node, in order, beside each other, and what becomes of those behind a failure."""
import json
import os
import re
import signal
import time

import pytest

from flows import flow, history, runs, statuses

NOTE = {"operations/note.sql": "{{ config(parameters={'what': 'text'}) }}\n"
                               "insert into public.notes (what) values ('{{ args.what }}');\n"}


def noted(project, files):
    """A project whose operation `note` adds to the table `notes`."""
    p = project({**NOTE, **files})
    p.db.sql("create table notes (id serial, what text)")
    return p


def noting(what, **more):
    return {"operation": "note", "args": {"what": what}, **more}


def notes(p):
    return p.db.rows("select what from notes order by id")


@pytest.mark.san
def test_every_kind_of_node(project):
    p = noted(project, {
        "models/a.sql": "select 1 as n", "models/b.sql": "select n + 1 as n from {{ ref('a') }}",
        "models/schema.yml": "models:\n  - name: b\n    columns: [{name: n, data_tests: [not_null]}]\n",
        "operations/count.lua": "return function(op) return { n = op:value('select count(*) from notes') } end\n",
        "flows/f.yml": flow({
            "there": {"wait": {"file": "{{ params.file }}", "every": "0.1s"}},
            "answer": {"wait": {"sql": "select {{ params.n }} = 3", "every": 1}, "needs": "there"},
            "build": {"transformation": {"select": ["+b"]}, "needs": "answer"},
            "note": noting("{{ params.file }}", needs="answer"),
            "count": {"operation": "count", "needs": "note"},
            "say": {"script": ["/bin/echo", "a b", "{{ tasks.count.result.n + params.n }}"], "needs": ["build", "count"]},
            "shell": {"script": {"run": "psql -Atc 'select n from dev.b' > \"$OUT\"", "shell": True, "env": {"OUT": "{{ params.out }}"}},
                      "needs": "build"},
            "sub": {"flow": "small", "args": {"what": "from {{ run.flow }}"}, "needs": "say"},
        }, parameters={"n": {"type": "integer", "default": 3}, "file": "text", "out": "text"}),
        "flows/small.yml": flow({"inner": noting("{{ params.what }}")}, parameters={"what": "text"}),
        "there.txt": "",
    })
    out = p.scratch + "/out.txt"
    result = p.run("flow", "run", "f", "-a", "file=there.txt", "-a", f"out={out}").ok()
    result.says("say: a b 4", "small.inner", "flow f of project shop, target dev, 8 tasks")
    assert open(out, encoding="utf-8").read() == "2\n"
    assert notes(p) == ["there.txt", "from f"]
    run = history(p, result)
    assert (run["status"], run["trigger"], run["parameters"]["n"]) == ("success", "manual", 3)
    assert {t["status"] for t in run["tasks"]} == {"success"}
    assert sorted(n.split(".")[2] for n in run["by"] if "/" in n) == ["a", "b", "not_null_b_n"]
    b = run["by"]["build/model.shop.b"]
    assert (b["needs"], b["node_id"], b["kind"]) == (["build/model.shop.a"], "model.shop.b", "model")
    assert run["by"]["build/model.shop.a"]["needs"] == ["answer"]
    child = history(p, run["by"]["sub"]["result"]["run_id"])
    assert (child["parent_id"], child["trigger"], child["flow"], child["status"]) == (run["id"], "flow", "small", "success")
    assert result.statuses["f.say"] == "success" and result.statuses["a"] == "success"


def test_branches_run_beside_each_other(project):
    """Two scripts, each of which waits for a file that the other one makes; the same for operations and models."""
    wait = "touch {mine}; until test -e {other}; do sleep 0.02; done"
    p = project({
        "models/x.sql": "{{ config(pre_hook=\"select meet('x', 'y')\") }} select 1 as n",
        "models/y.sql": "{{ config(pre_hook=\"select meet('y', 'x')\") }} select 1 as n",
        "flows/f.yml": flow({
            "a": {"script": {"run": wait.format(mine="a.txt", other="b.txt"), "shell": True}, "timeout": 20},
            "b": {"script": {"run": wait.format(mine="b.txt", other="a.txt"), "shell": True}, "timeout": 20},
            "x": {"transformation": {"command": "run", "select": "x"}, "needs": ["a", "b"], "timeout": 20},
            "y": {"transformation": {"command": "run", "select": "y"}, "needs": ["a", "b"], "timeout": 20},
        }),
    }, threads=1)
    p.db.sql("""create table met (who text);
        create function meet(me text, other text) returns void language plpgsql as $$ begin
          perform pg_advisory_lock(hashtext(me));
          while not exists (select 1 from pg_locks where locktype = 'advisory' and granted and objid = (hashtext(other)::bigint & 4294967295)::oid)
          loop perform pg_sleep(0.02); end loop;
          perform pg_sleep(0.1);
        end $$""")
    result = p.run("flow run f").ok()
    assert set(statuses(p, result).values()) == {"success"}


@pytest.mark.san
def test_behind_a_failure(project):
    p = noted(project, {"flows/f.yml": flow({
        "good": noting("good"),
        "bad": {"script": ["false"], "needs": "good"},
        "after": noting("after", needs="bad"),
        "alarm": noting("alarm {{ tasks.bad.status }}", needs="bad", when="failed"),
        "no_alarm": noting("no alarm", needs="good", when="failed"),
        "clean": noting("clean", needs=["bad", "after"], when="always"),
        "asked": noting("asked", needs=["bad", "good"], when="tasks.bad.status == 'failed' and params.x"),
        "plain": noting("plain", needs="bad", when="params.x"),
        "beside": noting("beside"),
        "skipped": noting("skipped", needs="no_alarm"),
    }, parameters={"x": {"type": "boolean", "default": True}})})
    result = p.run("flow run f").fails(1)
    result.says("flow f: partial", "'bad' failed: script 'bad' ended with status 1", "flow rerun")
    assert statuses(p, result) == {"good": "success", "bad": "failed", "after": "upstream_failed", "alarm": "success",
                                   "no_alarm": "skipped", "clean": "success", "asked": "success", "plain": "upstream_failed",
                                   "beside": "success", "skipped": "skipped"}
    assert sorted(notes(p)) == ["alarm failed", "asked", "beside", "clean", "good"]
    assert runs(p, "f")[0]["status"] == "partial"


def test_a_flow_all_of_whose_ends_failed_has_failed(project):
    p = noted(project, {"flows/f.yml": flow({"good": noting("good"), "bad": {"script": ["false"], "needs": "good"},
                                              "alarm": noting("alarm", needs="bad", when="failed")})})
    result = p.run("flow run f").fails(1)
    assert history(p, result)["status"] == "failed"


@pytest.mark.san
def test_models_behind_a_failure(project):
    p = project({"models/a.sql": "select 1/0 as n", "models/b.sql": "select * from {{ ref('a') }}", "models/c.sql": "select 1 as n",
                 "models/a.yml": "models: [{name: a, config: {materialized: table}}]\n",
                 "flows/f.yml": flow({"all": {"transformation": {}}, "more": {"script": ["true"], "needs": "all"}})})
    result = p.run("flow run f").fails(1)
    assert statuses(p, result) == {"all": "failed", "more": "upstream_failed", "all/model.shop.a": "failed",
                                   "all/model.shop.b": "upstream_failed", "all/model.shop.c": "success"}
    assert "division by zero" in history(p, result)["by"]["all/model.shop.a"]["message"]
    assert history(p, result)["by"]["all"]["message"] == "1 of 3 failed: model a"


@pytest.mark.san
def test_for_each(project):
    p = noted(project, {"operations/list.lua": "return function() return { 'x', 'y' } end\n", "flows/f.yml": flow({
        "list": {"operation": "list"},
        "each": noting("{{ item }} {{ index }}", for_each="{{ tasks.list.result + params.more }}", needs="list"),
        "some": {"script": {"run": "test {{ item }} != 2", "shell": True}, "for_each": [1, 2, 3]},
        "none": {"script": ["false"], "for_each": []},
        "models": {"transformation": {"command": "run", "select": "{{ item }}"}, "for_each": ["a", "b"]},
    }, parameters={"more": {"type": "list", "default": ["z"]}}), "models/a.sql": "select 1 as n", "models/b.sql": "select 1 as n"})
    result = p.run("flow run f").fails(1)
    found = statuses(p, result)
    assert {k: v for k, v in found.items() if k.startswith("each")} == {k: "success" for k in ("each", "each[0]", "each[1]", "each[2]")}
    assert sorted(notes(p)) == ["x 0", "y 1", "z 2"]
    assert (found["some"], found["some[0]"], found["some[1]"], found["some[2]"]) == ("failed", "success", "failed", "success")
    assert found["none"] == "success"
    assert found["models[1]/model.shop.b"] == "success" and "models[1]/model.shop.a" not in found
    assert history(p, result)["by"]["some"]["message"] == "1 of 3 items did not succeed"


@pytest.mark.san
def test_retries(project):
    p = project({"flows/f.yml": flow({
        "third": {"script": {"run": "echo $DEX_ATTEMPT >> tries; test $DEX_ATTEMPT = 3", "shell": True},
                  "retries": {"count": 3, "delay": 0.05, "backoff": "exponential", "jitter": 0.5}},
        "never": {"script": ["false"], "retries": {"count": 1, "delay": 0.01}},
        "hopeless": {"script": ["echo", "{{ nobody.knows }}"], "retries": 5},
    })})
    result = p.run("flow run f").fails(1)
    run = history(p, result)
    assert p.read("tries") == "1\n2\n3\n"
    assert [(run["by"][n]["status"], run["by"][n]["attempt"]) for n in ("third", "never", "hopeless")] == \
        [("success", 3), ("failed", 2), ("failed", 1)]
    result.says("third: attempt 1 of 4 failed (error 632), again in")


def test_a_transformation_is_tried_again_from_where_it_failed(project):
    """Models that were built are not built twice; those that failed and were skipped are."""
    p = project({"models/a.sql": "{{ config(materialized='table', pre_hook=\"insert into public.log values ('a')\") }} select 1 as n",
                 "models/b.sql": "{{ config(materialized='table', pre_hook=\"insert into public.log values ('b')\") }}"
                                 " select 1 / (select count(*) - 1 from {{ ref('a') }}, public.tries) as n, nextval('public.s') as s",
                 "models/c.sql": "{{ config(materialized='table') }} select * from {{ ref('b') }}",
                 "flows/f.yml": flow({"all": {"transformation": {"command": "run"}, "retries": {"count": 100, "delay": 0.1}},
                                      "mend": {"script": ["psql", "-c", "insert into public.tries values (1)"], "needs": "seen"},
                                      "seen": {"wait": {"sql": "select count(*) > 0 from public.seen", "every": 0.02}}})})
    p.db.sql("create table log (what text); create table tries (n int); insert into tries values (1); create sequence s;"
             "create table seen (n int)")
    p.write({"hooks/watch.lua": "return { on = { node_end = function(hook) if hook.event.status == 'error' then"
                                " hook:exec('insert into public.seen values (1)') end end } }\n"})
    result = p.run("flow run f").ok()
    run = history(p, result)
    tries = run["by"]["all"]["attempt"]
    assert tries > 1 and run["by"]["all/model.shop.b"]["attempt"] == tries
    assert (run["by"]["all/model.shop.a"]["attempt"], run["by"]["all/model.shop.c"]["status"]) == (1, "success")
    assert p.db.rows("select what from log") == ["a", "b"]  # b's first one was rolled back


@pytest.mark.san
def test_time_limits(project):
    p = project({"models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(60)::text", "models/quick.sql": "select 1 as n",
                 "operations/slow.sql": "select pg_sleep(60)", "flows/f.yml": flow({
                     "models": {"transformation": {"command": "run"}, "timeout": 1.5},
                     "op": {"operation": "slow", "timeout": 0.5},
                     "script": {"script": ["sleep", "60"], "timeout": "0.5s"},
                     "wait": {"wait": {"sql": "select false", "every": 0.05}, "timeout": 0.5},
                     "sub": {"flow": "g", "timeout": 0.5},
                     "beside": {"script": ["true"]},
                     "after": {"script": ["true"], "needs": "op", "when": "failed"},
                 }), "flows/g.yml": flow({"long": {"script": ["sleep", "60"]}, "next": {"script": ["true"], "needs": "long"}})})
    result = p.run("flow run f", timeout=30).fails(1)
    run = history(p, result)
    for name in "models", "op", "script", "wait", "sub":
        assert (run["by"][name]["status"], run["by"][name]["message"].startswith("it took longer than its timeout of")) == ("timed_out", True), \
            run["by"][name]
    assert run["by"]["models/model.shop.quick"]["status"] == "success"
    assert run["by"]["models/model.shop.slow"]["status"] in ("cancelled", "timed_out")
    assert run["by"]["after"]["status"] == "success"
    child = history(p, run["by"]["sub"]["result"]["run_id"])
    assert (child["status"], child["by"]["long"]["status"], child["by"]["next"]["status"]) == ("cancelled", "cancelled", "cancelled")


def test_the_time_of_the_whole_flow(project):
    p = noted(project, {"flows/f.yml": flow({"a": {"script": ["sleep", "60"]}, "b": noting("b", needs="a", when="always")}, timeout=0.5,
                                             hooks={"always": "insert into public.notes (what) values ('{{ result.status }}')"})})
    result = p.run("flow run f", timeout=20).fails(1)
    run = history(p, result)
    assert (run["status"], run["message"], run["by"]["a"]["status"]) == ("timed_out", "it took longer than its timeout of 0.5 s", "cancelled")
    assert notes(p) == ["timed_out"]


def failing_again_and_again(**settings):
    retries = {"count": 3, "delay": "10m", "jitter": 0}
    return {"flows/f.yml": flow({"script": {"script": ["false"], "retries": retries}, "sub": {"flow": "g", "retries": retries}}, **settings),
            "flows/g.yml": flow({"x": {"script": ["false"]}})}


@pytest.mark.san
def test_the_time_of_the_whole_flow_ends_pauses_before_retries(project):
    p = project(failing_again_and_again(timeout=2))
    run = history(p, p.run("flow run f", timeout=30).fails(1))
    assert (run["status"], run["by"]["script"]["status"], run["by"]["sub"]["status"]) == ("timed_out", "cancelled", "cancelled")
    assert (run["by"]["script"]["attempt"], run["by"]["sub"]["attempt"]) == (1, 1)  # nothing begins after that time


@pytest.mark.san
def test_who_cancels_does_not_wait_for_pauses_before_retries(project):
    p = project(failing_again_and_again())
    running = p.start("flow run f")
    while "".join(running.output()).count("again in 600.0 s") < 2:
        assert running.process.poll() is None, running.output()
        time.sleep(0.01)
    running.signal(signal.SIGTERM)
    run = history(p, running.finish(30).fails(143))
    assert (run["status"], run["by"]["script"]["status"], run["by"]["sub"]["status"]) == ("cancelled", "cancelled", "cancelled")


@pytest.mark.san
def test_pools_limit_how_many_run_at_once(project):
    """Each notes how many are there; never more than the limit, and both when it is 2."""
    body = "mkdir -p in; touch in/$DEX_TASK; ls in | wc -l >> most; sleep 0.1; rm in/$DEX_TASK"
    text = json.loads(flow({f"n{i}": {"script": {"run": body, "shell": True}, "pool": "two"} for i in range(6)}))
    p = project({"flows/f.yml": json.dumps({**text, "pools": {"two": 2}})})
    result = p.run("flow run f").ok()
    counts = [int(line) for line in p.read("most").split()]
    assert len(counts) == 6 and max(counts) == 2
    assert set(statuses(p, result).values()) == {"success"}


@pytest.mark.san
def test_pools_are_shared_by_processes(project):
    """Two flows at once; each notes who is there. When one of them is killed its place is free."""
    body = "mkdir -p in; touch in/$DEX_TASK; ls in | wc -l >> most; sleep 0.1; rm in/$DEX_TASK"
    def of(name):
        return json.loads(flow({f"{name}{i}": {"script": {"run": body, "shell": True}, "pool": "one"} for i in range(4)}))
    hold = json.loads(flow({"hold": {"script": ["sleep", "60"], "pool": "one"}}))
    p = project({"flows/f.yml": json.dumps({**of("f"), "pools": {"one": 1}}), "flows/g.yml": json.dumps(of("g")),
                 "flows/h.yml": json.dumps(hold)})
    holding = p.start("flow run h")
    while not any("running" in statuses(p, r["id"]).values() for r in runs(p, "h")):
        pass
    both = [p.start("flow", "run", name) for name in "fg"]
    while len([r for r in runs(p) if r["status"] == "running"]) < 3:
        pass
    assert not p.exists("most")
    holding.signal(signal.SIGKILL)
    holding.process.wait()
    for one in both:
        one.finish(30).ok()
    counts = [int(line) for line in p.read("most").split()]
    assert len(counts) == 8 and max(counts) == 1


@pytest.mark.san
def test_hooks_and_secrets(project):
    log = "insert into public.log values ('%s {{ params.day }} {{ result.status }}')"
    p = project({"flows/f.yml": flow({"a": {"script": ["echo", "the {{ params.token }}"]}},
                                     parameters={"day": {"type": "date", "default": "2026-01-31"}, "token": {"type": "text", "secret": True}},
                                     hooks={"start": log % "start of {{ run.flow }}",
                                            "success": {"lua": "h.told"}, "failure": log % "failure",
                                            "always": log % "always"}),
                 "hooks/h.lua": "return { told = function(hook) hook:exec('insert into public.log values ($1)', 'lua ' ..\n"
                                "  hook.result.status .. ' ' .. hook.result.flow .. ' ' .. hook.run.command) end }\n"})
    p.db.sql("create table log (what text)")
    result = p.run("flow", "run", "f", "--args", "-", input="token: hushhush").ok().says("a: the *****")
    assert p.db.rows("select what from log") == ["start of f 2026-01-31 running", "lua success f flow", "always 2026-01-31 success"]
    assert history(p, result)["parameters"] == {"day": "2026-01-31", "token": "*****"}
    for folder in p.path(".dex"), p.path("target"), p.path("logs"):
        for name in os.listdir(folder):
            if os.path.isfile(os.path.join(folder, name)):
                with open(os.path.join(folder, name), "rb") as file:
                    assert b"hushhush" not in file.read(), f"the secret stands in {name}"


def test_hooks_that_fail(project):
    p = project({"flows/f.yml": flow({"a": {"script": ["touch", "ran"]}}, hooks={"start": "select 1/0"}),
                 "flows/g.yml": flow({"a": {"script": ["true"]}}, hooks={"success": "select 1/0"}),
                 "flows/h.yml": flow({"a": {"script": ["true"]}}, notify={"on": "success", "to": {"sql": "select 1/0"}})})
    result = p.run("flow run f").fails(1).says("division by zero")
    assert (history(p, result)["status"], statuses(p, result), p.exists("ran")) == ("failed", {"a": "skipped"}, False)
    assert history(p, p.run("flow run g").fails(1))["status"] == "failed"
    result = p.run("flow run h").ok().says("nobody was told", "division by zero")


def test_no_second_run_beside_one(project):
    p = project({"flows/f.yml": flow({"a": {"wait": {"file": "go", "every": 0.05}}})})
    running = p.start("flow run f")
    p_runs = []
    while not p_runs:
        p_runs = [r for r in runs(p, "f") if r["status"] == "running"]
    p.run("flow run f").fails(2).says("error 638", "is running already", p_runs[0]["id"])
    p.write({"go": ""})
    running.finish().ok()


def test_of_several_that_begin_at_once_one_runs(project):
    p = project({"flows/f.yml": flow({"a": {"script": {"run": "echo >> ran; sleep 1", "shell": True}}})})
    started = [p.start("flow run f") for _ in range(4)]
    assert sorted(one.finish(30).status for one in started) == [0, 2, 2, 2]
    assert p.read("ran") == "\n" and len(runs(p, "f")) == 1


def test_dry_run(project):
    p = noted(project, {"models/a.sql": "select 1 as n", "flows/f.yml": flow({
        "m": {"transformation": {"select": "a"}}, "n": noting("x", needs="m"), "s": {"script": ["rm", "-r", "/"], "when": "always", "needs": "n"}},
        parameters={"day": {"type": "date", "default": "2026-01-31"}})})
    text = p.run("flow run f --dry-run -q").ok().stdout
    assert re.sub(" +", " ", text).splitlines() == [
        "flow f, target dev", " day = 2026-01-31", "m transformation build a: 1 node", 'n operation note {"what": "x"}; after m',
        "s script rm -r /; after n; when always"]
    assert not p.exists(".dex", "state.db")


def test_json_log(project):
    p = project({"models/a.sql": "select 1 as n", "flows/f.yml": flow({"m": {"transformation": {}}, "s": {"script": ["echo", "hello"]}})})
    events = p.run("flow run f --log-format json").ok().events
    done = [e["data"]["node_info"]["unique_id"] for e in events if e["info"]["name"] in ("LogModelResult",)]
    assert sorted(done) == ["flow.shop.f.m", "flow.shop.f.s", "model.shop.a"]
    assert any(e["info"]["msg"] == "s: hello" for e in events)


def test_events_for_modules(project):
    p = project({"flows/f.yml": flow({"a": {"script": ["true"]}}), "hooks/h.lua":
                 "return { on = { flow_end = function(hook) hook:exec('insert into public.log values ($1)',"
                 " hook.event.name .. ' ' .. hook.event.status) end } }\n"})
    p.db.sql("create table log (what text)")
    p.run("flow run f").ok()
    assert p.db.rows("select what from log") == ["f success"]


def test_freshness(project):
    p = project({"models/s.yml": "sources:\n  - name: raw\n    schema: public\n    loaded_at_field: at\n"
                                 "    freshness: {error_after: {count: 1, period: hour}}\n    tables: [{name: t}]\n",
                 "flows/f.yml": flow({"fresh": {"wait": {"freshness": "source:raw.t", "every": 0.1}, "timeout": 20},
                                      "load": {"script": ["psql", "-c", "insert into t values (now())"], "needs": "seen"},
                                      "seen": {"script": ["sleep", "0.5"]}})})
    p.db.sql("create table t (at timestamptz); insert into t values (now() - interval '1 day')")
    run = history(p, p.run("flow run f").ok())
    assert run["by"]["fresh"]["status"] == "success" and run["by"]["fresh"]["message"].startswith("asked")
