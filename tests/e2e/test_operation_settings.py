"""What operations declare: parameters, secrets, targets, confirmation, time limits, tries, and where it is written."""
import json
import os
import pty
import select
import subprocess

import pytest

from program import BINARY

GRANT = """
    {{ config(description="Opens a schema", parameters=[
         {'name': 'role', 'type': 'text', 'required': true, 'description': 'who may read'},
         {'name': 'level', 'type': 'integer', 'default': 1, 'choices': [1, 2, 3]},
         {'name': 'day', 'type': 'date'},
         {'name': 'force', 'type': 'boolean', 'default': false},
         {'name': 'tables', 'type': 'list', 'default': ['one']}]) }}
    select '{{ args.role }}' as role, {{ args.level }} as level, '{{ args.day | default("none") }}' as day,
           '{{ args.force }}' as force, {{ args.tables | length }} as tables
    """


@pytest.mark.san
def test_parameters_have_types_and_defaults(project):
    p = project({"operations/grant.sql": GRANT})
    run = lambda *more: p.run("operation", "run", "grant", "--output", "csv", "--quiet", *more)
    assert run("-a", "role=007").ok().stdout.splitlines()[1] == "007,1,none,False,1"
    assert run("-a", "role=a: b", "-a", "level=3", "-a", "day=2026-02-28", "-a", "force=true", "-a",
               "tables=[a, b]").ok().stdout.splitlines()[1] == "a: b,3,2026-02-28,True,2"
    result = run("--args", json.dumps({"role": "x", "level": "2"})).ok()
    assert result.results[0]["adapter_response"]["operation"]["parameters"] == {"role": "x", "level": 2, "force": False, "tables": ["one"]}
    assert result.results[0]["adapter_response"]["operation"]["rows"] == [
        {"columns": ["role", "level", "day", "force", "tables"], "rows": [["x", "2", "none", "False", "1"]], "count": 1}]


@pytest.mark.san
@pytest.mark.parametrize("given, texts", [
    (["-a", "level=2"], ["operation 'grant': the parameter 'role' is required", "give it with -a role=..."]),
    (["-a", "role=x", "-a", "level=two"], ["the parameter 'level' must be a whole number, not 'two'"]),
    (["-a", "role=x", "-a", "level=1.5"], ["the parameter 'level' must be a whole number, not '1.5'"]),
    (["-a", "role=x", "-a", "level=7"], ["the parameter 'level' must be one of 1, 2, 3, not '7'"]),
    (["-a", "role=x", "-a", "day=2026-02-29"], ["the parameter 'day' must be a date such as 2026-01-31, not '2026-02-29'"]),
    (["-a", "role=x", "-a", "force=perhaps"], ["must be true or false, not 'perhaps'"]),
    (["-a", "role=x", "-a", "tables=one"], ["must be a list, not 'one'"]),
    (["--args", "{role: [1]}"], ["must be a text, not a list", "who may read"]),
    (["-a", "rule=x"], ["there is no parameter 'rule'", "did you mean 'role'?"]),
    (["-a", "role=x", "-a", "zebra=1"], ["there is no parameter 'zebra'", "its parameters are role, level, day"]),
    (["-a", "role"], ["-a needs key=value, not 'role'"]),
])
def test_arguments_that_do_not_fit(project, given, texts):
    p = project({"operations/grant.sql": GRANT})
    p.run("operation", "run", "grant", *given).fails(2).says(*texts)


