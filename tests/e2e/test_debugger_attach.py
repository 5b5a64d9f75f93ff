"""Breakpoints without a terminal: said in CI, waited at with --debug-listen, reached with attach."""
import os
import stat

FILES = {"hooks/h.lua": """
    return { f = function(hook)
      local n = 1
      breakpoint()
      n = n + 1
    end }""", "models/a.sql": "{{ config(post_hook={'lua': 'h.f'}) }} select 1 as n"}


def listening(p):
    run = p.start("run --debug-listen 127.0.0.1:0")
    while "stands at hooks/h.lua:3" not in run.output()[0]:
        assert run.process.poll() is None, run.output()
    (name,) = os.listdir(p.path(".dex/debug"))
    return run, name


def test_in_ci_it_is_said_and_goes_on(project):
    project(FILES).run("run").ok().says("breakpoint at hooks/h.lua:3", "1 ok")


def test_attach(project):
    p = project(FILES)
    run, port = listening(p)
    assert stat.S_IMODE(os.stat(p.path(".dex/debug", port)).st_mode) == 0o600
    p.run("attach", f"127.0.0.1:{port}", cwd=p.scratch, env={"DEX_DEBUG_TOKEN": "00ff"}, input="").fails(2).says("181")
    p.run("attach", input="n\nnext\n").ok().says("breakpoint in post-hook", ">     4 |")
    assert run.process.poll() is None, "a client that leaves changes nothing"
    p.run("attach", input="n\ncontinue\n").ok().says("the run has ended")
    run.finish().ok().says("1 ok")
    assert os.listdir(p.path(".dex/debug")) == []


def test_only_this_machine(project):
    project(FILES).run("run --debug-listen 0.0.0.0:0").fails(2).says("would let other machines in")
