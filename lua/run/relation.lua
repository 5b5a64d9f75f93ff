--- Relations: the names of tables and views, and how they are quoted. Immutable: what looks like a change gives
-- another relation.

local err = require "err"
local object = require "run.object"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

--- Longer identifiers are cut by PostgreSQL without an error, so that two of them may collide.
M.MAX_NAME = 63

M.parts = { "database", "schema", "identifier" }

local all_true = { database = true, schema = true, identifier = true }

--- A relation. The fields are raw; the rest is computed.
---@class dex.Relation
---@field database string|nil
---@field schema string|nil
---@field identifier string|nil
---@field type "table"|"view"|"materialized_view"|"cte"|"ephemeral"|"external"|"pointer_table"|"function"|nil
---@field quoting {database: boolean, schema: boolean, identifier: boolean} which parts are quoted
---@field including {database: boolean, schema: boolean, identifier: boolean} which parts are printed
---@field limit integer|nil printed as a subquery with this limit
---@field where string|nil printed as a subquery with this condition
---@field view string|nil of information_schema, for relations of that kind
---@field name string|nil the identifier
---@field table string|nil the identifier
---@field is_table boolean
---@field is_view boolean
---@field is_materialized_view boolean
---@field is_cte boolean
local Relation = { __name = "dex.relation" }

local function policy(base, changes)
  if not opt(changes) then return base end
  local merged
  for _, part in ipairs(M.parts) do
    local v = opt(changes[part])
    if v ~= nil and v ~= base[part] then
      merged = merged or { database = base.database, schema = base.schema, identifier = base.identifier }
      merged[part] = v
    end
  end
  return merged or base
end

local function make(fields)
  for _, part in ipairs(M.parts) do
    local v = fields[part]
    if v ~= nil and type(v) ~= "string" then
      err.raise { code = 240, message = ("the %s of a relation must be text, not %s"):format(part, tostring(v)) }
    end
  end
  local id = fields.identifier
  if id and fields.type and #id > M.MAX_NAME then
    err.raise { code = 243, message = ("relation name '%s' is longer than %d bytes"):format(id, M.MAX_NAME),
      hint = "give the model a shorter `alias`" }
  end
  return setmetatable(fields, Relation)
end

--- Makes a relation. Parts may be nil, none or absent.
---@param of {database?: string, schema?: string, identifier?: string, type?: string, quoting?: table, limit?: integer}
---@return dex.Relation
function M.create(of)
  return make { database = opt(of.database), schema = opt(of.schema), identifier = opt(of.identifier),
    type = opt(of.type), quoting = policy(all_true, of.quoting), including = policy(all_true, of.including),
    limit = opt(of.limit), where = opt(of.where), view = opt(of.view) }
end

--- Whether x is a relation.
function M.is(x) return type(x) == "table" and getmetatable(x) == Relation end

-- A copy with some fields replaced; `none` takes a field away.
local function with(relation, changes)
  local copy = { database = rawget(relation, "database"), schema = rawget(relation, "schema"),
    identifier = rawget(relation, "identifier"), type = rawget(relation, "type"), quoting = relation.quoting,
    including = relation.including, limit = rawget(relation, "limit"), view = rawget(relation, "view"),
    where = rawget(relation, "where") }
  for k, v in pairs(changes) do
    if v == none then v = nil end
    copy[k] = v
  end
  return make(copy)
end

M.with = with

-- Nodes ------------------------------------------------------------------------------------------

local of_nodes = setmetatable({}, { __mode = "k" })

--- The relation of a node or source. Its type is not known. Kept as long as the node has the same name.
---@param project table
---@param node table
---@return dex.Relation
function M.of_node(project, node)
  local known = of_nodes[node]
  local is_source = node.resource_type == "source"
  local identifier = is_source and node.identifier or node.alias
  local database, schema = opt(node.database), opt(node.schema)
  if known and rawget(known, "identifier") == identifier and rawget(known, "schema") == schema
    and rawget(known, "database") == database then
    return known
  end
  local quoting = policy(all_true, is_source and node.quoting or project.quoting)
  known = make { database = database, schema = schema, identifier = opt(identifier), quoting = quoting,
    including = all_true }
  of_nodes[node] = known
  return known
end

--- How an ephemeral model is called where it is used.
function M.cte_name(name) return "__dbt__cte__" .. name end

local cte_quoting = { database = true, schema = true, identifier = false }

--- The relation of an ephemeral model: the name of its CTE.
function M.of_ephemeral(node)
  return make { identifier = M.cte_name(node.alias), type = "cte", quoting = cte_quoting, including = all_true }
end

-- Printing ---------------------------------------------------------------------------------------

local function quoted(text) return '"' .. text:gsub('"', '""') .. '"' end

