--- Jinja's tests: `x is name`.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local ops = require "jinja.ops"
local bigint = require "jinja.bigint"
local unicode = require "jinja.unicode"

local test, alias = registry.test, registry.alias
local none = value.none

local function meta(x) return type(x) == "table" and getmetatable(x) or nil end

test("defined()", function(x) return not value.is_undefined(x) end)
test("undefined()", function(x) return value.is_undefined(x) end)
test("none()", function(x) return x == none end)
test("true()", function(x) return x == true end)
test("false()", function(x) return x == false end)
test("boolean()", function(x) return type(x) == "boolean" end)
test("integer()", function(x) return math.type(x) == "integer" or bigint.is(x) end)
test("float()", function(x) return math.type(x) == "float" end)
test("number()", function(x) return type(x) == "number" or type(x) == "boolean" or bigint.is(x) end)
test("string()", function(x) return type(x) == "string" or meta(x) == classes.Markup end)
test("mapping()", function(x)
  local mt = meta(x)
  return mt == value.Dict or mt ~= nil and mt.__mapping == true
end)
test("iterable()", function(x)
  if x == none then return false end
  return iterate.iterable(x)
end)
test("sequence()", function(x)
  if type(x) == "string" then return true end
  local mt = meta(x)
  if mt == value.Undefined then return true end
  return mt == value.List or mt == value.Tuple or mt == value.Dict or mt == classes.Range or mt == classes.Bytes
    or mt == classes.Markup or mt ~= nil and mt.__len ~= nil and mt.__getitem ~= nil
end)
test("callable()", runtime.callable)
test("sameas(other)", function(x, other)
  if type(x) == "number" and type(other) == "number" then return math.type(x) == math.type(other) and x == other end
  return rawequal(x, other)
end)
test("escaped()", function(x) return meta(x) == classes.Markup end)

test("odd()", function(x) return ops.eq(ops.mod(x, 2), 1) end)
test("even()", function(x) return ops.eq(ops.mod(x, 2), 0) end)
test("divisibleby(num)", function(x, n) return ops.eq(ops.mod(x, n), 0) end)

local function cased(class, other)
  return function(x)
    local s = printing.str(x)
    local found = false
    for _, c in utf8.codes(s, true) do
      if unicode.is(other, c) or unicode.is("title", c) then return false end
      if unicode.is(class, c) then found = true end
    end
    return found
  end
end
test("lower()", cased("lower", "upper"))
test("upper()", cased("upper", "lower"))

test("in(seq)", function(x, seq) return ops.has(x, seq) end)
test("eq(other)", ops.eq)
test("ne(other)", ops.ne)
test("lt(other)", ops.lt)
test("le(other)", ops.le)
test("gt(other)", ops.gt)
test("ge(other)", ops.ge)
for new, old in pairs { ["=="] = "eq", equalto = "eq", ["!="] = "ne", ["<"] = "lt", lessthan = "lt", ["<="] = "le",
  [">"] = "gt", greaterthan = "gt", [">="] = "ge" } do
  alias("test", new, old)
end
local function hashable(x) return classes.hashed(x) end
test("filter()", function(x) return hashable(x) and type(x) == "string" and registry.signature("filter", x) ~= nil end)
test("test()", function(x) return hashable(x) and type(x) == "string" and registry.signature("test", x) ~= nil end)

return {}
