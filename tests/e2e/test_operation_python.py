"""Operations in Python: their connection, arguments, output, result, failures and end."""
import os
import signal
import subprocess
import sys
import time

import pytest



def with_psycopg2():
    """The first interpreter that has psycopg2: the system's before ours."""
    for program in "/usr/bin/python3", sys.executable:
        if os.path.exists(program) and subprocess.run([program, "-c", "import psycopg2"], capture_output=True).returncode == 0:
            return program
    raise AssertionError("no Python with psycopg2: `make deps` installs it")


PYTHON = f"python: {with_psycopg2()}\n"
PROJECT = "name: shop\nprofile: shop\n" + PYTHON


@pytest.fixture
def python(project):
    """python(files): a project whose interpreter is that of the tests, which has psycopg2."""
    def make(files, **options):
        return project({"dbt_project.yml": PROJECT, **files}, **options)
    return make


def wait_for(running, text, seconds=30):
    """Until a command has said a text."""
    until = time.monotonic() + seconds
    while text not in "".join(running.output()):
        assert time.monotonic() < until and running.process.poll() is None, "".join(running.output())
        time.sleep(0.02)


@pytest.mark.san
def test_the_connection_is_there(python):
    p = python({"operations/load.py": """
        # config:
        #   description: Counts with psycopg2 and with psql
        import os, stat, subprocess
        import psycopg2
        assert stat.S_IMODE(os.stat(os.environ["PGPASSFILE"]).st_mode) == 0o600
        assert "PGPASSWORD" not in os.environ
        with psycopg2.connect("") as connection, connection.cursor() as cursor:
            cursor.execute("create table public.loaded as select 7 as n")
        print(subprocess.check_output(["psql", "-At", "-c", "select n from public.loaded"], text=True).strip())
        print(os.environ["PGPASSFILE"])
        """})
    result = p.run("operation run load", env={"PGPASSWORD": "another", "PGDATABASE": "another"}).ok()
    assert p.db.rows("select n from loaded") == ["7"]
    log = result.results[0]["adapter_response"]["operation"]["log"]
    assert log[0] == "7"
    assert not os.path.exists(log[1]) and not os.path.exists(os.path.dirname(log[1]))


def test_the_private_server_is_reached_as_well(scratch, python):
    p = python({"operations/ask.py": """
        import psycopg2
        with psycopg2.connect("") as connection, connection.cursor() as cursor:
            cursor.execute("select current_database()")
            print("database", cursor.fetchone()[0])
        """}, profile=False)
    p.write({"dbt_project.yml": "name: shop\n" + PYTHON})
    try:
        p.run("operation run ask", timeout=120).ok().says("database dex")
    finally:
        p.run("db stop").ok()


@pytest.mark.san
def test_arguments_context_and_result(python):
    p = python({"operations/rates/fetch.py": """
        # config:
        #   parameters:
        #     - {name: day, type: date, required: true}
        #     - {name: factor, type: number, default: 2}
        #   tags: [nightly]
        #   meta: {owner: finance}
        import json, os
        context = json.load(open(os.environ["DEX_CONTEXT"]))
        assert context["operation"]["name"] == "rates/fetch", context["operation"]
        assert context["operation"]["meta"] == {"owner": "finance"}
        assert context["project"] == "shop" and os.getcwd() == context["project_dir"]
        assert context["target"]["name"] == "dev" and context["target"].get("password") is None
        assert context["vars"] == {"region": "north"}
        assert context["run"]["command"] == "operation" and len(context["run"]["id"]) == 36
        json.dump({"day": context["args"]["day"], "twice": context["args"]["factor"] * 2}, open(os.environ["DEX_RESULT"], "w"))
        """})
    result = p.run("operation", "run", "fetch", "-a", "day=2026-01-31", "--vars", "region: north").ok()
    assert '{"day": "2026-01-31", "twice": 4}' in result.stdout
    record = result.results[0]["adapter_response"]["operation"]
    assert record == {"name": "rates/fetch", "language": "python", "parameters": {"day": "2026-01-31", "factor": 2},
                      "attempts": 1, "returned": {"day": "2026-01-31", "twice": 4}, "rows": [], "log": []}
    assert result.results[0]["status"] == "success"


