"""Files that cannot be read or written: each file in its turn, a full disk, a target that is read only."""
import json
import os
import shutil
import subprocess

import pytest

from postgres import unprivileged

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: 'lua: h.start'\n",
    "packages.yml": "packages: [{local: pkg}]\n",
    "pkg/dbt_project.yml": "name: pkg\n",
    "pkg/macros/p.sql": "{% macro p() %}1{% endmacro %}",
    "seeds/s.csv": "n\n1\n",
    "seeds/s.yml": "seeds: [{name: s, description: \"{{ doc('words') }}\"}]\n",
    "models/words.md": "{% docs words %}text{% enddocs %}\n",
    "models/a.sql": "{{ config(materialized='table', post_hook={'operation': 'o'}) }} select n, {{ m() }} as m from {{ ref('s') }}",
    "models/b.sql": "select n, {{ pkg.p() }} as p from {{ ref('a') }}",
    "models/all.yml": "models: [{name: a, columns: [{name: n, data_tests: [unique]}]}]\n",
    "macros/m.sql": "{% macro m() %}2{% endmacro %}",
    "tests/t.sql": "select 1 from {{ ref('b') }} where n > 5",
    "operations/o.sql": "select 1",
    "hooks/h.lua": "local other = require 'other'\nreturn { start = function(hook) other.x(hook) end }\n",
    "hooks/other.lua": "return { x = function(hook) hook:exec('select 1') end }\n",
}
NOT_NEEDED = {"models/words.md"}


def all_files():
    return [*FILES, "profiles.yml"]


@pytest.mark.san
@pytest.mark.parametrize("path", all_files())
def test_a_folder_in_a_files_place(project, path):
    """Reading fails: the file is named, nothing is built of what needs it, and nothing of the inside is shown."""
    p = project(FILES)
    p.write({path: None})
    os.makedirs(p.path(path))
    result = p.run("build")
    assert result.status in (0, 1, 2), result
    text = result.stdout + result.stderr
    assert "lua/" not in text.replace(".lua", "") and "traceback" not in text
    if result.status == 0:
        assert path not in ("dbt_project.yml", "profiles.yml")
    if result.status == 2:
        assert p.db.relations() == []


@pytest.mark.parametrize("path", all_files())
def test_a_file_that_must_not_be_read(project, path):
    """As an ordinary user, without permission."""
    user = unprivileged()
    p = project(FILES)
    os.chmod(p.path(path), 0)
    if user:
        shutil.os.chown(p.dir, user["user"], user["group"])
    result = p.run("build", user=user)
    assert result.status in (1, 2), result
    result.says(os.path.basename(path), "ermission denied")
    assert p.db.relations() == [] or result.status == 1
    os.chmod(p.path(path), 0o644)
    p.run("build", user=user).ok()


@pytest.mark.parametrize("path", ["models", "seeds", "macros", "hooks", "operations", "tests", "pkg"])
def test_a_folder_that_must_not_be_read(project, path):
    user = unprivileged()
    p = project(FILES)
    os.chmod(p.path(path), 0)
    if user:
        os.chown(p.dir, user["user"], user["group"])
    result = p.run("build", user=user)
    os.chmod(p.path(path), 0o755)
    assert result.status in (1, 2), result
    result.says(path)
    assert path == "pkg" or "ermission denied" in result.stdout


