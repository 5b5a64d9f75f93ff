--- Functions that every template has, whatever it is for: they need nothing but their arguments.

local err = require "err"
local hash = require "dex.hash"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}

local none, opt = value.none, value.opt

--- The version of dbt whose context this is: packages compare it with what they need.
M.DBT_VERSION = "1.12.3"

local function items_of(x)
  local iterate = require "jinja.iterate"
  if opt(x) == nil or not iterate.iterable(x) then return nil end
  return (iterate.array(x))
end

local function to_set(x, strict)
  local items = items_of(x)
  if items then return require("jinja.classes").set(items) end
  if strict then
    err.raise { code = 204, kind = "TypeError", message = ("set_strict: '%s' object is not iterable"):format(
      require("jinja.runtime").type_name(x)) }
  end
  return nil
end

-- Tuples of the first items, the second ones and so on, as long as the shortest has any.
local function zip(lists, strict)
  local columns, shortest = {}, math.huge
  for i, list in ipairs(lists) do
    columns[i] = items_of(list)
    if not columns[i] then
      if not strict then return nil end
      err.raise { code = 204, kind = "TypeError", message = ("zip_strict: argument #%d is not iterable"):format(i) }
    end
    shortest = math.min(shortest, #columns[i])
  end
  local out = value.list()
  for r = 1, #columns > 0 and shortest or 0 do
    local row = {}
    for i, column in ipairs(columns) do row[i] = column[r] end
    out[r] = value.tuple(row)
  end
  return out
end

local function lowered(list)
  local set = {}
  for _, item in ipairs(list) do set[tostring(item):lower()] = true end
  return set
end

-- dict_a without what dict_b has: lists of texts by key, compared without regard to case.
local function diff_of_two_dicts(a, b)
  local known = {}
  for key, list in pairs(b) do known[key:lower()] = lowered(list) end
  local diff = value.dict()
  for key, list in pairs(a) do
    local others = known[key:lower()]
    if not others then
      diff[key] = list
    else
      local rest = value.list()
      for _, item in ipairs(list) do
        if not others[tostring(item):lower()] then rest[#rest + 1] = item end
      end
      if #rest > 0 then diff[key] = rest end
    end
  end
  return diff
end

-- Decoders give `default` for what cannot be decoded; a wrong type of argument is an error in Python too.
local function decoded(name, decode)
  return function(text, default)
    if type(text) ~= "string" then
      err.raise { code = 204, kind = "TypeError", message = ("%s needs text, not '%s'"):format(name,
        require("jinja.runtime").type_name(text)) }
    end
    local ok, result = pcall(decode, text)
    if ok then return result end
    return default
  end
end

local function decode_yaml(text) return (require("dex.yaml").decode(text)) end

local function any_validator(allowed)
  return function(v)
    local ops = require "jinja.ops"
    for _, one in ipairs(allowed) do
      if ops.eq(one, v) then return none end
    end
    local shown = {}
    for i, one in ipairs(allowed) do shown[i] = tostring(one) end
    err.raise { code = 236, message = ('expected value "%s" to be one of %s'):format(tostring(v),
      table.concat(shown, ",")) }
  end
end

local function constant(v) return function() return v end end

local functions = {
  fromjson = value.fn("fromjson(string, default=none)", decoded("fromjson", json.decode)),
  tojson = value.fn("tojson(value, default=none, sort_keys=false)", function(v, _, sort_keys)
    return json.encode(v, { sort_keys = sort_keys == true })
  end),
  fromyaml = value.fn("fromyaml(value, default=none)", decoded("fromyaml", decode_yaml)),
  toyaml = value.fn("toyaml(value, default=none, sort_keys=false)", function(v, _, sort_keys)
    return require("run.yaml_text").dump(v, sort_keys == true)
  end),
  set = value.fn("set(value, default=none)", function(v, default) return to_set(v) or default end),
  set_strict = value.fn("set_strict(value)", function(v) return to_set(v, true) end),
  zip = value.fn("zip(*args, **kwargs)", function(args, kwargs) return zip(args) or value.or_none(kwargs.default) end),
  zip_strict = value.fn("zip_strict(*args)", function(args) return zip(args, true) end),
  diff_of_two_dicts = value.fn("diff_of_two_dicts(dict_a, dict_b)", diff_of_two_dicts),
  local_md5 = value.fn("local_md5(value)", function(text) return hash.md5(tostring(text)) end),
  otel_trace_id = constant(("0"):rep(32)),
  otel_span_id = constant(("0"):rep(16)),
  dbt_version = M.DBT_VERSION,
  validation = value.dict("any", value.fn("any(*args)", any_validator)),
}

setmetatable(functions, { __index = function(t, name)
  if name ~= "modules" then return nil end
  local modules = require "jinja.modules"
  rawset(t, "modules", modules)
  return modules
end })

--- The functions by name. One table for all contexts: it is not to be changed.
---@return table<string, any>
function M.pure() return functions end

return M
