"""Incremental models: strategies, changed columns, full refresh, and what is refused."""
import pytest

UPSERT = """
    {{{{ config(materialized='incremental', unique_key={key}, incremental_strategy='{strategy}'{more}) }}}}
    select * from (values {{{{ var('rows') }}}}) v (id, k, old, new)
    """


def upsert(strategy, key="'id'", more=""):
    return {"models/m.sql": UPSERT.format(strategy=strategy, key=key, more=more)}


def run(p, rows, *more):
    return p.run("run", "--vars", '{rows: "' + rows + '"}', *more)


@pytest.mark.san
@pytest.mark.parametrize("strategy", ["delete+insert", "merge"])
def test_rows_of_the_same_key_are_replaced(project, strategy):
    p = project(upsert(strategy))
    run(p, "(1, 1, 'a', 'a'), (2, 2, 'b', 'b')").ok()
    result = run(p, "(2, 2, 'c', 'c'), (3, 3, 'd', 'd')").ok()
    assert p.db.rows("select id, old from dev.m order by id") == ["1|a", "2|c", "3|d"]
    assert result.result("m")["adapter_response"]["rows_affected"] == 2
    assert p.db.rows("select count(*) from pg_class where relname like 'm\\_\\_dbt%'") == ["0"]


def test_without_a_key_rows_are_added(project):
    p = project({"models/m.sql": "{{ config(materialized='incremental') }} select {{ var('n') }} as n"})
    for n in 1, 2, 2:
        p.run("run", "--vars", f"{{n: {n}}}").ok()
    assert p.db.rows("select n from dev.m order by n") == ["1", "2", "2"]


def test_a_key_replaces_without_a_strategy(project):
    p = project({"models/m.sql": "{{ config(materialized='incremental', unique_key='n') }} select {{ var('n') }} as n"})
    for n in 1, 2, 2:
        p.run("run", "--vars", f"{{n: {n}}}").ok()
    assert p.db.rows("select n from dev.m order by n") == ["1", "2"]


@pytest.mark.parametrize("strategy", ["delete+insert", "merge"])
def test_a_key_of_two_columns(project, strategy):
    p = project(upsert(strategy, key="['id', 'k']"))
    run(p, "(1, 1, 'a', 'a'), (1, 2, 'b', 'b')").ok()
    run(p, "(1, 2, 'c', 'c')").ok()
    assert p.db.rows("select id, k, old from dev.m order by id, k") == ["1|1|a", "1|2|c"]


def test_columns_that_a_merge_updates(project):
    p = project(upsert("merge", more=", merge_update_columns=['new']"))
    run(p, "(1, 1, 'a', 'a')").ok()
    run(p, "(1, 9, 'b', 'b')").ok()
    assert p.db.rows("select * from dev.m") == ["1|1|a|b"]
    p.write(upsert("merge", more=", merge_exclude_columns=['old', 'K']"))
    run(p, "(1, 7, 'c', 'c')").ok()
    assert p.db.rows("select * from dev.m") == ["1|1|a|c"]


@pytest.mark.parametrize("strategy", ["delete+insert", "merge"])
def test_predicates(project, strategy):
    column = "DBT_INTERNAL_DEST.id"
    p = project(upsert(strategy, more=f', incremental_predicates=["{column} > 1"]'))
    run(p, "(1, 1, 'a', 'a'), (2, 1, 'a', 'a')").ok()
    run(p, "(1, 1, 'b', 'b'), (2, 1, 'b', 'b')").ok()
    assert p.db.rows("select id, old from dev.m order by 1, 2") == ["1|a", "1|b", "2|b"]


def test_is_incremental_and_this(project):
    p = project({"models/m.sql": """
        {{ config(materialized='incremental') }}
        select g as n from generate_series(1, {{ var('n') }}) g
        {% if is_incremental() %} where g > (select max(n) from {{ this }}) {% endif %}
        """})
    assert p.run("run", "--vars", "{n: 3}").ok().result("m")["adapter_response"]["rows_affected"] == 3
    assert p.run("run", "--vars", "{n: 5}").ok().result("m")["adapter_response"]["rows_affected"] == 2
    p.run("run", "--vars", "{n: 2}", "--full-refresh").ok()
    assert p.db.rows("select n from dev.m order by n") == ["1", "2"]


def test_full_refresh_setting_wins_over_the_flag(project):
    p = project({"models/keep.sql": "{{ config(materialized='incremental', full_refresh=false) }} select 1 as n",
                 "models/anew.sql": "{{ config(materialized='incremental', full_refresh=true) }} select 1 as n"})
    p.run("run").ok()
    p.run("run", "--full-refresh").ok()
    p.run("run").ok()
    assert p.db.rows("select count(*) from dev.keep union all select count(*) from dev.anew") == ["3", "1"]


def test_a_view_becomes_an_incremental_table(project):
    p = project({"models/m.sql": "{{ config(materialized=var('kind')) }} select 1 as n"})
    for kind in "view", "incremental", "incremental":
        p.run("run", "--vars", f"{{kind: {kind}}}").ok()
    assert p.db.relations() == ["m table"]
    assert p.db.rows("select n from dev.m") == ["1", "1"]


CHANGING = """
    {{{{ config(materialized='incremental', on_schema_change='{how}') }}}} select {{{{ var('columns') }}}}
    """


