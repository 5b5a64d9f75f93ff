--- The flows of a project: flows/**/*.yml, read and checked. Only commands that work with flows read them. All is
-- checked before anything runs: keys and types, Jinja's syntax, names of operations, flows, pools and selectors,
-- arguments, what nodes need, and schedules.

local check = require "flow.check"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local hooks = require "project.hooks"
local node_module = require "flow.node"
local parameters = require "project.parameters"
local problems_module = require "project.problems"
local reader_module = require "flow.reader"
local schedule = require "flow.schedule"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

local opt = value.opt
local shown = reader_module.shown
local CODE = 610

--- A flow.
---@class dex.Flow
---@field name string
---@field description string|nil
---@field file string
---@field line integer
---@field tags string[]
---@field meta table|nil dict
---@field parameters dex.Parameter[] an argument that is none of them is refused
---@field schedule dex.Schedule|nil
---@field catchup "none"|"latest"|"all"
---@field max_active_runs integer
---@field on_crash "retry"|"fail"
---@field timeout number|nil seconds
---@field hooks {start: dex.Hook[], success: dex.Hook[], failure: dex.Hook[], always: dex.Hook[]}
---@field notify {on: string, severity: string, hook: dex.Hook, line: integer}[]
---@field nodes dex.FlowNode[] in the file's order; by name as well

local flow_keys = { name = "text", description = "text", parameters = "any", schedule = "any", time_zone = "text",
  catchup = "text", max_active_runs = "count", on_crash = "text", timeout = "duration", hooks = "mapping",
  notify = "any", nodes = "nodes!", tags = "texts", meta = "mapping" }

local hints = { timezone = "did you mean 'time_zone'?", tasks = "did you mean 'nodes'?",
  steps = "did you mean 'nodes'?", params = "did you mean 'parameters'?", cron = "`cron` stands below `schedule:`",
  every = "`every` stands below `schedule:`", retries = "`retries` stands at each node",
  pools = "`pools` stands beside the flows of a file" }

-- What is rendered when the flow runs, or read by what has rules of its own.
local late = { nodes = true, hooks = true, notify = true }

local moments = { "start", "success", "failure", "always" }
local severities = { "info", "warning", "error", "critical" }

-- Hooks --------------------------------------------------------------------------------------------------

local function hook_list(self, given, container, key, what)
  local list = hooks.normalise(given, { place = "properties", file = self.file, lines = self.lines, what = what,
    line = self:line(container, key) })
  self:templates(given, container, key, what)
  for i, hook in ipairs(list) do
    hook.index = i
    if hook.kind == "removal" or hook.kind == "reference" then
      self:fail({ code = 112, container = container, key = key }, what .. ": a hook needs `sql`, `lua` or `operation`")
    end
  end
  return list
end

local function hooks_of(self, flow, data)
  local found, given = {}, opt(data.hooks)
  local what = flow.what .. ", hooks"
  if given then
    self:check(given, { start = "any", success = "any", failure = "any", always = "any" },
      { what = flow.what .. ": `hooks`", code = CODE, container = data, key = "hooks",
        hints = { pre = "did you mean 'start'?", post = "did you mean 'success'?", on_failure = "did you mean "
          .. "'failure'?" } })
  end
  for _, moment in ipairs(moments) do
    local v = given and opt(given[moment])
    found[moment] = v ~= nil and hook_list(self, v, given, moment, ("%s, %s"):format(what, moment)) or {}
  end
  return found
end

-- One entry of `notify` becomes one record for each moment that it is for.
local function add_notice(self, flow, item, container, key, list)
  local what = flow.what .. ": `notify`"
  local where = { what = what, code = CODE, container = container, key = key }
  item = self:check(item, { on = "texts!", severity = "text", to = "any!" }, where)
  local severity = self:one_of(item, "severity", severities, where)
  for _, moment in ipairs(reader_module.texts(item, "on")) do
    if moment ~= "start" and moment ~= "success" and moment ~= "failure" then
      self:fail({ code = CODE, container = item, key = "on", hint = err.did_you_mean(moment, moments) },
        ("%s: `on` must be start, success or failure, not %s"):format(what, shown(moment)))
    end
    for _, hook in ipairs(hook_list(self, item.to, item, "to", what)) do
      list[#list + 1] = { on = moment, severity = severity or moment == "failure" and "error" or "info", hook = hook,
        line = self:line(item) or flow.line }
    end
  end
