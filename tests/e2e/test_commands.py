"""Every command from the outside: help, version, and what those that build nothing print."""
import json
import os
import re
import shutil
import subprocess

import pytest

from program import BINARY

COMMANDS = ["run", "build", "test", "seed", "compile", "ls", "parse", "show", "debug", "clean", "render", "operation", "db",
            "version", "help"]

FILES = {
    "seeds/raw.csv": "id\n1\n2\n",
    "models/a.sql": "{{ config(tags=['x']) }} select id from {{ ref('raw') }}",
    "models/marts/b.sql": "{{ config(post_hook='select 1/0') }} select id + {{ var('v', 1) }} as id from {{ ref('a') }}",
    "models/all.yml": """
        sources: [{name: src, tables: [{name: t}]}]
        models: [{name: a, columns: [{name: id, data_tests: [unique]}]}]
        """,
    "tests/single.sql": "select 1 from {{ ref('a') }} where id is null",
}


@pytest.mark.san
def test_version(project):
    p = project()
    short = p.run("--version").ok().stdout
    assert re.fullmatch(r"dex-lua \d+\.\d+\.\d+\n", short)
    assert p.run("version").ok().stdout == short
    long = p.run("version -v").ok().stdout
    assert long.startswith(short)
    for library in "Lua", "LPeg", "libpq", "libyaml", "libevent", "PCRE2", "OpenSSL", "SQLite":
        assert re.search(rf"^  {library} +\d", long, re.M), long


@pytest.mark.san
def test_overview(project):
    p = project()
    text = p.run("").ok().stdout
    assert text == p.run("help").ok().stdout == p.run("--help").ok().stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} +\S", text, re.M)
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_help(project, command):
    p = project()
    text = p.run(f"{command} --help").ok().stdout
    assert text.startswith(f"Usage: dex-lua {command}")
    assert text == p.run(f"{command} -h").ok().stdout == p.run(f"help {command}").ok().stdout
    assert "--help" in text and max(map(len, text.splitlines())) <= 80


def test_every_flag_of_the_help_is_taken(project):
    p = project(FILES)
    for command in COMMANDS:
        text = p.run(f"{command} --help").stdout
        flags = []
        for name in re.findall(r"^ +(?:-\w, |    )(--[][a-z-]+)(?=  |$)", text, re.M):
            flags += {name.replace("[no-]", ""), name.replace("[", "").replace("]", "")}
        p.run(command, *flags, "--help").ok().says(f"Usage: dex-lua {command}")


def test_help_on_errors(project):
    text = project().run("help errors").ok().stdout
    for code in 101, 102, 201, 301, 401, 403, 501:
        assert re.search(rf"\b{code}\b", text)


def test_ls(project):
    p = project(FILES)
    assert p.run("ls").ok().stdout.splitlines() == [
        "shop.a", "shop.marts.b", "shop.raw", "source:shop.src.t", "shop.single", "shop.unique_a_id"]
    assert p.run("list --output name --select a b").ok().stdout.splitlines() == ["a", "b", "single", "unique_a_id"]
    assert p.run("ls --output path --resource-type model seed").ok().stdout.splitlines() == [
        "models/a.sql", "models/marts/b.sql", "seeds/raw.csv"]
    lines = p.run("ls --output json --resource-type model --output-keys name tags unique_id").ok().stdout.splitlines()
    assert [json.loads(line) for line in lines] == [
        {"name": "a", "tags": ["x"], "unique_id": "model.shop.a"},
        {"name": "b", "tags": [], "unique_id": "model.shop.b"}]
    assert "config" in json.loads(p.run("ls --output json --select a --resource-type model").stdout)


@pytest.mark.san
def test_compile(project):
    p = project(FILES)
    result = p.run("compile").ok()
    name = p.db.name
    assert p.read("target/compiled/shop/models/marts/b.sql") == f' select id + 1 as id from "{name}"."dev"."a"'
    assert p.db.rows("select nspname from pg_namespace where nspname = 'dev'") == [], "nothing was made"
    assert set(result.statuses) == {"a", "b", "unique_a_id", "single"} and result.hooks == []
    assert f'from "{name}"."dev"."a"' in p.run("compile --select b").ok().stdout
    inline = p.run("compile", "--inline", "select * from {{ ref('a') }} -- {{ var('v', 5) }}").ok().stdout
    assert f'select * from "{name}"."dev"."a" -- 5\n' in inline
    quiet = p.run("compile", "--quiet", "--inline", "select {{ 1 + 1 }}").ok().stdout
    assert quiet == "select 2\n", "nothing but the SQL, to be piped on"


