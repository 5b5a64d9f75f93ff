"""Snapshots: strategies, deleted rows, columns, names, locks, and what is refused."""
import contextlib
import subprocess

import pytest

NEVER = "'9999-12-31'::timestamp"


def snapshot(settings, source="select * from src"):
    return {"snapshots/s.sql": "{% snapshot s %}\n{{ config(" + settings + ") }}\n" + source + " -- all\n{% endsnapshot %}\n"}


def with_rows(p, rows):
    p.db.sql("drop table if exists src; create table src as select id, name, t::timestamp as t, 1 as k"
             f" from (values {rows}) v (id, name, t)")


TIMESTAMP = "strategy='timestamp', unique_key='id', updated_at='t'"
CHECK = "strategy='check', unique_key='id', check_cols=['name'], updated_at='t'"
ROWS = "select id, name, dbt_valid_from::date, dbt_valid_to::date from dev.s order by 1, 3, 4"
FIRST = "(1, 'a', '2024-01-01'), (2, 'b', '2024-01-01')"
SECOND = "(1, 'x', '2024-02-01'), (2, 'b', '2024-01-01'), (3, 'c', '2024-02-01')"


@pytest.fixture
def taken(project):
    """taken(settings, rows...): a project whose snapshot was taken of each in turn."""

    def make(settings, *rows):
        p = project(snapshot(settings))
        for one in rows:
            with_rows(p, one)
            p.run("snapshot").ok()
        return p

    return make


@pytest.mark.san
@pytest.mark.parametrize("settings", [TIMESTAMP, CHECK])
def test_versions(taken, settings):
    p = taken(settings, FIRST, SECOND, SECOND)
    assert p.db.rows(ROWS) == ["1|a|2024-01-01|2024-02-01", "1|x|2024-02-01|NULL", "2|b|2024-01-01|NULL",
                               "3|c|2024-02-01|NULL"]
    assert p.db.rows("select count(distinct dbt_scd_id), count(*) from dev.s") == ["4|4"]
    assert p.db.rows("select dbt_scd_id from dev.s where id = 2") == p.db.rows(
        "select md5('2|2024-01-01 00:00:00')")


def test_an_older_row_changes_nothing(taken):
    p = taken(TIMESTAMP, FIRST, "(1, 'older', '2023-01-01'), (2, 'b', '2024-01-01')")
    assert p.db.rows("select count(*) from dev.s") == ["2"]


def test_null_is_a_value_for_check(taken):
    p = taken(CHECK, "(1, 'a', '2024-01-01')", "(1, null, '2024-02-01')", "(1, null, '2024-02-01')", "(1, 'a', '2024-03-01')")
    assert p.db.rows("select coalesce(name, '-') from dev.s order by dbt_valid_from") == ["a", "-", "a"]


def test_check_without_updated_at_takes_the_time(taken):
    p = taken("strategy='check', unique_key='id', check_cols='all'", FIRST, SECOND)
    assert p.db.rows("select count(*) from dev.s where dbt_valid_from > now()::timestamp - interval '1 hour'") == ["4"]


GONE = "(1, 'a', '2024-01-01')"


def test_deleted_rows_stay_current(taken):
    p = taken(TIMESTAMP, FIRST, GONE)
    assert p.db.rows("select id from dev.s where dbt_valid_to is null order by 1") == ["1", "2"]


@pytest.mark.parametrize("how", ["hard_deletes='invalidate'", "invalidate_hard_deletes=true"])
def test_deleted_rows_end(taken, how):
    p = taken(f"{TIMESTAMP}, {how}", FIRST, GONE, GONE)
    assert p.db.rows("select id from dev.s where dbt_valid_to is null") == ["1"]
    assert p.db.rows("select dbt_valid_to > now()::timestamp - interval '1 hour' from dev.s where id = 2") == ["t"]


@pytest.mark.san
def test_deleted_rows_get_a_record(taken):
    p = taken(f"{TIMESTAMP}, hard_deletes='new_record'", FIRST, GONE, GONE, FIRST)
    assert p.db.rows("select dbt_is_deleted, dbt_valid_to is null from dev.s where id = 2"
                     " order by dbt_updated_at, dbt_is_deleted") == ["False|f", "False|t", "True|f"]


def test_a_key_of_two_columns(taken):
    p = taken("strategy='timestamp', unique_key=['id', 'k'], updated_at='t', hard_deletes='invalidate'", FIRST, SECOND, GONE)
    assert p.db.rows("select id, name from dev.s where dbt_valid_to is null") == ["1|x"]
    assert "dbt_unique_key_1" not in p.db.rows("select string_agg(attname, ' ') from pg_attribute"
                                              " where attrelid = 'dev.s'::regclass and attnum > 0")[0]


