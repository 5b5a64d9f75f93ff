"""A PostgreSQL server for a session of tests, and a database for each test."""
import ctypes
import glob
import os
import pwd
import queue
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

PASSWORD = "correct-horse"  # of the user postgres, over TCP
SPARE = 3  # databases
CLEAN = """
select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid();
do $$ declare name text; begin
  for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
    execute format('drop schema %I cascade', name);
  end loop;
end $$;
create schema public;
grant usage on schema public to public;
"""


def find_programs():
    """The folder of initdb and postgres."""
    found = shutil.which("initdb")
    places = [os.path.dirname(os.path.realpath(found))] if found else []
    places += sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)
    places += sorted(glob.glob("/usr/pgsql-*/bin") + glob.glob("/opt/homebrew/opt/postgresql*/bin"), reverse=True)
    for place in places:
        if os.path.exists(os.path.join(place, "postgres")):
            return place
    raise RuntimeError("there is no PostgreSQL server: `make deps` installs it")


def unprivileged():
    """Arguments of Popen that make root's child an ordinary user's; none when we are no root."""
    if os.getuid() != 0:
        return {}
    for name in "postgres", "nobody":
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("no user postgres and no user nobody: PostgreSQL does not run as root")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def die_with_parent():
    """In a child on Linux: whatever becomes of the tests, the server goes with them."""
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)
    except (OSError, AttributeError):
        pass


