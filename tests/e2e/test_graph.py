"""The order of nodes, what a failure holds back, how many run at once."""
import pytest

CHAIN = {
    "models/a.sql": "select 1 as n",
    "models/b.sql": "{{ config(materialized='table') }} select 1/(n - {{ var('bad', 0) }}) as n from {{ ref('a') }}",
    "models/c.sql": "select n from {{ ref('b') }}",
    "models/d.sql": "select n from {{ ref('c') }}",
    "models/other.sql": "select n from {{ ref('a') }}",
}


@pytest.mark.san
def test_order(project):
    p = project({
        "seeds/s.csv": "n\n1\n",
        "models/a.sql": "select n from {{ ref('s') }}",
        "models/b.sql": "select n from {{ ref('a') }}",
        "models/a.yml": "models: [{name: a, columns: [{name: n, data_tests: [unique, not_null]}]}]",
        "tests/t.sql": "select 1 from {{ ref('b') }} where n is null",
    })
    order = p.run("build").ok().order
    assert order[:2] == ["s", "a"] and set(order[2:4]) == {"unique_a_n", "not_null_a_n"} and order[4:] == ["b", "t"]


@pytest.mark.san
def test_what_stands_below_a_failure_is_skipped(project):
    p = project(CHAIN)
    result = p.run("build", "--vars", "bad: 1").fails(1)
    assert result.statuses == {"a": "success", "b": "error", "c": "skipped", "d": "skipped", "other": "success"}
    assert p.db.relations() == ["a view", "other view"]
    result.says("model b did not succeed")
    p.run("build").ok()
    assert p.db.relations() == ["a view", "b table", "c view", "d view", "other view"]


def test_what_is_not_selected_joins_what_is(project):
    """c is left out: d still waits for b, and is skipped when b fails."""
    p = project(CHAIN)
    p.run("run").ok()
    result = p.run("run", "--select", "b", "d", "--vars", "bad: 1").fails(1)
    assert result.statuses == {"b": "error", "d": "skipped"}


@pytest.mark.san
def test_the_previous_table_stays_when_a_build_fails(project):
    p = project(CHAIN)
    p.run("run").ok()
    before = p.db.rows("select 'dev.b'::regclass::oid, n from dev.b")
    p.run("run", "--vars", "bad: 1").fails(1)
    assert p.db.rows("select 'dev.b'::regclass::oid, n from dev.b") == before
    assert p.db.relations() == ["a view", "b table", "c view", "d view", "other view"]


def test_fail_fast(project):
    files = {f"models/m{i}.sql": f"select {i} as n" for i in range(5)}
    p = project({**files, "models/a_first.sql": "{{ config(materialized='table') }} select 1/0 as n",
                 "models/after.sql": "select * from {{ ref('a_first') }}"})
    result = p.run("build --threads 1 --fail-fast").fails(1)
    assert result.statuses["a_first"] == "error" and set(result.statuses) == {
        "a_first", "after", "m0", "m1", "m2", "m3", "m4"}
    built = [name for name, status in result.statuses.items() if status == "success"]
    assert len(built) < 5 and "skipped" in result.statuses.values()
    assert [name.split()[0] for name in p.db.relations()] == sorted(built)
    assert "a_first" in p.run("build --threads 1 -x").fails(1).statuses


def test_fail_fast_stops_what_runs(project):
    p = project({"models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(60)::text as n",
                 "models/bad.sql": "{{ config(materialized='table') }} select pg_sleep(0.2)::text, 1/0 as n"})
    result = p.run("run --fail-fast --threads 2", timeout=30).fails(1)
    assert result.statuses["bad"] == "error" and result.statuses["slow"] in ("skipped", "error")
    assert p.db.relations() == []


@pytest.mark.san
@pytest.mark.parametrize("threads", [1, 3])
def test_never_more_than_threads_at_once(project, threads):
    """Each model counts the others that run with it, on the server."""
    p = project({f"models/m{i}.sql": "{{ config(materialized='table') }} select (select count(*) from pg_stat_activity "
                 "where datname = current_database() and state = 'active' and application_name = 'dex-lua') as n, "
                 "pg_sleep(0.1)::text as s" for i in range(7)}, threads=threads)
    p.run("run").ok()
    counts = [int(p.db.rows(f"select n from dev.m{i}")[0]) for i in range(7)]
    assert max(counts) == threads


def test_all_threads_are_used(project):
    """Four models that wait for one another end only when all of them run at once."""
    p = project({f"models/m{i}.sql": "{{ config(materialized='table') }} select meet() as n" for i in range(4)})
    p.db.sql("""
        create sequence arrived;
        create function meet() returns int language plpgsql as $$
          begin
            perform nextval('public.arrived');
            for i in 1..2000 loop
              if (select last_value from public.arrived) >= 4 then return 1; end if;
              perform pg_sleep(0.01);
            end loop;
            raise exception 'the others never came';
          end $$;
        grant all on sequence arrived to public""")
    p.run("run --threads 4").ok()


def test_the_longest_path_goes_first(project):
    p = project({
        "models/a_leaf.sql": "select 1 as n",
        "models/b_leaf.sql": "select 1 as n",
        "models/z_head.sql": "select 1 as n",
        "models/z_middle.sql": "select * from {{ ref('z_head') }}",
        "models/z_tail.sql": "select * from {{ ref('z_middle') }}",
    })
    assert p.run("run --threads 1").ok().order[:2] == ["z_head", "z_middle"]


def test_wide_and_deep(project):
    files = {"models/l0_0.sql": "select 1 as n"}
    for level in range(1, 8):
        for i in range(8):
            parents = " union all ".join(f"select n from {{{{ ref('l{level - 1}_{j}') }}}}"
                                         for j in range(8 if level > 1 else 1) if j in (i, (i + 1) % 8) or level == 1)
            files[f"models/l{level}_{i}.sql"] = parents
    p = project(files)
    result = p.run("run --threads 8").ok()
    position = {name: i for i, name in enumerate(result.order)}
    for child, parents in result.manifest["parent_map"].items():
        for parent in parents:
            assert position[parent.split(".")[-1]] < position[child.split(".")[-1]]
    assert len(position) == 57
