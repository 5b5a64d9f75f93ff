--- Generic tests: entries of `data_tests:` in properties files become test nodes, with dbt's names and ids.

local build = require "project.node"
local collecting = require "project.collecting"
local columns = require "project.columns"
local config = require "project.config"
local context = require "project.context"
local err = require "err"
local hash = require "dex.hash"
local jinja = require "jinja"
local lines = require "project.lines"
local macros = require "project.macros"
local merge = require "project.merge"
local models = require "project.models"
local naming = require "project.naming"
local printing = require "jinja.printing"
local scan = require "project.scan"
local tree = require "project.tree"
local value = require "jinja.value"

local M = {}

local none, opt, ORDER = value.none, value.opt, value.ORDER

--- What a test is on.
---@class dex.TestTarget
---@field name string as test names have it
---@field entry dex.Entry
---@field call string "ref('x')" or "source('a', 'b')"
---@field refs table list of the one ref, or empty
---@field sources table list of the one source, or empty
---@field is_source boolean
---@field key string "models.x", "sources.a"
---@field version? any
---@field attached? string unique_id
---@field quote_columns? boolean
---@field tags? table list: of a source and its table

-- Arguments of a test that are settings, in dbt's order.
local config_args = { "severity", "tags", "enabled", "where", "limit", "warn_if", "error_if", "fail_calc",
  "store_failures", "store_failures_as", "sql_header", "meta", "database", "schema", "alias" }

local is_config_arg = {}
for _, key in ipairs(config_args) do is_config_arg[key] = true end

local function bad(spec, message, hint)
  err.raise { code = 114, message = ("test on '%s'%s: %s"):format(spec.target.name, spec.column
    and (", column '%s'"):format(spec.column.name) or "", message), file = spec.target.entry.file.display,
    line = spec.line, hint = hint }
end

-- Name and arguments of a test in either form: {unique: {...}} or {test_name: unique, ...}.
local function split(spec, given)
  if type(given) == "string" then return given, value.dict() end
  if not value.is_dict(given) then
    bad(spec, ("a test is a name, or a mapping of its name to its arguments, not '%s'"):format(tostring(given)))
  end
  if given.test_name ~= nil then
    local args = value.copy(given)
    local name = args.test_name
    value.del(args, "test_name")
    return name, args
  end
  local names = value.keys(given)
  if #names ~= 1 then
    bad(spec, ("a test is one name with its arguments, and here are %d keys: %s"):format(#names,
      table.concat(names, ", ")),
      "indent the arguments below the test's name")
  end
  local args = opt(given[names[1]])
  if args == nil then return names[1], value.dict() end
  if not value.is_dict(args) then
    bad(spec, ("the arguments of '%s' must be a mapping"):format(tostring(names[1])))
  end
  return names[1], value.copy(args)
end

local function pop(d, key)
  local v = d[key]
  value.del(d, key)
  return opt(v)
end

local function truthy(v) return v ~= nil and v ~= none and v ~= false and v ~= "" and v ~= 0 end

-- Takes the settings out of the arguments, rendered.
local function take_config(project, spec, args)
  local any = args.config ~= nil
  for _, key in ipairs(args[ORDER]) do any = any or is_config_arg[key] end
  if not any then return value.dict() end
  local nested = opt(args.config)
  if nested ~= nil and not value.is_dict(nested) then bad(spec, "`config` must be a mapping") end
  local found = value.dict()
  for _, key in ipairs(config_args) do
    local v = args[key]
    value.del(args, key)
    if truthy(v) and nested and nested[key] ~= nil then
      bad(spec, ("`%s` stands in `config` and beside it: keep the one in `config`"):format(key))
    end
    if not truthy(v) and nested and nested[key] ~= nil then v = pop(nested, key) end
    if opt(v) ~= nil then found[key] = v end
  end
  value.del(args, "config")
  for key, v in pairs(nested or {}) do
    if opt(v) ~= nil then found[key] = v end
  end
  for _, key in ipairs(value.keys(found)) do
    local v = found[key]
    if tree.has_jinja(v) then
      local ok, rendered = pcall(jinja.render_native, v, context.properties(project, spec.target.entry.package.name))
      if not ok then error(err.wrap(rendered, { file = spec.target.entry.file.display, line = spec.line }), 0) end
      if opt(rendered) == nil then value.del(found, key) else found[key] = rendered end
    end
  end
  return found
