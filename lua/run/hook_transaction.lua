--- The node's transaction around a hook: none may end it, and what a hook did can be undone without it.

local err = require "err"

local M = {}

--- The hook's transaction is open: from here on it must not end.
---@param own table of lua/run/hooks.lua, with `inside`
function M.enter(own)
  if own.inside then own.ended_before = own.state.conn:ended() end
end

-- dbt lets hooks commit, and packages rely on it: what the node has built until then stays, the rest of its
-- transaction is a new one. Told once for a package.
local function begin_anew(own)
  local run, package = own.run, own.run.modules:package_of(own.hook)
  if own.state.conn:txn() == "idle" then own.state.conn:exec "begin" end
  own.state.conn:forget_ended(own.ended_before)
  run.cache:commit(own.state)
  own.commits, own.state.committed_inside = true, true
  run.committing = run.committing or {}
  if run.committing[package] then return end
  run.committing[package] = true
  run:warn(("%s of package %s ended the node's transaction: a failure behind it leaves what was built until then")
    :format(own.title, package))
end

--- Raises code 505 when the hook has ended the transaction that it runs in.
---@param own table of lua/run/hooks.lua, after M.enter
local function check_transaction(own)
  if not own.inside then return end
  local conn = own.state.conn
  local is_open = conn:txn() == "intrans"
  if is_open and conn:ended() == own.ended_before then return end
  local is_theirs = not own.own_transaction and not own.run.rehearsing and own.run.modules:package_of(own.hook)
  if is_theirs and (is_open or conn:txn() == "idle") then return begin_anew(own) end
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
  -- a statement that was cancelled still waits for the server's word
  if conn:txn() == "active" then pcall(conn.exec, conn, "select 1") end
  local state = conn:txn()
  if results[1] and state == "intrans" then
    if not own.commits then conn:exec("release savepoint " .. name) end
    return table.unpack(results, 2, results.n)
  end
  if not own.commits and (state == "intrans" or state == "inerror") then
    conn:exec(("rollback to savepoint %s; release savepoint %s"):format(name, name))
  end
  if results[1] then check_transaction(own) end
  error(results[2], 0)
end

--- Calls fn(...) in a transaction: that of the hook, or one of its own where the hook has none. May wait.
---@param own table of lua/run/hooks.lua
---@param fn function
---@return any what fn returns
function M.around(own, fn, ...)
  local conn = own.state.conn
  if own.inside or conn:txn() ~= "idle" then return fn(...) end
  conn:exec "begin"
  local ok, result = pcall(fn, ...)
  conn:exec(ok and "commit" or "rollback")
  if not ok then error(result, 0) end
  return result
end

M.check, M.with_savepoint = check_transaction, with_savepoint

return M
