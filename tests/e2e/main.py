"""Runs tests of the program as a whole: main.py [--binary FILE] [--golden] [PYTEST ARGUMENT...]

The last line is "N passed, N failed" and the status 1 when anything failed. --golden writes the golden files anew
instead of comparing with them: read what changed before you commit it. Everything else is pytest's, such as -m san,
-k WORDS, -x, files and folders (default: tests/e2e).
"""
import os
import signal
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))


class Count:
    """How many tests passed and failed; a test whose end fails has failed."""

    def __init__(self):
        self.passed = set()
        self.failed = set()

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid)


def take(args, name):
    """Takes `name VALUE` or `name=VALUE` out of args."""
    for i, word in enumerate(args):
        if word == name:
            value = args[i + 1]
            del args[i:i + 2]
            return value
        if word.startswith(name + "="):
            del args[i]
            return word[len(name) + 1:]
    return None


def main(args):
    def on_term(number, frame):
        raise KeyboardInterrupt  # so that fixtures stop what they started

    signal.signal(signal.SIGTERM, on_term)
    binary = take(args, "--binary") or os.path.join(HERE, "../../build/release/dex-lua")
    os.environ["DEX_TEST_BINARY"] = os.path.abspath(binary)
    if "--golden" in args:
        args.remove("--golden")
        os.environ["DEX_TEST_GOLDEN"] = "write"
    sys.path.insert(0, HERE)
    if not any(os.path.exists(word.split("::")[0]) for word in args if not word.startswith("-")):
        args.append(HERE)
    count = Count()
    status = pytest.main(["-q", "--tb=short", "--no-header", "-p", "no:cacheprovider", "--strict-markers",
                          "--rootdir", os.path.dirname(HERE), *args], plugins=[count])
    failed = len(count.failed)
    if status not in (0, 1) and failed == 0:
        print(f"pytest ended with status {int(status)}")
        failed = 1
    print(f"{len(count.passed - count.failed)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
