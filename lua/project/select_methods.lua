--- What the methods of --select match: `fqn:`, `tag:`, `path:` and the rest, each a test of one node.

local err = require "err"
local fs = require "dex.fs"
local glob = require "project.glob"
local value = require "jinja.value"

local M = {}

local matches, opt = glob.matches, value.opt

local function split_dots(text)
  local parts = {}
  for part in (text .. "."):gmatch("(.-)%.") do parts[#parts + 1] = part end
  return parts
end

-- Whether a node's fully qualified name is meant by a selector, as dbt decides it.
local function name_matches(fqn, selector, parts, versioned)
  local count = #fqn
  if versioned then
    if fqn[count - 1] == selector then return true end
    local last = #parts >= 2 and parts[#parts - 1] .. "_" .. parts[#parts] or parts[#parts]
    if fqn[count - 1] .. "_" .. fqn[count] == last then return true end
  elseif fqn[count] == selector then
    return true
  end
  local flat = split_dots(table.concat(fqn, "."))
  if #flat < #parts then return false end
  for i, part in ipairs(parts) do
    if glob.is_pattern(part) then
      if matches(table.concat(flat, ".", i), table.concat(parts, ".", i)) then return true end
      if #parts > 1 then return false end
      return matches(versioned and fqn[count - 1] or fqn[count], selector)
    elseif flat[i] ~= part then
      return false
    end
  end
  return true
end

local tests = {}

function tests.fqn(_, selector)
  local parts = split_dots(selector)
  if selector == "*" then
    return function(node) return node.resource_type ~= "source" end
  end
  return function(node)
    local fqn = node.fqn
    if not fqn or node.resource_type == "source" then return false end
    local versioned = node.resource_type == "model" and opt(node.version) ~= nil
    return name_matches(fqn, selector, parts, versioned)
      or name_matches(table.move(fqn, 2, #fqn, 1, {}), selector, parts, versioned)
  end
end

function tests.tag(_, selector)
  return function(node)
    local tags = opt(node.tags)
    if not tags or node.resource_type == "saved_query" then tags = node.config and opt(node.config.tags) or {} end
    if type(tags) == "string" then return matches(tags, selector) end
    for _, tag in ipairs(tags) do
      if matches(tag, selector) then return true end
    end
    return false
  end
end

-- What dbt looks for groups in.
local grouped = { model = true, seed = true, snapshot = true, test = true, analysis = true, metric = true }

function tests.group(_, selector)
  return function(node)
    if not grouped[node.resource_type] then return false end
    local group = node.config and opt(node.config.group)
    return group ~= nil and matches(group, selector)
  end
end

function tests.access(_, selector)
  return function(node) return node.resource_type == "model" and node.access == selector end
end

local function by_parts(kind, field, forms)
  return function(_, selector)
    local parts = split_dots(selector)
    if #parts > #forms then
      err.raise { code = 307, message = ("'%s:%s' has too many parts: it is %s"):format(kind, selector,
        table.concat(forms, " or ")) }
    end
    local package, owner, name = "*", "*", "*"
    if field then
      if #parts == 3 then package, owner, name = parts[1], parts[2], parts[3]
      elseif #parts == 2 then owner, name = parts[1], parts[2]
      else owner = parts[1] end
    elseif #parts == 2 then
      package, name = parts[1], parts[2]
    else
      name = parts[1]
    end
    return function(node)
      return node.resource_type == kind and matches(node.package_name, package)
        and (not field or matches(node[field], owner)) and matches(node.name, name)
    end
  end
end

tests.source = by_parts("source", "source_name", { "source", "source.table", "package.source.table" })
tests.exposure = by_parts("exposure", nil, { "name", "package.name" })
tests.metric = by_parts("metric", nil, { "name", "package.name" })
tests.semantic_model = by_parts("semantic_model", nil, { "name", "package.name" })
tests.saved_query = by_parts("saved_query", nil, { "name", "package.name" })

-- By path or file name, with * and the like; of another package, behind its name.
function tests.operation(job, selector)
  return function(node)
    local operation = node.resource_type == "operation" and job.project.info[node.unique_id].operation
    return operation and (matches(operation.name, selector) or matches(node.name, selector)) or false
  end
end

tests.unit_test = by_parts("unit_test", nil, { "name", "package.name" })

-- The pattern is of paths in the root's folder. Paths of nodes are relative to their packages: those of other packages
-- match where the root has the same path, as in dbt.
function tests.path(job, selector)
  local root = job.project.root .. "/"
  if selector:sub(1, #root) == root then selector = selector:sub(#root + 1) end
  local itself = glob.path(selector)
  local there = {}
  local function is_there(path)
    if there[path] == nil then there[path] = fs.exists(root .. path) end
    return there[path]
  end
  return function(node)
    local own = node.package_name == job.project.name
    local path = node.original_file_path
    while path do
      if itself(path) and (own or is_there(path)) then return true end
      path = path:match("^(.*)/[^/]*$")
    end
    local patch = opt(node.patch_path)
    path = patch and patch:match("://(.*)$")
    return path ~= nil and itself(path) and (own or is_there(path))
  end
end

function tests.file(_, selector)
  return function(node)
    local name = node.original_file_path:match("[^/]*$")
    return matches(name, selector) or matches(name:gsub("(.)%.[^.]*$", "%1"), selector)
  end
end

function tests.package(job, selector)
  if selector == "this" then selector = job.project.name end
  return function(node) return matches(node.package_name, selector) end
end

-- As dbt compares: texts with texts; `true` and `false` may be texts, too.
local function equals(v, selector, insensitive)
  if type(v) == "boolean" then return tostring(selector):lower() == tostring(v) end
  if type(v) == "string" then
    return v == selector or insensitive and type(selector) == "string" and v:lower() == selector:lower()
  end
  return type(v) == "number" and v == selector
end

-- dbt looks into the config of nodes and sources only.
local configurable = { model = true, seed = true, snapshot = true, test = true, analysis = true, operation = true,
  source = true }

function tests.config(_, selector, arguments)
  local insensitive = #arguments == 1 and arguments[1] == "severity"
  return function(node)
    local v = node.config
    if not v or not configurable[node.resource_type] then return false end
    for _, key in ipairs(arguments) do
      if type(v) ~= "table" then return false end
      v = rawget(v, key)
    end
    if value.is_list(v) then
      for _, item in ipairs(v) do
        if equals(item, selector, insensitive) then return true end
      end
      return false
    end
    return equals(v, selector, insensitive)
  end
end

local resource_types = { "model", "seed", "snapshot", "test", "analysis", "source", "exposure", "operation", "metric",
  "semantic_model", "saved_query", "unit_test", "function", "group", "macro", "doc", "fixture", "sql_operation", "rpc" }

function tests.resource_type(_, selector)
  local known = false
  for _, name in ipairs(resource_types) do known = known or name == selector end
  if not known then
    err.raise { code = 307, message = ("'%s' is no resource type"):format(selector),
      hint = err.did_you_mean(selector, resource_types) }
  end
  return function(node) return node.resource_type == selector end
end

function tests.test_name(_, selector)
  return function(node)
    if node.resource_type == "unit_test" then return matches(node.name, selector) end
    local metadata = node.resource_type == "test" and opt(node.test_metadata)
    return metadata and matches(metadata.name, selector) or false
  end
end

local test_types = { generic = "generic", schema = "generic", singular = "singular", data = "any", unit = "unit" }

function tests.test_type(_, selector)
  local wanted = test_types[selector]
  if not wanted then
    err.raise { code = 307, message = ("'%s' is no type of test: it is generic, singular, unit or data"):format(
      selector),
      hint = err.did_you_mean(selector, { "generic", "singular", "unit", "data" }) }
  end
  return function(node)
    if node.resource_type == "unit_test" then return wanted == "unit" end
    if node.resource_type ~= "test" then return false end
    local kind = opt(node.test_metadata) and "generic" or "singular"
    return wanted == "any" or wanted == kind
  end
end

local function older(a, b)
  local x, y = tonumber(a), tonumber(b)
  if x and y then return x < y end
  return tostring(a) < tostring(b)
end

local version_tests = {
  latest = function(version, latest) return version == latest end,
  prerelease = function(version, latest) return version ~= nil and latest ~= nil and older(latest, version) end,
  old = function(version, latest) return version ~= nil and latest ~= nil and older(version, latest) end,
  none = function(version) return version == nil end,
}

function tests.version(_, selector)
  local test = version_tests[selector]
  if not test then
    err.raise { code = 307, message = ("'%s' is no version selector: it is latest, prerelease, old or none"):format(
      selector) }
  end
  return function(node)
    if node.resource_type ~= "model" then return false end
    local version, latest = opt(node.version), opt(node.latest_version)
    if selector == "latest" and version == nil then return false end
    return test(version, latest)
  end
end

-- What was before: --state ------------------------------------------------------------------------

local function previous(job, method)
  if job.state then return job.state end
  err.raise { code = 311, message = ("the selection method '%s' compares with an earlier run, and none is given")
    :format(method), hint = "name the folder of its artifacts with --state" }
end

function tests.state(job, selector)
  return require("project.state").comparison(job, previous(job, "state"), tostring(selector))
end

function tests.result(job, selector)
  return require("project.state").with_result(previous(job, "result"), tostring(selector))
end

function tests.source_status(job, selector)
  return require("project.state").fresher(previous(job, "source_status"), tostring(selector))
end

--- Names of the methods. `selector` is the work of lua/project/select.lua.
M.names = { "selector" }
for name in pairs(tests) do M.names[#M.names + 1] = name end
table.sort(M.names)

--- Whether there is a method of that name.
function M.is_method(name) return name == "selector" or tests[name] ~= nil end

--- A test for the nodes that a method and its value match. Raises 307 for an unknown method.
---@param job {project: table, state: dex.State|nil, warnings: dex.Error[]}
---@param method string with its arguments, such as "config.materialized"
---@param selector any what it is to match: a text, from YAML also a boolean or number
---@return fun(node: table): boolean
function M.test(job, method, selector)
  local parts = split_dots(method)
  local name = table.remove(parts, 1)
  local make = tests[name]
  if not make then
    err.raise { code = 307, message = ("'%s' is no selection method"):format(name),
      hint = err.did_you_mean(name, M.names)
      or "methods are " .. table.concat(M.names, ", ") }
  end
  if name == "config" then
    if #parts == 0 then err.raise { code = 307, message = "`config` needs the key: config.materialized:table" } end
    return make(job, selector, parts)
  end
  if type(selector) == "table" then
    err.raise { code = 307, message = ("`%s` takes one value, not a list or mapping"):format(method) }
  end
  return make(job, tostring(selector), parts)
end

return M
