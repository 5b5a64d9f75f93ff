--- `dex-lua operation ls|show|run`.

local err = require "err"
local term = require "dex.term"
local value = require "jinja.value"

local M = {}

local actions = {}

local function sorted_paths(project)
  local paths = {}
  for path in pairs(project.operations) do paths[#paths + 1] = path end
  table.sort(paths)
  return paths
end

-- By path, or by file name when that is unique.
local function find(project, name)
  if not name then err.raise { code = 101, message = "which operation? `dex-lua operation ls` lists them" } end
  name = name:gsub("^operations/", ""):gsub("%.sql$", "")
  if project.operations[name] then return project.operations[name] end
  local paths, found = sorted_paths(project), {}
  for _, path in ipairs(paths) do
    if path:match("[^/]+$") == name then found[#found + 1] = path end
  end
  if #found == 1 then return project.operations[found[1]] end
  if #found > 1 then
    err.raise { code = 101, message = ("'%s' is the name of several operations: %s"):format(name,
      table.concat(found, ", ")) }
  end
  err.raise { code = 101, message = ("there is no operation '%s'"):format(name),
    hint = err.did_you_mean(name, paths) or (#paths > 0 and ("there are " .. table.concat(paths, ", "))
      or "operations are .sql files below operations/") }
end

-- --args and every -a key=value; a value of -a is read as YAML, as in --args.
local function arguments(given)
  local yaml_argument = require("command.meta").yaml_argument
  local args = given.args and yaml_argument("--args", given.args) or value.dict()
  for _, pair in ipairs(given.arg or {}) do
    local key, text = pair:match("^([%w_]+)=(.*)$")
    if not key then err.raise { code = 101, message = ("-a needs key=value, not '%s'"):format(pair) } end
    args[key] = yaml_argument("-a", "v: " .. text).v
  end
  return args
end

function actions.ls(job)
  for _, path in ipairs(sorted_paths(job.project)) do
    local description = value.opt(job.project.operations[path].config.description)
    job.report:log("print", description and ("%s  %s"):format(path, description:match("^[^\n]*")) or path)
  end
  return 0
end

function actions.show(job)
  local operation = find(job.project, job.words[2])
  local out = function(text) job.report:log("print", text) end
  out(operation.name .. "  (" .. require("report.errors").relative(operation.file) .. ")")
  local description = value.opt(operation.config.description)
  if description then out(description) end
  out("")
  out((operation.source:gsub("%s+$", "")))
  return 0
end

function actions.run(job)
  local operation = find(job.project, job.words[2])
  if job.words[3] then
    err.raise { code = 101, message = "arguments are given with --args or -a, not '" .. job.words[3] .. "'" }
  end
  local steps = require "command.steps"
  job.operation = { operation = operation, args = arguments(job.given) }
  steps.connect(job)
  steps.execute(job)
  local room = term.isatty(1) and term.width() or 80
  for _, result in ipairs(job.outcome.rows or {}) do
    term.write(1, require("report.grid").format(result, job.given.output, room) .. "\n")
  end
  steps.write(job)
  return steps.finish(job)
end

--- `operation ls`, `operation show NAME`, `operation run NAME`.
function M.dispatch(job)
  local action = actions[job.words[1] or "ls"]
  if not action then
    err.raise { code = 101, message = ("operation has no action '%s': it is ls, show or run"):format(job.words[1]) }
  end
  return action(job)
end

return M
