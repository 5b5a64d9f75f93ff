"""A person at the prompt of `dex-lua repl`: keys one at a time, and what stands on the screen then."""
import time

from program import SLOW
from terminal import Terminal


class Prompt(Terminal):
    """`dex-lua repl` on a terminal. Nothing is typed before the prompt is there."""

    def __init__(self, project, *args, label="dex>", **options):
        super().__init__(project, "repl", *args, **options)
        self.seen = 0  # lines of the screen that are behind us
        self.wait(label)

    def since(self):
        """What stands on the screen since the last input."""
        return "\n".join(line.rstrip() for line in self.screen.lines[self.seen:])

    def wait(self, *texts, timeout=8):
        """Reads until the texts stand there, behind the last input."""
        until = time.monotonic() + timeout * SLOW
        while not all(text in self.since() for text in texts):
            if not self._read(max(0.01, until - time.monotonic())):
                raise AssertionError(f"ended without {texts}:\n{self.raw}")
        return self.since()

    def more(self, timeout=8):
        """Reads what comes next."""
        assert self._read(timeout * SLOW), f"ended:\n{self.raw}"

    def line(self):
        """The line at the cursor."""
        return self.screen.lines[self.screen.row].rstrip()

    def keys(self, text, timeout=8):
        """Types keys one at a time, each when the one before stands on the screen."""
        for key in text:
            before = self.screen.column, self.screen.row
            self.type(key)
            until = time.monotonic() + timeout * SLOW
            while (self.screen.column, self.screen.row) == before:
                self._read(max(0.01, until - time.monotonic()))

    def enter(self, text, *expected, prompt="dex>", timeout=8):
        """Types a line and waits for what it gives and for the next prompt; gives what came between."""
        self.keys(text)
        self.seen = self.screen.row + 1
        self.type("\r")
        until = time.monotonic() + timeout * SLOW
        while not (self.line() == prompt and self.screen.row >= self.seen):
            if not self._read(max(0.01, until - time.monotonic())):
                raise AssertionError(f"ended behind {text}:\n{self.raw}")
        came = self.since()
        for one in expected:
            assert one in came, f"{text} does not give '{one}':\n{came}"
        return came[:came.rindex(prompt)].rstrip("\n")

    def leave(self):
        """Ctrl-D; the status is 0."""
        self.type("\x04")
        return self.finish().ok()
