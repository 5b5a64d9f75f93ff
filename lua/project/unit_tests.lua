--- Unit tests: entries of `unit_tests:` become members of project.unit_tests with their rows as lists of mappings,
-- whatever they were written as. What runs them is lua/run/unit_test.lua.

local build = require "project.node"
local config = require "project.config"
local csv_rows = require "project.csv_rows"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local graph = require "project.graph"
local hash = require "dex.hash"
local json = require "dex.json"
local literal = require "project.literal"
local members = require "project.members"
local merge = require "project.merge"
local shape = require "project.shape"
local value = require "jinja.value"

local M = {}

local dict, none, opt = value.dict, value.none, value.opt

local entry_shape = { name = "text!", model = "text!", given = "list!", expect = "dict!", description = "text",
  overrides = "dict", config = "dict", versions = "dict" }
local input_shape = { input = "text!", rows = "any", format = "text", fixture = "text" }
local expect_shape = { rows = "any", format = "text", fixture = "text" }
local overrides_shape = { macros = "dict", vars = "dict", env_vars = "dict" }
local versions_shape = { include = "list", exclude = "list" }
local formats = { "dict", "csv", "sql" }

-- Code 125 at a place of the entry.
local function bad(entry, container, key, message, hint)
  shape.fail(entry, { container = container, key = key, code = 125, hint = hint },
    ("unit test '%s': %s"):format(entry.name, message))
end

-- Rows -------------------------------------------------------------------------------------------

