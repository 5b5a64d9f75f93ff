"""What --select, --exclude, --selector and their relatives choose, against what dbt 1.12 says of the same project:
selections.txt holds each command line with the lines that `dbt ls` has given, the project's name taken off."""
import os
import shlex

import pytest

# One of everything that can be selected.
FILES = {
    "analyses/an.sql": "select * from {{ ref('alone') }}\n",
    "dbt_project.yml": """
name: shop
version: '1.0'
profile: shop
models:
  shop:
    marts:
      +tags: [nightly]
      +materialized: table
    staging:
      +materialized: view
seeds:
  shop:
    +tags: [static]
""",
    "inner/dbt_project.yml": """
name: inner
version: "1.0"
profile: shop
""",
    "inner/models/p.yml": """
models:
  - name: pm
    columns: [{name: id, data_tests: [unique]}]
""",
    "inner/models/pm.sql": "select 1 as id\n",
    "inner/models/staging/pms.sql": "select * from {{ ref('pm') }}\n",
    "models/alone.sql": "select 1 as id\n",
    "models/marts/c.sql": "select * from {{ ref('stg_a') }}, {{ ref('stg_d') }}\n",
    "models/marts/d.sql": """
{{ config(meta={'owner': 'me', 'rank': 5, 'ok': true}, group='fin', access='protected') }}
select * from {{ ref('stg_b') }}, {{ ref('c') }}
""",
    "models/marts/e.sql": """
{{ config(materialized='incremental', unique_key=['a','b']) }} select * from {{ ref('d') }}
""",
    "models/marts/ts.sql": "select current_date as day\n",
    "models/marts/v_v1.sql": "{{ config(group=\"fin\", access=\"private\") }} select 1 as id\n",
    "models/marts/v_v2.sql": "select 1 as id\n",
    "models/marts/v_v3.sql": "select 1 as id from {{ ref('v', v=2) }}\n",
    "models/off.sql": "{{ config(enabled=false) }} select 1 as id\n",
    "models/p.yml": """
groups:
  - name: fin
    owner: {name: f}
models:
  - name: stg_a
    columns:
      - name: id
        data_tests: [unique, not_null]
  - name: stg_b
    columns:
      - name: id
        data_tests:
          - relationships: {arguments: {to: ref('raw'), field: id}}
          - accepted_values: {arguments: {values: [1, 2]}, config: {severity: warn, tags: [slow]}}
  - name: c
    data_tests:
      - relationships: {arguments: {to: ref('stg_a'), field: id}, column_name: id}
  - name: d
    columns: [{name: id, data_tests: [{relationships: {arguments: {to: ref('e'), field: id}}}]}]
  - name: v
    latest_version: 2
    config: {access: public}
    columns: [{name: id, data_tests: [not_null]}]
    versions:
      - v: 1
      - v: 2
      - v: 3
  - name: ts
    config: {materialized: table}
    columns: [{name: day, granularity: day}]
    time_spine: {standard_granularity_column: day}
sources:
  - name: src
    tags: [st]
    schema: other
    tables:
      - name: t
        tags: [tt]
        columns: [{name: id, data_tests: [not_null]}]
      - name: u
  - name: src2
    tables: [{name: t}]
exposures:
  - name: board
    type: dashboard
    owner: {name: me}
    tags: [nightly]
    depends_on: ["ref('d')", "source('src', 'u')"]
  - name: board2
    type: ml
    owner: {name: me}
    depends_on: [ref('alone')]
unit_tests:
  - name: ut_b
    model: stg_b
    config: {tags: [ut]}
    given: [{input: ref('stg_a'), rows: [{id: 1}]}]
    expect: {rows: [{id: 1}]}
  - name: ut_c
    model: c
    given:
      - {input: ref('stg_a'), rows: [{id: 1}]}
      - {input: ref('stg_d'), rows: [{id: 1}]}
    expect: {rows: [{id: 1}]}
semantic_models:
  - name: sem
    model: ref('d')
    defaults: {agg_time_dimension: ds}
    entities: [{name: id, type: primary}]
    dimensions: [{name: ds, type: time, type_params: {time_granularity: day}}]
    measures: [{name: cnt, agg: count, expr: id, create_metric: false}]
metrics:
  - name: met
    label: Met
    type: simple
    config: {tags: [mm], group: fin}
    type_params: {measure: cnt}
  - name: met2
    label: Met2
    type: derived
    type_params: {expr: "met * 2", metrics: [met]}
saved_queries:
  - name: sq
    config: {tags: [sqt]}
    query_params: {metrics: [met], group_by: ["TimeDimension('id__ds', 'day')"]}
""",
    "models/staging/deep/er/stg_d.sql": """
{{ config(materialized='ephemeral') }} select * from {{ source('src','t') }}
""",
    "models/staging/dotted.name.sql": "select 1 as id\n",
    "models/staging/stg_a.sql": "select * from {{ ref('raw') }}\n",
    "models/staging/stg_b.sql": "{{ config(tags=['x','hourly']) }} select * from {{ ref('stg_a') }}\n",
    "packages.yml": """
packages:
  - local: inner
""",
    "seeds/raw.csv": """
id
1
""",
    "seeds/raw_items.csv": """
id,a
1,2
""",
    "selectors.yml": """
selectors:
  - name: nightly
    definition: tag:nightly
  - name: plus
    definition: "+c+1"
  - name: one_key
    definition: {tag: x}
  - name: full
    definition:
      method: fqn
      value: stg_b
      children: true
      children_depth: 1
      parents: true
  - name: fam
    definition: {method: fqn, value: stg_b, childrens_parents: true}
  - name: uni
    definition:
      union:
        - tag:x
        - method: path
          value: models/marts
        - exclude:
            - method: fqn
              value: e
            - config.materialized:view
  - name: inter
    definition:
      intersection:
        - tag:nightly
        - union: [d, e, c, alone]
        - exclude: [c]
  - name: inherit
    definition:
      union:
        - {method: selector, value: inter}
        - {method: fqn, value: alone}
  - name: inherit_plus
    definition: {method: selector, value: nightly, parents: true, parents_depth: 1}
  - name: cautious
    definition: {method: fqn, value: stg_b, indirect_selection: cautious}
  - name: empty
    definition: {method: fqn, value: stg_b, indirect_selection: empty}
  - name: build
    definition:
      method: fqn
      value: stg_b
      indirect_selection: buildable
  - name: exc
    definition:
      method: tag
      value: nightly
      exclude: [d, {method: test_name, value: not_null}]
  - name: bool
    definition: {method: config.meta.ok, value: true}
  - name: num
    definition: {method: config.meta.rank, value: 5}
""",
    "snapshots/s.sql": """
{% snapshot snap %}
{{ config(target_schema='s', unique_key='id', strategy='check', check_cols='all') }} select * from {{ ref('raw') }}
{% endsnapshot %}
""",
    "tests/check_bc.sql": "select * from {{ ref('stg_b') }} join {{ ref('c') }}\n",
    "tests/check_pm.sql": "{{ config(tags='tt', severity='warn') }} select * from {{ ref('pm') }}\n",
}


