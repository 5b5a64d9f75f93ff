--- What templates and the Lua files of packages may use: neither goes on for ever, whatever it does meanwhile.

local err = require "err"
local fault = require "jinja.fault"
local hook_limits = require "run.hook_limits"
local jinja = require "jinja"
local limits = require "jinja.limits"
local sandbox = require "project.sandbox"
local t = require "tap"

local function with(changed, f)
  local before = {}
  for name, v in pairs(changed) do before[name], limits[name] = limits[name], v end
  local ok, e = pcall(f)
  for name, v in pairs(before) do limits[name] = v end
  if not ok then error(e, 0) end
end

t.test("few rounds over very long texts end by the time that they take", function()
  with({ seconds = 1 }, function()
    local e = t.raises(function()
      jinja.render([[
{% set text = 'ab ' * 2000000 %}
{% for i in range(1000) %}{% set x = text | upper | replace('B ', 'c') | wordcount %}{% endfor %}]], {})
    end, "it was stopped after 1 seconds")
    t.eq({ e.code, e.line }, { 208, 2 })
  end)
end)

t.test("a render inside of a render does not begin the time anew", function()
  with({ seconds = 1 }, function()
    local ctx = {}
    ctx.inner = function() return jinja.render("{% set x = 'ab ' * 500000 %}{{ x | upper | wordcount }}", {}) end
    local e = t.raises(function() jinja.render("{% for i in range(900) %}{{ inner() }}{% endfor %}", ctx) end,
      "it was stopped after 1 seconds")
    t.eq(e.code, 208)
  end)
end)

t.test("the time of a render is its own", function()
  with({ seconds = 2 }, function()
    for _ = 1, 3 do
      local started = os.clock()
      while os.clock() - started < 1.2 do jinja.render("{{ 'a' * 1000 }}", {}) end
    end
  end)
end)

t.test("repetitions", function()
  t.eq(jinja.render("{{ '' * 10**15 }}{{ [] * 10**15 }}{{ 'a' * -1 }}{{ () * 10**18 }}", {}), "[]()")
  t.raises(function() jinja.render("{{ [1] * 10**8 }}", {}) end, "the repetition is too long")
  t.raises(function() jinja.render("{{ 'ab' * 2**62 }}", {}) end, "the repetition is too long")
end)

-- Lua files of packages -----------------------------------------------------------------------------

-- as lua/project/lua_macros.lua loads them
local function package(code)
  fault.register_lua("@pkg.lua", "pkg.lua", code, {})
  return assert(load(code, "@pkg.lua", "t", sandbox.environment { trusted = false, require = error }))
end

local function ended(code, pattern)
  with({ instructions = 5000000, seconds = 2 }, function()
    t.raises(function() limits.watched(package(code)) end, pattern or "does not come to an end")
  end)
end

t.test("endless loops of a package, however they are caught", function()
  ended "while true do end"
  ended "while true do pcall(function() while true do end end) end"
  ended "xpcall(function() while true do end end, function() while true do end end) while true do end"
  ended "error(setmetatable({}, { __tostring = function() while true do end end }))"
  ended "while true do pcall(error, setmetatable({}, { __tostring = function() while true do end end })) end"
end)

t.test("what Lua's library would do without end", function()
  ended("('a'):rep(100000):find('.-.-.-.-b')", "this pattern takes too many steps")
  ended("while true do pcall(string.find, ('a'):rep(100000), '.-.-.-.-b') end", "it was stopped after 2 seconds")
  ended("table.move({}, 1, math.maxinteger - 1, 2)", "too many items")
  ended("table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 2)", "too many items")
  ended("table.sort(setmetatable({}, { __len = function() return 1 << 30 end, __index = math.abs }))", "too many items")
  ended("setmetatable({}, { __gc = function() while true do end end })", "__gc is not for packages")
  t.eq(package "return string.rep('', 1 << 60)"(), "")
  t.eq({ package "return xpcall(error, function(e) return e .. '!' end, 'no')" () }, { false, "no!" })
  t.eq({ package "return xpcall(math.max, print, 1, 7)" () }, { true, 7 })
  t.eq(package "local t = { 3, 1, 2 } table.sort(t) table.insert(t, 4) return table.concat(t, ',')" (), "1,2,3,4")
end)

t.test("hooks of packages, too", function()
  local chunks = { ["pkg.lua"] = true }
  local own = { trusted = false, run = { modules = { chunks = chunks } } }
  local before = hook_limits.untrusted_seconds
  hook_limits.untrusted_seconds = 1
  local ok, e = hook_limits.call(own,
    package "while true do pcall(string.find, ('a'):rep(100000), '.-.-.-.-b') end", function(e) return e end)
  hook_limits.untrusted_seconds = before
  t.eq(ok, false)
  t.ok(err.is(e), tostring(e))
  t.eq({ e.code, e.message }, { 517, "it does not come to an end: it was stopped after 1 seconds" })
end)
