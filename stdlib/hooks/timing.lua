--- Where the time of a run went.
--
--   on-run-end: {lua: timing.report, args: {top: 10}}

local timing = {}

--- Logs the slowest nodes.
function timing.report(hook)
  local list, sum = {}, 0
  for _, result in ipairs(hook.run.results) do
    if result.kind ~= "hook" then
      list[#list + 1] = result
      sum = sum + (result.seconds or 0)
    end
  end
  table.sort(list, function(a, b)
    if a.seconds ~= b.seconds then return (a.seconds or 0) > (b.seconds or 0) end
    return a.unique_id < b.unique_id
  end)
  hook:log("%d nodes took %.2f s; the slowest:", #list, sum)
  for i = 1, math.min(hook.args.top or 10, #list) do
    hook:log("  %7.2f s  %4.1f %%  %s", list[i].seconds or 0, sum > 0 and 100 * (list[i].seconds or 0) / sum or 0,
      list[i].unique_id)
  end
end

return timing
