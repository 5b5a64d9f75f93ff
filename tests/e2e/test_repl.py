"""The prompt of `dex-lua repl`, key by key on a terminal."""
import os
import stat

import pytest

from prompt import Prompt

FILES = {
    "models/orders.sql": "select 1 as id, 'new' as status union all select 2, 'paid'",
    "models/customers.sql": "select id from {{ ref('orders') }}",
    "models/schema.yml": """
        models:
          - name: orders
            columns: [{name: status_of_order}]
        """,
    "macros/cents.sql": "{% macro cents(x) %}{{ x }} / 100{% endmacro %}",
    "operations/tidy.sql": "select 'tidied' as what",
}


@pytest.fixture
def prompt(project):
    """prompt(files) -> a prompt on a project."""

    def make(files=None, *args, **options):
        return Prompt(project(FILES if files is None else files), *args, **options)
    return make


@pytest.mark.san
def test_expressions_statements_and_errors(prompt):
    p = prompt()
    assert p.enter("1 + 1") == "2"
    assert p.enter("= 'a' .. 'b'") == "ab"
    assert p.enter("x = {1, name = 'n', deep = {true}}") == ""
    assert p.enter("x") == '{1, deep = {true}, name = "n"}'
    assert p.enter("nil") == "nil"
    p.enter("y", "error 202", "there is no 'y'")
    p.enter("qurey('select 1')", "did you mean 'query'?")
    came = p.enter("x = = 1", "error 221", "unexpected symbol near '='")
    caret = [line for line in came.splitlines() if line.strip().endswith("^")][0]
    code = [line for line in came.splitlines() if "x = = 1" in line][0]
    assert caret.index("^") == code.index("= 1"), came
    p.enter("error('spoilt')", "spoilt")
    p.enter("1 + 1", "2")
    p.leave()


def test_input_of_several_lines(prompt):
    p = prompt()
    p.enter("for i = 1, 2 do", prompt="   .>")
    p.enter("print(i * 7)", prompt="   .>")
    assert p.enter("end") == "7\n14"
    p.enter("text = [[one", prompt="   .>")
    p.enter("two]]")
    assert p.enter("text") == "one\ntwo"
    p.enter("while true do", prompt="   .>")
    p.type("\x03")
    p.seen = p.screen.row + 1
    p.wait("dex>")
    assert p.enter("2") == "2", "what was not complete is forgotten"
    p.leave()


def test_editing_and_history(prompt):
    p = prompt()
    p.keys("prnt(1)")
    p.type("\x1b[D" * 5 + "i")  # back to behind "pr"
    p.seen = p.screen.row + 1
    p.type("\r")
    assert p.wait("dex>").startswith("1\n")
    p.enter("first = 'gr\u00fc\u00dfe'")
    p.type("\x1b[A\x1b[A")
    while p.line() != "dex> print(1)":
        p.more()
    p.type("\x1b[B")
    while p.line() != "dex> first = 'gr\u00fc\u00dfe'":
        p.more()
    p.type("\x15")  # the line is gone
    while p.line() != "dex>":
        p.more()
    assert p.enter("first") == "gr\u00fc\u00dfe"
    p.enter("password = 'hidden'")
    p.enter(" unseen = 1")
    p.leave()
    path = p.project.path(".dex", "history")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    kept = p.project.read(".dex", "history").splitlines()
    assert kept == ["print(1)", "first = 'gr\u00fc\u00dfe'", "first"]
    again = Prompt(p.project)
    again.type("\x1b[A\x1b[A")
    while again.line() != "dex> first = 'gr\u00fc\u00dfe'":
        again._read(20)
    again.type("\r")
    again.leave()


