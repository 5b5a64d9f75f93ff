"""The API of the live page: who may ask, what it tells, what it starts."""
import json
import os
import stat
import time

import pytest
from serving import TIMEOUT, Events, Served, serve  # noqa: F401

FILES = {
    "models/orders.sql": """
        {{ config(tags=['nightly'], post_hook="select 1", pre_hook="{{ note() }}") }}
        select n as id, 'x' || n as name from generate_series(1, 30) as n
        """,
    "models/totals.sql": "select count(*) as n from {{ ref('orders') }}",
    "models/inner.sql": "{{ config(materialized='ephemeral') }} select 1 as n",
    "models/models.yml": """
        models:
          - name: orders
            description: What was ordered
            columns:
              - {name: id, description: The number, data_type: integer, data_tests: [unique, not_null]}
        """,
    "macros/note.sql": "{% macro note() %}select 2{% endmacro %}",
    "operations/ops/count.sql": """
        {{ config(description='Counts', parameters=[{'name': 'low', 'type': 'integer', 'required': true},
                                                    {'name': 'key', 'secret': true}]) }}
        select {{ args.low }} as n
        """,
    "operations/ops/drop.sql": "{{ config(confirm='Drop it all?') }} select 1 as n",
    "flows/nightly.yml": """
        name: nightly
        description: All of it
        parameters: [{name: day, type: date, default: 2026-01-01}]
        schedule: {every: day, at: "02:00"}
        nodes:
          - {name: count, operation: ops/count, args: {low: 1}}
          - {name: models, transformation: orders+, needs: count}
        """,
}


# Who may ask -----------------------------------------------------------------------------------------------


def test_token_and_roles(serve):
    served = serve(FILES)
    for path in ".dex/token", ".dex/tokens.json":
        assert stat.S_IMODE(os.stat(served.project.path(path)).st_mode) == 0o600
    assert served.token not in served.project.read(".dex/tokens.json")
    for path in "/api/status", "/api/runs", "/api/events", "/api/openapi.json", "/api/nothing":
        for token in "", "x", served.token[:-1], served.token + "0", served.token.upper():
            answer = served.get(path, token=token)
            assert answer.status == 401 and answer.error["code"] == 671
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert served.get("/api/status", token="", headers={"Authorization": "Basic " + served.token}).status == 401
    assert served.get(f"/api/status?token={served.token}", token="").status == 401
    viewer = served.project.run("serve token add ann --role view").ok().stdout.strip()
    status = served.get("/api/status", token=viewer).ok()  # a server that runs knows it at once
    assert (status["who"], status["role"]) == ("ann", "view")
    for path, body in (("/api/builds", {}), ("/api/flows/nightly/runs", {}), ("/api/flows/nightly/pause", {}),
                       ("/api/operations/ops%2Fcount/runs", {"parameters": {"low": 1}}), ("/api/runs/x/cancel", {})):
        answer = served.post(path, body, token=viewer)
        assert answer.status == 403 and answer.error["code"] == 672
    assert served.get("/api/runs").ok()["items"] == []
    assert "ann" in served.project.run("serve token ls").ok().stdout
    served.project.run("serve token rm ann").ok()
    assert served.get("/api/status", token=viewer).status == 401
    refused = served.get("/api/audit").ok()["items"]
    assert {(row["who"], row["role"], row["outcome"]) for row in refused} == {("ann", "view", "refused")}
    assert "run flow" in {row["action"] for row in refused}


def test_a_token_taken_away_ends_its_streams(serve):
    served = serve(FILES)
    viewer = served.project.run("serve token add ann").ok().stdout.strip()
    hers, mine = Events(served, token=viewer), Events(served)
    served.post("/api/flows/nightly/pause").ok()
    assert hers.next()[1] == mine.next()[1] == "schedule"
    served.project.run("serve token rm ann").ok()
    served.post("/api/flows/nightly/resume").ok()
    assert mine.next()[2]["paused"] is False
    # Lines of an event, or of the heart beat, would not be empty.
    assert b"".join(hers.response.readline() for _ in range(3)).strip() == b""
    hers.close()
    mine.close()


