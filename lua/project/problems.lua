--- What is wrong with a project: a load goes on after an error and reports all of them, not the first.

local err = require "err"

---@class dex.Problems
---@field errors dex.Error[]
---@field warnings dex.Error[]
---@field places table<dex.Error, integer>|nil where in the order of a whole load they belong (M:at)
local M = {}
M.__index = M

--- An empty collection.
---@return dex.Problems
function M.new()
  return setmetatable({ errors = {}, warnings = {}, seen = {} }, M)
end

--- What is noted from now on belongs to a place in the order of the whole load, of which this is a part.
---@param place integer
function M:at(place)
  self.places = self.places or {}
  self.place = place
end

local function add(self, list, problem)
  list[#list + 1] = problem
  if self.place then self.places[problem] = self.place end
end

--- Notes an error; the load fails at its next check.
---@param fields dex.Error
function M:error(fields) add(self, self.errors, err.is(fields) and fields or err.new(fields)) end

--- Notes a warning, once for the same words at the same place.
---@param fields dex.Error
function M:warn(fields)
  local key = ("%s:%s:%s"):format(fields.file or "", fields.line or "", fields.message)
  if self.seen[key] then return end
  self.seen[key] = true
  add(self, self.warnings, err.new(fields))
end

--- Calls fn(...). An error that is the user's is noted with `where` filled in, and nil comes back; a defect
--- of the engine's own goes on to the caller. May wait if fn does.
---@param where table|nil fields for the error that it lacks, such as file and line
---@param fn function
---@return any
function M:try(where, fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then return table.unpack(results, 2, results.n) end
  local e = results[2]
  if not err.is(e) or (e.code or 900) >= 900 then error(e, 0) end
  self:error(err.wrap(e, where))
  return nil
end

--- Raises when errors were noted: the first one, the others in its field `others`.
function M:check()
  local first = self.errors[1]
  if not first then return end
  if self.errors[2] then
    first.others = table.move(self.errors, 2, #self.errors, 1, {})
  end
  error(first, 0)
end

return M
