--- The OpenAPI document, made of the routes.

local core = require "dex.core"
local notation = require "server.notation"
local router = require "server.router"
local shapes = require "server.shapes"
local value = require "jinja.value"

local M = {}

local dict, list = value.dict, value.list

local function json_content(schema) return dict("application/json", dict("schema", schema)) end

local function parameters_of(route)
  local found = list()
  for _, segment in ipairs(route.segments) do
    local name = segment:match "^{(.*)}$"
    if name then
      found[#found + 1] = dict("name", name, "in", "path", "required", true, "schema", dict("type", "string"))
    end
  end
  for _, field in ipairs(route.query and route.query.fields or {}) do
    local parameter = dict("name", field.name, "in", "query", "required", not field.optional, "schema",
      notation.schema(field.shape))
    if field.about then parameter.description = field.about end
    found[#found + 1] = parameter
  end
  return found
end

local function problem(description)
  return dict("description", description, "content", json_content(dict("$ref", "#/components/schemas/Problem")))
end

local function responses_of(route)
  local good = dict("description", route.status == 201 and "It is queued" or "The answer")
  good.content = route.gives and json_content(notation.schema(route.gives))
    or dict("text/event-stream", dict("schema", dict("type", "string")))
  local responses = dict(tostring(route.status), good, "401", problem "No token, or a wrong one")
  if route.method == "POST" then
    responses["403"] = problem "The token's role is view, or a page of another site asks"
  end
  if route.path:find("{", 1, true) then responses["404"] = problem "There is no such thing" end
  responses.default = problem "What went wrong"
  return responses
end

local function id_of(route)
  return (route.method:lower() .. route.path:gsub("^/api", ""):gsub("[{}.]", ""):gsub("/(%w)", string.upper)
    :gsub("_", ""))
end

local function operation_of(route)
  local operation = dict("operationId", id_of(route), "summary", route.about, "parameters", parameters_of(route))
  if route.body then
    local schema = notation.schema(route.body)
    operation.requestBody = dict("required", schema.required ~= nil, "content", json_content(schema))
  end
  operation.responses = responses_of(route)
  return operation
end

--- The document, version 3.1.
---@return table dict
function M.document()
  local paths, schemas = dict(), dict()
  for _, route in ipairs(router.routes()) do
    paths[route.path] = paths[route.path] or dict()
    paths[route.path][route.method:lower()] = operation_of(route)
  end
  for _, pair in ipairs(shapes.named) do schemas[pair[1]] = notation.schema(pair[2]) end
  return dict("openapi", "3.1.0", "info", dict("title", "dex-lua", "version", core.version, "description",
    "The API of `dex-lua serve`. `dex-lua help api` has examples."), "security", list { dict("token", list()) },
    "paths", paths, "components", dict("schemas", schemas, "securitySchemes", dict("token",
      dict("type", "http", "scheme", "bearer"))))
end

return M
