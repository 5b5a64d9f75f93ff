"""What a hook may do wrong: each has its outcome, with file and line, and the data of the node is safe."""
import os

import pytest


def with_hook(project, body, hook="'lua: h.run'", files=None):
    """A table that exists with the row 1, whose model now gives 2."""
    p = project({"models/m.sql": "{{ config(materialized='table', post_hook=" + hook + ") }} select {{ var('n', 2) }} as n",
                 "hooks/h.lua": "local h = {}\nfunction h.run(hook)\n" + body + "\nend\nreturn h\n",
                 "dbt_project.yml": "name: shop\nprofile: shop\n", **(files or {})})
    p.run("run --no-hooks --vars 'n: 1'").ok()
    return p


BODIES = [  # body, words, file and line
    ("while true do end", "it took longer than its timeout of 1 s", "hooks/h.lua:3"),
    ("error({ 1, 2 })", "it raised a table, not a message", "models/m.sql:1"),
    ("error(nil)", "it raised a nil, not a message", "models/m.sql:1"),
    ("error(function() end)", "it raised a function, not a message", "models/m.sql:1"),
    ("error(42)", "42", "models/m.sql:1"),
    ("error(true)", "true", "models/m.sql:1"),
    ("local co = coroutine.wrap(function() hook:exec('select 1') end) co()", "coroutine", "hooks/h.lua:3"),
    ("hook:exec('commit')", "ended the node's transaction", "models/m.sql:1"),
    ("hook:exec('rollback')", "ended the node's transaction", "models/m.sql:1"),
    ("hook:exec('drop table ' .. hook.this) error('then fails')", "then fails", "hooks/h.lua:3"),
    ("return 5", "returned a number: a hook returns nothing, or SQL as text", "models/m.sql:1"),
    ("return {}", "returned a table: a hook returns nothing, or SQL as text", "models/m.sql:1"),
    ("return function() end", "returned a function", "models/m.sql:1"),
    ("return 'selec 1'", 'syntax error at or near "selec"', "models/m.sql:1"),
    ("hook:exec('select \\0')", "zero byte", "hooks/h.lua:3"),
    ("pcall(hook.exec, hook, 'select 1/0')", "transaction", "models/m.sql:1"),
    ("hook.this.name = 'x'", "read only", "hooks/h.lua:3"),
    ("x = 1", "'x' is no local", "hooks/h.lua:3"),
    ("local y = x", "there is no global 'x'", "hooks/h.lua:3"),
    ("setmetatable(_G, nil)", "protected", "hooks/h.lua:3"),
    ("require 'nowhere'", "there is no hook module 'nowhere'", "hooks/h.lua:3"),
    ("hook.phase()", "attempt to call", "hooks/h.lua:3"),
    ("(function(f) return f(f) end)(function(f) return 1 + f(f) end)", "stack overflow", "hooks/h.lua:3"),
    ("hook:after_commit(5)", "needs a function", "hooks/h.lua:3"),
    ("hook:savepoint('x')", "needs a function", "hooks/h.lua:3"),
]


@pytest.mark.parametrize("body, words, place", BODIES)
def test_bad_lua(project, body, words, place):
    hook = "{'lua': 'h.run', 'timeout': 1}" if body.startswith("while") else "'lua: h.run'"
    p = with_hook(project, body, hook)
    result = p.run("run").fails(1).says(words, place)
    assert result.statuses == {"m": "error"} and [h["status"] for h in result.hooks] == ["error"]
    assert result.hooks[0]["file"] == "models/m.sql" and result.hooks[0]["line"] == 1
    if "'commit'" not in body:
        assert p.db.rows("select n from dev.m") == ["1"], "the data is as it was"
    assert "attempt to" in words or "lua/run" not in result.stdout


def test_a_hook_may_not_fill_the_memory_of_a_package(project):
    p = with_hook(project, "", "'lua: tools.run'", {
        "packages.yml": "packages: [{local: pkg}]\n", "pkg/dbt_project.yml": "name: pkg\n",
        "pkg/hooks/tools.lua": "return { run = function(hook) local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end end }"})
    p.run("run").fails(1).says("it needs too much memory", "models/m.sql:1")
    assert p.db.rows("select n from dev.m") == ["1"]


def test_a_hook_that_drops_the_relation(project):
    """That is its own affair: the hook's transaction is the node's, and the next run begins anew."""
    p = with_hook(project, "hook:exec('drop table ' .. hook.this)")
    p.run("run").ok()
    assert p.db.relations() == []
    p.write({"models/m.sql": "{{ config(materialized='table') }} select 3 as n"})
    p.run("run").ok()
    assert p.db.rows("select n from dev.m") == ["3"], "the next run has no trouble"


DECLARED = [
    ("'lua: h.rnu'", "has no function 'rnu'", "did you mean 'run'?"), ("'lua: hh.run'", "there is no hook module 'hh'", "did you mean 'h'?"),
    ("{'operation': 'nowhere'}", "nowhere", ""), ("'{{ nowhere() }}'", "nowhere", ""), ("'{{ 1 +'", "", ""), ("'{% if %}'", "", ""),
    ("{'sql': 'select 1', 'when': '1 +'}", "", ""), ("{'sql': 'select 1', 'when': 'nowhere()'}", "nowhere", ""),
    ("'{{ ref(\"nowhere\") }}'", "nowhere", ""), ("5", "a text or a mapping", ""), ("[none]", "not null", ""),
]


