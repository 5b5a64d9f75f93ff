"""Where settings come from: project file, packages, properties, config(), flags, environment, .env; and secrets, which
go nowhere. What a config comes to is what dbt 1.12 makes of the same project."""
import json

import pytest

MERGING = {
    "dbt_project.yml": """
    name: shop
    profile: shop
    vars:
      a: root_global
      shop: {b: root_scoped}
      inner: {c: for_inner, d: for_inner}
    models:
      +tags: top
      +meta: {x: 1, deep: {k: 1}}
      +grants: {select: [everyone]}
      +pre-hook: select 1
      shop:
        +tags: [pkg]
        +docs: {show: false}
        +persist_docs: {relation: true}
        +column_types: {a: int}
        +quoting: {identifier: false}
        staging:
          tags: nested
          +materialized: table
          +post-hook: [select 2, {sql: select 3, transaction: false}]
          +grants: {select: [stg], +insert: [stg]}
          +schema: "{{ 'stg' if var('nope', true) }}"
          a: {+alias: "aliased_{{ target.name }}"}
      inner:
        +materialized: table
        +schema: from_root
        +tags: from_root
        sub: {+enabled: "{{ var('a', 'x') == 'x' }}"}
    seeds: {inner: {+enabled: false}}
    data_tests: {+severity: warn, shop: {+store_failures: true}, inner: {+severity: error}}
    sources: {shop: {src: {gone: {+enabled: false}}}, inner: {+meta: {m: 1}}}
    """,
    "packages.yml": "packages: [{local: inner}]\n",
    "inner/dbt_project.yml": """
    name: inner
    vars: {a: inner_a, c: inner_c, e: inner_e, inner: {f: inner_f}}
    models:
      inner: {+materialized: view, +schema: own, +tags: own, +meta: {own: 1}, sub: {+materialized: incremental}}
    """,
    "inner/models/pm.sql": "select '{{ [var('a'), var('c'), var('d'), var('e'), var('f'), var('cli', 'none')] | "
                           "join(' ') }}' as v",
    "inner/models/sub/ps.sql": "{{ config(materialized='view', schema='infile', tags='file') }} select 1 as id",
    "inner/seeds/iseed.csv": "id\n1\n",
    "inner/models/p.yml": """
    models:
    - {name: pm, config: {tags: [yml], meta: {own: 2}}, columns: [{name: v, data_tests: [not_null]}]}
    sources: [{name: isrc, tables: [{name: t}]}]
    """,
    "models/root_model.sql": "select '{{ var('a') }} {{ var('b') }}' as v",
    "models/staging/a.sql": """
    {{ config(tags=['file'], meta={'z': 3, 'deep': {'j': 2}}, grants={'+select': ['file'], 'update': 'u'},
      pre_hook=["select 4", {"sql": "select 5", "transaction": False}], docs={'node_color': 'red'}) }}
    {{ config(tags='again', materialized='view', column_types={'b': 'text'}) }}
    select 1 as id
    """,
    "models/p.yml": """
    models:
    - name: a
      config: {tags: [yml], meta: {y: 9}, grants: {select: [yml], +insert: [yml]}, post_hook: select 6,
        quoting: {schema: false}, persist_docs: {columns: true}}
      columns:
      - {name: id, data_tests: [unique: {config: {severity: error, tags: q, meta: {tm: 1}, where: id > 0}}, not_null]}
    sources:
    - name: src
      tags: [s1]
      config: {tags: [s2], meta: {m: 1}}
      tables: [{name: t, tags: [t1], config: {meta: {n: 2}}}, {name: gone}]
    """,
}


def hook(sql, transaction=True):
    return {"sql": sql, "transaction": transaction, "index": None}