-- The fixture files of a package by name: tests/fixtures/**.csv and .sql.
local function fixtures_of(project, package)
  project.fixtures = project.fixtures or {}
  local known = project.fixtures[package.name]
  if not known then
    known = {}
    local folders = {}
    for i, folder in ipairs(package.paths.test) do folders[i] = folder:gsub("/+$", "") .. "/fixtures" end
    for _, file in ipairs(files.find(package, folders, { ".csv", ".sql" })) do known[file.name] = file end
    project.fixtures[package.name] = known
  end
  return known
end

local function fixture(project, entry, given)
  local known = fixtures_of(project, entry.package)
  local file = known[given.fixture]
  if file then return file end
  local names = {}
  for name in pairs(known) do names[#names + 1] = name end
  bad(entry, given, "fixture", ("there is no fixture file '%s'"):format(given.fixture),
    err.did_you_mean(given.fixture, names) or "fixtures are .csv and .sql files below tests/fixtures, named without "
    .. "their ending")
end

local function csv(project, entry, given)
  local what = ("unit test '%s'"):format(entry.name)
  if opt(given.fixture) then
    local file = fixture(project, entry, given)
    return csv_rows.read(fs.read(file.abs), { what = what, file = file.display, line = 1 })
  end
  -- a block text begins on the line behind its key
  local line = shape.line(entry, given, "rows") + (given.rows:find("\n.*\n") and 1 or 0)
  return csv_rows.read(given.rows, { what = what, file = entry.file.display, line = line })
end

-- An input without rows is a seed: those of its file.
local function seed_rows(project, entry, given)
  local call = literal.call(given.input)
  local node = call and call.name == "ref" and graph.find_ref(project, entry.package.name,
    call.args[#call.args].value)
  if not node or node.resource_type ~= "seed" then
    bad(entry, given, nil, ("the input %s needs `rows`"):format(given.input),
      "only the rows of a seed are read from its file; `rows: []` is no row")
  end
  local info = project.info[node.unique_id]
  return csv_rows.read(fs.read(info.file), { what = ("unit test '%s'"):format(entry.name), file = info.display,
    line = 1 })
end

-- dbt puts the first row that has no null first: databases may take the types from it.
local function promote(rows)
  for i, row in ipairs(rows) do
    local full = true
    for _, v in pairs(row) do full = full and v ~= none end
    if full then
      rows[1], rows[i] = rows[i], rows[1]
      return
    end
  end
end

local function check_dicts(entry, rows)
  for i, row in ipairs(rows) do
    if not value.is_dict(row) then
      bad(entry, rows, i, "a row is a mapping of columns to values", "- {id: 1, name: 'x'}")
    end
  end
  return rows
end

-- The rows of an input or of what is expected: a list of dicts, or SQL as text.
local function rows_of(project, entry, given, what)
  local format = shape.one_of(entry, given, "format", formats, what) or "dict"
  local rows, file = opt(given.rows), opt(given.fixture)
  if rows ~= nil and file then bad(entry, given, "fixture", "`rows` and `fixture` exclude each other") end
  if format == "dict" then
    if rows == nil and given.input then
      rows = seed_rows(project, entry, given)
    elseif not value.is_list(rows) then
      bad(entry, given, "rows", "`rows` must be a list of mappings",
        type(rows) == "string" and "for a text write `format: csv` or `format: sql`" or nil)
    end
    rows = check_dicts(entry, value.copy(rows))
  elseif not file and type(rows) ~= "string" then
    bad(entry, given, "rows", ("`rows` must be a text in the format %s"):format(format))
  elseif format == "csv" then
    rows = csv(project, entry, given)
  elseif file then
    rows = fs.read(fixture(project, entry, given).abs)
  end
  if type(rows) ~= "string" then promote(rows) end
  return rows, format
end

-- One input, or what is expected, as in the manifest.
local function fixture_node(project, entry, given, what)
  local rows, format = rows_of(project, entry, given, what)
  local node = given.input and dict("input", given.input) or dict()
  node.rows = rows
  node.format = format
  node.fixture = value.or_none(opt(given.fixture))
  return node
end

local function inputs(project, entry)
  local list = value.list()
  for i, given in ipairs(entry.data.given) do
    local what = ("unit test '%s': an input"):format(entry.name)
    shape.check(project, entry, given, input_shape, what, entry.data.given, i)
    local text = given.input:match("^%s*(.-)%s*$")
    local call = text ~= "this" and literal.call(text)
    if text ~= "this" and not (call and (call.name == "ref" or call.name == "source")) then
      bad(entry, given, "input", ("'%s' is no input"):format(text),
        "an input is ref('...'), source('...', '...') or this")
    end
    list[i] = fixture_node(project, entry, given, what)
  end
  return list
end

-- Models -----------------------------------------------------------------------------------------

-- The model: of the entry's package, disabled ones included. "name" or "name version".
local function tested_model(project, entry)
  local name, version = entry.data.model:match("^(%S+)%s*(%S*)$")
  version = version ~= "" and (math.tointeger(tonumber(version)) or version) or nil
  local node, disabled = graph.find_ref(project, entry.package.name, name, nil, version)
  if node and node.resource_type == "model" then return node, false end
  if disabled then return disabled, true end
  bad(entry, entry.data, "model", ("there is no model '%s'"):format(entry.data.model),
    err.did_you_mean(entry.data.model, graph.names(project)))
end

-- A model that asks is_incremental() is told the answer by the test.
local function check_incremental(entry, node, given)
  local asks = false
  for _, id in ipairs(node.depends_on.macros) do asks = asks or id == "macro.dbt.is_incremental" end
  if not asks then return end
  local macros = opt((opt(entry.data.overrides) or dict()).macros) or dict()
  local answer = macros.is_incremental
  if type(answer) ~= "boolean" then
    bad(entry, entry.data, "overrides", ("model '%s' asks is_incremental(), so the test must say what it answers")
      :format(node.name), "overrides: {macros: {is_incremental: true}}")
  end
  local has_this = false
  for _, input in ipairs(given) do has_this = has_this or input.input:match("^%s*this%s*$") ~= nil end
  if answer and not has_this then
    bad(entry, entry.data, "given", ("model '%s' is tested as an incremental one, so there must be an input `this`")
      :format(node.name), "given: [{input: this, rows: [...]}]")
  end
end

local function contains(list, version)
  for _, v in ipairs(list or {}) do
    if v == version or tostring(v) == tostring(version) then return true end
  end
  return false
end

-- The versions of a model that a test is for.
local function wanted_versions(project, entry, node)
  local rule = opt(entry.data.versions)
  local include, exclude = rule and opt(rule.include), rule and opt(rule.exclude)
  if include and exclude then bad(entry, entry.data, "versions", "`include` and `exclude` exclude each other") end
  if opt(node.version) == nil then
    if include or exclude then
      bad(entry, entry.data, "versions", ("model '%s' has no versions"):format(node.name))
    end
    return { node }
  end
  local found = {}
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    local other = reader(id)
    if other.resource_type == "model" and other.package_name == node.package_name and other.name == node.name then
      local version = value.or_none(other.version)
      if include and contains(include, version) or exclude and not contains(exclude, version)
        or not include and not exclude then
        found[#found + 1] = project.nodes[id]
      end
    end
  end
  if #found == 0 then
    bad(entry, entry.data, "versions", ("model '%s' has none of these versions"):format(node.name))
  end
  return found
end

-- Making them ------------------------------------------------------------------------------------

local function fqn_of(entry)
  local fqn = value.list { entry.package.name }
  for part in entry.file.original:gsub("^[^/]*/", ""):gmatch("([^/]+)/") do fqn[#fqn + 1] = part end
  fqn[#fqn + 1] = entry.data.model
  fqn[#fqn + 1] = entry.name
  return fqn
end

local function config_of(project, entry, fqn)
  local own = opt(entry.data.config) or dict()
  local level = config.level(own, { what = ("unit test '%s'"):format(entry.name), place = "properties",
    file = entry.file.display, lines = entry.lines, line = entry.line }, project.problems)
  local settings = dict("tags", value.list(), "meta", dict(), "enabled", true, "static_analysis", none)
  for _, one in ipairs(config.levels(project, "unit_test", entry.package, fqn, { level })) do
    merge.level(settings, one.settings)
  end
  settings.tags = merge.listify(settings.tags)
  return settings
end

local function checksum(node)
  return hash.sha256(json.encode(dict("model", node.model, "versions", node.versions, "given", node.given, "expect",
    node.expect, "overrides", node.overrides)))
end

local function overrides_of(project, entry)
  local given = opt(entry.data.overrides)
  if not given then return none end
  shape.check(project, entry, given, overrides_shape, ("unit test '%s': `overrides`"):format(entry.name), entry.data,
    "overrides")
  return dict("macros", opt(given.macros) or dict(), "vars", opt(given.vars) or dict(), "env_vars",
    opt(given.env_vars) or dict())
end

local function place(project, entry, node, disabled)
  local id = node.unique_id
  if disabled then
    node.config.enabled = false
    project.disabled[id] = value.list { node }
    return
  end
  if project.unit_tests[id] then
    local other = project.info[id]
    err.raise { code = 116, message = ("two unit tests of model '%s' have the name '%s': the other one is in %s, "
      .. "line %d"):format(node.model, entry.name, other.display, other.line), file = entry.file.display,
      line = entry.line }
  end
  project.unit_tests[id] = node
  project.info[id] = shape.info(entry)
end

local function load_one(project, entry)
  local data = entry.data
  local what = ("unit test '%s'"):format(entry.name)
  shape.check(project, entry, data, entry_shape, what)
  shape.check(project, entry, data.expect, expect_shape, what .. ": `expect`", data, "expect")
  if opt(data.versions) then
    shape.check(project, entry, data.versions, versions_shape, what .. ": `versions`", data, "versions")
  end
  local model, disabled = tested_model(project, entry)
  local given = inputs(project, entry)
  local expect = fixture_node(project, entry, data.expect, what .. ": `expect`")
  local fqn = fqn_of(entry)
  local settings = config_of(project, entry, fqn)
  disabled = disabled or not settings.enabled
  if not disabled then check_incremental(entry, model, given) end
  local of = { model = data.model, given = given, expect = expect, name = entry.name, package_name = entry.package.name,
    path = entry.file.path, original_file_path = entry.file.original, fqn = fqn,
    description = opt(data.description) or "", overrides = overrides_of(project, entry), config = settings,
    versions = value.or_none(opt(data.versions)), created_at = project.loaded_at }
  local id = ("unit_test.%s.%s.%s"):format(entry.package.name, data.model, entry.name)
  for _, node in ipairs(disabled and { model } or wanted_versions(project, entry, model)) do
    local version = opt(node.version)
    local test = build.unit_test(of)
    test.unique_id = version and ("%s_v%s"):format(id, tostring(version)) or id
    test.version, test.schema = value.or_none(version), node.schema
    test.depends_on.nodes[1] = node.unique_id
    test.checksum = checksum(test)
    place(project, entry, test, disabled)
  end
end

--- Fills project.unit_tests. The nodes are there.
---@param project table
function M.load(project)
  local entries = project.entries.unit_tests
  if #entries == 0 then return end
  graph.index(project)
  for _, entry in ipairs(entries) do
    project.problems:try({ file = entry.file.display, line = entry.line }, load_one, project, entry)
  end
end

return M
