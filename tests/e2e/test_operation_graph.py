"""Operations in Lua, operations as nodes of the graph, and what is taken up again."""
import pytest

import shapes

FILES = {
    "models/orders.sql": "select 1 as id",
    "models/late.sql": "select id from {{ ref('orders') }}",
    "operations/note.sql": "{{ config(tags=['nightly']) }} insert into public.trace values ('note')",
    "operations/refresh/count_orders.sql": "insert into public.trace select 'orders ' || count(*) from {{ ref('orders') }}",
    "operations/refresh/tell.lua": """
        -- config:
        --   depends_on: [refresh/count_orders, late]
        return function(op)
          op:exec("insert into public.trace values ('tell')")
        end
        """,
}


@pytest.fixture
def traced(project):
    def make(files=None, **options):
        p = project({**FILES, **(files or {})}, **options)
        p.db.sql("create table public.trace (at serial, who text)")
        p.db.sql("alter table public.trace drop column at")
        return p
    return make


@pytest.mark.san
def test_a_function_in_lua(project):
    p = project({"operations/summary.lua": """
        -- config:
        --   description: Counts what a schema holds
        --   parameters:
        --     - {name: schema, type: text, default: dev}
        return function(op)
          local n = op:value("select count(*) from pg_tables where schemaname = $1", op.args.schema)
          op:log("%d tables in %s", n, op.args.schema)
          op:exec("create table public.summary as select $1::int as n", n)
          return { tables = n, schema = op.args.schema, target = op.target.name, list = { 1, 2 } }
        end
        """})
    result = p.run("operation run summary").ok().says("0 tables in dev")
    assert '{"list": [1, 2], "schema": "dev", "tables": 0, "target": "dev"}' in result.stdout
    record = result.results[0]["adapter_response"]["operation"]
    assert record["returned"] == {"tables": 0, "schema": "dev", "target": "dev", "list": [1, 2]}
    assert record["log"] == ["0 tables in dev"] and record["parameters"] == {"schema": "dev"}
    assert p.db.rows("select n from summary") == ["0"]


@pytest.mark.san
def test_what_a_function_in_lua_does_wrong(project):
    p = project({
        "operations/raises.lua": "return function(op)\n  op:exec 'create table public.no as select 1 as n'\n  error('no luck')\nend\n",
        "operations/sql.lua": "return function(op)\n  op:exec 'create table public.no as select 1 as n'\n  op:exec 'select 1/0'\nend\n",
        "operations/commits.lua": "return function(op) op:exec 'commit' end\n",
        "operations/no_function.lua": "return 7\n", "operations/syntax.lua": "return function(op\n",
        "operations/fn.lua": "return function() return function() end end\n",
        "operations/unknown.lua": "return function(op) return op.arks end\n",
        "operations/outside.lua": "-- config:\n--   transaction: false\nreturn function(op)\n  op:exec 'create table public.kept as select 1 as n'\n  error('late')\nend\n"})
    p.run("operation run raises").fails(1).says("no luck", "operations/raises.lua:3")
    p.run("operation run sql").fails(1).says("division by zero", "operations/sql.lua:3")
    p.run("operation run commits").fails(1).says("ended the node's transaction", "operations/commits.lua")
    p.run("operation run no_function").fails(1).says("the operation 'no_function' returns a number: it must return a function")
    p.run("operation run syntax").fails(1).says("operations/syntax.lua:2")
    p.run("operation run fn").fails(1).says("operation 'fn' returned a function: it returns what JSON can hold")
    p.run("operation run unknown").fails(1).says("did you mean 'args'?")
    assert p.db.relations("public") == []
    p.run("operation run outside").fails(1).says("late")
    assert p.db.relations("public") == ["kept table"]


def test_a_function_in_lua_in_a_hook(project):
    p = project({"operations/mark.lua": "return function(op) op:exec('create table public.' .. op.args.name .. ' as select 1 as n') end\n",
                 "models/one.sql": "{{ config(post_hook={'operation': 'mark', 'args': {'name': 'marked'}}) }} select 1 as n",
                 "models/two.sql": "{{ config(post_hook=[{'operation': 'mark', 'args': {'name': 'undone'}}, 'select 1/0']) }} select 1 as n"})
    p.run("run").fails(1)
    assert p.db.relations("public") == ["marked table"]


