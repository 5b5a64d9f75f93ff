"""Mistakes on the command line and in the profile."""
import socket

import pytest

import bad
import golden
from bad import Case

CASES = [
    Case("usage_command", {}, "biuld"),
    Case("usage_option", {}, "run --selct a"),
    Case("usage_option_of_another_command", {}, "ls --full-refresh"),
    Case("usage_value_missing", {}, "run --select"),
    Case("usage_number", {}, "run --threads many"),
    Case("usage_zero_threads", {}, "run --threads 0"),
    Case("usage_choice", {}, "run --log-format jsno"),
    Case("usage_argument", {}, "run orders"),
    Case("usage_flag_with_value", {}, "run --fail-fast=yes"),
    Case("usage_vars_yaml", {}, ["run", "--vars", "{a: [1"]),
    Case("usage_vars_list", {}, ["run", "--vars", "[1, 2]"]),
    Case("usage_environment", {}, "run", env={"DBT_FAIL_FAST": "perhaps"}),
    Case("usage_project_dir", {}, "run --project-dir nowhere"),
    Case("usage_select_method", {}, "run --select tagg:x"),
    Case("usage_select_nothing", {}, "run --select aa", status=0),
    Case("usage_show_nothing", {}, "show"),
    Case("usage_show_many", {"models/b.sql": "select 1 as n\n"}, "show --select path:models"),
    Case("usage_operation", {"operations/grant_access.sql": "select 1"}, "operation run grant_acess"),
    Case("usage_operation_argument", {"operations/o.sql": "select 1"}, "operation run o -a role:x"),
    Case("usage_help", {}, "help biuld"),
    Case("usage_db", {}, "db stat"),
    Case("usage_render", {}, "render"),
    Case("usage_render_no_file", {}, "render nowhere.sql"),
    Case("usage_render_context", {"t.sql": "x"}, ["render", "t.sql", "--context", "[1]"]),
    # The profile
    Case("profile_dir", {}, "run --profiles-dir nowhere"),
    Case("profile_missing", {"dbt_project.yml": "name: shop\nprofile: shp\n"}, "run"),
    Case("profile_target", {}, "run --target prod"),
    Case("profile_no_target", {"profiles.yml": None}, "run --target prod"),
    Case("profile_empty", {"profiles.yml": ""}, "run"),
    Case("profile_bad_yaml", {"profiles.yml": "shop:\n  target: dev\n  outputs: {dev: {type: postgres\n"}, "run"),
    Case("profile_env_var", {}, "run", profile={"user": "{{ env_var('DB_USER') }}"}),
    Case("profile_type", {}, "run", profile={"type": "postgre"}),
    Case("profile_snowflake", {}, "run", profile={"type": "snowflake"}),
    Case("profile_lacks", {}, "run", profile={"schema": None}),
    Case("profile_port", {}, "run", profile={"port": "many"}),
    Case("profile_unknown_key", {}, "debug", status=0, profile={"sslmod": "disable"}),
    Case("profile_sslmode", {}, "run", profile={"sslmode": "perhaps"}),
    # The server
    Case("server_wrong_password", {}, "run", profile={"host": "127.0.0.1", "password": "wrong"}),
    Case("server_no_such_user", {}, "run", profile={"user": "nobody_here"}),
    Case("server_no_such_database", {}, "run", profile={"dbname": "nowhere"}),
    Case("server_no_such_socket", {}, "run", profile={"host": "/nowhere"}),
    Case("server_debug", {}, "debug", status=1, profile={"host": "127.0.0.1", "password": "wrong"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_mistake(project, case):
    bad.run(project, case)


def test_unreachable_server(project):
    """Nobody listens on this port: it is bound and not listened on, so that nobody else can take it."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        p = project(bad.GOOD)
        p.write({"profiles.yml": p.profile(host="127.0.0.1", port=port)})
        result = p.run("run").fails(2)
        result.stdout = result.stdout.replace(str(port), "PORT")
        golden.compare("server_unreachable", result)


def test_a_server_that_does_not_answer(project):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        p = project(bad.GOOD)
        p.write({"profiles.yml": p.profile(host="127.0.0.1", port=port, connect_timeout=1, retries=0)})
        result = p.run("run").fails(2)
        result.stdout = result.stdout.replace(str(port), "PORT")
        golden.compare("server_does_not_answer", result)


def test_a_server_that_speaks_something_else(project):
    import threading
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()

        def answer():
            connection, _ = s.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = s.getsockname()[1]
        p = project(bad.GOOD)
        p.write({"profiles.yml": p.profile(host="127.0.0.1", port=port, sslmode="disable", retries=0)})
        result = p.run("run").fails(2)
        thread.join(10)
        result.stdout = result.stdout.replace(str(port), "PORT")
        golden.compare("server_speaks_http", result)


@pytest.mark.san
@pytest.mark.parametrize("name", ["usage_option", "usage_vars_yaml", "profile_bad_yaml", "server_wrong_password",
                                  "server_no_such_socket"])
def test_some_with_sanitizers(project, name):
    bad.run(project, next(case for case in CASES if case.name == name))
