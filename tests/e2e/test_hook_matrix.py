"""Hooks of every phase, in every place, on everything that may have them; and every key of a hook."""
import pytest

TRACE = "create table public.trace (n serial, who text, tx bigint default txid_current())"


def note(who):
    return f"insert into public.trace (who) values ('{who}')"


def made(project, files, **options):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\n", **files}, **options)
    p.db.sql(TRACE)
    return p


def trace(p):
    return p.db.rows("select who from public.trace order by n")


def yaml_hooks(indent, plus=""):
    """The six phases as settings of YAML."""
    lines = [f"{plus}pre-hook: [{{sql: \"{note('pre_outside')}\", transaction: false}}, \"{note('pre')}\"]",
             f"{plus}post-hook: [{{sql: \"{note('post_outside')}\", transaction: false}}, \"{note('post')}\"]",
             f"{plus}on_failure: \"{note('on_failure')}\"", f"{plus}always: \"{note('always')}\""]
    return "".join(" " * indent + line + "\n" for line in lines)


IN_CONFIG = ("pre_hook=[{'sql': \"%s\", 'transaction': false}, \"%s\"], post_hook=[{'sql': \"%s\", 'transaction': false}, \"%s\"],"
             " on_failure=\"%s\", always=\"%s\"") % tuple(note(who) for who in (
                 "pre_outside", "pre", "post_outside", "post", "on_failure", "always"))

BUILT = ["pre_outside", "pre", "post", "post_outside", "always"]
FAILED = ["pre_outside", "on_failure", "always"]

QUERY = "select 1 / (1 - {{ var('bad', 0) }}) as id, now()::timestamp as at"
SNAPSHOT = ("{%% snapshot m %%}{{ config(target_schema='dev', unique_key='id', strategy='timestamp', updated_at='at'%s) }} "
            + QUERY + "{%% endsnapshot %%}")
SQL = {  # what is built, its file, its text with room for a config
    "view": ("models/m.sql", "{{ config(materialized='view'%s) }} select run_bad({{ var('bad', 0) }}) as id"),
    "table": ("models/m.sql", "{{ config(materialized='table'%s) }} " + QUERY),
    "incremental": ("models/m.sql", "{{ config(materialized='incremental', unique_key='id'%s) }} " + QUERY),
    "materialized_view": ("models/m.sql", "{{ config(materialized='materialized_view'%s) }} " + QUERY),
    "snapshot": ("snapshots/m.sql", SNAPSHOT),
    "custom": ("models/m.sql", "{{ config(materialized='mine'%s) }} " + QUERY),
    "function": ("functions/m.sql", "{{ config(volatility='deterministic'%s) }} select {{ 'nonsense(' if var('bad', 0) else '1' }}"),
}
MORE = {
    "custom": {"materializations/mine.lua": "return function(build) local t = build:relation('table') build:replace(t, function(r) "
                                            "build:main('create table ' .. r .. ' as ' .. build.sql) end) return { t } end"},
    "function": {"functions/f.yml": "functions: [{name: m, returns: {data_type: int}}]\n"},
}
SECTIONS = {"snapshot": "snapshots", "function": "functions"}


@pytest.mark.parametrize("place", ["config", "properties", "project"])
@pytest.mark.parametrize("kind", SQL)
def test_phases_of_what_is_built(project, kind, place):
    path, text = SQL[kind]
    section = SECTIONS.get(kind, "models")
    files = {path: text % (", " + IN_CONFIG if place == "config" else ""), **MORE.get(kind, {})}
    if place == "properties":
        properties = dict(files)
        entry = f"{section}:\n  - name: m\n" + ("    returns: {data_type: int}\n" if kind == "function" else "")
        properties[path.rsplit("/", 1)[0] + "/f.yml"] = entry + "    config:\n" + yaml_hooks(6).replace("-hook", "_hook")
        files = properties
    if place == "project":
        files["dbt_project.yml"] = f"name: shop\nprofile: shop\n{section}:\n  shop:\n" + yaml_hooks(4, "+")
    p = made(project, files)
    p.db.sql("create function public.run_bad(n int) returns int language sql as 'select 1'")
    result = p.run("build").ok()
    assert trace(p) == BUILT
    assert all(h["status"] == "success" and h["place"] == place and h["line"] for h in result.hooks), result.hooks
    transactions = dict(row.split("|") for row in p.db.rows("select who, tx from public.trace"))
    assert transactions["pre"] == transactions["post"]
    assert len(set(transactions.values())) == 4
    p.db.sql("truncate public.trace")
    if kind == "view":  # the text of a view is not run
        p.db.sql("drop function public.run_bad cascade")
    result = p.run("build", "--full-refresh", "--vars", "bad: 1").fails(1)  # refreshing a view takes its query as it was
    assert trace(p) == FAILED
    assert [h["phase"] for h in result.hooks] == ["pre_outside", "pre_hooks", "on_failure", "always"]


