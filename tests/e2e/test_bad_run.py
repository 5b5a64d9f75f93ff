"""What goes wrong while nodes run: the node is named with its line, the status is 1, what was there is untouched."""
import pytest

import bad
from bad import Case

TABLE = "{{ config(materialized='table') }}\n"

CASES = [
    Case("sql_syntax", {"models/a.sql": TABLE + "select 1 as n\nfrm nowhere\n"}),
    Case("sql_unknown_column", {"models/a.sql": TABLE + "select 1 as n", "models/b.sql":
                                "select\n  n,\n  total\nfrom {{ ref('a') }}\n"}),
    Case("sql_unknown_column_behind_jinja", {"models/b.sql":
         "{% set columns = ['n', 'm'] %}\n\nselect\n{% for c in columns %}\n  {{ c }} as {{ c }}_2,\n{% endfor %}\n"
         "  wrong as x\nfrom {{ ref('a') }}\n"}),
    Case("sql_unknown_relation", {"models/b.sql": "select *\nfrom nowhere.at_all\n"}),
    Case("sql_in_an_ephemeral_model", {"models/inner.sql": "{{ config(materialized='ephemeral') }}\nselect n,\n  wrong\nfrom {{ ref('a') }}\n",
                                       "models/b.sql": "select *\nfrom {{ ref('inner') }}\n"}),
    Case("sql_from_a_macro", {"macros/m.sql": "{% macro total(x) %}\n  summ({{ x }})\n{% endmacro %}\n",
                              "models/b.sql": "select\n  {{ total('n') }} as n\nfrom {{ ref('a') }}\n"}),
    Case("sql_unicode", {"models/b.sql": "select 'größe – 日本' as größe, wrong as x from {{ ref('a') }}\n"}),
    Case("sql_long_line", {"models/a.sql": TABLE + "select 1 as n, " + ", ".join(f"{i} as column_{i}" for i in range(20)) + ", wrong, "
                           + ", ".join(f"{i} as column_{i}" for i in range(20, 40)) + "\n"}),
    Case("sql_control_characters", {"models/a.sql": TABLE + "select '\x1b[31m' as n,\t\x07wrong\n"}),
    Case("sql_runtime", {"models/a.sql": TABLE + "select 1 / (n - 1) as n\nfrom generate_series(1, 3) as s(n)\n"}),
    Case("sql_detail_and_hint", {"models/a.sql": TABLE + "select upper(1) as n\n"}),
    Case("sql_semicolon", {"models/a.sql": TABLE + "select 1 as n;\n"}),
    Case("sql_nothing", {"models/a.sql": TABLE}),
    Case("sql_two_columns_of_a_name", {"models/a.sql": TABLE + "select 1 as n, 2 as n\n"}),
    Case("sql_permission", {"models/a.sql": TABLE + "select * from secret.keys\n"}, profile={"role": "weak"},
         roles=("weak",), before="create schema secret; create table secret.keys as select 1 as n; "
                "do $$ begin execute 'grant create on database ' || current_database() || ' to weak'; end $$"),
    Case("run_query", {"models/b.sql": "{% if execute %}\n  {% set x = run_query('select 1 from nowhere') %}\n{% endif %}\nselect 1 as n\n"}),
    Case("runtime_template", {"models/b.sql": "select 1 as n\n{% if execute %}{{ load_result('nothing').table.columns }}{% endif %}\n"}),
    Case("runtime_compiler_error", {"models/b.sql": "{% if execute %}\n{{ exceptions.raise_compiler_error('The table is empty') }}\n{% endif %}\nselect 1 as n\n"}),
    Case("seed_bad_value", {"seeds/s.csv": "id,n\n1,5\n2,many\n", "seeds/s.yml": "seeds:\n  - name: s\n    config: {column_types: {n: integer}}\n"}),
    Case("test_fails", {"models/a.sql": TABLE + "select * from (values (1), (1), (null)) v(n)\n", "models/p.yml":
                        "models:\n  - name: a\n    columns:\n      - name: n\n        data_tests: [unique, not_null]\n"}),
    Case("test_warns", {"tests/t.sql": "{{ config(severity='warn') }}\nselect * from {{ ref('a') }}\n"}, status=0),
    Case("test_sql", {"tests/t.sql": "select *\nfrom {{ ref('a') }}\nwhere wrong\n"}),
    Case("hook_sql", {"models/a.sql": "{{ config(materialized='table', post_hook=[\n  \"select 1\",\n  \"insert into nowhere values ('{{ this.name }}')\"\n]) }}\nselect 1 as n\n"}),
    Case("hook_sql_in_project_file", {"dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  shop:\n    +post-hook:\n      - \"select 1\"\n      - name: audit\n        sql: \"grant slect on {{ this }} to public\"\n"}),
    Case("hook_lua_raises", {"models/a.sql": TABLE + "{{ config(post_hook='lua: audit.record') }}\nselect 1 as n\n", "hooks/audit.lua":
         "local audit = {}\n\nfunction audit.record(hook)\n  local rows = hook:query(\"select 1 as n\")\n  error(\"too few rows: \" .. rows[1].n)\nend\n\nreturn audit\n"}),
    Case("hook_lua_slip", {"models/a.sql": TABLE + "{{ config(post_hook='lua: audit.record') }}\nselect 1 as n\n", "hooks/audit.lua":
         "local audit = {}\n\nfunction audit.record(hook)\n  local rows = hook:qery(\"select 1 as n\")\nend\n\nreturn audit\n"}),
    Case("hook_lua_sql", {"models/a.sql": TABLE + "{{ config(post_hook='lua: audit.record') }}\nselect 1 as n\n", "hooks/audit.lua":
         "local audit = {}\n\nfunction audit.record(hook)\n  hook:exec([[\n    insert into nowhere values ($1)\n  ]], hook.this.name)\nend\n\nreturn audit\n"}),
    Case("hook_lua_fails", {"models/a.sql": TABLE + "{{ config(post_hook={'lua': 'row_counts.check', 'args': {'fail_below': 10}}) }}\nselect 1 as n\n"}),
    Case("hook_commits", {"models/a.sql": TABLE + "{{ config(post_hook='insert into dev.a values (2); commit') }}\nselect 1 as n\n"}),
    Case("hook_after_commit", {"models/a.sql": TABLE + "{{ config(post_hook=after_commit('select 1/0')) }}\nselect 1 as n\n"}),
    Case("run_hook", {"dbt_project.yml": "name: shop\nprofile: shop\non-run-start:\n  - \"select 1\"\n  - \"insert into nowhere values (1)\"\n  - \"select 3\"\n"}),
    Case("operation_sql", {"operations/o.sql": "{{ config(description='x') }}\nselect 1;\nselect {{ args.n }} from nowhere;\n"}, "operation run o -a n=2"),
    Case("operation_template", {"operations/o.sql": "select 1;\n\nselect {{ args.role.upper() }};\n"}, "operation run o"),
    Case("show_sql", {"models/b.sql": "select\n  wrong\nfrom {{ ref('a') }}\n"}, "show --select b", status=1, before="create schema dev; create view dev.a as select 1 as n"),
    Case("show_inline", {}, ["show", "--inline", "select wrong"], status=1),
]
for case in CASES:
    if case.status == 2:
        case.status = 1


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_mistake(project, case):
    result = bad.run(project, case)
    p = result.project
    assert p.db.rows("select relname from pg_class where relname like '%\\_\\_dbt%'") == [], "nothing half built is left"