def test_jinja_comes_first_unless_it_is_off(python):
    p = python({
        "operations/with_jinja.py": """
            {% for name in args.get('names', ['a', 'b']) %}
            print("{{ name }} in {{ target.name }}")
            {% endfor %}
            print(__file__.rsplit("/", 1)[1], __name__)
            """,
        "operations/without.py": """
            # config:
            #   jinja: false
            print("{{ name }}", "{%")
            """,
        "operations/helper.py": "VALUE = 'imported'\n",
        "operations/imports.py": "{{ '' }}import helper\nprint(helper.VALUE)\n",
    })
    assert p.run("operation run with_jinja").ok().results[0]["adapter_response"]["operation"]["log"] == [
        "a in dev", "b in dev", "with_jinja.py __main__"]
    assert p.run("operation run without").ok().results[0]["adapter_response"]["operation"]["log"] == ["{{ name }} {%"]
    assert p.run("operation run imports").ok().results[0]["adapter_response"]["operation"]["log"] == ["imported"]


def test_output_comes_line_by_line(python):
    p = python({"operations/slow.py": """
        import os, sys, time
        print("first")
        print("to stderr", file=sys.stderr)
        while not os.path.exists("go"):
            time.sleep(0.02)
        print("last without newline", end="")
        """})
    running = p.start("operation run slow")
    wait_for(running, "to stderr")
    assert "first" in "".join(running.output())
    p.write({"go": ""})
    result = running.finish().ok()
    assert result.results[0]["adapter_response"]["operation"]["log"] == ["first", "to stderr", "last without newline"]


PLAIN_FAILURE = """
    import sys

    def divide(a, b):
        return a / b

    print("before")
    divide(1, 0)
    """


@pytest.mark.san
def test_a_traceback_shows_the_file_and_its_lines(python):
    p = python({"operations/fails.py": PLAIN_FAILURE})
    result = p.run("operation run fails").fails(1)
    result.says("before", 'operations/fails.py", line 7, in <module>', "divide(1, 0)", 'fails.py", line 4, in divide',
                "operations/fails.py:4", "ZeroDivisionError: division by zero", "607")
    assert result.results[0]["status"] == "error"
    assert "ZeroDivisionError" in result.results[0]["message"]


def test_a_traceback_shows_the_lines_of_the_file_after_jinja(python):
    p = python({"operations/fails.py": """
        {% set names = ['a', 'b', 'c'] %}
        {% for name in names %}
        print("{{ name }}")
        print("again {{ name }}")
        {% endfor %}

        def divide(a, b):
            return a / b

        divide(1, {{ args.get('by', 0) }})
        """})
    result = p.run("operation run fails").fails(1)
    result.says('operations/fails.py", line 10, in <module>', 'operations/fails.py", line 8, in divide', "return a / b",
                "operations/fails.py:8")
    assert "script.py" not in result.stdout + result.stderr
    assert "<string>" not in result.stdout + result.stderr
    p.write({"operations/syntax.py": "{% for i in [1, 2, 3] %}\nprint({{ i }})\n{% endfor %}\n\nprint('a' 'b'\n"})
    p.run("operation run syntax").fails(1).says('operations/syntax.py", line 5', "SyntaxError")


def test_a_status_that_is_no_exception(python):
    p = python({"operations/three.py": "import sys\nsys.exit(3)\n", "operations/words.py": "import sys\nsys.exit('no rates')\n",
                "operations/killed.py": "import os\nos.kill(os.getpid(), 9)\n"})
    p.run("operation run three").fails(1).says("operation 'three' ended with status 3")
    p.run("operation run words").fails(1).says("ended with status 1: no rates")
    p.run("operation run killed").fails(1).says("was ended by signal 9")


