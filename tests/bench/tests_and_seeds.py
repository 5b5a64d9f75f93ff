"""Data tests and a large seed: called by tests_and_seeds.sh."""

import os
import random

import main
from sections import CONNECTIONS

TABLES, TESTS, ROWS = 100, 1000, 1000000


def data_tests(bench, table):
    """Every table has 10,000 rows and ten tests: unique, not_null and accepted_values of its columns."""
    models, entries = {}, ["models:\n"]
    for i in range(TABLES):
        models[f"models/t_{i:03}.sql"] = ("{{ config(materialized='table') }}\nselect n as id, n % 5 as kind, n * 2 as "
                                          f"price, n + {i} as other from generate_series(1, 10000) n\n")
        entries.append(
            f"  - name: t_{i:03}\n    columns:\n"
            + "".join(f"      - {{name: {column}, data_tests: [unique, not_null]}}\n" for column in ("id", "price", "other"))
            + "      - name: kind\n        data_tests:\n          - not_null\n"
            "          - accepted_values: {arguments: {values: [0, 1, 2, 3, 4], quote: false}}\n"
            "          - accepted_values: {name: kinds_%03d, arguments: {values: [0, 1, 2, 3, 4, 5], quote: false}}\n" % i
            + f"          - not_null: {{name: where_{i:03}, config: {{where: 'kind > 2'}}}}\n")
    models["models/models.yml"] = "".join(entries)
    path = bench.project("data_tests", models)
    bench.dex("run", "--project-dir", path)
    run = ("test", "--project-dir", path)
    recorded = bench.server.recorded(lambda: bench.dex(*run))
    scripts = bench.scripts("data_tests", recorded.values())
    ours, other = [], []
    for _ in range(bench.rounds):
        other.append(bench.psql(*scripts))
        ours.append(bench.dex(*run))
    count = sum(len(texts) for texts in recorded.values())
    table.row(f"{TESTS} data tests, {CONNECTIONS} connections", ours, other, "1.15",
              lambda mine, theirs: mine <= 1.15 * theirs,
              f"{len(recorded)} psql at once, each with what one of dex-lua's connections sent ({count} requests). "
              "dex-lua's side is the whole command")


def big_seed(bench, table):
    pick = random.Random(1)
    words = ["ash", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple", "oak", "pine"]
    path = bench.project("big_seed", {"seeds/trees.csv": ""})
    csv = os.path.join(path, "seeds/trees.csv")
    with open(csv, "w", encoding="utf-8") as out:
        out.write("id,name,amount,day,seen_at,active,note\n")
        for i in range(ROWS):
            note = '"a note, with a comma"' if i % 5 == 0 else ""
            out.write(f"{i},{pick.choice(words)} {pick.choice(words)},{pick.random() * 1000:.2f},2026-{i % 12 + 1:02}-"
                      f"{i % 28 + 1:02},2026-01-01 00:{i // 60 % 60:02}:{i % 60:02},{'true' if i % 3 else 'false'},{note}\n")
    run = ("seed", "--full-refresh", "--project-dir", path)
    bench.dex(*run)
    columns = bench.server.psql(
        "select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' order by attnum) "
        "from pg_attribute where attrelid = 'big_seed.trees'::regclass and attnum > 0").stdout.strip()
    script = os.path.join(bench.folder, "big_seed.sql")
    with open(script, "w", encoding="utf-8") as out:
        out.write("set client_min_messages = warning;\nbegin;\ndrop table if exists big_seed.plain;\n"
                  f"create table big_seed.plain ({columns});\n"
                  f"\\copy big_seed.plain from '{csv}' with (format csv, header)\ncommit;\n")
    ours, other = [], []
    for _ in range(bench.rounds):
        other.append(bench.psql(script))
        ours.append(bench.dex(*run))
    table.row(f"seed of {ROWS} rows, {os.path.getsize(csv) / 1e6:.0f} MB", ours, other, "1.10",
              lambda mine, theirs: mine <= 1.10 * theirs,
              "one psql: drop, create table with the same columns, \\copy, in one transaction. dex-lua also reads the "
              "file once to find the types of its columns")


if __name__ == "__main__":
    main.main([data_tests, big_seed])
