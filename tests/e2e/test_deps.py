"""Packages: `deps`, the lock file, missing packages on the first build. Repositories are local ones, the index of
packages is served by the test."""
import functools
import http.server
import io
import json
import os
import subprocess
import tarfile
import threading

import pytest

MODEL = "select 1 as id"


def git(folder, *args):
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@example.org",
           "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@example.org"}
    return subprocess.run(["git", "-C", str(folder), *args], check=True, capture_output=True, text=True,
                          env=env).stdout.strip()


def write(folder, files):
    for path, text in files.items():
        full = folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)


@pytest.fixture
def repository(scratch):
    """repository(name, files, tag=None): a git repository; files that exist are replaced. Gives its URL and commit."""

    def make(name, files, tag=None, branch=None):
        folder = scratch / "repos" / name
        if not folder.exists():
            folder.mkdir(parents=True)
            git(folder, "init", "-q", "-b", "main")
        if branch:
            git(folder, "checkout", "-q", "-b", branch)
        write(folder, files)
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "x")
        if tag:
            git(folder, "tag", tag)
        commit = git(folder, "rev-parse", "HEAD")
        if branch:
            git(folder, "checkout", "-q", "main")
        return f"file://{folder}", commit

    return make


def archive(files, top):
    """The bytes of a tar.gz with one folder."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for path, text in files.items():
            info = tarfile.TarInfo(f"{top}/{path}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


class Hub:
    """An index of packages on a port of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.requests = []
        self.packages = {}
        hub = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *args):
                hub.requests.append(self.path)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler,
                                                                                          directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.env = {"DEX_PACKAGE_HUB_URL": self.url}
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def add(self, name, version, packages=(), require=None, model=None):
        """One version of a package; its model says which one it is."""
        plain = name.split("/")[1]
        files = {"dbt_project.yml": f"name: {plain}\nversion: '{version}'\n",
                 f"models/{plain}_version.sql": f"select '{version}' as version"}
        folder = self.folder / "archives" / f"{plain}-{version}.tar.gz"
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_bytes(archive(files, f"{plain}-{version}"))
        self.packages.setdefault(name, {})[version] = {
            "name": plain, "packages": list(packages), "require_dbt_version": require or [],
            "downloads": {"tarball": f"{self.url}/archives/{plain}-{version}.tar.gz"}}
        write(self.folder / "api/v1", {"index.json": json.dumps(list(self.packages))})
        for each, versions in self.packages.items():
            write(self.folder / "api/v1", {f"{each}.json": json.dumps({"name": each, "versions": versions})})


@pytest.fixture
def hub(scratch):
    folder = scratch / "hub"
    folder.mkdir()
    one = Hub(folder)
    yield one
    one.server.shutdown()
    one.server.server_close()


def installed(p, folder="dbt_packages"):
    return sorted(os.listdir(p.path(folder))) if p.exists(folder) else []


def test_local_packages_become_links(project):
    p = project({"packages.yml": "packages:\n- local: inner\n",
                 "inner/dbt_project.yml": "name: inner\n", "inner/models/pm.sql": MODEL,
                 "inner/packages.yml": "packages: [{local: deeper}]\n",
                 "inner/deeper/dbt_project.yml": "name: deeper\n", "inner/deeper/models/dm.sql": MODEL})
    p.run("deps").ok().says("Installing inner", "Installed <local @ inner>")
    assert installed(p) == ["deeper", "inner"]
    assert os.path.realpath(p.path("dbt_packages/inner")) == os.path.realpath(p.path("inner"))
    # the same file as dbt's, checksum included
    lock = p.read("package-lock.yml")
    assert lock == ("packages:\n  - local: inner\n    name: inner\n  - local: inner/deeper\n    name: deeper\n"
                    "sha1_hash: e0a7254ed271672b4e0fb72ff0248d8f799dc2ab\n")
    assert p.run("ls -q --output name").ok().stdout.split() == ["dm", "pm"]


def test_git_packages(project, repository):
    files = {"dbt_project.yml": "name: tools\n", "models/tool.sql": "select 1 as v",
             "sub/dbt_project.yml": "name: subtools\n", "sub/models/st.sql": "select 'sub' as v"}
    url, first = repository("tools", files, tag="v1")
    _, second = repository("tools", {"models/tool.sql": "select 2 as v"}, tag="v2")
    _, third = repository("tools", {"models/tool.sql": "select 3 as v"}, branch="next")
    p = project({"packages.yml": f"packages:\n- git: {url}\n  revision: v1\n"})
    p.run("deps").ok().says(f"Installing {url}", f"revision {first}")
    assert installed(p) == ["tools"]
    assert not p.exists("dbt_packages/tools/.git")
    assert f"    revision: {first}\n" in p.read("package-lock.yml")
    assert p.read("dbt_packages/tools/models/tool.sql") == "select 1 as v"

    for revision, text in (first, "1"), (second, "2"), ("next", "3"), (second[:10], "2"):
        p.write({"packages.yml": f"packages:\n- git: {url}\n  revision: '{revision}'\n"}).run("deps").ok()
        assert p.read("dbt_packages/tools/models/tool.sql") == f"select {text} as v"

    p.write({"packages.yml": f"packages:\n- {{git: {url}, subdirectory: sub, revision: {third}}}\n"})
    p.run("deps").ok()
    assert installed(p) == ["subtools"]
    assert p.read("package-lock.yml").splitlines()[1:5] == [
        f"  - git: {url}", "    name: subtools", f"    revision: {third}", "    subdirectory: sub"]
    p.run("build").ok()
    assert p.db.sql("select v from dev.st") == "sub"


