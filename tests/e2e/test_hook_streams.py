"""rows and copy of Lua hooks: streams in constant memory, from one into the other on one connection."""
import re

import pytest


def hooked(project, body, transaction=True, more=""):
    p = project({"models/m.sql": "{{ config(materialized='table', post_hook={'lua': 'h.run', 'transaction': %s}) }} select 1 as n"
                 % str(transaction).lower(),
                 "hooks/h.lua": "local h = {}\nfunction h.run(hook)\n" + body + "\nend\nreturn h\n"})
    p.db.sql("create table public.made (n bigint, t text, b boolean, d numeric)" + more)
    return p


SOURCE = r"""select n, case when n % 3 = 0 then null else E'tab\tline\nback\\slash\r ' || n end as t, n % 2 = 0 as b,
  n * 1.5 as d, 'other' as unused from generate_series(1, 25000) n"""
SAME = f"select count(*) from (select n, t, b, d from ({SOURCE}) s except select n, t, b, d from public.made) x"


@pytest.mark.san
@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("through", ["hook:rows(sql)", "function() return next_row() end"])
def test_rows_into_copy(project, transaction, through):
    p = hooked(project, f"""
      local sql = [[{SOURCE}]]
      local next_row = hook:rows(sql)
      local n = hook:copy("public.made", {{ "d", "n", "t", "b" }}, {through})
      assert(n == 25000, n)
    """, transaction)
    result = p.run("run").ok()
    assert p.db.rows("select count(*) from public.made") == ["25000"] and p.db.rows(SAME) == ["0"]
    assert result.hooks[0]["status"] == "success"


def test_a_source_may_use_the_connection(project):
    """Queries, savepoints and another copy between the rows of a copy."""
    p = hooked(project, """
      hook:exec("create table public.log (n int)")
      local i = 0
      local n = hook:copy("public.made", { "n", "t" }, function()
        i = i + 1
        if i > 500 then return nil end
        if i % 100 == 0 then
          hook:savepoint(function() hook:copy("public.log", { "n" }, { { i } }) end)
          return { i, tostring(hook:value("select count(*) from public.made")) }
        end
        return { i }
      end)
      assert(n == 500, n)
    """)
    p.run("run").ok()
    assert p.db.rows("select count(*) from public.made") == ["500"]
    assert p.db.rows("select n from public.log") == ["100", "200", "300", "400", "500"]


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("body, words", [
    ("hook:copy('public.made', { 'n' }, hook:rows('select 1/(3 - n) as n from generate_series(1, 10) n'))", "division by zero"),
    ("local i = 0 hook:copy('public.made', { 'n' }, function() i = i + 1 if i > 3 then hook:exec('select 1/0') end return { i } end)",
     "division by zero"),
    ("local i = 0 hook:copy('public.made', { 'n' }, function() i = i + 1 hook:value('select 1') if i > 3 then error('stop') end "
     "return { i } end)", "stop"),
    ("hook:copy('public.made', { 'x' }, hook:rows('select 1 as n'))", 'column "x" of relation "made" does not exist'),
    ("hook:copy('public.made', { 't' }, hook:rows('select 1 as n'))", "the query has no column 't'"),
    ("hook:copy('public.made', { 'n' }, hook:rows(\"select 'x' as n\"))", "invalid input syntax for type bigint"),
    ("hook:copy('public.made', {}, hook:rows('select 1 as n'))", "needs the list of columns"),
    ("hook:copy('public.nowhere', { 'n' }, {})", "nowhere"),
])
def test_a_copy_that_fails_leaves_nothing(project, body, words, transaction):
    p = hooked(project, body, transaction)
    p.run("run").fails(1).says(words, "hooks/h.lua:3")
    assert p.db.rows("select count(*) from public.made") == ["0"]


def peak_kilobytes(p, rows):
    body = f"""
      local sql = "select n, md5(n::text) as t from generate_series(1, {rows}) n"
      hook:copy("public.made", {{ "n", "t" }}, hook:rows(sql))
      local count = 0
      for row in hook:rows("select n, t from public.made") do count = count + 1 end
      assert(count == {rows})
      local seen
      for line in io.lines("/proc/self/status") do seen = seen or line:match("VmHWM:%s*(%d+)") end
      hook:log("peak %s", seen)
    """
    p.write({"hooks/h.lua": "local h = {}\nfunction h.run(hook)\n" + body + "\nend\nreturn h\n"})
    p.db.sql("truncate public.made")
    return int(re.search(r"peak (\d+)", p.run("run").ok().stdout).group(1))


def test_memory_is_constant(project):
    p = hooked(project, "")
    few, many = peak_kilobytes(p, 20000), peak_kilobytes(p, 400000)
    assert many < few * 1.3 + 4000, (few, many)
