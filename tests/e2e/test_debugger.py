"""Breakpoints, stepping and --debug-hooks at a terminal, typed as a person would."""
import pytest
from terminal import Terminal
from test_hook_concurrency import GATE, session, waiting

HOOK = """
    local audit = {}
    local limit = 3
    function audit.count(hook)
      local rows = hook:value("select count(*) from " .. hook.this)
      local twice = rows * 2
      breakpoint()
      twice = twice + limit
      hook:exec("insert into dev.log values ($1)", twice)
    end
    return audit
    """
FILES = {
    "hooks/audit.lua": HOOK,
    "macros/cents.sql": """
        {% macro cents(column, places=2) %}
          {%- set scale = 10 ** places %}
          {{- debug() }}
          {{- column }} * {{ scale }}
        {%- endmacro %}
        """,
    "models/plain.sql": """
        {{ config(materialized='table', pre_hook="create table if not exists dev.log (n int)",
                  post_hook={'lua': 'audit.count'}) }}
        select 1 as n""",
    "models/priced.sql": """
        {{ config(materialized='table') }}
        {% set amounts = [1, 2] %}
        {% for amount in amounts -%}
        select {{ cents(amount) }} as n
        {% if not loop.last %}union all{% endif %}
        {% endfor %}""",
}


class Prompt(Terminal):
    """A command whose prompt is typed at."""

    def ask(self, line, *answers):
        """Types a line and waits for each of the answers, which come after it."""
        from_here = len(self.raw)
        self.type(line + "\r")
        for answer in answers:
            while answer not in self.raw[from_here:].replace("\r", ""):
                assert self._read(20), f"ended without '{answer}':\n{self.raw}"
        return self.raw[from_here:]


def test_breakpoint_in_a_hook(project):
    p = project(FILES)
    t = Prompt(p, "run --select plain")
    screen = t.read_until("plain post_hooks>")
    assert "breakpoint in post-hook 1 (audit.count) of model plain" in screen
    assert "hooks/audit.lua:6  function audit.count" in screen and ">     6 |   breakpoint()" in screen
    t.ask("locals", "rows", "= 1", "twice", "= 2", "limit", "(upvalue)", "plain post_hooks>")
    t.ask("twice = 100", "plain post_hooks>")
    t.ask("limit = 7", "plain post_hooks>")
    t.ask("twice + limit", "\n107", "plain post_hooks>")
    t.ask("select count(*) as open from dev.log;", "open", "\n   0", "1 row", "plain post_hooks>")
    t.ask("select nonsense;", 'column "nonsense" does not exist', "LINE 1", "^", "plain post_hooks>")
    t.ask("hook:value('select 40 + 2')", "\n42", "plain post_hooks>")
    t.ask("hook:value('select 1/0')", "division by zero", "plain post_hooks>")
    t.ask("retry", "is for a failure", "plain post_hooks>")
    t.ask("note = { key = 'correct-horse' }", "plain post_hooks>")
    assert "correct-horse" not in t.ask("note", 'key = "*****"', "plain post_hooks>").split("note", 1)[1]
    t.type("note.k\t")
    t.ask("", "ey", "\n*****", "plain post_hooks>")
    t.type("hook:val\t")
    t.ask("('select 41')", "ue('select 41')", "\n41", "plain post_hooks>")
    t.ask("nowhere.x", "attempt to index a nil value (global 'nowhere')", "plain post_hooks>")
    t.ask("where", "> #1  hooks/audit.lua:6", "plain post_hooks>")
    t.type("continue\r")
    t.finish().ok().says("1 ok")
    assert p.db.rows("select n from dev.log") == ["107"], "what was set is what the hook went on with"


@pytest.mark.san
def test_stepping(project):
    p = project(FILES)
    t = Prompt(p, "run --select plain")
    t.read_until("plain post_hooks>")
    t.ask("next", "at a line in post-hook 1", ">     7 |   twice = twice + limit", "plain post_hooks>")
    t.ask("twice = 5", "plain post_hooks>")
    t.ask("step", ">     8 |   hook:exec", "plain post_hooks>")
    t.ask("twice", "\n8", "plain post_hooks>")
    t.type("finish\r")
    t.finish().ok()
    assert p.db.rows("select n from dev.log") == ["8"]


