"""Flags of dbt's command line: warnings as errors, empty and sampled inputs, what is printed and written."""
import pytest

MODEL = {"models/a.sql": "{{ config(materialized='table') }} select 1 as n"}
WARNING = {"models/a.sql": "{{ config(materialised='table') }} select 1 as n"}
EVENTS = {
    "seeds/raw.csv": "id,at\n1,2024-01-01 10:00:00\n2,2024-01-05 00:00:00\n3,2024-02-01 00:00:00\n",
    "seeds/raw.yml": "seeds: [{name: raw, config: {event_time: at, column_types: {at: timestamp}}}]",
    "models/a.sql": "{{ config(materialized='table') }} select * from {{ ref('raw') }}",
}


def test_warn_error(project):
    p = project(WARNING)
    p.run("run").ok().says("warning: ", "materialised")
    p.run("run --warn-error").fails(2).says("error 130", "materialised")
    p.run("run", env={"DBT_WARN_ERROR": "1"}).fails(2)
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nflags: {warn_error: true}\n"})
    p.run("run").fails(2)
    p.run("run --no-warn-error").ok()


@pytest.mark.parametrize("options, status, said", [
    ("{error: all}", 2, True), ("{include: all}", 2, True), ("{error: [CustomKeyInObjectDeprecation]}", 2, True),
    ("{error: [NothingToDo]}", 0, True), ("{error: [130]}", 2, True), ("{error: [Deprecations]}", 2, True),
    ("{error: all, warn: [CustomKeyInObjectDeprecation]}", 0, True), ("{error: all, exclude: [Deprecations]}", 0, True),
    ("{error: all, silence: [130]}", 0, False), ("{silence: [Deprecations]}", 0, False),
    ('{"error": "all", "warn": ["NoNodesForSelectionCriteria"]}', 2, True),
])
def test_warn_error_options(project, options, status, said):
    p = project(WARNING)
    result = p.run("run", "--warn-error-options", options).fails(status)
    assert ("materialised" in result.stdout) == said


@pytest.mark.parametrize("options, words", [
    ("{error: [NothingToDoo]}", "did you mean 'NothingToDo'?"), ("{eror: all}", "did you mean 'error'?"),
    ("{warn: [NothingToDo]}", "needs `error: all`"), ("{error: some}", "must be a list or `all`"),
    ("[1]", "needs a YAML mapping"), ("{error: all, include: all}", "are the same"),
])
def test_wrong_warn_error_options(project, options, words):
    project(MODEL).run("run", "--warn-error-options", options).fails(2).says(words)


def test_warn_error_options_of_the_project_file(project):
    p = project({**WARNING, "dbt_project.yml": """
        name: shop
        profile: shop
        flags: {warn_error_options: {error: all, silence: [CustomKeyInObjectDeprecation]}}
        """})
    p.run("run").ok()
    p.run("run -s nothing").fails(2).says("nothing")


def test_warnings_of_templates_tests_and_selection(project):
    p = project({"models/a.sql": "{% if execute %}{% do exceptions.warn('careful') %}{% endif %} select 1 as n",
                 "models/b.sql": "select 1 as n union all select 1",
                 "models/b.yml": "models: [{name: b, columns: [{name: n, data_tests: [unique: "
                                 "{config: {severity: warn}}]}]}]"})
    p.run("build").ok().says("careful")
    result = p.run("build --warn-error").fails(1).says("careful", "error 149")
    assert result.statuses == {"a": "error", "b": "success", "unique_b_n": "fail"}
    p.run("run -s b+ nothing").ok().says("nothing")
    p.run("run -s b+ nothing --warn-error").fails(2)
    p.run("test", "-s", "b", "--warn-error-options", "{error: [LogTestResult]}").fails(1)
    p.run("test", "-s", "a", "--warn-error-options", "{error: [NothingToDo]}").fails(2).says("nothing to do")


def test_hook_warning_as_error(project):
    p = project({"models/a.sql": "{{ config(post_hook='lua: h.f') }} select 1 as n",
                 "hooks/h.lua": "return { f = function(hook) hook:warn('watch out') end }"})
    p.run("run").ok().says("watch out")
    p.run("run", "--warn-error-options", "{error: [JinjaLogWarning]}").fails(1).says("watch out")


def test_empty(project):
    p = project(EVENTS)
    p.run("seed").ok()
    p.run("run --empty").ok()
    assert p.db.rows("select count(*) from dev.a") == ["0"]
    p.run("run").ok()
    assert p.db.rows("select count(*) from dev.a") == ["3"]
    p.run("run", env={"DBT_EMPTY": "true"}).ok()
    assert p.db.rows("select count(*) from dev.a") == ["0"]
    p.run("build --empty").ok()
    assert p.db.rows("select (select count(*) from dev.a), (select count(*) from dev.raw)") == ["0|0"]


