--- dbt_project.yml (or dex_project.yml): reading, checking and rendering the project file of the root
-- project and of packages.

local builtins = require "run.builtins"
local context = require "project.context"
local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local known = require "project.known"
local lines_of = require("project.lines").of
local tree = require "project.tree"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local M = {}

--- The dbt that projects find here, for require-dbt-version and `dbt_version`.
M.dbt_version = builtins.DBT_VERSION

local file_names = { "dex_project.yml", "dbt_project.yml" }

-- Names that templates use for other things.
local reserved = {}
for word in ([[_sql_results adapter api column config context database env env_var exceptions execute flags fromjson
  fromyaml graph invocation_id load_agate_table load_result log model modules post_hooks pre_hooks ref render return
  run_started_at schema source sql sql_now store_result store_raw_result target this tojson toyaml
  try_or_compiler_error var write]]):gmatch("%S+") do
  reserved[word] = true
end

---@class dex.Package
---@field name string
---@field dir string absolute
---@field prefix string what stands before the package's paths in messages
---@field file string project file, as messages name it
---@field raw table dict as written
---@field config table dict, rendered (after M.render)
---@field lines table
---@field paths table<string, string[]> folders by kind: model, seed, test, macro, snapshot, analysis, docs, hook,
---  operation
---@field target_path string
---@field clean_targets string[]
---@field is_root boolean

-- The value of a top-level key, written with hyphens or with underscores.
local function setting(package, key)
  local config = package.config or package.raw
  local found = rawget(config, key)
  if found ~= nil then return found, key end
  local other = key:gsub("-", "_")
  return rawget(config, other), other
end

local function bad(package, key, message, hint)
  err.raise { code = 102, message = message, file = package.file,
    line = key and lines_of(package.lines, package.raw, key) or 1, hint = hint }
end

local function find_file(dir)
  for _, name in ipairs(file_names) do
    if fs.exists(dir .. "/" .. name) then return name end
  end
end

local function check_name(package)
  local name = value.opt(package.raw.name)
  if name == nil then bad(package, nil, "the project file has no `name`") end
  if type(name) ~= "string" or not name:find("^[%a_\x80-\xff][%w_\x80-\xff]*$") then
    bad(package, "name", ("'%s' is no name for a project: letters, digits and underscores, no digit first"):format(
      tostring(name)))
  end
  if reserved[name] then
    bad(package, "name", ("'%s' is a reserved word and cannot be a project's name"):format(name))
  end
  return name
end

--- Reads a project file without rendering it. Raises 102 when it is absent or wrong.
---@param dir string folder
---@param prefix string what stands before the package's paths in messages
---@return dex.Package
function M.read(dir, prefix)
  local file = find_file(dir)
  if not file then
    err.raise { code = 102, message = ("there is no dbt_project.yml in '%s'"):format(prefix == "" and "." or prefix),
      hint = "run it in the project's folder, or name that with --project-dir" }
  end
  local package = { dir = dir, prefix = prefix, file = prefix .. file }
  package.raw, package.lines = yaml.decode(fs.read(dir .. "/" .. file), package.file)
  if value.opt(package.raw) == nil then bad(package, nil, "the project file is empty: it needs a `name`") end
  if not value.is_dict(package.raw) then bad(package, nil, "the project file must be a mapping") end
  package.name = check_name(package)
  if package.raw.tests and package.raw.data_tests then
    bad(package, "tests", "`tests` and `data_tests` are the same setting: keep `data_tests`")
  end
  return package
end

local defaults = {
  model = { "model-paths", "source-paths", { "models" } }, seed = { "seed-paths", "data-paths", { "seeds" } },
  test = { "test-paths", nil, { "tests" } }, macro = { "macro-paths", nil, { "macros" } },
  snapshot = { "snapshot-paths", nil, { "snapshots" } }, analysis = { "analysis-paths", nil, { "analyses" } },
  ["function"] = { "function-paths", nil, { "functions" } }, hook = { "hook-paths", nil, { "hooks" } },
  operation = { "operation-paths", nil, { "operations" } }, flow = { "flow-paths", nil, { "flows" } },
}

