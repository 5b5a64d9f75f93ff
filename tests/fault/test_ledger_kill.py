"""The engine is killed with SIGKILL at each message to the server, which every boundary between phases is, and at random
instants. By the ledger `retry` brings the run to its end: what transactional hooks do is done once, what hooks do outside at
least once with one key. DEX_TEST_LONG=1 takes all messages and 200 instants, otherwise some of them."""
import os
import random
import shutil
import signal
import threading
import time

import pytest

from proxy import Proxy
from receiver import receiving

LONG = bool(os.environ.get("DEX_TEST_LONG"))
STEP = 1 if LONG else 15
INSTANTS = 200 if LONG else 6

FILES = {
    "dbt_project.yml": """name: shop
profile: shop
ledger: true
hook-programs: [sh]
on-run-start: {sql: "insert into public.out values ('start')", transaction: true}
on-run-end:
  - {sql: "insert into public.out values ('end')", transaction: true}
  - "lua: h.tell"
""",
    "seeds/s.csv": "n\n1\n2\n",
    "models/a.sql": """{{ config(materialized='table', pre_hook="insert into public.out values ('a pre')", post_hook=[
        "insert into public.out values ('a post')", 'lua: h.effects', "insert into public.out values ('a post 2')",
        {'sql': "insert into public.out values ('a outside')", 'transaction': false}],
        always="insert into public.out values ('a always')") }} select n from {{ ref('s') }}""",
    "models/b.sql": "{{ config(materialized='table', post_hook=[\"insert into public.out values ('b')\", 'lua: h.tell']) }} select n from {{ ref('a') }}",
    "models/c.sql": "{{ config(post_hook=\"insert into public.out values ('c')\") }} select n from {{ ref('s') }}",
    "hooks/h.lua": """
local function tell(hook)
  local who = hook.phase == 'run_end' and 'end' or hook.node.name
  hook:http{ url = hook:env('URL') .. '/' .. who, json = { who = who } }
end
return { tell = tell, effects = function(hook)
  tell(hook)
  hook:run{ 'sh', '-c', 'echo $DEX_IDEMPOTENCY_KEY >> keys' }
end }
""",
}
ONCE = ["start", "a pre", "a post", "a post 2", "a always", "b", "c", "end"]


class Shop:
    """One project, made anew for each of many deaths."""

    def __init__(self, project, receiver):
        self.p, self.receiver = project(FILES), receiver
        self.p.db.sql("create table public.out (who text)")
        self.env = {"URL": receiver.url}

    def clear(self):
        shutil.rmtree(self.p.path("target"), ignore_errors=True)
        self.p.write({"keys": "", "profiles.yml": self.p.profile(threads=2)})
        self.p.db.sql("truncate public.out")
        self.receiver.got.clear()

    def start(self):
        return self.p.start("build", env=self.env)

    def go_on(self):
        """What a user does who found the process gone. Without the file that every run with a ledger begins with, nothing was begun."""
        self.p.write({"profiles.yml": self.p.profile(threads=2)})
        begun = os.path.exists(self.p.path("target/run_started.json"))
        return self.p.run("retry" if begun else "build", env=self.env, timeout=60).ok()

    def check(self, when):
        rows = self.p.db.rows("select who from public.out")
        counts = {who: rows.count(who) for who in ONCE}
        assert counts == dict.fromkeys(ONCE, 1), f"{when}: {rows}"
        assert rows.count("a outside") in (1, 2), f"{when}: {rows}"
        for path in "/a", "/b", "/end":
            keys = self.receiver.keys(path)
            assert len(set(keys)) == 1 and len(keys[0]) == 32, f"{when}: {path} {keys}"
        assert len(set(self.p.read("keys").split())) == 1, when
        assert self.p.db.rows("select count(*) from dev.dex_outbox where delivered_at is null") == ["0"], when
        assert self.p.db.rows("select (select sum(n) from dev.a), (select sum(n) from dev.b), (select sum(n) from dev.c)") == ["3|3|3"], when

    def leftovers(self):
        for name in self.p.leftovers():  # of the process that was killed: the only one that may leave them
            self.p.write({name: None})


@pytest.fixture
def shop(project):
    with receiving() as receiver:
        yield Shop(project, receiver)


def die_at(shop, limit, forward):
    """Kills the engine at a message. Gives whether there were as many."""
    shop.clear()
    started, running = threading.Event(), []

    def kill():
        started.wait()
        running[0].signal(signal.SIGKILL)
        running[0].process.wait()

    proxy = Proxy(shop.p.db.server, limit, kill, forward)
    try:
        shop.p.write({"profiles.yml": shop.p.profile(host="127.0.0.1", port=proxy.port, sslmode="disable", retries=0, threads=2)})
        running.append(shop.start())
        started.set()
        running[0].process.wait(60)
        return proxy.cut
    finally:
        proxy.close()


@pytest.mark.parametrize("forward", [False, True], ids=["before it arrives", "behind its arrival"])
def test_killed_at_each_message(shop, forward):
    limit = 1 + (STEP // 2 if forward else 0)
    while die_at(shop, limit, forward):
        shop.go_on()
        shop.leftovers()
        shop.check(f"killed at message {limit}, forward {forward}")
        limit += STEP
    assert limit > 60
    shop.check("not killed")


def test_killed_at_random_instants(shop):
    shop.clear()
    began = time.monotonic()
    shop.start().finish().ok()
    length = time.monotonic() - began
    instants = random.Random(6)
    for number in range(INSTANTS):
        shop.clear()
        instant = instants.uniform(0, length * 1.2)
        running = shop.start()
        time.sleep(instant)  # the instant is what is tested
        running.signal(signal.SIGKILL)
        running.process.wait()
        shop.go_on()
        shop.leftovers()
        shop.check(f"killed after {instant:.3f} s, number {number}")


def test_killed_again_and_again(shop):
    """Retries are killed as well, each a little later, until one comes to its end."""
    shop.clear()
    running = shop.start()
    wait = 0.1
    while running.process.poll() is None:
        time.sleep(wait)  # the instant is what is tested
        running.signal(signal.SIGKILL)
        if running.process.wait() == 0:
            break
        wait *= 1.15
        begun = os.path.exists(shop.p.path("target/run_started.json"))
        running = shop.p.start("retry" if begun else "build", env=shop.env)
    shop.go_on()
    shop.leftovers()
    shop.check("killed again and again")
