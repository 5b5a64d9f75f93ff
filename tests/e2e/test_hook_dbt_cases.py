"""What dbt's own tests of hooks ask for, said anew as black-box cases; each names the class of dbt's suite."""
import pytest

CONTEXT = ("{{ target.dbname }}|{{ target.host }}|{{ target.name }}|{{ target.schema }}|{{ target.type }}|{{ target.user }}|"
           "{{ run_started_at }}|{{ invocation_id }}|{{ thread_id }}")
COLUMNS = ("create table public.on_model (state text, target_dbname text, target_host text, target_name text, target_schema text,"
           " target_type text, target_user text, run_started_at text, invocation_id text, thread_id text)")


def row(state):
    return "insert into public.on_model values ('" + state + "', '" + CONTEXT.replace("|", "', '") + "')"


def checked(p, state, count=1):
    """As dbt's get_ctx_vars: the rows of a state have what the context has."""
    rows = [r.split("|") for r in p.db.rows(f"select * from public.on_model where state = '{state}'")]
    assert len(rows) == count, rows
    for _, dbname, host, name, schema, kind, user, started, invocation, thread in rows:
        assert (dbname, name, schema, kind, user) == (p.db.name, "dev", "dev", "postgres", "postgres")
        assert host == p.db.server.host and started.startswith("20") and len(invocation) == 36
        assert thread.startswith("Thread-")


def made(project, files, **options):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\n", **files}, **options)
    p.db.sql(COLUMNS)
    return p


@pytest.mark.parametrize("mark", ["-", "_"])
@pytest.mark.parametrize("kind", ["view", "table", "incremental"])
def test_pre_and_post_of_the_project_file(project, mark, kind):
    """TestPrePostModelHooks, TestPrePostModelHooksUnderscores: vacuum is declared second and runs outside."""
    p = made(project, {"models/hooks.sql": "select 1 as id", "dbt_project.yml": f"""
        name: shop
        profile: shop
        models:
          shop:
            +materialized: {kind}
            pre{mark}hook:
              - "{row('start')}"
              - {{sql: "vacuum public.on_model", transaction: false}}
            post{mark}hook:
              - "{row('end')}"
              - {{sql: "vacuum public.on_model", transaction: false}}
        """})
    result = p.run("run").ok()
    checked(p, "start")
    checked(p, "end")
    assert [h["phase"] for h in result.hooks] == ["pre_outside", "pre_hooks", "post_hooks", "post_outside"]


def test_refs_of_hooks(project):
    """TestHookRefs: what a hook refers to is built before."""
    p = made(project, {
        "models/pre.sql": "select 'pre' as who", "models/post.sql": "select 'post' as who",
        "models/hooked.sql": "{{ config(pre_hook=\"insert into public.on_model (state) select who from {{ ref('pre') }}\") }} select 1 as id",
        "dbt_project.yml": "name: shop\nprofile: shop\nmodels:\n  shop:\n    hooked:\n"
                           "      post-hook: \"insert into public.on_model (state) select who from {{ ref('post') }}\"\n"})
    result = p.run("run").ok()
    assert p.db.rows("select state from public.on_model") == ["pre", "post"]
    assert result.order[-1] == "hooked"


@pytest.mark.parametrize("plus", ["", "+", "+ "])
def test_on_seeds(project, plus):
    """TestPrePostModelHooksOnSeeds, ...PlusPrefixed, ...PlusPrefixedWhitespace."""
    p = made(project, {
        "dbt_project.yml": f"""
            name: shop
            profile: shop
            seeds:
              {plus}post-hook:
                - "alter table {{{{ this }}}} add column new_col {{{{ dbt.type_int() }}}}"
                - "update {{{{ this }}}} set new_col = 1"
              quote_columns: false
            """,
        "seeds/example_seed.csv": "a,b,c\n1,2,3\n4,5,6\n7,8,9\n",
        "seeds/s.yml": "seeds: [{name: example_seed, columns: [{name: new_col, data_tests: [not_null]}]}]\n"})
    p.run("seed").ok()
    p.run("test").ok()
    assert p.db.rows("select sum(new_col) from dev.example_seed") == ["3"]


def test_refs_on_seeds(project):
    """TestHooksRefsOnSeeds: refused while parsing."""
    p = made(project, {"models/post.sql": "select 1 as id", "seeds/example_seed.csv": "a\n1\n",
                       "dbt_project.yml": "name: shop\nprofile: shop\nseeds:\n  post-hook: \"insert into x select id from {{ ref('post') }}\"\n"})
    p.run("parse").fails(2).says("seeds cannot depend on other nodes", "dbt_project.yml:4")


