--- Whether the contract of a model is still the one that an earlier manifest promised, and whether a change breaks
-- those who rely on it.

local err = require "err"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- PostgreSQL enforces these.
local enforced = { check = true, not_null = true, unique = true, primary_key = true, foreign_key = true }

-- A constraint as one text, without what is only a default.
local function constraint_text(constraint)
  local parts = {}
  for key, v in pairs(constraint) do
    local default = opt(v) == nil or v == true and key:find("^warn_") or type(v) == "table" and #v == 0
    if not default then
      parts[#parts + 1] = key .. "=" .. (value.is_list(v) and table.concat(v, ",") or tostring(v))
    end
  end
  table.sort(parts)
  return table.concat(parts, ";")
end

local function constraint_set(constraints)
  local set, list = {}, {}
  for i, constraint in ipairs(opt(constraints) or {}) do
    list[i] = constraint_text(constraint)
    set[list[i]] = true
  end
  return set, table.concat(list, "\n")
end

local function is_enforcing(node)
  local materialized = node.config.materialized
  return materialized == "table" or materialized == "incremental"
end

local function promise(node)
  local names = value.keys(node.columns)
  table.sort(names)
  local parts = {}
  for _, name in ipairs(names) do
    local column = node.columns[name]
    local _, constraints = constraint_set(column.constraints)
    parts[#parts + 1] = table.concat({ name, tostring(opt(column.data_type)), constraints }, "\0")
  end
  if is_enforcing(node) then
    local _, constraints = constraint_set(node.constraints)
    parts[#parts + 1] = node.config.materialized .. "\0" .. constraints
  end
  return table.concat(parts, "\1")
end

-- varchar(3) and varchar(10) are the same promise.
local function plain_type(text) return text and tostring(text):lower():gsub("%b()", ""):match("^%s*(.-)%s*$") end

local function lost_constraints(breaks, old_list, new_list, where)
  local there = constraint_set(new_list)
  for _, constraint in ipairs(opt(old_list) or {}) do
    if enforced[constraint.type] and not there[constraint_text(constraint)] then
      breaks[#breaks + 1] = ("the constraint %s of %s was removed"):format(opt(constraint.name) or constraint.type,
        where)
    end
  end
end

local function breaks_of_columns(breaks, new, old)
  local constrained = false
  local names = value.keys(old.columns)
  table.sort(names)
  for _, name in ipairs(names) do
    local before, now = old.columns[name], rawget(new.columns, name)
    local was, is = opt(before.data_type), now and opt(now.data_type)
    if not now then
      breaks[#breaks + 1] = ("the column %s was removed"):format(name)
    elseif plain_type(was) ~= plain_type(is) then
      breaks[#breaks + 1] = ("the type of column %s changed from %s to %s"):format(name, tostring(was), tostring(is))
    end
    constrained = constrained or #(opt(before.constraints) or {}) > 0
    if now and is_enforcing(old) then
      lost_constraints(breaks, before.constraints, now.constraints, "column " .. name)
    end
  end
  return constrained
end

local function breaks_of(new, old)
  local breaks = {}
  if not new.contract.enforced then breaks[1] = "the contract is not enforced any more" end
  local constrained = breaks_of_columns(breaks, new, old)
  if is_enforcing(old) then
    lost_constraints(breaks, old.constraints, new.constraints, "the model")
    if not is_enforcing(new) and (constrained or #(opt(old.constraints) or {}) > 0) then
      breaks[#breaks + 1] = ("the materialization changed from %s to %s, which enforces no constraints"):format(
        old.config.materialized, new.config.materialized)
    end
  end
  return breaks
end

local function report(node, breaks, warnings)
  local fields = { code = 312, file = node.original_file_path,
    message = ("a change breaks the contract of model '%s': %s"):format(node.name, table.concat(breaks, "; ")),
    hint = "give the model a new version, so that those who use it may choose" }
  if opt(node.version) ~= nil then err.raise(fields) end
  warnings[#warnings + 1] = err.new(fields)
end

--- Whether the contract is the same. A change that breaks it is a warning, and for a versioned model error 312.
---@param new table node
---@param old table its node in the earlier manifest
---@param warnings dex.Error[]
---@return boolean
function M.same(new, old, warnings)
  local was, is = opt(old.contract) and old.contract.enforced == true, new.contract.enforced == true
  if not was then return not is end
  if is and promise(new) == promise(old) then return true end
  local breaks = breaks_of(new, old)
  if #breaks > 0 then report(new, breaks, warnings) end
  return false
end

--- A model of the earlier manifest that is no longer there, or is disabled.
---@param old table node
---@param warnings dex.Error[]
function M.removed(old, warnings)
  if not (opt(old.contract) and old.contract.enforced == true) then return end
  local date = opt(old.deprecation_date)
  if date and tostring(date) < require("dex.time").iso(require("dex.time").now()) then return end
  report(old, { old.config.enabled == false and "it was disabled" or "it was deleted or renamed" }, warnings)
end

return M