@pytest.mark.parametrize("place", ["properties", "project"])
def test_phases_of_seeds(project, place):
    files = {"seeds/m.csv": "n\n1\n", "seeds/s.yml": "seeds: [{name: m}]\n"}
    if place == "properties":
        files["seeds/s.yml"] = "seeds:\n  - name: m\n    config:\n" + yaml_hooks(6).replace("-hook", "_hook")
    else:
        files["dbt_project.yml"] = "name: shop\nprofile: shop\nseeds:\n" + yaml_hooks(2, "+")
    p = made(project, files)
    p.run("seed").ok()
    p.run("seed").ok()
    assert trace(p) == BUILT * 2
    p.db.sql("truncate public.trace; alter table dev.m add check (n < 2)")
    p.write({"seeds/m.csv": "n\n1\n5\n"})
    p.run("seed").fails(1)
    assert trace(p) == FAILED
    assert p.db.rows("select n from dev.m") == ["1"]


@pytest.mark.parametrize("bad", [0, 1])
@pytest.mark.parametrize("kind", ["singular", "generic"])
def test_phases_of_tests(project, kind, bad):
    """A test that fails has found something: that is no failure of its own, so `on_failure` is for errors."""
    config = "{{ config(" + IN_CONFIG + ") }} "
    files = {"models/a.sql": "select 1 as n"}
    if kind == "singular":
        files["tests/t.sql"] = config + "select n from {{ ref('a') }} where 1/(n - {{ var('bad', 0) }}) > 5"
    else:
        files["tests/generic/g.sql"] = "{% test g(model) %}" + config + "select n from {{ model }} where 1/(n - {{ var('bad', 0) }}) > 5{% endtest %}"
        files["models/a.yml"] = "models: [{name: a, data_tests: [g]}]\n"
    p = made(project, files)
    p.run("run").ok()
    p.run("test", "--vars", f"bad: {bad}").fails(bad) if bad else p.run("test").ok()
    expected = ["pre_outside", "pre", "post", "post_outside", "always"] if not bad else ["pre_outside", "pre", "on_failure", "always"]
    assert trace(p) == expected, "hooks of tests commit by themselves"


@pytest.mark.parametrize("bad", [0, 1])
def test_phases_of_operations(project, bad):
    p = made(project, {"operations/o.sql": "{{ config(" + IN_CONFIG + ") }} select 1/{{ 1 - var('bad', 0) }}"})
    p.run("operation", "run", "o", "--vars", f"bad: {bad}").fails(bad) if bad else p.run("operation run o").ok()
    assert trace(p) == (FAILED if bad else BUILT)


def test_run_hooks_of_the_root_and_of_packages(project):
    def of(who):
        return "".join(f"{key}: [\"{note(who + ' ' + key)}\", {{name: {who}_{key[-3:]}, sql: \"{note(who + ' named')}\"}}]\n"
                       for key in ("on-run-start", "on-run-end"))
    p = made(project, {"dbt_project.yml": "name: shop\nprofile: shop\n" + of("root"), "packages.yml": "packages: [{local: p}]\n",
                       "p/dbt_project.yml": "name: p\n" + of("p"), "models/m.sql": "select 1 as n"})
    p.run("run").ok()
    assert trace(p) == ["root on-run-start", "root named", "p on-run-start", "p named",
                        "root on-run-end", "root named", "p on-run-end", "p named"]
    p.db.sql("truncate public.trace")
    p.run("run --skip-hook p_art --skip-hook root_end").ok()
    assert trace(p) == ["root on-run-start", "root named", "p on-run-start", "root on-run-end", "p on-run-end", "p named"]


@pytest.mark.parametrize("phase", ["pre_hook", "post_hook", "on_failure", "always"])
def test_named_hooks_of_every_phase(project, phase):
    key = phase.replace("_hook", "-hook")
    p = made(project, {
        "dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n"
                           f"  +{key}: [{{name: a, sql: \"{note('outer a')}\"}}, {{name: b, sql: \"{note('outer b')}\"}}, \"{note('unnamed')}\"]\n",
        "models/m.sql": f"{{{{ config(materialized='table', {phase}=[{{'name': 'a', 'enabled': false}}, {{'name': 'b', 'sql': \"{note('own b')}\"}}, \"{note('more')}\"]) }}}} "
                        f"select 1/{0 if phase == 'on_failure' else 1} as n"})
    p.run("run")
    assert sorted(trace(p)) == ["more", "own b", "unnamed"]


