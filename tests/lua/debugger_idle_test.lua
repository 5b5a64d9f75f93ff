-- What the debugger costs while nothing stands still: nothing.
local tap = require "tap"
local sandbox = require "project.sandbox"

local SOURCE = [[
  local total = 0
  for i = 1, 1000 do
    if i < 0 then breakpoint() end
    total = total + i % 7
  end
  return total
]]

local function environment()
  return sandbox.environment { trusted = true, require = function(name) error("no module " .. name) end }
end

-- The instructions of the virtual machine that a user's code takes in a task of its own, and its hook at the end.
local function measured(env)
  local fn = assert(load(SOURCE, "@hooks/count.lua", "t", env))
  local co = coroutine.create(fn)
  local count = 0
  debug.sethook(co, function() count = count + 1 end, "", 1)
  local ok, total = coroutine.resume(co)
  debug.sethook(co)
  return ok, total, count
end

tap.test("code that has a breakpoint in reach takes as many instructions as code that has none", function()
  local with, without = environment(), environment()
  tap.eq(type(with.breakpoint), "function", "it is in reach")
  rawset(without, "breakpoint", nil)
  local ok, total, count = measured(with)
  local ok_without, total_without, count_without = measured(without)
  tap.eq(ok and ok_without, true, "both run")
  tap.eq(total, total_without, "with the same result")
  tap.eq(count > 1000, true, "the instructions are counted")
  tap.eq(count, count_without, "and as many instructions")
end)

tap.test("no hook is set and nothing of the debugger is loaded before something stops", function()
  local hook = "unset"
  local co = coroutine.create(function()
    assert(load(SOURCE, "@hooks/count.lua", "t", environment()))()
    hook = debug.gethook()
  end)
  tap.eq(coroutine.resume(co), true, "it runs")
  tap.eq(hook, nil, "no hook in the task")
  for _, name in ipairs { "attach", "frames", "look", "reload", "step", "stop", "watch" } do
    tap.eq(package.loaded["repl." .. name], nil, "repl." .. name .. " is not loaded")
  end
end)
