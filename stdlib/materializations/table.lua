--- A table, built anew each time. The one that is there stays until its successor takes its name, in the
-- same transaction: a failure leaves it untouched.
---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("table")
  build:replace(target, function(relation)
    build:main(build:call("get_create_table_as_sql", false, relation, build.sql))
    build:call("create_indexes", relation)
  end)
  return { target }
end
