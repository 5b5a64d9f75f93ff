--- selectors.yml: selections with a name. Each is read into the trees of criteria.lua when the project is loaded, so
-- that a parse reports what is wrong with any of them.

local context = require "project.context"
local criteria = require "project.criteria"
local err = require "err"
local fs = require "dex.fs"
local glob = require "project.glob"
local known = require "project.known"
local lines_of = require("project.lines").of
local methods = require "project.select_methods"
local tree = require "project.tree"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

local opt = value.opt

--- One entry of selectors.yml.
---@class dex.Selector
---@field name string
---@field spec dex.Spec
---@field default boolean
---@field file string
---@field line integer|nil
---@field data table dict as written, rendered

local function bad(reader, message, container, key, hint)
  err.raise { code = 307, message = ("selector '%s': %s"):format(reader.name, message), hint = hint, file = reader.file,
    line = lines_of(reader.lines, container, key) or reader.line }
end

local function check_method(reader, criterion, container, key)
  local name = criterion.method:match("^[^.]*")
  if not methods.is_method(name) then
    bad(reader, ("'%s' is no selection method"):format(name), container, key,
      err.did_you_mean(name, methods.names) or "methods are " .. table.concat(methods.names, ", "))
  end
  return criterion
end

-- A word such as "+tag:nightly".
local function of_text(reader, text, container, key)
  local ok, criterion = pcall(criteria.parse, text)
  if not ok then
    if not err.is(criterion) then error(criterion, 0) end
    bad(reader, criterion.message, container, key)
  end
  return check_method(reader, criterion, container, key)
end

local read

local function list_of(reader, definition, key)
  local list = definition[key]
  if not value.is_list(list) then bad(reader, ("`%s` must be a list"):format(key), definition, key) end
  return list
end

-- What `exclude:` lists: one spec, or the union of all; nil when the list is empty.
local function exclusions(reader, definition)
  local parts = {}
  for i, item in ipairs(list_of(reader, definition, "exclude")) do
    parts[i] = read(reader, item, definition.exclude, i)
  end
  if #parts <= 1 then return parts[1] end
  return { kind = "union", parts = parts }
end

