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
  if node and node.compiled_code then job.report:log("print", node.compiled_code) end
end

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
  end
  return json.encode(shown)
end

local formats = {
  selector = selector,
  name = search_name,
  path = function(node) return node.original_file_path end,
  json = as_json,
}

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

--- `show`: the one node to show -> job.selected.
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
  if #selected ~= 1 then
    err.raise { code = 101, message = ("show needs one node, and %d are selected"):format(#selected) }
  end
  job.selected = selected
end

--- `show`: runs the node's SQL with a limit and prints the rows. May wait.
function M.show(job)
  local ok, result, node = pcall(require("run").show, job, job.selected[1], job.given.limit)
  if not ok then
    if not err.is(result) or result.cancelled or not result.node then error(result, 0) end
    job.report:failure(result)
    return 1
  end
  local text = require("report.grid").format(result, job.given.output, term.isatty(1) and term.width() or 80)
  if job.given.output == "table" then text = ("%s, %d rows:\n%s"):format(node.name, #result, text) end
  term.write(1, text .. "\n")
  return 0
end

return M
