"""--lock: one command at a time on a project and its target."""
import os
import re
import signal
import socket

import pytest

from test_hook_concurrency import session, waiting

SLOW = {"models/m.sql": "{{ config(materialized='table', pre_hook='select pg_advisory_xact_lock_shared(7)') }} select 1 as n"}
HELD = r"`dex-lua run` holds it \(pid %d on %s, since 20\d\d-\d\d-\d\dT[\d:.]+Z\)"


@pytest.fixture
def busy(project):
    """A project with a run under way that holds the lock, and what lets it end."""
    p = project(SLOW)
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = p.start("run", "--lock", "wait")
        waiting(p.db, 1)
        yield p, running, lambda: say("select pg_advisory_unlock(7)")
        running.finish().ok()


@pytest.mark.san
def test_fail_names_the_holder(busy):
    p, running, release = busy
    result = p.run("seed", "--lock", "fail").fails(2).says("error 425", "project shop, target dev is locked", "--lock wait")
    held = re.search(HELD % (running.process.pid, re.escape(socket.gethostname()[:30])), result.stdout + result.stderr)
    assert held, result
    release()
    running.finish().ok()
    p.run("build", "--lock", "fail").ok()


@pytest.mark.san
def test_wait_waits_for_its_end(busy):
    p, running, release = busy
    second = p.start("run", "--lock", "wait")
    waiting(p.db, 2)
    release()
    running.finish().ok()
    result = second.finish().ok()
    assert re.search(r"waiting for the lock of project shop, target dev: " + HELD % (running.process.pid, ".*"), result.stdout)


def test_off_runs_beside_it(busy):
    p, _, release = busy
    p.write({"models/other.sql": "select 2 as n"})
    for mode in ["--lock", "off"], []:
        p.run("run", "--select", "other", *mode).ok()
    release()


def test_other_targets_and_projects_have_their_own(busy):
    p, _, release = busy
    p.write({"models/other.sql": "select 2 as n", "profiles.yml": p.profile(schema="elsewhere")})
    p.run("run", "--select", "other", "--lock", "fail").ok()
    release()


def test_the_lock_of_a_killed_command_is_free(project):
    p = project(SLOW)
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = p.start("run", "--lock", "fail")
        waiting(p.db, 1)
        running.signal(signal.SIGKILL)
        running.process.wait()
        say("select pg_advisory_unlock(7)")
    p.run("run", "--lock", "wait").ok()


def test_a_signal_ends_the_wait(busy):
    p, _, release = busy
    second = p.start("run", env={"DEX_LOCK": "wait"})
    waiting(p.db, 2)
    second.signal(signal.SIGINT)
    second.finish(10).fails(130)
    release()


@pytest.mark.parametrize("command", [["operation", "run", "o"], ["run-operation", "m"], ["build"], ["test"], ["snapshot"], ["rehearse"]])
def test_all_commands_that_change_something(busy, command):
    p, _, release = busy
    p.write({"operations/o.sql": "select 1", "macros/m.sql": "{% macro m() %}{% endmacro %}"})
    p.run(*command, "--lock", "fail").fails(2).says("holds it")
    release()


def test_a_holder_that_is_no_dex_lua(project):
    """The same lock taken by hand: what is known of it is said."""
    p = project({"models/m.sql": "{{ config(pre_hook=\"insert into public.l select ((classid::bigint << 32) | objid::bigint) from pg_locks "
                                 "where locktype = 'advisory' and database = (select oid from pg_database where datname = "
                                 "current_database())\") }} select 1 as n"})
    p.db.sql("create table public.l (key bigint)")
    p.run("run", "--lock", "fail").ok()
    key = p.db.rows("select key from public.l")
    assert len(key) == 1
    with session(p.db) as say:
        say(f"select pg_advisory_lock({key[0]}) is null")
        p.run("run", "--lock", "fail").fails(2).says("a session of postgres holds it (process ")


def test_a_lost_session_is_told(project):
    p = project({"models/m.sql": "{{ config(pre_hook=\"select pg_terminate_backend(pid) from pg_stat_activity where application_name like "
                                 "'dex-lua run %' and datname = current_database()\") }} select 1 as n"})
    p.run("run", "--lock", "wait").ok().says("the session that held the command's lock was lost")


def test_deps_has_its_own(project):
    p = project({"packages.yml": "packages: [{local: pkg}]\n", "pkg/dbt_project.yml": "name: pkg\n"})
    p.run("deps", "--lock").ok()
    assert os.path.exists(p.path("package-lock.yml"))
    p.run("run", "--lock", "sometimes").fails(2).says("wait, fail")