@pytest.mark.parametrize("place", ["project", "config"])
def test_on_snapshots(project, place):
    """TestPrePostModelHooksOnSnapshots, TestPrePostSnapshotHooksInConfigKwargs."""
    hooks = ["alter table {{ this }} add column new_col int", "update {{ this }} set new_col = 1"]
    config = f", post_hook={hooks!r}" if place == "config" else ""
    p = made(project, {
        "dbt_project.yml": "name: shop\nprofile: shop\n" + (
            "snapshots:\n  +post-hook:\n" + "".join(f"    - \"{hook}\"\n" for hook in hooks) if place == "project" else ""),
        "seeds/example_seed.csv": "a,b,c\n1,2,3\n4,5,6\n7,8,9\n",
        "snapshots/s.sql": "{% snapshot example_snapshot %}{{ config(target_schema='dev', unique_key='a', strategy='check', check_cols='all'"
                           + config + ") }} select * from {{ ref('example_seed') }}{% endsnapshot %}",
        "snapshots/s.yml": "snapshots: [{name: example_snapshot, columns: [{name: new_col, data_tests: [not_null]}]}]\n"})
    p.run("seed").ok()
    p.run("snapshot").ok()
    p.run("test").ok()


@pytest.mark.parametrize("head", [
    "config({{'pre_hook': {0!r}, 'post-hook': {1!r}}})",      # TestPrePostModelHooksInConfig
    "config(pre_hook={0!r}, post_hook={1!r})",                # TestPrePostModelHooksInConfigKwargs
    "config(pre_hook=[{0!r}], post_hook=[{{'sql': {1!r}}}])",
])
def test_in_config(project, head):
    p = made(project, {"models/hooks.sql": "{{ " + head.format(row("start"), row("end")) + " }}\nselect 3 as id"})
    p.run("run").ok()
    checked(p, "start")
    checked(p, "end")


def test_in_config_with_count(project):
    """TestPrePostModelHooksInConfigWithCount: those of the project file and of the model add up."""
    p = made(project, {
        "dbt_project.yml": f"name: shop\nprofile: shop\nmodels:\n  shop:\n    pre-hook: [\"{row('start')}\"]\n    post-hook: [\"{row('end')}\"]\n",
        "models/hooks.sql": "{{ config(pre_hook=%r, post_hook=%r) }} select 3 as id" % (row("start"), row("end"))})
    p.run("run").ok()
    checked(p, "start", 2)
    checked(p, "end", 2)


def test_duplicate_spellings(project):
    """TestDuplicateHooksInConfigs: both names of one setting."""
    p = made(project, {"models/hooks.sql": "{{ config({'pre_hook': 'select 1', 'pre-hook': 'select 2', 'post-hook': 'select 3', 'post_hook': "
                                           "'select 4'}) }} select 1 as id"})
    p.run("run").fails(2).says("pre_hook", "pre-hook", "models/hooks.sql:1")


@pytest.mark.parametrize("as_list", [False, True])
def test_macros_in_properties(project, as_list):
    """TestPrePostModelHooksWithMacros, ...ListWithMacros: rendered when they run."""
    hook = "\"{{ custom_run_hook('%s', target, run_started_at, invocation_id, thread_id) }}\""
    p = made(project, {
        "macros/m.sql": "{% macro custom_run_hook(state, target, run_started_at, invocation_id, thread_id) %}insert into public.on_model values ("
                        "'{{ state }}', '" + CONTEXT.replace("|", "', '") + "'){% endmacro %}",
        "models/m.sql": "select 1 as id",
        "models/m.yml": "models:\n  - name: m\n    config:\n      pre_hook: %s\n      post_hook: %s\n" % tuple(
            "[" + hook % state + "]" if as_list else hook % state for state in ("start", "end"))})
    p.run("run").ok()
    checked(p, "start")
    checked(p, "end")


