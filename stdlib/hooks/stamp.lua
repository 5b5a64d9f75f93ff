--- Says in the database what built a relation.
--
--   post_hook: "lua: stamp.comment"
--
-- Replaces the relation's comment; with `persist_docs` the description stands before the stamp.

local stamp = {}

local kinds = { view = "view", ["materialized view"] = "materialized view", materialized_view = "materialized view" }

--- Comments the relation with the description, the node, the run and the time.
function stamp.comment(hook)
  local config = hook.node.config
  local kind = kinds[hook.this.type or ""] or kinds[config.materialized] or "table"
  local words = ("%s, built by run %s at %s"):format(hook.node.unique_id, hook.run.id,
    hook:value "select to_char(now() at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
  if hook.node.description and hook.node.description ~= "" then words = hook.node.description .. "\n\n" .. words end
  hook:exec(("comment on %s %s is %s"):format(kind, hook.this, hook:value("select quote_literal($1::text)", words)))
end

return stamp
