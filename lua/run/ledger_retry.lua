--- What the ledger leaves for a retry: nodes without a commit are run, those with one go on behind it, and what hooks
-- wanted to do outside is delivered.

local err = require "err"
local hooks = require "run.hooks"
local json = require "dex.json"
local lock = require "run.lock"
local outbox = require "run.outbox"

local M = {}

-- The last run of the project on its target, or the one that was asked for. Which may have ended before it wrote
-- anything.
local function find_run(ledger, conn, id)
  local project = ledger.run.project
  local sql = "select run_id, root_id, command, args, started_at, ended_at is not null from %(runs) where "
  local result
  if id then
    result = conn:exec(ledger:fill(sql .. "run_id = $1"), id)
  else
    result = conn:exec(ledger:fill(sql .. "project = $1 and target = $2 and run_id <> $3 order by started_at desc " ..
      "limit 1"), project.name, tostring(project.profile.target_name), ledger.id)
  end
  if #result == 0 then return nil end
  return { id = result:text(1, 1), root = result:text(1, 2), command = result:text(1, 3),
    args = json.decode(result:text(1, 4)), started_at = result:text(1, 5), ended = result:text(1, 6) == "t" }
end

--- The command and the options of a run of the ledger: of the last one without `id`. Raises code 311. May wait.
---@param job table whose project is loaded and connected
---@param id string|nil
---@return {id: string, args: table}
function M.command_of(job, id)
  local module = require "run.ledger"
  local settings = module.settings(job.project)
  local found
  if settings then
    local ledger = module.reader(job, settings)
    local conn = job.pool:lease()
    local ok, e = pcall(function()
      if ledger:is_there(conn) then found = find_run(ledger, conn, id) end
    end)
    conn:release()
    if not ok then error(e, 0) end
  end
  if found then return found end
  err.raise { code = 311, message = id and ("the ledger has no run '%s'"):format(id)
    or "there is no earlier run to take up: neither run_results.json nor the ledger has one",
    hint = not settings and "the project has no `ledger: true`" or nil }
end

--- Makes a ledger go on with an earlier run, when its process and its transactions have ended. Raises code 426. May
--- wait.
---@param ledger dex.Ledger
---@param conn userdata
---@param wanted {run_id: string, only: table<string, boolean>|nil}
function M.find(ledger, conn, wanted)
  local found = find_run(ledger, conn, wanted.run_id)
  ledger.root = found and found.root or wanted.run_id
  lock.session(ledger.run.job):claim(ledger:alive_key(), ledger.root)
  local key = ledger:commits_key()
  conn:exec(("select pg_advisory_lock(%d); select pg_advisory_unlock(%d)"):format(key, key))
  local last = conn:exec(ledger:fill("select end_id from %(runs) where root_id = $1 order by started_at desc limit 1"),
    ledger.root)
  M.read(ledger, conn, #last > 0 and last:text(1, 1) or ledger.root)
  M.decide(ledger, wanted)
end

--- Reads what is done: ledger.done by node, ledger.left by node what is to be delivered. May wait.
---@param ending string the run whose on-run-end may be half done
function M.read(ledger, conn, ending)
  local done, ended = {}, {}
  local result = conn:exec(ledger:fill("select scope_id, node, hook, array_to_string(pending, E'\\n') " ..
    "from %(entries) where scope_id in ($1, $2)"), ledger.root, ending)
  for i = 1, #result do
    local node, hook = result:text(i, 2), result:text(i, 3)
    local into = hook ~= "run_end" and done or result:text(i, 1) == ending and ended or {}
    into[node] = into[node] or {}
    into[node][hook] = true
    if hook == "commit" then into[node].pending = result:text(i, 4) or "" end
  end
  local left = {}
  result = conn:exec(ledger:fill("select distinct node from %(outbox) where root_id = $1 and delivered_at is null"),
    ledger.root)
  for i = 1, #result do left[result:text(i, 1)] = true end
  ledger.done, ledger.ended, ledger.left, ledger.ended_scope = done, ended, left, ending
end

-- nil: the node is to run; true: it is complete; false: it goes on behind its commit.
local function is_complete(ledger, id)
  local done = ledger.done[id]
  if not (done and done.commit) then return nil end
  for key in done.pending:gmatch "[^\n]+" do
    if not done[key] then return false end
  end
  return not ledger.left[id]
end

-- The hooks of the run that are not done: ids, and whether there are any.
local function hooks_left(run, list, done)
  local ids = {}
  for _, hook in ipairs(list or {}) do
    if hooks.is_wanted(run, hook) and not done[hook.id] then ids[hook.id] = true end
  end
  return ids
end

--- Narrows what is selected to what is left, and says which hooks of the run have their turn.
function M.decide(ledger, wanted)
  local run = ledger.run
  local earlier = run.job.earlier
  local selected, resumed = {}, {}
  earlier.hooks = {}
  for _, id in ipairs(run.selected) do
    local complete = is_complete(ledger, id)
    local is_wanted = not wanted.only or wanted.only[id]
    if complete == nil and is_wanted or complete == false or complete and wanted.only and is_wanted then
      selected[#selected + 1] = id
      if complete ~= nil then resumed[id], earlier.hooks[id] = ledger.done[id], 1 end
    end
  end
  run.selected, earlier.done = selected, resumed
  local list = run.project.run_hooks
  local only = { run_start = hooks_left(run, list.start, ledger.done) }
  if #selected == 0 then
    only.run_end = hooks_left(run, list.finish, ledger.ended)
    ledger.ending = ledger.ended_scope
  else
    earlier.results = nil
  end
  earlier.run_hooks = only
  if #selected == 0 and not next(only.run_start) and not next(only.run_end) and not next(ledger.left) then
    run.job.report:log("info", "Nothing to do: all of that run is done")
    earlier.run_hooks.run_end = nil
  end
end

--- Delivers what belongs to no node that goes on. What cannot be delivered is told, and stays. May wait.
function M.take_up(ledger, conn)
  local run = ledger.run
  for node in pairs(ledger.left) do
    if not (run.job.earlier.done or {})[node] then
      local ok, e = pcall(outbox.deliver, run, conn, node)
      if not ok then
        if err.is(e) and e.cancelled then error(e, 0) end
        run.job.report:failure(err.wrap(e))
        run.job.undelivered = true
      end
    end
  end
end

return M
