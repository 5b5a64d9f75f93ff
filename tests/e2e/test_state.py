"""--state: what has changed since an earlier run, what ended how in it, and --defer to what it has built. The lists are
those of dbt 1.12 for the same changes."""
import json
import os
import shutil

import pytest

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {shop: {staging: {+materialized: view}}}\n",
    "seeds/raw.csv": "id\n1\n",
    "seeds/other.csv": "id\n1\n",
    "models/staging/stg_a.sql": "select * from {{ ref('raw') }}",
    "models/staging/stg_b.sql": "{{ config(tags=['x']) }} select * from {{ ref('stg_a') }}",
    "models/staging/same.sql": "select * from {{ ref('other') }}",
    "models/c.sql": "select * from {{ ref('stg_a') }}",
    "models/d.sql": "{{ config(meta={'owner': 'me'}) }} select * from {{ ref('stg_b') }} join {{ ref('c') }} using (id)",
    "models/alone.sql": "select 1 as id",
    "models/described.sql": "{{ config(persist_docs={'relation': true}) }} select 1 as id",
    "models/promise.sql": "select 1 as id",
    "models/gone.sql": "select 1 as id",
    "tests/check.sql": "select * from {{ ref('c') }} where id < 0",
    "models/p.yml": """
    models:
    - name: stg_a
      columns: [{name: id, data_tests: [unique]}]
    - name: alone
      description: one
    - name: described
      description: one
    - name: promise
      config: {contract: {enforced: true}, materialized: table}
      columns: [{name: id, data_type: integer}, {name: v, data_type: varchar(3)}]
    sources: [{name: src, schema: one, tables: [{name: t}, {name: u}]}]
    exposures:
    - {name: board, type: dashboard, owner: {name: me}, depends_on: ["ref('alone')"]}
    """,
}

CHANGES = {
    "models/staging/stg_a.sql": "select  * from {{ ref('raw') }} -- changed",
    "models/staging/stg_b.sql": "{{ config(tags=['x', 'y'], materialized='table') }} select * from {{ ref('stg_a') }}",
    "models/c.sql": "{{ config(alias='cc') }} {{ mac() }} select * from {{ ref('stg_a') }}",
    "models/alone.sql": "{{ config(tags=['q']) }} select 1 as id",
    "models/new.sql": "select 1",
    "macros/m.sql": "{% macro mac() %}{{ inner_mac() }}{% endmacro %}{% macro inner_mac() %}{% endmacro %}",
    "seeds/raw.csv": "id\n2\n",
    "models/gone.sql": None,
    "models/p.yml": FILES["models/p.yml"].replace("schema: one", "schema: two").replace("type: dashboard", "type: ml")
    .replace("description: one", "description: two").replace("varchar(3)", "varchar(9)"),
}

MODIFIED = [
    ("state:modified", "board alone c described new promise stg_a stg_b raw src.t src.u"),
    ("state:unmodified", "d same other"),
    ("state:new", "new"),
    ("state:old", "board alone c d described promise same stg_a stg_b other raw src.t src.u"),
    ("state:modified.body", "alone c new stg_a stg_b raw"),
    ("state:modified.configs", "new stg_b"),
    ("state:modified.persisted_descriptions", "described new"),
    ("state:modified.relation", "c new src.t src.u"),
    ("state:modified.macros", "c"),
    ("state:modified.contract", "new promise"),
    ("state:modified,tag:x", "stg_b"),
    ("1+state:new", "new"),
    ("state:modified+ --exclude source:* exposure:*", "alone c d described new promise stg_a stg_b raw"),
]


@pytest.fixture
def shop(project):
    p = project(FILES)
    p.run("parse").ok()
    shutil.copytree(p.path("target"), p.path("old"))
    return p


def names(p, words):
    types = "model seed source exposure"
    return p.run(f"ls -q --output name --state old --resource-type {types} --select {words}").ok().stdout.split()


def test_what_is_modified(shop):
    assert names(shop, "state:modified state:new") == []
    shop.write(CHANGES)
    wrong = [(words, names(shop, words), expected) for words, expected in MODIFIED
             if names(shop, words) != expected.split()]
    assert not wrong


