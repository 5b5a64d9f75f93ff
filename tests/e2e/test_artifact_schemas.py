"""Every artifact is valid against the JSON schema of dbt's (schemas/artifacts.txt), for a project with a little of
everything, and after commands that fail.
"""
import copy
import json
import os

import pytest

from shapes import manifest_mismatches, mismatches

EVERYTHING = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        version: "1.0"
        on-run-start: ["select 1"]
        on-run-end: "{{ log('end') }}"
        query-comment: {comment: "by {{ target.name }}", append: true}
        models: {+meta: {owner: me}, +persist_docs: {relation: true, columns: true}, shop: {+group: finance}}
        vars: {v: 1}
        """,
    "seeds/raw.csv": "id,n,at\n1,2,2024-01-01\n2,3,2024-01-02\n",
    "seeds/raw.yml": "seeds: [{name: raw, config: {column_types: {id: bigint}, quote_columns: true}}]\n",
    "models/orders.sql": """
        {{ config(materialized='table', contract={'enforced': true}, tags=['x'], indexes=[{'columns': ['id']}],
                  pre_hook="select 1", post_hook={'sql': 'select 2', 'transaction': false}) }}
        select id::bigint as id, n::integer as n, at::date as at from {{ ref('raw') }}
        """,
    "models/inc.sql": """
        {{ config(materialized='incremental', unique_key='id', on_schema_change='append_new_columns') }}
        select * from {{ ref('orders') }} {% if is_incremental() %} where id > 0 {% endif %}
        """,
    "models/batches.sql": """
        {{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='year',
                  begin='2025-01-01', unique_key='id') }}
        select * from {{ ref('orders') }}
        """,
    "models/eph.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('orders') }}",
    "models/days.sql": "select date '2024-01-01' as d, 1 as fiscal",
    "models/board.sql": "select eph.*, {{ function('one') }}() as o from {{ ref('eph') }} eph join {{ source('src', 't') }} "
                        "using (id) where {{ var('v') }} = 1",
    "models/off.sql": "{{ config(enabled=false) }} select 1 as a",
    "models/many_v1.sql": "select 1 as a",
    "models/many_v2.sql": "select 2 as a from {{ ref('many', v=1) }}",
    "models/all.yml": """
        groups: [{name: finance, owner: {email: f@x.y, name: F, slack: "#f"}}]
        sources:
          - name: src
            schema: dev
            loader: csv
            config: {meta: {a: 1}, loaded_at_field: at::timestamp, freshness: {warn_after: {count: 1, period: day}}}
            tables:
              - name: t
                identifier: given
                external: {location: s3, partitions: [{name: p, data_type: date}]}
                columns: [{name: id, data_tests: [unique]}]
              - {name: gone, identifier: nowhere}
              - {name: fresh, identifier: given, config: {loaded_at_query: "select now()"}}
        models:
          - name: orders
            description: '{{ doc("orders") }}'
            docs: {show: true, node_color: blue}
            constraints: [{type: primary_key, columns: [id]}, {type: check, expression: "n > 0", name: positive}]
            columns:
              - {name: id, data_type: bigint, description: key, constraints: [{type: not_null}], quote: true,
                 config: {tags: [k], meta: {pii: false}}, data_tests: [not_null, {relationships: {arguments: {to: "ref('raw')",
                 field: id}}}]}
              - {name: n, data_type: integer, data_tests: [{accepted_values: {name: ns, description: all, arguments:
                 {values: [2]}, config: {severity: warn, store_failures: true, where: "n > 0", limit: 10}}}]}
              - {name: at, data_type: date}
          - name: days
            time_spine: {standard_granularity_column: d, custom_granularities: [{name: fiscal_year, column_name: fiscal}]}
            columns: [{name: d, granularity: day}, {name: fiscal}]
          - name: many
            latest_version: 2
            access: public
            deprecation_date: 2999-01-01
            versions: [{v: 1, deprecation_date: 2998-01-01}, {v: 2, config: {alias: many}}]
        unit_tests:
          - {name: ut, model: inc, description: d, given: [{input: ref('orders'), rows: [{id: 1, n: 1, at: 2024-01-01}]}],
             overrides: {macros: {is_incremental: false}, vars: {v: 1}}, expect: {rows: [{id: 1, n: 1}]}}
        exposures:
          - {name: report, type: dashboard, label: R, url: https://x.y, maturity: high, owner: {email: a@b.c},
             config: {tags: [t], meta: {a: 1}}, depends_on: ["ref('orders')", "metric('aov')", "source('src', 't')"]}
        semantic_models:
          - name: orders
            model: ref('orders')
            config: {meta: {a: 1}}
            defaults: {agg_time_dimension: at}
            entities: [{name: id_key, expr: id, type: primary}, {name: other, type: foreign, expr: n, role: r}]
            dimensions:
              - {name: at, type: time, label: At, type_params: {time_granularity: day}}
              - {name: big, type: categorical, expr: n > 5}
            measures:
              - {name: total, agg: sum, expr: n, create_metric: true}
              - {name: order_count, agg: count, expr: 1}
              - {name: p95, agg: percentile, expr: n, agg_params: {percentile: 0.95, use_discrete_percentile: true}}
              - {name: stock, agg: sum, expr: n, non_additive_dimension: {name: at, window_choice: max,
                 window_groupings: [other]}}
        metrics:
          - {name: revenue, label: R, type: simple, type_params: {measure: total}, filter: "{{ Dimension('id_key__big') }}"}
          - {name: orders_n, label: O, type: simple, type_params: {measure: {name: order_count, fill_nulls_with: 0,
             join_to_timespine: true, filter: ["{{ Dimension('id_key__big') }}", "1=1"]}}, config: {meta: {z: 1}}}
          - {name: aov, label: A, type: ratio, type_params: {numerator: revenue, denominator: {name: orders_n, alias: nn}}}
          - name: growth
            label: G
            type: derived
            type_params: {expr: cur - prev - old, metrics: [{name: revenue, alias: cur}, {name: revenue, alias: prev,
              offset_window: 2 months}, {name: revenue, alias: old, offset_to_grain: MONTH}]}
          - {name: cum, label: C, type: cumulative, time_granularity: month,
             type_params: {measure: total, cumulative_type_params: {window: 7 days, period_agg: last}}}
          - {name: conv, label: V, type: conversion, type_params: {conversion_type_params: {entity: id_key,
             calculation: conversions, base_measure: order_count, conversion_measure: order_count, window: 3 days}}}
        saved_queries:
          - name: daily
            config: {tags: [z, a]}
            query_params: {metrics: [revenue], group_by: ["TimeDimension('id_key__at', 'day')"], where: ["1 = 1"],
              order_by: ["Metric('revenue')"], limit: 5}
            exports: [{name: daily_table, config: {export_as: table, alias: dt}}]
        """,
    "models/orders.md": "{% docs orders %}All orders.{% enddocs %}\n",
    "macros/m.sql": "{% macro hello(a, b=1) %}{{ return(a) }}{% endmacro %}",
    "macros/m.yml": "macros: [{name: hello, description: h, arguments: [{name: a, type: string, description: x}, {name: b}]}]\n",
    "functions/one.sql": "select 1",
    "functions/f.yml": "functions: [{name: one, returns: {data_type: integer}, arguments: []}]\n",
    "snapshots/s.yml": """
        snapshots:
          - {name: history, relation: ref('raw'), config: {unique_key: id, strategy: check, check_cols: all,
             hard_deletes: new_record, dbt_valid_to_current: "'9999-12-31'::timestamp"}}
        """,
    "tests/single.sql": "{{ config(severity='warn') }} select * from {{ ref('orders') }} where id = 1",
    "analyses/look.sql": "select * from {{ ref('orders') }}",
    "selectors.yml": "selectors: [{name: some, description: s, definition: {method: tag, value: x, children: true}}]\n",
}


@pytest.fixture
def full(project):
    """full(files) is a project with a table that is there before anything is built."""

    def make(files=EVERYTHING):
        p = project(files)
        p.db.sql("create schema dev; create table dev.given (id bigint, at text); insert into dev.given values (1, '2024-01-01')")
        return p

    return make


def check_all(p, *names):
    """The artifacts of a project that are named are there and valid."""
    for name in names:
        content = p.artifact(name)
        found = manifest_mismatches(content) if name == "manifest" else mismatches(name, content)
        assert found == [], f"{name}.json is not valid"


@pytest.mark.san
def test_artifacts_of_everything_are_valid(full):
    p = full()
    p.run("deps").ok()
    p.run("build").ok()
    check_all(p, "manifest", "run_results", "semantic_manifest", "graph_summary")
    assert len(p.artifact("run_results")["results"]) >= 20, "there is a little of everything"
    p.run("source freshness").fails(1)
    check_all(p, "sources", "manifest")
    assert {r["status"] for r in p.artifact("sources")["results"]} >= {"pass", "warn"}
    p.run("docs generate").ok()
    check_all(p, "catalog", "manifest", "graph_summary", "semantic_manifest")
    p.run("parse").ok()
    check_all(p, "manifest", "semantic_manifest")
    for command in "compile", "seed", "snapshot", "test", "run --empty", "run-operation hello --args '{a: 1}'":
        os.remove(p.path("target", "run_results.json"))
        p.run(command).ok()
        check_all(p, "run_results")


def test_artifacts_of_what_fails_are_valid(full):
    p = full({**EVERYTHING, "models/orders.sql": "{{ config(materialized='table') }} select 1/0 as id from {{ ref('raw') }}"})
    p.run("build").fails(1)
    check_all(p, "manifest", "run_results", "semantic_manifest", "graph_summary")
    assert {"error", "skipped", "success"} <= {r["status"] for r in p.artifact("run_results")["results"]}
    p.run("retry").fails(1)
    check_all(p, "run_results")
    p.run("docs generate").ok()
    check_all(p, "catalog", "manifest", "graph_summary")
    p.run("run-operation hello --args '{c: 1}'").fails(1)
    check_all(p, "run_results")


def test_the_validator_sees_what_is_wrong(full):
    p = full()
    p.run("build").ok()

    def broken(name, *path, value):
        content = copy.deepcopy(p.artifact(name))
        at = content
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value
        return mismatches(name, content)

    model = "nodes", "model.shop.orders"
    assert broken("manifest", *model, "alias", value=1)
    assert broken("manifest", *model, "unheard", value=1)
    assert broken("manifest", *model, "config", "contract", value={"enforced": "yes"})
    assert broken("manifest", *model, "columns", "id", "constraints", 0, "type", value="odd")
    assert broken("run_results", "results", 0, "status", value="fine")
    assert broken("run_results", "results", 0, "execution_time", value="1 s")
    assert broken("semantic_manifest", "metrics", 0, "type", value="odd")
    assert broken("graph_summary", "linked", "0", "succ", value=["1"])


def test_the_graph_in_numbers(project):
    p = project({"models/a.sql": "select 1 as id", "models/b.sql": "select * from {{ ref('a') }}",
                 "models/m.yml": "models: [{name: a, columns: [{name: id, data_tests: [unique]}]}]\n"})
    p.run("build --invocation-id 00000000-0000-4000-8000-000000000001").ok()
    summary = p.artifact("graph_summary")
    assert summary["_invocation_id"] == "00000000-0000-4000-8000-000000000001"

    def edges(graph):
        return {(node["name"].split(".")[2], graph[str(to)]["name"].split(".")[2])
                for node in graph.values() for to in node.get("succ", [])}

    assert edges(summary["linked"]) == {("a", "b"), ("a", "unique_a_id")}
    assert edges(summary["with_test_edges"]) == {("a", "b"), ("a", "unique_a_id"), ("unique_a_id", "b")}
    p.run("run").ok()
    assert "with_test_edges" not in p.artifact("graph_summary"), "only `build` waits for tests"


def test_semantic_models_without_a_time_spine(project):
    files = {name: text for name, text in EVERYTHING.items() if name != "models/days.sql"}
    files["models/all.yml"] = json.loads(json.dumps(files["models/all.yml"])).replace("name: days", "name: board")
    p = project(files)
    p.run("parse").ok()
    without = files["models/all.yml"].replace("granularity: day}", "granularity: month}")
    p.write({"models/all.yml": without})
    p.run("parse").ok().says("no time spine with days or less", "models/all.yml")
    p.run("parse --warn-error-options '{error: [148]}'").fails(2).says("error 148", "no time spine")
    p.write({"models/all.yml": files["models/all.yml"].replace("{name: d, granularity: day}", "{name: d}")})
    p.run("parse").fails(2).says("error 113", "model 'board': the column 'd' of `time_spine` needs a `granularity`")
