"""Mistakes in a project's files: found before anything is run, told with file and line, status 2."""
import pytest

import bad
from bad import Case

LAST = "models:\n  - name: a\n"

CASES = [
    # The project file
    Case("project_none", {"dbt_project.yml": None}),
    Case("project_empty", {"dbt_project.yml": ""}),
    Case("project_without_a_name", {"dbt_project.yml": "version: 1\nprofile: shop\n"}),
    Case("project_bad_name", {"dbt_project.yml": "name: my-shop\nprofile: shop\n"}),
    Case("project_bad_yaml", {"dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  shop: [1, 2\n"}),
    Case("project_tabs", {"dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n\tshop: 1\n"}),
    Case("project_wrong_type", {"dbt_project.yml": "name: shop\nprofile: shop\nmodel-paths: models\n"}),
    Case("project_unknown_key", {"dbt_project.yml": "name: shop\nprofile: shop\nmodle-paths: [models]\n"}, status=0),
    Case("project_jinja", {"dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  +enabled: \"{{ vra('x') }}\"\n"}),
    Case("project_needs_another_dbt", {"dbt_project.yml": "name: shop\nprofile: shop\nrequire-dbt-version: '>=2.0.0'\n"}),
    Case("project_unused_path", {"dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  shop:\n    stagin:\n      +tags: x\n"},
         status=0),
    Case("package_not_there", {"packages.yml": "packages:\n  - local: tools\n"}),
    # References
    Case("unknown_ref", {"models/orders.sql": "select 1 as n\n",
                         "models/b.sql": "select *\nfrom {{ ref('order') }}\n"}),
    Case("unknown_ref_in_package", {"models/b.sql": "select * from {{ ref('shp', 'a') }}\n"}),
    Case("unknown_version", {"models/b.sql": "select * from {{ ref('a', v=3) }}\n"}),
    Case("unknown_source", {"models/b.sql": "select * from {{ source('raw', 'order') }}\n",
                            "models/s.yml": "sources:\n  - name: raw\n    tables:\n      - name: orders\n"}),
    Case("disabled_ref", {"models/off.sql": "{{ config(enabled=false) }} select 1 as n\n",
                          "models/b.sql": "select * from {{ ref('off') }}\n"}),
    Case("cycle", {"models/b.sql": "select * from {{ ref('d') }}\n", "models/c.sql": "select * from {{ ref('b') }}\n",
                   "models/d.sql": "select * from {{ ref('c') }}\n"}),
    Case("ref_of_itself", {"models/b.sql": "select * from {{ ref('b') }}\n"}),
    Case("duplicate_models", {"models/x/a.sql": "select 2 as n\n"}),
    Case("duplicate_relations", {"models/b.sql": "{{ config(alias='a') }} select 2 as n\n"}),
    Case("duplicate_seed_and_model", {"seeds/a.csv": "n\n1\n"}),
    Case("duplicate_macros", {"macros/x.sql": "{% macro m() %}1{% endmacro %}\n",
                              "macros/y.sql": "\n{% macro m() %}2{% endmacro %}\n"}),
    Case("duplicate_properties", {"models/one.yml": LAST, "models/two.yml": LAST}),
    Case("several_mistakes", {"models/b.sql": "select * from {{ ref('x') }}\n", "models/c.sql": "select {{ 1 + }}\n",
                              "models/d.sql": "select * from {{ source('s', 't') }}\n"}),
    Case("several_unknown_refs", {"models/b.sql": "select * from {{ ref('x') }}\n", "models/c.sql": "select * from {{ ref('aa') }}\n",
                                  "models/d.sql": "select * from {{ source('s', 't') }}\n"}),
    # Templates
    Case("template_unclosed", {"models/b.sql": "select 1 as n\nfrom {{ ref('a')\nwhere true\n"}),
    Case("template_no_endif", {"models/b.sql": "select\n{% if var('x', true) %}\n  1 as n\n"}),
    Case("template_stray_end", {"models/b.sql": "select 1 as n\n{% endfor %}\n"}),
    Case("template_unknown_tag", {"models/b.sql": "select 1 as n\n{% iff true %}\n"}),
    Case("template_expression", {"models/b.sql": "select {{ 1 + }} as n\n"}),
    Case("template_unknown_filter", {"models/b.sql": "select '{{ 'x' | uper }}' as n\n"}),
    Case("template_unknown_function", {"models/b.sql": "select 1 as n\n from {{ reff('a') }}\n"}, status=1),
    Case("template_missing_var", {"models/b.sql": "select {{ var('start_date') }} as n\n"}, status=1),
    Case("template_missing_env_var", {"models/b.sql": "select '{{ env_var('FRUIT') }}' as n\n"}),
    Case("template_macro_arguments", {"macros/m.sql": "{% macro cents(column, digits=2) %}{{ column }}{% endmacro %}\n",
                                      "models/b.sql": "select {{ cents('n', precision=3) }} as n from {{ ref('a') }}\n"}),
    Case("template_in_a_macro", {"macros/m.sql": "{% macro m(x) %}\n  {{ x.y.z }}\n{% endmacro %}\n",
                                 "models/b.sql": "select {{ m('n') }} as n from {{ ref('a') }}\n"}),
    Case("macro_file_does_not_parse", {"macros/m.sql": "{% macro m(x) %}\n  {{ x }}\n{% endmacr %}\n"}),
    Case("raise_compiler_error", {"models/b.sql": "select 1 as n\n{{ exceptions.raise_compiler_error('pick a start date') }}\n"}),
    # Configuration and properties
    Case("config_unknown_key", {"models/a.sql": "{{ config(materialised='table') }}\nselect 1 as n\n"}, status=0),
    Case("config_unknown_materialization", {"models/a.sql": "{{ config(materialized='tabel') }}\nselect 1 as n\n"}, status=1),
    Case("config_hook_twice", {"models/a.sql": "{{ config({'pre-hook': 'select 1', 'pre_hook': 'select 2'}) }} select 1 as n\n"}),
    Case("properties_bad_yaml", {"models/p.yml": "models:\n  - name: a\n   description: x\n"}),
    Case("properties_unknown_model", {"models/p.yml": "models:\n  - name: aa\n    description: x\n"}, status=0),
    Case("properties_unknown_key", {"models/p.yml": "models:\n  - name: a\n    colums:\n      - name: n\n"}, status=0),
    Case("properties_not_a_list", {"models/p.yml": "models:\n  name: a\n"}),
    Case("properties_without_a_name", {"models/p.yml": "models:\n  - description: x\n"}),
    Case("test_unknown", {"models/p.yml": "models:\n  - name: a\n    columns:\n      - name: n\n        data_tests: [uniqe]\n"}),
    Case("test_bad_argument", {"models/p.yml": "models:\n  - name: a\n    columns:\n      - name: n\n        data_tests:\n"
                                               "          - accepted_values: {valeus: [1]}\n"}, status=1),
    Case("test_bad_severity", {"models/p.yml": "models:\n  - name: a\n    columns:\n      - name: n\n        data_tests:\n"
                                               "          - unique: {config: {severity: wrn}}\n"}),
    # Seeds
    Case("seed_ragged", {"seeds/s.csv": "id,name\n1,x\n2,y,z\n"}, status=1),
    Case("seed_unclosed_quote", {"seeds/s.csv": "id,name\n1,\"x\n2,y\n"}, status=1),
    Case("seed_not_utf8", {"seeds/s.csv": b"id,name\n1,caf\xe9\n"}, status=1),
    Case("seed_empty", {"seeds/s.csv": ""}, status=1),
    Case("seed_binary", {"seeds/s.csv": b"id,name\n1,a\0b\n"}, status=1),
    # Hooks
    Case("hook_unknown_key", {"models/a.sql": "{{ config(post_hook={'sql': 'select 1', 'trasaction': false}) }}\nselect 1 as n\n"}),
    Case("hook_bad_value", {"models/a.sql": "{{ config(post_hook={'sql': 'select 1', 'on_error': 'panic'}) }}\nselect 1 as n\n"}),
    Case("hook_of_a_wrong_type", {"dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  +post-hook: [1]\n"}),
    Case("hook_file_does_not_load", {"models/a.sql": "{{ config(post_hook='lua: audit.record') }} select 1 as n\n",
                                     "hooks/audit.lua": "local audit = {}\n\nfunction audit.record(hook)\n  hook:log('x'\nend\n"}),
    Case("hook_file_raises", {"models/a.sql": "{{ config(post_hook='lua: audit.record') }} select 1 as n\n",
                              "hooks/audit.lua": "local audit = {}\naudit.started = os.tme()\nreturn audit\n"}, lua=True),
    Case("hook_file_returns_nothing", {"models/a.sql": "{{ config(post_hook='lua: audit.record') }} select 1 as n\n",
                                       "hooks/audit.lua": "local audit = {}\nfunction audit.record(hook) end\n"}),
    Case("hook_module_unknown", {"models/a.sql": "{{ config(post_hook='lua: adit.record') }} select 1 as n\n",
                                 "hooks/audit.lua": "return { record = function() end }\n"}),
    Case("hook_function_unknown", {"models/a.sql": "{{ config(post_hook='lua: audit.recrd') }} select 1 as n\n",
                                   "hooks/audit.lua": "return { record = function() end, prepare = function() end }\n"}),
    Case("hook_lua_without_a_function", {"models/a.sql": "{{ config(post_hook='lua: audit') }} select 1 as n\n"}),
    Case("hook_operation_unknown", {"models/a.sql": "{{ config(post_hook={'operation': 'refesh'}) }} select 1 as n\n",
                                    "operations/refresh.sql": "select 1"}),
    Case("hook_template", {"models/a.sql": "{{ config(post_hook='{{ nothing.at.all }}') }} select 1 as n\n"}, status=1),
    Case("hook_template_syntax", {"dbt_project.yml": "name: shop\nprofile: shop\non-run-start: \"select {{ 1 + }}\"\n"}),
    Case("seed_hook_with_ref", {"seeds/s.csv": "n\n1\n", "seeds/s.yml":
                                "seeds:\n  - name: s\n    config:\n      post_hook: \"select * from {{ ref('a') }}\"\n"}),
    Case("operation_syntax", {"operations/o.sql": "select 1;\n{% if %}\n"}, command="operation run o"),
    Case("operation_config", {"operations/o.sql": "{{ config(transaction='no') }} select 1\n"}, command="operation run o"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_mistake(project, case):
    p = bad.run(project, case).project
    if case.status == 2:
        assert p.db.rows("select nspname from pg_namespace where nspname = 'dev'") == [], "nothing was made"
    if case.status != 0:
        assert "a view" not in p.db.relations() or case.status == 1


@pytest.mark.san
@pytest.mark.parametrize("name", ["unknown_ref", "cycle", "template_unclosed", "project_bad_yaml", "seed_ragged", "seed_not_utf8",
                                  "hook_file_does_not_load", "several_mistakes"])
def test_some_with_sanitizers(project, name):
    bad.run(project, next(case for case in CASES if case.name == name))
