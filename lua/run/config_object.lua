--- `config` in templates: called, it configures the node while files are parsed; later it answers what the
-- node's configuration is.

local err = require "err"
local merge = require "project.merge"
local undefined_error = require("jinja.names").undefined_error
local object = require "run.object"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt
local dashed = merge.dashed

-- While files are parsed -------------------------------------------------------------------------

local Parsing = { __name = "dex.parse_config" }

-- The settings under dbt's names for them.
local function normalized(settings)
  local plain, key = merge.named(settings)
  if not plain then
    err.raise { code = 236, message = ("config() has `%s` and `%s`: they are the same setting"):format(key,
      (key:gsub("_", "-"))) }
  end
  return plain
end

-- Settings are kept: nothing in them may be undefined.
local function check(v)
  if value.is_undefined(v) then undefined_error(v) end
  if value.is_dict(v) then
    for _, item in pairs(v) do check(item) end
  elseif value.is_list(v) then
    for _, item in ipairs(v) do check(item) end
  end
end

local function collect(config, args, kwargs)
  local settings
  if #args == 1 and #kwargs == 0 and value.is_dict(args[1]) then
    settings = args[1]
  elseif #args == 0 and #kwargs > 0 then
    settings = kwargs
  else
    err.raise { code = 236, message = "config() takes either keyword arguments or one mapping",
      hint = "config(materialized='table', tags=['a'])" }
  end
  check(settings)
  merge.calls(config.capture.config, normalized(settings))
  return ""
end

local parse_call = value.fn("config(self, *args, **kwargs)", collect)
Parsing.__call = function(config, ...) return parse_call(config, ...) end

local function empty() return "" end

object.class(Parsing, {}, object.methods {
  ["set(name, value)"] = function(config, name, v)
    return collect(config, { value.dict(name, v) }, value.dict())
  end,
  ["get(name, default=none, validator=none)"] = empty,
  ["require(name, validator=none)"] = empty,
  ["meta_get(name, default=none, validator=none)"] = empty,
  ["meta_require(name, validator=none)"] = empty,
  ["persist_relation_docs()"] = function() return false end,
  ["persist_column_docs()"] = function() return false end,
})
Parsing.__repr = function() return "<config>" end

--- The `config` of a template that is parsed.
---@param capture {config: table}
function M.parsing(capture) return setmetatable({ capture = capture }, Parsing) end

-- While a node runs ------------------------------------------------------------------------------

local Running = { __name = "dex.config" }
Running.__call = empty

local function settings_of(config)
  local node = config.state.node
  return node and opt(node.config)
end

local function meta_of(config)
  local settings = settings_of(config)
  return settings and opt(settings.meta)
end

local meta_columns = { "dbt_valid_from", "dbt_valid_to", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted" }

-- What a snapshot's own columns are called; computed from the setting, as in dbt.
local function snapshot_columns(settings)
  local names, given = value.dict(), settings.snapshot_meta_column_names
  for _, name in ipairs(meta_columns) do names[name] = value.is_dict(given) and opt(given[name]) or name end
  return names
end

local function lookup(settings, name, default, validator)
  local v = settings and rawget(settings, name)
  if name == "snapshot_table_column_names" and settings and settings.materialized == "snapshot" then
    return snapshot_columns(settings)
  end
  if v == nil and settings and dashed[name] then v = rawget(settings, dashed[name]) end
  if v == nil then return default end
  if opt(validator) ~= nil and default ~= none then validator(v) end
  return v
end

local function demand(config, settings, name, validator)
  local v = settings and rawget(settings, name)
  if v == nil then
    local node = config.state.node
    err.raise { code = 236, message = ("'%s' needs the setting '%s'"):format(
      tostring(node and (node.unique_id or node.name)), tostring(name)),
      hint = settings and type(name) == "string" and err.did_you_mean(name, value.keys(settings)) or nil }
  end
  if opt(validator) ~= nil then validator(v) end
  return v
end

local function persists(what)
  return function(config)
    local docs = lookup(settings_of(config), "persist_docs", none)
    if docs ~= none and not value.is_dict(docs) then
      err.raise { code = 236, message = "`persist_docs` must be a mapping with `relation` and `columns`" }
    end
    local v = opt(docs) and opt(docs[what])
    if v == nil then return false end
    return v
  end
end

object.class(Running, {
  model = function(config) return config.state.node end,
}, object.methods {
  ["get(name, default=none, validator=none)"] = function(config, name, default, validator)
    return lookup(settings_of(config), name, default, validator)
  end,
  ["require(name, validator=none)"] = function(config, name, validator)
    return demand(config, settings_of(config), name, validator)
  end,
  ["meta_get(name, default=none, validator=none)"] = function(config, name, default, validator)
    return lookup(meta_of(config), name, default, validator)
  end,
  ["meta_require(name, validator=none)"] = function(config, name, validator)
    return demand(config, meta_of(config), name, validator)
  end,
  ["set(name, value)"] = empty,
  ["keys()"] = function(config)
    return value.list(settings_of(config) and value.keys(settings_of(config)) or {})
  end,
  ["persist_relation_docs()"] = persists "relation",
  ["persist_column_docs()"] = persists "columns",
})
Running.__contains = function(config, name)
  local settings = settings_of(config)
  return settings ~= nil and rawget(settings, name) ~= nil
end
Running.__repr = function() return "<config>" end

--- The `config` of a template that runs.
---@param state table its node is asked each time
function M.running(state) return setmetatable({ state = state }, Running) end

return M
