"""The parse cache: a command that finds it says and writes what one without it would, after any change."""
import json
import os
import random

import pytest

CACHE = "target/partial_parse.dex"
FILES = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        vars: {limit: 10}
        models:
          shop:
            area: {+tags: [area], +meta: {owner: "{{ target.schema }}"}}
        on-run-start: "select 1"
        """,
    "packages.yml": "packages: [{local: pkg}]\n",
    "pkg/dbt_project.yml": "name: pkg\n",
    "pkg/macros/p.sql": "{% macro p() %}1{% endmacro %}",
    "pkg/models/base.sql": "select {{ p() }} as n",
    "macros/m.sql": "{% macro m() %}{{ config(tags=['by_macro']) }}2{% endmacro %}",
    "macros/t.sql": "{% test small(model) %}select * from {{ model }} where n > {{ var('limit') }}{% endtest %}",
    "seeds/s.csv": "n\n1\n",
    "models/a.sql": "select n from {{ ref('s') }}",
    "models/b.sql": "{{ config(materialized='table', post_hook='select 3') }} select n, {{ m() }} as m from {{ ref('a') }}",
    "models/area/c.sql": "select n from {{ ref('b') }} join {{ source('raw', 'lines') }} using (n)",
    "models/area/d.sql": "select '{{ env_var('CACHE_TEST', 'none') }}' as n from {{ ref('base') }}",
    "models/area/e.sql": "{{ config(enabled=var('with_e', false)) }} select 1 as n from {{ ref('c') }}",
    "models/area/f.sql": "{% if flags.FULL_REFRESH %}{{ config(tags=['full']) }}{% endif %} select 1 as n",
    "models/words.md": "{% docs words %}some words{% enddocs %}",
    "models/all.yml": """
        sources: [{name: raw, schema: dev, tables: [{name: lines, columns: [{name: n, data_tests: [not_null]}]}]}]
        models:
          - {name: a, description: "{{ doc('words') }}", columns: [{name: n, data_tests: [unique, not_null]}]}
          - {name: b, data_tests: [small], config: {contract: {enforced: false}}}
        exposures: [{name: board, type: dashboard, owner: {name: me}, depends_on: ["ref('a')"]}]
        """,
    "models/units.yml": """
        unit_tests: [{name: u, model: a, given: [{input: ref('s'), rows: [{n: 1}]}], expect: {rows: [{n: 1}]}}]
        """,
    "tests/t.sql": "select 1 as n from {{ ref('b') }} where n > 5",
    "operations/o.sql": "select 1",
}


def plain(x):
    """A manifest without what is each command's own: times and identities."""
    if isinstance(x, dict):
        return {k: plain(v) for k, v in x.items() if k not in ("created_at", "metadata")}
    return [plain(v) for v in x] if isinstance(x, list) else x


def made(p):
    """When the nodes of the manifest were made: the same times mean that they were kept."""
    return {k: v["created_at"] for k, v in p.artifact("manifest")["nodes"].items()}


def parse(p, *more, env=None, cold=False):
    """Status, words and manifest of one `parse`."""
    target = ("--no-partial-parse", "--target-path", "cold") if cold else ()
    result = p.run("parse", *more, *target, env=env)
    path = p.path("cold" if cold else "target", "manifest.json")
    manifest = None
    if result.status == 0:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        manifest = plain(json.loads(text))
    return result.status, result.stdout + result.stderr, manifest


def same_as_cold(p, *more, env=None):
    warm, cold = parse(p, *more, env=env), parse(p, *more, env=env, cold=True)
    assert warm == cold
    return warm


@pytest.fixture
def kept(project):
    """The project after a command that has kept it."""
    p = project(FILES)
    p.run("parse").ok()
    assert p.exists(CACHE)
    p.first = made(p)
    return p


def test_a_second_command_reads_nothing_again(kept):
    p = kept
    assert same_as_cold(p)[0] == 0
    assert made(p) == p.first
    p.run("ls").ok()
    p.run("compile").ok()
    assert made(p) == p.first


