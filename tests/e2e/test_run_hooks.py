"""on-run-start and on-run-end."""
import pytest

from shapes import run_results_mismatches


def noted(text):
    return f"insert into public.trace (who) values ('{text}')"


def traced(project, project_file, files=None):
    p = project({"dbt_project.yml": "name: shop\nprofile: shop\n" + project_file, **(files or {})})
    p.db.sql("create table public.trace (n serial, who text, tx bigint default txid_current())")
    return p


def trace(p):
    return p.db.rows("select who from public.trace order by n")


MODELS = {"models/a.sql": f"{{{{ config(post_hook=\"{noted('a')}\") }}}} select 1 as n",
          "models/b.sql": f"{{{{ config(materialized='table', post_hook=\"{noted('b')}\") }}}} select 1 / (n - {{{{ var('bad', 0) }}}}) as n from {{{{ ref('a') }}}}"}


@pytest.mark.san
def test_order(project):
    p = traced(project, f"""
on-run-start:
  - "{noted('start 1')}"
  - "{noted('start 2')}"
on-run-end: "{noted('end')}"
""", MODELS)
    result = p.run("run").ok()
    assert trace(p) == ["start 1", "start 2", "a", "b", "end"]
    assert result.order == ["shop-on-run-start-0", "shop-on-run-start-1", "a", "b", "shop-on-run-end-0"]
    assert run_results_mismatches(result.run_results) == []
    hook = result.result("shop-on-run-start-1")
    assert hook["status"] == "success" and [t["name"] for t in hook["timing"]] == ["compile", "execute"]
    assert [h["phase"] for h in result.hooks] == ["run_start", "run_start", "post_hooks", "post_hooks", "run_end"]


@pytest.mark.parametrize("command", ["run", "build", "test", "seed"])
def test_commands_that_run_them(project, command):
    p = traced(project, f"on-run-start: \"insert into public.trace (who) values ('{{{{ flags.WHICH }}}}')\"\n",
               {**MODELS, "seeds/s.csv": "n\n1\n", "tests/t.sql": "select 1 where false"})
    p.run(command).ok()
    assert trace(p)[0] == command


def test_nothing_selected_nothing_run(project):
    p = traced(project, f"on-run-start: \"{noted('start')}\"\n", MODELS)
    p.run("run --select nothing_like_it").ok()
    assert trace(p) == []
    for command in "compile", "ls", "parse", "show --inline 'select 1'":
        p.run(command).ok()
    assert trace(p) == []


@pytest.mark.san
def test_what_the_end_sees(project):
    p = traced(project, """
on-run-end:
  - "{% for r in results %}insert into public.trace (who) values ('{{ r.node.name }} {{ r.status }} {{ r.adapter_response.rows_affected }}');{% endfor %}"
  - "insert into public.trace (who) values ('{{ schemas | join(',') }} {{ database_schemas | length }} {{ this is none }}')"
  - "lua: summary.note"
""", {**MODELS, "models/c.sql": "{{ config(schema='other') }} select 1 as n from {{ ref('b') }}", "hooks/summary.lua": """
        local summary = {}
        function summary.note(hook)
          local parts = {}
          for _, r in ipairs(hook.run.results) do
            if r.kind ~= "hook" then parts[#parts + 1] = r.name .. "=" .. r.status .. "/" .. r.kind end
          end
          table.sort(parts)
          hook:exec("insert into public.trace (who) values ($1)", table.concat(parts, " "))
        end
        return summary
        """})
    p.run("run", "--vars", "bad: 1").fails(1)
    assert trace(p) == ["a", "a success -1", "b error ", "c skipped ", "dev 1 True",
                        "a=success/model b=error/model c=skipped/model"]


@pytest.mark.san
def test_a_failed_start_skips_everything_but_the_end(project):
    p = traced(project, f"""
on-run-start: ["{noted('one')}", "select 1/0", "{noted('three')}"]
on-run-end: ["{noted('end')}"]
""", MODELS)
    result = p.run("run").fails(1).says("division by zero", "dbt_project.yml:4")
    assert trace(p) == ["one", "end"]
    assert result.statuses == {"shop-on-run-start-0": "success", "shop-on-run-start-1": "error",
                               "shop-on-run-start-2": "skipped", "a": "skipped", "b": "skipped",
                               "shop-on-run-end-0": "success"}
    assert "division by zero" in result.result("shop-on-run-start-1")["message"]
    assert p.db.relations() == []


def test_a_failed_end_fails_the_run(project):
    p = traced(project, "on-run-end: [\"select 1/0\", \"select 2\"]\n", MODELS)
    result = p.run("run").fails(1)
    assert result.statuses == {"a": "success", "b": "success", "shop-on-run-end-0": "error", "shop-on-run-end-1": "skipped"}
    assert p.db.relations() == ["a view", "b table"]


def test_template_errors_are_the_hooks_own(project):
    p = traced(project, "on-run-start: \"{{ exceptions.raise_compiler_error('no') if execute }}\"\n"
                        f"on-run-end: \"{noted('end')}\"\n", MODELS)
    result = p.run("run").fails(1)
    assert result.statuses == {"shop-on-run-start-0": "error", "a": "skipped", "b": "skipped", "shop-on-run-end-0": "success"}
    assert trace(p) == ["end"]


def test_each_commits_by_itself_unless_it_says_otherwise(project):
    p = traced(project, f"""
on-run-start:
  - "vacuum"
  - "create table public.by_itself as select 1 as n"
  - {{sql: "{noted('kept')}", transaction: true}}
  - {{sql: "{noted('lost')}; select 1/0", transaction: true}}
""", MODELS)
    p.run("run").fails(1)
    assert trace(p) == ["kept"]
    assert "by_itself table" in p.db.relations("public")


def test_a_transaction_left_open_is_rolled_back(project):
    p = traced(project, f"on-run-start: [\"begin; {noted('open')}\"]\n", MODELS)
    p.run("run").fails(1).says("left a transaction open")
    assert trace(p) == []


def test_packages(project):
    """The root's first, then those of packages by name, at start and end alike."""
    files = {**MODELS, "packages.yml": "packages: [{local: p/zeta}, {local: p/alpha}]\n"}
    for name in "zeta", "alpha":
        files[f"p/{name}/dbt_project.yml"] = (f"name: {name}\non-run-start: \"{noted(name + ' start')}\"\n"
                                              f"on-run-end: {{name: {name}_end, sql: \"{noted(name + ' end')}\"}}\n")
    p = traced(project, f"on-run-start: \"{noted('root start')}\"\non-run-end: \"{noted('root end')}\"\n", files)
    p.run("run").ok()
    assert trace(p) == ["root start", "alpha start", "zeta start", "a", "b", "root end", "alpha end", "zeta end"]
    p.write({"dbt_project.yml": "name: shop\nprofile: shop\non-run-end:\n  - {name: zeta_end}\n"
                                "  - {name: alpha_end, enabled: false}\n"})
    p.db.sql("truncate public.trace")
    p.run("run").ok()
    assert trace(p)[-3:] == ["a", "b", "zeta end"]


def test_schemas_are_there_before_the_start(project):
    p = traced(project, "on-run-start: \"create table {{ target.schema }}.early as select 1 as n\"\n", MODELS)
    p.run("run").ok()
    assert "early table" in p.db.relations()


def test_no_hooks(project):
    p = traced(project, f"on-run-start: \"{noted('start')}\"\non-run-end: \"{noted('end')}\"\n", MODELS)
    result = p.run("run --no-hooks").ok()
    assert trace(p) == [] and result.hooks == [] and result.order == ["a", "b"]
