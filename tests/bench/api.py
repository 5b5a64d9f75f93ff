"""The server of the live page under load. Called by api.sh, which explains it."""

import collections
import json
import os
import re
import resource
import selectors
import signal
import socket
import subprocess
import time

import main as bench_main

MODELS, VIEWERS, RATE, SECONDS, CONNECTIONS = 1000, 500, 1000, 5, 16


class Served:
    """A server of a project; its token is the owner's."""

    def __init__(self, bench, path):
        env = {key: v for key, v in os.environ.items() if not key.startswith(("DBT_", "DEX_", "PG"))}
        self.process = subprocess.Popen([bench.binary, "serve", "--no-schedules", "--listen", "127.0.0.1:0",
                                         "--project-dir", path, "--profiles-dir", path], env=env,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for line in self.process.stdout:
            found = re.search(rb"http://127\.0\.0\.1:(\d+)", line)
            if found:
                break
        self.port = int(found.group(1))
        with open(f"{path}/.dex/token", encoding="utf-8") as file:
            self.token = file.read().strip()

    def head(self, path, more=""):
        return (f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n{more}\r\n").encode()

    def get(self, path):
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            s.sendall(self.head(path, "Connection: close\r\n"))
            parts = []
            while part := s.recv(65536):
                parts.append(part)
        return json.loads(b"".join(parts).split(b"\r\n\r\n", 1)[1])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s*(\d+)", file.read()).group(1)) * 1024

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.process.stdout.close()


def models(bench, name):
    files = {f"models/m{i:04}.sql": "select 1 as n" for i in range(MODELS)}
    return bench.project(name, files)


def load(served, paths):
    """Requests at their times, whether or not earlier ones are answered: late answers make later ones late, too."""
    requests = [served.head(path) for path in paths]
    selector, idle, waiting, open_ones, taken = selectors.DefaultSelector(), [], collections.deque(), {}, []
    for _ in range(CONNECTIONS):
        idle.append(socket.create_connection(("127.0.0.1", served.port)))
        selector.register(idle[-1], selectors.EVENT_READ)
    start, sent, total = time.perf_counter() + 0.1, 0, RATE * SECONDS
    while len(taken) < total:
        while sent < total and start + sent / RATE <= time.perf_counter():
            waiting.append((start + sent / RATE, requests[sent % len(requests)]))
            sent += 1
        while idle and waiting:
            s, (due, request) = idle.pop(), waiting.popleft()
            open_ones[s] = [due, b""]
            s.sendall(request)
        pause = max(0, start + sent / RATE - time.perf_counter()) if sent < total else 1
        for key, _ in selector.select(pause):
            one = open_ones[key.fileobj]
            one[1] += key.fileobj.recv(262144)
            head, end, body = one[1].partition(b"\r\n\r\n")
            if end and len(body) == int(re.search(rb"Content-Length: (\d+)", head).group(1)):
                assert head.startswith(b"HTTP/1.1 200 "), head
                taken.append(time.perf_counter() - one[0])
                idle.append(key.fileobj)
    for s in idle:
        s.close()
    taken.sort()
    return taken[len(taken) * 99 // 100]


def latency(bench, table):
    path = bench.project("latency", {f"models/m{i:02}.sql": "select 1 as n" for i in range(50)})
    for _ in range(20):
        bench.dex("run", "--project-dir", path, "--profiles-dir", path)
    served = Served(bench, path)
    run = served.get("/api/runs")["items"][0]["id"]
    paths = ["/api/status", "/api/runs?limit=20", f"/api/runs/{run}", "/api/nodes/model.bench.m07/runs",
             "/api/history/slowest?kind=node", "/api/openapi.json"]
    taken = [load(served, paths) for _ in range(bench.rounds)]
    served.stop()
    table.row(f"p99 of the API at {RATE} requests/s", taken, None, "within 10 ms", lambda mine, _: mine <= 0.01)


def watch(served, after, ready, report):
    """500 viewers in a process of their own. Each has to see every event after `after`, once."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    os.nice(10)
    selector, viewers = selectors.DefaultSelector(), {}
    for _ in range(VIEWERS):
        s = socket.create_connection(("127.0.0.1", served.port))
        s.sendall(served.head(f"/api/events?after={after}"))
        s.setblocking(False)
        selector.register(s, selectors.EVENT_READ)
        viewers[s] = [0, b""]
    os.write(ready, b"x")
    last = None
    while True:
        for key, _ in selector.select(1):
            seen = viewers[key.fileobj]
            data = seen[1] + key.fileobj.recv(262144)
            whole, _, seen[1] = data.rpartition(b"\n")
            seen[0] += whole.count(b"\nevent: ") + whole.startswith(b"event: ")
            seen[1] = b"\n" + seen[1] if whole else seen[1]
        if os.path.exists(report + ".last"):
            with open(report + ".last", encoding="utf-8") as file:
                last = int(file.read())
        if last and all(seen[0] >= last - after for seen in viewers.values()):
            break
    with open(report, "w", encoding="utf-8") as file:
        json.dump([seen[0] for seen in viewers.values()], file)


def run(bench, path):
    """Seconds of the processor that a run of all models takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    bench.dex("run", "--project-dir", path, "--profiles-dir", path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def viewers(bench, table):
    path = models(bench, "viewers")
    served = Served(bench, path)
    run(bench, path)
    alone, watched, fanned = [], [], []
    for i in range(bench.rounds):
        alone.append(run(bench, path))
        after = served.get("/api/status")["last_event_id"]
        report = f"{path}/seen{i}"
        readable, ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                watch(served, after, ready, report)
            finally:
                os._exit(0)
        os.read(readable, 1)
        before = served.cpu()
        watched.append(run(bench, path))
        last = served.get("/api/status")["last_event_id"]
        with open(report + ".new", "w", encoding="utf-8") as file:
            file.write(str(last))
        os.rename(report + ".new", report + ".last")
        os.waitpid(pid, 0)
        fanned.append(served.cpu() - before)
        os.close(readable)
        os.close(ready)
        with open(report, encoding="utf-8") as file:
            seen = json.load(file)
        if set(seen) != {last - after}:
            raise SystemExit(f"bench: of {last - after} events viewers saw {sorted(set(seen))}")
    print(f"{'':4}{VIEWERS} viewers saw each of {last - after} events; the server took {min(fanned):.2f} s for it")
    served.stop()
    table.row(f"run of {MODELS} models, {VIEWERS} viewers (CPU)", watched, alone, "within 1.05",
              lambda mine, theirs: mine <= 1.05 * theirs, "the same run with nobody watching")


def idle(bench, table):
    path = models(bench, "idle")
    served = Served(bench, path)
    taken = served.memory()
    served.stop()
    print(f"{'an idle server, ' + str(MODELS) + ' models':44}{taken / 1e6:7.1f} MB{'':17}  within 30 MB"
          f"{'' if taken <= 30e6 else '  MISSED'}", flush=True)


if __name__ == "__main__":
    bench_main.main([latency, viewers, idle])
