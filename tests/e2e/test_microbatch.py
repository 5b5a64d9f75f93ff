"""Microbatch models: which batches run, what they read, what stays of a run that fails."""
import pytest

EVENTS = """
    {{ config(materialized='table', event_time='at') }}
    select g as id, timestamp '2024-01-01' + g * interval '12 hours' as at, {{ var('n', 1) }} as n
    from generate_series(0, 9) g
    """
DAILY = """
    {{{{ config(materialized='incremental', incremental_strategy='microbatch', unique_key='id', event_time='at',
              batch_size='{size}', begin='2024-01-01'{more}) }}}}
    select *, '{{{{ model.batch.id }}}}' as batch from {{{{ ref('events') }}}}
    {{% if var('bad', '') == model.batch.id %}} where 1 / (n - n) = 1 {{% endif %}}
    """
DAYS = ("--event-time-start", "2024-01-01", "--event-time-end", "2024-01-06")
COUNTS = "select batch, count(*), max(n) from dev.daily group by 1 order by 1"


def daily(size="day", more="", **files):
    return {"models/events.sql": EVENTS, "models/daily.sql": DAILY.format(size=size, more=more), **files}


def pairs(result):
    found = result.result("daily")["batch_results"]
    return [[span[0][:10] for span in found[key]] for key in ("successful", "failed")]


@pytest.mark.san
def test_one_batch_after_the_other(project):
    p = project(daily())
    result = p.run("run", *DAYS).ok()
    assert p.db.rows(COUNTS) == [f"2024010{day}|2|1" for day in range(1, 6)]
    assert pairs(result) == [[f"2024-01-0{day}" for day in range(1, 6)], []]
    assert result.result("daily")["adapter_response"]["rows_affected"] == 10
    text = p.read("target/compiled/shop/models/daily/daily_2024-01-03.sql")
    assert "where at >= '2024-01-03 00:00:00+00:00' and at < '2024-01-04 00:00:00+00:00'" in text
    assert p.exists("target/run/shop/models/daily/daily_2024-01-05.sql")
    assert "batch" not in result.manifest["nodes"]["model.shop.daily"]


def test_only_some_batches(project):
    p = project(daily())
    p.run("run", *DAYS).ok()
    result = p.run("run", "--vars", "{n: 2}", "--event-time-start", "2024-01-02T05:00:00", "--event-time-end",
                   "2024-01-03 01:00:00").ok()
    assert pairs(result)[0] == ["2024-01-02", "2024-01-03"]
    assert p.db.rows(COUNTS) == ["20240101|2|1", "20240102|2|2", "20240103|2|2", "20240104|2|1", "20240105|2|1"]


@pytest.mark.parametrize("size,count,first", [("hour", 48, "2024010100"), ("month", 1, "202401"), ("year", 1, "2024")])
def test_sizes(project, size, count, first):
    p = project(daily(size))
    result = p.run("run", "--event-time-start", "2024-01-01", "--event-time-end", "2024-01-03").ok()
    assert len(result.result("daily")["batch_results"]["successful"]) == count
    assert p.db.rows("select min(batch) from dev.daily")[0].replace("T", "") == first


def test_from_its_begin_and_then_with_lookback(project):
    """Without the options a run begins at `begin`, and later ones a few batches before now."""
    p = project(daily("year", ", lookback=2"))
    result = p.run("run").ok()
    years = [span[0][:4] for span in result.result("daily")["batch_results"]["successful"]]
    assert years[0] == "2024" and len(years) >= 2
    later = p.run("run").ok()
    assert [span[0][:4] for span in later.result("daily")["batch_results"]["successful"]] == [
        str(int(years[-1]) - n) for n in (2, 1, 0)]


@pytest.mark.san
def test_a_batch_that_fails(project):
    p = project(daily(**{"models/reader.sql": "select count(*) as n from {{ ref('daily') }}"}))
    result = p.run("run", *DAYS, "--vars", "{bad: '20240103'}").fails()
    result.says("division by zero", "batch 2024-01-03 of daily (3 of 5)")
    assert result.statuses == {"events": "success", "daily": "partial success", "reader": "skipped"}
    assert result.result("daily")["message"] == "PARTIAL SUCCESS (4/5)"
    assert pairs(result) == [["2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"], ["2024-01-03"]]
    assert [row[:8] for row in p.db.rows(COUNTS)] == ["20240101", "20240102", "20240104", "20240105"]


