--- The routes of the API: which function answers what, who may ask, and the shapes of what goes in and out. Everything
-- else knows the API from this table: the checks of requests, and the OpenAPI document.

local err = require "err"
local json = require "dex.json"
local notation = require "server.notation"
local value = require "jinja.value"

local M = {}

--- One route.
---@class dex.Route
---@field method "GET"|"POST"
---@field path string "/api/runs/{id}"
---@field about string one sentence
---@field query dex.Shape|nil of its query
---@field body dex.Shape|nil of its body
---@field gives dex.Shape|nil of the answer; nil for a stream
---@field status integer of a success
---@field audit string|nil what the audit log calls it; every route that changes something has one
---@field subject string|nil the name in `path` of what it is about
---@field handler fun(request: dex.ApiRequest): any what the answer holds; a text is JSON already
---@field segments string[] of the path; a name in braces takes any one

--- What a handler gets.
---@class dex.ApiRequest
---@field server table lua/server/http.lua's: store, supervisor, loaded, tokens
---@field params table<string, string> from the path
---@field query table dict
---@field body table dict
---@field who dex.Token
---@field headers table<string, string>
---@field answer userdata of dex.web, for streams

local modules = { "status", "runs", "project", "operations", "flows", "history" }

local function split(path)
  local segments = {}
  for segment in path:gmatch "[^/]+" do segments[#segments + 1] = segment end
  return segments
end

local function prepare(route)
  route.segments = split(route.path)
  for _, key in ipairs { "query", "body", "gives" } do
    if type(route[key]) == "string" then route[key] = notation.parse(route[key]) end
  end
  route.status = route.status or 200
  return route
end

local routes

--- All routes, in the order of the document.
---@return dex.Route[]
function M.routes()
  if routes then return routes end
  routes = {}
  for _, name in ipairs(modules) do
    for _, route in ipairs(require("server.api." .. name)) do routes[#routes + 1] = prepare(route) end
  end
  return routes
end

-- Texts of the address -----------------------------------------------------------------------------------

local function bad(message, hint) err.raise { code = 670, status = 400, message = message, hint = hint } end

-- %2F and its like become what they stand for. Nothing that does may be a zero or no UTF-8.
local function decode(text)
  if text:find "%%%X" or text:find "%%%x%X" or text:find "%%%x?$" then
    bad("the address has a % that is followed by no two hexadecimal digits")
  end
  text = text:gsub("%%(%x%x)", function(digits) return string.char(tonumber(digits, 16)) end)
  if text:find("\0", 1, true) or not utf8.len(text) then bad("the address is no text in UTF-8") end
  return text
end

--- The decoded parts of a path. Raises 670 for what is no text.
---@param path string
---@return string[]
function M.segments(path)
  local segments = split(path)
  for i, segment in ipairs(segments) do segments[i] = decode(segment) end
  return segments
end

--- The decoded parameters of a query. Raises 670 for what is no text, or stands there twice.
---@param query string|nil
---@return table<string, string>
function M.query(query)
  local found = {}
  for pair in (query or ""):gmatch "[^&]+" do
    local name, text = pair:match "^([^=]*)=?(.*)$"
    name, text = decode(name), decode((text:gsub("%+", " ")))
    if found[name] then bad(("the address says '%s' twice"):format(name)) end
    found[name] = text
  end
  return found
end

-- Finding and calling ------------------------------------------------------------------------------------

local function matches(route, segments)
  if #route.segments ~= #segments then return nil end
  local params = {}
  for i, segment in ipairs(route.segments) do
    local name = segment:match "^{(.*)}$"
    if name then
      params[name] = segments[i]
    elseif segment ~= segments[i] then
      return nil
    end
  end
  return params
end

--- The route of a request; nil and the methods that the path has, when it has not this one.
---@param method string HEAD is GET
---@param segments string[]
---@return dex.Route|nil
---@return table params, or the methods
function M.find(method, segments)
  if method == "HEAD" then method = "GET" end
  local methods = {}
  for _, route in ipairs(M.routes()) do
    local params = matches(route, segments)
    if params and route.method == method then return route, params end
    if params then methods[#methods + 1] = route.method end
  end
  return nil, methods
end

local no_query = notation.parse ":"

-- The body as a dict; none at all is an empty one.
local function body_of(route, request)
  if not route.body then return nil end
  if request.body == "" then
    local empty = value.dict()
    notation.check(route.body, empty)
    return empty
  end
  local kind = (request.headers["content-type"] or ""):match "^%s*([^;%s]*)"
  if kind:lower() ~= "application/json" then
    err.raise { code = 670, status = 415, message = "the body must be JSON",
      hint = "send Content-Type: application/json" }
  end
  local ok, body = pcall(json.decode, request.body)
  if not ok then
    local e = err.wrap(body)
    bad("the body is no JSON: " .. e.message, e.line and ("line %d"):format(e.line) or nil)
  end
  if not value.is_dict(body) then bad "the body must be an object of JSON" end
  notation.check(route.body, body)
  return body
end

--- What a request says to a route, checked. Raises 670 or 676.
---@param route dex.Route
---@param request table of dex.web
---@return table query dict
---@return table|nil body dict
function M.read(route, request)
  local query = notation.query(route.query or no_query, M.query(request.query))
  return query, body_of(route, request)
end

return M
