#!/usr/bin/env python3
"""The section 'templates' of the benchmark: see templates.sh, which calls it with the programs to compare."""

import os
import statistics
import subprocess
import sys
import time

import jinja2.sandbox

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "templates")
NAMES = ["short", "pivot", "incremental", "macros"]
SHAPES = {"short": "short model", "pivot": "pivot loop", "incremental": "incremental, 220 lines", "macros": "macro-heavy"}
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


def context():
    variables = {"lookback_days": 3, "start_date": "2024-01-01"}
    return {
        "config": lambda **settings: "",
        "ref": lambda *names: '"db"."sch"."%s"' % names[-1],
        "source": lambda source, table: '"db"."%s"."%s"' % (source, table),
        "var": variables.get,
        "is_incremental": lambda: True,
        "this": '"db"."sch"."this"',
        "invocation_id": "abc",
        "target": {"name": "dev", "schema": "sch"},
    }


def micros(function):
    function()
    start, rounds = time.perf_counter(), 0
    while time.perf_counter() - start < 0.15:
        function()
        rounds += 1
    return (time.perf_counter() - start) * 1e6 / rounds


def jinja2_round():
    environment = jinja2.sandbox.SandboxedEnvironment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])
    values = context()
    found = {}
    for name in NAMES:
        with open(os.path.join(FOLDER, name + ".sql"), encoding="utf-8") as f:
            text = f.read()
        template = environment.from_string(text)
        cold = micros(lambda text=text: environment.from_string(text).render(values))
        again = micros(lambda template=template: template.render(values))
        found[name] = (cold, again, template.render(values))
    return found


def program_round(command):
    done = subprocess.run(command + [FOLDER] + NAMES, stdout=subprocess.PIPE, check=True)
    found, rest = {}, []
    for line in done.stdout.decode().splitlines():
        fields = line.split("\t")
        if fields[0] in NAMES:
            out = fields[3].replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
            found[fields[0]] = (float(fields[1]), float(fields[2]), out)
        else:
            rest.append(fields)
    return found, rest


def main():
    luatest, rust = sys.argv[1], sys.argv[2]
    rounds = {"dex-lua": [], "jinja2": [], "minijinja": []}
    memory = ""
    for _ in range(ROUNDS):
        found, rest = program_round([luatest, os.path.join(FOLDER, "bench.lua")])
        rounds["dex-lua"].append(found)
        memory = rest[0][1]
        rounds["jinja2"].append(jinja2_round())
        if rust:
            rounds["minijinja"].append(program_round([rust])[0])
    status = 0
    for name in NAMES:
        outputs = {engine: found[0][name][2] for engine, found in rounds.items() if found}
        for engine, out in outputs.items():
            if out != outputs["jinja2"]:
                print("templates: %s prints something else for '%s' than Jinja2" % (engine, name))
                status = 1

    def median(engine, name, which):
        return statistics.median(found[name][which] for found in rounds[engine])

    others = [engine for engine in ("jinja2", "minijinja") if rounds[engine]]
    for which, title in ((0, "compile and render"), (1, "render again, through the cache")):
        print("templates: %s; microseconds, medians of %d rounds; ratio = other / dex-lua" % (title, ROUNDS))
        print("  %-24s %10s" % ("", "dex-lua") + "".join(" %10s %7s" % (engine, "ratio") for engine in others))
        for name in NAMES:
            own = median("dex-lua", name, which)
            line = "  %-24s %10.1f" % (SHAPES[name], own)
            for engine in others:
                other = median(engine, name, which)
                line += " %10.1f %6.1fx" % (other, other / own)
            print(line)
    print("templates: bytes of a compiled template in memory, of bytes of its text: " + memory)
    return status


if __name__ == "__main__":
    sys.exit(main())
