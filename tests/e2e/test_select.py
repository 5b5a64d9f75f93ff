"""--select and --exclude."""
import pytest

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  shop:\n    marts:\n      +tags: nightly\n",
    "seeds/raw.csv": "id\n1\n",
    "models/staging/stg_a.sql": "select id from {{ ref('raw') }}",
    "models/staging/stg_b.sql": "{{ config(tags=['hot', 'nightly']) }} select id from {{ source('src', 't') }}",
    "models/marts/orders.sql": "{{ config(materialized='table') }} select a.id from {{ ref('stg_a') }} a",
    "models/marts/people.sql": "select id from {{ ref('stg_a') }} union select id from {{ ref('stg_b') }}",
    "models/marts/final.sql": "select id from {{ ref('orders') }} union select id from {{ ref('people') }}",
    "models/lonely.sql": "select 1 as id",
    "models/all.yml": """
        sources: [{name: src, schema: dev, tables: [{name: t, identifier: raw}]}]
        models:
          - {name: orders, columns: [{name: id, data_tests: [unique, not_null]}]}
          - {name: final, columns: [{name: id, data_tests: [not_null]}]}
        """,
    "tests/single.sql": "select 1 from {{ ref('orders') }} join {{ ref('people') }} using (id) where false",
}

CASES = [
    ("orders", "orders"),
    ("orders people", "orders people"),
    ("shop.marts.orders", "orders"),
    ("marts", "final orders people"),
    ("shop", "final lonely orders people raw stg_a stg_b"),
    ("stg_*", "stg_a stg_b"),
    ("+orders", "orders raw stg_a"),
    ("1+orders", "orders stg_a"),
    ("stg_a+", "final orders people stg_a"),
    ("stg_a+1", "orders people stg_a"),
    ("+people+", "final people raw stg_a stg_b"),
    ("@orders", "final orders people raw stg_a stg_b"),
    ("tag:nightly", "final orders people stg_b"),
    ("tag:nightly,tag:hot", "stg_b"),
    ("tag:hot orders", "orders stg_b"),
    ("path:models/staging", "stg_a stg_b"),
    ("models/staging", "stg_a stg_b"),
    ("models/marts/orders.sql", "orders"),
    ("orders.sql", "orders"),
    ("path:models/marts/*s.sql", "orders"),
    ("file:people", "people"),
    ("config.materialized:table", "orders"),
    ("source:src+", "final people stg_b"),
    ("resource_type:seed", "raw"),
    ("package:shop,config.materialized:view", "final lonely people stg_a stg_b"),
    ("+final --exclude stg_b", "final orders people raw stg_a"),
    ("--exclude stg_a+ raw", "lonely stg_b"),
    ("final --exclude marts", ""),
    ("+orders,+people", "raw stg_a"),
]


@pytest.fixture(scope="module")
def listing(postgres, tmp_path_factory):
    """One project for all cases; nothing is built."""
    import shutil
    import tempfile
    from pathlib import Path

    from program import Project
    folder = Path(tempfile.mkdtemp(prefix="dexe2e", dir="/tmp"))
    database = postgres.database()
    yield Project(folder, database, "select").write(FILES)
    shutil.rmtree(folder)
    database.drop()


@pytest.mark.parametrize("words, names", CASES)
def test_selection(listing, words, names):
    select = words if words.startswith("--") else "--select " + words
    result = listing.run(f"ls --output name --resource-type model seed {select}").ok()
    found = [line for line in result.stdout.splitlines() if " " not in line]
    assert sorted(found) == names.split()


def test_models_comes_before_exclude_whatever_their_order(listing):
    result = listing.run("ls --output name --resource-type model --exclude orders --select marts").ok()
    assert result.stdout.split() == ["final", "people"]


@pytest.mark.san
def test_tests_come_with_their_nodes(listing):
    def tests(words):
        return listing.run(f"ls --output name --resource-type test {words}").ok().stdout.split()
    assert tests("--select orders") == ["not_null_orders_id", "single", "unique_orders_id"]
    assert tests("--select lonely") == [] or "matches no" in " ".join(tests("--select lonely"))
    assert tests("--select test_type:singular") == ["single"]
    assert tests("--select test_type:generic") == ["not_null_final_id", "not_null_orders_id", "unique_orders_id"]
    assert tests("--select test_name:unique") == ["unique_orders_id"]
    assert tests("--select unique_orders_id") == ["unique_orders_id"]
    assert tests("--select marts --exclude single test_name:not_null") == ["unique_orders_id"]


@pytest.mark.san
def test_selection_of_what_is_run(project):
    p = project(FILES)
    assert sorted(p.run("build --select +orders --exclude test_type:singular").ok().order) == [
        "not_null_orders_id", "orders", "raw", "stg_a", "unique_orders_id"]
    assert p.run("test --select orders --exclude single").ok().statuses == {
        "not_null_orders_id": "pass", "unique_orders_id": "pass"}
    assert p.run("seed --select raw").ok().order == ["raw"]
    assert p.run("run --select raw").ok().order == [], "run builds models only"


def test_a_word_that_matches_nothing_is_a_warning(project):
    p = project(FILES)
    p.run("seed").ok()
    result = p.run("run --select lonly stg_a").ok().says("warning", "lonly", "did you mean 'lonely'?")
    assert result.order == ["stg_a"]


def test_unknown_method(project):
    project(FILES).run("ls --select tagg:x").fails(2).says("tagg", "did you mean 'tag'?")