KEYS = [
    ({"when": "target.name == 'dev'"}, ["x"], "success"),
    ({"when": "target.name == 'prod'"}, [], None),
    ({"when": False}, [], None),
    ({"when": "{{ var('v', 0) > 0 }}"}, [], None),
    ({"when": "model.name == 'm' and flags.WHICH == 'run'"}, ["x"], "success"),
    ({"commands": ["run"]}, ["x"], "success"),
    ({"commands": "build"}, [], None),
    ({"timeout": "5m"}, ["x"], "success"),
    ({"timeout": 10, "retries": 2, "lock": "k", "on_error": "warn", "name": "all", "transaction": False, "enabled": True,
      "commands": ["run", "build"], "when": True}, ["x"], "success"),
    ({"sql": "select 1/0", "on_error": "warn"}, [], "warn"),
    ({"sql": "select 1/0", "on_error": "ignore"}, [], "ignored"),
    ({"sql": "select 1/0", "on_error": "fail"}, [], "error"),
    ({"sql": "select 1/0", "on_error": "warn", "transaction": False}, [], "warn"),
    ({"sql": "select pg_sleep(30)", "timeout": 0.1, "on_error": "warn"}, [], "warn"),
    ({"sql": "select flaky()", "retries": 2}, [], "success"),
    ({"sql": "select flaky()", "retries": 1}, [], "error"),
    ({"sql": "select flaky()", "retries": 2, "transaction": False}, [], "success"),
]


@pytest.mark.parametrize("form", ["config", "project"])
@pytest.mark.parametrize("keys, seen, status", KEYS)
def test_keys(project, keys, seen, status, form):
    import json
    hook = {"sql": note("x"), **keys}
    files = {"models/m.sql": "select 1 as n"}
    if form == "config":
        files["models/m.sql"] = "{{ config(materialized='table', post_hook=" + repr(hook) + ") }} select 1 as n"
    else:
        files["dbt_project.yml"] = "name: shop\nprofile: shop\nmodels:\n  +materialized: table\n  +post-hook: " + json.dumps(hook) + "\n"
    p = made(project, files)
    p.db.sql("create sequence tries; create function flaky() returns int language plpgsql as $$ begin "
             "if nextval('public.tries') < 3 then raise exception 'not yet'; end if; return 1; end $$")
    result = p.run("run")
    assert result.status == (1 if status == "error" else 0), result
    assert trace(p) == seen
    assert [h["status"] for h in result.hooks] == ([status] if status else [])


WRONG = [
    ({"sql": "x", "when": 5}, "`when` must be"), ({"sql": "x", "on_error": "stop"}, "`on_error` must be fail, warn or ignore"),
    ({"sql": "x", "timeout": "soon"}, "`timeout` must be"), ({"sql": "x", "timeout": -1}, "`timeout` must be"),
    ({"sql": "x", "retries": -1}, "`retries` must be"), ({"sql": "x", "retries": "many"}, "`retries` must be"),
    ({"sql": "x", "transaction": "maybe"}, "`transaction` must be"), ({"sql": "x", "commands": 5}, "`commands` must be"),
    ({"sql": "x", "args": [1]}, "`args` must be a mapping"), ({"sql": "x", "on_eror": "warn"}, "did you mean 'on_error'?"),
    ({"sql": "x", "lua": "a.b"}, "not several"), ({"enabled": False}, "takes a `name`"), ({"when": "true"}, "needs `sql`, `lua` or `operation`"),
    ({"lua": "nodot"}, "is no Lua function"), (5, "a text or a mapping"),
]


@pytest.mark.parametrize("hook, words", WRONG)
def test_wrong_keys_are_told_with_file_and_line(project, hook, words):
    import json
    p = made(project, {"models/m.sql": "select 1 as n", "dbt_project.yml":
                       "name: shop\nprofile: shop\nmodels:\n  +post-hook:\n    - " + json.dumps(hook) + "\n"})
    p.run("run").fails(2).says(words, "dbt_project.yml:5")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\n", "models/m.sql":
             "select 1 as n\n{{ config(post_hook=[" + repr(hook) + "]) }}\n"})
    p.run("run").fails(2).says(words, "models/m.sql:2")
