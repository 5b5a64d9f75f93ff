--- Who depends on whom: resolves ref() and source(), finds cycles, and gives the order of the nodes.

local err = require "err"
local members = require "project.members"
local value = require "jinja.value"

local M = {}

local opt = value.opt
local nothing = {}
local refable = { model = true, seed = true, snapshot = true }

-- Looking names up -------------------------------------------------------------------------------

local function add_name(index, name, node)
  local by_package = index[name]
  if not by_package then
    by_package = {}
    index[name] = by_package
  end
  by_package[node.package_name] = by_package[node.package_name] or node.unique_id
end

local function add_ref(index, node)
  local version = opt(node.version)
  if version == nil then return add_name(index, node.name, node) end
  add_name(index, ("%s.v%s"):format(node.name, tostring(version)), node)
  if version == opt(node.latest_version) then add_name(index, node.name, node) end
end

--- Indexes the nodes by their names, for M.find_ref and M.find_source; M.resolve does it again with all nodes. What it
--- holds are unique_ids, by name and package.
---@param project table
function M.index(project)
  local index = { refs = {}, sources = {}, functions = {}, metrics = {}, disabled_refs = {}, disabled_sources = {},
    disabled_functions = {}, disabled_metrics = {} }
  for _, node in pairs(project.functions) do add_name(index.functions, node.name, node) end
  for _, node in pairs(project.metrics) do add_name(index.metrics, node.name, node) end
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    if refable[members.kind(id)] then add_ref(index.refs, reader(id)) end
  end
  for _, node in pairs(project.sources) do add_name(index.sources, node.source_name .. "." .. node.name, node) end
  for _, list in pairs(project.disabled) do
    for _, node in ipairs(list) do
      if refable[node.resource_type] then add_ref(index.disabled_refs, node) end
      if node.resource_type == "function" then add_name(index.disabled_functions, node.name, node) end
      if node.resource_type == "metric" then add_name(index.disabled_metrics, node.name, node) end
      if node.resource_type == "source" then
        add_name(index.disabled_sources, node.source_name .. "." .. node.name, node)
      end
    end
  end
  project.index = index
end

