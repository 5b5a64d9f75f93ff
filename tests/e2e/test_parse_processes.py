"""A project that is read in several processes at once is the same as one that is read in one, whatever is in it."""
import os
import random
import signal
import time

import pytest

from test_parse_cache import CACHE, EDITS, FILES, parse, plain

RICH = {
    **FILES,
    "models/words.md": "{% docs words %}some words{% enddocs %}{% docs more %}more{% enddocs %}",
    "models/v/versions.yml": """
        models:
          - name: item
            latest_version: 1
            config: {contract: {enforced: true}, materialized: table}
            columns: [{name: n, data_type: int, constraints: [{type: not_null}, {type: primary_key}], data_tests: [unique]}]
            versions: [{v: 1}, {v: 2, deprecation_date: "2020-01-01"}]
        """,
    "models/v/item_v1.sql": "select 1 as n",
    "models/v/item_v2.sql": "select 2 as n",
    "models/v/reader.sql": "select n from {{ ref('item', v=2) }} union all select n from {{ ref('item') }}",
    "models/v/reader.yml": """
        models:
          - name: reader
            description: "{{ doc('more') }} of {{ var('limit') }}"
            access: public
            columns: [{name: n, description: "{{ doc('words') }}", data_tests: [unique, not_null,
              {relationships: {to: ref('item'), field: n}}, {relationships: {to: ref('nowhere'), field: n}},
              {accepted_values: {values: [1, 2], description: "{{ doc('more') }}", severity: warn}}]}]
            data_tests: [{small: {config: {enabled: false}}}]
          - {name: nobody, description: of no file, data_tests: [small]}
        seeds: [{name: s, columns: [{name: n, data_tests: [unique]}], config: {tags: [small], materialised: seed}}]
        """,
    "models/v/twice.yml": "models: [{name: snapped, description: a snapshot that stands here}]\n",
    "snapshots/snapped.sql": """
        {% snapshot snapped %}{{ config(strategy='check', check_cols='all', unique_key='n', target_schema='dev') }}
        select n from {{ ref('item') }}{% endsnapshot %}
        """,
    "snapshots/s.yml": """
        snapshots:
          - {name: snapped, data_tests: [small], description: "{{ doc('words') }}"}
          - {name: of_yaml, relation: ref('reader'), config: {strategy: check, check_cols: all, unique_key: n}}
        """,
    "functions/twice.sql": "select n * 2",
    "functions/twice.yml": """
        functions: [{name: twice, arguments: [{name: n, data_type: int}], returns: {data_type: int}}]
        """,
    "models/v/calls.sql": "select {{ function('twice') }}(n) as n from {{ ref('reader') }}",
    "models/v/off.sql": "{{ config(enabled=false) }} select 1 as n",
    "models/v/hooks.sql": "{{ config(pre_hook=\"select 1 from {{ ref('a') }}\", on_failure=['select 2']) }} select 1 as n",
    "models/v/m.py": "def model(dbt, session):\n    return dbt.ref('a')\n",
    "analyses/look.sql": "select * from {{ ref('reader') }}",
    "analyses/look.yml": "analyses: [{name: look, description: a look}]\ndata_tests: [{name: t, description: alone}]\n",
    "models/v/days.yml": """
        models:
          - name: days
            time_spine: {standard_granularity_column: d}
            columns: [{name: d, granularity: day, data_type: date}]
        semantic_models:
          - name: items
            model: ref('a')
            defaults: {agg_time_dimension: day_of}
            entities: [{name: item, type: primary, expr: n}]
            dimensions: [{name: day_of, expr: d, type: time, type_params: {time_granularity: day}}]
            measures: [{name: count_of, agg: sum, expr: "1"}]
        metrics: [{name: counted, label: counted, type: simple, type_params: {measure: count_of}}]
        groups: [{name: people, owner: {name: me}}]
        """,
    "models/v/days.sql": "{{ config(group='people', access='private') }} select current_date as d",
}

EMPTY_FOLDER = {"dbt_project.yml": FILES["dbt_project.yml"].replace("on-run-start", """models:
          shop:
            nowhere: {+tags: [x]}
            area: {deeper: {+tags: [y]}, +tags: [area]}
        on-run-start""").replace("""models:
          shop:
            area: {+tags: [area], +meta: {owner: "{{ target.schema }}"}}
        """, "")}


def one_and_more(p, *more, env=None, counts=(2, 5)):
    """Status, words and manifest, which are the same for each number of processes."""
    one = parse(p, *more, env={**(env or {}), "DBT_PARSE_PROCESSES": "1"}, cold=True)
    for n in counts:
        assert parse(p, *more, env={**(env or {}), "DBT_PARSE_PROCESSES": str(n)}, cold=True) == one
    return one


