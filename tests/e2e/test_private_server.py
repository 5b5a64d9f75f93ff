"""The project's private PostgreSQL: made on first use, shared, stopped by the last, its data safe."""
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from postgres import Database, find_programs, unprivileged
from program import Project

FILES = {"dbt_project.yml": "name: shop\n", "models/m.sql": "{{ config(materialized='table') }} select {{ var('n', 1) }} as n, "
         "pg_sleep({{ var('s', 0) }})::text as s"}


@pytest.fixture(scope="module")
def data(postgres, tmp_path_factory):
    """The folder .dex of a project whose server was made and is stopped: making one takes seconds."""
    with tempfile.TemporaryDirectory(prefix="dexe2e", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        p = without_profile(Project(Path(folder), Database(postgres, "postgres"), "private", profile=False))
        p.run("db start").ok()
        p.run("db stop").ok()
        yield p.path(".dex")


def without_profile(p):
    p.env["PATH"] += ":" + find_programs()
    return p.write(FILES)


@pytest.fixture
def private(project, data):
    """private(files): a project without a profile; its server is gone afterwards. `fresh`: it was never made."""
    made = []

    def make(files=None, fresh=False):
        p = without_profile(project(profile=False)).write(files or {})
        if not fresh:
            subprocess.run(["cp", "-a", data, p.dir], check=True)
        made.append(p)
        return p

    yield make
    for p in made:
        if os.path.exists(p.dir):
            p.run("db destroy")


def psql(p, query):
    return p.run("db", "psql", "--", "-XAtq", "-c", query).ok().stdout.split()


@pytest.mark.san
def test_the_first_and_the_second_command(private):
    p = private(fresh=True)
    p.run("build").ok()
    p.run("db status").fails(1).says("stopped")
    assert p.exists(".dex/pg/data/PG_VERSION")
    result = p.run("build", "--vars", "n: 2").ok()
    assert result.statuses == {"m": "success"}
    assert psql(p, "select n from public.m") == ["2"]
    p.run("show --select m --output csv").ok().says("n,s\n1,\"\"")
    p.run("debug").ok().says("private PostgreSQL", "ok: PostgreSQL")


def test_a_profile_of_type_embedded(private):
    p = private({"dbt_project.yml": "name: shop\nprofile: shop\n",
                 "profiles.yml": "shop:\n  target: here\n  outputs:\n    here: {type: embedded, schema: mine, threads: 2}\n"})
    p.run("run").ok().says("target here, 2 threads")
    assert psql(p, "select n from mine.m") == ["1"]


def test_nothing_but_the_folder_is_touched(private):
    """No file outside .dex and target, and git ignores .dex."""
    p = private(fresh=True)
    p.run("build").ok()
    assert set(os.listdir(p.dir)) <= {".dex", "dbt_project.yml", "logs", "models", "target"}
    assert p.read(".dex/.gitignore").strip() == "*"


def test_commands_that_need_no_server_start_none(private):
    p = private(fresh=True)
    for command in "parse", "ls", "compile --help", "clean", "version":
        p.run(command).ok()
    assert not p.exists(".dex/pg")
    p.run("db status").fails(1).says("no server yet")


@pytest.mark.san
def test_start_keeps_it_until_stop(private):
    p = private()
    p.run("db start").ok().says("running", "kept")
    p.run("db start").ok()
    p.run("run").ok()
    p.run("db status").ok().says("running")
    p.run("db stop").ok().says("stopped")
    p.run("db stop").ok().says("not running")
    p.run("db status").fails(1).says("stopped")
    assert psql(p, "select n from public.m") == ["1"]
    p.run("db destroy").ok().says("destroyed")
    p.run("db destroy").ok().says("no server")
    assert not p.exists(".dex/pg/data")


def test_psql_gives_its_status(private):
    p = private()
    p.run("db", "psql", "--", "-c", "select wrong").fails(1)
    p.run("db", "psql", "--", "-Xq", "-f", "-", input="create table public.t as select 5 as n;\n").ok()
    assert psql(p, "select n from public.t") == ["5"]


@pytest.mark.san
def test_concurrent_commands_share_one_server(private):
    """All begin before there is any data: one creates it, all use it, the last one stops it."""
    p = private(fresh=True)
    for i in range(5):
        p.write({f"models/m{i}.sql": f"select {i} as n, pg_backend_pid() as pid"})
    running = [p.start(f"run --select m{i} --target-path target/{i}") for i in range(5)]
    for one in running:
        one.finish().ok()
    p.run("db status").fails(1).says("stopped")
    assert psql(p, "select count(*) from pg_views where viewname like 'm_'") == ["5"]


def test_who_ends_first_does_not_stop_it_for_the_other(private):
    p = private()
    p.run("db start").ok()
    p.run("db stop").ok()
    long = p.start("run", "--vars", "s: 1.5")
    until = time.monotonic() + 30
    while p.run("db status").status != 0:
        assert time.monotonic() < until
    p.write({"models/other.sql": "select 1 as n"})
    p.run("run --select other --target-path target/other").ok()
    long.finish().ok()
    p.run("db status").fails(1)


@pytest.mark.san
def test_data_survives_kill(private):
    """kill -9 in the middle of a transaction: what was committed is there, what was not is not, the next command works."""
    p = private()
    p.run("run").ok()
    running = p.start("run", "--vars", "{n: 2, s: 60}")
    until = time.monotonic() + 30
    while p.run("db status").status != 0:
        assert time.monotonic() < until
    running.signal(signal.SIGKILL)
    assert running.process.wait() == -signal.SIGKILL
    assert psql(p, "select n from public.m") == ["1"]
    p.run("run", "--vars", "n: 3").ok()
    assert psql(p, "select n from public.m") == ["3"]
    p.run("db status").fails(1).says("stopped")


def test_data_survives_a_killed_server(private):
    p = private()
    p.run("db start").ok()
    p.run("run").ok()
    pid = int(p.read(".dex/pg/data/postmaster.pid").split()[0])
    os.kill(pid, signal.SIGKILL)
    p.run("run", "--vars", "n: 2").ok()
    assert psql(p, "select n from public.m") == ["2"]


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_it_is_made(private, number, status):
    """initdb is under way: nothing is left running, and the next command works."""
    p = private(fresh=True)
    running = p.start("run")
    until = time.monotonic() + 30
    while not p.exists(".dex/pg"):
        assert time.monotonic() < until and running.process.poll() is None
    running.signal(number)
    running.finish(30).fails(status)
    p.run("run").ok()


def test_destroy_while_it_is_in_use(private):
    p = private()
    running = p.start("run", "--vars", "s: 60")
    until = time.monotonic() + 30
    while p.run("db status").status != 0:
        assert time.monotonic() < until
    p.run("db destroy").fails(2).says("another process is using")
    running.signal(signal.SIGINT)
    running.finish().fails(130)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_an_ordinary_user(private):
    p = private(fresh=True)
    user = unprivileged()
    for folder, _, files in os.walk(p.dir):
        for name in [folder, *(os.path.join(folder, f) for f in files)]:
            os.chown(name, user["user"], user["group"])
    p.run("build", user=user).ok()
    assert os.stat(p.path(".dex/pg/data")).st_uid == user["user"]
    p.run("db destroy", user=user).ok()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_root_is_not_root_for_the_server(private):
    p = private()
    p.run("run").ok()
    assert os.stat(p.path(".dex/pg/data")).st_uid != 0
    assert os.stat(p.path("target/manifest.json")).st_uid == 0


def test_no_server_program(private):
    p = private(fresh=True)
    p.run("run", env={"DEX_PG_BIN": "/nowhere"}).fails(2).says("/nowhere")
    assert not p.exists(".dex/pg/data")


def test_a_folder_with_spaces_and_quotes(private):
    p = private()
    odd = os.path.join(p.scratch, "it's a \"folder\" %s")
    os.rename(p.dir, odd)
    try:
        p.run("build", cwd=odd).ok()
        p.run("db destroy", cwd=odd).ok()
    finally:
        os.rename(odd, p.dir)


def test_a_very_long_path(private):
    """Longer than a socket's name may be."""
    p = private()
    deep = os.path.join(p.scratch, *["a_folder_with_a_long_name"] * 6)
    os.makedirs(os.path.dirname(deep))
    os.rename(p.dir, deep)
    try:
        p.run("build", cwd=deep).ok()
        p.run("db destroy", cwd=deep).ok()
    finally:
        os.rename(deep, p.dir)
