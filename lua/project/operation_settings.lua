--- The settings of an operation, and what each may be.

local err = require "err"
local lines = require "project.lines"
local parameters = require "project.parameters"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- The words for settings of operations, beside those that every node has.
M.names = { "description", "parameters", "tags", "meta", "transaction", "timeout", "retries", "confirm", "targets",
  "jinja", "python", "depends_on", "hooks", "enabled" }

local units = { [""] = 1, ms = 0.001, s = 1, m = 60, min = 60, h = 3600, d = 86400 }

--- Seconds of a number, or of a text such as 5m; nil when it is neither.
---@param v any
---@return number|nil
function M.seconds(v)
  if type(v) == "number" then return v > 0 and v or nil end
  local number, unit = tostring(v):match("^%s*([%d%.]+)%s*(%a*)%s*$")
  local seconds = number and units[unit] and tonumber(number) and tonumber(number) * units[unit]
  return seconds and seconds > 0 and seconds or nil
end

local function is_boolean(v) return type(v) == "boolean" end
local function is_text(v) return type(v) == "string" end
local function is_texts(v)
  if type(v) == "string" then return true end
  if not value.is_list(v) and not value.is_tuple(v) then return false end
  for _, item in ipairs(v) do
    if type(item) ~= "string" then return false end
  end
  return true
end

local rules = {
  description = { is_text, "a text" }, transaction = { is_boolean, "true or false" },
  jinja = { is_boolean, "true or false" },
  python = { is_text, "the path of an interpreter or of a virtual environment" },
  timeout = { M.seconds, "a number of seconds, or a text such as 5m" },
  retries = { function(v) return math.type(v) == "integer" and v >= 0 end, "a whole number" },
  confirm = { function(v) return is_boolean(v) or is_text(v) end, "true or the question to ask" },
  targets = { is_texts, "a target's name or a list of them" }, depends_on = { is_texts, "a list of texts" },
  hooks = { value.is_dict, "a mapping of pre, post, on_failure and always" },
}

local function bad(origin, container, key, message, hint)
  err.raise { code = 122, message = ("%s: %s"):format(origin.what, message), file = origin.file,
    line = lines.of(origin.lines, container, key) or origin.line, hint = hint }
end

local hook_keys = { pre = "pre-hook", post = "post-hook", on_failure = "on_failure", always = "always" }

-- Puts what stands under `hooks:` where the hooks of every node stand.
local function spread_hooks(settings, origin)
  local given = opt(settings.hooks)
  if given == nil then return settings end
  local copy = lines.carry(origin.lines, settings, value.copy_dict(settings))
  value.del(copy, "hooks")
  for key, hook in pairs(given) do
    local name = hook_keys[key]
    if not name then
      bad(origin, given, key, ("`hooks` has no '%s'"):format(tostring(key)), "it has pre, post, on_failure and always")
    end
    if copy[name] ~= nil or copy[name:gsub("-", "_")] ~= nil then
      bad(origin, given, key, ("`hooks: %s` and `%s` are the same setting: keep one of them"):format(key, name))
    end
    copy[name] = hook
  end
  return copy
end

--- Checks the settings of one place. Raises code 122, or 601 for a parameter, with the line.
---@param settings table dict
---@param origin table {what, file, line, lines}
---@return table settings with the hooks as every node has them; `parameters` is checked and left as it is
function M.check(settings, origin)
  for key, rule in pairs(rules) do
    local v = opt(settings[key])
    if v ~= nil and not rule[1](v) then
      bad(origin, settings, key, ("`%s` must be %s, not '%s'"):format(key, rule[2], tostring(v)))
    end
  end
  parameters.declare(settings.parameters, origin)
  return spread_hooks(settings, origin)
end

--- A text or list of texts as a plain array.
---@param v any
---@return string[]
function M.texts(v)
  v = opt(v)
  if v == nil then return {} end
  if type(v) == "string" then return { v } end
  return table.move(v, 1, #v, 1, {})
end

return M
