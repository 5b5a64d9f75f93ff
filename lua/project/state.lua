--- The artifacts of an earlier run, which --state names: what they say of a node, and what has changed since. dbt's
-- comparisons, on the fields of its manifest, so that artifacts of dbt's serve as well.

local artifact = require "project.artifact"
local err = require "err"
local fs = require "dex.fs"
local macros = require "project.macros"
local printing = require "jinja.printing"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- What a folder of artifacts holds; what it lacks is false.
---@class dex.State
---@field project table
---@field dir string as the user named it
---@field path string
---@field manifest table|false dict
---@field results table|false dict, run_results.json
---@field sources table|false dict, sources.json
---@field sources_now table|false dict, sources.json of the target folder

local names = { manifest = "manifest.json", results = "run_results.json", sources = "sources.json" }
local kinds = { manifest = "manifest", results = "run-results", sources = "sources" }

-- Artifacts are read when they are asked for: a manifest may be large, and --state stands in the environment.
local State = {}
State.__index = function(state, key)
  local content
  if key == "sources_now" then
    local path = state.project.target_path .. "/sources.json"
    content = artifact.read(path, "sources", path)
  elseif names[key] then
    content = artifact.read(state.path .. "/" .. names[key], kinds[key],
      state.dir:gsub("/+$", "") .. "/" .. names[key])
  end
  rawset(state, key, content or false)
  return content or false
end

--- The artifacts of a folder; they are read when they are needed.
---@param project table
---@param dir string relative to the project's folder, or to the working folder
---@return dex.State
function M.load(project, dir)
  local path = dir:sub(1, 1) == "/" and dir or project.root .. "/" .. dir
  if not fs.isdir(path) then path = dir end
  return setmetatable({ project = project, dir = dir, path = path }, State)
end

local function absent(state, name)
  if not fs.isdir(state.path) then
    err.raise { code = 311, message = ("the folder '%s' of --state does not exist"):format(state.dir) }
  end
  err.raise { code = 311, message = ("there is no %s in '%s'"):format(name, state.dir),
    hint = "--state names the target folder, or a copy of it, of an earlier run" }
end

local groups = { "nodes", "sources", "exposures", "metrics", "semantic_models", "unit_tests", "saved_queries",
  "functions" }

--- The manifest. Raises 311 when the folder has none.
---@param state dex.State
---@return table dict
function M.manifest_of(state)
  return state.manifest or absent(state, names.manifest)
end

local function find(manifest, id)
  for _, group in ipairs(groups) do
    local members = opt(manifest[group])
    local found = members and rawget(members, id)
    if found then return found end
  end
end

-- Comparing --------------------------------------------------------------------------------------

local function is_sequence(x) return value.is_list(x) or value.is_tuple(x) end

-- Deep equality as Python's; a key that is null may as well be absent.
local function same(a, b)
  if a == b then return true end
  if value.is_dict(a) and value.is_dict(b) then
    for k, v in pairs(a) do
      if v ~= value.none and not same(v, rawget(b, k)) then return false end
    end
    for k, v in pairs(b) do
      if v ~= value.none and rawget(a, k) == nil then return false end
    end
    return true
  elseif is_sequence(a) and is_sequence(b) then
    if #a ~= #b then return false end
    for i = 1, #a do
      if not same(a[i], b[i]) then return false end
    end
    return true
  end
  return false
end

local function same_field(a, b, key) return same(value.or_none(opt(a[key])), value.or_none(opt(b[key]))) end

local function same_fields(a, b, keys)
  for _, key in ipairs(keys) do
    if not same_field(a, b, key) then return false end
  end
  return true
end

-- What is compared elsewhere, or does not change what is built.
local no_config = { alias = true, schema = true, database = true, tags = true, group = true }

-- A setting of a config() call is a text in dbt's manifests, and one word may stand for a list of one.
local function same_written(a, b)
  if same(a, b) then return true end
  if is_sequence(a) and #a == 1 and same(a[1], b) or is_sequence(b) and #b == 1 and same(b[1], a) then return true end
  return type(a) ~= type(b) and printing.str(a) == printing.str(b)
end

-- As they were written: a config is not changed by another target.
local function same_config(new, old)
  local a, b = opt(new.unrendered_config) or value.dict(), opt(old.unrendered_config) or value.dict()
  for _, pair in ipairs { { a, b }, { b, a } } do
    for key, v in pairs(pair[1]) do
      local other = rawget(pair[2], key)
      if not no_config[key] and (other == nil or not same_written(v, other)) then return false end
    end
  end
  return true
end

local function same_relation(new, old)
  if new.resource_type == "source" then
    return same_fields(new, old, { "unrendered_database", "unrendered_schema", "identifier" })
  end
  local a, b = opt(new.unrendered_config) or value.dict(), opt(old.unrendered_config) or value.dict()
  return same_fields(a, b, { "database", "schema", "alias" })
end

local function same_body(new, old)
  if new.resource_type == "seed" then return same_field(new, old, "checksum") end
  return same_field(new, old, "raw_code")
