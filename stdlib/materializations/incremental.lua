--- A table that later runs add to. The first run, --full-refresh, and a view in its place build it anew, like
-- `table`; every other run puts the query's rows into a temporary table and lets the strategy merge them.

-- The macro of the strategy. A wrong name fails in the first run already.
local function strategy_of(build)
  local context = build.state.context
  return context.adapter.get_incremental_strategy_macro(context, build:setting("incremental_strategy") or "default")
end

-- Columns that a unique_key names must be among those that are inserted; an expression is left to the database.
local function check_key(build, key, columns)
  local names, known = {}, {}
  for i, column in ipairs(columns) do
    names[i] = column.name
    known[column.name:lower()] = true
  end
  for _, name in ipairs(type(key) == "string" and { key } or key or {}) do
    local plain = name:match('^"(.*)"$') or name:match("^[%a_][%w_$]*$")
    if plain and not known[plain:lower()] then
      build:refuse(("unique_key names '%s', which is no column of this model"):format(name),
        "its columns are " .. table.concat(names, ", "))
    end
  end
end

-- The columns to insert, after those of the table were changed as on_schema_change says.
local function columns_of(build, staged, target, on_change)
  local adapter = build.state.context.adapter
  local contract = build:setting("contract")
  if not (contract and contract.enforced == true) then adapter.expand_target_column_types(staged, target) end
  local columns = build:call("process_schema_changes", on_change, staged, build.existing)
  if #columns == 0 then columns = adapter.get_columns_in_relation(build.existing) end
  return columns
end

-- What a failed statement of a strategy most likely means.
local function hint_of(build, e, on_change)
  local name = build:setting("incremental_strategy")
  if e.sqlstate == "42703" and on_change == "ignore" then
    return "on_schema_change is ignore, and the query lacks a column of the table: --full-refresh makes it anew, "
      .. "sync_all_columns drops the column"
  elseif e.sqlstate == "42601" and (name == "merge" or name == "microbatch") then
    return "merge needs PostgreSQL 15 or later: use the strategy delete+insert"
  end
end

local function merge_rows(build, sql, on_change)
  local ok, e = pcall(build.main, build, sql)
  if ok then return end
  if type(e) == "table" then e.hint = hint_of(build, e, on_change) or e.hint end
  error(e, 0)
end

local function add_rows(build, target, strategy)
  local on_change = build:call("incremental_validate_on_schema_change", build.config.on_schema_change)
  local staged = build:stage(target, build.sql)
  local columns = columns_of(build, staged, target, on_change)
  local key = build:setting("unique_key")
  check_key(build, key, columns)
  build:keep()
  merge_rows(build, strategy(build:dict("target_relation", target, "temp_relation", staged, "unique_key", key,
    "dest_columns", columns,
    "incremental_predicates", build:list "predicates" or build:list "incremental_predicates")), on_change)
end

---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("table")
  local strategy = strategy_of(build)
  if build.existing and build.existing.is_table and not build.full_refresh then
    add_rows(build, target, strategy)
  else
    build:replace(target, function(relation)
      build:main(build:call("get_create_table_as_sql", false, relation, build.sql))
      build:call("create_indexes", relation)
    end)
  end
  return { target }
end
