--- `dex-lua retry`: the command before, once more, for what it did not finish. What it was, and how its nodes
-- ended, is read from run_results.json, as with dbt (dbt-core task/retry.py).

local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local options = require "help.options"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Commands that can be taken up again.
local commands = { run = true, build = true, test = true, seed = true, snapshot = true, compile = true,
  operation = true, ["run-operation"] = true }

local unfinished = { error = true, fail = true, skipped = true, ["runtime error"] = true, ["partial success"] = true }

local function folder(job)
  local given = job.given
  if given.state then return given.state end
  local root = require("project.root").load(given.project_dir, given)
  local path = root.target_path
  return path:sub(1, 1) == "/" and path or (root.dir .. "/" .. path)
end

local function read(path)
  if not fs.exists(path) then
    err.raise { code = 311, message = "there is no earlier run to take up: run_results.json is missing", file = path,
      hint = "name the folder of its artifacts with --state or --target-path" }
  end
  local ok, content = pcall(json.decode, fs.read(path))
  if not ok or not value.is_dict(content) or not value.is_list(content.results) or not value.is_dict(content.args) then
    err.raise { code = 311, message = "this is no run_results.json of dex-lua's or dbt's" ..
      (ok and "" or (": " .. tostring(content.message))), file = path, line = not ok and content.line or nil }
  end
  return content
end

