"""Events that hook modules subscribe to, and what Lua hooks do outside of the database."""
import http.server
import json
import threading

import pytest

OUT = "create table public.out (n serial, who text)"
NOTE = "hook:exec('insert into public.out (who) values ($1)', %s)"


def noted(p):
    return p.db.rows("select who from public.out order by n")


def listening(project, body, files=None):
    p = project({"models/a.sql": "select 1 as n", "models/b.sql": "select 1 / (n - {{ var('bad', 0) }}) as n from {{ ref('a') }}",
                 "tests/t.sql": "select n from {{ ref('b') }} where {{ var('fails', 'false') }}",
                 "hooks/listen.lua": "local M = { on = {} }\nlocal on = M.on\n" + body + "\nreturn M\n", **(files or {})}, threads=1)
    p.db.sql(OUT)
    return p


EVENTS = "".join(f"function on.{name}(hook) {NOTE % what} end\n" for name, what in {
    "run_start": "'run_start ' .. hook.event.total",
    "node_start": "'node_start ' .. hook.event.name",
    "node_end": "'node_end ' .. hook.event.name .. ' ' .. hook.event.status",
    "test_failed": "'test_failed ' .. hook.event.name .. ' ' .. hook.event.failures",
    "run_end": "'run_end ' .. #hook.run.results",
}.items())


@pytest.mark.san
def test_events_in_their_order(project):
    p = listening(project, EVENTS + "function on.phase_end(hook) if hook.event.phase == 'build' then "
                  + NOTE % "'built ' .. hook.node.name" + " end end")
    p.run("build", "--vars", "fails: 'true'").fails(1)
    assert noted(p) == ["run_start 3", "node_start a", "built a", "node_end a success", "node_start b", "built b",
                        "node_end b success", "node_start t", "built t", "node_end t fail", "test_failed t 1", "run_end 3"]


def test_no_hooks_no_events(project):
    p = listening(project, EVENTS)
    p.run("run --no-hooks").ok()
    for command in "compile", "ls", "parse":
        p.run(command).ok()
    assert noted(p) == []


def test_operations_tell_their_end(project):
    p = listening(project, "function on.operation_end(hook) " + NOTE % "hook.event.name .. ' ' .. hook.event.status" + " end",
                  {"operations/o.sql": "select 1", "operations/bad.sql": "select 1/0"})
    p.run("operation run o").ok()
    p.run("operation run bad").fails(1)
    assert noted(p) == ["o success", "bad error"]


@pytest.mark.san
def test_observers_change_nothing(project):
    """Their failures are warnings with file and line; nodes neither wait nor fail."""
    p = listening(project, "function on.node_end(hook) error('my words') end\n"
                           "function on.run_end(hook) hook:exec('select 1/0') end")
    result = p.run("run").ok().says("the event function listen.node_end failed: my words", "division by zero")
    assert result.statuses == {"a": "success", "b": "success"}
    assert [(h["phase"], h["status"], h["file"].endswith("hooks/listen.lua"), h["line"]) for h in result.hooks] == [
        ("node_end", "warn", True, 3), ("node_end", "warn", True, 3), ("run_end", "warn", True, 4)]


@pytest.mark.parametrize("module, words", [
    ("return { on = { node_ende = function() end } }", ["no event 'node_ende'", "did you mean 'node_end'?"]),
    ("return { on = { node_end = 5 } }", ["`on.node_end` is a number"]),
    ("return { on = 5 }", ["`on` is a number"]),
    ("return { on = ", ["hooks/listen.lua", "unexpected"]),
])
def test_wrong_subscriptions(project, module, words):
    p = project({"models/a.sql": "select 1 as n", "hooks/listen.lua": module})
    p.run("run").fails(2).says("hooks/listen.lua", *words)
    assert p.db.relations() == []


# Outside of the database ----------------------------------------------------------------------------------


class Receiver(http.server.BaseHTTPRequestHandler):
    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.command, self.path, dict(self.headers), self.rfile.read(length).decode()))
        if self.path == "/hang":
            self.server.until.wait(30)
        body = json.dumps({"path": self.path, "n": [1, 2]}).encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Two", "a")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *args):
        pass


@pytest.fixture
def web():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.seen, server.until = [], threading.Event()
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.until.set()
    server.shutdown()
    server.server_close()
    thread.join()


def hooked(project, body, hook="'lua: h.run'", files=None):
    p = project({"models/m.sql": f"{{{{ config(materialized='table', post_hook={hook}) }}}} select 1 as n",
                 "hooks/h.lua": "local h = {}\nfunction h.run(hook)\n" + body + "\nend\nreturn h\n", **(files or {})})
    p.db.sql(OUT)
    return p


