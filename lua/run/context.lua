--- What a template sees: dbt's context, for each phase. A context is a small table that finds a name when it is
-- first used, in dbt's order: the package's macros, the root project's, packages by name, built-in macros, then
-- the variables and functions below. Making one for each of 10,000 nodes therefore costs almost nothing.

local adapter = require "run.adapter"
local asked = require "project.asked"
local builtins = require "run.builtins"
local columns = require "run.column"
local config_object = require "run.config_object"
local err = require "err"
local exceptions = require "run.exceptions"
local flags = require "run.flags"
local jinja = require "jinja"
local macro_scope = require "run.macro_scope"
local object = require "run.object"
local project_context = require "project.context"
local relations = require "run.relation"
local resolve = require "run.resolve"
local runtime_config = require "run.runtime_config"
local members_of_project = require "project.members"
local statement = require "run.statement"
local stored = require "project.stored"
local value = require "jinja.value"
local vars = require "project.vars"

local M = {}

local none, opt = value.none, value.opt

--- The environment of one context. A run's states have more fields; these are read here.
---@class dex.ContextState
---@field project table
---@field node table the node, or the dict of a hook or operation
---@field run table|nil nil while files are parsed
---@field capture dex.Capture|nil while files are parsed: receives refs, sources, settings, macros
---@field conn userdata|nil asked at each statement
---@field statements table|nil results by name
---@field scope dex.MacroScope
---@field bound table<table, any> macro -> bound macro
---@field ctes string[]|nil ephemeral models that were referred to
---@field free_refs boolean|nil refs need not have been seen when the files were read
---@field vars table|nil dict: what var() finds instead of the project's variables
---@field fixtures table|nil of a unit test: inputs by the unique_id of what they stand for
---@field prefixes_ctes boolean|nil an operation whose SQL gets its CTEs prefixed

-- The key of a context's state.
local STATE = setmetatable({}, { __name = "state" })

--- The state of a context.
function M.state(ctx) return rawget(ctx, STATE) end

-- Macros -----------------------------------------------------------------------------------------

-- While files are parsed, the macros that a node's own text calls are its dependencies.
local function recording(state, macro, bound)
  local depth_of = state.depths
  return function(...)
    local depth = depth_of.n
    if depth == 0 then state.capture.macros[macro.unique_id] = true end
    depth_of.n = depth + 1
    local result = bound(...)
    depth_of.n = depth
    return result
  end
end

-- The macro as it is called from a context.
local function bind(ctx, state, macro)
  local bound = state.bound[macro]
  if not bound then
    bound = macro.fn:bind(ctx)
    if state.capture and state.capture.macros then bound = recording(state, macro, bound) end
    state.bound[macro] = bound
  end
  return bound
end

--- The macros of a package, as `package.macro`.
-- The built-in materializations are no macros, but have the names that those of dbt have.
local function builtin_materialization(state, name)
  if type(name) == "string" and name:find("^materialization_") then
    return require("run.materialize").as_macro(state, name)
  end
end

local Namespace = { __name = "dex.macro_namespace", __pytype = "MacroNamespace" }
Namespace.__getattr = function(namespace, name)
  local overrides = rawget(namespace, "overrides") -- of a unit test
  if overrides and overrides[name] then return overrides[name] end
  local macro = macro_scope.in_package(namespace.state.scope, namespace.package, name)
  if macro then return bind(namespace.ctx, namespace.state, macro) end
  if namespace.package == "dbt" then return builtin_materialization(namespace.state, name) end
end
Namespace.__getitem = Namespace.__getattr
Namespace.__contains = function(namespace, name)
  return macro_scope.in_package(namespace.state.scope, namespace.package, name) ~= nil
end
Namespace.__index = function(namespace, name) return Namespace.__getattr(namespace, name) end
Namespace.__methods = object.entries(object.methods {
  ["get(key, default=none)"] = function(namespace, key, default)
    return Namespace.__getattr(namespace, key) or default
  end,
})

-- Variables and functions ------------------------------------------------------------------------

