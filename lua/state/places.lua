--- The part of the store that is about pools: which process has how many places in one. Methods of lua/state/init.lua's
--- store. The places of a process that is gone are free.

local process = require "state.process"

local M = {}

--- Takes a place in a pool, when it has one.
---@param pool string
---@param limit integer how many places it has
---@param holder string who takes it: a text that is nobody else's
---@return boolean
function M:take_place(pool, limit, holder)
  return self:batch(function()
    local db, taken = self.db, 0
    for _, row in ipairs(db:rows("select holder, pid, pid_started, host from places where pool = ?1", pool)) do
      if process.lives(row) == false then
        db:exec("delete from places where pool = ?1 and holder = ?2", pool, row.holder)
      else
        taken = taken + 1
      end
    end
    if taken >= limit then return false end
    local own = process.own()
    db:exec("insert into places (pool, holder, pid, pid_started, host) values (?1, ?2, ?3, ?4, ?5)", pool, holder,
      own.pid, own.pid_started, own.host)
    return true
  end)
end

--- Gives a place back. Whoever watches the store hears of it.
---@param pool string
---@param holder string
function M:give_place(pool, holder)
  self:batch(function()
    self.db:exec("delete from places where pool = ?1 and holder = ?2", pool, holder)
    self.told = true
  end)
end

return M