@pytest.mark.parametrize("command", ["run", "seed"])
def test_run_hooks(project, command):
    """TestPrePostRunHooks: order, variables, schemas."""
    p = made(project, {
        "macros/m.sql": "{% macro custom_run_hook(state, target, run_started_at, invocation_id) %}insert into public.on_model values ('{{ state }}', '"
                        + CONTEXT.replace("|", "', '") + "'){% endmacro %}",
        "models/m.sql": "select * from public.start_hook_order_test",
        "seeds/s.csv": "n\n1\n",
        "dbt_project.yml": """
            name: shop
            profile: shop
            on-run-start:
              - "{{ custom_run_hook('start', target, run_started_at, invocation_id) }}"
              - "create table public.start_hook_order_test ( id int )"
              - "drop table public.start_hook_order_test"
              - "{{ log(env_var('TERM_TEST'), info=True) }}"
              - "create table public.start_hook_order_test ( id int )"
            on-run-end:
              - "{{ custom_run_hook('end', target, run_started_at, invocation_id) }}"
              - "drop view if exists {{ target.schema }}.m; drop table public.start_hook_order_test"
              - "create table public.end_hook_order_test ( id int )"
              - "drop table public.end_hook_order_test"
              - "create table public.schemas as select '{{ schemas | join(' ') }}' as s, {{ database_schemas | length }} as n,
                  '{{ database_schemas[0][1] }}' as d"
            """})
    p.run(command, env={"TERM_TEST": "TESTING"}).ok().says("TESTING")
    assert p.db.rows("select * from public.schemas") == ["dev|1|dev"]
    rows = p.db.rows("select state, thread_id, target_name from public.on_model")
    assert [r.split("|")[0] for r in rows] == ["start", "end"]
    assert not [r for r in p.db.relations("public") if "order_test" in r]


def test_a_query_of_a_start_hook_that_fails(project):
    """TestAfterRunHooks: while it is rendered. dbt loses the artifacts."""
    p = made(project, {"models/m.sql": "select 1 as id", "macros/t.sql":
                       "{% macro failing() %}{% set t = run_query('select * from public.nowhere') if execute %}{{ return('select 1') }}{% endmacro %}",
                       "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: '{{ failing() }}'\n"})
    result = p.run("run").fails(1).says('relation "public.nowhere" does not exist', "dbt_project.yml:3")
    assert result.statuses == {"shop-on-run-start-0": "error", "m": "skipped"}


STARTS = "on-run-start: [create table public.a (n int), select 1, select 1/0, select 2]\n"
FLAGS = [("", "skipped"), ("flags: {skip_nodes_if_on_run_start_fails: true}\n", "skipped"),
         ("flags: {skip_nodes_if_on_run_start_fails: false}\n", "success")]


@pytest.mark.parametrize("flags, of_model", FLAGS)
def test_a_failed_start(project, flags, of_model):
    """Test__StartHookFail__FlagIsNone, FlagIsFalse, FlagIsTrue."""
    p = made(project, {"models/m.sql": "select 1 as id", "dbt_project.yml": "name: shop\nprofile: shop\n" + flags + STARTS})
    result = p.run("run").fails(1).says("division by zero")
    assert [(r["unique_id"].split(".")[-1], r["status"]) for r in result.results] == [
        ("shop-on-run-start-0", "success"), ("shop-on-run-start-1", "success"), ("shop-on-run-start-2", "error"),
        ("shop-on-run-start-3", "skipped"), ("m", of_model)]
    for name in range(3):
        assert [t["name"] for t in result.result(f"shop-on-run-start-{name}")["timing"]] == ["compile", "execute"]
    assert "division by zero" in result.result("shop-on-run-start-2")["message"]


def test_a_failed_end(project):
    """Test__ModelPass__EndHookFail."""
    p = made(project, {"models/m.sql": "select 1 as id", "dbt_project.yml": "name: shop\nprofile: shop\n" + STARTS.replace("start", "end")})
    result = p.run("run").fails(1)
    assert [r["status"] for r in result.results] == ["success", "success", "success", "error", "skipped"]


def test_nothing_selected(project):
    """Test__SelectorEmpty__NoHooksRan."""
    p = made(project, {"models/m.sql": "select 1 as id", "dbt_project.yml": "name: shop\nprofile: shop\n" + STARTS})
    result = p.run("run --select tag:no_such_tag").ok()
    assert result.results == [] and p.db.relations("public") == ["on_model table"]


@pytest.mark.parametrize("start, seen", [("select 1", 1), ("select 1/0", 2)])
def test_results_of_the_end(project, start, seen):
    """Test__HookContext__HookSuccess, HookFail: hooks that succeed are left out."""
    p = made(project, {"models/m.sql": "select 1 as id", "dbt_project.yml":
                       f"name: shop\nprofile: shop\non-run-start: {start}\non-run-end: \"create table public.seen as select {{{{ results | length }}}} as n, "
                       "'{% for r in results %}{{ r.thread_id }};{% endfor %}' as threads\"\n"})
    result = p.run("run")
    assert p.db.rows("select n from public.seen") == [str(seen)]
    assert ("main" in p.db.rows("select threads from public.seen")[0]) == (seen == 2)
    assert len(result.results) == 3


