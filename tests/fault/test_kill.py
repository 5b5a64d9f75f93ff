"""The program is killed, or its connections are: nothing half built stays, and the next run works."""
import random
import signal
import time

import pytest

FILES = {
    "seeds/raw.csv": "n\n" + "".join(f"{i}\n" for i in range(100)),
    "models/t.sql": "{{ config(materialized='table', post_hook=['create index on {{ this }} (n)', 'select pg_sleep({{ var(\"hook\", 0) }})']) }}"
                    " select n, {{ var('v', 1) }} as v, pg_sleep({{ var('s', 0) }})::text as s from {{ ref('raw') }} limit 1",
    "models/v.sql": "select n, v, {{ var('v', 1) }} as w from {{ ref('t') }}",
    "models/last.sql": "{{ config(materialized='table') }} select count(*) as c from {{ ref('v') }}",
}
STATE = "select (select v from dev.t), (select w from dev.v), (select c from dev.last), (select count(*) from dev.raw)"


def check_nothing_half_built(p):
    assert p.db.rows("select relname from pg_class where relname like '%\\_\\_dbt%'") == [], "half built"


def end_backends(p):
    """What the server does when it notices that a client is gone, which takes it as long as the statement."""
    p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()")
    p.db.wait_for_nobody()


@pytest.mark.parametrize("variables, query", [
    ("{v: 2, s: 60}", "pg_sleep(60)"),
    ("{v: 2, hook: 60}", "pg_sleep(60)"),
])
def test_kill_in_the_middle_of_a_node(project, variables, query):
    p = project(FILES)
    p.run("build").ok()
    before = p.db.rows(STATE)
    running = p.start("build", "--vars", variables)
    p.db.wait_for_query(query)
    running.signal(signal.SIGKILL)
    assert running.process.wait() == -signal.SIGKILL
    end_backends(p)
    assert p.db.rows(STATE) == before
    check_nothing_half_built(p)
    p.run("build", "--vars", "v: 3").ok()
    assert p.db.rows(STATE) == ["3|3|1|100"]


@pytest.mark.parametrize("seed", range(6))
def test_kill_at_a_random_instant(project, seed):
    """Each relation is as before or as new, never between."""
    p = project(FILES)
    p.run("build").ok()
    instant = random.Random(seed).uniform(0, 0.25)
    running = p.start("build", "--vars", "v: 2")
    time.sleep(instant)  # the instant is what is tested
    running.signal(signal.SIGKILL)
    running.process.wait()
    end_backends(p)
    t, w, c, n = p.db.rows(STATE)[0].split("|")
    assert t in "12" and w in "12" and c == "1" and n == "100"
    check_nothing_half_built(p)
    assert not p.leftovers() or all(name.endswith(".tmp") for name in p.leftovers())
    for name in p.leftovers():  # of the process that was killed: the only one that may leave them
        p.write({name: None})
    p.run("build", "--vars", "v: 3").ok()
    assert p.db.rows(STATE) == ["3|3|1|100"]
    for name in "manifest", "run_results", "hook_results":
        p.artifact(name)


@pytest.mark.san
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("seed", range(6))
def test_signal_at_a_random_instant(project, number, seed):
    """Whenever it comes, the program ends soon, in order, with the signal's status or as if it had not come."""
    p = project(FILES)
    p.run("build").ok()
    instant = random.Random(seed + number).uniform(0, 0.2)
    running = p.start("build", "--vars", "{v: 2, s: 0.05}")
    time.sleep(instant)  # the instant is what is tested
    running.signal(number)
    result = running.finish(20)
    # before the handlers are there the system ends it
    assert result.status in (0, 128 + number, -number), result
    check_nothing_half_built(p)
    p.run("build", "--vars", "v: 3").ok()
    assert p.db.rows(STATE) == ["3|3|1|100"]


@pytest.mark.san
def test_a_terminated_backend(project):
    """The node whose connection is ended fails; the others go on with other connections."""
    p = project({**FILES, "models/other.sql": "select 1 as n", "models/after.sql": "select n from {{ ref('other') }}"})
    running = p.start("build", "--vars", "s: 60")
    p.db.wait_for_query("pg_sleep(60)")
    p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(60)%' and pid <> pg_backend_pid() "
             "and datname = current_database()")
    result = running.finish(20).fails(1).says("terminating connection")
    assert result.statuses["t"] == "error" and result.statuses["v"] == "skipped" and result.statuses["after"] == "success"
    check_nothing_half_built(p)
    p.run("build").ok()