@pytest.mark.parametrize("typed, becomes", [
    ("que", "query"),
    ("ref('cus", "ref('customers"),
    ("run{select = 'ord", "run{select = 'orders"),
    ("cen", "cents"),
    ("op('ti", "op('tidy"),
    ("query('select status_of", "query('select status_of_order"),
    ("string.rev", "string.reverse"),
    ("hook:que", "hook:query"),
    ("select * from dev.cu", "select * from dev.customers"),
    (".rel", ".reload"),
])
def test_completion(prompt, typed, becomes):
    p = prompt()
    p.enter("nodes()", "orders")  # the project is read
    p.keys(typed)
    p.type("\t")
    while p.line() != "dex> " + becomes:
        p.more()
    p.type("\x03")
    p.seen = p.screen.row + 1
    p.wait("dex>")
    p.leave()


def test_completion_lists_what_there_is(prompt):
    p = prompt()
    p.enter("table_one, table_two = {alpha = 1, beta = 2}, 3")
    p.keys("table_")
    p.type("\t")
    p.wait("table_one", "table_two")
    while p.line() != "dex> table_":
        p.more()
    p.keys("one.al")
    p.type("\t")
    while p.line() != "dex> table_one.alpha":
        p.more()
    p.seen = p.screen.row + 1
    p.type("\r")
    assert p.wait("dex>").startswith("1\n")
    p.leave()


@pytest.mark.san
def test_queries_are_tables_that_fit(prompt):
    p = prompt(columns=40)
    p.enter("run{}", "Done in", "2 ok")
    assert p.enter("query [[select * from {{ ref('orders') }}]]") == (
        "id | status\n---+-------\n 1 | new\n 2 | paid\n2 rows")
    assert p.enter("=query('select $1::int as n', 41)[1].n + 1") == "42"
    came = p.enter("query(\"select repeat('x', 200) as wide, 1 as n\")")
    assert max(map(len, came.splitlines())) <= 40 and "\u2026" in came
    p.enter("select status, null as nothing", prompt="   .>")
    p.enter("from {{ ref('orders') }}", prompt="   .>")
    p.enter("order by 1;", "new    | NULL", "2 rows")
    p.enter("exec('create table t (n int)')")
    p.enter("insert into t values (1), (2);", "INSERT 0 2")
    p.enter("show('orders', 1)", "1 row")
    p.enter("ref 'orders'", '"dev"."orders"')
    p.enter("compile 'customers'", 'select id from ')
    p.enter("cents('x')", "x / 100")
    p.enter("macro('cents', 'y')", "y / 100")
    p.enter("op 'tidy'", "tidied")
    p.enter("node('orders').unique_id", "model.shop.orders")
    p.enter("plan()", "1. ")
    p.enter("help()", "query(sql, ...)")
    p.enter("run{selekt = 'orders'}", "run has no option 'selekt'")
    p.leave()


def test_results_of_a_run_are_values(prompt):
    p = prompt({"models/good.sql": "select 1 as n",
                "models/bad.sql": "{{ config(materialized='table') }} select 1/0 as n"})
    p.enter("r = run{}", "1 failed")
    assert p.enter("r.ok") == "false"
    assert "division by zero" in p.enter("r.by_name.bad.message")
    assert p.enter("r.by_name.good.status") == "success"
    p.leave()


def test_an_error_object_prints_its_fields(prompt):
    p = prompt()
    came = p.enter("select(2, pcall(query, 'select 1/0'))")
    for line in "code      401", "message   division by zero", "sqlstate  22012", "sql       select 1/0":
        assert line in came
    came = p.enter("query 'select id, nope from (select 1 as id) x'", "column \"nope\" does not exist")
    lines = came.splitlines()
    marked = [i for i, line in enumerate(lines) if line.strip() == "^"][0]
    assert lines[marked].index("^") == lines[marked - 1].index("nope")
    p.leave()


