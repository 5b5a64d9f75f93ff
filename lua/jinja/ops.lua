--- Operators: arithmetic, comparison, membership, with Python's types and errors.
-- Integers stay exact: what overflows 64 bits continues in bigint.lua. Objects join in by Lua's own metamethods
-- (__add, __sub, __mul, __div, __idiv, __mod, __pow, __unm, __lt, __le, __eq).

local value = require "jinja.value"
local classes = require "jinja.classes"
local bigint = require "jinja.bigint"
local iterate = require "jinja.iterate"
local fault = require "jinja.fault"
local type_name = require("jinja.truth").type_name
local undefined_error = require("jinja.names").undefined_error
local type, getmetatable = type, getmetatable

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple, Undefined = value.Dict, value.List, value.Tuple, value.Undefined
local Big, Set, View, Markup = bigint.Big, classes.Set, classes.View, classes.Markup
local math_type = math.type


local function unsupported(op, a, b)
  if getmetatable(a) == Undefined and type(a) == "table" then undefined_error(a) end
  if getmetatable(b) == Undefined and type(b) == "table" then undefined_error(b) end
  return fault.type(("unsupported operand type(s) for %s: '%s' and '%s'"):format(op, type_name(a), type_name(b)))
end

local function number(x)
  local t = type(x)
  if t == "number" then return x end
  if t == "boolean" then return x and 1 or 0 end
  if t == "table" and getmetatable(x) == Big then return x end
end

-- both integers, at least one too big for Lua
local function has_big(a, b) return getmetatable(a) == Big or getmetatable(b) == Big end

local function float(x)
  if getmetatable(x) == Big then return bigint.float(x) end
  return x - 0.0
end

local function metamethod(name, a, b)
  local ma = type(a) ~= "string" and getmetatable(a)
  local f = ma and ma[name]
  if not f then
    local mb = type(b) ~= "string" and getmetatable(b)
    f = mb and mb[name]
  end
  return f
end

