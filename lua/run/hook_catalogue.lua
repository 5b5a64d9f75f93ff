--- What the catalogue of the database says, seen by one transaction, and how two such pictures differ: relations,
-- columns, privileges, comments, indexes, constraints, triggers, functions, and how many rows the tables have that the
-- transaction has written.

local M = {}

local PICTURE = [[
with shown as (
  select n.oid, n.nspname, n.nspacl, n.nspowner from pg_namespace n
  where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'),
relations as (
  select c.*, s.nspname, s.nspname || '.' || c.relname as name from pg_class c join shown s on s.oid = c.relnamespace)
select 'schema ' || nspname as what, 'owner ' || nspowner::regrole as says from shown
union all select 'privileges of schema ' || nspname, array_to_string(nspacl, ', ') from shown where nspacl is not null
union all select case relkind when 'r' then 'table ' when 'v' then 'view ' when 'm' then 'materialized view '
    when 'S' then 'sequence ' when 'p' then 'partitioned table ' else 'relation ' end || name,
  'owner ' || relowner::regrole || case relpersistence when 'u' then ', unlogged' else '' end
    || case when relkind in ('v', 'm') then ', ' || md5(pg_get_viewdef(oid)) else '' end
  from relations where relkind in ('r', 'v', 'm', 'S', 'p', 'f')
union all select 'privileges of ' || name, array_to_string(relacl, ', ') from relations where relacl is not null
union all select 'column ' || r.name || '.' || a.attname, format_type(a.atttypid, a.atttypmod)
    || case when a.attnotnull then ' not null' else '' end
    || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
  from pg_attribute a join relations r on r.oid = a.attrelid
  left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attnum > 0 and not a.attisdropped and r.relkind in ('r', 'v', 'm', 'p', 'f')
union all select 'privileges of column ' || r.name || '.' || a.attname, array_to_string(a.attacl, ', ')
  from pg_attribute a join relations r on r.oid = a.attrelid where a.attacl is not null and not a.attisdropped
union all select 'comment on ' || r.name || coalesce('.' || a.attname, ''), d.description
  from pg_description d join relations r on r.oid = d.objoid and d.classoid = 'pg_class'::regclass
  left join pg_attribute a on a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid > 0
union all select 'comment on schema ' || s.nspname, d.description
  from pg_description d join shown s on s.oid = d.objoid and d.classoid = 'pg_namespace'::regclass
union all select 'index ' || r.name, pg_get_indexdef(r.oid) from relations r where r.relkind in ('i', 'I')
union all select 'constraint ' || k.conname || ' of ' || r.name, pg_get_constraintdef(k.oid)
  from pg_constraint k join relations r on r.oid = k.conrelid
union all select 'trigger ' || t.tgname || ' of ' || r.name, pg_get_triggerdef(t.oid)
  from pg_trigger t join relations r on r.oid = t.tgrelid where not t.tgisinternal
union all select 'function ' || s.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid)
    || ')',
  md5(coalesce(p.prosrc, '')) || coalesce(', ' || array_to_string(p.proacl, ', '), '')
  from pg_proc p join shown s on s.oid = p.pronamespace
union all select 'default privileges for ' || defaclobjtype::text || coalesce(' in ' || s.nspname, ''),
  array_to_string(a.defaclacl, ', ') from pg_default_acl a left join shown s on s.oid = a.defaclnamespace]]

local WRITTEN = [[
select format('%I.%I', n.nspname, c.relname) as name from pg_stat_xact_all_tables t
join pg_class c on c.oid = t.relid join pg_namespace n on n.oid = c.relnamespace
where t.n_tup_ins + t.n_tup_upd + t.n_tup_del > 0 and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
  and c.relkind in ('r', 'p')]]

--- A picture of the catalogue, as the connection's transaction sees it. May wait.
---@param conn userdata
---@return table<string, string> what is there -> what it is
function M.picture(conn)
  local found = {}
  local result = conn:exec(PICTURE)
  for i = 1, #result do found[result:text(i, 1)] = result:text(i, 2) or "" end
  local written, counts = conn:exec(WRITTEN), {}
  for i = 1, #written do
    local name = written:text(i, 1)
    counts[i] = ("select '%s', count(*)::text from %s"):format(name:gsub("'", "''"), name)
  end
  if #counts == 0 then return found end
  local rows = conn:exec(table.concat(counts, " union all "))
  for i = 1, #rows do found["rows of " .. rows:text(i, 1)] = rows:text(i, 2) end
  return found
end

--- How two pictures differ, one line for each difference, sorted by what differs.
---@param before table<string, string>
---@param after table<string, string>
---@return string[] lines "+ view dev.m", "- ...", "~ privileges of dev.m: a -> b"
function M.differences(before, after)
  local names, lines = {}, {}
  for name, says in pairs(after) do
    if before[name] ~= says then names[#names + 1] = name end
  end
  for name in pairs(before) do
    if after[name] == nil then names[#names + 1] = name end
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local old, new = before[name], after[name]
    if not old and name:find "^rows of " then
      lines[i] = ("~ %s: %s now"):format(name, new)
    elseif not old then
      lines[i] = ("+ %s%s"):format(name, name:find "^schema " and "" or ": " .. new)
    elseif not new then
      lines[i] = "- " .. name
    else
      lines[i] = ("~ %s: %s -> %s"):format(name, old, new)
    end
  end
  return lines
end

return M