--- The name alone, as SQL.
---@param relation dex.Relation
---@return string
function M.render(relation)
  local text = rawget(relation, "text")
  if text then return text end
  local out = {}
  local quoting, including = relation.quoting, relation.including
  for _, part in ipairs(M.parts) do
    local v = including[part] and rawget(relation, part)
    if v then out[#out + 1] = quoting[part] and quoted(v) or v end
  end
  out[#out + 1] = rawget(relation, "view")
  text = table.concat(out, ".")
  rawset(relation, "text", text)
  return text
end

local function render_limited(relation)
  local text, limit, where = M.render(relation), rawget(relation, "limit"), rawget(relation, "where")
  if not limit and not where then return text end
  local name = rawget(relation, "identifier") or ""
  if limit then
    local rows = limit == 0 and "where false limit 0" or ("limit %d"):format(limit)
    text = ("(select * from %s %s) _dbt_limit_subq_%s"):format(text, rows, name)
  end
  if where then text = ("(select * from %s where %s) _dbt_et_filter_subq_%s"):format(text, where, name) end
  return text
end

Relation.__tostring = render_limited
Relation.__repr = function(relation) return ("<PostgresRelation %s>"):format(M.render(relation)) end
Relation.__concat = function(a, b) return tostring(a) .. tostring(b) end

local function same_policy(a, b)
  return a == b or (a.database == b.database and a.schema == b.schema and a.identifier == b.identifier)
end

Relation.__eq = function(a, b)
  if not M.is(a) or not M.is(b) then return false end
  for _, key in ipairs { "database", "schema", "identifier", "type", "limit", "view" } do
    if rawget(a, key) ~= rawget(b, key) then return false end
  end
  return same_policy(a.quoting, b.quoting) and same_policy(a.including, b.including)
end

-- dbt's relations are mappings, and dbt_utils asks.
Relation.__mapping = true

-- Fields and methods -----------------------------------------------------------------------------

--- The words for the kinds, as the class has them.
M.types = { Table = "table", View = "view", CTE = "cte", External = "external", MaterializedView = "materialized_view",
  PointerTable = "pointer_table", Function = "function", Ephemeral = "ephemeral" }

local renameable = { table = true, view = true }

local function raw(key) return function(relation) return rawget(relation, key) end end
local function is_type(name) return function(relation) return rawget(relation, "type") == name end end
local function policy_dict(key)
  return function(relation)
    local p = rawget(relation, key)
    return value.dict("database", p.database, "schema", p.schema, "identifier", p.identifier)
  end
end

local getters = {
  database = raw "database", schema = raw "schema", identifier = raw "identifier", name = raw "identifier",
  table = raw "identifier", type = raw "type", limit = raw "limit", information_schema_view = raw "view",
  is_table = is_type "table", is_view = is_type "view", is_materialized_view = is_type "materialized_view",
  is_cte = is_type "cte", is_pointer = is_type "pointer_table", is_function = is_type "function",
  can_be_renamed = function(relation) return renameable[rawget(relation, "type")] == true end,
  can_be_replaced = function(relation) return renameable[rawget(relation, "type")] == true end,
  quote_policy = policy_dict "quoting", include_policy = policy_dict "including",
  quote_character = function() return '"' end,
  path = function(relation)
    local d = value.dict()
    for _, part in ipairs(M.parts) do d[part] = value.or_none(rawget(relation, part)) end
    return d
  end,
}
for name, text in pairs(M.types) do getters[name] = function() return text end end

-- Its name with a suffix, cut to what PostgreSQL takes: between two characters, never inside of one.
local function with_suffix(relation, suffix)
  local name = rawget(relation, "identifier") or ""
  local room = math.max(M.MAX_NAME - #suffix, 0)
  while room > 0 and (name:byte(room + 1) or 0) & 0xC0 == 0x80 do room = room - 1 end
  return with(relation, { identifier = name:sub(1, room) .. suffix })
end

local function incorporate(relation, changes)
  local fields = {}
  for key, v in pairs(changes) do
    if key == "path" then
      for _, part in ipairs(M.parts) do
        if v[part] ~= nil then fields[part] = v[part] end
      end
    elseif key == "quote_policy" then
      fields.quoting = policy(relation.quoting, v)
    elseif key == "include_policy" then
      fields.including = policy(relation.including, v)
    elseif key == "information_schema_view" then
      fields.view = v
    else
      fields[key] = v
    end
  end
  return with(relation, fields)
end

-- Whether a part is the one asked for: as it is written, or folded by the database when dbt does not quote it.
local function part_matches(relation, part, wanted)
  local own = rawget(relation, part)
  if own == nil then return false, false end
  local alike = own:lower():gsub('"', "") == wanted:lower():gsub('"', "")
  return own == wanted or (not relation.quoting[part] and own:lower() == wanted:lower()), alike
end

--- Whether a relation has these parts; nil leaves a part open. Raises when the letters are the same and their
--- case is not.
---@param relation dex.Relation
---@param wanted {database: string|nil, schema: string|nil, identifier: string|nil}
---@return boolean
function M.matches(relation, wanted)
  local exact, alike, asked = true, true, false
  for _, part in ipairs(M.parts) do
    local text = opt(wanted[part])
    if text then
      asked = true
      local part_exact, part_alike = part_matches(relation, part, text)
      exact, alike = exact and part_exact, alike and part_alike
    end
  end
  if not asked then
    err.raise { code = 240, message = "a relation is matched by its database, schema or identifier" }
  end
  if alike and not exact then
    err.raise { code = 423, message = ("%s is there, which differs from %s only in the case of its letters"):format(
      M.render(relation), M.render(M.create(wanted))), hint = "drop or rename one of them, or set `quoting`" }
  end
  return exact
end

local function information_schema(relation, view)
  local including = { database = rawget(relation, "database") ~= nil, schema = false, identifier = true }
  local quoting = { database = relation.quoting.database, schema = relation.quoting.schema, identifier = false }
  return make { database = rawget(relation, "database"), identifier = "INFORMATION_SCHEMA", type = "view",
    quoting = quoting, including = including, view = type(view) == "string" and view or nil }
end

local methods = object.methods {
  ["render()"] = M.render,
  ["render_limited()"] = render_limited,
  ["quoted(identifier)"] = function(_, identifier) return quoted(identifier) end,
  ["quote(database=none, schema=none, identifier=none)"] = function(relation, database, schema, identifier)
    return with(relation, { quoting = policy(relation.quoting,
      { database = database, schema = schema, identifier = identifier }) })
  end,
  ["include(database=none, schema=none, identifier=none)"] = function(relation, database, schema, identifier)
    return with(relation, { including = policy(relation.including,
      { database = database, schema = schema, identifier = identifier }) })
  end,
  ["incorporate(**changes)"] = incorporate,
  ["replace(**changes)"] = incorporate,
  ["replace_path(**changes)"] = with,
  ["without_identifier()"] = function(relation)
    return with(relation, { identifier = none, including = policy(relation.including, { identifier = false }) })
  end,
  ["information_schema(view_name=none)"] = information_schema,
  ["information_schema_only()"] = information_schema,
  ["matches(database=none, schema=none, identifier=none)"] = function(relation, database, schema, identifier)
    return M.matches(relation, { database = database, schema = schema, identifier = identifier })
  end,
  ["get_materialized_view_config_change_collection(relation_results, relation_config)"] = function(_, described, node)
    return require("run.materialized_view").changes(described, node)
  end,
  ["relation_max_name_length()"] = function() return M.MAX_NAME end,
  ["with_suffix(suffix)"] = with_suffix,
  ["add_ephemeral_prefix(name)"] = function(_, name) return M.cte_name(name) end,
  ["get(key, default=none)"] = function(relation, key, default)
    if key == "metadata" then return value.dict("type", "PostgresRelation") end
    local getter = getters[key]
    if getter then return value.or_none(getter(relation)) end
    return default
  end,
}

object.class(Relation, getters, methods)

-- The class --------------------------------------------------------------------------------------

local RelationClass = { __name = "dex.relation_class" }

local function default_policy() return value.dict("database", true, "schema", true, "identifier", true) end

local class_methods = object.methods {
  ["create(database=none, schema=none, identifier=none, type=none, **more)"] =
    function(class, database, schema, identifier, type_name, more)
      return M.create { database = database, schema = schema, identifier = identifier, type = type_name,
        quoting = policy(class.quoting, more.quote_policy), including = more.include_policy, limit = more.limit }
    end,
  ["add_ephemeral_prefix(name)"] = function(_, name) return M.cte_name(name) end,
  ["scd_args(primary_key, updated_at)"] = function(_, primary_key, updated_at)
    local args = value.list()
    if value.is_list(primary_key) then table.move(primary_key, 1, #primary_key, 1, args) else args[1] = primary_key end
    args[#args + 1] = updated_at
    return args
  end,
  ["get_default_quote_policy()"] = default_policy,
  ["get_default_include_policy()"] = default_policy,
  ["get_relation_type(name)"] = function(_, name)
    for _, known in pairs(M.types) do
      if known == name then return known end
    end
    err.raise { code = 240, message = ("'%s' is no kind of relation"):format(tostring(name)) }
  end,
}

local class_getters = {}
for name, text in pairs(M.types) do class_getters[name] = function() return text end end

object.class(RelationClass, class_getters, class_methods)
RelationClass.__tostring = function() return "<class 'PostgresRelation'>" end

--- The class as templates see it, `api.Relation`.
---@param quoting table the project's quoting
function M.class(quoting)
  return setmetatable({ quoting = policy(all_true, quoting) }, RelationClass)
end

return M
