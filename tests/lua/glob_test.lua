--- Patterns of names and paths, as Python's fnmatch has them, and in a time that nobody notices.
local t = require "tap"
local glob = require "project.glob"

t.test("names", function()
  for _, case in ipairs {
    { "orders", "orders", true }, { "orders", "order", false }, { "orders", "o*s", true }, { "orders", "*", true },
    { "", "*", true }, { "", "?", false }, { "orders", "*e?s", true }, { "orders", "**r**", true },
    { "aXbXc", "a*b*c", true }, { "abc", "abc*", true }, { "abc", "*abc", true }, { "ab", "a*ab", false },
    { "aab", "a*ab", true }, { "abab", "*ab", true }, { "a.c", "a.c", true }, { "abc", "a.c", false },
    { "b1", "[a-c][0-9]", true }, { "d1", "[a-c][0-9]", false }, { "d1", "[!a-c]*", true }, { "^", "[^a]", true },
    { "b", "[^a]", false }, { "[!]", "[!]", true }, { "a*", "a[*]", true }, { "ab", "a[*]", false },
    { "a]", "a[]]", true }, { "a[b", "a[b", true }, { "50%", "50%", true },
  } do
    t.eq(glob.matches(case[1], case[2]), case[3])
  end
end)

t.test("paths", function()
  local match = glob.path "models/**/stg_*.sql"
  t.eq(match "models/stg_a.sql", true)
  t.eq(match "models/x/y/stg_a.sql", true)
  t.eq(match "models/x/y/a.sql", false)
  t.eq(glob.path "a/*" "a/b/c", false)
end)

t.test("what would take forever if all ways were tried", function()
  t.eq(glob.matches(("a"):rep(5000), ("*a"):rep(200) .. "b"), false)
  t.eq(glob.path(("**/"):rep(200) .. "x") "a/b/c/d/e/f/g/h/i/j", false)
end)