def test_an_error_of_a_template_at_the_end(project):
    """Test__HookCompilationError: dbt ends with an error and forgets the hook; here it is the hook's result."""
    p = made(project, {"models/m.sql": "select 1 as id", "dbt_project.yml":
                       "name: shop\nprofile: shop\non-run-end: \"{{ exceptions.raise_compiler_error('Words of mine') if execute }}\"\n"})
    result = p.run("run").fails(1).says("Words of mine", "dbt_project.yml:3")
    assert result.statuses == {"m": "success", "shop-on-run-end-0": "error"}


def test_hooks_of_dependencies(project):
    """TestSimpleDependencyHooks: eight results."""
    files = {"packages.yml": "packages: [{local: early_hooks}, {local: late_hooks}]\n", "models/m.sql": "select 1 as id"}
    for folder, name in (("", "shop"), ("early_hooks/", "early_hooks"), ("late_hooks/", "late_hooks")):
        files[folder + "dbt_project.yml"] = (f"name: {name}\n" + ("profile: shop\n" if not folder else "")
                                             + "on-run-start: select 1\non-run-end: select 2\n")
    files["early_hooks/dbt_project.yml"] += ""
    p = made(project, files)
    result = p.run("run").ok()
    assert result.order == ["shop-on-run-start-0", "early_hooks-on-run-start-0", "late_hooks-on-run-start-0", "m",
                            "shop-on-run-end-0", "early_hooks-on-run-end-0", "late_hooks-on-run-end-0"]


def test_which(project):
    """TestHooksInTests, TestHooksForWhich."""
    p = made(project, {"models/m.sql": "select 1 as id", "models/m.yml": "models: [{name: m, columns: [{name: id, data_tests: [not_null]}]}]\n",
                       "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: \"insert into public.on_model (state) values ('{{ flags.WHICH }}')\"\n"
                                          "on-run-end: \"{{ log('selected ' ~ (selected_resources | sort | join(' ')), info=true) }}\"\n"})
    for command in "run", "test", "build":
        p.run(command).ok().says("selected model.shop.m" if command != "test" else "selected test.shop.not_null_m_id")
    assert p.db.rows("select state from public.on_model") == ["run", "test", "build"]


@pytest.mark.parametrize("flag, ran", [("", True), ("flags: {source_freshness_run_project_hooks: true}\n", True),
                                       ("flags: {source_freshness_run_project_hooks: false}\n", False)])
def test_source_freshness(project, flag, ran):
    """TestHooksInSourceFreshness, ...Disabled, ...Default."""
    p = made(project, {"models/s.yml": "sources: [{name: src, schema: public, freshness: {warn_after: {count: 1, period: day}}, "
                                       "loaded_at_field: at, tables: [{name: t}]}]\n",
                       "dbt_project.yml": f"name: shop\nprofile: shop\n{flag}on-run-start: \"insert into public.on_model (state) values ('start')\"\n"
                                          "on-run-end: \"insert into public.on_model (state) values ('end')\"\n"})
    p.db.sql("create table public.t as select now() as at")
    p.run("source freshness").ok()
    assert p.db.rows("select state from public.on_model") == (["start", "end"] if ran else [])


def test_retry_with_hooks(project):
    """TestRetryHooksAlwaysRun, TestFixRetryHook."""
    p = made(project, {"models/m.sql": "select 1/{{ 1 - var('bad', 0) }} as id", "dbt_project.yml":
                       "name: shop\nprofile: shop\non-run-start: select 1\non-run-end: select 2\n"})
    p.write({"models/m.sql": "{{ config(materialized='table') }} select 1/{{ 1 - var('bad', 0) }} as id"})
    p.run("run", "--vars", "bad: 1").fails(1)
    result = p.run("retry", "--vars", "bad: 0").ok()
    assert result.order == ["shop-on-run-start-0", "m", "shop-on-run-end-0"]
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-start: select * from nowhere\n"})
    assert p.run("run").fails(1).statuses["m"] == "skipped"
    p.run("retry").fails(1)
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-start: select 1\n"})
    assert p.run("retry").ok().statuses == {"shop-on-run-start-0": "success", "m": "success"}


