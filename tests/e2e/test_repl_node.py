"""`dex-lua repl --node`: the prompt in a node's place, at a terminal and without one."""
import signal

import pytest

from prompt import Prompt

FILES = {
    "hooks/audit.lua": """
        local audit = {}
        function audit.count(hook)
          hook:exec("insert into public.log values ($1, $2)", hook:value("select count(*) from " .. hook.this), hook.phase)
        end
        function audit.fails(hook)
          hook:exec("insert into public.log values (-1, 'gone')")
          hook:exec("select 1/0")
        end
        return audit
        """,
    "models/orders.sql": """
        {{ config(materialized='table', tags=['daily'],
                  pre_hook=["select 'before'", {'name': 'outside', 'sql': "insert into public.log values (7, 'outside')",
                                                'transaction': false}],
                  post_hook=[{'name': 'count', 'lua': 'audit.count'}, {'name': 'fails', 'lua': 'audit.fails'},
                             {'sql': 'select 1', 'when': "target.name == 'prod'"}],
                  on_failure="insert into public.log select 9, '{{ error.message[:3] }}'") }}
        select 1 as id, 'new' as status union all select 2, 'paid'""",
    "models/customers.sql": "select id from {{ ref('orders') }}",
    "models/pieces.sql": "{{ config(materialized='ephemeral') }} select 1 as n",
    "models/off.sql": "{{ config(enabled=false) }} select 1 as n",
    "models/twins.sql": "select 1 as n",
    "models/schema.yml": """
        sources: [{name: raw, tables: [{name: events}]}]
        models:
          - name: orders
            columns: [{name: id, data_tests: [{unique: {name: one_id_each}}]}]
        exposures: [{name: board, type: dashboard, owner: {name: me, email: me@example.org}}]
        """,
    "seeds/colours.csv": "id,name\n1,red\n",
    "macros/cents.sql": "{% macro cents(x) %}{{ x }} / 100{% endmacro %}",
    "analyses/look.sql": "select 1",
    "operations/tidy.sql": "select 1",
}
LOG = "select n || ' ' || phase from public.log order by 1"


@pytest.fixture
def shop(project):
    p = project(FILES)
    p.db.sql("create table public.log (n int, phase text)")
    return p


class NodePrompt(Prompt):
    label = "orders post_hooks*>"

    def __init__(self, project, *args, label=None, **options):
        self.label = label or self.label
        super().__init__(project, *args, label=self.label, **options)

    def enter(self, text, *expected, prompt=None, **options):
        return super().enter(text, *expected, prompt=prompt or self.label, **options)


@pytest.mark.san
def test_the_place_of_a_post_hook(shop):
    shop.run("run --select orders --skip-hook fails").ok()
    shop.db.sql("delete from public.log")
    p = NodePrompt(shop, "--node", "orders")
    for words in ("model orders at the beginning of post_hooks, target dev", "no hook has run and nothing is built",
                  'this is the table "', "as the last run left it", "The transaction is open", ".hooks lists"):
        assert words in p.screen.text()
    assert p.enter("this").endswith('"dev"."orders"')
    assert p.enter("this.type, hook.phase, node.name, hook.result.status") == "table\npost_hooks\norders\nsuccess"
    assert p.enter("model.config.materialized, model.tags[1], ctx.target.name") == "table\ndaily\ndev"
    assert p.enter("hook:value('select count(*) from ' .. this)") == "2"
    p.enter("select count(*) as n from {{ this }};", "1 row")
    p.enter("node('customers').name", "customers")
    p.enter("ctx", "the names of the template of orders: ctx.this")
    p.enter("ctx.x = 1", "ctx is read only")
    p.enter("cents('x')", "x / 100")
    came = p.enter(".hooks")
    assert [line.split()[0] for line in came.splitlines() if line.startswith("  ")] == ["1", "2", "3"]
    assert "count (lua: audit.count)" in came and "models/orders.sql:4" in came
    p.enter(".try 1", "1 (count): success, 2 rows")
    p.enter("run_hook('count').status", "success")
    p.enter(".try fails", "post-hook 'fails' of model orders failed: division by zero", "hooks/audit.lua:7")
    p.enter(".try 3", "its `when` is false")
    p.enter(".y conut", "no hook 'conut' in the phase post_hooks", "did you mean 'count'?")
    p.enter("select nope;", 'column "nope" does not exist')
    p.enter("select n from public.log;", "2 rows")
    assert shop.db.rows(LOG) == [], "nobody else sees it"
    p.type("\x04")
    p.finish().ok().says("what was done here is rolled back: .commit keeps it")
    assert shop.db.rows(LOG) == []


