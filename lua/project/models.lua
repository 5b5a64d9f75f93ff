--- Models, snapshots, analyses, singular tests and seeds: from files to nodes.

local blocks = require "project.blocks"
local build = require "project.node"
local collecting = require "project.collecting"
local config = require "project.config"
local err = require "err"
local files = require "project.files"
local fs = require "dex.fs"
local functions = require "project.functions"
local hash = require "dex.hash"
local hooks = require "project.hooks"
local jinja = require "jinja"
local lines_of = require("project.lines").of
local naming = require "project.naming"
local patches = require "project.patches"
local scan = require "project.scan"
local unrendered = require "project.unrendered"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Finding the files ------------------------------------------------------------------------------

local function add(found, candidate)
  found.list[#found.list + 1] = candidate
  local by_name = found.index[candidate.kind]
  local same = by_name[candidate.name]
  if same then same[#same + 1] = candidate else by_name[candidate.name] = { candidate } end
end

local function add_files(found, package, kind, folders, extensions)
  for _, file in ipairs(files.find(package, folders, extensions)) do
    if kind ~= "test" or not (file.path:find("^generic/") or file.path:find("^fixtures/")) then
      add(found, { kind = kind, name = file.name, package = package, file = file })
    end
  end
end

local only_snapshots = { snapshot = true }

local function add_snapshots(project, found, package)
  for _, file in ipairs(files.find(package, package.paths.snapshot, { ".sql" })) do
    project.problems:try({ file = file.display }, function()
      for _, block in ipairs(blocks.find(fs.read(file.abs), { file = file.display }, only_snapshots)) do
        add(found, { kind = "snapshot", name = block.name, package = package, file = file, block = block })
      end
    end)
  end
end

--- Adds the snapshots that stand in a properties file, with the `relation` that they are of, behind those in files.
---@param project table
---@param found table what M.discover gave
function M.add_yaml_snapshots(project, found)
  for _, entry in ipairs(project.entries.snapshots) do
    local relation = opt(entry.data.relation)
    if relation then
      local source = "select * from {{ " .. tostring(relation) .. " }}"
      add(found, { kind = "snapshot", name = entry.name, package = entry.package, file = entry.file, entry = entry,
        block = { contents = source, contents_line = entry.line } })
    end
  end
end

--- The files that become nodes: a list of candidates in order, and an index of it by kind and name.
---@param project table
---@return {list: dex.Candidate[], index: table<string, table<string, dex.Candidate[]>>}
function M.discover(project)
  local found = { list = {}, index = { model = {}, seed = {}, snapshot = {}, analysis = {}, test = {},
    ["function"] = {} } }
  for _, package in ipairs(project.packages) do
    local paths = package.paths
    add_files(found, package, "model", paths.model, { ".sql", ".py" })
    add_snapshots(project, found, package)
    add_files(found, package, "analysis", paths.analysis, { ".sql" })
    add_files(found, package, "test", paths.test, { ".sql" })
    add_files(found, package, "function", paths["function"], { ".sql", ".py", ".js" })
    add_files(found, package, "seed", paths.seed, { ".csv", ".parquet" })
  end
  return found
end

-- Making the nodes -------------------------------------------------------------------------------

local function folders_of(path)
  local list = {}
  for part in path:gmatch("([^/]+)/") do list[#list + 1] = part end
  return list
end

local function fqn_of(candidate, path)
  local fqn = folders_of(candidate.entry and candidate.file.path or path)
  table.insert(fqn, 1, candidate.package.name)
  if candidate.kind == "snapshot" and not candidate.entry then fqn[#fqn + 1] = candidate.file.name end
  local patch = candidate.patch
  if patch and patch.version ~= nil then
    fqn[#fqn + 1] = patch.entry.name
    fqn[#fqn + 1] = "v" .. tostring(patch.version)
  else
    fqn[#fqn + 1] = candidate.name
  end
  return value.list(fqn)
end

local function path_of(candidate)
  local file = candidate.file
  if candidate.kind == "analysis" then return "analysis/" .. file.path end
  if candidate.entry then return candidate.name .. ".sql" end
  return file.path
end

local function unique_id(candidate)
  local patch = candidate.patch
  if patch and patch.version ~= nil then
    return ("model.%s.%s.v%s"):format(candidate.package.name, patch.entry.name, tostring(patch.version))
  end
  return ("%s.%s.%s"):format(candidate.kind, candidate.package.name, candidate.name)
end

local function node_name(candidate)
  local patch = candidate.patch
  return patch and patch.version ~= nil and patch.entry.name or candidate.name
end

-- The text of a candidate without blank edges, the line on which it begins, and its file's whole text.
local function source_of(candidate)
  local text, line
  local whole = not candidate.inline and fs.read(candidate.file.abs) or nil
  if candidate.block then
    text, line = candidate.block.contents, candidate.block.contents_line
  else
    text, line = whole, 1
  end
  local first = text:find("%S") or 1
  if first > 1 then
    local _, newlines = text:sub(1, first - 1):gsub("\n", "")
    line = line + newlines
  end
  local last = text:find("%s*$", math.max(first, #text - 256))
  local stripped = text:sub(first, last - 1)
  return stripped, line, whole or stripped
end

-- dbt's checksum: of the text with its white space made single.
local function checksum(text)
  local plain = text:gsub("%s+", " "):match("^ ?(.-) ?$")
  return build.checksum("sha256", hash.sha256(plain))
end

-- Line of a config() argument: that of the text given, else of the first config call.
local function locator(source, first_line)
  local function line_at(pos)
    local _, newlines = source:sub(1, pos - 1):gsub("\n", "")
    return first_line + newlines
  end
  return function(text)
    local pos = text and source:find(text:match("^[^\n]*"), 1, true) or source:find("config%s*%(")
    return pos and line_at(pos)
  end
end

-- Levels of config that the node itself brings: its properties, its config() calls.
local function own_levels(project, candidate, captured, source, line)
  local levels = {}
  local patch = candidate.patch
  local what = ("%s '%s'"):format(candidate.kind, candidate.name)
  if patch and patch.config then
    local entry = patch.entry
    levels[1] = config.level(patch.config, { what = what, place = "properties", file = entry.file.display,
      lines = entry.lines, line = lines_of(entry.lines, patch.config) or entry.line }, project.problems,
      unrendered.of_properties(patch.config, opt(entry.raw.config)))
  end
  if captured and #captured > 0 then
    local locate = locator(source, line)
    levels[#levels + 1] = config.level(captured, { what = what, place = "config", file = candidate.file.display,
      line = locate(nil), locate = locate }, project.problems, candidate.written or unrendered.of_call(source))
  end
  return levels
end

local languages = { [".py"] = "python", [".js"] = "javascript" }

local function new_node(project, candidate, source, whole)
  local path = path_of(candidate)
  local of = { resource_type = candidate.kind, name = node_name(candidate), package = candidate.package.name,
    path = path,
    original = candidate.file.original, unique_id = unique_id(candidate), fqn = fqn_of(candidate, path),
    checksum = checksum(whole), raw_code = source }
  of.language = languages[candidate.file.original:match("%.%a+$")]
  return build.sql(project, of)
end

-- Templates that were compiled to read them are kept for the run, as long as they are few: each takes more
-- memory than its node.
local MOST_KEPT = 2000
local kept = 0

local Info = { __index = function(info, key)
  if key ~= "template" or not info.source then return nil end
  local template = jinja.compile(info.source, { file = info.display, line = info.line, keep = false })
  if kept < MOST_KEPT then
    kept = kept + 1
    rawset(info, "template", template)
  end
  return template
end }

--- Makes what stands beside a node compile the node's `template` when that is first read.
---@param info table
---@return table the same
function M.with_template(info) return setmetatable(info, Info) end

-- Beside the node: what is not serialised. `template` is compiled when it is first read.
local function new_info(candidate, source, line)
  local file = candidate.file
  local patch = candidate.patch
  return setmetatable({ file = file.abs, display = file.display, line = line, source = source,
    patch_file = patch and patch.entry.file.display, patch_line = patch and patch.entry.line,
    package = candidate.package }, Info)
end

local plural = { model = "models", seed = "seeds", snapshot = "snapshots", test = "tests", analysis = "analyses",
  ["function"] = "functions" }

-- Puts a finished node where it belongs; a second enabled one with the same id is an error.
local function place(project, node, info)
  local id = node.unique_id
  if not node.config.enabled then
    local list = project.disabled[id] or value.list()
    project.disabled[id] = list
    list[#list + 1] = node
    project.disabled_info[node] = info
    return
  end
  local group = node.resource_type == "function" and project.functions or project.nodes
  if group[id] then
    err.raise { code = 116,
      message = ("two %s have the name '%s': the other one is %s"):format(plural[node.resource_type],
      node.name, project.info[id].display), file = info.display, line = 1,
      hint = "rename one of them: ref() finds a node by its name" }
  end
  group[id] = node
  project.info[id] = info
end
M.place = place

local function note_hooks(project, node, info)
  if next(info.hooks) == nil then return end
  if node.config.materialized == "ephemeral" then
    for _, list in pairs(info.hooks) do
      for _, hook in ipairs(list) do
        if hook.place ~= "project" then
          project.problems:warn { code = 133,
            message = ("model '%s' is ephemeral: it builds nothing, and its hooks never run")
            :format(node.name), file = hook.file, line = hook.line }
        end
      end
    end
  end
  for _, phase in ipairs(hooks.phase_names) do
    for _, hook in ipairs(info.hooks[phase] or {}) do
      if hook.kind == "sql" and hook.sql:find("{[{%%]") then scan.hook(project, node, hook) end
    end
  end
end

-- Refs of foreign keys, as dbt adds them.
local function note_constraints(node)
  if node.resource_type ~= "model" then return end
  local function note(list)
    for _, constraint in ipairs(list) do
      local to = value.is_dict(constraint) and opt(constraint.to)
      local capture = to and scan.python("dbt." .. tostring(to))
      for _, ref in ipairs(capture and capture.refs or {}) do node.refs[#node.refs + 1] = ref end
      for _, source in ipairs(capture and capture.sources or {}) do node.sources[#node.sources + 1] = source end
    end
  end
  note(node.constraints)
  for _, column in pairs(node.columns) do note(column.constraints) end
end

-- What is left to do when the config() calls are known.
local function complete(project, candidate, node, info, captured)
  local levels = own_levels(project, candidate, captured, info.source or "", info.line)
  node.config, info.hooks, node.unrendered_config = config.of(project, candidate.kind, candidate.package, node.fqn,
    levels)
  patches.apply(node, candidate.patch)
  if candidate.kind == "function" and candidate.patch then functions.apply(project, node, candidate.patch, info) end
  naming.apply(project, node)
  note_constraints(node)
  note_hooks(project, node, info)
  place(project, node, info)
end

local function load_sql(project, candidate)
  local source, line, whole = source_of(candidate)
  local node = new_node(project, candidate, source, whole)
  local info = new_info(candidate, source, line)
  local capture
  if node.language == "javascript" then
    info.source = nil
    capture = scan.new_capture()
  elseif node.language == "python" then
    info.source = nil
    capture = scan.python(source)
    if capture.config.materialized == nil then capture.config.materialized = "table" end
  else
    capture = scan.template(project, node, source, function()
      node.config = config.of(project, candidate.kind, candidate.package, node.fqn,
        own_levels(project, candidate, nil, source, line))
      return info.template
    end)
  end
  node.refs, node.sources = capture.refs, capture.sources
  candidate.written = capture.written
  node.functions, node.metrics = capture.functions, capture.metrics
  scan.note_macros(project, node, capture)
  complete(project, candidate, node, info, capture.config)
end

local big_seed = 1024 * 1024

-- A seed's text as dbt hashes it: line ends made single, blank edges off.
local function seed_text(file)
  local text = fs.read(file.abs)
  if text:find("\r", 1, true) then text = text:gsub("\r\n?", "\n") end
  return text:match("^%s*(.-)%s*$")
end

local function load_seed(project, candidate)
  local file, package = candidate.file, candidate.package
  local sum
  if fs.stat(file.abs).size > big_seed then
    sum = build.checksum("path", file.original)
  else
    sum = build.checksum("sha256", hash.sha256(seed_text(file)))
  end
  local node = build.seed(project, { resource_type = "seed", name = candidate.name, package = package.name,
    path = file.path, original = file.original, unique_id = unique_id(candidate), fqn = fqn_of(candidate, file.path),
    checksum = sum, raw_code = "", root_path = package.dir })
  complete(project, candidate, node, new_info(candidate, nil, 1))
end

--- Makes the node of one file. May wait: templates run.
---@param project table
---@param candidate dex.Candidate
function M.load_one(project, candidate)
  local make = candidate.kind == "seed" and load_seed or load_sql
  project.problems:try({ file = candidate.file.display, node = unique_id(candidate) }, make, project, candidate)
end

--- Makes the nodes of all files. May wait: templates run.
---@param project table
function M.load(project)
  local found = M.discover(project)
  M.add_yaml_snapshots(project, found)
  project.found = found.index
  patches.attach(project, found.index)
  for i, candidate in ipairs(found.list) do
    collecting.check(i)
    M.load_one(project, candidate)
  end
end

--- Makes a node of its own from SQL that is in no file, for `show --inline`: an analysis. May wait.
---@param project table
---@param sql string
---@return string unique_id
function M.inline(project, sql)
  local package = project.packages[1]
  local name = "inline_query"
  local candidate = { kind = "analysis", name = name, package = package, inline = true,
    block = { contents = sql, contents_line = 1 },
    file = { path = name .. ".sql", original = name .. ".sql", display = "--inline", abs = package.dir, name = name } }
  value.del(project.nodes, unique_id(candidate))
  load_sql(project, candidate)
  return unique_id(candidate)
end

return M