@pytest.mark.parametrize("window, ids", [
    ("{start: 2024-01-01, end: 2024-01-05}", [1]), ("{start: 2024-01-01 10:00:01, end: 2024-02-02}", [2, 3]),
    ("{start: '2024-01-01T10:00:00', end: '2024-01-05T00:00:00.5'}", [1, 2]), ("3 days", []), ("1000 years", [1, 2, 3]),
])
def test_sample(project, window, ids):
    p = project(EVENTS)
    p.run("seed").ok()
    p.run("run", "--sample", window).ok()
    assert p.db.rows("select id from dev.a order by 1") == [str(i) for i in ids]


def test_sample_of_microbatch(project):
    p = project({**EVENTS, "models/a.sql": """
        {{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='day',
                  unique_key='id',
                  begin='2024-01-01') }}
        select * from {{ ref('raw') }}
        """})
    p.run("seed").ok()
    p.run("run", "--sample", "{start: 2024-01-01, end: 2024-01-06}").ok()
    assert p.db.rows("select id from dev.a order by 1") == ["1", "2"]


@pytest.mark.parametrize("window", ["3", "3 weeks", "x days",
                                    "{start: 2024-01-01}",
                                    "{start: 2024-02-01, end: 2024-01-01}"])
def test_wrong_sample(project, window):
    project(EVENTS).run("run", "--sample", window).fails(2).says("is no span of time")


def test_print(project):
    p = project({"models/a.sql": "{{ print('shown') }} select 1 as n"})
    assert "shown" in p.run("run").ok().stdout
    assert "shown" not in p.run("run --no-print").ok().stdout
    assert "shown" not in p.run("run", env={"DBT_PRINT": "0"}).ok().stdout
    assert p.run("run --quiet").ok().stdout == "shown\n"
    assert p.run("run --quiet --no-print").ok().stdout == ""


def test_no_artifacts(project):
    p = project(MODEL)
    p.run("run --no-write-json").ok()
    assert not p.exists("target/run_results.json") and not p.exists("target/manifest.json")


def test_invocation_id(project):
    p = project(MODEL)
    mine = "00000000-0000-4000-8000-000000000001"
    result = p.run("run", "--invocation-id", mine)
    assert result.ok().run_results["metadata"]["invocation_id"] == mine
    p.run("run --invocation-id nope").fails(2).says("UUID")


def test_version_check(project):
    p = project({**MODEL, "dbt_project.yml": "name: shop\nprofile: shop\nrequire-dbt-version: '>=9.0.0'\n"})
    p.run("run").fails(2).says("needs dbt >=9.0.0")
    p.run("run --no-version-check").ok()


def test_single_threaded(project):
    project(MODEL).run("run --single-threaded").ok().says("1 thread")


def test_printer_width(project):
    name = "a_model_whose_name_is_too_long_for_a_row_of_eighty_columns"
    p = project({f"models/{name}.sql": "select 1 as n"})
    assert name not in p.run("run").ok().stdout
    assert name in p.run("run --printer-width 200").ok().stdout


def test_options_of_dbts_own(project):
    """Accepted, or refused with the reason."""
    p = project(MODEL)
    p.run("run --no-partial-parse --static-parser --populate-cache --no-send-anonymous-usage-stats "
          "--cache-selected-only --no-introspect --partial-parse-file-path x --no-use-v2-parser").ok()
    p.run("run --record-timing-info").fails(2).says("not possible", "run_results.json")
    p.run("build --export-saved-queries").fails(2).says("saved queries are not exported")
    p.run("run --partial-pars").fails(2).says("did you mean '--partial-parse'?")


def test_log_file(project):
    p = project({**MODEL, "models/b.sql":
                 "select {{ env_var('DBT_ENV_SECRET_WORD') if false else 1 }} as n -- Hush123456"})
    p.run("run", env={"DBT_ENV_SECRET_WORD": "Hush123456"}).ok()
    text = p.read("logs/dex.log")
    assert "create table" in text.lower() and "Began running node model.shop.a" in text
    assert "Hush123456" not in text and "PASS=2" in text
    p.run("run --log-level-file none --log-path other").ok()
    assert p.read("logs/dex.log") == text and not p.exists("other")
    p.run("run --log-level-file info --log-path other").ok()
    assert "[info ]" in p.read("other/dex.log") and "[debug]" not in p.read("other/dex.log")
    p.run("run --log-path models/a.sql/x").fails(2).says("cannot write the log")


def test_log_file_rotates(project):
    p = project(MODEL)
    for _ in range(3):
        p.run("run --log-file-max-bytes 300").ok()
    assert p.exists("logs/dex.log.1") and p.exists("logs/dex.log.5") and not p.exists("logs/dex.log.6")


def test_json_log_file(project):
    import json
    p = project(MODEL)
    p.run("run --log-format-file json").ok().says("Done in")
    events = [json.loads(line) for line in p.read("logs/dex.log").splitlines()]
    names = [e["info"]["name"] for e in events]
    assert {"NodeStart", "NodeFinished", "SQLQuery", "CommandCompleted"} <= set(names)


def test_debug_format(project):
    p = project(MODEL)
    assert "[info ] [MainThread]: Running with dbt=" in p.run("run --log-format debug").ok().stdout
