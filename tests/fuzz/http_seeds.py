"""http_seeds.py FOLDER: writes what the fuzzer of the HTTP surface begins with into a folder: requests of every kind,
each as the bytes of a connection. Prints how many there are."""

import json
import pathlib
import sys

TOKEN = "f" * 64  # of tests/fuzz/http.lua
RUN = "00000000-0000-4000-8000-000000000000"
GETS = ["/api/status", "/api/runs", "/api/runs?kind=flow&name=f&status=queued&limit=2&before=9", f"/api/runs/{RUN}",
        f"/api/runs/{RUN}/log?after=1&task=t&limit=3", "/api/events?after=0", f"/api/events?run={RUN}", "/api/lineage",
        "/api/lineage?select=%2Ba+tag:x&exclude=b", "/api/nodes/model.shop.a", "/api/nodes/model.shop.a/runs?limit=1",
        "/api/nodes/model.shop.a/preview?limit=1", "/api/operations", "/api/operations/o", "/api/flows", "/api/flows/f",
        "/api/history/durations?node=model.shop.a", "/api/history/slowest?kind=hook&days=3", "/api/history/failures",
        "/api/audit?limit=1&before=3", "/api/openapi.json", "/", "/runs/x", "/static/a/b", "/favicon.ico"]
POSTS = [(f"/api/runs/{RUN}/cancel", {}), (f"/api/runs/{RUN}/rerun", {"from": "failure", "tasks": ["t"]}),
         (f"/api/runs/{RUN}/tasks/t/mark", {"status": "skipped"}), ("/api/flows/f/pause", {}),
         ("/api/flows/f/resume", {}), ("/api/flows/f/runs", {"parameters": {"p": "x"}}),
         ("/api/operations/o/runs", {"parameters": {"n": 1}, "confirm": True, "dry_run": False}),
         ("/api/builds", {"command": "run", "select": ["a", "b+"], "exclude": "c", "full_refresh": True,
                          "vars": {"a": [1, 2.5, None]}})]


def request(method, path, body=b"", more=""):
    length = f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n" if body else ""
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{length}{more}\r\n"
            .encode() + body)


seeds = [request("GET", path) for path in GETS]
seeds += [request("POST", path, json.dumps(body).encode()) for path, body in POSTS]
seeds += [request("HEAD", "/api/runs"), request("OPTIONS", "/api/runs"), request("OPTIONS", "*"),
          request("GET", "/api/runs") + request("GET", "/api/status", more="Connection: close\r\n"),
          request("GET", "/api/events", more="Last-Event-ID: 3\r\n"),
          request("POST", "/api/builds", b"{}", "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n"),
          request("POST", "/api/builds", b"{}", "Expect: 100-continue\r\n"),
          b"GET http://localhost/api/status HTTP/1.0\r\n\r\n",
          b"POST / HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
for i, seed in enumerate(seeds):
    (folder / f"{i:03}").write_bytes(seed)
print(len(seeds))
