"""What hooks cost: called by hooks.sh. HOOKS_NODES and HOOKS_ROWS take other numbers than the usual ones."""

import json
import os
import statistics
import subprocess
import time

import main

CALLS, STATEMENTS = 20000, 5000
NODES = int(os.environ.get("HOOKS_NODES", "10000"))
ROWS = int(os.environ.get("HOOKS_ROWS", "10000000"))

NOTHING = """
local nothing = {}
function nothing.run() end
function nothing.results(hook)
  local seconds, ok = 0, 0
  for _, result in ipairs(hook.run.results) do
    seconds = seconds + (result.seconds or 0)
    if result.status == "success" then ok = ok + 1 end
  end
  hook:log("%d of %d results", ok, #hook.run.results)
end
return nothing
"""


def dex(bench, *arguments):
    """Seconds that a command takes, its seconds on a processor, and its peak of memory in KB."""
    env = {key: v for key, v in os.environ.items() if not key.startswith(("DBT_", "DEX_", "PG"))}
    started = time.perf_counter()
    process = subprocess.Popen([bench.binary, *arguments], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    words = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    taken = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise SystemExit(f"bench: dex-lua {' '.join(arguments)} failed:\n" + words[-2000:].decode())
    return taken, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def records(path):
    with open(os.path.join(path, "target/hook_results.json"), encoding="utf-8") as file:
        return json.load(file)["results"]


def calls(bench, table):
    """Lua hooks that do nothing: alone, and the command with them less the command without, on the processor."""
    path = bench.project("calls", {"hooks/nothing.lua": NOTHING, "models/m.sql":
        "{{ config(post_hook=['lua: nothing.run'] * %d) }} select 1 as n" % CALLS})
    run = ("run", "--project-dir", path)
    each, alone = [], []
    for _ in range(bench.rounds):
        without = dex(bench, *run, "--no-hooks")[1]
        each.append((dex(bench, *run)[1] - without) / CALLS)
        alone.append(statistics.median(hook["seconds"] for hook in records(path)))
    table.row("Lua hook that does nothing", alone, None, "under 10 us", lambda ours, _: ours < 10e-6)
    table.row("  with its record, written and shown", each)


def statements(bench, table):
    """SQL hooks in one transaction: the hooks alone, and the command with them less the command without."""
    path = bench.project("statements", {"models/m.sql":
        "{{ config(materialized='table', post_hook=['insert into statements.t values (1)'] * %d) }} select 1 as n" % STATEMENTS})
    run = ("run", "--project-dir", path)
    bench.server.psql("drop schema if exists statements cascade; create schema statements; create table statements.t (n int)")
    script = os.path.join(bench.folder, "statements.sql")
    with open(script, "w", encoding="utf-8") as out:
        out.write("begin;\n" + "insert into statements.t values (1);\n" * STATEMENTS + "commit;\n")
    empty = os.path.join(bench.folder, "empty.sql")
    with open(empty, "w", encoding="utf-8") as out:
        out.write("begin;\ncommit;\n")
    ours, whole, other = [], [], []
    for _ in range(bench.rounds):
        without = dex(bench, *run, "--no-hooks")[0]
        other.append((bench.psql(script) - bench.psql(empty)) / STATEMENTS)
        whole.append((dex(bench, *run)[0] - without) / STATEMENTS)
        ours.append(sum(hook["seconds"] for hook in records(path)) / STATEMENTS)
    table.row("SQL hook, a row into a table", ours, other, "1.10", lambda mine, theirs: mine <= 1.10 * theirs,
              "psql with the same statements in one transaction, less an empty one")
    table.row("  with its record, written and shown", whole, other)


def project_of_nodes(bench, count):
    """Nodes of four hooks each, and what reads their results at the end."""
    return bench.project(f"nodes_{count}", {
        "hooks/nothing.lua": NOTHING,
        "settings": "models:\n  +pre-hook: ['lua: nothing.run', 'select 1']\n  +post-hook: ['lua: nothing.run', 'select 1']\n"
                    "on-run-end:\n  - 'lua: nothing.results'\n"
                    "  - \"{% set found = [] %}{% for r in results %}{% do found.append(r.to_dict().status ~ r.node.unique_id) %}"
                    "{% endfor %}select {{ found | length }}\"\n",
        **{f"models/m_{i // 1000}/m_{i:05}.sql": f"select {i} as id\n" for i in range(count)}})


def nodes(bench, table):
    """Time, and the peak of memory with and without the hooks: what they add must not grow with the nodes."""
    for count in NODES // 10, NODES:
        path = project_of_nodes(bench, count)
        run = ("run", "--project-dir", path)
        without = dex(bench, *run, "--no-hooks")
        taken = dex(bench, *run)
        table.row(f"{count} nodes: four hooks of a node", [(taken[1] - without[1]) / count])
        grown = (taken[2] - without[2]) / count
        print(f"{'  peak of memory, without and with hooks':44}{without[2] / 1024:7.1f} MB{taken[2] / 1024:7.1f} MB{'':7}"
              f"  {grown:.2f} KB a node, under 10 KB" + ("" if grown < 10 else "  MISSED"), flush=True)
    of_lua, of_jinja = [hook["seconds"] for hook in records(path) if hook["phase"] == "run_end"]
    table.row(f"run_end over {NODES} results: Lua", [of_lua], None, "under 1 s", lambda mine, _: mine < 1)
    table.row(f"run_end over {NODES} results: Jinja, to_dict()", [of_jinja], None, "under 1 s", lambda mine, _: mine < 1)


def streams(bench, table):
    path = bench.project("streams", {
        "hooks/stream.lua": """
            local stream = {}
            function stream.through(hook)
              hook:copy("streams.ours", { "n", "t" }, hook:rows("select n, t from streams.source"))
            end
            function stream.changed(hook)
              local next_row = hook:rows("select n, t from streams.source")
              hook:copy("streams.ours", { "n", "t" }, function() return next_row() end)
            end
            return stream
            """,
        "models/m.sql": "select 1 as n"})
    bench.server.psql(f"drop schema if exists streams cascade; create schema streams; create unlogged table streams.source as "
                      f"select n, md5(n::text) as t from generate_series(1, {ROWS}) n; "
                      "create unlogged table streams.ours (n int, t text); create unlogged table streams.theirs (n int, t text)")
    script = " ".join([*bench.server.psql_command(), "-c", "'copy streams.source to stdout'", "|",
                       *bench.server.psql_command(), "-c", "'copy streams.theirs from stdin'"])
    ours, changed, other, peaks = [], [], [], []
    run = ("run", "--project-dir", path)
    for _ in range(min(bench.rounds, 3)):
        bench.server.psql("truncate streams.ours, streams.theirs")
        started = time.perf_counter()
        subprocess.run(script, shell=True, check=True, env=bench.server.env(), stdout=subprocess.DEVNULL)
        other.append(time.perf_counter() - started)
        for how, times in ("stream.through", ours), ("stream.changed", changed):
            bench.server.psql("truncate streams.ours")
            with open(os.path.join(path, "dbt_project.yml"), "w", encoding="utf-8") as out:
                out.write(f"name: bench\nprofile: bench\non-run-start: {{lua: {how}, transaction: true}}\n")
            taken, _, peak = dex(bench, *run)
            times.append(taken)
            peaks.append(peak)
    note = "psql COPY TO into psql COPY FROM, two connections at once; a hook has one connection, and takes turns"
    table.row(f"{ROWS / 1e6:g} million rows from rows into copy", ours, other, "2", lambda mine, theirs: mine <= 2 * theirs, note)
    table.row("  each one a table in Lua on its way", changed, other)
    print(f"{'  peak of memory':44}{max(peaks) / 1024:7.1f} MB{'':17}  under 100 MB"
          + ("" if max(peaks) < 100 * 1024 else "  MISSED"), flush=True)


if __name__ == "__main__":
    main.main([calls, statements, nodes, streams])
