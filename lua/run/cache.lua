--- What exists in the schemas of a run: read once, then kept up to date by those who create, drop and rename.
-- A change belongs to the state that made it until its transaction ends, and is undone when that is rolled back.

local err = require "err"
local relations = require "run.relation"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The cache of a run.
---@class dex.Cache
---@field run table
---@field schemas table<string, boolean> names, in lower case, of the schemas that are listed
---@field by_key table<string, dex.Relation> "schema\0identifier" -> relation
---@field folded table<string, string> lower-case key -> key
---@field readers table<string, table<string, boolean>> key -> keys of the views that read it
---@field reads table<string, table<string, boolean>> key of a view -> keys that it reads
local Cache = {}
Cache.__index = Cache

local function key_of(schema, identifier) return (schema or "") .. "\0" .. (identifier or "") end

local function key(relation) return key_of(relation.schema, relation.identifier) end

--- A cache that knows nothing yet.
---@param run table with `project`
---@return dex.Cache
function M.new(run)
  return setmetatable({ run = run, schemas = {}, by_key = {}, folded = {}, readers = {}, reads = {} }, Cache)
end

-- Journal ----------------------------------------------------------------------------------------

-- Sets a field of one of the maps and notes what was there before.
local function set(state, map, k, v)
  if state then
    local journal = state.cache_journal
    if not journal then
      journal = {}
      state.cache_journal = journal
    end
    journal[#journal + 1] = { map, k, map[k] }
  end
  map[k] = v
end

--- The state's transaction is committed: its changes stay.
function Cache.commit(_, state) state.cache_journal = nil end

--- The state's transaction is rolled back: its changes are undone, the last one first.
function Cache.rollback(_, state)
  local journal = state.cache_journal
  for i = journal and #journal or 0, 1, -1 do
    local entry = journal[i]
    entry[1][entry[2]] = entry[3]
  end
  state.cache_journal = nil
end

-- Changes ----------------------------------------------------------------------------------------

--- A relation was created.
---@param relation dex.Relation
---@param state? table whose transaction it belongs to
function Cache:add(relation, state)
  local k = key(relation)
  set(state, self.by_key, k, relation)
  local low = k:lower()
  if not self.folded[low] then set(state, self.folded, low, k) end
end

local function remove(cache, k, state)
  set(state, cache.by_key, k, nil)
  local low = k:lower()
  if cache.folded[low] == k then set(state, cache.folded, low, nil) end
end

local function drop(cache, k, state)
  local readers = cache.readers[k]
  if readers then
    set(state, cache.readers, k, nil)
    for reader in pairs(readers) do drop(cache, reader, state) end
  end
  if cache.by_key[k] then remove(cache, k, state) end
end

--- A relation was dropped, and with it the views that read it.
function Cache:drop(relation, state) drop(self, key(relation), state) end

-- Gives the links of one key to another, on both sides.
local function move_links(links, back, old, new, state)
  local linked = links[old]
  if not linked then return end
  set(state, links, old, nil)
  set(state, links, new, linked)
  for other in pairs(linked) do
    local changed = {}
    for k in pairs(back[other] or {}) do changed[k ~= old and k or new] = true end
    set(state, back, other, changed)
  end
end

--- A relation got another name; the views that read it still do.
---@param from dex.Relation
---@param to dex.Relation
---@param state? table
function Cache:rename(from, to, state)
  local old, new = key(from), key(to)
  local known = self.by_key[old]
  if known then remove(self, old, state) end
  local kind = known and known.type or to.type
  self:add(kind == to.type and to or relations.with(to, { type = kind or value.none }), state)
  move_links(self.readers, self.reads, old, new, state)
  move_links(self.reads, self.readers, old, new, state)
end

--- A schema was dropped with everything in it.
function Cache:drop_schema(schema)
  local low = schema:lower()
  self.schemas[low] = nil
  for k, relation in pairs(self.by_key) do
    if (relation.schema or ""):lower() == low then self.by_key[k] = nil end
  end
  for low_key in pairs(self.folded) do
    if low_key:match("^[^%z]*") == low then self.folded[low_key] = nil end
  end
end

-- Questions --------------------------------------------------------------------------------------

--- Whether a schema's relations are known.
function Cache:knows(schema) return self.schemas[schema:lower()] == true end

local function fold(text, is_quoted)
  if text and not is_quoted then return text:lower() end
  return text
end

--- The relation of a name. Raises when there is one whose name differs only in the case of its letters.
---@param schema string
---@param identifier string
---@return dex.Relation|nil
function Cache:get(schema, identifier)
  local quoting = self.run.project.quoting
  schema, identifier = fold(schema, quoting.schema), fold(identifier, quoting.identifier)
  local k = key_of(schema, identifier)
  local found = self.by_key[k]
  if found then return found end
  local alike = self.folded[k:lower()]
  if alike and self.by_key[alike] then
    relations.matches(self.by_key[alike], { schema = schema, identifier = identifier })
  end
end

-- Reading the database ---------------------------------------------------------------------------

local listing = [[
select n.nspname, c.relname,
  case c.relkind when 'v' then 'view' when 'm' then 'materialized_view' else 'table' end as kind
from pg_catalog.pg_namespace n
left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relkind in ('r', 'p', 'f', 'v', 'm')
where lower(n.nspname) in (%s);
select distinct rn.nspname, r.relname, dn.nspname, d.relname
from pg_catalog.pg_namespace rn
join pg_catalog.pg_class r on r.relnamespace = rn.oid
join pg_catalog.pg_depend p on p.refclassid = 'pg_catalog.pg_class'::regclass and p.refobjid = r.oid
  and p.classid = 'pg_catalog.pg_rewrite'::regclass
join pg_catalog.pg_rewrite w on w.oid = p.objid and w.ev_class <> r.oid
join pg_catalog.pg_class d on d.oid = w.ev_class
join pg_catalog.pg_namespace dn on dn.oid = d.relnamespace
where lower(rn.nspname) in (%s)]]

local function add_link(links, from, to)
  local set_of = links[from]
  if not set_of then
    set_of = {}
    links[from] = set_of
  end
  set_of[to] = true
end

-- Notes one listed relation.
local function note(cache, database, schema, name, kind)
  cache:add(relations.create { database = database, schema = schema, identifier = name, type = kind })
end

local function literals(conn, names)
  local out = {}
  for i, name in ipairs(names) do out[i] = conn:escape_literal(name) end
  return table.concat(out, ", ")
end

local function read(cache, conn, names)
  local database = cache.run.project.profile.target.database
  local sql = literals(conn, names)
  local all = conn:exec(listing:format(sql, sql)).all
  local present = {}
  local listed, links = all[1], all[2]
  for i = 1, #listed do
    local schema, name = listed:get(i, 1), listed:get(i, 2)
    present[schema] = true
    if name then note(cache, database, schema, name, listed:get(i, 3)) end
  end
  for i = 1, #links do
    local referenced, reader = key_of(links:get(i, 1), links:get(i, 2)), key_of(links:get(i, 3), links:get(i, 4))
    add_link(cache.readers, referenced, reader)
    add_link(cache.reads, reader, referenced)
  end
  return present
end

-- Whether the project has something of its own in the place of a macro that lists.
local function overridden(project)
  for package, index in pairs(project.macro_index) do
    if package ~= "dbt" then
      for _, name in ipairs { "list_relations_without_caching", "postgres__list_relations_without_caching" } do
        if index[name] then return true end
      end
    end
  end
  return false
end

--- Lists a schema through the macro list_relations_without_caching. May wait.
---@param schema string
---@param call fun(name: string, ...): any calls a macro of the project
function Cache:list_by_macro(schema, call)
  local database = self.run.project.profile.target.database
  local rows = call("list_relations_without_caching", relations.create { database = database, schema = schema })
  for _, row in ipairs(rows.rows_of) do
    if row[4] ~= "function" then note(self, opt(row[1]), row[3], row[2], opt(row[4])) end
  end
  self.schemas[schema:lower()] = true
end

--- Reads what stands in the schemas of a run, in one query. May wait.
---@param conn userdata
---@param wanted {database: string|nil, schema: string}[]
---@return {database: string|nil, schema: string}[] those that do not exist
function Cache:load(conn, wanted)
  local names, asked = {}, {}
  local target = self.run.project.profile.target.database
  for _, item in ipairs(wanted) do
    local database = opt(item.database)
    if database and target and tostring(database):lower() ~= tostring(target):lower() then
      err.raise { code = 422, message = ("schema %s.%s is in another database than the target's, %s"):format(database,
        item.schema, target), hint = "PostgreSQL cannot reach from one database into another: remove the `database`" }
    end
    local low = item.schema:lower()
    if not asked[low] then
      asked[low] = true
      names[#names + 1] = low
    end
  end
  if #names == 0 then return {} end
  local present = read(self, conn, names)
  local missing = {}
  local by_macro = overridden(self.run.project)
  local quoted = self.run.project.quoting.schema
  for _, item in ipairs(wanted) do
    local name = fold(item.schema, quoted)
    if not present[name] then missing[#missing + 1] = item end
    if not by_macro or not present[name] then self.schemas[name:lower()] = true end
  end
  if by_macro then
    self.by_key, self.folded = {}, {}
  end
  return missing
end

return M