local function joined(a, b, mt)
  local out = table.move(a, 1, #a, 1, {})
  return setmetatable(table.move(b, 1, #b, #out + 1, out), mt)
end

function M.add(a, b)
  local ta, tb = math_type(a), math_type(b)
  if ta == "integer" and tb == "integer" then
    local r = a + b
    if (a ~ r) & (b ~ r) < 0 then return bigint.add(a, b) end
    return r
  elseif ta and tb then
    return a + b
  end
  if type(a) == "string" and type(b) == "string" then return a .. b end
  local x, y = number(a), number(b)
  if x and y then
    if has_big(x, y) then
      if math_type(x) == "float" or math_type(y) == "float" then return float(x) + float(y) end
      return bigint.add(x, y)
    end
    return M.add(x, y)
  end
  local ma, mb = getmetatable(a), getmetatable(b)
  if ma == mb and (ma == List or ma == Tuple) and type(a) == "table" then return joined(a, b, ma) end
  local f = metamethod("__add", a, b)
  if f then
    local r = f(a, b)
    if r ~= nil then return r end
  end
  if type(a) == "string" and type(b) ~= "table" or type(a) == "string" and mb ~= Undefined then
    return fault.type(('can only concatenate str (not "%s") to str'):format(type_name(b)))
  end
  return unsupported("+", a, b)
end

function M.sub(a, b)
  local ta, tb = math_type(a), math_type(b)
  if ta == "integer" and tb == "integer" then
    local r = a - b
    if (a ~ b) & (a ~ r) < 0 then return bigint.sub(a, b) end
    return r
  elseif ta and tb then
    return a - b
  end
  local x, y = number(a), number(b)
  if x and y then
    if has_big(x, y) then
      if math_type(x) == "float" or math_type(y) == "float" then return float(x) - float(y) end
      return bigint.sub(x, y)
    end
    return M.sub(x, y)
  end
  local f = metamethod("__sub", a, b)
  local r = f and f(a, b)
  if r ~= nil and r ~= false then return r end
  return unsupported("-", a, b)
end

-- most bytes or items that a repetition gives
local LARGEST_TEXT, LARGEST_LIST = 100000000, 10000000

local function repeated(x, n)
  if getmetatable(n) == Big then return fault.raise("OverflowError", "cannot repeat that often") end
  local is_text = type(x) == "string"
  if n < 0 or #x == 0 then n = 0 end
  if #x > 0 and n > (is_text and LARGEST_TEXT or LARGEST_LIST) // #x then
    return fault.raise("MemoryError", "the repetition is too long")
  end
  if is_text then return x:rep(n) end
  local out, size = {}, #x
  for i = 0, n - 1 do table.move(x, 1, size, i * size + 1, out) end
  return setmetatable(out, getmetatable(x))
end

local function integer(x)
  local n = number(x)
  return n and math_type(n) ~= "float" and n or nil
end

local function is_sequence(x)
  if type(x) == "string" then return true end
  local mt = type(x) == "table" and getmetatable(x)
  return mt == List or mt == Tuple
end

function M.mul(a, b)
  local ta, tb = math_type(a), math_type(b)
  if ta == "integer" and tb == "integer" then
    if a < 2147483648 and a > -2147483648 and b < 2147483648 and b > -2147483648 then return a * b end
    return bigint.mul(a, b)
  elseif ta and tb then
    return a * b
  end
  local x, y = number(a), number(b)
  if x and y then
    if has_big(x, y) then
      if math_type(x) == "float" or math_type(y) == "float" then return float(x) * float(y) end
      return bigint.mul(x, y)
    end
    return M.mul(x, y)
  end
  if is_sequence(a) and integer(b) then return repeated(a, integer(b)) end
  if is_sequence(b) and integer(a) then return repeated(b, integer(a)) end
  local f = metamethod("__mul", a, b)
  local r = f and f(a, b)
  if r then return r end
  return unsupported("*", a, b)
end

local function zero(what) return fault.raise("ZeroDivisionError", what or "division by zero") end

function M.div(a, b)
  local x, y = number(a), number(b)
  if x and y then
    if y == 0 then return zero() end
    if has_big(x, y) then return float(x) / float(y) end
    return x / y
  end
  local f = metamethod("__div", a, b)
  local r = f and f(a, b)
  if r then return r end
  return unsupported("/", a, b)
end

-- Python's quotient and rest of floats: the rest has the divisor's sign, zero too, and the quotient fits it.
local function float_divmod(x, y)
  local rest = math.fmod(x, y)
  local quotient = (x - rest) / y
  if rest ~= 0 then
    if (y < 0) ~= (rest < 0) then
      rest = rest + y
      quotient = quotient - 1
    end
  elseif rest == 0 then
    rest = y < 0 and -0.0 or 0.0
  end
  if quotient == 0 then return x / y * 0.0, rest end
  local floored = math.floor(quotient)
  if quotient ~= quotient or floored - 0.0 ~= floored then return quotient, rest end
  if quotient - floored > 0.5 then floored = floored + 1 end
  return floored - 0.0, rest
end

function M.idiv(a, b)
  local x, y = number(a), number(b)
  if x and y then
    if y == 0 then return zero("integer division or modulo by zero") end
    if has_big(x, y) or x == math.mininteger and y == -1 then
      if math_type(x) == "float" or math_type(y) == "float" then return (float_divmod(float(x), float(y))) end
      return (bigint.divmod(x, y))
    end
    if math_type(x) == "float" or math_type(y) == "float" then return (float_divmod(x - 0.0, y - 0.0)) end
    return x // y
  end
  local f = metamethod("__idiv", a, b)
  local r = f and f(a, b)
  if r then return r end
  return unsupported("//", a, b)
end

function M.mod(a, b)
  local ta = type(a)
  if ta == "string" or ta == "table" and getmetatable(a) == Markup then
    return require("jinja.percent").format(a, b)
  end
  local x, y = number(a), number(b)
  if x and y then
    if y == 0 then return zero("integer modulo by zero") end
    if has_big(x, y) then
      if math_type(x) == "float" or math_type(y) == "float" then
        return (select(2, float_divmod(float(x), float(y))))
      end
      local _, r = bigint.divmod(x, y)
      return r
    end
    if math_type(x) == "float" or math_type(y) == "float" then
      return (select(2, float_divmod(x - 0.0, y - 0.0)))
    end
    return x % y
  end
  local f = metamethod("__mod", a, b)
  local r = f and f(a, b)
  if r then return r end
  return unsupported("%", a, b)
end

function M.pow(a, b)
  local x, y = number(a), number(b)
  if not (x and y) then
    local f = metamethod("__pow", a, b)
    local r = f and f(a, b)
    if r then return r end
    return unsupported("** or pow()", a, b)
  end
  if math_type(x) ~= "float" and math_type(y) ~= "float" then
    if getmetatable(y) == Big then
      if x == 0 or x == 1 then return x end
      return fault.raise("OverflowError", "the exponent is too large")
    end
    if y >= 0 then
      local r = bigint.pow(x, y)
      if r == nil then return fault.raise("OverflowError", "the result of ** is too large") end
      return r
    end
    if x == 0 then return zero("0.0 cannot be raised to a negative power") end
    return float(x) ^ float(y)
  end
  x, y = float(x), float(y)
  if x == 0 and y < 0 then return zero("0.0 cannot be raised to a negative power") end
  local r = x ^ y
  if x < 0 and x ~= -math.huge and y ~= math.floor(y) then
    return fault.value("a negative number to a power that is no whole one is complex: there are no such numbers here")
  end
  if r == math.huge and x ~= math.huge and y ~= math.huge and x ~= -math.huge and y ~= -math.huge then
    return fault.raise("OverflowError", "the result of ** is too large")
  end
  return r
end

function M.neg(a)
  local x = number(a)
  if x then
    if getmetatable(x) == Big or x == math.mininteger then return bigint.neg(x) end
    return -x
  end
  local f = metamethod("__unm", a)
  if f then return f(a) end
  if type(a) == "table" and getmetatable(a) == Undefined then undefined_error(a) end
  return fault.type(("bad operand type for unary -: '%s'"):format(type_name(a)))
end

function M.plus(a)
  local x = number(a)
  if x then return x end
  if type(a) == "table" then
    local mt = getmetatable(a)
    if mt == Undefined then undefined_error(a) end
    if mt and mt.__unm then return a end
  end
  return fault.type(("bad operand type for unary +: '%s'"):format(type_name(a)))
end

--- A long chain of + and -.
function M.sumn(ops, items)
  local r = items[1]
  for i = 2, #items do
    if ops:sub(i - 1, i - 1) == "+" then r = M.add(r, items[i]) else r = M.sub(r, items[i]) end
  end
  return r
end

-- Comparison -------------------------------------------------------------------------------------

local eq

local function same_items(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do
    local x, y = a[i], b[i]
    -- nan equals nothing, but a container compares identities first
    if not eq(x, y) and not (x ~= x and y ~= y) then return false end
  end
  return true
end

local function same_dict(a, b)
  local order = rawget(a, ORDER)
  if #order ~= #rawget(b, ORDER) then return false end
  for i = 1, #order do
    local k = order[i]
    local other = classes.dict_get(b, k)
    if other == nil or not eq(rawget(a, k), other) then return false end
  end
  return true
end

local function view_set(x)
  if getmetatable(x) == Set then return x end
  if getmetatable(x) == View and x.kind ~= "values" then return classes.set((iterate.seq(x))) end
end

local function subset(a, b)
  for i = 1, #a.items do
    if not classes.set_has(b, a.items[i]) then return false end
  end
  return true
end

--- Python's ==.
eq = function(a, b)
  if rawequal(a, b) then return a == a end
  local ta, tb = type(a), type(b)
  if ta ~= "table" and tb ~= "table" and ta ~= "userdata" and tb ~= "userdata" then
    if ta == tb then return a == b end
    if ta == "boolean" and tb == "number" then return b == (a and 1 or 0) end
    if ta == "number" and tb == "boolean" then return a == (b and 1 or 0) end
    return false
  end
  local ma, mb
  if ta ~= "string" then ma = getmetatable(a) end
  if tb ~= "string" then mb = getmetatable(b) end
  if ma == mb then
    if ma == List or ma == Tuple then return same_items(a, b) end
    if ma == Dict then return same_dict(a, b) end
    if ma == Undefined then return true end
    if ma == classes.Range then
      return a.n == b.n and (a.n == 0 or a.start == b.start and (a.n == 1 or a.step == b.step))
    end
  end
  if ma == Markup and tb == "string" then return a.text == b end
  if mb == Markup and ta == "string" then return b.text == a end
  if ma == Big and mb ~= Big and tb == "number" then return math_type(b) == "float" and bigint.float(a) == b end
  if mb == Big and ma ~= Big and ta == "number" then return math_type(a) == "float" and bigint.float(b) == a end
  if ma == View and mb == View and a.kind == "items" and b.kind == "items" then return same_dict(a.dict, b.dict) end
  if (ma == Set or ma == View) and (mb == Set or mb == View) then
    local sa, sb = view_set(a), view_set(b)
    if sa and sb then return #sa.items == #sb.items and subset(sa, sb) end
  end
  local f = ma and ma.__eq or mb and mb.__eq
  if f then return f(a, b) and true or false end
  return false
end
M.eq = eq

function M.ne(a, b) return not eq(a, b) end

local compare_names = { lt = "<", le = "<=", gt = ">", ge = ">=" }

local function not_ordered(op, a, b)
  for _, x in ipairs { a, b } do
    if type(x) == "table" and getmetatable(x) == Undefined then undefined_error(x) end
  end
  return fault.type(("'%s' not supported between instances of '%s' and '%s'")
    :format(compare_names[op], type_name(a), type_name(b)))
end

local plain = {
  lt = function(a, b) return a < b end, le = function(a, b) return a <= b end,
  gt = function(a, b) return a > b end, ge = function(a, b) return a >= b end,
}

local function order(op, a, b)
  local f = plain[op]
  local x, y = number(a), number(b)
  if x and y then
    if has_big(x, y) then
      if math_type(x) == "float" or math_type(y) == "float" then return f(float(x), float(y)) end
      return f(bigint.compare(x, y), 0)
    end
    return f(x, y)
  end
  if type(a) == "table" and getmetatable(a) == Markup then a = a.text end
  if type(b) == "table" and getmetatable(b) == Markup then b = b.text end
  if type(a) == "string" and type(b) == "string" then return f(a, b) end
  local ma, mb = getmetatable(a), getmetatable(b)
  if type(a) == "table" and type(b) == "table" then
    if ma == mb and (ma == List or ma == Tuple) then
      for i = 1, math.min(#a, #b) do
        if not eq(a[i], b[i]) then return M[op](a[i], b[i]) end
      end
      return f(#a, #b)
    end
    local sa, sb = view_set(a), view_set(b)
    if sa and sb then
      if op == "le" then return subset(sa, sb) elseif op == "ge" then return subset(sb, sa) end
      if op == "lt" then return #sa.items < #sb.items and subset(sa, sb) end
      return #sb.items < #sa.items and subset(sb, sa)
    end
    if ma == mb and ma and ma.__lt and ma ~= Big then return f(a, b) end
  end
  -- exact numbers of the database beside plain ones
  local float_a, float_b = type(a) == "table" and ma.__float, type(b) == "table" and mb.__float
  if float_a or float_b then
    x, y = float_a and float_a(a) or x, float_b and float_b(b) or y
    if math_type(x) and math_type(y) then return f(x, y) end
  end
  return not_ordered(op, a, b)
end

for op, f in pairs(plain) do
  M[op] = function(a, b)
    if math_type(a) and math_type(b) then return f(a, b) end
    return order(op, a, b)
  end
end

--- Python's `item in container`.
function M.has(x, container)
  local t = type(container)
  if t == "string" or t == "table" and getmetatable(container) == Markup then
    if t == "table" then container = container.text end
    if type(x) == "table" and getmetatable(x) == Markup then x = x.text end
    if type(x) ~= "string" then
      if type(x) == "table" and getmetatable(x) == Undefined then undefined_error(x) end
      return fault.type(("'in <string>' requires string as left operand, not %s"):format(type_name(x)))
    end
    return container:find(x, 1, true) ~= nil
  end
  local mt = t == "table" and getmetatable(container)
  if mt == Dict then return classes.dict_get(container, x) ~= nil end
  if mt == Set then return classes.set_has(container, x) end
  if mt == View and container.kind == "keys" then return classes.dict_get(container.dict, x) ~= nil end
  if mt == Undefined then return false end
  local any = t == "table" and mt or t == "userdata" and container ~= none and getmetatable(container)
  if type(any) == "table" and any.__contains then return any.__contains(container, x) and true or false end
  if not iterate.iterable(container) then
    return fault.type(("argument of type '%s' is not iterable"):format(type_name(container)))
  end
  for _, item in iterate.iter(container) do
    if eq(item, x) or item ~= item and x ~= x then return true end
  end
  return false
end

--- A chain `a < b < c`: later operands are functions, called only as far as needed.
function M.chain(first, op, second, ...)
  local function test(o, a, b)
    if o == "in" then return M.has(a, b) elseif o == "notin" then return not M.has(a, b) end
    return M[o](a, b)
  end
  if not test(op, first, second) then return false end
  local rest = { ... }
  local left = second
  for i = 1, #rest, 2 do
    local right = rest[i + 1]()
    if not test(rest[i], left, right) then return false end
    left = right
  end
  return true
end

return M
