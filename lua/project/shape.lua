--- Checks entries of properties files against a description of their fields: `{ name = "text!", rows = "list" }`.
-- A kind is text, number, boolean, list, dict, `text or list` or any; `!` behind it says that the field must be there.

local err = require "err"
local known = require "project.known"
local lines_of = require("project.lines").of
local value = require "jinja.value"

local M = {}

local opt = value.opt

local kinds = {
  any = { function() return true end, "anything" },
  text = { function(v) return type(v) == "string" end, "a text" },
  scalar = { function(v) return type(v) ~= "table" end, "a text or number" },
  number = { function(v) return type(v) == "number" end, "a number" },
  boolean = { function(v) return type(v) == "boolean" end, "true or false" },
  list = { value.is_list, "a list" },
  dict = { value.is_dict, "a mapping" },
  ["text or list"] = { function(v) return type(v) == "string" or value.is_list(v) end, "a text or a list" },
  ["text or dict"] = { function(v) return type(v) == "string" or value.is_dict(v) end, "a text or a mapping" },
  ["boolean or dict"] = { function(v) return type(v) == "boolean" or value.is_dict(v) end,
    "true, false or a mapping" },
}

local vocabularies = setmetatable({}, { __mode = "k" })

local function vocabulary_of(spec)
  local found = vocabularies[spec]
  if not found then
    found = { list = {}, set = {} }
    for key in pairs(spec) do
      found.list[#found.list + 1] = key
      found.set[key] = true
    end
    table.sort(found.list)
    vocabularies[spec] = found
  end
  return found
end

local function shown(v)
  if value.is_dict(v) then return "a mapping" end
  if value.is_list(v) then return "a list" end
  return ("'%s'"):format(tostring(v))
end

--- The line of a key of an entry's data, or of the entry.
---@param entry dex.Entry
---@param container any
---@param key? any
---@return integer
function M.line(entry, container, key)
  return lines_of(entry.lines, container, key) or entry.line
end

--- Raises the error of an entry: code 113 unless another is given.
---@param entry dex.Entry
---@param where {container?: any, key?: any, code?: integer, hint?: string}
---@param message string
function M.fail(entry, where, message)
  err.raise { code = where.code or 113, message = message, file = entry.file.display,
    line = M.line(entry, where.container, where.key), hint = where.hint }
end

--- Checks a mapping of an entry. Unknown keys are warnings, everything else raises code 113.
---@param project table|nil without one unknown keys are let pass
---@param entry dex.Entry
---@param data any
---@param spec table<string, string> field -> kind
---@param what string for messages, such as "unit test 'x': an input"
---@param container? any what holds `data`, for the line when it has none
---@param key? any
function M.check(project, entry, data, spec, what, container, key)
  if not value.is_dict(data) then
    M.fail(entry, { container = container, key = key }, ("%s must be a mapping, not %s"):format(what, shown(data)))
  end
  if project then
    known.check(project.problems, vocabulary_of(spec), data, { what = what, file = entry.file.display,
      lines = entry.lines })
  end
  for field, kind in pairs(spec) do
    local v = opt(data[field])
    local plain = kind:gsub("!$", "")
    if v == nil then
      if plain ~= kind then M.fail(entry, { container = data }, ("%s needs `%s`"):format(what, field)) end
    elseif not kinds[plain][1](v) then
      M.fail(entry, { container = data, key = field }, ("%s: `%s` must be %s, not %s"):format(what, field,
        kinds[plain][2], shown(v)))
    end
  end
end

--- Raises code 113 when a text is none of those allowed, with the nearest one as a hint.
---@param entry dex.Entry
---@param container table
---@param key string
---@param allowed string[]
---@param what string
---@return string|nil the text, nil when there is none
function M.one_of(entry, container, key, allowed, what)
  local v = opt(container[key])
  if v == nil then return nil end
  for _, word in ipairs(allowed) do
    if v == word then return v end
  end
  M.fail(entry, { container = container, key = key, hint = err.did_you_mean(tostring(v), allowed) },
    ("%s: `%s` must be %s, not %s"):format(what, key, table.concat(allowed, ", ", 1, #allowed - 1) .. " or "
      .. allowed[#allowed], shown(v)))
end

--- The folders and the name of an entry as dbt's fully qualified name.
---@param entry dex.Entry
---@param name? string instead of the entry's
---@return table list
function M.fqn(entry, name)
  local fqn = value.list { entry.package.name }
  for part in entry.file.path:gmatch("([^/]+)/") do fqn[#fqn + 1] = part end
  fqn[#fqn + 1] = name or entry.name
  return fqn
end

--- What stands beside a member that an entry makes.
---@param entry dex.Entry
---@return table info
function M.info(entry)
  return { file = entry.file.abs, display = entry.file.display, line = entry.line, hooks = {},
    package = entry.package }
end

return M
