--- The outbox: what hooks want to do outside of the database, under a ledger. Inside of a transaction it is written
-- down with it, and delivered when that has been committed; outside it is written down first, done at once, and its
-- answer kept. Each effect has a key which is the same however often it is tried, so that a receiver can tell.

local env = require "dex.env"
local err = require "err"
local hash = require "dex.hash"
local json = require "dex.json"
local loop = require "dex.loop"
local secrets = require "run.secrets"
local value = require "jinja.value"

local M = {}

--- How often a delivery is tried again, with growing pauses, before it is left to `dex-lua retry`.
M.RETRIES = 4

local PAUSE = 0.2 -- seconds before the first of them

--- Whether what a hook does outside goes through the outbox.
---@param own table of lua/run/hooks.lua
function M.takes(own)
  return own.run.ledger ~= nil and not own.event and own.state.node ~= nil
end

-- Secrets -----------------------------------------------------------------------------------------------

-- A request is kept without the secrets of the environment: their names stand in their place, and the values are looked
-- up when it is delivered.
local function each_text(x, fn)
  if type(x) == "string" then return fn(x) end
  if type(x) ~= "table" or x == value.none then return x end
  local copy = value.is_dict(x) and value.dict() or value.list()
  for k, v in pairs(x) do copy[k] = each_text(v, fn) end
  return copy
end

