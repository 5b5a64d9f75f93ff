--- Functions of the database (functions/*.sql): what their properties say beside the settings of every node, and
-- overloads, which are files of their own and become part of the function that names them.

local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt

local argument_shape = { name = "text!", data_type = "text!", description = "text", default_value = "any" }
local returns_shape = { data_type = "text!", description = "text" }
local overload_shape = { defined_in = "text!", arguments = "list", returns = "dict", description = "text" }
local types = { "scalar", "aggregate", "table" }
local volatilities = { "deterministic", "stable", "non-deterministic" }

local function returns_of(project, entry, given, what, container)
  shape.check(project, entry, given, returns_shape, what .. ": `returns`", container, "returns")
  return dict("data_type", given.data_type, "description", value.or_none(opt(given.description)))
end

-- Arguments with defaults come last.
local function arguments_of(project, entry, data, what)
  local list, defaulted = value.list(), nil
  for i, given in ipairs(opt(data.arguments) or {}) do
    shape.check(project, entry, given, argument_shape, what .. ": an argument", data.arguments, i)
    local default = opt(given.default_value)
    if default ~= nil then
      defaulted = given.name
    elseif defaulted then
      shape.fail(entry, { container = given }, ("%s: the argument '%s' has no default and comes after '%s', which has "
        .. "one"):format(what, given.name, defaulted))
    end
    list[i] = dict("name", given.name, "data_type", given.data_type, "description",
      value.or_none(opt(given.description)), "default_value", value.or_none(default))
  end
  return list
end

local function overloads_of(project, entry, data, what)
  local list = value.list()
  for i, given in ipairs(opt(data.overloads) or {}) do
    shape.check(project, entry, given, overload_shape, what .. ": an overload", data.overloads, i)
    local returns = opt(given.returns)
    list[i] = dict("defined_in", given.defined_in, "arguments", arguments_of(project, entry, given, what), "returns",
      returns and returns_of(project, entry, returns, what, given) or none, "description",
      value.or_none(opt(given.description)))
  end
  return list
end

--- Fills the fields of a function that its properties decide. A function without properties raises code 139.
---@param project table
---@param node table dict
---@param patch dex.Patch|nil
---@param info table file, line
function M.apply(project, node, patch, info)
  local what = ("function '%s'"):format(node.name)
  if not patch then
    require("err").raise { code = 139, message = what .. " has no properties: nothing says what it returns",
      file = info.display, line = 1, hint = ("functions: [{name: %s, returns: {data_type: ...}}] in a properties file")
      :format(node.name) }
  end
  local entry, data = patch.entry, patch.entry.data
  if not value.is_dict(opt(data.returns)) then
    shape.fail(entry, { container = data, key = "returns", code = 139 }, what .. " needs `returns` with a `data_type`")
  end
  node.returns = returns_of(project, entry, data.returns, what, data)
  node.arguments = arguments_of(project, entry, data, what)
  node.overloads = overloads_of(project, entry, data, what)
  shape.one_of(entry, node.config, "type", types, what)
  shape.one_of(entry, node.config, "volatility", volatilities, what)
end

-- Adds what another node refers to.
local function merge_references(into, from)
  for _, key in ipairs { "refs", "sources", "functions" } do
    for _, item in ipairs(from[key]) do into[key][#into[key] + 1] = item end
  end
end

local function absorb(project, node, owners, overload)
  local info = project.info[node.unique_id]
  local id = ("function.%s.%s"):format(node.package_name, overload.defined_in)
  local found = rawget(project.functions, id)
  local function fail(message)
    project.problems:error { code = 139, message = message, file = info.patch_file or info.display,
      line = info.patch_line or info.line, node = node.unique_id }
  end
  if overload.defined_in == node.name then
    return fail(("function '%s' names itself as an overload"):format(node.name))
  elseif owners[id] then
    return fail(("the overload '%s' belongs to the function '%s' already"):format(overload.defined_in, owners[id]))
  elseif not found then
    return fail(("function '%s' has an overload in '%s', and there is no such file: it would be functions/%s.sql")
      :format(node.name, overload.defined_in, overload.defined_in))
  end
  owners[id] = node.name
  overload.raw_body, overload.compiled_body = found.raw_code, none
  merge_references(node, found)
  info.overloads = info.overloads or {}
  info.overloads[overload.defined_in] = project.info[id]
  value.del(project.functions, id)
end

--- Makes overloads part of their functions. Every function is loaded; those that only serve as an overload need no
--- properties, so errors about missing ones are raised here, for what is left.
---@param project table
function M.load(project)
  local owners = {}
  for _, id in ipairs(value.keys(project.functions)) do
    local node = rawget(project.functions, id)
    for _, overload in ipairs(node and node.overloads or {}) do absorb(project, node, owners, overload) end
  end
  for id, node in pairs(project.functions) do
    local info = project.info[id]
    if node.returns == none then
      project.problems:try({ file = info.display, node = id }, M.apply, project, node, nil, info)
    end
  end
end

return M
