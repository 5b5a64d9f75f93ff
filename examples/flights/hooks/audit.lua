--- Keeps ops.build_log: what was built when, by which run, with how many rows; and what failed, and why.
--
--   +post-hook: {lua: audit.record, name: audit}                            counts the rows
--   +post-hook: {lua: audit.record, name: audit, args: {sum: total_cost}}   and adds up a column
--   +on_failure: "lua: audit.failure"

local audit = {}

local function name_of(relation) return relation.schema .. "." .. relation.name end

--- on-run-start: the table, so that nodes which are built at once need not race for it.
function audit.prepare(hook)
  hook:exec [[
    create table if not exists ops.build_log (
      id bigint generated always as identity primary key,
      run_id text not null,
      relation text not null,
      status text not null,
      rows bigint,
      total numeric,
      seconds numeric(9, 3),
      message text,
      at timestamptz not null default clock_timestamp())]]
end

--- post-hook: a row for what was built, in the node's own transaction: it is there exactly when the node is. Warns
--- when a tenth of the rows that were there the last time has gone.
function audit.record(hook)
  local relation = name_of(hook.this)
  local total = hook.args.sum and ("sum(%s)"):format(hook.args.sum) or "null"
  local now = hook:query(("select count(*) as rows, %s as total from %s"):format(total, hook.this))[1]
  local before = hook:value([[
    select rows from ops.build_log where relation = $1 and status = 'built' order by id desc limit 1]], relation)
  if before and now.rows < 0.9 * before then
    hook:warn("%s had %d rows the last time and has %d now", relation, before, now.rows)
  end
  hook:exec([[
    insert into ops.build_log (run_id, relation, status, rows, total, seconds)
    values ($1, $2, 'built', $3, $4, $5)]],
    hook.run.id, relation, now.rows, now.total, hook.result.seconds)
end

--- on_failure: the node is rolled back by now; this row is not.
function audit.failure(hook)
  hook:exec("insert into ops.build_log (run_id, relation, status, message) values ($1, $2, 'failed', $3)",
    hook.run.id, name_of(hook.this), hook.error.message)
end

return audit
