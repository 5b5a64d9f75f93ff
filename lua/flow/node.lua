--- One node of a flow: what its keys may be, and what they make of it.

local err = require "err"
local reader_module = require "flow.reader"
local tree = require "project.tree"
local value = require "jinja.value"

local M = {}

local opt = value.opt
local shown = reader_module.shown
local CODE = 611

--- A node of a flow. The fields of its kind are there, the others are not.
---@class dex.FlowNode
---@field name string
---@field kind "transformation"|"operation"|"script"|"flow"|"wait"
---@field file string
---@field line integer
---@field description string|nil
---@field needs string[]
---@field when "success"|"failed"|"always"|{expression: string}
---@field retries {count: integer, delay: number, backoff: string, jitter: number, max_delay: number}
---@field timeout number|nil seconds
---@field pool string|nil
---@field args table|nil dict, may hold Jinja
---@field for_each any list, or Jinja text that gives one
---@field on_crash "retry"|"fail"
---@field command string|nil transformation: build, run, test, seed or snapshot
---@field select string[]|nil
---@field exclude string[]|nil
---@field selector string|nil
---@field full_refresh any
---@field fail_fast any
---@field vars table|nil
---@field threads any
---@field state string|nil folder of an earlier run's artifacts, below the project's
---@field defer any
---@field favor_state any
---@field defer_state string|nil
---@field operation string|nil its path
---@field argv string[]|nil script: the program and its arguments
---@field shell_text string|nil script: what a shell runs
---@field env table|nil dict
---@field cwd string|nil
---@field flow string|nil
---@field wait {kind: "sql"|"file"|"freshness", value: string, every: number}|nil

M.kinds = { "transformation", "operation", "script", "flow", "wait" }

local keys = { name = "text", transformation = "any", operation = "text", script = "script", flow = "text",
  wait = "mapping", description = "text", needs = "texts", when = "any", retries = "any", timeout = "duration",
  pool = "text", args = "mapping~", for_each = "list~", on_crash = "text" }

local hints = { depends_on = "what must come before it stands in `needs`", type = "the kind of a node is the key it "
  .. "has: transformation, operation, script, flow or wait", select = "`select` stands below `transformation:`",
  sql = "`sql` stands below `wait:`; SQL that does something is an operation", every = "`every` stands below `wait:`",
  command = "`command` stands below `transformation:`; a program is a `script:`",
  shell = "`shell` stands below `script:`",
  env = "`env` stands below `script:`", vars = "`vars` stands below `transformation:`" }

-- What is rendered when the node runs.
local late = { args = true, for_each = true, when = true, transformation = true, script = true, wait = true }

-- Settings of a transformation that are taken as they are.
local plain = { "selector", "full_refresh", "fail_fast", "vars", "threads", "state", "defer", "favor_state",
  "defer_state" }

local commands = { "build", "run", "test", "seed", "snapshot" }

local makers = {}

function makers.transformation(self, node, data)
  local given = data.transformation
  if value.is_list(given) or type(given) == "string" then given = value.dict("select", given) end
  local what = node.what .. ": `transformation`"
  self:check(given, { command = "text", select = "texts", exclude = "texts", selector = "text",
    full_refresh = "boolean~", fail_fast = "boolean~", vars = "mapping~", threads = "count~", state = "text",
    defer = "boolean~", favor_state = "boolean~", defer_state = "text" },
    { what = what, code = CODE, container = data, key = "transformation" })
  node.command = self:one_of(given, "command", commands, { what = what, code = CODE }) or "build"
  for _, key in ipairs { "select", "exclude" } do
    local texts = reader_module.texts(given, key)
    node[key] = #texts > 0 and texts or nil
  end
  for _, key in ipairs(plain) do node[key] = opt(given[key]) end
  if node.defer and not node.state and not node.defer_state then
    self:fail({ code = CODE, container = given, key = "defer" }, what .. ": `defer` needs the folder of an earlier "
      .. "run's artifacts: `state` or `defer_state`")
  end
  if node.selector and (node.select or node.exclude) then
    self:fail({ code = CODE, container = given, key = "selector" }, what .. ": a `selector` says it all: leave out "
      .. "`select` and `exclude`")
  end
end

function makers.operation(_, node, data) node.operation = data.operation end

function makers.flow(_, node, data) node.flow = data.flow end

