"""Runs that are taken up again, cancelled and marked."""
import json
import signal

import pytest

from flows import flow, history, run_id, runs, statuses


def logging(name, **more):
    """A node that notes that it ran, and fails while its file is not there."""
    return {"script": {"run": f"echo {name} >> ran; test -e ok_{name}", "shell": True}, **more}


def ran(p):
    lines = p.read("ran").split() if p.exists("ran") else []
    p.write({"ran": ""})
    return sorted(lines)


FLOW = flow({"a": logging("a"), "b": logging("b", needs="a"), "c": logging("c", needs="b"), "d": logging("d"),
             "alarm": logging("alarm", needs="b", when="failed"), "clean": logging("clean", needs=["b", "d"], when="always")})


def failed_once(project):
    p = project({"flows/f.yml": FLOW, **{f"ok_{n}": "" for n in ("a", "c", "d", "alarm", "clean")}})
    first = p.run("flow run f").fails(1)
    assert ran(p) == ["a", "alarm", "b", "clean", "d"]
    p.write({"ok_b": ""})
    return p, first


@pytest.mark.san
def test_from_failure(project):
    """What succeeded is not repeated; what failed, and all below it, is."""
    p, first = failed_once(project)
    again = p.run("flow", "rerun", run_id(first)[:8]).ok().says("takes up " + run_id(first), "2 tasks done there")
    assert ran(p) == ["b", "c", "clean"]
    run = history(p, again)
    assert (run["rerun_of"], run["trigger"], run["status"]) == (run_id(first), "rerun", "success")
    assert statuses(p, again) == {"a": "success", "b": "success", "c": "success", "d": "success", "alarm": "skipped", "clean": "success"}
    assert run["by"]["a"]["started_at"] == history(p, first)["by"]["a"]["started_at"]
    p.run("flow", "rerun", run_id(again)).fails(2).says("error 637", "nothing of run")
    assert p.run("flow", "history", "f", "-q").ok().stdout.count("\n") == 2


@pytest.mark.san
def test_from_a_node_all_and_some(project):
    p, first = failed_once(project)
    p.run("flow", "rerun", run_id(first), "--from", "all").ok()
    assert ran(p) == ["a", "b", "c", "clean", "d"]
    p.run("flow", "rerun", run_id(first), "--from", "d").ok()
    assert ran(p) == ["clean", "d"]
    result = p.run("flow", "rerun", run_id(first), "--select", "c").ok()
    assert ran(p) == ["c"]
    assert statuses(p, result)["b"] == "skipped"  # it failed then, and was not asked for
    p.run("flow", "rerun", run_id(first), "--from", "cc").fails(2).says("error 636", "did you mean 'c'?")
    text = p.run("flow", "rerun", run_id(first), "--dry-run", "-q").ok().stdout
    assert "done: success" in [line for line in text.splitlines() if line.startswith("a ")][0]
    assert "done" not in [line for line in text.splitlines() if line.startswith("b ")][0]


@pytest.mark.san
def test_parameters(project):
    """The same as before, but for what is given anew; a secret is kept nowhere."""
    p = project({"flows/f.yml": flow({"a": {"script": {"run": "echo {{ params.x }} {{ params.y }} >> ran; test {{ params.x }} != 1", "shell": True}},
                                      "b": {"script": ["echo", "{{ params.s }}"], "needs": "a"}},
                                     parameters={"x": "integer", "y": {"type": "text", "default": "y"}, "s": {"type": "text", "secret": True}})})
    first = p.run("flow run f -a x=1 -a y=why -a s=hushhush").fails(1)
    p.run("flow", "rerun", run_id(first)).fails(2).says("error 602", "the secret parameter 's' is kept nowhere")
    again = p.run("flow", "rerun", run_id(first), "-a", "x=2", "--args", "-", input="s: hushhush").ok()
    assert p.read("ran") == "1 why\n2 why\n"
    assert history(p, again)["parameters"] == {"x": 2, "y": "why", "s": "*****"}
    p.run("flow", "rerun", run_id(first), "-a", "x=z", "-a", "s=x").fails(2).says("error 602")