def test_hooks_of_microbatches(project):
    """TestFirstBatchRunsPreHookLastBatchRunsPostHook: once for all batches."""
    p = made(project, {"models/m.sql": """
        {{ config(materialized='incremental', incremental_strategy='microbatch', unique_key='id', event_time='at', batch_size='day', begin='2024-01-01',
                  pre_hook="insert into public.on_model (state) values ('pre')", post_hook="insert into public.on_model (state) values ('post')") }}
        select 1 as id, timestamp '2024-01-02 10:00' as at"""})
    p.run("run --event-time-start 2024-01-01 --event-time-end 2024-01-04").ok()
    assert p.db.rows("select state from public.on_model") == ["pre", "post"]


def test_results_can_be_made_into_dicts(project):
    """TestRunResultsSerializableInContext."""
    p = made(project, {"models/m.sql": "{{ config(materialized='table') }} select 1 as id", "dbt_project.yml": """
        name: shop
        profile: shop
        on-run-end: "{% for r in results %}{% set d = r.to_dict() %}insert into public.on_model (state) values
          ('{{ d.keys() | sort | join(' ') }}'); insert into public.on_model (state) values ('{{ tojson(d.timing) | length > 50 }}
          {{ d.node.unique_id }} {{ r.node.config.materialized }} {{ d.adapter_response.rows_affected }} {{ d.status }} {{ r.failures is none }}');{% endfor %}"
        """})
    p.run("run").ok()
    rows = p.db.rows("select replace(state, E'\\n', ' ') from public.on_model")
    assert rows[0] == (
        "adapter_response agate_table batch_results execution_time failures message node overload_results status thread_id timing")
    assert rows[1].split() == ["True", "model.shop.m", "table", "1", "success", "True"]


EXTRA = [
    ("models:\n  post-hook: {sql: \"select 1\"}\n", "'post-hook' with a mapping is read as a folder"),
    ("models:\n  shop: {+enabled: true}\n  +post-hook: '{\"sql\": \"select 1\", \"transaction\": false}'\n", "post_outside"),
]


@pytest.mark.parametrize("text, words", EXTRA)
def test_a_bare_mapping_and_text_of_json(project, text, words):
    p = made(project, {"models/m.sql": "select 1 as id", "dbt_project.yml": "name: shop\nprofile: shop\n" + text})
    p.run("run").ok().says(words)


def test_run_hooks_do_not_inherit_from_models(project):
    """dbt-core 5740: `models: +enabled: false` switches off the hooks of the run there."""
    p = made(project, {"seeds/s.csv": "n\n1\n", "dbt_project.yml":
                       "name: shop\nprofile: shop\nmodels:\n  shop:\n    +enabled: false\non-run-start: \"insert into public.on_model (state) values ('x')\"\n"})
    p.run("seed").ok()
    assert p.db.rows("select state from public.on_model") == ["x"]


def test_an_ephemeral_ref_in_a_hook(project):
    """dbt-core 10033: the CTE is missing there."""
    p = made(project, {"models/e.sql": "{{ config(materialized='ephemeral') }} select 'from e' as who",
                       "models/m.sql": "{{ config(post_hook=\"insert into public.on_model (state) select who from {{ ref('e') }}\") }} select 1 as id"})
    p.run("run").ok()
    assert p.db.rows("select state from public.on_model") == ["from e"]


def test_the_helpers_inside_of_a_text(project):
    """dbt-core 723: the JSON of after_commit() is sent to the database there."""
    p = made(project, {"models/m.sql": "{{ config(materialized='table', post_hook=\"{{ after_commit('vacuum ' ~ this) }}\") }} select 1 as id"})
    assert [h["phase"] for h in p.run("run").ok().hooks] == ["post_hooks", "post_outside"]
    p.write({"models/m.sql": "{{ config(materialized='table', pre_hook=\"{{ before_begin('vacuum') }}\") }} select 1 as id"})
    p.run("run").fails(1).says("comes too late", "models/m.sql:1")


def test_commands_that_build_nothing(project):
    """dbt-core 4785: compile and docs generate run the queries of hooks there."""
    p = made(project, {"models/m.sql": "{{ config(post_hook='{{ run_query(\"insert into public.on_model (state) values (1)\") }}') }} select 1 as id",
                       "dbt_project.yml": "name: shop\nprofile: shop\non-run-start: \"{{ run_query('insert into public.on_model (state) values (2)') }}\"\n"
                                          "on-run-end: \"{{ log('LO' ~ 'UD', info=true) if execute }}\"\n"})
    for command in "compile", "docs generate", "ls", "parse", "show --select m", "plan", "hooks ls":
        assert "LOUD" not in p.run(command).ok().stdout
    assert p.db.rows("select state from public.on_model") == []