-- The words of a program that is started without a shell.
local function argv_of(self, node, list, container, key)
  local argv = {}
  for i, word in ipairs(list) do
    if type(word) == "table" then
      self:fail({ code = CODE, container = list, key = i }, ("%s: a word of a script is a text, not %s"):format(
        node.what, shown(word)))
    end
    argv[i] = tostring(word)
  end
  if argv[1] == "" then
    self:fail({ code = CODE, container = container, key = key }, node.what .. ": a script needs a program")
  end
  return argv
end

function makers.script(self, node, data)
  local given = data.script
  local what = node.what .. ": `script`"
  if not value.is_dict(given) then
    given = value.dict("run", given)
    self.lines[given] = { [0] = self:line(data, "script"), run = self:line(data, "script") }
  end
  self:check(given, { run = "script!", shell = "boolean", env = "scalars", cwd = "text" },
    { what = what, code = CODE, container = data, key = "script" })
  local run, shell = given.run, opt(given.shell)
  if value.is_dict(run) then
    self:fail({ code = CODE, container = given, key = "run" }, what .. ": `run` must be a list of words or a text")
  elseif shell then
    if type(run) ~= "string" then
      self:fail({ code = CODE, container = given, key = "run" }, what .. ": with `shell: true` it is one text")
    end
    node.shell_text = run
  elseif type(run) == "string" then
    if run:find "%s" and not tree.has_jinja(run) then
      self:fail({ code = CODE, container = given, key = "run",
        hint = "write [\"" .. run:gsub("%s+$", ""):gsub("%s+", "\", \"") .. "\"], or {run: ..., shell: true}" },
        what .. " is a program and its arguments as a list; a text of several words needs a shell")
    end
    node.argv = { run }
  else
    node.argv = argv_of(self, node, run, given, "run")
  end
  node.env, node.cwd = opt(given.env), opt(given.cwd)
end

function makers.wait(self, node, data)
  local given = data.wait
  local what = node.what .. ": `wait`"
  self:check(given, { sql = "text", file = "text", freshness = "texts", every = "duration" },
    { what = what, code = CODE, container = data, key = "wait" })
  local found
  for _, kind in ipairs { "sql", "file", "freshness" } do
    local v = opt(given[kind])
    if v ~= nil then
      if found then
        self:fail({ code = CODE, container = given, key = kind }, ("%s is for `%s` or for `%s`, not for both")
          :format(what, found, kind))
      end
      found = kind
      node.wait = { kind = kind, value = value.is_list(v) and table.concat(v, " ") or v,
        every = reader_module.seconds(given, "every") or 30 }
    end
  end
  if not found then
    self:fail({ code = CODE, container = data, key = "wait" }, what .. " needs `sql`, `file` or `freshness`")
  end
end

local function kind_of(self, node, data)
  local found
  for _, kind in ipairs(M.kinds) do
    if opt(data[kind]) ~= nil then
      if found then
        self:fail({ code = CODE, container = data, key = kind }, ("%s has `%s` and `%s`: a node is one thing"):format(
          node.what, found, kind))
      end
      found = kind
    end
  end
  if not found then
    self:fail({ code = CODE, container = data, line = node.line }, node.what .. " does nothing: it needs one of "
      .. table.concat(M.kinds, ", "))
  end
  return found
end

local whens = { "success", "failed", "always" }

-- `success`, or an expression that is evaluated when all that it needs has ended.
local function when_of(self, node, data)
  local given = opt(data.when)
  if given == nil then return "success" end
  if type(given) ~= "string" then
    self:fail({ code = CODE, container = data, key = "when" }, ("%s: `when` must be success, failed, always or an "
      .. "expression, not %s"):format(node.what, shown(given)))
  end
  for _, word in ipairs(whens) do
    if given == word then return given end
  end
  local expression = given:match("^%s*{{%-?(.-)%-?}}%s*$") or given
  if expression:find("^%s*[%a_]+%s*$") then
    self:fail({ code = CODE, container = data, key = "when", hint = err.did_you_mean(given, whens)
      or "an expression is such as tasks.load.status == 'failed'" },
      ("%s: `when` has no word '%s': it is success, failed, always or an expression"):format(node.what, given))
  end
  self:template("{{ (" .. expression .. ") }}", data, "when", node.what .. ": `when`")
  return { expression = expression }
