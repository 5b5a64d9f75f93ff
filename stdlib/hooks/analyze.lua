--- Statistics for the query planner.
--
--   post_hook: "lua: analyze.run"
--   post_hook: {lua: analyze.vacuum, transaction: false}

local analyze = {}

local function is_storage(hook)
  return hook.this.type ~= "view" and hook.node.config.materialized ~= "view"
end

--- `analyze` of the relation; nothing for a view. Works inside the transaction.
function analyze.run(hook)
  if is_storage(hook) then hook:exec("analyze " .. hook.this) end
end

--- `vacuum (analyze)` of the relation: needs `transaction: false`.
function analyze.vacuum(hook)
  if is_storage(hook) then hook:exec("vacuum (analyze) " .. hook.this) end
end

return analyze
