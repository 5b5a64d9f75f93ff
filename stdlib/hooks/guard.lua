--- Stops what must not run: on the wrong target, or on stale data.
--
--   on-run-start: {lua: guard.target, args: {allow: [dev, ci]}}
--   pre_hook: {lua: guard.fresh, args: {source: [shop, orders], column: loaded_at, hours: 24}}

local guard = {}

--- Fails unless the target's name is one of `allow`, or is none of `deny`.
function guard.target(hook)
  local name = hook.target.name
  local function among(list)
    for _, known in ipairs(list) do
      if known == name then return true end
    end
    return false
  end
  if not hook.args.allow and not hook.args.deny then hook:fail "guard.target needs `allow` or `deny`" end
  if hook.args.allow and not among(hook.args.allow) or hook.args.deny and among(hook.args.deny) then
    hook:fail("this does not run on target %s", name)
  end
end

--- Fails, or with `skip: true` skips the node, when the newest `column` of a source or `ref` is older than `hours`.
function guard.fresh(hook)
  local args = hook.args
  local from = args.source and hook:source(args.source[1], args.source[2]) or args.ref and hook:ref(args.ref)
    or hook:fail "guard.fresh needs `source: [source, table]` or `ref`"
  local column = '"' .. (args.column or hook:fail "guard.fresh needs `column`"):gsub('"', '""') .. '"'
  local age = hook:value(("select extract(epoch from now() - max(%s))::float8 / 3600 from %s"):format(column, from))
  local limit = args.hours or 24
  if age and age <= limit then return end
  local words = age and ("%s is %.1f hours old, more than %g"):format(tostring(from), age, limit)
    or tostring(from) .. " has no rows"
  if args.skip then hook:skip(words) else hook:fail("%s", words) end
end

return guard
