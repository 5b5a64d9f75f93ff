--- A node's place in a run, for the prompt (`repl --node orders --phase post_hooks`): what its hooks see at the
-- beginning of a phase, on a connection with the transaction as a run has it there. Nothing is built and no hook has
-- run: what is there of the node is what the last run has left. Leaving rolls back.

local err = require "err"
local hook_list = require "run.hook_list"
local hook_object = require "run.hook_object"
local hooks = require "run.hooks"
local members = require "project.members"
local plan = require "run.plan"
local value = require "jinja.value"

local M = {}

local opt = value.opt

---@class repl.Place
---@field workspace repl.Workspace
---@field id string unique_id
---@field phase string
---@field inside boolean whether the phase has a transaction
---@field state table of lua/run/node.lua
---@field own table of hooks.at(): what `hook` works with
---@field loaded table the workspace's load of which the state was made
---@field failure dex.Error|nil why its SQL could not be rendered
---@field committed boolean whether something was kept
local Place = {}
Place.__index = Place

--- The phase that is meant when nobody says one.
M.DEFAULT = "post_hooks"

--- The commands of a place, beside those of every prompt: as lua/repl/dots.lua lists them.
M.dots = {
  { "hooks", "k", "", "the hooks of this phase" },
  { "try", "y", "[N or NAME]", "runs one here, or all; one that fails is undone" },
  { "build", "b", "", "builds the node in the transaction, without hooks" },
  { "commit", "c", "", "keeps what was done here" },
  { "rollback", "u", "", "undoes it" },
}

--- The functions and names of a place, for the help.
M.functions = {
  { "hook, this, node, ctx", "what its hooks see; model, config and all names of its template, too" },
  { "hooks()", "the hooks of this phase" },
  { "run_hook(n or name)", "runs one of them here: {status, rows, seconds, message, sql}" },
}

-- Which node ---------------------------------------------------------------------------------------------

local kinds = { source = "a source is only read: it has no phases", exposure = "an exposure has no phases",
  metric = "a metric has no phases", semantic_model = "a semantic model has no phases",
  saved_query = "a saved query has no phases", analysis = "an analysis is only compiled: it has no phases",
  operation = "an operation has no phases of a node" }

-- Why there is no standing in a node's place; nil when there is.
local function refusal(node)
  if node.resource_type == "model" and not plan.is_executed(node) then
    return "it is ephemeral: nothing of it runs, and neither do its hooks",
      "stand in the place of a model that reads it"
  end
  local why = kinds[node.resource_type]
  return why, why and "models, seeds, snapshots, functions and tests have phases"
end

-- Whether a node is meant by `orders`, `shop.orders`, `orders.v2` or its unique_id.
local function is_meant(id, node, name)
  return node.name == name or id == name or id:match("^[^.]+%.(.+)$") == name
    or id:match("^[^.]+%.[^.]+%.(.+)$") == name
    or node.resource_type == "source" and node.source_name .. "." .. node.name == name
end

local function disabled_of(project, name)
  for id, list in pairs(project.disabled) do
    for _, node in ipairs(list) do
      if is_meant(id, node, name) then return node end
    end
  end
end

