"""`dex-lua repl` without a prompt: scripts, -e, input from a pipe, and their exit statuses."""
import signal

import pytest

from prompt import Prompt

FILES = {
    "models/orders.sql": "select 1 as id, 'new' as status union all select 2, 'paid'",
    "models/customers.sql": "select id from {{ ref('orders') }}",
    "macros/cents.sql": "{% macro cents(x) %}{{ x }} / 100{% endmacro %}",
}


@pytest.mark.san
def test_a_script_gets_arguments_and_runs_nodes(project):
    p = project({**FILES, "nightly.lua": """
        #!/usr/bin/env -S dex-lua repl
        local first, second = ...
        print(first, second, arg[0], #arg)
        local results = dex.run { select = "orders+", quiet = true }
        for _, result in ipairs(results) do print(result.name, result.status) end
        local total = 0
        for row in rows("select id from {{ ref('customers') }}") do total = total + row.id end
        print("total", total, query("select $1::int as n", 5)[1].n)
        begin()
        exec("create table kept as select 1 as n")
        commit()
        begin()
        exec("drop table kept")
        rollback()
        return results.ok and 3 or 4
        """})
    r = p.run("repl", "nightly.lua", "--since", "2026-01-01").fails(3)
    assert r.stdout.splitlines() == ["--since\t2026-01-01\tnightly.lua\t2", "orders\tsuccess", "customers\tsuccess",
                                     "total\t3\t5"]
    assert p.db.sql("select count(*) from kept") == "1"


def test_code_on_the_command_line_prints_what_it_gives(project):
    p = project(FILES)
    assert p.run("repl", "-e", "1 + 1").ok().stdout == "2\n"
    assert p.run("repl", "--execute", "x = 1").ok().stdout == ""
    assert p.run("repl", "-e", "cents('n')").ok().stdout == "n / 100\n"
    assert p.run("repl", "-e", "query('select 7 as n')").ok().stdout == "n\n-\n7\n1 row\n"
    assert p.run("repl", "-e", "...", "a", "b").ok().stdout == "a\nb\n"


def test_input_from_a_pipe(project):
    p = project(FILES)
    r = p.run("repl", input="1 + 1\nfor i = 1, 2 do\n  print(i)\nend\nselect 'x' as c,\n  2 as n;\nbegin\ncommit\n").ok()
    assert r.stdout == "2\n1\n2\nc | n\n--+--\nx | 2\n1 row\n"
    r = p.run("repl", input="print(1)\nquery('select 1/0')\nprint(2)\n").fails(1)
    assert r.stdout == "1\n", "the first error ends it"
    assert "division by zero" in r.stderr and "stdin:2" in r.stderr
    r = p.run("repl", input="while true do\nprint(1)").fails(1)
    assert "'end' expected" in r.stderr
    p.run("repl", input="").ok()
    p.run("repl", input=".quit\nerror('not reached')\n").ok()


@pytest.mark.parametrize("code, status, words", [
    ("error('spoilt')", 1, "error 901: spoilt\n  -e:1\n    1 | error('spoilt')"),
    ("error { reason = 'mine' }", 1, 'reason = "mine"'),
    ("x = = 1", 2, "-e:1:5\n    1 | x = = 1\n      |     ^"),
    ("local 1 = 2", 2, "-e:1:7"),
    ("nothing_there()", 1, "there is no 'nothing_there'"),
    ("ref('ordrs')", 1, "ordrs"),
    ("node('ordrs')", 1, "did you mean 'orders'?"),
    ("run('orders')", 1, 'write run{select = "orders"}'),
    ("query(1)", 1, "this needs SQL as text"),
    ("query('select nope')", 1, 'column "nope" does not exist\n  LINE 1: select nope\n                 ^'),
])
def test_errors_have_a_place_and_a_status(project, code, status, words):
    r = project(FILES).run("repl", "-e", code).fails(status)
    assert words in r.stderr, r
    assert r.stdout == ""


def test_wrong_scripts_and_projects(project):
    p = project({**FILES, "wrong.lua": "x = 1\ny = = 2\n", "fails.lua": "local function f() error('deep') end\nf()\n"})
    p.run("repl nofile.lua").fails(2).says("there is no such script", "nofile.lua")
    p.run("repl wrong.lua").fails(1).says("wrong.lua:2:5", "2 | y = = 2")
    p.run("repl fails.lua").fails(1).says("fails.lua:1", "deep")
    p.run("repl --nothing").fails(2).says("repl has no option --nothing")
    p.write({"models/orders.sql": "select {{ 1"})
    p.run("repl", "-e", "1 + 1").ok().says("2")
    p.run("repl", "-e", "nodes()").fails(2).says("error 201", "models/orders.sql")


def test_a_signal_ends_a_script(project):
    p = project({**FILES, "waits.lua": "query('select pg_sleep(1000)')", "busy.lua": "print(1)\nwhile true do end"})
    running = p.start("repl", "waits.lua")
    p.db.wait_for_query("pg_sleep(1000)")
    running.signal(signal.SIGINT)
    running.finish().fails(130)
    running = p.start("repl", "busy.lua")
    while running.output()[0] != "1\n":
        assert running.process.poll() is None
    running.signal(signal.SIGINT)
    running.finish().fails(130)


def test_secrets_are_not_shown(project):
    p = project({**FILES, "secret.lua": "return #os.getenv('DEX_ENV_SECRET_KEY') == 9 and 5 or 6"})
    env = {"DEX_ENV_SECRET_KEY": "s3cr3t-k3"}
    assert p.run("repl", "-e", "os.getenv('DEX_ENV_SECRET_KEY') .. '!'", env=env).ok().stdout == "*****!\n"
    r = p.run("repl", "-e", "project.profile", env=env).ok()
    assert "correct-horse" not in r.stdout and 'password = "*****"' in r.stdout
    key = "os.getenv('DEX_ENV_SECRET_KEY')"
    r = p.run("repl", input=f"nodes()\nquery('select $1 as key', {key})\n", env=env).ok()
    assert "*****" in r.stdout and "s3cr3t" not in r.stdout
    r = p.run("repl", input=f"error({key})\n", env=env).fails(1)
    assert "error 901: *****" in r.stderr and "s3cr3t" not in r.stderr + r.stdout
    p.run("repl", "secret.lua", env=env).fails(5)


def test_options_end_at_the_script(project):
    p = project({**FILES, "shows.lua": "print(...)"})
    assert p.run("repl", "shows.lua", "--target", "x").ok().stdout == "--target\tx\n"
    assert p.run("repl", "--", "shows.lua", "-e").ok().stdout == "-e\n"
    assert "SCRIPT" in p.run("repl", "--help").ok().stdout


def test_a_terminal_that_can_do_nothing(project):
    p = Prompt(project(FILES), env={"TERM": "dumb"})
    p.enter("1 + 1", "2")
    p.leave()
