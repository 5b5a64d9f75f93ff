"""Flows in tests: a project with one flow, and what the history says of its runs."""
import json
import re

RUN = re.compile(r"^run ([0-9a-f-]{36})$", re.M)


def flow(nodes, **settings):
    """The text of flows/f.yml: a flow `f` of nodes, each `name: {...}`, and settings of the flow. All of it is JSON, which is YAML."""
    return json.dumps({**settings, "nodes": [{"name": name, **node} for name, node in nodes.items()]}, indent=1)


def run_id(result):
    return RUN.search(result.stdout).group(1)


def history(p, which):
    """The run of an id, or of a result, as `flow history ID -o json` has it; `by` is its tasks by name."""
    which = which if isinstance(which, str) else run_id(which)
    run = json.loads(p.run("flow", "history", which, "-o", "json", "-q").ok().stdout)
    run["by"] = {task["name"]: task for task in run["tasks"]}
    return run


def statuses(p, which):
    return {name: task["status"] for name, task in history(p, which)["by"].items()}


def runs(p, *words):
    return json.loads(p.run("flow", "history", *words, "-o", "json", "-q").ok().stdout)