def test_what_is_kept_and_what_is_undone(shop):
    shop.run("run --select orders --no-hooks").ok()
    p = NodePrompt(shop, "--node", "orders")
    p.enter(".try count", "success")
    p.enter(".commit", "committed; another transaction is open")
    assert shop.db.rows(LOG) == ["2 post_hooks"]
    p.enter("insert into public.log values (3, 'undone');", "INSERT 0 1")
    p.enter("rollback;", "rolled back; another transaction is open")
    p.enter("insert into public.log values (4, 'kept');", "INSERT 0 1")
    p.enter("commit", "committed")
    p.enter("hook:exec('insert into public.log values (5, $1)', 'by SQL')")
    p.enter("exec 'commit and chain'")
    p.enter("exec 'commit'", "the transaction has ended: another one is open")
    p.enter("begin", "a transaction is open already")
    p.enter("drop table public.log;", "DROP TABLE")
    p.type("\x04")
    p.finish().ok().says("what was done since the last commit is rolled back")
    assert shop.db.rows(LOG) == ["2 post_hooks", "4 kept", "5 by SQL"]


def test_nothing_is_built_unless_asked(shop):
    p = NodePrompt(shop, "--node", "orders", "--phase", "build", label="orders build*>")
    assert "There is no relation" in p.screen.text() and ".build makes it" in p.screen.text()
    p.enter("select * from {{ this }};", "does not exist")
    p.enter("run{select = 'twins'}", "1 ok")
    came = p.enter(".build", "built", "SELECT 2; leaving rolls it back")
    assert '"dev"."orders"' in came
    p.enter("select * from {{ this }};", "paid", "2 rows")
    p.enter("this.type", "table")
    p.enter("query('select status_of from orders')", "does not exist")
    p.enter("select * from {{ this }};", "2 rows")
    p.leave()
    assert shop.db.relations() == ["twins view"]


@pytest.mark.parametrize("phase", ["pre_outside", "post_outside"])
def test_phases_without_a_transaction(shop, phase):
    shop.run("run --select orders --no-hooks").ok()
    p = NodePrompt(shop, "--node", "orders", "--phase", phase, label=f"orders {phase}>")
    assert "No transaction is open here: each statement is committed by itself." in p.screen.text()
    p.enter("insert into public.log values (1, 'at once');", "INSERT 0 1")
    assert shop.db.rows(LOG) == ["1 at once"]
    p.enter(".commit", "this phase has no transaction")
    p.enter(".build", "has no transaction that could undo a build", "--phase build")
    p.enter("vacuum public.log;", "VACUUM")
    if phase == "pre_outside":
        p.enter(".try", "(outside): success, 1 row")
        assert shop.db.rows(LOG) == ["1 at once", "7 outside"]
    p.leave()


def test_phases_behind_a_failure(shop):
    shop.run("run --select orders").fails(1)
    p = NodePrompt(shop, "--node", "orders", "--phase", "on_failure", label="orders on_failure*>")
    assert "hook.error is that of the last run." in p.screen.text()
    p.enter("hook.error.message", "division by zero")
    p.enter(".try 1", "success, 1 row")
    p.enter("select * from public.log where n = 9;", "2 rows")  # that of the run, and this one
    p.leave()


def test_files_that_change_are_taken_up_with_the_transaction_open(shop):
    shop.run("run --select orders --no-hooks").ok()
    p = NodePrompt(shop, "--node", "orders")
    p.enter("insert into public.log values (1, 'before');", "INSERT 0 1")
    shop.write({"hooks/audit.lua": shop.read("hooks/audit.lua").replace("select 1/0", "select 1")})
    p.enter(".try fails", "hooks/audit.lua has changed: the project was read again", "(fails): success")
    shop.write({"models/orders.sql": "{{ config(post_hook='select 5') }} select {{ nothing_of_that_name() }} as n"})
    p.enter(".hooks", "'nothing_of_that_name' is undefined", "1  post_hooks   inside   select 5")
    p.enter("select n from public.log;", "-1", "2 rows")
    p.leave()


