--- How long the history keeps things: `dex: {history: {...}}` of dbt_project.yml.

local err = require "err"
local lines = require "project.lines"
local value = require "jinja.value"
local values = require "state.values"

local M = {}

local opt = value.opt

--- What is kept unless the project says otherwise: runs with their tasks and hooks, for days and at most so many; lines
--- of their logs; what was done through the server's page.
M.defaults = { keep_days = 90, keep_runs = 100000, keep_log_days = 14, keep_audit_days = 365 }

local names = { "keep_days", "keep_runs", "keep_log_days", "keep_audit_days" }

local DAY = 86400000000
local EVENT_DAYS = 1 -- who comes back later reads the runs again
local OFTEN = 3600000000
local PIECE = 500    -- runs that one command removes

local function wrong(project, container, key, text, hint)
  local root = project.packages[1]
  err.raise { code = 657, message = text, file = root.file, line = lines.of(root.lines, container, key), hint = hint }
end

--- The settings of a project. Raises 657 for wrong ones.
---@param project table
---@return {keep_days: integer, keep_runs: integer, keep_log_days: integer, keep_audit_days: integer}
function M.settings(project)
  local settings, given = {}, opt(project.config.dex)
  given = value.is_dict(given) and opt(given.history)
  for _, name in ipairs(names) do settings[name] = M.defaults[name] end
  if given == nil or given == false then return settings end
  if not value.is_dict(given) then
    wrong(project, project.config.dex, "history", "`dex: history:` is no mapping", "history: {keep_days: 90}")
  end
  for key, v in pairs(given) do
    if M.defaults[key] == nil then
      wrong(project, given, key, ("`dex: history:` has no setting '%s'"):format(tostring(key)),
        err.did_you_mean(tostring(key), names) or "there are " .. table.concat(names, ", "))
    end
    if math.type(v) ~= "integer" or v < 1 then
      wrong(project, given, key, ("`%s` is no whole number above 0"):format(key))
    end
    settings[key] = v
  end
  return settings
end

-- The runs that are too old, or too many, the oldest first; never one that has not ended.
local function old_runs(db, settings, now, limit)
  local seqs = {}
  for row in db:each([[select seq from runs
      where (created_at < ?1 or seq <= (select seq from runs order by seq desc limit 1 offset ?2))
        and status not in ('queued', 'running')
      order by seq limit ?3]], now - settings.keep_days * DAY, settings.keep_runs, limit) do
    seqs[#seqs + 1] = row.seq
  end
  return seqs
end

--- Removes what is older than the settings say.
---@param store dex.Store
---@param settings table of M.settings
---@param limit? integer the most runs that are removed; nil for all
---@return integer runs
function M.apply(store, settings, limit)
  local db, now = store.db, values.now()
  return store:batch(function()
    local seqs = old_runs(db, settings, now, limit or -1)
    for _, seq in ipairs(seqs) do
      for _, name in ipairs { "tasks", "attempts", "hooks", "logs" } do
        db:exec(("delete from %s where run = ?1"):format(name), seq)
      end
      db:exec("delete from runs where seq = ?1", seq)
    end
    -- rows of events and logs are in the order of their times; the last event stays, as numbers must go on
    db:exec([[delete from events where at < ?1 and id < (select max(id) from events)]], now - EVENT_DAYS * DAY)
    db:exec([[delete from logs where id in (select logs.id from logs join runs on runs.seq = logs.run
      where logs.at < ?1 and runs.status not in ('queued', 'running'))]], now - settings.keep_log_days * DAY)
    db:exec("delete from spent where day < ?1", (now - settings.keep_days * DAY) // DAY)
    db:exec("delete from audit where at < ?1", now - settings.keep_audit_days * DAY)
    db:exec([[delete from claims where claimed_at < ?1
      and scheduled_for < (select max(scheduled_for) from claims as later where later.flow = claims.flow)]],
      now - settings.keep_days * DAY)
    return #seqs
  end)
end

--- Ends the runs of commands whose processes are gone; those of flows are for who goes on with them.
---@param store dex.Store
function M.bury_commands(store)
  for _, run in ipairs(store:stale_runs()) do
    if run.kind ~= "flow" then store:bury(run.id) end
  end
end

--- What is due after a command, at most once an hour, and never much at once.
---@param store dex.Store
---@param project table
function M.after_command(store, project)
  local now = values.now()
  local last = store.db:value "select value from facts where name = 'upkeep'"
  if last and now - last < OFTEN and now >= last then return end
  local settings = M.settings(project)
  store:batch(function()
    store.db:exec([[insert into facts (name, value) values ('upkeep', ?1)
      on conflict (name) do update set value = excluded.value]], now)
    M.bury_commands(store)
    M.apply(store, settings, PIECE)
  end)
end

return M
