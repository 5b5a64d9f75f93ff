--- Reads the mappings of a flow file by a description of their keys. Whatever does not fit raises at once, with file
-- and line, what was expected, and the nearest word.

local context = require "project.context"
local err = require "err"
local jinja = require "jinja"
local lines_of = require("project.lines").of
local seconds = require("project.operation_settings").seconds
local tree = require "project.tree"
local value = require "jinja.value"

local M = {}

local opt = value.opt
local has_jinja = tree.has_jinja

--- What reads one file.
---@class dex.FlowReader
---@field project dex.Project
---@field file string as messages name it
---@field lines table of dex.yaml
---@field text string|nil of the file
local Reader = {}
Reader.__index = Reader

--- A reader of one file.
---@param project dex.Project
---@param file string
---@param lines table
---@param text? string
---@return dex.FlowReader
function M.new(project, file, lines, text)
  return setmetatable({ project = project, file = file, lines = lines, text = text }, Reader)
end

--- A value as messages show it.
---@param v any
---@return string
function M.shown(v)
  if value.is_dict(v) then return "a mapping" end
  if value.is_list(v) then return "a list" end
  if opt(v) == nil then return "nothing" end
  return ("'%s'"):format(tostring(v))
end

local shown = M.shown

local function is_text(v) return type(v) == "string" and v:find "%S" ~= nil end

local function is_texts(v)
  if is_text(v) then return true end
  if not value.is_list(v) then return false end
  for _, item in ipairs(v) do
    if not is_text(item) then return false end
  end
  return true
end

local function is_scalar(v) return type(v) ~= "table" end

