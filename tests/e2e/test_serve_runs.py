"""What the API starts, and the events that tell of it."""
import re
import socket
import time

import pytest
from serving import TIMEOUT, Events, read_all, serve  # noqa: F401

FILES = {
    "models/orders.sql": "select 1 as id",
    "models/totals.sql": "select count(*) as n from {{ ref('orders') }}",
    "operations/count.sql": """
        {{ config(parameters=[{'name': 'low', 'type': 'integer', 'required': true}, {'name': 'key', 'secret': true}]) }}
        select {{ args.low }} as n
        """,
    "operations/drop.sql": "{{ config(confirm='Drop it all?') }} select 1 as n",
    "operations/elsewhere.sql": "{{ config(targets=['prod']) }} select 1 as n",
    "operations/sleep.sql": "select pg_sleep(600)",
    "operations/check.sql": "select * from ready",
    "flows/long.yml": "name: long\nnodes:\n  - {name: sleep, operation: sleep}\n",
    "flows/nightly.yml": """
        name: nightly
        parameters: [{name: day, type: date, default: 2026-01-01}]
        schedule: {every: day, at: "02:00"}
        nodes:
          - {name: models, transformation: orders+}
          - {name: check, operation: check, needs: models}
          - {name: after, operation: count, args: {low: 7}, needs: check}
        """,
}
ENDED = "success", "partial", "failed", "cancelled", "timed_out"


def ends(run):
    """Whether an event tells that a run has ended."""
    return lambda kind, data: kind == "run" and data["run_id"] == run and data["status"] in ENDED


def begins(run, task):
    return lambda kind, data: (kind, data.get("run_id"), data.get("task"), data.get("status")) == (
        "task", run, task, "running")


def detail(served, run):
    return served.get(f"/api/runs/{run}").ok()


def tasks(served, run):
    return {t["name"]: t["status"] for t in detail(served, run)["tasks"]}


def test_operation_with_parameters(serve):
    served = serve(FILES)
    events = Events(served)
    run = served.post("/api/operations/count/runs", {"parameters": {"low": 3, "key": "hidden-key"}}).ok(201)["id"]
    seen = events.until(ends(run))
    assert seen[-1][2]["status"] == "success"
    assert [number for number, _, _ in seen] == sorted(number for number, _, _ in seen)
    row = detail(served, run)
    assert (row["kind"], row["name"], row["trigger"], row["by"]) == ("operation", "count", "api", "owner")
    assert row["parameters"] == {"low": 3, "key": "*****"}
    assert row["tasks"][0]["result"]["rows"][0]["rows"] == [["3"]]
    log = served.get(f"/api/runs/{run}/log").ok()["items"]
    assert "hidden-key" not in str(row) + str(log) + str(seen)
    assert served.get("/api/operations/count").ok()["last_run"]["id"] == run
    events.close()


def test_what_operations_ask_for(serve):
    served = serve(FILES)
    answer = served.post("/api/operations/drop/runs")
    assert answer.status == 409 and "Drop it all?" in answer.error["message"]
    answer = served.post("/api/operations/elsewhere/runs")
    assert answer.status == 409 and "may not run on the target 'dev'" in answer.error["message"]
    events = Events(served)
    run = served.post("/api/operations/drop/runs", {"confirm": True}).ok(201)["id"]
    assert events.until(ends(run))[-1][2]["status"] == "success"
    run = served.post("/api/operations/drop/runs", {"dry_run": True}).ok(201)["id"]
    assert events.until(ends(run))[-1][2]["status"] == "success", detail(served, run)["message"]
    assert [line["text"] for line in served.get(f"/api/runs/{run}/log").ok()["items"]] == [" select 1 as n"]
    assert detail(served, run)["message"] == "a dry run: nothing was run"
    events.close()


def test_a_dry_run_that_fails_tells_no_secret(serve):
    served = serve({**FILES, "operations/open.sql": """
        {{ config(parameters=[{'name': 'key', 'secret': true}]) }}
        {% do run_query("select '" ~ args.key ~ "'::int") %}
        """})
    run = served.post("/api/operations/open/runs", {"dry_run": True, "parameters": {"key": "hidden-key"}}).ok(201)["id"]
    row = detail(served, run)
    assert row["status"] == "failed" and 'for type integer: "*****"' in row["message"], row


def test_build(serve):
    served = serve(FILES)
    events = Events(served)
    run = served.post("/api/builds", {"command": "run", "select": "orders+", "exclude": ["totals"]}).ok(201)["id"]
    assert events.until(ends(run))[-1][2]["status"] == "success"
    assert [t["node_id"] for t in detail(served, run)["tasks"]] == ["model.shop.orders"]
    assert detail(served, run)["counts"]["success"] == 1
    events.close()