end

local function same_descriptions(new, old)
  local persist = new.config and opt(new.config.persist_docs)
  if not persist then return true end
  if opt(persist.relation) and new.description ~= old.description then return false end
  if not opt(persist.columns) then return true end
  if #new.columns ~= #old.columns then return false end
  for name, column in pairs(new.columns) do
    local other = rawget(old.columns, name)
    if not other or column.description ~= other.description then return false end
  end
  return true
end

-- Macros -----------------------------------------------------------------------------------------

-- The engine's own macros do not count: they differ between dex-lua and dbt, and between releases.
local function is_own(macro) return macro.package_name ~= "dbt" and not macro.package_name:find("^dbt_postgres$") end

-- dbt's text of a macro may begin with the empty lines above it.
local function trim(text) return tostring(text):match("^%s*(.-)%s*$") end

local function modified_macros(project, manifest)
  local modified, any = {}, false
  local old = opt(manifest.macros) or value.dict()
  local function note(id)
    modified[id], any = true, true
  end
  for id, macro in pairs(project.macros) do
    local before = rawget(old, id)
    if is_own(macro) and not (before and trim(before.macro_sql) == trim(macro.source)) then note(id) end
  end
  for id, macro in pairs(old) do
    if is_own(macro) and not project.macros[id] then note(id) end
  end
  return any and modified or nil
end

