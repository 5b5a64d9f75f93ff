"""Measures a dex-lua against psql on a server of its own. Called by run.sh, which explains the settings."""

import os
import platform
import shutil
import signal
import sys
import tempfile

import sections
from server import Server
from table import Table


def main(available=sections.ALL):
    """Runs the sections that BENCH_ONLY names, or all that are there."""
    binary = sys.argv[1]
    only = os.environ.get("BENCH_ONLY", "").split()
    wanted = [section for section in available if not only or section.__name__ in only]
    if not wanted:
        return
    rounds = int(os.environ.get("BENCH_ROUNDS", "5"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped
    folder = tempfile.mkdtemp(prefix="dex-bench-")
    os.chmod(folder, 0o755)  # the server runs as another user when this is root
    server = None
    try:
        server = Server(folder)
        version = server.psql("show server_version").stdout.strip()
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.system()} {platform.machine()}, "
              f"PostgreSQL {version} without fsync; medians of {rounds} rounds", flush=True)
        table = Table()
        for section in wanted:
            section(sections.Bench(binary, server, folder, rounds), table)
        table.notes()
    finally:
        if server:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
