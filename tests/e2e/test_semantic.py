"""What other tools read from the manifest: metrics, semantic models, saved queries, exposures; and functions of the
database.
"""
import pytest

FUNCTIONS = {
    "functions/add_tax.sql": "select round(price * (1 + rate), 2)",
    "functions/plus_one.sql": "select x + 1",
    "functions/plus_one_text.sql": "select x || 'one'",
    "functions/f.yml": """
        functions:
          - name: add_tax
            config: {volatility: stable}
            arguments: [{name: price, data_type: numeric}, {name: rate, data_type: numeric, default_value: 0.19}]
            returns: {data_type: numeric}
          - name: plus_one
            arguments: [{name: x, data_type: integer}]
            returns: {data_type: integer}
            overloads:
              - {defined_in: plus_one_text, arguments: [{name: x, data_type: text}], returns: {data_type: text}}
        """,
    "models/orders.sql": """
        select 1 as id, date '2024-01-01' as ordered_at, 10.0 as amount, {{ function('add_tax') }}(10.0) as gross,
          {{ function('plus_one') }}(1) as two, {{ function('plus_one') }}('x'::text) as three
        """,
}


@pytest.mark.san
def test_functions(project):
    p = project(FUNCTIONS)
    result = p.run("build").ok()
    assert result.order[-1] == "orders" and set(result.order[:2]) == {"add_tax", "plus_one"}
    assert p.db.rows("select gross, two, three from dev.orders") == ["11.90|2|xone"]
    manifest = p.artifact("manifest")
    assert manifest["nodes"]["model.shop.orders"]["depends_on"]["nodes"] == ["function.shop.add_tax",
                                                                           "function.shop.plus_one"]
    assert list(manifest["functions"]) == ["function.shop.add_tax", "function.shop.plus_one"]
    assert p.db.rows("select provolatile from pg_proc where proname = 'add_tax'") == ["s"]
    p.write({"functions/add_tax.sql": "select price"})
    p.run("build").ok()
    assert p.db.rows("select gross from dev.orders") == ["10.0"], "replaced in place: the view on it stays"
    assert p.run("ls --resource-type function").ok().stdout.split() == ["shop.add_tax", "shop.plus_one"]


def test_wrong_functions(project):
    p = project({
        "functions/a.sql": "select 1", "functions/b.sql": "select 1", "functions/c.sql": "select 1",
        "functions/f.yml": """
            functions:
              - {name: b, arguments: [{name: x, data_type: int, default_value: 1}, {name: y, data_type: int}],
                 returns: {data_type: int}}
              - {name: c, returns: {data_type: int}, overloads: [{defined_in: nowhere, arguments: []}]}
            """,
        "models/m.sql": "select {{ function('cc') }}()"})
    result = p.run("parse").fails(2)
    result.says("function 'a' has no properties", "the argument 'y' has no default and comes after 'x'")
    result.says("there is no such file: it would be functions/nowhere.sql")
    p.write({"functions/a.sql": None, "functions/b.sql": None, "functions/f.yml":
             "functions: [{name: c, returns: {data_type: int}}]\n"})
    p.run("parse").fails(2).says("model 'm' depends on a function named 'cc', which was not found", "did you mean 'c'?",
                                 "models/m.sql:1")
    p.write({"models/m.sql": None, "functions/f.yml":
             "functions: [{name: c, config: {type: aggregate}, returns: {data_type: int}}]\n"})
    p.run("build").fails(1).says("only scalar ones can")


SEMANTIC = {
    "models/orders.sql": "select 1 as id, date '2024-01-01' as ordered_at, 10.0 as amount",
    "models/m.yml": """
        semantic_models:
          - name: orders
            model: ref('orders')
            defaults: {agg_time_dimension: ordered_at}
            entities: [{name: id_key, expr: id, type: primary}]
            dimensions:
              - {name: ordered_at, type: time, type_params: {time_granularity: day}}
            measures:
              - {name: total, agg: sum, expr: amount, create_metric: true}
              - {name: order_count, agg: count, expr: 1}
        metrics:
          - {name: revenue, label: R, type: simple, type_params: {measure: total}, filter: "{{ Dimension('x') }} > 1"}
          - {name: orders_n, label: O, type: simple, type_params: {measure: {name: order_count, fill_nulls_with: 0}}}
          - {name: aov, label: A, type: ratio, type_params: {numerator: revenue, denominator: orders_n}}
          - name: growth
            label: G
            type: derived
            type_params: {expr: cur - prev, metrics: [{name: revenue, alias: cur},
              {name: revenue, alias: prev, offset_window: 2 months}]}
        saved_queries:
          - name: daily
            query_params: {metrics: [revenue, aov], group_by: ["Dimension('x')"], where: "{{ Dimension('x') }} = 1"}
            exports: [{name: daily_table, config: {export_as: table, alias: d}}]
        exposures:
          - {name: board, type: dashboard, owner: {email: a@b.c}, depends_on: [ref('orders'), metric('aov')]}
        """,
}