def expectations():
    """(command line, lines of the listing) of selections.txt."""
    found = []
    with open(os.path.join(os.path.dirname(__file__), "selections.txt"), encoding="utf-8") as file:
        for line in file:
            if line.startswith(" "):
                found[-1][1].extend(word for word in line.split() if word != "-")
            else:
                found.append((line.strip(), []))
    return found


@pytest.fixture
def shop(project):
    return project(FILES)


def listed(p, words):
    lines = p.run("ls", "-q", *shlex.split(words)).ok().stdout.splitlines()
    return [line.removeprefix("shop.") for line in lines]


def test_every_selection_is_dbts(shop):
    wrong = []
    for words, expected in expectations():
        got = listed(shop, words)
        if got != expected:
            wrong.append(f"{words}\n  missing: {[n for n in expected if n not in got]}\n"
                         f"  too many: {[n for n in got if n not in expected]}")
    assert not wrong, "\n".join(wrong)


WRONG = [
    ("--select tags:x", "'tags' is no selection method", "did you mean 'tag'?"),
    ("--select @stg_a+", "`@` in front and `+` behind exclude each other"),
    ("--select resource_type:modle", "'modle' is no resource type", "did you mean 'model'?"),
    ("--select test_type:sing", "'sing' is no type of test"),
    ("--select version:x", "'x' is no version selector"),
    ("--select source:a.b.c.d", "'source:a.b.c.d' has too many parts"),
    ("--select exposure:a.b.c", "'exposure:a.b.c' has too many parts"),
    ("--select config:x", "`config` needs the key"),
    ("--select state:modified", "'state' compares with an earlier run", "--state"),
    ("--select result:error", "'result' compares with an earlier run"),
    ("--select source_status:fresher", "'source_status' compares with an earlier run"),
    ("--selector nigthly", "there is no selector 'nigthly'", "did you mean 'nightly'?"),
    ("--select selector:nope", "there is no selector 'nope'"),
    ("--selector nightly --select a", "--selector and --select or --exclude exclude each other"),
    ("--indirect-selection eagre", "--indirect-selection is one of eager, cautious, buildable, empty"),
    ("--resource-type modle", "'modle' is no resource type"),
    ("--exclude-resource-type modle", "'modle' is no resource type"),
]