def test_variables_of_a_build_come_before_those_of_the_server(serve):
    served = serve({"models/m.sql": "select '{{ var('a') }} {{ var('b') }}' as said"}, "--vars", "{a: 1, b: 2}")
    events = Events(served)
    for body, said in ({"vars": {"b": 3}}, "1 3"), ({}, "1 2"):
        run = served.post("/api/builds", body).ok(201)["id"]
        assert events.until(ends(run))[-1][2]["status"] == "success"
        assert served.get("/api/nodes/model.shop.m/preview").ok()["rows"] == [[said]]
    events.close()


@pytest.mark.san
def test_cancel_a_flow(serve):
    served = serve(FILES)
    events = Events(served)
    run = served.post("/api/flows/long/runs").ok(201)["id"]
    events.until(begins(run, "sleep"))
    assert served.get("/api/status").ok()["running"][0]["id"] == run
    assert served.post(f"/api/runs/{run}/rerun").status == 409
    served.post(f"/api/runs/{run}/cancel").ok(202)
    assert events.until(ends(run))[-1][2]["status"] == "cancelled"
    assert tasks(served, run) == {"sleep": "cancelled"}
    assert served.post(f"/api/runs/{run}/cancel").status == 409
    events.close()


def test_rerun_from_failure(serve):
    served = serve(FILES)
    events = Events(served)
    first = served.post("/api/flows/nightly/runs", {"parameters": {"day": "2026-02-03"}}).ok(201)["id"]
    events.until(ends(first))
    before = tasks(served, first)
    assert before["check"] == "failed" and before["after"] == "upstream_failed" and before["models"] == "success"
    for body in {"from": "nothing"}, {"from": "--help"}, {"tasks": ["check", "chek"]}:
        answer = served.post(f"/api/runs/{first}/rerun", body)
        assert answer.status == 422 and "the run has no task" in answer.error["message"]
    assert answer.error["hint"] == "did you mean 'check'?"
    served.project.db.sql("create table ready (n int)")
    second = served.post(f"/api/runs/{first}/rerun", {"from": "failure"}).ok(201)["id"]
    assert events.until(ends(second))[-1][2]["status"] == "success"
    row = detail(served, second)
    assert row["rerun_of"] == first and row["parameters"] == {"day": "2026-02-03"} and row["trigger"] == "rerun"
    assert tasks(served, second)["after"] == "success"
    assert row["started_at"] > detail(served, first)["ended_at"]
    events.close()


def test_mark_a_task(serve):
    served = serve(FILES)
    events = Events(served)
    run = served.post("/api/flows/nightly/runs").ok(201)["id"]
    events.until(ends(run))
    for name in "check", "after":
        served.post(f"/api/runs/{run}/tasks/{name}/mark", {"status": "skipped"}).ok()
    assert tasks(served, run)["check"] == "skipped"
    assert detail(served, run)["status"] == "success"
    assert served.post(f"/api/runs/{run}/tasks/none/mark", {"status": "skipped"}).status == 404
    assert served.post(f"/api/runs/{run}/tasks/check/mark", {"status": "done"}).status == 422
    events.close()


def test_pause_and_resume(serve):
    served = serve(FILES)
    events = Events(served)
    assert served.post("/api/flows/nightly/pause").ok()["schedule"]["paused_by"] == "owner"
    assert served.get("/api/flows/nightly").ok()["schedule"]["paused"] is True
    assert served.post("/api/flows/nightly/resume").ok()["schedule"]["paused"] is False
    seen = [data["paused"] for _, kind, data in (events.next(), events.next()) if kind == "schedule"]
    assert seen == [True, False]
    assert served.post("/api/flows/none/pause").status == 404
    events.close()


def test_audit(serve):
    served = serve(FILES)
    served.post("/api/flows/nightly/pause").ok()
    served.post("/api/operations/drop/runs")
    served.post("/api/flows/none/resume")
    served.get("/api/runs").ok()
    rows = served.get("/api/audit").ok()["items"]
    assert [(r["who"], r["role"], r["action"], r["subject"], r["outcome"]) for r in rows] == [
        ("owner", "run", "resume", "none", "refused"), ("owner", "run", "run operation", "drop", "refused"),
        ("owner", "run", "pause", "nightly", "accepted")]
    assert rows[1]["data"]["code"] == 675
    run = served.post("/api/builds", {"select": ["none"], "vars": {"x": "not to be told"}}).ok(201)["id"]
    built = served.get("/api/audit?limit=1").ok()["items"][0]
    assert built["data"] == {"select": ["none"], "run_id": run} and built["outcome"] == "accepted"
    rows.insert(0, built)
    page = served.get("/api/audit?limit=1").ok()
    assert served.get(f"/api/audit?before={page['next']}").ok()["items"] == rows[1:]


