"""Ctrl-C and SIGTERM: queries are cancelled on the server and rolled back, results written, the status says it."""
import os
import signal
import time

import pytest

from terminal import Terminal

SLOW = {
    "models/first.sql": "{{ config(materialized='table') }} select 1 as n",
    "models/slow.sql": "{{ config(materialized='table') }} select n, pg_sleep(120)::text as s from {{ ref('first') }}",
    "models/slow2.sql": "{{ config(materialized='table') }} select n, pg_sleep(120)::text as s from {{ ref('first') }}",
    "models/below.sql": "select * from {{ ref('slow') }}",
}


@pytest.mark.san
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal(project, number, status):
    p = project(SLOW)
    running = p.start("run")
    p.db.wait_for_query("pg_sleep(120)", 2)
    running.signal(number)
    result = running.finish(20).fails(status).says("Cancelled", "1 ok")
    p.db.wait_for_nobody(2)
    assert p.db.relations() == ["first table"]
    assert result.statuses == {"first": "success", "slow": "skipped", "slow2": "skipped", "below": "skipped"}
    assert p.exists("target/manifest.json") and p.exists("target/hook_results.json")


def test_the_previous_table_stays(project):
    p = project({"models/m.sql": "{{ config(materialized='table') }} select 1 as n, pg_sleep({{ var('s', 0) }})::text as s"})
    p.run("run").ok()
    before = p.db.rows("select 'dev.m'::regclass::oid")
    running = p.start("run", "--vars", "s: 120")
    p.db.wait_for_query("pg_sleep(120)")
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    assert p.db.rows("select 'dev.m'::regclass::oid") == before
    p.run("run").ok()


def test_the_second_signal_ends_at_once(project):
    """The server takes its time to cancel: the first signal waits for it, the second does not."""
    p = project({"models/m.sql": "{{ config(materialized='table') }} select stubborn() as n"})
    p.db.sql("""create function stubborn() returns int language plpgsql as $$
        begin
          for i in 1..600 loop
            begin
              perform pg_sleep(0.1);
            exception when query_canceled then
              null;
            end;
          end loop;
          return 1;
        end $$""")
    running = p.start("run")
    p.db.wait_for_query("stubborn()")
    running.signal(signal.SIGINT)
    deadline = time.monotonic() + 20
    while "cancelling" not in "".join(running.output()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert running.process.poll() is None
    started = time.monotonic()
    running.signal(signal.SIGINT)
    running.finish(5).fails(130)
    assert time.monotonic() - started < 2
    p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%stubborn()%' and "
             "pid <> pg_backend_pid() and datname = current_database()")
    p.db.wait_for_nobody()
    assert p.db.relations() == []


def test_a_seed_is_cancelled(project):
    """The table is locked by somebody else: COPY never begins."""
    p = project({"seeds/s.csv": "n\n1\n"})
    p.run("seed").ok()
    p.db.sql("create function hold() returns trigger language plpgsql as $$ begin perform pg_sleep(120); return new; end $$;"
             "create trigger hold before insert on dev.s for each row execute function hold()")
    p.write({"seeds/s.csv": "n\n2\n"})
    running = p.start("seed")
    p.db.wait("exists (select from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database() "
              "and application_name = 'dex-lua')")
    running.signal(signal.SIGTERM)
    running.finish(20).fails(143)
    p.db.wait_for_nobody(2)
    assert p.db.rows("select * from dev.s") == ["1"]


@pytest.mark.san
def test_hooks_of_a_cancelled_node(project):
    """A waiting Lua hook is ended; on-run-end does not run; `always` hooks of the node do."""
    p = project({
        "dbt_project.yml": "name: shop\nprofile: shop\non-run-end: \"create table dev.ended as select 1 as n\"\n",
        "models/m.sql": """{{ config(materialized='table', post_hook='lua: waits.forever',
            always="create table if not exists dev.seen as select 1 as n") }} select 1 as n""",
        "hooks/waits.lua": """
            local waits = {}
            function waits.forever(hook)
              hook:exec("select 'hook waits'")
              hook:exec("select pg_sleep(120)")
            end
            return waits
            """,
    })
    running = p.start("run")
    p.db.wait_for_query("pg_sleep(120)")
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    assert p.db.relations() == ["seen table"]


def test_a_sleeping_lua_hook_is_ended(project):
    p = project({
        "models/m.sql": "{{ config(materialized='table', pre_hook='lua: waits.asleep') }} select 1 as n",
        "hooks/waits.lua": """
            local waits = {}
            function waits.asleep(hook)
              hook:exec("select 'asleep now'")
              hook:sleep(120)
            end
            return waits
            """,
    })
    running = p.start("run")
    p.db.wait("exists (select from pg_stat_activity where datname = current_database() and query like '%asleep now%' "
              "and state like 'idle%' and pid <> pg_backend_pid())")
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    assert p.db.relations() == []


def test_an_operation_is_cancelled(project):
    p = project({"operations/slow.sql": "create table public.made as select 1 as n; select pg_sleep(120)"})
    running = p.start("operation run slow")
    p.db.wait_for_query("pg_sleep(120)")
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    assert p.db.relations("public") == []


@pytest.mark.parametrize("command", ["compile", "show --select m"])
def test_commands_that_look_are_ended_too(project, command):
    p = project({"models/m.sql": "{% set x = run_query('select pg_sleep(120)') if execute %} select 1 as n"})
    running = p.start(command)
    p.db.wait_for_query("pg_sleep(120)")
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    p.db.wait_for_nobody(2)


def test_a_signal_while_waiting_for_the_server(project):
    """A server that accepts and never answers."""
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        p = project({"models/m.sql": "select 1 as n"})
        p.write({"profiles.yml": p.profile(host="127.0.0.1", port=s.getsockname()[1], connect_timeout=60)})
        running = p.start("run")
        connection, _ = s.accept()
        with connection:
            assert connection.recv(8)
            running.signal(signal.SIGINT)
            running.finish(20).fails(130)


def test_ctrl_c_on_a_terminal(project):
    p = project(SLOW)
    terminal = Terminal(p, "run")
    p.db.wait_for_query("pg_sleep(120)", 2)
    terminal.read_until("run    model")
    terminal.type("\x03")
    result = terminal.finish().fails(130)
    text = terminal.screen.text()
    assert "Cancelled in" in text and "2 cancelled" in text and "run    model" not in text
    assert result.statuses["first"] == "success"


def test_the_process_group_gets_it_once(project):
    """A shell's Ctrl-C reaches every process of the group: helpers of the program must not count it twice."""
    p = project(SLOW)
    running = p.start("run")
    p.db.wait_for_query("pg_sleep(120)", 2)
    os.killpg(running.process.pid, signal.SIGINT)
    result = running.finish(20).fails(130)
    assert result.statuses["first"] == "success"