local function without_secrets(request)
  local known = {}
  for name, v in pairs(env.all()) do
    if secrets.is_name(name) and v ~= "" then known[#known + 1] = { name, v } end
  end
  table.sort(known, function(a, b) return #a[2] > #b[2] or #a[2] == #b[2] and a[1] < b[1] end)
  return each_text(request, function(text)
    for _, secret in ipairs(known) do
      local at, stop = text:find(secret[2], 1, true)
      while at do
        text = ("%s\1%s\1%s"):format(text:sub(1, at - 1), secret[1], text:sub(stop + 1))
        at, stop = text:find(secret[2], at + #secret[1] + 2, true)
      end
    end
    return text
  end)
end

local function with_secrets(request)
  return each_text(request, function(text)
    return (text:gsub("\1([^\1]+)\1", function(name)
      return env.get(name) or err.raise { code = 518, message = ("%s is no longer in the environment"):format(name) }
    end))
  end)
end

-- Answers -----------------------------------------------------------------------------------------------

local LONGEST = 65536 -- bytes of an answer that are kept

local kept_fields = { "status", "body", "stdout", "stderr", "headers" }

local function encode_answer(answer)
  local kept = value.dict()
  for _, name in ipairs(kept_fields) do
    local v = answer[name]
    if type(v) == "string" then v = utf8.len(v) and #v <= LONGEST and not v:find("\0", 1, true) and v or nil end
    if type(v) == "table" then
      local copy = value.dict()
      for key, one in pairs(v) do copy[key] = one end
      v = copy
    end
    if v ~= nil then kept[name] = v end
  end
  local ok, text = pcall(json.encode, kept)
  return ok and text or json.encode(value.dict("status", answer.status))
end

local function decode_answer(kind, text)
  local kept, answer = json.decode(text), {}
  for key, v in pairs(kept) do answer[key] = v end
  local outside = require "run.hook_outside"
  return outside.complete(kind, answer)
end

-- Effects -----------------------------------------------------------------------------------------------

local late = { on_failure = true, always = true }

local function key_of(own, hook_key)
  local ledger = own.run.ledger
  own.effects = (own.effects or 0) + 1
  return hash.sha256(table.concat({ ledger:scope(own.phase), own.state.node.unique_id, hook_key,
    tostring(own.effects) }, "\0")):sub(1, 32)
end

local DELIVERED = [[update %(outbox) set tries = tries + $2, last_error = null, delivered_at = clock_timestamp(),
  answer = $3 where key = $1]]

local FAILED = "update %(outbox) set tries = tries + $2, last_error = $3 where key = $1"

-- Done at once, outside of a transaction: once it has an answer it is not done again.
local function do_now(own, kind, request, key)
  local conn, ledger = own.state.conn, own.run.ledger
  local found = conn:exec(ledger:fill("select answer from %(outbox) where key = $1 and delivered_at is not null"), key)
  if #found > 0 then return decode_answer(kind, found:text(1, 1)) end
  local ok, answer = pcall(require("run.hook_outside").perform, own, kind, request, key)
  if not ok then
    if conn:txn() == "idle" then
      conn:exec(ledger:fill(FAILED), key, 1, own.run.mask(tostring(err.is(answer) and answer.message or
        answer)))
    end
    error(answer, 0)
  end
  conn:exec(ledger:fill(DELIVERED), key, 1, encode_answer(answer))
  return answer
end

--- Takes what a hook wants to do. Inside of a transaction the answer is `queued`: it says nothing of the receiver.
--- May wait.
---@param own table of lua/run/hooks.lua
---@param kind "http"|"run"
---@param request table dict of texts, numbers, lists and dicts
---@return table answer
function M.send(own, kind, request)
  local state, ledger = own.state, own.run.ledger
  local hook_key = ledger.key(own.phase, own.hook, own.index)
  local key = key_of(own, hook_key)
  state.conn:exec(ledger:fill("insert into %(outbox) (key, root_id, run_id, node, hook, title, kind, request) " ..
    "values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (key) do nothing"), key, ledger.root, ledger.id,
    state.node.unique_id, hook_key, own.title, kind, json.encode(without_secrets(request)))
  if not own.inside then return do_now(own, kind, request, key) end
  state[late[own.phase] and "queued_late" or "queued"] = true
  return require("run.hook_outside").complete(kind, { status = kind == "http" and 202 or 0, queued = true, key = key })
end

-- Delivery ----------------------------------------------------------------------------------------------

-- Whether an answer is one that the receiver took it; when not, whether another try may help.
local function judge(kind, answer)
  if answer.ok then return true end
  if kind == "run" then return false, true, ("it ended with status %d"):format(answer.status) end
  local status = answer.status
  return false, status >= 500 or status == 408 or status == 425 or status == 429, ("the answer is %d"):format(status)
end

local function try_once(run, effect)
  local outside = require "run.hook_outside"
  local ok, answer = pcall(function()
    return outside.perform({ run = run }, effect.kind, with_secrets(effect.request), effect.key)
  end)
  if ok then
    local taken, again, why = judge(effect.kind, answer)
    return taken and answer or nil, why, again
  end
  if err.is(answer) and answer.cancelled then error(answer, 0) end
  return nil, run.mask(tostring(err.is(answer) and answer.message or answer)), err.is(answer) and answer.code == 515
end

-- Gives nil when it was delivered, else why not.
local function deliver_one(run, conn, effect)
  local ledger, tries = run.ledger, 0
  while true do
    local answer, why, again = try_once(run, effect)
    tries = tries + 1
    if answer then
      conn:exec(ledger:fill(DELIVERED), effect.key, tries, encode_answer(answer))
      return nil
    elseif not again or tries > M.RETRIES then
      conn:exec(ledger:fill(FAILED), effect.key, tries, why)
      return why, tries
    end
    loop.sleep(PAUSE * 2 ^ (tries - 1))
  end
end

--- Delivers what waits for a node or a hook of the run, in its order. Raises code 518 for the first effect that could
--- not be delivered; all have been tried. May wait.
---@param run dex.Run with `ledger`
---@param conn userdata outside of a transaction
---@param node string unique_id
function M.deliver(run, conn, node)
  local ledger, failed = run.ledger, nil
  local found = conn:exec(ledger:fill("select key, kind, request, title from %(outbox) where root_id = $1 " ..
    "and node = $2 and delivered_at is null order by seq"), ledger.root, node)
  for i = 1, #found do
    local effect = { key = found:text(i, 1), kind = found:text(i, 2), request = json.decode(found:text(i, 3)) }
    local why, tries = deliver_one(run, conn, effect)
    if why and not failed then
      failed = err.new { code = 518, message = ("%s: its hook:%s was not delivered (%d %s): %s"):format(
        found:text(i, 4), effect.kind, tries, tries == 1 and "try" or "tries", why),
        hint = "it stays in the outbox; `dex-lua retry` delivers it" }
    end
  end
  if failed then error(failed, 0) end
end

return M
