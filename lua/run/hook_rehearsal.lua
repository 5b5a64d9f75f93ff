--- Builds nodes with their hooks in one transaction that is always rolled back: `rehearse` tells what a build would
-- change, `hooks check` whether hooks may run twice. One connection, one node after the other; a node that fails
-- is undone to its savepoint, and what reads it is skipped. What no transaction can undo is left out and
-- named: hooks outside of it, microbatch models, hook:http and hook:run.

local catalogue = require "run.hook_catalogue"
local err = require "err"
local hook_list = require "run.hook_list"
local hooks = require "run.hooks"
local materialize = require "run.materialize"
local microbatch = require "run.microbatch"
local node_module = require "run.node"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- What is known of one hook after `hooks check`.
---@class dex.CheckedHook
---@field listed dex.ListedHook
---@field node string unique_id
---@field verdict "idempotent"|"fails"|"changes"|"unchecked"
---@field message string|nil why it failed, or is unchecked
---@field changes string[]|nil what its second run changed

-- Calls fn with a savepoint before it: what it did is undone when it raises. May wait.
local function undoable(conn, name, fn, ...)
  conn:exec("savepoint " .. name)
  local ok, e = pcall(fn, ...)
  local txn = conn:txn()
  if txn ~= "intrans" and txn ~= "inerror" then
    err.raise { code = 505, message = "something ended the transaction of the rehearsal: " .. (ok and
      "what was built until then is committed" or tostring(err.is(e) and e.message or e)),
      hint = "look for a commit in a macro or materialization" }
  end
  conn:exec(ok and ("release savepoint " .. name) or ("rollback to savepoint %s; release savepoint %s"):format(name,
    name))
  return ok, e
end

-- Checking hooks ------------------------------------------------------------------------------------------

