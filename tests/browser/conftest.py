"""The browser's tests use the fixtures of the end-to-end tests, and a Chromium without a window."""
import os
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "e2e"))
from fixtures import *  # noqa: E402,F401,F403
from fixtures import pytest_configure  # noqa: E402,F401
from serving import Served  # noqa: E402
from window import Window, axe_source, chromium, start  # noqa: E402


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
    program = chromium()
    assert program, "there is no Chromium: tests/deps.sh browser installs it"
    with tempfile.TemporaryDirectory(prefix="dexbrowser") as folder:
        yield Browser(program, folder)


@pytest.fixture(scope="session")
def driver():
    """The Chromium of all windows."""
    one = start()
    yield one
    one.quit()


@pytest.fixture(scope="session")
def axe():
    return axe_source()


@pytest.fixture
def window(driver):
    """window(served) opens a window that knows no token yet. Every window must end without a complaint."""
    first = driver.current_window_handle
    made = []

    def make(served):
        driver.switch_to.new_window("tab")
        made.append(Window(driver, driver.current_window_handle, served))
        made[-1].size(1360, 900)
        return made[-1]

    yield make
    complaints = []
    for one in made:
        complaints += one.complaints()
        if driver.current_url.startswith("http"):
            driver.execute_script("localStorage.clear()")
        driver.close()
    driver.switch_to.window(first)
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def serve(project):
    """serve(files or project, ...) starts a server that ends with the test."""
    running = []

    def make(what, *arguments, **options):
        one = Served(project(what) if isinstance(what, dict) else what, *arguments, **options)
        running.append(one)
        return one

    yield make
    for one in running:
        assert one.stop() == 0