end

local backoffs = { "fixed", "linear", "exponential" }

local function retries_of(self, node, data)
  local given = opt(data.retries)
  local what = node.what .. ": `retries`"
  local retries = { count = 0, delay = 1, backoff = "fixed", jitter = 0, max_delay = 3600 }
  if given == nil then return retries end
  if not value.is_dict(given) then
    if math.type(given) ~= "integer" or given < 0 then
      self:fail({ code = CODE, container = data, key = "retries" }, ("%s must be a whole number, or a mapping of "
        .. "count, delay, backoff, jitter and max_delay, not %s"):format(what, shown(given)))
    end
    retries.count = given
    return retries
  end
  self:check(given, { count = "count!", delay = "duration", backoff = "text", jitter = "any", max_delay = "duration" },
    { what = what, code = CODE })
  retries.count = given.count
  retries.delay = reader_module.seconds(given, "delay") or retries.delay
  retries.max_delay = reader_module.seconds(given, "max_delay") or math.max(retries.max_delay, retries.delay)
  retries.backoff = self:one_of(given, "backoff", backoffs, { what = what, code = CODE }) or retries.backoff
  local jitter = opt(given.jitter)
  if jitter == true then jitter = 0.5 elseif not jitter then jitter = 0 end
  if type(jitter) ~= "number" or jitter < 0 or jitter > 1 then
    self:fail({ code = CODE, container = given, key = "jitter" }, ("%s: `jitter` must be a part of the delay from 0 to "
      .. "1, or true, not %s"):format(what, shown(given.jitter)))
  end
  retries.jitter = jitter
  if retries.max_delay < retries.delay then
    self:fail({ code = CODE, container = given, key = "max_delay" }, what .. ": `max_delay` is below `delay`")
  end
  return retries
end

local takes_args = { operation = true, flow = true }

--- Reads one node. Raises 611, or 2xx for a template.
---@param self dex.FlowReader
---@param data any
---@param where {flow: string, container: table, key: any, name?: string, on_crash: string}
---@return dex.FlowNode for check.lua, `uses` lists the texts with Jinja as {text, line}, `lines` the lines of its keys
function M.read(self, data, where)
  local name = where.name or value.is_dict(data) and opt(data.name) or nil
  local what = ("flow '%s': %s"):format(where.flow, name and ("node '%s'"):format(tostring(name)) or "a node")
  data = self:check(data, keys, { what = what, code = CODE, container = where.container, key = where.key,
    hints = hints })
  local line = self:line(data) or self:line(where.container, where.key)
  if not name then self:fail({ code = CODE, container = data, line = line }, what .. " needs a `name`") end
  if not name:find("^[%w_][%w_-]*$") then
    self:fail({ code = CODE, container = data, key = "name", line = line },
      ("%s: a name has letters, digits, _ and -"):format(what))
  end
  data = self:early(data, late, { name })
  local node = { name = name, what = what, file = self.file, line = line, description = opt(data.description),
    needs = reader_module.texts(data, "needs"), timeout = reader_module.seconds(data, "timeout"), pool = opt(data.pool),
    args = opt(data.args), for_each = opt(data.for_each), uses = {}, lines = {} }
  for key in pairs(data) do node.lines[key] = self:line(data, key) end
  node.kind = kind_of(self, node, data)
  makers[node.kind](self, node, data)
  node.when = when_of(self, node, data)
  node.retries = retries_of(self, node, data)
  node.on_crash = self:one_of(data, "on_crash", { "retry", "fail" }, { what = what, code = CODE }) or where.on_crash
  if node.args and not takes_args[node.kind] then
    self:fail({ code = CODE, container = data, key = "args" }, ("%s: a %s takes no `args`"):format(what, node.kind))
  end
  if node.for_each and node.kind == "wait" then
    self:fail({ code = CODE, container = data, key = "for_each" }, what .. ": `for_each` is not for a wait")
  end
  local function note(text, at) node.uses[#node.uses + 1] = { text = text, line = at } end
  for key in pairs(late) do
    if key ~= "when" then self:templates(opt(data[key]), data, key, ("%s: `%s`"):format(what, key), note) end
  end
  if type(node.when) == "table" then note("{{" .. node.when.expression .. "}}", self:line(data, "when")) end
  return node
end

return M
