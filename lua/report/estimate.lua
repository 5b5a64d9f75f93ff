--- How long a run will still take, by what its nodes took the last time (run_results.json of its folder).

local fs = require "dex.fs"
local json = require "dex.json"

local M = {}

-- A larger file takes longer to read than the guess is worth.
local LIMIT = 20 * 1024 * 1024

--- Seconds of each node in the last run, by unique_id. Empty when there was none, or its file cannot be read.
---@param target_path string
---@return table<string, number>
function M.earlier(target_path)
  local path, seconds = target_path .. "/run_results.json", {}
  local ok, content = pcall(function()
    if fs.stat(path).size > LIMIT then return nil end
    return json.decode(fs.read(path))
  end)
  for _, result in ipairs(ok and content and content.results or {}) do
    if type(result.execution_time) == "number" and (result.status == "success" or result.status == "pass") then
      seconds[result.unique_id] = result.execution_time
    end
  end
  return seconds
end

--- What the nodes that have not ended may take: all that is left over the threads, yet no less than the longest of
--- them.
---@param left table<string, boolean> unique_ids
---@param earlier table<string, number>
---@param threads integer
---@return number|nil seconds nil when most of them were never run
function M.left(left, earlier, threads)
  local sum, longest, known, count = 0, 0, 0, 0
  for id in pairs(left) do
    count = count + 1
    local seconds = earlier[id]
    if seconds then sum, longest, known = sum + seconds, math.max(longest, seconds), known + 1 end
  end
  if known * 2 <= count then return nil end
  return math.max(sum * count / known / threads, longest)
end

return M
