--- A table, built anew each time. The one that is there stays until its successor takes its name, in the
-- same transaction: a failure leaves it untouched.
---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("table")
  if not build.existing then
    build:main(build:call("get_create_table_as_sql", false, target, build.sql))
    build:call("create_indexes", target)
    return { target }
  end
  local intermediate = build:relation("table", "__dbt_tmp")
  local backup = build:call("make_backup_relation", target, build.existing.type)
  build:drop_leftover(intermediate)
  build:drop_leftover(backup)
  build:main(build:call("get_create_table_as_sql", false, intermediate, build.sql))
  build:call("create_indexes", intermediate)
  build:swap(intermediate, target, backup)
  return { target }
end
