-- config:
--   description: How much room each schema takes
--   parameters:
--     - {name: schemas, type: list, default: [raw, reporting]}
--   tags: [nightly]
--   depends_on: [strikes_by_airport, on_time_by_airport_hour]

-- What it returns is printed, and stands in target/run_results.json.
return function(op)
  local report = {}
  for _, schema in ipairs(op.args.schemas) do
    local bytes = op:value([[
      select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind in ('r', 'm')]], schema)
    op:log("%s: %d kB", schema, bytes // 1024)
    report[schema] = bytes
  end
  return report
end
