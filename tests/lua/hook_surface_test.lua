--- stdlib/README.md, the hook author's page, has every field, method and event that there is.

local fs = require "dex.fs"
local tap = require "tap"

local test, eq = tap.test, tap.eq

local page = fs.read "stdlib/README.md"

local function missing(names, pattern)
  local list = {}
  for _, name in ipairs(names) do
    if not page:find(pattern:format(name), 1) then list[#list + 1] = name end
  end
  return list
end

test("fields and methods", function()
  local fields, methods = require("run.hook_object").surface()
  eq(missing(fields, "\n| `hook%%.%s`"), {})
  eq(missing(methods, "\n| `hook:%s[%%({]"), {})
end)

-- The types for editors: stdlib/types/dex.lua.
local types = fs.read "stdlib/types/dex.lua"
local class = types:match "%-%-%-@class dex%.Hook\n(.-)local hook"

test("types: fields and methods", function()
  local fields, methods = require("run.hook_object").surface()
  local typed, functions = {}, {}
  for name in class:gmatch "%-%-%-@field ([%a_]+)" do typed[#typed + 1] = name end
  for name in types:gmatch "\nfunction hook:([%a_]+)%(" do functions[#functions + 1] = name end
  table.sort(typed)
  table.sort(functions)
  eq(typed, fields)
  eq(functions, methods)
end)

test("types: events and phases", function()
  local names = {}
  for name in types:match("%-%-%-@alias dex%.Event\n(.-)\n\n"):gmatch '| "([%a_]+)"' do names[#names + 1] = name end
  eq(names, require("run.hook_events").names)
  local phases = types:match "%-%-%-@alias dex%.Phase\n(.-)\n\n"
  for _, phase in ipairs(require("run.hook_list").phases) do
    eq(phases:find('"' .. phase.name .. '"', 1, true) ~= nil, true)
  end
end)

test("types: fields of requests, results and errors", function()
  local function fields_of(name)
    local list = {}
    for field in types:match("%-%-%-@class dex%." .. name .. "[^\n]*\n(.-)\n\n"):gmatch "%-%-%-@field ([%a_]+)" do
      list[#list + 1] = field
    end
    table.sort(list)
    return list
  end
  local function on_page(row) -- the `.words` of a row of the page
    local list = {}
    for word in page:match("\n| `" .. row .. "[^\n]*"):gmatch "%.([%a_]+)" do list[#list + 1] = word end
    return list
  end
  local function holds(class_name, words)
    local known = {}
    for _, field in ipairs(fields_of(class_name)) do known[field] = true end
    for _, word in ipairs(words) do eq(known[word], true, class_name .. "." .. word) end
  end
  holds("NodeResult", { "status", "rows_affected", "rows", "message", "failures", "seconds", "timings" })
  for _, word in ipairs(on_page "hook.error`") do
    if word ~= "error" then holds("Error", { word }) end
  end
  for _, word in ipairs(on_page "hook.this`") do
    if word ~= "this" then holds("Relation", { word }) end
  end
end)

test("types: the file is Lua", function() eq(type(load(types)), "function") end)

test("events", function() eq(missing(require("run.hook_events").names, "\n|[^\n|]*`%s`"), {}) end)

test("the page names nothing that is not there", function()
  local known = { run = true }
  for _, names in ipairs { require("run.hook_object").surface() } do
    for _, name in ipairs(names) do known[name] = true end
  end
  for name in page:gmatch "\n| `hook[.:]([%a_]+)" do eq(known[name], true, name) end
end)
