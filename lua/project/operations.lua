--- Operations: the SQL, Python and Lua scripts below operations/. Each is a node of the graph, which runs when it is
-- asked for by name.

local build = require "project.node"
local config = require "project.config"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local hash = require "dex.hash"
local header = require "project.header"
local jinja = require "jinja"
local lines = require "project.lines"
local literal = require "project.literal"
local parameters = require "project.parameters"
local scan = require "project.scan"
local settings_module = require "project.operation_settings"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- One operation.
---@class dex.Operation
---@field name string path below operations/ without its ending; of a package: its name and a slash before it
---@field language "sql"|"python"|"lua"
---@field package_name string
---@field file string absolute
---@field display string as messages name it
---@field source string
---@field template table compiled, when first read; of SQL and Python
---@field config table dict: the node's
---@field parameters dex.Parameter[]|nil
---@field hooks table<string, dex.Hook[]> by phase
---@field unique_id string
---@field node table dict: the manifest's

local Operation = { __index = function(operation, key)
  if key ~= "template" then return nil end
  local template = jinja.compile(operation.source, { file = operation.display, line = 1 })
  rawset(operation, "template", template)
  return template
end }

local languages = { [".sql"] = "sql", [".py"] = "python", [".lua"] = "lua" }
local marks = { python = "#", lua = "--" }

--- Whether a source has anything for Jinja to do.
---@param operation dex.Operation
---@return boolean
function M.has_jinja(operation)
  if operation.language == "lua" or operation.config.jinja == false then return false end
  return operation.source:find("{[{%%#]") ~= nil
end

--- Whether an operation runs inside a transaction of its node.
---@param operation dex.Operation
---@return boolean
function M.is_transactional(operation)
  return operation.language ~= "python" and operation.config.transaction ~= false
end

-- What a source says of itself ---------------------------------------------------------------------------

-- The arguments of the config() calls in SQL. Anything else in it is for when it runs.
local function settings_of_sql(project, operation)
  local capture = scan.new_capture()
  local line
  for at, call in operation.source:gmatch("{{[-+]?%s*()(config%s*%b())%s*[-+]?}}") do
    local _, newlines = operation.source:sub(1, at):gsub("\n", "")
    line = line or newlines + 1
    local found = literal.call(call) and scan.python("dbt." .. call)
    if not found then
      found = scan.new_capture()
      local node = value.dict("name", operation.name, "package_name", operation.package_name, "resource_type",
        "operation", "unique_id", operation.unique_id)
      local template = jinja.compile("{{ " .. call .. " }}", { file = operation.display, line = newlines + 1 })
      template:read(require("run.context").parse_context(project, node, found))
    end
    for k, v in pairs(found.config) do capture.config[k] = v end
  end
  return capture.config, nil, line
end

local function settings_of(project, operation)
  if operation.language == "sql" then return settings_of_sql(project, operation) end
  local settings, its_lines, line = header.read(operation.source, marks[operation.language], operation.display)
  return settings or value.dict(), its_lines, line
end

