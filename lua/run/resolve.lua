--- What ref() and source() mean: while files are parsed they are noted, later they give the relation.

local err = require "err"
local flags = require "run.flags"
local graph = require "project.graph"
local relations = require "run.relation"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Arguments --------------------------------------------------------------------------------------

local function bad(fn, message, hint)
  err.raise { code = 232, message = ("%s() %s"):format(fn, message), hint = hint }
end

local function kind(v) return require("jinja.runtime").type_name(v) end

-- name, package, version of ref('name') or ref('package', 'name'), with version= or v=
local function ref_arguments(args, kwargs)
  local name, package
  if #args == 1 then name = args[1] elseif #args == 2 then package, name = args[1], args[2] else
    bad("ref", ("takes one or two names, not %d"):format(#args), "ref('model') or ref('package', 'model')")
  end
  if type(name) ~= "string" then bad("ref", "needs the model's name as text, not " .. kind(name)) end
  if package ~= nil and opt(package) ~= nil and type(package) ~= "string" then
    bad("ref", "needs the package's name as text, not " .. kind(package))
  end
  local version = opt(kwargs.version)
  if version == nil then version = opt(kwargs.v) end
  if version ~= nil and type(version) ~= "string" and type(version) ~= "number" then
    bad("ref", "needs the version as text or number, not " .. kind(version))
  end
  return name, opt(package), version
end

local function source_arguments(args)
  if #args ~= 2 then
    bad("source", ("takes two names, not %d"):format(#args), "source('source', 'table')")
  end
  if type(args[1]) ~= "string" or type(args[2]) ~= "string" then
    bad("source", "needs the names of a source and of its table as text")
  end
  return args[1], args[2]
end

local function own_relation(state)
  local node = state.node
  if node.resource_type == "operation" or opt(node.alias) == nil then
    return relations.create { identifier = node.name }
  end
  return relations.of_node(state.project, node)
end

-- While files are parsed -------------------------------------------------------------------------

M.parse_ref = value.fn("ref(state, *args, **kwargs)", function(state, args, kwargs)
  local name, package, version = ref_arguments(args, kwargs)
  local refs = state.capture.refs
  refs[#refs + 1] = require("project.node").ref(name, package, version)
  return own_relation(state)
end)

M.parse_source = value.fn("source(state, *args)", function(state, args)
  local source, name = source_arguments(args)
  local sources = state.capture.sources
  sources[#sources + 1] = value.list { source, name }
  return own_relation(state)
end)

-- While a node runs ------------------------------------------------------------------------------

local function names_in(index)
  local names = {}
  for name in pairs(index) do names[#names + 1] = name end
  return names
end

local function contains(list, item)
  for i = 1, #list do
    if list[i] == item then return true end
  end
  return false
end

-- Fails for a node that the parse did not see: the graph cannot have waited for it.
local function check_known(state, target, call)
  local node = state.node
  local known = node.depends_on and opt(node.depends_on) and node.depends_on.nodes
  if not known or state.free_refs or contains(known, target.unique_id) then return end
  err.raise { code = 234, node = node.unique_id, message = ("%s stands where it was not seen when the files were read, "
    .. "so that '%s' may not be built yet"):format(call, target.name),
    hint = "put a comment into the template that is always rendered: -- depends_on: {{ " .. call .. " }}" }
end

-- The span of --sample, for the nodes that read by it: models and snapshots.
local function samples(state)
  local reader = state.node.resource_type
  return state.run and (reader == "model" or reader == "snapshot") and state.run.sample or nil
end

-- A batch of a microbatch model reads those rows of its inputs that are of its time, where an input says which
-- column tells (lua/run/microbatch.lua).
local function with_event_time(state, relation, target)
  -- raw: the ephemeral models that a batch reads are rendered once for all
  local batch, sample = rawget(state, "batch"), samples(state)
  local field = (batch or sample) and target.config and opt(target.config.event_time)
  if not field then return relation end
  local column = target.columns and opt(target.columns[field])
  local quoting = target.quoting and opt(target.quoting)
  local quote = column and opt(column.quote)
  if quote == nil then quote = quoting and opt(quoting.column) end
  if quote then field = '"' .. field:gsub('"', '""') .. '"' end
  local text = require("run.batches").text
  local from, to = batch and text(batch.from, " "), batch and text(batch.to, " ")
  if sample then -- as texts of one form they are in the order of their times
    from = from and from > sample.from and from or sample.from
    to = to and to < sample.to and to or sample.to
  end
  return relations.with(relation, { where = ("%s >= '%s' and %s < '%s'"):format(field, from, field, to) })
end

local function narrowed(state, relation, target)
  if state.run and flags.of(state).empty and state.node.resource_type ~= "operation" then
    relation = relations.with(relation, { limit = 0 })
  end
  return with_event_time(state, relation, target)
end

-- An ephemeral model is a CTE of whoever uses it.
local function ephemeral(state, target)
  if state.node.resource_type == "operation" and not state.prefixes_ctes then
    err.raise { code = 235, message = ("ephemeral model '%s' cannot be used here: it is no relation of the database")
      :format(target.name) }
  end
  local ctes = state.ctes
  if not ctes then
    ctes = {}
    state.ctes = ctes
  end
  if not contains(ctes, target.unique_id) then ctes[#ctes + 1] = target.unique_id end
  return with_event_time(state, relations.of_ephemeral(target), target)
end

local function shown(package, name, version)
  local parts = { package and ("'%s'"):format(package) or ("'%s'"):format(name) }
  if package then parts[2] = ("'%s'"):format(name) end
  if version ~= nil then parts[#parts + 1] = "v=" .. tostring(version) end
  return ("ref(%s)"):format(table.concat(parts, ", "))
end

M.run_ref = value.fn("ref(state, *args, **kwargs)", function(state, args, kwargs)
  local name, package, version = ref_arguments(args, kwargs)
  local project = state.project
  local target, disabled, packages = graph.find_ref(project, state.node.package_name, name, package, version)
  if not target then
    local why = packages and ("is in several packages: " .. table.concat(packages, ", "))
      or disabled and "is disabled" or "was not found"
    err.raise { code = 233, message = ("%s: '%s' %s"):format(shown(package, name, version), name, why),
      hint = not disabled and not packages and err.did_you_mean(name, names_in(project.index.refs)) or nil }
  end
  if state.fixtures then
    return require("run.unit_test").relation(state, target, shown(package, name, version))
  end
  check_known(state, target, shown(package, name, version))
  if target.resource_type == "model" and target.config.materialized == "ephemeral" then
    return ephemeral(state, target)
  end
  local deferred = project.deferral and require("run.deferral").relation(state, target)
  return narrowed(state, deferred or relations.of_node(project, target), target)
end)

M.run_source = value.fn("source(state, *args)", function(state, args)
  local source, name = source_arguments(args)
  local project = state.project
  local target, disabled = graph.find_source(project, state.node.package_name, source, name)
  if not target then
    err.raise { code = 233, message = ("source('%s', '%s') %s"):format(source, name,
      disabled and "is disabled" or "was not found"),
      hint = not disabled and err.did_you_mean(source .. "." .. name, names_in(project.index.sources)) or nil }
  end
  if state.fixtures then
    return require("run.unit_test").relation(state, target, ("source('%s', '%s')"):format(source, name))
  end
  return narrowed(state, relations.of_node(project, target), target)
end)

-- Functions and metrics ------------------------------------------------------------------------

-- The one or two words of function() and metric() as a list.
local function words_of(fn, args)
  if #args < 1 or #args > 2 then
    bad(fn, ("takes one or two names, not %d"):format(#args), ("%s('name') or %s('package', 'name')"):format(fn, fn))
  end
  for i = 1, #args do
    if type(args[i]) ~= "string" then bad(fn, "needs names as text, not " .. kind(args[i])) end
  end
  return value.list(table.move(args, 1, #args, 1, {}))
end

M.parse_function = value.fn("function(state, *args)", function(state, args)
  local functions = state.capture.functions
  functions[#functions + 1] = words_of("function", args)
  return relations.with(own_relation(state), { type = "function" })
end)

M.run_function = value.fn("function(state, *args)", function(state, args)
  local words = words_of("function", args)
  local target, disabled, names = graph.find_other(state.project, "function", state.node.package_name, words[#words],
    words[2] and words[1])
  if not target then
    err.raise { code = 233, message = ("function('%s') %s"):format(table.concat(words, "', '"),
      disabled and "is disabled" or "was not found"), hint = err.did_you_mean(words[#words], names) }
  end
  check_known(state, target, ("function('%s')"):format(table.concat(words, "', '")))
  return relations.with(relations.of_node(state.project, target), { type = "function" })
end)

-- A metric is no relation: its name is what a template gets.
M.parse_metric = value.fn("metric(state, *args)", function(state, args)
  local words = words_of("metric", args)
  local metrics = state.capture.metrics
  metrics[#metrics + 1] = words
  return words[#words]
end)

M.run_metric = value.fn("metric(state, *args)", function(state, args)
  local words = words_of("metric", args)
  local target, disabled, names = graph.find_other(state.project, "metric", state.node.package_name, words[#words],
    words[2] and words[1])
  if not target then
    err.raise { code = 233, message = ("metric('%s') %s"):format(table.concat(words, "', '"),
      disabled and "is disabled" or "was not found"), hint = err.did_you_mean(words[#words], names) }
  end
  return target.name
end)

return M
