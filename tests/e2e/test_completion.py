"""Completion of command lines, in the shells' own way and as they ask for it."""
import subprocess

import pytest

from program import BINARY

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\n",
    "models/orders.sql": "{{ config(tags=['nightly']) }} select 1 as n",
    "models/order_lines.sql": "select 1 as n",
    "models/shop.yml": "sources: [{name: raw, tables: [{name: lines}]}]",
    "operations/tidy/vacuum_all.sql": "select 1",
    "macros/m.sql": "{% macro my_macro() %}{% endmacro %}",
    "selectors.yml": "selectors: [{name: hourly, definition: orders}]",
}


@pytest.fixture
def words(project):
    p = project(FILES)
    p.run("parse").ok()

    def ask(*line):
        out = p.run("completion", "words", "--", *line).ok().stdout
        return [row.split("\t")[0] for row in out.splitlines()]
    ask.project = p
    return ask


def test_commands_and_options(words):
    assert words("comp") == ["compile", "completion"]
    assert {"build", "ls", "list", "docs", "operation"} <= set(words(""))
    assert words("run", "--full") == ["--full-refresh"]
    assert words("--target", "x", "run", "--no-pr") == ["--no-print"]
    assert "--static-parser" not in words("run", "--")
    assert words("nothing", "--") == []


def test_values(words):
    assert words("build", "--indirect-selection", "c") == ["cautious"]
    assert words("build", "--indirect-selection=c") == ["--indirect-selection=cautious"]
    assert words("run", "--resource-type", "model", "se") == ["seed", "semantic_model"]
    assert words("run", "--project-dir", "") == []
    assert words("run", "-t", "") == ["dev"]


def test_names(words):
    assert words("run", "-s", "ord") == ["order_lines", "orders"]
    assert words("run", "--select", "orders", "+order_") == ["+order_lines"]
    assert words("run", "--exclude", "orders,tag:n") == ["orders,tag:nightly"]
    assert words("ls", "-s", "source:r") == ["source:raw.lines"]
    assert words("run", "--selector", "") == ["hourly"]
    assert words("operation", "") == ["ls", "run", "show"]
    assert words("operation", "run", "t") == ["tidy/vacuum_all"]
    assert words("run-operation", "my") == ["my_macro"]
    assert words("help", "sel") == ["selection"]
    words.project.write({"models/other.sql": "select 1 as n"}).run("parse").ok()
    assert words("run", "-s", "oth") == ["other"]
    words.project.write({"flows/nightly.yml": "nodes: [{name: a, script: ls}]"}).run("flow ls").ok()
    assert words("flow", "run", "n") == ["nightly"] and words("flow", "run", "nightly", "") == []
    assert {"ls", "next", "rerun"} <= set(words("flow", ""))


def test_no_project_no_names(project):
    p = project({})
    assert p.run("completion words -- run -s ord").ok().stdout == ""
    assert "build" in p.run("completion", "words", "--", "bu", cwd="/").ok().stdout


def in_bash(p, line):
    script = (f'export PATH; dex-lua() {{ "{BINARY}" "$@"; }}; source <(dex-lua completion bash); COMP_LINE="{line}" '
              'COMP_POINT=${#COMP_LINE}; _dex_lua; printf "%s\\n" "${COMPREPLY[@]}"')
    out = subprocess.run(["bash", "-c", script], cwd=p.dir, env=p.env, capture_output=True, text=True, check=True)
    assert not out.stderr
    return out.stdout.split()


def test_bash(words):
    p = words.project
    assert in_bash(p, "dex-lua ru") == ["run", "run-operation"]
    assert in_bash(p, "dex-lua run -s ") and "orders" in in_bash(p, "dex-lua run -s ")
    assert in_bash(p, "dex-lua run -s tag:n") == ["nightly"], "what stands before the colon is on the line"
    assert in_bash(p, "dex-lua build --indirect-selection=c") == ["cautious"]
    assert in_bash(p, "dex-lua run --nothing") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(project, shell):
    p = project({})
    text = p.run("completion", shell).ok().stdout
    assert "completion words --" in text
    p.run("completion", "tcsh").fails(2).says("bash, zsh or fish")
