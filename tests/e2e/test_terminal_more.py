"""More of the terminal: estimates, narrow screens, warnings of hooks, the command that runs a node again."""
import re

import pytest

from terminal import Terminal

SLOW = {"models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(0.7)::text as n"}


def test_estimate(project):
    p = project(SLOW)
    p.run("run").ok()
    terminal = Terminal(p, "run")
    terminal.read_until("0 of 1 done, about 1s left")
    terminal.finish().ok()
    assert "left" not in terminal.screen.text()


def test_first_line_wraps(project):
    terminal = Terminal(project(SLOW), "run", columns=40)
    terminal.finish().ok()
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", terminal.raw).replace("\r", "")
    assert max(map(len, plain.splitlines())) <= 40


def test_a_hook_that_warned(project):
    p = project({"models/a.sql": "{{ config(post_hook='lua: h.f') }} select 1 as n",
                 "hooks/h.lua": "return { f = function(hook) hook:warn('watch out') end }"})
    result = p.run("run").ok()
    assert re.search(r"^  WARN +post_hooks", result.stdout, re.M)
    assert result.hooks[0]["status"] == "success"


@pytest.mark.parametrize("options, again", [
    ("", "run again: dex-lua run --select a\n"),
    ("--target dev --vars '{x: it''s}'", "run again: dex-lua run --select a --target dev --vars '{x: its}'\n"),
])
def test_run_again(project, options, again):
    project({"models/a.sql": "select 1/0 as n from nothing"}).run(f"run {options}").fails(1).says(again)
