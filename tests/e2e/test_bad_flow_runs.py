"""Runs of flows with one mistake each: all that a person sees of it."""
import pytest

import bad
from bad import Case
from flows import flow

OK = {"a": {"script": ["true"]}}
FLOW = {"flows/f.yml": flow(OK, parameters={"day": {"type": "date", "required": True}, "n": "integer"})}


def one(name, node, command="flow run f", status=1, files=None, **more):
    return Case(name, {"flows/f.yml": flow({"a": node}, **more), **(files or {})}, command, status)


CASES = [
    Case("flow_run_unknown", FLOW, "flow run g"),
    Case("flow_run_no_name", FLOW, "flow run"),
    Case("flow_run_action", FLOW, "flow rum f"),
    Case("flow_run_words", FLOW, "flow run f day=2026-01-31"),
    Case("flow_run_argument_missing", FLOW, "flow run f"),
    Case("flow_run_argument_type", FLOW, "flow run f -a day=2026-01-31 -a n=many"),
    Case("flow_run_argument_unknown", FLOW, "flow run f -a day=2026-01-31 -a m=1"),
    Case("flow_run_argument_no_yaml", FLOW, ["flow", "run", "f", "--args", "{day: ["]),
    Case("flow_rerun_unknown", FLOW, "flow rerun 12345678"),
    Case("flow_mark_words", FLOW, "flow mark 12345678 a"),
    one("flow_run_undefined", {"script": ["echo", "{{ params.daz.x }}"]}),
    one("flow_run_each_no_list", {"script": ["echo"], "for_each": "{{ 'ab' }}"}),
    one("flow_run_confirm", {"operation": "o"}, files={"operations/o.sql": "{{ config(confirm=true) }}\nselect 1\n"}),
    one("flow_run_operation_target", {"operation": "o"}, files={"operations/o.sql": "{{ config(targets=['prod']) }}\nselect 1\n"}),
    one("flow_run_operation_interpreter", {"operation": "o"}, files={"operations/o.py": "# config:\n#   python: no-such-python\nprint(1)\n"}),
    one("flow_run_operation_fails", {"operation": "o"}, files={"operations/o.sql": "select 1;\nselect nothing\n"}),
    one("flow_run_wait_no_query", {"wait": {"sql": "create table public.x (n int)"}}),
    one("flow_run_wait_sql_fails", {"wait": {"sql": "select no_such_column"}}),
    one("flow_run_wait_no_source", {"wait": {"freshness": "source:nobody"}}),
    one("flow_run_when_fails", {"script": ["true"], "when": "params.n > 'x'"}, parameters={"n": {"type": "integer", "default": 1}}),
    one("flow_run_hook_missing", {"script": ["true"]}, status=2, hooks={"start": {"lua": "nobody.knows"}}),
    one("flow_run_selection", {"transformation": {"select": "{{ 'nope:x' }}"}}, files={"models/a.sql": "select 1 as n\n"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_mistake(project, case):
    bad.run(project, case)
