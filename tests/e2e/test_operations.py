"""Operations: scripts that are run by name, with arguments."""
import pytest

FILES = {
    "operations/permissions/grant_analytics_access.sql": """
        {{ config(description="Lets a role read the schema") }}
        {% for table in args.get('tables', ['one']) %}
        grant select on dev.{{ table }} to role {{ args.role }};
        {% endfor %}
        """,
    "operations/select.sql": "select 1 as a, 'x' as b; select {{ args.get('n', 7) }} as n",
    "operations/note.sql": "create table public.noted as select '{{ args.text }}' as text, {{ args.n }} as n",
    "operations/half.sql": "create table public.half as select 1 as n; select 1/0",
    "operations/outside.sql": "{{ config(transaction=false) }} create table public.kept as select 1 as n; vacuum; select 1/0",
    "operations/empty.sql": "-- nothing\n",
    "models/one.sql": "select 1 as n",
}


@pytest.mark.san
def test_as_in_the_documentation(project):
    p = project(FILES)
    p.db.role("analytics")
    p.run("run").ok()
    result = p.run("operation run permissions/grant_analytics_access --args '{role: analytics}'").ok()
    assert p.db.rows("select has_table_privilege('analytics', 'dev.one', 'select')") == ["t"]
    assert result.results[0]["unique_id"] == "operation.shop.permissions/grant_analytics_access"
    assert result.results[0]["status"] == "success"
    p.run("operation run grant_analytics_access -a role=analytics -a 'tables=[one]'").ok()
    p.run("op run operations/permissions/grant_analytics_access.sql -a role=analytics").ok()


@pytest.mark.san
def test_arguments(project):
    p = project(FILES)
    p.run("operation", "run", "note", "--args", '{"text": "from args", "n": 1}', "-a", "n=2").ok()
    assert p.db.rows("select * from noted") == ["from args|2"]
    p.db.sql("drop table noted")
    p.run("operation", "run", "note", "-a", "text=a b: c", "-a", "n=1.5").fails(2)
    p.run("operation", "run", "note", "-a", "text='a b: c'", "-a", "n=1.5").ok()
    assert p.db.rows("select * from noted") == ["a b: c|1.5"]


def test_results_are_shown(project):
    p = project(FILES)
    assert p.run("operation run select -a n=3 --output csv --quiet").ok().stdout == "a,b\n1,x\nn\n3\n"
    p.run("operation run select").ok().says("a | b", "1 | x", "7")


def test_ls_and_show(project):
    p = project(FILES)
    assert p.run("operation ls").ok().stdout.splitlines() == [
        "empty", "half", "note", "outside", "permissions/grant_analytics_access  Lets a role read the schema", "select"]
    assert p.run("operation").ok().stdout == p.run("operation ls").stdout
    p.run("operation show note").ok().says("operations/note.sql", "create table public.noted")


@pytest.mark.san
def test_transactions(project):
    p = project(FILES)
    p.run("operation run half").fails(1).says("division by zero", "operations/half.sql")
    assert p.db.relations("public") == []
    p.run("operation run outside").fails(1).says("division by zero")
    assert p.db.relations("public") == ["kept table"]
    p.run("operation run empty").ok()


def test_hooks_of_an_operation(project):
    p = project({"operations/with_hooks.sql": """
        {{ config(pre_hook="insert into public.trace values ('pre')", post_hook="insert into public.trace values ('post')",
                  on_failure="insert into public.trace values ('failure')", always="insert into public.trace values ('always')") }}
        insert into public.trace values ('body'); select 1 / (1 - {{ args.get('bad', 0) }})
        """})
    p.db.sql("create table trace (who text)")
    result = p.run("operation run with_hooks").ok()
    assert p.db.rows("select * from trace") == ["pre", "body", "post", "always"]
    assert [h["phase"] for h in result.hooks] == ["pre_hooks", "post_hooks", "always"]
    p.run("operation run with_hooks -a bad=1").fails(1)
    assert p.db.rows("select * from trace")[4:] == ["failure", "always"]


def test_it_may_use_the_project(project):
    p = project({**FILES, "macros/m.sql": "{% macro twice(x) %}{{ x * 2 }}{% endmacro %}",
                 "operations/uses.sql": "select n + {{ twice(args.by) }} as total, '{{ var('v', 'none') }}' as v from {{ ref('one') }}"})
    p.run("run").ok()
    assert p.run("operation run uses -a by=4 --output csv --quiet --vars 'v: x'").ok().stdout == "total,v\n9,x\n"


def test_names_that_are_not_there_or_not_unique(project):
    p = project({**FILES, "operations/a/same.sql": "select 1", "operations/b/same.sql": "select 2"})
    p.run("operation run nte").fails(2).says("there is no operation 'nte'", "did you mean 'note'?")
    p.run("operation run same").fails(2).says("several operations", "a/same, b/same")
    p.run("operation run a/same").ok()
    p.run("operation runn note").fails(2).says("runn")
    p.run("operation run").fails(2).says("which operation?")
    p.run("operation run note extra").fails(2).says("--args")
