--- From a node's template to its SQL: rendering, and the ephemeral models that it refers to as CTEs before it.

local context = require "run.context"
local err = require "err"
local flags = require "run.flags"
local jinja = require "jinja"
local relations = require "run.relation"
local value = require "jinja.value"

local M = {}

local opt = value.opt

-- Finding the place --------------------------------------------------------------------------------

-- The end of a comment that begins at `at`, or nil.
local function skip_comment(sql, at)
  if sql:find("^%-%-", at) then return sql:match("^[^\n]*()", at) end
  if not sql:find("^/%*", at) then return nil end
  local depth = 0
  while at <= #sql do
    if sql:find("^/%*", at) then
      depth, at = depth + 1, at + 2
    elseif sql:find("^%*/", at) then
      depth, at = depth - 1, at + 2
      if depth == 0 then return at end
    else
      at = at + 1
    end
  end
  return at
end

-- Past white space and comments.
local function skip_blank(sql, at)
  while true do
    at = sql:match("^%s*()", at)
    local past = skip_comment(sql, at)
    if not past then return at end
    at = past
  end
end

local function word(sql, at, expected)
  local found, past = sql:match("^([%a]+)()", at)
  if found and found:lower() == expected and not sql:find("^[%w_$]", past) then return past end
end

--- SQL with common table expressions put before its own.
---@param sql string
---@param ctes string[] "name as (...)"
---@return string
function M.prefix(sql, ctes)
  if #ctes == 0 then return sql end
  local list = table.concat(ctes, ", ")
  local at = skip_blank(sql, 1)
  local past = word(sql, at, "with")
  if past then
    past = word(sql, skip_blank(sql, past), "recursive") or past
    past = sql:match("^%s*()", past)
    return sql:sub(1, past - 1) .. list .. ", " .. sql:sub(past)
  end
  local start = sql:match("^%s*()")
  return sql:sub(1, start - 1) .. "with" .. list .. " " .. sql:sub(start)
end

-- Ephemeral models -----------------------------------------------------------------------------------

local compile_ephemeral

-- Adds the CTEs of ephemeral models, those that they use themselves first, each once.
local function gather(state, ids, into, seen)
  for _, id in ipairs(ids) do
    if not seen[id] then
      local found = compile_ephemeral(state, id)
      gather(state, found.ids, into, seen)
      if not seen[id] then
        seen[id] = true
        into[#into + 1] = { id = id, sql = (" %s as (\n%s\n)"):format(found.name, found.sql) }
      end
    end
  end
end

-- Renders an ephemeral model, once in a run. Keeps its SQL without CTEs, and the models that it uses.
function compile_ephemeral(state, id)
  local run, project = state.run, state.project
  local known = run.ephemeral
  if not known then
    known = {}
    run.ephemeral = known
  end
  local found = known[id]
  if found then return found end
  local node, info = project.nodes[id], project.info[id]
  -- it renders on the connection of whoever needs it first
  local own = setmetatable({ node = node, info = info, statements = {}, ctes = {}, context = false,
    macro_context = false, model_view = false }, { __index = state })
  local ctx = context.node(own)
  own.context = ctx
  local sql = info.template:render(ctx)
  found = { sql = sql, ids = own.ctes, name = relations.cte_name(node.alias) }
  known[id] = found
  local list, seen = {}, { [id] = true }
  gather(own, found.ids, list, seen)
  M.finish(node, sql, list)
  return found
end

-- Nodes ------------------------------------------------------------------------------------------------

--- Puts compiled SQL and its CTEs into a node, under dbt's names.
function M.finish(node, sql, ctes)
  local texts, extra = {}, value.list()
  for i, cte in ipairs(ctes) do
    texts[i] = cte.sql
    extra[i] = value.dict("id", cte.id, "sql", cte.sql)
  end
  local code = M.prefix(sql, texts)
  node.compiled, node.compiled_code = true, code
  node.extra_ctes_injected, node.extra_ctes = true, extra
  return code
end

local function is_relational_test(state, node)
  if node.resource_type ~= "test" or opt(node.relation_name) then return false end
  local store = opt(node.config.store_failures)
  if store == nil then store = flags.of(state).store_failures end
  return store == true
end

--- Renders a node's template to SQL, with ephemeral models as CTEs before it. Sets compiled, compiled_code,
--- extra_ctes and extra_ctes_injected of the node. May wait: templates query.
---@param state table with run, node, and conn when templates query; `context` is used, or made
---@return string sql
function M.node(state)
  local node = state.node
  if node.language == "python" then
    err.raise { code = 244, node = node.unique_id, message = ("'%s' is a Python model: PostgreSQL cannot run it")
      :format(node.name), hint = "write it in SQL, or leave it out with --exclude" }
  end
  state.context = state.context or context.node(state)
  local project = state.project
  local info = project.info[node.unique_id]
  local template = info and info.template
  if not template then
    local of = info or {}
    template = jinja.compile(node.raw_code, { file = of.display or of.file or node.original_file_path, line = 1 })
  end
  state.ctes = {}
  local sql = template:render(state.context)
  local list = {}
  gather(state, state.ctes, list, {})
  if is_relational_test(state, node) then node.relation_name = tostring(relations.of_node(project, node)) end
  return M.finish(node, sql, list)
end

--- Renders a text in a state's context, such as a hook, with the ephemeral models that it refers to as CTEs
--- before it. May wait.
---@param state table
---@param ctx table
---@param text string
---@param opts? {file: string, line: integer}
---@return string sql
function M.text(state, ctx, text, opts)
  if not text:find("{[{%%#]") then return (text:gsub("\n$", "")) end -- nothing to render
  local before, prefixes = state.ctes, state.prefixes_ctes
  state.ctes, state.prefixes_ctes = {}, true
  local ok, sql = pcall(jinja.render, text, ctx, opts)
  local used = state.ctes
  state.ctes, state.prefixes_ctes = before, prefixes
  if not ok then error(sql, 0) end
  local list, texts = {}, {}
  gather(state, used, list, {})
  for i, cte in ipairs(list) do texts[i] = cte.sql end
  return M.prefix(sql, texts)
end

return M
