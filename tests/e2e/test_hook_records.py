"""hook_results.json: each record is written as its hook ends, and the file takes its place when the run has ended."""
import os
import signal

import pytest

# Each record is some 4 kB, its hook in the manifest a few bytes.
MANY = {"models/m.sql": """{{ config(materialized='table',
  post_hook=["select '{{ 'x' * 4000 }}' as t"] * 200 + ["{{ var('last', '') }}"]) }}
  select 1 as n"""}


def beside(p):
    """What else has the file's name: nothing may be left."""
    return [name for name in os.listdir(p.path("target")) if name.startswith("hook_results.json.")]


def test_each_hook_has_its_record_in_order(project):
    p = project(MANY)
    result = p.run("run").ok().says("Hooks that ran: 201", "and 201 more that succeeded")
    assert [r["index"] for r in result.hooks] == list(range(1, 202))
    assert len(p.read("target/hook_results.json")) > 2 * 65536, "more than is written in one go"
    assert beside(p) == []


def test_what_failed_is_named_among_many(project):
    p = project(MANY)
    result = p.run("run", "--vars", "{last: 'select 1 / 0'}").fails(1)
    result.says("Hooks that ran: 201", "and 200 more that succeeded")
    shown = [line for line in result.stdout.splitlines() if line.strip().startswith("ERROR") and "post_hooks" in line]
    assert len(shown) == 1 and result.hooks[-1]["status"] == "error"


def test_killed_in_the_middle(project):
    p = project(MANY)
    p.run("run").ok()
    before = p.read("target/hook_results.json")
    running = p.start("run", "--vars", "{last: 'select pg_sleep(300)'}")
    p.db.wait_for_query("select pg_sleep(300)")
    running.signal(signal.SIGKILL)
    running.finish()
    p.db.sql("select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(300)%' and pid <> pg_backend_pid()")
    assert p.read("target/hook_results.json") == before, "the whole one of the run before"
    assert beside(p) == []
    assert len(p.run("run").ok().hooks) == 201


@pytest.mark.parametrize("limit", [1200, 1620])
def test_a_disk_that_is_full(project, limit):
    """In the middle of the records, and at their end: the run is done, its file is the old one, and that is told."""
    p = project(MANY)
    p.run("run").ok()
    before = p.read("target/hook_results.json")
    wrap = ["sh", "-c", f"trap '' XFSZ; ulimit -f {limit}; exec \"$0\" \"$@\""]
    p.run("run --log-level-file none --no-partial-parse", wrap=wrap).fails(2).says("hook_results.json", "cannot write the file")
    assert p.read("target/hook_results.json") == before and beside(p) == []


def test_without_artifacts(project):
    p = project({"models/m.sql": "{{ config(post_hook='select 1') }} select 1 as n"})
    p.run("run").ok()
    before = p.read("target/hook_results.json")
    p.run("run --no-write-json").ok().says("Hooks that ran: 1")
    p.run("hooks run m --no-write-json").ok()
    assert p.read("target/hook_results.json") == before


def test_a_command_without_hooks_has_no_records(project):
    """What stands in the file is of the command whose run_results.json is beside it."""
    p = project({"models/m.sql": "{{ config(post_hook='select 1') }} select 1 as n"})
    assert len(p.run("run").ok().hooks) == 1
    assert p.run("compile").ok().hooks == []


def test_a_secret_of_one_letter(project):
    """It stands in numbers and names of keys, too: texts are masked, and the file is still JSON."""
    p = project({"models/m.sql": "{{ config(post_hook=\"select '1s' as n\") }} select 1 as n"})
    result = p.run("run", env={"DBT_ENV_SECRET_A": "1", "DBT_ENV_SECRET_B": "s"}).ok()
    record = result.hooks[0]
    assert "1" not in record["sql"] and record["index"] == 1 and record["seconds"] > 0
