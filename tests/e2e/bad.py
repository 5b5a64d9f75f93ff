"""Bad input as a table: each case is a project with one mistake, the command that meets it, and a golden file with all
that a person sees then. What must not happen, whatever the mistake, is checked for all of them alike."""
import re
from dataclasses import dataclass, field

import golden

GOOD = {"models/a.sql": "select 1 as n\n"}
# Words that only somebody who knows the program's inside would understand.
INTERNALS = re.compile(r"stack traceback|lua/(?!jinja_)\w+/|engine/|attempt to |table: 0x|function: 0x|nil value|userdata")


@dataclass
class Case:
    """One mistake. `files` replace those of a good project; `profile` are settings of its profile."""
    name: str
    files: dict
    command: object = "build"
    status: int = 2
    profile: dict = field(default_factory=dict)
    env: dict = field(default_factory=dict)
    good: bool = True  # whether the good project is below it
    roles: tuple = ()  # that are made first
    before: str = ""  # SQL that is run first
    lua: bool = False  # whether Lua's own words, about the user's Lua, stand in it


def run(project, case):
    """Runs a case and compares it with its golden file."""
    files = {**GOOD, **case.files} if case.good else case.files
    p = project(files, threads=1)  # for the order of the lines
    if case.profile:
        p.write({"profiles.yml": p.profile(**case.profile)})
    for role in case.roles:
        p.db.role(role)
    if case.before:
        p.db.sql(case.before)
    command = [case.command] if isinstance(case.command, str) else case.command
    result = p.run(*command, env=case.env).fails(case.status)
    inside = not case.lua and INTERNALS.search(result.stdout + result.stderr)
    assert not inside, f"shows internals ({inside.group(0)}):\n{result}"
    golden.compare(case.name, result)
    return result
