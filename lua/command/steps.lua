--- The steps that commands share: load, select, connect, execute, write, finish (lua/pipeline.lua).

local core = require "dex.core"
local err = require "err"
local fs = require "dex.fs"
local value = require "jinja.value"

local M = {}

--- What a command builds: the resource types that it runs, and whether it runs hooks.
M.builds = {
  run = { types = { "model", "operation" } },
  build = { types = { "seed", "model", "snapshot", "function", "test", "unit_test", "exposure", "saved_query",
    "operation" } },
  test = { types = { "test", "unit_test" } },
  seed = { types = { "seed" } },
  snapshot = { types = { "snapshot" } },
  clone = { types = { "seed", "model", "snapshot" } },
  graph = { types = { "source", "seed", "model", "snapshot", "exposure" }, more_types = { "test", "unit_test" } },
  docs = { types = { "model", "seed", "snapshot", "test" } },
  compile = { types = { "model", "seed", "snapshot", "function", "test", "analysis" } },
  ls = { types = { "model", "snapshot", "seed", "test", "source", "exposure", "metric", "saved_query",
    "semantic_model", "unit_test", "function", "operation" }, more_types = { "analysis" } },
}

local function arguments(job)
  local args = value.dict("which", job.command.name, "invocation_command", "dex-lua " .. job.command.name)
  local names = {}
  for name in pairs(job.given) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local v = job.given[name]
    args[name] = type(v) == "table" and value.list(table.move(v, 1, #v, 1, {})) or v
  end
  if #job.words > 0 then args.words = value.list(table.move(job.words, 1, #job.words, 1, {})) end
  return args
end

--- project files -> job.project, job.target_path. Reads files only.
function M.load(job)
  local given = job.given
  job.args = arguments(job)
  local vars = given.vars and require("command.meta").yaml_argument("--vars", given.vars) or value.dict()
  job.project = require("project").load {
    project_dir = given.project_dir or ".",
    profiles_dir = given.profiles_dir,
    profile = given.profile,
    target = given.target,
    threads = given.threads,
    vars = vars,
    command = job.command.name,
    version_check = given.version_check,
    flags = { full_refresh = given.full_refresh, fail_fast = given.fail_fast, store_failures = given.store_failures },
    target_path = given.target_path,
    invocation_id = job.invocation_id,
    args = job.args,
    keep = given.partial_parse ~= false,
    processes = not job.in_background and (given.parse_processes or given.single_threaded and 1 or "some") or 1,
    install = not given.no_deps and function(package)
      require("deps").install(package, require("command.deps").options(job))
    end or nil,
  }
  for _, warning in ipairs(job.project.warnings) do job.report:warning(warning) end
  -- who reads events expects the one of the version first
  if job.project.divided and given.log_format ~= "json" then job.report:log("debug", job.project.divided) end
  if job.project.not_kept then job.report:log("debug", "the parse is not kept: " .. job.project.not_kept) end
  job.target_path = job.project.target_path
  if given.write_json ~= false then require("help.names").write(job.project) end
end

--- What the command line selects among nodes of these kinds.
---@param job table
---@param types string[] what the command works on
---@param more_types? string[] what it works on when --resource-type asks for it
---@return string[] unique_ids in graph order
function M.selection(job, types, more_types)
  local given = job.given
  local state = given.state and require("project.state").load(job.project, given.state)
  local selected, warnings, default = require("project.select").select(job.project, {
    select = given.select, exclude = given.exclude, selector = given.selector, types = types, more_types = more_types,
    resource_types = given.resource_type, exclude_resource_types = given.exclude_resource_type,
    indirect_selection = given.indirect_selection, state = state,
  })
  if default then job.report:log("info", ("using the default selector '%s'"):format(default)) end
  for _, warning in ipairs(warnings) do job.report:warning(warning) end
  if given.defer then
    local earlier = given.defer_state and require("project.state").load(job.project, given.defer_state) or state
    if not earlier then
      err.raise { code = 101, message = "--defer needs the artifacts of an earlier run",
        hint = "name their folder with --state or --defer-state" }
    end
    require("run.deferral").prepare(job.project, earlier, { favor_state = given.favor_state, selected = selected })
  end
  return selected
end

--- project -> job.selected, a list of unique_ids in graph order.
function M.select(job)
  local wanted = M.builds[job.command.name]
  job.selected = M.selection(job, wanted.types, wanted.more_types)
  if job.only then -- what `retry` has left to do
    local left = {}
    for _, id in ipairs(job.selected) do
      if job.only[id] then left[#left + 1] = id end
    end
    job.selected = left
  end
end

local MOST_NOTICES = 50

--- Keeps what the server has said lately, for the debugger.
function M.note_notice(job, text)
  local list = job.notices or {}
  job.notices = list
  if #list == MOST_NOTICES then table.remove(list, 1) end
  list[#list + 1] = text
end

--- profile -> job.pool. Starts the private server when the project has no other; does not connect yet.
function M.connect(job)
  local profile = job.project.profile
  local params = profile.params
  if not params then
    local private = require("dex.db").private { dir = job.project.root }
    params = private:ensure()
    job.private = true
    job.closers[#job.closers + 1] = function() private:release() end
  end
  local pool = require("dex.db").pool(params, {
    size = job.connections or profile.threads,
    retries = profile.retries,
    on_notice = function(severity, message)
      job.report:log("debug", severity .. ": " .. message)
      M.note_notice(job, severity .. ": " .. message)
    end,
  })
  job.pool, job.connection = pool, params
  job.closers[#job.closers + 1] = function() pool:close() end
end

--- profile -> job.pool, which takes all this upon itself when a connection is wanted: what asks the database nothing
--- needs no database.
function M.connect_late(job)
  job.pool = { lease = function()
    M.connect(job)
    return job.pool:lease()
  end }
end

--- Calls fn() while what the user sees keeps the time: pcall's values. May wait.
---@param job table
---@param fn function
function M.while_shown(job, fn, ...)
  local loop, ticking = require "dex.loop", true
  if job.report.live then
    loop.spawn(function()
      while ticking do
        loop.sleep(0.1)
        if ticking then job.report:tick() end
      end
    end)
  end
  local ok, result = pcall(fn, ...)
  ticking = false
  return ok, result
end

--- selected -> job.outcome: runs the nodes and all hooks. May wait.
function M.execute(job)
  local loop = require "dex.loop"
  require("state.recorder").begin(job)
  local work = loop.spawn(require("run").execute, job)
  function job.cancel(name)
    job.cancelled = name
    if job.debugger then job.debugger:cancel() end
    if job.nodes_run then require("dex.run").cancel(name) else work:cancel() end
  end
  local before, patient
  if not job.in_background then -- beside a prompt, which hears the signals itself
    before, patient = core.on_signal(function(name)
      job.report:log("warn", "cancelling: queries are stopped and rolled back" ..
        (job.at_prompt and "" or "; a second " .. name .. " ends at once"))
      job.cancel(name)
    end, job.at_prompt)
  end
  local ok, outcome = M.while_shown(job, work.wait, work)
  if not job.in_background then core.on_signal(before, patient) end
  if not ok then error(outcome, 0) end
  job.outcome = outcome
end

--- outcome -> the files under target/.
function M.write(job)
  if job.given.write_json == false then return end
  M.write_manifest(job)
  local artifacts = require "report.artifacts"
  artifacts.run_results(job, job.outcome.results)
  job.outcome.records:finish()
  require("run.ledger").conclude(job)
end

--- project -> target/manifest.json and what goes with it: semantic_manifest.json, and graph_summary.json for a command
--- that has selected nodes.
function M.write_manifest(job)
  if job.given.write_json == false then return end
  fs.mkdirs(job.target_path)
  require("project.manifest").write(job.project, job.target_path .. "/manifest.json")
  local artifacts = require "report.artifacts"
  artifacts.semantic_manifest(job)
  if job.selected then artifacts.graph_summary(job) end
end

local bad = { error = true, fail = true, skipped = true, cancelled = true, ["partial success"] = true }

--- The exit status of a command that a signal has cancelled.
function M.cancelled_status(job) return job.cancelled == "SIGTERM" and 143 or 130 end

--- outcome -> the summary and the exit status.
function M.finish(job)
  local success = not job.cancelled and not job.undelivered
  for _, result in ipairs(job.outcome.results) do
    if bad[result.status] then success = false end
  end
  job.report:finish { seconds = require("dex.time").mono() - job.started, cancelled = job.cancelled, success = success }
  if job.cancelled then return M.cancelled_status(job) end
  return success and 0 or 1
end

return M
