"""Breakpoints without a terminal: said in CI, waited at with --debug-listen, reached with attach."""
import json
import os
import socket
import stat

import pytest
from program import SLOW
from terminal import Terminal

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


@pytest.mark.san
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


@pytest.mark.san
def test_one_at_a_time(project):
    p = project(FILES)
    run, port = listening(p)
    first = Terminal(p, "attach", port and f"127.0.0.1:{port}")
    first.read_until("a post_hooks>")
    p.run("attach", input="n = 7\ncontinue\n").fails(2).says("error 181", "somebody is attached already")
    first.type("n\r")
    while "\n1\na post_hooks>" not in first.screen.text():
        assert first._read(20)
    assert run.process.poll() is None, "the second one has changed nothing"
    first.type("\x04")
    first.finish().ok()
    p.run("attach", input="continue\n").ok().says("the run has ended")
    run.finish().ok().says("1 ok")


def test_two_at_once(project):
    """Of two that come at the same moment one is let in, and the other is told."""
    p = project(FILES)
    run, port = listening(p)
    token = p.read(".dex/debug", port).split()[1]
    clients = [socket.create_connection(("127.0.0.1", int(port)), 20 * SLOW) for _ in range(2)]
    for client in clients:
        client.sendall((json.dumps({"token": token}) + "\n").encode())
    streams = [client.makefile("rw") for client in clients]
    first = [json.loads(stream.readline()) for stream in streams]
    assert sorted(key for message in first for key in message) == ["refused", "welcome"]
    inside = streams[0 if "welcome" in first[0] else 1]
    said = [json.loads(inside.readline())]
    while "prompt" not in said[-1]:
        said.append(json.loads(inside.readline()))
    assert any("breakpoint in post-hook" in message.get("text", "") for message in said)
    inside.write('{"line": "continue"}\n')
    inside.flush()
    assert "the run has ended" in [json.loads(line).get("bye") for line in inside]
    for stream, client in zip(streams, clients):
        stream.close()
        client.close()
    run.finish().ok().says("1 ok")


def test_only_this_machine(project):
    project(FILES).run("run --debug-listen 0.0.0.0:0").fails(2).says("would let other machines in")
