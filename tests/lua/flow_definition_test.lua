--- Flows as files say them: what they become, and what is wrong with them.

local definition = require "flow.definition"
local err = require "err"
local fixture = require "project_fixture"
local fs = require "dex.fs"
local tap = require "tap"

local test, eq, ok = tap.test, tap.eq, tap.ok

local function load(flows, more)
  local files = { ["models/orders.sql"] = "select 1 as id", ["flows/f.yml"] = flows,
    ["operations/etl/load.sql"] = "{{ config(parameters={'day': {'type': 'date', 'required': true}}) }} select 1" }
  for path, text in pairs(more or {}) do files[path] = text end
  return definition.load(fixture.load(files))
end

local all_kinds = [[
description: Every night
parameters:
  day: {type: date, default: 2026-01-31}
schedule: {every: day, at: "02:30"}
time_zone: Europe/Berlin
catchup: latest
max_active_runs: 2
timeout: 1h
pools: {api: 2}
hooks:
  start: "select 1"
  always: {lua: audit.done}
notify:
  - on: [success, failure]
    severity: critical
    to: {lua: notify.webhook, args: {url_env: U}}
nodes:
  - name: ready
    wait: {sql: select true, every: 10s}
    timeout: 2d
  - name: load
    needs: ready
    operation: load
    args: {day: "{{ params.day }}"}
    retries: {count: 3, delay: 5s, backoff: exponential, jitter: true}
    pool: api
    for_each: [1, 2]
  - name: build
    needs: [load]
    transformation: {select: orders+, command: run}
  - name: tell
    needs: build
    when: failed
    script: [echo, "{{ tasks.build.status }}"]
  - name: say
    needs: build
    when: tasks.build.rows > 0
    script: {run: "echo $X | wc", shell: true, env: {X: 1}, cwd: scripts}
  - name: more
    flow: other
    args: {n: 1}
]]
local other = { ["flows/sub/other.yaml"] = [[
flows:
  - name: other
    parameters: {n: integer}
    nodes: {only: {operation: etl/load, args: {day: 2026-01-01}}}
]] }

