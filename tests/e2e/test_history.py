"""The history: what commands have written into .dex/state.db, and how `history` and `state` show it."""
import csv
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import stat

import pytest

FILES = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        on-run-start: ["select 1", "lua: notes.twice"]
        """,
    "hooks/notes.lua": """
        local notes = {}
        function notes.twice(hook) hook:warn("said %d", 2 * 1) end
        return notes
        """,
    "models/one.sql": "{{ config(materialized='table', post_hook=[{'sql': 'select 2', 'name': 'after'}]) }} select 1 as n",
    "models/two.sql": "select n from {{ ref('one') }}",
    "models/bad.sql": "select n / 0 as n from {{ ref('one') }} where {{ var('works', 'false') }} or n / 0 = 1",
    "models/below.sql": "{{ config(materialized='table') }} select n from {{ ref('bad') }}",
    "tests/none.sql": "select n from {{ ref('two') }} where n = 2",
    "operations/note.sql": "{{ config(parameters={'text': {'type': 'text'}, 'token': {'type': 'text', 'secret': true,"
                           " 'required': false}}) }} select '{{ args.text }}' as said",
}
BAD_TABLE = {"models/bad.sql": "{{ config(materialized='table') }} select 1 / (n - 1) as n from {{ ref('one') }}"}


def runs(p, *more):
    return json.loads(p.run("history", "--output", "json", *more).ok().stdout)


def shown(p, run_id):
    return json.loads(p.run("history", run_id, "--output", "json").ok().stdout)


@pytest.mark.san
def test_a_command_with_everything_that_it_did(project):
    p = project({**FILES, **BAD_TABLE})
    p.run("build").fails(1)
    run = shown(p, runs(p)[0]["id"][:8])
    assert (run["kind"], run["name"], run["command"], run["status"], run["trigger"]) == (
        "command", "build", "dex-lua build", "partial", "manual")
    assert run["target"] == "dev" and run["args"]["which"] == "build"
    assert run["started_at"] < run["ended_at"] and run["duration"] > 0
    assert run["message"].startswith("bad: ")
    tasks = {task["label"] or task["name"]: task for task in run["tasks"]}
    assert {name: task["status"] for name, task in tasks.items()} == {
        "dev.one": "success", "dev.two": "success", "dev.bad": "failed", "dev.below": "upstream_failed",
        "none": "success"}
    one = tasks["dev.one"]
    assert one["node_id"] == one["name"] == "model.shop.one" and one["attempt"] == 1
    assert one["rows"] == 1 and one["message"] == "SELECT 1"
    phases = [phase["phase"] for phase in one["phases"]]
    assert "build" in phases and phases == [phase for phase in ("compile", "pre_outside", "pre_hooks", "build",
                                                                "post_hooks", "post_outside") if phase in phases]
    assert all(one["started_at"] <= phase["started_at"] <= one["ended_at"] for phase in one["phases"])
    assert [(hook["name"], hook["phase"], hook["status"]) for hook in one["hooks"]] == [
        ("after", "post_hooks", "success")]
    assert tasks["dev.two"]["needs"] == ["model.shop.one"]
    assert "division by zero" in tasks["dev.bad"]["message"]
    assert tasks["none"]["result"] == {"failures": 0}
    assert [(hook["phase"], hook["status"]) for hook in run["hooks"]] == [("run_start", "success")] * 2
    assert [(line["level"], line["text"]) for line in run["log"]] == [
        ("warn", "on-run-start hook 2 (notes.twice): said 2")]
    text = p.run("history", run["id"]).ok().stdout
    for word in "model.shop.below", "upstream_failed", "hook after", "build 0.", "said 2":
        assert word in text


def test_lists(project):
    p = project({**FILES, **BAD_TABLE})
    p.run("history").ok()
    assert p.run("history --output json").ok().stdout == "[]\n"
    p.run("seed").ok()
    p.run("run -s one two").ok()
    p.run("run -s +bad").fails(1)
    p.run("operation run note -a text=x").ok()
    p.run("compile").ok()
    p.run("ls").ok()
    assert [(run["name"], run["kind"], run["status"]) for run in runs(p)] == [
        ("note", "operation", "success"), ("run", "command", "partial"), ("run", "command", "success"),
        ("seed", "command", "success")]
    assert [run["status"] for run in runs(p, "run")] == ["partial", "success"]
    assert [run["name"] for run in runs(p, "--status", "partial")] == ["run"]
    assert len(runs(p, "--limit", "1")) == 1
    assert runs(p, "--since", "1h") == runs(p) and runs(p, "--since", "2100-01-01") == []
    rows = list(csv.DictReader(io.StringIO(p.run("history run --output csv").ok().stdout)))
    assert [row["status"] for row in rows] == ["partial", "success"]
    assert [row["nodes"] for row in rows] == ["2, 1 failed", "2"]
    failures = json.loads(p.run("history --failures --output json").ok().stdout)
    assert [failure["node_id"] for failure in failures] == ["model.shop.bad"]
    slowest = json.loads(p.run("history --slowest nodes --output json").ok().stdout)
    assert {row["name"]: (row["count"], row["failed"]) for row in slowest} == {
        "model.shop.one": (2, 0), "model.shop.two": (1, 0), "model.shop.bad": (1, 1),
        "operation.shop.note": (1, 0)}
    assert all(row["total"] >= row["longest"] >= row["mean"] > 0 for row in slowest)
    hooks = json.loads(p.run("history --slowest hooks --output json").ok().stdout)
    assert {row["name"]: row["count"] for row in hooks}["model.shop.one: after"] == 2
    node = json.loads(p.run("history --node one --output json").ok().stdout)
    assert [row["status"] for row in node] == ["success", "success"]
    p.run("history --node ome").fails(2).says("655", "did you mean 'one'?")
    p.run("history 0123456789").fails(2).says("655", "no run '0123456789'")
    p.run("history --since yesterday").fails(2).says("7d, 12h or 2026-01-31")
    p.run("history --status succes").fails(2).says("did you mean 'success'?")


def test_an_operation_with_its_log_and_result(project):
    p = project({**FILES, "operations/talk.lua": """
        -- config:
        --   parameters: {token: {type: text, secret: true}}
        return function(op)
          op:log("got %s", op.args.token)
          return {n = 7, token = op.args.token}
        end
        """})
    p.run("operation run talk -a token=very-secret-thing").ok()
    run = shown(p, runs(p)[0]["id"])
    assert run["parameters"] == {"token": "*****"}
    task = run["tasks"][0]
    assert task["result"]["returned"] == {"n": 7, "token": "*****"}
    assert [(line["level"], line["task"], line["text"]) for line in run["log"]] == [
        ("info", "operation.shop.talk", "got *****")]
    for name in "state.db", "state.db-wal":
        with open(p.path(".dex", name), "rb") as file:
            assert b"very-secret-thing" not in file.read(), name


def test_retry_and_run_operation_and_failures_before_any_node(project):
    p = project({**FILES, **BAD_TABLE, "macros/m.sql": "{% macro m(x) %}{{ return(x + 1) }}{% endmacro %}"})
    p.run("run").fails(1)
    p.write({"models/bad.sql": "select 1 as n"})
    p.run("retry").ok()
    p.run("run-operation", "m", "--args", "{x: 1}").ok()
    p.write({"hooks/notes.lua": "return {"})
    p.run("run").fails(2)
    last, operation, retry, first = runs(p)
    assert (first["status"], retry["status"], retry["name"], retry["command"]) == (
        "partial", "success", "run", "dex-lua retry")
    assert retry["tasks"]["total"] == 2
    assert (operation["name"], operation["status"], operation["parameters"]) == ("run-operation", "success", {"x": 1})
    assert last["status"] == "failed" and "notes.lua" in last["message"]


def test_no_history(project):
    p = project(FILES)
    p.run("run -s one --no-history").ok()
    p.run("run", "-s", "one", env={"DEX_HISTORY": "0"}).ok()
    assert not p.exists(".dex", "state.db")
    p.run("run -s one").ok()
    assert len(runs(p)) == 1


def test_a_run_that_the_server_asked_for(project):
    p = project({**FILES, "operations/inner.py": """
        import os
        assert "DEX_RUN_ID" not in os.environ
        """})
    p.run("run -s one").ok()
    ids = ["11111111-1111-4111-8111-11111111111" + str(i) for i in range(3)]
    with sqlite3.connect(p.path(".dex", "state.db")) as db:
        for i in ids:
            db.execute("insert into runs (id, kind, name, trigger, by, status, created_at) values (?, 'command', 'run',"
                       " 'api', 'ann', 'queued', 5)", (i,))
    db.close()
    p.run("run", "-s", "two", env={"DEX_RUN_ID": ids[0], "DEX_RUN_TRIGGER": "api", "DEX_RUN_BY": "ann"}).ok()
    p.run("operation", "run", "inner", env={"DEX_RUN_ID": ids[1]}).ok()
    p.write({"models/two.sql": "select {{ ref('nowhere') }}"})
    p.run("run", env={"DEX_RUN_ID": ids[2]}).fails(2)
    found = {run["id"]: run for run in runs(p)}
    assert len(found) == 4
    assert [found[i]["status"] for i in ids] == ["success", "success", "failed"]
    assert found[ids[0]]["by"] == "ann" and found[ids[0]]["trigger"] == "api"
    assert "nowhere" in found[ids[2]]["message"]
    assert p.run("run", "-s", "one", env={"DEX_RUN_ID": ids[0]}).status == 2


def test_cancelled(project):
    p = project({**FILES, "models/long.sql": "select pg_sleep(60)::text as s", "dbt_project.yml": None,
                 "dex_project.yml": "name: shop\nprofile: shop\nmodels: {+materialized: table}\n"})
    running = p.start("run -s one long")
    p.db.wait_for_query("pg_sleep(60)")
    mine = runs(p)[0]
    assert mine["status"] == "running"
    running.signal(signal.SIGTERM)
    running.finish().fails(143)
    run = shown(p, mine["id"])
    assert run["status"] == "cancelled" and run["message"] == "cancelled by SIGTERM"
    assert {task["label"]: task["status"] for task in run["tasks"]} == {"dev.one": "success", "dev.long": "cancelled"}


def test_a_run_whose_process_was_killed_is_buried_by_the_next(project):
    p = project({**FILES, "models/long.sql": "{{ config(materialized='table') }} select pg_sleep(60)::text as s"})
    running = p.start("run -s one long")
    p.db.wait_for_query("pg_sleep(60)")
    while {task["status"] for task in shown(p, runs(p)[0]["id"])["tasks"]} != {"success", "running"}:
        assert running.process.poll() is None
    killed = runs(p)[0]["id"]
    running.signal(signal.SIGKILL)
    running.process.wait()
    p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%'"
             " and pid <> pg_backend_pid()")
    p.run("run -s one").ok()
    p.run("state vacuum").ok()
    run = shown(p, killed)
    assert run["status"] == "failed" and "its process ended" in run["message"]
    assert {task["label"]: task["status"] for task in run["tasks"]} == {"dev.one": "success", "dev.long": "failed"}


# Whatever befalls the history, the command goes on -----------------------------------------------------------


def damaged(path):
    with open(path, "r+b") as file:
        file.write(b"\0" * 100)


def of_a_later_version(path):
    db = sqlite3.connect(path)
    db.execute("pragma user_version = 99")
    db.close()


def not_a_file(path):
    os.remove(path)
    os.mkdir(path)


@pytest.mark.parametrize("harm, words", [
    (damaged, "file is not a database"),
    (of_a_later_version, "the history is of version 99"),
    (not_a_file, "unable to open database file"),
])
def test_a_history_that_cannot_be_written(project, harm, words):
    p = project(FILES)
    p.run("run -s one").ok()
    for name in "state.db-wal", "state.db-shm":
        os.remove(p.path(".dex", name))
    harm(p.path(".dex", "state.db"))
    result = p.run("run -s one").ok().says("history: " + words, "goes on without it")
    assert (result.stdout + result.stderr).count("goes on without it") == 1
    p.run("history").fails(2)


def test_a_folder_in_which_nothing_can_be_made(project):
    from postgres import unprivileged
    p = project({**FILES, "logs/x": "", "target/x": ""})
    p.run("run -s one").ok()
    history = runs(p)
    other = unprivileged()
    if not other:
        pytest.skip("not run as root: nobody else is there to read the folder")
    for folder in "logs", "target":
        for path, _, files in os.walk(p.path(folder)):
            os.chmod(path, 0o777)
            for name in files:
                os.chmod(os.path.join(path, name), 0o666)
    os.chmod(p.home, 0o777)
    p.run("run", "-s", "one", user=other).ok().says("goes on without it")
    assert json.loads(p.run("history", "--output", "json", user=other).ok().stdout) == history


def test_a_locked_history_is_waited_for(project):
    p = project(FILES)
    p.run("run -s one").ok()
    db = sqlite3.connect(p.path(".dex", "state.db"), isolation_level=None)
    db.execute("begin immediate")
    try:
        p.run("run -s one").ok().says("history: database is locked")
    finally:
        db.execute("rollback")
        db.close()
    p.run("run -s one").ok()
    assert len(runs(p)) == 2


def test_two_commands_at_once(project):
    p = project({f"models/m{i}.sql": f"select {i} as n" for i in range(40)})
    running = [p.start("run") for _ in range(3)]
    for one in running:
        one.finish()
    found = runs(p)
    assert len(found) == 3
    for run in found:
        assert sum(task["status"] in ("success", "failed") for task in shown(p, run["id"])["tasks"]) == 40


# Upkeep -----------------------------------------------------------------------------------------------------


def age(p, days, where="1"):
    db = sqlite3.connect(p.path(".dex", "state.db"))
    with db:
        for column in "created_at", "started_at", "ended_at":
            db.execute(f"update runs set {column} = {column} - ? where {where}", (days * 86400 * 10**6,))
        db.execute("update logs set at = at - ?", (days * 86400 * 10**6,))
        db.execute("delete from facts")
    db.close()


def test_what_is_too_old_is_removed(project):
    p = project(FILES)
    for _ in range(3):
        p.run("run -s one").ok()
    age(p, 20)
    p.run("run -s one").ok()
    assert len(runs(p)) == 4
    assert [len(shown(p, run["id"])["log"]) for run in runs(p)] == [1, 0, 0, 0]  # of logs 14 days are kept
    age(p, 80, "seq <= 3")
    p.run("run -s one").ok()
    left = runs(p)
    assert len(left) == 2
    db = sqlite3.connect(p.path(".dex", "state.db"))
    for table in "tasks", "hooks":
        assert db.execute(f"select count(distinct run) from {table}").fetchone() == (2,), table
    db.close()


def test_settings(project):
    p = project({**FILES, "dbt_project.yml": "name: shop\nprofile: shop\ndex:\n  history:\n    keep_runs: 2\n"})
    for _ in range(4):
        p.run("run -s one").ok()
    result = p.run("state vacuum").ok().says("2 runs removed, 2 kept")
    after, before = re.search(r"([0-9.]+) MB, ([0-9.]+) MB before", result.stdout + result.stderr).groups()
    assert float(before) >= float(after) > 0, result.stdout
    assert len(runs(p)) == 2
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\ndex:\n  history:\n    keep_day: 2\n"})
    p.run("run -s one").fails(2).says("657", "dbt_project.yml:5", "did you mean 'keep_days'?")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\ndex:\n  history:\n    keep_days: soon\n"})
    p.run("state vacuum").fails(2).says("657", "whole number above 0")


def test_export_and_check(project):
    p = project({**FILES, **BAD_TABLE})
    p.run("state export").fails(2).says("650", "nothing has run here yet")
    p.run("run").fails(1)
    p.run("run -s one").ok()
    p.run("state export all.jsonl").ok()
    lines = [json.loads(line) for line in p.read("all.jsonl").splitlines()]
    assert [line["status"] for line in lines] == ["partial", "success"]
    assert [task["name"] for task in lines[1]["tasks"]] == ["model.shop.one"]
    rows = list(csv.DictReader(io.StringIO(p.run("state export --format csv").ok().stdout)))
    assert len(rows) == 5 and rows[-1]["task"] == "model.shop.one" and rows[-1]["task_status"] == "success"
    p.run("state check").ok().says("2 runs", "nothing wrong")
    p.run("state export no/where.jsonl").fails(2)
    p.run("state").fails(2).says("export|vacuum|check")
    p.run("state clean").fails(2)


def test_check_finds_damage(project):
    p = project(FILES)
    for _ in range(3):
        p.run("run").status
    p.run("state vacuum").ok()
    path = p.path(".dex", "state.db")
    size = os.stat(path).st_size
    with open(path, "r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    p.run("state check").fails(2).says("653", "it is made anew")
    shutil.copy(path, p.path("damaged.db"))
    os.remove(path)
    p.run("run -s one").ok()
    p.run("state check").ok()
    assert stat.S_IMODE(os.stat(path).st_mode) & 0o077 in (0, 0o044)
