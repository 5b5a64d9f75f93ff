--- A view. The one that is there stays until its successor takes its name, in the same transaction.
---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("view")
  if not build.existing then
    build:main(build:call("get_create_view_as_sql", target, build.sql))
    return { target }
  end
  local intermediate = build:relation("view", "__dbt_tmp")
  local backup = build:call("make_backup_relation", target, build.existing.type)
  build:drop_leftover(intermediate)
  build:drop_leftover(backup)
  build:main(build:call("get_create_view_as_sql", intermediate, build.sql))
  build:swap(intermediate, target, backup)
  return { target }
end
