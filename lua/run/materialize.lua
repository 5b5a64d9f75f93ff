--- Builds a model or snapshot with its materialization: one of the project's own, in Jinja or in Lua, or one of
-- stdlib/materializations. It runs in the `build` phase, inside the node's transaction.

local err = require "err"
local files = require "run.materialization_files"
local macros = require "project.macros"
local relations = require "run.relation"
local statement = require "run.statement"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- What a materialization in Lua receives: the node and the means to build it. Everything that sends SQL goes
--- through macros, so that a project which overrides one of them is heard.
---@class dex.Build
---@field state table
---@field node table the manifest's node
---@field config table
---@field sql string the compiled SELECT
---@field target table relation to build
---@field existing table|nil relation of that name in the database
---@field full_refresh boolean
---@field none any what macros give for nothing
local Build = { none = value.none }
Build.__index = Build

--- Calls a macro of the project by name; returns its value, or its text.
function Build:call(name, ...)
  local macro = self.state.context[name]
  if macro == nil then
    err.raise { code = 901, message = ("there is no macro '%s'"):format(name) }
  end
  return macro(...)
end

--- Runs the statement that counts as the node's own: it is written to target/run, and its result is what
--- load_result('main') gives. May wait.
---@param sql string
---@return userdata result
function Build:main(sql)
  local state = self.state
  state:write_run(sql)
  local result = state:execute(sql)
  state:store_main(statement.response(result))
  return result
end

--- The node's relation as a table, view or materialized view.
---@param kind string
function Build:relation(kind)
  return relations.with(self.target, { type = kind })
end

--- The relation of the same name in the database, or nil.
function Build:find(relation)
  return opt(self:call("load_cached_relation", relation))
end

--- The node's relation, which was found in the database beside the list of relations, as one of a kind.
---@param kind string
---@return table relation
function Build:found(kind)
  self.existing = self:relation(kind)
  self.state.replaced = self.existing
  self.state.run.cache:add(self.existing, self.state)
  return self.existing
end

--- Drops what an interrupted run of dbt left behind under a name. May wait.
function Build:drop_leftover(relation)
  local found = self:find(relation)
  if found then self.state.context.adapter.drop_relation(found) end
end

--- Builds the node's relation anew. The one that is there stays until its successor takes its name, and is
--- dropped at the end of the transaction, with the views that read it, as dbt does. May wait.
---@param target table
---@param make fun(relation: table) builds a relation, under the name that it is given
function Build:replace(target, make)
  if not self.existing then return make(target) end
  local adapter = self.state.context.adapter
  local intermediate = self:call("make_intermediate_relation", target)
  local backup = self:call("make_backup_relation", target, self.existing.type)
  self:drop_leftover(intermediate)
  self:drop_leftover(backup)
  local constraints = opt(self.node.constraints)
  if constraints and #constraints > 0 and self.existing.is_table then
    self:call("release_constraint_names", self.existing, constraints)
  end
  make(intermediate)
  adapter.rename_relation(self.existing, backup)
  adapter.rename_relation(intermediate, target)
  self:finally(function() adapter.drop_relation(backup) end)
end

--- Runs a statement beside the node's own. May wait.
---@param sql string
function Build:execute(sql) self.state:execute(sql) end

--- A temporary table with the rows of the node's query, gone at the end of the transaction. May wait.
---@param target table
---@param sql string
---@return table relation
function Build:stage(target, sql)
  local temp = self:call("make_temp_relation", target)
  self:execute(self:call("get_create_table_as_sql", true, temp, sql))
  self:drop_at_end(temp)
  return temp
end

--- Drops a relation at the end of the transaction.
function Build:drop_at_end(relation)
  self:finally(function() self.state.context.adapter.drop_relation(relation) end)
end

--- The relation was changed and not built anew: privileges that it has and the configuration does not name are
--- taken back.
function Build:keep() self.state.rebuilt = false end

--- Nothing was done, and grants and comments stay as they are.
---@param message string what the result says
function Build:leave(message)
  self.state:store_main(statement.new_response(message, "skip", -1))
  self.state.custom = true
end

--- A setting, nil when it is absent or null.
function Build:setting(name) return opt(self.config[name]) end

--- A setting that is a list, or one value in the place of a list of one; nil when it is absent or empty.
function Build:list(name)
  local v = opt(self.config[name])
  if v == nil or v == "" then return nil end
  if value.is_list(v) then return #v > 0 and v or nil end
  return value.list { v }
end

--- A list for macros.
---@param items any[]
function Build.sequence(_, items) return value.list(items) end

--- A dict for macros from names and values; nil becomes none.
function Build.dict(_, ...)
  local d, given = value.dict(), table.pack(...)
  for i = 1, given.n, 2 do d[given[i]] = value.or_none(given[i + 1]) end
  return d
end

--- Fails for a setting of the node, in its file.
---@param message string
---@param hint? string
function Build:refuse(message, hint)
  local info = self.state.info
  err.raise { code = 177, message = message, file = info.file, line = info.line, hint = hint }