-- Whether a node calls a modified macro, directly or through others.
local function uses_modified(compare, node)
  if compare.macros == nil then compare.macros = modified_macros(compare.project, compare.manifest) or false end
  local modified, project = compare.macros, compare.project
  if not modified then return false end
  local waiting, seen = {}, {}
  local function add(ids)
    for _, id in ipairs(ids or {}) do
      if not seen[id] then
        seen[id] = true
        waiting[#waiting + 1] = id
      end
    end
  end
  add(node.depends_on and opt(node.depends_on) and opt(node.depends_on.macros))
  while waiting[1] do
    local id = table.remove(waiting)
    if modified[id] then return true end
    local macro = project.macros[id]
    if macro and is_own(macro) then add(macros.calls_of(project, macro)) end
  end
  return false
end

-- Everything a kind of node has that matters -----------------------------------------------------

local function same_contract(compare, new, old)
  return require("project.contract_state").same(new, old, compare.warnings)
end

local function same_fqn(new, old) return same_field(new, old, "fqn") end

-- The same for nodes with SQL, and seeds.
local function same_node(compare, new, old)
  local contract = new.resource_type ~= "model" or same_contract(compare, new, old)
  if not (same_body(new, old) and same_config(new, old) and same_descriptions(new, old) and same_fqn(new, old)
    and same_relation(new, old) and contract) then
    return false
  end
  return new.resource_type ~= "model" or same_fields(new, old, { "latest_version", "access", "deprecation_date" })
end

local function same_source(_, new, old)
  return same_relation(new, old) and same_fqn(new, old) and same_config(new, old)
    and same_fields(new, old, { "quoting", "freshness", "loaded_at_field", "external" })
end

local function same_parents(new, old)
  local function set(node)
    local found, count = {}, 0
    for _, id in ipairs(node.depends_on and opt(node.depends_on.nodes) or {}) do
      if not found[id] then found[id], count = true, count + 1 end
    end
    return found, count
  end
  local a, m = set(new)
  local b, n = set(old)
  for id in pairs(a) do
    if not b[id] then return false end
  end
  return m == n
end

local function with_config(keys)
  return function(_, new, old) return same_fields(new, old, keys) and same_config(new, old) end
end

local contents = {
  source = same_source,
  exposure = function(_, new, old)
    return same_fields(new, old, { "fqn", "type", "owner", "maturity", "url", "description", "label" })
      and same_parents(new, old) and same_config(new, old)
  end,
  metric = with_config { "type", "description", "label" },
  semantic_model = function(_, new, old)
    return same_fields(new, old, { "model", "description", "defaults", "entities", "dimensions", "measures", "config",
      "primary_entity", "group" })
  end,
  saved_query = function(_, new, old)
    return same_fields(new, old, { "query_params", "description", "label", "config", "group", "exports", "tags" })
  end,
  unit_test = function(_, new, old) return same_field(new, old, "checksum") end,
  ["function"] = function(compare, new, old)
    return same_node(compare, new, old) and same_fields(new, old, { "arguments", "returns" })
  end,
}

-- These are not modified when they are new, in dbt.
local quiet_when_new = { source = true, exposure = true, metric = true, semantic_model = true, saved_query = true }

local function is_node(node)
  return node.resource_type == "unit_test" or not contents[node.resource_type] or node.resource_type == "function"
end

local function differs(compare, new, old)
  if old == nil then return not quiet_when_new[new.resource_type] end
  local check = contents[new.resource_type]
  if not check and opt(new.test_metadata) then
    return not (same_config(new, old) and same_fqn(new, old))
  end
  return not (check or same_node)(compare, new, old)
end

local function is_modified(compare, new, old)
  return differs(compare, new, old) or uses_modified(compare, new)
end

-- A comparison of one aspect, for the kinds of nodes that have it; what is new has changed.
local function aspect(applies, check)
  return function(compare, new, old) return applies(new) and (old == nil or not check(new, old, compare)) end
end

local function has_body(node) return is_node(node) and node.resource_type ~= "unit_test" end
local function has_config(node) return has_body(node) or quiet_when_new[node.resource_type] end
local function has_relation(node) return has_body(node) or node.resource_type == "source" end

local checks = {
  new = function(_, _, old) return old == nil end,
  old = function(_, _, old) return old ~= nil end,
  modified = is_modified,
  unmodified = function(compare, new, old) return not is_modified(compare, new, old) end,
  ["modified.body"] = aspect(has_body, same_body),
  ["modified.configs"] = aspect(has_config, function(new, old)
    if new.resource_type == "semantic_model" or new.resource_type == "saved_query" then
      return same_field(new, old, "config")
    end
    return same_config(new, old)
  end),
  ["modified.persisted_descriptions"] = aspect(has_body, same_descriptions),
  ["modified.relation"] = aspect(has_relation, same_relation),
  ["modified.macros"] = function(compare, new) return uses_modified(compare, new) end,
  ["modified.contract"] = aspect(has_body, function(new, old, compare)
    return new.resource_type ~= "model" or same_contract(compare, new, old)
  end),
}

local check_names = { "new", "old", "modified", "unmodified", "modified.body", "modified.configs",
  "modified.persisted_descriptions", "modified.relation", "modified.macros", "modified.contract" }

-- Models that are gone, of which others may have relied on the contract.
local function report_removed(compare)
  for id, old in pairs(opt(compare.manifest.nodes) or value.dict()) do
    local disabled = compare.project.disabled[id]
    if not compare.project.nodes[id] and old.resource_type == "model" then
      require("project.contract_state").removed(disabled and disabled[1] or old, compare.warnings)
    end
  end
end

--- The test of `state:SELECTOR`. Raises 307 for an unknown one, 311 when there is no manifest.
---@param job {project: table, warnings: dex.Error[]}
---@param state dex.State
---@param selector string
---@return fun(node: table): boolean
function M.comparison(job, state, selector)
  local check = checks[selector]
  if not check then
    err.raise { code = 307, message = ("'state:%s' is no comparison"):format(selector),
      hint = err.did_you_mean(selector, check_names) or "there are " .. table.concat(check_names, ", ") }
  end
  local compare = { project = job.project, manifest = M.manifest_of(state), warnings = job.warnings }
  if selector == "modified" or selector == "unmodified" or selector == "modified.contract" then
    report_removed(compare)
  end
  return function(node) return check(compare, node, find(compare.manifest, node.unique_id)) end
end

local statuses = { "success", "error", "skipped", "pass", "fail", "warn", "no-op", "partial success", "runtime error" }

--- The test of `result:STATUS`: nodes that ended so in run_results.json. Raises 311 when there is none.
---@param state dex.State
---@param status string
---@return fun(node: table): boolean
function M.with_result(state, status)
  if not state.results then absent(state, names.results) end
  local known = false
  for _, name in ipairs(statuses) do known = known or name == status end
  if not known then
    err.raise { code = 307, message = ("'result:%s' is no status"):format(status),
      hint = err.did_you_mean(status, statuses) or "there are " .. table.concat(statuses, ", ") }
  end
  local matches = {}
  for _, result in ipairs(state.results.results) do
    if result.status == status then matches[result.unique_id] = true end
  end
  return function(node) return matches[node.unique_id] == true end
end

-- unique_id -> max_loaded_at of a sources.json, and the ids of those that could not be read.
local function loaded_at(content)
  local found, failed = {}, {}
  for _, result in ipairs(content.results) do
    local at = opt(result.max_loaded_at)
    if at then found[result.unique_id] = at else failed[result.unique_id] = true end
  end
  return found, failed
end

--- The test of `source_status:fresher`: sources with newer rows than at the earlier run. Raises 311 when one of the
--- two sources.json is missing, 307 for another status.
---@param state dex.State
---@param selector string
---@return fun(node: table): boolean
function M.fresher(state, selector)
  if selector ~= "fresher" then
    err.raise { code = 307,
      message = ("'source_status:%s' is unknown: there is source_status:fresher"):format(selector) }
  end
  if not state.sources then absent(state, names.sources) end
  if not state.sources_now then
    err.raise { code = 311, message = "there is no sources.json in the target folder",
      hint = "`dex-lua source freshness` writes it" }
  end
  local now, failed = loaded_at(state.sources_now)
  local before = loaded_at(state.sources)
  return function(node)
    local at = now[node.unique_id]
    if not at or failed[node.unique_id] then return false end
    return before[node.unique_id] == nil or tostring(at) > tostring(before[node.unique_id])
  end
end

return M
