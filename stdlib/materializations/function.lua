--- A function of the database and its overloads: created, or replaced in place, so that what uses it stays.
---@param build dex.Build
---@return table[] relations none: a function is no table or view
return function(build)
  local kind, language = build.config.type, build.node.language
  if kind ~= "scalar" then
    build:refuse(("a function of type '%s' cannot be built on PostgreSQL: only scalar ones can"):format(tostring(kind)))
  elseif language ~= "sql" then
    build:refuse(("a function in %s cannot be built on PostgreSQL: write it in SQL"):format(language))
  end
  if build.config.grants and #build.config.grants > 0 then
    build:refuse("`grants` are for relations, and this is a function",
      "use a post-hook: grant execute on function {{ this }} to ...")
  end
  local target = build:relation("function")
  build:main(build:call("scalar_function_sql", target))
  for overload in build:overloads() do build:main(overload:call("scalar_function_sql", target)) end
  return {}
end
