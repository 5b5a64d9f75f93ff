--- /api/operations and /api/builds: what can be started besides flows.

local err = require "err"
local look = require "server.look"
local operations = require "project.operations"
local operation_settings = require "project.operation_settings"
local parameters = require "project.parameters"
local shapes = require "server.shapes"
local start = require "server.start"
local value = require "jinja.value"

local dict, list, none, opt = value.dict, value.list, value.none, value.opt

local function last_run(store, operation)
  local row = store:runs { kind = "operation", name = operation.name, limit = 1 }[1]
  return row and shapes.run(store, row) or none
end

local function confirm_of(operation)
  local confirm = opt(operation.config.confirm)
  if confirm == nil then return false end
  return confirm
end

local function summary(server, project, operation)
  local tags = opt(operation.config.tags) or {}
  if type(tags) == "string" then tags = { tags } end
  return dict("name", operation.name, "path", require("report.errors").relative(operation.file, project.root),
    "language", operation.language, "description", value.or_none(opt(operation.config.description)
      or opt(operation.node.description)), "tags", list(table.move(tags, 1, #tags, 1, {})),
    "confirm", confirm_of(operation), "last_run", last_run(server.store, operation))
end

local function find(request)
  local project = request.server.loaded:get()
  local ok, operation = pcall(operations.find, project, request.params.name, { code = 674 })
  if not ok then error(operation, 0) end
  return project, operation
end

local function ls(request)
  local project = request.server.loaded:get()
  return dict("items", shapes.each(operations.list(project), function(operation)
    return summary(request.server, project, operation)
  end))
end

local function show(request)
  local project, operation = find(request)
  local detail = summary(request.server, project, operation)
  local config = operation.config
  local targets = operation_settings.texts(config.targets)
  local timeout = opt(config.timeout)
  detail.parameters = operation.parameters and parameters.describe(operation.parameters) or none
  detail.targets, detail.transaction = list(targets), operations.is_transactional(operation)
  detail.timeout = timeout and operation_settings.seconds(timeout) or none
  detail.hooks = look.hooks(project, { hooks = operation.hooks, operation = operation }, "operation")
  detail.source_code = operation.source
  return detail
end

-- What the operation would run, as the log of a run of its own.
local function dry_run(request, call)
  local server, operation = request.server, call.operation
  local store = server.store
  local id = store:create_run { kind = "operation", name = operation.name, trigger = "api", by = request.who.name,
    status = "running", parameters = call.shown,
    command = ("dex-lua operation run %s --dry-run"):format(operation.name) }
  local ok, text = look.operation(server, call)
  store:batch(function()
    if ok then
      for line in (text .. "\n"):gmatch "(.-)\n" do store:add_log(id, nil, "info", line) end
    end
    store:set_run(id, ok and "success" or "failed",
      { message = ok and "a dry run: nothing was run" or text })
  end)
  return dict("id", id)
end

local function run(request)
  local project, operation = find(request)
  local server, body = request.server, request.body
  local call = require("run.operation").prepare(project, operation, body.parameters)
  local question, dry = confirm_of(operation), body.dry_run == true
  if question and not dry and body.confirm ~= true then
    err.raise { code = 675, message = ("operation '%s' asks before it runs%s"):format(operation.name,
      type(question) == "string" and ": " .. question or ""), hint = 'send "confirm": true' }
  end
  if dry then return dry_run(request, call) end
  local argv = { "operation", "run", operation.name }
  if question then argv[#argv + 1] = "--yes" end
  return dict("id", server.supervisor:start { kind = "operation", name = operation.name, argv = argv, trigger = "api",
    by = request.who.name, parameters = body.parameters or dict(), shown = call.shown })
end

local function build(request)
  local server, body = request.server, request.body
  local argv = { body.command or "build" }
  for _, option in ipairs { "select", "exclude" } do
    local words = start.words(body[option], option)
    if #words > 0 then
      argv[#argv + 1] = "--" .. option
      table.move(words, 1, #words, #argv + 1, argv)
    end
  end
  if body.full_refresh then argv[#argv + 1] = "--full-refresh" end
  if body.vars then
    local own = server.job.given.vars
    local vars = own and require("command.meta").yaml_argument("--vars", own) or dict()
    for name, v in pairs(body.vars) do vars[name] = v end
    argv[#argv + 1] = "--vars"
    argv[#argv + 1] = require("dex.json").encode(vars)
  end
  return dict("id", server.supervisor:start { kind = "command", name = argv[1], argv = argv, trigger = "api",
    by = request.who.name })
end

return {
  { method = "GET", path = "/api/operations", about = "The operations", handler = ls, gives = "items: [Operation]" },
  { method = "GET", path = "/api/operations/{name}", handler = show, gives = "OperationDetail",
    about = "An operation, with its parameters; a slash in its name is %2F" },
  { method = "POST", path = "/api/operations/{name}/runs", about = "Runs an operation", handler = run, status = 201,
    body = "parameters?: mapping\nconfirm?: boolean    -- for operations that ask\n" ..
      "dry_run?: boolean    -- shows what it would run", gives = "Started", audit = "run operation", subject = "name" },
  { method = "POST", path = "/api/builds", about = "Runs models, seeds, snapshots and tests", handler = build,
    status = 201, body = "command?: build|run|test|seed|snapshot\nselect?: texts\nexclude?: texts\n" ..
      "full_refresh?: boolean\nvars?: mapping", gives = "Started", audit = "build" },
}
