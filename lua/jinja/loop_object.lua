--- The `loop` of a template that asks more of it than emit_loop.lua answers with plain numbers.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local ops = require "jinja.ops"
local fault = require "jinja.fault"

local M = {}

local setmetatable, select = setmetatable, select

local Loop = classes.Loop

--- A loop over `n` items of an array; `again` is what loop(...) calls.
function M.new(items, n, depth, again)
  return setmetatable({ items = items, n = n, i = 0, depth = depth, again = again }, Loop)
end

Loop.__len = function(l) return l.n end
Loop.__call = function(l, ...)
  if not l.again then return fault.type("The loop must have the 'recursive' marker to be called recursively") end
  if select("#", ...) ~= 1 then return fault.type("loop() takes one argument") end
  return l.again((...), l.depth + 1)
end
Loop.__getattr = function(l, name)
  local i, n = l.i, l.n
  if name == "index" then return i
  elseif name == "index0" then return i - 1
  elseif name == "first" then return i == 1
  elseif name == "last" then return i == n
  elseif name == "length" then return n
  elseif name == "revindex" then return n - i + 1
  elseif name == "revindex0" then return n - i
  elseif name == "depth" then return l.depth
  elseif name == "depth0" then return l.depth - 1
  elseif name == "previtem" then
    if i > 1 then return l.items[i - 1] end
    return value.undefined("previtem", "there is no previous item")
  elseif name == "nextitem" then
    if i < n then return l.items[i + 1] end
    return value.undefined("nextitem", "there is no next item")
  end
end
registry.definer(Loop.__methods)("cycle(*args)", function(l, ...)
  local n = select("#", ...)
  if n == 0 then return fault.type("no items for cycling given") end
  return (select((l.i - 1) % n + 1, ...))
end)
registry.definer(Loop.__methods)("changed(*args)", function(l, ...)
  local now = value.tuple { ... }
  if l.seen and ops.eq(l.seen, now) then return false end
  l.seen = now
  return true
end)

return M