@pytest.mark.san
def test_they_run_only_when_they_are_asked_for(traced):
    p = traced()
    for command in "run", "build", "run --select *", "build --select orders late", "build --select shop", "run --select +late", \
            "build --select package:shop", "build --select refresh":
        result = p.run(command)
        assert not any(r["unique_id"].startswith("operation.") for r in result.results), command
    assert p.db.rows("select * from trace") == []
    p.run("run --select operation:note").ok()
    p.run("run --select tag:nightly").ok()
    p.run("build --select path:operations/note.sql").ok()
    assert p.db.rows("select * from trace") == ["note"] * 3


@pytest.mark.san
def test_they_run_in_the_order_of_the_graph(traced):
    p = traced()
    result = p.run("build --select +operation:tell").ok()
    order = [r["unique_id"] for r in result.results]
    assert order.index("model.shop.orders") < order.index("operation.shop.refresh/count_orders")
    assert order.index("operation.shop.refresh/count_orders") < order.index("operation.shop.refresh/tell")
    assert order.index("model.shop.late") < order.index("operation.shop.refresh/tell")
    assert p.db.rows("select * from trace") == ["orders 1", "tell"]
    result = p.run("run --select orders+ --exclude operation:note").ok()
    assert [r["unique_id"].split(".")[0] for r in result.results].count("operation") == 2
    record = result.result("refresh/count_orders")["adapter_response"]["operation"]
    assert record["name"] == "refresh/count_orders" and record["parameters"] == {}
    p.run("build --resource-type operation").ok()
    assert sorted(p.db.rows("select * from trace"))[:1] == ["note"]
    node = result.manifest["nodes"]["operation.shop.refresh/tell"]
    assert node["depends_on"]["nodes"] == ["operation.shop.refresh/count_orders", "model.shop.late"]
    assert node["language"] == "lua" and node["resource_type"] == "operation"


def test_ls_lists_them(traced):
    p = traced()
    every = "operation:note\noperation:refresh/count_orders\noperation:refresh/tell\n"
    assert p.run("ls --select resource_type:operation").ok().stdout == every
    assert p.run("ls --resource-type operation").ok().stdout == every
    assert p.run("ls --select operation:refresh/*").ok().stdout == "operation:refresh/count_orders\noperation:refresh/tell\n"
    assert "operation" not in p.run("ls").ok().stdout
    assert p.run("ls --select operation:count_orders --output path").ok().stdout == "operations/refresh/count_orders.sql\n"


def test_what_stands_below_a_failure_is_skipped(traced):
    p = traced({"models/orders.sql": "select 1 as id from nowhere"})
    result = p.run("build --select +operation:tell").fails(1)
    assert result.statuses["refresh/count_orders"] == "skipped" and result.statuses["refresh/tell"] == "skipped"
    assert p.db.rows("select * from trace") == []
    p.write({"models/orders.sql": "select 1 as id", "operations/refresh/count_orders.sql": "select 1/0 -- {{ ref('orders') }}"})
    result = p.run("build --select +operation:tell").fails(1)
    assert result.statuses["refresh/count_orders"] == "error" and result.statuses["refresh/tell"] == "skipped"


@pytest.mark.san
def test_retry_runs_only_what_failed(traced):
    p = traced({"operations/refresh/tell.lua": """
        -- config:
        --   depends_on: [refresh/count_orders, late]
        return function(op)
          op:exec("insert into public.trace select 'tell' from public.not_yet")
        end
        """})
    p.run("build --select +operation:tell").fails(1)
    assert p.db.rows("select * from trace") == ["orders 1"]
    p.db.sql("create table public.not_yet as select 1 as n")
    result = p.run("retry").ok()
    assert result.order == ["refresh/tell"]
    assert p.db.rows("select * from trace") == ["orders 1", "tell"]