@pytest.mark.san
def test_a_result_that_is_no_json(python):
    p = python({"operations/bad.py": "import os\nopen(os.environ['DEX_RESULT'], 'w').write('{oops')\n",
                "operations/empty.py": "import os\nopen(os.environ['DEX_RESULT'], 'w').write('')\n"})
    p.run("operation run bad").fails(1).says("operation 'bad' left no JSON in the file of DEX_RESULT", "606")
    assert p.run("operation run empty").ok().results[0]["adapter_response"]["operation"]["returned"] is None


def test_ten_megabytes_in_a_line_and_bytes_that_are_no_text(python):
    p = python({"operations/long.py": "print('x' * 10_000_000)\nprint('next')\n",
                "operations/binary.py": r"""
        import sys
        sys.stdout.buffer.write(b"a\xff\xfe\x00b\x1b[31mred\x1b[0m \xc3\xa4\n" + bytes(range(256)) * 200)
        """})
    result = p.run("operation run long").ok()
    log = result.results[0]["adapter_response"]["operation"]["log"]
    assert len(log) == 2 and log[1] == "next"
    assert log[0].endswith(" ... (10000000 bytes in this line)") and log[0].startswith("x" * 10000) and len(log[0]) < 10100
    assert len(result.stdout) + len(result.stderr) < 100_000
    log = p.run("operation run binary").ok().results[0]["adapter_response"]["operation"]["log"]
    assert log[0] == "a\\xff\\xfe\\x00bred ä"


def test_many_lines(python):
    p = python({"operations/many.py": "for i in range(5000): print(i)\n"})
    log = p.run("operation run many --quiet").ok().results[0]["adapter_response"]["operation"]["log"]
    assert log[:2] == ["0", "1"] and log[2000:] == ["... and 3000 more lines"]


STUBBORN = """
    # config:
    #   timeout: 1
    import os, signal, subprocess, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sh", "-c", "trap '' TERM; echo child ready; sleep 600 & wait; sleep 600"])
    print("ready", flush=True)
    time.sleep(600)
    """


def test_a_time_limit_ends_the_whole_group(python):
    p = python({"operations/polite.py": """
        # config:
        #   timeout: 1s
        import signal, sys, time
        def stop(*_):
            print("cleaning up", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        time.sleep(600)
        """, "operations/stubborn.py": STUBBORN})
    result = p.run("operation run polite").fails(1)
    result.says("cleaning up", "operation 'polite' took longer than its timeout of 1 s", "605")
    started = time.monotonic()
    p.run("operation run stubborn").fails(1).says("took longer than its timeout")
    assert 5 < time.monotonic() - started < 40  # the fixture's audit looks for processes that are left


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_whole_group(python, number):
    p = python({"operations/waits.py": """
        import signal, subprocess, sys, time
        child = subprocess.Popen(["sleep", "600"])
        def stop(*_):
            print("asked to stop", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, stop)
        print("ready", flush=True)
        time.sleep(600)
        """})
    running = p.start("operation run waits")
    wait_for(running, "ready")
    running.signal(number)
    result = running.finish().fails(130 if number == signal.SIGINT else 143)
    result.says("asked to stop", "cancelling")
    assert result.results[0]["status"] == "skipped"


def test_one_that_ignores_sigterm_is_killed_when_cancelled(python):
    p = python({"operations/stubborn.py": STUBBORN.replace("timeout: 1", "timeout: 600")})
    running = p.start("operation run stubborn")
    wait_for(running, "child ready")
    running.signal(signal.SIGTERM)
    running.finish().fails(143)


def test_when_the_program_itself_is_killed_the_script_goes_as_well(python):
    p = python({"operations/waits.py": "import time\nprint('ready', flush=True)\ntime.sleep(600)\n"})
    running = p.start("operation run waits")
    wait_for(running, "ready")
    running.signal(signal.SIGKILL)
    running.process.wait()


