--- dex.graph: what tests/unit/test_graph.c cannot see, the Lua side of it.

local graph = require "dex.graph"
local tap = require "tap"

local function make(n, edges)
  local g = graph.new(n)
  for _, edge in ipairs(edges) do g:edge(edge[1], edge[2]) end
  return g
end

-- 1 -> 2 -> 4, 1 -> 3 -> 4 -> 5, and 6 alone
local function diamond() return make(6, { { 1, 2 }, { 2, 4 }, { 1, 3 }, { 3, 4 }, { 4, 5 }, { 1, 2 } }) end

tap.test("order: parents first, else ascending", function()
  tap.eq(diamond():order(), { 1, 2, 3, 4, 5, 6 })
  tap.eq(make(3, { { 3, 1 } }):order(), { 2, 3, 1 })
  tap.eq(graph.new(0):order(), {})
  tap.eq(make(4, { { 1, 2 }, { 2, 3 }, { 3, 2 } }):order(), { 1, 4 })
end)

tap.test("cycle: the way round, or nothing", function()
  tap.eq(diamond():cycle(), nil)
  tap.eq(make(5, { { 1, 3 }, { 3, 5 }, { 5, 2 }, { 2, 3 } }):cycle(), { 2, 3, 5 })
  tap.eq(make(2, { { 2, 2 } }):cycle(), { 2 })
end)

tap.test("ancestors and descendants, with and without a depth", function()
  local g = diamond()
  tap.eq(g:ancestors { 5 }, { 1, 2, 3, 4 })
  tap.eq(g:ancestors({ 5 }, 1), { 4 })
  tap.eq(g:ancestors({ 5 }, 2), { 2, 3, 4 })
  tap.eq(g:descendants { 1 }, { 2, 3, 4, 5 })
  tap.eq(g:descendants({ 1 }, 1), { 2, 3 })
  tap.eq(g:descendants({ 2, 3 }, 1), { 4 })
  tap.eq(g:descendants { 6 }, {})
  tap.eq(g:descendants {}, {})
  tap.eq(g:descendants({ 1 }, 0), {})
  tap.eq(g:ancestors { 2, 4 }, { 1, 2, 3 }, "a node of the list that another leads to")
end)

tap.test("edges added later count", function()
  local g = graph.new(3)
  tap.eq(g:descendants { 1 }, {})
  g:edge(1, 2)
  tap.eq(g:descendants { 1 }, { 2 })
  g:edge(2, 3)
  tap.eq(g:descendants { 1 }, { 2, 3 })
  tap.eq(#g, 3)
end)

tap.test("misuse raises", function()
  local g = graph.new(2)
  tap.raises(function() graph.new(-1) end, "number of nodes")
  tap.raises(function() g:edge(0, 1) end, "no node has this index")
  tap.raises(function() g:edge(1, 3) end, "no node has this index")
  tap.raises(function() g:ancestors { 3 } end, "a list of indexes")
  tap.raises(function() g:ancestors { "x" } end, "a list of indexes")
  tap.raises(function() g:ancestors(1) end, "table expected")
end)