def test_a_target_changes_nothing(shop):
    shop.write({"dbt_project.yml": FILES["dbt_project.yml"].replace("+materialized: view",
                "+materialized: \"{{ var('m', 'view') }}\"")})
    shop.run("parse").ok()
    shutil.rmtree(shop.path("old"))
    shutil.copytree(shop.path("target"), shop.path("old"))
    assert names(shop, "state:modified --vars 'm: table'") == []


def test_tests_are_compared_too(shop):
    shop.write({"tests/check.sql": "select * from {{ ref('c') }} where id < 1"})
    assert shop.run("ls -q --state old --select state:modified --output name").ok().stdout.split() == ["check"]


def test_a_broken_contract(shop):
    text = FILES["models/p.yml"].replace("data_type: integer", "data_type: text")
    shop.write({"models/p.yml": text})
    shop.run("ls --state old --select state:modified").ok().says(
        "a change breaks the contract of model 'promise': the type of column id changed from integer to text")
    shop.write({"models/p.yml": text.replace("enforced: true", "enforced: false")})
    shop.run("ls --state old --select state:modified.contract").ok().says("the contract is not enforced any more")
    shop.write({"models/promise.sql": None})
    shop.run("ls --state old --select state:modified").ok().says("it was deleted or renamed")


def test_a_broken_contract_of_a_version_is_an_error(project):
    files = {"models/v.sql": "select 1 as id", "models/p.yml": """
    models:
    - name: v
      config: {contract: {enforced: true}}
      columns: [{name: id, data_type: integer}]
      versions: [{v: 1, defined_in: v}]
    """}
    p = project(files)
    p.run("parse").ok()
    shutil.copytree(p.path("target"), p.path("old"))
    p.write({"models/p.yml": files["models/p.yml"].replace("integer", "text")})
    p.run("ls --state old --select state:modified").fails(2).says("a change breaks the contract of model 'v'",
                                                                  "give the model a new version")


def test_what_is_no_state(shop):
    shop.run("ls --state nowhere --select state:new").fails(2).says("the folder 'nowhere' of --state does not exist")
    shop.run("ls", env={"DBT_STATE": "nowhere"}).ok()
    os.makedirs(shop.path("empty"))
    shop.run("ls --state empty --select state:new").fails(2).says("there is no manifest.json in 'empty'")
    shop.run("ls --state empty --select result:error").fails(2).says("there is no run_results.json in 'empty'")
    shop.run("ls --state old --select source_status:fresher").fails(2).says("there is no sources.json")
    shop.run("ls --state old --select state:modifed").fails(2).says("'state:modifed' is no comparison",
                                                                    "did you mean 'modified'?")
    shop.write({"empty/manifest.json": "{"})
    shop.run("ls --state empty --select state:new").fails(2).says("the file is no artifact", "empty/manifest.json")


V12, V6 = "manifest/v12", "run-results/v6"


@pytest.mark.parametrize("name, schema, content, sentence", [
    ("manifest", None, {}, "it names no schema version"),
    ("manifest", "manifest/v4", {"nodes": {}}, "the schema version manifest v4: manifest v7 to v12 is read here"),
    ("manifest", "manifest/v99", {"nodes": {}}, "of a newer dbt"),
    ("manifest", "run-results/v6", {"results": []}, "the schema version run-results v6: manifest v7 to v12"),
    ("manifest", V12, {"nodes": []}, "`nodes` is no mapping, as the schema version manifest v12 has it"),
    ("manifest", V12, {"nodes": {"model.shop.a": 1}}, "`nodes`: 'model.shop.a' is no mapping"),
    ("manifest", V12, {}, "`nodes` is no mapping"),
    ("run_results", "run-results/v1", {"results": []}, "run-results v1: run-results v4 to v6 is read here"),
    ("run_results", V6, {"results": {}}, "`results` is no list, as the schema version run-results v6 has it"),
    ("run_results", V6, {"results": [{"unique_id": "model.shop.a"}]}, "result 1 has no `status`"),
    ("run_results", V6, {"results": [1]}, "result 1 has no `unique_id`"),
])
def test_broken_artifacts(shop, name, schema, content, sentence):
    if schema:
        content = {"metadata": {"dbt_schema_version": f"https://schemas.getdbt.com/dbt/{schema}.json"}, **content}
    shop.write({f"broken/{name}.json": json.dumps(content)})
    select = "state:modified" if name == "manifest" else "result:error"
    shop.run(f"ls --state broken --select {select}").fails(2).says("error 311", sentence, f"broken/{name}.json")
    if name == "manifest":
        shop.run("compile --defer --state broken").fails(2).says("error 311", sentence)


