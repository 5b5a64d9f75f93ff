local t = require "tap"
local yaml = require "dex.yaml"
local value = require "jinja.value"
local none, dict, list = value.none, value.dict, value.list

local function fails(text, pattern)
  local e = t.raises(function() yaml.decode(text, "f.yml") end, pattern)
  t.eq(e.code, 103)
  t.eq(e.file, "f.yml")
  return ("%d:%d"):format(e.line, e.column)
end

t.test("plain scalars mean what PyYAML takes them for", function()
  for text, expected in pairs {
    ["yes"] = true, ["No"] = false, ["ON"] = true, ["oN"] = "oN", ["y"] = "y",
    ["~"] = none, ["Null"] = none, ["nULL"] = "nULL", [""] = none,
    ["12"] = 12, ["+1_000"] = 1000, ["017"] = 15, ["08"] = "08", ["0x1F"] = 31, ["0b101"] = 5, ["0o17"] = "0o17",
    ["1:30"] = 90, ["1:30:15"] = 5415, ["1:60"] = "1:60", ["-1:30"] = -90,
    ["1.5"] = 1.5, ["1."] = 1.0, [".5"] = 0.5, ["-.5"] = "-.5", ["1e3"] = "1e3", ["1.0e3"] = "1.0e3",
    ["1.0e+3"] = 1000.0, ["1:30.5"] = 90.5, [".inf"] = math.huge, ["-.Inf"] = -math.huge, [".nan"] = 0 / 0,
    ["1_0.5_0"] = 10.5, ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
    ["9223372036854775808"] = "9223372036854775808",
  } do
    t.eq(yaml.decode("v: " .. text .. "\n").v, expected, text)
  end
end)

t.test("quoted and tagged scalars", function()
  t.eq(yaml.decode [[ [ "1", 'yes', !!str 12, !!int "0x1f", !!float 3, !!bool "Yes", !!null x, ! 12, ! "12"] ]],
    list { "1", "yes", "12", 31, 3.0, true, none, 12, 12 })
  t.eq(fails("a:\n  - !foo x", "could not determine a constructor for the tag '!foo'"), "2:5")
  t.eq(fails("!!int x", "does not fit its tag"), "1:1")
  fails("!!set {a}", "tag:yaml.org,2002:set")
end)

t.test("dates go to the hook, when there is one", function()
  t.eq(yaml.decode("a: 2026-01-02").a, "2026-01-02")
  yaml.date_hook = function(text) return text:sub(1, 4) == "2026" and list { text } or nil end
  local v = yaml.decode("[2026-01-02, 2026-01-02 03:04:05.5 +01:00, 2025-01-01, 2026-1-2, '2026-01-02']")
  yaml.date_hook = nil
  t.eq(v, list { list { "2026-01-02" }, list { "2026-01-02 03:04:05.5 +01:00" }, "2025-01-01", "2026-1-2",
    "2026-01-02" })
end)

t.test("keys keep their order, the last of equal ones wins", function()
  t.eq(yaml.decode "b: 1\na: 2\nb: 3\n1: x\ntrue: y\n~: z", dict("b", 3, "a", 2, 1, "x", true, "y", none, "z"))
end)

t.test("merge keys go before a mapping's own, and lose", function()
  local v = yaml.decode [[
a: &a {x: 1, y: 2}
b: &b
  w: 0
  <<: *a
  x: 9
c: {<<: [*b, {m: 1, w: 5}], "<<": text}
]]
  t.eq(v.b, dict("x", 9, "y", 2, "w", 0))
  t.eq(v.c, dict("m", 1, "w", 0, "x", 9, "y", 2, "<<", "text"))
  fails("a: {<<: 1}", "expected a mapping or list of mappings for merging, but found scalar")
  fails("a: {<<: [[1]]}", "expected a mapping for merging, but found sequence")
end)

t.test("aliases share the container", function()
  local v = yaml.decode "a: &x [1]\nb: *x\nc: &s text\nd: *s"
  t.ok(rawequal(v.a, v.b))
  t.eq(v.d, "text")
  t.eq(fails("a: *x", "found undefined alias 'x'"), "1:4")
  fails("a: &x [*x]", "the anchor 'x' holds itself")
  t.eq(fails("a: &x 1\nb: &x 2", "found duplicate anchor"), "2:4")
end)

t.test("lines of keys and items", function()
  local v, lines = yaml.decode "# c\na: 1\nb:\n  - x\n  - y: 1\n    z: 2\nm: &m\n  k: 1\nn:\n  <<: *m\n  l: 2\n"
  t.eq(lines[v].a, 2)
  t.eq(lines[v][0], 2)
  t.eq(lines[v.b][2], 5)
  t.eq(lines[v.b[2]].z, 6)
  t.eq(lines[v.b[2]][0], 5)
  t.eq(lines[v.n].k, 8)
  t.eq(lines[v.n].l, 11)
end)

t.test("an empty text is none, a second document an error", function()
  t.eq(yaml.decode "", none)
  t.eq(yaml.decode "# only words\n", none)
  t.eq(yaml.decode "---\n...\n", none)
  t.eq(fails("a: 1\n---\nb: 2\n", "expected a single document in the stream, but found another document"), "2:1")
end)

t.test("libyaml's words and position", function()
  t.eq(fails("a: b: c", "^mapping values are not allowed in this context$"), "1:5")
  t.eq(fails("a:\n  - b\n c: 1", "^did not find expected key while parsing a block mapping that begins in line 1$"),
    "3:2")
  t.eq(fails("a:\nx: @y", "cannot start any token while scanning for the next token"), "2:4")
  t.eq(fails("a: [1\n", "did not find expected ',' or ']' while parsing a flow sequence that begins in line 1"), "2:1")
  t.eq(fails("a: 1\nb: '\xff'", "invalid leading UTF%-8 octet"), "2:5")
  t.eq(fails("? [a]\n: 1", "found unhashable key"), "1:3")
end)

t.test("limits", function()
  fails(("["):rep(501) .. ("]"):rep(501), "nested too deeply")
  local bomb = { "a0: &a0 [x,x,x,x,x,x,x,x,x,x]" }
  for i = 1, 9 do
    bomb[#bomb + 1] = ("a%d: &a%d [%s]"):format(i, i, (("*a" .. i - 1 .. ","):rep(10)))
  end
  fails(table.concat(bomb, "\n"), "expand to too many values")
end)