def reading(p, n=2, *more, **options):
    """What a command says of the processes in which it reads."""
    result = p.run("parse", "--no-partial-parse", "--log-level", "debug", *more, env={"DBT_PARSE_PROCESSES": str(n)}, **options)
    lines = [line for line in (result.stdout + result.stderr).splitlines() if " process" in line]
    return result, " ".join(lines)


@pytest.mark.san
def test_everything_that_a_project_may_hold(project):
    p = project({**RICH, **EMPTY_FOLDER})
    status, words, manifest = one_and_more(p)
    assert status == 0 and len(manifest["nodes"]) > 30
    assert manifest["nodes"]["model.shop.reader"]["primary_key"] == ["n"]
    for said in "'nobody'", "'nowhere'", "materialised", "models.shop.area.deeper":
        assert said in words
    assert "2 processes" in reading(p)[1]


def test_what_follows_is_the_same(project):
    """The cache that they leave is as good as that of one, and so is what commands make of the nodes."""
    p = project(RICH)
    p.run("parse", env={"DBT_PARSE_PROCESSES": "3"}).ok()
    assert p.exists(CACHE)
    made = {k: v["created_at"] for k, v in p.artifact("manifest")["nodes"].items()}
    warm = parse(p)
    assert {k: v["created_at"] for k, v in p.artifact("manifest")["nodes"].items()} == made
    assert warm == parse(p, cold=True)
    p.write({"models/v/calls.sql": "select {{ function('twice') }}(n) + 1 as n from {{ ref('reader') }}"})
    assert parse(p) == parse(p, cold=True)
    assert sum(v["created_at"] != made[k] for k, v in p.artifact("manifest")["nodes"].items()) == 1
    for command in (["ls"], ["ls", "--output", "json"], ["ls", "--select", "tag:small+"], ["compile", "-s", "calls", "--quiet"],
                    ["plan"], ["hooks", "ls"], ["show", "--inline", "select 1 as n from {{ ref('base') }} limit 0"]):
        said = {n: p.run(*command, "--no-partial-parse", env={"DBT_PARSE_PROCESSES": n}) for n in ("1", "2")}
        assert said["1"].stdout == said["2"].stdout and said["1"].status == said["2"].status, command
    assert p.leftovers() == []


@pytest.mark.parametrize("seed", range(4))
def test_any_edits(project, seed):
    r = random.Random(seed)
    p = project(RICH)
    for _ in range(8):
        p.write(r.choice(EDITS)(p, r))
        more = r.choice([[], [], ["--vars", "{with_e: true}"]])
        one_and_more(p, *more, env=r.choice([None, {"CACHE_TEST": r.choice("ab")}]), counts=(r.randrange(2, 8),))
        n = str(r.randrange(1, 5))
        assert parse(p, *more, env={"DBT_PARSE_PROCESSES": n})[2] == parse(p, *more, cold=True)[2]


