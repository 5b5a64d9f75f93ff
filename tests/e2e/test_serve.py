"""dex-lua serve: schedules, two servers, its end, changed files, what a service manager hears."""
import json
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from program import BINARY
from serve import HOUR, MINUTE, Serve, hours_ago, ran_until, rows, runs, serving, wait_until

MODEL = {"models/a.sql": "select 1 as n"}


def flow(name, *lines):
    """A flow of one node, which adds a line to the file `out`."""
    text = "".join(line + "\n" for line in lines)
    return {f"flows/{name}.yml": text + "nodes:\n  - name: one\n    script: {run: 'echo {{ run.scheduled_for }} >> out', shell: true}\n"}


def gated(name, *lines):
    """A flow that goes on when the pipe `NAME.gate` is opened for writing."""
    text = "".join(line + "\n" for line in lines)
    return {f"flows/{name}.yml": text + f"nodes:\n  - name: one\n    script: [cat, {name}.gate]\n"}


def gate(project, name):
    os.mkfifo(project.path(name + ".gate"))
    return project.path(name + ".gate")


def let_through(path):
    with open(path, "wb"):
        pass


def test_missed_times(project):
    hourly = "schedule: {every: hour, at: %d}"
    p = project({**MODEL, **flow("none", hourly % 0), **flow("latest", hourly % 0, "catchup: latest"),
                 **flow("all", hourly % 0, "catchup: all"), **flow("new", "schedule: '@daily'", "catchup: all")})
    last = hours_ago(0)
    if time.time() - last < 2 * MINUTE:
        pytest.skip("a time of this minute is not missed")
    for name in "none", "latest", "all":
        ran_until(p, name, last - 3 * HOUR)
    with serving(p) as server:
        server.wait_for("flow all", "flow latest")
        wait_until(lambda: [r["status"] for r in runs(p, "all")] == ["success"] * 3)
        wait_until(lambda: [r["status"] for r in runs(p, "latest")] == ["success"])
    assert [r["scheduled_for"] // 1000000 for r in runs(p, "all")] == [last - 2 * HOUR, last - HOUR, last]
    assert [r["scheduled_for"] // 1000000 for r in runs(p, "latest")] == [last]
    assert not runs(p, "none") and not runs(p, "new")
    assert "flow none: the run of" in server.text and "was missed" in server.text
    first = runs(p, "all")[0]
    assert first["trigger"] == "schedule" and first["started_at"] and first["ended_at"]
    # one after the other
    ended = [r["ended_at"] for r in runs(p, "all")]
    assert all(r["started_at"] >= before for r, before in zip(runs(p, "all")[1:], ended))


def test_a_time_that_comes(project):
    p = project({**MODEL, **flow("tick", "schedule: {every: minute}")})
    with serving(p) as server:
        server.wait_for("flow tick", ": success in", timeout=75)
    (run,) = runs(p)
    assert run["status"] == "success" and run["scheduled_for"] % (MINUTE * 1000000) == 0
    assert 0 <= run["created_at"] - run["scheduled_for"] < 2000000


def test_two_servers_share_the_work(project):
    p = project({**MODEL, **flow("tick", "schedule: {every: hour}", "catchup: all")})
    ran_until(p, "tick", hours_ago(8))
    with serving(p) as one, serving(p) as two:
        wait_until(lambda: sum(r["status"] == "success" for r in runs(p)) >= 8, 60)
    times = [r["scheduled_for"] for r in runs(p)]
    assert len(times) == len(set(times)) and len(times) in (8, 9)
    assert len(p.read("out").split()) == sum(r["status"] == "success" for r in runs(p))
    done = sorted((r["started_at"], r["ended_at"]) for r in runs(p) if r["status"] == "success")
    assert all(ended <= started for (_, ended), (started, _) in zip(done, done[1:])), "one at a time"
    assert "due" in one.text or "due" in two.text


def test_a_flow_that_runs_holds_the_next_one_up(project):
    p = project({**MODEL, **gated("slow", "schedule: {every: hour}", "catchup: latest")})
    path = gate(p, "slow")
    ran_until(p, "slow", hours_ago(3))
    by_hand = p.start("flow run slow")
    wait_until(lambda: runs(p) and runs(p)[0]["status"] == "running")
    with serving(p) as server:
        server.wait_for("flow slow")
        assert [r["status"] for r in runs(p)][:2] == ["running", "queued"]
        let_through(path)
        by_hand.finish().ok()
        wait_until(lambda: runs(p)[1]["status"] == "running")
        let_through(path)
        wait_until(lambda: runs(p)[1]["status"] == "success")


def test_a_paused_flow_rests_until_it_is_resumed(project):
    p = project({**MODEL, **flow("hourly", "schedule: {every: hour}", "catchup: latest")})
    ran_until(p, "hourly", hours_ago(3))
    p.run("flow pause hourly", env={"USER": "eve"}).ok().says("paused by eve")
    p.run("flow ls").ok().says("paused by eve")
    with serving(p) as server:
        assert "due" not in server.text and not runs(p)
        p.run("flow resume hourly").ok()
        server.wait_for("flow hourly", ": success in")
    assert [r["scheduled_for"] for r in runs(p)] == [hours_ago(0) * 1000000]
    p.run("flow pause nothing").fails(2).says("there is no flow 'nothing'")


def test_what_is_queued_can_be_cancelled_from_outside(project):
    p = project({**MODEL, **gated("slow", "schedule: {every: hour}", "catchup: latest")})
    path = gate(p, "slow")
    ran_until(p, "slow", hours_ago(3))
    by_hand = p.start("flow run slow")
    wait_until(lambda: runs(p) and runs(p)[0]["status"] == "running")
    with serving(p) as server:
        server.wait_for("flow slow")
        p.run("flow", "cancel", runs(p)[1]["id"]).ok()
        wait_until(lambda: runs(p)[1]["status"] == "cancelled")
        p.run("flow", "cancel", runs(p)[0]["id"])
        by_hand.finish().fails(143)
    assert not os.path.exists(p.path("out")) and path
    assert [r["status"] for r in runs(p)][:2] == ["cancelled", "cancelled"]


@pytest.fixture
def busy(project):
    """A project, and a way to a server of it in which a run waits at its gate."""
    p = project({**MODEL, **gated("slow", "schedule: {every: hour}", "catchup: latest")})
    path = gate(p, "slow")

    def start(*args):
        ran_until(p, "slow", hours_ago(2))
        server = Serve(p, *args).wait_for("project shop", "flow slow")
        wait_until(lambda: runs(p) and runs(p)[0]["status"] == "running")
        return server

    return p, path, start


@pytest.mark.san
def test_a_stop_lets_runs_end(busy):
    p, path, start = busy
    server = start("--grace", "30s")
    server.process.send_signal(signal.SIGTERM)
    server.wait_for("SIGTERM: no new runs")
    let_through(path)
    server.end().ok().says("stopped")
    assert [r["status"] for r in runs(p)] == ["success"]


def test_a_stop_cancels_what_does_not_end(busy):
    p, _, start = busy
    server = start("--grace", "0.3s")
    server.stop(signal.SIGINT).ok().says("1 run is still going", "stopped")
    (run,) = runs(p)
    assert run["status"] == "cancelled" and run["cancel_by"] == "server"


def test_a_second_signal_ends_it_at_once(busy):
    p, path, start = busy
    server = start()
    server.process.send_signal(signal.SIGTERM)
    server.wait_for("SIGTERM: no new runs")
    server.stop(signal.SIGTERM).fails(143)
    assert runs(p)[0]["status"] == "running"
    let_through(path)
    wait_until(lambda: runs(p)[0]["status"] == "success")


@pytest.mark.san
def test_changed_files_are_noticed(project):
    p = project(MODEL)
    with serving(p) as server:
        assert "0 flows, 0 with a schedule" in server.text
        p.write(flow("fresh", "schedule: '@yearly'"))
        server.wait_for("the flows were read again: there are 1")
        p.write({"flows/fresh.yml": "schedule: 61 * * * *\nnodes: [{name: a, script: ls}]\n"})
        server.wait_for("the flows stay as they were", "61 is no minute", "flows/fresh.yml:1")
        p.write({**flow("fresh", "schedule: '@daily'"), **flow("sub/other")})
        server.wait_for("the flows were read again: there are 2")


def test_a_broken_project_is_told_at_the_start(project):
    p = project({**MODEL, "flows/f.yml": "nodes: [{name: a, script: ls, needs: b}]\n"})
    p.run("serve --no-page").fails(2).says("error 612", "needs 'b'")
    p.write({"flows/f.yml": None})
    p.run("serve --no-page --grace soon").fails(2).says("--grace is a time")
    p.run("serve now").fails(2).says("serve has no action 'now'")


def test_an_idle_server_sleeps_and_is_small(project):
    p = project({**MODEL, **flow("nightly", "schedule: '@yearly'", "catchup: latest")})
    with serving(p) as server:
        def status(key):
            with open(f"/proc/{server.process.pid}/status", encoding="utf-8") as file:
                return int([line.split()[1] for line in file if line.startswith(key + ":")][0])

        time.sleep(0.5)
        before = status("voluntary_ctxt_switches")
        time.sleep(2)
        assert status("voluntary_ctxt_switches") == before
        assert "san-" in BINARY or status("VmRSS") < 30 * 1024


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_hears_of_it(project, abstract):
    p = project({**MODEL, **flow("nightly", "schedule: '@yearly'")})
    address = "@" + p.scratch if abstract else p.scratch + "/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:] if abstract else address)
        manager.settimeout(20)
        server = Serve(p, env={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"})
        heard = ""
        while "READY=1" not in heard:
            heard += manager.recv(4096).decode()
        assert "STATUS=1 flow, 1 with a schedule; nightly comes next" in heard
        assert f"MAINPID={server.process.pid}" in heard
        started, pings = time.monotonic(), 0
        while pings < 4:
            pings += manager.recv(4096) == b"WATCHDOG=1\n"
        assert time.monotonic() - started < 5
        p.write(flow("other"))
        while "STATUS=2 flows" not in heard:
            heard += manager.recv(4096).decode()
        server.process.send_signal(signal.SIGSTOP)  # a loop that does not turn says nothing
        time.sleep(0.3)
        manager.setblocking(False)
        try:
            while manager.recv(4096):
                pass
        except BlockingIOError:
            pass
        time.sleep(0.3)
        with pytest.raises(BlockingIOError):
            manager.recv(4096)
        server.process.send_signal(signal.SIGCONT)
        manager.settimeout(20)
        server.process.send_signal(signal.SIGTERM)
        while "STOPPING=1" not in heard:
            heard += manager.recv(4096).decode()
        server.end().ok()


def test_a_unit_file(project):
    p = project({**MODEL, **flow("nightly", "schedule: '@yearly'")})
    unit = p.run("serve --print-unit --grace 2m --no-page --target dev").ok().stdout
    assert f"ExecStart={BINARY} serve --project-dir {p.dir} --target dev" in unit and "--no-page" in unit
    assert "Type=notify" in unit and "WatchdogSec=" in unit and "TimeoutStopSec=160" in unit
    if shutil.which("systemd-analyze"):
        path = p.scratch + "/dex-lua-shop.service"
        with open(path, "w", encoding="utf-8") as file:
            file.write(unit)
        done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, timeout=60)
        assert path not in done.stdout + done.stderr, done.stderr


def test_ui_opens_the_page_and_runs_no_schedules(project):
    p = project({**MODEL, **flow("hourly", "schedule: {every: hour}", "catchup: latest"),
                 "browser": '#!/bin/sh\ncat "$1" > seen.new && mv seen.new seen\n'})
    os.chmod(p.path("browser"), 0o755)
    ran_until(p, "hourly", hours_ago(3))
    server = Serve(p, "--listen", "127.0.0.1:0", command=("ui",), env={"BROWSER": p.path("browser")})
    server.wait_for("schedules are off", "the page is at http://127.0.0.1:")
    wait_until(lambda: p.exists("seen"))
    assert "#token=" in p.read("seen") and "token=" not in server.text
    p.run("ui", "--no-open", "--listen", server.text.split("http://")[1].split("/")[0]).fails(2).says("error 110", "--listen")
    server.stop().ok()
    assert not runs(p)


def test_flows_are_listed_and_shown(project):
    p = project({**MODEL, **flow("nightly", "schedule: {every: day, at: 12:30}", "time_zone: Europe/Berlin"),
                 **flow("by_hand", "description: Now and then", "parameters: {day: date}")})
    p.run("flow ls").ok().says("every day at 12:30 (Europe/Berlin)", "no schedule")
    listed = json.loads(p.run("flow ls --output json").ok().stdout)
    assert [f["name"] for f in listed] == ["by_hand", "nightly"] and len(listed[1]["schedule"]["next"]) == 5
    p.run("flow show by_hand").ok().says("Now and then", "day", "date", "one", "script")
    coming = json.loads(p.run("flow next --count 3 --output json").ok().stdout)
    assert len(coming) == 3 and all(c["clock"].split()[1] == "12:30" for c in coming)
    p.run("flow next by_hand").fails(2).says("has no schedule")
    p.run("flow show nihgtly").fails(2).says("did you mean 'nightly'?")
    for line in p.run("flow ls").stdout.splitlines() + p.run("flow show nightly").stdout.splitlines():
        assert len(line) <= 80
    assert not rows(p, "select 1 from runs") if p.exists(".dex/state.db") else True
