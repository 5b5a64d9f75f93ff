--- A materialized view. One that is there is refreshed; what on_configuration_change says is done when its
-- indexes are not those of the configuration. Its query is that of its creation: --full-refresh makes it anew.

-- How the view that is there comes to be what its configuration says. nil when nothing is to be done.
local function change_sql(build, target)
  local context = build.state.context
  local changes = build:call("get_materialized_view_configuration_changes", build.existing, context.config)
  if changes == build.none then return build:call("refresh_materialized_view", target) end
  local on_change = build:setting "on_configuration_change" or "apply"
  if on_change == "apply" then
    return build:call("get_alter_materialized_view_as_sql", target, changes, build.sql, build.existing,
      build:call("make_backup_relation", target, build.existing.type),
      build:call("make_intermediate_relation", target))
  elseif on_change == "continue" then
    context.exceptions:warn(("%s is left as it is: its configuration changed, and on_configuration_change is continue")
      :format(target))
    return nil
  elseif on_change == "fail" then
    build:refuse(("the configuration of %s changed, and on_configuration_change is fail"):format(target),
      "--full-refresh makes it anew")
  end
  build:refuse(("on_configuration_change is apply, continue or fail, not '%s'"):format(tostring(on_change)))
end

---@param build dex.Build
---@return table[] relations
return function(build)
  local target = build:relation("materialized_view")
  local existing = build.existing
  if not existing then
    build:main(build:call("get_create_materialized_view_as_sql", target, build.sql))
  elseif build.full_refresh or not existing.is_materialized_view then
    build:drop_leftover(build:call("make_backup_relation", target, existing.type))
    build:main(build:call("get_replace_sql", existing, target, build.sql))
    build:forget(existing)
  else
    build:keep()
    local sql = change_sql(build, target)
    if sql then build:main(sql) else build:leave("skip " .. target) end
  end
  return { target }
end
