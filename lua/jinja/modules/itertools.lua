--- `modules.itertools`: the lazy sequences of Python's itertools that dbt lets templates use.

local value = require "jinja.value"
local classes = require "jinja.classes"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local ops = require "jinja.ops"
local fault = require "jinja.fault"
local spend = require("jinja.limits").spend

local none, ORDER = value.none, value.ORDER
local fn, tuple = value.fn, value.tuple

local M = value.dict()

local function generator(name, next_value, endless)
  local g = classes.generator(next_value, endless)
  g.name = name
  return g
end

local function over(name, rows)
  local i = 0
  return generator(name, function()
    i = i + 1
    return rows[i]
  end)
end

-- positional arguments, and allowed keyword arguments as a table
local function split(name, allowed, ...)
  local args = { ... }
  local n = select("#", ...)
  local kw = {}
  if n > 0 and value.is_kwargs(args[n]) then
    for _, k in ipairs(args[n][ORDER]) do
      if not allowed[k] then return fault.type(("'%s' is an invalid keyword argument for %s()"):format(k, name)) end
      kw[k] = args[n][k]
    end
    args[n] = nil
    n = n - 1
  end
  return args, n, kw
end

local function integer(x, what)
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  return fault.type(("%s must be an integer, not %s"):format(what, runtime.type_name(x)))
end

-- most rows of a product or permutation that are made
local MOST_ROWS = 1000000

local function check_size(n)
  if n > MOST_ROWS then return fault.raise("MemoryError", "this would give more than a million rows") end
end

M.count = fn("count(start=0, step=1)", function(start, step)
  local at
  return generator("count", function()
    if at == nil then at = start else at = ops.add(at, step) end
    return at
  end, true)
end)

M.cycle = fn("cycle(iterable)", function(x)
  local items, n = iterate.array(x)
  local i = 0
  return generator("cycle", function()
    if n == 0 then return nil end
    i = i % n + 1
    return items[i]
  end, n > 0)
end)

M["repeat"] = fn("repeat(object, times=none)", function(object, times)
  if times == none then return generator("repeat", function() return object end, true) end
  local left = integer(times, "times")
  return generator("repeat", function()
    if left <= 0 then return nil end
    left = left - 1
    return object
  end)
end)

M.accumulate = fn("accumulate(iterable, func=none, initial=none)", function(x, func, initial)
  local step = iterate.stepper(x)
  local total
  return generator("accumulate", function()
    if total == nil and initial ~= none then
      total = initial
      return total
    end
    local item = step()
    if item == nil then return nil end
    if total == nil then
      total = item
    elseif func ~= none then
      total = runtime.call(func, total, item)
    else
      total = ops.add(total, item)
    end
    return total
  end)
end)

function M.chain(...)
  local sources, n = split("chain", {}, ...)
  local i, step = 0, nil
  return generator("chain", function()
    while true do
      if not step then
        i = i + 1
        if i > n then return nil end
        step = iterate.stepper(sources[i])
      end
      local item = step()
      if item ~= nil then return item end
      step = nil
    end
  end)
end

M.compress = fn("compress(data, selectors)", function(data, selectors)
  local a, b = iterate.stepper(data), iterate.stepper(selectors)
  return generator("compress", function()
    while true do
      local item, chosen = a(), b()
      if item == nil or chosen == nil then return nil end
      if runtime.truth(chosen) then return item end
    end
  end)
end)

function M.islice(...)
  local args, n = split("islice", {}, ...)
  if n < 2 or n > 4 then return fault.type("islice expected 2 to 4 arguments") end
  local start, stop, step = 0, args[2], 1
  if n > 2 then start, stop = args[2], args[3] end
  if n > 3 then step = args[4] end
  local function bound(x, default)
    if x == none then return default end
    if math.type(x) ~= "integer" or x < 0 then
      return fault.value("Indices for islice() must be None or an integer: 0 <= x")
    end
    return x
  end
  start, stop, step = bound(start, 0), bound(stop, math.huge), bound(step, 1)
  if step == 0 then return fault.value("Step for islice() must be a positive integer or None.") end
  local next_item = iterate.stepper(args[1])
  local at, wanted = 0, start
  return generator("islice", function()
    while wanted < stop do
      local item = next_item()
      if item == nil then return nil end
      at = at + 1
      if at - 1 == wanted then
        wanted = wanted + step
        return item
      end
    end
  end)
