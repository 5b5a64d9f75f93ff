--- Filters, tests and methods: where they are defined, and how arguments find their parameters.
-- A signature is "name(a, b, c?)": `?` marks what may be left out (the function then gets nil). "*args" at the end
-- takes any number. The compiler places a filter's arguments once; methods are checked when they are called.
-- "raw" filters get (subject, args table with n, keyword table or nil).

local err = require "err"

local M = {}

--- Functions by name, called directly by compiled templates.
M.filters, M.tests = {}, {}

local signatures = { filter = {}, test = {} }

--- Those of the project at hand, by kind and name: functions of a value and arguments. They come before the built-in
--- ones.
M.own = { filter = {}, test = {} }

local function parse(spec)
  local name, inside = spec:match("^([%w_]+)%((.*)%)$")
  assert(name, spec)
  local sig = { name = name, params = {}, index = {}, min = 0, max = 0 }
  for word in inside:gmatch("[^,%s]+") do
    if word:sub(1, 1) == "*" then
      sig.varargs = true
    else
      local param, optional = word:match("^([%w_]+)(%??)$")
      sig.max = sig.max + 1
      sig.params[sig.max] = param
      sig.index[param] = sig.max
      if optional == "" then sig.min = sig.max end
    end
  end
  if sig.varargs then sig.limit = math.huge else sig.limit = sig.max end
  return sig
end

local function define(kind, box)
  return function(spec, fn, raw)
    local sig = parse(spec)
    sig.raw = raw
    sig.fn = fn
    box[sig.name] = fn
    signatures[kind][sig.name] = sig
  end
end

--- Defines a filter: the function gets the subject first, then the parameters of the signature.
M.filter = define("filter", M.filters)
--- Defines a test in the same way.
M.test = define("test", M.tests)

--- Another name for a filter or test.
function M.alias(kind, new, old)
  local box = kind == "filter" and M.filters or M.tests
  box[new] = box[old]
  signatures[kind][new] = signatures[kind][old]
end

function M.signature(kind, name) return signatures[kind][name] end

--- All names of a kind, for hints.
function M.names(kind)
  local out = {}
  for name in pairs(signatures[kind]) do out[#out + 1] = name end
  for name in pairs(M.own[kind]) do out[#out + 1] = name end
  return out
end

--- Places a call's arguments: parameter number -> argument number, negative for the keyword of that number. nil, a
--- message and perhaps a hint when they do not fit.
function M.place(sig, count, names)
  if sig.raw then return nil, nil end
  if count > sig.limit then
    return nil, ("%s() takes at most %d argument%s but %d were given")
      :format(sig.name, sig.max, sig.max == 1 and "" or "s", count)
  end
  local out = {}
  for i = 1, count do out[i] = i end
  for i, name in ipairs(names or {}) do
    local at = sig.index[name]
    if not at then
      return nil, ("%s() has no parameter '%s'"):format(sig.name, name), err.did_you_mean(name, sig.params)
    end
    if out[at] then return nil, ("%s() got '%s' twice"):format(sig.name, name) end
    out[at] = -i
  end
  for i = 1, sig.min do
    if not out[i] then return nil, ("%s() needs the argument '%s'"):format(sig.name, sig.params[i]) end
  end
  return out
end

--- A definer of methods for one type: `def(spec, fn)` puts an entry into `methods`; the function gets the object first.
---@param methods table
---@param pure boolean|nil names of several types share nothing when false
function M.definer(methods, pure)
  return function(spec, fn)
    local sig = parse(spec)
    sig.fn = fn
    sig.pure = pure
    methods[sig.name] = sig
  end
end

return M
