"""The HTTP server below the live page: what it reads, what it refuses, and who waits for whom."""
import socket
import time

import pytest
from serving import Served, read_all

FILES = {"models/a.sql": "select 1 as n"}
HEAD = b"GET /api/status HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture(scope="module")
def module_served(postgres, tmp_path_factory):
    """One server for the tests that change nothing."""
    from program import Project
    import uuid
    database = postgres.database()
    folder = tmp_path_factory.mktemp("served")
    project = Project(folder, database, str(uuid.uuid4()), 1, True).write(FILES)
    served = Served(project)
    yield served
    assert served.stop() == 0
    database.drop()


@pytest.fixture
def served(module_served):
    yield module_served
    module_served.get("/api/status").ok()  # it serves on, whatever a test did


def with_token(served, more=b""):
    return HEAD + b"Authorization: Bearer " + served.token.encode() + b"\r\n" + more


MALFORMED = [
    (b"nonsense\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00", 400),                                # TLS on the wrong port
    (b"GET / HTTP/1.1\n\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),                                      # no Host
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
    (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 505),
    (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nA : b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\r\n folded\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b\nC: d\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413),
    (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nExpect: miracles\r\n\r\n", 417),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 20000, 431),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 70 + b"\r\n", 431),
    (b"GET /" + b"x" * 20000, 414),
    (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),                # a name that leads here
    (b"GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 421),
    (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 421),
]


@pytest.mark.san
@pytest.mark.parametrize("sent, status", MALFORMED)
def test_malformed_requests(served, sent, status):
    answer = served.exchange(sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"\r\nConnection: close\r\n" in answer


@pytest.mark.parametrize("host", ["localhost", "localhost:99", "127.0.0.1", "[::1]:80", "LOCALHOST", "192.168.1.2"])
def test_names_that_are_ours(served, host):
    served.get("/api/status", headers={"Host": host}).ok()


@pytest.mark.san
def test_several_requests_on_one_connection(served):
    one = with_token(served, b"\r\n")
    last = with_token(served, b"Connection: close\r\n\r\n")
    assert served.exchange(one + one + last).count(b"HTTP/1.1 200 OK") == 3
    with served.raw(one) as s:  # and one after the other
        for _ in range(3):
            assert s.recv(15) == b"HTTP/1.1 200 OK"
            left = b""
            while not left.endswith(b"}}") and b'"counts":' not in left:
                left += s.recv(65536)
            s.sendall(one)


@pytest.mark.san
def test_the_client_only_stops_sending(served):
    with served.raw(with_token(served, b"\r\n") * 2) as s:
        s.shutdown(socket.SHUT_WR)
        assert read_all(s).count(b"HTTP/1.1 200 OK") == 2


def test_bytes_come_one_by_one(served):
    with served.raw() as s:
        for byte in with_token(served, b"Connection: close\r\n\r\n"):
            s.sendall(bytes([byte]))
        assert read_all(s).startswith(b"HTTP/1.1 200 ")


@pytest.mark.san
def test_body_in_pieces_after_100_continue(served):
    head = (b"POST /api/flows/none/runs HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + served.token.encode() +
            b"\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
    with served.raw(head) as s:
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(b"{")
        s.sendall(b"}")
        assert read_all(s).startswith(b"HTTP/1.1 404 ")


@pytest.mark.san
def test_head_and_options(served):
    full = served.get("/api/openapi.json")
    head = served.ask("HEAD", "/api/openapi.json")
    assert head.status == 200 and head.body == b"" and head.headers["Content-Length"] == str(len(full.body))
    options = served.ask("OPTIONS", "/api/runs")
    assert options.status == 204 and options.headers["Allow"] == "GET, HEAD, OPTIONS"
    wrong = served.ask("DELETE", "/api/runs")
    assert wrong.status == 405 and "GET" in wrong.headers["Allow"]


def test_old_clients(served):
    answer = served.exchange(b"GET /api/status HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer " +
                             served.token.encode() + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and b"Connection: close" in answer


def test_slow_head_is_ended(served):
    started = time.monotonic()
    with served.raw(b"GET / HTTP/1.1\r\nHost: local") as slow, served.raw() as silent:
        served.get("/api/status").ok()  # nobody waits for the slow one
        assert read_all(slow).startswith(b"HTTP/1.1 408 ")
        assert read_all(silent) == b""
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("path", ["/../profiles.yml", "/static/../../profiles.yml", "/%2e%2e/profiles.yml",
                                  "/static/..%2f..%2fprofiles.yml", "//etc/passwd", "/.dex/token", "/api/../.dex/token",
                                  "/static/%00", "/profiles.yml"])
def test_files_of_the_project_are_not_served(served, path):
    for token in "", None:
        answer = served.get(path, token=token)
        assert served.token.encode() not in answer.body and b"password" not in answer.body
        assert answer.status in (200, 400, 401, 404)  # a path of the page itself gives the page


@pytest.mark.parametrize("path, status", [("/api/runs/%", 400), ("/api/runs/%zz", 400), ("/api/runs/%00", 400),
                                          ("/api/runs/%ff", 400), ("/api/runs/%2e%2e", 404),
                                          ("/api/runs?limit=x", 422), ("/api/runs?limit=0", 422),
                                          ("/api/runs?limit=99999999999999999999", 422), ("/api/runs?lim=1", 422),
                                          ("/api/runs?limit=1&limit=2", 400), ("/api/runs?status=gone", 422),
                                          ("/api", 404), ("/api/", 404), ("/api/nothing", 404)])
def test_addresses_that_are_wrong(served, path, status):
    answer = served.get(path)
    assert answer.status == status, answer.body
    assert answer.error["code"] in (670, 674, 676) and answer.error["message"]


def test_more_connections_than_there_may_be(project):
    """Those that have waited longest for another request give way; who has not asked yet waits."""
    p = project(FILES)
    served = Served(p, wrap=("bash", "-c", 'ulimit -n 160; exec "$@"', "-"))
    sockets = []
    for _ in range(120):  # 80 at one time
        sockets.append(served.raw(with_token(served, b"\r\n")))
        assert sockets[-1].recv(15) == b"HTTP/1.1 200 OK"
    served.get("/api/status").ok()
    assert sum(served.is_open(s) for s in sockets) <= 80
    assert served.is_open(sockets[-1]) and not served.is_open(sockets[0])
    silent = [served.raw() for _ in range(100)]
    for s in sockets + silent:
        s.close()
    served.get("/api/status").ok()
    assert served.stop() == 0


@pytest.mark.san
def test_clients_that_leave(served):
    for sent in b"", b"GET", HEAD, with_token(served, b"\r\n"):
        for _ in range(20):
            served.raw(sent).close()


def test_the_port_is_taken(served, project):
    p = project(FILES)
    p.run("serve", "--no-schedules", "--listen", f"127.0.0.1:{served.port}").fails(2).says(
        "Address already in use", "--listen")
    p.run("serve", "--no-schedules", "--listen", "nowhere").fails(2).says("an address and a port")
    p.run("serve", "--no-schedules", "--listen", "127.0.0.1:99999").fails(2).says("an address and a port")
