"""What a Lua hook receives, field by field and method by method, on a real node."""
import pytest


def with_hook(project, body, more=None, where="post_hook", kind="table"):
    """A project with one model m (two rows, 1 and 2) and a hook of this body."""
    p = project({
        "models/m.sql": f"{{{{ config(materialized='{kind}', {where}={{'lua': 'h.run', 'args': "
                        "{'word': 'x', 'list': [1, 2], 'map': {'a': true}}}) }} select * from (values (1), (2)) v(n)",
        "hooks/h.lua": "local h = {}\nfunction h.run(hook)\n" + body + "\nend\nreturn h\n",
        **(more or {}),
    })
    p.db.sql("create table public.out (n serial, k text, v text)")
    return p


SAVE = """
  local function save(k, v)
    hook:exec("insert into public.out (k, v) values ($1, $2)", k, tostring(v))
  end
"""


def saved(p):
    return dict(row.split("|", 1) for row in p.db.rows("select k, v from public.out order by n"))


@pytest.mark.san
def test_fields(project):
    p = with_hook(project, SAVE + """
      save("this", hook.this) save("joined", "x" .. hook.this) save("name", hook.this.name)
      save("schema", hook.this.schema) save("database", hook.this.database == hook.target.dbname) save("type", hook.this.type)
      save("node", hook.node.unique_id) save("materialized", hook.node.config.materialized)
      save("phase", hook.phase) save("word", hook.args.word) save("list", #hook.args.list .. hook.args.list[2])
      save("map", hook.args.map.a) save("absent", hook.args.nothing)
      save("target", hook.target.name) save("vars", hook.vars.colour) save("flags", hook.flags.WHICH)
      save("command", hook.run.command) save("id", #hook.run.id) save("started", hook.run.started_at:sub(1, 2))
      save("status", hook.result.status) save("rows", hook.result.rows_affected) save("error", hook.error)
      save("results", hook.run.results)
    """)
    p.run("run", "--vars", "colour: red").ok()
    this = f'"{p.db.name}"."dev"."m"'
    assert saved(p) == {
        "this": this, "joined": "x" + this, "name": "m", "schema": "dev", "database": "true", "type": "table",
        "node": "model.shop.m", "materialized": "table", "phase": "post_hooks", "word": "x", "list": "22", "map": "true",
        "absent": "nil", "target": "dev", "vars": "red", "flags": "run", "command": "run", "id": "36", "started": "20",
        "status": "success", "rows": "2", "error": "nil", "results": "nil"}


@pytest.mark.san
def test_queries(project):
    p = with_hook(project, SAVE + """
      save("exec", hook:exec("update " .. hook.this .. " set n = n + 10"))
      local rows = hook:query("select n, 'r' || n as t, null::int as nothing from " .. hook.this .. " order by n")
      save("query", #rows .. rows[1].n .. rows[2].t) save("null", rows[1].nothing) save("columns", table.concat(rows.columns, ","))
      save("value", hook:value("select max(n) from " .. hook.this)) save("no row", hook:value("select 1 where false"))
      local sum = 0
      for row in hook:rows("select n from generate_series(1, 2500) as s(n)") do sum = sum + row.n end
      save("rows", sum)
      for row in hook:rows("select n from generate_series(1, 2500) as s(n)") do if row.n == 3 then break end end
      save("after break", hook:value("select 1"))
      save("bound", hook:value("select $1 || $2::text || coalesce($3, 'null') || $4::boolean", "a'b", 7, nil, true))
      local types = hook:query([[select 1::bigint as i, 1.5::float8 as f, 1.25::numeric as d, 12345678901234567890.5 as big,
        true as b, date '2024-01-02' as day, '{"a": [1, null]}'::json as j, array[1, null, 3] as l]])[1]
      save("types", table.concat({ math.type(types.i), math.type(types.f), type(types.d), type(types.big), type(types.b), types.day,
        types.j.a[1], types.l.n, types.l[3] }, " "))
    """)
    p.run("run").ok()
    assert saved(p) == {
        "exec": "2", "query": "211r12", "null": "nil", "columns": "n,t,nothing", "value": "12", "no row": "nil",
        "rows": "3126250", "after break": "1", "bound": "a'b7nulltrue",
        "types": "integer float number string boolean 2024-01-02 1 3 3"}


