"""Who hears of a run: those who listen in PostgreSQL, and the events of a run that is cancelled."""
import json
import re
import signal
import subprocess

from postgres import PASSWORD


def test_notify_is_heard(project):
    """notify.postgres, by a session of psql that listens."""
    p = project({"models/a.sql": "{{ config(materialized='table') }} select 1/{{ 1 - var('bad', 0) }} as n",
                 "dbt_project.yml": "name: shop\nprofile: shop\non-run-end: {lua: notify.postgres, args: {channel: builds}}\n"})
    listener = subprocess.Popen([p.db.server.psql_program, "-qAtX", "-h", p.db.server.host, "-p", str(p.db.server.port), "-U",
                                 "postgres", "-d", p.db.name], env={**p.env, "PGPASSWORD": PASSWORD}, text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        listener.stdin.write("listen builds;\nselect 'listening';\n")
        listener.stdin.flush()
        assert listener.stdout.readline() == "listening\n"
        p.run("run").ok()
        p.run("run", "--vars", "bad: 1").fails(1)
        output = listener.communicate("select 'done';\n", timeout=30)[0]
    finally:
        listener.kill()
        listener.wait()
    told = [json.loads(text) for text in re.findall(r'notification "builds" with payload "(.*)" received', output)]
    assert [(one["command"], one["target"], one["total"], one["failed"]) for one in told] == [
        ("run", "dev", 1, 0), ("run", "dev", 1, 1)]
    assert len({one["run_id"] for one in told}) == 2


LISTENING = """
local M = { on = {} }
function M.on.cancel(hook) hook:exec("insert into public.heard values ($1)", "cancel " .. tostring(hook.event.signal)) end
function M.on.run_end(hook) hook:exec("insert into public.heard values ($1)", "run_end " .. hook.event.total) end
function M.on.flow_end(hook) hook:exec("insert into public.heard values ('flow_end')") end
return M
"""


def test_a_cancelled_run_is_heard(project):
    p = project({"models/slow.sql": "select pg_sleep(120)::text as s", "hooks/listen.lua": LISTENING,
                 "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {+materialized: table}\non-run-end: \"insert into public.heard values ('hook')\"\n"})
    p.db.sql("create table public.heard (what text)")
    running = p.start("run")
    p.db.wait_for_query("pg_sleep(120)")
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    heard = p.db.rows("select what from public.heard")
    assert len(heard) == 2 and heard[0].startswith("cancel ") and heard[1] == "run_end 1", heard
    assert p.db.relations() == []