def test_tokens_at_the_command_line(project):
    p = project(FILES)
    p.run("serve token rm nobody").fails(2).says("there is no token 'nobody'")
    assert len(p.run("serve token add a.b").ok().stdout.strip()) == 64
    p.run("serve token add a.b").fails(2).says("already")
    p.run("serve", "token", "add", "a b").fails(2).says("is no name")
    os.chmod(p.path(".dex/tokens.json"), 0o644)
    p.run("serve token ls").fails(2).says("can be read by others", "chmod 600")
    os.chmod(p.path(".dex/tokens.json"), 0o600)
    p.write({".dex/tokens.json": "{"})
    os.chmod(p.path(".dex/tokens.json"), 0o600)
    p.run("serve --listen 127.0.0.1:0").fails(2).says("tokens.json", "is not what dex-lua has written")


def test_pages_of_other_sites(serve):
    served = serve(FILES)
    ours = f"127.0.0.1:{served.port}"
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"},
                    {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        answer = served.post("/api/flows/nightly/pause", headers=headers)
        assert answer.status == 403 and answer.error["code"] == 673
        assert "Access-Control-Allow-Origin" not in answer.headers
    served.post("/api/flows/nightly/pause", headers={"Origin": f"http://{ours}", "Sec-Fetch-Site": "same-origin"}).ok()
    served.post("/api/flows/nightly/resume", headers={"Host": "localhost", "Origin": "https://localhost"}).ok()
    answer = served.post("/api/flows/nightly/pause", b"{}", headers={"Content-Type": "text/plain"})
    assert answer.status == 415


def test_fields_of_answers(serve):
    served = serve(FILES)
    answer = served.get("/api/status")
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    for name, text in (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
                       ("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY")):
        assert answer.headers[name] == text
    page = served.get("/", token="")
    assert page.status == 200 and "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]


def test_names_of_a_proxy(serve):
    served = serve(FILES, "--allow-host", "dex.example.org")
    assert served.get("/api/status", headers={"Host": "dex.example.org"}).status == 200
    assert served.get("/api/status", headers={"Host": "other.example.org"}).status == 421
    served.post("/api/flows/nightly/pause", headers={"Host": "dex.example.org", "Origin": "https://dex.example.org"}).ok()


def test_the_way_in(serve):
    """A file that only the owner may read leads a browser in; it goes with the server."""
    served = serve(FILES)
    path = served.project.path(".dex/open.html")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path) as file:
        assert f"http://127.0.0.1:{served.port}/#token={served.token}" in file.read()
    served.stop()
    assert not os.path.exists(path)


def test_the_token_is_in_no_log(serve):
    served = serve(FILES, "--debug")
    served.get("/api/status").ok()
    served.get("/api/status", token="wrong" + served.token)
    p = served.project
    served.stop()
    written = p.read("logs/dex.log") + "".join(served.running.output())
    assert "/api/status" in written and served.token not in written


def until(served, path, status):
    """Asks until the answer has this status: the server looks at files once a second."""
    end = time.monotonic() + TIMEOUT
    while (answer := served.get(path)).status != status and time.monotonic() < end:
        pass
    return answer


# What it tells ---------------------------------------------------------------------------------------------


