"""Unit tests: fixtures in every form, overrides, incremental models, the difference that is shown, order in a build."""
import pytest

MODELS = {
    "models/customers.sql": "select 1 as id, 'a@b.c'::text as email, date '2024-01-01' as day, 1.5::numeric(10,2) as amount",
    "seeds/domains.csv": "domain,n\nb.c,1\nx.y,\n",
    "models/valid.sql": """
        select c.id, c.email like '%@%' as ok, c.day, c.amount * {{ var('factor', 1) }} as amount,
          '{{ env_var("WHO", "nobody") }}' as who, {{ twice('c.id') }} as twice
        from {{ ref('customers') }} c
        join {{ source('raw', 'domains') }} d on c.email like '%' || d.domain
        """,
    "macros/twice.sql": "{% macro twice(x) %}{{ x }} * 2{% endmacro %}",
    "models/sources.yml": "sources: [{name: raw, schema: dev, tables: [{name: domains}]}]\n",
}


def unit_tests(text):
    return {**MODELS, "models/unit.yml": text}


GOOD = """
    unit_tests:
      - name: good
        description: all forms of fixtures
        model: valid
        given:
          - input: ref('customers')
            rows:
              - {id: 1, email: x@b.c, day: 2024-02-03, amount: 2.5}
              - {ID: 2, email: nope}
          - input: source('raw', 'domains')
            format: csv
            rows: |
              domain,n
              b.c,
              nope,3
        expect:
          rows:
            - {id: 1, ok: true, day: 2024-02-03, who: me, twice: 7}
            - {id: 2, ok: false, day: null, who: me, twice: 7}
        overrides:
          vars: {factor: 2}
          env_vars: {WHO: me}
          macros: {twice: 7}
      - name: in_sql
        model: valid
        given:
          - input: ref('customers')
            format: sql
            rows: |
              select 1 as id, 'q@b.c' as email, date '2024-01-01' as day, 1.0 as amount
              union all select 2, 'z@b.c', null, 2.0
          - input: source('raw', 'domains')
            format: csv
            fixture: doms
        expect:
          format: sql
          rows: |
            select 2 as id, true as ok, null::date as day, 2.0 as amount, 'nobody' as who, 4 as twice
            union all select 1, true, '2024-01-01', 1.0, 'nobody', 2
      - name: no_rows
        model: valid
        given:
          - {input: ref('customers'), rows: []}
          - {input: "source('raw', 'domains')", rows: [{domain: x}]}
        expect: {rows: []}
    """


@pytest.mark.san
def test_fixtures_and_overrides(project):
    p = project({**unit_tests(GOOD), "tests/fixtures/doms.csv": "domain\nb.c\n"})
    p.run("seed").ok()
    result = p.run("build").ok()
    assert result.order.index("valid.good") < result.order.index("valid"), "before their model"
    assert [result.statuses["valid." + name] for name in ("good", "in_sql", "no_rows")] == ["pass"] * 3
    assert p.db.relations("dev") == ["customers view", "domains table", "valid view"], "nothing of a test is left"
    again = p.run("test --select test_type:unit").ok()
    assert sorted(again.statuses) == ["valid.good", "valid.in_sql", "valid.no_rows"]
    assert p.run("test --select unit_test:good").ok().order == ["valid.good"]
    listed = p.run("ls --resource-type unit_test").ok()
    assert listed.stdout.split() == ["unit_test:shop.good", "unit_test:shop.in_sql", "unit_test:shop.no_rows"]
    node = p.artifact("manifest")["unit_tests"]["unit_test.shop.valid.good"]
    assert node["depends_on"]["nodes"] == ["model.shop.valid"] and node["given"][1]["rows"][1]["domain"] == "b.c"


@pytest.mark.san
def test_the_difference_is_shown_and_the_model_skipped(project):
    p = project({
        "models/a.sql": "select 1 as id, 'x' as name, true as ok",
        "models/b.sql": "select id, name, not ok as ok from {{ ref('a') }}",
        "models/c.sql": "select * from {{ ref('b') }}",
        "models/u.yml": """
            unit_tests:
              - name: differs
                model: b
                given:
                  - input: ref('a')
                    rows:
                      - {id: 1, name: one, ok: true}
                      - {id: 2, name: two, ok: true}
                      - {id: 3, name: three, ok: true}
                      - {id: 4, name: null, ok: false}
                expect:
                  rows:
                    - {id: 1, name: one, ok: false}
                    - {id: 2, name: two, ok: true}
                    - {id: 4, name: null, ok: true}
                    - {id: 9, name: nine, ok: null}
            """,
    })
    result = p.run("build").fails(1)
    assert result.statuses == {"a": "success", "b.differs": "fail", "b": "skipped", "c": "skipped"}
    expected = """actual differs from expected:

@@ ,id,name ,ok
   ,1 ,one  ,False
→  ,2 ,two  ,True→False
+++,3 ,three,False
   ,4 ,NULL ,True
---,9 ,nine ,NULL
"""
    assert expected in result.result("b.differs")["message"]
    result.says("models/u.yml:2", "→  ,2 ,two  ,True→False", "unit_test differs did not succeed")
    assert p.db.relations("dev") == ["a view"]
    assert p.run("run").ok().statuses == {"a": "success", "b": "success", "c": "success"}, "run knows no tests"


