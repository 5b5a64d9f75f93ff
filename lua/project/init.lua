--- A project: everything that its files say, resolved and checked. Loading reads files and runs templates with
-- `execute` false; it touches no database. The steps below are in order, each needs the ones before it.

local cache = require "project.cache"
local checks = require "project.checks"
local collecting = require "project.collecting"
local config = require "project.config"
local context = require "project.context"
local data_tests = require "project.data_tests"
local docs = require "project.docs"
local err = require "err"
local exposures = require "project.exposures"
local functions = require "project.functions"
local gathered = require "project.gathered"
local graph = require "project.graph"
local macros = require "project.macros"
local members = require "project.members"
local metrics = require "project.metrics"
local models = require "project.models"
local operations = require "project.operations"
local packages = require "project.packages"
local primary_keys = require "project.primary_keys"
local problems = require "project.problems"
local profile = require "project.profile"
local properties = require "project.properties"
local renewal = require "project.renewal"
local root = require "project.root"
local run_hooks = require "project.run_hooks"
local selectors = require "project.selectors"
local saved_queries = require "project.saved_queries"
local semantic_models = require "project.semantic_models"
local sources = require "project.sources"
local time = require "dex.time"
local unit_tests = require "project.unit_tests"
local value = require "jinja.value"
local vars = require "project.vars"
local vars_file = require "project.vars_file"

local M = {}

local opt = value.opt

--- A loaded project. Other modules read it and change nothing but their nodes' own fields.
---@class dex.Project
---@field name string
---@field root string absolute folder
---@field file string project file as messages name it
---@field config table dict: the project file, rendered
---@field profile table {name, target_name, type, target, params, threads, retries, adapter_types, secrets, file}
---@field packages dex.Package[] root first; by name as well
---@field vars dex.Vars
---@field flags table of the command line: full_refresh, fail_fast, store_failures
---@field quoting {database: boolean, schema: boolean, identifier: boolean}
---@field target_path string absolute
---@field nodes table dict by unique_id, manifest-shaped
---@field sources table dict by unique_id
---@field exposures table dict
---@field groups table dict
---@field docs table dict
---@field disabled table dict unique_id -> list of nodes
---@field macros table<string, dex.Macro> by unique_id
---@field macro_index table<string, table<string, dex.Macro>> package -> name -> macro
---@field info table<string, table> beside each node: file, display, line, source, template, hooks, package
---@field run_hooks {start: dex.Hook[], finish: dex.Hook[]}
---@field operations table<string, dex.Operation>
---@field selectors {list: dex.Selector[], by_name: table<string, dex.Selector>, default: dex.Selector|nil}
---@field entries table<string, dex.Entry[]> properties files, by section
---@field parents table<string, string[]>
---@field children table<string, string[]>
---@field order string[] unique_ids, dependencies first
---@field position table<string, integer>
---@field warnings dex.Error[]

local function new_project(opts)
  local project = { problems = problems.new(), flags = opts.flags or {}, command = opts.command, args = opts.args,
    invocation_id = opts.invocation_id or require("dex.uuid")(), loaded_at = opts.started_at or time.now(),
    groups = value.dict(),
    disabled = value.dict(), info = {}, disabled_info = {}, hook_captures = {}, name_macros = {}, packages = {} }
  members.init(project)
  return project
end

local function quoting_of(package)
  local given = opt(package.config.quoting) or {}
  local quoting = {}
  for _, part in ipairs { "database", "schema", "identifier" } do
    local v = opt(given[part])
    if v == nil then quoting[part] = true else quoting[part] = v == true end
  end
  return quoting
end

-- Project file, profile, packages, variables.
local function load_settings(project, opts)
  local cli = opts.vars or value.dict()
  local package = root.read(root.resolve(opts.project_dir))
  package.is_root = true
  project.packages[1], project.packages[package.name] = package, package
  project.name, project.root, project.file = package.name, package.dir, package.file
  project.profile = profile.load(package, { profile = opts.profile, profiles_dir = opts.profiles_dir,
    target = opts.target, threads = opts.threads, vars = cli }, project.problems)
  project.version_check = opts.version_check
  root.render(package, { context = context.project_file(cli, project.profile.target), target_path = opts.target_path,
    version_check = opts.version_check }, project.problems)
  project.config = package.config
  project.quoting = quoting_of(package)
  project.target_path = package.target_path:sub(1, 1) == "/" and package.target_path
    or package.dir .. "/" .. package.target_path
  project.vars = vars.new(cli, package.name)
  project.vars.files[package.name] = vars_file.load(package)
  packages.load(project, { vars = cli, target = project.profile.target, install = opts.install })
  selectors.load(project, cli)
end

