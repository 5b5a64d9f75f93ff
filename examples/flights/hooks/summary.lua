--- on-run-end: the run in a few lines.

local summary = {}

local function slowest(results)
  local list = {}
  for _, result in ipairs(results) do
    if result.status == "success" and result.kind ~= "hook" then list[#list + 1] = result end
  end
  table.sort(list, function(a, b) return a.seconds > b.seconds end)
  return list
end

local function count(results)
  local counts, order = {}, {}
  for _, result in ipairs(results) do
    if result.kind ~= "hook" then
      if not counts[result.status] then order[#order + 1] = result.status end
      counts[result.status] = (counts[result.status] or 0) + 1
    end
  end
  table.sort(order)
  for i, status in ipairs(order) do order[i] = ("%d %s"):format(counts[status], status) end
  return table.concat(order, ", ")
end

-- What this run wrote into the log of hooks/audit.lua.
local built = [[
  select count(*) as relations, coalesce(sum(rows), 0)::bigint as rows
  from ops.build_log where run_id = $1 and status = 'built']]

--- Prints how the nodes ended, what was built, and what took longest.
function summary.show(hook)
  local results = hook.run.results
  hook:log("summary of run %s", hook.run.id)
  hook:log("  nodes    %s", count(results))
  local log = hook:query(built, hook.run.id)[1]
  if log.relations > 0 then hook:log("  built    %d relations with %d rows", log.relations, log.rows) end
  local list = slowest(results)
  for i = 1, math.min(3, #list) do
    hook:log("  %s  %-40s %.2f s", i == 1 and "slowest" or "       ", list[i].name, list[i].seconds)
  end
end

return summary
