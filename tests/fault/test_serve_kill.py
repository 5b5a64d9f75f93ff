"""The server, or a run of it, is killed: what was left is taken up, and nothing that was done is done again."""
import os
import resource
import signal

import pytest

from serve import Serve, hours_ago, ran_until, runs, serving, wait_until

MODEL = {"models/a.sql": "select 1 as n"}
# What a run has done stands in `out`, a line for each node that began.
STEPS = """
    schedule: {every: hour}
    catchup: latest
    %s
    nodes:
      - name: first
        script: {run: "echo first >> out", shell: true}
      - name: second
        needs: first
        script: {run: "echo second >> out; read x < gate; echo done >> out", shell: true}
      - name: third
        needs: second
        script: {run: "echo third >> out", shell: true}
"""


def let_through(project):
    with open(project.path("gate"), "wb"):
        pass


@pytest.fixture
def started(project):
    """started(settings, options) gives a project and a server of it, whose run stands in its second node."""

    def make(settings="", *options, files=None):
        p = project({**MODEL, "flows/steps.yml": STEPS % settings, **(files or {})})
        os.mkfifo(p.path("gate"))
        for name in "steps", "waits":
            ran_until(p, name, hours_ago(2))
        server = Serve(p, *options).wait_for("project shop", "flow steps")
        wait_until(lambda: p.exists("out") and "second" in p.read("out"))
        return p, server

    return make


def kill_run(project):
    (run,) = [r for r in runs(project) if r["status"] == "running"]
    os.killpg(run["pid"], signal.SIGKILL)


def test_a_killed_server_leaves_its_run_alone(started):
    p, server = started()
    server.stop(signal.SIGKILL)
    assert runs(p)[0]["status"] == "running"
    with serving(p):
        let_through(p)
        wait_until(lambda: runs(p)[0]["status"] == "success")
    assert p.read("out").split() == ["first", "second", "done", "third"]
    assert [r["status"] for r in runs(p)] == ["success"]


def test_a_killed_run_is_taken_up(started):
    p, server = started()
    kill_run(p)
    server.wait_for("is taken up where it was")
    wait_until(lambda: p.read("out").split().count("second") == 2)
    let_through(p)
    wait_until(lambda: [r["status"] for r in runs(p)] == ["failed", "success"])
    server.stop().ok()
    assert p.read("out").split() == ["first", "second", "second", "done", "third"]
    first, second = runs(p)
    assert second["rerun_of"] == first["id"] and second["trigger"] == "rerun" and "process" in first["message"]


def test_a_killed_run_stays_failed_when_its_flow_says_so(started):
    p, server = started("on_crash: fail")
    kill_run(p)
    server.wait_for("its process was killed by signal 9")
    server.stop().ok()
    assert [r["status"] for r in runs(p)] == ["failed"]
    assert p.read("out").split() == ["first", "second"]


def test_a_run_that_dies_again_and_again_is_given_up(started):
    p, server = started()
    for n in range(1, 5):
        wait_until(lambda n=n: p.read("out").split().count("second") == n)
        kill_run(p)
    server.wait_for("is not taken up again: its process died 4 times in a row")
    server.stop().ok()
    assert [r["status"] for r in runs(p)] == ["failed"] * 4


def test_everything_is_killed_and_the_next_server_goes_on(started):
    p, server = started()
    server.stop(signal.SIGKILL)
    kill_run(p)
    assert runs(p)[0]["status"] == "running"
    with serving(p) as again:
        again.wait_for("is taken up where it was")
        wait_until(lambda: p.read("out").split().count("second") == 2)
        let_through(p)
        wait_until(lambda: "success" in [r["status"] for r in runs(p)])
    assert p.read("out").split() == ["first", "second", "second", "done", "third"]


def test_what_a_dead_server_had_queued_runs(started):
    waits = "schedule: {every: hour}\ncatchup: latest\nnodes:\n  - {name: one, script: {run: echo one >> out, shell: true}}\n"
    p, server = started("", "--max-runs", "1", files={"flows/waits.yml": waits})
    server.wait_for("flow waits")
    assert [r["status"] for r in runs(p, "waits")] == ["queued"]
    server.stop(signal.SIGKILL)
    with serving(p) as again:
        again.wait_for("is taken over from a server that has ended")
        wait_until(lambda: [r["status"] for r in runs(p, "waits")][:1] == ["success"])
        let_through(p)
        wait_until(lambda: [r["status"] for r in runs(p, "steps")][:1] == ["success"])
    assert p.read("out").split().count("one") == 1


def test_what_does_not_end_when_it_is_cancelled_is_killed(started):
    p, server = started("", "--grace", "0.1s")
    run = runs(p)[0]
    os.killpg(run["pid"], signal.SIGSTOP)
    server.stop(signal.SIGTERM, timeout=40).ok().says("did not end within 10 s and is killed")
    assert [r["status"] for r in runs(p)] == ["cancelled"]


def test_a_full_disk_loses_no_time(project):
    p = project(MODEL)
    ran_until(p, "late", hours_ago(2))
    with serving(p) as server:
        size = os.path.getsize(p.path(".dex/state.db-wal"))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        p.write({"flows/late.yml": "schedule: {every: hour}\ncatchup: latest\nnodes: [{name: a, script: ls}]\n"})
        server.wait_for("flow late: ", "state.db: ", "it is tried again")
        assert not runs(p)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        wait_until(lambda: [r["status"] for r in runs(p)] == ["success"])
    assert [r["scheduled_for"] for r in runs(p)] == [hours_ago(0) * 1000000]
