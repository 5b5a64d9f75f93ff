--- Going over values: lists, tuples, strings, dicts, ranges, generators, objects.

local value = require "jinja.value"
local classes = require "jinja.classes"
local fault = require "jinja.fault"
local spend = require("jinja.limits").spend
local type_name = require("jinja.truth").type_name
local undefined_error = require("jinja.names").undefined_error
local type, getmetatable, rawget = type, getmetatable, rawget

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple, Undefined = value.Dict, value.List, value.Tuple, value.Undefined
local Gen, Range, View, Set = classes.Gen, classes.Range, classes.View, classes.Set

-- a generator taken as an array stops with an error here
local ENDLESS = 10000000

local function array_next(t, i)
  i = i + 1
  local v = rawget(t, i)
  if v ~= nil then return i, v end
end

local function gen_next(g, i)
  spend(1)
  local v = g.next()
  if v ~= nil then return i + 1, v end
end


local function not_iterable(x)
  return fault.type(("'%s' object is not iterable"):format(type_name(x)))
end

--- The characters of a string as an array.
function M.characters(s)
  local out, n = {}, 0
  if not s:find("[\128-\255]") then
    for i = 1, #s do out[i] = s:sub(i, i) end
    return out
  end
  for c in s:gmatch("[%z\1-\127\194-\253][\128-\191]*") do
    n = n + 1
    out[n] = c
  end
  return out
end

local function view_array(v)
  local d, kind = v.dict, v.kind
  local out = {}
  for i, k in ipairs(rawget(d, ORDER)) do
    if kind == "keys" then
      out[i] = k
    elseif kind == "values" then
      out[i] = rawget(d, k)
    else
      out[i] = setmetatable({ k, rawget(d, k) }, Tuple)
    end
  end
  return out
end

--- The items of a value as an array (its own one for lists and tuples: read only) and their number. Raises TypeError.
function M.seq(x)
  local t = type(x)
  if t == "table" then
    local mt = getmetatable(x)
    if mt == List or mt == Tuple then
      local n = #x
      spend(n)
      return x, n
    end
    if mt == Dict then
      local order = rawget(x, ORDER)
      spend(#order)
      return table.move(order, 1, #order, 1, {}), #order
    elseif mt == Undefined then
      if x.fails then undefined_error(x) end
      return {}, 0
    elseif mt == Gen then
      if x.endless then fault.raise("MemoryError", "this sequence has no end; take a part of it with islice") end
      local out, n, step = {}, 0, x.next
      while true do
        local v = step()
        spend(1)
        if v == nil then return out, n end
        n = n + 1
        out[n] = v
        if n > ENDLESS then fault.raise("MemoryError", "this sequence has more than 10 million items") end
      end
    elseif mt == Range then
      spend(x.n)
      local out = {}
      for i = 1, x.n do out[i] = x.start + (i - 1) * x.step end
      return out, x.n
    elseif mt == View then
      local out = view_array(x)
      spend(#out)
      return out, #out
    elseif mt == Set then
      return x.items, #x.items
    elseif mt == nil then
      return x, #x
    end
  elseif t == "string" then
    local out = M.characters(x)
    spend(#out)
    return out, #out
  elseif t == "userdata" and x == none then
    return not_iterable(x)
  end
  local mt = t ~= "function" and getmetatable(x)
  local iter = mt and type(mt) == "table" and mt.__iter
  if not iter then return not_iterable(x) end
  local out, n = {}, 0
  for v in iter(x) do
    n = n + 1
    out[n] = v
  end
  return out, n
end

local seq = M.seq

--- For a generic `for`: gives (number, item) pairs.
function M.iter(x)
  if type(x) == "table" then
    local mt = getmetatable(x)
    if mt == List or mt == Tuple then
      spend(#x)
      return array_next, x, 0
    end
    if mt == Gen then return gen_next, x, 0 end
    if mt == nil then return ipairs(x) end
  end
  local mt = type(x) ~= "string" and getmetatable(x)
  local iter = type(mt) == "table" and mt.__iter
  if iter then
    local step, state, control = iter(x)
    return function(_, i)
      local v = step(state, control)
      control = v
      if v ~= nil then return i + 1, v end
    end, nil, 0
  end
  return array_next, (seq(x)), 0
end

--- A function that gives the next item at each call, nil at the end.
function M.stepper(x)
  local f, s, i = M.iter(x)
  return function()
    local v
    i, v = f(s, i)
    if i == nil then
      f = function() return nil end
      return nil
    end
    return v
  end
end

--- A fresh Lua array of the items.
function M.array(x)
  local a, n = seq(x)
  return table.move(a, 1, n, 1, {}), n
end

--- A fresh list value of the items.
function M.list(x) return setmetatable(M.array(x), List) end

--- Whether a value can be iterated over.
function M.iterable(x)
  local t = type(x)
  if t == "string" then return true end
  if t == "table" then
    local mt = getmetatable(x)
    return mt == nil or mt == List or mt == Tuple or mt == Dict or mt == Undefined or mt == Gen or mt == Range
      or mt == View
      or mt == Set or mt.__iter ~= nil
  end
  local mt = t == "userdata" and getmetatable(x)
  return type(mt) == "table" and mt.__iter ~= nil
end

--- Pairs (key, value) of x.items() for a generic `for`.
function M.items2(x)
  if type(x) == "table" and getmetatable(x) == Dict then
    local order = rawget(x, ORDER)
    spend(#order)
    local keys = table.move(order, 1, #order, 1, {})
    local i = 0
    return function()
      i = i + 1
      local k = keys[i]
      if k ~= nil then return k, rawget(x, k) end
    end
  end
  local step = M.stepper(require("jinja.runtime").callm(x, "items"))
  return function()
    local item = step()
    if item ~= nil then return M.unpack2(item) end
  end
end

local function wrong_count(n, wanted)
  if n > wanted then
    return fault.value(("too many values to unpack (expected %d, got %d)"):format(wanted, n))
  end
  return fault.value(("not enough values to unpack (expected %d, got %d)"):format(wanted, n))
end

--- The two items of a pair.
function M.unpack2(x)
  local mt = type(x) == "table" and getmetatable(x)
  if mt == Tuple or mt == List then
    if #x ~= 2 then wrong_count(#x, 2) end
    return x[1], x[2]
  end
  local a, n = seq(x)
  if n ~= 2 then wrong_count(n, 2) end
  return a[1], a[2]
end

--- The n items of a sequence.
function M.unpackn(x, wanted)
  local a, n = seq(x)
  if n ~= wanted then wrong_count(n, wanted) end
  return table.unpack(a, 1, n)
end

classes.Gen.__iter = function(g) return g.next end

return M