def test_project(serve):
    served = serve(FILES, prepare="build")
    status = served.get("/api/status").ok()
    assert status["project"] == "shop" and status["target"] == "dev" and status["counts"]["models"] == 3
    lineage = served.get("/api/lineage").ok()
    names = {node["id"]: node for node in lineage["nodes"]}
    assert names["model.shop.orders"]["tags"] == ["nightly"] and names["model.shop.orders"]["file"] == "models/orders.sql"
    assert {node["type"] for node in names.values()} == {"model", "test", "operation", "flow"}
    edges = {tuple(edge) for edge in lineage["edges"]}
    assert ("model.shop.orders", "model.shop.totals") in edges
    assert {to for source, to in edges if source == "flow.shop.nightly"} == {
        "model.shop.orders", "operation.shop.ops/count"}
    chosen = served.get("/api/lineage?select=orders%2B&exclude=resource_type:test").ok()
    assert {node["name"] for node in chosen["nodes"]} == {"orders", "totals"}
    assert served.get("/api/lineage?select=nothing").ok()["warnings"]
    assert served.get("/api/lineage?select=--target").status == 422
    assert served.get("/api/lineage?select=+%2Bnope:x").status == 422

    node = served.get("/api/nodes/model.shop.orders").ok()
    assert node["description"] == "What was ordered" and node["file"] == "models/orders.sql"
    assert "generate_series" in node["source_code"] and "{{" not in node["compiled_code"]
    assert node["columns"] == [{"name": "id", "type": "integer", "description": "The number",
                                "tests": [t for t in node["tests"]]}]
    assert [(h["phase"], h["text"]) for h in node["hooks"]] == [("pre_hooks", "{{ note() }}"), ("post_hooks", "select 1")]
    assert node["children"] == ["model.shop.totals"] and node["parents"] == []
    assert served.get("/api/nodes/model.shop.orders/columns").ok()["items"][1] == {
        "name": "name", "type": "text", "description": None, "tests": []}
    rows = served.get("/api/nodes/model.shop.orders/preview?limit=2").ok()
    assert rows["columns"] == [{"name": "id", "type": "integer"}, {"name": "name", "type": "text"}]
    assert rows["rows"] == [[1, "x1"], [2, "x2"]] and rows["more"] is True
    assert served.get("/api/nodes/model.shop.inner/preview").error["code"] == 675
    answer = served.get("/api/nodes/model.shop.ordes")
    assert answer.status == 404 and "model.shop.orders" in answer.error["hint"]

    assert [o["name"] for o in served.get("/api/operations").ok()["items"]] == ["ops/count", "ops/drop"]
    operation = served.get("/api/operations/ops%2Fcount").ok()
    assert [p["name"] for p in operation["parameters"]] == ["low", "key"] and operation["confirm"] is False
    assert served.get("/api/operations/drop").ok()["confirm"] == "Drop it all?"
    flow = served.get("/api/flows").ok()["items"][0]
    assert flow["name"] == "nightly" and len(flow["schedule"]["next"]) == 5 and flow["schedule"]["paused"] is False
    assert [n["kind"] for n in flow["nodes"]] == ["operation", "transformation"]
    assert served.get("/api/flows/nightl").error["hint"] == "did you mean 'nightly'?"


def test_history_of_commands(serve):
    served = serve(FILES, prepare="build")
    runs = served.get("/api/runs").ok()["items"]
    assert [(r["kind"], r["name"], r["status"]) for r in runs] == [("command", "build", "success")]
    detail = served.get(f"/api/runs/{runs[0]['id']}").ok()
    orders = next(t for t in detail["tasks"] if t["node_id"] == "model.shop.orders")
    assert orders["status"] == "success" and "build" in [p["phase"] for p in orders["phases"]]
    assert [h["phase"] for h in orders["hooks"]] == ["pre_hooks", "post_hooks"]
    assert served.get("/api/nodes/model.shop.orders").ok()["last_run"]["status"] == "success"
    nodes = {n["id"]: n["status"] for n in served.get("/api/lineage").ok()["nodes"]}
    assert nodes["model.shop.orders"] == "success"
    assert len(served.get("/api/nodes/model.shop.orders/runs").ok()["items"]) == 1
    assert served.get("/api/history/durations?node=model.shop.orders").ok()["items"][0]["run_id"] == runs[0]["id"]
    assert served.get("/api/history/durations").status == 422
    assert "model.shop.orders" in {r["name"] for r in served.get("/api/history/slowest?kind=node").ok()["items"]}
    served.project.write({"models/totals.sql": "{{ config(materialized='table') }} select 1 / 0 as n"})
    served.project.run("run").fails(1)
    failure = served.get("/api/history/failures").ok()["items"][0]
    assert failure["node_id"] == "model.shop.totals" and "division by zero" in failure["message"]
    first = served.get("/api/runs?limit=1").ok()
    second = served.get(f"/api/runs?limit=1&before={first['next']}").ok()
    assert [r["status"] for r in first["items"] + second["items"]] == ["failed", "success"] or \
        [r["status"] for r in first["items"] + second["items"]] == ["partial", "success"]
    assert served.get("/api/runs?status=success").ok()["items"][0]["id"] == runs[0]["id"]
    assert served.get("/api/runs/none").status == 404