def test_what_commands_show_and_build_is_the_same(kept):
    p = kept
    for command in (["ls"], ["ls", "--output", "json"], ["ls", "--select", "tag:area+"], ["ls", "-s", "test_type:unit"],
                    ["ls", "--resource-type", "source"], ["graph"], ["plan"], ["hooks", "ls"], ["operation", "ls"],
                    ["show", "--inline", "select 1 as n from {{ ref('base') }} limit 0"]):
        warm, cold = p.run(*command), p.run(*command, "--no-partial-parse")
        assert (warm.status, warm.stdout) == (cold.status, cold.stdout), command
    p.db.sql("create schema if not exists dev; create table dev.lines as select 1 as n")
    warm = p.run("build")
    assert "compiled_code" in p.artifact("manifest")["nodes"]["model.shop.b"]
    nodes = {k: v.get("compiled_code") for k, v in p.artifact("manifest")["nodes"].items()}
    statuses = warm.statuses
    assert made(p) == p.first
    cold = p.run("build", "--no-partial-parse")
    assert cold.statuses == statuses
    assert {k: v.get("compiled_code") for k, v in p.artifact("manifest")["nodes"].items()} == nodes


CHANGES = {
    "a model": {"models/a.sql": "select n + 1 as n from {{ ref('s') }}"},
    "a model that goes": {"models/area/e.sql": None, "models/area/f.sql": None},
    "a new model": {"models/new/g.sql": "select 1 as n"},
    "a properties file": {"models/more.yml": "models: [{name: c, description: third}]"},
    "a macro": {"macros/m.sql": "{% macro m() %}{{ config(tags=['other']) }}3{% endmacro %}"},
    "a macro of a package": {"pkg/macros/p.sql": "{% macro p() %}{{ config(tags=['p']) }}1{% endmacro %}"},
    "a generic test": {"macros/t.sql": "{% test small(model) %}{{ config(severity='warn') }}select 1{% endtest %}"},
    "the project file": {"dbt_project.yml": "name: shop\nprofile: shop\nmodels: {+schema: x}\nvars: {limit: 10}\n"},
    "variables of the project": {"dbt_project.yml": "name: shop\nprofile: shop\nvars: {limit: 10, with_e: true}\n"},
    "a package's project file": {"pkg/dbt_project.yml": "name: pkg\nmodels: {+schema: x}\n"},
    "no package": {"packages.yml": None, "models/area/d.sql": None},
    "a docs block": {"models/words.md": "{% docs words %}other words{% enddocs %}"},
    "a seed": {"seeds/s.csv": "n\n2\n"},
    "what is ignored": {".dbtignore": "e.sql\nf.sql\n"},
    "selectors": {"selectors.yml": "selectors: [{name: s, definition: a}]"},
    "something wrong": {"models/a.sql": "select n from {{ ref('nothing') }}"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(kept, change):
    before = parse(kept)
    kept.write(CHANGES[change])
    status, words, manifest = same_as_cold(kept)
    assert (status, manifest) != (before[0], before[2])
    assert same_as_cold(kept) == (status, words, manifest)


def test_settings_of_the_command_are_noticed(kept):
    p = kept
    before = parse(p)[2]
    for more, env in ((["--vars", "{with_e: true}"], None), ([], {"CACHE_TEST": "x"}), ([], {"CACHE_TEST": "y"}),
                      (["--target", "prod"], None), ([], None)):
        p.write({"profiles.yml": p.profile() + p.profile(schema="prod").split("outputs:\n")[1].replace("dev:", "prod:", 1)})
        status, _, manifest = same_as_cold(p, *more, env=env)
        assert status == 0
        assert (manifest == before) == (not more), (more, env)
    p.run("ls", "--full-refresh", env={}).fails(2)
    p.run("compile", "--full-refresh").ok()
    assert "full" in p.artifact("manifest")["nodes"]["model.shop.f"]["tags"]
    p.run("compile").ok()
    assert p.artifact("manifest")["nodes"]["model.shop.f"]["tags"] == ["area"]


ALONE = {
    "its text": "select n + 1 as n from {{ ref('s') }}",
    "what it reads": "select n from {{ ref('s') }} join {{ ref('base') }} using (n)",
    "what it reads less": "select 1 as n",
    "a macro that it calls": "select n, {{ pkg.p() }} as m from {{ ref('s') }}",
    "a hook": "{{ config(pre_hook='select {{ this }}', meta={'x': 1}) }} select n from {{ ref('s') }}",
    "blank lines": "\n\nselect n from {{ ref('s') }}\n\n",
}
NOT_ALONE = {
    "its tags": "{{ config(tags=['x']) }} select n from {{ ref('s') }}",
    "its name": "{{ config(alias='other') }} select n from {{ ref('s') }}",
    "its materialization": "{{ config(materialized='ephemeral') }} select n from {{ ref('s') }}",
    "whether it is there": "{{ config(enabled=false) }} select n from {{ ref('s') }}",
    "an unknown setting": "{{ config(materialised='table') }} select n from {{ ref('s') }}",
    "a circle": "select n from {{ ref('b') }}",
    "a reference to nothing": "select n from {{ ref('nobody') }}",
    "a mistake": "select n from {{ ref('s') }} {% if %}",
    "a contract": "{{ config(contract={'enforced': true}) }} select n from {{ ref('s') }}",
    "the graph": "select {{ graph.nodes | length }} as n",
}


@pytest.mark.parametrize("change", [*ALONE, *NOT_ALONE])
def test_one_model_is_read_alone_where_nothing_else_depends_on_it(project, change):
    p = project({path: text for path, text in FILES.items() if "units" not in path})
    p.run("parse").ok()
    first = made(p)
    p.write({"models/a.sql": {**ALONE, **NOT_ALONE}[change]})
    status = same_as_cold(p)[0]
    if status == 0:
        now = made(p)
        changed = {key for key in now if now[key] != first.get(key)}
        assert (changed == {"model.shop.a"}) == (change in ALONE), changed
    assert same_as_cold(p)[0] == status
    warm, cold = p.run("ls", "--select", "a+"), p.run("ls", "--select", "a+", "--no-partial-parse")
    assert (warm.status, warm.stdout) == (cold.status, cold.stdout)


def test_what_has_changed_alone_is_built(project):
    p = project({"models/a.sql": "select 1 as n", "models/b.sql": "select n from {{ ref('a') }}"})
    p.run("run").ok()
    p.write({"models/b.sql": "select n + 1 as n from {{ ref('a') }}"})
    p.run("run").ok()
    assert p.db.sql("select n from dev.b") == "2"


def test_another_content_of_the_same_size_and_time_is_noticed(kept):
    """As it comes from a copy that keeps times, and from two changes within one step of the clock."""
    p = kept
    path = p.path("models/a.sql")
    state = os.stat(path)
    with open(path, "r+", encoding="utf-8") as file:
        file.write("select N")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert os.stat(path).st_size == state.st_size
    assert "select N" in same_as_cold(p)[2]["nodes"]["model.shop.a"]["raw_code"]


def test_a_file_that_was_only_touched_changes_nothing(kept):
    for path in "models/a.sql", "macros/m.sql", "dbt_project.yml":
        os.utime(kept.path(path))
    parse(kept)
    assert made(kept) == kept.first


def test_a_damaged_cache_is_made_again(kept):
    p = kept
    before = parse(p)
    with open(p.path(CACHE), "rb") as file:
        whole = file.read()
    rng = random.Random(7)
    for i in range(24):
        damaged = bytearray(whole)
        if i % 3 == 0:
            del damaged[rng.randrange(len(whole)):]
        elif i % 3 == 1:
            damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        else:
            damaged += b"x" * rng.randrange(1, 50)
        p.write({CACHE: bytes(damaged)})
        assert parse(p) == before
        again = made(p)
        assert parse(p) == before and made(p) == again
    p.write({CACHE: None})
    os.makedirs(p.path(CACHE))
    assert parse(p) == before


@pytest.mark.san
def test_without_partial_parse_nothing_is_kept_nor_used(project):
    p = project(FILES)
    p.run("parse --no-partial-parse").ok()
    assert not p.exists(CACHE)
    p.run("parse").ok()
    first = made(p)
    p.run("parse", env={"DBT_PARTIAL_PARSE": "false"}).ok()
    assert made(p) != first
    assert parse(p) == parse(p, cold=True)


def test_what_could_not_come_back_is_not_kept(project):
    p = project({**FILES, "models/area/g.sql": "{{ config(meta={'t': (1, 2)}) }} select 1 as n"})
    p.run("parse").ok()
    assert not p.exists(CACHE)
    same_as_cold(p)


def test_commands_at_once(kept):
    p = kept
    for round in range(4):
        p.write({"models/a.sql": f"select {round} as n from {{{{ ref('s') }}}}"})
        running = [p.start("parse") for _ in range(6)]
        for one in running:
            one.finish().ok()
        assert f"select {round} as n" in same_as_cold(p)[2]["nodes"]["model.shop.a"]["raw_code"]
    assert p.leftovers() == []


EDITS = [
    lambda p, r: {"models/area/c.sql": "select n, %d as k from {{ ref('%s') }}" % (r.randrange(3), r.choice("ab"))},
    lambda p, r: {f"models/area/x{r.randrange(4)}.sql": f"select {r.randrange(9)} as n from {{{{ ref('a') }}}}"},
    lambda p, r: {f"models/area/x{r.randrange(4)}.sql": "{{ config(alias='%s') }} select {{ m() }}" % r.choice("pqrs")},
    lambda p, r: {f"models/x{r.randrange(4)}.yml": "models: [{name: x%d, columns: [{name: n, data_tests: [%s]}]}]" % (
        r.randrange(4), r.choice(["unique", "not_null", "unique, not_null"]))},
    lambda p, r: {"macros/m.sql": "{%% macro m() %%}{{ config(tags=['%s']) }}2{%% endmacro %%}" % r.choice("abc")},
    lambda p, r: {"models/words.md": "{%% docs words %%}%d{%% enddocs %%}" % r.randrange(4)},
    lambda p, r: {"dbt_project.yml": FILES["dbt_project.yml"].replace("limit: 10", f"limit: {r.randrange(3)}")},
    lambda p, r: {"seeds/s.csv": f"n\n{r.randrange(3)}\n"},
    lambda p, r: {"pkg/models/base.sql": "select %d as n" % r.randrange(3)},
]


@pytest.mark.parametrize("seed", range(3))
def test_any_edits(project, seed):
    """Whatever happens to a project, and to the cache, both ways of reading it agree."""
    r = random.Random(seed)
    p = project(FILES)
    for _ in range(14):
        deed = r.randrange(10)
        files = sorted(f"models/area/{name}" for name in os.listdir(p.path("models/area")) if name.startswith("x"))
        if deed == 0 and files:
            p.write({r.choice(files): None})
        elif deed == 1 and files:
            os.rename(p.path(r.choice(files)), p.path(f"models/area/x{r.randrange(4)}.sql"))
        elif deed == 2 and p.exists(CACHE):
            with open(p.path(CACHE), "r+b") as file:
                file.seek(r.randrange(os.path.getsize(file.name)))
                file.write(b"\x00\xff")
        else:
            p.write(r.choice(EDITS)(p, r))
        more = r.choice([[], [], ["--vars", "{with_e: true}"]])
        env = r.choice([None, None, {"CACHE_TEST": r.choice("ab")}])
        same_as_cold(p, *more, env=env)