-- name -> function(state, ctx) that makes the value, which the context then keeps
local members = {}
-- names whose value may change while the context lives
local fresh = { sql = true, compiled_code = true, model = true, _sql_results = true }

-- A function of the context that knows its state.
local function stateful(signature, fn)
  local name, parameters = signature:match("^([%w_]+)%((.*)%)$")
  if parameters ~= "" then parameters = ", " .. parameters end
  local call = value.fn(("%s(state%s)"):format(name, parameters), fn).call
  members[name] = function(state)
    return function(...) return call(state, ...) end
  end
end

local function text(v)
  if type(v) == "string" then return v end
  return jinja.str(v)
end

local function write_log(state, level, message)
  local run = state.run
  if run and run.log then run:log(level, run.mask and run.mask(message) or message, state.node) end
  return ""
end

stateful("log(msg, info=false)", function(state, message, info)
  return write_log(state, jinja.truth(info) and "info" or "debug", text(message))
end)
stateful("print(msg)", function(state, message)
  if flags.of(state).print == false then return "" end
  return write_log(state, "print", text(message))
end)

stateful("debug()", function(state)
  if state.run then require("repl.stop").breakpoint(state) end
  return ""
end)

stateful("load_result(name)", statement.load)
members._sql_results = statement.all
stateful("store_result(name, response, agate_table=none)", function(state, name, response, result_table)
  statement.store(state, name, response, result_table)
  return ""
end)
stateful("store_raw_result(name, message=none, code=none, rows_affected=none, agate_table=none)",
  function(state, name, message, code, rows, result_table)
    statement.store(state, name, statement.new_response(opt(message), opt(code), opt(rows)), result_table)
    return ""
  end)

stateful("write(payload)", function(state, payload)
  if state.write_run then state:write_run(payload) end
  return ""
end)