-- kind -> what it may be, and words for it. `~` behind a kind: or Jinja that is rendered when the node runs.
local kinds = {
  any = { function() return true end, "anything" },
  text = { is_text, "a text" },
  texts = { is_texts, "a text or a list of texts" },
  words = { function(v) return value.is_list(v) and #v > 0 end, "a list of words" },
  boolean = { function(v) return type(v) == "boolean" end, "true or false" },
  count = { function(v) return math.type(v) == "integer" and v > 0 end, "a whole number above 0" },
  duration = { seconds, "seconds, or a text such as 30s, 5m, 2h or 1d" },
  mapping = { value.is_dict, "a mapping" },
  list = { value.is_list, "a list" },
  ["text or mapping"] = { function(v) return is_text(v) or value.is_dict(v) end, "a text or a mapping" },
  ["script"] = { function(v) return is_text(v) or value.is_list(v) and #v > 0 or value.is_dict(v) end,
    "a list of words, a text or a mapping" },
  ["nodes"] = { function(v) return value.is_dict(v) or value.is_list(v) end, "a list of nodes" },
  scalars = { function(v)
    if not value.is_dict(v) then return false end
    for _, item in pairs(v) do
      if not is_scalar(item) then return false end
    end
    return true
  end, "a mapping of names to texts" },
}

local function keys_of(spec)
  local keys = {}
  for key in pairs(spec) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Raises an error of this file.
---@param where {code: integer, container?: any, key?: any, line?: integer, hint?: string}
---@param message string
function Reader:fail(where, message)
  err.raise { code = where.code, message = message, file = self.file, hint = where.hint,
    line = lines_of(self.lines, where.container, where.key) or where.line }
end

--- The line of a key or item, or of what holds it.
---@return integer|nil
function Reader:line(container, key) return lines_of(self.lines, container, key) end

-- YAML reads the key `on` as true.
local function with_on(self, data)
  local copy = value.copy_dict(data)
  self.lines[copy] = setmetatable({ on = lines_of(self.lines, data, true) }, { __index = self.lines[data] })
  value.del(copy, true)
  copy.on = data[true]
  return copy
end

--- Checks a mapping against a description of its keys.
---@param data any
---@param spec table<string, string> key -> kind; `!` behind it: it must be there
---@param where {what: string, code: integer, container?: any, key?: any, hints?: table<string, string>} `hints`: what
---  to say of keys that are none
---@return table dict the same, or a copy in which `on` is the text that was meant
function Reader:check(data, spec, where)
  local what, code = where.what, where.code
  if not value.is_dict(data) then
    self:fail({ code = code, container = where.container, key = where.key },
      ("%s must be a mapping, not %s"):format(what, shown(data)))
  end
  if spec.on and rawget(data, true) ~= nil then data = with_on(self, data) end
  for key in pairs(data) do
    if not spec[key] then
      local names, text = keys_of(spec), tostring(key)
      self:fail({ code = code, container = data, key = key, hint = where.hints and where.hints[key]
        or err.did_you_mean(text, names) or "its keys are " .. table.concat(names, ", ") },
        ("%s has no key '%s'"):format(what, text))
    end
  end
  for key, kind in pairs(spec) do
    local plain, marks = kind:match("^(.-)([!~]*)$")
    local v = opt(data[key])
    if v == nil then
      if marks:find("!", 1, true) then
        self:fail({ code = code, container = data }, ("%s needs `%s`"):format(what, key))
      end
    elseif not kinds[plain][1](v) and not (marks:find("~", 1, true) and has_jinja(v)) then
      self:fail({ code = code, container = data, key = key },
        ("%s: `%s` must be %s, not %s"):format(what, key, kinds[plain][2], shown(v)))
    end
  end
  return data
end

--- The word under a key, which must be one of those allowed.
---@param data table dict
---@param key string
---@param allowed string[]
---@param where {what: string, code: integer}
---@return string|nil
function Reader:one_of(data, key, allowed, where)
  local v = opt(data[key])
  if v == nil then return nil end
  for _, word in ipairs(allowed) do
    if v == word then return v end
  end
  self:fail({ code = where.code, container = data, key = key, hint = err.did_you_mean(tostring(v), allowed) },
    ("%s: `%s` must be %s or %s, not %s"):format(where.what, key, table.concat(allowed, ", ", 1, #allowed - 1),
      allowed[#allowed], shown(v)))
end

--- Seconds under a key, nil without it.
---@return number|nil
function M.seconds(data, key)
  local v = opt(data[key])
  return v ~= nil and seconds(v) or nil
end

--- A text or list of texts under a key as a plain array.
---@return string[]
function M.texts(data, key)
  local v = opt(data[key])
  if v == nil then return {} end
  return type(v) == "string" and { v } or table.move(v, 1, #v, 1, {})
end

--- Renders what is read before any run: it sees var, env_var and target, and nothing of a run.
---@param data table dict
---@param skip table<string, boolean> keys that are rendered when the flow runs, or that hold what is
---@param root string[] keys that led here, for messages
---@return table dict
function Reader:early(data, skip, root)
  self.context = self.context or context.properties(self.project, self.project.packages[1].name)
  local depth = #root + 1
  return tree.render(data, { context = self.context, file = self.file, lines = self.lines,
    skip = function(path, at) return at == depth and skip[path[depth]] == true end }, root)
end

--- Compiles a template that is rendered when the flow runs, so that its mistakes are found now. Raises 2xx with the
--- line of the key.
---@param text string
---@param container any
---@param key any
---@param what string
---@return integer|nil line
function Reader:template(text, container, key, what)
  local line = lines_of(self.lines, container, key)
  local ok, e = pcall(jinja.compile, text, { file = self.file })
  if ok then return line end
  if not err.is(e) then error(e, 0) end
  local inner = (e.line or 1) > 1 and (" (line %d of the text)"):format(e.line) or ""
  err.raise { code = e.code, message = ("%s: %s%s"):format(what, e.message, inner), file = self.file, line = line,
    hint = e.hint }
end

--- Compiles every text with Jinja in a value.
---@param v any
---@param container any
---@param key any
---@param what string
---@param each? fun(text: string, line: integer|nil) is called for each such text
function Reader:templates(v, container, key, what, each)
  if type(v) == "string" then
    if not has_jinja(v) then return end
    local line = self:template(v, container, key, what)
    if each then each(v, line) end
  elseif value.is_dict(v) or value.is_list(v) then
    for k, item in (value.is_dict(v) and pairs or ipairs)(v) do self:templates(item, v, k, what, each) end
  end
end

return M
