"""What the tasks of a flow cost. Called by flows.sh, which explains it."""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile

from table import Table

TASKS, WIDTH = 10000, 100


def write_project(folder):
    """TASKS tasks that have nothing to do, in WIDTH rows beside each other, and a flow of one of them."""
    os.makedirs(f"{folder}/flows")
    with open(f"{folder}/dbt_project.yml", "w", encoding="utf-8") as file:
        file.write("name: bench\n")
    nodes = [{"name": f"t{i}", "wait": {"file": "dbt_project.yml"}, "needs": [f"t{i - WIDTH}"] if i >= WIDTH else []}
             for i in range(TASKS)]
    with open(f"{folder}/flows/big.yml", "w", encoding="utf-8") as file:
        json.dump({"nodes": nodes}, file)


def measure(binary, folder, *words):
    """Seconds of the processor, and bytes at most."""
    with subprocess.Popen([binary, *words, "--quiet", "--project-dir", folder], stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"bench: dex-lua {' '.join(words)} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def count(folder):
    """How many tasks the history has as done, over all runs."""
    with sqlite3.connect(f"{folder}/.dex/state.db") as db:
        return db.execute("select count(*) from tasks where status = 'success'").fetchone()[0]


def main():
    binary, rounds = os.path.abspath(sys.argv[1]), int(os.environ.get("BENCH_ROUNDS", "5"))
    with tempfile.TemporaryDirectory(prefix="dex-bench-") as folder:
        write_project(folder)
        each, memory = [], []
        for i in range(rounds):
            read, read_bytes = measure(binary, folder, "flow", "show", "big")
            run, run_bytes = measure(binary, folder, "flow", "run", "big")
            each.append((run - read) / TASKS)
            memory.append((run_bytes - read_bytes) / TASKS)
            if count(folder) != TASKS * (i + 1):
                raise SystemExit(f"bench: the history has {count(folder)} tasks of {TASKS * (i + 1)}")
    table = Table()
    table.row(f"a flow of {TASKS} tasks: each task", each, None, "under 0.2 ms", lambda mine, _: mine < 0.0002)
    print(f"memory of each task: {sorted(memory)[len(memory) // 2] / 1024:.1f} kB, beside the flow's own")


if __name__ == "__main__":
    main()
