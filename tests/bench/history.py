"""The history: called by history.sh, which explains the settings."""

import json
import os
import subprocess

import main
from hooks import dex

NODES = 1000
RUNS = int(os.environ.get("HISTORY_RUNS", "100000"))
TASKS = 5

# Fills a history as years of commands would, asks what the page and the commands ask, and prints the seconds of each.
ASK = """
local json, state, time, value = require "dex.json", require "state", require "dex.time", require "jinja.value"
local store = state.open(".", { durable = false })
local db, RUNS, TASKS = store.db, %(runs)d, %(tasks)d
local day, now = 86400000000, state.now()
local names = { "build", "run", "nightly", "permissions/grant" }
if db:value "select count(*) from runs" == 0 then
  store:batch(function()
    for i = 1, RUNS do
      local at = now - (RUNS - i) * (60 * day // RUNS)
      local status = i %% 50 == 0 and "failed" or "success"
      db:exec([[insert into runs (seq, id, kind, name, command, trigger, status, created_at, started_at, ended_at, counts)
        values (?1, ?2, ?3, ?4, 'dex-lua build', 'schedule', ?5, ?6, ?6, ?6 + 5000000, '{"total": 5, "success": 5}')]],
        i, ("%%08x-0000-4000-8000-%%012x"):format(i * 2654435761 & 0xffffffff, i), i %% 4 < 2 and "command" or "flow",
        names[i %% 4 + 1], status, at)
      for task = 1, TASKS do
        local node = (i + task) %% 500
        db:exec([=[insert into tasks (run, position, name, kind, node, status, attempt, started_at, ended_at, phases)
          values (?1, ?2, ?3, 'model', ?4, ?5, 1, ?6, ?6 + 100000, '[["compile",10,200],["build",300,90000]]')]=], i, task,
          "model.shop.m" .. node, store:node("model.shop.m" .. node),
          status == "failed" and task == TASKS and "failed" or "success", at)
      end
    end
    for d = 0, 60 do
      for node = 0, 499 do
        db:exec("insert into spent values (?1, 'node', ?2, 100, 1, 1000000, 20000)", now // day - d, "model.shop.m" .. node)
      end
    end
  end)
end
local middle = store:run(db:value("select id from runs where seq = ?1", RUNS // 2))
local questions = {
  { "the last 50 runs", function() return store:runs() end },
  { "a page from the middle", function() return store:runs { before = RUNS // 2 } end },
  { "the last runs of a name", function() return store:runs { kind = "flow", name = "nightly" } end },
  { "the last runs that failed", function() return store:runs { status = "failed" } end },
  { "runs that go on", function() return store:runs { open = true } end },
  { "one run with its nodes", function() return store:run(middle.id), store:tasks(middle.id) end },
  { "a run by the beginning of its id", function() return store:find_run(middle.id:sub(1, 8)) end },
  { "the durations of a node", function() return store:durations("model.shop.m7") end },
  { "the slowest nodes of 30 days", function() return store:slowest { kind = "node", since = now - 30 * day } end },
  { "the last failures", function() return store:failures { since = now - 30 * day } end },
  { "the last state of each node", function() return store:latest_nodes() end },
}
local answers = value.dict()
for _, question in ipairs(questions) do
  local started = time.mono()
  question[2]()
  answers[question[1]] = time.mono() - started
end
store:close()
print(json.encode(answers))
"""


def overhead(bench, table):
    """A run of many views with the history and without, in turns."""
    path = bench.project("recorded", {f"models/m{i}.sql": f"select {i} as n" for i in range(NODES)})
    run = ("run", "--project-dir", path)
    dex(bench, *run)
    times = [[], []], [[], []]
    for _ in range(bench.rounds):
        for side, words in enumerate(((), ("--no-history",))):
            taken, processor, _ = dex(bench, *run, *words)
            times[side][0].append(taken)
            times[side][1].append(processor)
    note = "the same with --no-history"
    table.row(f"history of a run of {NODES} views", times[0][0], times[1][0], "1.03",
              lambda ours, theirs: ours <= 1.03 * theirs, note)
    table.row(f"history of a run of {NODES} views, processor", times[0][1], times[1][1], "1.03",
              lambda ours, theirs: ours <= 1.03 * theirs, note + "; user and system time of the program alone")
    each = sorted(on - off for on, off in zip(times[0][1], times[1][1]))[bench.rounds // 2] / NODES
    print(f"recording a node: {each * 1e6:.0f} us of the processor")


def questions(bench, table):
    """What is asked of a history of many runs; each answer once with a file that nobody has read before."""
    path = bench.project("asked", {"ask.lua": ASK % {"runs": RUNS, "tasks": TASKS}})
    answers = []
    for _ in range(bench.rounds + 1):
        done = subprocess.run([bench.binary, "repl", "ask.lua"], cwd=path, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit("bench: ask.lua failed:\n" + done.stderr[-2000:])
        answers.append(json.loads(done.stdout))
    for question in answers[0]:
        table.row(f"{RUNS} runs: {question}"[:44], [answer[question] for answer in answers[1:]], None, "under 50 ms",
                  lambda ours, _: ours < 0.05)
    size = os.path.getsize(os.path.join(path, ".dex/state.db"))
    print(f"the file has {size / 1e6:.0f} MB: {size / RUNS:.0f} bytes a run of {TASKS} nodes")


if __name__ == "__main__":
    main.main([overhead, questions])
