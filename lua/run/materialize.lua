--- Builds a model: with the project's own materialization in Jinja, or with one of stdlib/materializations in
-- Lua. It runs in the `build` phase, inside the node's transaction.

local embed = require "dex.embed"
local err = require "err"
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
local Build = {}
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

--- A relation's name with a type, and a suffix.
---@param kind string table, view
---@param suffix? string
function Build:relation(kind, suffix)
  local target = relations.with(self.target, { type = kind })
  if not suffix then return target end
  if suffix == "__dbt_backup" then return self:call("make_backup_relation", target, kind) end
  return self:call("make_intermediate_relation", target)
end

--- The relation of the same name in the database, or nil.
function Build:find(relation)
  return opt(self:call("load_cached_relation", relation))
end

--- Drops what an interrupted run of dbt left behind under a name. May wait.
function Build:drop_leftover(relation)
  local found = self:find(relation)
  if found then self.state.context.adapter.drop_relation(found) end
end

--- Puts a relation that was built under another name into the place of the existing one. The old one is
--- dropped at the end of the transaction, with the views that read it, as dbt does. May wait.
---@param intermediate table
---@param target table
---@param backup table
function Build:swap(intermediate, target, backup)
  local adapter = self.state.context.adapter
  adapter.rename_relation(self.existing, backup)
  adapter.rename_relation(intermediate, target)
  self:finally(function() adapter.drop_relation(backup) end)
end

--- Work for the end of the transaction, behind the post-hooks.
function Build:finally(fn)
  local list = self.state.finally or {}
  self.state.finally = list
  list[#list + 1] = fn
end

-- Finding one -----------------------------------------------------------------------------------------

-- The project's own come first, then those of its packages, for the adapter and then for every adapter.
local function find_macro(run, node, name)
  local project = run.project
  local type_name = project.profile.target.type
  local seen, order = {}, { project.name, node.package_name }
  for _, package in ipairs(project.packages) do order[#order + 1] = package.name end
  for _, package in ipairs(order) do
    local index = not seen[package] and project.macro_index[package]
    seen[package] = true
    if index then
      for _, adapter in ipairs { type_name, "postgres", "default" } do
        local macro = index[("materialization_%s_%s"):format(name, adapter)]
        if macro then return macro end
      end
    end
  end
end

local function names()
  local list = {}
  for _, path in ipairs(embed.list("stdlib/materializations/")) do
    list[#list + 1] = path:match("([%w_]+)%.lua$")
  end
  table.sort(list)
  return list
end

local function builtin(name)
  for _, known in ipairs(names()) do
    if known == name then return require("stdlib.materializations." .. name) end
  end
end

local later = { incremental = true, materialized_view = true, snapshot = true }

local function missing(run, node, name)
  local info = run.project.info[node.unique_id] or {}
  if later[name] then
    err.raise { code = 176, message = ("the materialization '%s' is not supported yet"):format(name), file = info.file,
      hint = ("{%% materialization %s, default %%} in the project's macros is used when there is one"):format(name) }
  end
  err.raise { code = 175, message = ("there is no materialization '%s'"):format(name), file = info.file,
    hint = err.did_you_mean(name, names()) or "the built-in ones are " .. table.concat(names(), ", ") }
end

-- The relations that a materialization gives.
local function relations_of(result)
  local found = result
  if value.is_dict(result) then found = opt(result.relations) end
  if type(found) ~= "table" then return {} end
  return found
end

--- Builds the node of a state. Returns the relations that it built. May wait.
---@param state table of lua/run/node.lua
---@return table[] relations
function M.run(state)
  local run, node = state.run, state.node
  local name = node.config.materialized
  local macro = find_macro(run, node, name)
  if macro then
    state.custom = true
    return relations_of(macro.fn:bind(state.context)())
  end
  local fn = builtin(name)
  if not fn then missing(run, node, name) end
  local context = state.context
  local build = setmetatable({ state = state, node = node, config = node.config, sql = node.compiled_code,
    target = context.this, full_refresh = opt(context.should_full_refresh()) == true }, Build)
  build.existing = build:find(context.this)
  state.replaced = build.existing
  return fn(build)
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