def changed(p, columns):
    return p.run("run", "--vars", '{columns: "' + columns + '"}')


def columns_of(p):
    return p.db.rows("select column_name, data_type from information_schema.columns where table_schema = 'dev'"
                     " order by ordinal_position")


def test_changed_columns_are_ignored(project):
    p = project({"models/m.sql": CHANGING.format(how="ignore")})
    changed(p, "1 as a").ok()
    changed(p, "2 as a, 3 as b").ok()
    assert p.db.rows("select * from dev.m order by a") == ["1", "2"]
    changed(p, "3 as b").fails().says('column "a" does not exist', "on_schema_change")


def test_new_columns_are_appended(project):
    p = project({"models/m.sql": CHANGING.format(how="append_new_columns")})
    changed(p, "1 as a, 1 as gone").ok()
    changed(p, "2 as a, 'x'::text as b").ok()
    assert p.db.rows("select * from dev.m order by a") == ["1|1|NULL", "2|NULL|x"]


def test_all_columns_are_synchronised(project):
    p = project({"models/m.sql": CHANGING.format(how="sync_all_columns")})
    changed(p, "1 as a, 1 as gone").ok()
    changed(p, "2::bigint as a, 'x'::text as b").ok()
    assert columns_of(p) == ["b|text", "a|bigint"]
    assert p.db.rows("select a, b from dev.m order by a") == ["1|NULL", "2|x"]


def test_changed_columns_fail(project):
    p = project({"models/m.sql": CHANGING.format(how="fail")})
    changed(p, "1 as a, 1 as gone").ok()
    changed(p, "2 as a, 3 as fresh").fails().says("only in the query: [fresh]", "only in the table: [gone]",
                                                 "--full-refresh")
    assert p.db.rows("select * from dev.m") == ["1|1"]


def test_texts_may_grow(project):
    p = project({"models/m.sql": CHANGING.format(how="ignore")})
    changed(p, "'a'::varchar(2) as a").ok()
    changed(p, "'abcd'::varchar(4) as a").ok()
    assert p.db.rows("select a from dev.m order by a") == ["a", "abcd"]


@pytest.mark.san
def test_a_strategy_of_the_project(project):
    p = project({
        "macros/twice.sql": """
            {% macro get_incremental_twice_sql(arg_dict) %}
              {% do log(arg_dict.keys() | list, info=true) %}
              insert into {{ arg_dict['target_relation'] }} select n * 10 from {{ arg_dict['temp_relation'] }}
            {% endmacro %}
            """,
        "models/m.sql": "{{ config(materialized='incremental', incremental_strategy='twice') }} select 7 as n",
    })
    p.run("run").ok()
    p.run("run").ok().says("'target_relation', 'temp_relation', 'unique_key', 'dest_columns', 'incremental_predicates'")
    assert p.db.rows("select n from dev.m order by n") == ["7", "70"]


def test_an_unknown_strategy_fails_at_once(project):
    p = project(upsert("upsert"))
    run(p, "(1, 1, 'a', 'a')").fails().says("there is no incremental strategy 'upsert'")
    p.write(upsert("insert_overwrite"))
    run(p, "(1, 1, 'a', 'a')").fails().says("does not exist on PostgreSQL", "append, delete+insert, merge and microbatch")
    assert p.db.relations() == []


def test_a_key_that_is_no_column(project):
    p = project(upsert("merge", key="'idd'"))
    run(p, "(1, 1, 'a', 'a')").ok()
    run(p, "(2, 1, 'a', 'a')").fails().says("unique_key names 'idd', which is no column of this model",
                                           "its columns are id, k, old, new", "models/m.sql")
    assert p.db.rows("select id from dev.m") == ["1"]


def test_a_failure_leaves_the_table(project):
    p = project({"models/m.sql": """
        {{ config(materialized='incremental', unique_key='n', on_schema_change='sync_all_columns',
                  post_hook='select 1 / {{ var("zero") }}') }}
        select 1 as n {{ ', 2 as more' if var('zero') == 0 }}
        """})
    p.run("run", "--vars", "{zero: 1}").ok()
    p.run("run", "--vars", "{zero: 0}").fails().says("division by zero")
    assert columns_of(p) == ["n|integer"]
    p.run("run", "--vars", "{zero: 0}", "--full-refresh").fails()
    assert p.db.relations() == ["m table"]


def test_indexes_and_privileges(project):
    p = project({"models/m.sql": """
        {{ config(materialized='incremental', unlogged=true, indexes=[{'columns': ['n'], 'unique': true}], unique_key='n',
                  grants={'select': var('who')}) }}
        select 1 as n
        """})
    grants = ("select grantee from information_schema.role_table_grants where table_schema = 'dev'"
              " and grantee <> 'postgres' order by 1")
    p.run("run", "--vars", "{who: [pg_monitor, pg_signal_backend]}").ok()
    p.run("run", "--vars", "{who: [pg_signal_backend]}").ok()
    assert p.db.rows(grants) == ["pg_signal_backend"]
    p.run("run", "--vars", "{who: []}").ok()
    assert p.db.rows(grants) == []
    assert p.db.rows("select indisunique from pg_index where indrelid = 'dev.m'::regclass") == ["t"]
    assert p.db.rows("select relpersistence from pg_class where oid = 'dev.m'::regclass") == ["u"]