-- The refs and sources that are written out in a source. Others are found when it runs.
local function references_of(operation)
  local capture = { refs = value.list(), sources = value.list() }
  local function note(call)
    local found = scan.python("dbt." .. call)
    for _, key in ipairs { "refs", "sources" } do
      for _, item in ipairs(found[key]) do capture[key][#capture[key] + 1] = item end
    end
  end
  if operation.language == "lua" then
    local plain = operation.source:gsub("%-%-[^\n]*", "")
    for fn, args in plain:gmatch("[%w_]:(%l+)%s*(%b())") do
      if fn == "ref" or fn == "source" then note(fn .. args) end
    end
  elseif M.has_jinja(operation) then
    local plain = operation.source:gsub("{#.-#}", "")
    for piece in plain:gmatch("{[{%%](.-)[%%}]}") do
      for fn, args in piece:gmatch("%f[%w_.](%l+)%s*(%b())") do
        if fn == "ref" or fn == "source" then note(fn .. args) end
      end
    end
  end
  return capture
end

-- Nodes --------------------------------------------------------------------------------------------------

local function folders_of(package, path)
  local fqn = value.list { package.name }
  for part in path:gmatch("[^/]+") do fqn[#fqn + 1] = part end
  return fqn
end

-- Settings of an entry of a properties file: beside `config:` and in it.
local function level_of_entry(project, operation, entry)
  local data = entry.data
  local settings = lines.carry(entry.lines, data, value.dict())
  local inner = opt(data.config)
  for key, v in pairs(data) do
    if key ~= "name" and key ~= "config" then settings[key] = v end
  end
  for key, v in pairs(inner or {}) do
    if settings[key] ~= nil then
      err.raise { code = 113, message = ("operation '%s': `%s` stands in `config` and beside it: keep one"):format(
        operation.name, key), file = entry.file.display, line = lines.of(entry.lines, inner, key) or entry.line }
    end
    settings[key] = v
  end
  local origin = { what = ("operation '%s'"):format(operation.name), place = "properties", file = entry.file.display,
    line = entry.line, lines = entry.lines }
  operation.declared_at = origin
  return config.level(settings_module.check(settings, origin), origin, project.problems)
end

local function level_of_file(project, operation)
  local settings, its_lines, line = settings_of(project, operation)
  local origin = { what = ("operation '%s'"):format(operation.name), place = "config", file = operation.display,
    line = line or 1, lines = its_lines }
  if #settings == 0 then return nil end
  if opt(settings.parameters) ~= nil then operation.declared_at = origin end
  return config.level(settings_module.check(settings, origin), origin, project.problems)
end

local function make_node(project, operation, file)
  local capture = references_of(operation)
  local node = build.script(project, { resource_type = "operation", name = operation.name:match("[^/]+$"),
    package = operation.package_name, path = file.path, original = file.original, unique_id = operation.unique_id,
    fqn = operation.fqn, checksum = build.checksum("sha256", hash.sha256(operation.source)),
    raw_code = operation.source, config = operation.config, language = operation.language,
    description = opt(operation.config.description), tags = value.copy(operation.config.tags),
    refs = capture.refs, sources = capture.sources })
  if opt(operation.config.meta) then node.meta = value.copy(operation.config.meta) end
  return node
end

local function add(project, package, file, entry)
  local root = package == project.packages[1]
  local ending = file.path:match("%.[^./]*$")
  local path = file.path:sub(1, -#ending - 1)
  local operation = setmetatable({ name = root and path or package.name .. "/" .. path, package_name = package.name,
    language = languages[ending:lower()], file = file.abs, display = file.display, source = fs.read(file.abs),
    path = path, unique_id = ("operation.%s.%s"):format(package.name, path), fqn = folders_of(package, path) },
    Operation)
  local other = project.operations[operation.name]
  if other then
    err.raise { code = 116, message = ("there are two operations '%s': the other one is %s"):format(operation.name,
      other.display), file = file.display, line = 1 }
  end
  local levels = {}
  levels[1] = entry and level_of_entry(project, operation, entry)
  levels[#levels + 1] = level_of_file(project, operation)
  operation.config, operation.hooks = config.of(project, "operation", package, operation.fqn, levels)
  operation.config.materialized = "operation"
  if operation.config.enabled == false then return end
  operation.parameters = parameters.declare(operation.config.parameters, operation.declared_at or
    { what = ("operation '%s'"):format(operation.name), file = operation.display, line = 1 })
  if operation.parameters then operation.config.parameters = parameters.describe(operation.parameters) end
  if root and M.has_jinja(operation) then local _ = operation.template end
  operation.node = make_node(project, operation, file)
  project.operations[operation.name] = operation
  project.nodes[operation.unique_id] = operation.node
  project.info[operation.unique_id] = { file = file.abs, display = file.display, line = 1, source = operation.source,
    hooks = operation.hooks, package = package, operation = operation }
end

-- Names --------------------------------------------------------------------------------------------------

local function paths_of(project)
  local paths = {}
  for path in pairs(project.operations) do paths[#paths + 1] = path end
  table.sort(paths)
  return paths
end

--- The operation of a path or of a unique file name, or nil.
---@param project table
---@param name string such as "permissions/grant_access", "grant_access", "operations/grant_access.sql"
---@return dex.Operation|nil
---@return string[] paths of all that have the name, or of all that there are
function M.lookup(project, name)
  local plain = name:gsub("^operations/", ""):gsub("%.sql$", ""):gsub("%.py$", ""):gsub("%.lua$", "")
  local exact = project.operations[plain]
  if exact then return exact, {} end
  local paths, found = paths_of(project), {}
  for _, path in ipairs(paths) do
    if path:match("[^/]+$") == plain then found[#found + 1] = path end
  end
  if #found == 1 then return project.operations[found[1]], {} end
  return nil, #found > 1 and found or paths
end

--- The same, which has to be there. Raises the code given when there is none, or several of the name.
---@param project table
---@param name string
---@param where {code: integer, file?: string, line?: integer}
---@return dex.Operation
function M.find(project, name, where)
  local found, paths = M.lookup(project, name)
  if found then return found end
  local several = #paths > 1 and paths[1]:match("[^/]+$") == name:match("[^/]+$"):gsub("%.%l+$", "")
  err.raise { code = where.code, file = where.file, line = where.line, message = several
    and ("'%s' is the name of several operations: %s"):format(name, table.concat(paths, ", "))
    or ("there is no operation '%s'"):format(name), hint = not several and (err.did_you_mean(name, paths)
      or (#paths > 0 and "there are " .. table.concat(paths, ", ")
        or "operations are files .sql, .py and .lua below operations/")) or nil }
end

--- The operations in the order of their names.
---@param project table
---@return dex.Operation[]
function M.list(project)
  local list = paths_of(project)
  for i, path in ipairs(list) do list[i] = project.operations[path] end
  return list
end

-- Dependencies -------------------------------------------------------------------------------------------

-- One item of `depends_on`: ref() or source(), an operation, or what ref() would find.
local function depend(project, operation, text)
  local node = operation.node
  if text:find("^%s*[%a_]+%s*%(.*%)%s*$") then
    local capture = scan.python("dbt." .. text:match("^%s*(.-)%s*$"))
    if #capture.refs + #capture.sources == 0 then
      err.raise { code = 122, message = ("operation '%s': '%s' in `depends_on` is no ref() or source()"):format(
        operation.name, text), file = operation.display, line = 1 }
    end
    for _, key in ipairs { "refs", "sources" } do
      for _, item in ipairs(capture[key]) do node[key][#node[key] + 1] = item end
    end
    return
  end
  local other = M.lookup(project, text)
  if other then
    node.depends_on.nodes[#node.depends_on.nodes + 1] = other.unique_id
  else
    node.refs[#node.refs + 1] = build.ref(text)
  end
end

-- The entries of properties files by package and by the path or name that they give.
local function entries_of(project)
  local found = {}
  for _, entry in ipairs(project.entries.operations) do
    local name = entry.name:gsub("%.%l+$", "")
    local of_package = found[entry.package] or {}
    found[entry.package] = of_package
    if of_package[name] then
      project.problems:error { code = 118, message = ("operation '%s' is described twice: also in %s, line %s"):format(
        name, of_package[name].file.display, tostring(of_package[name].line)), file = entry.file.display,
        line = entry.line }
    end
    of_package[name] = of_package[name] or entry
  end
  return found
end

-- The entry of a file: of its path, else of its name when no other file has it.
local function entry_for(entries, path, names)
  local name = path:match("[^/]+$")
  local entry = entries and (entries[path] or names[name] == 1 and entries[name])
  if entry then entry.used = true end
  return entry
end

--- Fills project.operations, by name, and their nodes. Those of the root project are compiled, so that their errors
--- are found.
---@param project table
function M.load(project)
  project.operations = {}
  local entries = entries_of(project)
  for _, package in ipairs(project.packages) do
    local found, names = files.find(package, package.paths.operation, { ".sql", ".py", ".lua" }), {}
    for _, file in ipairs(found) do names[file.name] = (names[file.name] or 0) + 1 end
    for _, file in ipairs(found) do
      local entry = entry_for(entries[package], file.path:gsub("%.%w+$", ""), names)
      project.problems:try({ file = file.display }, add, project, package, file, entry)
    end
  end
  for _, entry in ipairs(project.entries.operations) do
    if not entry.used then
      project.problems:warn { code = 131, file = entry.file.display, line = entry.line,
        message = ("there is no operation '%s' for this entry of `operations`"):format(entry.name),
        hint = err.did_you_mean(entry.name, paths_of(project)) }
    end
  end
  for _, operation in ipairs(M.list(project)) do
    for _, text in ipairs(settings_module.texts(operation.config.depends_on)) do
      project.problems:try({ file = operation.display, line = 1 }, depend, project, operation, text)
    end
  end
end

return M
