"""Transformations of a flow that compare with an earlier run, and that read what is not built here from it."""
import shutil

FILES = {"models/a.sql": "{{ config(materialized='table') }} select 1 as n",
         "models/b.sql": "select n from {{ ref('a') }}", "models/c.sql": "select 3 as n"}


def changed(name, lines):
    return {f"flows/{name}.yml": "nodes:\n  - name: build\n    transformation: {" + lines + "}\n"}


def built(result):
    return sorted(r["unique_id"].split(".")[-1] for r in result.results if r["unique_id"].startswith("model."))


def test_state_of_an_earlier_run(project):
    p = project({**FILES, **changed("slim", "command: run, select: 'state:modified+', state: before")})
    p.run("run").ok()
    shutil.copytree(p.path("target"), p.path("before"))
    p.write({"models/a.sql": "{{ config(materialized='table') }} select 2 as n"})
    assert built(p.run("flow run slim").ok()) == ["a", "b"]
    assert p.db.rows("select n from dev.b") == ["2"]


def test_defer(project):
    p = project({**FILES, **changed("slim", "command: run, select: b, state: before, defer: true")})
    p.run("run").ok()
    shutil.copytree(p.path("target"), p.path("before"))
    p.write({"profiles.yml": p.profile(schema="own")})
    p.run("flow run slim").ok()
    assert p.db.rows("select n from own.b") == ["1"] and "own.a table" not in p.db.relations()


def test_what_is_missing_for_it(project):
    p = project({**FILES, **changed("slim", "select: 'state:modified'")})
    p.run("flow ls").fails(2).says("compares with an earlier run", "`state` of the transformation")
    p.write(changed("slim", "select: b, defer: true"))
    p.run("flow ls").fails(2).says("`defer` needs the folder")
    p.write(changed("slim", "select: 'state:modified', state: nowhere"))
    p.run("flow run slim").fails(1).says("nowhere")