CONFIGS = {
    "model.shop.a": {
        "tags": ["top", "pkg", "nested", "yml", "file", "again"],
        "meta": {"x": 1, "deep": {"j": 2}, "y": 9, "z": 3},
        "grants": {"select": ["yml", "file"], "insert": ["stg", "yml"], "update": ["u"]},
        "materialized": "view", "schema": "stg", "alias": "aliased_dev",
        "pre-hook": [hook("select 1"), hook("select 4"), hook("select 5", False)],
        "post-hook": [hook("select 2"), hook("select 3", False), hook("select 6")],
        "docs": {"show": False, "node_color": "red"}, "column_types": {"a": "int", "b": "text"},
        "quoting": {"identifier": False, "schema": False}, "persist_docs": {"columns": True}},
    "model.inner.pm": {"materialized": "table", "schema": "from_root", "tags": ["own", "yml", "top", "from_root"],
                       "meta": {"own": 2, "x": 1, "deep": {"k": 1}}},
    "model.inner.ps": {"materialized": "table", "schema": "from_root", "tags": ["own", "file", "top", "from_root"]},
    "test.shop.unique_a_id.f6a5f640da": {"severity": "error", "store_failures": True, "tags": ["q"],
                                         "meta": {"tm": 1}, "where": "id > 0"},
    "test.shop.not_null_a_id.c1cebc1440": {"severity": "warn", "store_failures": True},
    "test.inner.not_null_pm_v.d55e3009d2": {"severity": "error", "store_failures": None},
    "source.shop.src.t": {"tags": ["s1", "s2", "t1"], "meta": {"m": 1, "n": 2}},
    "source.inner.isrc.t": {"tags": [], "meta": {"m": 1}},
}


def test_levels_of_settings(project):
    manifest = project(MERGING).run("parse").ok().manifest
    members = {**manifest["nodes"], **manifest["sources"]}
    got = {name: {key: members[name]["config"][key] for key in keys} for name, keys in CONFIGS.items()}
    assert got == CONFIGS
    assert sorted(manifest["disabled"]) == ["seed.inner.iseed", "source.shop.src.gone"]
    assert manifest["nodes"]["model.inner.ps"]["unrendered_config"] == {
        "materialized": "view", "schema": "infile", "tags": "file", "meta": {"x": 1, "deep": {"k": 1}},
        "grants": {"select": ["everyone"]}, "pre-hook": "select 1", "enabled": "{{ var('a', 'x') == 'x' }}"}


def test_scopes_of_variables(project):
    p = project(MERGING)
    p.run("compile --select pm root_model --vars '{cli: 1, e: cli_e}'").ok()
    assert p.read("target/compiled/inner/models/pm.sql").strip() == \
        "select 'root_global for_inner for_inner cli_e inner_f 1' as v"
    assert p.read("target/compiled/shop/models/root_model.sql").strip() == "select 'root_global root_scoped' as v"


def test_dispatch(project):
    p = project({
        "dbt_project.yml": "name: shop\nprofile: shop\ndispatch:\n"
                           "- {macro_namespace: inner, search_order: [shop, inner]}\n",
        "packages.yml": "packages: [{local: inner}]\n", "inner/dbt_project.yml": "name: inner\n",
        "inner/macros/m.sql": "{% macro say() %}{{ adapter.dispatch('say', 'inner')() }}{% endmacro %}"
                              "{% macro default__say() %}inner{% endmacro %}",
        "macros/m.sql": "{% macro default__say() %}root{% endmacro %}",
        "models/a.sql": "select '{{ inner.say() }}' as v"})
    p.run("build").ok()
    assert p.db.sql("select v from dev.a") == "root"
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\ndispatch:\n"
                                "- {macro_namespace: inner, search_order: [inner, shop]}\n"})
    p.run("build").ok()
    assert p.db.sql("select v from dev.a") == "inner"


# Query comments -----------------------------------------------------------------------------------------------

SHOWN = {"models/a.sql": "{{ config(materialized='table', post_hook='create table {{ target.schema }}.hook as "
                         "select current_query() as q') }} select current_query() as q"}


def query_of(p, table="a"):
    return p.db.sql(f"select q from dev.{table}").strip()


def test_the_default_query_comment(project):
    p = project(SHOWN)
    p.run("run").ok()
    for table in "a", "hook":
        comment = query_of(p, table).split("\n")[0]
        assert comment.startswith("/* ") and comment.endswith(" */")
        said = json.loads(comment[3:-3])
        assert said.items() >= {"node_id": "model.shop.a", "profile_name": "shop", "target_name": "dev"}.items()


