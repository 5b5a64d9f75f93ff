"""The browser's tests use the fixtures of the end-to-end tests, and a Chromium without a window."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
from fixtures import *  # noqa: E402,F401,F403
from fixtures import pytest_configure  # noqa: E402,F401


class Browser:
    """Shows one page after the other and gives what it has become."""

    def __init__(self, program, folder):
        self.start = [program, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}",
                      "--virtual-time-budget=5000"]

    def dom(self, path, fragment=""):
        """The document of a file, after its scripts have run."""
        done = subprocess.run([*self.start, "--dump-dom", f"file://{path}{fragment}"], capture_output=True, text=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def browser():
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "there is no Chromium: tests/deps.sh browser installs it"
    with tempfile.TemporaryDirectory(prefix="dexbrowser") as folder:
        yield Browser(program, folder)
