--- Parameters of operations and flows: how they are declared, and what the arguments of a call make of them.

local env = require "dex.env"
local err = require "err"
local lines_of = require("project.lines").of
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- One parameter.
---@class dex.Parameter
---@field name string
---@field type string text, integer, number, boolean, date, timestamp, list, mapping or any
---@field description string|nil
---@field default any nil: it has none
---@field required boolean
---@field choices any[]|nil
---@field secret boolean its value is shown nowhere
---@field env string|nil the environment variable that gives the value when no argument does

-- Types --------------------------------------------------------------------------------------------------

local aliases = { string = "text", str = "text", int = "integer", bigint = "integer", float = "number",
  numeric = "number", decimal = "number", double = "number", bool = "boolean", datetime = "timestamp",
  array = "list", dict = "mapping", object = "mapping", json = "any" }

local days = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_date(text)
  local y, m, d = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if not y then return false end
  y, m, d = tonumber(y), tonumber(m), tonumber(d)
  local leap = m == 2 and y % 4 == 0 and (y % 100 ~= 0 or y % 400 == 0)
  return days[m] ~= nil and d >= 1 and d <= days[m] + (leap and 1 or 0)
end

local function is_timestamp(text)
  local date, hour, minute, rest = text:match("^(%d%d%d%d%-%d%d%-%d%d)[T ](%d%d):(%d%d)(.*)$")
  if not date or not is_date(date) or tonumber(hour) > 23 or tonumber(minute) > 59 then return is_date(text) end
  local second, zone = rest:match("^:(%d%d)%.?%d*(.*)$")
  if second and tonumber(second) > 60 then return false end
  zone = second and zone or rest
  return zone == "" or zone == "Z" or zone:find("^[+-]%d%d:?%d?%d?$") ~= nil
end

-- type -> what it makes of a value, nil when that is none of its own; and words for it.
local types = {
  any = { function(v) return v end, "anything" },
  text = { function(v)
    if type(v) == "string" then return v end
    if type(v) == "number" or type(v) == "boolean" then return tostring(v) end
  end, "a text" },
  integer = { function(v)
    if type(v) == "number" then return math.tointeger(v) end
    return type(v) == "string" and v:find("^%s*[+-]?%d+%s*$") and math.tointeger(tonumber(v)) or nil
  end, "a whole number" },
  number = { function(v)
    if type(v) == "number" then return v end
    return type(v) == "string" and v:find("^%s*[+-]?[%d.]+[eE%d+-]*%s*$") and tonumber(v) or nil
  end, "a number" },
  boolean = { function(v)
    if type(v) == "boolean" then return v end
    local word = type(v) == "string" and v:lower()
    if word == "true" then return true elseif word == "false" then return false end
  end, "true or false" },
  date = { function(v) return type(v) == "string" and is_date(v) and v or nil end, "a date such as 2026-01-31" },
  timestamp = { function(v) return type(v) == "string" and is_timestamp(v) and v or nil end,
    "a time such as 2026-01-31 14:00" },
  list = { function(v) return (value.is_list(v) or value.is_tuple(v)) and v or nil end, "a list" },
  mapping = { function(v) return value.is_dict(v) and v or nil end, "a mapping" },
}
local type_names = { "text", "integer", "number", "boolean", "date", "timestamp", "list", "mapping", "any" }

local function shown(v)
  if value.is_dict(v) then return "a mapping" end
  if value.is_list(v) or value.is_tuple(v) then return "a list" end
  return ("'%s'"):format(tostring(v))
end

local function is_choice(parameter, v)
  for _, choice in ipairs(parameter.choices or { v }) do
    if choice == v then return true end
  end
  return false
end

local function words_of(choices)
  local list = {}
  for i, choice in ipairs(choices) do list[i] = tostring(choice) end
  return list
end