@pytest.mark.parametrize("hook, words, more", DECLARED)
def test_bad_declarations(project, hook, words, more):
    p = with_hook(project, "")
    p.write({"models/m.sql": "{{ config(materialized='table', post_hook=" + hook + ") }} select 2 as n"})
    result = p.run("run")
    assert result.status in (1, 2)
    result.says(words, more, "models/m.sql:")
    assert p.db.rows("select n from dev.m") == ["1"]


MODULES = [("local h = {", "unexpected"), ("return 5", "must return its table of functions"), ("", "returns nothing"),
           ("error('at load')", "at load"), ("return require 'h'", "requires itself"), ("local x = y\nreturn {}", "there is no global 'y'"),
           ("\x1bLua", "binary"), ("return { run = 5 }", "has no function 'run'")]


@pytest.mark.parametrize("text, words", MODULES)
def test_bad_modules(project, text, words):
    """Told before anything runs."""
    p = with_hook(project, "")
    p.write({"hooks/h.lua": text})
    p.run("run").fails(2).says(words, "hooks/h.lua")
    assert p.db.rows("select n from dev.m") == ["1"]


# Secrets ----------------------------------------------------------------------------------------------------

SECRET = "s3cr3t-w0rd"
PLACES = {
    "sql": "\"select '{{ env_var('DBT_ENV_SECRET_X') }}' as x\"",
    "failing sql": "\"select '{{ env_var('DBT_ENV_SECRET_X') }}'::int\"",
    "name": "{'name': 'n-s3cr3t-w0rd', 'sql': 'select 1'}",
    "when": "{'sql': 'select 1', 'when': \"'s3cr3t-w0rd' == 'x\"}",
    "lock": "{'sql': 'select 1', 'lock': 's3cr3t-w0rd'}",
    "args": "{'lua': 'h.args', 'args': {'x': 's3cr3t-w0rd'}}",
    "lua sql": "'lua: h.sql'", "lua parameter": "'lua: h.parameter'", "lua error": "'lua: h.error'", "lua raised": "'lua: h.raised'",
    "lua log": "'lua: h.log'", "lua fail": "'lua: h.fail'", "lua warn": "'lua: h.warn'", "lua returned": "'lua: h.returned'",
    "lua skip": "'lua: h.skip'", "lua http": "'lua: h.http'", "lua unknown field": "'lua: h.field'", "lua macro": "'lua: h.macro'",
    "after commit": "'lua: h.later'", "log of a macro": "\"{{ log(env_var('DBT_ENV_SECRET_X'), info=true) }}\"",
    "compiler error": "\"{{ exceptions.raise_compiler_error(env_var('DBT_ENV_SECRET_X')) if execute }}\"",
    "operation": "{'operation': 'o', 'args': {'x': 's3cr3t-w0rd'}}",
    "warned": "{'sql': \"select '{{ env_var('DBT_ENV_SECRET_X') }}'::int\", 'on_error': 'warn'}",
}
HOOKS = """
local h = {}
local function secret(hook) return hook:env("DBT_ENV_SECRET_X") end
function h.args(hook) hook:log("%s", hook.args.x) error(hook.args.x) end
function h.sql(hook) hook:exec("select '" .. secret(hook) .. "' as x") end
function h.parameter(hook) hook:exec("select $1::int", secret(hook)) end
function h.error(hook) hook:exec("select " .. secret(hook) .. " from x") end
function h.raised(hook) error("it is " .. secret(hook)) end
function h.log(hook) hook:log("%s", secret(hook)) end
function h.fail(hook) hook:fail("%s", secret(hook)) end
function h.warn(hook) hook:warn("%s", secret(hook)) end
function h.returned(hook) return "select '" .. secret(hook) .. "'::int" end
function h.skip(hook) hook:skip(secret(hook)) end
function h.http(hook) hook:http{ url = "http://127.0.0.1:1/" .. secret(hook), headers = { ["X-A"] = secret(hook) } } end
function h.field(hook) return hook[secret(hook)] end
function h.macro(hook) hook:macro(secret(hook)) end
function h.later(hook) hook:after_commit(function(k) k:exec("select '" .. secret(k) .. "'::int") end) end
return h
"""


@pytest.mark.parametrize("options", [[], ["--debug"], ["--log-format", "json"]])
def test_a_secret_shows_nowhere(project, options):
    """Records, logs, compiled files, errors, the terminal: in whatever place of a hook it stands."""
    secret = {"DBT_ENV_SECRET_X": SECRET}
    for place, hook in PLACES.items():
        phase = "pre_hook" if place == "lua skip" else "post_hook"
        p = project({"models/m.sql": "{{ config(materialized='table', " + phase + "=" + hook + ") }} select 1 as n", "hooks/h.lua": HOOKS,
                     "operations/o.sql": "select '{{ args.x }}'::int",
                     "dbt_project.yml": "name: shop\nprofile: shop\n"})
        result = p.run("run", *options, env=secret)
        assert SECRET not in result.stdout + result.stderr, place
        for folder in "target", "logs":
            for root, _, names in os.walk(p.path(folder)):
                for name in names:
                    with open(os.path.join(root, name), "rb") as file:
                        # what the model's own source says is the source's: the manifest has it as it is written
                        text = file.read().decode("utf-8", "replace")
                    if name in ("manifest.json", "partial_parse.msgpack", "parse.cache") and SECRET in hook:
                        continue
                    assert SECRET not in text, (place, os.path.join(root, name))