WRONG = {
    "in several files": {"models/a.sql": "select {{ ref('nothing') }}", "models/area/c.sql": "\n\nselect {{ 1 / 0 }}",
                         "models/v/reader.sql": "select {% if %}", "models/bad.yml": "models: [{description: x}]",
                         "models/v/worse.yml": "models: [\n"},
    "in what is said of files": {"models/v/more.yml": "models: [{name: reader, description: again}]"},
    "in what one file says twice": {"models/v/more.yml": "models: [{name: calls}, {name: calls}]"},
    "two models of one name": {"models/area/reader.sql": "select 1 as n"},
    "two tests of one name": {"models/v/more.yml": "models: [{name: calls, data_tests: [small, small]}]"},
    "in a test": {"models/v/more.yml": "models: [{name: calls, columns: [{name: n, data_tests: [none_such, {small: 3}]}]}]"},
    "in a description": {"models/v/more.yml": "models: [{name: calls, description: \"{{ doc('none') }}\"}]",
                         "models/units.yml": "sources: [{name: o, tables: [{name: t, description: \"{{ doc('no') }}\"}]}]"},
    "in settings of the project file": {"dbt_project.yml": FILES["dbt_project.yml"].replace("+tags: [area]", "+tags: 5")},
    "in a macro": {"macros/m.sql": "{% macro m() %}{{ 1 / 0 }}{% endmacro %}"},
    "a circle": {"models/a.sql": "select n from {{ ref('b') }}"},
    "in a snapshot": {"snapshots/s.yml": "snapshots: [{name: none_such}, {name: snapped, config: {strategy: odd, unique_key: 1}}]"},
    "two relations of one name": {"models/v/calls.sql": "{{ config(alias='reader') }} select 1 as n"},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_in_the_same_words_and_order(project, what):
    p = project({**RICH, **WRONG[what]})
    status, words, _ = one_and_more(p)
    assert ("error" in words) == (status == 2) and status in (0, 2)
    assert status == 2 or what == "in a snapshot", words


def test_an_error_names_its_file_and_line(project):
    p = project({**RICH, "models/area/c.sql": "select 1\n\nfrom {{ 1 / 0 }}"})
    p.run("parse", env={"DBT_PARSE_PROCESSES": "3"}).fails(2).says("models/area/c.sql:3")


LUA = "return { deed = function() %s return '1' end }"
DEEDS = {
    # the process that reads the model; what it has left shows the next one that it has been there
    "killed": "if not io.open('mark') then io.open('mark', 'w'):close() os.execute('kill -9 $PPID') end",
    "ended": "if not io.open('mark') then io.open('mark', 'w'):close() os.exit(0) end",
}


@pytest.mark.parametrize("what", DEEDS)
def test_a_process_that_ends_early_is_not_waited_for(project, what):
    p = project({**RICH, "macros/deed.lua": LUA % DEEDS[what], "models/deed.sql": "select {{ deed() }} as n"})
    result, said = reading(p)
    result.ok()
    assert "in one process" in said and p.exists("mark")
    with_it = plain(p.artifact("manifest"))
    reading(p, 1)[0].ok()
    assert plain(p.artifact("manifest")) == with_it


def test_what_needs_the_whole_project_is_read_in_one(project):
    p = project({**RICH, "models/all.sql": "select {{ graph.nodes | length }} as n"})
    one_and_more(p)
    assert "in one process" in reading(p)[1]


def test_what_could_not_be_written_is_read_in_one(project):
    p = project({**RICH, "models/t.sql": "{{ config(meta={'t': (1, 2)}) }} select 1 as n"})
    one_and_more(p)
    assert "in one process" in reading(p)[1]


def test_a_secret_is_kept_nowhere(project):
    p = project({**RICH, "models/t.sql": "select 'very hidden words' as n"})
    env = {"DBT_ENV_SECRET_WORDS": "very hidden words", "DBT_PARSE_PROCESSES": "2"}
    one_and_more(p, env=env)
    p.run("parse", env=env).ok()
    assert not p.exists(CACHE) and "very hidden words" not in p.read("target/manifest.json")
    assert "*****" in p.artifact("manifest")["nodes"]["model.shop.t"]["raw_code"]


def test_too_little_memory_is_said_once(project):
    files = {**RICH, "models/big.sql": "{% set ns = namespace(x='x' * 1000000) %}{% for i in range(12) %}"
             "{% set ns.x = ns.x ~ ns.x %}{% endfor %}select {{ ns.x | length }} as n"}
    p = project(files)
    wrap = ("sh", "-c", 'ulimit -v 700000; exec "$@"', "sh")
    said = [p.start("parse", "--no-partial-parse", env={"DBT_PARSE_PROCESSES": n}, wrap=wrap).finish() for n in "12"]
    assert said[0].status == said[1].status == 2
    assert said[0].stderr == said[1].stderr and "memory" in said[0].stderr + said[0].stdout


def test_ctrl_c_ends_all_of_them(project):
    p = project({**RICH, "models/long.sql": "{% for i in range(100000000) %}{% endfor %}select 1 as n"})
    running = p.start("parse", env={"DBT_PARSE_PROCESSES": "2"})
    children = f"/proc/{running.process.pid}/task/{running.process.pid}/children"
    found = []
    for _ in range(500):
        with open(children, encoding="ascii") as file:
            found = file.read().split()
        if len(found) == 2:
            break
        time.sleep(0.02)
    assert len(found) == 2
    running.signal(signal.SIGINT)
    running.finish(20).fails(130)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in found)


def test_small_projects_and_one_processor_need_no_more(project):
    p = project(FILES)
    assert "processes" not in p.run("parse", "--log-level", "debug").ok().stderr
    p.write({f"models/many/m{i}.sql": "select 1 as n" for i in range(450)})
    p.write({f"models/many/m{i}.yml": f"models: [{{name: m{i}, columns: [{{name: n, data_tests: [unique]}}]}}]"
             for i in range(450)})
    said = p.run("parse", "--no-partial-parse", "--log-level", "debug").ok()
    if len(os.sched_getaffinity(0)) > 1:
        said.says("processes")
    one = p.start("parse", "--no-partial-parse", "--log-level", "debug", wrap=("taskset", "-c",
                  str(min(os.sched_getaffinity(0))))).finish().ok()
    assert "processes" not in one.stdout + one.stderr
    one_and_more(p)


def test_a_number_that_is_none(project):
    p = project(FILES)
    for n in "0", "many":
        p.run("parse", "--parse-processes", n).fails(2).says(f"--parse-processes needs a whole number above 0, not '{n}'")
    p.run("parse", env={"DBT_PARSE_PROCESSES": "65"}).fails(2).says("a project is read in at most 64 processes, not in 65")
