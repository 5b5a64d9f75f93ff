"""What is written below target/: dbt's artifacts in dbt's shapes, compiled SQL, hooks' records."""
import re

import pytest

from shapes import manifest_mismatches, run_results_mismatches

FILES = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        on-run-start: "select 1"
        on-run-end: "select 2"
        vars: {v: 1}
        """,
    "seeds/raw.csv": "id,n\n1,2\n2,3\n",
    "models/a.sql": "{{ config(materialized='table', post_hook='select 3', tags=['x']) }} select * from {{ ref('raw') }}",
    "models/b.sql": "{{ config(materialized='ephemeral') }} select id, n from {{ ref('a') }}",
    "models/c.sql": "select id, {{ one() }} as n from {{ ref('b') }} join {{ source('src', 't') }} using (id)",
    "models/bad.sql": "select 1/0 as n from {{ ref('c') }}",
    "models/below.sql": "{{ config(materialized='table') }} select * from {{ ref('bad') }}",
    "models/all.yml": """
        sources: [{name: src, schema: dev, tables: [{name: t, identifier: raw, columns: [{name: id}]}]}]
        models:
          - name: a
            description: The "a" model
            columns:
              - {name: id, description: key, data_tests: [unique, not_null]}
              - {name: n, data_tests: [{accepted_values: {arguments: {values: [1]}, config: {severity: warn}}}]}
          - name: c
            columns: [{name: id, data_tests: [{relationships: {arguments: {to: "ref('a')", field: id}}}]}]
        exposures: [{name: board, type: dashboard, owner: {name: me}, depends_on: ["ref('a')"]}]
        """,
    "macros/one.sql": "{% macro one() %}1{% endmacro %}",
    "tests/single.sql": "select * from {{ ref('a') }} where id is null",
    "analyses/look.sql": "select * from {{ ref('a') }}",
}


@pytest.fixture
def built(project):
    p = project({**FILES, "models/below.sql": "{{ config(materialized='table') }} select 1/n as n from {{ ref('bad') }}",
                 "models/bad.sql": "{{ config(materialized='table') }} select 1/0 as n from {{ ref('c') }}"})
    return p.run("build").fails(1)


@pytest.mark.san
def test_manifest_has_dbts_shape(built):
    assert manifest_mismatches(built.manifest) == []
    assert built.manifest["metadata"]["dbt_schema_version"].endswith("/manifest/v12.json")
    assert built.manifest["metadata"]["adapter_type"] == "postgres"


@pytest.mark.san
def test_run_results_have_dbts_shape(built):
    assert run_results_mismatches(built.run_results) == []
    assert built.run_results["metadata"]["dbt_schema_version"].endswith("/run-results/v6.json")
    assert built.run_results["args"]["which"] == "build"


def test_both_say_the_same_version_and_invocation(built):
    manifest, results = built.manifest["metadata"], built.run_results["metadata"]
    assert manifest["dbt_version"] == results["dbt_version"], "both are dbt's version, which tools decide by"
    assert manifest["invocation_id"] == results["invocation_id"]
    hooks = built.project.artifact("hook_results")["metadata"]
    assert hooks["invocation_id"] == results["invocation_id"]


def test_results(built):
    assert built.statuses == {
        "shop-on-run-start-0": "success", "raw": "success", "a": "success", "unique_a_id": "pass", "not_null_a_id": "pass",
        "accepted_values_a_n__1": "warn", "single": "pass", "c": "success", "relationships_c_id__id__ref_a_": "pass",
        "bad": "error", "below": "skipped", "board": "no-op", "shop-on-run-end-0": "success"}
    a = built.result("a")
    assert a["relation_name"] == f'"{built.project.db.name}"."dev"."a"'
    assert a["adapter_response"] == {"_message": "SELECT 2", "code": "SELECT", "rows_affected": 2}
    view = built.result("c")["adapter_response"]
    assert view == {"_message": "CREATE VIEW", "code": "CREATE VIEW", "rows_affected": -1}, "as dbt says it"
    assert a["thread_id"].startswith("Thread-") and a["compiled"] is True and "raw" in a["compiled_code"]
    assert [t["name"] for t in a["timing"]] == ["compile", "execute"]
    assert a["execution_time"] >= 0 and a["message"] == "SELECT 2" and a["failures"] is None
    warned = built.result("accepted_values_a_n__1")
    assert warned["failures"] == 2 and warned["message"] == "Got 2 results, configured to warn if != 0"
    bad = built.result("bad")
    assert bad["message"].startswith("Database Error in model bad (models/bad.sql)\n  division by zero")
    below = built.result("below")
    assert below["status"] == "skipped" and below["timing"] == [] and below["execution_time"] == 0
    assert built.result("raw")["message"] == "INSERT 2"


def test_times_are_iso_and_in_order(built):
    stamp = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
    for result in built.results:
        for timing in result["timing"]:
            assert stamp.match(timing["started_at"]) and stamp.match(timing["completed_at"])
            assert timing["started_at"] <= timing["completed_at"]
    assert built.run_results["elapsed_time"] > 0


def test_graph_of_the_manifest(built):
    m = built.manifest
    assert m["parent_map"]["model.shop.c"] == ["model.shop.b", "source.shop.src.t"]
    assert m["child_map"]["model.shop.b"] == ["model.shop.c"]
    assert m["nodes"]["model.shop.c"]["depends_on"]["macros"] == ["macro.shop.one"]
    assert m["nodes"]["model.shop.a"]["config"]["post-hook"][0]["sql"] == "select 3"
    assert m["nodes"]["model.shop.a"]["checksum"]["name"] == "sha256"
    assert m["exposures"]["exposure.shop.board"]["depends_on"]["nodes"] == ["model.shop.a"]


def test_compiled_and_run_sql(built):
    p = built.project
    compiled = p.read("target/compiled/shop/models/c.sql")
    assert compiled.startswith("with __dbt__cte__b as (") and "{{" not in compiled
    assert "create table" in p.read("target/run/shop/models/a.sql")
    assert p.exists("target/compiled/shop/models/all.yml/unique_a_id.sql")
    assert p.exists("target/compiled/shop/tests/single.sql")
    assert p.exists("target/run/shop/models/bad.sql") and not p.exists("target/run/shop/models/below.sql")


@pytest.mark.san
def test_hook_results(built):
    found = [(h["node"], h["kind"], h["phase"], h["status"], h["transaction"], h["place"]) for h in built.hooks]
    assert found == [
        (None, "sql", "run_start", "success", False, "project"),
        ("model.shop.a", "sql", "post_hooks", "success", True, "config"),
        (None, "sql", "run_end", "success", False, "project")]
    hook = built.hooks[1]
    assert hook["file"] == "models/a.sql" and hook["line"] == 1 and hook["sql"] == "select 3" and hook["rows"] == 1
    assert hook["seconds"] >= 0 and hook["started_at"].endswith("Z") and hook["message"] is None


def test_parse_needs_no_database(project):
    p = project(FILES)
    p.write({"profiles.yml": p.profile(host="/nowhere")})
    result = p.run("parse").ok()
    assert manifest_mismatches(result.manifest) == []
    assert not p.exists("target/run_results.json")


def test_artifacts_are_complete_after_failed_hooks(project):
    p = project({**FILES, "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: [\"select 1/0\", \"select 1\"]\n"
                                             "on-run-end: \"{{ no_such_macro() }}\"\n"})
    result = p.run("run").fails(1)
    assert run_results_mismatches(result.run_results) == []
    assert result.statuses == {"shop-on-run-start-0": "error", "shop-on-run-start-1": "skipped", "a": "skipped",
                               "c": "skipped", "bad": "skipped", "below": "skipped", "shop-on-run-end-0": "error"}


def test_nothing_changes_the_artifacts_of_ls(project):
    p = project(FILES)
    p.run("ls").ok()
    assert not p.exists("target/run_results.json")
