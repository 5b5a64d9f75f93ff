"""Runs tests of the program as a whole: main.py [--binary FILE] [--golden] [-j N] [PYTEST ARGUMENT...]

The last line is "N passed, N failed" and the status 1 when anything failed. --golden writes the golden files anew
instead of comparing with them: read what changed before you commit it. -j N processes share the files of tests, each
with a database server of its own; as many as there are processors when it is not given. Everything else is pytest's,
such as -m san, -k WORDS, -x, files and folders (default: tests/e2e).
"""
import fcntl
import glob
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUE = "DEX_TEST_QUEUE"  # a file with the number of the next group of tests, in processes that share them


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


class Share:
    """Runs the files of tests that no other process has taken."""

    def __init__(self, queue):
        self.queue = queue

    def take(self):
        with open(self.queue, "r+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            number = int(file.read())
            file.seek(0)
            file.write(str(number + 1))
        return number

    def items(self, session):
        groups = [list(items) for _, items in itertools.groupby(session.items, lambda item: item.fspath)]
        groups.sort(key=len, reverse=True)
        while (number := self.take()) < len(groups):
            yield from groups[number]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted("errors during collection")
        items = self.items(session)
        item = next(items, None)
        while item is not None:  # fixtures end when the next test has no use for them
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.shouldstop or session.shouldfail:
                raise session.Interrupted(session.shouldstop or session.shouldfail)
            item = following
        return True


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


def paths_of(args):
    return [word for word in args if not word.startswith("-") and os.path.exists(word.split("::")[0])]


def is_one_file(args):
    paths = paths_of(args)
    return len(paths) == 1 and not os.path.isdir(paths[0]) or len(glob.glob(paths[0] + "/test_*.py")) == 1


def run_here(args):
    count = Count()
    share = [Share(os.environ[QUEUE])] if QUEUE in os.environ else []
    status = pytest.main(["-q", "--tb=short", "--no-header", "-p", "no:cacheprovider", "--strict-markers",
                          "--rootdir", os.path.dirname(HERE), *args], plugins=[count, *share])
    failed = len(count.failed)
    if status not in (0, 1) and failed == 0 and not (share and status == 5):
        print(f"pytest ended with status {int(status)}")
        failed = 1
    return len(count.passed - count.failed), failed


def run_shared(args, jobs):
    """The same by several processes; what each says is shown when it has ended."""
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="dexe2e") as folder:
        queue = folder + "/next"
        with open(queue, "w", encoding="ascii") as file:
            file.write("0")
        workers = []
        try:
            for i in range(jobs):
                with open(f"{folder}/{i}", "w", encoding="utf-8") as out:
                    workers.append(subprocess.Popen([sys.executable, __file__, "-j", "1", *args], stdout=out,
                                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                                    env={**os.environ, QUEUE: queue}))
            for worker in workers:
                worker.wait()
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.terminate()
                    worker.wait()
        for i, worker in enumerate(workers):
            with open(f"{folder}/{i}", encoding="utf-8", errors="replace") as file:
                text = file.read()
            counts = re.search(r"(\d+) passed, (\d+) failed\n?$", text)
            print(text[:counts.start()] if counts else text, end="")
            passed += int(counts.group(1)) if counts else 0
            failed += int(counts.group(2)) if counts else 1
    if passed + failed == 0:
        print("no test was run")
        failed = 1
    return passed, failed


def main(args):
    def on_term(number, frame):
        raise KeyboardInterrupt  # so that fixtures stop what they started

    signal.signal(signal.SIGTERM, on_term)
    binary = take(args, "--binary") or os.environ.get("DEX_TEST_BINARY") or os.path.join(HERE, "../../build/release/dex-lua")
    os.environ["DEX_TEST_BINARY"] = os.path.abspath(binary)
    jobs = int(take(args, "-j") or os.cpu_count() or 1)
    if "--golden" in args:
        args.remove("--golden")
        os.environ["DEX_TEST_GOLDEN"] = "write"
    sys.path.insert(0, HERE)
    if not paths_of(args):
        args.append(HERE)
    passed, failed = run_here(args) if jobs < 2 or is_one_file(args) else run_shared(args, jobs)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
