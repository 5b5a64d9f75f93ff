--- What the fuzzer (template.c) does with one input, which is the text of a template; or, after a first line "--lua",
-- the Lua file of a package. Both may give a value or raise an error of the engine's own, and nothing else: no error of
-- Lua's (code 901), no reach to files, the environment or other programs, no change of what other code sees.

local err = require "err"
local jinja = require "jinja"
local limits = require "jinja.limits"
local lua_value = require "jinja.lua_value"
local fault = require "jinja.fault"
local sandbox = require "project.sandbox"
local value = require "jinja.value"

limits.rounds, limits.instructions, limits.seconds = 20000, 20000000, 5
require("dex.limits").memory(400 * 2 ^ 20 // 1)

-- Traps: whatever leads out of the program notes that it was called.
local running, escaped = false, nil
for name, library in pairs { io = io, os = os, ["dex.fs"] = require "dex.fs", ["dex.child"] = require "dex.child",
  ["dex.env"] = require "dex.env" } do
  for key, f in pairs(library) do
    -- the clock is harmless, and reading the engine's own data is how a module of templates may begin
    if type(f) == "function" and key ~= "clock" and key ~= "time" and key ~= "date" then
      library[key] = function(...)
        if running then escaped = name .. "." .. key end
        return f(...)
      end
    end
  end
end

-- What must never change: the library as every other code sees it.
local watched = { _G, string, table, math, utf8, getmetatable("") }
local function fingerprint()
  local sum = {}
  for i, t in ipairs(watched) do
    local n = 0
    for _, v in next, t do
      if type(v) == "function" then n = n + (tonumber(tostring(v):match("0x(%x+)") or "0", 16) or 7) % 999983 end
      n = n + 1
    end
    sum[i] = n
  end
  return table.concat(sum, " ")
end

local function context()
  local user = value.dict("name", "Ada", "age", 36, "tags", value.list { "a", "b" })
  return { items = value.list { 1, 2.5, "three", value.none, true }, user = user, users = value.list { user, user },
    seq = value.list { 3, 1, 2 }, text = "Hello, wörld <b>&", n = 42, f = 1.5, big = 9007199254740993, none_value =
    value.none, yes = true, no = false, empty = value.dict(), d = value.dict("a", 1, "b", value.dict("c", 2)),
    fn = function(x) return x or "fn" end }
end

local function run_lua(code)
  code = code:gsub("^%-%-lua\n?", "")
  local env = sandbox.environment { trusted = false, require = function() error("no such module", 2) end,
    extra = { kwargs = lua_value.kwargs, print = function() end } }
  local chunk = load(code, "@fuzz.lua", "t", env)
  if not chunk then return "" end
  fault.register_lua("@fuzz.lua", "fuzz.lua", code, {})
  local result = limits.watched(chunk)
  if type(result) == "function" then
    local macro = lua_value.macro("m", result)
    result = jinja.render("{{ m(1, items) }}", { m = macro:bind { }, items = context().items })
  end
  return tostring(lua_value.to_value(type(result) == "string" and result or nil))
end

local before = fingerprint()

--- Raises when something happened that must not.
---@param input string
return function(input)
  running = true
  local ok, result
  if input:find("^%-%-lua") then
    ok, result = pcall(run_lua, input)
  else
    ok, result = pcall(jinja.render, input, context(), { file = "fuzz", keep = false })
  end
  running = false
  assert(not escaped, escaped)
  assert(fingerprint() == before, "what other code sees has changed")
  if ok then
    assert(type(result) == "string", "a render gave a " .. type(result))
  elseif result ~= "not enough memory" then
    assert(err.is(result), "raised " .. tostring(result))
    assert(result.code >= 200 and result.code <= 299, ("error %s: %s\n%s"):format(tostring(result.code),
      tostring(result.message), tostring(result.traceback)))
  end
end
