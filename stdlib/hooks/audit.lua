--- Keeps a table of what was built when, by which run, with how many rows.
--
--   +post-hook: "lua: audit.record"
--   +post-hook: {lua: audit.record, args: {table: ops.builds}}
--
-- The row is written in the node's own transaction: it is there when the node is, and never without it.

local audit = {}

local function quoted(name)
  local parts = {}
  for part in name:gmatch("[^.]+") do parts[#parts + 1] = '"' .. part:gsub('"', '""') .. '"' end
  return table.concat(parts, ".")
end

local function table_of(hook)
  return quoted(hook.args.table or (hook.target.schema .. ".dex_audit"))
end

--- Creates the table when it is missing. Fit for on-run-start, so that parallel nodes need not race for it.
function audit.prepare(hook)
  hook:exec("create table if not exists " .. table_of(hook) .. [[ (
    run_id text not null, command text not null, node text not null, relation text not null,
    rows bigint, seconds double precision, built_at timestamptz not null default now())]])
end

--- Adds a row for the node.
function audit.record(hook)
  if hook:value("select to_regclass($1) is null", table_of(hook)) then
    hook:exec "select pg_advisory_xact_lock(hashtext('dex-lua audit'))"
    audit.prepare(hook)
  end
  local rows = hook:value("select count(*) from " .. hook.this)
  hook:exec("insert into " .. table_of(hook) .. [[ (run_id, command, node, relation, rows, seconds)
    values ($1, $2, $3, $4, $5, $6)]], hook.run.id, hook.run.command, hook.node.unique_id, tostring(hook.this), rows,
    hook.result and hook.result.seconds)
end

return audit