-- {union: [...]} and {intersection: [...]}, of whose items one may be {exclude: [...]}.
local function group(reader, definition, kind)
  local parts, excluded, had_exclude = {}, nil, false
  local list = list_of(reader, definition, kind)
  for i, item in ipairs(list) do
    if value.is_dict(item) and item.exclude ~= nil and item.method == nil then
      if had_exclude then bad(reader, ("a second `exclude` in one `%s`"):format(kind), list, i) end
      had_exclude, excluded = true, exclusions(reader, item)
    else
      parts[#parts + 1] = read(reader, item, list, i)
    end
  end
  local spec = { kind = kind, parts = parts }
  return excluded and { kind = "difference", parts = { spec, excluded } } or spec
end

local criterion_keys = { method = true, value = true, children = true, parents = true, childrens_parents = true,
  children_depth = true, parents_depth = true, indirect_selection = true, exclude = true }
local criterion_names = { "method", "value", "children", "parents", "childrens_parents", "children_depth",
  "parents_depth", "indirect_selection", "exclude" }

local function depth_of(reader, definition, key)
  local wanted = opt(definition[key]) == true
  local given = opt(definition[key .. "_depth"])
  if given == nil or given == "" then return wanted and math.huge or nil end
  local depth = math.tointeger(tonumber(given))
  if not depth then bad(reader, ("`%s_depth` must be a whole number"):format(key), definition, key .. "_depth") end
  return wanted and depth or nil
end

local function mode_of(reader, definition)
  local mode = opt(definition.indirect_selection)
  if mode ~= nil and not criteria.modes[mode] then
    bad(reader, ("'%s' is no mode of indirect selection: it is eager, cautious, buildable or empty")
      :format(tostring(mode)), definition, "indirect_selection")
  end
  return mode
end

-- {tag: nightly}, or {method: tag, value: nightly, children: true, ...}.
local function criterion_of(reader, definition)
  local keys = value.keys(definition)
  if definition.method == nil or definition.value == nil then
    if #keys ~= 1 then
      bad(reader, ("a criterion needs `method` and `value`, or one key such as `tag`; it has %s"):format(
        table.concat(keys, ", ")), definition)
    end
    local key = tostring(keys[1])
    return check_method(reader, { kind = "criterion", raw = key, method = key, value = definition[key] }, definition,
      key)
  end
  for _, key in ipairs(keys) do
    if not criterion_keys[key] then
      reader.problems:warn { code = 130, message = ("selector '%s' has no key '%s'"):format(reader.name, tostring(key)),
        file = reader.file, line = lines_of(reader.lines, definition, key),
        hint = err.did_you_mean(tostring(key), criterion_names) }
    end
  end
  local at = opt(definition.childrens_parents) == true
  local spec = check_method(reader, { kind = "criterion", raw = tostring(definition.value),
    method = tostring(definition.method), value = definition.value, at = at,
    parents = depth_of(reader, definition, "parents"), children = depth_of(reader, definition, "children"),
    mode = mode_of(reader, definition) }, definition, "method")
  if at and spec.children then
    bad(reader, "`childrens_parents` and `children` exclude each other", definition, "childrens_parents")
  end
  local excluded = definition.exclude ~= nil and exclusions(reader, definition)
  return excluded and { kind = "difference", parts = { spec, excluded } } or spec
end

read = function(reader, definition, container, key)
  if type(definition) == "string" then return of_text(reader, definition, container, key) end
  if not value.is_dict(definition) then
    bad(reader, ("a definition is a text or a mapping, not '%s'"):format(tostring(definition)), container, key)
  end
  if definition.union ~= nil then return group(reader, definition, "union") end
  if definition.intersection ~= nil then return group(reader, definition, "intersection") end
  return criterion_of(reader, definition)
end

-- Loading ----------------------------------------------------------------------------------------

local function read_entry(project, entry, where)
  local reader = { name = entry.name, file = where.file, lines = where.lines, line = where.line,
    problems = project.problems }
  known.check(project.problems, known.selector, entry, { what = ("selector '%s'"):format(entry.name), file = where.file,
    lines = where.lines })
  local definition = opt(entry.definition)
  if definition == nil then bad(reader, "it has no `definition`", entry) end
  if value.is_dict(definition) and #definition > 1 and (definition.union or definition.intersection) then
    bad(reader, "one `union` or `intersection` stands alone at the top of a definition; there are " ..
      table.concat(value.keys(definition), ", "), entry, "definition")
  end
  return { name = entry.name, spec = read(reader, definition, entry, "definition"), default = entry.default == true,
    file = where.file, line = where.line, data = entry }
end

local function add(project, entry, where)
  local found = project.selectors
  local selector = read_entry(project, entry, where)
  if selector.default and found.default then
    err.raise { code = 307, message = ("the selectors '%s' and '%s' are both the default"):format(found.default.name,
      selector.name), file = where.file, line = where.line }
  end
  if selector.default then found.default = selector end
  if found.by_name[selector.name] then
    err.raise { code = 307, message = ("two selectors have the name '%s'"):format(selector.name), file = where.file,
      line = where.line }
  end
  found.by_name[selector.name] = selector
  found.list[#found.list + 1] = selector
end

local function read_file(project, path, display, cli)
  local content, lines = yaml.decode(fs.read(path), display)
  local list = value.is_dict(content) and opt(content.selectors)
  if not value.is_list(list) then
    err.raise { code = 307, message = "selectors.yml must be a mapping with a list of `selectors`", file = display,
      line = 1 }
  end
  list = tree.render(list, { context = context.project_file(cli), file = display, lines = lines }, { "selectors" })
  for i, entry in ipairs(list) do
    local where = { file = display, lines = lines, line = lines_of(lines, list, i) }
    if not value.is_dict(entry) or type(opt(entry.name)) ~= "string" then
      project.problems:error { code = 307, message = "every selector is a mapping with a `name` and a `definition`",
        file = display, line = where.line }
    else
      project.problems:try({ file = display, line = where.line }, add, project, entry, where)
    end
  end
end

--- Reads selectors.yml of the root project into project.selectors; nothing happens when there is none.
---@param project table with `packages` and `problems`
---@param cli table dict of --vars
function M.load(project, cli)
  local root = project.packages[1]
  project.selectors = { list = {}, by_name = {} }
  local path = root.dir .. "/selectors.yml"
  if fs.exists(path) then project.problems:try(nil, read_file, project, path, root.prefix .. "selectors.yml", cli) end
end

-- Using ------------------------------------------------------------------------------------------

local function no_selector(project, name)
  local names = {}
  for i, selector in ipairs(project.selectors.list) do names[i] = selector.name end
  err.raise { code = 307, message = ("there is no selector '%s'"):format(name), hint = err.did_you_mean(name, names)
    or #names > 0 and "selectors.yml has " .. table.concat(names, ", ")
    or "selectors have their names in selectors.yml beside the project file" }
end

--- The selector of a name. Raises 307 when there is none.
---@param project table
---@param name string
---@return dex.Selector
function M.get(project, name)
  return project.selectors.by_name[name] or no_selector(project, name)
end

--- The project's default selector, or nil.
---@return dex.Selector|nil
function M.default(project) return project.selectors.default end

--- The selectors whose names match a pattern, in the order of their names. Raises 307 when there is none.
---@param project table
---@param pattern string
---@return dex.Selector[]
function M.matching(project, pattern)
  local found = {}
  for _, selector in ipairs(project.selectors.list) do
    if glob.matches(selector.name, pattern) then found[#found + 1] = selector end
  end
  if #found == 0 then no_selector(project, pattern) end
  table.sort(found, function(a, b) return a.name < b.name end)
  return found
end

-- For the manifest: words become mappings.
local function word_for_manifest(text)
  local criterion = criteria.parse(text)
  local d = value.dict()
  if criterion.at then d.childrens_parents = true end
  if criterion.parents then d.parents = true end
  if criterion.parents and criterion.parents ~= math.huge then d.parents_depth = tostring(criterion.parents) end
  d.method, d.value = criterion.method, criterion.value
  if criterion.children then d.children = true end
  if criterion.children and criterion.children ~= math.huge then d.children_depth = tostring(criterion.children) end
  return d
end

local function for_manifest(definition)
  if type(definition) == "string" then return word_for_manifest(definition) end
  local key = value.keys(definition)[1]
  local v = definition[key]
  if value.is_list(v) and (key == "union" or key == "intersection" or key == "exclude") then
    local list = value.list()
    for i, item in ipairs(v) do list[i] = for_manifest(item) end
    return value.dict(key, list)
  end
  if #definition == 1 then return value.dict("method", key, "value", v) end
  return definition
end

--- The selectors as the manifest has them.
---@param project table
---@return table dict by name
function M.for_manifest(project)
  local d = value.dict()
  for _, selector in ipairs(project.selectors.list) do
    local copy = value.copy_dict(selector.data)
    copy.definition = for_manifest(copy.definition)
    d[selector.name] = copy
  end
  return d
end

return M