-- All nodes of a name over packages, sorted by package so that the answer is stable.
local function any(by_package)
  local packages = {}
  for package in pairs(by_package) do packages[#packages + 1] = package end
  table.sort(packages)
  return by_package[packages[1]], packages
end

-- dbt's order of packages: the one that is named, else the root, the node's own, any. Gives the unique_id.
local function search(project, index, key, from, package)
  local by_package = index[key]
  if not by_package then return nil end
  if package then return by_package[package] end
  local found = by_package[project.name] or by_package[from]
  if found then return found end
  local id, packages = any(by_package)
  if packages[2] then return nil, packages end
  return id
end

local function disabled_node(project, id) return id and project.disabled[id] and project.disabled[id][1] end

--- The node that a ref() means.
---@param project table
---@param from string package of the node that refers
---@param name string
---@param package? string
---@param version? any
---@return table|nil node
---@return table|nil disabled the disabled node of that name, when there is no other
---@return string[]|nil packages several packages that have the name, none of which comes first
function M.find_ref(project, from, name, package, version)
  local id, disabled, packages = M.find_ref_id(project, from, name, package, version)
  return id and project.nodes[id], disabled, packages
end

--- The same, with the node's unique_id in place of the node.
---@return string|nil id
---@return table|nil disabled
---@return string[]|nil packages
function M.find_ref_id(project, from, name, package, version)
  local key = version ~= nil and ("%s.v%s"):format(name, tostring(version)) or name
  local id, packages = search(project, project.index.refs, key, from, package)
  if id then return id end
  return nil, disabled_node(project, (search(project, project.index.disabled_refs, key, from, package))), packages
end

--- The source table that a source() means.
---@return table|nil node
---@return table|nil disabled
function M.find_source(project, from, source, name)
  local key = source .. "." .. name
  local id = search(project, project.index.sources, key, from)
  if id then return project.sources[id] end
  return nil, disabled_node(project, (search(project, project.index.disabled_sources, key, from)))
end

-- kind -> the two indexes of a project
local others = { ["function"] = { "functions", "disabled_functions" }, metric = { "metrics", "disabled_metrics" } }

--- The function or metric of a name.
---@param project table
---@param kind "function"|"metric"
---@param from string package of the node that refers
---@param name string
---@param package? string
---@return table|nil node
---@return table|nil disabled
---@return string[]|nil names all that there are, when none was found
function M.find_other(project, kind, from, name, package)
  local index, disabled = project.index[others[kind][1]], project.index[others[kind][2]]
  local id = search(project, index, name, from, package)
  if id then return members.get(project, id) end
  local names = {}
  for known in pairs(index) do names[#names + 1] = known end
  return nil, disabled_node(project, (search(project, disabled, name, from, package))), names
end

--- The names that ref() knows.
function M.names(project)
  local names = {}
  for name in pairs(project.index.refs) do names[#names + 1] = name end
  return names
end

-- Messages ---------------------------------------------------------------------------------------

-- Where in a text a call with these quoted words stands: its line, from 1.
local function line_of_call(text, fn, words)
  for at, args in text:gmatch("()" .. fn .. "%s*(%b())") do
    local all = true
    for _, word in ipairs(words) do
      all = all and (args:find("'" .. word .. "'", 1, true) or args:find('"' .. word .. '"', 1, true))
    end
    if all then
      local _, newlines = text:sub(1, at):gsub("\n", "")
      return newlines
    end
  end
end

-- File and line of the call of a node: in its text, in a hook of its own, else the node's.
local function place_of(project, node, fn, words)
  local info = project.info[node.unique_id] or project.disabled_info[node] or {}
  local offset = info.source and line_of_call(info.source, fn, words)
  if offset then return info.display, info.line + offset end
  for _, list in pairs(info.hooks or {}) do
    for _, hook in ipairs(list) do
      if line_of_call(hook.sql, fn, words) then return hook.file, hook.line end
    end
  end
  return info.display, info.line
end

local function names_in(index)
  local names = {}
  for name in pairs(index) do names[#names + 1] = name end
  return names
end

local function describe(node) return ("%s '%s'"):format(node.resource_type, node.name) end

-- What a reference to a version that is not there may have meant.
local function versions_hint(project, name)
  local found = {}
  for key in pairs(project.index.refs) do
    local base, version = key:match("^(.*)%.v(.-)$")
    if base == name then found[#found + 1] = version end
  end
  if #found == 0 then return nil end
  table.sort(found)
  return ("its versions are %s"):format(table.concat(found, ", "))
end

local function unresolved_ref(project, node, ref, disabled, packages)
  local words = { opt(ref.package), ref.name }
  if words[1] == nil then words = { ref.name } end
  local file, line = place_of(project, node, "ref", words)
  local what = opt(ref.package) and ("%s.%s"):format(ref.package, ref.name) or ref.name
  if opt(ref.version) then what = ("%s, version %s"):format(what, tostring(ref.version)) end
  if packages then
    return { code = 305, file = file, line = line,
      message = ("%s refers to '%s', which several packages have: %s"):format(describe(node), what,
        table.concat(packages, ", ")),
      hint = ("name the package: ref('package', '%s')"):format(ref.name) }
  elseif disabled then
    return { code = 304, file = file, line = line,
      message = ("%s depends on a node named '%s', which is disabled"):format(describe(node), what) }
  end
  return { code = 301, file = file, line = line,
    message = ("%s depends on a node named '%s', which was not found"):format(describe(node), what),
    hint = opt(ref.version) and versions_hint(project, ref.name)
      or err.did_you_mean(ref.name, names_in(project.index.refs)) }
end

local function unresolved_source(project, node, pair, disabled)
  local file, line = place_of(project, node, "source", pair)
  local what = pair[1] .. "." .. pair[2]
  if disabled then
    return { code = 304, file = file, line = line,
      message = ("%s depends on the source '%s', which is disabled"):format(describe(node), what) }
  end
  return { code = 303, file = file, line = line,
    message = ("%s depends on the source '%s', which was not found"):format(describe(node), what),
    hint = err.did_you_mean(what, names_in(project.index.sources)) }
end

local function unresolved_other(project, node, kind, words, disabled, names)
  local file, line = place_of(project, node, kind, words)
  local name = words[#words]
  if disabled then
    return { code = 304, file = file, line = line,
      message = ("%s depends on the %s '%s', which is disabled"):format(describe(node), kind, name) }
  end
  return { code = 315, file = file, line = line,
    message = ("%s depends on a %s named '%s', which was not found"):format(describe(node), kind, name),
    hint = err.did_you_mean(name, names) }
end

-- A node that may not be used from here.
local function check_access(project, node, target)
  if target.resource_type ~= "model" then return end
  local other_package = target.package_name ~= node.package_name
  local owner = project.packages[target.package_name]
  local restricted = other_package and owner and opt(owner.config["restrict-access"]) == true
  local group = opt(node.group)
  local private = target.access == "private" and (group == nil or group ~= target.group or restricted)
  if private or (target.access == "protected" and restricted) then
    local file, line = place_of(project, node, "ref", { target.name })
    project.problems:error { code = 306, file = file, line = line, node = node.unique_id,
      message = ("%s may not refer to model '%s': it is %s to %s"):format(describe(node), target.name, target.access,
        target.access == "private" and ("group '%s'"):format(tostring(opt(target.group) or "none"))
        or ("package '%s'"):format(target.package_name)) }
  end
end

-- Resolving --------------------------------------------------------------------------------------

-- What a ref is: of several processes' nodes only the name is there when there is no more to it.
local function parts_of(ref)
  if type(ref) == "string" then return ref end
  return ref.name, opt(ref.package), opt(ref.version)
end

-- A failed ref: an error, but a test is only left out, as in dbt, with a warning unless its target is disabled.
local function report(project, node, fields, dropped)
  fields.node = node.unique_id
  if node.resource_type ~= "test" then
    project.problems:error(fields)
    return
  end
  if fields.code ~= 304 then
    fields.code, fields.message = 309, fields.message .. ": the test is left out"
    project.problems:warn(fields)
  end
  dropped[#dropped + 1] = node.unique_id
end

-- `target` gives the fields of what is referred to.
local function resolve(project, node, dropped, target_of)
  local list = node.depends_on.nodes
  if not list then return end
  local seen = {}
  local from = node.package_name
  for _, pair in ipairs(opt(node.sources) or nothing) do
    local target, disabled = M.find_source(project, from, pair[1], pair[2])
    if not target then return report(project, node, unresolved_source(project, node, pair, disabled), dropped) end
    local id = target.unique_id
    if not seen[id] then
      seen[id] = true
      list[#list + 1] = id
    end
  end
  for _, ref in ipairs(node.refs) do
    local name, package, version = parts_of(ref)
    local id, disabled, packages = M.find_ref_id(project, from, name, package, version)
    if not id then
      if type(ref) == "string" then ref = { name = ref } end
      return report(project, node, unresolved_ref(project, node, ref, disabled, packages), dropped)
    end
    local target = target_of(id)
    local access = target.access
    if access == "private" or access == "protected" and target.package_name ~= from then
      check_access(project, node, target)
    end
    if not seen[id] then
      seen[id] = true
      list[#list + 1] = id
    end
  end
end

-- The functions and metrics that a node refers to, as lists of a name or of a package and a name.
local function resolve_others(project, node, dropped)
  local list, seen = node.depends_on.nodes, {}
  local functions, metrics = opt(node.functions) or nothing, opt(node.metrics) or nothing
  if not list or not (functions[1] or metrics[1]) then return end
  for _, id in ipairs(list) do seen[id] = true end
  for _, pair in ipairs { { "function", functions }, { "metric", metrics } } do
    for _, words in ipairs(pair[2]) do
      local target, disabled, names = M.find_other(project, pair[1], node.package_name, words[#words],
        words[2] and words[1])
      if not target then
        return report(project, node, unresolved_other(project, node, pair[1], words, disabled, names), dropped)
      end
      if not seen[target.unique_id] then
        seen[target.unique_id] = true
        list[#list + 1] = target.unique_id
      end
    end
  end
end

local function resolve_all(project, node, dropped, target_of)
  resolve(project, node, dropped, target_of or members.reader(project))
  resolve_others(project, node, dropped)
end

local function drop(project, id)
  local node = project.nodes[id]
  if project.stored then project.stored:forget(id) end
  node.config.enabled = false
  value.del(project.nodes, id)
  project.disabled[id] = value.list { node }
  project.disabled_info[node] = project.info[id]
  project.info[id] = nil
end

-- Order and cycles -------------------------------------------------------------------------------

local function build_maps(project)
  local parents, children, ids = {}, {}, {}
  members.each(project, function(id, node)
    ids[#ids + 1] = id
    children[id] = {}
    parents[id] = node.depends_on and node.depends_on.nodes or {}
  end)
  for _, id in ipairs(ids) do
    for _, parent in ipairs(parents[id]) do
      local list = children[parent]
      if list then list[#list + 1] = id end
    end
  end
  project.parents, project.children, project.ids = parents, children, ids
end

-- Names of a cycle as "a -> b -> a", given the ids that could not be ordered.
local function cycle_of(project, left)
  local start = next(left)
  for id in pairs(left) do start = id < start and id or start end
  local at, path, position = start, {}, {}
  while not position[at] do
    path[#path + 1] = at
    position[at] = #path
    for _, parent in ipairs(project.parents[at]) do
      if left[parent] then
        at = parent
        break
      end
    end
  end
  -- walked from a node to what it depends on: the other way round is how the data flows
  local names, ids = {}, {}
  for i = #path, position[at], -1 do ids[#ids + 1] = path[i] end
  local least = 1
  for i, id in ipairs(ids) do least = id < ids[least] and i or least end
  for i = 0, #ids do names[#names + 1] = members.get(project, ids[(least - 1 + i) % #ids + 1]).name end
  return names, ids[least]
end

-- Kahn's order, stable: nodes in the order of their files as far as their dependencies allow.
local function sort(project)
  local waiting, ready, order = {}, {}, {}
  for _, id in ipairs(project.ids) do
    local count = 0
    for _, parent in ipairs(project.parents[id]) do
      if project.children[parent] then count = count + 1 end
    end
    waiting[id] = count
    if count == 0 then ready[#ready + 1] = id end
  end
  local at = 1
  while ready[at] do
    local id = ready[at]
    at = at + 1
    order[#order + 1] = id
    waiting[id] = nil
    for _, child in ipairs(project.children[id]) do
      waiting[child] = waiting[child] - 1
      if waiting[child] == 0 then ready[#ready + 1] = child end
    end
  end
  project.order, project.position = order, {}
  for i, id in ipairs(order) do project.position[id] = i end
  if next(waiting) then
    local names, id = cycle_of(project, waiting)
    err.raise { code = 302, message = "these models depend on each other in a circle: " .. table.concat(names, " -> "),
      file = project.info[id].display, line = project.info[id].line, node = id }
  end
end

-- Two nodes that would be the same relation.
local function check_relations(project)
  local known = {}
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    local node = reader(id)
    local relation = node.resource_type ~= "test" and opt(node.relation_name)
    if relation then
      local other = known[relation]
      if other then
        project.problems:error { code = 117, node = id, file = project.info[id].display, line = 1,
          message = ("%s and %s would both be built as %s: the other one is %s"):format(describe(node),
            describe(project.nodes[other]), relation, project.info[other].display),
          hint = "give one of them another alias or schema" }
      end
      known[relation] = id
    end
  end
end

--- Resolves the refs of all nodes and fills project.parents, project.children (id -> ids), project.order (ids,
--- dependencies first) and project.position (id -> place in order). Raises when there is a cycle.
---@param project table
function M.resolve(project)
  M.index(project)
  local dropped = {}
  local reader, target_of = members.reader(project), members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    if members.kind(id) ~= "seed" then resolve_all(project, reader(id), dropped, target_of) end
  end
  for _, group in ipairs { project.functions, project.semantic_models, project.exposures } do
    for _, node in pairs(group) do resolve_all(project, node, dropped, target_of) end
  end
  for _, id in ipairs(dropped) do drop(project, id) end
  check_relations(project)
  project.problems:check()
  build_maps(project)
  sort(project)
end

--- Resolves the refs of one node and changes nothing but that: errors and warnings go to project.problems.
---@param project table
---@param node table
function M.resolve_refs(project, node) resolve_all(project, node, {}) end

--- Works out the order again after the list of a node in project.parents has changed. Raises when there is a cycle.
---@param project table
function M.reorder(project)
  local children = {}
  for _, id in ipairs(project.ids) do children[id] = {} end
  for _, id in ipairs(project.ids) do
    for _, parent in ipairs(project.parents[id]) do
      local list = children[parent]
      if list then list[#list + 1] = id end
    end
  end
  project.children = children
  sort(project)
end

--- Resolves the refs of one node that was added later (lua/project/models.lua, inline). Raises its error.
---@param project table
---@param id string
function M.resolve_one(project, id)
  local node = project.nodes[id]
  resolve_all(project, node, {})
  project.problems:check()
  project.parents[id], project.children[id] = node.depends_on.nodes, {}
  if not project.position[id] then
    project.ids[#project.ids + 1] = id
    project.order[#project.order + 1] = id
    project.position[id] = #project.order
  end
  for _, parent in ipairs(node.depends_on.nodes) do
    local list = project.children[parent]
    if list then list[#list + 1] = id end
  end
end

return M