@pytest.mark.san
def test_a_connection_that_is_lost_and_queries_that_are_cancelled(shop):
    p = NodePrompt(shop, "--node", "twins", label="twins post_hooks*>")
    p.enter("insert into public.log values (1, 'x');", "INSERT 0 1")
    p.keys("select pg_sleep(1000);")
    p.seen = p.screen.row + 1
    p.type("\r")
    shop.db.wait_for_query("fetch")
    p.type("\x03")
    p.wait("interrupted", p.label)
    p.seen = p.screen.row
    p.enter("select n from public.log;", "1 row")
    pid = p.enter("=hook:value 'select pg_backend_pid()'")
    assert shop.db.sql(f"select pg_terminate_backend({pid})") == "t"
    p.enter("select n from public.log;", "the connection was lost, and its transaction with it", prompt=p.label)
    p.enter("select n from public.log;", "0 rows")
    assert p.enter("=hook:value 'select pg_backend_pid()'") != pid
    p.leave()


def test_a_hook_with_a_breakpoint_stops(shop):
    shop.write({"hooks/audit.lua": shop.read("hooks/audit.lua").replace(
        "  hook:exec(\"insert into public.log values (-1", "  local n = 6\n  breakpoint()\n  if n == 7 then return end\n"
        "  hook:exec(\"insert into public.log values (-1")})
    p = NodePrompt(shop, "--node", "orders")
    came = p.enter(".try fails", "breakpoint in post-hook 'fails' of model orders", prompt="orders post_hooks>")
    assert "hooks/audit.lua:7" in came
    p.enter("n", "6", prompt="orders post_hooks>")
    p.enter("n = 7", prompt="orders post_hooks>")
    p.enter("continue", "2 (fails): success")
    p.enter("this.name", "orders")
    p.leave()


def test_another_target(shop):
    shop.write({"profiles.yml": shop.profile() + shop.profile(schema="prod").split("outputs:\n")[1]
                .replace("    dev:", "    prod:")})
    p = NodePrompt(shop, "--node", "orders")
    p.enter("insert into public.log values (1, 'x');", "INSERT 0 1")
    p.enter(".target prod", "what was done here is rolled back", "prod (")
    assert p.enter("this").endswith('"prod"."orders"')
    p.enter(".try 3", "3 (select 1): success, 1 row")
    p.leave()
    assert shop.db.rows(LOG) == []


def test_ctrl_c_while_it_is_entered(shop):
    shop.write({"models/twins.sql": "select '{{ run_query('select pg_sleep(1000)') }}' as n"})
    p = Prompt(shop, "--node", "twins", label="")
    shop.db.wait_for_query("pg_sleep(1000)")
    p.type("\x03")
    p.finish().fails(130)
    shop.db.wait_for_nobody()


def test_completion_of_what_the_place_has(shop):
    p = NodePrompt(shop, "--node", "twins", label="twins post_hooks*>")
    for typed, becomes in (("run_h", "run_hook"), ("this.ide", "this.identifier"), ("node.resource_t", "node.resource_type"),
                           (".rol", ".rollback"), ("ref('custo", "ref('customers")):
        p.keys(typed)
        p.type("\t")
        while p.line() != f"{p.label} {becomes}":
            p.more()
        p.type("\x15")
        while p.line() != p.label:
            p.more()
    p.enter(".help", ".try", "[N or NAME]", ".reload")
    p.enter("help()", "run_hook(n or name)", "query(sql, ...)")
    p.leave()


@pytest.mark.parametrize("end", ["hangup", "sigterm"])
def test_however_it_ends_it_is_rolled_back(shop, end):
    p = NodePrompt(shop, "--node", "twins", label="twins post_hooks*>")
    p.enter("insert into public.log values (1, 'x');", "INSERT 0 1")
    if end == "sigterm":
        p.process.terminate()
        p.finish().fails(143)
    else:
        p.process.send_signal(signal.SIGHUP)
        p.process.wait(20)
    shop.db.wait_for_nobody()
    assert shop.db.rows(LOG) == []


