--- What the page shows of a node beside its declaration: hooks in their order, compiled SQL, rows and columns. Its
-- connections only read: the session is read only, and what takes too long is ended by the server.

local err = require "err"
local errors = require "report.errors"
local fs = require "dex.fs"
local hook_list = require "run.hook_list"
local hooks_module = require "run.hooks"
local members = require "project.members"
local shapes = require "server.shapes"
local value = require "jinja.value"

local M = {}

local dict, list, none, opt = value.dict, value.list, value.none, value.opt

local TIMEOUT = "15s"       -- of one statement
local CELL_LIMIT = 10000    -- characters of a cell that are sent

-- Hooks --------------------------------------------------------------------------------------------------

local function hook(project, listed)
  local found = listed.hook
  return dict("phase", listed.phase, "position", listed.index, "name", value.or_none(opt(found.name)),
    "kind", found.kind, "text", opt(found.sql) or opt(found.lua) or opt(found.operation) or hooks_module.name_of(found),
    "transaction", listed.transaction, "file", errors.relative(found.file, project.root),
    "line", value.or_none(opt(found.line)))
end

--- The hooks that a build of a node calls, in their order.
---@param project dex.Project
---@param info table project.info of the node
---@param kind string resource type
---@return table list
function M.hooks(project, info, kind)
  local run = { project = project, which = "build", skip_hook = {} }
  return shapes.each(hook_list.of_node(run, info, kind), function(listed) return hook(project, listed) end)
end

-- Connections --------------------------------------------------------------------------------------------

-- Makes connections of the job read only.
local function read_only(server, job)
  require("command.steps").connect_late(job)
  local late = job.pool
  job.pool = { lease = function()
    server.loaded:keep_private()
    local conn = late:lease()
    conn:exec(("select set_config('default_transaction_read_only', 'on', false), " ..
      "set_config('statement_timeout', '%s', false)"):format(TIMEOUT))
    return conn
  end }
end

-- Calls fn(conn) with a connection that only reads.
local function with_connection(server, fn)
  return server.loaded:with_job(function(job)
    read_only(server, job)
    local conn = job.pool:lease()
    local ok, result = pcall(fn, conn)
    if conn:txn() ~= "idle" then pcall(conn.exec, conn, "rollback") end
    conn:release()
    if not ok then error(result, 0) end
    return result
  end)
end

-- Compiled SQL -------------------------------------------------------------------------------------------

-- What the last command has compiled, when no file of the node is newer.
local function kept(project, node, info)
  local path = ("%s/compiled/%s/%s"):format(project.target_path, node.package_name, node.original_file_path)
  if members.kind(node.unique_id) == "test" and opt(node.test_metadata) then return nil end
  local made, written = fs.stat(path), info.file and fs.stat(info.file)
  if not made or made.type ~= "file" or not written or made.mtime < written.mtime then return nil end
  return fs.read(path)
end

--- The compiled SQL of a node: as it was compiled when it last ran, else compiled now. May wait.
---@param server table
---@param id string
---@return string|table code or none
---@return string|table error why there is none, or none
function M.compiled(server, id)
  local project = server.loaded:get()
  local node = members.get(project, id)
  local text = opt(node.compiled_code) or kept(project, node, project.info[id] or {})
  if text then return text, none end
  local ok, outcome = pcall(server.loaded.with_job, server.loaded, function(job)
    read_only(server, job)
    job.selected = { id }
    return require("run").compile(job)
  end)
  if not ok then return none, err.wrap(outcome).message end
  local result = outcome.results[1]
  if not result then return none, none end
  if result.error then return none, tostring(result.error) end
  return result.compiled_code or none, none
end

--- What an operation would run, secrets hidden; the transaction in which it is rendered only reads. May wait.
---@param server table
---@param call dex.OperationCall
---@return boolean whether it can be rendered
---@return string text what it would run, or what is wrong with it
function M.operation(server, call)
  local ok, text = pcall(server.loaded.with_job, server.loaded, function(job)
    read_only(server, job)
    call.confirmed = true -- nothing runs
    return require("run").preview(job, call)
  end)
  return ok, require("run.secrets").of(call.secrets)(server:mask(ok and text or tostring(text)))
end

-- Rows ---------------------------------------------------------------------------------------------------

local readable = { model = true, seed = true, snapshot = true, source = true }

local function relation_of(node)
  local relation = readable[node.resource_type] and opt(node.relation_name)
  if relation then return relation end
  err.raise { code = 675, message = ("%s is nothing in the database that could be read"):format(node.name),
    hint = opt(node.config) and node.config.materialized == "ephemeral" and "it is ephemeral: part of the SQL of others"
      or nil }
end

-- A table that is not there is what a person can do something about.
local function explain(node, e)
  e = err.wrap(e)
  if e.sqlstate == "42P01" or e.sqlstate == "3F000" then
    e = err.new { code = 675, message = ("%s is not built yet"):format(node.name), sqlstate = e.sqlstate }
  end
  error(e, 0)
end

local function type_names(conn, oids)
  local texts = {}
  for i, oid in ipairs(oids) do texts[i] = ("%d"):format(oid) end
  local result = conn:exec(("select format_type(t, null) from unnest(array[%s]::oid[]) with ordinality as o(t, n) " ..
    "order by n"):format(table.concat(texts, ",")))
  local names = {}
  for i = 1, #oids do names[i] = result:text(i, 1) end
  return names
end

local function cell(result, row, column)
  local v = result:get(row, column)
  if v == nil then return none end
  if type(v) == "number" and (v ~= v or v == math.huge or v == -math.huge) then return tostring(v) end
  if type(v) == "string" and #v > CELL_LIMIT then
    return v:sub(1, utf8.offset(v, 0, CELL_LIMIT) - 1) .. "…"
  end
  return v
end

--- The first rows of a node's relation. Raises 675 when it is not built. May wait.
---@param server table
---@param node table
---@param limit integer
---@return table dict of columns, rows and more
function M.preview(server, node, limit)
  local relation = relation_of(node)
  local ok, found = pcall(with_connection, server, function(conn)
    local result = conn:exec(("select * from %s limit %d"):format(relation, limit + 1))
    local names, types = result.columns, result.types
    local columns, rows = list(), list()
    for i, name in ipairs(type_names(conn, types)) do columns[i] = dict("name", names[i], "type", name) end
    for row = 1, math.min(#result, limit) do
      local cells = list()
      for i = 1, #names do cells[i] = cell(result, row, i) end
      rows[row] = cells
    end
    return dict("columns", columns, "rows", rows, "more", #result > limit)
  end)
  if not ok then explain(node, found) end
  return found
end

--- The columns of a node's relation in their order. Raises 675 when it is not built. May wait.
---@param server table
---@param node table
---@return {name: string, type: string}[]
function M.columns(server, node)
  local relation = relation_of(node)
  local ok, found = pcall(with_connection, server, function(conn)
    local result = conn:exec("select attname, format_type(atttypid, atttypmod) from pg_attribute " ..
      "where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum", relation)
    local columns = {}
    for row = 1, #result do columns[row] = { name = result:text(row, 1), type = result:text(row, 2) } end
    return columns
  end)
  if not ok then explain(node, found) end
  return found
end

return M
