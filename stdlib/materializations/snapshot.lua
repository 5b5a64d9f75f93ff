--- A snapshot: a table that keeps every version of the rows of a query. Other invocations wait until this one is
-- done, so that no change is applied twice.

-- The relation that is there now: another invocation may have made it since relations were listed.
local function lock(build, target)
  local kind = build:call("lock_snapshot_target", target)
  if type(kind) ~= "string" then return nil end
  local existing = build:found(kind)
  if kind ~= "table" then
    build.state.context.exceptions:relation_wrong_type(existing, "table")
  end
  return existing
end

-- Names that the table of changes has for itself.
local function is_own(name, key_count)
  local lower = name:lower()
  if lower == "dbt_change_type" or lower == "dbt_unique_key" then return true end
  local n = lower:match("^dbt_unique_key_(%d+)$")
  return n ~= nil and tonumber(n) <= key_count
end

local function without_own(columns, key)
  local kept = {}
  for _, column in ipairs(columns) do
    if not is_own(column.name, type(key) == "table" and #key or 0) then kept[#kept + 1] = column end
  end
  return kept
end

-- Brings the table's columns up to the query's, and gives the statement that applies the changes.
local function apply_sql(build, target, staging)
  local adapter, key = build.state.context.adapter, build:setting("unique_key")
  adapter.expand_target_column_types(staging, target)
  local missing = without_own(adapter.get_missing_columns(staging, target), key)
  build:call("create_columns", target, build:sequence(missing))
  local quoted = {}
  for _, column in ipairs(without_own(adapter.get_columns_in_relation(staging), key)) do
    quoted[#quoted + 1] = adapter.quote(column.name)
  end
  return build:call("snapshot_merge_sql", target, staging, build:sequence(quoted))
end

---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("table")
  local context = build.state.context
  local existing = lock(build, target)
  local strategy = build:call("strategy_dispatch", build.config.strategy)(context.model, "snapshotted_data",
    "source_data", build.config, existing ~= nil)
  if not existing then
    local sql = build:call("build_snapshot_table", strategy, build.sql)
    build:call("check_time_data_types", sql)
    build:main(build:call("create_table_as", false, target, sql))
    build:call("create_indexes", target)
    return { target }
  end
  local names = context.config:get("snapshot_table_column_names")
  context.adapter.assert_valid_snapshot_target_given_strategy(existing, names, strategy)
  local staging = build:call("build_snapshot_staging_table", strategy, build.sql, target)
  build:finally(function() build:call("post_snapshot", staging) end)
  build:drop_at_end(staging)
  build:call("check_time_data_types", "select * from " .. staging)
  build:keep()
  build:main(apply_sql(build, target, staging))
  return { target }
end