def test_the_semantic_layer_in_the_manifest(project):
    p = project(SEMANTIC)
    result = p.run("build").ok()
    assert result.statuses == {"orders": "success", "board": "no-op", "daily": "no-op"}, "nothing is built for them"
    m = p.artifact("manifest")
    assert m["semantic_models"]["semantic_model.shop.orders"]["node_relation"]["alias"] == "orders"
    assert sorted(m["metrics"]) == ["metric.shop." + n for n in ("aov", "growth", "orders_n", "revenue", "total")]
    aov = m["metrics"]["metric.shop.aov"]
    assert aov["depends_on"]["nodes"] == ["metric.shop.revenue", "metric.shop.orders_n"]
    assert [i["name"] for i in aov["type_params"]["input_measures"]] == ["total", "order_count"]
    assert m["metrics"]["metric.shop.growth"]["type_params"]["metrics"][1]["offset_window"] == {
        "count": 2, "granularity": "month"}
    assert m["metrics"]["metric.shop.revenue"]["filter"]["where_filters"][0]["where_sql_template"].startswith("{{")
    query = m["saved_queries"]["saved_query.shop.daily"]
    assert query["exports"][0]["config"] == {"export_as": "table", "schema_name": "dev", "alias": "d",
                                             "database": p.db.name}
    assert m["parent_map"]["exposure.shop.board"] == ["metric.shop.aov", "model.shop.orders"]
    assert m["child_map"]["model.shop.orders"] == ["exposure.shop.board", "semantic_model.shop.orders"]
    p.write({"models/orders.sql": "select 1/0 as id, date '2024-01-01' as ordered_at, 10.0 as amount, now() as at",
             "models/config.yml": "models: [{name: orders, config: {materialized: table}}]\n"})
    assert p.run("build").fails(1).statuses == {"orders": "error", "board": "skipped", "daily": "skipped"}
    listed = p.run("ls --select +metric:growth").ok().stdout.split()
    assert sorted(listed) == ["metric:shop.growth", "metric:shop.revenue", "semantic_model:shop.orders", "shop.orders"]


def test_everything_wrong_is_named(project):
    p = project({**SEMANTIC, "models/m.yml": """
        semantic_models:
          - {name: facts, model: ref('orders'), entities: [{name: id_key, type: primery}]}
          - {name: others, model: ref('orders'), dimensions: [{name: big, type: categorical}]}
          - {name: fourth, model: ref('orders'), measures: [{name: total, agg: sum}]}
        metrics:
          - {name: Bad Name, label: x, type: simple, type_params: {measure: total}}
          - {name: m1, label: x, type: simple, type_params: {measure: totl}}
          - {name: m2, label: x, type: ratio, type_params: {numerator: m1}}
          - {name: m3, label: x, type: derived, type_params: {expr: a, metrics: [m4]}}
          - {name: m4, label: x, type: derived, type_params: {expr: a, metrics: [m3]}}
          - {name: m5, label: x, type: cumulative, type_params: {measure: total, cumulative_type_params: {window: day}}}
        saved_queries:
          - {name: q, query_params: {metrics: [m11]}}
        exposures:
          - {name: e1, type: dashbord, owner: {name: x}}
          - {name: e2, type: dashboard, owner: {nme: x}}
          - {name: e3, type: dashboard, owner: {name: x}, depends_on: [orders]}
        """})
    result = p.run("parse").fails(2)
    result.says("models/m.yml:2", "not 'primery'", "has dimensions and no primary entity")
    result.says("no time dimension to be aggregated over", "'Bad Name' is no name", "no semantic model has a measure 'totl'")
    result.says("a ratio metric needs `numerator` and `denominator`", "it is made of itself", "'day' is no window")
    result.says("depends on a metric named 'm11'", "did you mean 'm1'?", "not 'dashbord'")
    result.says("needs an `owner` with a name or an email", "'orders' is no ref(), source() or metric()")
