"""What Cosmos (its watcher) and Dagster (dagster-dbt) read from the JSON log, read as they read it."""
import datetime
import json

import pytest

FILES = {
    "seeds/raw.csv": "id\n1\n1\n",
    "models/a.sql": """
        {{ config(materialized='table') }}
        {% if execute %}{{ log('{"columns": {"id": {"data_type": "int"}}}', info=true) }}{% endif %}
        select id from {{ ref('raw') }}
        """,
    "models/a.yml": """
        sources: [{name: src, schema: dev, tables: [{name: raw, config: {loaded_at_query: "select now() - interval '2 days'",
          freshness: {warn_after: {count: 1, period: day}}}}]}]
        models: [{name: a, columns: [{name: id, data_tests: [unique: {config: {severity: warn}}, not_null]}]}]
        unit_tests: [{name: ut, model: bad, given: [{input: ref('a'), rows: [{id: 2}]}], expect: {rows: [{n: 1}]}}]
        exposures: [{name: board, type: dashboard, owner: {name: x}, depends_on: [ref('a')]}]
        """,
    "models/bad.sql": "{{ config(materialized='table') }} select 1/(id - 1) as n from {{ ref('a') }}",
    "models/below.sql": "{{ config(materialized='table') }} select * from {{ ref('bad') }}",
    "models/batches.sql": """
        {{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='year',
                  begin='2026-01-01', unique_key='id') }} select 1 as id, timestamp '2026-01-02' as at""",
    "snapshots/s.yml": "snapshots: [{name: snap, relation: ref('a'), config: {unique_key: id, strategy: check, check_cols: all}}]",
}
TERMINAL = {"success", "pass", "warn", "failed", "fail", "error", "runtime error", "skipped"}


@pytest.fixture
def log(project):
    p = project(FILES)
    result = p.run("build --log-format json --log-level debug").fails(1)
    return result, json.loads(json.dumps(result.events))


def test_what_cosmos_reads(log):
    result, events = log
    last, skipped = {}, set()
    for event in events:
        node = event["data"].get("node_info") or {}
        if node.get("unique_id"):
            assert {"resource_type", "node_name", "node_path", "node_status", "node_started_at", "node_finished_at"} <= set(node)
            if node["node_status"] in TERMINAL:
                last[node["unique_id"]] = node
        if event["info"]["name"] == "SkippingDetails":
            skipped.add(node["unique_id"])
    # Every node comes to an end that a sensor waits for, and says the same as run_results.json.
    results = {r["unique_id"]: r["status"] for r in result.results}
    assert {u: n["node_status"] for u, n in last.items()} == {u: s for u, s in results.items() if s != "no-op"}
    assert skipped == {u for u, s in results.items() if s == "skipped"} != set()
    for node in last.values():
        if node["node_status"] != "skipped":
            for at in node["node_started_at"], node["node_finished_at"]:
                datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
    assert events[-1]["info"]["name"] == "CommandCompleted"


def test_what_dagster_reads(log):
    result, events = log
    manifest = result.manifest
    history, seen = {}, {}
    for event in events:
        info, node = event["info"], event["data"].get("node_info") or {}
        unique_id = node.get("unique_id")
        if info["name"] == "JinjaLogInfo" and unique_id:
            history[unique_id] = json.loads(info["msg"])
        if info["name"] not in ("LogSeedResult", "LogModelResult", "LogSnapshotResult", "LogTestResult"):
            continue
        if unique_id.startswith("unit_test"):
            continue
        properties = manifest["nodes"][unique_id]  # an exposure is no model
        assert properties["resource_type"] == node["resource_type"]
        status = event["data"]["status"].lower() if node["node_status"] in ("", "None", None) else node["node_status"]
        assert event["data"]["execution_time"] >= 0 and node["materialized"] is not None
        if node["resource_type"] == "test":
            assert isinstance(event["data"]["num_failures"], int)
            assert properties["attached_node"] == event["data"]["attached_node"]
        seen[properties["name"]] = status
    assert seen == {"raw": "success", "a": "success", "unique_a_id": "warn", "not_null_a_id": "pass", "bad": "error",
                    "snap": "success", "batches": "success"}
    assert history == {"model.shop.a": {"columns": {"id": {"data_type": "int"}}}}, "whose text it is"
    assert [e["data"]["node_info"]["unique_id"] for e in events if e["info"]["name"] == "LogNodeNoOpResult"] == [
        "exposure.shop.board"]
    assert {e["data"]["node_info"]["unique_id"] for e in events if e["info"]["name"] == "SQLQuery" and
            "node_info" in e["data"]} >= {"model.shop.a", "seed.shop.raw"}


def test_freshness(project):
    p = project(FILES)
    p.run("seed").ok()
    events = p.run("source freshness --log-format json").ok().events
    found = [e for e in events if e["info"]["name"] == "LogFreshnessResult"]
    assert [(e["data"]["node_info"]["unique_id"], e["data"]["status"], e["data"]["source_name"], e["data"]["table_name"])
            for e in found] == [("source.shop.src.raw", "warn", "src", "raw")]
