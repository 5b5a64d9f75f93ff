"""What is measured. Each section writes its projects, takes turns between both sides, and adds rows to the table."""

import os
import random
import re
import shutil
import statistics
import subprocess
import time

VIEWS, CONNECTIONS, MODELS, ROWS = 1000, 4, 2000, 300000
OPERATIONS = 1000


class Bench:
    def __init__(self, binary, server, folder, rounds):
        self.binary, self.server, self.folder, self.rounds = binary, server, folder, rounds

    def project(self, name, files, profile=True):
        """A new project folder of that name."""
        path = os.path.join(self.folder, name)
        shutil.rmtree(path, ignore_errors=True)
        files = dict(files)
        files["dbt_project.yml"] = "name: bench\n" + ("profile: bench\n" if profile else "") + files.pop("settings", "")
        if profile:
            files["profiles.yml"] = (
                "bench:\n  target: dev\n  outputs:\n    dev:\n      type: postgres\n"
                f"      host: {self.server.socket_dir}\n      port: 5432\n      user: bench\n      password: ''\n"
                f"      dbname: postgres\n      schema: {name}\n      threads: {CONNECTIONS}\n")
        for file, text in files.items():
            full = os.path.join(path, file)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as out:
                out.write(text)
        return path

    def dex(self, *arguments, ok=(0,)):
        """Seconds that a command takes."""
        env = {key: v for key, v in os.environ.items() if not key.startswith(("DBT_", "DEX_", "PG"))}
        started = time.perf_counter()
        done = subprocess.run([self.binary, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        taken = time.perf_counter() - started
        if done.returncode not in ok:
            raise SystemExit(f"bench: dex-lua {' '.join(arguments)} failed:\n" + done.stdout[-2000:].decode())
        return taken

    def psql(self, *scripts):
        """Seconds that psql takes for all scripts at once, a connection for each."""
        started = time.perf_counter()
        running = [subprocess.Popen(self.server.psql_command("-o", os.devnull, "-f", script), env=self.server.env())
                   for script in scripts]
        codes = [process.wait() for process in running]
        taken = time.perf_counter() - started
        if any(codes):
            raise SystemExit("bench: psql failed")
        return taken

    def scripts(self, name, lists):
        """Files of statements, one for each list of them."""
        paths = []
        for number, texts in enumerate(lists):
            path = os.path.join(self.folder, f"{name}_{number}.sql")
            with open(path, "w", encoding="utf-8") as out:
                for text in texts:
                    out.write(one_request(text) + "\n")
            paths.append(path)
        return paths


def one_request(text):
    """For psql: several statements that were sent together are sent together again."""
    text = text.strip().rstrip(";").strip()
    parts = re.split(r"('(?:[^']|'')*'|\"[^\"]*\")", text)
    return "".join(part if i % 2 else part.replace(";", r"\;") for i, part in enumerate(parts)) + ";"


def spawn_time(command):
    """Seconds from posix_spawn to the end of the process."""
    null = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, null, 1), (os.POSIX_SPAWN_DUP2, null, 2)]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    os.waitpid(pid, 0)
    taken = time.perf_counter() - started
    os.close(null)
    return taken


def startup(bench, table):
    path = bench.project("tiny", {"models/a.sql": "select 1 as id\n"})
    true = shutil.which("true")
    turns = [(spawn_time([bench.binary, "--version"]), spawn_time([bench.binary, "ls", "--project-dir", path]),
              spawn_time([true])) for _ in range(40 * bench.rounds)]
    version, listing, nothing = zip(*turns)
    table.row("start-up: --version", version, nothing, "under 5 ms", lambda ours, _: ours < 0.005,
              "the program `true`: what starting any process costs")
    table.row("start-up: ls of a project of one model", listing, nothing)


