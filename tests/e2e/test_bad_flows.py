"""Flows with one mistake each: all that a person sees of it."""
import pytest

import bad
from bad import Case

NODE = "nodes:\n  - {name: a, script: ls}\n"
PARAMETERS = "{{ config(parameters={'day': {'type': 'date', 'required': true}}) }}\nselect 1\n"


def case(name, flow, command="flow ls", **files):
    return Case("flow_" + name, {"flows/nightly.yml": flow, **files}, command)


CASES = [
    case("key", "descripton: x\n" + NODE),
    case("node_key", "nodes:\n  - name: a\n    script: ls\n    need: b\n"),
    case("needs", "nodes:\n  - {name: load, script: ls}\n  - {name: b, needs: laod, script: ls}\n"),
    case("circle", "nodes:\n  - {name: a, needs: c, script: ls}\n  - {name: b, needs: a, script: ls}\n  - {name: c, needs: b, script: ls}\n"),
    case("sub_flow_circle", "nodes: [{name: a, flow: other}]\n",
         **{"flows/other.yml": "nodes: [{name: a, flow: nightly}]\n"}),
    case("operation", "nodes:\n  - {name: a, operation: clean_up}\n", **{"operations/cleanup.sql": "select 1\n"}),
    case("argument", "nodes:\n  - {name: a, operation: o, args: {day: today}}\n", **{"operations/o.sql": PARAMETERS}),
    case("pool", "pools: {api: 2}\nnodes:\n  - {name: a, script: ls, pool: apis}\n"),
    case("cron", "schedule:\n  cron: \"0 25 * * *\"\n" + NODE),
    case("cron_never", "schedule: \"0 0 31 2,4 *\"\n" + NODE),
    case("cron_seconds", "schedule: \"0 0 2 * * *\"\n" + NODE),
    case("every", "schedule: {every: 7 minutes}\n" + NODE),
    case("zone", "schedule: \"@daily\"\ntime_zone: Europe/Berln\n" + NODE),
    case("unit", "timeout: 5 parsecs\n" + NODE),
    case("parameter", "parameters: {day: {type: date, default: tomorrow}}\n" + NODE),
    case("scheduled_parameter", "schedule: \"@daily\"\nparameters: {day: {type: date, required: true}}\n" + NODE),
    case("template", "nodes:\n  - name: a\n    script:\n      run: \"echo {{ params.day }\"\n      shell: true\n"),
    case("uses", "nodes:\n  - {name: a, script: ls}\n  - {name: b, script: [echo, \"{{ tasks.a.result }}\"]}\n"),
    case("yaml", "nodes:\n  - name: a\n   script: ls\n"),
    case("script_words", "nodes:\n  - {name: a, script: rm -r x}\n"),
    case("wait", "nodes:\n  - {name: a, wait: {sql: select true, file: x}}\n"),
    case("several", "schedule: 1 2 3\nnodes:\n  - {name: a, operation: x}\n  - {name: b, pool: y, script: ls}\n"),
    case("unknown", NODE, "flow run nigthly"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_mistake(project, case):
    bad.run(project, case)
