--- What no node of a flow can tell by itself: that what it names is there, that nothing waits for itself, and that
-- arguments fit.

local criteria = require "project.criteria"
local err = require "err"
local has_jinja = require("project.tree").has_jinja
local operations = require "project.operations"
local parameters = require "project.parameters"
local select = require "project.select"
local selectors = require "project.selectors"
local value = require "jinja.value"

local M = {}

local NEEDS, NAME = 612, 613

local function fail(node, code, key, message, hint)
  err.raise { code = code, file = node.file, line = node.lines[key] or node.line, hint = hint,
    message = node.what .. ": " .. message }
end

local function names_of(list)
  local names = {}
  for i, item in ipairs(list) do names[i] = item.name end
  return names
end

-- What comes before what ---------------------------------------------------------------------------------

local function check_needs(flow, node)
  local seen = {}
  for _, name in ipairs(node.needs) do
    if name == node.name then fail(node, NEEDS, "needs", "it needs itself") end
    if seen[name] then fail(node, NEEDS, "needs", ("`needs` names '%s' twice"):format(name)) end
    seen[name] = true
    if not flow.nodes[name] then
      local names = {}
      for _, other in ipairs(flow.nodes) do
        if other ~= node then names[#names + 1] = other.name end
      end
      fail(node, NEEDS, "needs", ("it needs '%s', which is no node of this flow"):format(name),
        err.did_you_mean(name, names) or (#names > 0 and "its nodes are " .. table.concat(names, ", ") or nil))
    end
  end
  if node.when == "failed" and #node.needs == 0 then
    fail(node, NEEDS, "when", "`when: failed` without `needs`: nothing could have failed before it")
  end
end

-- Raises for the first circle among things with names: the path that leads round.
local function check_rounds(things, nexts, key, words)
  local state, path = {}, {}
  local function visit(thing, from)
    if state[thing] == "done" then return end
    path[#path + 1] = thing.name
    if state[thing] == "open" then
      local first = 1
      while path[first] ~= thing.name do first = first + 1 end
      fail(from, NEEDS, key, words .. table.concat(table.move(path, first, #path, 1, {}), " -> "))
    end
    state[thing] = "open"
    nexts(thing, visit)
    state[thing] = "done"
    path[#path] = nil
  end
  for _, thing in ipairs(things) do visit(thing) end
end

local function check_circles(flow)
  check_rounds(flow.nodes, function(node, visit)
    for _, name in ipairs(node.needs) do
      local other = flow.nodes[name]
      if other then visit(other, other) end
    end
  end, "needs", "nodes need each other in a circle: ")
end

-- What has ended when a node begins.
local function ancestors_of(flow, node, found)
  for _, name in ipairs(node.needs) do
    if not found[name] and flow.nodes[name] then
      found[name] = true
      ancestors_of(flow, flow.nodes[name], found)
    end
  end
  return found
end

-- `tasks.x` in a template: only a node that comes before has something to say.
local function check_uses(flow, node)
  local before
  for _, use in ipairs(node.uses) do
    for code in use.text:gmatch("{[{%%](.-)[%%}]}") do
      local function look(name)
        for _, direct in ipairs(node.needs) do
          if direct == name then return end
        end
        before = before or ancestors_of(flow, node, {})
        if before[name] then return end
        local known = flow.nodes[name]
        err.raise { code = NEEDS, file = node.file, line = use.line or node.line, message = known
          and ("%s: it uses tasks.%s, but does not need '%s', which may not have run yet"):format(node.what, name, name)
          or ("%s: it uses tasks.%s, but '%s' is no node of this flow"):format(node.what, name, name),
          hint = known and ("add it to `needs`") or err.did_you_mean(name, names_of(flow.nodes)) }
      end
      for name in code:gmatch("%f[%w_.]tasks%.([%a_][%w_]*)") do
        if name ~= "items" and name ~= "values" and name ~= "keys" and name ~= "get" then look(name) end
      end
      for name in code:gmatch("%f[%w_.]tasks%[%s*['\"]([%w_-]+)['\"]%s*%]") do look(name) end
    end
  end
end

-- Names --------------------------------------------------------------------------------------------------

-- Arguments that are written out must fit; those with Jinja only have to be parameters.
local function check_args(node, declared, what)
  if not declared then return end
  local args, probe = node.args or value.dict(), {}
  for i, parameter in ipairs(declared) do
    local copy = setmetatable({}, { __index = parameter })
    if args[parameter.name] ~= nil and has_jinja(args[parameter.name]) then copy.type, copy.choices = "any", false end
    if parameter.env then copy.required = false end
    probe[i] = copy
  end
  local ok, e = pcall(parameters.bind, probe, args, { what = ("%s: %s"):format(node.what, what), file = node.file,
    line = node.line })
  if ok then return end
  if err.is(e) and e.code == 602 then
    if e.hint and e.hint:find("^give it with %-a") then e.hint = "give it below `args:`" end
    e.code = NAME
  end
  error(e, 0)
end

local function check_operation(project, node)
  local ok, operation = pcall(operations.find, project, node.operation, { code = NAME, file = node.file,
    line = node.lines.operation })
  if not ok then
    if err.is(operation) then operation.message = node.what .. ": " .. operation.message end
    error(operation, 0)
  end
  node.operation = operation.name
  check_args(node, operation.parameters, ("operation '%s'"):format(operation.name))
end

local function check_flow(flows, node)
  local flow = flows[node.flow]
  if not flow then
    fail(node, NAME, "flow", ("there is no flow '%s'"):format(node.flow), err.did_you_mean(node.flow, names_of(flows)))
  end
  check_args(node, flow.parameters, ("flow '%s'"):format(flow.name))
end

local types = require("command.steps").builds

-- A selection without Jinja: its syntax, and whether it finds anything.
local function check_selection(project, node)
  for _, key in ipairs { "select", "exclude" } do
    for _, text in ipairs(node[key] or {}) do
      if has_jinja(text) then return end
      for word in text:gmatch("[^%s,]+") do
        local ok, e = pcall(criteria.parse, word)
        if not ok then
          if not err.is(e) then error(e, 0) end
          fail(node, NAME, key, e.message, e.hint)
        end
      end
    end
  end
  if node.selector and not has_jinja(node.selector) then
    local ok, e = pcall(selectors.get, project, node.selector)
    if not ok then
      if not err.is(e) then error(e, 0) end
      fail(node, NAME, "selector", e.message, e.hint)
    end
  end
  local ok, found = pcall(select.select, project, { select = node.select, exclude = node.exclude,
    selector = node.selector, types = types[node.command].types })
  if not ok then
    if not err.is(found) or found.code >= 900 then error(found, 0) end
    if found.file then error(found, 0) end
    local compares = found.code == 311 -- with artifacts, which may not be there yet
    if compares and node.state then return end
    fail(node, NAME, "select", found.message, compares and "`state` of the transformation names the folder of its "
      .. "artifacts" or found.hint)
  end
  if #found == 0 then
    project.problems:warn { code = 619, file = node.file, line = node.line, message = node.what
      .. ": its selection finds nothing to " .. node.command }
  end
end

local function check_pool(flows, node)
  if not node.pool or flows.pools[node.pool] then return end
  local names = {}
  for name in pairs(flows.pools) do names[#names + 1] = name end
  table.sort(names)
  fail(node, NAME, "pool", ("there is no pool '%s'"):format(node.pool), err.did_you_mean(node.pool, names)
    or #names > 0 and "pools are " .. table.concat(names, ", ")
    or ("declare it in the file: `pools: {%s: 2}`"):format(node.pool))
end

-- Flows --------------------------------------------------------------------------------------------------

-- A flow that runs itself, by way of others or not.
local function check_sub_flows(flows)
  check_rounds(flows, function(flow, visit)
    for _, node in ipairs(flow.nodes) do
      if node.kind == "flow" and flows[node.flow] then visit(flows[node.flow], node) end
    end
  end, "flow", "flows run each other without end: ")
end

-- Nobody is there to give an argument when a schedule starts a run.
local function check_scheduled(flow)
  if not flow.schedule then return end
  for _, parameter in ipairs(flow.parameters or {}) do
    if parameter.required and parameter.default == nil and not parameter.env then
      err.raise { code = 610, file = flow.file, line = flow.line, message = ("%s has a schedule, and nobody to give it "
        .. "the parameter '%s'"):format(flow.what, parameter.name), hint = "give it a `default`, or an `env`" }
    end
  end
end

--- Checks all flows of a project. What is wrong is noted in project.problems, one error for each node.
---@param project dex.Project
---@param flows dex.Flow[]
function M.run(project, flows)
  local try = project.problems
  local complete = #try.errors == 0 -- a node that is missing because it could not be read is no second error
  for _, flow in ipairs(flows) do
    try:try(nil, check_scheduled, flow)
    local before = #try.errors
    for _, node in ipairs(flow.nodes) do
      if complete then
        try:try(nil, check_needs, flow, node)
        try:try(nil, check_uses, flow, node)
      end
      try:try(nil, check_pool, flows, node)
      if node.kind == "operation" then try:try(nil, check_operation, project, node) end
      if node.kind == "transformation" then try:try(nil, check_selection, project, node) end
      if node.kind == "flow" and complete then try:try(nil, check_flow, flows, node) end
    end
    if #try.errors == before then try:try(nil, check_circles, flow) end
  end
  try:try(nil, check_sub_flows, flows)
  for _, flow in ipairs(flows) do
    for _, node in ipairs(flow.nodes) do node.uses, node.lines = nil, nil end
  end
end

return M
