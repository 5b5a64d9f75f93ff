--- Python's type() and bool() of a value, and how a false value passes through Lua's own `and` and `or`.

local value = require "jinja.value"
local classes = require "jinja.classes"

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple, Undefined = value.Dict, value.List, value.Tuple, value.Undefined
local type, getmetatable, rawget, next = type, getmetatable, rawget, next
local math_type = math.type

--- Python's name of a value's type.
function M.type_name(x)
  local t = type(x)
  if t == "string" then return "str" end
  if t == "number" then return math_type(x) == "integer" and "int" or "float" end
  if t == "boolean" then return "bool" end
  if x == none or x == nil then return "NoneType" end
  if t == "function" then return "function" end
  local mt = getmetatable(x)
  if type(mt) ~= "table" then return "object" end
  if mt == classes.View then return "dict_" .. x.kind end
  return mt.__pytype or mt.__name or "object"
end

--- Python's bool().
function M.truth(x)
  local t = type(x)
  if t == "boolean" then return x end
  if t == "string" then return x ~= "" end
  if t == "number" then return x ~= 0 end
  if x == none or x == nil then return false end
  if t == "function" then return true end
  local mt = getmetatable(x)
  if mt == List or mt == Tuple then return x[1] ~= nil end
  if mt == Dict then return rawget(x, ORDER)[1] ~= nil end
  if mt == Undefined then return false end
  if type(mt) ~= "table" then return t ~= "table" or next(x) ~= nil end
  local f = mt.__truth
  if f then return f(x) and true or false end
  f = mt.__len
  if f then return f(x) > 0 end
  return true
end

local truth = M.truth

-- false on its way through Lua's `and` and `or`; no table, to which a value with an __eq of its own could be equal
local function FALSE() end

--- x when it is true, else nil: the left side of `or`.
function M.FL(x) if truth(x) then return x end end

--- nil when x is true, else x wrapped: `TF(a) or b` is Python's `a and b`, to be unwrapped by UF.
function M.TF(x)
  if truth(x) then return nil end
  if x == false then return FALSE end
  return x
end

function M.WF(x) if x == false then return FALSE end return x end
function M.UF(x) if x == FALSE then return false end return x end

return M