@pytest.mark.san
def test_scripts_code_and_pipes(shop):
    shop.run("run --select orders --no-hooks").ok()
    shop.write({"look.lua": """
        local r = run_hook("count")
        print(this.name, hook.phase, r.status, r.rows, ...)
        if ... then commit() end
        """})
    r = shop.run("repl", "--node", "orders", "look.lua").ok().says("what was done here is rolled back: commit() keeps it")
    assert r.stdout == "orders\tpost_hooks\tsuccess\t2\n"
    assert shop.db.rows(LOG) == []
    r = shop.run("repl", "--node", "orders", "look.lua", "keep").ok()
    assert r.stdout == "orders\tpost_hooks\tsuccess\t2\tkeep\n" and "rolled back" not in r.stderr
    assert shop.db.rows(LOG) == ["2 post_hooks"]
    r = shop.run("repl", "--node", "model.shop.orders", "--phase", "pre_hooks", "-e", "hook.phase, #hook.node.tags").ok()
    assert r.stdout == "pre_hooks\n1\n"
    r = shop.run("repl --node orders", input=".try count\ninsert into public.log values (3, 'pipe');\n.commit\n").ok()
    assert r.stdout.splitlines()[1:] == ["INSERT 0 1", "committed; another transaction is open"]
    assert shop.db.rows(LOG) == ["2 post_hooks", "2 post_hooks", "3 pipe"]
    r = shop.run("repl --node orders", input="delete from public.log;\n.try fails\nprint('not reached')\n").fails(1)
    assert "division by zero" in r.stderr and "not reached" not in r.stdout
    assert len(shop.db.rows(LOG)) == 3
    r = shop.run("repl", "--node", "orders", "-e", "run_hook('fails')").fails(1)
    assert r.stderr.count("division by zero") == 1 and "hooks/audit.lua:7" in r.stderr


@pytest.mark.parametrize("node, greeting, asked", [
    ("colours", "The file is read", "built"),
    ("one_id_each", "No transaction is open", "pass"),
])
def test_places_of_other_kinds_of_nodes(shop, node, greeting, asked):
    shop.run("run --select orders --no-hooks").ok()
    p = NodePrompt(shop, "--node", node, label=f"{node} post_hooks{'*' if node == 'colours' else ''}>")
    assert greeting in p.screen.text()
    p.enter(".build", asked)
    p.enter(".hooks", "has no hook in the phase post_hooks")
    p.leave()
    assert shop.db.relations() == ["orders table"]


@pytest.mark.parametrize("options, status, words", [
    ("--node ordrs", 2, ["there is no node 'ordrs'", "did you mean 'orders'?"]),
    ("--node off", 2, ["model 'off' is disabled", "models/off.sql"]),
    ("--node pieces", 2, ["'pieces': it is ephemeral", "models/pieces.sql"]),
    ("--node raw.events", 2, ["a source is only read", "models/schema.yml"]),
    ("--node board", 2, ["an exposure has no phases"]),
    ("--node look", 2, ["an analysis is only compiled"]),
    ("--node tidy", 2, ["an operation has no phases of a node"]),
    ("--node orders --phase post_hoks", 2, ["--phase is one of", "'post_hoks'", "did you mean 'post_hooks'?"]),
    ("--phase build", 2, ["--phase says where", "it needs --node NAME"]),
])
def test_names_that_are_wrong(shop, options, status, words):
    r = shop.run("repl", *options.split(), "-e", "print('not reached')").fails(status).says(*words)
    assert r.stdout == ""


def test_a_name_of_several_nodes(shop):
    shop.write({"models/many_v1.sql": "select 1 as n", "models/many_v2.sql": "select 2 as n", "models/versions.yml": """
        models:
          - name: many
            latest_version: 2
            versions: [{v: 1}, {v: 2}]
        """})
    shop.run("repl --node many -e 1").fails(2).says("'many' is the name of several nodes",
                                                    "take one of model.shop.many.v1, model.shop.many.v2")
    assert shop.run("repl", "--node", "many.v1", "-e", "this.name").ok().stdout == "many_v1\n"


def test_sql_that_cannot_be_rendered_is_said_and_the_place_is_entered(shop):
    shop.write({"models/twins.sql": "select {{ nothing_of_that_name() }} as n"})
    r = shop.run("repl", "--node", "twins", "-e", "hook:value('select 40 + 2')").ok()
    assert r.stdout == "42\n" and "'nothing_of_that_name' is undefined" in r.stderr and "models/twins.sql:1" in r.stderr