test("a flow with a node of every kind", function()
  local flows = load(all_kinds, other)
  eq(#flows, 2)
  local f = flows.f
  eq(f.name, "f")
  ok(f.file:find("/flows/f%.yml$"))
  eq(f.schedule:text(), "every day at 02:30 (Europe/Berlin)")
  eq({ f.catchup, f.max_active_runs, f.timeout, f.on_crash }, { "latest", 2, 3600, "retry" })
  eq(#f.hooks.start + #f.hooks.always, 2)
  eq({ f.notify[2].on, f.notify[2].severity, f.notify[2].hook.lua }, { "failure", "critical", "notify.webhook" })
  eq(f.nodes.ready.wait, { kind = "sql", value = "select true", every = 10 })
  eq(f.nodes.ready.timeout, 172800)
  eq(f.nodes.ready.line, 18)
  eq(f.nodes.load.operation, "etl/load")
  eq(f.nodes.load.retries, { count = 3, delay = 5, backoff = "exponential", jitter = 0.5, max_delay = 3600 })
  eq({ f.nodes.build.command, f.nodes.build.select[1] }, { "run", "orders+" })
  eq(f.nodes.tell.argv[2], "{{ tasks.build.status }}")
  eq({ f.nodes.say.shell_text, f.nodes.say.cwd }, { "echo $X | wc", "scripts" })
  eq(f.nodes.say.when, { expression = "tasks.build.rows > 0" })
  eq({ f.nodes.more.kind, f.nodes.more.flow }, { "flow", "other" })
  eq(flows.other.nodes.only.needs, {})
  eq(flows.pools, { api = 2 })
end)

test("a time zone and pools of the project file", function()
  local flows = load("schedule: 0 3 * * *\nnodes: [{name: a, script: ls, pool: p}]\n", { ["dbt_project.yml"] =
    "name: shop\nversion: '1.0'\nprofile: shop\ndex: {time_zone: Asia/Tokyo, pools: {p: 1}}\n" })
  eq(flows.f.schedule:text(), "0 3 * * * (Asia/Tokyo)")
end)

-- schedule -> words, the next three times after Tuesday, 2026-02-03 10:20 UTC
local schedules = {
  { "{every: minute}", "every minute", "03 10:21, 03 10:22, 03 10:23" },
  { "{every: 15 minutes}", "every 15 minutes", "03 10:30, 03 10:45, 03 11:00" },
  { "{every: 60m}", "every 60 minutes", "03 11:00, 03 12:00, 03 13:00" },
  { "{every: 6h}", "every 6 hours", "03 12:00, 03 18:00, 04 00:00" },
  { "{every: 24 hours}", "every 24 hours", "04 00:00, 05 00:00, 06 00:00" },
  { "{every: hour}", "every hour at :00", "03 11:00, 03 12:00, 03 13:00" },
  { "{every: hour, at: [5, ':50']}", "every hour at :05, :50", "03 10:50, 03 11:05, 03 11:50" },
  { "{every: day}", "every day at 00:00", "04 00:00, 05 00:00, 06 00:00" },
  { "{every: day, at: [7:30, '19:05']}", "every day at 07:30, 19:05", "03 19:05, 04 07:30, 04 19:05" },
  { "{every: weekday, at: '09:00'}", "every weekday at 09:00", "04 09:00, 05 09:00, 06 09:00" },
  { "{every: week}", "every week on monday at 00:00", "09 00:00, 16 00:00, 23 00:00" },
  { "{every: week, on: [tue, Sunday], at: '10:00'}", "every week on tuesday, sunday at 10:00",
    "08 10:00, 10 10:00, 15 10:00" },
  { "{every: month, on: [last, 5]}", "every month on last, 5 at 00:00", "05 00:00, 28 00:00, 05 00:00" },
  { "{every: month, on: first monday, at: '08:00'}", "every month on first monday at 08:00",
    "02 08:00, 06 08:00, 04 08:00" },
  { "{every: month, on: last friday}", "every month on last friday at 00:00", "27 00:00, 27 00:00, 24 00:00" },
  { "{every: year, on: 02-29}", "every year on 02-29 at 00:00", "29 00:00, 29 00:00, 29 00:00" },
  { "'@hourly'", "@hourly", "03 11:00, 03 12:00, 03 13:00" },
  { "{cron: '0 12 * * sat'}", "cron 0 12 * * sat", "07 12:00, 14 12:00, 21 12:00" },
  { "[{every: day, at: '06:00'}, 0 18 * * *]", "every day at 06:00; 0 18 * * *", "03 18:00, 04 06:00, 04 18:00" },
}

test("schedules, and the times that they give", function()
  for _, case in ipairs(schedules) do
    local s = load("nodes: [{name: a, script: ls}]\nschedule: " .. case[1]).f.schedule
    local times = s:between(1770114000 * 1000000, math.maxinteger, 3)
    for i, at in ipairs(times) do times[i] = s:clock(at):sub(9, 16) end
    eq({ case[1], s.words, table.concat(times, ", ") }, case)
  end
end)

-- text of the nodes, or of the whole flow -> code, line, words of the message
local mistakes = {
  { "nodes: [{name: a, script: ls, need: b}]", 611, 1, "has no key 'need'" },
  { "nodes:\n  - {name: a, script: ls}\n  - {name: b, needs: aa, script: ls}", 612, 3, "needs 'aa'" },
  { "nodes:\n  - {name: a, needs: b, script: ls}\n  - {name: b, needs: a, script: ls}", 612, 2, "a %-> b %-> a" },
  { "nodes: [{name: a, needs: a, script: ls}]", 612, 1, "needs itself" },
  { "nodes: [{name: a, script: ls}, {name: a, script: ls}]", 611, 1, "two nodes 'a'" },
  { "nodes: [{name: a, script: ls, flow: f}]", 611, 1, "one thing" },
  { "nodes: [{name: a}]", 611, 1, "does nothing" },
  { "nodes: [{name: a, operation: laod}]", 613, 1, "no operation 'laod'" },
  { "nodes: [{name: a, operation: load}]", 613, 1, "'day' is required" },
  { "nodes: [{name: a, operation: load, args: {day: monday}}]", 613, 1, "must be a date" },
  { "nodes: [{name: a, operation: load, args: {dya: 2026-01-01}}]", 613, 1, "no parameter 'dya'" },
  { "nodes: [{name: a, flow: g}]", 613, 1, "no flow 'g'" },
  { "nodes: [{name: a, flow: f}]", 612, 1, "f %-> f" },
  { "nodes: [{name: a, script: ls, pool: x}]", 613, 1, "no pool 'x'" },
  { "nodes: [{name: a, script: ls, timeout: soon}]", 611, 1, "`timeout` must be seconds" },
  { "nodes: [{name: a, script: ls -l}]", 611, 1, "list; a text of several words" },
  { "nodes: [{name: a, script: {run: [ls], shell: true}}]", 611, 1, "one text" },
  { "nodes: [{name: a, wait: {every: 5s}}]", 611, 1, "needs `sql`, `file` or `freshness`" },
  { "nodes: [{name: a, wait: {sql: x, file: y}}]", 611, 1, "not for both" },
  { "nodes: [{name: a, script: ls, when: sucess}]", 611, 1, "no word 'sucess'" },
  { "nodes: [{name: a, script: ls, when: failed}]", 612, 1, "without `needs`" },
  { "nodes: [{name: a, script: ls, when: 'tasks.b.status ='}]", 201, 1, "." },
  { "nodes: [{name: a, script: [ls, '{{ tasks.b.status }}']}, {name: b, script: ls}]", 612, 1, "does not need 'b'" },
  { "nodes: [{name: a, script: ls, retries: many}]", 611, 1, "`retries` must be" },
  { "nodes: [{name: a, script: ls, retries: {count: 2, backoff: expo}}]", 611, 1, "fixed, linear or exponential" },
  { "nodes: [{name: a, script: ls, retries: {count: 2, jitter: 7}}]", 611, 1, "from 0 to 1" },
  { "nodes: [{name: a, wait: {sql: x}, for_each: [1]}]", 611, 1, "`for_each` is not for" },
  { "nodes: [{name: a, script: ls, args: {x: 1}}]", 611, 1, "takes no `args`" },
  { "nodes: [{name: a, transformation: {selekt: x}}]", 611, 1, "no key 'selekt'" },
  { "nodes: [{name: a, transformation: {selector: x}}]", 613, 1, "no selector 'x'" },
  { "nodes: [{name: a, transformation: {select: x, selector: y}}]", 611, 1, "says it all" },
  { "nodes: [{name: a, transformation: 'tga:x'}]", 613, 1, "tga" },
  { "nodes: []", 610, 1, "has no nodes" },
  { "description: x\nnodes: 7", 610, 2, "must be a list of nodes" },
  { "name: f\ndescription: x", 610, 1, "needs `nodes`" },
  { "nodes: [{name: a, script: ls}]\nparameters: {p: integr}", 601, 2, "no type" },
  { "nodes: [{name: a, script: ls}]\nparameters: {p: {type: integer, default: x}}", 601, 2, "default must be" },
  { "nodes: [{name: a, script: ls}]\ncatchup: some", 610, 2, "none, latest or all" },
  { "nodes: [{name: a, script: ls}]\nmax_active_runs: 0", 610, 2, "above 0" },
  { "nodes: [{name: a, script: ls}]\nhooks: {pre: x}", 610, 2, "no key 'pre'" },
  { "nodes: [{name: a, script: ls}]\nnotify: {on: end, to: x}", 610, 2, "start, success or failure" },
  { "nodes: [{name: a, script: ls}]\nnotify: {on: failure, to: {lua: nofunction}}", 112, 2, "no Lua function" },
  { "nodes: [{name: a, script: ls}]\nschedule: {every: day, at: 25:00}", 614, 2, "`at` is a time" },
  { "nodes: [{name: a, script: ls}]\nschedule: {every: fortnight}", 614, 2, "`every` is" },
  { "nodes: [{name: a, script: ls}]\nschedule: {every: 7 minutes}", 614, 2, "no part of the 60" },
  { "nodes: [{name: a, script: ls}]\nschedule: {cron: '0 0 * * *', at: 1:00}", 614, 2, "takes no `at`" },
  { "nodes: [{name: a, script: ls}]\nschedule: {every: week, on: firday}", 614, 2, "no day of the week" },
  { "nodes: [{name: a, script: ls}]\nschedule: 0 0 31 2 *", 614, 2, "no day 31 in feb" },
  { "nodes: [{name: a, script: ls}]\ntime_zone: Europe/Berlni", 615, 2, "no time zone" },
  { "nodes: [{name: a, script: ls}]\nschedule: '@daily'\nparameters: {p: {required: true}}", 610, 1, "nobody to give" },
  { "flows: {f: 1}", 610, 1, "`flows` must be a list" },
  { "flows: [{nodes: [{name: a, script: ls}]}]", 610, 1, "needs a `name`" },
  { "pools: {x: 0}\nnodes: [{name: a, script: ls}]", 610, 1, "above 0" },
  { "- a", 610, 1, "is a mapping" },
}

for _, case in ipairs(mistakes) do
  test("a mistake: " .. case[4], function()
    local e = tap.raises(function() load(case[1]) end, case[4])
    eq({ e.code, e.line, e.file:match("flows/.*") }, { case[2], case[3], "flows/f.yml" })
  end)
end

test("the character of a cron expression is marked in its line", function()
  local e = tap.raises(function()
    load("nodes: [{name: a, script: ls}]\nschedule:\n  cron: \"0 25 * * *\"\n")
  end, "25 is no hour")
  eq({ e.line, e.column }, { 3, 12 })
end)

test("all mistakes are told, not the first", function()
  local e = tap.raises(function()
    load("nodes:\n  - {name: a, operation: x}\n  - {name: b, operation: y}\n  - {name: c, pool: z, script: ls}\n")
  end, "no operation 'x'")
  eq(#e.others, 2)
end)

test("a selection that finds nothing is a warning", function()
  local flows = load("nodes: [{name: a, transformation: tag:nothing}]")
  ok(flows.warnings[1].message:find("finds nothing to build", 1, true), flows.warnings[1].message)
end)

test("a flow that is not there names the nearest", function()
  local project = fixture.load { ["flows/nightly.yml"] = "nodes: [{name: a, script: ls}]" }
  local e = tap.raises(function() definition.find(project, "nigthly") end, "no flow 'nigthly'")
  eq(e.hint, "did you mean 'nightly'?")
end)

-- A text with one line changed: left out, doubled, indented otherwise, or with another value.
local values = { "", "[]", "{}", "1", "-1", "true", "~", "'{{ x'", "'{{ x }}'", "a b", "{a: b}", "[[1]]", "2026-01-01",
  "1e99", "'\\0'", "!!binary x", "&a *a", "nodes", "success", "'* * * * *'" }
local function changed(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do lines[#lines + 1] = line end
  for _ = 1, math.random(2) do
    local i = math.random(#lines)
    local kind = math.random(5)
    if kind == 1 then
      lines[i] = ""
    elseif kind == 2 then
      lines[i] = lines[i] .. "\n" .. lines[i]
    elseif kind == 3 then
      lines[i] = (" "):rep(math.random(4)) .. lines[i]
    elseif kind == 4 then
      lines[i] = lines[i]:gsub(": .*", function() return ": " .. values[math.random(#values)] end, 1)
    else
      local at = math.random(#lines[i] + 1)
      lines[i] = lines[i]:sub(1, at - 1) .. (":[]{}-,'\"#{%|"):sub(math.random(12)):sub(1, 1) .. lines[i]:sub(at)
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

test("whatever stands in a flow file, it is read or refused in words", function()
  math.randomseed(17)
  local project = fixture.load { ["operations/etl/load.sql"] = "select 1", ["models/orders.sql"] = "select 1 as id",
    ["flows/f.yml"] = all_kinds }
  local path, good = project.root .. "/flows/f.yml", 0
  for _ = 1, 600 do
    local text = changed(all_kinds:gsub("\n  %- name: more.*$", "\n"))
    fs.write(path, text)
    local read, e = pcall(definition.read, project)
    good = good + (read and 1 or 0)
    ok(read or err.is(e) and e.code < 900 and (e.file or e.code == 103), tostring(e) .. "\n" .. text)
  end
  ok(good > 50, good)
end)

fixture.clean()
