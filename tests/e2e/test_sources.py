"""Sources: freshness and its result, and what is wrong with a declaration."""
import json

import pytest

TABLES = """
    create schema raw;
    create table raw.fresh as select now() as at;
    create table raw.old as select now()::timestamp - interval '3 days' as at;
    create table raw.nothing (at timestamptz);
    create table raw.days as select current_date as at;
    create table raw.late as select timezone('utc', now()) - interval '90 minutes' as at, 'x' as kind;
    """

SOURCES = """
    sources:
      - name: raw
        freshness: {warn_after: {count: 1, period: hour}, error_after: {count: 1, period: day}}
        loaded_at_field: at
        tables:
          - name: fresh
          - name: old
          - name: nothing
          - name: days
          - name: missing
          - name: unchecked
            freshness: null
          - name: asked
            identifier: old
            loaded_at_query: "select max(at) + interval '71 hours' from {{ this }}"
            config: {loaded_at_field: null}
          - name: late
            freshness: {filter: "kind = 'x'"}
      - name: no_field
        schema: raw
        tables: [{name: fresh2, identifier: fresh, freshness: {warn_after: {count: 1, period: hour}}}]
    """


@pytest.mark.san
def test_freshness(project):
    p = project({"models/s.yml": SOURCES.replace("            config: {loaded_at_field: null}\n", "")})
    p.db.rows(TABLES)
    result = p.run("source freshness").fails(1)
    result.says("raw.fresh", "the newest row is 3 days old: error after 1 day", "models/s.yml:7")
    result.says("no row has a time of loading", "is a date, and a timestamp is needed", "cast it: at::timestamp")
    result.says('relation "raw.missing" does not exist', "models/s.yml:10", "PostgreSQL keeps no time of the last change")
    found = p.artifact("sources")
    assert found["metadata"]["dbt_schema_version"].endswith("/sources/v3.json")
    by_name = {r["unique_id"].split(".")[-1]: r for r in found["results"]}
    assert {name: r["status"] for name, r in by_name.items()} == {
        "fresh": "pass", "old": "error", "nothing": "error", "asked": "warn", "late": "warn"}
    late = by_name["late"]
    assert 5390 < late["max_loaded_at_time_ago_in_s"] < 5500 and late["max_loaded_at"].endswith("+00:00")
    assert late["criteria"] == {"warn_after": {"count": 1, "period": "hour"}, "error_after": {"count": 1, "period": "day"},
                                "filter": "kind = 'x'"}
    assert by_name["nothing"]["max_loaded_at"] == "0001-01-01T00:00:00+00:00"


def test_selection_status_and_output(project):
    p = project({"models/s.yml": SOURCES, "dbt_project.yml": """
        name: shop
        profile: shop
        on-run-end: "create table dev_hook as select 1 as n"
        """})
    p.db.rows(TABLES)
    p.write({"models/s.yml": SOURCES.replace("            config: {loaded_at_field: null}\n", "")})
    p.run("source freshness --select source:raw.fresh source:raw.late -o out/here.json").ok().says("1 ok, 1 warned")
    with open(p.path("out/here.json"), encoding="utf-8") as file:
        assert len(json.load(file)["results"]) == 2
    assert p.db.rows("select * from dev_hook") == ["1"], "hooks of the run have run"
    p.db.rows("drop table dev_hook")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-end: select 1/0\n"
             "flags: {source_freshness_run_project_hooks: false}\n"})
    p.run("source freshness --select source:raw.fresh").ok()
    p.run("source refresh").fails(2).says("there is no `dex-lua source refresh`")


def test_wrong_declarations(project):
    p = project({"models/s.yml": """
        sources:
          - name: a
            freshness: {warn_after: {count: 1, period: houre}}
            tables: [{name: t}]
          - name: b
            freshness: {warn_after: 5}
            tables: [{name: t}]
          - name: c
            tables:
              - {name: t, freshness: {error_after: {count: 1.5, period: day}}}
              - {name: u, loaded_at_field: x, loaded_at_query: select 1}
              - {name: v, freshness: {warn_afer: {count: 1, period: day}}}
        """})
    result = p.run("parse").fails(2)
    result.says("models/s.yml:3", "`period` must be minute, hour or day, not 'houre'", "did you mean 'hour'?")
    result.says("`warn_after` must be a mapping", "`count` must be a whole number, not 1.5")
    result.says("`loaded_at_field` and `loaded_at_query` exclude each other", "models/s.yml:11")