@pytest.mark.parametrize("files, texts", [
    ({"operations/a.sql": "{{ config(parameters=[{'name': 'x', 'type': 'integr'}]) }} select 1"},
     ["operations/a.sql:1", "the parameter 'x': 'integr' is no type", "did you mean 'integer'?"]),
    ({"operations/a.py": "# config:\n#   parameters:\n#     - name: x\n#       type: integer\n#       default: many\n"},
     ["operations/a.py:5", "its default must be a whole number, not 'many'"]),
    ({"operations/a.py": "# config:\n#   parameters:\n#     - {name: x, requird: true}\n"},
     ["operations/a.py:3", "has no key 'requird'", "did you mean 'required'?"]),
    ({"operations/a.lua": "-- config:\n--   parameters: 7\nreturn function() end\n"},
     ["operations/a.lua:1", "`parameters` must be a list or a mapping, not '7'"]),
    ({"operations/a.py": "# config:\n#   timeout: soon\n"}, ["operations/a.py:2", "`timeout` must be a number of seconds"]),
    ({"operations/a.py": "# config: \n#   tags: [a\n"}, ["operations/a.py"]),
    ({"operations/a.py": "# config:\n#   hooks: {before: select 1}\n"},
     ["operations/a.py:2", "`hooks` has no 'before'", "pre, post, on_failure and always"]),
    ({"operations/a.sql": "{{ config(retries='often') }} select 1"}, ["`retries` must be a whole number, not 'often'"]),
    ({"operations/a.sql": "select 1", "operations/o.yml": "operations:\n  - name: a\n    targets: {dev: 1}\n"},
     ["operations/o.yml:3", "`targets` must be a target's name or a list of them"]),
    ({"operations/a.sql": "select 1", "operations/a.py": "print(1)\n"}, ["there are two operations 'a'"]),
    ({"operations/a.sql": "{{ config(depends_on=['nothing']) }} select 1"}, ["operation 'a' depends on a node named 'nothing'"]),
    ({"operations/a.sql": "{{ config(depends_on=['b']) }} select 1", "operations/b.sql": "{{ config(depends_on=['a']) }} select 1"},
     ["depend on each other in a circle"]),
])
def test_declarations_that_are_wrong(project, files, texts):
    p = project(files)
    p.run("parse").fails(2).says(*texts)


def test_properties_files_describe_operations(project):
    p = project({
        "operations/permissions/grant.sql": "{{ config(tags=['own']) }} select '{{ args.role }}' as role",
        "operations/load.py": "# config:\n#   timeout: 10\nprint(1)\n",
        "operations/operations.yml": """
            operations:
              - name: permissions/grant
                description: Opens the schema
                config: {tags: [nightly], transaction: false}
                parameters:
                  - {name: role, type: text, default: "{{ target.name }}"}
                hooks:
                  post: "insert into public.trace values ('{{ args.role }} {{ run_started_at.year }}')"
              - {name: load, description: Loads, timeout: 5m}
              - {name: lod, description: Nothing}
            """})
    p.db.sql("create table public.trace (who text)")
    p.run("operation ls").ok().says("load  Loads", "permissions/grant  Opens the schema", "there is no operation 'lod'",
                                    "did you mean 'load'?")
    p.run("operation show grant").ok().says("tags: nightly, own", "transaction: none", "role             text, default dev",
                                            "post hook:", "select '{{ args.role }}'")
    p.run("operation show load").ok().says("timeout: 10")
    assert p.run("operation run grant --output csv --quiet").ok().stdout == "role\ndev\n"
    assert p.db.rows("select who like 'dev 20%' from trace") == ["t"]
    listed = json.loads(p.run("operation ls --output json --quiet").ok().stdout)
    assert [(o["name"], o["language"], o["tags"]) for o in listed] == [
        ("load", "python", []), ("permissions/grant", "sql", ["nightly", "own"])]


def test_settings_of_the_project_file(project):
    p = project({"dbt_project.yml": """
        name: shop
        profile: shop
        operations:
          shop:
            maintenance:
              +targets: prod
              +tags: [care]
        """, "operations/maintenance/clean.sql": "select 1", "operations/other.sql": "select 1"})
    p.run("operation run clean").fails(2).says("operation 'maintenance/clean' may not run on the target 'dev'",
                                               "it is for prod", "603")
    p.run("operation run other").ok()
    p.run("ls --select tag:care").ok().says("operation:maintenance/clean")


@pytest.mark.san
def test_targets(project):
    p = project({"operations/drop_all.sql": "{{ config(targets=['dev', 'ci']) }} select 1",
                 "operations/only_prod.sql": "{{ config(targets='prod', tags=['p']) }} create table public.no as select 1 as n"})
    p.run("operation run drop_all").ok()
    p.run("operation run only_prod").fails(2).says("operations/only_prod.sql:1", "may not run on the target 'dev'", "it is for prod")
    p.run("operation run only_prod --dry-run").fails(2)
    p.run("run --select tag:p").fails(1).says("may not run on the target 'dev'")
    assert p.db.relations("public") == []


