"""The history under kill -9 and on full disks: what was said to be written is there, the file stays whole, and commands
do not notice."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import time

import pytest

# Writes facts one by one, and says each as soon as the store's method has returned.
WRITER = """
local state, term = require "state", require "dex.term"
local store = state.open(".", {})
local id = store:create_run { kind = "flow", name = arg[1], status = "running" }
term.write(1, "run " .. id .. "\\n")
for i = 1, 100000 do
  local name = "t" .. i
  store:add_tasks(id, { { name = name } })
  store:batch(function()
    store:set_task(id, name, "running")
    store:add_log(id, name, "info", "words of " .. name)
    store:set_task(id, name, "success", { rows = i })
  end)
  term.write(1, i .. "\\n")
  if i % 50 == 0 then store.db:row "pragma wal_checkpoint(passive)" end
end
"""


def acknowledged(text):
    lines = text.split("\n")[:-1]  # what stands behind the last line end was cut off
    return lines[0][4:] if lines else None, int(lines[-1]) if len(lines) > 1 else 0


def check(p, run_id, last):
    db = sqlite3.connect(p.path(".dex", "state.db"))
    assert db.execute("pragma integrity_check").fetchone() == ("ok",)
    tasks = dict(db.execute("select tasks.name, rows from tasks join runs on runs.seq = tasks.run"
                            " where runs.id = ? and tasks.status = 'success'", (run_id,)))
    assert all(tasks.get(f"t{i}") == i for i in range(1, last + 1))
    assert len(tasks) <= last + 1  # at most the one whose word was not heard
    logs, = db.execute("select count(*) from logs join runs on runs.seq = logs.run where runs.id = ?", (run_id,)).fetchone()
    assert logs == len(tasks)  # together, or not at all
    assert db.execute("select count(*) from tasks where status = 'running'").fetchone() == (0,)
    db.close()


@pytest.mark.parametrize("seed", range(4))
def test_nothing_acknowledged_is_lost(project, seed):
    """Two writers at once, killed at random instants, again and again on the same file."""
    p = project({"writer.lua": WRITER})
    chance = random.Random(seed)
    heard = []
    for round_ in range(10):
        running = [p.start("repl", "writer.lua", f"w{i}") for i in range(2)]
        while not all(one.output()[0] for one in running):
            assert all(one.process.poll() is None for one in running), [one.output()[1] for one in running]
        time.sleep(chance.uniform(0, 0.15))  # the instant is what is tested
        for one in running:
            one.signal(signal.SIGKILL)
            one.process.wait()
            heard.append(acknowledged(one.output()[0]))
        for run_id, last in heard:
            if run_id:
                check(p, run_id, last)
    assert sum(last for _, last in heard) > 100


@pytest.mark.parametrize("seed", range(3))
def test_a_command_killed_at_a_random_instant(project, seed):
    """The next command works, and the killed one is shown as failed."""
    p = project({f"models/m{i}.sql": "select 1 as n" for i in range(60)})
    p.run("run").ok()
    for _ in range(3):
        running = p.start("run")
        time.sleep(random.Random(seed).uniform(0.02, 0.3))  # the instant is what is tested
        running.signal(signal.SIGKILL)
        running.process.wait()
    p.run("state check").ok()
    p.run("state vacuum").ok()
    runs = json.loads(p.run("history --output json").ok().stdout)
    assert {run["status"] for run in runs} <= {"success", "failed"} and runs[-1]["status"] == "success"
    p.run("run").ok()


MODELS = {f"models/m{i}.sql": f"select {i} as n, '{'x' * 200}' as t" for i in range(150)}


def limited(p, *args, blocks):
    """A command whose files may not grow beyond a number of KB."""
    return p.run(*args, wrap=["bash", "-c", f"ulimit -f {blocks}; trap '' XFSZ; exec \"$0\" \"$@\""])


@pytest.mark.parametrize("blocks", [16, 40, 90, 160])
def test_no_room(project, blocks):
    """At whatever point the history has no room left: one warning, the status is the command's own, the file is whole."""
    p = project(MODELS)
    p.run("parse").ok()
    if blocks > 40:
        p.run("run -s m1").ok()
    p.run("ls").ok()
    quiet = ["--no-write-json", "--log-level-file", "none"]
    result = limited(p, "run", *quiet, blocks=blocks).ok()
    text = result.stdout + result.stderr
    assert text.count("goes on without it") == 1, result
    assert len(p.db.relations()) == 150
    p.run("run", *quiet).ok()
    p.run("state check").ok()
    assert json.loads(p.run("history --limit 1 --output json").ok().stdout)[0]["tasks"] == {"total": 150, "success": 150}


@pytest.fixture
def small(project):
    """A project whose .dex/ is a small disk."""
    p = project(MODELS)
    os.makedirs(p.path(".dex"))
    mounted = os.getuid() == 0 and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", p.path(".dex")],
                                                  capture_output=True, check=False).returncode == 0
    if not mounted:
        pytest.skip("cannot mount a small disk here")
    yield p
    subprocess.run(["umount", "-l", p.path(".dex")], check=True)


def test_a_full_disk_and_room_again(small):
    p = small
    result = p.run("run").ok()
    assert (result.stdout + result.stderr).count("goes on without it") == 1, result
    subprocess.run(["mount", "-o", "remount,size=8m", p.path(".dex")], check=True)
    p.run("run").ok()
    p.run("state check").ok()
    runs = json.loads(p.run("history --output json").ok().stdout)
    assert runs[0]["status"] == "success" and runs[0]["tasks"]["success"] == 150
