--- `dex-lua flow run NAME` and `dex-lua flow rerun ID`.

local artifacts = require "report.artifacts"
local call_arguments = require "command.call_arguments"
local core = require "dex.core"
local crash = require "flow.crash"
local definition = require "flow.definition"
local engine_job = require "flow.engine_job"
local env = require "dex.env"
local err = require "err"
local flow_run = require "flow.run"
local json = require "dex.json"
local limits = require "flow.limits"
local lock = require "run.lock"
local parameters = require "project.parameters"
local record = require "flow.record"
local rerun = require "flow.rerun"
local state = require "state"
local steps = require "command.steps"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- What is the same for both -------------------------------------------------------------------------------

local function load_flows(job)
  local flows = definition.load(job.project)
  for _, warning in ipairs(flows.warnings or {}) do job.report:warning(warning) end
  return flows
end

local function bind(flow, args)
  return parameters.bind(flow.parameters, args, { what = ("flow '%s'"):format(flow.name) })
end

local function open_store(job)
  local store = state.open(job.project.root, { durable = false })
  job.closers[#job.closers + 1] = function() store:close() end
  return store
end

-- What the server that has started us says of the run: its row is there already.
local function adopted(job, store, flow)
  local row = job.asked and store:run(job.asked.id)
  if row and row.status == "queued" and row.kind == "flow" and row.name == flow.name then return row end
end

local function check_active(store, flow)
  local running = {}
  for _, row in ipairs(store:runs { kind = "flow", name = flow.name, status = "running", limit = 1000 }) do
    if not row.parent_id then running[#running + 1] = row.id end
  end
  if #running < flow.max_active_runs then return end
  err.raise { code = 638, message = ("flow '%s' is running already: %s"):format(flow.name, running[1]),
    file = flow.file, line = flow.line, hint = flow.max_active_runs == 1
      and "wait for its end, end it with `dex-lua flow cancel`, or set `max_active_runs`"
      or ("`max_active_runs` is %d"):format(flow.max_active_runs) }
end

-- Connections for what can run at once: of each transformation as many as threads, of others one each.
local MOST_CONNECTIONS = 64

local function connections_for(job, flows, flow, seen)
  seen = seen or {}
  if seen[flow] then return 0 end
  seen[flow] = true
  local threads, count = job.project.profile.threads, 1
  for _, node in ipairs(flow.nodes) do
    local many = node.for_each and 4 or 1
    if node.kind == "transformation" then
      count = count + many * math.max(math.type(node.threads) == "integer" and node.threads or 0, threads)
    elseif node.kind == "flow" then
      count = count + connections_for(job, flows, flows[node.flow], seen)
    elseif node.kind ~= "script" then
      count = count + many
    end
  end
  return math.min(count, MOST_CONNECTIONS)
end

-- Whether any node works in the database.
local function uses_database(flows, flow, seen)
  seen = seen or {}
  if seen[flow] then return false end
  seen[flow] = true
  for _, node in ipairs(flow.nodes) do
    if node.kind == "transformation" or node.kind == "operation" then return true end
    if node.kind == "flow" and uses_database(flows, flows[node.flow], seen) then return true end
  end
  return false
end

-- A signal ends the run in order; a second one ends the process.
local function with_signals(job, run, fn)
  local before, patient = core.on_signal(function(name)
    job.cancelled = name
    job.report:log("warn", ("cancelling: what runs is ended and rolled back; a second %s ends at once"):format(name))
    run:cancel(name)
  end)
  local ok, result = pcall(fn)
  core.on_signal(before, patient)
  if not ok then error(result, 0) end
  return result
end

local function write(job, run)
  if job.given.write_json == false then return end
  steps.write_manifest(job)
  local results = table.move(run.node_results, 1, #run.node_results, 1, {})
  table.move(run.results, 1, #run.results, #results + 1, results)
  artifacts.run_results(job, results)
  job.records:finish()
end

local function status_of(job, run)
  local success = run.status == "success"
  if not success and run.message and run.status ~= "cancelled" then
    job.report:log("error", ("flow %s: %s: %s"):format(run.flow.name, (run.status:gsub("_", " ")),
      run.mask(run.message)))
  end
  job.report:finish { seconds = time.mono() - job.started, cancelled = run.status == "cancelled" and "cancelled" or nil,
    success = success }
  if run.status == "cancelled" then return steps.cancelled_status(job) end
  return success and 0 or 1
end

-- Everything behind the arguments. `prepare(run)` may say what of an earlier run is done.
local function execute(job, opts, prepare)
  local store, flow = opts.store, opts.flow
  local row = adopted(job, store, flow)
  local guard = not row and function() check_active(store, flow) end or nil
  if guard then guard() end -- before anything is asked of the database; and again when it begins
  job.connections = connections_for(job, opts.flows, flow)
  steps.connect(job)
  lock.project(job)
  job.knows_transactions = uses_database(opts.flows, flow) and engine_job.knows_transactions(job.pool)
  job.own_vars = job.given.vars and require("command.meta").yaml_argument("--vars", job.given.vars) or value.dict()
  local run
  local recorder = record.new(store, function(e)
    run.defect = run.defect or e
    run:cancel "defect"
  end)
  run = flow_run.new { id = row and row.id or job.invocation_id, job = job, flow = flow, flows = opts.flows,
    store = store, recorder = recorder, limits = limits.new(opts.flows.pools, store), values = opts.values,
    adopted = row ~= nil, guard = guard, trigger = row and row.trigger or opts.trigger,
    by = row and row.by or env.get "USER",
    scheduled_for = row and row.scheduled_for or opts.scheduled_for, rerun_of = opts.rerun_of }
  job.invocation_id = run.id
  if prepare then prepare(run) end
  local ok, e = pcall(with_signals, job, run, function()
    local done, result = steps.while_shown(job, run.execute, run)
    if not done then error(result, 0) end
    return result
  end)
  pcall(recorder.close, recorder)
  if not ok then error(e, 0) end
  write(job, run)
  return status_of(job, run)
end

-- --dry-run -----------------------------------------------------------------------------------------------

local function words_of(list) return list and table.concat(list, " ") or "" end

-- What a node would do, as far as that can be said before it runs.
local function describe(job, node)
  if node.kind == "transformation" then
    local text = ("%s %s%s%s"):format(node.command, words_of(node.select), node.exclude and " --exclude " ..
      words_of(node.exclude) or "", node.selector and "--selector " .. node.selector or "")
    if (text .. words_of(node.select)):find("{[{%%]") then return text end
    local found = require("project.select").select(job.project, { select = node.select, exclude = node.exclude,
      selector = node.selector, types = steps.builds[node.command].types })
    return ("%s: %d node%s"):format((text:gsub("%s+$", "")), #found, #found == 1 and "" or "s")
  elseif node.kind == "script" then
    return node.shell_text or words_of(node.argv)
  elseif node.kind == "wait" then
    return ("until %s: %s"):format(node.wait.kind, node.wait.value)
  end
  local what = node.operation or node.flow
  return node.args and #node.args > 0 and what .. " " .. json.encode(node.args) or what
end

local function preview(job, flow, values, done)
  local function out(text) job.report:log("print", text) end
  out(("flow %s, target %s"):format(flow.name, tostring(job.project.profile.target_name)))
  for name, v in pairs(parameters.shown(flow.parameters, values)) do
    out(("  %s = %s"):format(name, type(v) == "string" and v or json.encode(v)))
  end
  for _, node in ipairs(flow.nodes) do
    local words = { ("%-20s %-15s %s"):format(node.name, node.kind, (describe(job, node):gsub("%s+", " "))) }
    if #node.needs > 0 then words[#words + 1] = "after " .. table.concat(node.needs, ", ") end
    if node.when ~= "success" then
      words[#words + 1] = "when " .. (type(node.when) == "table" and node.when.expression or node.when)
    end
    if node.for_each then words[#words + 1] = "for each item" end
    if done and done[node.name] then words[#words + 1] = "done: " .. done[node.name] end
    out(table.concat(words, "; "))
  end
  return 0
end

-- The actions ---------------------------------------------------------------------------------------------

--- `flow run NAME`. May wait.
---@param job table
---@return integer status
function M.run(job)
  local name = job.words[2]
  if not name then err.raise { code = 101, message = "which flow? `dex-lua flow ls` lists them" } end
  if job.words[3] then
    err.raise { code = 101, message = "arguments are given with --args or -a, not '" .. job.words[3] .. "'" }
  end
  local flows = load_flows(job)
  local flow = definition.find(job.project, name)
  local args = call_arguments.read(job.given, flow.parameters)
  call_arguments.hide(job, flow.parameters, args)
  local values = bind(flow, args)
  if job.given.dry_run then return preview(job, flow, values) end
  local store = open_store(job)
  crash.settle_all(store, flows)
  return execute(job, { flow = flow, flows = flows, store = store, values = values })
end

-- The arguments of the earlier run, those of this command line before them.
local function earlier_arguments(job, flow, row)
  local args = value.is_dict(row.parameters) and value.copy_dict(row.parameters) or value.dict()
  local known = {}
  for _, parameter in ipairs(flow.parameters) do known[parameter.name] = true end
  for key in pairs(value.copy_dict(args)) do
    if not known[key] then value.del(args, key) end -- the flow has changed since
  end
  for key, v in pairs(call_arguments.read(job.given, flow.parameters)) do args[key] = v end
  call_arguments.hide(job, flow.parameters, args)
  call_arguments.forget_hidden(flow.parameters, args, ("flow '%s'"):format(flow.name), function(name)
    return ("give it again: `dex-lua flow rerun %s -a %s=...`, or with `--args -` on standard input"):format(
      row.id, name)
  end)
  return args
end

local function rerun_options(job)
  local from, select = job.given.from, job.given.select
  return { from = from, select = select and table.move(select, 1, #select, 1, {}) or nil }
end

--- `flow rerun ID`. May wait.
---@param job table
---@return integer status
function M.rerun(job)
  local id = job.words[2]
  if not id then err.raise { code = 101, message = "which run? `dex-lua flow history` lists them" } end
  local flows, store = load_flows(job), open_store(job)
  crash.settle_all(store, flows)
  local row = store:find_run(id)
  if row.kind ~= "flow" then
    err.raise { code = 636, message = ("run %s is one of a command, not of a flow"):format(row.id),
      hint = "`dex-lua retry` takes up commands" }
  end
  if not state.status.is_final("runs", row.status) then
    err.raise { code = 638, message = ("run %s is %s"):format(row.id, row.status),
      hint = "end it with `dex-lua flow cancel`, or wait for its end" }
  end
  local flow = definition.find(job.project, row.name)
  local values = bind(flow, earlier_arguments(job, flow, row))
  local options = rerun_options(job)
  if job.given.dry_run then
    local run = { tasks = require("flow.tasks").of(flow), flow = flow, store = store }
    rerun.prepare(run, row, options)
    local done = {}
    for _, task in ipairs(run.tasks) do done[task.name] = task.carried and task.status or nil end
    return preview(job, flow, values, done)
  end
  return execute(job, { flow = flow, flows = flows, store = store, values = values, trigger = "rerun",
    rerun_of = row.id, scheduled_for = opt(row.scheduled_for) }, function(run) rerun.prepare(run, row, options) end)
end

return M