@pytest.mark.san
def test_a_missing_interpreter(project):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\npython: .venv/bin/python9\n", "operations/x.py": "print(1)\n",
                 "operations/y.py": "# config:\n#   python: no-such-python\nprint(1)\n"})
    p.run("operation run x").fails(1).says("operation 'x' needs the Python interpreter", ".venv/bin/python9", "608",
                                           "`python:` in dbt_project.yml", "No such file")
    p.run("operation run y").fails(1).says("'no-such-python'", "operations/y.py")


def test_virtual_environments(project):
    p = project({"operations/where.py": "import os, sys\nprint(sys.prefix)\nprint(os.environ.get('VIRTUAL_ENV'))\n"
                                        "import shutil\nprint(shutil.which('python'))\n"})
    venv = p.path(".venv")
    os.makedirs(venv + "/bin")
    os.symlink(os.path.realpath(sys.executable), venv + "/bin/python")
    p.write({".venv/pyvenv.cfg": f"home = {os.path.dirname(os.path.realpath(sys.executable))}\n"})
    expected = [venv, venv, venv + "/bin/python"]
    assert p.run("operation run where").ok().results[0]["adapter_response"]["operation"]["log"] == expected
    os.rename(venv, p.path("other"))
    expected = [text.replace(".venv", "other") for text in expected]
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\npython: other\n"})
    assert p.run("operation run where").ok().results[0]["adapter_response"]["operation"]["log"] == expected
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\n"})
    assert p.run("operation run where", env={"VIRTUAL_ENV": p.path("other")}).ok().results[0]["adapter_response"]["operation"]["log"] == expected


def test_hooks_and_retries(python):
    p = python({"operations/flaky.py": """
        # config:
        #   retries: 2
        #   hooks:
        #     pre: "insert into public.trace values ('pre')"
        #     post: "insert into public.trace values ('post')"
        #     on_failure: "insert into public.trace values ('failure')"
        #     always: "insert into public.trace values ('always')"
        import os, sys
        tries = int(open("tries").read()) if os.path.exists("tries") else 0
        open("tries", "w").write(str(tries + 1))
        sys.exit(0 if tries >= {{ args.get('good', 2) }} else "not yet")
        """})
    p.db.sql("create table public.trace (who text)")
    result = p.run("operation run flaky").ok().says("tried again (1 of 2)", "tried again (2 of 2)")
    assert result.results[0]["adapter_response"]["operation"]["attempts"] == 3
    assert p.db.rows("select * from trace") == ["pre", "post", "always"]
    p.run("operation run flaky -a good=100").fails(1).says("not yet")
    assert p.db.rows("select * from trace")[3:] == ["pre", "failure", "always"]


def test_in_a_hook(python):
    p = python({"operations/note.py": "import json, os\nprint('noted', json.load(open(os.environ['DEX_CONTEXT']))['args']['what'])\n",
                "models/one.sql": "{{ config(post_hook={'operation': 'note', 'args': {'what': 'one'}}) }} select 1 as n"})
    p.run("run").ok().says("noted one")


def test_the_time_limit_of_a_hook_ends_its_script(python):
    p = python({"operations/slow.py": "import subprocess\nsubprocess.run(['sleep', '600'])\n",
                "models/one.sql": "{{ config(post_hook={'operation': 'slow', 'timeout': 1}) }} select 1 as n"})
    p.run("run").fails(1).says("post-hook 1 (slow) of model one failed: it took longer than its timeout of 1 s")
    assert p.db.relations("dev") == []


def test_a_signal_ends_the_script_of_a_hook(python):
    p = python({"operations/slow.py": "import subprocess\nprint('ready', flush=True)\nsubprocess.run(['sleep', '600'])\n",
                "models/one.sql": "{{ config(post_hook={'operation': 'slow', 'timeout': 100}) }} select 1 as n"})
    running = p.start("run")
    wait_for(running, "ready")
    running.signal(signal.SIGINT)
    running.finish().fails(130)
    assert p.db.relations("dev") == []
