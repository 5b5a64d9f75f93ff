--- Every form of a hook, from every place where one may stand, made into one record. What the forms mean is
-- the hook contract (stdlib/README.md).

local err = require "err"
local json = require "dex.json"
local lines_of = require("project.lines").of
local value = require "jinja.value"

local M = {}

local none = value.none

--- One hook. A dict, so that templates and JSON can read it; absent settings are absent keys.
---@class dex.Hook
---@field kind "sql"|"lua"|"operation"
---@field sql string text for kind sql, else a description such as "lua: audit.row_count"
---@field lua? string module.function
---@field operation? string
---@field args? table dict
---@field name? string
---@field when? string|boolean Jinja expression
---@field when_line? integer where that stands, when it is another line than the hook's
---@field on_error "fail"|"warn"|"ignore"
---@field timeout? number seconds
---@field retries? integer
---@field transaction boolean
---@field commands? table list
---@field lock? string
---@field place "config"|"properties"|"project"
---@field file string
---@field line integer|nil
---@field index integer position in its list, from 1

--- The phases and the words for them: config key -> phase.
M.phases = { ["pre-hook"] = "pre", pre_hook = "pre", ["post-hook"] = "post", post_hook = "post",
  on_failure = "on_failure", always = "always" }
M.phase_names = { "pre", "post", "on_failure", "always" }

local hook_keys = { sql = true, lua = true, operation = true, args = true, name = true, when = true, on_error = true,
  timeout = true, retries = true, transaction = true, commands = true, lock = true, enabled = true, index = true }
local hook_key_names = { "sql", "lua", "operation", "args", "name", "when", "on_error", "timeout", "retries",
  "transaction", "commands", "lock", "enabled" }

local function bad(origin, message, hint)
  err.raise { code = 112, message = ("%s: %s"):format(origin.what, message), file = origin.file, line = origin.line,
    hint = hint }
end

local function expect(origin, key, v, good, words)
  if not good then
    bad(origin, ("`%s` must be %s, not '%s'"):format(key, words, v == none and "null" or tostring(v)))
  end
end

local units = { [""] = 1, ms = 0.001, s = 1, m = 60, min = 60, h = 3600 }

local function seconds(v)
  if type(v) == "number" then return v end
  local number, unit = tostring(v):match("^%s*([%d%.]+)%s*(%a*)%s*$")
  return number and units[unit] and tonumber(number) and tonumber(number) * units[unit] or nil
end

local function copy_settings(hook, given, origin)
  local v = given.when
  if v ~= nil and v ~= none then
    expect(origin, "when", v, type(v) == "string" or type(v) == "boolean", "a Jinja expression")
    hook.when = v
    local line = lines_of(origin.lines, given, "when")
    if line ~= hook.line then hook.when_line = line end
  end
  v = given.on_error
  if v ~= nil and v ~= none then
    expect(origin, "on_error", v, v == "fail" or v == "warn" or v == "ignore", "fail, warn or ignore")
    hook.on_error = v
  end
  v = given.timeout
  if v ~= nil and v ~= none then
    local s = seconds(v)
    expect(origin, "timeout", v, s and s > 0, "a number of seconds, or a text such as 5m")
    hook.timeout = s
  end
  v = given.retries
  if v ~= nil and v ~= none then
    expect(origin, "retries", v, math.type(v) == "integer" and v >= 0, "a whole number")
    hook.retries = v
  end
  v = given.transaction
  if v ~= nil and v ~= none then
    expect(origin, "transaction", v, type(v) == "boolean", "true or false")
    hook.transaction = v
  end
  v = given.commands
  if v ~= nil and v ~= none then
    if type(v) == "string" then v = value.list { v } end
    expect(origin, "commands", v, value.is_list(v), "a list of commands")
    hook.commands = v
  end
  v = given.lock
  if v ~= nil and v ~= none then hook.lock = tostring(v) end
  v = given.args
  if v ~= nil and v ~= none then
    expect(origin, "args", v, value.is_dict(v), "a mapping")
    hook.args = v
  end
end

local function new(kind, sql, origin)
  return value.dict("kind", kind, "sql", sql, "transaction", origin.transaction ~= false, "on_error", "fail",
    "place", origin.place, "file", origin.file, "line", origin.line)
end

local function lua_name(text, origin)
  local name = type(text) == "string" and text:match("^%s*([%a_][%w_%./]*%.[%a_][%w_]*)%s*$")
  if not name then
    bad(origin, ("'%s' is no Lua function"):format(tostring(text):match("^%s*(.-)%s*$")),
      "a Lua hook is named module.function, for a file of " ..
      "the hooks folder, such as `lua: audit.row_count`")
  end
  return name
end

local function from_mapping(given, origin)
  for key in pairs(given) do
    if not hook_keys[key] then
      bad(origin, ("a hook has no key '%s'"):format(tostring(key)), err.did_you_mean(tostring(key), hook_key_names)
        or "its keys are " .. table.concat(hook_key_names, ", "))
    end
  end
  local name = value.opt(given.name)
  local forms = 0
  for _, form in ipairs { "sql", "lua", "operation" } do
    if value.opt(given[form]) ~= nil then forms = forms + 1 end
  end
  if forms > 1 then bad(origin, "a hook is one of `sql`, `lua` and `operation`, not several") end
  local hook
  if given.enabled == false or (forms == 0 and name) then
    if not name then bad(origin, "`enabled: false` takes a `name`: that of the hook to leave out") end
    hook = new(given.enabled == false and "removal" or "reference", "", origin)
  elseif value.opt(given.lua) ~= nil then
    hook = new("lua", "lua: " .. tostring(given.lua), origin)
    hook.lua = lua_name(given.lua, origin)
  elseif value.opt(given.operation) ~= nil then
    hook = new("operation", "operation: " .. tostring(given.operation), origin)
    hook.operation = tostring(given.operation):gsub("^operations/", ""):gsub("%.sql$", "")
  elseif type(given.sql) == "string" then
    hook = new("sql", given.sql, origin)
  else
    bad(origin, "a hook needs `sql`, `lua` or `operation`")
  end
  if name ~= nil then hook.name = tostring(name) end
  copy_settings(hook, given, origin)
  return hook
