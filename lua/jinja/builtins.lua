--- dbt's global functions that need no project and no database: JSON, YAML, sets, zip, md5, modules.

local value = require "jinja.value"
local classes = require "jinja.classes"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local json = require "jinja.json"
local unicode = require "jinja.unicode"
local err = require "err"
local fault = require "jinja.fault"

local M = {}

local none = value.none
local fn = value.fn

-- f(...), or nil when it raises an error of one of these kinds
local function attempt(kinds, f, ...)
  local ok, result = pcall(f, ...)
  if ok then return result end
  if err.is(result) and kinds[result.kind] then return nil end
  error(result, 0)
end

local function need_text(x, what)
  if type(x) == "string" then return x end
  if type(x) == "table" and getmetatable(x) == classes.Markup then return x.text end
  if type(x) == "table" and getmetatable(x) == classes.Bytes then return x.text end
  return fault.type(("%s wants text, not %s"):format(what, runtime.type_name(x)))
end

--- fromjson(text): the default when the text is no JSON.
M.fromjson = fn("fromjson(string, default=none)", function(s, default)
  s = need_text(s, "fromjson()")
  local v = attempt({ JSONDecodeError = true }, json.decode, s)
  if v == nil then return default end
  return v
end)

M.tojson = fn("tojson(value, default=none, sort_keys=false)", function(x, default, sort_keys)
  local s = attempt({ ValueError = true }, json.encode, x, { sort_keys = runtime.truth(sort_keys) })
  if s == nil then return default end
  return s
end)

M.fromyaml = fn("fromyaml(value, default=none)", function(s, default)
  local yaml = require "jinja.yaml"
  local ok, result = pcall(yaml.load, s)
  if ok then return result end
  if err.is(result) and result.kind == "YAMLError" then return default end
  error(result, 0)
end)

M.toyaml = fn("toyaml(value, default=none, sort_keys=false)", function(x, default, sort_keys)
  local yaml = require "jinja.yaml"
  local ok, result = pcall(yaml.dump, x, runtime.truth(sort_keys))
  if ok then return result end
  if err.is(result) and result.kind == "ValueError" then return default end
  error(result, 0)
end)

local function make_set(x) return classes.set((iterate.array(x))) end

M.set = fn("set(value, default=none)", function(x, default)
  local s = attempt({ TypeError = true }, make_set, x)
  if s == nil then return default end
  return s
end)
M.set_strict = fn("set_strict(value)", make_set)

local function zipped(sources)
  local steps = {}
  for i, x in ipairs(sources) do
    if not iterate.iterable(x) then
      return fault.type(("zip argument #%d must support iteration"):format(i))
    end
    steps[i] = iterate.stepper(x)
  end
  local g = classes.generator(function()
    if #steps == 0 then return nil end
    local row = {}
    for i, step in ipairs(steps) do
      row[i] = step()
      if row[i] == nil then return nil end
    end
    return value.tuple(row)
  end)
  g.name = "zip"
  return g
end

local function split(name, ...)
  local args = { ... }
  local n = select("#", ...)
  local default = none
  if n > 0 and value.is_kwargs(args[n]) then
    local kw = args[n]
    args[n] = nil
    for _, k in ipairs(kw[value.ORDER]) do
      if k ~= "default" or name == "zip_strict" then
        return fault.type(("%s() got an unexpected keyword argument '%s'"):format(name, k))
      end
      default = kw[k]
    end
  end
  return args, default
end

function M.zip(...)
  local args, default = split("zip", ...)
  local z = attempt({ TypeError = true }, zipped, args)
  if z == nil then return default end
  return z
end
function M.zip_strict(...) return zipped((split("zip_strict", ...))) end

M.local_md5 = fn("local_md5(value)", function(x)
  if type(x) ~= "string" then
    if type(x) == "table" and getmetatable(x) == classes.Markup then
      x = x.text
    else
      return fault.raise("AttributeError", ("'%s' object has no attribute 'encode'"):format(runtime.type_name(x)))
    end
  end
  return require("dex.hash").md5(x)
end)

local function lowered(list)
  local out = {}
  for _, item in iterate.iter(list) do
    if type(item) ~= "string" then
      return fault.raise("AttributeError", ("'%s' object has no attribute 'lower'"):format(runtime.type_name(item)))
    end
    out[unicode.lower(item)] = true
  end
  return out
end

M.diff_of_two_dicts = fn("diff_of_two_dicts(dict_a, dict_b)", function(a, b)
  if not value.is_dict(a) or not value.is_dict(b) then
    return fault.raise("AttributeError", "diff_of_two_dicts() wants two dicts of lists")
  end
  local other = {}
  for _, k in ipairs(b[value.ORDER]) do other[unicode.lower(k)] = lowered(b[k]) end
  local out = value.dict()
  for _, k in ipairs(a[value.ORDER]) do
    local have = other[unicode.lower(k)]
    if not have then
      out[k] = a[k]
    else
      local missing = value.list {}
      for _, item in iterate.iter(a[k]) do
        if not have[unicode.lower(item)] then missing[#missing + 1] = item end
      end
      if #missing > 0 then out[k] = missing end
    end
  end
  return out
end)

--- `modules`: a dict of dicts. Each module is loaded when it is first looked at.
function M.modules()
  local modules = value.dict()
  for _, name in ipairs { "datetime", "pytz", "re", "itertools" } do
    local ok, module = pcall(require, "jinja.modules." .. name)
    modules[name] = ok and module or value.dict()
    if not ok and not tostring(module):find("not found", 1, true) then error(module, 0) end
  end
  return modules
end

return M
