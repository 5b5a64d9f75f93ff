--- An artifact of an earlier run as a file: whether it is one, of which schema version, and whether its parts are what
-- that schema says. What is wrong names the file and the version.

local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Which versions are read. A manifest before 7 (dbt 1.3) calls the text of a node otherwise.
local versions = { manifest = { 7, 12 }, ["run-results"] = { 4, 6 }, sources = { 2, 3 } }

-- The parts: dicts of dicts, or lists of dicts with fields that are texts.
local manifest_parts = { "nodes", "sources", "exposures", "metrics", "semantic_models", "unit_tests", "saved_queries",
  "functions", "macros", "groups" }
local result_fields = { ["run-results"] = { "unique_id", "status" }, sources = { "unique_id" } }

local function bad(file, message, more)
  err.raise { code = 311, message = message, file = file, hint = more and more.hint, line = more and more.line }
end

local function decode(path, file)
  local ok, content = pcall(json.decode, fs.read(path))
  if not ok then bad(file, "the file is no artifact: " .. tostring(content.message), { line = content.line }) end
  if not value.is_dict(content) then bad(file, "the file is no artifact: it is no JSON object") end
  return content
end

-- The schema that a file names, as `manifest v12`. A file without one is taken for what it is wanted as.
local function check_version(content, kind, file)
  local metadata = opt(content.metadata)
  local named = value.is_dict(metadata) and opt(metadata.dbt_schema_version)
  if type(named) ~= "string" then bad(file, ("the file is no %s artifact: it names no schema version"):format(kind)) end
  local found, number = named:match("/([%w%-]+)/v(%d+)%.json$")
  local range = versions[kind]
  local wanted = ("%s v%d to v%d"):format(kind, range[1], range[2])
  if not found then bad(file, ("the schema version '%s' is unknown: %s is read here"):format(named, wanted)) end
  local version = math.tointeger(tonumber(number))
  if found ~= kind or version < range[1] or version > range[2] then
    bad(file, ("the file has the schema version %s v%d: %s is read here"):format(found, version, wanted),
      { hint = found == kind and version > range[2] and "it is of a newer dbt" or nil })
  end
  return ("%s v%d"):format(found, version)
end

local function check_manifest(content, schema, file)
  for _, part in ipairs(manifest_parts) do
    local members = opt(content[part])
    if members ~= nil and not value.is_dict(members) or members == nil and part == "nodes" then
      bad(file, ("`%s` is no mapping, as the schema version %s has it"):format(part, schema))
    end
    for id, member in pairs(members or {}) do
      if not value.is_dict(member) then
        bad(file, ("`%s`: '%s' is no mapping, as the schema version %s has it"):format(part, id, schema))
      end
    end
  end
end

local function check_results(content, kind, schema, file)
  local results = opt(content.results)
  if not value.is_list(results) then
    bad(file, ("`results` is no list, as the schema version %s has it"):format(schema))
  end
  for i, result in ipairs(results) do
    for _, field in ipairs(result_fields[kind]) do
      if not value.is_dict(result) or type(opt(result[field])) ~= "string" then
        bad(file, ("result %d has no `%s`, as the schema version %s has it"):format(i, field, schema))
      end
    end
  end
end

--- The content of an artifact, or nil when there is no such file. Raises 311 when it is none, of another schema, of
--- a version that is not read here, or when its parts are not what the schema says.
---@param path string
---@param kind "manifest"|"run-results"|"sources"
---@param file string how the user named it
---@return table|nil dict
function M.read(path, kind, file)
  if not fs.exists(path) then return nil end
  local content = decode(path, file)
  local schema = check_version(content, kind, file)
  if kind == "manifest" then
    check_manifest(content, schema, file)
  else
    check_results(content, kind, schema, file)
  end
  return content
end

return M
