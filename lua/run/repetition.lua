--- A node's transaction that lost against another one is repeated as a whole, hooks included: the server undid all of
-- it, and says by its SQLSTATE that another try may go well.

local err = require "err"
local loop = require "dex.loop"
local value = require "jinja.value"

local M = {}

--- The setting of the project file: how often.
M.SETTING = "transaction-retries"

--- How often when nobody says otherwise.
M.DEFAULT = 5

local SHORTEST, LONGEST = 0.05, 2.0 -- seconds of a pause

-- Deadlock, serialization failure; two writers of one row of a catalogue, which has no code of its own.
local function lost(e)
  if not err.is(e) or e.cancelled then return nil end
  if e.sqlstate == "40P01" then return "a deadlock" end
  if e.sqlstate == "40001" then return "a serialization failure" end
  if e.sqlstate == "XX000" and tostring(e.message):find("tuple concurrently ", 1, true) then
    return "a change of the same object elsewhere"
  end
  return nil
end

--- How often a transaction is repeated. Raises code 102 when the setting is no whole number from 0 to 100.
---@param project table
---@return integer
function M.limit(project)
  local package = project.packages[1]
  local key = package.config[M.SETTING] ~= nil and M.SETTING or M.SETTING:gsub("-", "_")
  local given = value.opt(package.config[key])
  if given == nil then return M.DEFAULT end
  if math.type(given) == "integer" and given >= 0 and given <= 100 then return given end
  err.raise { code = 102, message = ("%s must be a whole number from 0 to 100"):format(M.SETTING), file = package.file,
    line = require("project.lines").of(package.lines, package.raw, key) }
end

-- What the phases behind `begin` left in the state of the node.
local function forget(state)
  state.run.cache:rollback(state)
  for _, key in ipairs { "relations", "finally", "later", "after_commit", "custom", "rebuilt", "replaced", "result",
    "batch_results", "queued",
    "ledger_keys" } do
    state[key] = nil
  end
  state.outcome, state.statements = {}, {}
  if not state.skipped_outside then state.skipped = nil end
end

--- Decides whether the transaction of a node that has just been rolled back is repeated, and waits until its next try.
--- Sets ctx.again then. May wait.
---@param state dex.State
function M.decide(state)
  local run, ctx = state.run, state.ctx
  local why = lost(ctx.error)
  local tries = state.tries or 1
  if not why or tries > run.transaction_retries or state.committed_inside then return end
  run:log("info", ("%s: %s, its transaction is repeated (%d of %d)"):format(state.node.name, why, tries,
    run.transaction_retries))
  local pause = math.min(SHORTEST * 2 ^ (tries - 1), LONGEST)
  loop.sleep(pause * (0.5 + math.random())) -- two that met do not meet again
  forget(state)
  state.tries = tries + 1
  ctx.again = true
end

return M
