--- What is in reach at the prompt: functions, templates' own names, macros, and Lua's. The functions are those of
-- `help "functions"`; every one of them is listed there.

local err = require "err"
local rows_module = require "repl.rows"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The functions and what they give, in the order of the help.
M.functions = {
  { 'query(sql, ...)', "the rows of a query: rows[1].name, #rows, rows.columns; ... are $1, $2" },
  { 'rows(sql, ...)', "an iterator over the rows, for loops over very many" },
  { 'exec(sql, ...)', "runs a statement: how many rows it changed" },
  { 'show(name or sql [, limit])', "the first rows of a model, or of any SQL" },
  { 'ref(name)', "the relation of a model, seed or snapshot" },
  { 'source(source, table)', "the relation of a source" },
  { 'render(template)', "the text of a template" },
  { 'compile(name or sql)', "the SQL that a model becomes" },
  { 'node(name)', "a node as in manifest.json" },
  { 'nodes([selection])', "the names of the nodes that a selection chooses" },
  { 'hooks([name])', "the hooks that would run, of all or of one node" },
  { 'run{select=..., ...}', "runs models; also build{} test{} seed{} snapshot{}; background=true goes on beside" },
  { 'plan([command])', "what a command would run" },
  { 'macro(name, ...)', "calls a macro; by its name it is called, too: cents('x')" },
  { 'op(name, args)', "runs an operation" },
  { 'begin() commit() rollback()', "a transaction; without one each statement commits by itself" },
  { 'hook', "what Lua hooks have: hook:query, hook:macro, hook.target, ..." },
  { 'help([topic])', "this, or a topic of `dex-lua help`" },
}