@pytest.mark.parametrize("more", [(), ("--full-refresh",)])
def test_retry_runs_what_failed(project, more):
    p = project(daily(**{"models/reader.sql": "select count(*) as n from {{ ref('daily') }}"}))
    p.run("run", *DAYS, *more, "--vars", "{bad: '20240103'}").fails()
    result = p.run("retry", "--vars", "{n: 3}").ok()
    assert result.statuses == {"daily": "success", "reader": "success"}
    assert pairs(result) == [["2024-01-03", "2024-01-01", "2024-01-02", "2024-01-04", "2024-01-05"], []]
    assert p.db.rows("select n from dev.reader") == ["10"]
    p.run("run", *DAYS, "--vars", "{bad: '20240101'}").fails()
    assert len(pairs(p.run("retry", "--vars", "{n: 3}").ok())[0]) == 5, "nothing was built: all of it runs again"


def test_the_first_batch_fails(project):
    p = project(daily())
    result = p.run("run", *DAYS, "--vars", "{bad: '20240101'}").fails().says("division by zero")
    assert result.statuses["daily"] == "error"
    assert pairs(result) == [[], [f"2024-01-0{day}" for day in range(1, 6)]]
    assert p.db.relations() == ["events table"]


def test_full_refresh(project):
    p = project(daily())
    p.run("run", *DAYS).ok()
    p.run("run", "--event-time-start", "2024-01-02", "--event-time-end", "2024-01-04", "--full-refresh").ok()
    assert p.db.rows(COUNTS) == ["20240102|2|1", "20240103|2|1"]


def test_hooks_run_once(project):
    p = project(daily(more=", pre_hook='insert into public.log values (1)', post_hook='insert into public.log values (2)'"))
    p.db.sql("create table log (n int)")
    p.run("run", *DAYS).ok()
    assert p.db.rows("select n from log") == ["1", "2"]


def test_a_strategy_of_the_project(project):
    p = project(daily(**{"macros/mine.sql": """
        {% macro get_incremental_microbatch_sql(arg_dict) %}
          insert into {{ arg_dict['target_relation'] }} select * from {{ arg_dict['temp_relation'] }}
        {% endmacro %}
        """}))
    p.write({"models/daily.sql": DAILY.format(size="day", more="").replace("model.batch.id", "(model.batch or {}).get('id')")})
    p.run("run", *DAYS).ok()
    assert p.db.rows("select count(*) from dev.daily") == ["10"], "it is built at once"
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nflags:\n"
                                "  require_batched_execution_for_custom_microbatch_strategy: true\n"})
    assert len(pairs(p.run("run", *DAYS).ok())[0]) == 5


def test_what_is_refused(project):
    p = project(daily())
    p.run("run", "--event-time-start", "2024-01-01").fails(2).says("come together", "--event-time-end is missing")
    p.run("run", "--event-time-start", "2024-02-30", "--event-time-end", "2024-03-01").fails(2).says("'2024-02-30' is no date")
    p.run("run", "--event-time-start", "2024-01-02", "--event-time-end", "2024-01-01").fails(2).says("must lie before")
    for old, new, words in (
            ("batch_size='day'", "batch_size='daily'", "needs `batch_size`, one of hour, day, month, year, not 'daily'"),
            ("begin='2024-01-01'", "begin='soon'", "needs `begin`, the date of its first batch, not 'soon'"),
            ("event_time='at',", "", "needs `event_time`"),
            ("begin='2024-01-01'", "begin='2024-01-01', lookback='two'", "`lookback` is a number of batches, not 'two'")):
        p.write({"models/daily.sql": DAILY.format(size="day", more="").replace(old, new)})
        p.run("parse").fails(2).says(words, "models/daily.sql")
    p.write({"models/daily.sql": DAILY.format(size="day", more="").replace("unique_key='id',", "")})
    p.run("run", *DAYS).fails().says("needs a unique_key on PostgreSQL")
    p.write(daily())
    p.write({"models/events.sql": EVENTS.replace(", event_time='at'", "")})
    p.run("parse").ok().says("none of its inputs has an `event_time`")