def test_transactions_are_seen_in_the_prompt(prompt):
    p = prompt()
    p.enter("create table t (n int);", "CREATE TABLE")
    p.enter("begin", prompt="dex*>")
    p.enter("insert into t values (1);", prompt="dex*>")
    assert p.project.db.sql("select count(*) from t") == "0"
    p.enter("commit")
    assert p.project.db.sql("select count(*) from t") == "1"
    p.enter("begin()", prompt="dex*>")
    p.enter("delete from t;", prompt="dex*>")
    p.enter("select nope;", prompt="dex!>")
    p.enter("rollback")
    p.enter("begin", prompt="dex*>")
    p.enter("delete from t;", prompt="dex*>")
    p.type("\x04")
    p.finish().ok().says("the open transaction is rolled back")
    assert p.project.db.sql("select count(*) from t") == "1"


@pytest.mark.san
def test_ctrl_c_cancels_the_query_on_the_server(prompt):
    p = prompt()
    p.enter("n = 7")
    p.keys("query 'select pg_sleep(1000)'")
    p.seen = p.screen.row + 1
    p.type("\r")
    p.project.db.wait_for_query("fetch")
    p.type("\x03")
    p.wait("interrupted", "dex>")
    p.seen = p.screen.row
    p.project.db.wait("select count(*) = 0 from pg_stat_activity where datname = current_database() and "
                      "state = 'active' and pid <> pg_backend_pid()", "the server still works on it")
    p.enter("n", "7")
    p.enter("query 'select 3 as n'", "1 row")
    p.leave()


@pytest.mark.san
def test_ctrl_c_ends_loops_that_never_wait(prompt):
    p = prompt()
    for code in ("while true do end", "while true do pcall(function() while true do end end) end",
                 "for x in coroutine.wrap(function() while true do end end) do end",
                 "while true do coroutine.resume(coroutine.create(function() while true do end end)) end"):
        p.enter("busy = 'yes'")
        p.keys(code)
        p.seen = p.screen.row + 1
        p.type("\r")
        while p.screen.row < p.seen:  # the line has been read
            p.more()
        p.type("\x03")
        p.wait("interrupted", "dex>", timeout=60)
        p.seen = p.screen.row
        p.enter("busy", "yes")
    p.leave()


def test_ctrl_c_ends_a_run_and_not_the_prompt(prompt):
    p = prompt({"models/slow.sql": "{{ config(materialized='table') }} select pg_sleep(1000)::text as n"})
    for _ in range(2):
        p.keys("run{}")
        p.seen = p.screen.row + 1
        p.type("\r")
        p.wait("run    model")
        p.type("\x03")
        p.wait("cancelling")
        while p.line() != "dex>":
            p.more()
    p.enter("1 + 1", "2")
    p.leave()


def test_a_run_beside_the_prompt(prompt):
    p = prompt({"models/slow.sql": "select pg_advisory_lock_shared(77)::text as n",
                "models/table.sql": "{{ config(materialized='table') }} select * from {{ ref('slow') }}"})
    p.enter("query 'select pg_advisory_lock(77)'", "1 row")
    p.enter("run{background = true}")
    p.enter("1 + 1", "2")
    p.enter("run{}", "a command is running already")
    p.keys("half a li")
    p.type("\x15")
    while p.line() != "dex>":
        p.more()
    p.enter("query 'select pg_advisory_unlock(77)'", "1 row")
    while "run ended in" not in p.screen.text():
        p.more()
    assert "2 success" in p.screen.text()
    assert p.project.db.sql("select count(*) from dev.table") == "1"
    p.leave()


def test_changed_files_are_noticed(prompt):
    p = prompt()
    assert "orders" in p.enter("nodes()")
    p.project.write({"models/more.sql": "select 3 as id"})
    p.enter("nodes()", "models/more.sql is new: the project was read again", '"more"')
    p.project.write({"models/more.sql": "select {{ 4 as id"})
    p.enter("compile 'more'", "error 201", "models/more.sql", "what was there before i", "select 3 as id")
    p.enter("compile 'more'", "select 3 as id")
    p.project.write({"models/more.sql": "select 5 as id"})
    p.enter("compile 'more'", "models/more.sql has changed", "select 5 as id")
    p.project.write({"macros/cents.sql": "{% macro cents(x) %}{{ x }} / 1000{% endmacro %}"})
    p.enter("cents('x')", "x / 1000")
    p.leave()