@pytest.mark.san
def test_models_that_were_built_are_not_built_again(project):
    log = "{{ config(materialized='table', pre_hook=\"insert into public.log values ('%s')\") }} "
    p = project({"models/a.sql": log % "a" + "select 1 as n",
                 "models/b.sql": log % "b" + "select 1 / (select count(*) from public.ok) as n, n as m from {{ ref('a') }}",
                 "models/c.sql": log % "c" + "select * from {{ ref('b') }}",
                 "flows/f.yml": flow({"all": {"transformation": {"command": "run"}}})})
    p.db.sql("create table log (what text); create table ok (n int)")
    first = p.run("flow run f").fails(1)
    p.db.sql("insert into ok values (1)")
    again = p.run("flow", "rerun", run_id(first)).ok()
    assert p.db.rows("select what from log") == ["a", "b", "c"]
    assert statuses(p, again) == {"all": "success", **{f"all/model.shop.{n}": "success" for n in "abc"}}
    p.run("flow", "rerun", run_id(first), "--from", "all").ok()
    assert p.db.rows("select what from log") == ["a", "b", "c", "a", "b", "c"]


@pytest.mark.san
def test_items_and_sub_flows(project):
    """Of a for_each only the items that failed run again, and of a sub-flow only its nodes."""
    p = project({"flows/f.yml": flow({
        "each": {"script": {"run": "echo {{ item }} >> ran; test {{ item }} != y -o -e ok", "shell": True}, "for_each": ["x", "y"]},
        "sub": {"flow": "g"}}),
        "flows/g.yml": flow({"one": {"script": {"run": "echo one >> ran", "shell": True}},
                             "two": {"script": {"run": "echo two >> ran; test -e ok", "shell": True}, "needs": "one"}})})
    first = p.run("flow run f").fails(1)
    assert ran(p) == ["one", "two", "x", "y"]
    p.write({"ok": ""})
    again = p.run("flow", "rerun", run_id(first)).ok()
    assert ran(p) == ["two", "y"]
    child = history(p, history(p, again)["by"]["sub"]["result"]["run_id"])
    assert (child["status"], child["rerun_of"]) == ("success", history(p, first)["by"]["sub"]["result"]["run_id"])


@pytest.mark.san
def test_marks(project):
    p, first = failed_once(project)
    p.write({"ok_b": None})
    p.run("flow", "mark", run_id(first), "b", "success").ok().says("is marked as success; the run is partial")
    b = history(p, first)["by"]["b"]
    assert (b["status"], b["message"].startswith("marked as success by")) == ("success", True)
    p.run("flow", "rerun", run_id(first)).ok()
    assert ran(p) == ["c"]
    p.run("flow", "mark", run_id(first), "x", "success").fails(2).says("error 655", "has no task 'x'")
    p.run("flow", "mark", run_id(first), "b", "done").fails(2).says("cannot be marked as 'done'")
    p.run("flow", "mark", "0000", "b", "success").fails(2).says("error 655")


def test_a_node_marked_as_skipped_holds_nothing_up(project):
    p, first = failed_once(project)
    p.run("flow", "mark", run_id(first), "b", "skipped").ok()
    again = p.run("flow", "rerun", run_id(first)).ok()
    assert ran(p) == ["c"]
    assert statuses(p, again)["c"] == "success"


def test_a_node_with_items_is_marked_as_a_whole(project):
    p = project({"flows/f.yml": flow({"many": {"for_each": [0, 1], "script": ["test", "{{ item }}", "=", "0"]}, "beside": {"script": ["true"]}})})
    first = p.run("flow run f").fails(1)
    p.run("flow", "mark", run_id(first), "many", "success").ok().says("is marked as success; the run is success")
    assert history(p, first)["status"] == "success"


def started(p, name="f"):
    """The id of a run that is running, as soon as its first node is."""
    while True:
        for run in runs(p, name):
            if run["status"] == "running" and "running" in statuses(p, run["id"]).values():
                return run["id"]