def test_retry_gives_the_same_arguments(project):
    p = project({"operations/add.sql": "{{ config(parameters={'n': 'integer'}) }} insert into public.later values ({{ args.n }})"})
    p.run("operation run add -a n=5").fails(1)
    p.db.sql("create table public.later (n int)")
    p.run("retry").ok()
    assert p.db.rows("select * from later") == ["5"]
    p.run("retry").ok().says("Nothing to do")
    assert p.db.rows("select * from later") == ["5"]


def test_a_failed_hook_behind_the_commit_is_all_that_is_repeated(project):
    p = project({"operations/add.sql": """
        {{ config(post_hook={'sql': "insert into public.after values ('after')", 'transaction': false}) }}
        insert into public.trace values ('body')
        """})
    p.db.sql("create table public.trace (who text)")
    p.run("operation run add").fails(1)
    p.db.sql("create table public.after (who text)")
    p.run("retry").ok()
    assert (p.db.rows("select * from trace"), p.db.rows("select * from after")) == (["body"], ["after"])


def test_run_operation_keeps_its_meaning(traced):
    p = traced({"macros/m.sql": "{% macro note(who) %}{% do run_query(\"insert into public.trace values ('\" ~ who ~ \"')\") %}{% endmacro %}"})
    p.run("run-operation note --args '{who: macro}'").ok()
    assert p.db.rows("select * from trace") == ["macro"]
    p.run("run-operation count_orders").fails(2).says("there is no macro 'count_orders'")


def test_the_parse_cache_knows_them(traced):
    p = traced()
    for _ in range(2):
        p.run("operation run note").ok()
        assert p.run("ls --select operation:tell").ok().stdout == "operation:refresh/tell\n"
    p.write({"operations/note.sql": "insert into public.trace values ('changed')"})
    p.run("operation run note").ok()
    assert p.db.rows("select * from trace") == ["note", "note", "changed"]


def test_rows_of_a_record_are_limited(project):
    p = project({"operations/many.sql": "select i, 'x' as t, null as nothing from generate_series(1, 5000) i; select 2 as two"})
    rows = p.run("operation run many --quiet").ok().results[0]["adapter_response"]["operation"]["rows"]
    assert rows[0]["count"] == 5000 and len(rows[0]["rows"]) == 1000 and rows[0]["rows"][0] == ["1", "x", None]
    assert rows[1] == {"columns": ["two"], "rows": [["2"]], "count": 1}


def test_operations_of_a_package(traced):
    p = traced({"packages.yml": "packages:\n  - local: pack\n", "pack/dbt_project.yml": "name: pack\n",
                "pack/operations/inner.lua": "return function(op) op:exec(\"insert into public.trace values ('inner')\") end\n",
                "pack/operations/other.sql": "insert into public.trace values ('other')"})
    p.run("operation run pack/inner").ok()
    p.run("operation run other").ok()
    assert p.db.rows("select * from trace") == ["inner", "other"]


def test_plans_and_lists_of_hooks_know_them(traced):
    p = traced({"operations/hooked.sql": "{{ config(pre_hook='select 1') }} select 2",
                "operations/hooked_py.py": "# config:\n#   hooks: {post: select 3}\n#   depends_on: [hooked]\nprint(1)\n"})
    lines = p.run("plan --select operation:hooked*").ok().stdout.splitlines()
    assert [line for line in lines if line[:1].isdigit()] == ["1. operation hooked", "2. operation hooked_py, after 1"]
    p.run("hooks ls --select operation:hooked*").ok().says("pre_hooks    inside   select 1", "post_hooks   outside  select 3")
    p.run("run --select note").says("matches no enabled node", "an operation is selected with operation:note")
    assert p.run("ls --select config.materialized:view").ok().stdout == "shop.late\nshop.orders\n"
    p.run("rehearse --select operation:hooked*").ok().says("a rehearsal runs no programs")


def test_artifacts_keep_to_dbt_s_schemas(traced):
    p = traced({"operations/with_all.sql": "{{ config(parameters={'n': 'integer'}, targets='dev', confirm=true, depends_on='late') }} select 1 as n"})
    result = p.run("build --select +operation:* --yes").ok()
    assert shapes.run_results_mismatches(result.run_results) == []
    assert shapes.manifest_mismatches(result.manifest) == []
