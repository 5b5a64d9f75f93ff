--- The commands that look and do not build: compile, ls, show.

local err = require "err"
local json = require "dex.json"
local members = require "project.members"
local term = require "dex.term"
local value = require "jinja.value"

local opt = value.opt

local M = {}

-- A model of its own for --inline, which is in no file.
local function inline(job)
  return require("project").inline(job.project, job.given.inline)
end

--- `compile`: selected -> job.outcome without running anything. May wait (run_query in templates does).
function M.compile(job)
  local only
  if job.given.inline then
    only = inline(job)
    job.selected = { only }
  elseif job.given.select and #job.selected == 1 then
    only = job.selected[1]
  end
  job.outcome = require("run").compile(job)
  local node = only and members.runnable(job.project, only)
  if not (node and node.compiled_code) then return end
  local text = node.compiled_code
  if job.given.output == "json" then
    local shown = value.dict()
    if not job.given.inline then shown.node = node.name end
    shown.compiled = text
    text = json.encode(shown, { indent = 2 })
  end
  job.report:log("print", text)
end

-- How many rows `--show` prints of a seed, as dbt does.
local SAMPLE = 10

local default_keys = { alias = true, name = true, package_name = true, depends_on = true, tags = true, config = true,
  resource_type = true, source_name = true, original_file_path = true, unique_id = true }

local listed_by_name = { exposure = true, metric = true, semantic_model = true, saved_query = true }

local function selector(node)
  if node.resource_type == "source" then
    return ("source:%s.%s.%s"):format(node.package_name, node.source_name, node.name)
  elseif listed_by_name[node.resource_type] then
    return ("%s:%s.%s"):format(node.resource_type, node.package_name, node.name)
  elseif node.resource_type == "operation" then
    return "operation:" .. node.unique_id:gsub("^operation%.[^.]*%.", "")
  elseif node.resource_type == "unit_test" then
    local version = opt(node.version)
    return ("unit_test:%s.%s"):format(node.package_name, version and ("%s_v%s"):format(node.name, version) or node.name)
  end
  return table.concat(node.fqn, ".")
end

-- The name by which --select finds a node.
local function search_name(node)
  if node.resource_type == "source" then return node.source_name .. "." .. node.name end
  local version = node.resource_type == "model" and opt(node.version)
  return version and ("%s.v%s"):format(node.name, tostring(version)) or node.name
end

-- What `key` of --output-keys names, with dots between the levels: the value, or nil.
local function nested(node, key)
  if rawget(node, key) ~= nil then return rawget(node, key) end
  local v = node
  for part in key:gmatch("[^.]+") do
    if not value.is_dict(v) then return nil end
    v = rawget(v, part)
  end
  return v
end

local function as_json(node, keys)
  local shown = value.dict()
  if keys then
    for _, key in ipairs(keys) do
      local v = nested(node, key)
      if v ~= nil and not (v == value.none and key:find(".", 1, true)) then shown[key] = v end
    end
  else
    for key, v in pairs(node) do
      if default_keys[key] then shown[key] = v end
    end
    -- What dbt adds to models when they are parsed; the manifest's schema has no place for it.
    if node.resource_type == "model" then shown.direct_parents = node.depends_on.nodes end
  end
  return json.encode(shown)
end

local formats = {
  selector = selector,
  name = search_name,
  path = function(node) return node.original_file_path end,
  json = as_json,
}