def test_a_package_without_a_revision_is_a_warning(project, repository):
    url, commit = repository("tools", {"dbt_project.yml": "name: tools\n"})
    p = project({"packages.yml": f"packages:\n- git: {url}\n"})
    p.run("deps").ok().says("is pinned to no version: it is whatever HEAD is today", "packages.yml:2")
    assert commit in p.read("package-lock.yml")
    p.write({"packages.yml": f"packages:\n- git: {url}\n  warn-unpinned: false\n"})
    assert "pinned to no version" not in p.run("deps").ok().stdout


def test_the_lock_file_is_honoured(project, repository):
    url, first = repository("tools", {"dbt_project.yml": "name: tools\n", "models/tool.sql": "select 1 as v"})
    p = project({"packages.yml": f"packages:\n- git: {url}\n  revision: main\n"})
    p.run("deps").ok()
    _, second = repository("tools", {"models/tool.sql": "select 2 as v"})
    p.run("deps").ok()
    assert p.read("dbt_packages/tools/models/tool.sql") == "select 1 as v"
    p.run("deps --lock --upgrade").ok()
    assert second in p.read("package-lock.yml")
    assert p.read("dbt_packages/tools/models/tool.sql") == "select 1 as v", "--lock installs nothing"
    p.run("deps").ok()
    assert p.read("dbt_packages/tools/models/tool.sql") == "select 2 as v"


def test_tarballs(project, hub):
    files = {"dbt_project.yml": "name: packed\n", "models/packed_model.sql": MODEL}
    data = archive(files, "packed-1.0")
    p = project({"vendor/packed.tar.gz": data,
                 "packages.yml": "packages:\n- tarball: vendor/packed.tar.gz\n  name: packed\n"})
    p.run("build").ok().says("Installing packed")
    assert p.db.sql("select id from dev.packed_model") == "1"
    (hub.folder / "x.tgz").write_bytes(data)
    p.write({"packages.yml": f"packages:\n- tarball: {hub.url}/x.tgz\n  name: packed\n"}).run("deps").ok()
    assert installed(p) == ["packed"]
    p.write({"packages.yml": f"packages:\n- tarball: {hub.url}/none.tgz\n  name: packed\n"})
    p.run("deps").fails(2).says("package packed: curl ended with status 22", "404", "packages.yml:2")
    assert installed(p) == ["packed"], "what was there stays"


def test_packages_of_an_index(project, hub):
    for version in "1.0.0", "1.1.0", "1.2.0", "2.0.0", "2.1.0-rc1":
        hub.add("acme/tools", version)
    hub.add("acme/tools", "1.3.0", require=[">=99.0.0", "<100.0.0"])
    hub.add("acme/more", "0.1.0", packages=[{"package": "acme/tools", "version": [">=1.0.0", "<1.2.0"]}])

    def get(entries, *more):
        p.write({"packages.yml": json.dumps({"packages": entries})})
        return p.run("deps", *more, env=hub.env)

    p = project()
    get([{"package": "acme/tools", "version": [">=1.0.0", "<2.0.0"]}]).ok().says(
        "Installing acme/tools", "Installed version 1.2.0, and version 2.0.0 is there")
    assert p.read("package-lock.yml").splitlines()[1:4] == ["  - name: tools", "    package: acme/tools",
                                                            "    version: 1.2.0"]
    get([{"package": "acme/tools", "version": "2.0.0"}]).ok().says("Installed version 2.0.0")
    get([{"package": "acme/tools", "version": ">=2.0.0"}]).ok().says("Installed version 2.0.0")
    get([{"package": "acme/tools", "version": ">=2.0.0", "install_prerelease": True}]).ok().says("version 2.1.0-rc1")
    # what a package of a package asks for narrows it further
    get([{"package": "acme/tools", "version": ">=1.0.0"}, {"package": "acme/more", "version": "0.1.0"}]).ok()
    assert p.read("dbt_packages/tools/models/tools_version.sql") == "select '1.1.0' as version"
    assert installed(p) == ["more", "tools"]
    get([{"package": "acme/tools", "version": ">=1.2.0"}, {"package": "acme/more", "version": "0.1.0"}]).fails(2).says(
        "package acme/tools: no version is >=1.2.0, >=1.0.0, <1.2.0; the index has 1.0.0, 1.1.0, 1.2.0, 2.0.0")
    get([{"package": "acme/tolls", "version": "1.0.0"}]).fails(2).says(
        "package acme/tolls: the index does not have it", "did you mean 'acme/tools'?")