def test_compile_reports_every_bad_node(project):
    p = project({**FILES, "models/bad.sql": "select {{ exceptions.raise_compiler_error('no way') if execute }}"})
    result = p.run("compile").fails(1).says("no way")
    assert result.statuses["bad"] == "error" and result.statuses["a"] == "success"


@pytest.mark.san
def test_show(project):
    p = project(FILES)
    p.run("build --exclude b").ok()
    assert p.run("show --select a").ok().stdout == "a, 2 rows:\nid\n--\n 1\n 2\n"
    assert p.run("show --select a --limit 1 --output csv").ok().stdout == "id\n1\n"
    assert json.loads(p.run("show --select raw --output json").ok().stdout) == {"node": "raw", "show": [
        {"id": 1}, {"id": 2}]}
    text = p.run("show", "--inline", "select 'x' as t, null as n, 1.50 as d, true as b, {{ 1 + 1 }} as two").ok().stdout
    assert text.splitlines()[1:] == ["t | n    | d    | b | two", "--+------+------+---+----",
                                     "x | NULL | 1.50 | t |   2"]
    assert p.db.relations() == ["a view", "raw table"], "nothing was made"
    assert json.loads(p.run("show", "--output", "json", "--inline", "select 1.50 as d, null as n, '{\"a\":[null]}'::json as j, "
                            "array[1,null,3] as l, date '2024-01-02' as day, 12345678901234567890.5 as big").stdout) == {"show": [
        {"d": 1.5, "n": None, "j": {"a": [None]}, "l": [1, None, 3], "day": "2024-01-02",
         "big": "12345678901234567890.5"}]}


def test_show_of_many_columns_fits(project):
    p = project(FILES)
    columns = ", ".join(f"'{'long text ' * 4}' as column_{i}" for i in range(6))
    lines = p.run("show", "--inline", "select " + columns).ok().stdout.splitlines()
    assert max(map(len, lines)) <= 80


def test_debug(project):
    p = project(FILES)
    text = p.run("debug").ok().stdout
    assert "ok: PostgreSQL" in text and "target dev" in text and "correct-horse" not in text
    p.write({"profiles.yml": p.profile(host="/nowhere")})
    p.run("debug").fails(1).says("failed", "/nowhere")


@pytest.mark.san
def test_clean(project):
    p = project({**FILES, "dbt_project.yml": "name: shop\nprofile: shop\nclean-targets: [target, logs, 'old files']\n",
                 "old files/x": "", "logs/y": "", "keep/z": ""})
    p.run("compile").ok()
    p.run("clean").ok().says("deleted target", "deleted old files")
    assert sorted(os.listdir(p.dir)) == ["dbt_project.yml", "keep", "models", "profiles.yml", "seeds", "tests"]
    p.run("clean").ok().says("nothing to delete")


@pytest.mark.parametrize("target", ["..", "../..", "/tmp", ".", "models/../../other"])
def test_clean_stays_inside(project, target):
    p = project({"dbt_project.yml": f"name: shop\nprofile: shop\nclean-targets: [target, '{target}']\n",
                 "target/x": "", "../other/y": "", "models/m.sql": "select 1 as n"})
    p.run("clean").fails(2).says("outside of the project")
    assert p.exists("target/x") and p.exists("../other/y") and p.exists("dbt_project.yml")


def test_clean_follows_no_links(project):
    p = project({"../other/y": "keep me"})
    p.write({"target/x": ""})
    os.symlink(p.path("../other"), p.path("target/link"))
    p.run("clean").ok()
    assert not p.exists("target") and p.exists("../other/y")


def test_parse(project):
    p = project(FILES)
    p.run("parse").ok()
    assert "model.shop.a" in p.artifact("manifest")["nodes"]


