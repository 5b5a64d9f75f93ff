--- Tells others how a run ended: a webhook, a chat, or whoever listens in PostgreSQL.
--
--   on-run-end: {lua: notify.webhook, args: {url_env: HOOK_URL, secret_env: HOOK_SECRET}, on_error: warn}
--   on-run-end: {lua: notify.slack, args: {url_env: SLACK_URL, only: failures}, on_error: warn}
--   on-run-end: {lua: notify.postgres, args: {channel: builds}}
--
-- The same in `notify` of a flow, whose name, status and severity are told as well.

local hash = require "dex.hash"
local json = require "dex.json"

local notify = {}

local function bytes(hex) return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end)) end

--- HMAC-SHA256 (RFC 2104), as hexadecimal digits.
function notify.hmac(key, text)
  if #key > 64 then key = bytes(hash.sha256(key)) end
  key = key .. ("\0"):rep(64 - #key)
  local function pad(byte) return (key:gsub(".", function(c) return string.char(c:byte() ~ byte) end)) end
  return hash.sha256(pad(0x5c) .. bytes(hash.sha256(pad(0x36) .. text)))
end

local bad = { error = true, fail = true, skipped = true, ["runtime error"] = true, ["partial success"] = true }

-- What is told: counts, and the nodes that did not succeed.
local function summary(hook)
  local failed, total = {}, 0
  for _, result in ipairs(hook.run.results or {}) do
    if result.kind ~= "hook" then total = total + 1 end
    if bad[result.status] then failed[#failed + 1] = { node = result.unique_id, status = result.status } end
  end
  return { run_id = hook.run.id, command = hook.run.command, target = hook.target.name, total = total,
    failed = #failed, failures = #failed > 0 and failed or nil, flow = hook.args.flow, status = hook.args.status,
    severity = hook.args.severity }
end

local function secret(hook, name)
  local variable = hook.args[name] or hook:fail("the argument `%s` is missing", name)
  return hook:env(variable) or hook:fail("the environment variable %s is not set", variable)
end

local function send(hook, body, headers)
  headers["Content-Type"] = "application/json"
  local response = hook:http { url = secret(hook, "url_env"), body = body, headers = headers }
  if not response.ok then hook:fail("the receiver answered with status %d", response.status) end
end

--- POSTs the summary as JSON. With `secret_env`, X-Signature-256 holds `sha256=` and the HMAC of the body.
function notify.webhook(hook)
  local told = summary(hook)
  if hook.args.only == "failures" and told.failed == 0 then return end
  local body, headers = json.encode(told), { ["Idempotency-Key"] = hook.run.id }
  if hook.args.secret_env then
    headers["X-Signature-256"] = "sha256=" .. notify.hmac(secret(hook, "secret_env"), body)
  end
  send(hook, body, headers)
end

--- POSTs a message that Slack and those who speak like it show.
function notify.slack(hook)
  local told = summary(hook)
  if hook.args.only == "failures" and told.failed == 0 then return end
  local what = told.flow and ("flow %s: %s"):format(told.flow, told.status) or told.command
  local lines = { ("%s on %s: %d of %d failed"):format(what, told.target, told.failed, told.total) }
  for i, failure in ipairs(told.failures or {}) do
    if i <= 20 then lines[#lines + 1] = ("- %s: %s"):format(failure.node, failure.status) end
  end
  send(hook, json.encode { text = table.concat(lines, "\n") }, {})
end

--- PostgreSQL's NOTIFY on `channel`, with the counts as JSON.
function notify.postgres(hook)
  local told = summary(hook)
  told.failures = nil -- a notification has at most 8,000 bytes
  hook:exec("select pg_notify($1, $2)", hook.args.channel or "dex_lua", json.encode(told))
end

return notify