SECRET = "hunter2-Top:Secret"
SECRETIVE = {
    "operations/sql.sql": """
        {{ config(parameters=[{'name': 'token', 'secret': true, 'required': true, 'env': 'API_TOKEN'}]) }}
        {{ log('token is ' ~ args.token, info=true) }}
        create table public.kept as select '{{ args.token }}' as token;
        select token from public.kept; select '{{ args.token }}'::int
        """,
    "operations/py.py": """
        # config:
        #   parameters: [{name: token, secret: true, required: true, type: text}]
        import json, os
        token = json.load(open(os.environ["DEX_CONTEXT"]))["args"]["token"]
        assert len(token) == 18
        json.dump({"token": token}, open(os.environ["DEX_RESULT"], "w"))
        print("token", token, "{{ args.token }}")
        raise ValueError(token)
        """,
    "operations/lua.lua": """
        -- config:
        --   parameters: {token: {secret: true, required: true}}
        return function(op)
          op:log("token %s", op.args.token)
          op:exec("create table public.from_lua as select '" .. op.args.token .. "' as t")
          error("no luck with " .. op.args.token)
        end
        """,
}


def everything_written(project):
    """The texts of all files of a project, but those that are its source."""
    texts = []
    for folder, _, files in os.walk(project.dir):
        for name in files:
            path = os.path.join(folder, name)
            if not path.startswith(project.path("operations")):
                with open(path, encoding="utf-8", errors="replace") as file:
                    texts.append(file.read())
    return "\n".join(texts)


@pytest.mark.san
@pytest.mark.parametrize("name", ["sql", "py", "lua"])
def test_secret_parameters_are_shown_nowhere(project, name):
    p = project(SECRETIVE)
    for options in (), ("--debug",), ("--log-format", "json", "--debug"):
        result = p.run("operation", "run", name, "-a", f"token={SECRET}", *options).fails(1)
        assert SECRET not in result.stdout + result.stderr
        assert "*****" in result.stdout + result.stderr
        assert SECRET not in everything_written(p)
        assert result.results[0]["adapter_response"]["operation"]["parameters"] == {"token": "*****"}
        p.db.sql("drop table if exists public.kept; drop table if exists public.from_lua")
    p.run("operation", "run", name, "--args", json.dumps({"token": SECRET})).fails(1)
    assert SECRET not in everything_written(p)
    p.run("retry").fails(2).says("secret parameter 'token' is kept nowhere")
    result = p.run("operation", "run", name, "-a", f"token={SECRET}", "--dry-run")
    assert SECRET not in result.stdout + result.stderr


def test_a_secret_from_the_environment(project):
    p = project(SECRETIVE)
    p.run("operation run sql").fails(2).says("the parameter 'token' is required", "environment variable API_TOKEN")
    result = p.run("operation run sql", env={"API_TOKEN": SECRET}).fails(1)
    assert SECRET not in result.stdout + result.stderr + everything_written(p)
    p.run("retry", env={"API_TOKEN": SECRET}).fails(1).says("invalid input syntax for type integer")
    p.write({"operations/typed.sql": "{{ config(parameters=[{'name': 'n', 'type': 'integer', 'secret': true}]) }} select 1"})
    assert "wrong-secret" not in str(p.run("operation run typed -a n=wrong-secret").fails(2).says("must be a whole number").stderr)


def at_terminal(project, command, answer):
    """Runs a command at a terminal and answers its question. Gives the status and what was shown."""
    master, slave = pty.openpty()
    process = subprocess.Popen([BINARY, *command.split()], cwd=project.dir, env=project.env, stdin=slave, stdout=slave,
                               stderr=slave, start_new_session=True)
    os.close(slave)
    shown, answered = b"", False
    while True:
        ready, _, _ = select.select([master], [], [], 30)
        assert ready, shown
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
        if b"[y/N]" in shown and not answered:
            answered = True
            os.write(master, answer)
    os.close(master)
    return process.wait(30), shown.decode()