@pytest.mark.san
@pytest.mark.parametrize("name", ["sql_syntax", "sql_unicode", "hook_lua_sql", "runtime_template", "seed_bad_value", "operation_sql"])
def test_some_with_sanitizers(project, name):
    bad.run(project, next(case for case in CASES if case.name == name))


@pytest.mark.san
@pytest.mark.parametrize("kind", ["table", "view"])
@pytest.mark.parametrize("change", [
    {"models/m.sql": "select 2 as n, 1/0 as m"},
    {"models/m.sql": "select 2 as n, nothing"},
    {"models/m.sql": "select 2 as n{{ 1/0 if execute }}"},
    {"models/m.sql": "{{ config(post_hook='select 1/0') }} select 2 as n"},
    {"models/m.sql": "{{ config(pre_hook='select 1/0') }} select 2 as n"},
    {"models/m.sql": "{{ config(post_hook='lua: h.fails') }} select 2 as n", "hooks/h.lua": "return { fails = function() error('no') end }"},
    {"models/m.sql": "{{ config(grants={'select': ['nobody_here']}) }} select 2 as n"},
])
def test_what_was_there_is_untouched(project, kind, change):
    """However a model fails, its relation, with its rights and what depends on it, is as before."""
    p = project({"dbt_project.yml": f"name: shop\nprofile: shop\nmodels:\n  +materialized: {kind}\n",
                 "models/m.sql": "select 1 as n"})
    p.run("run").ok()
    p.db.sql("create view dev.reader as select n from dev.m; comment on " + kind + " dev.m is 'mine'; "
             "grant select on dev.m to public")
    state = "select 'dev.m'::regclass::oid, obj_description('dev.m'::regclass), (select relacl from pg_class where oid = " \
            "'dev.m'::regclass), (select n from dev.reader)"
    before = p.db.rows(state)
    p.write(change)
    if kind == "view" and "1/0 as m" in change["models/m.sql"]:
        p.run("run").ok()  # a view is not asked for its rows
        return
    p.run("run").fails(1)
    assert p.db.rows(state) == before
    assert p.db.relations() == ["m " + kind, "reader view"]