def test_a_broken_project_is_said_and_can_be_mended(prompt):
    p = prompt({"models/orders.sql": "select {{ 1"})
    p.wait("error 201", "models/orders.sql")
    p.enter("1 + 1", "2")
    p.enter("nodes()", "error 201")
    p.project.write({"models/orders.sql": "select 1 as n"})
    assert p.enter("nodes()") == '["orders"]'
    p.leave()


def test_a_lost_connection_is_said_and_opened_again(prompt):
    p = prompt()
    p.enter("begin", prompt="dex*>")
    pid = p.enter("=hook:value 'select pg_backend_pid()'", prompt="dex*>")
    assert p.project.db.sql(f"select pg_terminate_backend({pid})") == "t"
    p.enter("query 'select 1 as n'", "the connection was lost, and its transaction with it: opening another one")
    p.enter("query 'select 2 as n'", "1 row")
    assert p.enter("=hook:value 'select pg_backend_pid()'") != pid
    p.leave()


def peak(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int([line for line in file if line.startswith("VmHWM")][0].split()[1])


def test_ten_million_rows_are_paged(prompt):
    p = prompt()
    p.enter("query 'select 1 as n'")
    before = peak(p.process.pid)
    p.enter("query 'select n, n * 2 as twice from generate_series(1, 10000000) n'",
            "rows 1 to 40 of 10000 or more: .more shows the next")
    p.enter(".more", "rows 41 to 80")
    p.enter("q = query 'select n from generate_series(1, 10000000) n'", "the first 10000 rows are read: rows(sql)")
    p.enter("n = 0 for row in rows('select n from generate_series(1, 20000) n') do n = n + 1 end")
    p.enter("#q, n", "10000\n20000")
    p.enter("query 'select n, n * 2 as twice from generate_series(1, 10000000) n'", "rows 1 to 40")
    p.enter(".more", "rows 41 to 80")
    p.enter(".m", "rows 81 to 120", "120 |   240")
    assert peak(p.process.pid) - before < 20000, "kilobytes"
    p.enter("query 'select 1 as n'", "1 row")
    p.enter(".more", "there are no more rows")
    p.leave()


def test_commands_with_a_dot(prompt):
    p = prompt()
    p.project.write({"profiles.yml": p.project.profile() + p.project.profile(schema="prod").split("outputs:\n")[1]
                     .replace("    dev:", "    prod:")})
    p.enter(".help", ".reload", ".select")
    p.enter(".target", "dev (")
    p.enter(".t prod", "prod (")
    p.enter("ref 'orders'", '"prod"."orders"')
    p.enter(".t nowhere", "nowhere", "what was there before is still in")
    p.enter(".select orders+", "2 nodes")
    p.enter(".s customers", "1 node")
    p.enter("nodes()", '["customers"]')
    p.enter(".s -", "everything")
    p.enter(".time", "times are shown")
    p.enter("1", " s")
    p.enter(".i", "times are not shown")
    p.enter(".log warn", "warn")
    p.enter(".log lout", "'lout' is no level")
    p.enter(".reload", "the project was read again")
    p.enter(".nothing", "there is no command .nothing")
    p.enter("value = 6 * 7")
    p.enter(".save typed.lua", "in typed.lua")
    p.enter(".save typed.lua", "this file is there already")
    p.type(".q\r")
    p.finish().ok()
    assert "value = 6 * 7" in p.project.read("typed.lua")
    p.project.run("repl", "typed.lua").ok()


def test_notices_of_the_server_stand_above_the_line(prompt):
    p = prompt()
    p.enter("do_it = 'do $$ begin raise notice $m$hello there$m$; end $$'")
    p.enter("exec(do_it)", "NOTICE: hello there")
    p.leave()


def test_sigterm_ends_it(prompt):
    p = prompt()
    p.process.terminate()
    p.finish().fails(143)