-- Descriptions may use docs blocks of any package.
local function render_descriptions(project)
  members.each(project, function(id, item)
    if item.described then
      for _, problem in ipairs(project.stored:late_errors(id)) do project.problems:error(problem) end
      return
    end
    item = members.get(project, id)
    local info = project.info[id]
    project.problems:try({ node = id }, docs.apply, project, item, { file = info.patch_file or info.display,
      line = info.patch_line or info.line })
  end)
end

-- Entries that have become nodes are not kept: they are half of a large project's memory.
local function forget_entries(project)
  for _, section in ipairs { "models", "seeds", "snapshots", "sources", "analyses", "data_tests",
    "unit_tests", "functions", "operations",
    "metrics", "semantic_models", "saved_queries" } do
    project.entries[section] = nil
  end
  project.found, project.source_tests, project.hook_captures, project.name_context = nil, nil, {}, nil
  for _, package in ipairs(project.packages) do package.walked, package.folders = nil, nil end
end

-- Run hooks and operations stand in the project file and in few files: they are read even when all else is kept. Their
-- nodes are the kept ones, since those know what they depend on.
local function restore(project, kept)
  macros.load(project, true)
  kept:restore(project)
  local beside = setmetatable({ nodes = value.dict(), info = {}, problems = problems.new(),
    entries = { operations = kept:operation_entries(project) } }, { __index = project })
  run_hooks.load(beside)
  operations.load(beside)
  project.run_hooks, project.operations = beside.run_hooks, beside.operations
  for id, info in pairs(beside.info) do project.info[id] = info end
  for _, operation in pairs(project.operations) do
    if operation.node then operation.node = project.nodes[operation.unique_id] end
  end
  project.warnings = project.problems.warnings
  return project
end

-- Everything that is read from the project's files. Gives the entries of operations.
local function read(project, opts)
  macros.load(project)
  docs.load(project)
  local broken = #project.problems.errors -- what uses a broken macro would fail for that alone
  local divided
  if broken == 0 then divided, project.divided = gathered.load(project, opts.processes) end
  if not divided then
    properties.load(project)
    if broken > 0 then project.problems:check() end
    models.load(project)
  end
  functions.load(project)
  run_hooks.load(project)
  sources.load(project)
  if divided then divided:add_tests(project) else data_tests.load(project) end
  sources.load_tests(project)
  unit_tests.load(project)
  metrics.load(project)
  semantic_models.load(project)
  metrics.resolve(project)
  saved_queries.load(project)
  exposures.load(project)
  operations.load(project)
  project.problems:check()
  graph.resolve(project)
  semantic_models.finish(project)
  render_descriptions(project)
  primary_keys.infer(project)
  checks.run(project)
  config.check_unused(project)
  project.problems:check()
  project.warnings = project.problems.warnings
  local of_operations = project.entries.operations
  forget_entries(project)
  return of_operations
end

local function load(opts)
  local project = new_project(opts)
  load_settings(project, opts)
  project.problems:check()
  local kept, changed
  if opts.keep then kept, changed = cache.find(project) end
  if kept then
    restore(project, kept)
    if renewal.renew(project, changed) then return project end
    project = new_project(opts)
    load_settings(project, opts)
  end
  local key = opts.keep and cache.watch(project)
  local ok, result = pcall(read, project, opts)
  if not ok then
    cache.forget()
    error(result, 0)
  end
  if project.stored then collecting.wake() end
  if key then kept, project.not_kept = cache.save(project, key, result) end
  if not kept and project.stored then kept = cache.set_aside(project, result) end
  if kept then
    kept:adopt(project)
  elseif project.stored then
    project.stored:complete(project)
  end
  return project
end

--- Loads a project. May wait: templates run. Raises the first of the errors found, with the rest in its field
--- `others`.
---@param opts {project_dir?: string, profiles_dir?: string, profile?: string, target?: string, threads?: integer,
---  vars?: table, command?: string, flags?: table, target_path?: string,
---  version_check?: boolean, invocation_id?: string, started_at?: number,
---  args?: table, install?: fun(package: table), keep?: boolean, processes?: integer|"some"} `install` brings
---  packages that are missing; with `keep` the parse cache is used; `processes` is how many read a project (nil: one),
---  which is for those who load only one project at a time: while they work, others' tasks run
---@return dex.Project
function M.load(opts)
  return collecting.rest(load, opts)
end

--- Adds a node for SQL that is in no file. May wait.
---@param project dex.Project
---@param sql string
---@return string unique_id
function M.inline(project, sql)
  if type(sql) ~= "string" then err.raise { code = 101, message = "--inline needs SQL" } end
  local id = models.inline(project, sql)
  project.problems:check()
  project.edges_changed = true
  graph.resolve_one(project, id)
  return id
end

return M
