"""What hooks are told beside their work: when, retries, and what follows a commit that a package makes."""
import os

import pytest

from receiver import receiving


@pytest.mark.parametrize("when, says", [
    ("target.name ==", "expected an expression"),
    ("{% if target.name", "is not closed"),
    ("nothing.x == 1", "nothing"),
])
def test_a_when_that_is_wrong_names_its_own_line(project, when, says):
    p = project({"dbt_project.yml": f"""
        name: shop
        profile: shop
        models:
          +post-hook:
            - name: late
              sql: select 1
              when: "{when}"
        """, "models/m.sql": "select 1 as n"})
    p.run("run").fails(1).says("dbt_project.yml:7", "post-hook 'late' of model m", says)
    assert p.db.relations() == []


def test_a_when_in_a_file_of_sql_names_the_hook(project):
    p = project({"models/m.sql": """
        {{ config(post_hook={
          "sql": "select 1", "when": "target.name =="}) }}
        select 1 as n"""})
    p.run("run").fails(1).says("models/m.sql:", "expected an expression")


FLAKY = {"hooks/flaky.lua": """
    local flaky = {}
    local tries, kept = 0, nil
    function flaky.run(hook)
      tries = tries + 1
      if kept then
        local ok, e = pcall(kept.exec, kept, "insert into public.out values ('through the old object')")
        hook:log("the old object: %s %s", ok, ok or e.message or e)
      end
      kept = hook
      hook:exec("insert into public.out values ($1)", "try " .. tries)
      hook:after_commit(function(h) h:exec("insert into public.out values ($1)", "after try " .. tries) end)
      if tries <= hook.args.failures then hook:fail("not yet") end
    end
    return flaky
    """}


def flaky(project, **settings):
    text = ", ".join(f"'{key}': {value}" for key, value in settings.items())
    p = project({**FLAKY, "models/m.sql": "{{ config(post_hook={'lua': 'flaky.run', 'args': {'failures': 2}, %s}) }} select 1 as n" % text})
    p.db.sql("create table public.out (who text)")
    return p


def test_a_lua_hook_is_tried_again(project):
    """Each try has an object of its own and begins from nothing: what those before it did and left is undone."""
    p = flaky(project, retries=2)
    result = p.run("run").ok()
    result.says("failed and is tried again (1 of 2)", "failed and is tried again (2 of 2)", "the old object: false")
    assert p.db.rows("select who from public.out") == ["try 3", "after try 3"]
    hook = result.hooks[0]
    assert (hook["status"], hook["kind"], hook["rows"]) == ("success", "lua", 1)
    assert "try 1" not in (hook["sql"] or ""), "the record is of the try that counts"
    assert [h["phase"] for h in result.hooks] == ["post_hooks", "post_outside"]


def test_a_lua_hook_is_tried_again_outside(project):
    """Outside of a transaction each statement stands."""
    p = flaky(project, retries=2, transaction=False)
    p.run("run").ok()
    assert p.db.rows("select who from public.out where who like 'try%'") == ["try 1", "try 2", "try 3"]


def test_a_lua_hook_that_never_succeeds(project):
    p = flaky(project, retries=1)
    result = p.run("run").fails(1).says("hooks/flaky.lua", "not yet")
    assert p.db.rows("select who from public.out") == [] and p.db.relations() == []
    assert [h["status"] for h in result.hooks] == ["error"]


def test_what_a_package_has_committed_is_not_repeated(project):
    """A transaction that was lost to another is repeated, unless a package's hook has committed a part of it."""
    lost = "do $$ begin raise exception 'lost' using errcode = '40001'; end $$"
    note = "insert into public.out values ('built')"
    files = {
        "packages.yml": "packages: [{local: pkg}]\n",
        "pkg/dbt_project.yml": "name: pkg\n",
        "pkg/macros/upload.sql": "{% macro upload() %}{% do run_query(\"commit\") %}{{ return('') }}{% endmacro %}",
        "pkg/models/m.sql": "{{ config(materialized='table', post_hook=[\"%s\", \"{{ upload() if var('commits') }}\", \"%s\"]) }} select 1 as n"
                            % (note, lost),
        "dbt_project.yml": "name: shop\nprofile: shop\ntransaction-retries: 2\nvars: {commits: false}\n"}
    p = project(files)
    p.db.sql("create table public.out (who text)")
    p.run("run").fails(1).says("its transaction is repeated (2 of 2)", "lost")
    assert p.db.rows("select who from public.out") == []
    result = p.run("run", "--vars", "{commits: true}").fails(1).says("ended the node's transaction", "lost")
    assert "is repeated" not in result.stdout + result.stderr
    assert p.db.rows("select who from public.out") == ["built"], "once, as it was committed"


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


SECRET = "s3cret-t0ken/of ours"


def test_a_secret_in_every_place(project, receiver):
    """Wherever a value can stand: nothing that is written or shown has it, but for what was asked to be sent."""
    env = {"DBT_ENV_SECRET_KEY": SECRET}
    secret = "{{ var('key') }}"  # env_var refuses it outside of profiles
    p = project({
        "dbt_project.yml": """
            name: shop
            profile: shop
            ledger: true
            on-run-start: "select '%s' as a"
            on-run-end: "select '%s' as b, '{{ results | map(attribute='message') | join }}'"
            models:
              +post-hook:
                - {name: "named %s", sql: "select '%s' as c"}
                - {lua: h.run}
                - {lua: h.warn, on_error: warn}
                - {sql: "do $x$ begin raise notice '%s'; raise warning '%s'; end $x$"}
            """.replace("%s", secret),
        "hooks/h.lua": """
            local h = {}
            function h.run(hook)
              local key = hook:env "DBT_ENV_SECRET_KEY"
              hook:log("%s", key)
              hook:warn("%s", key)
              hook:exec("select $1::text as d", key)
              hook:http { method = "POST", url = hook:env "URL" .. "/x", json = { key = key }, headers = { ["X-Key"] = key } }
            end
            function h.warn(hook) hook:query("select '" .. hook:env("DBT_ENV_SECRET_KEY"):gsub("'", "''") .. "'::int") end
            return h
            """,
        "models/m.sql": "select '%s' as n" % secret,
        "models/bad.sql": "select '%s'::int as n" % secret,
        "models/raises.sql": "{% if execute %}{{ exceptions.raise_compiler_error(var('key')) }}{% endif %}select 1 as n",
        "tests/t.sql": "select '%s' as n where false" % secret})
    env["URL"] = receiver.url
    results = [p.run(*command.split(), *(["--vars", f"key: {SECRET}"] if command != "retry" else []), env=env) for command in (
        "build --debug", "build --log-format json --log-level debug", "compile --log-format-file json", "retry",
        "hooks run m", "plan", "hooks ls", "docs generate")]
    assert any(SECRET in body for _, _, body in receiver.got), "whoever was meant to have it has it"
    forms = [SECRET, SECRET.replace("/", "\\/")]
    for result in results:
        for form in forms:
            assert form not in result.stdout + result.stderr, result
    for folder, _, names in os.walk(p.dir):
        for name in names:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                continue
            with open(path, "rb") as file:
                content = file.read()
            for form in forms:
                assert form.encode() not in content, path
    tables = p.db.rows("select quote_ident(schemaname) || '.' || quote_ident(tablename) from pg_tables where tablename like '%dex%' or schemaname like '%dex%'")
    assert tables, "the ledger's"
    for table in tables:
        text = p.db.sql(f"select * from {table}")
        for form in forms:
            assert form not in text, table
