--- `dex-lua hooks ls|run|check` and `dex-lua rehearse`: hooks seen, run alone, and proven.

local err = require "err"
local hook_list = require "run.hook_list"
local json = require "dex.json"
local loop = require "dex.loop"
local members = require "project.members"
local plan = require "run.plan"
local term = require "dex.term"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local types = { "seed", "model", "snapshot", "function", "test", "unit_test", "operation" }

local function steps() return require "command.steps" end

-- Hooks are listed as a command sees them; its name is what `commands:` of a hook asks for.
local function viewer(job, which)
  local skip = {}
  for _, name in ipairs(job.given.skip_hook or {}) do skip[name] = true end
  return { project = job.project, which = which, skip_hook = skip, no_hooks = job.given.no_hooks }
end

-- ls ----------------------------------------------------------------------------------------------------

--- Lines, or JSON lines, for hooks of a run and of nodes, in their order.
---@param job table of lua/pipeline.lua
---@param which string the command
---@param nodes table[] of lua/run/plan.lua
---@param head fun(item: table, listed: table[]): string|nil the line before a node's hooks; nil leaves the node out
---@return string[]
function M.lines(job, which, nodes, head)
  local run, lines = viewer(job, which), {}
  local function add(title, listed, node)
    if job.given.output == "json" then
      for _, one in ipairs(listed) do lines[#lines + 1] = json.encode(hook_list.to_dict(one, node)) end
    elseif title then
      lines[#lines + 1] = title
      for _, one in ipairs(listed) do lines[#lines + 1] = hook_list.line(one, "  ") end
    end
  end
  local start, finish = hook_list.of_run(run, "run_start"), hook_list.of_run(run, "run_end")
  if #start > 0 and #nodes > 0 then add("on-run-start", start) end
  for _, item in ipairs(nodes) do
    local listed = hook_list.of_node(run, job.project.info[item.id], item.kind)
    add(head(item, listed), listed, item.id)
  end
  if #finish > 0 and #nodes > 0 then add("on-run-end", finish) end
  return lines
end

local actions = {}

function actions.ls(job)
  local nodes = plan.make(job.project, steps().selection(job, types), true)
  local lines = M.lines(job, job.given.of or "build", nodes, function(item, listed)
    if #listed > 0 then return item.id end
  end)
  if #lines > 0 then term.write(1, table.concat(lines, "\n") .. "\n") end
  return 0
end

-- run ---------------------------------------------------------------------------------------------------

local function one_node(job)
  local name = job.words[2]
  if not name or job.words[3] then
    err.raise { code = 101, message = "hooks run needs the name of one node: `dex-lua hooks run orders`" }
  end
  job.given.select = { name }
  local selected = steps().selection(job, { "seed", "model", "snapshot", "function" })
  if #selected ~= 1 then
    err.raise { code = 101, message = #selected == 0 and ("no node of that name: '%s'"):format(name)
      or ("'%s' is %d nodes"):format(name, #selected) }
  end
  return members.runnable(job.project, selected[1])
end

-- The hooks of a node that --phase and --name ask for.
local function wanted(job, run, node)
  local phase, name = job.given.phase, job.given.name
  local names, found = {}, {}
  for _, listed in ipairs(hook_list.of_node(run, run.project.info[node.unique_id], node.resource_type)) do
    local hook = listed.hook
    if opt(hook.name) then names[#names + 1] = hook.name end
    local in_phase = phase == listed.phase or not phase and listed.phase ~= "on_failure" and listed.phase ~= "always"
    if in_phase and (not name or opt(hook.name) == name) then found[#found + 1] = listed end
  end
  if #found == 0 then
    err.raise { code = 101, message = ("%s has no such hook"):format(node.name),
      hint = name and err.did_you_mean(name, names) or ("`dex-lua hooks ls --select %s` lists them"):format(node.name) }
  end
  return found
end

-- Runs the listed hooks of one phase. May wait.
local function run_phase(state, listed)
  local inside = listed[1].transaction == "node" or listed[1].transaction == "own"
  local hooks = require "run.hooks"
  if inside then state.conn:exec "begin" end
  local ok, e = pcall(function()
    for _, one in ipairs(listed) do
      local failed = hooks.run(state, one.hook, one.phase, { inside = inside, index = one.index })
      if failed then error(failed, 0) end
    end
  end)
  if inside then state.conn:exec(ok and "commit" or "rollback") end
  if not ok then error(e, 0) end
  hooks.run_after_commit(state)
end

local function run_hooks(job, node)
  local run = require("run").new(job)
  run.which = "run"
  run:keep_records()
  local listed = wanted(job, run, node)
  local state = require("run.node").new_state(run, node)
  run:emit("run_start", { total = 0, lines = {}, nodes = {} })
  state.conn = run.pool:lease()
  local ok, e = pcall(function()
    require("run").prepare_database(run, state.conn, plan.schemas { { node = node } }, false)
    state.context = require("run.context").node(state)
    if not run.cache:get(node.schema, opt(node.alias) or node.name) and node.resource_type ~= "function" then
      err.raise { code = 101, message = ("%s is not built: there is no relation %s"):format(node.name,
        tostring(state.context.this)), hint = ("dex-lua build --select %s"):format(node.name) }
    end
    if node.resource_type ~= "seed" then require("run.compile").node(state) end
    state.result = { status = "success" }
    local from = 1
    for i, one in ipairs(listed) do
      local following = listed[i + 1]
      if not following or following.phase ~= one.phase then
        run_phase(state, table.move(listed, from, i, 1, {}))
        from = i + 1
      end
    end
  end)
  state.conn:release()
  run:emit("run_end", { results = {} })
  return { records = run.records, failure = not ok and e or nil }
end

-- Runs fn(...) as a task that Ctrl-C ends. May wait.
local function as_task(job, fn, ...)
  local work = loop.spawn(fn, ...)
  require("dex.core").on_signal(function(name)
    job.cancelled = name
    work:cancel()
  end)
  local ok, outcome = pcall(work.wait, work)
  require("dex.core").on_signal(nil)
  if not ok then error(outcome, 0) end
  return outcome
end

function actions.run(job)
  local node = one_node(job)
  steps().connect(job)
  job.selected = { node.unique_id }
  local outcome = as_task(job, run_hooks, job, node)
  if outcome.records then outcome.records:finish() end
  if outcome.failure then
    if not err.is(outcome.failure) or outcome.failure.code < 200 then error(outcome.failure, 0) end
    job.report:failure(outcome.failure)
  end
  job.report:finish { seconds = require("dex.time").mono() - job.started, success = not outcome.failure }
  return outcome.failure and 1 or 0
end

-- check, rehearse -----------------------------------------------------------------------------------------

-- Builds what is selected in one transaction, which is rolled back. May wait.
local function rehearse(job, which, checking)
  if not checking then require("run.lock").project(job) end
  if checking then
    job.given.empty = true
    job.args.empty = true
  end
  local core_run = require "run"
  local run = core_run.new(job)
  run.which = which
  run.sample = require("run.sample").parse(job.given.sample, run.started_at)
  run.event_times = run.sample
  run.nodes = plan.make(run.project, job.selected, which == "build")
  local line = ("dex-lua %s: %d nodes of project %s, target %s, in one transaction that is rolled back"):format(
    job.command.name, #run.nodes, run.project.name, tostring(run.project.profile.target_name))
  run:emit("run_start", { total = #run.nodes, nodes = run.nodes, lines = { line } })
  local conn = run.pool:lease()
  local schemas = plan.schemas(run.nodes)
  local ok, rehearsed = pcall(require("run.hook_rehearsal").run, run, conn, { checking = checking,
    prepare = function() core_run.prepare_database(run, conn, schemas, true) end })
  conn:release()
  if not ok then error(rehearsed, 0) end
  rehearsed.run = run
  return rehearsed
end

local function place(hook)
  return ("%s%s"):format(require("report.errors").relative(hook.file), opt(hook.line) and (":" .. hook.line) or "")
end

local verdicts = { idempotent = "ok", fails = "FAILS", changes = "CHANGES", unchecked = "unchecked" }

local function report_check(job, rehearsed)
  local bad, say = 0, function(text) job.report:log("print", text) end
  local title = require("run.hook_rehearsal").title
  for _, checked in ipairs(rehearsed.checked) do
    if checked.verdict == "fails" or checked.verdict == "changes" then bad = bad + 1 end
    say(("%-10s %s  %s"):format(verdicts[checked.verdict], title(rehearsed.run, checked), place(checked.listed.hook)))
    if checked.message then say("    " .. checked.message:gsub("\n", "\n    ")) end
    if checked.changes then
      say "    the second time it changed:"
      for _, line in ipairs(checked.changes) do say("      " .. line) end
    end
  end
  say(("%d hooks, %d not idempotent; everything is rolled back"):format(#rehearsed.checked, bad))
  return bad
end

local function any_failed(run)
  for _, result in ipairs(run.results) do
    if result.status == "error" or result.status == "fail" or (result.status == "skipped" and not result.by_hook) then
      return true
    end
  end
  return false
end

function actions.check(job)
  job.selected = steps().selection(job, { "seed", "model", "snapshot", "function" })
  steps().connect(job)
  local rehearsed = as_task(job, rehearse, job, "run", true)
  local bad = report_check(job, rehearsed)
  local failed = any_failed(rehearsed.run)
  if failed then job.report:finish { seconds = require("dex.time").mono() - job.started, success = false } end
  return (bad > 0 or failed) and 1 or 0
end

--- `rehearse`: the selected build in one transaction, rolled back, and what it would change. May wait.
function M.rehearse(job)
  local which = job.words[1] or "build"
  local builds = steps().builds[which]
  if not builds or not require("command.plan").commands[which] or job.words[2] then
    err.raise { code = 101, message = "rehearse takes one of run, build, seed, snapshot",
      hint = err.did_you_mean(which, { "run", "build", "seed", "snapshot" }) }
  end
  job.selected = steps().selection(job, builds.types)
  steps().connect(job)
  local rehearsed = as_task(job, rehearse, job, which, false)
  local say = function(text) job.report:log("print", text) end
  if rehearsed.failure then job.report:failure(rehearsed.failure) end
  for _, entry in ipairs(rehearsed.left_out) do
    say(("left out, for no transaction can undo it: %s  %s"):format(require("run.hook_rehearsal").title(rehearsed.run,
      entry), place(entry.listed.hook)))
  end
  say(#rehearsed.changes > 0 and "It would change (rolled back now):" or "It would change nothing in the catalogue.")
  for _, line in ipairs(rehearsed.changes) do say("  " .. line) end
  local failed = rehearsed.failure ~= nil or any_failed(rehearsed.run)
  job.report:finish { seconds = require("dex.time").mono() - job.started, success = not failed }
  return failed and 1 or 0
end

--- `hooks ls`, `hooks run NODE`, `hooks check`. May wait.
function M.dispatch(job)
  local name = job.words[1] or "ls"
  local action = actions[name]
  if not action or name ~= "run" and job.words[2] then
    err.raise { code = 101, message = ("hooks has no action '%s': it is ls, run NODE or check"):format(table.concat(
      table.move(job.words, 1, #job.words, 1, {}), " ")) }
  end
  return action(job)
end

return M
