"""A `dex-lua serve` in tests: what it says is waited for, and the state that it shares with other processes is read."""
import contextlib
import os
import select
import signal
import sqlite3
import subprocess
import time

from program import SLOW

MINUTE, HOUR = 60, 3600


class Serve:
    """A server of a project. Its lines are read as they come."""

    def __init__(self, project, *args, command=("serve", "--no-page"), **options):
        self.project = project
        # what goes to standard error, too; a limit on the size of files is an error, not a signal
        both = ("sh", "-c", 'trap "" XFSZ; exec "$0" "$@" 2>&1')
        self.running = project.start(*command, *args, stdout=subprocess.PIPE, wrap=both, **options)
        self.process = self.running.process
        self.text = ""

    def wait_for(self, *texts, timeout=30):
        """Reads on until it has said each of the texts."""
        until = time.monotonic() + timeout * SLOW
        while not all(text in self.text for text in texts):
            left = until - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(left, 0))
            chunk = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            if not chunk:
                raise AssertionError(f"it does not say {texts}: {self.text}")
            self.text += chunk.decode()
        return self

    def stop(self, number=signal.SIGTERM, timeout=30):
        """Ends it; gives the result with all that it said."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.end(timeout)

    def end(self, timeout=30):
        """Waits for its end."""
        while chunk := os.read(self.process.stdout.fileno(), 65536):
            self.text += chunk.decode()
        self.process.stdout.close()
        result = self.running.finish(timeout)
        result.stdout = self.text
        return result


@contextlib.contextmanager
def serving(project, *args, **options):
    """A server that is ready; at the end it is stopped, and has to end well."""
    server = Serve(project, *args, **options)
    try:
        yield server.wait_for("project shop")
        server.stop().ok()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()


def state(project):
    connection = sqlite3.connect(project.path(".dex/state.db"), timeout=20)
    connection.row_factory = sqlite3.Row
    return connection


def rows(project, sql, *values):
    """Rows of the state."""
    with contextlib.closing(state(project)) as db:
        return [dict(row) for row in db.execute(sql, values)]


def runs(project, name=None):
    """The runs of flows, the oldest first, without those of sub-flows."""
    found = rows(project, "select * from runs where kind = 'flow' and parent_id is null order by seq")
    return [row for row in found if name in (None, row["name"])]


def ran_until(project, flow, at):
    """As if a server had run this flow for the last time at `at`, seconds since 1970."""
    if not project.exists(".dex/state.db"):
        project.run("compile").ok()
        project.run("run --select nothing_at_all")
    with contextlib.closing(state(project)) as db, db:
        db.execute("insert into claims (flow, scheduled_for, claimed_at) values (?, ?, ?)",
                   (flow, int(at) * 1000000, int(at) * 1000000))


def hours_ago(n):
    """The begin of an hour, in seconds since 1970; the next hour does not begin while a test runs."""
    if time.time() % HOUR > HOUR - 40:
        time.sleep(HOUR + 1 - time.time() % HOUR)
    return int(time.time()) // HOUR * HOUR - n * HOUR


def wait_until(condition, timeout=30):
    """Waits for something that another process does and that nobody tells."""
    until = time.monotonic() + timeout * SLOW
    while not (found := condition()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)
    return found
