"""Data tests: generic and singular, severity, thresholds, kept failures."""
import pytest

NUMBERS = {
    "models/numbers.sql": "{{ config(materialized='table') }} select * from (values (1, 'a'), (2, 'b'), (2, null)) v(n, t)",
    "models/parents.sql": "{{ config(materialized='table') }} select 1 as id",
}


@pytest.mark.san
def test_the_four_generic_tests(project):
    p = project({**NUMBERS, "models/all.yml": """
        models:
          - name: numbers
            columns:
              - name: n
                data_tests:
                  - unique
                  - not_null
                  - accepted_values: {arguments: {values: [1, 2]}}
                  - relationships: {arguments: {to: "ref('parents')", field: id}}
              - name: t
                tests:
                  - not_null
                  - unique
                  - accepted_values: {values: ['a', 'b']}
        """})
    result = p.run("build").fails(1)
    found = {name: status for name, status in result.statuses.items() if name not in ("numbers", "parents")}
    assert found == {
        "unique_numbers_n": "fail", "not_null_numbers_n": "pass", "accepted_values_numbers_n__1__2": "pass",
        "relationships_numbers_n__id__ref_parents_": "fail", "not_null_numbers_t": "fail", "unique_numbers_t": "pass",
        "accepted_values_numbers_t__a__b": "pass"}
    failures = {name: result.result(name)["failures"] for name in found}
    assert failures["unique_numbers_n"] == 1 and failures["relationships_numbers_n__id__ref_parents_"] == 2
    assert failures["not_null_numbers_t"] == 1 and failures["not_null_numbers_n"] == 0


def test_singular_tests(project):
    p = project({**NUMBERS, "tests/good.sql": "select * from {{ ref('numbers') }} where n > 5",
                 "tests/bad.sql": "{{ config(tags='nightly') }} select * from {{ ref('numbers') }} where n = 2"})
    p.run("run").ok()
    result = p.run("test").fails(1).says("2 failures")
    assert result.statuses == {"good": "pass", "bad": "fail"}
    assert p.run("test --exclude tag:nightly").ok().statuses == {"good": "pass"}


@pytest.mark.san
def test_severity_and_thresholds(project):
    p = project({**NUMBERS, "models/all.yml": """
        models:
          - name: numbers
            columns:
              - name: n
                data_tests:
                  - unique: {name: warns, config: {severity: warn}}
                  - unique: {name: lets_one, config: {error_if: '>1', warn_if: '>0'}}
                  - unique: {name: lets_two, config: {warn_if: '>2', error_if: '>2'}}
                  - unique: {name: other_rows, config: {where: 'n = 1'}}
                  - unique: {name: sums, config: {fail_calc: 'sum(n_records)', error_if: '>1'}}
        """})
    result = p.run("build").fails(1)
    assert {name: result.statuses[name] for name in ("warns", "lets_one", "lets_two", "other_rows", "sums")} == {
        "warns": "warn", "lets_one": "warn", "lets_two": "pass", "other_rows": "pass", "sums": "fail"}
    p.run("build --exclude sums").ok().says("2 warned")


def test_failures_are_kept(project):
    p = project({**NUMBERS, "tests/bad.sql": "select n from {{ ref('numbers') }} where n = 2"})
    p.run("build").fails(1)
    assert p.db.relations("dev_dbt_test__audit") == []
    p.run("test --store-failures").fails(1)
    assert p.db.rows("select n from dev_dbt_test__audit.bad") == ["2", "2"]
    p.write({"tests/bad.sql": "{{ config(store_failures_as='view') }} select n from {{ ref('numbers') }} where n = 1"})
    p.run("test").fails(1)
    assert p.db.relations("dev_dbt_test__audit") == ["bad view"]


def test_tests_of_sources_and_own_generic_tests(project):
    p = project({
        "models/raw.yml": """
            sources:
              - name: raw
                tables:
                  - name: orders
                    columns: [{name: n, data_tests: [unique]}]
                    data_tests: [{has_rows: {at_least: 2}}]
            """,
        "tests/generic/has_rows.sql": """
            {% test has_rows(model, at_least) %}
              select 1 from (select count(*) as n from {{ model }}) c where n < {{ at_least }}
            {% endtest %}
            """,
    })
    p.db.sql("create schema raw; create table raw.orders as select 1 as n")
    result = p.run("test").fails(1)
    assert result.statuses == {"source_unique_raw_orders_n": "pass", "source_has_rows_raw_orders_2": "fail"}
    p.db.sql("insert into raw.orders values (2)")
    p.run("test").ok()


def test_a_failed_test_holds_back_what_stands_below(project):
    p = project({
        "models/a.sql": "select 1 as n union all select 1",
        "models/b.sql": "select * from {{ ref('a') }}",
        "models/c.sql": "select * from {{ ref('b') }}",
        "models/d.sql": "select 1 as n",
        "models/a.yml": "models: [{name: a, columns: [{name: n, data_tests: [{unique: {config: {severity: \"{{ var('s') }}\"}}}]}]}]",
    })
    result = p.run("build", "--vars", "s: error").fails(1)
    assert result.statuses == {"a": "success", "unique_a_n": "fail", "b": "skipped", "c": "skipped", "d": "success"}
    assert p.db.relations() == ["a view", "d view"]
    result = p.run("build", "--vars", "s: warn").ok()
    assert result.statuses["unique_a_n"] == "warn" and result.statuses["c"] == "success"
    # `run` knows no tests
    assert "unique_a_n" not in p.run("run", "--vars", "s: error").ok().statuses


def test_a_test_that_is_no_query_fails_for_itself(project):
    p = project({**NUMBERS, "tests/broken.sql": "select nothing from {{ ref('numbers') }}"})
    result = p.run("build").fails(1)
    assert result.statuses == {"numbers": "success", "parents": "success", "broken": "error"}
    assert p.db.relations() == ["numbers table", "parents table"]
