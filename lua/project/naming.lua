--- Where a node is built: database, schema and alias through the macros generate_database_name,
-- generate_schema_name and generate_alias_name, which a project may override; and the quoted name.

local err = require "err"
local jinja = require "jinja"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local part_names = { "database", "schema", "identifier" }

local function trim(text) return (text:match("^%s*(.-)%s*$")) end

-- The built-in macros' work, without rendering them for every node.
local builtin = {
  database = function(project, custom) return custom and trim(custom) or project.profile.target.database end,
  schema = function(project, custom)
    local default = project.profile.target.schema
    return custom and ("%s_%s"):format(default, trim(custom)) or default
  end,
  alias = function(_, custom, node)
    if custom and custom ~= "" then return trim(custom) end
    local version = opt(node.version)
    if version then return ("%s_v%s"):format(node.name, (tostring(version):gsub("%.", "_"))) end
    return node.name
  end,
}

-- Whether the project puts something of its own before the built-in implementation of a name.
local function overridden(project, name)
  local root = project.packages[1]
  local dispatch = opt(root.config.dispatch)
  for _, entry in ipairs(value.is_list(dispatch) and dispatch or {}) do
    if entry.macro_namespace == "dbt" then return true end
  end
  local own = project.macro_index[root.name]
  for _, prefix in ipairs { "default__", "postgres__", project.profile.target.type .. "__" } do
    if own[prefix .. name] then return true end
  end
  return false
end

-- The macro that makes one part of the name for the nodes of a package; false for the built-in one.
local function generator(project, part, package)
  local cache = project.name_macros[package]
  if not cache then
    cache = {}
    project.name_macros[package] = cache
  end
  local found = cache[part]
  if found == nil then
    local name = ("generate_%s_name"):format(part)
    local index = project.macro_index
    local macro = package ~= project.name and index[package] and index[package][name] or index[project.name][name]
    if not macro and overridden(project, name) then macro = index.dbt[name] end
    found = macro or false
    cache[part] = found
  end
  return found
end

local function call(project, macro, part, custom, node)
  project.name_context = project.name_context or require("run.context").parse_context(project, node,
    require("project.scan").new_capture())
  local ok, result = pcall(jinja.call, macro.fn:bind(project.name_context), value.or_none(custom), node)
  if not ok then
    if not err.is(result) then error(result, 0) end
    error(err.wrap(result, { file = macro.file, line = macro.line, node = node.unique_id }), 0)
  end
  if type(result) == "string" then return trim(result) end
  if opt(result) == nil and part == "database" then return value.none end
  if opt(result) == nil then
    err.raise { code = 117, message = ("%s gave no %s for '%s'"):format(macro.name, part, node.name), file = macro.file,
      line = macro.line }
  end
  return trim(tostring(result))
end

local function quote(text)
  if text:find('"', 1, true) then text = text:gsub('"', '""') end
  return '"' .. text .. '"'
end

--- The quoted name of a relation.
---@param parts {database: string|nil, schema: string|nil, identifier: string}
---@param policy table which parts are quoted; all that it does not name are
---@return string
function M.render(parts, policy)
  local out = {}
  for _, part in ipairs(part_names) do
    local text = opt(parts[part])
    if text and text ~= "" then
      text = tostring(text)
      local rule = opt(policy[part])
      out[#out + 1] = (rule == nil or rule) and quote(text) or text
    end
  end
  return table.concat(out, ".")
end

-- What is quoted of a source: as the project says, then as the source says.
local function policy_of(project, source)
  local own = opt(source.quoting)
  if not own or #own == 0 then return project.quoting end
  return setmetatable({ database = opt(own.database), schema = opt(own.schema), identifier = opt(own.identifier) },
    { __index = project.quoting })
end

local function is_relational(project, node)
  local kind = node.resource_type
  if kind == "model" then return node.config.materialized ~= "ephemeral" end
  if kind == "seed" or kind == "snapshot" or kind == "function" then return true end
  if kind ~= "test" then return false end
  local store = opt(node.config.store_failures)
  if store == nil then store = project.flags.store_failures end
  return store == true
end

local generated = { "database", "schema", "alias" }

--- Sets database, schema, alias and relation_name of a node whose config is final. May wait: macros run.
---@param project table
---@param node table
function M.apply(project, node)
  local config, package = node.config, node.package_name
  local known = project.name_macros[package] or {}
  for i = 1, #generated do
    local part = generated[i]
    local custom, macro = opt(config[part]), known[part]
    if macro == nil then macro = generator(project, part, package) end
    if macro then
      node[part] = call(project, macro, part, custom, node)
    else
      node[part] = builtin[part](project, custom, node)
    end
  end
  if node.resource_type == "snapshot" then
    node.database = opt(config.target_database) or node.database
    node.schema = opt(config.target_schema) or node.schema
  end
  node.relation_name = value.none
  if is_relational(project, node) then
    node.relation_name = M.render({ database = node.database, schema = node.schema, identifier = node.alias },
      project.quoting) -- the node's own `quoting` has no effect, as in dbt
  end
end

--- The quoted name of a source table.
---@param project table
---@param source table dict
---@return string
function M.of_source(project, source)
  return M.render({ database = source.database, schema = source.schema, identifier = source.identifier },
    policy_of(project, source))
end

return M
