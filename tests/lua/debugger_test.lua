--- dex.debugger: tasks that stop at a line, while others go on.

local debugger = require "dex.debugger"
local err = require "err"
local loop = require "dex.loop"
local tap = require "tap"

-- The function of a task that does some lines of work, and notes each in a log.
local function worker()
  return assert(load([[
    local log, wait = ...
    log[#log + 1] = "first"
    local function inner()
      log[#log + 1] = "inner"
    end
    inner()
    wait()
    log[#log + 1] = "last"
    return #log]], "@hooks/worker.lua"))
end

-- Begins the worker, and stops it at each line for which wanted(line, depth) is true.
local function begin(log, wanted, wait)
  local fn, co = worker(), nil
  local handle = loop.spawn(function()
    co = coroutine.running()
    debugger.watch(co, function(depth)
      local info = debug.getinfo(2, "Sl")
      return info.source == "@hooks/worker.lua" and wanted(info.currentline, depth)
    end)
    return fn(log, wait or function() end)
  end)
  loop.sleep(0)
  return handle, co
end

tap.test("a task stands at a line, and others go on", function()
  local log, lines = {}, {}
  local handle, co = begin(log, function(line)
    lines[#lines + 1] = line
    return line == 4
  end)
  tap.eq(log, { "first" })
  tap.eq(handle:done(), false, "it stands")
  tap.eq(debugger.depth(co), 2, "in the inner function")
  local other = loop.spawn(function() return "went on" end)
  tap.eq(other:wait(), "went on")
  debugger.resume(co)
  tap.eq(handle:wait(), 3)
  tap.eq(log, { "first", "inner", "last" })
  tap.eq(lines, { 1, 2, 5, 6, 4, 5, 7, 8, 9 }, "5 is where inner is made, and its end")
end)

tap.test("the depth is the number of functions below", function()
  local depths = {}
  local handle = begin({}, function(line, depth)
    depths[line] = depth
    return false
  end)
  handle:wait()
  tap.eq(depths[4], depths[2] + 1)
  tap.eq(depths[7], depths[2])
  local function nest(n) if n == 0 then coroutine.yield() else nest(n - 1) return nil end end
  for _, n in ipairs { 0, 1, 2, 7, 100 } do
    local co = coroutine.create(nest)
    coroutine.resume(co, n)
    tap.eq(debugger.depth(co), n + 2, "with coroutine.yield")
  end
  tap.eq(debugger.depth(coroutine.create(nest)), 0, "one that has not begun")
end)

tap.test("when nobody watches any more, it runs through", function()
  local stops = 0
  local handle, co = begin({}, function()
    stops = stops + 1
    return true
  end)
  debugger.watch(co, nil)
  debugger.resume(co)
  tap.eq(handle:wait(), 3)
  tap.eq(stops, 1)
  tap.eq(debug.gethook(co), nil, "no hook is left")
end)

tap.test("a coroutine of the user's own is not stopped", function()
  local co = coroutine.create(function() return "through" end)
  tap.eq(debugger.is_task(co), false)
  tap.eq(debugger.is_task(coroutine.running()), true)
  debugger.resume(co) -- nothing happens
  local ok, result = coroutine.resume(co)
  tap.eq({ ok, result }, { true, "through" })
  local inside = coroutine.wrap(function() return 7 end)
  local handle = begin({}, function() return false end, function() inside() end)
  tap.eq(handle:wait(), 3)
end)

tap.test("no place where a coroutine cannot stop is one", function()
  local log = {}
  local fn = assert(load([[
    local log = ...
    table.sort({ 3, 1, 2 }, function(a, b)
      log[1] = "compared"
      return a < b
    end)
    return log[1] ]], "@hooks/sorts.lua"))
  local handle = loop.spawn(function()
    debugger.watch(coroutine.running(), function() return debug.getinfo(2, "l").currentline == 3 end)
    return fn(log)
  end)
  tap.eq(handle:wait(), "compared")
end)

tap.test("one that stands and is cancelled ends at its next wait", function()
  local log = {}
  local handle = begin(log, function(line) return line == 4 end, function() loop.sleep(1000) end)
  handle:cancel()
  local ok, e = pcall(handle.wait, handle)
  tap.eq({ ok, err.is(e) and e.cancelled }, { false, true })
  tap.eq(log, { "first", "inner" })
end)

tap.test("misuse is told", function()
  tap.raises(function() debugger.watch(1, print) end, "coroutine expected")
  tap.raises(function() debugger.depth() end, "coroutine expected")
  tap.raises(function() debugger.resume("x") end, "coroutine expected")
end)

tap.test("the function of a coroutine that is gone goes with it", function()
  local gone = setmetatable({}, { __mode = "k" })
  do
    local fn = function() return false end
    gone[fn] = true
    debugger.watch(coroutine.create(print), fn)
  end
  collectgarbage()
  collectgarbage()
  tap.eq(next(gone), nil)
end)