def test_confirm(project):
    p = project({"operations/drop.sql": "{{ config(confirm='Drop everything?') }} create table public.done as select 1 as n",
                 "operations/hooked.sql": "{{ config(pre_hook={'operation': 'drop'}) }} select 1"})
    p.run("operation run drop").fails(2).says("operation 'drop' asks before it runs, and there is no terminal",
                                              "say --yes when you mean it", "operations/drop.sql:1")
    p.run("operation run hooked").fails(1).says("no hook can answer")
    p.run("run --select operation:drop").fails(1).says("operation 'drop' asks before it runs", "--yes")
    assert p.db.relations("public") == []
    status, shown = at_terminal(p, "operation run drop", b"n\n")
    assert status == 2 and "Drop everything? [y/N]" in shown and "was not confirmed" in shown
    assert p.db.relations("public") == []
    status, shown = at_terminal(p, "operation run drop", b"y\n")
    assert status == 0 and p.db.relations("public") == ["done table"]
    p.db.sql("drop table public.done")
    p.run("operation run drop --yes").ok()
    p.db.sql("drop table public.done")
    p.run("run --select operation:drop --yes").ok()
    p.run("operation run drop --dry-run").ok().says("confirm: Drop everything?")


@pytest.mark.san
def test_time_limits_of_sql_and_lua(project):
    p = project({
        "operations/slow.sql": "{{ config(timeout=0.5) }} create table public.a as select 1 as n; select pg_sleep(60)",
        "operations/outside.sql": "{{ config(timeout='500ms', transaction=false) }} create table public.b as select 1 as n; select pg_sleep(60)",
        "operations/sleeper.lua": "-- config:\n--   timeout: 0.5\nreturn function(op) op:exec('create table public.c as select 1 as n') op:sleep(60) end\n"})
    p.run("operation run slow").fails(1).says("operation 'slow' took longer than its timeout of 0.5 s", "605")
    p.run("operation run outside").fails(1).says("operation 'outside' took longer than its timeout of 0.5 s")
    p.run("operation run sleeper").fails(1).says("operation 'sleeper' took longer than its timeout of 0.5 s")
    assert p.db.relations("public") == ["b table"]


@pytest.mark.san
def test_tries(project):
    p = project({
        "operations/flaky.sql": """
            {{ config(retries=2, pre_hook="insert into public.trace values ('pre')") }}
            insert into public.trace values ('body');
            select 1 / (select (last_value >= {{ args.get('good', 3) }})::int from public.tries, nextval('public.tries') n)
            """,
        "operations/outside.sql": """
            {{ config(retries=1, transaction=false) }}
            insert into public.trace values ('outside'); select 1 / 0
            """})
    p.db.sql("create table public.trace (who text); create sequence public.tries")
    result = p.run("operation run flaky").ok().says("tried again (1 of 2)", "division by zero")
    assert result.results[0]["adapter_response"]["operation"]["attempts"] >= 2
    assert p.db.rows("select * from trace") == ["pre", "body"]  # what failed is undone, the hook stays
    p.run("operation run outside").fails(1)
    assert p.db.rows("select * from trace")[2:] == ["outside", "outside"]
    p.run("operation run flaky -a good=1000").fails(1)
    assert len(p.db.rows("select * from trace")) == 4


@pytest.mark.san
def test_dry_run_changes_nothing(project):
    p = project({
        "operations/make.sql": "{{ config(timeout=9, post_hook='select 2') }}\n{% set n = run_query('select 41 as n')[0].n + 1 %}\n"
                               "create table public.made as select {{ n }} as n, '{{ args.who }}' as who",
        "operations/sly.sql": "{% do run_query('create table public.sly as select 1 as n') %} select 1",
        "operations/script.py": "print('{{ args.who }}')\n", "operations/fn.lua": "return function(op) op:exec 'select 1' end\n"})
    result = p.run("operation run make -a who=me --dry-run").ok()
    result.says("create table public.made as select 42 as n, 'me' as who", "target dev", "who = me", "timeout: 9", "post hook: select 2")
    p.run("operation run script -a who=me --dry-run").ok().says("print('me')", "interpreter: ")
    p.run("operation run fn --dry-run").ok().says("op:exec 'select 1'")
    p.run("operation run sly --dry-run").fails(2).says("read-only transaction")
    assert p.db.relations("public") == []
    assert not p.exists("target", "run_results.json")
