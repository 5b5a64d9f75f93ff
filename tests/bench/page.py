"""The live page in a browser. Called by page.sh, which explains it."""

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "browser"))
from large import layered, measure  # noqa: E402

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))


class Served:
    """A server of a project without a database: the lineage needs none."""

    def __init__(self, binary, folder, count):
        files = {**layered(count), "dbt_project.yml": "name: bench\n"}
        for path, text in files.items():
            full = os.path.join(folder, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as file:
                file.write(text)
        self.process = subprocess.Popen([binary, "serve", "--no-schedules", "--listen", "127.0.0.1:0", "--project-dir",
                                         folder], text=True, stdout=subprocess.PIPE)
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
            if found:
                break
        self.port = int(found.group(1))
        with open(f"{folder}/.dex/token", encoding="ascii") as file:
            self.token = file.read().strip()

    def read(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}",
                                         headers={"Authorization": "Bearer " + self.token})
        with urllib.request.urlopen(request) as answer:
            return answer.read()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate()


def main():
    binary = os.path.abspath(sys.argv[1])
    try:
        from window import Window, chromium, start
    except ImportError:
        chromium = None
    if not chromium or not chromium() or not shutil.which("chromedriver"):
        print("the live page: left out, there is no Chromium that can be driven: tests/deps.sh browser installs it")
        return
    driver = start()
    try:
        for count, aim in (2000, 1000), (10000, None):
            with tempfile.TemporaryDirectory(prefix="dex-bench-") as folder:
                served = Served(binary, folder, count)
                served.read("/api/lineage")  # the project is read
                window = Window(driver, driver.current_window_handle, served)
                window.size(1360, 900)
                times = [measure(window) for _ in range(ROUNDS)]
                served.stop()
            ready, own, frame = (statistics.median(column) for column in zip(*times))
            goal = "" if aim is None else f", under {aim} ms" + ("" if ready < aim else "  MISSED")
            print(f"lineage of {count} nodes in Chromium: usable after {ready:.0f} ms{goal}; {own:.0f} ms of them the page's "
                  f"own, a frame while it is moved {frame:.0f} ms", flush=True)
    finally:
        driver.quit()


if __name__ == "__main__":
    main()
