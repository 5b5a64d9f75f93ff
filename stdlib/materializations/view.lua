--- A view. The one that is there stays until its successor takes its name, in the same transaction.
---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("view")
  build:replace(target, function(relation)
    build:main(build:call("get_create_view_as_sql", relation, build.sql))
  end)
  return { target }
end