@pytest.mark.san
@pytest.mark.parametrize("path", sorted(set(all_files()) - NOT_NEEDED))
def test_truncated_files(project, path):
    """Each file cut off in its middle, at several places: an error in words, or none, but never a crash."""
    p = project(FILES)
    text = p.read(path)
    for part in 3, 2:
        p.write({path: text[:len(text) // part]})
        result = p.run("parse")
        assert result.status in (0, 2), result
    p.write({path: text})
    p.run("parse").ok()


@pytest.mark.parametrize("junk", [b"\0" * 100, b"\xff\xfe\x00x", b"\xef\xbb\xbf", bytes(range(256)), b"{{" * 5000, b"- " * 20000,
                                  b"{" * 3000, b"(" * 3000, b"'" * 1001])
@pytest.mark.parametrize("path", ["dbt_project.yml", "profiles.yml", "models/a.sql", "models/all.yml", "macros/m.sql",
                                  "hooks/h.lua", "seeds/s.csv", "operations/o.sql"])
def test_junk(project, path, junk):
    p = project(FILES)
    p.write({path: junk})
    result = p.run("build", timeout=30)
    assert result.status in (0, 1, 2), result


def in_small_folder(p, size):
    """A file system of its own for target/: True when there is one."""
    os.makedirs(p.path("target"), exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", p.path("target")], capture_output=True, check=False)
    return done.returncode == 0


@pytest.fixture
def small(project):
    """A project whose target/ is a tiny disk."""
    p = project({"models/a.sql": "{{ config(materialized='table') }} select 1 as n", "models/b.sql": "select n from {{ ref('a') }}"})
    if os.getuid() != 0 or not in_small_folder(p, "16k"):
        pytest.skip("cannot mount a small disk here")
    yield p
    subprocess.run(["umount", p.path("target")], check=True)


def test_a_full_disk(small):
    """target/ has room for nothing: the run says so; there is no half an artifact."""
    result = small.run("build")
    assert result.status in (1, 2), result
    result.says("No space left", "target")
    for name in os.listdir(small.path("target")):
        if name.endswith(".json"):
            json.loads(small.read("target", name))


def test_a_file_size_limit(project):
    """The same with a limit on the size of files: the previous artifact stays whole."""
    p = project({f"models/m{i}.sql": "select 1 as n" for i in range(3)})
    p.run("build").ok()
    before = p.read("target/manifest.json")
    result = p.run("build", wrap=["sh", "-c", "ulimit -f 8; trap '' XFSZ; exec \"$0\" \"$@\""])
    assert result.status in (1, 2), result
    result.says("File too large", "manifest.json")
    assert p.read("target/manifest.json") == before


def test_a_parse_cache_that_cannot_be_written(project):
    """On a disk that is full for it alone, nothing is kept, what was kept stays whole, and commands go on."""
    p = project({"models/m.sql": "select 1 as n", "models/text.md": "{% docs d %}" + "x" * 60000 + "{% enddocs %}"})
    limit = ["sh", "-c", "ulimit -f 70; trap '' XFSZ; exec \"$0\" \"$@\""]
    p.run("ls", wrap=limit).ok().says("shop.m")
    assert not p.exists("target/partial_parse.dex")
    p.run("ls").ok()
    with open(p.path("target/partial_parse.dex"), "rb") as file:
        before = file.read()
    p.write({"models/n.sql": "select 1 as n"})
    p.run("ls", wrap=limit).ok().says("shop.m", "shop.n")
    with open(p.path("target/partial_parse.dex"), "rb") as file:
        assert file.read() == before
    p.run("ls").ok().says("shop.m", "shop.n")


def read_only(p, path):
    """Makes a folder unwritable for an ordinary user; gives that user."""
    user = unprivileged()
    os.makedirs(p.path(path), exist_ok=True)
    os.chmod(p.path(path), 0o555)
    return user


def test_a_target_that_is_read_only(project):
    p = project({"models/a.sql": "select 1 as n"})
    user = read_only(p, "target")
    result = p.run("build", user=user).fails(2)
    result.says("target", "ermission denied")
    os.chmod(p.path("target"), 0o755)


def test_a_project_that_is_read_only(project):
    """Everything goes elsewhere with --target-path."""
    p = project({"models/a.sql": "select 1 as n"})
    user = read_only(p, ".")
    os.makedirs(p.path("../out"))
    os.chmod(p.path("../out"), 0o777)
    p.run("build", user=user).fails(2).says("ermission denied")
    p.run("build", "--target-path", p.path("../out"), user=user).ok()
    os.chmod(p.dir, 0o755)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "{\"nodes\": 1}"])
@pytest.mark.parametrize("name", ["manifest.json", "run_results.json", "hook_results.json"])
def test_malformed_artifacts_of_earlier(project, name, content):
    p = project({"models/a.sql": "select 1 as n", "target/" + name: content})
    p.run("build").ok()
    assert p.artifact(name.split(".")[0])


def test_artifacts_that_are_folders(project):
    p = project({"models/a.sql": "select 1 as n"})
    os.makedirs(p.path("target/manifest.json/x"))
    p.run("build").fails(2).says("manifest.json")


def test_links(project):
    """A project of symbolic links is read; a circle of them is told or left out, not walked for ever."""
    p = project({"models/a.sql": "select 1 as n", "../elsewhere/b.sql": "select n from {{ ref('a') }}"})
    os.symlink(p.path("../elsewhere"), p.path("models/linked"))
    p.run("build").ok()
    assert p.db.relations() == ["a view", "b view"]
    os.symlink(p.path("models"), p.path("models/circle"))
    p.run("build", timeout=20)


def test_too_few_file_descriptors(project):
    p = project({f"models/m{i}.sql": "select 1 as n" for i in range(40)}, threads=16)
    result = p.run("build", wrap=["sh", "-c", "ulimit -n 12; exec \"$0\" \"$@\""])
    assert result.status in (0, 1, 2), result
    p.run("build", wrap=["sh", "-c", "ulimit -n 40; exec \"$0\" \"$@\""]).ok()


@pytest.mark.parametrize("kilobytes", [20000, 40000, 60000, 100000])
def test_too_little_memory(project, kilobytes):
    if "san-" in os.environ["DEX_TEST_BINARY"]:
        pytest.skip("sanitizers need more")
    p = project({f"models/m{i}.sql": "select 1 as n" for i in range(40)})
    result = p.run("build", wrap=["sh", "-c", f"ulimit -v {kilobytes}; exec \"$0\" \"$@\""])
    assert result.status in (0, 1, 2, 127, 134), result
    p.run("build").ok()
