"""docs generate: the catalogue of the database, and the page."""
import json
import re

import pytest

FILES = {
    "seeds/raw.csv": "id,name\n1,a\n",
    "models/a.sql": "{{ config(materialized='table', post_hook='analyze {{ this }}') }} select id, name as \"Label\" from {{ ref('raw') }}",
    "models/b.sql": "select 1 as n from {{ ref('a') }}",
    "models/never_built.sql": "select 1 as n",
    "models/m.yml": """
models:
  - name: a
    description: "ends </script> here"
    columns: [{name: id, description: the key, data_tests: [unique]}, {name: gone, description: not there}]
sources: [{name: outer, schema: dev, tables: [{name: raw}]}]
""",
}


def data_of(p):
    page = p.read("target/index.html")
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)
    return page, json.loads(found.group(1))


@pytest.mark.san
def test_catalog_and_page(project):
    p = project(FILES)
    p.run("build", "--exclude", "never_built").ok()
    p.db.sql("comment on table dev.a is 'of the database'")
    p.run("docs", "generate").ok().says("target/index.html")
    catalog = p.artifact("catalog")
    assert catalog["metadata"]["dbt_schema_version"] == "https://schemas.getdbt.com/dbt/catalog/v1.json"
    assert sorted(catalog["nodes"]) == ["model.shop.a", "model.shop.b", "seed.shop.raw"]
    assert list(catalog["sources"]) == ["source.shop.outer.raw"]
    a = catalog["nodes"]["model.shop.a"]
    assert a["metadata"]["type"] == "BASE TABLE" and a["metadata"]["comment"] == "of the database"
    assert [(c["index"], c["name"], c["type"]) for c in a["columns"].values()] == [(1, "id", "integer"), (2, "Label", "text")]
    page, data = data_of(p)
    nodes = {n["id"]: n for n in data["nodes"]}
    a = nodes["model.shop.a"]
    assert a["about"] == "ends </script> here" and page.count("</script>") == 4
    assert [c["name"] for c in a["columns"]] == ["id", "Label", "gone"]
    assert a["hooks"][0]["sql"] == "analyze {{ this }}" and "from \"" in a["sql"]
    ids = [n["id"] for n in data["nodes"]]
    edges = {(ids[x], ids[y]) for x, y in data["edges"]}
    assert ("seed.shop.raw", "model.shop.a") in edges and ("model.shop.a", "model.shop.b") in edges
    assert p.artifact("manifest")["nodes"]["model.shop.a"]["compiled_code"]
    assert not re.search(r"(src|href)=\"(https?:)?//", page), "something from elsewhere"


def test_without_a_database(project):
    p = project(FILES)
    p.profile(port=1)
    p.run("docs", "generate", "--no-compile", "--empty-catalog").ok()
    assert p.artifact("catalog")["nodes"] == {}
    assert len(data_of(p)[1]["nodes"]) == 6


def test_selection_and_bad_input(project):
    p = project(FILES)
    p.run("build").ok()
    p.run("docs", "generate", "--select", "a").ok()
    assert list(p.artifact("catalog")["nodes"]) == ["model.shop.a"]
    p.write({"models/b.sql": "{% if execute %}{{ 1/0 }}{% endif %} select 1 as n from {{ ref('a') }}"})
    p.run("docs", "generate", "--select", "b").fails()
    p.run("docs").fails(2).says("docs generate")
    p.run("docs", "generated").fails(2).says("no action 'generated'")
