"""A PostgreSQL of the benchmark's own: made, started and stopped by it, reached through a Unix socket only."""

import glob
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

PORT = 5432


def bin_dir():
    """The folder of the server's programs, the newest version first."""
    found = shutil.which("postgres")
    places = [os.path.dirname(found)] if found else []
    versions = glob.glob("/usr/lib/postgresql/*/bin") + glob.glob("/usr/pgsql-*/bin")
    places += sorted(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path)], reverse=True)
    for place in places:
        if os.path.exists(os.path.join(place, "initdb")):
            return place
    raise SystemExit("bench: no PostgreSQL server was found: `make deps` installs one")


def unprivileged():
    """As root: the user that the server runs as, for PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SystemExit("bench: root needs a user postgres or nobody to run the server")


class Server:
    """Durable writing is off: what is measured is the work of both sides, not one disk's waits."""

    def __init__(self, folder):
        self.bin = bin_dir()
        beside = os.path.join(self.bin, "psql")
        self.client = beside if os.path.exists(beside) else shutil.which("psql")
        if not self.client:
            raise SystemExit("bench: there is no psql: `make deps` installs it")
        self.data = os.path.join(folder, "data")
        self.socket_dir = os.path.join(folder, "socket")
        self.log = os.path.join(folder, "server.log")
        self.user = unprivileged()
        os.mkdir(self.socket_dir, 0o700)
        if self.user:
            os.chown(self.socket_dir, self.user.pw_uid, self.user.pw_gid)
        self.identity = {}
        if self.user:
            self.identity = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        self.initdb(self.data)
        settings = ["listen_addresses=", f"unix_socket_directories={self.socket_dir}", f"port={PORT}", "fsync=off",
                    "synchronous_commit=off", "full_page_writes=off", "max_connections=50", "shared_buffers=256MB",
                    "max_wal_size=4GB", "autovacuum=off", "log_line_prefix=%c "]
        command = [os.path.join(self.bin, "postgres"), "-D", self.data]
        for setting in settings:
            command += ["-c", setting]
        self.log_file = open(self.log, "wb")
        self.process = subprocess.Popen(command, stdout=self.log_file, stderr=self.log_file, cwd="/",
                                        **self.identity)
        self.wait()

    def initdb(self, path):
        """Makes the data of a server in a new folder; gives the seconds that it took."""
        shutil.rmtree(path, ignore_errors=True)
        os.mkdir(path, 0o700)
        if self.user:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)
        command = [os.path.join(self.bin, "initdb"), "-D", path, "-U", "bench", "-A", "trust", "-N", "--locale=C",
                   "--encoding=UTF8"]
        started = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self.identity)
        return time.perf_counter() - started

    def wait(self):
        """Until the server answers; its log is shown when it does not."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(os.path.join(self.socket_dir, f".s.PGSQL.{PORT}"))
                if self.psql("select 1", check=False).returncode == 0:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        with open(self.log, errors="replace") as log:
            raise SystemExit("bench: the server does not start\n" + log.read())

    def env(self):
        return dict(os.environ, PGHOST=self.socket_dir, PGPORT=str(PORT), PGUSER="bench", PGDATABASE="postgres",
                    PGOPTIONS="-c client_min_messages=warning")

    def psql_command(self, *arguments):
        return [self.client, "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments]

    def psql(self, sql, check=True):
        return subprocess.run(self.psql_command("-A", "-t", "-c", sql), env=self.env(), check=check,
                              capture_output=True, text=True)

    def recorded(self, action):
        """The statements that `action` sends, by session, in the order of the sessions' beginnings."""
        self.psql("alter system set log_statement = 'all'")
        self.psql("select pg_reload_conf()")
        self.psql("select pg_sleep(0.2)")  # the postmaster tells its children
        start = os.path.getsize(self.log)
        action()
        self.psql("alter system reset log_statement")
        self.psql("select pg_reload_conf()")
        with open(self.log, encoding="utf-8") as log:
            log.seek(start)
            return statements(log.read())

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log_file.close()


def statements(log):
    """Session -> list of SQL texts; bound parameters are put in where $1, $2, ... stand."""
    sessions = {}
    entry = re.compile(r"^(\S+\.\S+) (LOG|DETAIL):  (.*)$")
    last = None
    for line in log.split("\n"):
        match = entry.match(line)
        if not match:
            if line.startswith("\t") and last is not None:
                sessions[last][-1] += "\n" + line[1:]
            else:
                last = None
            continue
        session, kind, text = match.groups()
        last = None
        statement = re.match(r"(?:statement|execute [^:]*): (.*)$", text)
        if kind == "LOG" and statement:
            sessions.setdefault(session, []).append(statement.group(1))
            last = session
        elif kind == "DETAIL" and text.startswith("parameters: ") and session in sessions:
            values = dict(re.findall(r"(\$\d+) = ('(?:[^']|'')*'|NULL)", text))
            sql = sessions[session]
            sql[-1] = re.sub(r"\$\d+", lambda m: values.get(m.group(0), m.group(0)), sql[-1])
    return sessions