local function check_hook(self, state, listed)
  local checked = { listed = listed, node = state.node.unique_id, verdict = "idempotent" }
  self.checked[#self.checked + 1] = checked
  if listed.transaction ~= "node" then
    checked.verdict, checked.message = "unchecked", "it runs outside of the node's transaction"
    return
  end
  local function once()
    local failed, record = hooks.run(state, listed.hook, listed.phase, { inside = true, isolated = true,
      index = listed.index })
    state.after_commit, state.later = nil, nil
    return failed, record
  end
  -- what `on_error` forgives has failed all the same
  local function attempt()
    local failed, record = once()
    if not failed and record and record.status ~= "success" then
      failed = { code = record.code, message = record.message }
    end
    return failed, record
  end
  local failed, record = attempt()
  if not failed and not record then
    checked.verdict, checked.message = "unchecked", "its `when` is false"
    return
  end
  local before = not failed and catalogue.picture(state.conn)
  if not failed then failed = attempt() end
  if failed and failed.code == 516 then
    checked.verdict, checked.message = "unchecked", "it does something outside of the database"
  elseif failed then
    checked.verdict = "fails"
    checked.message = (before and "the second time: " or "the first time: ") .. tostring(failed.message)
  else
    local changes = catalogue.differences(before, catalogue.picture(state.conn))
    if #changes > 0 then checked.verdict, checked.changes = "changes", changes end
  end
end

local function check_phase(self, state, phases)
  for _, listed in ipairs(hook_list.of_node(self.run, state.info, state.node.resource_type)) do
    if phases[listed.phase] then check_hook(self, state, listed) end
  end
end

-- Nodes ----------------------------------------------------------------------------------------------------

local function perform(self, ctx)
  local handlers, checking = self.handlers, self.checking
  handlers.compile(ctx)
  local state = ctx.state
  if checking then
    check_phase(self, state, { pre_outside = true, pre_hooks = true })
  else
    handlers.pre_hooks(ctx)
  end
  handlers.build(ctx)
  if state.skipped then return end
  if not checking then return handlers.post_hooks(ctx) end
  if not state.custom then
    for _, relation in ipairs(state.relations) do materialize.configure(state, relation) end
  end
  check_phase(self, state, { post_hooks = true, post_outside = true, on_failure = true, always = true })
  for _, fn in ipairs(state.finally or {}) do fn() end
end

local function is_blocked(self, item)
  for _, dep in ipairs(item.deps) do
    if self.bad[dep] then return self.nodes[dep].node end
  end
end

local function note_unrehearsed(self, item)
  for _, listed in ipairs(hook_list.of_node(self.run, self.run.project.info[item.id], item.kind)) do
    if listed.transaction == "none" then self.left_out[#self.left_out + 1] = { listed = listed, node = item.id } end
  end
end

local function run_node(self, index, item)
  local run, node = self.run, item.node
  local cause = is_blocked(self, item)
  if cause then
    self.bad[index] = true
    return node_module.unstarted(run, node, "skipped", ("%s %s did not succeed"):format(cause.resource_type,
      cause.name))
  end
  if item.kind == "model" and microbatch.is(run.project, node) then
    self.bad[index] = true
    return node_module.unstarted(run, node, "skipped", "a microbatch model has transactions of its own")
  end
  if not self.checking then note_unrehearsed(self, item) end
  local ctx = { id = item.id, node = node, index = index, conn = self.conn, phase = "build", timings = {} }
  self.handlers.start(ctx)
  ctx.state.conn = self.conn
  local ok, e = undoable(self.conn, "dex_node", perform, self, ctx)
  ctx.committed, ctx.status = ok, ok and "success" or "error"
  if not ok then
    self.bad[index] = true
    ctx.error, ctx.failed_phase = e, ctx.state.phase
  end
  self.handlers.report(ctx)
end

-- Run hooks in the rehearsal's transaction; what cannot run in one is left out.
local function run_hooks_of(self, phase)
  for _, listed in ipairs(hook_list.of_run(self.run, phase)) do
    local hook = listed.hook
    local state = node_module.new_state(self.run, self.run.project.nodes[hook.id])
    state.conn = self.conn
    state.context = require("run.context").operation(state)
    local failed = hooks.run(state, hook, phase, { inside = true, isolated = true, index = listed.index })
    if failed and (failed.sqlstate == "25001" or failed.code == 516 or failed.code == 505) then
      self.left_out[#self.left_out + 1] = { listed = listed }
    elseif failed then
      return failed
    end
  end
end

--- Rehearses nodes on one connection, in one transaction, which is rolled back. Raises what ended the
--- transaction; the failures of nodes are their results. May wait.
---@param run table of lua/run/init.lua, with `nodes` and `schemas`
---@param conn userdata idle
---@param opts {checking: boolean|nil, prepare: fun()} checking: every inside hook runs twice; `prepare` creates schemas
---@return {checked: dex.CheckedHook[], left_out: table[], changes: string[]|nil, failure: dex.Error|nil}
function M.run(run, conn, opts)
  local self = { run = run, conn = conn, nodes = run.nodes, checking = opts.checking, bad = {}, checked = {},
    left_out = {}, handlers = node_module.handlers(run) }
  run.rehearsing = true
  conn:exec "begin"
  local ok, e = pcall(function()
    local before = not self.checking and catalogue.picture(conn)
    opts.prepare()
    local failure = not self.checking and run_hooks_of(self, "run_start")
    for index, item in ipairs(run.nodes) do
      if failure then
        node_module.unstarted(run, item.node, "skipped", "an on-run-start hook failed")
      else
        run_node(self, index, item)
      end
    end
    self.failure = failure or nil
    self.changes = before and catalogue.differences(before, catalogue.picture(conn)) or nil
  end)
  local txn = conn:txn()
  if txn ~= "idle" and txn ~= "broken" then conn:exec "rollback" end
  if not ok then error(e, 0) end
  return self
end

--- The name of a checked or left-out hook for people.
function M.title(run, entry)
  local hook = entry.listed.hook
  local node = entry.node and require("project.members").runnable(run.project, entry.node)
  return ("%s%s '%s'"):format(node and (node.name .. ", ") or "", entry.listed.phase, opt(hook.name)
    or hooks.name_of(hook))
end

return M
