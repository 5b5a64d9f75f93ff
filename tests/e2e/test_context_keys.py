"""What templates see, key by key, in each phase: dbt 1.12's names, as `context.keys()` gives them in dbt itself."""

NAMES = set("""_sql_results adapter adapter_macro api builtins column compiled_code config context context_macro_stack
    database dbt_metadata_envs dbt_version defer_relation diff_of_two_dicts env env_var exceptions execute flags fromjson
    fromyaml function graph invocation_args_dict invocation_id load_agate_table load_result local_md5 log metric model
    modules otel_span_id otel_trace_id post_hooks pre_hooks print project_name ref render return run_started_at schema
    selected_resources set set_strict source sql sql_now store_raw_result store_result submit_python_job target this
    thread_id tojson toyaml try_or_compiler_error validation var write zip zip_strict""".split())
# in dbt only with DBT_MACRO_DEBUGGING
OWN = {"debug"}
RUN_END = {"results", "schemas", "database_schemas"}
GENERIC_TEST = {"_dbt_generic_test_kwargs"}
NO_NODE = {"this", "compiled_code", "defer_relation"}

PHASES = {
    "pre-hook": NAMES, "post-hook": NAMES, "model": NAMES, "snapshot": NAMES, "singular": NAMES, "start": NAMES,
    "end": NAMES | RUN_END, "test": NAMES | GENERIC_TEST, "operation": NAMES - NO_NODE,
}
# the names of descriptions
DOCS = """dbt_version var env_var fromjson tojson fromyaml toyaml set set_strict zip zip_strict log run_started_at
    invocation_id thread_id modules flags print diff_of_two_dicts local_md5 target project_name doc""".split()
NOT_IN_DOCS = "adapter ref source this model config graph execute load_result schema".split()

FILES = {
    "dbt_project.yml": """
        name: shop
        profile: shop
        on-run-start: "{{ keys('start') }}"
        on-run-end: "{{ keys('end') }}"
        models:
          +pre-hook: "{{ keys('pre-hook') }}"
          +post-hook: "{{ keys('post-hook') }}"
        """,
    "macros/keys.sql": """
        {% macro keys(phase) %}{% if execute %}{% do print('KEYS ' ~ phase ~ ' ' ~ context.keys() | join(' ')) %}{% endif %}
        {% endmacro %}
        {% test custom(model, column_name) %}{{ keys('test') }}select 1 where false{% endtest %}
        """,
    "models/m.sql": """{{ config(meta={'keys': [] if execute else context.keys() | list}) }}
        {{ keys('model') }} select 1 as id""",
    "models/m.yml": """
        version: 2
        models:
          - name: m
            description: "{{ doc('d') }}: """ + " ".join(
                "{{ '' if %s is defined else '%s' }}" % (name, name) for name in DOCS) + " | " + " ".join(
                "{{ '%s' if %s is defined }}" % (name, name) for name in NOT_IN_DOCS) + """"
            columns: [{name: id, data_tests: [custom]}]
        """,
    "models/d.md": "{% docs d %}hello{% enddocs %}",
    "snapshots/sn.sql": """{% snapshot sn %}
        {{ config(unique_key='id', strategy='check', check_cols=['id'], target_schema='dev') }}
        {{ keys('snapshot') }} select 1 as id{% endsnapshot %}""",
    "tests/singular.sql": "{{ keys('singular') }} select 1 where false",
}


def seen(p, result):
    """Phase -> the names that are no macros'."""
    macros = {macro["name"] for macro in p.artifact("manifest")["macros"].values()}
    namespaces = {"shop", "dbt", "dbt_postgres"}
    return {line.split()[1]: set(line.split()[2:]) - macros - namespaces
            for line in result.stdout.splitlines() if line.startswith("KEYS ")}


def test_phases(project):
    p = project(FILES)
    phases = seen(p, p.run("build", "--quiet").ok())
    phases.update(seen(p, p.run("run-operation", "keys", "--args", "{phase: operation}", "--quiet").ok()))
    assert set(phases) == set(PHASES)
    for phase, names in PHASES.items():
        assert phases[phase] - OWN == names, phase


def test_phases_that_only_compile(project):
    p = project(FILES)
    for command in ("compile", "docs generate"):
        phases = seen(p, p.run(*command.split(), "--quiet").ok())
        assert {"model", "singular", "snapshot", "test"} <= set(phases), command
        for phase in phases:
            assert phases[phase] - OWN == PHASES[phase], (command, phase)


def test_parsing(project):
    p = project(FILES)
    p.run("parse").ok()
    macros = {macro["name"] for macro in p.artifact("manifest")["macros"].values()}
    keys = set(p.artifact("manifest")["nodes"]["model.shop.m"]["config"]["meta"]["keys"])
    assert keys - macros - OWN - {"shop", "dbt", "dbt_postgres"} == NAMES


def test_descriptions(project):
    p = project(FILES)
    p.run("parse").ok()
    assert p.artifact("manifest")["nodes"]["model.shop.m"]["description"].split() == ["hello:", "|"]
