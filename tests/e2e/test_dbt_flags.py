"""Options that people and scripts know from dbt: each does what it says, or is taken where it has nothing to do."""
import json
import os

import pytest

FILES = {
    "seeds/raw.csv": "id,n\n1,a\n2,b\n",
    "models/a.sql": "select 1 as id union all select 2",
    "models/b.sql": "select * from {{ ref('a') }}",
}

# What dbt 1.12 takes before and after every command.
ANYWHERE = """--fail-fast -x --no-fail-fast --defer --no-defer --favor-state --no-version-check --single-threaded
  --no-partial-parse --partial-parse --no-static-parser --no-populate-cache --no-send-anonymous-usage-stats
  --indirect-selection=eager --state=x --defer-state=x --log-format=json --no-print --no-write-json --no-use-colors
  --printer-width=100 --log-level-file=none --warn-error-options={} --no-introspect --no-upload-to-artifacts-ingest-api
  --no-record-timing-info --no-use-v2-parser --no-v2-parser --show-all-deprecations --no-hints-enabled""".split()


@pytest.mark.parametrize("command", ["parse", "ls", "clean", "deps", "debug", "compile", "run-operation", "retry", "seed"])
def test_options_stand_with_every_command(project, command):
    p = project({**FILES, "macros/m.sql": "{% macro m() %}{% endmacro %}"})
    takes_state = command in ("ls", "compile", "seed", "retry")
    options = [o for o in ANYWHERE if not (takes_state and ("state" in o or o == "--defer"))]
    words = [command] + (["m"] if command == "run-operation" else [])
    result = p.run(*words, *options)
    assert "has no option" not in result.stdout + result.stderr, str(result)
    if command != "retry":
        result.ok()


def test_the_project_file_of_init_names_the_profile(project):
    p = project({"dbt_project.yml": None, "profiles.yml": None})
    p.run("init fresh --profile 'my: own' --skip-profile-setup --no-use-colors -x").ok()
    assert 'profile: "my: own"' in p.read("fresh/dbt_project.yml")
    p.run("init other -s").ok()
    assert "\nprofile:" not in p.read("other/dbt_project.yml")


def test_refused_options_say_why(project):
    p = project(FILES)
    for option in "--record-timing-info", "-r", "--use-v2-parser", "--v2-parser", "--upload-to-artifacts-ingest-api":
        p.run("parse", option).fails(2).says("is not possible: ")


def test_seed_show(project):
    p = project(FILES)
    p.run("seed --show").ok().says("dev.raw, 2 rows:\nid | n\n---+--\n 1 | a\n 2 | b\n")
    p.run("build --show").ok().says("dev.raw, 2 rows:")
    assert "2 rows:" not in p.run("seed").ok().stdout
    p.write({"seeds/raw.csv": "id,n\n" + "".join(f"{i},x\n" for i in range(50))})
    p.run("seed --show").ok().says("dev.raw, 10 rows:")
    p.write({"seeds/raw.csv": "id,n\n1,a\n", "seeds/s.yml": "seeds: [{name: raw, config: {column_types: {n: int}}}]\n"})
    assert "rows:" not in p.run("seed --show --full-refresh").fails(1).stdout, "a seed that failed has no rows"


def test_show_inline_direct_needs_no_models(project):
    p = project({**FILES, "models/bad.sql": "{{ broken"})
    result = p.run("show", "--inline-direct", "select 1 as one, '{{ x }}' as t union all select 2, 'b' order by 1", "-o", "json")
    assert json.loads(result.ok().stdout) == {"show": [{"one": 1, "t": "{{ x }}"}, {"one": 2, "t": "b"}]}
    text = p.run("show", "--inline-direct", "select generate_series(1, 9) as n", "--limit", "2", "-o", "csv").ok().stdout
    assert text == "n\n1\n2\n"
    text = p.run("show", "--inline-direct", "select generate_series(1, 9) as n", "--limit", "-1", "-o", "csv").ok().stdout
    assert len(text.split()) == 10
    p.run("show", "--inline-direct", "select 1/0").fails(2).says("division by zero")
    p.run("show", "--inline-direct", "select 1", "--inline", "select 1").fails(2).says("no --inline beside it")


