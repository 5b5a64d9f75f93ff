--- A hook in Lua: it runs inside the model's transaction, so a table that fails it never replaces the old one.
local row_guard = {}

--- Fails when the relation has no rows.
function row_guard.not_empty(hook)
  if hook:value("select count(*) from " .. hook.this) == 0 then
    hook:fail("%s has no rows", hook.this)
  end
end

return row_guard
