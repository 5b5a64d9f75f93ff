"""The terminal of a prompt is gone, in each state that it may be in: the process ends by itself."""
import os
import signal

import pytest

from program import SLOW
from prompt import Prompt
from test_hook_concurrency import session, waiting

FILES = {"models/orders.sql": "select 1 as id",
         "models/stops.sql": "{{ config(post_hook={'lua': 'h.f'}) }} select 1 as n",
         "hooks/h.lua": "return { f = function(hook) breakpoint() end }"}


def ignoring_hangups(project, *args, **options):
    """A prompt that SIGHUP does not end, as under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        return Prompt(project, *args, **options)
    finally:
        signal.signal(signal.SIGHUP, before)


def hang_up(p):
    """Closes the terminal, and gives the status of the program's own end."""
    os.close(p.master)
    return p.process.wait(20 * SLOW)


@pytest.mark.san
@pytest.mark.parametrize("typed", ["", "half a li", "for i = 1, 2 do\rprint("])
def test_while_a_line_is_typed(project, typed):
    p = ignoring_hangups(project(FILES))
    p.enter("nodes()", "orders")  # nothing else goes on any more
    p.type(typed)
    while not p.line().endswith(typed.split("\r")[-1]):
        p.more()
    hang_up(p)


def test_while_a_query_runs(project):
    p = ignoring_hangups(project(FILES))
    with session(p.project.db) as say:
        assert say("select pg_advisory_lock(7) is null") == "f"
        p.keys("query 'select pg_advisory_lock(7)'")
        p.type("\r")
        waiting(p.project.db, 1)
        os.close(p.master)
        assert say("select pg_advisory_unlock(7)") == "t"
        p.process.wait(20 * SLOW)


def test_while_lua_runs_without_end(project):
    p = ignoring_hangups(project(FILES))
    p.keys("while true do pcall(function() while true do end end) end")
    p.seen = p.screen.row + 1
    p.type("\r")
    while p.screen.row < p.seen:
        p.more()
    hang_up(p)


def test_in_the_place_of_a_node(project):
    p = ignoring_hangups(project(FILES), "--node", "orders", label="orders post_hooks*>")
    p.type("this")
    while p.line() != "orders post_hooks*> this":
        p.more()
    hang_up(p)
    p.project.db.wait_for_nobody()


def test_at_a_breakpoint_of_a_run_from_the_prompt(project):
    p = ignoring_hangups(project(FILES))
    p.keys("run{select = 'stops'}")
    p.type("\r")
    while p.line() != "stops post_hooks>":
        p.more()
    p.type("hoo")
    while p.line() != "stops post_hooks> hoo":
        p.more()
    hang_up(p)
    p.project.db.wait_for_nobody()


def test_a_hangup_ends_it_at_once(project):
    p = Prompt(project(FILES))
    p.type("half a li")
    while p.line() != "dex> half a li":
        p.more()
    assert hang_up(p) in (0, -signal.SIGHUP)