end

-- The SQL in the JSON that before_begin() and its siblings give.
local function helper_text(text)
  if not text:find("^%s*{%s*\"") then return nil end
  local ok, decoded = pcall(json.decode, text)
  return ok and value.is_dict(decoded) and value.opt(decoded.sql) or nil
end

-- Text: SQL, "lua: module.fn", or the JSON that before_begin() and its siblings give.
local function from_text(text, origin)
  if text:find("^%s*lua:") then
    local name = lua_name(text:match("^%s*lua:(.*)$"), origin)
    local hook = new("lua", text, origin)
    hook.lua = name
    return hook
  end
  if text:find("^%s*{%s*\"") then
    local ok, decoded = pcall(json.decode, text)
    if ok and value.is_dict(decoded) and decoded.sql ~= nil then return from_mapping(decoded, origin) end
  end
  return new("sql", text, origin)
end

local function from_one(given, origin)
  if type(given) == "string" then return from_text(given, origin) end
  if value.is_dict(given) then return from_mapping(given, origin) end
  bad(origin, ("a hook is a text or a mapping, not %s"):format(given == none and "null"
    or "'" .. tostring(given) .. "'"))
end

--- Makes records of what stands under one hook key.
---@param given any text, mapping, or list of them
---@param origin {place: string, file: string, line?: integer, what: string, lines?: table,
---  locate?: fun(hook_text: string): integer|nil} `transaction` false: these have none unless they say so; `lines`
---  tells the line of each list item, `locate` finds that of a text in a SQL file
---@return dex.Hook[] a plain array
function M.normalise(given, origin)
  local found = {}
  if given == none or given == nil then return found end
  local is_list = value.is_list(given) or value.is_tuple(given)
  for i, item in ipairs(is_list and given or { given }) do
    local own = setmetatable({}, { __index = origin })
    local text = type(item) == "string" and (helper_text(item) or item)
      or value.is_dict(item) and (item.sql or item.lua or item.operation)
    own.line = is_list and lines_of(origin.lines, given, i) or value.is_dict(item) and lines_of(origin.lines, item)
      or type(text) == "string" and origin.locate and origin.locate(text) or origin.line
    found[#found + 1] = from_one(item, own)
  end
  local names = {}
  for _, hook in ipairs(found) do
    if hook.name and names[hook.name] then
      bad({ what = origin.what, file = hook.file, line = hook.line },
        ("the hook '%s' is declared twice"):format(hook.name))
    end
    if hook.name then names[hook.name] = true end
  end
  return found
end

--- Takes the hooks out of a dict of config keys.
---@param settings table dict
---@param origin table as for normalise; `what` is completed with the key
---@param strip? fun(key: string): string takes the + of project files off a key
---@return table<string, dex.Hook[]>|nil by phase; nil without any
function M.extract(settings, origin, strip)
  local found, spelled
  for key, given in pairs(settings) do
    local plain = strip and strip(key) or key
    local phase = M.phases[plain]
    if phase and not (plain == key and strip and value.is_dict(given)) then
      found, spelled = found or {}, spelled or {}
      if spelled[phase] then
        err.raise { code = 111, message = ("%s: '%s' and '%s' are the same setting: keep one of them"):format(
          origin.what, spelled[phase], key), file = origin.file,
          line = lines_of(origin.lines, settings, key) or origin.line }
      end
      spelled[phase] = key
      local own = setmetatable({ what = ("%s, %s"):format(origin.what, key),
        line = lines_of(origin.lines, settings, key) or origin.line }, { __index = origin })
      found[phase] = M.normalise(given, own)
    end
  end
  return found
end

--- Appends the hooks of a more specific level to a list: a name that is there already is replaced in its
--- place, a removal takes it out, the unnamed accumulate. The list given is changed.
---@param list dex.Hook[]
---@param more dex.Hook[]
function M.add(list, more)
  for _, hook in ipairs(more) do
    local at
    if hook.name then
      for i, known in ipairs(list) do
        if known.name == hook.name then at = i end
      end
    end
    if hook.kind == "removal" then
      if at then table.remove(list, at) end
    elseif hook.kind == "reference" then
      if not at then
        err.raise { code = 112, message = ("there is no hook '%s' to refer to"):format(hook.name), file = hook.file,
          line = hook.line, hint = "a hook needs `sql`, `lua` or `operation`" }
      end
      list[#list + 1] = table.remove(list, at)
    elseif at then
      list[at] = hook
    else
      list[#list + 1] = hook
    end
  end
end

--- The hooks of a node's config as dbt's manifest has them.
---@param list dex.Hook[]|nil
---@return table list of dicts sql, transaction, index
function M.for_manifest(list)
  local shown = value.list()
  for i, hook in ipairs(list or {}) do
    shown[i] = value.dict("sql", hook.sql, "transaction", hook.transaction, "index", none)
  end
  return shown
end

return M
