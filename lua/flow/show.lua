--- `flow ls`, `flow show NAME` and `flow next`: what the flows are, and when they run; `flow pause` and `flow resume`.

local definition = require "flow.definition"
local env = require "dex.env"
local err = require "err"
local errors = require "report.errors"
local json = require "dex.json"
local parameters = require "project.parameters"
local state = require "state"
local term = require "dex.term"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local MICRO = 1000000
local SOMEBODY = "somebody" -- whom the environment does not name
local COMING = 5 -- times that are shown of one flow

local function now() return math.floor(time.now() * MICRO) end

local function load(job)
  local flows = definition.load(job.project)
  for _, warning in ipairs(flows.warnings) do job.report:warning(warning) end
  return flows
end

-- flow name -> who has paused it. Nobody has when there is no state yet.
local function paused_of(project, flows)
  local store, paused = state.open(project.root, { readonly = true }), {}
  if not store then return paused end
  for _, flow in ipairs(flows) do
    local row = store:schedule(flow.name)
    if row.paused then paused[flow.name] = row.paused_by or SOMEBODY end
  end
  store:close()
  return paused
end

local function iso(at) return time.iso(at / MICRO) end

-- Seconds as one would write them: 90s, 5m, 2h.
local function span(n)
  for _, unit in ipairs { { 86400, "d" }, { 3600, "h" }, { 60, "m" } } do
    if n % unit[1] == 0 then return ("%d%s"):format(n // unit[1], unit[2]) end
  end
  return ("%gs"):format(n)
end

-- What of a node can be said in a few words.
local function detail_of(node)
  if node.kind == "transformation" then
    local words = { node.command }
    if node.selector then words[#words + 1] = "--selector " .. node.selector end
    if node.select then words[#words + 1] = table.concat(node.select, " ") end
    if node.exclude then words[#words + 1] = "--exclude " .. table.concat(node.exclude, " ") end
    return table.concat(words, " ")
  elseif node.kind == "script" then
    return node.shell_text or table.concat(node.argv, " ")
  elseif node.kind == "wait" then
    return ("%s %s"):format(node.wait.kind, node.wait.value)
  end
  return node.operation or node.flow
end

-- What a node has beside its kind, as words.
local function settings_of(node)
  local words = {}
  local function add(fmt, ...) words[#words + 1] = fmt:format(...) end
  if node.when ~= "success" then
    add("when %s", type(node.when) == "table" and node.when.expression or node.when)
  end
  if node.for_each then add("for each") end
  if node.retries.count > 0 then add("retries %d", node.retries.count) end
  if node.timeout then add("timeout %s", span(node.timeout)) end
  if node.pool then add("pool %s", node.pool) end
  return words
end

--- A flow as programs see it: a dict of name, description, file, line, parameters, schedule, nodes and settings.
---@param flow dex.Flow
---@param opts {now: integer, paused?: string, coming?: integer} `paused`: who has paused it; `coming`: how many times
---  of the schedule
---@return table dict
function M.describe(flow, opts)
  local nodes, list = value.list(), value.list()
  for i, node in ipairs(flow.nodes) do
    nodes[i] = value.dict("name", node.name, "kind", node.kind, "detail", detail_of(node), "description",
      value.or_none(node.description), "needs", value.list(table.move(node.needs, 1, #node.needs, 1, {})), "when",
      type(node.when) == "table" and node.when.expression or node.when, "retries", node.retries.count, "timeout",
      value.or_none(node.timeout), "pool", value.or_none(node.pool), "line", node.line)
  end
  local schedule = value.none
  if flow.schedule then
    for i, at in ipairs(flow.schedule:between(opts.now, math.maxinteger, opts.coming or COMING)) do
      list[i] = iso(at)
    end
    schedule = value.dict("text", flow.schedule:text(), "time_zone", flow.schedule.zone.name, "next", list, "paused",
      opts.paused ~= nil, "paused_by", value.or_none(opts.paused))
  end
  return value.dict("name", flow.name, "description", value.or_none(flow.description), "file",
    errors.relative(flow.file), "line", flow.line, "tags", value.list(table.move(flow.tags, 1, #flow.tags, 1, {})),
    "parameters", parameters.describe(flow.parameters), "schedule", schedule, "catchup", flow.catchup,
    "max_active_runs", flow.max_active_runs, "on_crash", flow.on_crash, "timeout", value.or_none(flow.timeout),
    "nodes", nodes)
end

local function print_json(v) term.write(1, json.encode(v) .. "\n") end

-- Cells in columns that are as wide as they must be; the last one is cut to the terminal.
local function print_columns(job, rows)
  local wide = {}
  for _, row in ipairs(rows) do
    for i, text in ipairs(row) do wide[i] = math.max(wide[i] or 0, utf8.len(text) or #text) end
  end
  local room = term.isatty(1) and term.width() or 80
  for _, row in ipairs(rows) do
    local parts, used = {}, 0
    for i, text in ipairs(row) do
      local length = utf8.len(text) or #text
      if i == #row and used + length > room and room - used > 8 then
        text = text:sub(1, (utf8.offset(text, room - used) or #text + 1) - 1) .. "…"
      end
      parts[i] = i < #row and text .. (" "):rep(wide[i] - length) or text
      used = used + wide[i] + 2
    end
    job.report:log("print", (table.concat(parts, "  "):gsub("%s+$", "")))
  end
end

local function next_of(flow, at, paused)
  if not flow.schedule then return "" end
  if paused then return "paused by " .. paused end
  local coming = flow.schedule:next(at)
  return coming and flow.schedule:clock(coming) or "never"
end

--- `flow ls`: each flow with its schedule and the time that comes next.
---@param job table
---@return integer status
function M.ls(job)
  local flows = load(job)
  local at, paused = now(), paused_of(job.project, flows)
  if job.given.output == "json" then
    local list = value.list()
    for i, flow in ipairs(flows) do list[i] = M.describe(flow, { now = at, paused = paused[flow.name] }) end
    print_json(list)
    return 0
  end
  if #flows == 0 then
    job.report:log("info", "there are no flows: they are files .yml below flows/ (`dex-lua help flows`)")
    return 0
  end
  local rows = {}
  for i, flow in ipairs(flows) do
    rows[i] = { flow.name, next_of(flow, at, paused[flow.name]), flow.schedule and flow.schedule:text()
      or "no schedule" }
  end
  print_columns(job, rows)
  return 0
end

--- `flow show NAME`: parameters, schedule and nodes of one.
---@param job table
---@return integer status
function M.show(job)
  local name = job.words[2]
  if not name then err.raise { code = 101, message = "which flow? `dex-lua flow ls` lists them" } end
  local flow = definition.find(job.project, name)
  load(job)
  local at, paused = now(), paused_of(job.project, { flow })[flow.name]
  if job.given.output == "json" then
    print_json(M.describe(flow, { now = at, paused = paused }))
    return 0
  end
  local function out(text) job.report:log("print", text) end
  out(("%s  (%s:%d)"):format(flow.name, errors.relative(flow.file), flow.line))
  if flow.description then out((flow.description:gsub("%s+$", ""))) end
  if flow.schedule then
    out("schedule: " .. flow.schedule:text() .. (paused and ", paused by " .. paused or ""))
    for _, coming in ipairs(flow.schedule:between(at, math.maxinteger, 3)) do
      out("  " .. flow.schedule:clock(coming))
    end
    out(("catchup: %s, at most %d run%s at once"):format(flow.catchup, flow.max_active_runs,
      flow.max_active_runs == 1 and "" or "s"))
  end
  if flow.timeout then out("timeout: " .. span(flow.timeout)) end
  if #flow.parameters > 0 then
    out("parameters:")
    for _, parameter in ipairs(flow.parameters) do out(require("command.operation").parameter_line(parameter)) end
  end
  out("nodes:")
  local rows = {}
  for _, node in ipairs(flow.nodes) do
    local words = settings_of(node)
    if #node.needs > 0 then table.insert(words, 1, "needs " .. table.concat(node.needs, ", ")) end
    rows[#rows + 1] = { "  " .. node.name, node.kind, (detail_of(node):gsub("%s+", " ")) }
    if #words > 0 then rows[#rows + 1] = { "", "", table.concat(words, "; ") } end
  end
  print_columns(job, rows)
  return 0
end

-- Pauses or resumes the schedule of the flow that the command line names.
local function set_paused(job, method)
  local name = job.words[2]
  if not name then err.raise { code = 101, message = ("which flow? `dex-lua flow %s NAME`"):format(method) } end
  local flow = definition.find(job.project, name)
  if not flow.schedule then
    err.raise { code = 616, message = ("the flow '%s' has no schedule"):format(name), file = flow.file,
      line = flow.line }
  end
  local store, by = state.open(job.project.root), env.get "USER" or SOMEBODY
  job.closers[#job.closers + 1] = function() store:close() end
  store[method](store, flow.name, by)
  job.report:log("info", ("%s: %s"):format(flow.name, next_of(flow, now(), method == "pause" and by or nil)))
  return 0
end

--- `flow pause NAME`: its schedule starts nothing until it is resumed. A server hears of it at once.
---@param job table
---@return integer status
function M.pause(job) return set_paused(job, "pause") end

--- `flow resume NAME`: its schedule holds again.
---@param job table
---@return integer status
function M.resume(job) return set_paused(job, "resume") end

--- `flow next [NAME]`: the times that come, of one flow or of all, in their order.
---@param job table
---@return integer status
function M.next(job)
  local flows = load(job)
  local wanted = job.words[2] and definition.find(job.project, job.words[2])
  if wanted and not wanted.schedule then
    err.raise { code = 616, message = ("the flow '%s' has no schedule"):format(wanted.name), file = wanted.file,
      line = wanted.line }
  end
  local count = job.given.count or 10
  local at, paused, times = now(), paused_of(job.project, flows), {}
  for _, flow in ipairs(wanted and { wanted } or flows) do
    for _, coming in ipairs(flow.schedule and flow.schedule:between(at, math.maxinteger, count) or {}) do
      times[#times + 1] = { at = coming, flow = flow }
    end
  end
  table.sort(times, function(a, b) return a.at < b.at or a.at == b.at and a.flow.name < b.flow.name end)
  for i = #times, count + 1, -1 do times[i] = nil end
  if job.given.output == "json" then
    local list = value.list()
    for i, coming in ipairs(times) do
      list[i] = value.dict("flow", coming.flow.name, "at", iso(coming.at), "clock",
        coming.flow.schedule:clock(coming.at), "paused", paused[coming.flow.name] ~= nil)
    end
    print_json(list)
    return 0
  end
  if #times == 0 then job.report:log("info", "no flow has a schedule") end
  local rows = {}
  for i, coming in ipairs(times) do
    rows[i] = { coming.flow.schedule:clock(coming.at), coming.flow.name, paused[coming.flow.name] and "paused" or "" }
  end
  print_columns(job, rows)
  return 0
end

return M