end

--- A statement of build:main has dropped a relation, and the views that read it.
function Build:forget(relation) self.state.run.cache:drop(relation, self.state) end

--- The overloads of a function, each as a build of its own whose `model` has the overload's arguments, result and
--- body: an iterator. May wait: the bodies are rendered.
---@return fun(): dex.Build|nil
function Build:overloads()
  local state, i = self.state, 0
  return function()
    i = i + 1
    local overload = opt(self.node.overloads) and self.node.overloads[i]
    if not overload then return nil end
    local own = setmetatable({ node = value.copy_dict(self.node), model_view = false, context = false,
      macro_context = false }, { __index = state })
    local info = state.info.overloads[overload.defined_in]
    own.context = require("run.context").node(own)
    overload.compiled_body = info.template:render(own.context)
    own.node.compiled_code, own.node.arguments = overload.compiled_body, overload.arguments
    own.node.returns = opt(overload.returns) or self.node.returns
    own.model_view = false
    return setmetatable({ state = own, node = own.node, config = self.config, sql = own.node.compiled_code,
      target = self.target, full_refresh = self.full_refresh }, Build)
  end
end

--- Work for the end of the transaction, behind the post-hooks.
function Build:finally(fn)
  local list = self.state.finally or {}
  self.state.finally = list
  list[#list + 1] = fn
end

-- Finding one -----------------------------------------------------------------------------------------

local function missing(run, node, name)
  local info = run.project.info[node.unique_id] or {}
  local names = files.names(run)
  local known = {}
  for _, other in ipairs(names) do known[other] = true end
  for _, other in ipairs(macros.materialization_names(run.project)) do
    if not known[other] then names[#names + 1] = other end
  end
  table.sort(names)
  err.raise { code = 175, message = ("there is no materialization '%s'"):format(name), file = info.file,
    hint = err.did_you_mean(name, names) or "there are " .. table.concat(names, ", ") }
end

-- The relations that a materialization gives.
local function relations_of(result)
  local found = result
  if value.is_dict(result) then found = opt(result.relations) end
  if type(found) ~= "table" then return {} end
  return found
end

--- Whether the project, or a package, has a materialization of a name that dex-lua does not bring as a file: how
--- seeds, tests and unit tests are replaced.
---@param run table
---@param name string
---@return boolean
function M.is_custom(run, name)
  local fn, macro = files.find(run, name)
  return (fn or macro) ~= nil
end

local builds = { model = true, snapshot = true, seed = true }

local function check_result(macro, result)
  if value.is_dict(result) and value.is_list(result.relations) then return end
  err.raise { code = 176, message = ("%s did not return the relations that it built"):format(macro.name),
    file = macro.file, line = macro.line, hint = "end it with {{ return({'relations': [target_relation]}) }}" }
end

-- Builds with a function of a file. May wait.
local function run_lua(state, fn)
  local node, context = state.node, state.context
  local build = setmetatable({ state = state, node = node, config = node.config, sql = node.compiled_code,
    target = context.this, full_refresh = opt(context.should_full_refresh()) == true }, Build)
  build.existing = build:find(context.this)
  state.replaced = build.existing
  return relations_of(fn(build))
end

--- Builds the node of a state. Returns the relations that it built. May wait.
---@param state table of lua/run/node.lua
---@return table[] relations
function M.run(state)
  local run, node = state.run, state.node
  local name = node.config.materialized
  local fn, macro = files.find(run, name)
  if macro then
    state.custom = true
    local result = macro.fn:bind(state.context)()
    if builds[node.resource_type] then check_result(macro, result) end
    return relations_of(result)
  end
  if not fn then missing(run, node, name) end
  return run_lua(state, fn)
end

--- A built-in materialization as the macro of that name that dbt has: materialization_table_default() builds the
--- node as a table, for a materialization of a project that ends with it.
---@param state table
---@param name string
---@return function|nil
function M.as_macro(state, name)
  local kind = name:match("^materialization_([%w_]+)_default$") or name:match("^materialization_([%w_]+)_postgres$")
  if kind == "test" and state.run then return require("run.data_test").as_macro(state) end
  local fn = kind and state.run and files.builtin(kind)
  return fn and function()
    local built = run_lua(state, fn)
    for _, relation in ipairs(built) do M.configure(state, relation) end
    return value.dict("relations", value.list(built))
  end
end

--- Grants, comments and indexes: what the configuration says about a relation that stands. May wait.
---@param state table
---@param relation table
function M.configure(state, relation)
  local node, context = state.node, state.context
  local config = node.config
  local privileges = opt(config.grants)
  if privileges and #privileges > 0 then
    local existing = value.or_none(state.replaced)
    local revoke = context.should_revoke(existing, state.rebuilt ~= false)
    context.apply_grants(relation, privileges, value.kwargs { should_revoke = revoke })
  end
  local docs = opt(config.persist_docs)
  if docs and (opt(docs.relation) or opt(docs.columns)) then context.persist_docs(relation, node) end
end

return M