def test_stepping_goes_on_behind_a_line_that_takes_seconds(project):
    """Each second the limits of scripts look in, by a hook where that of the debugger stands."""
    p = project({**FILES, "hooks/audit.lua": """
        return { count = function(hook)
          breakpoint()
          local since = os.clock()
          while os.clock() - since < 2.5 do end
          local done = true
          return done and "select 1" or nil
        end }"""})
    t = Prompt(p, "run --select plain")
    t.read_until("plain post_hooks>")
    t.ask("next", ">     3 |   local since", "plain post_hooks>")
    t.ask("next", ">     4 |   while", "plain post_hooks>")
    t.ask("next", ">     5 |   local done = true", "plain post_hooks>")
    t.ask("next", ">     6 |   return done", "plain post_hooks>")
    t.ask("done", "\ntrue", "plain post_hooks>")
    t.type("continue\r")
    t.finish().ok()


@pytest.mark.san
def test_breakpoint_in_a_macro(project):
    p = project(FILES)
    t = Prompt(p, "run --select priced")
    screen = t.read_until("priced compile>")
    assert "macros/cents.sql:3  macro cents" in screen and ">     3 |   {{- debug() }}" in screen
    t.ask("where", "> #1  macros/cents.sql:3  macro cents", "  #2  models/priced.sql:4  template", "priced compile>")
    t.ask("locals", "column", "= 1", "places", "= 2", "scale", "= 100", "priced compile>")
    t.ask("scale = 5", "priced compile>")
    t.ask("up", "#2  models/priced.sql:4  template", "priced compile>")
    t.ask("locals", "amounts", "= [1, 2]", "amount", "= 1", "loop", "'index': 1", "priced compile>")
    t.ask("jinja amounts | join('+')", "1+2", "priced compile>")
    t.ask("up", "nothing of yours stands above", "priced compile>")
    t.ask("down", "#1  macros/cents.sql:3", "priced compile>")
    t.ask("next", ">     4 |   {{- column }} * {{ scale }}", "priced compile>")
    t.ask("finish", ">     3 | {% for amount in amounts", "priced compile>")
    t.ask("continue", "breakpoint in model priced", "priced compile>")
    t.ask("column", "\n2", "priced compile>")
    t.type("c\r")
    t.finish().ok()
    assert p.db.rows("select n from dev.priced order by n") == ["5", "200"], "the first scale was set to 5"


FAILING = HOOK.replace("breakpoint()", "local note = { n = rows }").replace("dev.log values ($1)",
                                                                              "dev.lug values ($1, 2)")


@pytest.mark.san
def test_failing_hook_is_edited_and_run_again(project):
    p = project({**FILES, "hooks/audit.lua": FAILING})
    t = Prompt(p, "run --select plain --debug-hooks")
    screen = t.read_until("plain post_hooks>")
    assert 'relation "dev.lug" does not exist' in t.raw and "hooks/audit.lua:8" in t.raw
    assert "1 | insert into dev.lug values ($1, 2)" in screen and "The transaction is open" in screen
    t.ask("note.n", "\n1", "plain post_hooks>")
    t.ask("twice = 40", "plain post_hooks>")
    t.ask("twice + limit - rows", "\n42", "plain post_hooks>")
    t.ask("locals", "twice", "= 40", "limit", "(upvalue)", "plain post_hooks>")
    t.ask("error.sqlstate", "42P01", "plain post_hooks>")
    t.ask("select n from dev.plain;", "\n1", "plain post_hooks>")
    t.ask("step", "it has failed", "plain post_hooks>")
    t.ask("notices", "the server has said nothing", "plain post_hooks>")
    p.write({"hooks/audit.lua": "return {"})
    t.ask("retry", "hooks/audit.lua:1", "plain post_hooks>")
    p.write({"hooks/audit.lua": FAILING.replace("dev.lug values ($1, 2)", "dev.log values ($1)")})
    t.type("retry\r")
    t.finish().ok().says("1 ok")
    assert p.db.rows("select n from dev.log") == ["5"], "the first try was undone"