@pytest.mark.san
def test_savepoint_and_pcall(project):
    p = with_hook(project, SAVE + """
      local ok, e = pcall(hook.savepoint, hook, function()
        save("lost", 1)
        hook:exec("select 1/0")
      end)
      save("caught", ok) save("message", e.message) save("state", e.sqlstate) save("sql", e.sql)
      save("gives", hook:savepoint(function(h) save("kept", 1) return 42 end))
      local ok2, e2 = pcall(hook.query, hook, "select 1 as a")
      save("fine", ok2)
    """)
    p.run("run").ok()
    assert saved(p) == {"caught": "false", "message": "division by zero", "state": "22012", "sql": "select 1/0", "kept": "1",
                        "gives": "42", "fine": "true"}


def test_copy(project):
    p = with_hook(project, """
      hook:exec("create table public.copied (a int, b text)")
      local i = 0
      local n = hook:copy("public.copied", { "a", "b" }, function()
        i = i + 1
        if i <= 3000 then return { i, i == 2 and "tab\\tnew\\nline \\\\" or nil } end
      end)
      assert(n == 3000)
      assert(hook:copy("public.copied", { "b", "a" }, { { a = 9, b = "named" } }) == 1)
    """)
    p.run("run").ok()
    assert p.db.rows("select count(*), sum(a), count(b) from copied") == ["3001|4501509|2"]
    assert p.db.rows("select replace(b, E'\\n', '/') from copied where a = 2") == ["tab\tnew/line \\"]


@pytest.mark.san
def test_ref_source_macro_render_env(project):
    p = with_hook(project, SAVE + """
      save("ref", hook:ref("other")) save("two", hook:ref("shop", "other")) save("source", hook:source("src", "t"))
      save("macro", hook:macro("shout", "hey")) save("returned", hook:macro("shop.pair").a)
      save("render", hook:render("{{ this.name }} {{ mine }} {{ shout('x') }}", { mine = 5 }))
      save("env", hook:env("FRUIT")) save("no env", hook:env("NOT_SET"))
    """, {
        "models/other.sql": "select 1 as n",
        "models/m.sql": "-- depends_on: {{ ref('other') }}\n{{ config(post_hook='lua: h.run') }} select 1 as n",
        "models/s.yml": "sources: [{name: src, schema: raw, tables: [{name: t}]}]\n",
        "macros/m.sql": "{% macro shout(w) %}{{ w | upper }}!{% endmacro %}{% macro pair() %}{{ return({'a': 1}) }}{% endmacro %}",
    })
    p.run("run", env={"FRUIT": "fig"}).ok()
    name = p.db.name
    assert saved(p) == {"ref": f'"{name}"."dev"."other"', "two": f'"{name}"."dev"."other"', "source": f'"{name}"."raw"."t"',
                        "macro": "HEY!", "returned": "1", "render": "m 5 X!", "env": "fig", "no env": "nil"}


@pytest.mark.san
def test_log_warn_fail_skip(project):
    p = with_hook(project, """
      hook:log("plain %s", hook.this.name)
      hook:warn("only %d rows", 2)
    """)
    result = p.run("run").ok().says("plain m", "warning", "only 2 rows")
    assert result.hooks[0]["message"] == "only 2 rows" and result.hooks[0]["status"] == "success"
    p.write({"hooks/h.lua": "return { run = function(hook) hook:fail('too %s', 'bad') end }"})
    result = p.run("run").fails(1).says("too bad")
    assert result.hooks[0]["status"] == "error"
    p.write({"models/m.sql": "{{ config(materialized='table', pre_hook='lua: h.run') }} select 3 as n",
             "models/below.sql": "select n from {{ ref('m') }}",
             "hooks/h.lua": "return { run = function(hook) hook:skip('not today') end }"})
    result = p.run("run").says("not today")
    assert result.statuses == {"m": "skipped", "below": "success"}
    assert p.db.rows("select count(*) from dev.below") == ["2"], "what was there is read"


@pytest.mark.san
def test_after_commit(project):
    body = """
      hook:after_commit(function(h)
        h:exec("insert into public.out (k) values ('committed, ' || (select count(*) from dev.m))")
      end)
      %s
    """
    p = with_hook(project, body % "")
    p.run("run").ok()
    assert p.db.rows("select k from public.out") == ["committed, 2"]
    p.write({"hooks/h.lua": "return { run = function(hook)" + body % "error('no')" + " end }"})
    p.run("run").fails(1)
    assert p.db.rows("select k from public.out") == ["committed, 2"]


