--- What `build` reaches and has nothing to build for: exposures and saved queries. As in dbt they have a result, so
-- that whoever waits for them sees whether all that they read is there.

local members = require "project.members"

local M = {}

local kinds = { exposure = true, saved_query = true }
local good = { success = true, pass = true, warn = true, ["no-op"] = true }

--- The selected members of these kinds, in graph order.
---@param project table
---@param selected string[]
---@return table[] members
function M.of(project, selected)
  local list = {}
  for _, id in ipairs(selected) do
    local member = members.get(project, id)
    if member and kinds[member.resource_type] then list[#list + 1] = member end
  end
  return list
end

-- The first ancestor that was to be built in this run and was not.
local function failed_ancestor(run, id, seen)
  for _, parent in ipairs(run.project.parents[id] or {}) do
    if not seen[parent] then
      seen[parent] = true
      local result = run.by_id[parent]
      if result and not good[result.status] then return result end
      local found = failed_ancestor(run, parent, seen)
      if found then return found end
    end
  end
end

--- The results, for after the run.
---@param run dex.Run
---@param list table[] of M.of
---@param add fun(member: table, status: string, message: string)
function M.report(run, list, add)
  for _, member in ipairs(list) do
    local cause = failed_ancestor(run, member.unique_id, {})
    if cause then
      add(member, "skipped", ("%s %s did not succeed"):format(cause.kind, cause.name))
    else
      add(member, "no-op", "NO-OP")
    end
  end
end

return M
