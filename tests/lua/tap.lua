--- The harness of the Lua unit tests, run by luatest:
---     local t = require "tap"
---     t.test("name", function() t.eq(a, b); t.raises(fn, "pattern") end)
-- Each test runs at once and may wait. At the end luatest calls `finish`, which prints the count and looks for what
-- the file left behind: open descriptors and living tasks.

local core = require "dex.core"
local fs = require "dex.fs"

local M = {}

local passed, failed = 0, 0

local function descriptors()
  return fs.isdir("/proc/self/fd") and fs.list("/proc/self/fd") or {}
end

local before = #descriptors()

local function show(x, depth)
  if type(x) == "string" then return ("%q"):format(x) end
  if x == core.none then return "none" end
  if type(x) ~= "table" or (depth or 0) > 6 then return tostring(x) end
  local parts = {}
  local order = rawget(x, core.ORDER)
  if order then
    for i, k in ipairs(order) do parts[i] = tostring(k) .. ": " .. show(rawget(x, k), (depth or 0) + 1) end
    return "{" .. table.concat(parts, ", ") .. "}"
  end
  for i = 1, rawlen(x) do parts[i] = show(x[i], (depth or 0) + 1) end
  local rest = {}
  for k, v in next, x do
    if not (math.type(k) == "integer" and k >= 1 and k <= rawlen(x)) then
      rest[#rest + 1] = tostring(k) .. " = " .. show(v, (depth or 0) + 1)
    end
  end
  table.sort(rest)
  return "[" .. table.concat(table.move(rest, 1, #rest, #parts + 1, parts), ", ") .. "]"
end

-- Deep equality: the same type (1 is not 1.0), the same metatable, the same entries in the same order.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then
    return a == b and math.type(a) == math.type(b) or (a ~= a and b ~= b)
  end
  if rawequal(a, b) then return true end
  if getmetatable(a) ~= getmetatable(b) then return false end
  for k, v in next, a do
    local w = rawget(b, k)
    if w == nil or not same(v, w) then return false end
  end
  for k in next, b do
    if rawget(a, k) == nil then return false end
  end
  return true
end

--- Fails unless both are the same, tables by what they hold.
---@param got any
---@param expected any
---@param what? string
function M.eq(got, expected, what)
  if not same(got, expected) then
    error(("%sgot %s, expected %s"):format(what and (what .. ": ") or "", show(got), show(expected)), 2)
  end
end

--- Fails unless the value is true (neither nil nor false).
---@param value any
---@param what? string
function M.ok(value, what)
  if not value then error(what or ("got " .. tostring(value)), 2) end
end

local function words(e)
  return type(e) == "table" and rawget(e, "message") or tostring(e)
end

--- Fails unless `fn` raises an error whose message matches the Lua pattern. Gives the error.
---@param fn function
---@param pattern string
---@return any
function M.raises(fn, pattern)
  local ok, e = pcall(fn)
  if ok then error("no error was raised, expected one like " .. pattern, 2) end
  if not words(e):find(pattern) then error(("the error says %q, expected %q"):format(words(e), pattern), 2) end
  return e
end

--- Runs one test. A failure is printed and counted, and the file goes on.
---@param name string
---@param fn function
function M.test(name, fn)
  local ok, e = xpcall(fn, function(e)
    return { e = e, traceback = debug.traceback(nil, 2) }
  end)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    local inner = e.e
    local where = ""
    if type(inner) == "table" and rawget(inner, "file") then
      where = ("%s:%s: "):format(inner.file, rawget(inner, "line") or "?")
    end
    print(("FAILED %s: %s%s\n%s"):format(name, where, words(inner), e.traceback))
  end
end

--- Called by luatest when the file has ended.
---@return integer exit status
function M.finish()
  collectgarbage()
  collectgarbage()
  local tasks, open = core.tasks(), descriptors()
  if #tasks > 1 then
    failed = failed + 1
    print("FAILED: tasks still live: " .. table.concat(tasks, ", "))
  end
  if #open > before then
    failed = failed + 1
    print(("FAILED: %d open descriptors, %d at the start"):format(#open, before))
  end
  print(("%d passed, %d failed"):format(passed, failed))
  return (failed == 0 and passed > 0) and 0 or 1
end

return M
