"""The documentation that the binary holds: every example in it works."""
import re
import shlex

import pytest

TOPICS = ["selection", "ledger", "profiles", "operations", "logs", "exit-codes", "completion"]
FILES = {
    "seeds/raw_orders.csv": "id\n1\n2\n",
    "models/orders.sql": "{{ config(materialized='table') }} select * from {{ ref('raw_orders') }}",
    "models/staging/late.sql": "{{ config(tags=['nightly']) }} select * from {{ ref('orders') }}",
    "operations/count_orders.sql": "select count(*) as orders from {{ ref('orders') }} where id > {{ args.above }}",
}


def examples(text):
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M):
        yield from (line for line in block.splitlines() if line.startswith("dex-lua "))


@pytest.mark.parametrize("topic", TOPICS)
def test_examples_of_topics(project, topic):
    p = project(FILES)
    p.run("build").ok()
    lines = list(examples(p.run("help", topic).ok().stdout))
    assert lines
    for line in lines:
        p.run(*shlex.split(line)[1:]).ok()


def test_examples_of_the_private_server(project):
    p = project(FILES, profile=False)
    for line in examples(p.run("help private-server").ok().stdout):
        words = shlex.split(line)[1:]
        allowed = words[-2:] == ["||", "true"]
        result = p.run(*(words[:-2] if allowed else words))
        assert allowed or result.status == 0, str(result)
    p.run("db destroy").ok()


def test_the_example_of_operations_is_the_page_s(project):
    p = project(FILES)
    sql = re.search(r"^```sql\n(.*?)^```", p.run("help operations").ok().stdout, re.S | re.M).group(1)
    name, text = sql.split("\n", 1)
    p.write({name[3:]: text})
    p.run("build").ok()
    p.run("operation run count_orders -a above=1").ok().says("1")


@pytest.mark.parametrize("topic", ["flows", "schedules"])
def test_examples_of_flows(project, topic):
    p = project(FILES)
    p.run("build").ok()
    page = p.run("help", topic).ok().stdout
    for text in re.findall(r"^```yaml\n(.*?)^```", page, re.S | re.M):
        name, text = text.split("\n", 1)
        p.write({name[2:]: text})
    lines = list(examples(page))
    assert lines
    for line in lines:
        p.run(*shlex.split(line)[1:]).ok()


def test_examples_of_commands(project):
    """They parse: no unknown option in them."""
    p = project(FILES)
    for command in re.findall(r"^  ([a-z-]+) +[A-Z]", p.run("help").ok().stdout.partition("\nTopics")[0], re.M):
        page = p.run(command, "--help").ok().stdout
        for line in re.findall(r"^  (dex-lua .*)$", page.partition("\nExamples:\n")[2].replace("\\\n", " "), re.M):
            words = shlex.split(line.split(" > ")[0])[1:]
            separator = words.index("--") if "--" in words else len(words)
            result = p.run(*words[:separator], "--no-such-option", *words[separator:])
            assert result.status == 2 and "--no-such-option" in result.stderr, str(result)


def test_hooks_is_the_author_s_page(project):
    p = project({})
    assert p.run("help hooks").ok().stdout.startswith("# Hooks: the author's page")


def test_first_example_of_hooks(project):
    """The mapping forms of the author's page are hooks of a model."""
    p = project({})
    text = p.run("help hooks").ok().stdout
    lua = re.search(r"^```lua\n-- (hooks/\S+)\n(.*?)^```", text, re.S | re.M)
    p.write({lua.group(1): lua.group(2), "models/a.sql": "select 1 as n",
             "dbt_project.yml": 'name: shop\nprofile: shop\non-run-end: "lua: summary.print"\n'})
    p.run("run").ok().says("model.shop.a", "success")


def test_warnings_and_man(project):
    p = project({})
    p.run("help warnings").ok().says("NoNodesForSelectionCriteria", "310")
    page = p.run("help man").ok().stdout
    assert page.startswith(".TH DEX\\-LUA 1") and ".SS \\fBbuild\\fR" in page and "\\-\\-warn\\-error" in page
    assert not re.search(r"^'", page, re.M) and not re.search(r"^\.(?!TH|SH|SS|TP|PP|nf|fi)", page, re.M)
    p.run("help nothing").fails(2).says("there is no help on 'nothing'")
    p.run("help selectoin").fails(2).says("did you mean 'selection'?")
