--- The node's transaction around a hook: none may end it, and what a hook did can be undone without it.

local err = require "err"

local M = {}

-- Whether one of the statements ended the transaction; the tags that the server answered with tell.
local function ended_transaction(result)
  local rolled_back = false
  for _, one in ipairs(result.all or { result }) do
    local tag = one.status
    if tag == "COMMIT" or tag == "PREPARE TRANSACTION" then return true end
    if tag == "ROLLBACK" then rolled_back = true end
    if tag == "BEGIN" and rolled_back then return true end
  end
  return false
end

--- Raises code 505 when the hook has ended the transaction that it runs in.
---@param own table of lua/run/hooks.lua
---@param result userdata|nil of its last statement
local function check_transaction(own, result)
  if not own.inside then return end
  if own.state.conn:txn() == "intrans" and not (result and ended_transaction(result)) then return end
  own.state.transaction_lost = true
  err.raise { code = 505, message = own.title .. " ended the node's transaction",
    hint = "leave out its commit or rollback, or declare the hook with `transaction: false`" }
end

--- Calls fn between a savepoint and its release; what it did is undone when it raises. May wait.
---@param own table of lua/run/hooks.lua
---@param fn function
---@return any what fn returns
local function with_savepoint(own, fn, ...)
  local conn = own.state.conn
  own.depth = (own.depth or 0) + 1
  local name = "dex_hook_" .. own.depth
  conn:exec("savepoint " .. name)
  local results = table.pack(pcall(fn, ...))
  own.depth = own.depth - 1
  local state = conn:txn()
  if results[1] and state == "intrans" then
    conn:exec("release savepoint " .. name)
    return table.unpack(results, 2, results.n)
  end
  if state == "intrans" or state == "inerror" then
    conn:exec(("rollback to savepoint %s; release savepoint %s"):format(name, name))
  end
  if results[1] then check_transaction(own) end
  error(results[2], 0)
end

M.check, M.with_savepoint = check_transaction, with_savepoint

return M