@pytest.mark.san
def test_events_after_a_break(serve):
    """A viewer that comes again gets what it missed, each event once and in order."""
    served = serve(FILES)
    p = served.project
    live = Events(served)
    p.run("run").ok()
    one = live.until(lambda kind, data: kind == "run" and data["status"] in ENDED)
    live.close()
    p.run("run").ok()
    p.run("run").ok()
    again = Events(served, last=one[-1][0])
    two = again.until(lambda kind, data: kind == "run" and data["status"] in ENDED)
    three = again.until(lambda kind, data: kind == "run" and data["status"] in ENDED)
    again.close()
    whole = Events(served, "/api/events?after=0")
    assert [whole.next() for _ in one + two + three] == one + two + three
    whole.close()
    run = two[-1][2]["run_id"]
    of_run = Events(served, f"/api/events?after=0&run={run}")
    assert [e[0] for e in of_run.until(ends(run))] == [e[0] for e in two if e[2].get("run_id") == run]
    of_run.close()
    assert served.get("/api/events", headers={"Last-Event-ID": "x"}).status == 400
    assert served.get("/api/events?run=none").status == 404
    assert served.get("/api/events?ends=true").status == 422


@pytest.mark.san
def test_two_viewers_see_the_same(serve):
    served = serve(FILES)
    viewers = [Events(served) for _ in range(2)]
    run = served.post("/api/builds", {}).ok(201)["id"]
    seen = [viewer.until(ends(run)) for viewer in viewers]
    assert seen[0] == seen[1] and len(seen[0]) > 4
    for viewer in viewers:
        viewer.close()


@pytest.fixture
def never_reads():
    sockets = []

    def connect(served):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(4 * TIMEOUT)
        s.connect(("127.0.0.1", served.port))
        s.sendall(b"GET /api/events?after=0 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
                  served.token.encode() + b"\r\n\r\n")
        sockets.append(s)
        return s

    yield connect
    for s in sockets:
        s.close()


def test_a_slow_viewer_loses_nothing(serve, never_reads):
    """It gets from the table what did not fit into its buffers, each event once."""
    served = serve({**FILES, "operations/talk.py": "for i in range(6000):\n    print('x' * 1000)\n"})
    slow = never_reads(served)
    events = Events(served, "/api/events?after=0")
    run = served.post("/api/operations/talk/runs").ok(201)["id"]
    seen = [number for number, _, _ in events.until(ends(run))]
    data, last = bytearray(), b"id: %d\n" % seen[-1]
    while data.find(last, max(0, len(data) - 70000)) < 0:
        data += slow.recv(65536)
    ids = [int(number) for number in re.findall(rb"^id: (\d+)\r?$", data, re.M)]
    assert ids == seen == list(range(1, seen[-1] + 1)) and len(ids) > 6000
    events.close()


def test_a_viewer_that_never_reads(serve, never_reads):
    """It is dropped, its memory is bounded, and nobody waits for it."""
    served = serve({**FILES, "operations/talk.py": "for i in range(20000):\n    print('x' * 1000)\n"})
    pid = served.running.process.pid
    stuck = never_reads(served)
    events = Events(served)
    run = served.post("/api/operations/talk/runs").ok(201)["id"]
    seen = events.until(ends(run))
    assert sum(1 for _, kind, _ in seen if kind == "log") >= 20000  # the one that reads gets all
    events.close()
    with open(f"/proc/{pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    assert peak < 120 * 1024, f"{peak} kB"
    assert served.is_open(stuck)
    end = time.monotonic() + TIMEOUT
    while served.is_open(stuck) and time.monotonic() < end:
        time.sleep(0.1)
    assert not served.is_open(stuck)  # after write_seconds
    assert not read_all(stuck).endswith(b"0\r\n\r\n")


@pytest.mark.san
def test_every_route_is_documented_and_asked(serve):
    """Each answer was checked against the document; here each route is asked once."""
    served = serve(FILES, prepare="build")
    run = served.get("/api/runs").ok()["items"][0]["id"]
    values = {"id": run, "name": "nightly"}
    for method, path, _ in served.document.routes:
        if path == "/api/events":
            Events(served).close()
            served.document.seen.add("GET /api/events")
            continue
        if path.startswith("/api/nodes"):
            path = path.replace("{id}", "model.shop.orders")
        if path.startswith("/api/operations"):
            path = path.replace("{name}", "count")
        if path == "/api/history/slowest":
            path += "?kind=node"
        if path == "/api/history/durations":
            path += "?node=model.shop.orders"
        for name, text in values.items():
            path = path.replace("{%s}" % name, text)
        answer = served.ask(method, path, {"select": "none"} if method == "POST" and "builds" in path else
                            {} if method == "POST" else None)
        assert answer.status < 500 and answer.status != 401, (path, answer.body)
    assert served.document.seen == {f"{method} {path}" for method, path, _ in served.document.routes}