@pytest.mark.parametrize("words, says", [(w[0], w[1:]) for w in WRONG], ids=[w[0] for w in WRONG])
def test_what_is_wrong(shop, words, says):
    shop.run("ls " + words).fails(2).says(*says)


def test_a_default_selector(shop):
    text = FILES["selectors.yml"].replace("- name: bool\n", "- name: bool\n    default: true\n")
    shop.write({"selectors.yml": text})
    assert listed(shop, "") == ["marts.d", "relationships_d_id__id__ref_e_"]
    shop.run("ls").ok().says("using the default selector 'bool'")
    assert listed(shop, "--select alone") == ["alone"]
    assert shop.run("parse").ok().manifest["selectors"]["bool"] == {
        "name": "bool", "default": True,
        "definition": {"method": "config.meta.ok", "value": True}}


BAD = [
    ("- {name: x, definition: 'tags:a'}", "selector 'x': 'tags' is no selection method", "did you mean 'tag'?"),
    ("- {name: x}", "selector 'x': it has no `definition`"),
    ("- {definition: a}", "every selector is a mapping with a `name` and a `definition`"),
    ("- {name: x, definition: [a]}", "a definition is a text or a mapping"),
    ("- {name: x, definition: {union: a}}", "`union` must be a list"),
    ("- {name: x, definition: {union: [a], intersection: [b]}}", "stands alone at the top of a definition"),
    ("- {name: x, definition: {union: [{exclude: [a]}, {exclude: [b]}]}}", "a second `exclude` in one `union`"),
    ("- {name: x, definition: {method: tag, valeu: a}}", "a criterion needs `method` and `value`"),
    ("- {name: x, definition: {method: tag, value: a, indirect_selection: x}}", "'x' is no mode of indirect selection"),
    ("- {name: x, definition: a, default: true}\n- {name: y, definition: a, default: true}", "are both the default"),
    ("- {name: x, definition: a}\n- {name: x, definition: b}", "two selectors have the name 'x'"),
]


@pytest.mark.parametrize("text, says", [(b[0], b[1:]) for b in BAD], ids=[b[1][:40] for b in BAD])
def test_bad_selectors(project, text, says):
    line = 1 + len(text.splitlines())
    p = project({"selectors.yml": "selectors:\n" + text + "\n"})
    p.run("parse").fails(2).says(f"selectors.yml:{line}", *says)


def test_all_bad_selectors_are_told(project):
    p = project({"selectors.yml": "selectors:\n- {name: x, definition: 'tags:a'}\n- {name: y}\n"})
    p.run("parse").fails(2).says("selector 'x'", "selector 'y'")


def test_an_unknown_key_of_a_selector_is_a_warning(project):
    p = project({"selectors.yml": "selectors:\n- {name: x, definition: {method: tag, value: a, childern: true}}\n"})
    p.run("parse").ok().says("selector 'x' has no key 'childern'", "did you mean 'children'?")


def test_a_selector_that_uses_itself(project):
    p = project({"models/a.sql": "select 1", "selectors.yml": "selectors:\n"
                 "- {name: x, definition: {method: selector, value: y}}\n"
                 "- {name: y, definition: {method: selector, value: x}}\n"})
    p.run("ls --selector x").fails(2).says("uses itself", "selectors.yml:")


def test_output_formats(shop):
    def lines(words):
        return shop.run("ls -q " + words).ok().stdout.splitlines()

    assert lines("--select v --resource-type model --output name") == ["v.v1", "v.v2", "v.v3"]
    assert lines("--select source:src.t --output name --resource-type source") == ["src.t"]
    assert lines("--select d --resource-type model --output path") == ["models/marts/d.sql"]
    assert lines("--select d --resource-type model --output json "
                 "--output-keys name config.materialized config.nope") == [
        '{"name": "d", "config.materialized": "table"}']