class Server:
    """PostgreSQL on a socket, where everybody is trusted, and on a TCP port, where a password is asked for."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="dexpg", dir="/tmp")
        self.data = self.root + "/data"
        self.host = self.root  # the socket's folder
        self.port = free_port()
        self.programs = find_programs()
        beside = self.programs + "/psql"  # without Debian's wrapper, which takes its time
        self.psql_program = beside if os.path.exists(beside) else "psql"
        self.process = None
        self.log = []
        self.count = 0
        self.spare = queue.Queue()  # empty databases
        self.errands = queue.Queue()  # for the thread: databases to clean, None for a new one
        self.who = unprivileged()
        if self.who:
            os.chown(self.root, self.who["user"], self.who["group"])
        os.chmod(self.root, 0o755)
        self._initialise()
        self.start()
        self.thread = threading.Thread(target=self._run_errands, daemon=True)
        self.thread.start()
        for _ in range(SPARE):
            self.errands.put(None)

    def _spawn(self, args, **more):
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": self.root}
        return subprocess.Popen(args, stdin=subprocess.DEVNULL, cwd=self.root, env=env, start_new_session=True,
                                preexec_fn=die_with_parent, text=True, errors="replace", **self.who, **more)

    def _initialise(self):
        secret = self.root + "/password"
        with open(secret, "w", encoding="utf-8") as file:
            file.write(PASSWORD + "\n")
        os.chmod(secret, 0o644)
        child = self._spawn([self.programs + "/initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--no-locale",
                             "-N", "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", secret],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        output, _ = child.communicate(timeout=120)
        if child.returncode != 0:
            raise RuntimeError("initdb failed:\n" + output)

    def start(self):
        """Starts it and returns when it takes connections."""
        settings = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "max_connections=100",
                    "shared_buffers=64MB", "autovacuum=off", "jit=off", "wal_level=minimal", "max_wal_senders=0"]
        args = [self.programs + "/postgres", "-D", self.data, "-k", self.root, "-h", "127.0.0.1", "-p", str(self.port)]
        for setting in settings:
            args += ["-c", setting]
        self.process = self._spawn(args, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        ready = threading.Event()
        threading.Thread(target=self._listen, args=(self.process.stderr, ready), daemon=True).start()
        if not ready.wait(60) or self.process.poll() is not None:
            raise RuntimeError("PostgreSQL did not start:\n" + "".join(self.log))

    def _listen(self, stream, ready):
        for line in stream:
            self.log.append(line)
            del self.log[:-2000]
            if "ready to accept connections" in line:
                ready.set()
        stream.close()
        ready.set()

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast shutdown; SIGQUIT: as if it had crashed."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def remove(self):
        self.errands.put(self)
        self.thread.join(60)
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.root, ignore_errors=True)

    def psql(self, query, dbname="postgres", check=True):
        """Runs SQL, each statement for itself. Gives the completed process."""
        done = subprocess.run([self.psql_program, "-XAtq", "-v", "ON_ERROR_STOP=1", "-P", "null=NULL", "-h", self.host, "-p",
                               str(self.port), "-U", "postgres", "-d", dbname], input=query, text=True, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PGCLIENTENCODING": "UTF8"},
                              check=False)
        if check and done.returncode != 0:
            raise AssertionError(f"psql: {done.stderr}in: {query}")
        return done

    # Making and dropping a database takes longer than most tests: they are cleaned and used again, by a thread.

    def _run_errands(self):
        while (errand := self.errands.get()) is not self:
            if errand is not None and self.psql(CLEAN, errand.name, check=False).returncode == 0:
                self.spare.put(errand)
                continue
            self.count += 1
            name = f"e2e_{self.count}"
            done = self.psql(f"create database {name}", check=False)
            self.spare.put(Database(self, name) if done.returncode == 0 else RuntimeError(done.stderr))

    def database(self):
        """An empty database."""
        database = self.spare.get(timeout=120)
        if isinstance(database, RuntimeError):
            raise database
        return database


class Database:
    """A database of a test."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.roles = []

    def sql(self, query):
        """Runs SQL and gives its output: lines of cells with | between them."""
        return self.server.psql(query, self.name).stdout.rstrip("\n")

    def rows(self, query):
        """The rows of a query, each as `a|b`; NULL is NULL."""
        output = self.sql(query)
        return output.split("\n") if output else []

    def role(self, name):
        """A role, for as long as the test lasts."""
        self.server.psql(f"create role {name}")
        self.roles.append(name)
        return name

    def relations(self, schema="dev"):
        """`name kind` of all relations of a schema, sorted."""
        return self.rows("select c.relname || ' ' || case c.relkind when 'r' then 'table' when 'v' then 'view' when 'm' "
                         "then 'materialized view' else c.relkind::text end from pg_class c join pg_namespace n on "
                         f"n.oid = c.relnamespace where n.nspname = '{schema}' and c.relkind in ('r', 'v', 'm') "
                         "order by 1")

    def wait(self, condition, what=None, seconds=30):
        """Returns when a condition in SQL has come true; it is asked on the server."""
        self.sql("do $wait$ begin\n"
                 f"for i in 1..{int(seconds * 100)} loop\n"
                 "  perform pg_stat_clear_snapshot();\n"
                 f"  if ({condition}) then return; end if;\n"
                 "  perform pg_sleep(0.01);\n"
                 "end loop;\n"
                 f"raise exception 'never came true: %', $what${what or condition}$what$;\n"
                 "end $wait$;")

    def wait_for_query(self, text, count=1):
        """Returns when that many statements with a text are running."""
        text = text.replace("'", "''")
        self.wait("select count(*) >= %d from pg_stat_activity where datname = current_database() and state = 'active' "
                  "and pid <> pg_backend_pid() and query like '%%%s%%'" % (count, text), f"running: {text}")

    def wait_for_nobody(self, seconds=10):
        """Returns when no connection but psql's own is left."""
        self.wait("select count(*) = 0 from pg_stat_activity where datname = current_database() and pid <> "
                  "pg_backend_pid()", "no connection is left", seconds)

    def connections(self):
        return self.rows("select application_name || ' ' || coalesce(state, '') || ' ' || query from pg_stat_activity "
                         "where datname = current_database() and pid <> pg_backend_pid()")

    def drop(self):
        """Gives it back. Nothing of it is there for the next test."""
        if not self.roles:
            self.server.errands.put(self)
            return
        # roles belong to all databases, and the next test may want the same
        self.server.psql(f"drop database {self.name} with (force);" + "".join(f"drop role {r};" for r in self.roles))
        self.server.errands.put(None)
