--- What the debugger costs while nothing stands still: nothing. Whole runs of a project are counted, instruction by
--- instruction, in all of their tasks.

local count = require "count_instructions"
local fixture = require "run_fixture"
local tap = require "tap"

local project = fixture.project({
  ["hooks/audit.lua"] = [[
    return { count = function(hook)
      local total = 0
      for i = 1, 1000 do
        if i < 0 then breakpoint() end
        total = total + i % 7
      end
      hook:exec("select $1::int", total)
    end }]],
  ["macros/cents.sql"] = "{% macro cents(x) %}{% if x is none %}{{ debug() }}{% endif %}{{ x }} * 100{% endmacro %}",
  ["models/a.sql"] = "{{ config(post_hook={'lua': 'audit.count'}) }} select {{ cents(1) }} as n",
  ["models/b.sql"] = "{{ config(materialized='table', pre_hook='select 1') }} select * from {{ ref('a') }}",
}, { threads = 1 })

local modules = { "attach", "frames", "look", "reload", "step", "stop" }

local function loaded()
  local found = {}
  for _, name in ipairs(modules) do
    if package.loaded["repl." .. name] then found[#found + 1] = name end
  end
  return found
end

-- Calls f where nobody can load the debugger.
local function without_debugger(f)
  for _, name in ipairs(modules) do
    package.preload["repl." .. name] = function() error("the debugger is absent", 0) end
  end
  local ok, result = pcall(f)
  for _, name in ipairs(modules) do package.preload["repl." .. name] = nil end
  if not ok then error(result, 0) end
  return result
end

-- The instructions of a run. The limits of hooks count with a hook of their own, in whose place ours is.
local function instructions(given)
  local set_hook = debug.sethook
  rawset(debug, "sethook", function() end)
  count()
  local ok, outcome = pcall(project.run, project, "run", given)
  local n = count(true)
  rawset(debug, "sethook", set_hook)
  if not ok then error(outcome, 0) end
  tap.eq(fixture.statuses(outcome), "a: success, b: success")
  return n
end

-- The least of some: a statement whose answer comes in two pieces costs a few more.
local function least(given)
  local n = math.huge
  for _ = 1, 3 do n = math.min(n, instructions(given)) end
  return n
end

tap.test("a run takes as many instructions with the debugger in reach as without it", function()
  project:run "run" -- what is loaded once, is
  local without = without_debugger(least)
  local with = least()
  tap.eq(without > 10000, true, "they are counted")
  tap.eq(with, without)
  tap.eq(table.concat(loaded(), " "), "", "nothing of it is loaded")
end)

tap.test("the count sees the debugger where it is asked for", function()
  local with = least()
  local asked = least { debug_hooks = true }
  tap.eq(asked > with, true, "--debug-hooks costs instructions")
end)

project:close()
fixture.clean()
