--- The state of a project: what ran, what runs, what shall run, in SQLite at .dex/state.db. Several processes share it;
-- the table `events` is how one hears what another did. Nothing here yields; what is written stands on the disk when
-- a method returns, or, inside of `store:batch`, when that does.
--
-- Times are integers, microseconds since 1970. Errors: 650 it cannot be opened or written, 651 another process holds
-- it for too long, 652 no room or a broken disk, 653 damaged, 654 of a later version, 655 no such run, 656 a status
-- that is refused.

local err = require "err"
local fs = require "dex.fs"
local loop = require "dex.loop"
local process = require "state.process"
local schema = require "state.schema"
local sqlite = require "dex.sqlite"
local status = require "state.status"
local uuid = require "dex.uuid"
local values = require "state.values"

local M = { status = status, now = values.now }

---@class dex.Store
---@field db userdata
---@field path string
---@field readonly boolean
local Store = {}
Store.__index = Store

for _, module in ipairs { "state.runs", "state.tasks", "state.events", "state.reports", "state.places" } do
  for name, fn in pairs(require(module)) do Store[name] = fn end
end

-- Opening ------------------------------------------------------------------------------------------------

-- Readers of a folder in which nothing can be made see what was moved into the main file.
local function open_readonly(path)
  local db = sqlite.open(path, { readonly = true, timeout = 1 })
  if pcall(db.value, db, "select count(*) from sqlite_master") then return db end
  db:close()
  return sqlite.open(path, { immutable = true })
end

local function make_folder(dir)
  local folder = dir .. "/.dex"
  fs.mkdirs(folder)
  if not fs.exists(folder .. "/.gitignore") then fs.write(folder .. "/.gitignore", "*\n") end
end

-- What SQLite says of a damaged file is short; what to do is not.
local hints = {
  [650] = "see whose the folder .dex is, and its permissions",
  [651] = "another process works on it; try again when that is done",
  [652] = "see how much room the disk has left",
  [653] = "`dex-lua state check` shows what is wrong; moved away, it is made anew",
}

-- What can be said of any failure of the file. Gives what it was given.
local function explained(e)
  if err.is(e) and hints[e.code] and not e.hint then e.hint = hints[e.code] end
  return e
end

--- Where the state of a project is.
---@param dir string the project's folder
---@return string
function M.path(dir) return dir .. "/.dex/state.db" end

--- Opens the state of a project; makes it, or brings it to this version, unless it is `readonly`.
---@param dir string the project's folder
---@param opts? {readonly: boolean|nil, timeout: number|nil, durable: boolean|nil} `timeout`: seconds that another
---  process's lock is waited for (2); `durable = false`: what was committed survives the process, but, written in the
---  last moments before a loss of power, perhaps not that
---@return dex.Store|nil store nil when it is readonly and there is none
function M.open(dir, opts)
  opts = opts or {}
  local path = M.path(dir)
  local ok, result = pcall(function()
    local db
    if opts.readonly then
      if not fs.exists(path) then return nil end
      db = open_readonly(path)
    else
      make_folder(dir)
      db = sqlite.open(path, { timeout = opts.timeout or 2 })
      db:wal()
      db:keep_log()
    end
    local made, e = pcall(schema.migrate, db, path, opts.readonly)
    if made and not opts.readonly then
      made, e = pcall(db.exec, db, "pragma synchronous = " .. (opts.durable == false and "normal" or "full"))
    end
    if not made then
      db:close()
      error(e, 0)
    end
    if e == false then
      db:close()
      return nil
    end
    return setmetatable({ db = db, path = path, dir = dir, readonly = opts.readonly or false, depth = 0, seqs = {},
      positions = {}, nodes = {} }, Store)
  end)
  if not ok then
    if err.is(result) and result.code == 110 then result.code = 650 end
    error(explained(result), 0)
  end
  return result
end

--- Gives the file back. Harmless when done twice.
function Store:close()
  for watcher in pairs(self.watchers or {}) do watcher:close() end
  self.db:close()
end

-- Transactions -------------------------------------------------------------------------------------------

-- What is remembered of rows that may be gone.
local function forget(self) self.seqs, self.positions, self.nodes = {}, {}, {} end

--- Calls fn() in one transaction: all that it writes is there at its end, or, when it raises, nothing. Inside another
--- batch it is part of that. It must not wait.
---@param fn fun(): ...
---@return any ... what fn gives
function Store:batch(fn)
  if self.depth > 0 then return fn() end
  local db = self.db
  local ok, e = pcall(db.exec, db, "begin immediate")
  if not ok then error(explained(e), 0) end
  self.depth = 1
  local results = table.pack(pcall(fn))
  self.depth = 0
  if results[1] then
    ok, e = pcall(db.exec, db, "commit")
    if ok then
      if self.told then db:touch() end
      self.told = nil
      return table.unpack(results, 2, results.n)
    end
    results[2] = e
  end
  self.told = nil
  forget(self)
  if db:in_transaction() then pcall(db.exec, db, "rollback") end
  error(explained(results[2]), 0)
end

--- A new run's id.
---@return string
function M.new_id() return uuid() end

--- Whether the process of a run lives (state/process.lua).
M.lives = process.lives

-- Hearing of changes -------------------------------------------------------------------------------------

local Watcher = {}
Watcher.__index = Watcher

--- Ends it; fn is not called any more. Harmless when done twice.
function Watcher:close()
  self.over = true
  self.file:close()
  if self.store.watchers then self.store.watchers[self] = nil end
end

--- Calls fn() in a task of its own, so it may wait, after any process, this one too, has committed events: as many as
--- there are, at one call. The first call is made at once. An error that it raises ends the watching and comes to
--- `on_error`, if there is one.
---@param fn fun()
---@param on_error? fun(e: any)
---@return {close: fun(self: table)}
function Store:watch(fn, on_error)
  local watcher = setmetatable({ file = require("dex.watch").file(self.path), store = self }, Watcher)
  self.watchers = self.watchers or {}
  self.watchers[watcher] = true
  loop.spawn(function()
    local ok, e = pcall(function()
      repeat
        fn()
      until watcher.over or not watcher.file:wait()
    end)
    if not ok and not watcher.over then
      watcher:close()
      if on_error then on_error(e) end
    end
  end)
  return watcher
end

return M
