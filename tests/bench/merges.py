"""Incremental models and a snapshot of many rows: called by merges.sh."""

import main

ROWS = 1000000

# The rows of a first run, and of every later one: half of them have changed.
QUERY = ("select n as id, n % 97 as kind, 'row ' || n as name, "
         "timestamp '2026-01-01' + (n % 2) * {changed} * interval '1 day' as updated_at from generate_series(1, {rows}) n")


def measure(bench, table, what, command, path, target):
    """Both sides in turns, each time on the same table as it was after the first run."""
    bench.server.psql(f"create table {target}_kept as select * from {target}")
    reset = (f"truncate {target}; insert into {target} select * from {target}_kept", f"vacuum analyze {target}",
             "checkpoint")
    run = (*command, "--project-dir", path, "--vars", "{changed: 1}")
    recorded = bench.server.recorded(lambda: bench.dex(*run))
    scripts = bench.scripts(target, recorded.values())
    ours, other = [], []
    for _ in range(bench.rounds):
        for side, times in (lambda: bench.psql(*scripts), other), (lambda: bench.dex(*run), ours):
            for statement in reset:
                bench.server.psql(statement)
            times.append(side())
    table.row(f"{what} of {ROWS} rows", ours, other, "1.05", lambda mine, theirs: mine <= 1.05 * theirs,
              "psql with what dex-lua sent. dex-lua's side is the whole command")


def incremental(strategy):
    def section(bench, table):
        name = strategy.replace("+", "_")
        path = bench.project(name, {"models/m.sql": (
            f"{{{{ config(materialized='incremental', incremental_strategy='{strategy}', unique_key='id') }}}}\n"
            + QUERY.format(changed="{{ var('changed') }}", rows=ROWS))})
        bench.dex("run", "--project-dir", path, "--vars", "{changed: 0}")
        measure(bench, table, strategy, ("run",), path, f"{name}.m")
    return section


def snapshot(bench, table):
    path = bench.project("snapshots", {"snapshots/s.sql": (
        "{% snapshot s %}{{ config(strategy='timestamp', unique_key='id', updated_at='updated_at') }}\n"
        + QUERY.format(changed="{{ var('changed') }}", rows=ROWS) + "\n{% endsnapshot %}")})
    bench.dex("snapshot", "--project-dir", path, "--vars", "{changed: 0}")
    measure(bench, table, "snapshot", ("snapshot",), path, "snapshots.s")


if __name__ == "__main__":
    main.main([incremental("merge"), incremental("delete+insert"), snapshot])
