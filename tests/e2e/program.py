"""The program in tests: projects in folders of their own, and what a run of it gave."""
import functools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import textwrap
import time

from postgres import PASSWORD

BINARY = os.environ.get("DEX_TEST_BINARY", "")
SLOW = 6 if "san-" in BINARY else 1  # sanitizers make everything slower
MARK = "DEX_TEST_MARK"
# What a sanitizer or the engine itself says when something is wrong inside.
ALARMS = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error: |this is a defect of dex-lua|Assertion .* failed")


def words(args):
    """Arguments from one text as in a shell, or from a list."""
    if len(args) == 1 and isinstance(args[0], str):
        return shlex.split(args[0])
    return [str(a) for a in args]


class Result:
    """What one command gave."""

    def __init__(self, project, args, status, stdout, stderr):
        self.project = project
        self.args = args
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        alarm = ALARMS.search(stdout + stderr)
        assert not alarm, f"{alarm.group(0)}:\n{self}"

    def __str__(self):
        return f"$ dex-lua {' '.join(self.args)}\n{self.stdout}{self.stderr}status {self.status}"

    def ok(self):
        """The same, which has to be a success."""
        assert self.status == 0, f"status {self.status} instead of 0:\n{self}"
        return self

    def fails(self, status=1):
        """The same, which has to end with a status."""
        assert self.status == status, f"status {self.status} instead of {status}:\n{self}"
        return self

    def says(self, *texts):
        """The same, whose output has to hold the texts."""
        for text in texts:
            assert text in self.stdout + self.stderr, f"does not say '{text}':\n{self}"
        return self

    @functools.cached_property
    def run_results(self):
        return self.project.artifact("run_results")

    @property
    def results(self):
        """The results of run_results.json, in their order."""
        return self.run_results["results"]

    @functools.cached_property
    def hooks(self):
        """The records of hook_results.json, in their order."""
        return self.project.artifact("hook_results")["results"]

    @functools.cached_property
    def manifest(self):
        return self.project.artifact("manifest")

    @property
    def statuses(self):
        """Status by name; generic tests by the name that they have in dbt, without its hash."""
        return {name_of(r["unique_id"]): r["status"] for r in self.results}

    @property
    def order(self):
        """The names of the results in the order in which they ended."""
        return [name_of(r["unique_id"]) for r in self.results]

    def result(self, name):
        """One result by its name."""
        for r in self.results:
            if name_of(r["unique_id"]) == name:
                return r
        raise AssertionError(f"no result {name}: {self.order}")

    @property
    def events(self):
        """The lines of --log-format json."""
        return [json.loads(line) for line in self.stdout.splitlines()]


def name_of(unique_id):
    """orders of model.shop.orders and orders.v2 of model.shop.orders.v2; tests lose their hash."""
    kind, _, name = unique_id.split(".", 2)
    if kind == "test":
        name = re.sub(r"\.[0-9a-f]{10}$", "", name)
    return name


class Running:
    """A command that has not ended."""

    def __init__(self, project, args, process, files):
        self.project = project
        self.args = args
        self.process = process
        self.files = files

    def signal(self, number):
        self.process.send_signal(number)

    def finish(self, timeout=60):
        """Waits for its end and gives the result."""
        try:
            status = self.process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {timeout * SLOW} s:\n{self.output()}") from None
        return Result(self.project, self.args, status, *self.output())

    def output(self):
        """What it has written until now: standard output and standard error."""
        texts = []
        for path in self.files:
            with open(path, encoding="utf-8", errors="replace", newline="") as file:
                texts.append(file.read())
        return texts


class Project:
    """A project in a folder of its own, on a database of its own."""

    def __init__(self, folder, database, mark, threads=4, profile=True):
        self.dir = str(folder / "project")
        self.home = str(folder / "home")
        self.scratch = str(folder)
        self.db = database
        self.threads = threads
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home, "LC_ALL": "C.UTF-8", "TZ": "UTC", MARK: mark}
        for name in "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "ASAN_SYMBOLIZER_PATH":
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.runs = 0
        for path in self.dir, self.home:
            os.makedirs(path)
        self.write({"dbt_project.yml": "name: shop\nprofile: shop\n"})
        if profile:
            self.write({"profiles.yml": self.profile()})

    def profile(self, **settings):
        """The text of a profiles.yml; settings replace those of the output `dev`, None takes one out."""
        output = {"type": "postgres", "host": self.db.server.host, "port": self.db.server.port, "user": "postgres",
                  "password": PASSWORD, "dbname": self.db.name, "schema": "dev", "threads": self.threads}
        output.update(settings)
        lines = [f"      {key}: {json.dumps(value)}\n" for key, value in output.items() if value is not None]
        return "shop:\n  target: dev\n  outputs:\n    dev:\n" + "".join(lines)

    def write(self, files):
        """Writes files: path -> text, of which the common indent is taken away; None deletes."""
        for path, text in files.items():
            full = os.path.join(self.dir, path)
            if text is None:
                if os.path.isdir(full):
                    shutil.rmtree(full)
                else:
                    os.remove(full)
                continue
            os.makedirs(os.path.dirname(full), exist_ok=True)
            mode, encoding = ("wb", None) if isinstance(text, bytes) else ("w", "utf-8")
            with open(full, mode, encoding=encoding, newline=None if encoding is None else "") as file:
                file.write(text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n"))
        return self

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def exists(self, *parts):
        return os.path.exists(self.path(*parts))

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def artifact(self, name):
        with open(self.path("target", name + ".json"), encoding="utf-8") as file:
            return json.load(file)

    def start(self, *args, env=None, cwd=None, stdin=subprocess.DEVNULL, stdout=None, user=None, wrap=()):
        """Starts a command and goes on. `wrap` are words before the program's name; `user` Popen's arguments."""
        args = words(args)
        self.runs += 1
        files = [f"{self.scratch}/{self.runs}.out", f"{self.scratch}/{self.runs}.err"]
        with open(files[0], "wb") as out, open(files[1], "wb") as err:
            process = subprocess.Popen([*wrap, BINARY, *args], cwd=cwd or self.dir, stdin=stdin, stdout=stdout or out,
                                       stderr=err, env={**self.env, **(env or {})}, start_new_session=True,
                                       **(user or {}))
        return Running(self, args, process, files)

    def run(self, *args, timeout=60, input=None, **options):
        """Runs a command to its end; `input` is its standard input."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        running = self.start(*args, **options)
        if input is not None:
            with running.process.stdin as stdin:
                stdin.write(input.encode())
        return running.finish(timeout)

    # The audit ----------------------------------------------------------------------------------------

    def leftovers(self):
        """What a command must not leave behind: files half written, and the server of a project."""
        found = []
        for folder, folders, files in os.walk(self.scratch):
            if folder.endswith("/.dex/pg"):
                folders[:] = []
                continue
            found += [os.path.join(folder, name) for name in files if name.endswith(".tmp")]
        return found


def processes_with(mark):
    """`pid command` of all processes that a test's commands have started and that are still there."""
    found = []
    needle = f"{MARK}={mark}".encode()
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as file:
                if needle not in file.read().split(b"\0"):
                    continue
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                found.append((int(entry), file.read().replace(b"\0", b" ").decode(errors="replace").strip()))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def check_processes(mark, seconds=5):
    """Fails when a process is left; those that are about to end get a moment. They are ended."""
    until = time.monotonic() + seconds
    while (left := processes_with(mark)) and time.monotonic() < until:
        time.sleep(0.02)
    for pid, _ in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    return [f"{pid} {command}" for pid, command in left]