end

-- All of a test's values that go into its name, flat.
local function flat_values(args)
  local names = value.keys(args)
  table.sort(names)
  local parts = {}
  for _, name in ipairs(names) do
    local v = args[name]
    if name == "model" then
      goto continue
    elseif value.is_dict(v) then
      for _, item in pairs(v) do parts[#parts + 1] = printing.str(item) end
    elseif value.is_list(v) or value.is_tuple(v) then
      for _, item in ipairs(v) do parts[#parts + 1] = printing.str(item) end
    else
      parts[#parts + 1] = type(v) == "string" and v or printing.str(v)
    end
    ::continue::
  end
  return parts
end

--- dbt's name for a test without one: short (for aliases and files) and full.
---@param test_type string
---@param target string
---@param args table dict
---@return string short
---@return string full
function M.synthesize_name(test_type, target, args)
  local parts = flat_values(args)
  for i, part in ipairs(parts) do parts[i] = part:gsub("[^0-9a-zA-Z_]+", "_") end
  local identifier = test_type .. "_" .. target
  local full = identifier .. "_" .. table.concat(parts, "__")
  local length = utf8.len(full) or #full
  if length < 64 then return full, full end
  local cut = utf8.len(identifier) and utf8.offset(identifier, 31) or 31
  return identifier:sub(1, (cut or #identifier + 1) - 1) .. "_" .. hash.md5(full), full
end

-- repr() of a text; the shortcut is for what nearly every argument is.
local function quoted(s)
  if type(s) ~= "string" then return printing.repr(s) end
  if not s:find("[%c\\'\127-\255]") then return "'" .. s .. "'" end
  if not s:find('[%c\\"\127-\255]') then return '"' .. s .. '"' end
  return printing.quote(s)
end

-- The text whose hash ends a test's id: every leaf as text, keys sorted.
local function hashable(v)
  if value.is_dict(v) then
    local names, out = value.keys(v), {}
    table.sort(names)
    for i, name in ipairs(names) do out[i] = quoted(name) .. ": " .. hashable(v[name]) end
    return "{" .. table.concat(out, ", ") .. "}"
  elseif value.is_list(v) then
    local out = {}
    for i, item in ipairs(v) do out[i] = hashable(item) end
    return "[" .. table.concat(out, ", ") .. "]"
  end
  return quoted(printing.str(v))
end

local function test_hash(name, spec)
  local text = ("{'kwargs': %s, 'name': %s, 'namespace': %s}"):format(hashable(spec.args), quoted(spec.name),
    quoted(spec.namespace or "None"))
  return hash.md5(name .. text):sub(-10)
end

-- `{{ config(severity="warn") }}`
local function config_call(settings)
  local parts = {}
  for key, v in pairs(settings) do
    local shown = type(v) == "string" and '"' .. v:gsub('"', '\\"') .. '"' or printing.str(v)
    parts[#parts + 1] = key .. "=" .. shown
  end
  return #parts > 0 and "{{ config(" .. table.concat(parts, ",") .. ") }}" or ""
end

-- Whether neither a macro nor what it calls can configure the test or refer to another node. Worked out once for
-- each macro, from the texts.
local function is_plain(project, macro)
  if macro.plain == nil then
    macro.plain = true -- for macros that call each other
    local body = macro.source
    local plain = not (body:find("config%s*%(") or body:find("config%.set") or body:find("%f[%w_]ref%s*%(")
      or body:find("%f[%w_]source%s*%(") or body:find("%f[%w_]graph%f[^%w_]") or body:find("dispatch%s*%(%s*[^'\"%s]"))
    for _, id in ipairs(plain and macros.calls_of(project, macro) or {}) do
      plain = plain and is_plain(project, project.macros[id])
    end
    macro.plain = plain
  end
  return macro.plain
end

local function looks_like_call(text) return text:find("^%s*[%a_]+%s*%(.+%)%s*$") end
local calls = { env_var = true, ref = true, var = true, source = true, doc = true }

-- Notes the refs in an argument; false when only a render can tell.
local function note_argument(capture, v)
  if type(v) == "string" then
    if looks_like_call(v) and calls[v:match("^%s*([%a_]+)")] then
      local found = scan.python("dbt." .. v:match("^%s*(.-)%s*$"))
      if #found.refs + #found.sources == 0 then return false end
      for _, ref in ipairs(found.refs) do capture.refs[#capture.refs + 1] = ref end
      for _, source in ipairs(found.sources) do capture.sources[#capture.sources + 1] = source end
      return true
    end
    return not tree.has_jinja(v)
  elseif type(v) == "table" then
    for _, item in (value.is_dict(v) and pairs or ipairs)(v) do
      if not note_argument(capture, item) then return false end
    end
  end
  return true
end

local function note_target(capture, target)
  for _, ref in ipairs(target.refs) do
    capture.refs[#capture.refs + 1] = build.ref(ref.name, value.opt(ref.package), value.opt(ref.version))
  end
  for _, source in ipairs(target.sources) do capture.sources[#capture.sources + 1] = value.copy(source) end
end

local function from_arguments(spec)
  local capture = scan.new_capture()
  for key, v in pairs(spec.args) do
    if key ~= "column_name" and key ~= "model" and not note_argument(capture, v) then return nil end
  end
  note_target(capture, spec.target)
  return capture
end

-- Calls the test's macro with `execute` false. May wait.
local function from_render(project, node, macro)
  local capture = scan.new_capture()
  local ctx = require("run.context").parse_context(project, node, capture)
  local rendered = ctx._dbt_generic_test_kwargs
  local kwargs, order = {}, {}
  for key, v in pairs(rendered) do
    kwargs[key] = v
    order[#order + 1] = key
  end
  jinja.call(macro.fn:bind(ctx), value.kwargs(kwargs, order))
  return capture
end

local function sorted_tags(of_column, of_target, of_config)
  local tags = value.list()
  if of_column then merge.add_missing(tags, of_column) end
  if of_target then merge.add_missing(tags, of_target) end
  if of_config then merge.add_missing(tags, of_config) end
  if tags[2] then table.sort(tags) end
  return tags
end

local function folders(original)
  local parts = value.list()
  local skipped = false
  for part in original:gmatch("([^/]+)/") do
    if skipped then parts[#parts + 1] = part end
    skipped = true
  end
  return parts
end

-- Reads the entry: name, namespace, arguments, settings, description.
local function read(project, spec, given)
  local test_name, args = split(spec, given)
  if type(test_name) ~= "string" then bad(spec, ("'%s' is no name of a test"):format(tostring(test_name))) end
  local column = spec.column
  if column then
    local quote = opt(column.quote)
    if quote == nil then quote = spec.target.quote_columns end
    args.column_name = quote and '"' .. column.name .. '"' or column.name
  end
  local arguments = args.arguments and pop(args, "arguments")
  if value.is_dict(arguments) then
    for k, v in pairs(arguments) do args[k] = v end
  end
  if args.model ~= nil then bad(spec, "`model` is the name of what is tested and cannot be an argument") end
  spec.namespace, spec.name = test_name:match("^([%a_][%w_]*)%.([%a_][%w_]*)$")
  spec.name = spec.name or test_name:match("^[%a_][%w_]*$")
  if not spec.name then bad(spec, ("'%s' is no name of a test"):format(test_name)) end
  args.model = ("{{ get_where_subquery(%s) }}"):format(spec.target.call)
  spec.settings = take_config(project, spec, args)
  spec.description = args.description ~= nil and pop(args, "description") or nil
  spec.given_name = args.name ~= nil and pop(args, "name") or nil
  spec.args = args
end

local function name_of(spec)
  if spec.given_name then return tostring(spec.given_name), tostring(spec.given_name) end
  local target = spec.target
  local test_type = (spec.namespace and spec.namespace .. "_" or "") .. (target.is_source and "source_" or "") ..
    spec.name
  local short, full = M.synthesize_name(test_type, target.name, spec.args)
  if short ~= full and spec.settings.alias == nil then spec.settings.alias = short end
  return short, full
end

local function find_macro(project, spec)
  local macro = macros.generic_test(project, spec.name, spec.target.entry.package.name, spec.namespace)
  if not macro then
    local written = (spec.namespace and spec.namespace .. "." or "") .. spec.name
    err.raise { code = 115, message = ("there is no generic test '%s'"):format(written),
      file = spec.target.entry.file.display, line = spec.line,
      hint = err.did_you_mean(written, macros.test_names(project))
        or ("it would be a {%% test %s(model) %%} block in a macro file or below tests/generic"):format(spec.name) }
  end
  return macro
end

local function new_node(project, spec)
  local target = spec.target
  local entry = target.entry
  local short, full = name_of(spec)
  local fqn = value.list { entry.package.name, table.unpack(folders(entry.file.original)) }
  fqn[#fqn + 1] = full
  local config_tags = opt(spec.settings.tags)
  if type(config_tags) == "string" then config_tags = { config_tags } end
  return build.generic_test(project, {
    resource_type = "test", name = full, package = entry.package.name, path = short .. ".sql",
    original = entry.file.original, unique_id = ("test.%s.%s.%s"):format(entry.package.name, full,
      test_hash(full, spec)),
    fqn = fqn, checksum = build.checksum("none", ""), description = spec.description and tostring(spec.description),
    raw_code = ("{{ %stest_%s(**_dbt_generic_test_kwargs) }}%s"):format(spec.namespace and spec.namespace .. "." or "",
      spec.name, config_call(spec.settings)),
    tags = sorted_tags(spec.column and columns.tags(spec.column), target.tags, config_tags),
    column_name = spec.column and spec.args.column_name, file_key_name = target.key, attached_node = target.attached,
    test_metadata = build.test_metadata(spec.name, spec.args, spec.namespace),
  })
end

-- Makes one test. May wait when the test's macro has to be called.
local function load_one(project, spec, given)
  read(project, spec, given)
  local macro = find_macro(project, spec)
  local node = new_node(project, spec)
  local entry = spec.target.entry
  local info = { file = entry.file.abs, display = entry.file.display, line = spec.line, macro = macro,
    package = entry.package, hooks = {} }
  local capture = is_plain(project, macro) and from_arguments(spec) or nil
  local called
  if not capture then
    node.config = build.config("test")
    capture = from_render(project, node, macro)
    called = capture.config
  end
  node.refs, node.sources = capture.refs, capture.sources
  node.depends_on.macros[1] = macro.unique_id
  capture.macros[macro.unique_id] = nil
  local subquery = project.macro_index.dbt.get_where_subquery
  if subquery and spec.name ~= "unique" and spec.name ~= "not_null" then capture.macros[subquery.unique_id] = true end
  scan.note_macros(project, node, capture)
  local what = ("test '%s'"):format(node.name)
  local levels = {}
  if called and #called > 0 then
    levels[1] = config.level(called, { what = what, place = "config", file = macro.file, line = macro.line },
      project.problems, value.dict()) -- the macro's own: nobody has written it for this test
  end
  if #spec.settings > 0 then
    levels[#levels + 1] = config.level(spec.settings, { what = what, place = "properties", file = entry.file.display,
      line = spec.line }, project.problems)
  end
  node.config, info.hooks, node.unrendered_config = config.of(project, "test", entry.package, node.fqn, levels)
  if #node.config.meta > 0 then node.meta = value.copy(node.config.meta) end
  merge.add_missing(node.tags, node.config.tags)
  node.group = opt(spec.target.group) or opt(node.config.group) or none
  naming.apply(project, node)
  models.place(project, node, info)
end

--- Makes the tests of a list.
---@param project table
---@param target dex.TestTarget
---@param list table|nil list of tests
---@param column? table dict of the column
function M.load_list(project, target, list, column)
  if list == nil or list == none then return end
  if not value.is_list(list) then
    project.problems:error { code = 114, message = ("`data_tests` of '%s' must be a list"):format(target.name),
      file = target.entry.file.display, line = lines.of(target.entry.lines, column or target.entry.data, "data_tests") }
    return
  end
  for i, given in ipairs(list) do
    local spec = { target = target, column = column, line = lines.of(target.entry.lines, list, i) or target.entry.line }
    project.problems:try({ file = target.entry.file.display, line = spec.line }, load_one, project, spec, given)
  end
end

-- The node of an id, or a disabled one, or what one process of several (lua/project/share.lua) still knows of it.
local function node_of(project, id)
  return project.nodes[id] or project.share and project.share.seen[id]
    or project.disabled[id] and project.disabled[id][1]
end

local function node_target(project, entry, kind, patch)
  local call = ("ref('%s'"):format(entry.name)
  local name, id = entry.name, ("%s.%s.%s"):format(kind, entry.package.name, entry.name)
  local version = patch and patch.version
  if version ~= nil then
    call = call .. (", version='%s'"):format(tostring(version))
    name = ("%s_v%s"):format(name, tostring(version))
    id = id .. ".v" .. tostring(version)
  end
  if not node_of(project, id) then
    for _, candidate in ipairs(project.found[kind] and project.found[kind][entry.name] or {}) do
      id = ("%s.%s.%s"):format(kind, candidate.package.name, entry.name)
    end
  end
  local node = node_of(project, id)
  return { name = name, entry = entry, call = call .. ")", refs = { build.ref(entry.name, nil, version) }, sources = {},
    is_source = false, key = entry.section .. "." .. entry.name, version = version, attached = node and id,
    quote_columns = opt(entry.data.quote_columns), group = node and node.group }
end

local function load_columns(project, target, list)
  for _, column in ipairs(list or {}) do M.load_list(project, target, column.data_tests, column) end
end
M.load_columns = load_columns

local function load_entry(project, entry, kind)
  local versions = kind == "model" and opt(entry.data.versions)
  if not versions then
    local target = node_target(project, entry, kind)
    load_columns(project, target, opt(entry.data.columns))
    M.load_list(project, target, entry.data.data_tests)
    return
  end
  for _, version in ipairs(versions) do
    local target = node_target(project, entry, kind, { version = version.v })
    load_columns(project, target, columns.of_version(entry, version))
    M.load_list(project, target, version.data_tests or entry.data.data_tests)
  end
end

--- The sections of entries with tests, in the order in which these are made.
M.sections = { "models", "seeds", "snapshots" }

local kinds = { models = "model", seeds = "seed", snapshots = "snapshot" }

--- Makes the tests of one entry. May wait.
---@param project table
---@param entry dex.Entry of one of these sections
function M.load_entry(project, entry)
  project.problems:try({ file = entry.file.display, line = entry.line }, load_entry, project, entry,
    kinds[entry.section])
end

--- Makes the tests on models, seeds and snapshots of all properties files. (Those on sources are made with
--- the sources.) May wait.
---@param project table
function M.load(project)
  for _, section in ipairs(M.sections) do
    for i, entry in ipairs(project.entries[section]) do
      collecting.check(i)
      M.load_entry(project, entry)
    end
  end
end

return M