-- Options of the earlier command line that its command knows; those of this one are stronger.
local function options_of(command, earlier, now)
  local given = {}
  for _, option in ipairs(options.of(command)) do
    local key = option.name:gsub("-", "_")
    local v = opt(earlier[key])
    if value.is_list(v) then v = table.move(v, 1, #v, 1, {}) end
    if value.is_dict(v) then v = json.encode(v) end -- dbt's vars are a mapping here; JSON is YAML
    given[key] = now[key]
    if given[key] == nil then given[key] = v end
  end
  return given
end

-- "run_start" or "run_end" for a hook of the run.
local function run_phase(id)
  local which = id:match("^operation%.[^.]+%.[^.]+%-on%-run%-(%a+)%-%d+$")
  return which == "start" and "run_start" or which == "end" and "run_end" or nil
end

-- The unique_ids that did not come to a good end, those of nodes and those of the run's hooks, with their numbers.
local function unfinished_of(content)
  local ids, count, hooks, hook_count = {}, 0, { run_start = {}, run_end = {} }, 0
  for _, result in ipairs(content.results) do
    local id = result.unique_id
    local phase = unfinished[result.status] and run_phase(id)
    if phase then
      hooks[phase][id] = true
      hook_count = hook_count + 1
    elseif unfinished[result.status] then
      ids[id] = true
      count = count + 1
    end
  end
  return ids, count, hooks, hook_count
end

-- Which hooks of the run have their turn, by phase; nil for all. Around nodes that run again all do, as with dbt, but
-- for a start that failed: it goes on where it stopped. Without any node only what is left of the end is done, for
-- the results that are there.
local function run_hooks_of(content, failed, any_node)
  local start = next(failed.run_start) and failed.run_start or nil
  if any_node then return { run_start = start } end
  local results = {}
  for _, result in ipairs(content.results) do
    if not failed.run_end[result.unique_id] then results[#results + 1] = result end
  end
  return { run_start = start or {}, run_end = failed.run_end }, results
end

-- Of models that were built in part: which batches were, and which were not.
local function batches_of(content)
  local found = {}
  for _, result in ipairs(content.results) do
    local batches = opt(result.batch_results)
    if value.is_dict(batches) and result.status == "partial success" then found[result.unique_id] = batches end
  end
  return found
end

-- Nodes that are built and committed, of which only a hook after the commit failed: its place in its list.
local function hooks_of(folder_path, ids)
  local path, found = folder_path .. "/hook_results.json", {}
  local ok, content = pcall(function() return json.decode(fs.read(path)) end)
  if not ok or not value.is_dict(content) or not value.is_list(content.results) then return found end
  for _, record in ipairs(content.results) do
    local node, index = opt(record.node), opt(record.index)
    if node and ids[node] and index and record.phase == "post_outside" and record.status == "error" then
      found[node] = index
    end
  end
  return found
end

-- The command that is taken up: its name and its options. `args` are those of an artifact or of the ledger.
local function command_of(args, path)
  local name = opt(args.which)
  local command = type(name) == "string" and commands[name] and options.command(name)
  if command then return name, command end
  err.raise { code = 311, message = ("'%s' is no command that can be taken up again"):format(tostring(name)),
    file = path }
end

-- It takes the job's place.
local function become(job, args, path)
  local name, command = command_of(args, path)
  job.command, job.given = command, options_of(command, args, job.given)
  job.words = opt(args.words) or value.list()
  return name
end

-- The ledger's word alone: of the run that left no results, or of the one that was asked for, or the last one.
local function from_ledger(job, args, id)
  if not args then
    local steps = require "command.steps"
    steps.load(job)
    steps.connect(job)
    local found = require("run.ledger_retry").command_of(job, id)
    args, id = found.args, found.id
  end
  local name = become(job, args)
  job.earlier, job.take_up = { batches = {} }, { run_id = id }
  job.report:log("info", ("retrying what `dex-lua %s` did not complete, by the ledger (run %s)"):format(name, id))
end

-- The run that began last with a ledger, from its file beside the artifacts.
local function begun(from)
  local path = from .. "/" .. require("run.ledger").MARKER
  local ok, marker = pcall(function() return fs.exists(path) and json.decode(fs.read(path)) end)
  return ok and value.is_dict(marker) and value.is_dict(marker.args) and opt(marker.invocation_id) and marker or nil
end

-- By run_results.json, and the ledger when the run had one. Gives a status when there is nothing to do.
local function from_results(job, from, content, path, has_ledger)
  local ids, count, hooks, hook_count = unfinished_of(content)
  local name = command_of(content.args, path)
  if count + hook_count == 0 and not has_ledger then
    job.report:log("info", ("Nothing to do: all of the %d results of `dex-lua %s` ended well"):format(#content.results,
      name))
    return 0
  end
  become(job, content.args, path)
  local metadata = opt(content.metadata)
  job.earlier = { batches = batches_of(content), hooks = hooks_of(from, ids),
    started_at = metadata and metadata.invocation_started_at }
  job.earlier.run_hooks, job.earlier.results = run_hooks_of(content, hooks, count > 0)
  if has_ledger then job.take_up = { run_id = metadata.invocation_id, only = ids } else job.only = ids end
  if count + hook_count > 0 then
    job.report:log("info", ("retrying %d of `dex-lua %s`"):format(count + hook_count, name))
  end
end

-- A flow's run is taken up by its history.
local function become_rerun(job, content)
  local metadata = opt(content.metadata)
  job.command = options.command "flow"
  job.given.from = "failure"
  job.words = value.list { "rerun", metadata and opt(metadata.invocation_id) }
  return require("pipeline").run_steps(job)
end

--- Takes the command's place in the job, and runs its steps. May wait.
---@return integer status
function M.run(job)
  local from = folder(job)
  local path = from .. "/run_results.json"
  local id, marker = job.words[1], begun(from)
  local content = not id and fs.exists(path) and read(path) or nil
  if content and opt(content.args.which) == "flow" then return become_rerun(job, content) end
  local metadata = content and opt(content.metadata)
  local has_ledger = marker and metadata and metadata.invocation_id == marker.invocation_id
  if content and (has_ledger or not marker or marker.ended == true) then -- of that run, or of a later command
    local status = from_results(job, from, content, path, has_ledger)
    if status then return status end
  elseif id then
    from_ledger(job, nil, id)
  elseif marker then
    from_ledger(job, marker.args, marker.invocation_id)
  else
    if not require("run.ledger").is_on(job.given) then read(path) end -- raises
    from_ledger(job)
  end
  return require("pipeline").run_steps(job)
end

return M