def test_files_change(serve):
    served = serve(FILES, prepare="run")
    assert served.get("/api/nodes/model.shop.extra").status == 404
    served.project.write({"models/extra.sql": "select 2 as two"})
    answer = until(served, "/api/nodes/model.shop.extra", 200)
    assert answer.ok()["source_code"] == "select 2 as two" and answer.json["compiled_code"] == "select 2 as two"
    assert served.get("/api/nodes/model.shop.extra/preview").error["message"] == "extra is not built yet"
    served.project.write({"models/extra.sql": "select {{ ref('nowhere') }}"})
    answer = until(served, "/api/nodes/model.shop.extra", 409)
    assert answer.status == 409 and answer.error["file"] == "models/extra.sql" and answer.error["line"] == 1
    status = served.get("/api/status").ok()  # the rest of the page works on
    assert "nowhere" in status["project_problem"] and status["counts"] is None
    assert served.get("/api/runs").ok()["items"]


def test_preview_only_reads(serve):
    p_files = {**FILES, "models/writes.sql": """
        {{ config(materialized='view') }}
        {% if execute and flags.WHICH == 'show' %}{% do run_query('create table made (n int)') %}{% endif %}
        select 1 as n
        """}
    served = serve(p_files, prepare="run")
    os.utime(served.project.path("models/writes.sql"))  # what is compiled is older
    node = served.get("/api/nodes/model.shop.writes").ok()
    assert node["compiled_code"] is None and "read-only transaction" in node["compile_error"]
    assert served.project.db.sql("select to_regclass('made') is null") == "t"


def test_private_server(serve):
    """It runs while somebody looks, and is gone with the server."""
    served = serve(FILES, prepare="run", profile=False)
    assert served.get("/api/nodes/model.shop.orders/preview?limit=1").ok()["rows"] == [[1, "x1"]]
    assert served.project.run("db status").ok().says("running")
    assert served.get("/api/nodes/model.shop.orders/columns").ok()["items"][0]["type"] == "integer"


def test_secrets_are_masked(project):
    p = project({**FILES, "models/orders.sql": "select '{{ var('x') }}' as secret_value"})
    p.env["DBT_ENV_SECRET_KEY"] = "s3cr3t-\"value"
    p.write({"models/a.sql": "select 1 as n -- s3cr3t-\"value", "operations/say.sql": "select 's3cr3t-\"value' as n"})
    served = Served(p, "--vars", "{x: y}")
    for path in ("/api/nodes/model.shop.a", "/api/operations/say"):
        answer = served.get(path)
        assert "*****" in json.dumps(answer.ok()) and "s3cr3t" not in answer.body.decode()
    assert served.stop() == 0


# What it starts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, body, words", [
    ("/api/builds", {"select": "x", "threads": 4}, "'threads' that is not known"),
    ("/api/builds", {"comand": "run"}, "that is not known"),
    ("/api/builds", {"command": "drop"}, "must be one of build"),
    ("/api/builds", {"select": ["--profiles-dir", "/tmp"]}, "is no selection"),
    ("/api/builds", {"select": 1}, "a text or a list of texts"),
    ("/api/builds", {"full_refresh": "yes"}, "true or false"),
    ("/api/builds", {"vars": []}, "must be an object"),
    ("/api/operations/count/runs", {"parameters": {"low": "x"}}, "must be a whole number"),
    ("/api/operations/count/runs", {}, "'low' is required"),
    ("/api/operations/count/runs", {"parameters": {"low": 1, "hig": 2}}, "no parameter 'hig'"),
    ("/api/flows/nightly/runs", {"parameters": {"day": "tomorrow"}}, "a date"),
])
def test_wrong_bodies(module_served, path, body, words):
    answer = module_served.post(path, body)
    assert answer.status == 422 and words in answer.error["message"], answer.body


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b'{"a": }', b"\xff", b'{"a":' * 2000])
def test_bodies_that_are_no_json(module_served, body):
    answer = module_served.post("/api/builds", body)
    assert answer.status == 400 and answer.error["code"] == 670


@pytest.fixture(scope="module")
def module_served(postgres, tmp_path_factory):
    """One server for the tests that start nothing."""
    from program import Project
    import uuid
    database = postgres.database()
    project = Project(tmp_path_factory.mktemp("served"), database, str(uuid.uuid4()), 1, True).write(FILES)
    served = Served(project)
    yield served
    assert served.get("/api/runs").ok()["items"] == []
    assert served.stop() == 0
    database.drop()