def test_incremental_models(project):
    p = project({
        "models/a.sql": "select 1 as id, 10 as n",
        "models/inc.sql": """
            {{ config(materialized='incremental') }}
            select id, n from {{ ref('a') }}
            {% if is_incremental() %} where id > (select max(id) from {{ this }}) {% endif %}
            """,
        "models/u.yml": """
            unit_tests:
              - name: adds
                model: inc
                overrides: {macros: {is_incremental: true}}
                given:
                  - {input: ref('a'), rows: [{id: 1, n: 1}, {id: 2, n: 2}]}
                  - {input: this, rows: [{id: 1}]}
                expect: {rows: [{id: 2, n: 2}]}
              - name: first
                model: inc
                overrides: {macros: {is_incremental: false}}
                given: [{input: ref('a'), rows: [{id: 1, n: 1}]}]
                expect: {rows: [{id: 1, n: 1}]}
            """,
    })
    result = p.run("build").fails(1).says("relation doesn't exist", "models/u.yml")
    assert result.statuses["inc.first"] == "pass" and result.statuses["inc"] == "skipped"
    p.run("run").ok()
    assert set(p.run("build").ok().statuses.values()) == {"success", "pass"}


@pytest.mark.parametrize("text, words", [
    ("given: []\n        expect: {rows: []}", ["the model reads ref('customers')", "gives no rows for it"]),
    ("given: [{input: ref('nowhere'), rows: []}]\n        expect: {rows: []}", ["input ref('nowhere') was not found"]),
])
def test_a_wrong_input_is_an_error_of_the_test(project, text, words):
    p = project(unit_tests(f"""
    unit_tests:
      - name: t
        model: valid
        {text}
    """))
    p.run("run --select customers").ok()
    p.run("test --select test_type:unit").fails(1).says(*words)


BAD = """
unit_tests:
  - {name: a, model: vald, given: [], expect: {rows: []}}
  - {name: b, model: valid, given: [{input: ref('customers'), rows: [x]}], expect: {rows: []}}
  - {name: c, model: valid, given: [{input: customers, rows: []}], expect: {rows: []}}
  - {name: d, model: valid, given: []}
  - {name: e, model: valid, given: [], expect: {format: csv, fixture: domz}}
  - {name: f, model: valid, given: [], expect: {format: tsv, rows: x}}
  - {name: g, model: inc, given: [], expect: {rows: []}}
  - {name: h, model: inc, given: [], expect: {rows: []}, overrides: {macros: {is_incremental: true}}}
  - {name: i, model: valid, given: [], expect: {rows: []}, versions: {include: [1]}}
"""


def test_every_wrong_declaration_is_named(project):
    p = project({**unit_tests(BAD), "tests/fixtures/doms.csv": "domain\nb.c\n",
                 "models/inc.sql": "select 1 as id {% if is_incremental() %} where 1=0 {% endif %}"})
    result = p.run("parse").fails(2)
    result.says("models/unit.yml:2", "there is no model 'vald'", "did you mean 'valid'?")
    result.says("a row is a mapping of columns to values", "'customers' is no input", "needs `expect`")
    result.says("there is no fixture file 'domz'", "did you mean 'doms'?", "`format` must be dict, csv or sql")
    result.says("the test must say what it answers", "there must be an input `this`", "model 'valid' has no versions")


def test_versions(project):
    p = project({
        "models/v_v1.sql": "select 1 as id", "models/v_v2.sql": "select 1 as id, 2 as n",
        "models/v.yml": """
            models: [{name: v, latest_version: 2, versions: [{v: 1}, {v: 2}]}]
            unit_tests:
              - {name: all, model: v, given: [], expect: {rows: [{id: 1}]}}
              - {name: only, model: v, versions: {include: [2]}, given: [], expect: {rows: [{n: 2}]}}
            """,
    })
    result = p.run("build").ok()
    assert {k: v for k, v in result.statuses.items() if "." in k and k.count("_v")} == {
        "v.all_v1": "pass", "v.all_v2": "pass", "v.only_v2": "pass"}
