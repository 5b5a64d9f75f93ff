--- Drops relations that no node owns any more: models that were renamed, removed or switched off.
--
--   on-run-end: {lua: orphans.drop}                             # only says what it would drop
--   on-run-end: {lua: orphans.drop, args: {dry_run: false, keep: [legacy_%]}, commands: [build]}
--
-- It looks where the project's nodes are, or into `schemas`. Kept are sources, what belongs to an extension or another
-- role, names that begin with dex_ or are like a pattern of `keep`. What others depend on is an error: no cascade.

local json = require "dex.json"

local orphans = {}

-- Schema and name of everything that the project owns or reads.
local owned = [=[
{%- set found = [] -%}
{%- for node in graph.nodes.values() if node.schema and node.config.materialized != 'ephemeral' -%}
  {%- do found.append([node.schema, node.alias or node.name, node.resource_type in ['model', 'seed', 'snapshot']]) -%}
  {%- do found.append([node.schema, node.name, false]) if node.version -%}
{%- endfor -%}
{%- for source in graph.sources.values() -%}
  {%- do found.append([source.schema, source.identifier, false]) -%}
{%- endfor -%}
{{ tojson(found) }}]=]

local standing = [[
  select n.nspname as schema, c.relname as name, c.oid::regclass::text as sql,
    case c.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end as kind
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in (select jsonb_array_elements_text($1::jsonb)) and c.relkind in ('r', 'p', 'v', 'm')
    and not c.relispartition and pg_has_role(c.relowner, 'usage') and c.relname not like 'dex\_%'
    and not exists (select from jsonb_array_elements_text($2::jsonb) k where c.relname like k)
    and not exists (select from pg_depend d
      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  order by c.oid desc]]

-- All or nothing: what others stand on waits for its turn; when nothing goes any more, the server says why.
local drop_all = [[
do $drop$ declare todo text[] := array(select jsonb_array_elements_text(current_setting('dex.orphans')::jsonb));
  again text[]; one text; begin
  while cardinality(todo) > 0 loop again := '{}';
    foreach one in array todo loop
      begin execute 'drop ' || one;
      exception when dependent_objects_still_exist then again := again || one; end;
    end loop;
    if again = todo then execute 'drop ' || todo[1]; end if;
    todo := again;
  end loop;
end $drop$]]

local function array(values)
  local words = {}
  for i, v in ipairs(type(values) == "string" and { values } or values) do words[i] = json.encode(v) end
  return "[" .. table.concat(words, ",") .. "]"
end

local function find(hook)
  local known, schemas = {}, {}
  for _, item in ipairs(json.decode(hook:render(owned))) do
    known[item[1] .. "\0" .. item[2]] = true
    if item[3] then schemas[#schemas + 1] = item[1] end
  end
  local rows, found = hook:query(standing, array(hook.args.schemas or schemas), array(hook.args.keep or {})), {}
  for _, row in ipairs(rows) do
    if not known[row.schema .. "\0" .. row.name] then found[#found + 1] = row end
  end
  return found
end

--- Logs the relations that no node owns; with `dry_run: false` it drops them.
function orphans.drop(hook)
  local left, is_dry = find(hook), hook.args.dry_run ~= false
  for _, row in ipairs(left) do hook:log("%s %s %s", is_dry and "would drop" or "drops", row.kind, row.sql) end
  if is_dry or #left == 0 then return end
  local drops = {}
  for i, row in ipairs(left) do drops[i] = row.kind .. " " .. row.sql end
  hook:exec("select set_config('dex.orphans', $1, false)", array(drops))
  hook:exec(drop_all)
end

return orphans