def test_failing_sql_hook_and_model_are_edited(project):
    p = project({"models/a.sql": """
        {{ config(materialized='table', post_hook="comment on table {{ this }} is 5") }}
        select wrong as n"""})
    t = Prompt(p, "run --debug-hooks")
    t.read_until("a build>")
    t.ask("sql", "select wrong as n", "^", "a build>")
    p.write({"models/a.sql": p.read("models/a.sql").replace("wrong", "1")})
    t.ask("retry", "post-hook 1 of model a failed", "syntax error", "a post_hooks>")
    p.write({"models/a.sql": p.read("models/a.sql").replace("is 5", "is 'five'")})
    t.type("retry\r")
    t.finish().ok()
    assert p.db.rows("select obj_description('dev.a'::regclass), n from dev.a") == ["five|1"]


def test_skip_continue_and_abort(project):
    bad = "{{ config(post_hook={'name': 'bad', 'sql': 'select 1/0'}) }} select 1 as n"
    p = project({"models/a.sql": bad, "models/b.sql": bad, "models/c.sql": bad, "models/d.sql": bad})
    t = Prompt(p, "run --debug-hooks --threads 1")
    t.read_until("a post_hooks>")
    t.ask("skip", "b post_hooks>")
    t.ask("continue", "c post_hooks>")
    t.type("abort\r")
    result = t.finish().fails(130)
    assert result.statuses == {"a": "success", "b": "error", "c": "skipped", "d": "skipped"}
    assert {h["name"]: h["message"] for h in result.hooks[:1]} == {"bad": "skipped in the debugger"}
    assert p.db.relations("dev") == ["a view"]


def test_others_go_on_unless_held(project):
    p = project({"hooks/h.lua": "return { stop = function(hook) breakpoint() end }",
                 "models/a.sql": "{{ config(post_hook={'lua': 'h.stop'}) }} select 1 as n",
                 "models/b.sql": "{{ config(pre_hook='" + GATE + "') }} select 1 as n",
                 "models/c.sql": "{{ config(pre_hook='" + GATE.replace("7", "8") + "') }} select * from {{ ref('b') }}",
                 "models/d.sql": "{{ config(pre_hook={'lua': 'h.stop'}) }} select * from {{ ref('c') }}"}, threads=2)
    with session(p.db) as say:
        assert [say(f"select pg_advisory_lock({n}) is null") for n in (7, 8)] == ["f", "f"]
        t = Prompt(p, "run")
        t.read_until("a post_hooks>")
        t.ask(".hold", "no more nodes start", "a post_hooks>")
        assert say("select pg_advisory_unlock(7)") == "t"
        t.read_until("dev.b")  # its line comes above the prompt
        t.ask("select 'c has not begun' as c;", "c has not begun", "1 row", "a post_hooks>")
        assert p.db.sql("select count(*) from pg_locks where locktype = 'advisory' and not granted") == "0"
        t.ask(".unhold", "nodes start again", "a post_hooks>")
        waiting(p.db, 1)
        assert say("select pg_advisory_unlock(8)") == "t"
        t.read_until("dev.c")
        t.ask("continue", "breakpoint in pre-hook 1 (h.stop) of model d", "d pre_hooks>")
    t.type("\x04")  # Ctrl-D goes on
    t.finish().ok().says("4 ok")


def test_ctrl_c_ends_what_is_typed_and_not_the_run(project):
    p = project(FILES)
    t = Prompt(p, "run --select plain")
    t.read_until("plain post_hooks>")
    t.type("select pg_sleep(100);\r")
    p.db.wait_for_query("pg_sleep(100)")
    t.ask("\x03", "plain post_hooks>")
    t.ask("twice", "\n2", "plain post_hooks>")
    t.ask("select n + 40 as sum from dev.plain;", "41", "1 row", "plain post_hooks>")
    t.type("abort\r")
    t.finish().fails(130)
    assert p.db.relations("dev") == []


@pytest.mark.san
def test_a_breakpoint_that_cannot_stop_goes_on(project):
    p = project({"hooks/h.lua": """
        return { f = function(hook)
          table.sort({ 2, 1 }, function(a, b) breakpoint() return a < b end)
        end }""", "models/a.sql": "{{ config(post_hook={'lua': 'h.f'}) }} select 1 as n"})
    t = Prompt(p, "run")
    t.finish().ok().says("hooks/h.lua:2", "cannot stop", "sort comparator")