def test_missing_packages_come_with_the_first_build(project, hub):
    hub.add("acme/tools", "1.0.0")
    p = project({"packages.yml": "packages:\n- {package: acme/tools, version: 1.0.0}\n"})
    p.run("build --no-deps", env=hub.env).fails(2).says("a package is not installed in dbt_packages: tools",
                                                        "run `dex-lua deps`", "packages.yml:2")
    p.run("build", env=hub.env).ok().says("Installing acme/tools")
    assert p.db.sql("select version from dev.tools_version") == "1.0.0"
    asked = len(hub.requests)
    p.run("build", env=hub.env).ok()
    assert len(hub.requests) == asked, "the second build asks nobody"
    # the lock file names what is missing
    p.write({"dbt_packages/tools": None})
    p.run("build --no-deps").fails(2).says("not installed in dbt_packages: tools")


def test_two_commands_that_miss_the_same_packages(project, hub):
    hub.add("acme/tools", "1.0.0")
    p = project({"packages.yml": "packages:\n- {package: acme/tools, version: 1.0.0}\n"})
    both = [p.start("ls", "-q", env=hub.env) for _ in range(2)]
    assert [one.finish().ok().stdout for one in both] == ["tools.tools_version\n"] * 2
    assert installed(p) == ["tools"]
    assert not [name for name in os.listdir(p.dir) if name.startswith(".dex-packages")]


def test_dependencies_yml_and_another_folder(project):
    p = project({"dependencies.yml": "packages: [{local: inner}]\nprojects: [{name: other}]\n",
                 "inner/dbt_project.yml": "name: inner\n", "inner/models/pm.sql": MODEL})
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\npackages-install-path: vendor/packages\n"})
    p.run("deps").ok()
    assert installed(p, "vendor/packages") == ["inner"]
    p.run("build").ok()


def test_tokens_come_from_the_environment(project, repository, scratch):
    url, _ = repository("tools", {"dbt_project.yml": "name: tools\n"}, tag="v1")
    repos = os.path.dirname(url[len("file://"):])
    secret = os.path.basename(repos)
    p = project({"packages.yml": "packages:\n- git: \"file://{{ env_var('UP') }}/{{ env_var('DBT_ENV_SECRET_TOKEN') }}"
                                 "/tools\"\n  revision: v1\n"})
    env = {"UP": os.path.dirname(repos), "DBT_ENV_SECRET_TOKEN": secret}
    result = p.run("deps", env=env).ok()
    assert secret not in result.stdout + result.stderr
    lock = p.read("package-lock.yml")
    assert "env_var('DBT_ENV_SECRET_TOKEN')" in lock.replace("''", "'") and secret not in lock
    p.run("deps", env=env).ok()
    # a failure does not tell either
    result = p.run("deps --upgrade", env={**env, "UP": "/nowhere"}).fails(2)
    assert secret not in result.stdout + result.stderr


BAD = [
    ("packages: [{git: 'file:///nowhere', revision: v1}]", ["package file:///nowhere: cannot fetch the repository"]),
    ("packages: [{local: nowhere}]", ["the local package 'nowhere' does not exist"]),
    ("packages: [{locol: inner}]", ["a package needs one of local, git, tarball and package", "'local'"]),
    ("packages: [{package: tools, version: 1.0.0}]", ["'tools' is no package of an index"]),
    ("packages: [{package: a/tools}]", ["package 'a/tools' needs a `version`"]),
    ("packages: [{package: a/tools, version: latest}]", ["'latest' is no version"]),
    ("packages: [{private: a/tools}]", ["needs dbt's platform"]),
    ("packages: [{tarball: x.tgz, name: x}]", ["there is no archive 'x.tgz'"]),
    ("packages: [{local: empty}]", ["holds no dbt_project.yml"]),
    ("packages: [{local: same}, {local: inner}]", ["two packages have the name 'inner'"]),
    ("packages: [{local: root}]", ["two packages have the name 'shop'"]),
    ("packages: {local: inner}", ["`packages` must be a list"]),
]


@pytest.mark.parametrize("text, says", BAD, ids=[text[10:40] for text, _ in BAD])
def test_bad_entries(project, text, says):
    p = project({"packages.yml": text + "\n", "inner/dbt_project.yml": "name: inner\n",
                 "same/dbt_project.yml": "name: inner\n", "root/dbt_project.yml": "name: shop\n", "empty/x": ""})
    p.run("deps").fails(2).says("packages.yml:1", *says)
    assert installed(p) == []


def test_an_unknown_key_is_a_warning(project):
    p = project({"packages.yml": "packages:\n- local: inner\n  nmae: x\n", "inner/dbt_project.yml": "name: inner\n"})
    p.run("deps").ok().says("a local package has no key 'nmae'", "packages.yml:3", "did you mean 'name'?")


def test_packages_in_a_circle(project):
    p = project({"packages.yml": "packages: [{local: a}]\n",
                 "a/dbt_project.yml": "name: a\n", "a/packages.yml": "packages: [{local: ../b}]\n",
                 "b/dbt_project.yml": "name: b\n", "b/packages.yml": "packages:\n- local: ../a\n"})
    for command in "deps", "parse":
        p.run(command).fails(2).says("packages ask for each other in a circle: a -> b -> a", "packages.yml:2")