-- The one node of a name, which has phases. Raises code 101.
local function find(project, name)
  local found, others, names, read = {}, {}, {}, members.reader(project)
  for _, group in ipairs(members.groups) do
    for _, id in ipairs(members.ids(project, group)) do
      local node = read(id)
      local kind = members.kind(id)
      if is_meant(id, { name = node.name, resource_type = kind, source_name = node.source_name }, name) then
        local list = kinds[kind] and others or found
        list[#list + 1] = id
      end
      if not kinds[kind] then names[#names + 1] = node.name end
    end
  end
  if #found > 1 then
    table.sort(found)
    err.raise { code = 101, message = ("'%s' is the name of several nodes"):format(name),
      hint = "take one of " .. table.concat(found, ", ") }
  end
  local id = found[1] or others[1]
  local node = id and members.get(project, id)
  if not node then
    local disabled = disabled_of(project, name)
    if disabled then
      err.raise { code = 101, message = ("%s '%s' is disabled"):format(disabled.resource_type, name),
        file = disabled.original_file_path, hint = "its config says `enabled: false`" }
    end
    err.raise { code = 101, message = ("there is no node '%s'"):format(name), hint = err.did_you_mean(name, names) }
  end
  local why, hint = refusal(node)
  if why then
    err.raise { code = 101, message = ("there is no standing in the place of '%s': %s"):format(name, why), hint = hint,
      file = opt(node.original_file_path) }
  end
  return id
end

-- Making it ----------------------------------------------------------------------------------------------

--- A place that is not entered yet.
---@param workspace repl.Workspace
---@param name string of the node, as it was typed
---@param phase string|nil
---@return repl.Place
function M.new(workspace, name, phase)
  return setmetatable({ workspace = workspace, asked = name, phase = phase or M.DEFAULT, committed = false }, Place)
end

local outside = { pre_outside = true, post_outside = true }
local behind_build = { post_hooks = true, post_outside = true, on_failure = true, always = true }
local tests = { test = true, unit_test = true }

-- What the last run said of a failure of the node, for hooks that look at `hook.error`.
local function earlier_error(self)
  local ok, results = pcall(function()
    return require("dex.json").decode(require("dex.fs").read(self.state.run.target_path .. "/run_results.json")).results
  end)
  for _, result in ipairs(ok and results or {}) do
    if result.unique_id == self.id and result.status == "error" then return opt(result.message) end
  end
end

-- What hooks of a phase behind the build find, as far as it is there without one.
local function show_outcome(self)
  local state = self.state
  if not behind_build[self.phase] then return end
  state.result = state.result or { status = "success", timings = state.timings }
  if self.phase ~= "on_failure" and self.phase ~= "always" then return end
  self.earlier = earlier_error(self)
  if self.earlier and state.context then
    state.result.status = "error"
    state:show_error(err.new { code = 501, message = self.earlier, phase = "build" })
  end
end

-- What hooks say is said, and nothing of what a run says of its nodes. At a terminal it is a run's report, which gives
-- the terminal to the debugger when a hook has a breakpoint.
local function report_of(self, job)
  local w = self.workspace
  local silent = { event = function() end }
  if not w.reader.terminal then return setmetatable(silent, { __index = w.job.report }) end
  if not self.report then
    self.report = require("report.outlets").new(job)
    w.job.closers[#w.job.closers + 1] = function() self.report:close() end
  end
  silent.front = self.report.front
  return setmetatable(silent, { __index = self.report })
end

-- The state as a run has it at the beginning of the phase. May wait: templates may query.
local function make_state(self)
  local w = self.workspace
  local job = require("repl.workspace").derive(w, "build")
  job.project, job.target_path, job.args, job.pool = w.loaded.project, w.loaded.target_path, w.loaded.args, w:own_pool()
  job.report = report_of(self, job)
  local run, conn = require("run").new(job), w:connection()
  local node = members.runnable(run.project, self.id)
  require("run").prepare_database(run, conn, plan.schemas { { node = node } }, false)
  local ctx = { id = self.id, node = node, index = 1, conn = conn, timings = {}, phase = "compile" }
  self.handlers = require("run.node").handlers(run)
  self.handlers.start(ctx)
  self.state, self.loaded, self.failure = ctx.state, w.loaded, nil
  local ok, e = pcall(self.handlers.compile, ctx)
  if not ok then
    if err.is(e) and e.cancelled then error(e, 0) end
    self.failure = require("run.failure").of_node(run, node, e, "compile")
    self.state.context = self.state.context or require("run.context").node(self.state)
  end
  self.state.free_refs, self.state.phase = true, self.phase
  self.inside = not outside[self.phase] and not tests[node.resource_type]
  show_outcome(self)
end

-- The connection has the transaction of the phase. Gives whether it was opened just now. May wait.
local function begin(self)
  local state, conn = self.state, self.workspace:connection()
  state.conn, state.ctx.conn = conn, conn
  local opened = self.inside and conn:txn() == "idle"
  if opened then conn:exec "begin" end
  if opened or not self.own or self.own.state ~= state then
    state.transaction_lost = nil
    self.own = hooks.at(state)
  end
  return opened
end

--- Enters it: reads the project, connects, opens the transaction. May wait. Raises what is wrong with the project, the
--- name or the connection; `of_project` is true then.
function Place:enter()
  local ok, e = pcall(function()
    self.id = find(self.workspace:project(), self.asked)
    make_state(self)
    begin(self)
  end)
  if ok then return end
  e = err.wrap(e)
  e.of_project = true
  error(e, 0)
end

--- Before an input: what changed since the last is taken up: files that were read again, a connection or a transaction
--- that has ended. May wait.
function Place:stand()
  local w = self.workspace
  if w.loaded and w.loaded ~= self.loaded then
    if members.runnable(w.loaded.project, self.id) then
      make_state(self)
      if self.failure then w:failure(self.failure) end
    else
      w:say(("%s is no longer in the project: what it was before is still in use"):format(self.state.node.name))
      self.loaded = w.loaded
    end
  end
  begin(self)
end

-- What is in reach ---------------------------------------------------------------------------------------

local control = {}
for word in ("begin start commit end rollback abort savepoint release prepare"):gmatch("%a+") do
  control[word] = true
end

--- Sends SQL as a hook here would; one that fails in the transaction is undone alone. May wait.
---@param sql string
---@param params table with n
---@return userdata result
function Place:execute(sql, params)
  if not control[(sql:match("^%s*(%a+)") or ""):lower()] then return self.own.execute(sql, params) end
  local conn = self.workspace:connection()
  local result = conn:exec(sql, table.unpack(params, 1, params.n))
  if self.inside and conn:txn() == "idle" then
    self.state.run.cache:commit(self.state)
    self.workspace:say "the transaction has ended: another one is open"
    begin(self)
  end
  return result
end

--- The `hook` that its hooks get.
---@return dex.HookObject
function Place:hook()
  if self.object_of ~= self.own then self.object, self.object_of = hook_object.new(self.own), self.own end
  return self.object
end

local names = {}

function names.this(self) return self:hook().this end
function names.phase(self) return self.phase end

-- The names of the node's template; how the engine keeps them is nobody's business.
function names.ctx(self)
  local context, node = self.state.context, self.state.node
  return setmetatable({}, { __index = function(_, name) return context[name] end, __name = "ctx",
    __newindex = function(_, name) err.raise { code = 509, message = ("ctx is read only: '%s' cannot be set"):format(
      tostring(name)) } end,
    __tostring = function()
      return ("the names of the template of %s: ctx.this, ctx.config, ctx.target, ..."):format(node.name)
    end })
end

function names.run_hook(self) return function(which) return self:try(which) end end

function names.node(self)
  local view = hook_object.view(self.state.node, "node")
  return hook_object.callable(view, function(name) return self.look.node(name) end)
end

function names.hooks(self)
  return function(name)
    if name then return self.look.hooks(name) end
    return self:list()
  end
end

for _, word in ipairs { "begin", "commit", "rollback" } do
  names[word] = function(self)
    return function() self.workspace:say(self[word](self)) end
  end
end

--- What a name stands for here; nil for one that is none of the place's.
function Place:name(name)
  local get = names[name]
  return get and get(self)
end

--- The names of the place, for completion.
function Place.names()
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  return list
end

--- Names behind `this.` and `node.`, for completion. Does not wait.
---@param owner string
---@return string[]|nil
function Place:fields(owner)
  if owner == "this" then return { "database", "identifier", "name", "schema", "type" } end
  if owner ~= "node" then return nil end
  local keys = value.keys(self.state.node)
  table.sort(keys)
  return keys
end

-- Its hooks ----------------------------------------------------------------------------------------------

local function listed(self)
  local found = {}
  for _, one in ipairs(hook_list.of_node(self.state.run, self.state.info, self.state.node.resource_type)) do
    if one.phase == self.phase then found[#found + 1] = one end
  end
  return found
end

--- The hooks of the phase, each with its number.
---@return string
function Place:list()
  local lines = {}
  for _, one in ipairs(listed(self)) do lines[#lines + 1] = ("%3d%s"):format(one.index, hook_list.line(one, "  ")) end
  return #lines > 0 and table.concat(lines, "\n") or ("%s has no hook in the phase %s"):format(self.state.node.name,
    self.phase)
end

local record_mt = { __name = "hook result" }
record_mt.__tostring = function(r)
  local rows = r.rows and (", %d row%s"):format(r.rows, r.rows == 1 and "" or "s") or ""
  return ("%s: %s%s, %.3f s%s"):format(r.title, r.status, rows, r.seconds, r.message and "\n" .. r.message or "")
end

-- Runs one hook. Raises what it failed with. May wait.
local function run_one(self, one)
  local state = self.state
  state.skipped, state.transaction_lost = nil, nil
  local failed, record = hooks.run(state, one.hook, one.phase, { inside = self.inside, isolated = true,
    index = one.index })
  begin(self)
  if failed then error(failed, 0) end
  local title = ("%d (%s)"):format(one.index, hooks.name_of(one.hook))
  if not record then return setmetatable({ title = title, status = "its `when` is false", seconds = 0 }, record_mt) end
  return setmetatable({ title = title, status = state.skipped and "success, the node would be skipped"
    or record.status, rows = record.rows, seconds = record.seconds, sql = record.sql,
    message = record.message or state.skipped }, record_mt)
end

--- Runs a hook of the phase: one by its number or name. May wait. Raises its error, and code 101 when there is no such
--- hook.
---@param which integer|string
---@return table result status, rows, seconds, message, sql; printed, it is a line
function Place:try(which)
  local known, hook_names = listed(self), {}
  for _, one in ipairs(known) do
    local name = hooks.name_of(one.hook)
    if which == one.index or which == name then return run_one(self, one) end
    hook_names[#hook_names + 1] = name
  end
  err.raise { code = 101, message = ("%s has no hook %s in the phase %s"):format(self.state.node.name,
    type(which) == "string" and "'" .. which .. "'" or tostring(which), self.phase),
    hint = type(which) == "string" and err.did_you_mean(which, hook_names) or #known > 0 and ".hooks lists them"
      or nil }
end

--- Runs all hooks of the phase, in order, to the first that fails. May wait.
---@param each fun(result: table)
function Place:try_all(each)
  local known = listed(self)
  if #known == 0 then return each(self:list()) end
  for _, one in ipairs(known) do
    each(run_one(self, one))
    if self.state.skipped then return end
  end
end

-- Building, keeping, undoing -----------------------------------------------------------------------------

local function build_here(self)
  local state, ctx = self.state, self.state.ctx
  if self.failure then error(self.failure, 0) end
  if self.inside then
    require("run").prepare_database(state.run, state.conn, plan.schemas { { node = state.node } }, true)
  end
  ctx.conn = state.conn
  self.handlers.build(ctx)
  state.phase = self.phase
end

--- Builds the node in the open transaction, or runs the test. What fails is undone. May wait.
---@return string what came of it
function Place:build()
  local state = self.state
  local is_test = tests[state.node.resource_type]
  if not self.inside and not is_test then
    err.raise { code = 101, message = ("the phase %s has no transaction that could undo a build"):format(self.phase),
      hint = "stand in another one: --phase build" }
  elseif require("run.microbatch").is(state.run.project, state.node) then
    err.raise { code = 101, message = "a microbatch model is built in transactions of its own",
      hint = ("run{select = %q}"):format(state.node.name) }
  end
  local conn = state.conn
  if self.inside then conn:exec "savepoint dex_place" end
  local ok, e = pcall(build_here, self)
  if not ok and conn:txn() == "active" then pcall(conn.exec, conn, "select 1") end
  local txn = conn:txn()
  if self.inside and (txn == "intrans" or txn == "inerror") then
    conn:exec(ok and "release savepoint dex_place" or "rollback to savepoint dex_place; release savepoint dex_place")
  end
  self.own = nil -- what `this` is has changed
  begin(self)
  if not ok then
    state.run.cache:rollback(state)
    error(require("run.failure").of_node(state.run, state.node, e, "build"), 0)
  end
  local result = state.result
  if is_test then
    return ("%s: %s"):format(result.status, result.message or ("%d failures"):format(result.failures or 0))
  end
  return ("built %s%s; leaving rolls it back"):format(tostring(self:hook().this or state.node.name),
    result.message and ": " .. result.message or "")
end

-- A transaction that has ended leaves nothing of what hooks put off.
local function begin_anew(self)
  self.state.after_commit, self.state.later = nil, nil
  self.own = nil
  begin(self)
end

local NONE = "this phase has no transaction: each statement is committed by itself"

function Place:begin() return self.inside and "a transaction is open already" or NONE end

--- Keeps what was done; what hooks have left for after the commit is done then. May wait.
---@return string what came of it
function Place:commit()
  if not self.inside then return NONE end
  local state = self.state
  state.conn:exec "commit"
  self.committed = true
  state.run.cache:commit(state)
  local ok, e = pcall(function()
    hooks.run_after_commit(state)
    for i, hook in ipairs(state.later or {}) do
      local failed = hooks.run(state, hook, "post_outside", { inside = false, index = i })
      if failed then error(failed, 0) end
    end
  end)
  begin_anew(self)
  if not ok then error(e, 0) end
  return "committed; another transaction is open"
end

--- Undoes what was done. May wait.
---@return string what came of it
function Place:rollback()
  if not self.inside then return NONE end
  self.state.conn:exec "rollback"
  self.state.run.cache:rollback(self.state)
  begin_anew(self)
  return "rolled back; another transaction is open"
end

--- What is lost when it is left now, in words; nil when nothing is. May wait.
---@return string|nil
function Place:lost()
  local conn = self.inside and self.state and self.state.conn
  if not conn or conn:txn() ~= "intrans" then return nil end
  local ok, result = pcall(conn.exec, conn, "select pg_current_xact_id_if_assigned() is not null")
  if not ok or result:get(1, 1) ~= true then return nil end
  return self.committed and "what was done since the last commit is rolled back"
    or ("what was done here is rolled back: %s keeps it"):format(self.workspace.reader.terminal and ".commit"
      or "commit()")
end

-- The prompt ---------------------------------------------------------------------------------------------

--- The commands with a dot, as lua/repl/dots.lua has them.
Place.commands = {}

function Place.commands.hooks(session) session.reader:write(session.workspace.place:list()) end

Place.commands["try"] = function(session, rest)
  local place = session.workspace.place
  local function write(result) session.reader:write(tostring(result)) end
  if rest == "" then return place:try_all(write) end
  write(place:try(math.tointeger(tonumber(rest)) or rest))
end

for _, name in ipairs { "begin", "build", "commit", "rollback" } do
  Place.commands[name] = function(session)
    local place = session.workspace.place
    session.reader:write(place[name](place))
  end
end

--- What the prompt begins with.
function Place:label() return ("%s %s"):format(self.state.node.name, self.phase) end

local function word_of(relation)
  local kind = relation.type
  return kind and (kind:gsub("_", " ")) or "relation"
end

--- What a person has to know who comes here: what has run and what has not.
---@return string
function Place:greeting()
  local state, node = self.state, self.state.node
  local this = self:hook().this
  local known = this and state.run.cache:get(opt(node.schema), opt(node.alias) or node.name)
  local out = { ("%s %s at the beginning of %s, target %s"):format(node.resource_type, node.name, self.phase,
    tostring(state.run.project.profile.target_name)) }
  if node.resource_type == "seed" then
    out[#out + 1] = "The file is read; no hook has run and nothing is built."
  elseif not self.failure then
    out[#out + 1] = "The SQL is rendered; no hook has run and nothing is built."
  end
  if not tests[node.resource_type] and node.resource_type ~= "function" then
    out[#out + 1] = known and ("this is the %s %s as the last run left it."):format(word_of(this), tostring(this))
      or ("There is no relation %s yet%s."):format(tostring(this), self.inside and ": .build makes it" or "")
  end
  if self.phase == "on_failure" or self.phase == "always" then
    out[#out + 1] = self.earlier and "hook.error is that of the last run."
      or "hook.error is nil: the last run has none."
  end
  out[#out + 1] = self.inside and "The transaction is open: leaving rolls it back, .commit keeps what was done."
    or "No transaction is open here: each statement is committed by itself."
  local count = #listed(self)
  out[#out + 1] = ("%s; .help has the commands."):format(count == 0 and "The phase has no hooks"
    or (".hooks lists the phase's %s, .try runs %s"):format(count == 1 and "hook" or count .. " hooks",
      count == 1 and "it" or "them"))
  return table.concat(out, "\n")
end

return M