end

local function notices_of(self, flow, data)
  local list, given = {}, opt(data.notify)
  if given == nil then return list end
  if value.is_list(given) then
    for i, item in ipairs(given) do add_notice(self, flow, item, given, i, list) end
  else
    add_notice(self, flow, given, data, "notify", list)
  end
  return list
end

-- Flows --------------------------------------------------------------------------------------------------

local function add_node(self, flow, item, where)
  local node = node_module.read(self, item, where)
  local other = flow.nodes[node.name]
  if other then
    self:fail({ code = 611, line = node.line }, ("%s: there are two nodes '%s': the other one is in line %s"):format(
      flow.what, node.name, tostring(other.line)))
  end
  flow.nodes[#flow.nodes + 1], flow.nodes[node.name] = node, node
end

local function nodes_of(self, flow, given)
  local where = { flow = flow.name, container = given, on_crash = flow.on_crash }
  for key, item in (value.is_dict(given) and pairs or ipairs)(given) do
    where.key, where.name = key, type(key) == "string" and key or nil
    if value.is_dict(given) and (type(key) ~= "string" or value.is_dict(item) and opt(item.name) ~= nil) then
      self:fail({ code = 611, container = given, key = key },
        ("%s: a node in a mapping has its name as the key"):format(flow.what))
    end
    self.project.problems:try(nil, add_node, self, flow, item, where)
  end
  if #given == 0 then
    self:fail({ code = CODE, container = given, line = flow.line }, flow.what .. " has no nodes")
  end
end

local function name_of(self, data, where, default)
  local name = value.is_dict(data) and opt(data.name) or default
  if not name then
    self:fail({ code = CODE, container = where.container, key = where.key }, "a flow needs a `name`")
  end
  if type(name) ~= "string" or not name:find("^[%w_][%w_.-]*$") then
    self:fail({ code = CODE, container = data, key = "name" },
      ("%s is no name for a flow: letters, digits, _, - and ."):format(shown(name)))
  end
  return name
end

local function add_flow(self, flows, data, where)
  local name = name_of(self, data, where, where.default_name)
  local what = ("flow '%s'"):format(name)
  data = self:check(data, flow_keys, { what = what, code = CODE, container = where.container, key = where.key,
    hints = hints })
  local flow = { name = name, what = what, file = self.file, nodes = {},
    line = self:line(data, "name") or self:line(data) or 1 }
  local other = flows[name]
  if other then
    self:fail({ code = CODE, line = flow.line }, ("there are two flows '%s': the other one is %s:%d"):format(name,
      other.file, other.line))
  end
  flows[#flows + 1], flows[name] = flow, flow -- other flows may name it even when something is wrong with it
  data = self:early(data, late, { name })
  self:check(data, flow_keys, { what = what, code = CODE }) -- what Jinja gave
  local code = { what = what, code = CODE }
  flow.description, flow.tags, flow.meta = opt(data.description), reader_module.texts(data, "tags"), opt(data.meta)
  flow.timeout = reader_module.seconds(data, "timeout")
  flow.catchup = self:one_of(data, "catchup", { "none", "latest", "all" }, code) or "none"
  flow.on_crash = self:one_of(data, "on_crash", { "retry", "fail" }, code) or "retry"
  flow.max_active_runs = opt(data.max_active_runs) or 1
  flow.hooks, flow.notify = hooks_of(self, flow, data), notices_of(self, flow, data)
  local origin = { what = what, file = self.file, lines = self.lines,
    line = self:line(data, "parameters") or flow.line }
  local try = self.project.problems
  flow.parameters = try:try(nil, parameters.declare, data.parameters, origin) or {}
  flow.schedule = try:try(nil, schedule.read, self, flow, data, flows.time_zone)
  try:try(nil, nodes_of, self, flow, data.nodes)
end

-- Files --------------------------------------------------------------------------------------------------

local function add_pools(self, flows, container, key)
  local given = opt(container[key])
  if given == nil then return end
  if not value.is_dict(given) then
    self:fail({ code = CODE, container = container, key = key },
      ("`pools` must be a mapping of names to numbers, not %s"):format(shown(given)))
  end
  for name, limit in pairs(given) do
    if math.type(limit) ~= "integer" or limit < 1 then
      self:fail({ code = CODE, container = given, key = name },
        ("pool '%s': how many run at once is a whole number above 0, not %s"):format(tostring(name), shown(limit)))
    end
    local known = flows.pools[name]
    if known and known ~= limit then
      self:fail({ code = CODE, container = given, key = name },
        ("pool '%s' has the limit %d here and %d in another place"):format(tostring(name), limit, known))
    end
    flows.pools[tostring(name)] = limit
  end
end

local file_keys = { version = "any", flows = "list", pools = "mapping" }

local function read_file(project, flows, file)
  local text = fs.read(file.abs)
  local data, lines = yaml.decode(text, file.display)
  if opt(data) == nil then return end
  local self = reader_module.new(project, file.display, lines, text)
  if not value.is_dict(data) then
    self:fail({ code = CODE, line = 1 }, "a flow file is a mapping: a flow, or `flows:` with a list of them")
  end
  local several = data.flows ~= nil or data.nodes == nil and data.name == nil
  if several then
    data = self:early(data, { flows = true }, {})
    self:check(data, file_keys, { what = "a file of flows", code = CODE })
    add_pools(self, flows, data, "pools")
    for i, item in ipairs(opt(data.flows) or {}) do
      project.problems:try(nil, add_flow, self, flows, item, { container = data.flows, key = i })
    end
    return
  end
  local flow = value.copy_dict(data)
  self.lines[flow] = self.lines[data]
  value.del(flow, "version")
  value.del(flow, "pools")
  add_pools(self, flows, data, "pools")
  add_flow(self, flows, flow, { default_name = file.name })
end

-- `dex:` of the project file: pools, and the time zone of schedules that have none.
local function read_settings(project, flows)
  local root = project.packages[1]
  local self = reader_module.new(project, root.file, root.lines)
  local settings = opt(rawget(project.config, "dex"))
  if settings == nil then return end
  if not value.is_dict(settings) then
    self:fail({ code = CODE, container = project.config, key = "dex" }, "`dex` must be a mapping")
  end
  local pools = opt(settings.pools)
  if pools then add_pools(self, flows, settings, "pools") end
  local zone = opt(settings.time_zone)
  if zone ~= nil then flows.time_zone = schedule.zone(self, zone, settings, "time_zone", "dbt_project.yml") end
end

--- Reads the flows anew. Raises the first error, the others in its field `others`. May wait.
---@param project dex.Project
---@return dex.Flow[] in the order of their names, by name as well; `pools` is name -> limit, `warnings` dex.Error[]
function M.read(project)
  local problems = problems_module.new()
  -- problems of flows are none of the project's, which other commands go on with
  local view = setmetatable({ problems = problems }, { __index = project })
  local flows = { pools = {} }
  problems:try(nil, read_settings, view, flows)
  local root = project.packages[1]
  for _, file in ipairs(files.find(root, root.paths.flow, { ".yml", ".yaml" })) do
    problems:try({ file = file.display }, read_file, view, flows, file)
  end
  check.run(view, flows)
  problems:check()
  table.sort(flows, function(a, b) return a.name < b.name end)
  flows.warnings = problems.warnings
  return flows
end

local loaded = setmetatable({}, { __mode = "k" })

--- The flows of a project; they are read once. Raises like M.read. May wait.
---@param project dex.Project
---@return dex.Flow[]
function M.load(project)
  local flows = loaded[project]
  if not flows then
    flows = M.read(project)
    loaded[project] = flows
    require("help.names").write_flows(project, flows)
  end
  return flows
end

--- The flow of a name. Raises 616 when there is none, with the nearest name.
---@param project dex.Project
---@param name string
---@return dex.Flow
function M.find(project, name)
  local flows = M.load(project)
  if flows[name] then return flows[name] end
  local names = {}
  for i, flow in ipairs(flows) do names[i] = flow.name end
  err.raise { code = 616, message = ("there is no flow '%s'"):format(name), hint = err.did_you_mean(name, names)
    or #names > 0 and "there are " .. table.concat(names, ", ") or "flows are files .yml below flows/" }
end

return M
