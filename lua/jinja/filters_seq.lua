--- Filters about sequences and mappings. Lazy where Jinja2's are; functions from the template are only ever called
-- from Lua.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local ops = require "jinja.ops"
local unicode = require "jinja.unicode"
local text = require "jinja.text"
local sorting = require "jinja.sorting"
local fault = require "jinja.fault"
local spend = require("jinja.limits").spend

local M = {}

local filter, alias = registry.filter, registry.alias
local none = value.none
local str, truth = printing.str, runtime.truth

local function given(x) return x ~= nil and x ~= none end
local function flag(x, default) if x == nil then return default end return truth(x) end

-- safe text is text
local function lower_if_text(x)
  if type(x) == "string" then return unicode.lower(x) end
  if type(x) == "table" and getmetatable(x) == classes.Markup then return unicode.lower(x.text) end
  return x
end

--- A function item -> item's attribute "a.b.0"; `default` stands for undefined ones.
---@param attribute string|integer
function M.getter(attribute, post, default)
  local parts = {}
  if math.type(attribute) == "integer" then
    parts[1] = attribute
  else
    for part in (str(attribute) .. "."):gmatch("([^.]*)%.") do
      parts[#parts + 1] = part:find("^%d+$") and math.tointeger(tonumber(part)) or part
    end
  end
  return function(x)
    for _, part in ipairs(parts) do
      x = runtime.item(x, part)
      if default ~= nil and value.is_undefined(x) then x = default end
    end
    if post then return post(x) end
    return x
  end
end

-- sort keys of several attributes: "a,b"
local function multi_getter(attribute, post)
  local getters = {}
  if math.type(attribute) == "integer" then
    getters[1] = M.getter(attribute, post)
  else
    for part in (str(attribute) .. ","):gmatch("([^,]*),") do getters[#getters + 1] = M.getter(part, post) end
  end
  return function(x)
    local out = {}
    for i, get in ipairs(getters) do out[i] = get(x) end
    return setmetatable(out, value.List)
  end
end

filter("length()", function(x)
  if type(x) == "string" then return text.len(x) end
  if type(x) == "table" then
    local mt = getmetatable(x)
    if mt == value.List or mt == value.Tuple or mt == nil then return #x end
    if mt == classes.View then return #x.dict[value.ORDER] end
    if mt and mt.__len then return mt.__len(x) end
  elseif type(x) == "userdata" and x ~= none then
    local mt = getmetatable(x)
    if mt and mt.__len then return mt.__len(x) end
  end
  return fault.type(("object of type '%s' has no len()"):format(runtime.type_name(x)))
end)
alias("filter", "count", "length")

filter("list()", function(x) return iterate.list(x) end)

filter("first()", function(x)
  local first = iterate.stepper(x)()
  if first ~= nil then return first end
  return value.undefined("first", "No first item, sequence was empty.")
end)

filter("last()", function(x)
  if type(x) == "table" and getmetatable(x) == classes.Gen then
    return fault.type("'generator' object is not reversible")
  end
  local a, n = iterate.seq(x)
  if n == 0 then return value.undefined("last", "No last item, sequence was empty.") end
  return a[n]
end)

filter("random()", function(x)
  local a, n = iterate.seq(x)
  if n == 0 then return value.undefined("random", "No random item, sequence was empty.") end
  return a[math.random(n)]
end)

filter("join(d?, attribute?)", function(x, sep, attribute)
  local get = given(attribute) and M.getter(attribute)
  local separator = sep == nil and "" or str(sep)
  local a, n
  if get then
    a, n = iterate.array(x)
    for i = 1, n do a[i] = str(get(a[i])) end
  else
    local items
    items, n = iterate.seq(x)
    a = {}
    for i = 1, n do a[i] = str(items[i]) end
  end
  return table.concat(a, separator, 1, n)
end)

filter("reverse()", function(x)
  if type(x) == "string" then
    local a = iterate.characters(x)
    for i = 1, #a // 2 do a[i], a[#a - i + 1] = a[#a - i + 1], a[i] end
    return table.concat(a)
  end
  if type(x) == "table" and getmetatable(x) == classes.Markup then
    return classes.markup(registry.filters.reverse(x.text))
  end
  if not iterate.iterable(x) then return fault.raise("FilterArgumentError", "argument must be iterable") end
  local a, n = iterate.array(x)
  local mt = type(x) == "table" and getmetatable(x)
  if mt == classes.Gen or mt == classes.Set then
    for i = 1, n // 2 do a[i], a[n - i + 1] = a[n - i + 1], a[i] end
    return value.list(a)
  end
  local i = n + 1
  return classes.generator(function()
    i = i - 1
    return a[i]
  end)
end)

-- Jinja2 sorts by lists of what it compares: what is equal is not asked which comes first, so that none beside none is
-- no error.
local function in_list_before(a, b)
  local ta = type(a)
  if ta == type(b) and (ta == "string" or ta == "number") then return a < b end
  return not ops.eq(a, b) and ops.lt(a, b)
end

filter("sort(reverse?, case_sensitive?, attribute?)", function(x, reverse, case_sensitive, attribute)
  local post = not flag(case_sensitive, false) and lower_if_text or nil
  local key = given(attribute) and multi_getter(attribute, post) or post
  return sorting.sort(iterate.list(x), key, flag(reverse, false), in_list_before)
end)

filter("dictsort(case_sensitive?, by?, reverse?)", function(d, case_sensitive, by, reverse)
  by = by == nil and "key" or by
  if by ~= "key" and by ~= "value" then
    return fault.raise("FilterArgumentError", 'You can only sort by either "key" or "value"')
  end
  local items = iterate.list(runtime.callm(d, "items"))
  local at = by == "key" and 1 or 2
  local keep = flag(case_sensitive, false)
  return sorting.sort(items, function(pair)
    if keep then return pair[at] end
    return lower_if_text(pair[at])
  end, flag(reverse, false))
end)

filter("items()", function(x)
  if value.is_undefined(x) then return classes.generator(function() end) end
  local step
  return classes.generator(function()
    if not value.is_dict(x) then return fault.type("Can only get item pairs from a mapping.") end
    step = step or iterate.stepper(classes.view(x, "items"))
    return step()
  end)
end)

filter("unique(case_sensitive?, attribute?)", function(x, case_sensitive, attribute)
  local post = not flag(case_sensitive, false) and lower_if_text or nil
  local key = given(attribute) and M.getter(attribute, post) or post
  local step
  local seen = classes.set {}
  return classes.generator(function()
    step = step or iterate.stepper(x)
    while true do
      local item = step()
      if item == nil then return nil end
      local k = item
      if key then k = key(item) end
      if not classes.set_has(seen, k) then
        classes.set_add(seen, k)
        return item
      end
    end
  end)
end)

local function extreme(name, better)
  filter(name .. "(case_sensitive?, attribute?)", function(x, case_sensitive, attribute)
    local post = not flag(case_sensitive, false) and lower_if_text or nil
    local key = given(attribute) and M.getter(attribute, post) or post
    local best, best_key
    for _, item in iterate.iter(x) do
      local k = item
      if key then k = key(item) end
      if best == nil or better(k, best_key) then best, best_key = item, k end
    end
    if best == nil then return value.undefined(name, "No aggregated item, sequence was empty.") end
    return best
  end)
end
extreme("min", ops.lt)
extreme("max", ops.gt)

filter("sum(attribute?, start?)", function(x, attribute, start)
  local get = given(attribute) and M.getter(attribute)
  local total = start == nil and 0 or start
  if type(total) == "string" then return fault.type("sum() can't sum strings [use ''.join(seq) instead]") end
  for _, item in iterate.iter(x) do
    if get then item = get(item) end
    total = ops.add(total, item)
  end
  return total
end)

-- a generator that makes its items by a function of an array, at first use
local function lazily(make)
  local items, i = nil, 0
  return classes.generator(function()
    if not items then items = make() end
    i = i + 1
    return items[i]
  end)
end

local function positive(n, what)
  if math.type(n) == "integer" then return n end
  if type(n) == "boolean" then return n and 1 or 0 end
  if math.type(n) == "float" and what == "batch" then return n end
  return fault.type(("'%s' object cannot be interpreted as an integer"):format(runtime.type_name(n)))
end

filter("batch(linecount, fill_with?)", function(x, count, fill)
  return lazily(function()
    local rows, row = {}, nil
    for _, item in iterate.iter(x) do
      if row and ops.eq(#row, count) then row = nil end
      if not row then
        row = value.list {}
        rows[#rows + 1] = row
      end
      row[#row + 1] = item
    end
    if row and given(fill) then
      spend(positive(count))
      for _ = #row + 1, positive(count) do row[#row + 1] = fill end
    end
    return rows
  end)
end)

filter("slice(slices, fill_with?)", function(x, slices, fill)
  return lazily(function()
    local a, n = iterate.array(x)
    slices = positive(slices)
    if slices == 0 then return fault.raise("ZeroDivisionError", "integer division or modulo by zero") end
    local size, extra = n // slices, n % slices
    spend(slices)
    local rows, at = {}, 0
    for i = 0, slices - 1 do
      local count = size + (i < extra and 1 or 0)
      local row = value.list(table.move(a, at + 1, at + count, 1, {}))
      at = at + count
      if given(fill) and i >= extra then row[#row + 1] = fill end
      rows[#rows + 1] = row
    end
    return rows
  end)
end)

filter("groupby(attribute, default?, case_sensitive?)", function(x, attribute, default, case_sensitive)
  local keep = flag(case_sensitive, false)
  if default == none then default = nil end
  local get = M.getter(attribute, not keep and lower_if_text or nil, default)
  local exact = M.getter(attribute, nil, default)
  local items = sorting.sort(iterate.list(x), get)
  local groups, current, current_key = {}, nil, nil
  for _, item in ipairs(items) do
    local k = get(item)
    if not current or not ops.eq(k, current_key) then
      current, current_key = value.list {}, k
      local group = setmetatable({ keep and k or exact(item), current }, M.Group)
      groups[#groups + 1] = group
    end
    current[#current + 1] = item
  end
  return value.list(groups)
end)

-- a pair that also has names
M.Group = { __name = "dex.group", __pytype = "_GroupTuple", __methods = value.Tuple.__methods }
M.Group.__getitem = function(g, k)
  if k == "grouper" then return g[1] elseif k == "list" then return g[2] end
  if math.type(k) == "integer" then return rawget(g, k < 0 and k + 3 or k + 1) end
end
M.Group.__getattr = M.Group.__getitem
M.Group.__iter = function(g)
  local i = 0
  return function()
    i = i + 1
    return rawget(g, i)
  end
end
M.Group.__len = function() return 2 end
M.Group.__hash = function() return fault.type("unhashable type: 'list'") end
local function as_tuple(g) return getmetatable(g) == M.Group and value.tuple { g[1], g[2] } or g end
for method, op in pairs { __eq = "eq", __lt = "lt", __le = "le" } do
  M.Group[method] = function(a, b) return ops[op](as_tuple(a), as_tuple(b)) end
end
M.Group.__repr = function(g, seen)
  return "(" .. printing.repr(g[1], seen) .. ", " .. printing.repr(g[2], seen) .. ")"
end

filter("attr(name)", function(x, name)
  if value.is_undefined(x) then return runtime.undefined_error(x) end
  if type(x) == "table" and getmetatable(x) == value.Dict then
    -- only real attributes, never keys
    local m = value.Dict.__methods[str(name)]
    if m then return classes.bound(x, m) end
    return value.undefined(str(name), ("'dict' object has no attribute '%s'"):format(str(name)))
  end
  return runtime.attr(x, str(name))
end)

-- map, select and their like --------------------------------------------------------------------

local function rest(args, from)
  local out = {}
  for i = from, args.n do out[i - from + 1] = args[i] end
  return out, math.max(0, args.n - from + 1)
end

local function split_keywords(kw)
  local names, values = {}, {}
  for k, v in pairs(kw or {}) do
    names[#names + 1] = k
    values[#values + 1] = v
  end
  return names, values
end

local function check_name(kind, name)
  if type(name) ~= "string" then return fault.type(("a %s's name is text"):format(kind)) end
  if not registry.own[kind][name] and not registry.signature(kind, name) then
    return fault.raise("TemplateRuntimeError", ("there is no %s named '%s'"):format(kind, name),
      require("err").did_you_mean(name, registry.names(kind)))
  end
end

filter("map(*args)", function(x, args, kw)
  local f
  if args.n == 0 and kw and kw.attribute ~= nil then
    for name in pairs(kw) do
      if name ~= "attribute" and name ~= "default" then
        return fault.raise("FilterArgumentError", ("Unexpected keyword argument '%s'"):format(name))
      end
    end
    f = M.getter(kw.attribute, nil, kw.default ~= none and kw.default or nil)
  else
    if args.n == 0 then return fault.raise("FilterArgumentError", "map requires a filter argument") end
    local name = args[1]
    local names, values = split_keywords(kw)
    if type(name) ~= "string" and runtime.callable(name) then
      -- a macro of the template
      f = function(item)
        local a, n = rest(args, 2)
        table.insert(a, 1, item)
        return runtime.call_with(name, n + 1, a, names, values)
      end
    else
      f = function(item)
        check_name("filter", name)
        local a, n = rest(args, 2)
        return runtime.apply("filter", name, item, n, a, names, values)
      end
    end
  end
  local step
  return classes.generator(function()
    step = step or iterate.stepper(truth(x) and x or value.list {})
    local item = step()
    if item == nil then return nil end
    return f(item)
  end, type(x) == "table" and getmetatable(x) == classes.Gen and x.endless)
end, true)

local function chooser(name, wanted, with_attribute)
  filter(name .. "(*args)", function(x, args, kw)
    local get, first = nil, 1
    if with_attribute then
      if args.n == 0 then return fault.raise("FilterArgumentError", "Missing parameter for attribute name") end
      get = M.getter(args[1])
      first = 2
    end
    local test_name = args[first]
    local names, values = split_keywords(kw)
    local function passes(item)
      local subject = item
      if get then subject = get(item) end
      if test_name == nil then return truth(subject) end
      check_name("test", test_name)
      local a, n = rest(args, first + 1)
      return truth(runtime.apply("test", test_name, subject, n, a, names, values))
    end
    local step
    return classes.generator(function()
      step = step or iterate.stepper(truth(x) and x or value.list {})
      while true do
        local item = step()
        if item == nil then return nil end
        if passes(item) == wanted then return item end
      end
    end)
  end, true)
end
chooser("select", true, false)
chooser("reject", false, false)
chooser("selectattr", true, true)
chooser("rejectattr", false, true)

filter("is_list()", function(x) return value.is_list(x) end)

filter("tojson(indent?)", function(x, indent)
  local json = require "jinja.json"
  local s = json.encode(x, { sort_keys = true, indent = given(indent) and indent or nil })
  s = s:gsub("[<>&']", { ["<"] = "\\u003c", [">"] = "\\u003e", ["&"] = "\\u0026", ["'"] = "\\u0027" })
  return classes.markup(s)
end)

return M