end

M.starmap = fn("starmap(function, iterable)", function(f, x)
  local step = iterate.stepper(x)
  return generator("starmap", function()
    local item = step()
    if item == nil then return nil end
    local args, n = iterate.array(item)
    return runtime.call(f, table.unpack(args, 1, n))
  end)
end)

M.tee = fn("tee(iterable, n=2)", function(x, n)
  local step = iterate.stepper(x)
  local seen, ended = {}, false
  local out = {}
  spend(integer(n, "n"))
  for i = 1, integer(n, "n") do
    local at = 0
    out[i] = generator("tee", function()
      at = at + 1
      if seen[at] == nil and not ended then
        seen[at] = step()
        ended = seen[at] == nil
      end
      return seen[at]
    end)
  end
  return tuple(out)
end)

function M.zip_longest(...)
  local sources, n, kw = split("zip_longest", { fillvalue = true }, ...)
  local fill = kw.fillvalue
  if fill == nil then fill = none end
  local steps = {}
  for i = 1, n do steps[i] = iterate.stepper(sources[i]) end
  return generator("zip_longest", function()
    local row, any = {}, false
    for i = 1, n do
      local v = steps[i]()
      if v ~= nil then any = true else v = fill end
      row[i] = v
    end
    if any then return tuple(row) end
  end)
end

function M.product(...)
  local sources, n, kw = split("product", { ["repeat"] = true }, ...)
  local pools, total = {}, 1
  for _ = 1, kw["repeat"] ~= nil and integer(kw["repeat"], "repeat") or 1 do
    for i = 1, n do
      pools[#pools + 1] = iterate.array(sources[i])
      total = total * #pools[#pools]
      check_size(total)
    end
  end
  local rows = { {} }
  for _, pool in ipairs(pools) do
    local more = {}
    for _, row in ipairs(rows) do
      for _, item in ipairs(pool) do
        local longer = table.move(row, 1, #row, 1, {})
        longer[#longer + 1] = item
        more[#more + 1] = longer
      end
    end
    rows = more
  end
  for _, row in ipairs(rows) do tuple(row) end
  return over("product", rows)
end

-- all ways to choose r items; `from(i, used)` says which index may follow
local function choose(items, r, name, first_of, reuse)
  local rows, row, used = {}, {}, {}
  local function go(depth, last)
    if depth > r then
      rows[#rows + 1] = tuple(table.move(row, 1, r, 1, {}))
      check_size(#rows)
      return
    end
    for i = first_of(last), #items do
      if reuse or not used[i] then
        used[i], row[depth] = true, items[i]
        go(depth + 1, i)
        used[i] = nil
      end
    end
  end
  go(1, 0)
  return over(name, rows)
end

local function count_of(r)
  r = integer(r, "r")
  if r < 0 then return fault.value("r must be non-negative") end
  return r
end

M.permutations = fn("permutations(iterable, r=none)", function(x, r)
  local items, n = iterate.array(x)
  return choose(items, r == none and n or count_of(r), "permutations", function() return 1 end)
end)
M.combinations = fn("combinations(iterable, r)", function(x, r)
  return choose((iterate.array(x)), count_of(r), "combinations", function(last) return last + 1 end)
end)
M.combinations_with_replacement = fn("combinations_with_replacement(iterable, r)", function(x, r)
  return choose((iterate.array(x)), count_of(r), "combinations_with_replacement",
    function(last) return math.max(1, last) end, true)
end)

return M