def test_show_of_several_nodes(project):
    p = project(FILES)
    p.run("build").ok()
    assert p.run("show -s a b --limit 1").ok().stdout.count("1 rows:") == 2
    assert json.loads(p.run("show -s b+ -o json --limit -1").ok().stdout) == {"node": "b", "show": [{"id": 1}, {"id": 2}]}
    p.run("show -s path:models").fails(2).says("called by its name, and 2 are selected")


def test_compile_output_json(project):
    p = project(FILES)
    assert json.loads(p.run("compile -q -s a -o json").ok().stdout) == {"node": "a", "compiled": FILES["models/a.sql"]}
    assert json.loads(p.run("compile", "-q", "--inline", "select {{ 1 }}", "--output", "json").ok().stdout) == {
        "compiled": "select 1"}


def test_compile_and_docs_need_no_database_that_nothing_asks(project):
    p = project(FILES)
    p.write({"profiles.yml": p.profile(host="/nowhere")})
    p.run("compile").ok()
    p.run("docs generate --empty-catalog").ok()
    assert p.artifact("catalog")["nodes"] == {} and p.exists("target", "index.html")
    assert p.artifact("manifest")["nodes"]["model.shop.b"]["compiled_code"]
    p.run("docs generate").fails(2).says("error 403")
    p.write({"models/b.sql": "select {{ run_query('select 1 as x').columns[0].values()[0] if execute }} as x"})
    p.run("compile").fails(1).says("error 403")
    p.run("docs generate --empty-catalog").fails(1).says("error 403")
    p.run("docs generate --empty-catalog --no-compile").ok()


def test_debug_options(project):
    p = project(FILES)
    assert p.run("debug --config-dir").ok().stdout.strip() == os.path.realpath(p.dir)
    text = p.run("debug --connection").ok().stdout
    assert "ok: PostgreSQL" in text and "threads" not in text
    p.write({"profiles.yml": p.profile(host="/nowhere")})
    p.run("debug --connection").fails(1).says("failed")


def test_clean_outside_of_the_project(project):
    p = project({**FILES, "dbt_project.yml": "name: shop\nprofile: shop\nclean-targets: [target, ../beside]\n"})
    beside = os.path.join(os.path.dirname(p.dir), "beside")
    os.makedirs(beside)
    p.run("clean").fails(2).says("outside of the project", "--no-clean-project-files-only")
    p.run("clean", env={"DBT_CLEAN_PROJECT_FILES_ONLY": "true"}).fails(2)
    assert os.path.isdir(beside)
    p.run("clean --no-clean-project-files-only").ok()
    assert not os.path.exists(beside)
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nclean-targets: ['..']\n"})
    p.run("clean --no-clean-project-files-only").fails(2).says("holds the project; nothing was deleted")
    assert p.exists("dbt_project.yml")


def test_add_package(project):
    p = project({**FILES, "one/dbt_project.yml": "name: one\n", "one/models/m1.sql": "select 1 as a",
                 "two/dbt_project.yml": "name: two\n"})
    p.run("deps --add-package one --source local").ok().says("Added one in packages.yml", "Installing")
    assert p.read("packages.yml") == 'packages:\n  - local: "one"\n' and p.exists("dbt_packages/one/models/m1.sql")
    p.write({"packages.yml": """
        # ours
        packages:
          - local: one # the first
          # the end

        other: 1
        """})
    p.run("deps --add-package two --source local").ok()
    assert p.read("packages.yml") == ('# ours\npackages:\n  - local: one # the first\n  - local: "two"\n  # the end\n\n'
                                      "other: 1\n"), "all else stays as it was"
    p.run("deps --add-package two --source local").ok().says("Updated two")
    assert p.read("packages.yml").count("two") == 1


