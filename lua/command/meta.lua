--- The commands that need no project: version, help, render.

local core = require "dex.core"
local err = require "err"
local fs = require "dex.fs"
local term = require "dex.term"

local M = {}

local function out(text) term.write(1, text) end

--- `dex-lua version [-v]`
function M.version(job)
  out("dex-lua " .. core.version .. "\n")
  if job.given.verbose then
    local versions = core.versions()
    local names = {}
    for name in pairs(versions) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do out(("  %-10s %s\n"):format(name, versions[name])) end
  end
  return 0
end

--- `dex-lua help [COMMAND | errors]`
function M.help(job)
  local usage = require "help.usage"
  local topic = job.words[1]
  if not topic then
    out(usage.overview())
  elseif topic == "errors" then
    out(require("help.errors").page())
  else
    local options = require "help.options"
    local command = options.command(topic)
    if not command then
      local names = options.names()
      names[#names + 1] = "errors"
      err.raise { code = 101, message = ("there is no help on '%s'"):format(topic), hint = err.did_you_mean(topic, names) }
    end
    out(usage.command(command))
  end
  return 0
end

local function context_of(given)
  local json = require "dex.json"
  local value = require "jinja.value"
  local text, file = given.context, nil
  if given.context_file then
    if text then err.raise { code = 101, message = "--context and --context-file exclude each other" } end
    file = given.context_file
    text = fs.read(file)
  end
  if not text then return {} end
  local ok, context = pcall(json.decode, text)
  if not ok or not value.is_dict(context) then
    err.raise { code = 101, message = "the context is no JSON object" .. (ok and "" or (": " .. tostring(context.message))),
      file = file, line = file and not ok and context.line or nil }
  end
  return context
end

--- `dex-lua render FILE` and `dex-lua render --batch`
function M.render(job)
  local batch = require "jinja.batch"
  if job.given.batch then
    batch.main(io.lines(), function(line) io.write(line, "\n") end)
    io.flush()
    return 0
  end
  local name = job.words[1]
  if not name or job.words[2] then
    err.raise { code = 101, message = "render needs one template: a file, or - for standard input",
      hint = "see `dex-lua render --help`" }
  end
  local source = name == "-" and io.read("a") or fs.read(name)
  local vars = job.given.vars and M.yaml_argument("--vars", job.given.vars)
  out(batch.render(source, { file = name == "-" and "<stdin>" or name, context = context_of(job.given), vars = vars,
    env = require("dex.env").all() }) .. "\n")
  return 0
end

--- A YAML mapping given on the command line.
---@param name string the option
---@param text string
---@return table dict
function M.yaml_argument(name, text)
  local value = require "jinja.value"
  local ok, decoded = pcall(require("dex.yaml").decode, text, name)
  if not ok then
    err.raise { code = 101, message = ("%s is no YAML: %s"):format(name, decoded.message) }
  end
  if decoded == nil or decoded == value.none then return value.dict() end
  if not value.is_dict(decoded) then
    err.raise { code = 101, message = ("%s needs a YAML mapping such as '{key: value}', not '%s'"):format(name, text) }
  end
  return decoded
end

return M