@pytest.mark.parametrize("setting, starts, ends", [
    ("query-comment: \"run by {{ target.name }} {{ node.name }}{{ node.nothing }}\"", "/* run by dev a */\n", None),
    ("query-comment: {comment: \"{{ mine(node) }}\", append: true}", "create table", "/* mine model.shop.a */;"),
    ("query-comment: {append: true}", "create table", "\"node_id\": \"model.shop.a\"} */;"),
    ("query-comment:", "create table", None),
    ("query-comment: ''", "create table", None),
])
def test_query_comments(project, setting, starts, ends):
    p = project({**SHOWN, "macros/m.sql": "{% macro mine(node) %}mine {{ node.unique_id }}{% endmacro %}"})
    p.write({"dbt_project.yml": f"name: shop\nprofile: shop\n{setting}\n"})
    p.run("run").ok()
    assert query_of(p).startswith(starts)
    assert ends is None or query_of(p).endswith(ends)


def test_a_query_comment_moves_no_error(project):
    p = project({"models/a.sql": "select 1 as id,\n  nope\n"})
    p.run("run").fails().says("models/a.sql:2:3")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nquery-comment: 'ends */ here'\n"})
    p.run("run").fails().says("the query-comment holds '*/'", "dbt_project.yml:3")


# Flags, environment, .env -------------------------------------------------------------------------------------

FLAGS = "select '{{ flags.FAIL_FAST }} {{ flags.INDIRECT_SELECTION }} {{ flags.STORE_FAILURES }}' as v"


def flags_of(p, *args, **options):
    p.run("compile", *args, **options).ok()
    return p.read("target/compiled/shop/models/a.sql").split("'")[1]


def test_flags_of_the_project_file(project):
    p = project({"models/a.sql": FLAGS, "dbt_project.yml": "name: shop\nprofile: shop\nflags:\n"
                 "  fail_fast: true\n  indirect_selection: cautious\n  use_colors: false\n"})
    assert p.run("build").ok().says("shop")
    assert p.db.sql("select v from dev.a") == "True cautious False"
    p.run("build", env={"DBT_FAIL_FAST": "0", "DBT_INDIRECT_SELECTION": "buildable"}).ok()
    assert p.db.sql("select v from dev.a") == "False buildable False"
    p.run("build", env={"DEX_FAIL_FAST": "1", "DBT_FAIL_FAST": "0", "DBT_ENGINE_INDIRECT_SELECTION": "empty"}).ok()
    assert p.db.sql("select v from dev.a") == "True empty False"
    p.run("build --no-fail-fast --indirect-selection eager", env={"DEX_FAIL_FAST": "1"}).ok()
    assert p.db.sql("select v from dev.a") == "False eager False"
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nflags:\n  fail_fats: true\n  my_own_flag: 1\n"})
    said = p.run("build").ok().says("`flags` has no key 'fail_fats'", "did you mean 'fail_fast'?", "dbt_project.yml:4")
    assert "my_own_flag" not in said.stdout
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nflags: {fail_fast: perhaps}\n"})
    p.run("build").fails(2).says("flags.fail_fast is neither true nor false: 'perhaps'")


def test_target_and_profile_from_the_environment(project):
    p = project({"models/a.sql": "select '{{ target.name }}' as v"})
    text = p.read("profiles.yml")
    p.write({"profiles.yml": text + p.profile().split("outputs:\n")[1].replace("    dev:", "    prod:")})
    for env, target in ({}, "dev"), ({"DBT_TARGET": "prod"}, "prod"), ({"DEX_TARGET": "dev", "DBT_TARGET": "prod"}, "dev"):
        p.run("run", env=env).ok()
        assert p.db.sql("select v from dev.a") == target
    p.run("run --target dev", env={"DEX_TARGET": "prod"}).ok()
    assert p.db.sql("select v from dev.a") == "dev"
    p.run("run", env={"DEX_TARGET": "prd"}).fails(2).says("has no target 'prd'", "did you mean 'prod'?")
    p.run("run", env={"DEX_PROFILE": "other"}).fails(2).says("there is no profile 'other'")


