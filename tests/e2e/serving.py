"""`dex-lua serve` in tests: the server of a project, and requests to it."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess

import jsonschema
import pytest

TIMEOUT = 60


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def ok(self, status=200):
        assert self.status == status, f"{self.status} instead of {status}: {self.body[:2000]}"
        return self.json if self.body else None


class Document:
    """The OpenAPI document, against which every answer of the API is checked."""

    def __init__(self, document):
        self.document = document
        self.seen = set()  # routes that were asked: "GET /api/runs"
        self.routes = [(method.upper(), path, re.compile(re.sub(r"{\w+}", "[^/]+", path) + "$"))
                       for path, methods in document["paths"].items() for method in methods]

    def check(self, method, path, answer):
        path = path.partition("?")[0]
        for known, template, pattern in self.routes:
            if known == ("GET" if method == "HEAD" else method) and pattern.match(path):
                break
        else:
            return
        self.seen.add(f"{known} {template}")
        responses = self.document["paths"][template][known.lower()]["responses"]
        schema = responses.get(str(answer.status), responses["default"])["content"].get("application/json")
        if schema and answer.body and answer.headers["Content-Type"] == "application/json":
            schema = {**schema["schema"], "components": self.document["components"]}
            jsonschema.Draft202012Validator(schema).validate(answer.json)
            assert answer.status < 400 or "error" in answer.json


class Served:
    """A server that runs; `token` is the owner's."""

    def __init__(self, project, *args, port=0, wrap=()):
        self.project = project
        self.running = project.start("serve", "--listen", f"127.0.0.1:{port}", "--no-schedules", *args,
                                     stdout=subprocess.PIPE, wrap=wrap)
        said = []
        for line in self.running.process.stdout:
            said.append(line.decode())
            found = re.search(r"http://127\.0\.0\.1:(\d+)", said[-1])
            if found:
                break
        else:
            raise AssertionError("the server does not say where it listens:\n" + "".join(said) + self.running.output()[1])
        self.port = int(found.group(1))
        self.token = project.read(".dex/token").strip()
        self.document = None
        self.document = Document(self.get("/api/openapi.json").json)

    def ask(self, method, path, body=None, token=None, headers=None):
        """One request on a connection of its own; `body` is sent as JSON unless it is bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        fields = {"Authorization": f"Bearer {self.token if token is None else token}"} if token != "" else {}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            fields["Content-Type"] = "application/json"
        fields.update(headers or {})
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        if self.document and path.startswith("/api/"):
            self.document.check(method, path, answer)
        return answer

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.ask("POST", path, {} if body is None else body, **options)

    def raw(self, data=b"", timeout=TIMEOUT):
        """A socket on which the bytes were sent."""
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        s.sendall(data)
        return s

    def exchange(self, data):
        """Sends bytes and gives all that comes until the server closes."""
        with self.raw(data) as s:
            return read_all(s)

    def is_open(self, s):
        """Whether the server still has its end of a socket."""
        ours, inodes = s.getsockname()[1], set()
        with open("/proc/net/tcp") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if int(fields[1].split(":")[1], 16) == self.port and int(fields[2].split(":")[1], 16) == ours:
                    inodes.add(f"socket:[{fields[9]}]")
        fds = f"/proc/{self.running.process.pid}/fd"
        for fd in os.listdir(fds):
            try:
                if os.readlink(f"{fds}/{fd}") in inodes:
                    return True
            except FileNotFoundError:
                continue
        return False

    def stop(self):
        if self.running.process.poll() is None:
            self.running.signal(signal.SIGTERM)
        result = self.running.process.wait(TIMEOUT)
        self.running.process.stdout.close()
        return result


def read_all(s):
    parts = []
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


class Events:
    """A stream of server-sent events."""

    def __init__(self, served, path="/api/events", last=None, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=TIMEOUT)
        fields = {"Authorization": f"Bearer {token or served.token}"}
        if last is not None:
            fields["Last-Event-ID"] = str(last)
        self.connection.request("GET", path, headers=fields)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()

    def next(self):
        """The next event: its id, kind and data."""
        fields = {}
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if line == "" and "data" in fields:
                return int(fields["id"]), fields["event"], json.loads(fields["data"])
            name, colon, text = line.partition(":")
            if name and colon:
                fields[name] = text.strip()

    def until(self, wanted):
        """All events up to the first one for which wanted(kind, data) holds."""
        found = []
        while True:
            found.append(self.next())
            if wanted(found[-1][1], found[-1][2]):
                return found

    def close(self):
        self.connection.close()


@pytest.fixture
def serve(project):
    """serve(files, *options) starts a server on a project; it has to end well."""
    made = []

    def start(files, *args, prepare=None, **options):
        p = project(files, **options)
        if prepare:
            p.run(prepare).ok()
        made.append(Served(p, *args))
        return made[-1]

    yield start
    for served in made:
        assert served.stop() == 0