-- A node by its name or unique_id.
local function find_node(project, name)
  if type(name) ~= "string" then
    err.raise { code = 101, message = "a node's name is a text, not a " .. type(name) }
  end
  local known = require("project.members").get(project, name)
  if known then return known, name end
  local found, names = {}, {}
  require("project.members").each(project, function(id, node)
    names[#names + 1] = node.name
    if node.name == name or node.resource_type == "source" and node.source_name .. "." .. node.name == name then
      found[#found + 1] = id
    end
  end)
  if #found == 1 then return require("project.members").get(project, found[1]), found[1] end
  if #found > 1 then
    table.sort(found)
    err.raise { code = 101, message = ("'%s' is the name of several nodes"):format(name),
      hint = "take one of " .. table.concat(found, ", ") }
  end
  err.raise { code = 101, message = ("there is no node '%s'"):format(name), hint = err.did_you_mean(name, names) }
end

-- A job for one of the commands that look.
local function looking(w, name, given)
  local project = w:project()
  local job = require("repl.workspace").derive(w, name, given)
  job.project, job.target_path, job.args = project, w.loaded.target_path, w.loaded.args
  job.pool = w:own_pool()
  return job
end

-- One node, or SQL as one: its unique_id.
local function one(w, what)
  local project = w:project()
  if type(what) ~= "string" then what = w:sql(what) end
  if not what:find("%s") then
    local _, id = find_node(project, what)
    return id
  end
  return require("project").inline(project, what)
end

local functions = {}

function functions.query(w, sql, ...)
  local rows = w:query(w:sql(sql), ...)
  if rows_module.is_partial(rows) then
    w:say(("the first %d rows are read: rows(sql) goes through all of them"):format(rows_module.batch))
  end
  return rows
end

function functions.exec(w, sql, ...) return w:execute(w:sql(sql), ...).affected end

function functions.rows(w, sql, ...) return w.hook():rows(w:sql(sql), ...) end

function functions.show(w, what, limit)
  local result = require("run").show(looking(w, "show"), one(w, what), limit or 10)
  return rows_module.new(result)
end

function functions.ref(w, ...) return w:state().context.ref(...) end

function functions.source(w, ...) return w:state().context.source(...) end

function functions.render(w, source)
  if type(source) ~= "string" then err.raise { code = 101, message = "render needs a template as text" } end
  return w:render(source)
end

function functions.compile(w, what)
  local id = one(w, what)
  local job = looking(w, "compile")
  job.selected = { id }
  job.report = setmetatable({ event = function() end }, { __index = w.job.report })
  local result = require("run").compile(job).results[1]
  if result and result.error then error(result.error, 0) end
  local node = require("project.members").runnable(job.project, id)
  return opt(node.compiled_code) or opt(node.raw_code)
end

function functions.node(w, name) return (find_node(w:project(), name)) end

function functions.nodes(w, selection)
  local given = { select = selection and { selection } or w.selection and { w.selection } or nil }
  local job = looking(w, "ls", given)
  local builds = require("command.steps").builds.ls
  local ids = require("command.steps").selection(job, builds.types, builds.more_types)
  local names = value.list()
  for i, id in ipairs(ids) do
    local node = require("project.members").get(job.project, id)
    names[i] = node.resource_type == "source" and node.source_name .. "." .. node.name or node.name
  end
  return names
end

function functions.hooks(w, name)
  local project = w:project()
  local ids
  if name then
    local _, id = find_node(project, name)
    ids = { id }
  else
    local builds = require("command.steps").builds.build
    ids = require("command.steps").selection(looking(w, "build"), builds.types)
  end
  local lines = require("command.hooks").lines(looking(w, "hooks"), "build",
    require("run.plan").make(project, ids, true), function(item, listed) return #listed > 0 and item.id or nil end)
  return #lines > 0 and table.concat(lines, "\n") or "no hook would run"
end

function functions.plan(w, which)
  which = which or "build"
  local builds = require("command.steps").builds[which]
  if not builds or not require("command.plan").commands[which] then
    err.raise { code = 101, message = ("'%s' is no command that can be planned"):format(tostring(which)) }
  end
  local job = looking(w, which, { select = w.selection and { w.selection } or nil })
  local nodes = require("run.plan").make(job.project, require("command.steps").selection(job, builds.types,
    builds.more_types), which == "build")
  local index = 0
  local lines = require("command.hooks").lines(job, which, nodes, function(item)
    index = index + 1
    return ("%d. %s %s"):format(index, item.kind, item.node.name)
  end)
  return #lines > 0 and table.concat(lines, "\n") or "nothing would run"
end

function functions.macro(w, name, ...) return w.hook():macro(name, ...) end

function functions.op(w, name, args)
  local project = w:project()
  local operation = require("project.operations").find(project, tostring(name), { code = 101 })
  local job = looking(w, "operation")
  job.operation = require("run.operation").prepare(project, operation, args and value.from_lua(args) or nil)
  job.operation.confirmed = true
  job.pool = nil
  require("command.steps").connect(job)
  local ok, outcome = pcall(require("run").execute, job)
  for i = #job.closers, 1, -1 do pcall(job.closers[i]) end
  if not ok then error(outcome, 0) end
  for _, result in ipairs(outcome.results) do
    if result.error then error(result.error, 0) end
  end
  if outcome.rows and outcome.rows[1] then return rows_module.new(outcome.rows[#outcome.rows]) end
  return outcome.returned
end

for _, name in ipairs { "run", "build", "test", "seed", "snapshot" } do
  functions[name] = function(w, given)
    if given ~= nil and type(given) ~= "table" then
      err.raise { code = 101, message = ("%s takes a table of options"):format(name),
        hint = ("write %s{select = %q}"):format(name, tostring(given)) }
    end
    return w:command(name, given)
  end
end

for _, name in ipairs { "begin", "commit", "rollback" } do
  functions[name] = function(w) w:execute(name) end
end

--- What `help` says.
---@param w repl.Workspace
---@param topic string|nil
---@return string
function M.help(w, topic)
  if topic and topic ~= "functions" then
    local topics = require "help.topics"
    local text = topics.page(tostring(topic))
    if not text then
      err.raise { code = 101, message = ("there is no topic '%s'"):format(tostring(topic)),
        hint = err.did_you_mean(tostring(topic), topics.names())
          or "topics are " .. table.concat(topics.names(), ", ") }
    end
    return text
  end
  local out = { "An expression is printed; SQL is run as it is; lines that are not complete go on below." }
  for _, list in ipairs { w.place and require("repl.place").functions or {}, M.functions } do
    for _, entry in ipairs(list) do out[#out + 1] = ("  %-30s %s"):format(entry[1], entry[2]) end
  end
  out[#out + 1] = "  .help                          the commands with a dot"
  return table.concat(out, "\n")
end

function functions.help(w, topic) return M.help(w, topic) end

-- The `hook` of the prompt, which has the methods of Lua hooks.
local function new_hook(w)
  local state = w:state()
  local own = { run = state.run, state = state, phase = "prompt", inside = false, context = state.context,
    warnings = {}, title = "the prompt", trusted = true, spent = 0, seconds = 0,
    hook = value.dict("kind", "lua", "lua", "prompt", "args", value.dict(), "file", "prompt") }
  function own.execute(sql, params) return w:execute(sql, table.unpack(params, 1, params.n or #params)) end
  function own.copy(sql, chunks) return require("run.copy").into(w:connection(), sql, chunks) end
  return require("run.hook_object").new(own)
end

--- The names of all functions, for completion.
---@param w repl.Workspace
---@return string[]
function M.names(w)
  local names = w.place and w.place.names() or {}
  for _, name in ipairs { "hook", "dex", "project" } do names[#names + 1] = name end
  for name in pairs(functions) do names[#names + 1] = name end
  return names
end

--- The environment of what is typed.
---@param w repl.Workspace
---@param more table<string, any>|nil further names
---@return table
function M.scope(w, more)
  local bound, hook = {}, nil
  for name, fn in pairs(functions) do bound[name] = function(...) return fn(w, ...) end end
  function w.hook()
    if w.place then return w.place:hook() end
    if not hook or hook.of ~= w:state() then hook = { of = w:state(), object = new_hook(w) } end
    return hook.object
  end
  bound.dex = setmetatable({}, { __index = bound, __name = "dex", __tostring = function() return M.help(w) end })
  for name, v in pairs(more or {}) do bound[name] = v end
  if w.place then w.place.look = bound end
  local function lookup(_, name)
    local of_place = w.place and w.place:name(name)
    if of_place ~= nil then return of_place end
    if bound[name] ~= nil then return bound[name] end
    if name == "hook" then return w.hook() end
    if name == "project" then return w:project() end
    local global = rawget(_G, name)
    if global ~= nil then return global end
    local found = w:state().context[name]
    if found ~= nil then return found end
    local names = M.names(w)
    for each in pairs(w.scope) do names[#names + 1] = each end
    err.raise { code = 202, message = ("there is no '%s'"):format(tostring(name)),
      hint = err.did_you_mean(tostring(name), names) or "help() lists what is in reach" }
  end
  w.scope = setmetatable({}, { __index = lookup, __name = "scope" })
  return w.scope
end

return M