@pytest.mark.san
def test_render(project):
    p = project({"t.sql": "hello {{ name }}{% for i in range(n) %} {{ i }}{% endfor %}\n", "context.json": '{"name": "file", "n": 1}'})
    assert p.run("render", "t.sql", "--context", '{"name": "x", "n": 2}').ok().stdout == "hello x 0 1\n"
    assert p.run("render t.sql --context-file context.json").ok().stdout == "hello file 0\n"
    assert p.run("render", "-", "--vars", "{a: 3}", input="{{ var('a') }}").ok().stdout == "3\n"
    p.run("render", "-", input="a\n{{ 1/0 }}").fails(2).says("division by zero", "<stdin>:2")


def test_render_batch(project):
    lines = [{"id": "a", "template": "{{ 1 + 1 }}"}, {"id": "b", "template": "{{ x.y.z }}"},
             {"id": "c", "template": "{{ x }}", "context": {"x": "é"}},
             {"id": "d", "template": "{{ var('v') }}{{ env_var('E') }}", "vars": {"v": 1}, "env": {"E": "2"}}]
    result = project().run("render --batch", input="\n".join(json.dumps(line) for line in lines)).ok()
    answers = {answer["id"]: answer for answer in map(json.loads, result.stdout.splitlines())}
    assert answers["a"]["output"] == "2" and answers["c"]["output"] == "é" and answers["d"]["output"] == "12"
    assert answers["b"]["error"]["kind"] == "UndefinedError" and answers["b"]["error"]["line"] == 1


def test_options_before_the_command_and_short_ones(project):
    p = project(FILES)
    p.run("--quiet build --exclude b").ok()
    assert p.run("-q run -s a").ok().stdout == ""
    assert p.run("run -s a -q").ok().stdout == ""
    assert p.run("run", "--select=a", "--threads=2").ok().order == ["a"]
    assert p.run("run", "-m", "a").ok().order == ["a"]


def test_quiet_and_log_levels(project):
    p = project({**FILES, "models/says.sql": "{{ log('logged', info=true) }}{{ print('printed') }} select 1 as n",
                 "models/warns.sql": "{{ exceptions.warn('careful') if execute }} select 1 as n"})
    loud = p.run("run -s says warns").ok().stdout
    assert "logged" in loud and "printed" in loud and "careful" in loud and "Done in" in loud
    assert set(p.run("run -s says warns --quiet").ok().stdout.split()) == {"printed"}
    warn = p.run("run -s says warns --log-level warn").ok().stdout
    assert "careful" in warn and "printed" in warn and "logged" not in warn
    assert "create view" in p.run("run -s says --log-level debug").ok().stdout
    assert "create view" in p.run("run -s says -d").ok().stdout
    assert "division by zero" in p.run("build -s raw a b --quiet").fails(1).says("model b").stdout


def test_colours(project):
    p = project(FILES)
    p.run("build --exclude b").ok()
    assert "\x1b[" not in p.run("run -s a").stdout
    assert "\x1b[32m" in p.run("run -s a --use-colors").stdout
    assert "\x1b[" not in p.run("run -s a", env={"DBT_USE_COLORS": "false"}).stdout


@pytest.fixture
def sources(scratch):
    """A copy of the program's own Lua files."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    for folder in "lua", "stdlib":
        shutil.copytree(os.path.join(root, folder), scratch / "dex" / folder)
    return scratch / "dex"


def test_dex_lua_override(project, sources):
    """DEX_LUA=dir runs the program's Lua and SQL from files; without it they come from the binary."""
    p = project(FILES)
    usage = sources / "lua/help/usage.lua"
    usage.write_text(usage.read_text().replace("Usage: dex-lua COMMAND", "Usage: my-lua COMMAND"))
    assert "my-lua" in p.run("help", env={"DEX_LUA": str(sources)}).ok().stdout
    assert "my-lua" not in p.run("help").ok().stdout
    macro = sources / "stdlib/macros/dates.sql"
    macro.write_text(macro.read_text() + "\n{% macro mine() %}42{% endmacro %}\n")
    p.run("show", "--inline", "select {{ mine() }} as n", env={"DEX_LUA": str(sources)}).ok().says("42")


def test_dex_lua_override_that_is_not_there(project):
    project().run("help", env={"DEX_LUA": "/nowhere"}).fails(2).says("/nowhere")


def test_it_runs_from_anywhere(project):
    """Nothing is looked for beside the binary or in the working folder."""
    p = project(FILES)
    done = subprocess.run([BINARY, "ls", "--project-dir", p.dir, "--resource-type", "seed"], cwd="/", env={"PATH": ""},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "shop.raw\n"), done.stderr
