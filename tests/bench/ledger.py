"""What `ledger: true` costs: called by ledger.sh. LEDGER_NODES takes another number than the usual one."""

import os

import main
from hooks import dex

NODES = int(os.environ.get("LEDGER_NODES", "1000"))


def files(kind):
    hooks = "pre_hook='select 1', post_hook='select 2'"
    return {f"models/m{i}.sql": "{{ config(materialized='%s', %s) }} select %d as n" % (kind, hooks, i) for i in range(NODES)}


def section(kind):
    def measure(bench, table):
        """The same project with a ledger and without, in turns."""
        paths = [bench.project(name, {**files(kind), "settings": f"ledger: {setting}\n"})
                 for name, setting in ((f"booked_{kind}", "true"), (f"unbooked_{kind}", "false"))]
        times = [[], []], [[], []]
        for path in paths:
            dex(bench, "run", "--project-dir", path)
        for _ in range(bench.rounds):
            for side, path in enumerate(paths):
                taken, processor, _ = dex(bench, "run", "--project-dir", path)
                times[side][0].append(taken)
                times[side][1].append(processor)
        name = f"ledger, {NODES} {kind}s with 2 hooks"
        table.row(name, times[0][0], times[1][0], "1.15", lambda ours, theirs: ours <= 1.15 * theirs, "the same without a ledger")
        table.row(f"{name}, processor", times[0][1], times[1][1], "1.15", lambda ours, theirs: ours <= 1.15 * theirs,
                  "the same without a ledger; user and system time of the program alone")
    return measure


if __name__ == "__main__":
    main.main([section("table"), section("view")])
