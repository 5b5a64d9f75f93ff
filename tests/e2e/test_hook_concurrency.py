"""Commands at the same time: two processes and one database."""
import contextlib
import subprocess

import pytest

SUM = "select id || ':' || n from public.t order by id"


@contextlib.contextmanager
def session(db):
    """A session of psql: a function that runs SQL in it and gives its one line."""
    server = db.server
    with subprocess.Popen([server.psql_program, "-XAtq", "-h", server.host, "-p", str(server.port), "-U", "postgres", "-d",
                           db.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
        def say(sql):
            psql.stdin.write(sql + ";\n")
            psql.stdin.flush()
            return psql.stdout.readline().strip()
        yield say
        psql.stdin.close()


def waiting(db, count):
    """Waits until so many sessions wait for an advisory lock."""
    db.wait(f"(select count(*) from pg_locks where locktype = 'advisory' and not granted) = {count}")


GATE = "select pg_advisory_xact_lock_shared(7)"


def updating(first, second):
    return ("{{ config(materialized='table', pre_hook=\"update public.t set n = n + 1 where id = " + str(first) + "\", post_hook=[\""
            + GATE + "\", \"update public.t set n = n + 1 where id = " + str(second) + "\"]) }} select 1 as n")


@pytest.mark.parametrize("ledger", ["false", "true"])
def test_two_processes_in_a_deadlock(project, ledger):
    """Each transaction is done once, hooks included, though one of them was undone by the server."""
    files = {"dbt_project.yml": f"name: shop\nprofile: shop\nledger: {ledger}\n"}
    p = project({**files, "models/a.sql": updating(1, 2)})
    q = project({**files, "models/b.sql": updating(2, 1), "models/c.sql": "select n from {{ ref('b') }}"})
    p.db.sql("create table public.t (id int primary key, n int); insert into public.t values (1, 0), (2, 0)")
    with session(p.db) as say:
        assert say("select pg_advisory_lock(7) is null") == "f"
        running = [p.start("run"), q.start("run")]
        waiting(p.db, 2)
        assert say("select pg_advisory_unlock(7)") == "t"
        results = [one.finish().ok() for one in running]
    assert p.db.rows(SUM) == ["1:2", "2:2"]
    tries = {name: one["adapter_response"].get("tries") for result in results for one in result.results
             for name in [one["unique_id"].split(".")[-1]]}
    assert sorted(tries[name] or 1 for name in "ab") == [1, 2] and tries["c"] is None
    loser = results[0] if tries["a"] else results[1]
    loser.says("a deadlock, its transaction is repeated (1 of 5)")
    assert [hook["try"] for hook in loser.hooks if hook["node"]] == [None, None, None, 2, 2, 2]
    assert [hook["status"] for hook in loser.hooks] == ["success", "success", "error", "success", "success", "success"]
    if ledger == "true":
        done = p.db.rows("select split_part(node, '.', 3) || ' ' || hook from dev.dex_ledger order by 1")
        assert done == [f"{name} {hook}" for name in "ab" for hook in ("commit", "post_hooks:1", "post_hooks:2", "pre_hooks:1")] + ["c commit"]


def test_a_deadlock_at_the_limit(project):
    """Without further tries the node fails with the server's words."""
    files = {"dbt_project.yml": "name: shop\nprofile: shop\ntransaction-retries: 0\n"}
    p, q = project({**files, "models/a.sql": updating(1, 2)}), project({**files, "models/b.sql": updating(2, 1)})
    p.db.sql("create table public.t (id int primary key, n int); insert into public.t values (1, 0), (2, 0)")
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = [p.start("run"), q.start("run")]
        waiting(p.db, 2)
        say("select pg_advisory_unlock(7)")
        results = [one.finish() for one in running]
    assert sorted(result.status for result in results) == [0, 1]
    loser = next(result for result in results if result.status)
    loser.says("post-hook 2 of model", "deadlock detected")
    assert p.db.rows(SUM) == ["1:1", "2:1"]


@pytest.mark.parametrize("setting", ["-1", "many", "1.5"])
def test_a_limit_that_is_none(project, setting):
    p = project({"models/m.sql": "select 1 as n", "dbt_project.yml": f"name: shop\nprofile: shop\ntransaction-retries: {setting}\n"})
    p.run("run").fails(2).says("dbt_project.yml:3", "transaction-retries must be a whole number from 0 to 100")


@pytest.mark.san
def test_a_serialization_failure(project):
    """Another session changes the row that the node's snapshot holds, at the first try only."""
    p = project({"models/m.sql": "{{ config(materialized='table', pre_hook=['set transaction isolation level serializable', "
                                 "'select sum(n) from public.t', \"" + GATE + "\"], post_hook='update public.t set n = n + 10') }}"
                                 " select sum(n) as n from public.t"})
    p.db.sql("create table public.t (id int primary key, n int); insert into public.t values (1, 0)")
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = p.start("run")
        waiting(p.db, 1)
        p.db.sql("update public.t set n = n + 1")
        say("select pg_advisory_unlock(7)")
        result = running.finish().ok().says("a serialization failure, its transaction is repeated (1 of 5)")
    assert p.db.rows(SUM) == ["1:11"] and p.db.rows("select n from dev.m") == ["1"]
    assert result.results[0]["adapter_response"]["tries"] == 2


def test_a_serialization_failure_at_the_commit(project):
    """Write skew is found out by the server when the second one commits."""
    p = project({"models/m.sql": "{{ config(materialized='table', pre_hook='set transaction isolation level serializable', post_hook="
                                 "[\"insert into public.t select 2, sum(n) from public.t\", \"" + GATE + "\"]) }} select 1 as n"})
    p.db.sql("create table public.t (id int, n int); insert into public.t values (1, 1)")
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        running = p.start("run")
        waiting(p.db, 1)
        p.db.sql("begin isolation level serializable; insert into public.t select 3, sum(n) from public.t; commit")
        say("select pg_advisory_unlock(7)")
        running.finish().ok().says("a serialization failure, its transaction is repeated (1 of 5)")
    assert p.db.rows("select id || ':' || n from public.t order by id") == ["1:1", "2:2", "3:1"]


def test_what_no_second_try_mends_is_not_repeated(project):
    p = project({"models/m.sql": "{{ config(pre_hook=\"do $$ begin raise exception 'no' using errcode = 'XX000'; end $$\") }} select 1 as n"})
    result = p.run("run").fails(1).says("no")
    assert "repeated" not in result.stdout and len(result.hooks) == 1


def test_a_change_of_the_same_object(project):
    """Two changes of one row of a catalogue, which PostgreSQL reports as an internal error, of a name that it has no code for."""
    p = project({"models/m.sql": "{{ config(materialized='table', pre_hook='lua: h.run') }} select 1 as n",
                 "hooks/h.lua": """local tries = 0
return { run = function(hook)
  tries = tries + 1
  hook:exec("create table public.try_" .. tries .. " ()")
  if tries < 3 then
    hook:exec("do $$ begin raise exception 'tuple concurrently updated' using errcode = 'XX000'; end $$")
  end
end }
"""})
    p.run("run").ok().says("(2 of 5)")
    assert p.db.relations("public") == ["try_3 table"]


def test_the_command_is_cancelled_between_two_tries(project):
    """The failure of the node stands, and the command ends at once."""
    p = project({"models/m.sql": "{{ config(pre_hook=\"do $$ begin perform nextval('public.s'); raise exception 'x' using errcode = '40P01'; "
                                 "end $$\") }} select 1 as n",
                 "dbt_project.yml": "name: shop\nprofile: shop\ntransaction-retries: 100\n"})
    p.db.sql("create sequence public.s")
    running = p.start("run")
    p.db.wait("(select last_value from public.s) >= 5")
    running.signal(2)
    running.finish(10).fails(130)
    assert p.db.relations() == []


@pytest.mark.parametrize("inside", [True, False])
def test_hooks_with_one_lock_never_meet(project, inside):
    """Two processes, the same key: the second hook waits until the first one's transaction, or the hook itself, has ended."""
    def files(name):
        body = ["insert into public.out values ('" + name + " begins')", "select pg_advisory_lock_shared(7)",
                "insert into public.out values ('" + name + " ends')"]
        lua = "return { run = function(hook) " + " ".join(f'hook:query("{line}")' for line in body) + " end }\n"
        return {f"models/{name}.sql": "{{ config(materialized='table', post_hook={'lua': 'h.run', 'lock': 'the key', 'transaction': "
                + str(inside).lower() + "}) }} select 1 as n", "hooks/h.lua": lua}
    p, q = project(files("a")), project(files("b"))
    p.db.sql("create table public.out (what text)")
    with session(p.db) as say:
        say("select pg_advisory_lock(7) is null")
        first = p.start("run")
        waiting(p.db, 1)  # inside its hook
        second = q.start("run")
        waiting(p.db, 2)  # for the key
        assert p.db.rows("select what from public.out") == ([] if inside else ["a begins"])
        say("select pg_advisory_unlock(7)")
        first.finish().ok()
        second.finish().ok()
    assert p.db.rows("select what from public.out") == ["a begins", "a ends", "b begins", "b ends"]
