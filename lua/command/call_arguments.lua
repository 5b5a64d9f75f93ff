--- The arguments of a call on the command line, of an operation or of a flow: --args, from a text or standard input,
-- and -a.

local env = require "dex.env"
local err = require "err"
local json = require "dex.json"
local parameters = require "project.parameters"
local value = require "jinja.value"

local M = {}

-- What --args says; `-` is standard input, where no list of processes shows it.
local function given_text(text)
  local yaml_argument = require("command.meta").yaml_argument
  if text == "-" then return yaml_argument("the input of --args -", io.read "a" or "") end
  return yaml_argument("--args", text)
end

--- --args and every -a key=value. A value of -a is read as YAML, as in --args, but for a parameter of type text it is
--- the text as it is written. Raises 101.
---@param given table options of the command line
---@param declared dex.Parameter[]|nil
---@return table dict
function M.read(given, declared)
  local yaml_argument, is_text = require("command.meta").yaml_argument, {}
  for _, parameter in ipairs(declared or {}) do is_text[parameter.name] = parameter.type == "text" end
  local args = given.args and given_text(given.args) or value.dict()
  for _, pair in ipairs(given.arg or {}) do
    local key, text = pair:match("^([%w_]+)=(.*)$")
    if not key then
      err.raise { code = 101, message = ("-a needs key=value, not '%s'"):format((pair:match("^[^=]*"))) }
    end
    if is_text[key] then args[key] = text else args[key] = yaml_argument("-a", "v: " .. text).v end
  end
  return args
end

--- Hides the values of secret parameters in what artifacts and `retry` see of the command line.
---@param job table with `args`
---@param declared dex.Parameter[]|nil
---@param args table dict of M.read
function M.hide(job, declared, args)
  local is_secret, any = {}, false
  for _, parameter in ipairs(declared or {}) do
    is_secret[parameter.name] = parameter.secret
    any = any or parameter.secret
  end
  if not any then return end
  if job.args.arg then
    local list = value.list()
    for i, pair in ipairs(job.args.arg) do
      local key = pair:match("^[%w_]+")
      list[i] = is_secret[key] and key .. "=*****" or pair
    end
    job.args.arg = list
  end
  if job.args.args then job.args.args = json.encode(parameters.shown(declared, args)) end
end

--- Takes secrets out of arguments that were kept: they are kept as stars. Raises 602 for one that has to be given again
--- and has no other source.
---@param declared dex.Parameter[]|nil
---@param args table dict, which is changed
---@param what string whose they are, for the message
---@param hint fun(name: string): string how to give it
function M.forget_hidden(declared, args, what, hint)
  for _, parameter in ipairs(declared or {}) do
    local name = parameter.name
    if parameter.secret and args[name] == "*****" then
      value.del(args, name)
      if parameter.default == nil and not (parameter.env and env.get(parameter.env)) then
        err.raise { code = 602, message = ("%s: the secret parameter '%s' is kept nowhere"):format(what, name),
          hint = hint(name) }
      end
    end
  end
end

return M
