"""What a person sees on a terminal: live lines, colours, widths."""
import re

import pytest

from terminal import Terminal

FILES = {
    "models/quick.sql": "select 1 as n",
    "models/slow.sql": "{{ config(materialized='table') }} select pg_sleep({{ var('s', 0) }})::text as n",
    "models/bad.sql": "{{ config(materialized='table') }} select 1/{{ var('by', 1) }} as n",
}


@pytest.mark.san
def test_live_lines_come_and_go(project):
    p = project(FILES)
    p.db.sql("select pg_advisory_lock(1)")
    terminal = Terminal(p, "run", "--vars", "s: 1")
    screen = terminal.read_until("run    model   dev.slow")
    assert re.search(r"run    model   dev\.slow +\d\.\ds", screen)
    terminal.finish().ok()
    screen = terminal.screen.text()
    assert "run    model" not in screen and "Done in" in screen
    assert len(re.findall(r"^  [123]/3  ok +model", screen, re.M)) == 3
    assert "\x1b[32m" in terminal.raw, "in colour"


def test_the_screen_is_what_a_pipe_would_get(project):
    p = project(FILES)
    p.run("run").ok()
    terminal = Terminal(p, "run", "--vars", "by: 0")
    terminal.finish().fails(1)
    piped = p.run("run", "--vars", "by: 0").fails(1).stdout

    def lines(text):  # the order of nodes is their own
        return sorted(re.sub(r"\d+\.\d\ds|\d/3", "", line).strip() for line in text.splitlines())
    assert lines(terminal.screen.text()) == lines(piped)


@pytest.mark.parametrize("columns", [40, 72, 200])
def test_width(project, columns):
    p = project({**FILES, "models/a_model_with_a_name_that_is_really_rather_long_for_a_terminal.sql": "select 1 as n"})
    terminal = Terminal(p, "run", "--vars", "s: 0.3", columns=columns)
    terminal.finish().ok()
    plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", terminal.raw).replace("\r", "")
    rows = [line for line in plain.splitlines() if "model  " in line]
    assert rows and max(map(len, rows)) <= columns


def test_no_colour(project):
    p = project(FILES)
    terminal = Terminal(p, "run", env={"NO_COLOR": "1"})
    terminal.finish().ok()
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.raw)


def test_dumb_terminal(project):
    p = project(FILES)
    terminal = Terminal(p, "run", env={"TERM": "dumb"})
    terminal.finish().ok()
    assert "\x1b" not in terminal.raw


def test_log_lines_stand_above_the_live_part(project):
    p = project({**FILES, "models/slow.sql": "{{ log('hello from a model', info=true) if execute }}"
                 "{{ config(materialized='table') }} select pg_sleep(0.5)::text as n"})
    terminal = Terminal(p, "run")
    terminal.finish().ok()
    assert "hello from a model" in terminal.screen.text() and "run    model" not in terminal.screen.text()


def test_control_characters_of_data_do_not_reach_the_terminal(project):
    p = project(FILES)
    terminal = Terminal(p, "show", "--inline", "select E'\\x1b[31mred\\x07' as a")
    terminal.finish().ok()
    assert "\x1b[31m" not in terminal.raw and "\x07" not in terminal.raw
