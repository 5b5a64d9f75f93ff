"""graph, ls --output tree, and clone."""
import xml.etree.ElementTree

FILES = {
    "seeds/raw.csv": "id\n1\n2\n",
    "models/a.sql": "{{ config(materialized='table') }} select * from {{ ref('raw') }}",
    "models/b.sql": "select * from {{ ref('a') }}",
    "models/c.sql": "select * from {{ ref('a') }} union all select * from {{ ref('b') }}",
    "models/d.sql": "select * from {{ ref('c') }}",
}


def test_tree(project):
    p = project(FILES)
    assert p.run("graph").ok().stdout.splitlines() == [
        "seed raw", "└─ model a", "   ├─ model b", "   │  └─ model c", "   │     └─ model d",
        "   └─ model c (see above)"]
    assert p.run("ls --output tree -s raw c d").ok().stdout.splitlines() == ["seed raw", "└─ model c", "   └─ model d"]
    assert p.run("graph -s nothing").ok().stdout == ""


def test_svg(project):
    p = project({**FILES, "models/e.yml": "exposures: [{name: x, type: dashboard, owner: {name: ana}, "
                                          "depends_on: [ref('d')]}]"})
    text = p.run("graph --output svg").ok().stdout
    root = xml.etree.ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    boxes = {g.find(space + "title").text: g.find(space + "rect") for g in root.iter(space + "g")
             if g.find(space + "title") is not None}
    assert set(boxes) == {"seed raw", "model a", "model b", "model c", "model d", "exposure x"}
    x = {name: int(box.get("x")) for name, box in boxes.items()}
    assert x["seed raw"] < x["model a"] < x["model b"] < x["model c"] < x["model d"] < x["exposure x"]
    assert len(list(root.iter(space + "path"))) == 6


def test_clone(project):
    p = project(FILES)
    p.run("build").ok()
    p.run("run -s d").ok()
    state = p.scratch + "/state"
    import shutil
    p.run("build").ok()
    shutil.copytree(p.path("target"), state)
    p.write({"profiles.yml": p.profile(schema="mine"), "models/new.sql": "select 1 as n"})
    result = p.run("clone", "--state", state).ok()
    assert result.statuses == {"raw": "success", "a": "success", "b": "success", "c": "success", "d": "success",
                               "new": "no-op"}
    assert p.db.rows("select table_name from information_schema.views where table_schema = 'mine' order by 1") == \
        ["a", "b", "c", "d", "raw"]
    assert p.db.rows("select count(*) from mine.a") == ["2"]
    assert set(p.run("clone", "--state", state).ok().statuses.values()) == {"no-op"}
    again = p.run("clone", "--state", state, "--full-refresh", "-s", "a").ok()
    assert again.statuses == {"a": "success"}
    assert result.run_results["args"]["which"] == "clone"


def test_clone_needs_state(project):
    project(FILES).run("clone").fails(2).says("--state")