stateful("try_or_compiler_error(message_if_exception, func, *args, **kwargs)", function(_, message, fn, args, kwargs)
  local all = table.move(args, 1, #args, 1, {})
  if #kwargs > 0 then all[#all + 1] = value.kwargs(value.copy_dict(kwargs), value.keys(kwargs)) end
  local ok, result = pcall(fn, table.unpack(all))
  if ok then return result end
  err.raise { code = 231, kind = "CompilationError", message = text(message) }
end)

stateful("load_agate_table()", function(state)
  if state.node.resource_type ~= "seed" or not state.csv then
    err.raise { code = 242, message = "load_agate_table() is for seeds, and this is none" }
  end
  return require("run.seed").table(state)
end)

stateful("adapter_macro(name, *args, **kwargs)", function(_, name)
  err.raise { code = 237, message = ("adapter_macro('%s') is no longer there"):format(tostring(name)),
    hint = "write adapter.dispatch('name', 'package')(...)" }
end)

stateful("submit_python_job(parsed_model, compiled_code)", function(state)
  err.raise { code = 244, message = ("'%s' is a Python model: PostgreSQL cannot run it"):format(state.node.name) }
end)

local env_var = project_context.env_var()
local note_env_var = value.fn("env_var(state, name, default=none)", function(state, name, default)
  local found = env_var(name, default)
  local known = state.project.env_vars
  if not known then
    known = {}
    state.project.env_vars = known
  end
  known[name] = found
  return found
end)
members.env_var = function(state)
  return function(...) return note_env_var(state, ...) end
end

function members.render(_, ctx)
  return function(source) return jinja.render(text(source), ctx) end
end

-- var ----------------------------------------------------------------------------------------------

local Var = { __name = "dex.var", __pytype = "Var" }

local function known_vars(var)
  return var.state.vars or vars.of(var.state.project.vars, var.state.node.package_name)
end

local call_var = value.fn("var(self, name, *args, **kwargs)", function(var, name, args, kwargs)
  local known = known_vars(var)
  local v
  if type(name) == "string" then v = rawget(known, name) end
  if v ~= nil then
    -- texts may hold Jinja of their own
    if type(v) == "string" and v:find("{[{%%#]") then return jinja.render(v, var.ctx) end
    return v
  end
  local default = args[1]
  if default == nil then default = kwargs.default end
  if default == nil then
    if var.state.capture then return none end
    vars.missing(name, known)
  end
  return default
end)
Var.__call = function(var, ...) return call_var(var, ...) end
Var.__getattr = function() return nil end
Var.__methods = object.entries(object.methods {
  ["has_var(var_name)"] = function(var, name) return rawget(known_vars(var), name) ~= nil end,
})

function members.var(state, ctx) return setmetatable({ state = state, ctx = ctx }, Var) end

-- Where and what -----------------------------------------------------------------------------------

-- `run-operation`, and macros that the engine calls: they are of no node.
local function is_macro(node) return node.resource_type == "macro" end

local function no_relation(node) return is_macro(node) or node.resource_type == "operation" end

function members.adapter(state, ctx) return adapter.new(state, ctx) end
function members.exceptions(state) return exceptions.new(state) end
function members.target(state) return state.project.profile.target end
members.env = members.target
function members.project_name(state) return state.project.name end
function members.execute() return true end
function members.column() return columns.class end
function members.sql_now() return "now()" end
function members.defer_relation(state)
  if is_macro(state.node) then return nil end
  return require("run.deferral").of_node(state)
end

local apis = setmetatable({}, { __mode = "k" })

function members.api(state)
  local api = apis[state.project]
  if not api then
    api = value.dict("Relation", relations.class(state.project.quoting), "Column", columns.class)
    apis[state.project] = api
  end
  return api
end

members.flags = flags.of

function members.config(state) return config_object.running(state) end

function members.ref(state) return runtime_config.resolver(state, resolve.run_ref) end

function members.source(state) return runtime_config.resolver(state, resolve.run_source) end

members["function"] = function(state)
  return function(...) return resolve.run_function(state, ...) end
end

function members.metric(state) return runtime_config.resolver(state, resolve.run_metric) end

function members.this(state)
  if is_macro(state.node) then return nil end
  if no_relation(state.node) then return none end
  return relations.of_node(state.project, state.node)
end

function members.database(state)
  return opt(state.node.database) or value.or_none(state.project.profile.target.database)
end

function members.schema(state)
  return opt(state.node.schema) or value.or_none(state.project.profile.target.schema)
end

-- A copy without what is null, as dbt shows a node to its template.
local function without_nulls(d)
  local copy = value.dict()
  for k, v in pairs(d) do
    if v ~= none then copy[k] = v end
  end
  return copy
end

-- The columns with the database's names for their types.
local function translated(list)
  local copy
  for name, column in pairs(list) do
    local data_type = opt(column.data_type)
    local own = data_type and columns.translate_type(data_type)
    if own ~= data_type then
      copy = copy or value.copy_dict(list)
      copy[name] = value.copy_dict(column)
      copy[name].data_type = own
    end
  end
  return copy or list
end

function members.model(state)
  local node = state.node
  local compiled = opt(node.compiled_code) or false
  local known = state.model_view
  if known and state.model_of == compiled then return known end
  known = without_nulls(node)
  if value.is_dict(node.config) then known.config = without_nulls(node.config) end
  local contract = opt(node.contract)
  if value.is_dict(known.columns) and not (contract and contract.alias_types == false) then
    known.columns = translated(known.columns)
  end
  if compiled then known.compiled_sql = compiled end
  state.model_view, state.model_of = known, compiled
  return known
end

function members.sql(state)
  if no_relation(state.node) then return none end
  return value.or_none(opt(state.node.compiled_code))
end

function members.compiled_code(state)
  if is_macro(state.node) then return nil end
  return members.sql(state)
end

function members.pre_hooks() return value.list() end
members.post_hooks = members.pre_hooks

-- The run ------------------------------------------------------------------------------------------

function members.invocation_id(state)
  return state.run and state.run.invocation_id or state.project.invocation_id
end

function members.thread_id(state)
  return state.thread_id or state.run and state.run.thread_id or "MainThread"
end

function members.run_started_at(state)
  local from_timestamp = require("jinja.modules.datetime").datetime.attributes.fromtimestamp
  local started_at = state.run and state.run.started_at or state.project.loaded_at
  return from_timestamp(started_at, require("jinja.modules.zones").utc)
end

function members.selected_resources(state)
  local list = state.run and state.run.selected or {}
  return value.list(table.move(list, 1, #list, 1, {}))
end

function members.invocation_args_dict(state)
  asked.all("args")
  return opt(state.run and state.run.args) or opt(state.project.args) or value.dict()
end

function members.dbt_metadata_envs()
  asked.all("custom_env")
  local found, names = value.dict(), {}
  local all = require("dex.env").all()
  for name in pairs(all) do
    if name:find("^DBT_ENV_CUSTOM_ENV_") then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do found[name:gsub("^DBT_ENV_CUSTOM_ENV_", "")] = all[name] end
  return found
end

local graphs = setmetatable({}, { __mode = "k" })

function members.graph(state)
  asked.all("graph")
  local project = state.project
  local graph = graphs[project]
  if not graph then
    for _, group in ipairs(members_of_project.groups) do stored.complete(project[group]) end
    graph = value.dict("nodes", project.nodes, "sources", project.sources, "exposures", project.exposures, "groups",
      project.groups, "metrics", project.metrics, "semantic_models", project.semantic_models, "saved_queries",
      project.saved_queries, "unit_tests", project.unit_tests, "functions", project.functions)
    graphs[project] = graph
  end
  return graph
end

function members.context_macro_stack() return value.dict("call_stack", value.list(), "depth", 0) end

function members._dbt_generic_test_kwargs(state, ctx) return require("run.test_arguments").of(state.node, ctx) end

-- Parsing ------------------------------------------------------------------------------------------

local parse_members = setmetatable({}, { __index = members })

function parse_members.execute() return false end

local no_batch = value.dict("id", "", "event_time_start", "", "event_time_end", "")

-- Whether a model is built in batches shows later: a template that asks finds one without a time.
function parse_members.model(state)
  local known = members.model(state)
  if known.batch == nil then known.batch = no_batch end
  return known
end

function parse_members.config(state) return config_object.parsing(state.capture) end
function parse_members.ref(state) return runtime_config.resolver(state, resolve.parse_ref) end
function parse_members.source(state) return runtime_config.resolver(state, resolve.parse_source) end
parse_members["function"] = function(state)
  return function(...) return resolve.parse_function(state, ...) end
end
function parse_members.metric(state) return runtime_config.resolver(state, resolve.parse_metric) end

-- Contexts -----------------------------------------------------------------------------------------

-- A variable or function that is no macro.
local function member(ctx, state, name)
  local make = (state.capture and parse_members or members)[name]
  if make then return make(state, ctx) end
  local pure = builtins.pure()[name]
  if pure == nil then return builtin_materialization(state, name) end
  return pure
end

local function lookup(ctx, name)
  local state = rawget(ctx, STATE)
  local found = macro_scope.find(state.scope, name)
  local v
  if found then
    v = found.unique_id and bind(ctx, state, found)
      or setmetatable({ ctx = ctx, state = state, package = found.namespace }, Namespace)
  else
    v = member(ctx, state, name)
  end
  if v ~= nil and not fresh[name] then rawset(ctx, name, v) end
  return v
end

-- All names, for "did you mean".
local function names_of(ctx)
  local names, scope = {}, rawget(ctx, STATE).scope
  for _, from in ipairs { members, builtins.pure(), scope.project.macro_index, scope.project.macro_index[scope.package],
    scope.project.macro_index[scope.project.name], scope.project.macro_index.dbt } do
    for name in pairs(from or {}) do names[#names + 1] = name end
  end
  return names
end

local Context = { __index = lookup, __names = names_of }

-- The names that have a value in a context, each once.
local function keys_of(ctx)
  local keys, seen = value.list(), {}
  local function add(name)
    if type(name) ~= "string" or seen[name] or members[name] and ctx[name] == nil then return end
    seen[name] = true
    keys[#keys + 1] = name
  end
  for _, name in ipairs(names_of(ctx)) do add(name) end
  add "modules"
  for name in next, ctx do add(name) end -- what a run's end has, too
  table.sort(keys)
  return keys
end

--- `context` in templates: the context as a mapping.
local View = { __name = "dex.context_view", __pytype = "dict" }
View.__getattr = function(view, name) return view.ctx[name] end
View.__getitem = View.__getattr
View.__index = function(view, name) return rawget(view, "ctx")[name] end
View.__contains = function(view, name) return type(name) == "string" and view.ctx[name] ~= nil end
View.__methods = object.entries(object.methods {
  ["get(key, default=none)"] = function(view, key, default)
    local v = view.ctx[key]
    if v == nil then return default end
    return v
  end,
  ["keys()"] = function(view) return keys_of(view.ctx) end,
})

function members.context(_, ctx) return setmetatable({ ctx = ctx }, View) end

--- `builtins` in templates: the functions and variables behind macros of the same name.
local Builtins = { __name = "dex.builtins_view", __pytype = "dict" }
Builtins.__getattr = function(view, name) return member(view.ctx, view.state, name) end
Builtins.__getitem = Builtins.__getattr
Builtins.__contains = function(view, name) return member(view.ctx, view.state, name) ~= nil end

function members.builtins(state, ctx) return setmetatable({ ctx = ctx, state = state }, Builtins) end

local function new(state, package)
  state.scope = macro_scope.of(state.project, package)
  state.bound = {}
  state.bind = bind
  return setmetatable({ [STATE] = state }, Context)
end

--- The context of a node that is compiled or built, and of its hooks.
---@param state table with `run` and `node`; `conn` is asked when a query runs
---@return table ctx
function M.node(state)
  state.project = state.project or state.run.project
  return new(state, state.node.package_name)
end

--- The context of a run hook or an operation: `this` is none.
---@param state table
---@return table ctx
function M.operation(state)
  return M.node(state)
end

--- The context in which a file is read: refs, sources and settings are noted in `capture`, nothing is asked of
--- a database.
---@param project table
---@param node table as far as it is known
---@param capture dex.Capture
---@return table ctx
function M.parse_context(project, node, capture)
  return new({ project = project, node = node, capture = capture, depths = { n = 0 } }, node.package_name)
end

local early = { log = true, print = true, flags = true, run_started_at = true, invocation_id = true, thread_id = true }

--- The variables that are there already when properties files are read.
---@param project table
---@param name string
---@return any nil for any other name
function M.early(project, name)
  if early[name] then return members[name] { project = project } end
end

local macro_nodes = setmetatable({}, { __mode = "k" })

-- dbt runs the macros behind adapter methods without a node.
local function macro_node(project)
  local node = macro_nodes[project]
  if not node then
    node = value.dict("resource_type", "macro", "name", "macro", "unique_id", "macro." .. project.name,
      "package_name", project.name)
    macro_nodes[project] = node
  end
  return node
end

--- The context of macros that the engine calls beside a node's template: with the state's connection, results
--- and configuration of its own.
---@param state table
---@return table ctx
function M.macros(state)
  local ctx = state.macro_context
  if not ctx then
    local inner = setmetatable({ node = macro_node(state.project), statements = {}, free_refs = true,
      model_view = false }, { __index = state })
    ctx = new(inner, state.project.name)
    state.macro_context = ctx
  end
  return ctx
end

--- Whether a name means a macro in a context, and nothing of the engine's.
---@param ctx table
---@param name string
---@return boolean
function M.is_macro(ctx, name)
  local found = macro_scope.find(rawget(ctx, STATE).scope, name)
  return found and found.unique_id ~= nil or false
end

--- The flags of a run as templates see them.
function M.flags(run) return flags.new(run.project, run) end

return M