def views(bench, table):
    models = {f"models/m_{i:04}.sql": f"select {i} as id\n" for i in range(VIEWS)}
    path = bench.project("views", models)
    run = ("run", "--project-dir", path)
    drop = "set client_min_messages = warning; drop schema if exists views cascade"

    recorded = bench.server.recorded(lambda: bench.dex(*run))
    first = bench.scripts("first", recorded.values())
    recorded_again = bench.server.recorded(lambda: bench.dex(*run))
    again = bench.scripts("again", recorded_again.values())
    bare = bench.scripts("bare", [[f"create view views.m_{i:04} as select {i} as id"
                                   for i in range(n, VIEWS, CONNECTIONS)] for n in range(CONNECTIONS)])
    times = {key: [] for key in ("dex", "psql", "bare", "dex again", "psql again")}
    for _ in range(bench.rounds):
        bench.server.psql(drop + "; create schema views")  # psql's connections do not wait for each other
        times["psql"].append(bench.psql(*first))
        times["psql again"].append(bench.psql(*again))
        bench.server.psql(drop + "; create schema views")
        times["bare"].append(bench.psql(*bare))
        bench.server.psql(drop)
        times["dex"].append(bench.dex(*run))
        times["dex again"].append(bench.dex(*run))

    def close(ours, other):
        return ours <= 1.3 * other
    count = sum(len(texts) for texts in recorded.values())
    table.row(f"{VIEWS} views, {CONNECTIONS} connections", times["dex"], times["psql"], "1.3", close,
              f"{len(recorded)} psql at once, each with what one of dex-lua's connections sent ({count} requests; from "
              "the server's log of another run). dex-lua's side is the whole command: reading the project, rendering, "
              "and writing target/, too")
    table.row(f"{VIEWS} views that exist already", times["dex again"], times["psql again"], "1.3", close,
              "the same for a second run, which makes each view beside the old one and swaps them")
    table.row(f"{VIEWS} views, bare", times["dex"], times["bare"], "", None,
              f"{CONNECTIONS} psql with nothing but `create view`: no transaction of its own around each, no question "
              "about what exists; less work than dbt's contract asks for")


def operations(bench, table):
    scripts = {f"operations/o_{i:04}.sql": f"insert into public.done values ({i});\n" for i in range(OPERATIONS)}
    path = bench.project("operations", scripts)
    run = ("run", "--select", "resource_type:operation", "--project-dir", path)
    bench.server.psql("create table if not exists public.done (n int)")
    recorded = bench.server.recorded(lambda: bench.dex(*run))
    same = bench.scripts("operations", recorded.values())
    ours, other = [], []
    for _ in range(bench.rounds):
        bench.server.psql("truncate public.done")
        other.append(bench.psql(*same))
        bench.server.psql("truncate public.done")
        ours.append(bench.dex(*run))
        done = bench.server.psql("select count(*) from public.done").stdout.strip()
        if done != str(OPERATIONS):
            raise SystemExit(f"bench: {done} of {OPERATIONS} operations ran")
    count = sum(len(texts) for texts in recorded.values())
    table.row(f"{OPERATIONS} SQL operations in one run", ours, other, "1.5", lambda mine, theirs: mine <= 1.5 * theirs,
              f"{len(recorded)} psql at once, each with what one of dex-lua's connections sent ({count} requests). "
              "dex-lua's side is the whole command: reading the project, rendering, and its records, too")


