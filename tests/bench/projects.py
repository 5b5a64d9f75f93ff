"""Commands on large projects: processor time and peak memory. Called by projects.sh, which explains the settings."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from generate import generate

# What is aimed at for 10,000 models: seconds, and MB of memory.
AIMS = {"parse, cold": (1.0, 120), "parse, nothing changed": (0.25, None), "completion of a name": (0.05, None)}


def run(command, folder):
    """Seconds of a command, seconds of processor time, and MB of memory that it had at most."""
    env = {key: v for key, v in os.environ.items() if not key.startswith(("DBT_", "DEX_", "PG"))}
    with open(os.devnull, "r+b") as null:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=env, stdin=null, stdout=null, stderr=subprocess.PIPE)
        words = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        taken = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{words.decode()[-2000:]}")
    return taken, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def measures(binary, folder, models):
    """What is measured: a name, what is done before, and the command."""
    target = os.path.join(folder, "target")
    some = models // 2
    model = os.path.join(folder, "models", f"path_{some // 100}", f"node_{some}.sql")
    macro = os.path.join(folder, "macros", "cents.sql")

    def forget():
        shutil.rmtree(target, ignore_errors=True)

    def nothing():
        pass

    return [
        ("parse, cold", forget, [binary, "parse"]),
        ("parse, nothing changed", nothing, [binary, "parse"]),
        ("parse, one model changed", lambda: append(model, "-- more\n"), [binary, "parse"]),
        ("parse, one macro changed", lambda: append(macro, "{# more #}\n"), [binary, "parse"]),
        ("parse, without a cache", nothing, [binary, "parse", "--no-partial-parse"]),
        ("ls", nothing, [binary, "ls"]),
        ("ls of one model", nothing, [binary, "ls", "--select", f"node_{some}"]),
        ("compile of one model", nothing, [binary, "compile", "--select", f"node_{some}", "--resource-type", "model"]),
        ("completion of a name", nothing, [binary, "completion", "words", "--", "run", "--select", "node_19"]),
    ]


def row(what, taken, used, memory, aim=""):
    print(f"  {what:32}{taken:9.3f} s{used:9.3f} s{memory:9.0f} MB  {aim}", flush=True)


def verdict(what, models, taken, memory):
    """Whether the aims for 10,000 models are met; twice as many may take 2.2 times as much."""
    if what not in AIMS or models not in (10000, 20000):
        return ""
    factor = models / 10000 * (1.1 if models > 10000 else 1)
    seconds, megabytes = AIMS[what]
    texts = [f"{seconds * factor:.2g} s" + ("" if taken <= seconds * factor else " MISSED")]
    if megabytes:
        texts.append(f"{megabytes * factor:.0f} MB" + ("" if memory <= megabytes * factor else " MISSED"))
    return "aim: " + ", ".join(texts)


def beside(dbt, folder):
    """The same with dbt."""
    shutil.rmtree(os.path.join(folder, "target"), ignore_errors=True)
    for what in "dbt parse, cold", "dbt parse, nothing changed":
        row(what, *run([dbt, "parse", "--profiles-dir", "."], folder))


def main():
    binary = os.path.abspath(sys.argv[1])
    rounds = int(os.environ.get("BENCH_ROUNDS", "3"))
    sizes = [int(size) for size in os.environ.get("BENCH_SIZES", "2000 10000 20000").split()]
    dbt = os.environ.get("BENCH_DBT")
    root = tempfile.mkdtemp(prefix="dex-bench-projects-")
    try:
        for models in sizes:
            folder = generate(os.path.join(root, str(models)), models)
            print(f"\n{models} models, {2 * models} tests; medians of {rounds} rounds\n"
                  f"  {'':32}{'time':>11}{'processor':>11}{'memory':>12}")
            for what, before, command in measures(binary, folder, models):
                taken = []
                for _ in range(rounds):
                    before()
                    taken.append(run(command, folder))
                middle = [statistics.median(column) for column in zip(*taken)]
                row(what, *middle, verdict(what, models, middle[0], middle[2]))
            if dbt and models == min(sizes):
                beside(dbt, folder)
            shutil.rmtree(folder)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