-- The value as the parameter has it; nil and why not.
local function convert(parameter, v)
  local kind = types[parameter.type]
  local converted = kind[1](v)
  if converted == nil then
    return nil, ("must be %s%s"):format(kind[2], parameter.secret and "" or ", not " .. shown(v))
  end
  if not is_choice(parameter, converted) then
    return nil, ("must be one of %s%s"):format(table.concat(words_of(parameter.choices), ", "),
      parameter.secret and "" or ", not " .. shown(v))
  end
  return converted
end

-- Declarations -------------------------------------------------------------------------------------------

local keys = { "name", "type", "description", "default", "required", "choices", "secret", "env" }
local known = {}
for _, key in ipairs(keys) do known[key] = true end

local function bad(origin, container, key, message, hint)
  err.raise { code = 601, message = ("%s: %s"):format(origin.what, message), file = origin.file,
    line = lines_of(origin.lines, container, key) or origin.line, hint = hint }
end

local function flag(origin, given, key, what)
  local v = opt(given[key])
  if v == nil then return false end
  if type(v) ~= "boolean" then
    bad(origin, given, key, ("%s: `%s` must be true or false, not %s"):format(what, key, shown(v)))
  end
  return v
end

local function type_of(origin, given, what)
  local name = opt(given.type)
  if name == nil then return "any" end
  local kind = type(name) == "string" and (aliases[name:lower()] or name:lower())
  if not types[kind] then
    bad(origin, given, "type", ("%s: %s is no type"):format(what, shown(name)),
      type(name) == "string" and err.did_you_mean(name, type_names) or "types are " .. table.concat(type_names, ", "))
  end
  return kind
end

local function declare_one(given, origin, name)
  local what = ("the parameter '%s'"):format(name)
  for key in pairs(given) do
    if not known[key] then
      bad(origin, given, key, ("%s has no key '%s'"):format(what, tostring(key)),
        err.did_you_mean(tostring(key), keys) or "its keys are " .. table.concat(keys, ", "))
    end
  end
  local parameter = { name = name, type = type_of(origin, given, what), description = opt(given.description),
    required = flag(origin, given, "required", what), secret = flag(origin, given, "secret", what) }
  local variable = opt(given.env)
  if variable ~= nil and type(variable) ~= "string" then
    bad(origin, given, "env", what .. ": `env` must be the name of an environment variable")
  end
  parameter.env = variable
  local choices = opt(given.choices)
  if choices ~= nil then
    if not value.is_list(choices) or #choices == 0 then
      bad(origin, given, "choices", what .. ": `choices` must be a list of values")
    end
    local list = {}
    for i, choice in ipairs(choices) do
      local converted, why = convert({ type = parameter.type }, choice)
      if converted == nil then bad(origin, choices, i, ("%s: a choice %s"):format(what, why)) end
      list[i] = converted
    end
    parameter.choices = list
  end
  local default = opt(given.default)
  if default ~= nil then
    local why
    parameter.default, why = convert(parameter, default)
    if why then bad(origin, given, "default", ("%s: its default %s"):format(what, why)) end
  end
  return parameter
end