def seeds(bench, table):
    pick = random.Random(1)
    words = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"]
    lines = ["id,name,amount,day,seen_at,active,note"]
    for i in range(ROWS):
        note = '"a note, with a comma"' if i % 5 == 0 else ""
        lines.append(f"{i},{pick.choice(words)} {pick.choice(words)},{pick.random() * 1000:.2f},2026-{i % 12 + 1:02}-"
                     f"{i % 28 + 1:02},2026-01-01 00:{i // 60 % 60:02}:{i % 60:02},"
                     f"{'true' if i % 3 else 'false'},{note}")
    path = bench.project("seeds", {"seeds/trees.csv": "\n".join(lines) + "\n"})
    run = ("seed", "--full-refresh", "--project-dir", path)
    bench.dex(*run)
    create = bench.server.psql(
        "select 'create table seeds.plain (' || string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), "
        "', ' order by attnum) || ')' from pg_attribute where attrelid = 'seeds.trees'::regclass and attnum > 0"
    ).stdout.strip()
    script = os.path.join(bench.folder, "seed.sql")
    with open(script, "w", encoding="utf-8") as out:
        out.write(f"set client_min_messages = warning;\nbegin;\ndrop table if exists seeds.plain;\n{create};\n"
                  f"\\copy seeds.plain from '{path}/seeds/trees.csv' with (format csv, header)\ncommit;\n")
    ours, other = [], []
    for _ in range(bench.rounds):
        other.append(bench.psql(script))
        ours.append(bench.dex(*run))
    size = os.path.getsize(path + "/seeds/trees.csv") / 1e6
    table.row(f"seed of {ROWS} rows, {size:.0f} MB", ours, other, "1.2", lambda mine, theirs: mine <= 1.2 * theirs,
              "one psql: drop, create table with the same columns, \\copy, in one transaction. dex-lua also reads the "
              "file once to find the types of its columns")


def model(i, logic):
    """A model of the parse: its head, its reference, and, with `logic`, tags that have to be run to be understood."""
    up = "{{ source('raw', 'orders') }}" if i < 100 else "{{ ref('m_%04d') }}" % (i * 7 % (i - i // 10))
    columns, limit = "id, amount, created_at", ""
    if logic:
        columns = f"id, amount * {i} as amount,\n  " \
            "{% for n in range(3) %}{{ 'n' ~ n }} as c{{ n }}, {% endfor %} now() as at"
        limit = "{% if var('limit', none) %}limit {{ var('limit') }}{% endif %}\n"
    return ("{{ config(materialized='table', tags=['nightly']) }}\n"
            f"with base as (\n  select * from {up}\n)\nselect {columns}\nfrom base\n{limit}")


def parse(bench, table):
    properties = ["version: 2\nmodels:\n"]
    for i in range(MODELS):
        properties.append(f"- name: m_{i:04}\n  description: number {i}\n  columns:\n  - name: id\n"
                          + ("    tests: [unique, not_null]\n" if i % 10 == 0 else "    description: the key\n"))
    for name, what, logic in (("parse", f"parse of {MODELS} models", False),
                              ("parse_logic", f"parse of {MODELS} models with loops and ifs", True)):
        files = {"models/staging/s.yml": "version: 2\nsources:\n- name: raw\n  tables:\n  - name: orders\n",
                 "models/models.yml": "".join(properties)}
        files.update((f"models/area_{i % 20}/m_{i:04}.sql", model(i, logic)) for i in range(MODELS))
        path = bench.project(name, files)
        ours = [bench.dex("parse", "--project-dir", path) for _ in range(bench.rounds)]
        table.row(what, ours, None, "under 1 s", lambda mine, _: mine < 1)


def private(bench, table):
    """The same command with the private server and with a server that runs: the difference is what it costs."""
    question = ("show", "--inline", "select 1 as one")
    running = bench.project("running", {"models/a.sql": "select 1 as id\n"})
    first, later, plain, initdb = [], [], [], []
    for _ in range(bench.rounds):
        path = bench.project("private", {"models/a.sql": "select 1 as id\n"}, profile=False)
        initdb.append(bench.server.initdb(os.path.join(bench.folder, "empty")))
        first.append(bench.dex(*question, "--project-dir", path))
        later.append(bench.dex(*question, "--project-dir", path))
        plain.append(bench.dex(*question, "--project-dir", running))
        bench.dex("db", "destroy", "--project-dir", path)
    base = statistics.median(plain)
    table.row("private server: first use", first, initdb, "1.5 s more", lambda ours, _: ours - base <= 1.5,
              "initdb alone, without flushing to the disk; the aim counts from the same command on a server that runs")
    table.row("private server: later start", later, plain, "0.15 s more", lambda ours, _: ours - base <= 0.15,
              "the same command on a server that runs")


ALL = [startup, views, operations, seeds, parse, private]