SLOW = {"models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(60)::text as s",
        "operations/slow.sql": "select pg_sleep(61)",
        "flows/f.yml": flow({"models": {"transformation": {"command": "run"}}, "op": {"operation": "slow"},
                             "script": {"script": {"run": "trap 'echo end >> ran; exit 0' TERM; sleep 60 & wait", "shell": True}},
                             "wait": {"wait": {"sql": "select false", "every": 0.1}}, "sub": {"flow": "g"},
                             "after": {"script": ["true"], "needs": "op", "when": "always"}}),
        "flows/g.yml": flow({"long": {"script": ["sleep", "60"]}})}


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "cancel"])
def test_cancel(project, how):
    p = project(SLOW)
    running = p.start("flow run f")
    p.db.wait_for_query("pg_sleep(60)")
    p.db.wait_for_query("pg_sleep(61)")
    id = started(p)
    if how == "cancel":
        p.run("flow", "cancel", id[:6]).ok().says("is asked to end")
    else:
        running.signal(getattr(signal, how))
    result = running.finish(20).fails(130 if how == "SIGINT" else 143)
    run = history(p, id)
    assert run["status"] == "cancelled"
    assert {n: s for n, s in statuses(p, id).items() if "/" not in n} == {
        n: "cancelled" for n in ("models", "op", "script", "wait", "sub", "after")}
    assert ran(p) == ["end"]
    assert history(p, run["by"]["sub"]["result"]["run_id"])["status"] == "cancelled"
    p.run("flow", "cancel", id).fails(2).says("error 638", "has ended already: cancelled")
    assert "Cancelled" in result.stdout


@pytest.mark.san
def test_cancel_during_hooks_and_pauses(project):
    p = project({"flows/f.yml": flow({"a": {"script": ["touch", "ran"]}}, hooks={"start": "select pg_sleep(60)"}),
                 "flows/g.yml": flow({"a": {"script": ["false"], "retries": {"count": 1, "delay": "60s"}}})})
    running = p.start("flow run f")
    p.db.wait_for_query("pg_sleep(60)")
    running.signal(signal.SIGTERM)
    running.finish(20).fails(143)
    assert not p.exists("ran") and runs(p, "f")[0]["status"] == "cancelled"
    running = p.start("flow run g")
    while not any(r["status"] == "running" and statuses(p, r["id"]) == {"a": "retrying"} for r in runs(p, "g")):
        pass
    running.signal(signal.SIGTERM)
    running.finish(20).fails(143)
    assert statuses(p, runs(p, "g")[0]["id"]) == {"a": "cancelled"}


def test_history(project):
    p, first = failed_once(project)
    p.run("flow history").ok().says(run_id(first)[:8], "partial", "manual", "1 of 6 failed")
    p.run("flow history nobody").ok().says("there is no run of a flow 'nobody'")
    p.run("flow", "history", run_id(first)[:8]).ok().says("run " + run_id(first) + " of flow f: partial", "upstream_failed")
    assert json.loads(p.run("flow history -o json --count 1 -q").ok().stdout)[0]["tasks"]["failed"] == 1
    fresh = project({"flows/f.yml": FLOW})
    fresh.run("flow history").ok().says("no flow has run yet")
    assert not fresh.exists(".dex", "state.db")


@pytest.mark.san
def test_retry_takes_up_the_flow_that_ran_last(project):
    p, first = failed_once(project)
    result = p.run("retry").ok().says("takes up " + run_id(first))
    assert ran(p) == ["b", "c", "clean"]
    assert history(p, result)["rerun_of"] == run_id(first)


def test_a_run_of_another_kind_is_not_taken_up(project):
    p = project({"flows/f.yml": FLOW, "models/a.sql": "select 1 as n"})
    command = p.run("run").ok().run_results["metadata"]["invocation_id"]
    p.run("flow", "rerun", command).fails(2).says("error 636", "`dex-lua retry`")