-- Rows on standard output. JSON is in dbt's shape.
local function show_rows(job, result, node)
  local grid, format = require "report.grid", job.given.output
  local text
  if format == "json" then
    local shown = value.dict()
    if node and not job.given.inline then shown.node = node.name end
    shown.show = grid.rows(result)
    text = json.encode(shown, { indent = 2 })
  elseif format == "csv" then
    text = grid.csv(result)
  else
    text = grid.table(result, term.isatty(1) and term.width() or 80)
    if node then text = ("%s, %d rows:\n%s"):format(node.name, #result, text) end
  end
  term.write(1, text .. "\n")
end

--- `ls`: prints a line for each selected node, in the order of their unique_ids as dbt does.
function M.list(job)
  if job.given.output == "tree" then return require("command.graph").run(job) end
  local format = formats[job.given.output]
  local ids = table.move(job.selected, 1, #job.selected, 1, {})
  table.sort(ids)
  local lines = {}
  local read = format == as_json and function(id) return members.get(job.project, id) end
    or members.reader(job.project)
  for i, id in ipairs(ids) do lines[i] = format(read(id), job.given.output_keys) end
  if #lines > 0 then term.write(1, table.concat(lines, "\n") .. "\n") end
  return 0
end

-- Of several selected nodes, those that the command line calls by their names, as dbt does.
local function called_by_name(job, ids)
  local named, found = {}, {}
  for _, word in ipairs(job.given.select or {}) do
    for name in word:gmatch("[^,]+") do named[name] = true end
  end
  for _, id in ipairs(ids) do
    local node = members.runnable(job.project, id)
    if named[node.name] or named[search_name(node)] then found[#found + 1] = id end
  end
  return found
end

-- The first rows of a result: the text is sent as it is, without a limit of the database's.
local function first_rows(result, limit)
  return setmetatable({}, { __len = function() return math.min(#result, limit) end, __index = function(_, key)
    local v = result[key]
    if type(v) ~= "function" then return v end
    return function(_, ...) return v(result, ...) end
  end })
end

--- `show --inline-direct`: the text as it is, without the project's models. Ends the command; nil without the option.
--- May wait.
function M.direct(job)
  local given = job.given
  if not given.inline_direct then return nil end
  if given.inline or given.select then
    err.raise { code = 101, message = "--inline-direct takes no --select and no --inline beside it" }
  end
  local root = require("project.root").load(given.project_dir, given)
  local problems = require("project.problems").new()
  local profile = require("project.profile").load(root, { profile = given.profile, profiles_dir = given.profiles_dir,
    target = given.target, threads = 1, vars = given.vars and require("command.meta").yaml_argument("--vars",
    given.vars) or value.dict() }, problems)
  problems:check()
  job.project = { root = root.dir, profile = profile }
  require("command.steps").connect(job)
  local conn = job.pool:lease()
  local ok, result = pcall(conn.exec, conn, given.inline_direct)
  conn:release()
  if not ok then error(result, 0) end
  show_rows(job, given.limit >= 0 and first_rows(result, given.limit) or result, nil)
  return 0
end

--- `show`: the nodes to show -> job.selected.
function M.select_one(job)
  if job.given.inline then
    job.selected = { inline(job) }
    return
  end
  local selected = require("command.steps").selection(job, { "model", "seed", "snapshot", "test" })
  if not (job.given.select or job.given.selector) then
    err.raise { code = 101, message = "show needs --select with one node, or --inline with SQL" }
  end
  local models = {}
  for _, id in ipairs(selected) do
    if members.runnable(job.project, id).resource_type ~= "test" then models[#models + 1] = id end
  end
  if #models == 1 then selected = models end
  if #selected > 1 then
    local called = called_by_name(job, selected)
    if #called > 0 then selected = called end
  end
  if #selected ~= 1 and #called_by_name(job, selected) ~= #selected or #selected == 0 then
    err.raise { code = 101, message = ("show needs a node that is called by its name, and %d are selected"):format(
      #selected) }
  end
  job.selected = selected
end

--- `seed --show` and `build --show`: some rows of each seed that was loaded. May wait.
function M.show_seeds(job)
  if not job.given.show then return end
  for _, result in ipairs(job.outcome.results) do
    if result.kind == "seed" and result.status == "success" then
      local rows, node = require("run").show(job, result.id, SAMPLE)
      local text = require("report.grid").table(rows, term.isatty(1) and term.width() or 80)
      job.report:log("print", ("%s.%s, %d rows:\n%s"):format(node.schema, node.alias, #rows, text))
    end
  end
end

--- `show`: runs the SQL of the nodes with a limit and prints the rows. May wait.
function M.show(job)
  local limit = job.given.limit >= 0 and job.given.limit or nil
  local status = 0
  for _, id in ipairs(job.selected) do
    local ok, result, node = pcall(require("run").show, job, id, limit)
    if ok then
      show_rows(job, result, node)
    elseif not err.is(result) or result.cancelled or not result.node then
      error(result, 0)
    else
      job.report:failure(result)
      status = 1
    end
  end
  return status
end

return M
