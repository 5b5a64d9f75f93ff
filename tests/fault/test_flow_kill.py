"""A flow's process is killed, and its run is taken up: nothing that committed is done twice, nothing is left out."""
import os
import random
import resource
import signal
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from flows import flow, history, runs, statuses  # noqa: E402

ADD = "insert into public.done (what) values ('%s')"
MODEL = "{{ config(materialized='table', post_hook=\"" + ADD + "\") }} select pg_sleep(0.01)::text as s"
FILES = {
    **{f"models/m{i}.sql": MODEL % f"m{i}" + (f" from {{{{ ref('m{i - 1}') }}}}" if i % 4 else "") for i in range(12)},
    "operations/add.sql": ADD % "{{ args.what }}" + "; select pg_sleep(0.01)",
    "operations/lua.lua": "return function(op)\n  op:exec(\"" + ADD % "lua" + "\")\n  return 7\nend\n",
    "flows/f.yml": flow({
        **{f"op{i}": {"operation": "add", "args": {"what": f"op{i}"}, **({"needs": f"op{i - 1}"} if i % 3 else {})} for i in range(9)},
        "models": {"transformation": {"command": "run"}, "needs": "op0"},
        "lua": {"operation": "lua", "needs": "op4"},
        "seen": {"operation": "add", "args": {"what": "seen {{ tasks.lua.result }}"}, "needs": "lua"},
        "each": {"operation": "add", "args": {"what": "each {{ item }}"}, "for_each": [1, 2, 3], "needs": "op1"},
        "sub": {"flow": "g", "needs": "op2"},
    }),
    "flows/g.yml": flow({"one": {"operation": "add", "args": {"what": "one"}}, "two": {"operation": "add", "args": {"what": "two"}, "needs": "one"}}),
}
ALL = sorted([f"m{i}" for i in range(12)] + [f"op{i}" for i in range(9)] + ["lua", "seen 7", "one", "two"] + [f"each {i}" for i in (1, 2, 3)])


def killed(p):
    """Sees to it that the server has noticed, and that no file half written is left."""
    p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
    p.db.wait_for_nobody()
    for name in p.leftovers():
        p.write({name: None})


@pytest.mark.parametrize("seed, ledger", [*((seed, False) for seed in range(6)), (6, True), (7, True)])
def test_kill_at_a_random_instant(project, seed, ledger):
    """Killed again and again, until a run comes to its end: each piece of work was committed once."""
    p = project(FILES)
    if ledger:
        p.write({"dbt_project.yml": "name: shop\nprofile: shop\nledger: true\n"})
    p.db.sql("create table done (what text)")
    chance = random.Random(seed)
    command, kills = ["flow", "run", "f"], 0
    while True:
        running = p.start(*command)
        time.sleep(chance.uniform(0.02, 0.5) + 0.1 * kills)  # the instant is what is tested
        running.signal(signal.SIGKILL)
        status = running.process.wait()
        killed(p)
        if status == 0:
            break
            assert status == -signal.SIGKILL, "\n".join(running.output())
        kills += 1
        assert kills < 30, "it does not come to an end"
        found = runs(p, "f") if p.exists(".dex", "state.db") else []
        if not found:
            continue
        if found[0]["status"] == "success":  # killed at its very end
            break
        command = ["flow", "rerun", found[0]["id"]]
    assert p.db.rows("select what from done order by what collate \"C\"") == ALL
    assert set(statuses(p, runs(p, "f")[0]["id"]).values()) == {"success"}


def waiting_flow(**more):
    return {"flows/f.yml": flow({"a": {"script": {"run": "echo a >> ran", "shell": True}},
                                 "b": {"script": {"run": "echo b >> ran; test -e go || exec sleep 60", "shell": True}, "needs": "a", **more},
                                 "c": {"script": {"run": "echo c >> ran", "shell": True}, "needs": "b"}})}


def kill_in_b(p):
    running = p.start("flow run f")
    while not (p.exists("ran") and p.read("ran") == "a\nb\n"):
        assert running.process.poll() is None, running.output()
        time.sleep(0.01)
    running.signal(signal.SIGKILL)
    running.process.wait()
    p.write({"go": ""})
    return runs(p, "f")[0]["id"]


@pytest.mark.parametrize("on_crash", ["retry", "fail"])
def test_what_was_running(project, on_crash):
    """It is tried again, or stays failed until a person says otherwise: `on_crash`."""
    p = project(waiting_flow(on_crash=on_crash))
    id = kill_in_b(p)
    if on_crash == "retry":
        p.run("flow", "rerun", id).ok()
        assert p.read("ran") == "a\nb\nb\nc\n"
    else:
        again = p.run("flow", "rerun", id).fails(1).says("'b' failed: its process ended before it did")
        assert statuses(p, again) == {"a": "success", "b": "failed", "c": "upstream_failed"}
        assert p.read("ran") == "a\nb\n"
        p.run("flow", "mark", id, "b", "success").ok()
        p.run("flow", "rerun", id).ok()
        assert p.read("ran") == "a\nb\nc\n"
    run = history(p, id)
    assert (run["status"] in ("failed", "partial"), run["message"]) == (True, "its process ended before it did")
    assert run["by"]["a"]["status"] == "success"


def test_programs_of_a_process_that_was_killed_end_with_it(project):
    p = project(waiting_flow())
    id = kill_in_b(p)
    assert id  # the audit of the test finds `sleep 60` if it is left


def test_a_killed_run_does_not_hold_up_the_next_one(project):
    p = project(waiting_flow())
    kill_in_b(p)
    p.run("flow run f").ok()
    assert [r["status"] for r in runs(p, "f")] == ["success", "failed"]


def test_a_full_disk(project):
    """The state cannot be written any more: the run says so, and ends what it has begun."""
    p = project({"flows/f.yml": flow({"a": {"script": ["touch", "a"]}, "b": {"wait": {"file": "go", "every": 0.02}, "needs": "a"},
                                      "c": {"script": ["touch", "c"], "needs": "b"}})})
    running = p.start("flow run f", wrap=("bash", "-c", "trap '' XFSZ; exec \"$@\"", "-"))
    while not p.exists("a"):
        assert running.process.poll() is None, running.output()
        time.sleep(0.01)
    size = os.path.getsize(p.path(".dex", "state.db-wal"))
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, size))
    p.write({"go": ""})
    result = running.finish(20)
    assert result.status == 2 and "error 65" in result.stdout + result.stderr, result
    assert not p.exists("c")
