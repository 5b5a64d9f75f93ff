--- The `hook` that a Lua hook receives. stdlib/README.md is its page: every field and method here stands
-- there, and a check compares the two. `hook.run` is both: the view of the run, and hook:run{...}.

local err = require "err"
local hook_limits = require "run.hook_limits"
local outside = require "run.hook_outside"
local relation_module = require "run.relation"
local rows_of = require "run.hook_rows"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

-- What belongs to each hook object: see M.new.
local inside = setmetatable({}, { __mode = "k" })

local function misuse(message, hint)
  err.raise { code = 509, message = message, hint = hint }
end

local function sorted(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = tostring(name) end
  table.sort(names)
  return names
end

-- Read-only views -----------------------------------------------------------------------------------

local viewed = setmetatable({}, { __mode = "k" })
local view_mt = { __name = "read-only table", __metatable = false }

local function view_of(v, what)
  if v == nil or v == none or value.is_undefined(v) then return nil end
  if not (value.is_dict(v) or value.is_list(v) or value.is_tuple(v)) then return v end
  local proxy = setmetatable({}, view_mt)
  viewed[proxy] = { of = v, what = what }
  return proxy
end

view_mt.__index = function(proxy, key)
  local view = viewed[proxy]
  local v = rawget(view.of, key)
  if v == nil and view.what and type(key) == "string" then
    local names = sorted(view.of)
    misuse(("%s has no field '%s'"):format(view.what, key), err.did_you_mean(key, names)
      or "its fields are " .. table.concat(names, ", "))
  end
  return view_of(v)
end
view_mt.__newindex = function(proxy, key)
  misuse(("%s is read only: '%s' cannot be set"):format(viewed[proxy].what or "this table", tostring(key)))
end
view_mt.__call = function(proxy, ...)
  local call = viewed[proxy].call
  if not call then misuse(("%s is a table of values: it cannot be called"):format(viewed[proxy].what or "this")) end
  return call(...)
end
view_mt.__len = function(proxy) return #viewed[proxy].of end
view_mt.__pairs = function(proxy)
  local of = viewed[proxy].of
  local is_dict = value.is_dict(of)
  local keys, i = is_dict and value.keys(of) or of, 0
  return function()
    while i < #keys do
      i = i + 1
      local key = is_dict and keys[i] or i
      local v = view_of(rawget(of, key))
      if v ~= nil then return key, v end
    end
  end
end

-- Relations -----------------------------------------------------------------------------------------

local relations = setmetatable({}, { __mode = "k" })
local relation_fields = { database = true, schema = true, name = true, identifier = true, type = true }
local relation_mt = { __name = "relation", __metatable = false }

relation_mt.__index = function(self, key)
  if not relation_fields[key] then
    misuse(("a relation has no field '%s'"):format(tostring(key)), "its fields are " ..
      table.concat(sorted(relation_fields), ", "))
  end
  return opt(relations[self][key == "name" and "identifier" or key])
end
relation_mt.__newindex = function() misuse("a relation is read only") end
relation_mt.__tostring = function(self) return tostring(relations[self]) end
relation_mt.__concat = function(a, b) return tostring(a) .. tostring(b) end
relation_mt.__eq = function(a, b) return tostring(a) == tostring(b) end

local function relation_view(relation)
  if opt(relation) == nil then return nil end
  local self = setmetatable({}, relation_mt)
  relations[self] = relation
  return self
end

--- The engine's relation behind a hook's, or the value itself.
local function unwrap(v)
  return relations[v] or v
end

-- Fields --------------------------------------------------------------------------------------------

local fields = {}

function fields.this(own)
  if own.this == nil then
    local this = own.context.this
    -- what the database has under this name knows its type
    local known = opt(this) and own.run.cache:get(opt(this.schema), opt(this.identifier))
    own.this = relation_view(opt(known) or this) or false
  end
  return own.this or nil
end
function fields.node(own) return view_of(own.state.node, "hook.node") end
function fields.phase(own) return own.phase end
function fields.args(own) return view_of(own.hook.args) or view_of(value.dict()) end
function fields.target(own) return view_of(own.context.target, "hook.target") end
function fields.vars(own) return view_of(own.run:vars_of(own.state.node)) end
function fields.flags(own) return view_of(own.run:flags_dict(own.state), "hook.flags") end
function fields.result(own) return own.state.result end
function fields.error(own) return own.state.hook_error end
function fields.event(own) return own.event end

-- Methods -------------------------------------------------------------------------------------------

---@class dex.HookObject
local methods = {}

local function alive(self, name)
  local own = inside[self]
  if not own then misuse(("write hook:%s(...), with a colon"):format(name)) end
  if own.closed then misuse(("hook:%s is called after the hook has ended"):format(name)) end
  hook_limits.lift(own)
  return own
end

local function parameters(...)
  local params = table.pack(...)
  for i = 1, params.n do
    local v = params[i]
    local kind = type(v)
    if v == nil then
      params[i] = none
    elseif relations[v] then
      params[i] = tostring(v)
    elseif kind ~= "string" and kind ~= "number" and kind ~= "boolean" and v ~= none then
      misuse(("parameter $%d is a %s: text, number, boolean or nil can be bound"):format(i, kind))
    end
  end
  return params
end

-- Every statement of a hook passes here. May wait.
local function run_sql(self, name, sql, ...)
  local own = alive(self, name)
  if relations[sql] then sql = tostring(sql) end
  if type(sql) ~= "string" then misuse(("hook:%s needs SQL as text, not a %s"):format(name, type(sql))) end
  return own.execute(sql, parameters(...))
end

--- Runs SQL. Returns the number of rows that it changed or read, nil when the server reports none.
---@param sql string several statements are allowed when there are no parameters
---@param ... any values of $1, $2, ...
---@return integer|nil
function methods:exec(sql, ...)
  return run_sql(self, "exec", sql, ...).affected
end

--- Runs SQL and gives all of its rows.
---@return table rows with `columns`
function methods:query(sql, ...)
  return rows_of.all(run_sql(self, "query", sql, ...))
end

--- Runs SQL and gives the first column of the first row: nil when there is none, or NULL.
function methods:value(sql, ...)
  local result = run_sql(self, "value", sql, ...)
  if #result == 0 then return nil end
  return rows_of.cell(result, 1, 1)
end

-- Whether a cursor can be declared for it.
local function is_query(sql)
  local first = sql:gsub("^[%s(]+", ""):match("^%a+")
  first = first and first:lower()
  if first == "select" or first == "values" or first == "table" then return true end
  return first == "with" and not sql:lower():find("%f[%a]insert%f[%A]") and not sql:lower():find("%f[%a]update%f[%A]")
    and not sql:lower():find("%f[%a]delete%f[%A]")
end

--- Runs a query and gives its rows one at a time, for a `for` loop: constant memory.
---@return fun(): table|nil
function methods:rows(sql, ...)
  local own = alive(self, "rows")
  if type(sql) == "string" and is_query(sql) then
    own.cursors = (own.cursors or 0) + 1
    local cursor = "dex_rows_" .. own.cursors
    -- outside of a transaction the server keeps the rows until the cursor is closed
    own.execute(("declare %s no scroll cursor %sfor %s"):format(cursor, own.inside and "" or "with hold ", sql),
      parameters(...))
    local open = true
    local function close()
      if open and not inside[self].closed then
        open = false
        own.execute("close " .. cursor, { n = 0 })
      end
    end
    local following = rows_of.stream(function(many)
      if not open then return nil end
      local result = own.execute(("fetch %d from %s"):format(many and 10000 or 1000, cursor), { n = 0 })
      if #result == 0 then close() end
      return result
    end)
    return following, nil, nil, setmetatable({}, { __close = close })
  end
  local result = run_sql(self, "rows", sql, ...)
  return rows_of.stream(function()
    local once = result
    result = nil
    return once
  end)
end

--- Loads rows through COPY.
---@param relation any a relation or a name
---@param columns string[]
---@param iterator fun(): table|nil gives a row: values in the order of the columns, or by column name
---@return integer rows loaded
function methods:copy(relation, columns, iterator)
  local own = alive(self, "copy")
  if type(columns) ~= "table" or #columns == 0 then misuse("hook:copy needs the list of columns") end
  if type(iterator) == "table" then
    local list, i = iterator, 0
    iterator = function()
      i = i + 1
      return list[i]
    end
  end
  if type(iterator) ~= "function" then misuse("hook:copy needs a function that gives the rows, or a list of them") end
  local names = {}
  for i, name in ipairs(columns) do names[i] = '"' .. tostring(name):gsub('"', '""') .. '"' end
  local pieces = rows_of.pieces(iterator, columns)
  local function chunk()
    local lines, size = {}, 0
    while size < 65536 do
      local row = iterator()
      if row == nil then break end
      if type(row) ~= "table" then misuse("a row of hook:copy is a table, not a " .. type(row)) end
      local line = rows_of.copy_line(row, columns)
      lines[#lines + 1], size = line, size + #line
    end
    if #lines == 0 then return nil end
    return table.concat(lines)
  end
  return own.copy(("copy %s (%s) from stdin"):format(tostring(relation), table.concat(names, ", ")),
    pieces or chunk)
end

--- Calls fn(hook). When it raises, what it did in the database is undone, and the error goes on.
---@param fn fun(hook: dex.HookObject): any
---@return any what fn returns
function methods:savepoint(fn)
  local own = alive(self, "savepoint")
  if type(fn) ~= "function" then misuse("hook:savepoint needs a function") end
  if not own.inside then
    misuse("hook:savepoint works inside the node's transaction, and this hook has `transaction: false`")
  end
  return own.savepoint(fn, self)
end

--- Calls fn(hook) after the node has committed; never when it fails.
---@param fn fun(hook: dex.HookObject)
function methods:after_commit(fn)
  local own = alive(self, "after_commit")
  if type(fn) ~= "function" then misuse("hook:after_commit needs a function") end
  local queue = own.state.after_commit or {}
  own.state.after_commit = queue
  queue[#queue + 1] = { fn = fn, hook = own.hook, phase = own.phase, trusted = own.trusted }
end

--- The relation of a model, seed or snapshot.
---@param package_or_name string
---@param name? string
---@return table relation
function methods:ref(package_or_name, name)
  local own = alive(self, "ref")
  if name ~= nil then return relation_view(own.context.ref(package_or_name, name)) end
  return relation_view(own.context.ref(package_or_name))
end

--- The relation of a source.
function methods:source(source, name)
  return relation_view(alive(self, "source").context.source(source, name))
end

local function arguments(...)
  local args = table.pack(...)
  for i = 1, args.n do
    local v = args[i]
    if v == nil then
      args[i] = none
    elseif viewed[v] then
      args[i] = viewed[v].of
    elseif relations[v] then
      args[i] = relations[v]
    elseif type(v) == "table" then
      args[i] = value.from_lua(v)
    end
  end
  return args
end

--- Calls a macro. Returns what it returns, its text when it returns nothing.
---@param name string "macro" or "package.macro"
---@param ... any positional arguments
function methods:macro(name, ...)
  local own = alive(self, "macro")
  if type(name) ~= "string" then misuse("hook:macro needs the macro's name") end
  local found = own.context
  for part in name:gmatch("[^.]+") do
    found = found ~= nil and opt(found[part]) or nil
  end
  if found == nil then
    local names = {}
    for _, macro in pairs(own.run.project.macros) do names[#names + 1] = macro.name end
    misuse(("there is no macro '%s'"):format(name), err.did_you_mean(name, names))
  end
  local args = arguments(...)
  local result = found(table.unpack(args, 1, args.n))
  if relation_module.is(result) then return relation_view(result) end
  return view_of(result)
end

--- Renders a template with the node's context and `vars`.
---@param template string
---@param vars? table
---@return string
function methods:render(template, vars)
  local own = alive(self, "render")
  local ctx = own.context
  if vars then
    local more = {}
    for key, v in pairs(vars) do more[key] = arguments(v)[1] end
    ctx = setmetatable(more, { __index = own.context })
  end
  return require("jinja").render(template, ctx, { file = own.hook.file, line = own.hook.line })
end

--- An environment variable, or nil.
function methods:env(name)
  alive(self, "env")
  return (require("dex.env").get(name))
end

local function message_of(format, ...)
  if select("#", ...) == 0 then return tostring(format) end
  local args = table.pack(...)
  for i = 1, args.n do
    if type(args[i]) == "table" then args[i] = tostring(args[i]) end
  end
  return tostring(format):format(table.unpack(args, 1, args.n))
end

--- Writes a line to the log.
function methods:log(format, ...)
  local own = alive(self, "log")
  own.run:log("info", own.run.mask(message_of(format, ...)))
end

--- Writes a warning; the hook's record keeps it.
function methods:warn(format, ...)
  local own = alive(self, "warn")
  local text = own.run.mask(message_of(format, ...))
  own.warnings[#own.warnings + 1] = text
  own.run:warn(("%s: %s"):format(own.title, text))
end

--- Fails the hook with a message, and with it the node.
function methods:fail(format, ...)
  alive(self, "fail")
  err.raise { code = 508, message = message_of(format, ...) }
end

--- Ends the node as skipped: nothing is built. Only in pre-hooks.
---@param reason string
function methods:skip(reason)
  local own = alive(self, "skip")
  if own.phase ~= "pre_hooks" and own.phase ~= "pre_outside" then
    misuse("hook:skip works in a pre-hook: here the node is built already")
  end
  own.state.skipped = reason and tostring(reason) or "skipped by a hook"
  error(M.SKIP, 0)
end

-- A value as JSON has it: views are what they show, relations their text.
local function plain(v)
  if relations[v] then return tostring(v) end
  if viewed[v] then return viewed[v].of end
  if type(v) ~= "table" or v == none or value.is_dict(v) or value.is_list(v) then return v end
  local copy = {}
  for key, item in pairs(v) do copy[key] = plain(item) end
  return copy
end

--- Waits; other nodes go on meanwhile.
---@param seconds number
function methods:sleep(seconds)
  local own = alive(self, "sleep")
  if type(seconds) ~= "number" or seconds < 0 then misuse("hook:sleep needs a number of seconds") end
  outside.within_timeout(own, require("dex.loop").sleep, seconds)
  hook_limits.rest(own)
end

--- Sends a request over HTTP and gives its answer, whatever its status. Redirects are not followed.
---@param request {url: string, method?: string, json?: any, body?: string, headers?: table, timeout?: number}
---@return {status: integer, ok: boolean, headers: table<string, string>, body: string, json: any}
function methods:http(request)
  local own = alive(self, "http")
  if type(request) == "table" and type(request.json) == "table" then
    local copy = {}
    for key, v in pairs(request) do copy[key] = v end
    copy.json = plain(request.json)
    request = copy
  end
  local response = outside.http(own, request)
  hook_limits.rest(own)
  if response.json ~= nil then response.json = view_of(response.json) end
  return response
end

-- hook:run{...}, where hook.run is the view of the run. May wait.
local function run_program(self, spec)
  local own = alive(self, "run")
  local result = outside.run(own, own.trusted, spec)
  hook_limits.rest(own)
  return result
end

function fields.run(own)
  return M.callable(own.run:hook_view(), run_program)
end

--- What hook:skip raises, to leave the function; never seen by users.
M.SKIP = setmetatable({}, { __name = "skip", __tostring = function() return "skip" end })

local hook_mt = { __name = "hook", __metatable = false }

hook_mt.__index = function(self, key)
  local method = methods[key]
  if method then return method end
  local own = inside[self]
  local field = fields[key]
  if field then return field(own) end
  local known = sorted(fields)
  table.move(sorted(methods), 1, #sorted(methods), #known + 1, known)
  misuse(("hook has no field '%s'"):format(tostring(key)), err.did_you_mean(tostring(key), known)
    or "its fields are " .. table.concat(known, ", "))
end
hook_mt.__newindex = function(_, key)
  misuse(("hook is read only: '%s' cannot be set"):format(tostring(key)))
end

--- The names of all fields and methods, for the check of stdlib/README.md.
---@return string[] fields, string[] methods
function M.surface()
  return sorted(fields), sorted(methods)
end

--- Makes the object for one call of a hook.
---@param own table run, state, hook (its declaration), phase, inside (a transaction), context, title, warnings (a
---  list that is filled), execute(sql, params), copy(sql, chunks), savepoint(fn, hook): see lua/run/hooks.lua
---@return dex.HookObject
function M.new(own)
  local self = setmetatable({}, hook_mt)
  inside[self] = own
  return self
end

--- Ends the life of an object: its methods raise from now on.
function M.close(self)
  inside[self] = setmetatable({ closed = true }, { __index = inside[self] }) -- not of another try's object
end

--- A view that may be called, as `hook.run` is.
---@param view table of M.view
---@param call function
---@return table view
function M.callable(view, call)
  viewed[view].call = call
  return view
end

M.unwrap = unwrap
M.plain = plain
M.relation = relation_view
M.view = view_of

return M