local function folder_list(package, key)
  local list, found = setting(package, key)
  list = value.opt(list)
  if list == nil then return nil end
  local good = value.is_list(list)
  for _, folder in ipairs(good and list or {}) do good = good and type(folder) == "string" end
  if not good then
    bad(package, found, ("%s must be a list of folders, such as [\"%s\"]"):format(key, key:gsub("%-paths$", "s")))
  end
  return table.move(list, 1, #list, 1, {})
end

local function collect_paths(package)
  local paths = {}
  for kind, spec in pairs(defaults) do
    paths[kind] = folder_list(package, spec[1]) or spec[2] and folder_list(package, spec[2]) or spec[3]
  end
  local all, seen = {}, {}
  for _, kind in ipairs { "model", "seed", "snapshot", "analysis", "macro", "test", "function", "operation" } do
    for _, folder in ipairs(paths[kind]) do
      folder = folder:gsub("/+$", "")
      if not seen[folder] then
        seen[folder] = true
        all[#all + 1] = folder
      end
    end
  end
  paths.all = all
  paths.docs = folder_list(package, "docs-paths") or all
  package.paths = paths
end

local function text_setting(package, key, default)
  local found, name = setting(package, key)
  found = value.opt(found)
  if found == nil then return default end
  if type(found) ~= "string" then bad(package, name, key .. " must be a text") end
  return found
end

local function compare(a, b)
  for i = 1, 3 do
    if a[i] ~= b[i] then return a[i] < b[i] and -1 or 1 end
  end
  return 0
end

local function version_parts(text)
  local major, minor, patch = text:match("^v?(%d+)%.?(%d*)%.?(%d*)")
  if not major then return nil end
  return { tonumber(major), tonumber(minor) or 0, tonumber(patch) or 0 }
end

-- Whether `spec`, such as ">=1.3.0", lets this version in; nil when it is no version.
local function allows(spec, version)
  local operator, text = spec:match("^%s*([<>=!]*)%s*(.-)%s*$")
  local wanted = version_parts(text)
  if not wanted then return nil end
  local order = compare(version, wanted)
  if operator == ">=" then return order >= 0 end
  if operator == "<=" then return order <= 0 end
  if operator == ">" then return order > 0 end
  if operator == "<" then return order < 0 end
  if operator == "!=" then return order ~= 0 end
  return order == 0
end

local function check_version(package)
  local required, key = setting(package, "require-dbt-version")
  required = value.opt(required)
  if required == nil then return end
  local specs = {}
  for _, text in ipairs(value.is_list(required) and required or { required }) do
    for spec in tostring(text):gmatch("[^,]+") do specs[#specs + 1] = spec end
  end
  local version = version_parts(M.dbt_version)
  for _, spec in ipairs(specs) do
    local ok = allows(spec, version)
    if ok == nil then bad(package, key, ("'%s' is no version for require-dbt-version"):format(spec)) end
    if not ok then
      err.raise { code = 120, message = ("package '%s' needs dbt %s; dex-lua does as dbt %s does"):format(package.name,
        table.concat(specs, ", "), M.dbt_version), file = package.file, line = lines_of(package.lines, package.raw,
        key) }
    end
  end
end

local late = { ["pre-hook"] = true, ["post-hook"] = true, pre_hook = true, post_hook = true, on_failure = true,
  always = true }
local with_nodes = { models = true, seeds = true, snapshots = true, tests = true, data_tests = true, analyses = true,
  operations = true }
local never = { ["on-run-start"] = true, ["on-run-end"] = true, on_run_start = true, on_run_end = true,
  ["query-comment"] = true, query_comment = true, vars = true }

-- Hooks and variables are rendered when they are used.
local function skip(path, depth)
  if depth == 1 then return never[path[1]] end
  return with_nodes[path[1]] and late[path[depth]:gsub("^[+ ]+", "")] or false
end

local function check_sections(package, problems)
  known.check(problems, known.project, package.raw, { what = "the project file", file = package.file,
    lines = package.lines })
  for _, section in ipairs { "models", "seeds", "snapshots", "data_tests", "sources", "operations", "vars", "flags",
    "quoting" } do
    local found = value.opt(package.config[section])
    if found ~= nil and not value.is_dict(found) then
      bad(package, section, ("`%s` must be a mapping"):format(section))
    end
  end
  local flags = value.opt(package.raw.flags)
  if flags then
    known.check(problems, known.flags, flags, { what = "`flags`", file = package.file, lines = package.lines,
      slip = true })
  end
  local deprecated = { ["source-paths"] = "model-paths", ["data-paths"] = "seed-paths" }
  for old, new in pairs(deprecated) do
    if package.raw[old] ~= nil then
      if package.raw[new] ~= nil then
        bad(package, old, ("`%s` and `%s` are the same setting: keep `%s`"):format(old, new, new))
      end
      problems:warn { code = 136, message = ("`%s` is the old name of `%s`"):format(old, new), file = package.file,
        line = lines_of(package.lines, package.raw, old) }
    end
  end
end

--- Renders the project file and works out its folders.
---@param package dex.Package
---@param opts {context: table, target_path?: string, version_check?: boolean}
---@param problems dex.Problems
function M.render(package, opts, problems)
  package.config = tree.render(package.raw, { context = opts.context, file = package.file, lines = package.lines,
    skip = skip })
  if package.config == package.raw then package.config = value.copy_dict(package.raw) end
  if package.config.tests and not package.config.data_tests then
    package.config.data_tests = package.config.tests
    value.del(package.config, "tests")
  end
  check_sections(package, problems)
  if opts.version_check ~= false then check_version(package) end
  M.settle(package, opts.target_path)
end

--- Folders and paths, from the rendered settings or (for commands that need no target) the raw ones.
---@param package dex.Package
---@param target_path? string from the command line
function M.settle(package, target_path)
  collect_paths(package)
  package.target_path = target_path or env.get("DBT_TARGET_PATH") or text_setting(package, "target-path", "target")
  package.clean_targets = folder_list(package, "clean-targets") or { package.target_path }
  package.packages_install_path = text_setting(package, "packages-install-path", "dbt_packages")
end

--- The root project's file, rendered as far as that goes without a profile: for commands that need no
--- database.
---@param dir string as given by the user
---@param given? table options of the command line: target_path
---@return dex.Package
function M.load(dir, given)
  local package = M.read(M.resolve(dir))
  local ctx = context.project_file(value.dict())
  local config = value.copy_dict(package.raw)
  for _, key in ipairs { "target-path", "clean-targets", "packages-install-path" } do
    if config[key] ~= nil then
      config[key] = tree.render(config[key], { context = ctx, file = package.file, lines = package.lines }, { key })
    end
  end
  package.config, package.is_root = config, true
  M.settle(package, given and given.target_path)
  return package
end

--- The absolute folder of a project, and what stands before its paths in messages.
---@param dir string|nil as given by the user, else DBT_PROJECT_DIR, else the working folder
---@return string dir
---@return string prefix
function M.resolve(dir)
  if not dir or dir == "" then dir = env.get("DBT_PROJECT_DIR") or "." end
  if not fs.isdir(dir) then
    err.raise { code = 102, message = ("the project's folder '%s' does not exist"):format(dir) }
  end
  local real = fs.realpath(dir)
  if real == fs.realpath(fs.cwd()) then return real, "" end
  return real, (dir:gsub("/+$", "")) .. "/"
end

return M
