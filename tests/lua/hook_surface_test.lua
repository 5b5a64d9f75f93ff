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

test("events", function() eq(missing(require("run.hook_events").names, "\n| `%s`"), {}) end)

test("the page names nothing that is not there", function()
  local known = { run = true }
  for _, names in ipairs { require("run.hook_object").surface() } do
    for _, name in ipairs(names) do known[name] = true end
  end
  for name in page:gmatch "\n| `hook[.:]([%a_]+)" do eq(known[name], true, name) end
end)
