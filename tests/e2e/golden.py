"""Golden files: the full text that a person sees, with what changes from run to run replaced."""
import difflib
import os
import re

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "golden")

# Width is kept where the text is laid out in columns.
PATTERNS = [
    (re.compile(r"\b\d+\.\d\ds\b"), "0.00s"),
    (re.compile(r"(?m) {0,3}\d\.\d\ds$"), lambda m: m.group(0)[:-5] + "0.00s"),
    (re.compile(r"dex-lua \d+\.\d+\.\d+"), "dex-lua X.Y.Z"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "00000000-0000-0000-0000-000000000000"),
    (re.compile(r"PostgreSQL 1\d(\.\d+)*( \([^)]*\))?"), "PostgreSQL NN"),
]


def normalise(text, project):
    """Takes paths, names of databases, ports and times out of a text."""
    server = project.db.server
    for real, shown in ((project.dir, "/project"), (project.home, "/home"), (project.scratch, "/scratch"),
                        (server.host, "/socket"), (f"e2e_{project.db.name[4:]}", "e2e_db"), (str(server.port), "PORT")):
        text = re.sub(re.escape(real) + r"(?!\d)", lambda _, shown=shown: shown, text)
    for pattern, shown in PATTERNS:
        text = pattern.sub(shown, text)
    return text


def transcript(results):
    """Commands with what they printed, as in a terminal."""
    parts = []
    for result in results:
        parts.append("$ dex-lua " + " ".join(result.args) + "\n" + result.stdout)
        if result.stderr:
            parts.append("--- standard error\n" + result.stderr)
        parts.append(f"--- status {result.status}\n")
    return "".join(parts)


def compare(name, *results):
    """Compares a transcript of commands with golden/NAME.txt. `main.py --golden` writes it."""
    project = results[0].project
    found = normalise(transcript(results), project)
    path = os.path.join(FOLDER, name + ".txt")
    if os.environ.get("DEX_TEST_GOLDEN") == "write":
        with open(path, "w", encoding="utf-8") as file:
            file.write(found)
        return
    wanted = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            wanted = file.read()
    if found != wanted:
        diff = difflib.unified_diff(wanted.splitlines(True), found.splitlines(True), f"golden/{name}.txt", "now")
        raise AssertionError("another text than golden/%s.txt:\n%s" % (name, "".join(diff)))
