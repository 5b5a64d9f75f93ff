--- Jinja's own global names: range, dict, namespace, cycler, joiner, lipsum.

local value = require "jinja.value"
local classes = require "jinja.classes"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local registry = require "jinja.registry"
local fault = require "jinja.fault"

local G = runtime.globals
local ORDER = value.ORDER

-- most items of a range, as in Jinja2's sandbox
local LARGEST_RANGE = 100000

local function integer(x)
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  return fault.type(("'%s' object cannot be interpreted as an integer"):format(runtime.type_name(x)))
end

--- range(stop), range(start, stop, step).
local function range(...)
  local n = select("#", ...)
  local a, b, c = ...
  if n < 1 or n > 3 or value.is_kwargs(select(n, ...)) then return fault.type("range expects 1 to 3 arguments") end
  local start, stop, step = 0, integer(a), 1
  if n >= 2 then start, stop = stop, integer(b) end
  if n == 3 then step = integer(c) end
  if step == 0 then return fault.value("range() arg 3 must not be zero") end
  local count = step > 0 and (stop - start + step - 1) // step or (start - stop - step - 1) // -step
  count = math.max(0, count)
  if count > LARGEST_RANGE then
    return fault.raise("OverflowError",
      ("Range too big. The sandbox blocks ranges larger than MAX_RANGE (%d)."):format(LARGEST_RANGE))
  end
  return setmetatable({ start = start, stop = stop, step = step, n = count }, classes.Range)
end
G.range = range

-- fills d from a mapping or pairs
local function fill(d, source)
  if value.is_dict(source) then
    for _, k in ipairs(source[ORDER]) do classes.dict_set(d, k, rawget(source, k)) end
  else
    for _, pair in iterate.iter(source) do
      local k, v = iterate.unpack2(pair)
      classes.dict_set(d, k, v)
    end
  end
  return d
end

local function dict_of(name, ...)
  local n = select("#", ...)
  local args = { ... }
  local kw
  if n > 0 and value.is_kwargs(args[n]) then
    kw = args[n]
    n = n - 1
  end
  if n > 1 then return fault.type(("%s expected at most 1 argument, got %d"):format(name, n)) end
  local d = value.dict()
  if n == 1 then fill(d, args[1]) end
  if kw then
    for _, k in ipairs(kw[ORDER]) do classes.dict_set(d, k, kw[k]) end
  end
  return d
end

classes.Type.__call = function(t, ...) return t.new(...) end
classes.Type.__getattr = function(t, name) return t.attributes and t.attributes[name] end
G.dict = setmetatable({ name = "dict", new = function(...) return dict_of("dict", ...) end,
  attributes = { fromkeys = function(keys, v)
    local d = value.dict()
    for _, k in iterate.iter(keys) do classes.dict_set(d, k, v == nil and value.none or v) end
    return d
  end } }, classes.Type)

function G.namespace(...) return classes.namespace(dict_of("namespace", ...)) end

local Cycler = { __name = "dex.cycler", __pytype = "Cycler", __methods = {} }
local cycler_method = registry.definer(Cycler.__methods)
cycler_method("next()", function(c)
  local item = c.items[c.pos + 1]
  c.pos = (c.pos + 1) % #c.items
  return item
end)
cycler_method("reset()", function(c) c.pos = 0 end)
Cycler.__getattr = function(c, name)
  if name == "current" then return c.items[c.pos + 1] end
  if name == "items" then return value.tuple(table.move(c.items, 1, #c.items, 1, {})) end
  if name == "pos" then return c.pos end
end

function G.cycler(...)
  local items = { ... }
  if #items == 0 then return fault.raise("RuntimeError", "at least one item has to be provided") end
  if value.is_kwargs(items[#items]) then return fault.type("cycler() takes no keyword arguments") end
  return setmetatable({ items = items, pos = 0 }, Cycler)
end

G.joiner = value.fn("joiner(sep=', ')", function(sep)
  local used = false
  return value.fn("joiner()", function()
    if not used then
      used = true
      return ""
    end
    return sep
  end)
end)

G.lipsum = value.fn("lipsum(n=5, html=true, min=20, max=100)", function() return "Lorem ipsum dolor sit amet." end)
G["return"] = runtime.RET

return { range = range, fill = fill, dict_of = dict_of }