@pytest.mark.san
@pytest.mark.parametrize("place", ["hook", "run hook", "operation", "test"])
def test_a_backend_that_ends_elsewhere(project, place):
    suicide = "select pg_terminate_backend(pg_backend_pid())"
    p = project({"models/m.sql": "{{ config(materialized='table', post_hook=var('hook', 'select 1')) }} select 1 as n",
                 "models/next.sql": "select n from {{ ref('m') }}",
                 "operations/o.sql": "create table public.o as select 1 as n; " + suicide,
                 "tests/t.sql": "{{ config(enabled=var('test', false)) }} " + suicide + " from {{ ref('m') }}",
                 "dbt_project.yml": "name: shop\nprofile: shop\non-run-end: [\"{{ var('end', 'select 1') }}\"]\n"})
    command = {"hook": ["run", "--vars", f"{{hook: {suicide}}}"], "run hook": ["run", "--vars", f"{{end: {suicide}}}"],
               "operation": ["operation", "run", "o"], "test": ["build", "--vars", "test: true"]}[place]
    result = p.run(*command).fails(1).says("terminating connection due to administrator command")
    if place == "hook":
        assert result.statuses["m"] == "error" and p.db.relations() == []
    if place == "operation":
        assert p.db.relations("public") == []
    p.run("build").ok()


@pytest.mark.san
def test_the_server_is_restarted_in_the_middle(project, postgres):
    p = project({**FILES, "models/z.sql": "{{ config(materialized='table') }} select 1 as n from {{ ref('raw') }}"})
    p.run("build").ok()
    before = p.db.rows(STATE)
    running = p.start("build", "--vars", "{v: 2, s: 60}")
    p.db.wait_for_query("pg_sleep(60)")
    postgres.stop()
    postgres.start()
    result = running.finish(30).fails(1)
    assert result.statuses["t"] == "error" and result.statuses["last"] == "skipped"
    assert p.db.rows(STATE)[0].split("|")[0] == before[0].split("|")[0]
    check_nothing_half_built(p)
    p.run("build", "--vars", "v: 3").ok()
    assert p.db.rows(STATE) == ["3|3|1|100"]


def test_the_server_crashes_in_the_middle(project, postgres):
    p = project(FILES)
    p.run("build").ok()
    running = p.start("build", "--vars", "{v: 2, s: 60}")
    p.db.wait_for_query("pg_sleep(60)")
    postgres.stop(signal.SIGQUIT)
    result = running.finish(30).fails(1)
    assert result.statuses["t"] == "error"
    postgres.start()
    check_nothing_half_built(p)
    p.run("build", "--vars", "v: 3").ok()


def test_no_more_connections(project):
    """The server takes fewer connections than there are threads: the run makes do with those."""
    files = {f"models/m{i}.sql": "select pg_sleep(0.05)::text as n" for i in range(12)}
    p = project({**files, "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {+materialized: table}\n"}, threads=8)
    p.db.role("few")
    p.db.sql(f"alter role few login connection limit 2; grant create on database {p.db.name} to few")
    p.write({"profiles.yml": p.profile(user="few")})
    p.run("run").ok()
    assert len(p.db.relations()) == 12


def test_a_lock_that_somebody_holds(project):
    """A table that is locked by another session: the run waits, and ends when the other ends."""
    p = project(FILES)
    p.run("build").ok()
    import subprocess
    server = p.db.server
    with subprocess.Popen([server.psql_program, "-XAtq", "-h", server.host, "-p", str(server.port), "-U", "postgres", "-d",
                           p.db.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        other.stdin.write("begin; lock table dev.t; select 'locked';\n")
        other.stdin.flush()
        assert other.stdout.readline().strip() == "locked"
        running = p.start("build", "--vars", "v: 2")
        p.db.wait("exists (select from pg_locks where not granted)")
        assert running.process.poll() is None
        other.stdin.write("commit;\n")
        other.stdin.close()
        running.finish().ok()
    assert p.db.rows("select v from dev.t") == ["2"]
