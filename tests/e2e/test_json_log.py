"""--log-format json: one event a line, in the shape of dbt's structured log."""
import pytest

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: select 1\n",
    "seeds/raw.csv": "id\n1\n1\n",
    "models/a.sql": "{{ config(materialized='table', post_hook='select 2') }} {{ print('shown') }} select id from {{ ref('raw') }}",
    "models/a.yml": "models: [{name: a, columns: [{name: id, data_tests: [unique: {config: {severity: warn}}]}]}]",
    "models/bad.sql": "{{ config(materialized='table') }} select 1/0 as n from {{ ref('a') }}",
    "models/below.sql": "select * from {{ ref('bad') }}",
}


@pytest.mark.san
def test_events(project):
    p = project(FILES)
    result = p.run("build --log-format json --log-level debug").fails(1)
    events = result.events
    names = [event["info"]["name"] for event in events]
    assert names[0] == "MainReportVersion" and names[-1] == "CommandCompleted"
    for event in events:
        assert set(event) == {"data", "info"}
        info = event["info"]
        assert {"category", "code", "extra", "invocation_id", "level", "msg", "name", "pid", "thread", "ts"} == set(info)
        assert info["level"] in ("debug", "info", "warn", "error") and info["pid"] > 0
        assert info["invocation_id"] == result.run_results["metadata"]["invocation_id"]
    assert names.count("NodeStart") == 4
    assert [e["data"]["status"] for e in events if e["info"]["name"] == "LogModelResult"] == ["SELECT 2", "error"]
    assert [e["data"]["node_name"] for e in events if e["info"]["name"] == "SkippingDetails"] == ["below"]
    assert [e["data"]["run_result"]["status"] for e in events if e["info"]["name"] == "NodeFinished"] == \
        ["success", "success", "warn", "error", "skipped"]
    test = next(e for e in events if e["info"]["name"] == "LogTestResult")
    assert test["data"]["num_failures"] == 1 and test["info"]["level"] == "warn"
    failure = next(e for e in events if e["info"]["name"] == "RunResultError")
    assert "division by zero" in failure["data"]["msg"] and failure["info"]["level"] == "error"
    assert failure["data"]["node_info"]["unique_id"] == "model.shop.bad"
    node = next(e for e in events if e["info"]["name"] == "LogModelResult")["data"]["node_info"]
    assert node["node_relation"]["relation_name"] == f'"{p.db.name}"."dev"."a"'
    assert node["node_status"] == "success" and node["materialized"] == "table" and node["resource_type"] == "model"
    assert {"msg": "shown"} in [e["data"] for e in events if e["info"]["name"] == "PrintEvent"]
    assert events[-1]["data"]["success"] is False and events[-1]["data"]["elapsed"] > 0


def test_everything_is_an_event(project):
    """Warnings and errors outside of nodes, too; nothing else is on standard output."""
    p = project({"models/a.sql": "{{ config(materialised='table') }} select 1 as n"})
    events = p.run("run --log-format json").ok().events
    assert any(e["info"]["level"] == "warn" and "materialised" in e["info"]["msg"] for e in events)
    p.write({"models/a.sql": "select {{ nope("})
    events = p.run("run --log-format json").fails(2).events
    assert [e["info"]["name"] for e in events] == ["MainEncounteredError"]
    assert "models/a.sql" in events[0]["data"]["exc"]


@pytest.mark.parametrize("level, wanted", [("error", {"error"}), ("warn", {"warn", "error"})])
def test_levels(project, level, wanted):
    p = project(FILES)
    result = p.run(f"build --log-format json --log-level {level}").fails(1)
    assert {e["info"]["level"] for e in result.events if e["info"]["name"] != "PrintEvent"} == wanted


def test_by_environment(project):
    p = project(FILES)
    assert p.run("seed", env={"DBT_LOG_FORMAT": "json"}).ok().events
