"""Scripts of flows that behave badly: what they print, how they end, and what they leave."""
import signal
import time

import pytest

from flows import flow, history, run_id


def script(text, **more):
    return {"script": {"run": text, "shell": True}, **more}


@pytest.mark.san
def test_no_shell_unless_asked(project):
    p = project({"flows/f.yml": flow({"plain": {"script": ["/bin/echo", "$HOME;", "*", "{{ 'a b' }}"]}, "shell": script("echo $((1 + 1)); cd / && pwd"),
                                      "cwd": {"script": {"run": ["pwd"], "cwd": "models"}},
                                      "env": {"script": {"run": ["printenv", "A", "DEX_TASK"], "env": {"A": "{{ 6 * 7 }}"}}}}),
                 "models/a.sql": "select 1 as n"})
    result = p.run("flow run f").ok()
    result.says("plain: $HOME; * a b", "shell: 2", "shell: /", "cwd: " + p.path("models"), "env: 42", "env: env")


@pytest.mark.san
def test_what_it_returns(project):
    p = project({"flows/f.yml": flow({
        "give": {"script": ["python3", "-c", "import json, os\nc = json.load(open(os.environ['DEX_CONTEXT']))\n"
                            "json.dump({'n': c['params']['n'] * 2, 'flow': c['flow']}, open(os.environ['DEX_RESULT'], 'w'))"]},
        "take": {"script": ["echo", "{{ tasks.give.result.n }} {{ tasks.give.result.flow }}"], "needs": "give"},
        "bad": script("echo '{' > $DEX_RESULT"),
        "database": script("psql -Atc 'select current_database()'"),
    }, parameters={"n": {"type": "integer", "default": 4}})})
    result = p.run("flow run f").fails(1)
    result.says("take: 8 f", "error 606", "script 'bad' left no JSON", "database: " + p.db.name)


@pytest.mark.san
def test_it_cannot_be_started(project):
    p = project({"flows/f.yml": flow({"nobody": {"script": ["no-such-program"]}, "nowhere": {"script": {"run": ["true"], "cwd": "no/such"}},
                                      "folder": {"script": ["/"]}})})
    result = p.run("flow run f").fails(1)
    result.says("error 631", "script 'nobody' cannot be started: cannot run no-such-program", "there is no folder", "flows/f.yml")


@pytest.mark.san
def test_much_in_one_line_and_bytes_that_are_no_text(project):
    p = project({"flows/f.yml": flow({"long": script("head -c 10000000 /dev/zero | tr '\\0' x; echo; echo after"),
                                      "bytes": script("printf 'a\\000b\\377c\\033[31md\\n'; head -c 3000 /dev/urandom; echo; echo end"),
                                      "many": script("seq 1 20000")})})
    result = p.run("flow run f", timeout=60).ok()
    result.says("... (10000000 bytes in this line)", "long: after", "bytes: a\\x00b\\xffc", "bytes: end", "many: 20000")
    assert len(result.stdout) < 1000000


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_the_whole_group_ends(project, how):
    """Also what does not hear SIGTERM: it is killed after the grace time."""
    p = project({"flows/f.yml": flow({"deaf": script("trap '' TERM; touch there; sleep 60 & sleep 60; touch late",
                                                     **({"timeout": 0.5} if how == "timeout" else {}))})})
    running = p.start("flow run f")
    while not p.exists("there"):
        assert running.process.poll() is None, running.output()
        time.sleep(0.01)
    if how == "cancel":
        running.signal(signal.SIGTERM)
    result = running.finish(30).fails(1 if how == "timeout" else 143)
    assert history(p, run_id(result))["by"]["deaf"]["status"] == ("timed_out" if how == "timeout" else "cancelled")
    assert not p.exists("late")  # and the audit of the test finds each sleep that is left


@pytest.mark.san
def test_its_end_is_told(project):
    p = project({"flows/f.yml": flow({"status": script("echo to nobody >&2; echo the reason >&2; exit 3"), "signal": script("kill -9 $$"),
                                      "quiet": script("exit 1")})})
    p.run("flow run f").fails(1).says("script 'status' ended with status 3: the reason", "script 'signal' was ended by signal 9",
                                      "script 'quiet' ended with status 1", "error 632")
