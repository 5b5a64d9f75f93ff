"""Data tests in full: generic tests of the project, both styles of arguments, thresholds, kept rows."""
import pytest

TABLE = {"models/t.sql": "{{ config(materialized='table') }} select * from (values (1,'a',10),(2,'b',20),(2,null,30),"
                         "(3,'b',null)) v(id,kind,amount)"}

CUSTOM = {
    "macros/m.sql": """
        {% test over(model, column_name, least, most=100) %}
        {{ config(severity='warn', tags=['mine']) }}
        select * from {{ model }} where {{ column_name }} < {{ least }} or {{ column_name }} > {{ most }}
        {% endtest %}
        {% test rows_at_least(model, n) %}
        {{ config(fail_calc='coalesce(max(missing), 0)') }}
        select {{ n }} - count(*) as missing from {{ model }} having count(*) < {{ n }}
        {% endtest %}
        """,
    "tests/generic/g.sql": """
        {% test same_count(model, compare_to) %}
        select 1 from (select count(*) c from {{ model }}) a, (select count(*) c from {{ compare_to }}) b where a.c <> b.c
        {% endtest %}
        """,
}


@pytest.mark.san
def test_generic_tests_of_the_project(project):
    p = project({**TABLE, **CUSTOM, "models/t.yml": """
        models:
          - name: t
            data_tests:
              - rows_at_least: {arguments: {n: 6}}
              - rows_at_least: {n: 3, name: three}
              - same_count: {arguments: {compare_to: ref('t')}}
              - shop.same_count: {compare_to: "{{ ref('t') }}", name: again}
            columns:
              - name: amount
                data_tests:
                  - over: {arguments: {least: 15}}
                  - over: {arguments: {least: 15, most: 25}, config: {severity: error}, tags: [x]}
                  - relationships: {arguments: {to: ref('t'), field: amount}}
              - name: kind
                data_tests:
                  - accepted_values: {arguments: {values: ['a']}, config: {limit: 1, error_if: '>3', warn_if: '>0'}}
                  - accepted_values: {values: [1, 2], quote: false, name: off, config: {enabled: false}}
        """})
    result = p.run("build").fails(1)
    found = {k: (v, result.result(k)["failures"]) for k, v in result.statuses.items() if k != "t"}
    assert found == {
        "rows_at_least_t_6": ("fail", 2), "three": ("pass", 0), "same_count_t_ref_t_": ("pass", 0), "again": ("pass", 0),
        "over_t_amount__15": ("warn", 1), "over_t_amount__15__25": ("fail", 2),
        "relationships_t_amount__amount__ref_t_": ("pass", 0), "accepted_values_t_kind__a": ("warn", 1)}
    assert result.result("over_t_amount__15")["message"] == "Got 1 result, configured to warn if != 0"
    assert sorted(p.run("ls --select tag:mine").ok().stdout.split()) == ["shop.over_t_amount__15",
                                                                        "shop.over_t_amount__15__25"]


@pytest.mark.san
def test_kept_failures(project):
    p = project({**TABLE,
        "tests/singular.sql": """
            {{ config(severity='warn', store_failures=true, limit=2, store_failures_as='view') }}
            select * from {{ ref('t') }} where id > 0
            """,
        "models/t.yml": """
            models:
              - name: t
                columns:
                  - name: kind
                    data_tests:
                      - not_null: {config: {store_failures_as: table, schema: kept, alias: nulls}}
                      - unique
                  - name: id
                    data_tests: [{unique: {config: {store_failures: false}}}]
            """})
    result = p.run("build").fails(1).says('the rows that failed: select * from "' + p.db.name + '"."dev_kept"."nulls"')
    assert result.result("singular")["failures"] == 2, "the limit is a part of what is kept"
    assert p.db.relations("dev_kept") == ["nulls table"] and p.db.relations("dev_dbt_test__audit") == ["singular view"]
    assert p.db.rows("select id, amount from dev_kept.nulls") == ["2|30"]
    p.run("test --store-failures").fails(1)
    assert p.db.relations("dev_dbt_test__audit") == ["singular view", "unique_t_kind table"]


def test_an_own_materialization(project):
    p = project({**TABLE, "models/t.yml": "models: [{name: t, columns: [{name: id, data_tests: [unique]}]}]\n",
        "macros/test.sql": """
            {% materialization test, default %}
              {% call statement('main', fetch_result=true) %}
                select count(*) as failures, false as should_warn, count(*) > 5 as should_error from ({{ sql }}) x
              {% endcall %}
              {{ return({'relations': []}) }}
            {% endmaterialization %}
            """})
    assert p.run("build").ok().statuses == {"t": "success", "unique_t_id": "pass"}
