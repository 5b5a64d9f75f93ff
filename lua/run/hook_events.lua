--- Events: a hook module may subscribe to what happens in a run with `on = { node_end = function(hook) ... end }`
-- in the table that it returns. Its functions observe: one task calls them, in order, beside the nodes, which
-- neither wait for them nor fail with them; the run ends when all have been heard. What they do in the
-- database happens on a connection of their own, each statement by itself.

local context = require "run.context"
local err = require "err"
local hook_view = require("run.hook_object").view
local hooks = require "run.hooks"
local loop = require "dex.loop"
local node_module = require "run.node"
local value = require "jinja.value"

local M = {}

--- The events, in the order in which they can come.
M.names = { "run_start", "node_start", "phase_end", "node_end", "test_failed", "operation_end", "flow_end",
  "cancel", "run_end" }

local is_event = {}
for _, name in ipairs(M.names) do is_event[name] = true end

local function check(module, name, fn)
  if not is_event[name] then
    err.raise { code = 503, message = ("there is no event '%s' to subscribe to"):format(tostring(name)),
      file = module.file, hint = err.did_you_mean(tostring(name), M.names) or "there are " ..
        table.concat(M.names, ", ") }
  end
  if type(fn) ~= "function" then
    err.raise { code = 503, message = ("`on.%s` is a %s, not a function"):format(name, type(fn)), file = module.file }
  end
end

-- event -> {fn, module, name} of all modules
local function subscriptions(run)
  local found, any = {}, false
  for _, module in ipairs(run.modules:all()) do
    local on = rawget(module.value, "on")
    if on ~= nil and type(on) ~= "table" then
      err.raise { code = 503, message = ("`on` is a %s, not a table of events"):format(type(on)), file = module.file }
    end
    for name, fn in pairs(on or {}) do
      check(module, name, fn)
      found[name] = found[name] or {}
      table.insert(found[name], { fn = fn, module = module })
      any = true
    end
  end
  return any and found or nil
end

local function result_of(result)
  return value.dict("unique_id", result.id, "name", result.name, "kind", result.kind, "status", result.status,
    "seconds", result.seconds, "message", result.message, "rows", result.rows_affected, "failures", result.failures,
    "committed", result.committed)
end

-- What `hook.event` holds.
local shapes = {
  run_start = function(data) return value.dict("total", data.total) end,
  node_start = function(data)
    return value.dict("unique_id", data.id, "name", data.name, "kind", data.kind)
  end,
  phase_end = function(data)
    return value.dict("unique_id", data.id, "phase", data.phase, "seconds", data.seconds, "ok", data.ok)
  end,
  node_end = result_of, test_failed = result_of, operation_end = result_of, flow_end = result_of,
  cancel = function(data) return value.dict("signal", data.signal) end,
  run_end = function(data) return value.dict("total", #data.results) end,
}

local Events = {}
Events.__index = Events

--- The observers of a run, or nil when no module subscribes. Loads every module of the project and its packages;
--- raises what is wrong with one.
---@param run table
function M.new(run)
  local found = subscriptions(run)
  return found and setmetatable({ run = run, on = found, queue = {}, first = 1, last = 0 }, Events)
end

-- What an event is about: a node of the project, or the run.
local function new_state(run, data)
  local node = data.node or data.id and (run.by_id[data.id] or {}).node
    or data.id and require("project.members").runnable(run.project, data.id)
  local is_node = node ~= nil and node.resource_type ~= "operation" and node.resource_type ~= "macro"
  local state = node_module.new_state(run, node or value.dict("resource_type", "operation", "name", "run", "unique_id",
    "operation.dex.run", "package_name", run.project.name, "config", value.dict(), "raw_code", ""))
  state.context = is_node and context.node(state) or context.operation(state)
  return state
end

local function tell(event, state, item)
  local module = item.module
  local hook = { kind = "event", fn = item.fn, trusted = module.trusted, name = module.name .. "." .. event.name,
    package = module.package, file = module.file, line = debug.getinfo(item.fn, "S").linedefined, on_error = "warn",
    args = value.dict(), place = "module" }
  hooks.observe(state, hook, event.name, hook_view(event.data, "hook.event"))
end

local function work(self)
  while self.first <= self.last do
    local event = self.queue[self.first]
    self.queue[self.first] = nil
    self.first = self.first + 1
    local state = new_state(self.run, event.of)
    for _, item in ipairs(self.on[event.name]) do tell(event, state, item) end
    if state.conn then state.conn:release() end
  end
  self.worker = nil
end

--- Hears of an event. Does not wait.
---@param name string
---@param data table of Run:emit
function Events:note(name, data)
  if not self.on[name] then return end
  self.last = self.last + 1
  self.queue[self.last] = { name = name, data = shapes[name](data), of = data }
  if not self.worker then self.worker = loop.spawn(work, self) end
end

--- Waits until everything was heard.
function Events:drain()
  while self.worker do
    local worker = self.worker
    worker:wait()
    if self.worker == worker then self.worker = nil end
  end
end

return M
