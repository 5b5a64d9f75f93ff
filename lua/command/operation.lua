--- `dex-lua operation ls|show|run`.

local call_arguments = require "command.call_arguments"
local err = require "err"
local json = require "dex.json"
local operations = require "project.operations"
local operation_settings = require "project.operation_settings"
local parameters = require "project.parameters"
local term = require "dex.term"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local actions = {}

local function find(project, name)
  if not name then err.raise { code = 101, message = "which operation? `dex-lua operation ls` lists them" } end
  return operations.find(project, name, { code = 101 })
end

-- Arguments ----------------------------------------------------------------------------------------------

local function call_of(job, operation)
  local declared = operation.parameters
  local args = call_arguments.read(job.given, declared)
  call_arguments.hide(job, declared, args)
  if job.only then -- a secret is not kept for `retry`
    call_arguments.forget_hidden(declared, args, ("operation '%s'"):format(operation.name), function(name)
      return ("run `dex-lua operation run %s -a %s=...`"):format(operation.name, name)
    end)
  end
  return require("run.operation").prepare(job.project, operation, args)
end

-- Asks whether an operation with `confirm` may run; --yes is the answer of programs.
local function confirm(job, operation)
  local question = opt(operation.config.confirm)
  if not question or job.given.yes then return end
  if not (term.isatty(0) and term.isatty(2)) then
    err.raise { code = 604, message = ("operation '%s' asks before it runs, and there is no terminal"):format(
      operation.name), file = operation.display, line = 1, hint = "say --yes when you mean it" }
  end
  if type(question) ~= "string" then question = ("Run operation %s?"):format(operation.name) end
  term.write(2, question .. " [y/N] ")
  local answer = (io.read "l" or ""):lower()
  if answer ~= "y" and answer ~= "yes" then
    err.raise { code = 604, message = ("operation '%s' was not confirmed"):format(operation.name) }
  end
end

-- ls and show --------------------------------------------------------------------------------------------

local function description_of(operation)
  local text = opt(operation.config.description)
  return text and text:find "%S" and text or nil
end

local function summary_of(operation)
  return value.dict("name", operation.name, "language", operation.language, "package", operation.package_name,
    "path", operation.node.original_file_path, "description", description_of(operation) or "", "tags",
    operation.config.tags, "parameters", operation.parameters and parameters.describe(operation.parameters)
      or value.none)
end

function actions.ls(job)
  local list = value.list()
  for i, operation in ipairs(operations.list(job.project)) do
    list[i] = operation
  end
  if job.given.output == "json" then
    for i, operation in ipairs(list) do list[i] = summary_of(operation) end
    term.write(1, json.encode(list) .. "\n")
    return 0
  end
  for _, operation in ipairs(list) do
    local description = description_of(operation)
    job.report:log("print", description and ("%s  %s"):format(operation.name, description:match("^[^\n]*"))
      or operation.name)
  end
  return 0
end

--- A parameter as `operation show` and `flow show` print it.
---@param parameter dex.Parameter
---@return string
function M.parameter_line(parameter)
  local words = { parameter.type }
  if parameter.required then words[#words + 1] = "required" end
  if parameter.secret then words[#words + 1] = "secret" end
  if parameter.default ~= nil and not parameter.secret then
    local default = parameter.default
    words[#words + 1] = "default " .. (type(default) == "table" and json.encode(default) or tostring(default))
  end
  if parameter.choices then
    local choices = {}
    for i, choice in ipairs(parameter.choices) do choices[i] = tostring(choice) end
    words[#words + 1] = "one of " .. table.concat(choices, ", ")
  end
  if parameter.env then words[#words + 1] = "else from " .. parameter.env end
  local line = ("  %-16s %s"):format(parameter.name, table.concat(words, ", "))
  return parameter.description and line .. "  " .. parameter.description or line
end

-- What the settings of an operation say, a line each.
local function setting_lines(operation)
  local config, lines = operation.config, {}
  local function add(name, text) lines[#lines + 1] = ("%s: %s"):format(name, text) end
  local tags = opt(config.tags) or {}
  if #tags > 0 then add("tags", table.concat(tags, ", ")) end
  if operation.language ~= "python" then add("transaction", config.transaction == false and "none" or "one") end
  for _, key in ipairs { "timeout", "retries", "python" } do
    if opt(config[key]) ~= nil then add(key, tostring(config[key])) end
  end
  if opt(config.confirm) then add("confirm", config.confirm == true and "yes" or config.confirm) end
  local targets = operation_settings.texts(config.targets)
  if #targets > 0 then add("targets", table.concat(targets, ", ")) end
  local parents = operation.node.depends_on.nodes
  if #parents > 0 then add("depends on", table.concat(parents, ", ")) end
  for _, phase in ipairs { "pre", "post", "on_failure", "always" } do
    for _, hook in ipairs(operation.hooks[phase] or {}) do
      add(phase .. " hook", require("run.hooks").name_of(hook))
    end
  end
  return lines
end

function actions.show(job)
  local operation = find(job.project, job.words[2])
  local out = function(text) job.report:log("print", text) end
  out(operation.name .. "  (" .. require("report.errors").relative(operation.file) .. ")")
  local description = description_of(operation)
  if description then out(description) end
  out(table.concat(setting_lines(operation), "\n"))
  if operation.parameters and #operation.parameters > 0 then
    out("parameters:")
    for _, parameter in ipairs(operation.parameters) do out(M.parameter_line(parameter)) end
  end
  out("")
  out((operation.source:gsub("%s+$", "")))
  return 0
end

-- run ----------------------------------------------------------------------------------------------------

-- --dry-run: what would run, rendered in a transaction that is read only and rolled back.
local function preview(job, call)
  local operation = call.operation
  local text = require("run").preview(job, call)
  local lines = { ("operation %s, target %s"):format(operation.name, tostring(job.project.profile.target_name)) }
  for name, v in pairs(call.shown) do
    lines[#lines + 1] = ("  %s = %s"):format(name, type(v) == "string" and v or json.encode(v))
  end
  table.move(setting_lines(operation), 1, #setting_lines(operation), #lines + 1, lines)
  if operation.language == "python" then
    lines[#lines + 1] = "interpreter: " .. (require("run.python_script").interpreter(job.project, operation))
  end
  lines[#lines + 1] = ""
  for _, line in ipairs(lines) do job.report:log("info", line) end
  job.report:log("print", text)
  return 0
end

-- What an operation returned, as a person or a program would read it.
local function show_returned(job, returned)
  if returned == nil then return end
  job.report:log("print", type(returned) == "string" and returned or json.encode(returned))
end

function actions.run(job)
  local operation = find(job.project, job.words[2])
  if job.words[3] then
    err.raise { code = 101, message = "arguments are given with --args or -a, not '" .. job.words[3] .. "'" }
  end
  local steps = require "command.steps"
  local call = call_of(job, operation)
  if not job.given.dry_run then confirm(job, operation) end
  call.confirmed = true
  steps.connect(job)
  if job.given.dry_run then return preview(job, call) end
  job.operation = call
  steps.execute(job)
  local room = term.isatty(1) and term.width() or 80
  for _, result in ipairs(job.outcome.rows or {}) do
    term.write(1, require("report.grid").format(result, job.given.output, room) .. "\n")
  end
  show_returned(job, job.outcome.returned)
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
