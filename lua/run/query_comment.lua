--- The comment that every statement of a node carries, so that the server's log and pg_stat_activity tell whose it is:
-- dbt's `query-comment` of the project file, by default a JSON object with the node's id.

local core = require "dex.core"
local err = require "err"
local jinja = require "jinja"
local json = require "jinja.json"
local lines_of = require("project.lines").of
local root = require "project.root"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

--- What the project file asks for. Made once for a project.
---@class dex.QueryComment
---@field text string|nil template; nil for the default
---@field append boolean
---@field file string
---@field line integer|nil
---@field head string|nil what the default begins with, once it was asked for

local function settings_of(project)
  local package = project.packages[1]
  local key = package.config["query-comment"] ~= nil and "query-comment" or "query_comment"
  local given = package.config[key]
  local settings = { file = package.file, line = lines_of(package.lines, package.raw, key), append = false }
  if given == nil then return settings end
  if value.is_dict(given) then
    settings.append = opt(given.append) == true
    if given.comment == nil then return settings end
    given = given.comment
  end
  if opt(given) == nil or given == "" or given == false then return false end
  if type(given) ~= "string" then
    err.raise { code = 102, message = "query-comment must be a text, or a mapping with `comment` and `append`",
      file = settings.file, line = settings.line }
  end
  settings.text = given
  return settings
end

-- The default comment without its last member and the brace behind it: the same for all nodes of a project.
local function default_head(project)
  local target = project.profile.target
  return json.encode(value.dict("app", "dex-lua", "dex_version", core.version, "dbt_version", root.dbt_version,
    "profile_name", target.profile_name, "target_name", target.target_name)):sub(1, -2)
end

local function default_text(state, settings)
  settings.head = settings.head or default_head(state.project)
  local id = state.node and state.node.unique_id
  return ('%s, "%s": %s}'):format(settings.head, id and "node_id" or "connection_name", json.encode(id or "master"))
end

-- A node's attributes, of which absent ones print as nothing.
local function node_view(state)
  local node = state.node
  return node and node.resource_type ~= "operation" and node or none
end

local function custom_text(state, settings)
  local node = node_view(state)
  local context = setmetatable({ node = node, connection_name = node ~= none and node.unique_id or "master" },
    { __index = state.context })
  local ok, text = pcall(jinja.render, settings.text, context, { file = settings.file, line = settings.line })
  if ok then return tostring(text) end
  error(err.is(text) and err.wrap(text, { file = settings.file, line = settings.line }) or text, 0)
end

-- The comment of a state: its text, and whether it stands behind the statement. Asked once for each.
local function comment_of(state)
  local project = state.project
  if project.query_comment == nil then project.query_comment = settings_of(project) end
  local settings = project.query_comment
  if not settings or state.query_comment == "" then return nil end
  if not state.query_comment then
    if settings.text and not state.context then return nil end
    state.query_comment = "" -- what the template itself asks the server has none
    local text = settings.text and custom_text(state, settings) or not settings.text and default_text(state, settings)
    text = text:match("^%s*(.*%S)") or ""
    if text:find("*/", 1, true) then
      err.raise { code = 143, message = "the query-comment holds '*/', which would end it: " .. text,
        file = settings.file, line = settings.line }
    end
    state.query_comment = text
  end
  return state.query_comment ~= "" and state.query_comment or nil, settings.append
end

--- Sends SQL on the state's connection, with the comment. May wait. An error of it is as if there were none.
---@param state table with `conn`, `project`, `node`, `context`
---@param sql string
---@return userdata result
function M.exec(state, sql)
  local comment, append
  if state.project and sql ~= "" then comment, append = comment_of(state) end
  if not comment then return state.conn:exec(sql) end
  if append then
    local body, semicolon = sql:match("^(.-)%s*(;?)%s*$")
    return state.conn:exec(("%s\n/* %s */%s"):format(body, comment, semicolon))
  end
  local prefix = ("/* %s */\n"):format(comment)
  local ok, result = pcall(state.conn.exec, state.conn, prefix .. sql)
  if ok then return result end
  if err.is(result) and result.sql then
    result.sql = sql
    local length = utf8.len(prefix) or #prefix
    result.position = result.position and result.position > length and result.position - length or nil
  end
  error(result, 0)
end

return M
