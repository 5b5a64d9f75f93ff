--- `exceptions` in templates: how a macro fails, or warns.

local err = require "err"
local object = require "run.object"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function text(v)
  if type(v) == "string" then return v end
  return require("jinja").str(v)
end

--- The object; `warn` goes to the log of its state.
local Exceptions = { __name = "dex.exceptions" }

-- Raises an error of dbt's kind with a message.
local function failing(code, kind)
  return function(_, message) err.raise { code = code, kind = kind, message = text(message) } end
end

local function name_of(node)
  if type(node) == "table" and opt(node) then return tostring(node.unique_id or node.name or node) end
  return tostring(node)
end

local function column_rows(list)
  local rows = {}
  for _, column in ipairs(opt(list) or {}) do rows[column.name] = column.data_type end
  return rows
end

-- Rows of texts as a table with a head, as dbt prints it.
local function table_text(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell) end
  end
  local lines = {}
  for r, row in ipairs(rows) do
    local cells, dashes = {}, {}
    for i, cell in ipairs(row) do
      cells[i] = cell .. (" "):rep(widths[i] - (utf8.len(cell) or #cell))
      dashes[i] = ("-"):rep(widths[i])
    end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
    if r == 1 then lines[2] = "| " .. table.concat(dashes, " | ") .. " |" end
  end
  return table.concat(lines, "\n")
end

-- The columns that differ, side by side.
local function contract_error(_, yaml_columns, sql_columns)
  if opt(yaml_columns) == nil or #yaml_columns == 0 then
    err.raise { code = 241, kind = "ContractError", message = "this model has an enforced contract, and its columns "
      .. "are not described", hint = "list every column with its data_type in a properties file" }
  end
  local promised, built = column_rows(yaml_columns), column_rows(sql_columns)
  local names = {}
  local rows = { { "column_name", "definition_type", "contract_type", "mismatch_reason" } }
  for name in pairs(promised) do names[#names + 1] = name end
  for name in pairs(built) do
    if not promised[name] then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local why
    if not built[name] then why = "missing in definition"
    elseif not promised[name] then why = "missing in contract"
    elseif built[name] ~= promised[name] then why = "data type mismatch" end
    if why then
      rows[#rows + 1] = { name, built[name] or "", promised[name] or "", why }
    end
  end
  err.raise { code = 241, kind = "ContractError", message = "the columns of this model are not those of its contract\n"
    .. table_text(rows),
    hint = "change the model or the contract so that names and types agree" }
end

local function list_text(names)
  local out = {}
  for i, name in ipairs(names) do out[i] = tostring(name) end
  return table.concat(out, ", ")
end

local definitions = {
  ["warn(msg, node=none)"] = function(exceptions, message)
    local run = exceptions.state.run
    if run and run.warn then run:warn(text(message)) end
    return ""
  end,
  ["raise_compiler_error(msg, node=none)"] = failing(231, "CompilationError"),
  ["raise_database_error(msg, node=none)"] = failing(412, "DatabaseError"),
  ["raise_fail_fast_error(msg, node=none)"] = failing(231, "FailFastError"),
  ["raise_not_implemented(msg)"] = failing(242, "NotImplementedError"),
  ["raise_dependency_error(msg)"] = failing(231, "DependencyError"),
  ["raise_cache_inconsistent(message)"] = failing(231, "CacheInconsistencyError"),
  ["raise_contract_error(yaml_columns, sql_columns)"] = contract_error,
  ["column_type_missing(column_names)"] = function(_, names)
    err.raise { code = 241, kind = "ContractError", message = ("a contract needs the data_type of every column: "
      .. "it is missing for %s"):format(list_text(names)) }
  end,
  ["missing_config(model, name)"] = function(_, model, name)
    err.raise { code = 236, message = ("'%s' needs the setting '%s'"):format(name_of(model), tostring(name)) }
  end,
  ["missing_materialization(model, adapter_type)"] = function(_, model, adapter_type)
    err.raise { code = 231, message = ("there is no materialization '%s' for adapter %s"):format(
      tostring(model.config and model.config.materialized), tostring(adapter_type)) }
  end,
  ["missing_relation(relation, model=none)"] = function(_, relation)
    err.raise { code = 424, message = ("relation %s was not found"):format(tostring(relation)) }
  end,
  ["relation_wrong_type(relation, expected_type, model=none)"] = function(_, relation, expected)
    err.raise { code = 424, message = ("%s is a %s, and a %s is needed here"):format(tostring(relation),
      tostring(relation.type), tostring(expected)), hint = "drop or rename it" }
  end,
  ["raise_ambiguous_alias(node_1, node_2, duped_name=none)"] = function(_, a, b, name)
    err.raise { code = 231, message = ("'%s' and '%s' would both be built as %s"):format(name_of(a), name_of(b),
      tostring(opt(name) or a.alias)) }
  end,
  ["raise_ambiguous_catalog_match(unique_id, match_1, match_2)"] = function(_, id)
    err.raise { code = 231, message = ("several relations of the database belong to '%s'"):format(tostring(id)) }
  end,
  ["raise_dataclass_not_dict(obj)"] = function(_, x)
    err.raise { code = 231, message = ("%s is no dict"):format(text(x)) }
  end,
  ["raise_dep_not_found(node, node_description, required_pkg)"] = function(_, node, description, package)
    err.raise { code = 231, message = ("'%s' (%s) needs package '%s', which is not installed"):format(name_of(node),
      tostring(description), tostring(package)) }
  end,
  ["raise_duplicate_patch_name(patch_1, existing_patch_path)"] = function(_, patch, path)
    err.raise { code = 231, message = ("'%s' is described twice: the other place is %s"):format(name_of(patch),
      tostring(path)) }
  end,
  ["raise_duplicate_resource_name(node_1, node_2)"] = function(_, a, b)
    err.raise { code = 231, message = ("'%s' and '%s' have the same name"):format(name_of(a), name_of(b)) }
  end,
  ["raise_invalid_property_yml_version(path, issue)"] = function(_, path, issue)
    err.raise { code = 231, message = ("%s: %s"):format(tostring(path), text(issue)) }
  end,
  ["warn_snapshot_timestamp_data_types(snapshot_time_data_type, updated_at_data_type)"] = function(exceptions, a, b)
    local run = exceptions.state.run
    if run and run.warn then
      run:warn(("the snapshot's times are %s and its updated_at is %s: comparing them may convert one"):format(
        text(a), text(b)), "SnapshotTimestampWarning")
    end
    return ""
  end,
}

local methods = object.methods(definitions)
object.class(Exceptions, {}, methods)
-- dbt's is a dict of functions
Exceptions.__contains = function(_, name) return methods[name] ~= nil end

--- The `exceptions` of a context.
---@param state table
function M.new(state) return setmetatable({ state = state }, Exceptions) end

return M
