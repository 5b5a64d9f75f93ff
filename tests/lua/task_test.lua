local t = require "tap"
local loop = require "dex.loop"
local core = require "dex.core"
local time = require "dex.time"

t.test("sleep waits, and others run meanwhile", function()
  local order = {}
  local began = time.mono()
  local slow = loop.spawn(function() loop.sleep(0.03); order[#order + 1] = "slow" end)
  local quick = loop.spawn(function() loop.sleep(0.01); order[#order + 1] = "quick" end)
  slow:wait()
  quick:wait()
  t.eq(order, { "quick", "slow" })
  t.ok(time.mono() - began < 1)
end)

t.test("a spawned task starts on the next turn, with its arguments", function()
  local started = false
  local handle = loop.spawn(function(...) started = true; return select("#", ...), ... end, 1, nil, "x", nil)
  t.eq(started, false)
  t.eq(handle:done(), false)
  t.eq(table.pack(handle:wait()), table.pack(4, 1, nil, "x", nil))
  t.eq(handle:done(), true)
  t.eq(table.pack(handle:wait()), table.pack(4, 1, nil, "x", nil), "asked again")
end)

t.test("several tasks wait for one", function()
  local one = loop.spawn(function() loop.sleep(0.005); return 7 end)
  local sum, others = 0, {}
  for i = 1, 50 do
    others[i] = loop.spawn(function()
      local seven = one:wait()
      sum = sum + seven
    end)
  end
  for _, other in ipairs(others) do other:wait() end
  t.eq(sum, 350)
end)

t.test("an error reaches whoever waits, as an object with its place", function()
  local handle = loop.spawn(function() loop.sleep(0); error("boom") end)
  local e = t.raises(function() handle:wait() end, "^boom$")
  t.ok(e.file:find("task_test.lua", 1, true))
  t.ok(e.line > 1)
  t.eq(e.code, 901)
  t.ok(e.traceback:find("task_test.lua", 1, true))
  local own = { 1 }
  handle = loop.spawn(function() error(setmetatable({ code = 205, message = "mine", own = own }, core.error)) end)
  e = t.raises(function() handle:wait() end, "^mine$")
  t.ok(rawequal(e.own, own))
  t.raises(function() loop.spawn(error):wait() end, "nil")
end)

t.test("pcall, metamethods and iterators may wait inside", function()
  t.eq({ pcall(function() loop.sleep(0); return 5 end) }, { true, 5 })
  local ok, e = pcall(function() loop.sleep(0); error("later", 0) end)
  t.eq({ ok, e }, { false, "later" })
  local object = setmetatable({}, { __index = function(_, k) loop.sleep(0); return k .. "!" end })
  t.eq(object.name, "name!")
  local n = 0
  for i in function(_, i) loop.sleep(0); if i < 3 then return i + 1 end end, nil, 0 do n = n + i end
  t.eq(n, 6)
end)

t.test("where waiting is impossible, the error says so", function()
  local own = t.raises(function() coroutine.wrap(function() loop.sleep(0) end)() end, "inside a coroutine of your own")
  t.eq(own.code, 904)
  t.ok(own.file:find("task_test.lua", 1, true))
  local function naps() loop.sleep(0); return "" end
  t.raises(function() table.sort({ 2, 1 }, naps) end, "cannot do here")
  t.raises(function() return ("x"):gsub("x", naps) end, "cannot do here")
  t.raises(function() return tostring(setmetatable({}, { __tostring = naps })) end, "cannot do here")
  loop.sleep(0)
end)

t.test("coroutines of one's own work inside a task", function()
  local generate = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
  t.eq({ generate(), generate(), generate() }, { 1, 2, 3 })
  local handle = loop.spawn(function() coroutine.yield(1) end)
  t.eq(t.raises(function() handle:wait() end, "outside a coroutine").code, 905)
end)

t.test("cancel raises where the task waits; it may go on after that", function()
  local seen
  local handle = loop.spawn(function()
    local ok, e = pcall(loop.sleep, 100)
    seen = { ok, e.code, e.message, e.cancelled }
    loop.sleep(0.001)
    return "cleaned up"
  end)
  loop.sleep(0)
  handle:cancel()
  t.eq(handle:wait(), "cleaned up")
  t.eq(seen, { false, 907, "cancelled", true })
  handle:cancel()
end)

t.test("cancel before the start, or while it is about to go on", function()
  local ran = false
  local handle = loop.spawn(function() ran = true end)
  handle:cancel()
  t.raises(function() handle:wait() end, "^cancelled$")
  t.eq(ran, false)
  local first = loop.spawn(function() return 1 end)
  local got
  handle = loop.spawn(function() got = first:wait(); loop.sleep(100) end)
  first:wait() -- `handle` was resumed by the same end, and has not gone on yet or has
  handle:cancel()
  t.raises(function() handle:wait() end, "^cancelled$")
  t.eq(got, 1, "a result that was there is not lost")
end)

t.test("variables marked <close> are closed when a task fails or is dropped", function()
  local closed = {}
  local function guard(name)
    return setmetatable({}, { __close = function(_, e)
      closed[#closed + 1] = name .. ":" .. tostring(e and e.message)
    end })
  end
  local handle = loop.spawn(function()
    local _ <close> = guard "failed"
    error("x", 0)
  end)
  t.raises(function() handle:wait() end, "^x$")
  handle = loop.spawn(function()
    local _ <close> = guard "cancelled"
    loop.sleep(100)
  end)
  loop.sleep(0)
  handle:cancel()
  t.raises(function() handle:wait() end, "cancelled")
  t.eq(closed, { "failed:x", "cancelled:cancelled" })
end)

t.test("a task cannot wait for itself, and a failed one does not harm the next", function()
  local handle
  handle = loop.spawn(function() handle:wait() end)
  t.raises(function() handle:wait() end, "its own end")
  t.eq(loop.spawn(function() loop.sleep(0); return 1 end):wait(), 1)
end)

t.test("ten thousand tasks", function()
  local handles, sum = {}, 0
  for i = 1, 10000 do handles[i] = loop.spawn(function() loop.sleep(0); sum = sum + i end) end
  for _, handle in ipairs(handles) do handle:wait() end
  t.eq(sum, 50005000)
  t.eq(#core.tasks(), 1)
end)

t.test("a chain of tasks, each waiting for the one before", function()
  local handle = loop.spawn(function() return 0 end)
  for _ = 1, 5000 do
    local before = handle
    handle = loop.spawn(function() return before:wait() + 1 end)
  end
  t.eq(handle:wait(), 5000)
end)

t.test("globals are strict, and modules come from the program only", function()
  t.raises(function() return undeclared_name end, "undeclared variable 'undeclared_name'") -- luacheck: ignore
  t.raises(function() undeclared_name = 1 end, "assignment to undeclared variable") -- luacheck: ignore
  t.eq({ package.path, package.cpath }, { "", "" })
  t.raises(function() require "no.such.module" end, "no module 'lua/no/such/module.lua' in dex%-lua")
end)

t.test("versions", function()
  t.eq(core.version, "0.1.0")
  local versions = core.versions()
  for _, name in ipairs { "Lua", "LPeg", "libevent", "libyaml", "libpq", "PCRE2", "OpenSSL", "SQLite" } do
    t.ok(versions[name]:match("^%d+%.%d+"), name)
  end
  t.ok(versions.Lua:match("^5%.4%.%d+$"))
end)