@pytest.mark.san
def test_http(project, web):
    p = hooked(project, f"""
      local r = hook:http{{ url = "{web.url}/a?b=1", json = {{ text = 'quote " and \\\\ and\\nline', this = hook.this.name,
        list = {{ 1, 2 }} }}, headers = {{ ["X-Token"] = "t\\"x" }} }}
      assert(r.ok and r.status == 200 and r.json.path == "/a?b=1" and r.json.n[2] == 2 and r.headers["x-two"] == "a", r.body)
      assert(hook:http{{ url = "{web.url}/missing" }}.status == 404)
      assert(hook:http{{ method = "put", url = "{web.url}/p", body = "@/etc/passwd" }}.ok)
      local ok, e = pcall(hook.http, hook, {{ url = "{web.url}/hang", timeout = 0.3 }})
      assert(not ok and e.message:find("no answer from {web.url}: ", 1, true), e.message)
    """)
    p.run("run").ok()
    method, path, headers, body = web.seen[0]
    assert (method, path) == ("POST", "/a?b=1")
    assert headers["X-Token"] == 't"x' and headers["Content-Type"] == "application/json"
    assert json.loads(body) == {"text": 'quote " and \\ and\nline', "this": "m", "list": [1, 2]}
    assert web.seen[1][0] == "GET" and web.seen[2][0] == "PUT" and web.seen[2][3] == "@/etc/passwd"


def test_a_hooks_timeout_ends_what_it_waits_for(project, web):
    hook = "{'lua': 'h.run', 'timeout': 0.3}"
    for body in (f"hook:http{{ url = '{web.url}/hang' }}", "hook:sleep(60)", "hook:run{'sleep', '60'}", "while true do end",
                 "while true do pcall(function() while true do end end) end"):
        p = hooked(project, body, hook, {"dbt_project.yml": "name: shop\nprofile: shop\nhook-programs: true\n"})
        p.run("run").fails(1).says("it took longer than its timeout of 0.3 s", "hooks/h.lua:")
        assert p.db.relations() == []
        p.db.sql("drop table public.out")


@pytest.mark.san
def test_programs(project):
    body = """
      local r = hook:run{ "sh", "-c", "cat; echo err >&2; echo $A; exit 3", input = "in ", env = { A = "x y" } }
      assert(r.status == 3 and not r.ok and r.stdout == "in x y\\n" and r.stderr == "err\\n", r.stdout .. r.stderr)
      assert(hook.run.command == "run")
    """
    p = hooked(project, body)
    p.run("run").fails(1).says("hook:run may not run 'sh'", "hook-programs: [sh]", "hooks/h.lua:")
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\nhook-programs: [cat]\n"})
    p.run("run").fails(1).says("hook:run may not run 'sh'")
    for allowed in "true", "[sh, cat]":
        p.write({"dbt_project.yml": f"name: shop\nprofile: shop\nhook-programs: {allowed}\n"})
        p.run("run").ok()


def in_package(project, body):
    return project({"packages.yml": "packages: [{local: pkg}]\n",
                    "dbt_project.yml": "name: shop\nprofile: shop\nhook-programs: true\n",
                    "pkg/dbt_project.yml": "name: pkg\nhook-programs: true\n",
                    "pkg/hooks/tools.lua": "local M = {}\nfunction M.run(hook)\n" + body + "\nend\nreturn M\n",
                    "models/m.sql": "{{ config(materialized='table', post_hook='lua: tools.run') }} select 1 as n"})


@pytest.mark.parametrize("body, words", [
    ("hook:run{'true'}", "hooks of packages run no programs"),
    ("while true do end", "it does not come to an end"),
    ("pcall(function() while true do end end) while true do end", "it does not come to an end"),
    ("local t = {} for i = 1, 1e9 do t[i] = { i } end", "it needs too much memory"),
    ("local s = 'x' while true do s = s .. s end", "it needs too much memory"),
    ("hook:value('select 1') local s = 'x' while true do s = s .. s end", "it needs too much memory"),
    ("return io.open('/etc/passwd')", "there is no global 'io'"),
    ("return debug.getinfo(1)", "there is no global 'debug'"),
    ("return load('return 1')()", "there is no global 'load'"),
    ("getmetatable('').__index.format = nil", "attempt to index"),
    ("getmetatable(hook).__index = nil", "attempt to index"),
])
def test_the_sandbox_of_packages(project, body, words):
    p = in_package(project, body)
    # without memory there is no room to tell the line: the declaration's is told
    p.run("run").fails(1).says(words, "models/m.sql:1" if "memory" in words else "tools.lua:3")
    assert p.db.relations() == []


MISUSES = [
    ("hook:http{}", "needs `url`"),
    ("hook:http{ url = 'ftp://x' }", "begins with http"),
    ("hook:http{ url = 'file:///etc/passwd' }", "begins with http"),
    ("hook:http{ url = 'http://x', jsn = 1 }", "did you mean 'json'?"),
    ("hook:http{ url = 'http://x', json = 1, body = 'x' }", "not both"),
    ("hook:http{ url = 'http://x', headers = { ['X-A'] = 'a\\nb' } }", "no header"),
    ("hook:http{ url = 'http://x', timeout = '3' }", "must be a number"),
    ("hook:run('ls')", "needs a list"),
    ("hook:run{'ls', {}}", "argument 2"),
    ("hook:sleep('x')", "number of seconds"),
]


@pytest.mark.parametrize("code, words", MISUSES)
def test_mistakes_are_told(project, code, words):
    hooked(project, code).run("run").fails(1).says(words, "hooks/h.lua:3")