def test_another_version_of_a_package(project):
    p = project({**FILES, "packages.yml": """
        packages:
        - package: dbt-labs/dbt_utils
          # pinned
          version: 1.0.0
        - local: one
        """, "one/dbt_project.yml": "name: one\n"})
    nowhere = {"DEX_PACKAGE_HUB_URL": "http://127.0.0.1:9"}
    p.run("deps --add-package dbt-labs/dbt_utils@1.3.0 --lock", env=nowhere).fails(2)
    assert p.read("packages.yml") == ('packages:\n- package: "dbt-labs/dbt_utils"\n  version: "1.3.0"\n- local: one\n')
    before = p.read("packages.yml")
    for words, text in (("dbt-labs/dbt_utils", "has no version"), ("dbt_utils@1.0.0", "no package of an index"),
                        ("a/b@x", "no version"), ("x --source git", "has no revision"),
                        ("one --source zip", "--source is one of")):
        p.run("deps --lock --add-package " + words, env=nowhere).fails(2).says(text)
        assert p.read("packages.yml") == before, words
    p.write({"packages.yml": "packages: [{local: one}]\n"})
    p.run("deps --add-package a/b@1.0.0").fails(2).says("written in brackets")


def test_packages_of_dependencies_yml(project):
    p = project({**FILES, "dependencies.yml": "packages:\n  - local: one\n", "one/dbt_project.yml": "name: one\n",
                 "two/dbt_project.yml": "name: two\n"})
    p.run("deps --add-package two --source local").ok()
    assert p.read("dependencies.yml") == 'packages:\n  - local: one\n  - local: "two"\n' and not p.exists("packages.yml")


def test_times_of_batches_from_the_environment(project):
    p = project({"models/m.sql": """
        {{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='day',
                  begin='2024-01-01', unique_key='id') }} select 1 as id, timestamp '2024-01-02' as at""",
                 "models/n.sql": "select 1 as id"})
    result = p.run("run", env={"DBT_EVENT_TIME_START": "2024-01-01", "DBT_EVENT_TIME_END": "2024-01-04"}).ok()
    assert len(result.result("m")["batch_results"]["successful"]) == 3


def test_results_of_macros_are_dbts(project):
    p = project({**FILES, "macros/m.sql": "{% macro fine() %}{% endmacro %}\n"
                                          "{% macro boom() %}{{ exceptions.raise_compiler_error('no way') }}{% endmacro %}\n"
                                          "{% macro sql() %}{% do run_query('select 1/0') %}{% endmacro %}"})
    for macro, status, failures, message in (("fine", "success", 0, None), ("boom", "error", 1, "Compilation Error in macro boom"),
                                             ("sql", "error", 1, "Database Error in macro sql (macros/m.sql)\n  division by zero")):
        result = p.run("run-operation", macro).fails(int(status == "error")).results[0]
        assert (result["unique_id"], result["status"], result["failures"]) == (f"macro.shop.{macro}", status, failures)
        assert (result["message"] or "").startswith(message or "")


def test_a_warning_that_is_an_error_says_so(project):
    p = project({**FILES, "tests/t.sql": "{{ config(severity='warn') }} select 1 as n"})
    assert p.run("test").ok().results[0]["message"] == "Got 1 result, configured to warn if != 0"
    failed = p.run("test --warn-error").fails(1).results[0]
    assert (failed["status"], failed["message"]) == ("fail", "Got 1 result, configured to fail if != 0")


def test_ls_gives_the_parents_of_models(project):
    p = project(FILES)
    found = [json.loads(line) for line in p.run("ls -q --output json").ok().stdout.splitlines()]
    assert {node["name"]: node.get("direct_parents") for node in found} == {"a": [], "b": ["model.shop.a"], "raw": None}
