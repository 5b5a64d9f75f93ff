"""What a person at the prompt waits for. Called by repl.sh, which explains it."""

import os
import pty
import select
import subprocess
import sys
import tempfile
import time

from table import Table

MODELS = 10000


def write_project(folder):
    os.makedirs(f"{folder}/models")
    with open(f"{folder}/dbt_project.yml", "w", encoding="utf-8") as file:
        file.write("name: bench\n")
    for i in range(MODELS):
        with open(f"{folder}/models/model_{i:05}.sql", "w", encoding="utf-8") as file:
            file.write("select 1 as id" if i < 10 else "select * from {{ ref('model_%05d') }}" % (i // 10))


class Prompt:
    def __init__(self, binary, folder):
        self.master, slave = pty.openpty()
        self.seen = b""
        self.started = time.perf_counter()
        self.process = subprocess.Popen([binary, "repl", "--project-dir", folder], stdin=slave, stdout=slave,
                                        stderr=slave, env={**os.environ, "TERM": "xterm"}, start_new_session=True)
        os.close(slave)

    def wait(self, text):
        """Reads until a text has come, and forgets what was before."""
        while text not in self.seen:
            if not select.select([self.master], [], [], 60)[0]:
                raise SystemExit(f"bench: the prompt does not say {text}: {self.seen[-500:]}")
            self.seen += os.read(self.master, 65536)
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text):
        os.write(self.master, text)

    def leave(self):
        self.type(b"\x15\x04")
        try:
            while os.read(self.master, 65536):
                pass
        except OSError:
            pass
        self.process.wait()
        os.close(self.master)


def main():
    binary, rounds = os.path.abspath(sys.argv[1]), int(os.environ.get("BENCH_ROUNDS", "5"))
    with tempfile.TemporaryDirectory(prefix="dex-bench-") as folder:
        write_project(folder)
        subprocess.run([binary, "parse", "--project-dir", folder], check=True, stdout=subprocess.DEVNULL)
        firsts, completions = [], []
        for _ in range(rounds):
            prompt = Prompt(binary, folder)
            prompt.wait(b"dex> ")
            firsts.append(time.perf_counter() - prompt.started)
            prompt.type(b"#nodes()\r")
            prompt.wait(b"dex> ")
            for number in (b"0471", b"0999", b"0001"):
                prompt.type(b"ref('model_" + number)
                prompt.wait(number)
                since = time.perf_counter()
                prompt.type(b"\t")  # the ten names are listed
                prompt.wait(b"model_" + number + b"9")
                completions.append(time.perf_counter() - since)
                prompt.wait(b"ref('model_" + number)
                prompt.type(b"\x15")
                prompt.wait(b"\x1b[K")
            prompt.leave()
        table = Table()
        table.row(f"prompt in a project of {MODELS} models", firsts, None, "within 30 ms", lambda mine, _: mine <= 0.03)
        table.row(f"completion among {MODELS} names", completions, None, "within 10 ms", lambda mine, _: mine <= 0.01)


if __name__ == "__main__":
    main()
