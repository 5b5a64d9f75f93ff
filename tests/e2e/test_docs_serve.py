"""docs serve: the page for browsers of this machine."""
import http.client
import re
import signal
import socket
import subprocess

import pytest

FILES = {"models/a.sql": "select 1 as n"}


@pytest.fixture
def served(project):
    """A project whose documentation is served, and its port."""
    p = project(FILES)
    p.run("docs generate").ok()
    running = p.start("docs serve --port 0", stdout=subprocess.PIPE)
    line = running.process.stdout.readline().decode()
    yield p, int(re.search(r"http://127\.0\.0\.1:(\d+)", line).group(1)), running
    running.process.stdout.close()
    if running.process.poll() is None:
        running.signal(signal.SIGINT)
        running.finish().ok()


def get(port, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response.status, response.read(), response


def test_page_and_artifacts(served):
    p, port, running = served
    status, body, response = get(port)
    assert status == 200 and body.decode() == p.read("target/index.html")
    assert response.getheader("Content-Type").startswith("text/html")
    status, body, _ = get(port, "/manifest.json?x=1")
    assert status == 200 and b'"model.shop.a"' in body
    status, body, _ = get(port, "/", "HEAD")
    assert status == 200 and body == b""
    running.signal(signal.SIGINT)
    running.finish().ok()


@pytest.mark.parametrize("path", ["/../profiles.yml", "/compiled/../../profiles.yml", "/nothing", "/.hidden",
                                  "/compiled", "/%2e%2e/profiles.yml", "//etc/passwd"])
def test_nothing_else_is_served(served, path):
    _, port, _ = served
    assert get(port, path)[0] == 404


def test_wrong_requests(served):
    _, port, _ = served
    assert get(port, "/", "POST")[0] == 405
    assert get(port, "/", Host="evil.example")[0] == 421
    assert get(port, "/", Host="localhost")[0] == 200
    for sent, answer in ((b"nonsense\r\n\r\n", b" 400 "), (b"GET / HTTP/1.1\r\nA: " + b"x" * 20000, b" 431 ")):
        with socket.create_connection(("127.0.0.1", port), 20) as s:
            s.sendall(sent)
            assert answer in s.recv(1000)


def test_a_client_that_leaves(served):
    _, port, _ = served
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), 20) as s:
            s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
    assert get(port)[0] == 200


def test_loopback_and_errors(project):
    p = project(FILES)
    p.run("docs serve").fails(2).says("docs generate")
    p.run("docs generate").ok()
    p.run("docs serve --host nowhere").fails(2).says("no address of this machine")
    p.run("docs serve --port 70000").fails(2).says("port")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        p.run(f"docs serve --port {taken.getsockname()[1]}").fails(2).says("cannot listen")
