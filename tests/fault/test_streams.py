"""Standard streams that are closed, full or gone."""
import os
import signal
import subprocess

import pytest

from program import BINARY

FILES = {f"models/m{i}.sql": "{{ config(materialized='table') }} select 1 as n" for i in range(5)}


def shell(p, line, **options):
    """A command line of a shell, in which $DEX is the program."""
    return subprocess.run(["sh", "-c", line], cwd=p.dir, env={**p.env, "DEX": BINARY}, capture_output=True, text=True,
                          timeout=120, check=False, **options)


@pytest.mark.san
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(project, closed):
    """A closed stream's number is given to the next file that is opened: nothing may be written into that."""
    p = project(FILES)
    done = shell(p, f"$DEX build {closed}; echo status $? > ../status")
    with open(p.path("../status"), encoding="utf-8") as file:
        status = file.read().strip()
    assert status == "status 0", done
    assert len(p.db.relations()) == 5
    for name in "manifest", "run_results", "hook_results":
        p.artifact(name)
    for i in range(5):
        assert p.read(f"target/compiled/shop/models/m{i}.sql").strip() == "select 1 as n"


@pytest.mark.san
@pytest.mark.parametrize("command", ["build", "ls", "help", "show --inline 'select * from generate_series(1, 10000)' --limit 10000",
                                     "build --log-format json"])
def test_nobody_reads(project, command):
    """`dex-lua ... | head -0`: no message, no endless loop, and a run goes on to its end."""
    p = project(FILES)
    done = shell(p, f"{{ $DEX {command}; echo status $? >&2; }} | true")
    assert "Broken pipe" not in done.stderr and "defect" not in done.stderr
    if command.startswith("build"):
        assert len(p.db.relations()) == 5
        assert p.artifact("run_results")["results"]


def test_sigpipe_is_not_inherited_as_ignored_by_children(project):
    """A hook's child or psql may rely on SIGPIPE; here: the program itself started with it ignored."""
    p = project(FILES)
    done = shell(p, "trap '' PIPE; $DEX build > /dev/null; echo $?")
    assert done.stdout.strip() == "0"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
@pytest.mark.parametrize("command", ["version", "help", "ls", "build", "render t.sql", "--version"])
def test_a_full_device(project, command):
    """What could not be written is no success."""
    p = project({**FILES, "t.sql": "x"})
    done = shell(p, f"$DEX {command} > /dev/full; echo status $?")
    assert done.stdout.strip() == "status 2" and "No space left" in done.stderr, done
    if command == "build":
        assert len(p.db.relations()) == 5


def test_slow_reader(project):
    """The reader takes its time: everything arrives, in order."""
    p = project({})
    limit = 20000
    command = [BINARY, "show", "--inline", f"select n, repeat('x', 50) as x from generate_series(1, {limit}) s(n)", "--limit",
               str(limit), "--output", "csv"]
    with subprocess.Popen(command, cwd=p.dir, env=p.env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        first = process.stdout.read(10)
        p.db.sql("select pg_sleep(0.2)")
        rest = process.stdout.read()
    lines = (first + rest).decode().splitlines()
    assert process.returncode == 0 and len(lines) == limit + 1 and lines[-1].startswith(f"{limit},")


def test_non_blocking_output(project):
    """Standard output that is a non-blocking pipe, as some programs leave it behind."""
    p = project({})
    limit = 20000
    read, write = os.pipe()
    os.set_blocking(write, False)
    process = subprocess.Popen([BINARY, "show", "--inline", f"select n, repeat('x', 50) as x from generate_series(1, {limit}) s(n)",
                                "--limit", str(limit), "--output", "csv"], cwd=p.dir, env=p.env, stdout=write,
                               stdin=subprocess.DEVNULL)
    os.close(write)
    p.db.sql("select pg_sleep(0.3)")
    with os.fdopen(read, "rb") as stream:
        lines = stream.read().decode().splitlines()
    assert process.wait(60) == 0 and len(lines) == limit + 1 and lines[-1].startswith(f"{limit},")


def test_hangup_and_others(project):
    """SIGHUP and SIGQUIT are the system's: they end it, and the server rolls back."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # programs inherit that it is ignored, as under nohup
    p = project({"models/m.sql": "{{ config(materialized='table') }} select pg_sleep(30)::text as n"})
    for number in signal.SIGHUP, signal.SIGTERM:
        running = p.start("run")
        p.db.wait_for_query("pg_sleep(30)")
        running.signal(number)
        assert running.finish(20).status in (-number, 128 + number)
        p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> "
                 "pg_backend_pid() and datname = current_database()")
        p.db.wait_for_nobody()
    assert p.db.relations() == []
