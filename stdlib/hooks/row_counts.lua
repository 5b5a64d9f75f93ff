--- Guards the number of rows of what was built.
--
--   post_hook: {lua: row_counts.check, args: {warn_below: 1000, fail_below: 1, fail_above: 1000000}}
--
-- As a post-hook inside the transaction, a failure leaves the previous table as it was.

local row_counts = {}

local function below(rows, limit) return rows < limit end
local function above(rows, limit) return rows > limit end

local limits = {
  { key = "fail_below", bad = below, words = "has only %d rows, fewer than %d" },
  { key = "fail_above", bad = above, words = "has %d rows, more than %d" },
  { key = "warn_below", bad = below, words = "has only %d rows, fewer than %d" },
  { key = "warn_above", bad = above, words = "has %d rows, more than %d" },
}

local function check_arguments(hook)
  local known = { where = true }
  for _, limit in ipairs(limits) do known[limit.key] = true end
  for key in pairs(hook.args) do
    if not known[key] then
      hook:fail("row_counts.check has no argument '%s': they are fail_below, fail_above, warn_below, warn_above " ..
        "and where", key)
    end
  end
end

--- Counts the rows, of `where` when it is given, and compares them with the limits.
function row_counts.check(hook)
  check_arguments(hook)
  local where = hook.args.where
  local rows = hook:value("select count(*) from " .. hook.this .. (where and " where " .. where or ""))
  for _, limit in ipairs(limits) do
    local bound = hook.args[limit.key]
    if bound and limit.bad(rows, bound) then
      local say = limit.key:find("^fail") and hook.fail or hook.warn
      say(hook, "%s " .. limit.words, hook.this, rows, bound)
    end
  end
end

return row_counts
