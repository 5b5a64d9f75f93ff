--- What the settings of nodes must be together, when all nodes are known: snapshots, microbatch models,
-- constraints, access, pointers to latest versions, and models past their deprecation date.

local asked = require "project.asked"
local batches = require "run.batches"
local err = require "err"
local members = require "project.members"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Where a node's setting stands as far as that is known: its properties, else its file.
local function place(project, node)
  local info = project.info[node.unique_id] or {}
  if info.patch_file then return info.patch_file, info.patch_line end
  return info.display, info.line
end

local function refuse(project, node, message, hint)
  local file, line = place(project, node)
  project.problems:error { code = 111, message = ("%s '%s': %s"):format(node.resource_type, node.name, message),
    file = file, line = line, node = node.unique_id, hint = hint }
end

local function warn(project, node, code, message, hint)
  local file, line = place(project, node)
  project.problems:warn { code = code, message = message, file = file, line = line, node = node.unique_id, hint = hint }
end

-- Snapshots ------------------------------------------------------------------------------------------

local function is_empty(v) return v == nil or v == "" or type(v) == "table" and #v == 0 end

local strategies = {}

function strategies.check(project, node, config)
  local columns = opt(config.check_cols)
  if is_empty(columns) then
    refuse(project, node, "the strategy check needs `check_cols`", "a list of columns, or all")
  elseif type(columns) == "string" and columns ~= "all" then
    refuse(project, node, ("`check_cols` is a list of columns or 'all', not '%s'"):format(columns),
      ("check_cols: [%s]"):format(columns))
  end
end

function strategies.timestamp(project, node, config)
  if is_empty(opt(config.updated_at)) then
    refuse(project, node, "the strategy timestamp needs `updated_at`",
      "the column that says when a row was last changed")
  end
  if not is_empty(opt(config.check_cols)) then
    refuse(project, node, "`check_cols` does not go with the strategy timestamp",
      "leave it out, or use the strategy check")
  end
end

local deletes = { ignore = true, invalidate = true, new_record = true }

local function check_snapshot(project, node)
  local config = node.config
  local strategy, hard_deletes = opt(config.strategy), opt(config.hard_deletes)
  if is_empty(strategy) then
    refuse(project, node, "a snapshot needs a `strategy`", "timestamp or check")
  elseif strategies[strategy] then
    strategies[strategy](project, node, config)
  end
  if is_empty(opt(config.unique_key)) then
    refuse(project, node, "a snapshot needs a `unique_key`", "the column, or the list of columns, that names a row")
  end
  if hard_deletes ~= nil and not deletes[hard_deletes] then
    refuse(project, node, ("`hard_deletes` is ignore, invalidate or new_record, not '%s'"):format(
      tostring(hard_deletes)), err.did_you_mean(tostring(hard_deletes), { "ignore", "invalidate", "new_record" }))
  elseif hard_deletes ~= nil and opt(config.invalidate_hard_deletes) ~= nil then
    refuse(project, node, "`hard_deletes` and `invalidate_hard_deletes` are the same setting",
      "keep hard_deletes: " .. hard_deletes)
  end
end

-- Microbatch -----------------------------------------------------------------------------------------

local function check_microbatch(project, node)
  local config = node.config
  local event_time, begin, size = opt(config.event_time), opt(config.begin), opt(config.batch_size)
  if type(event_time) ~= "string" or event_time == "" then
    refuse(project, node, "a microbatch model needs `event_time`", "the column that says when a row happened")
  end
  local known = false
  for _, name in ipairs(batches.sizes) do known = known or name == size end
  if not known then
    refuse(project, node, ("a microbatch model needs `batch_size`, one of %s%s"):format(
      table.concat(batches.sizes, ", "), size ~= nil and (", not '%s'"):format(tostring(size)) or ""),
      type(size) == "string" and err.did_you_mean(size, batches.sizes) or nil)
  end
  if begin == nil or not batches.parse(tostring(begin)) then
    refuse(project, node, "a microbatch model needs `begin`, the date of its first batch" ..
      (begin ~= nil and (", not '%s'"):format(tostring(begin)) or ""), "begin: '2024-01-01'")
  end
  local lookback = opt(config.lookback)
  if lookback ~= nil and (math.type(lookback) ~= "integer" or lookback < 0) then
    refuse(project, node, ("`lookback` is a number of batches, not '%s'"):format(tostring(lookback)))
  end
  local concurrent = opt(config.concurrent_batches)
  if concurrent ~= nil and type(concurrent) ~= "boolean" then
    refuse(project, node, ("`concurrent_batches` is true or false, not '%s'"):format(tostring(concurrent)))
  end
end

-- Whether one of a node's inputs tells time, so that a batch reads less than everything.
local function check_inputs(project, node)
  for _, id in ipairs(node.depends_on.nodes) do
    local input = project.nodes[id] or project.sources[id]
    if input and input.config and opt(input.config.event_time) then return end
  end
  warn(project, node, 145, ("model '%s' is built in batches, and none of its inputs has an `event_time`: every batch "
    .. "reads all of them"):format(node.name), "set event_time of the models, seeds or sources that it reads")
end

-- Contracts ------------------------------------------------------------------------------------------