def test_dotenv(project):
    p = project({".env": """
    # a comment
    A=1
    export B="x y" # behind
    C='single $A'
    D=un quoted # behind
    E=${A}-${NOPE:-dflt}
    GIVEN=file
    DBT_TARGET=dev
    """, "models/a.sql": "select '{{ [env_var('A'), env_var('B'), env_var('C'), env_var('D'), env_var('E'), "
                         "env_var('GIVEN')] | join('|') }}' as v"})
    p.run("run", env={"GIVEN": "environment"}).ok()
    assert p.db.sql("select v from dev.a") == "1|x y|single $A|un quoted|1-dflt|environment"
    p.write({".env": p.read(".env") + "no variable\n"})
    p.run("run").ok().says("a line of .env is no NAME=value", ".env:9")
    # with --project-dir it is that project's
    p.run("run", "--project-dir", p.dir, "--profiles-dir", p.dir, cwd="/").ok()


# Secrets ------------------------------------------------------------------------------------------------------

def test_secrets_are_masked_everywhere(project):
    secret = 'hunter2"\\x'
    p = project({"models/a.sql": "{{ log('log ' ~ var('s'), info=true) }}{{ print('print ' ~ var('s')) }} "
                                 "select '{{ var('s') }}'::text as v",
                 "models/bad.sql": "select nope_{{ var('plain') }} from {{ ref('a') }}",
                 "hooks/h.lua": "return { say = function(hook) hook:log(hook.vars.s); print(hook.vars.s) end }",
                 "dbt_project.yml": "name: shop\nprofile: shop\nmodels: {shop: {a: {+post-hook: {lua: h.say}}}}\n"})
    text = p.read("profiles.yml")
    p.write({"profiles.yml": text + "      unused: {type: postgres, password: \"{{ env_var('DEX_SECRET_B') }}\"}\n"})
    env = {"DBT_ENV_SECRET_A": secret, "DEX_SECRET_B": "another-one", "DEX_ENV_SECRET_C": "third_secret"}
    given = json.dumps({"s": f"{secret} another-one third_secret", "plain": "third_secret"})
    for form in "text", "json":
        result = p.run("run", "--log-format", form, "--log-level", "debug", "--vars", given, env=env).fails()
        result.says("log ***** ***** *****", "print ***** ***** *****", "nope_*****")
        everything = [result.stdout, result.stderr]
        for name in ("target/manifest.json", "target/run_results.json", "target/hook_results.json",
                     "target/compiled/shop/models/a.sql", "target/run/shop/models/a.sql"):
            everything.append(p.read(name))
        for text in everything:
            for word in secret, json.dumps(secret)[1:-1], "another-one", "third_secret":
                assert word not in text
    assert p.db.sql("select v from dev.a") == f"{secret} another-one third_secret"


def test_secrets_are_for_profiles_and_packages(project):
    p = project({"models/a.sql": "select '{{ env_var('DEX_ENV_SECRET_X') }}' as v"})
    p.run("parse", env={"DEX_ENV_SECRET_X": "abc"}).fails(2).says(
        "secret environment variable 'DEX_ENV_SECRET_X' is for profiles.yml and packages.yml only", "models/a.sql:1")


# Bad settings -------------------------------------------------------------------------------------------------

def test_all_errors_and_unknown_keys_are_told(project):
    p = project({"models/a.sql": "{{ config(enabled='perhaps') }} select 1", "models/b.sql": "select {{ nope( }}",
                 "models/c.sql": "{{ config(materialised='table') }} select 1",
                 "models/p.yml": "models:\n- name: c\n  descripton: x\n  config: {tags: {a: 1}}\n"
                                 "- name: d\n  config: [1]\n"})
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nmodel-path: [x]\n"})
    result = p.run("parse").fails(2)
    result.says("`enabled` must be true or false", "models/a.sql:1", "models/b.sql:1",
                "`tags` must be a text or a list of texts", "models/p.yml:4", "`config` must be a mapping", "models/p.yml:6")
    p.write({"models/a.sql": "select 1", "models/b.sql": "select 1",
             "models/p.yml": "models:\n- name: c\n  descripton: x\n"})
    p.run("parse").ok().says("has no key 'model-path'", "did you mean 'model-paths'?", "dbt_project.yml:3",
                             "has no key 'materialised'", "did you mean 'materialized'?", "models/c.sql:1",
                             "has no key 'descripton'", "models/p.yml:3")
