local t = require "tap"
local cache = require "dex.cache"
local copies = require "dex.copies"
local jinja = require "jinja"
local limits = require "jinja.limits"
local loop = require "dex.loop"

local function writers(n)
  local list = {}
  for i = 1, n do list[i] = cache.unnamed(os.getenv "TMPDIR" or "/tmp") end
  return list
end

t.test("copies share a counter and items, and meet", function()
  local files, outside = writers(3), "outside"
  local statuses = copies.run(3, function(common)
    local writer, taken, claimed = files[common:number()], 0, 0
    while common:next(1) < 900 do taken = taken + 1 end
    for i = 1, 50 do
      if common:claim(i) then claimed = claimed + 1 end
      if common:owner(i) == common:number() then t.ok(common:claim(i)) end
    end
    common:meet()
    local owned = 0
    for i = 1, 50 do
      if common:owner(i) == common:number() then owned = owned + 1 end
    end
    outside = "inside"
    writer:add(tostring(taken))
    writer:add(tostring(claimed))
    writer:add(tostring(owned))
    writer:finish()
  end, 50)
  t.eq(table.concat(statuses, " "), "0 0 0")
  t.eq(outside, "outside")
  local sums = { 0, 0, 0 }
  for _, writer in ipairs(files) do
    local file = writer:file()
    for i = 1, 3 do sums[i] = sums[i] + tonumber(file:read(i - 1)) end
    t.eq(file:read(1), file:read(2))
  end
  t.eq(table.concat(sums, " "), "900 50 50")
end)

t.test("one that fails ends those that wait for it", function()
  local statuses = copies.run(3, function(common)
    if common:number() == 2 then error "x" end
    common:meet()
  end, 0)
  t.eq(table.concat(statuses, " "), "-9 1 -9")
end)

t.test("a copy cannot wait", function()
  t.eq(copies.run(1, function() loop.sleep(0) end, 0)[1], 1)
end)

t.test("a template in a copy has as much time as everywhere", function()
  local files = writers(1)
  copies.run(1, function(common)
    limits.seconds = 1
    local _, e = pcall(jinja.render, [[
{% set text = 'ab ' * 2000000 %}
{% for i in range(6) %}{% set x = text | upper | replace('B ', 'c') | wordcount %}{% endfor %}]], {})
    files[common:number()]:add(tostring(e))
    files[common:number()]:finish()
  end, 0)
  t.ok(files[1]:file():read(0):find("it was stopped after 1 seconds", 1, true))
end)

t.test("what is no item, no counter and no number of copies is refused", function()
  t.raises(function() copies.run(0, print, 0) end, "too many")
  t.raises(function() copies.run(65, print, 0) end, "too many")
  t.raises(function() copies.run(1, nil, 0) end, "function expected")
  t.raises(function() copies.run(1, print, -1) end, "number of items")
  local wrong = copies.run(1, function(common)
    for _, call in ipairs { { common.claim, 3 }, { common.owner, 0 }, { common.next, 5 }, { common.next, 0 } } do
      assert(not pcall(call[1], common, call[2]))
    end
    assert(common:claim(2))
  end, 2)
  t.eq(wrong[1], 0)
  t.ok(copies.processors() >= 1)
end)
