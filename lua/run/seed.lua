--- Loads a seed: a CSV file becomes a table through COPY, in the node's transaction.

local copying = require "run.copy"
local csv = require "run.csv"
local err = require "err"
local flags = require "run.flags"
local materialize = require "run.materialize"
local relations = require "run.relation"
local statement = require "run.statement"
local tables = require "run.table"
local value = require "jinja.value"

local M = {}

local opt = value.opt

local function path_of(state)
  return state.info.file
end

-- A type for a column that the file has not is left out, as in dbt, with a warning.
local function check_types(state, typed)
  for _, name in ipairs(state.csv.columns) do typed[name] = nil end
  local missing = {}
  for name in pairs(typed) do missing[#missing + 1] = name end
  if #missing == 0 then return end
  table.sort(missing)
  local near = err.did_you_mean(missing[1], state.csv.columns)
  state.run:log("warn", ("seed '%s': `column_types` names columns that the file has not: %s%s"):format(state.node.name,
    table.concat(missing, ", "), near and " (" .. near .. ")" or ""))
end

--- Reads the file before any transaction is open: a bad row fails here. May wait.
---@param state table
function M.prepare(state)
  local config = state.node.config
  local delimiter = opt(config.delimiter) or ","
  if type(delimiter) ~= "string" or #delimiter ~= 1 then
    err.raise { code = 166, message = ("the delimiter must be one character, not '%s'"):format(tostring(delimiter)),
      file = path_of(state) }
  end
  if path_of(state):lower():find("%.parquet$") then
    err.raise { code = 167, message = ("seed '%s' is a Parquet file, which cannot be loaded yet"):format(
      state.node.name), file = state.info.display, hint = "write it as CSV" }
  end
  local text = {}
  for name in pairs(opt(config.column_types) or {}) do text[name] = true end
  state.csv = csv.scan(path_of(state), { delimiter = delimiter, text = text })
  check_types(state, text)
end

local function quoted_columns(state)
  local adapter = state.context.adapter
  local quote = value.or_none(state.node.config.quote_columns)
  local names = {}
  for i, name in ipairs(state.csv.columns) do names[i] = adapter.quote_seed_column(name, quote) end
  return names
end

local function create_sql(state, names, target)
  local given = opt(state.node.config.column_types) or {}
  local columns = {}
  for i, name in ipairs(names) do
    columns[i] = ("    %s %s"):format(name, tostring(opt(given[state.csv.columns[i]]) or state.csv.types[i]))
  end
  return ("create %s (\n%s\n)"):format(target, table.concat(columns, ",\n"))
end

-- The table that is there must have the file's columns.
local function check_columns(state, existing)
  local have, listed = {}, {}
  local quote = opt(state.node.config.quote_columns)
  for _, column in ipairs(state.context.adapter.get_columns_in_relation(existing)) do
    have[column.name] = true
    listed[#listed + 1] = column.name
  end
  for _, name in ipairs(state.csv.columns) do
    if not have[quote == false and name:lower() or name] then
      err.raise { code = 164, message = ("the file has a column '%s' and the table has not: its columns are %s"):format(
        name, table.concat(listed, ", ")), file = path_of(state), line = 1,
        hint = ("`dex-lua seed --full-refresh --select %s` makes the table anew"):format(state.node.name) }
    end
  end
end

-- The line and the number of the row that has a text in a column; nil when it cannot be told, as the server cuts
-- long texts.
local function find_row(state, column, text)
  if not column or not text or text:sub(-3) == "..." then return nil end
  for i, name in ipairs(state.csv.columns) do
    if name == column or name:lower() == column then return state.csv.scan:find(path_of(state), i, text) end
  end
end

-- "COPY airports, line 3, column id: "x"" counts lines from the first row, as far as it sees line ends inside of
-- quotes: the cell's text tells the row.
local function explain_copy(state, e)
  if not err.is(e) or not e.context then return e end
  local line = math.tointeger(tonumber(e.context:match("COPY [^\n]-, line (%d+)")))
  if not line then return e end
  local column, text = e.context:match('line %d+, column ([^\n]-): "(.*)"')
  column = column or e.context:match("line %d+, column ([^\n]-):")
  local found, row = find_row(state, column, text)
  e.file, e.line = path_of(state), found or state.csv.line - 1 + line
  e.code, e.column = 165, nil
  if column then
    e.message = ("%scolumn %s: %s"):format(row and ("row %d, "):format(row) or "", column, e.message)
  end
  if e.sqlstate == "22021" then e.hint = "the file must be text in UTF-8" end
  if not e.hint and state.reloaded then
    e.hint = ("the table keeps its types until `dex-lua seed --full-refresh --select %s`"):format(state.node.name)
  end
  return e
end

local function copy(state, names, target)
  local delimiter = opt(state.node.config.delimiter) or ","
  local options = delimiter == "," and "" or (", delimiter '%s'"):format(delimiter == "'" and "''" or delimiter)
  local sql = ("copy %s (%s) from stdin with (format csv, null ''%s)"):format(target, table.concat(names, ", "),
    options)
  state.run:log_sql(state, sql)
  local ok, rows = pcall(copying.into, state.conn, sql, csv.source(path_of(state), state.csv))
  if not ok then error(explain_copy(state, rows), 0) end
  return sql, rows
end

--- The file as a table of templates, for load_agate_table(): by way of the database, which knows the types. The
--- whole of it is held in memory. May wait.
---@param state table
---@return dex.Table
function M.table(state)
  local names = quoted_columns(state)
  local target = "dex_seed_" .. require("dex.hash").md5(state.node.unique_id):sub(1, 16)
  state:execute(create_sql(state, names, "temporary table " .. target))
  if not flags.of(state).empty then copy(state, names, target) end
  local found = tables.from_result(state:execute("select * from " .. target))
  state:execute("drop table " .. target)
  return found
end

--- Makes or empties the table and fills it. Returns the relations. A project's own materialization comes first. May
--- wait.
---@param state table
---@return table[] relations
function M.run(state)
  if materialize.is_custom(state.run, "seed") then return materialize.run(state) end
  local context = state.context
  local this = context.this
  local existing = opt(context.adapter.get_relation(this.database, this.schema, this.identifier))
  local full_refresh = opt(context.should_full_refresh()) == true
  local names = quoted_columns(state)
  local before
  if existing and existing.type == "view" then
    err.raise { code = 163, message = ("cannot load the seed: %s is a view"):format(tostring(this)),
      file = path_of(state) }
  end
  if existing and not full_refresh then
    check_columns(state, existing)
    -- dbt truncates here. A TRUNCATE shows an empty table to every statement that began before it: a model that
    -- reads the seed as a source, and so does not wait for it, would be built of no rows.
    before, state.reloaded = "delete from " .. tostring(existing), true
    state:execute(before)
  else
    if existing then context.adapter.drop_relation(existing) end
    before = create_sql(state, names, "table " .. tostring(this))
    state:execute(before)
  end
  state.replaced, state.rebuilt = existing, full_refresh or not existing
  local sql, rows = "-- no rows: --empty", 0
  if not flags.of(state).empty then sql, rows = copy(state, names, tostring(this)) end
  state.csv.scan:close()
  state:write_run(before .. ";\n" .. sql .. "\n")
  local code = full_refresh and "CREATE" or "INSERT"
  state:store_main(statement.new_response(("%s %d"):format(code, rows), code, rows))
  local relation = relations.with(this, { type = "table" })
  if state.rebuilt then context.create_indexes(relation) end
  return { relation }
end

return M