def test_a_date_for_what_is_current(taken):
    p = taken(f'{TIMESTAMP}, dbt_valid_to_current="{NEVER}", hard_deletes="invalidate"', FIRST, SECOND, GONE)
    assert p.db.rows("select id, name, dbt_valid_to::date from dev.s where dbt_valid_to > '3000-01-01'") == [
        "1|x|9999-12-31"]


def test_names_of_the_columns(taken):
    names = ("snapshot_meta_column_names={'dbt_valid_from': 'start_at', 'dbt_valid_to': 'end_at', 'dbt_scd_id': 'sid',"
             " 'dbt_updated_at': 'seen_at', 'dbt_is_deleted': 'gone'}, hard_deletes='new_record'")
    p = taken(f"{TIMESTAMP}, {names}", FIRST, SECOND)
    assert p.db.rows("select id, name, gone, end_at is null from dev.s where id = 1 order by start_at") == [
        "1|a|False|f", "1|x|False|t"]
    assert p.db.rows("select string_agg(attname, ' ' order by attnum) from pg_attribute"
                     " where attrelid = 'dev.s'::regclass and attnum > 0") == ["id name t k sid seen_at start_at end_at gone"]


def test_columns_come_and_go(taken):
    p = taken("strategy='check', unique_key='id', check_cols='all', updated_at='t'", FIRST)
    p.db.sql("drop table src; create table src as select 1 as id, 'a'::text as name, '2024-03-01'::timestamp as t, 'new' as more")
    p.run("snapshot").ok()
    p.run("snapshot").ok()
    assert p.db.rows("select id, name, k, more from dev.s where id = 1 order by dbt_valid_from") == [
        "1|a|1|NULL", "1|a|NULL|new"]


def test_yaml_form(project):
    p = project({
        "models/src.sql": "{{ config(materialized='table') }} select 1 as id, {{ var('n') }} as n",
        "snapshots/snapshots.yml": """
            snapshots:
              - name: s
                description: every version
                relation: ref('src')
                config: {strategy: check, unique_key: id, check_cols: [n], persist_docs: {relation: true}}
                columns: [{name: id, data_tests: [not_null]}]
            """})
    for n in 1, 2:
        result = p.run("build", "--vars", f"{{n: {n}}}").ok()
    assert result.order == ["src", "s", "not_null_s_id"]
    assert p.db.rows("select n, dbt_valid_to is null from dev.s order by n") == ["1|f", "2|t"]
    assert p.db.rows("select obj_description('dev.s'::regclass)") == ["every version"]
    assert result.manifest["nodes"]["snapshot.shop.s"]["depends_on"]["nodes"] == ["model.shop.src"]
    assert p.exists("target/compiled/shop/snapshots/snapshots.yml/s.sql")


def test_where_it_is_built(project):
    p = project({**snapshot(TIMESTAMP + ", target_schema='history', alias='all_versions'"),
                 "models/reader.sql": "select id from {{ ref('s') }}"})
    with_rows(p, FIRST)
    p.run("build").ok()
    assert p.db.relations("history") == ["all_versions table"]
    assert p.db.rows("select count(*) from dev.reader") == ["2"]


def test_hooks_and_privileges(project):
    p = project(snapshot(TIMESTAMP + ", pre_hook='insert into log values (1)', indexes=[{'columns': ['id']}],"
                         " post_hook=['insert into log select count(*) from {{ this }}'], grants={'select': var('who')}"))
    p.db.sql("create table log (n int)")
    for who, rows in ("pg_monitor", FIRST), ("pg_signal_backend", SECOND):
        with_rows(p, rows)
        p.run("snapshot", "--vars", f"{{who: [{who}]}}").ok()
        assert p.db.rows("select grantee from information_schema.role_table_grants where table_schema = 'dev'"
                         " and grantee <> 'postgres'") == [who]
    assert p.db.rows("select n from log") == ["1", "2", "1", "4"]
    assert p.db.rows("select count(*) from pg_index where indrelid = 'dev.s'::regclass") == ["1"]


def test_full_refresh_keeps_the_history(taken):
    p = taken(TIMESTAMP, FIRST)
    with_rows(p, SECOND)
    p.run("build", "--full-refresh").ok()
    assert p.db.rows("select count(*) from dev.s") == ["4"]


