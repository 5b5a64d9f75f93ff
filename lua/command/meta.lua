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

-- `help errors [CODE]`
local function errors_page(word)
  local errors = require "help.errors"
  if not word then return errors.page() end
  local code = math.tointeger(tonumber(word))
  local page = code and errors.page(code)
  if page then return page end
  err.raise { code = 101, message = ("there is no error code '%s'"):format(word),
    hint = "`dex-lua help errors` lists them" }
end

local function unknown_topic(topic)
  local names = require("help.options").names()
  table.move(require("help.topics").names(), 1, #require("help.topics").names(), #names + 1, names)
  err.raise { code = 101, message = ("there is no help on '%s'"):format(topic),
    hint = err.did_you_mean(topic, names) or ("there is help on " .. table.concat(names, ", ")) }
end

--- `dex-lua help [COMMAND | TOPIC | errors [CODE]]`
function M.help(job)
  local usage = require "help.usage"
  local options = require "help.options"
  local topic, more = job.words[1], job.words[2]
  local command = topic and options.command(topic)
  local page = topic and not more and require("help.topics").page(topic)
  if topic == "errors" and not job.words[3] then
    out(errors_page(more))
  elseif more then
    err.raise { code = 101, message = "help takes one topic, and errors a code", hint = "see `dex-lua help help`" }
  elseif page then
    out(page)
    if command then out(("\n`dex-lua %s --help` shows the command of that name.\n"):format(topic)) end
  elseif command then
    out(usage.command(command))
  elseif topic then
    unknown_topic(topic)
  else
    out(usage.overview())
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
  if not text then return nil end
  local ok, context = pcall(json.decode, text)
  if not ok or not value.is_dict(context) then
    err.raise { code = 101,
      message = "the context is no JSON object" .. (ok and "" or (": " .. tostring(context.message))),
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