def test_results_of_an_earlier_run(project):
    p = project({"models/a.sql": "select 1 as id", "models/b.sql": "select 1/0 as id from {{ ref('a') }}",
                 "models/c.sql": "select * from {{ ref('b') }}", "models/d.sql": "select 1 as id",
                 "models/p.yml": "models: [{name: a, columns: [{name: id, data_tests: [{accepted_values: "
                                 "{arguments: {values: [2]}, config: {severity: warn}}}]}]}]\n"})
    p.write({"models/b.sql": "{{ config(materialized='table') }} select 1/0 as id from {{ ref('a') }}"})
    p.run("build").fails()
    shutil.copytree(p.path("target"), p.path("old"))

    def chosen(words):
        return p.run(f"ls -q --state old --output name --select {words}").ok().stdout.split()

    assert chosen("result:error") == ["b"]
    assert chosen("result:error+") == ["b", "c"]
    assert chosen("1+result:skipped") == ["b", "c"]
    assert chosen("result:warn") == ["accepted_values_a_id__2"]
    assert chosen("result:success --resource-type model") == ["a", "d"]
    p.run("ls --state old --select result:erorr").fails(2).says("'result:erorr' is no status", "did you mean 'error'?")
    p.write({"models/b.sql": "select 1 as id from {{ ref('a') }}"})
    result = p.run("run --state old --select result:error+ result:skipped+").ok()
    assert sorted(result.statuses) == ["b", "c"]


def test_fresher_sources(project):
    p = project({"models/p.yml": "sources: [{name: src, tables: [{name: t}, {name: u}, {name: v}, {name: w}]}]\n",
                 "models/a.sql": "select * from {{ source('src', 't') }}"})

    def sources(times):
        schema = "https://schemas.getdbt.com/dbt/sources/v3.json"
        return json.dumps({"metadata": {"dbt_schema_version": schema}, "results": [
            {"unique_id": f"source.shop.src.{name}", **({"max_loaded_at": at} if at else {"error": "x"})}
            for name, at in times.items()]})

    p.write({"old/sources.json": sources({"t": "2026-01-01T00:00:00Z", "u": "2026-01-01T00:00:00Z", "v": None}),
             "target/sources.json": sources({"t": "2026-01-02T00:00:00Z", "u": "2026-01-01T00:00:00Z", "v": None,
                                             "w": "2026-01-01T00:00:00Z"})})
    assert p.run("ls -q --state old --select source_status:fresher+ --output name").ok().stdout.split() == [
        "a", "src.t", "src.w"]


def test_defer(project):
    p = project({"seeds/raw.csv": "id\n1\n", "models/a.sql": "select id from {{ ref('raw') }}",
                 "models/e.sql": "{{ config(materialized='ephemeral') }} select id from {{ ref('a') }}",
                 "models/b.sql": "select id, 'new' as v from {{ ref('e') }}",
                 "models/c.sql": "select * from {{ ref('b') }}"})
    dev = p.read("profiles.yml")
    p.write({"profiles.yml": dev + p.profile(schema="prod").split("outputs:\n")[1].replace("    dev:", "    prod:")})
    p.run("build --target prod").ok()
    shutil.copytree(p.path("target"), p.path("old"))
    p.run("run --select b").fails().says('relation "dev.a" does not exist')
    p.run("run --select b --defer").fails(2).says("--defer needs the artifacts of an earlier run", "--state")
    p.run("run --select b --defer --state old").ok()
    assert '"prod"."a"' in p.read("target/compiled/shop/models/b.sql")
    # what is built here is read here, also when it is there from before
    p.run("run --select b c --defer --state old").ok()
    assert '"dev"."b"' in p.read("target/compiled/shop/models/c.sql")
    p.run("run --select c --defer --state old").ok()
    assert '"dev"."b"' in p.read("target/compiled/shop/models/c.sql")
    p.run("run --select c --defer --favor-state --state old").ok()
    assert '"prod"."b"' in p.read("target/compiled/shop/models/c.sql")
    p.run("run --select b c --defer --favor-state --defer-state old").ok()
    assert '"dev"."b"' in p.read("target/compiled/shop/models/c.sql")
    p.run("run --select b", env={"DEX_DEFER": "1", "DEX_STATE": "old"}).ok()