--- Reads a declaration: a list of mappings with a name, or a mapping of names to mappings, or to types. Raises
--- code 601 with the line of what is wrong.
---@param given any nil: there is none
---@param origin {what: string, file: string, line?: integer, lines?: table}
---@return dex.Parameter[]|nil in their order; nil when nothing is declared, and any argument is taken
function M.declare(given, origin)
  given = opt(given)
  if given == nil then return nil end
  local list, seen = {}, {}
  local function add(name, settings, container, key)
    if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
      bad(origin, container, key, ("%s is no name for a parameter"):format(shown(name)))
    end
    if seen[name] then bad(origin, container, key, ("the parameter '%s' is declared twice"):format(name)) end
    seen[name] = true
    list[#list + 1] = declare_one(settings, origin, name)
  end
  if value.is_list(given) or value.is_tuple(given) then
    for i, item in ipairs(given) do
      if type(item) == "string" then item = value.dict("name", item) end
      if not value.is_dict(item) or opt(item.name) == nil then
        bad(origin, given, i, "every parameter must be a mapping with a name")
      end
      add(item.name, item, given, i)
    end
  elseif value.is_dict(given) then
    for name, item in pairs(given) do
      if type(item) == "string" then item = value.dict("type", item) end
      item = opt(item) or value.dict()
      if not value.is_dict(item) then
        bad(origin, given, name, ("the parameter '%s' must be a mapping, or a type"):format(tostring(name)))
      end
      add(name, item, given, name)
    end
  else
    bad(origin, nil, nil, "`parameters` must be a list or a mapping, not " .. shown(given))
  end
  return list
end

-- Calls --------------------------------------------------------------------------------------------------

local function refuse(opts, message, hint)
  err.raise { code = 602, message = ("%s: %s"):format(opts.what, message), file = opts.file, line = opts.line,
    hint = hint }
end

local function names_of(declared)
  local names = {}
  for i, parameter in ipairs(declared) do names[i] = parameter.name end
  return names
end

--- The values of a call. Raises code 602 for what is unknown, missing or of another type; a secret value stands in
--- no message.
---@param declared dex.Parameter[]|nil of M.declare; nil takes everything as it is
---@param args table dict of what was given
---@param opts {what: string, file?: string, line?: integer}
---@return table dict
function M.bind(declared, args, opts)
  if not declared then return args end
  local names, by_name, values = names_of(declared), {}, value.dict()
  for _, parameter in ipairs(declared) do by_name[parameter.name] = parameter end
  for name in pairs(args) do
    if not by_name[name] then
      refuse(opts, ("there is no parameter '%s'"):format(tostring(name)), err.did_you_mean(tostring(name), names)
        or (#names > 0 and "its parameters are " .. table.concat(names, ", ") or "it has none"))
    end
  end
  for _, parameter in ipairs(declared) do
    local name, v = parameter.name, opt(args[parameter.name])
    if v == nil and parameter.env then v = env.get(parameter.env) end
    if v ~= nil then
      local why
      v, why = convert(parameter, v)
      if why then refuse(opts, ("the parameter '%s' %s"):format(name, why), parameter.description) end
    else
      v = parameter.default
    end
    if v == nil and parameter.required then
      refuse(opts, ("the parameter '%s' is required"):format(name), parameter.env and
        ("give it with -a %s=..., or in the environment variable %s"):format(name, parameter.env)
        or ("give it with -a %s=..."):format(name))
    end
    if v ~= nil then values[name] = v end
  end
  return values
end

--- The texts of the secret values of a call, for what hides them.
---@param declared dex.Parameter[]|nil
---@param values table dict of M.bind
---@return string[]
function M.secrets(declared, values)
  local found = {}
  local function add(v)
    if value.is_dict(v) then
      for _, item in pairs(v) do add(item) end
    elseif value.is_list(v) or value.is_tuple(v) then
      for _, item in ipairs(v) do add(item) end
    elseif opt(v) ~= nil and type(v) ~= "boolean" and tostring(v) ~= "" then
      found[#found + 1] = tostring(v)
    end
  end
  for _, parameter in ipairs(declared or {}) do
    if parameter.secret then add(values[parameter.name]) end
  end
  return found
end

--- The values as they may be shown and kept.
---@param declared dex.Parameter[]|nil
---@param values table dict
---@return table dict
function M.shown(declared, values)
  local copy, secret = value.dict(), {}
  for _, parameter in ipairs(declared or {}) do secret[parameter.name] = parameter.secret end
  for name, v in pairs(values) do copy[name] = secret[name] and "*****" or v end
  return copy
end

--- A declaration for manifests and pages: a list of dicts, without the defaults of secrets.
---@param declared dex.Parameter[]
---@return table list
function M.describe(declared)
  local list = value.list()
  for i, parameter in ipairs(declared) do
    local d = value.dict()
    for _, key in ipairs(keys) do
      local v = parameter[key]
      if key == "default" and parameter.secret and v ~= nil then v = "*****" end
      if key == "choices" and v then v = value.list(table.move(v, 1, #v, 1, {})) end
      if v ~= nil then d[key] = v end
    end
    list[i] = d
  end
  return list
end

return M
