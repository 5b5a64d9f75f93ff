"""Commands of one project that run at once: none of them finds or leaves half a file of another."""
import json
import os

from shapes import manifest_mismatches, mismatches

FILES = {
    "seeds/raw.csv": "id\n1\n2\n",
    "models/a.sql": "select * from {{ ref('raw') }}",
    **{f"models/m{i}.sql": f"select {i} as n from {{{{ ref('a') }}}}" for i in range(40)},
    "models/a.yml": "models: [{name: a, columns: [{name: id, data_tests: [unique]}]}]\n",
    "packages.yml": "packages: [{local: one}]\n",
    "one/dbt_project.yml": "name: one\n",
    "one/models/of_one.sql": "select 1 as n",
}
COMMANDS = ["build", "run", "parse", "ls", "compile", "test", "docs generate --empty-catalog", "seed", "deps", "parse",
            "compile -s a", "ls --output json", "build --full-refresh", "retry"]
ARTIFACTS = ["manifest", "run_results", "catalog", "semantic_manifest", "graph_summary"]


def test_many_commands_at_once(project):
    p = project(FILES)
    p.run("build").ok()
    for _ in range(2):
        running = [p.start(command) for command in COMMANDS]
        # Whoever reads a file in between reads a whole one.
        while any(one.process.poll() is None for one in running):
            for name in ARTIFACTS:
                if p.exists("target", name + ".json"):
                    json.loads(p.read("target", name + ".json"))
        for one in running:
            result = one.finish()
            assert result.status in (0, 1), str(result)
            text = result.stdout + result.stderr
            # Two builds may replace each other's views; their files they leave alone.
            for word in ("JSON", "no manifest", "broken", "is not valid", ".tmp", "this is a defect"):
                assert word not in text, str(result)
    for name in ARTIFACTS:
        content = p.artifact(name)
        assert (manifest_mismatches(content) if name == "manifest" else mismatches(name, content)) == []
    p.run("build").ok()
    left = [name for folder, _, names in os.walk(p.path("target")) for name in names if ".tmp" in name]
    assert left == [] and sorted(os.listdir(p.path("dbt_packages"))) == ["one"]
    with open(p.path("logs", "dex.log"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert lines and all(line.isprintable() or "\t" in line or "\x1b" in line for line in lines), "no line in another"


def test_commands_at_once_without_a_database(project):
    """Many readers and writers of what is remembered between commands: every one of them gives the same list."""
    p = project(FILES)
    p.run("deps").ok()
    wanted = p.run("ls").ok().stdout
    running = [p.start("ls" if i % 3 else "parse") for i in range(16)]
    for i, one in enumerate(running):
        result = one.finish().ok()
        assert i % 3 == 0 or result.stdout == wanted, str(result)
    assert p.run("ls").ok().stdout == wanted
