--- How settings of several levels become one config: most are replaced by the more specific level, tags and
-- packages add up, dicts such as meta are updated key by key, grants as their `+` says. dbt's rules.

local value = require "jinja.value"

local M = {}

local append = { tags = true, packages = true, ["pre-hook"] = true, ["post-hook"] = true, pre_hook = true,
  post_hook = true, on_failure = true, always = true }
local update = { quoting = true, column_types = true, meta = true, docs = true, contract = true,
  latest_version_pointer = true, snapshot_meta_column_names = true }

--- A list from a value: itself copied when it is one, else the only item.
function M.listify(v)
  if value.is_list(v) or value.is_tuple(v) then return value.list(table.move(v, 1, #v, 1, {})) end
  return value.list { v }
end

local listify = M.listify

--- Appends what a list does not hold yet.
---@param list table
---@param more table
function M.add_missing(list, more)
  if more[1] == nil then return end
  local seen = {}
  for _, item in ipairs(list) do seen[item] = true end
  for _, item in ipairs(more) do
    if not seen[item] then
      seen[item] = true
      list[#list + 1] = item
    end
  end
end

local function concat(a, b)
  local list = listify(a)
  if value.is_list(b) or value.is_tuple(b) then
    table.move(b, 1, #b, #list + 1, list)
  else
    list[#list + 1] = b
  end
  return list
end

local function updated(old, new)
  local copy = value.copy_dict(old)
  for k, v in pairs(new) do copy[k] = v end
  return copy
end

-- `+select: [x]` extends what is inherited, `select: [x]` replaces it.
local function grants(old, new)
  local merged = value.dict()
  for k, v in pairs(old) do merged[k] = listify(v) end
  for k, v in pairs(new) do
    local plain = k:gsub("^%+", "")
    if plain ~= k and merged[plain] then
      merged[plain] = concat(merged[plain], v)
    else
      merged[plain] = listify(v)
    end
  end
  return merged
end

--- Puts the settings of a more specific level into a config. The level itself is not changed.
---@param config table dict
---@param level table dict without hooks
function M.level(config, level)
  for key, v in pairs(level) do
    local old = rawget(config, key)
    if old == nil or v == value.none then
      if old == nil and key == "grants" and value.is_dict(v) then v = grants(value.dict(), v) end
      if v ~= value.none or not (update[key] or append[key]) then config[key] = v end
    elseif append[key] then
      config[key] = concat(old, v)
    elseif update[key] and value.is_dict(v) and value.is_dict(old) then
      config[key] = updated(old, v)
    elseif key == "grants" and value.is_dict(v) and value.is_dict(old) then
      config[key] = grants(old, v)
    else
      config[key] = v
    end
  end
end

--- The same for sources, whose tags replace.
function M.source_level(config, level)
  for key, v in pairs(level) do
    local old = rawget(config, key)
    if key == "meta" and value.is_dict(old) and value.is_dict(v) then
      config[key] = updated(old, v)
    elseif key == "tags" then
      config[key] = listify(v)
    else
      config[key] = v
    end
  end
end

-- Two spellings of one key: one call may not have both, but two calls may each have one.
local spellings = { pre_hook = "pre-hook", ["pre-hook"] = "pre_hook", post_hook = "post-hook",
  ["post-hook"] = "post_hook" }

--- dbt's names for settings that keyword arguments spell otherwise.
M.dashed = { pre_hook = "pre-hook", post_hook = "post-hook" }

--- The settings of a config() call under dbt's names for them; nil and the name that stands there in both spellings.
---@param settings table
---@return table|nil
---@return string|nil
function M.named(settings)
  local plain = value.dict()
  for key, v in pairs(settings) do
    local name = M.dashed[key] or key
    if M.dashed[key] and settings[name] ~= nil then return nil, key end
    plain[name] = v
  end
  return plain
end

--- Collects one more config() call of a file. Changes `into` only.
---@param into table dict
---@param call table dict
function M.calls(into, call)
  for key, v in pairs(call) do
    local other = spellings[key]
    if other and rawget(into, other) ~= nil and rawget(call, other) == nil then key = other end
    local old = rawget(into, key)
    if append[key] then
      into[key] = old == nil and listify(v) or concat(old, v)
    elseif old ~= nil and update[key] and value.is_dict(old) and value.is_dict(v) then
      into[key] = updated(old, v)
    elseif old ~= nil and key == "grants" and value.is_dict(old) and value.is_dict(v) then
      local merged = value.copy_dict(old)
      for k, item in pairs(v) do
        merged[k] = k:sub(1, 1) == "+" and merged[k] and concat(merged[k], item) or listify(item)
      end
      into[key] = merged
    else
      into[key] = v
    end
  end
end

return M
