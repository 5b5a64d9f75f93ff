"""The program on a terminal of its own, and what stands on its screen."""
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

from program import BINARY, SLOW, Result, words

ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Screen:
    """As much of a terminal as the program and libedit use: lines, cursor movements, erasing, inserting."""

    def __init__(self, columns):
        self.columns = columns
        self.lines = [""]
        self.row = self.column = 0

    def _put(self, text):
        for c in text:
            if self.column >= self.columns:
                self._newline()
                self.column = 0
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[:self.column] + c + line[self.column + 1:]
            self.column += 1

    def _newline(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def feed(self, text):
        while text:
            escape = ESCAPE.match(text)
            if escape:
                self._escape(*escape.groups())
                text = text[escape.end():]
            elif text[0] == "\n":
                self._newline()
                text = text[1:]
            elif text[0] == "\r":
                self.column = 0
                text = text[1:]
            elif text[0] == "\b":
                self.column = max(0, self.column - 1)
                text = text[1:]
            elif text[0] == "\a":
                text = text[1:]
            else:
                plain = re.match(r"[^\x1b\r\n\b\a]+|\x1b", text).group(0)
                self._put(plain)
                text = text[len(plain):]

    def _escape(self, number, letter):
        line = self.lines[self.row].ljust(self.column)
        if letter == "C":
            self.column += int(number or 1)
        elif letter == "D":
            self.column = max(0, self.column - int(number or 1))
        elif letter == "G":
            self.column = int(number or 1) - 1
        elif letter == "P":
            self.lines[self.row] = line[:self.column] + line[self.column + int(number or 1):]
        elif letter == "@":
            self.lines[self.row] = line[:self.column] + " " * int(number or 1) + line[self.column:]
        elif letter == "A":
            self.row = max(0, self.row - int(number or 1))
        elif letter == "J":
            del self.lines[self.row + 1:]
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][:self.column]
        elif letter != "m" and not number.startswith("?"):
            raise AssertionError(f"the terminal of the tests does not know ESC[{number}{letter}")

    def text(self):
        return "\n".join(line.rstrip() for line in self.lines)


class Terminal:
    """A command on a pseudo terminal."""

    def __init__(self, project, *args, columns=80, rows=24, env=None):
        self.project = project
        self.args = words(args)
        self.raw = ""
        self.screen = Screen(columns)
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

        def take_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([BINARY, *self.args], cwd=project.dir, stdin=slave, stdout=slave, stderr=slave,
                                        env={**project.env, "TERM": "xterm-256color", **(env or {})},
                                        start_new_session=True, preexec_fn=take_terminal)
        os.close(slave)
        self.master = master

    def _read(self, timeout):
        """Reads what is there; False at the end."""
        if not select.select([self.master], [], [], timeout)[0]:
            raise AssertionError(f"nothing came for {timeout} s after:\n{self.raw}")
        try:
            data = os.read(self.master, 65536)
        except OSError:  # the other side is closed
            return False
        text = data.decode("utf-8", "replace")
        self.raw += text
        self.screen.feed(text)
        return bool(data)

    def read_until(self, text, timeout=20):
        """Reads until a text stands on the screen."""
        until = time.monotonic() + timeout * SLOW
        while text not in self.screen.text():
            if not self._read(max(0.01, until - time.monotonic())):
                raise AssertionError(f"ended without '{text}':\n{self.raw}")
        return self.screen.text()

    def type(self, text):
        """What a person types; "\\x03" is Ctrl-C."""
        os.write(self.master, text.encode())

    def finish(self, timeout=30):
        """Reads to the end; the result's output is what was written, with its control characters."""
        while self._read(timeout * SLOW):
            pass
        status = self.process.wait(timeout * SLOW)
        os.close(self.master)
        return Result(self.project, self.args, status, self.raw, "")