local function is_key(constraint) return value.is_dict(constraint) and constraint.type == "primary_key" end

local constraint_types = { "check", "not_null", "unique", "primary_key", "foreign_key", "custom" }

local function check_types(project, node, list, where)
  for _, constraint in ipairs(list) do
    local kind = value.is_dict(constraint) and opt(constraint.type)
    local known = false
    for _, name in ipairs(constraint_types) do known = known or name == kind end
    if not known then
      refuse(project, node, ("a constraint of %s has the type '%s'"):format(where, tostring(kind)),
        err.did_you_mean(tostring(kind), constraint_types) or "types are " .. table.concat(constraint_types, ", "))
    end
  end
end

local function check_keys(project, node)
  local of_columns, of_table = {}, false
  for _, column in pairs(node.columns) do
    for _, constraint in ipairs(column.constraints) do
      if is_key(constraint) then of_columns[#of_columns + 1] = column.name end
    end
  end
  for _, constraint in ipairs(node.constraints) do of_table = of_table or is_key(constraint) end
  if #of_columns > 1 then
    refuse(project, node, ("%d columns have a primary key of their own: %s"):format(#of_columns,
      table.concat(of_columns, ", ")), "a key of several columns is a constraint of the model")
  elseif #of_columns > 0 and of_table then
    refuse(project, node, ("a primary key is declared for the model and for its column '%s'"):format(of_columns[1]),
      "keep one of them")
  end
end

local enforcing = { table = true, incremental = true }

local function warns(list)
  for _, constraint in ipairs(list) do
    if value.is_dict(constraint) and opt(constraint.warn_unsupported) ~= false then return true end
  end
  return false
end

local function check_contract(project, node)
  check_keys(project, node)
  if not node.contract.enforced then return end
  check_types(project, node, node.constraints, "the model")
  local warned = warns(node.constraints)
  for _, column in pairs(node.columns) do
    check_types(project, node, column.constraints, ("column '%s'"):format(column.name))
    warned = warned or warns(column.constraints)
  end
  if warned and not enforcing[node.config.materialized] then
    warn(project, node, 146, ("model '%s' is a %s, which has no constraints: those of its contract are not there")
      :format(node.name, (tostring(node.config.materialized):gsub("_", " "))),
      "warn_unsupported: false of a constraint silences this")
  end
end

-- Deprecation ------------------------------------------------------------------------------------------

-- Whether a date, written as text, is over; nil when it is no date.
local function is_past(text)
  asked.all("hour")
  local moment = batches.parse(text)
  return moment and moment.hour <= batches.at(time.now()).hour
end

local function shown(node)
  local version = opt(node.version)
  return version ~= nil and ("%s.v%s"):format(node.name, tostring(version)) or node.name
end

local function check_deprecation(project, node)
  local date = tostring(node.deprecation_date)
  local past = is_past(date)
  if past == nil then
    return refuse(project, node, ("`deprecation_date` is '%s', which is no date"):format(date), "such as 2026-12-31")
  end
  if past then
    warn(project, node, 147, ("model '%s' is past its deprecation date, %s"):format(shown(node), date),
      "disable or remove it")
  end
  for _, id in ipairs(project.children[node.unique_id] or {}) do
    local reader = project.nodes[id]
    if reader and reader.resource_type == "model" then
      local version = opt(node.version)
      local newer = version ~= nil and version ~= opt(node.latest_version)
        and ("its latest version is %s"):format(tostring(node.latest_version)) or nil
      warn(project, reader, 147, ("model '%s' refers to '%s', which %s deprecated on %s"):format(reader.name,
        shown(node), past and "was" or "will be", date), newer)
    end
  end
end

-- Models ------------------------------------------------------------------------------------------------

local function check_model(project, node)
  local config = node.config
  if config.materialized == "incremental" and opt(config.incremental_strategy) == "microbatch"
    and require("run.microbatch").is(project, node) then
    check_microbatch(project, node)
    check_inputs(project, node)
  end
  if node.access == "public" and config.materialized == "ephemeral" then
    refuse(project, node, "an ephemeral model cannot be public: it is nothing in the database that others can read")
  end
  check_contract(project, node)
  if opt(node.deprecation_date) ~= nil then check_deprecation(project, node) end
end

local by_kind = { model = check_model, snapshot = check_snapshot }

--- Whether there is anything to check of a node when all others are known.
---@param node table
---@return boolean
function M.concerns(node)
  if node.resource_type ~= "model" then return by_kind[node.resource_type] ~= nil end
  if node.config.materialized == "incremental" or node.access == "public" or node.contract.enforced
    or #node.constraints > 0 or opt(node.deprecation_date) ~= nil then
    return true
  end
  for _, column in pairs(node.columns) do
    if #column.constraints > 0 then return true end
  end
  return false
end

--- Checks one node.
---@param project table whose graph is resolved
---@param node table
function M.one(project, node)
  local check = by_kind[node.resource_type]
  if check then check(project, node) end
end

--- Checks all nodes: errors and warnings go to project.problems.
---@param project table whose graph is resolved
function M.run(project)
  local reader = members.reader(project)
  for _, id in ipairs(members.ids(project, "nodes")) do
    if reader(id).checked ~= false then M.one(project, project.nodes[id]) end
  end
end

return M
