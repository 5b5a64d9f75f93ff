"""Fixtures of the end-to-end tests: `postgres` a server for the session, `db` a fresh database, `project(files)`
makes a project on it. Every test ends with the same audit: no connection, no process, no file half written is left.
"""
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import pytest

from postgres import Server
from program import BINARY, Project, check_processes


def pytest_configure(config):
    config.addinivalue_line("markers", "san: runs with sanitizers, too")


@pytest.fixture(scope="session")
def postgres():
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is not there: build it, or name it with --binary", 2)
    server = Server()
    yield server
    server.remove()


@pytest.fixture
def db(postgres):
    database = postgres.database()
    yield database
    database.drop()


@pytest.fixture
def scratch():
    """A folder with a short name, which other users may enter."""
    folder = tempfile.mkdtemp(prefix="dexe2e", dir="/tmp")
    os.chmod(folder, 0o755)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def project(scratch, db):
    """project(files, threads=4, profile=True) writes a project. The first one of a test is the audited one."""
    made = []
    mark = str(uuid.uuid4())

    def make(files=None, threads=4, profile=True):
        one = Project(scratch / str(len(made) + 1), db, mark, threads, profile)
        made.append(one)
        return one.write(files or {})

    yield make
    left = check_processes(mark)
    assert not left, "processes are left: " + ", ".join(left)
    for one in made:
        assert not one.leftovers(), "files are left: " + ", ".join(one.leftovers())
    try:
        db.wait_for_nobody()
    except AssertionError:
        raise AssertionError("connections are left: " + "; ".join(db.connections())) from None


@pytest.fixture
def run(project):
    """run(files, command): a project and one command of it."""

    def make(files, *args, **options):
        return project(files).run(*args, **options)

    return make