def test_a_strategy_of_the_project(project):
    p = project({**snapshot("strategy='always', unique_key='id'"), "macros/always.sql": """
        {% macro snapshot_always_strategy(node, snapshotted_rel, current_rel, model_config, target_exists) %}
          {% do return({'unique_key': config.get('unique_key'), 'updated_at': 'now()::timestamp',
            'row_changed': 'true', 'scd_id': 'md5(random()::text)', 'hard_deletes': 'ignore'}) %}
        {% endmacro %}
        """})
    for _ in range(2):
        with_rows(p, GONE)
        p.run("snapshot").ok()
    assert p.db.rows("select count(*), count(dbt_valid_to) from dev.s") == ["2|1"]
    p.write(snapshot("strategy='sometimes', unique_key='id'"))
    p.run("snapshot").fails().says("there is no snapshot strategy 'sometimes'", "snapshot_sometimes_strategy")


@contextlib.contextmanager
def holding(db, query):
    """Runs a query in a session that stays open meanwhile."""
    server = db.server
    child = subprocess.Popen([server.psql_program, "-XAtq", "-h", server.host, "-p", str(server.port), "-U", "postgres",
                              "-d", db.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    child.stdin.write(query + "; select 'held';\n")
    child.stdin.flush()
    while child.stdout.readline().strip() != "held":
        pass
    try:
        yield
    finally:
        child.communicate()


@pytest.mark.san
def test_two_at_once(project):
    """The second one waits for the first and finds nothing to do, the first time and later."""
    p = project(snapshot(TIMESTAMP + ", pre_hook='select pg_advisory_lock_shared(7)'"))
    for rows, count in (FIRST, 2), (SECOND, 4):
        with_rows(p, rows)
        with holding(p.db, "select pg_advisory_lock(7)"):
            running = [p.start("snapshot", "--target-path", f"target{i}") for i in range(2)]
            p.db.wait_for_query("pg_advisory_lock_shared", 2)
        for one in running:
            one.finish().ok()
        assert p.db.rows("select count(*) from dev.s") == [str(count)]


def test_what_settings_miss(project):
    p = project(snapshot("strategy='check', unique_key='id'"))
    p.run("parse").fails(2).says("snapshot 's': the strategy check needs `check_cols`", "snapshots/s.sql")
    for settings, words in (
            ("unique_key='id'", "a snapshot needs a `strategy`"),
            ("strategy='timestamp', updated_at='t'", "a snapshot needs a `unique_key`"),
            ("strategy='timestamp', unique_key='id'", "the strategy timestamp needs `updated_at`"),
            ("strategy='check', unique_key='id', check_cols='name'", "a list of columns or 'all', not 'name'"),
            (TIMESTAMP + ", check_cols='all'", "`check_cols` does not go with the strategy timestamp"),
            (TIMESTAMP + ", hard_deletes='invalid'", "invalidate"),
            (TIMESTAMP + ", hard_deletes='ignore', invalidate_hard_deletes=true", "are the same setting"),
            (TIMESTAMP + ", materialized='table'", "a snapshot is materialized as 'snapshot'")):
        p.write(snapshot(settings))
        p.run("parse").fails(2).says(words)


def test_what_cannot_be_a_snapshot(project):
    p = project(snapshot(TIMESTAMP))
    with_rows(p, FIRST)
    p.db.sql("create schema dev; create table dev.s as select 1 as id")
    p.run("snapshot").fails().says("is not a snapshot: it has no column dbt_scd_id, dbt_valid_from, dbt_valid_to")
    p.db.sql("drop table dev.s; create view dev.s as select 1 as id")
    p.run("snapshot").fails().says('"dev"."s" is a view, and a table is needed here')
    assert p.db.relations() == ["s view"]


def test_a_failure_leaves_the_versions(taken):
    p = taken(TIMESTAMP, FIRST)
    with_rows(p, SECOND)
    p.write(snapshot(TIMESTAMP + ", post_hook='select 1 / 0'", "select *, 1 as fresh from src"))
    p.run("snapshot").fails().says("division by zero")
    assert p.db.rows("select count(*), count(dbt_valid_to) from dev.s") == ["2|0"]
    p.write(snapshot(TIMESTAMP, "select id, name, tt from src"))
    p.run("snapshot").fails().says('column "tt" does not exist', "snapshots/s.sql:3", "run again: dex-lua snapshot --select s")


def test_plan_and_list(project):
    p = project({**snapshot(TIMESTAMP), "models/m.sql": "select 1 as n"})
    assert p.run("ls", "--resource-type", "snapshot").ok().stdout == "shop.s.s\n"
    with_rows(p, FIRST)
    assert p.run("run").ok().order == ["m"]
    assert p.run("snapshot").ok().order == ["s"]