def test_error_in_on_failure(project):
    p = with_hook(project, SAVE + """
      save("message", hook.error.message) save("state", hook.error.sqlstate) save("phase", hook.error.phase)
      save("file", hook.error.file) save("line", hook.error.line)
    """, {"models/m.sql": "{{ config(materialized='table', on_failure='lua: h.run') }}\nselect 1 as n,\n  1/0 as m\n"})
    p.run("run").fails(1)
    assert saved(p)["message"].startswith("division by zero") and saved(p)["state"] == "22012"
    assert saved(p)["phase"] == "build" and saved(p)["file"].endswith("models/m.sql")


def test_others_run_while_a_hook_sleeps(project):
    p = with_hook(project, "hook:sleep(0.5)", {f"models/o{i}.sql": "select 1 as n" for i in range(4)}, where="pre_hook")
    result = p.run("run --threads 2").ok()
    assert result.order[-1] == "m"


def test_modules(project):
    p = with_hook(project, SAVE + """
      local other = require "lib.other"
      save("other", other.seven()) save("again", require "lib.other" == other)
      save("os", type(os.time()))
      save("json", tostring(string.format("%5.1f", 2)))
    """, {"hooks/lib/other.lua": "local M = {}\nfunction M.seven() return 7 end\nreturn M\n"})
    p.run("run").ok()
    assert saved(p) == {"other": "7", "again": "true", "os": "number", "json": "  2.0"}


def test_of_packages(project):
    p = project({
        "packages.yml": "packages: [{local: pkg}]\n",
        "pkg/dbt_project.yml": "name: pkg\n",
        "pkg/hooks/tools.lua": "return { note = function(hook) hook:exec('create table dev.noted as select 1 as n') end,"
                               " sneak = function() return os.time() end }",
        "models/m.sql": "{{ config(post_hook='lua: tools.note') }} select 1 as n",
    })
    p.run("run").ok()
    assert p.db.relations() == ["m view", "noted table"]
    p.write({"models/m.sql": "{{ config(post_hook='lua: tools.sneak') }} select 1 as n"})
    p.run("run").fails(1).says("there is no global 'os'", "tools.lua:1")


MISTAKES = [
    ("local x = hook.nod", "hook has no field 'nod'", "did you mean 'node'?"),
    ("local x = hook.node.nam", "hook.node has no field 'nam'", "did you mean 'name'?"),
    ("hook.this.nam = 1", "read only"),
    ("hook.node.name = 1", "read only"),
    ("hook.query('select 1')", "hook:query", "colon"),
    ("hook:query(1)", "needs SQL as text"),
    ("local x = hook:query('select 1 as a')[1].c", "no column 'c'", "its columns are a"),
    ("hook:exec('select $1', {})", "parameter $1 is a table"),
    ("hook:exec('select 1/0')", "division by zero"),
    ("hook:skip('late')", "pre-hook"),
    ("hook:ref('nowhere')", "nowhere"),
    ("hook:macro('no_such_macro')", "no macro 'no_such_macro'"),
    ("undefined_global()", "there is no global 'undefined_global'"),
    ("error('my words')", "my words"),
    ("error({ message = 'in a table' })", "in a table"),
    ("local x = nil; x.y = 1", "attempt to index a nil value"),
    ("return 5", "a hook returns nothing, or SQL as text"),
    ("coroutine.wrap(function() hook:exec('select 1') end)()", "coroutine"),
    ("table.sort({ 3, 1, 2 }, function(a, b) return hook:value('select 1') end)", "which it cannot do here"),
]
# These name the place where the hook is declared; the others the line of the hook's file.
DECLARED = ("return 5", "error({")


@pytest.mark.parametrize("code, texts", [(code, texts) for code, *texts in MISTAKES])
def test_mistakes_are_told(project, code, texts):
    p = with_hook(project, code)
    result = p.run("run").fails(1)
    result.says(*texts).says("models/m.sql:1" if code.startswith(DECLARED) else "hooks/h.lua:3")
    assert "lua/run" not in result.stdout, "none of the engine's own files"
    assert p.db.relations() == []
