--- What templates ask while a project is loaded, beside files: a load that is kept (lua/project/cache.lua) holds as
-- long as the answers stay the same. One project is loaded at a time.

local M = {}

---@class dex.Asked
---@field env table<string, boolean> names of environment variables
---@field flags table<string, boolean> names of flags, in lower case
---@field args boolean all arguments of the command line
---@field custom_env boolean the variables that go into metadata
---@field hour boolean the hour that it is
---@field graph boolean the other members

---@type dex.Asked|nil
local current

--- From now on what is asked is noted.
function M.begin() current = { env = {}, flags = {}, args = false, custom_env = false, hour = false, graph = false } end

--- Ends that, and gives what was noted; nil when nothing has begun.
---@return dex.Asked|nil
function M.finish()
  local asked = current
  current = nil
  return asked
end

--- Notes what was noted in another process.
---@param more dex.Asked as M.finish gave it there
function M.add(more)
  if not current then return end
  for key, v in pairs(more) do
    if type(v) ~= "table" then
      current[key] = current[key] or v
    else
      for name in pairs(v) do current[key][name] = true end
    end
  end
end

--- Notes the name of an environment variable or flag.
---@param kind "env"|"flags"
---@param name string
function M.name(kind, name)
  if current then current[kind][name] = true end
end

--- Notes that everything of a kind was asked for.
---@param kind "args"|"custom_env"|"hour"|"graph"
function M.all(kind)
  if current then current[kind] = true end
end

return M
