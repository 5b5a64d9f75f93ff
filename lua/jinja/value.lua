--- Jinja's values are Python's. Strings, numbers and booleans are Lua's own; the rest is here:
-- none, undefined, lists, tuples and ordered dicts, keyword arguments and callables.
-- YAML and JSON decode to the same dicts and lists (engine/script/value.h), so that what the
-- project holds is what a template sees, without conversion.

local core = require "dex.core"

local M = {}

local none, ORDER = core.none, core.ORDER
local Dict, List = core.dict, core.list
local Tuple = { __name = "dex.tuple" }
local Kwargs = { __name = "dex.kwargs" }
local Undefined = { __name = "dex.undefined" }
local Callable = { __name = "dex.callable" }

--- Python's None: a light userdata, never equal to anything else.
M.none = none
--- The hidden field that holds a dict's keys in order.
M.ORDER = ORDER
M.Dict, M.List, M.Tuple, M.Undefined, M.Callable = Dict, List, Tuple, Undefined, Callable

-- Dicts ------------------------------------------------------------------------------------------

Dict.__name = "dex.dict"

-- Called for absent keys only: a plain assignment `d.x = 1` keeps the order.
Dict.__newindex = function(d, k, v)
  if v == nil then return end
  local order = rawget(d, ORDER)
  order[#order + 1] = k
  rawset(d, k, v)
end

Dict.__len = function(d) return #rawget(d, ORDER) end

-- In insertion order. Deleting or adding keys meanwhile is for copies: iterate M.keys(d) instead.
Dict.__pairs = function(d)
  local order, i = rawget(d, ORDER), 0
  return function()
    i = i + 1
    local k = order[i]
    if k == nil then return nil end
    return k, rawget(d, k)
  end
end

--- A new dict, filled from pairs given as alternating keys and values.
--- `M.dict("a", 1, "b", 2)`
function M.dict(...)
  local order = {}
  local d = setmetatable({ [ORDER] = order }, Dict)
  for i = 1, select("#", ...), 2 do
    local k, v = select(i, ...)
    if v ~= nil then d[k] = v end
  end
  return d
end

--- Whether x is a dict.
function M.is_dict(x) return type(x) == "table" and getmetatable(x) == Dict end

--- The keys of a dict in order: a fresh Lua array (not a list value).
function M.keys(d)
  return table.move(d[ORDER], 1, #d[ORDER], 1, {})
end

--- Removes a key; nothing happens when it is absent. The only way to remove one.
function M.del(d, k)
  if rawget(d, k) == nil then return end
  rawset(d, k, nil)
  local order = d[ORDER]
  for i = 1, #order do
    if order[i] == k then
      table.remove(order, i)
      return
    end
  end
end

--- A shallow copy of a dict.
function M.copy_dict(d)
  local order = d[ORDER]
  local c = { [ORDER] = table.move(order, 1, #order, 1, {}) }
  for i = 1, #order do c[order[i]] = rawget(d, order[i]) end
  return setmetatable(c, Dict)
end

-- Lists and tuples -------------------------------------------------------------------------------

List.__name = "dex.list"

--- A list from a Lua sequence, which becomes the list itself (no copy). Absent values must be none.
function M.list(t) return setmetatable(t or {}, List) end

--- A tuple from a Lua sequence, which becomes the tuple itself.
function M.tuple(t) return setmetatable(t or {}, Tuple) end

function M.is_list(x) return type(x) == "table" and getmetatable(x) == List end
function M.is_tuple(x) return type(x) == "table" and getmetatable(x) == Tuple end

--- A deep copy of dicts, lists and tuples; everything else is shared.
function M.copy(x)
  if type(x) ~= "table" then return x end
  local mt = getmetatable(x)
  if mt == Dict then
    local order = x[ORDER]
    local c = { [ORDER] = table.move(order, 1, #order, 1, {}) }
    for i = 1, #order do c[order[i]] = M.copy(rawget(x, order[i])) end
    return setmetatable(c, Dict)
  elseif mt == List or mt == Tuple then
    local c = {}
    for i = 1, #x do c[i] = M.copy(x[i]) end
    return setmetatable(c, mt)
  end
  return x
end

--- Turns Lua data into values: tables with [1] or empty `{}` become lists, others dicts with their
--- keys sorted; tables that have a metatable stay as they are.
function M.from_lua(x)
  if type(x) ~= "table" or getmetatable(x) then return x end
  if #x > 0 or next(x) == nil then
    for i = 1, #x do x[i] = M.from_lua(x[i]) end
    return setmetatable(x, List)
  end
  local order = {}
  for k in pairs(x) do order[#order + 1] = k end
  table.sort(order, function(a, b) return tostring(a) < tostring(b) end)
  for _, k in ipairs(order) do x[k] = M.from_lua(x[k]) end
  x[ORDER] = order
  return setmetatable(x, Dict)
end

-- None, undefined --------------------------------------------------------------------------------

--- nil for none, undefined and nil; else x itself.
function M.opt(x)
  if x == none or x == nil then return nil end
  if type(x) == "table" and getmetatable(x) == Undefined then return nil end
  return x
end

--- none for nil, else x itself.
function M.or_none(x)
  if x == nil then return none end
  return x
end

--- An undefined value: prints as nothing, is false, and raises `hint` or "'name' is undefined" when it
--- is used any further.
---@param name string
---@param hint? string
function M.undefined(name, hint)
  return setmetatable({ name = name, hint = hint }, Undefined)
end

function M.is_undefined(x) return type(x) == "table" and getmetatable(x) == Undefined end

-- Keyword arguments and callables ----------------------------------------------------------------

--- Marks a table of keyword arguments, the last argument of a call. `order` lists the names.
---@param t table name -> value
---@param order? string[] names as written
function M.kwargs(t, order)
  if not order then
    order = {}
    for k in pairs(t) do order[#order + 1] = k end
    table.sort(order)
  end
  t[ORDER] = order
  return setmetatable(t, Kwargs)
end

function M.is_kwargs(x) return type(x) == "table" and getmetatable(x) == Kwargs end

local literals = { none = none, None = none, ["true"] = true, True = true, ["false"] = false, False = false }

local function literal(text)
  if literals[text] ~= nil then return literals[text] end
  local quoted = text:match("^'(.*)'$") or text:match('^"(.*)"$')
  if quoted then return (quoted:gsub("\1", ",")) end
  local number = math.tointeger(text) or tonumber(text)
  assert(number, "bad default in a signature: " .. text)
  return number
end

local function parse_signature(spec)
  local name, inside = spec:match("^([%w_%.]+)%s*%((.*)%)$")
  assert(name, "bad signature: " .. spec)
  local sig = { name = name, params = {}, index = {} }
  -- a comma inside of quotes separates nothing
  inside = inside:gsub("%b''", function(quoted) return (quoted:gsub(",", "\1")) end)
  for part in (inside .. ","):gmatch("%s*(.-)%s*,") do
    if part:sub(1, 2) == "**" then
      sig.kwargs = true
    elseif part:sub(1, 1) == "*" then
      sig.varargs = true
    elseif part ~= "" then
      local param, default = part:match("^([%w_]+)%s*=%s*(.-)$")
      param = param or part
      local p = { name = param, required = default == nil }
      if default ~= nil then p.default = literal(default) end
      sig.params[#sig.params + 1] = p
      sig.index[param] = #sig.params
    end
  end
  return sig
end

local function type_error(message, hint)
  require("err").raise { code = 204, kind = "TypeError", message = message, hint = hint }
end

local function unknown_keyword(sig, name)
  local known = {}
  for i, p in ipairs(sig.params) do known[i] = p.name end
  return type_error(("%s() got an unexpected keyword argument '%s'"):format(sig.name, name),
    require("err").did_you_mean(name, known))
end

-- Binds arguments to the parameters as Python would; gives them as an array of #params (+ varargs list
-- and kwargs dict when the signature has them).
local function bind(sig, n, args)
  local kw
  if n > 0 and M.is_kwargs(args[n]) then
    kw = args[n]
    args[n] = nil
    n = n - 1
  end
  local params = sig.params
  local np = #params
  local out = {}
  for i = 1, math.min(n, np) do out[i] = args[i] end
  local extra
  if sig.varargs then
    extra = M.tuple(table.move(args, np + 1, n, 1, {}))
  elseif n > np then
    type_error(("%s() takes %d positional argument%s but %d %s given"):format(
      sig.name, np, np == 1 and "" or "s", n, n == 1 and "was" or "were"))
  end
  local rest = sig.kwargs and M.dict() or nil
  if kw then
    for _, k in ipairs(kw[ORDER]) do
      local i = sig.index[k]
      if i then
        if out[i] ~= nil then type_error(("%s() got multiple values for argument '%s'"):format(sig.name, k)) end
        out[i] = kw[k]
      elseif rest then
        rest[k] = kw[k]
      else
        unknown_keyword(sig, k)
      end
    end
  end
  for i = 1, np do
    if out[i] == nil then
      if params[i].required then
        type_error(("%s() missing required argument: '%s'"):format(sig.name, params[i].name))
      end
      out[i] = params[i].default
    end
  end
  local count = np
  if sig.varargs then count = count + 1; out[count] = extra end
  if sig.kwargs then count = count + 1; out[count] = rest end
  return out, count
end

-- What most calls are: nothing by name, and every parameter given or with a default. Such a call passes its arguments
-- on without a table; any other goes through bind(). Written out for each number of parameters a1, a2, ...
local PLAIN = [[
local bind, Kwargs, type, getmetatable, select, unpack = ...
return function(sig, fn)
  %s
  return function(...)
    local %s = ...
    local n = select("#", ...)
    if n <= %d then
      local last = n > 0 and (select(n, ...))
      if type(last) ~= "table" or getmetatable(last) ~= Kwargs then
        %s
        if %s then return fn(%s) end
      end
    end
    local args, count = bind(sig, n, { ... })
    return fn(unpack(args, 1, count))
  end
end
]]

local plain_makers = {}

local function plain_maker(count)
  local maker = plain_makers[count]
  if maker then return maker end
  local names, defaults, fill, given = {}, {}, {}, {}
  for i = 1, count do
    names[i] = "a" .. i
    defaults[i] = ("local d%d = sig.params[%d].default"):format(i, i)
    fill[i] = ("if a%d == nil then a%d = d%d end"):format(i, i, i)
    given[i] = ("a%d ~= nil"):format(i)
  end
  local list = table.concat(names, ", ")
  local source = PLAIN:format(table.concat(defaults, "\n"), list, count, table.concat(fill, "\n"),
    table.concat(given, " and "), list)
  maker = assert(load(source, "=call"))(bind, Kwargs, type, getmetatable, select, table.unpack)
  plain_makers[count] = maker
  return maker
end

-- What a call of a function does.
local function caller(sig, fn)
  if sig.varargs or sig.kwargs or #sig.params == 0 then
    return function(...)
      local args, n = bind(sig, select("#", ...), { ... })
      return fn(table.unpack(args, 1, n))
    end
  end
  return plain_maker(#sig.params)(sig, fn)
end

Callable.__call = function(self, ...) return self.call(...) end

--- A function that templates can call, with Python's rules for arguments.
--- `M.fn("log(msg, info=false)", function(msg, info) ... end)`; `*args` comes as a tuple and `**kwargs` as
--- a dict, after the parameters. Returns a callable object; it may wait if the function does.
---@param spec string
---@param fn function
function M.fn(spec, fn)
  local sig = parse_signature(spec)
  return setmetatable({ signature = sig, call = caller(sig, fn), name = sig.name }, Callable)
end

return M
