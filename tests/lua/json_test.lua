local t = require "tap"
local json = require "dex.json"
local value = require "jinja.value"
local none, dict, list = value.none, value.dict, value.list

local function position(text)
  local e = t.raises(function() json.decode(text) end, "")
  return ("%d:%d %s"):format(e.line, e.column, e.message)
end

t.test("numbers keep their kind", function()
  t.eq(json.decode("[1, 1.0, -0, 1E5, 1e2]"), list { 1, 1.0, 0, 100000.0, 100.0 })
  t.eq(json.decode("-9223372036854775808"), math.mininteger)
  t.eq(json.decode("[NaN, Infinity, -Infinity]"), list { 0 / 0, math.huge, -math.huge })
end)

t.test("objects are dicts in their order, the last of equal keys wins", function()
  t.eq(json.decode('{"b": 1, "a": null, "b": true}'), dict("b", true, "a", none))
  t.eq(json.decode("{}"), dict())
  t.eq(json.decode(" [ ] "), list {})
end)

t.test("escapes become UTF-8, half a pair U+FFFD", function()
  t.eq(json.decode([["\u00e9\ud83d\ude00\n\/\"\\"]]), "é😀\n/\"\\")
  t.eq(json.decode([["\ud800x"]]), "\u{fffd}x")
  t.eq(json.decode([["\ud800\u0041"]]), "\u{fffd}A")
end)

t.test("errors say what Python says, and where", function()
  t.eq(position ""--[[nothing]], "1:1 Expecting value")
  t.eq(position "[1,]", "1:4 Expecting value")
  t.eq(position "[1 2]", "1:4 Expecting ',' delimiter")
  t.eq(position '{"a" 1}', "1:6 Expecting ':' delimiter")
  t.eq(position "{\n  a: 1}", "2:3 Expecting property name enclosed in double quotes")
  t.eq(position '"abc', "1:1 Unterminated string starting here")
  t.eq(position '"a\nb"', "1:3 Invalid control character")
  t.eq(position [["\x"]], "1:2 Invalid \\escape")
  t.eq(position [["\u12"]], "1:3 Invalid \\uXXXX escape")
  t.eq(position "01", "1:2 Extra data")
  t.eq(position "tru", "1:1 Expecting value")
  t.eq(position "99999999999999999999", "1:1 this integer does not fit in 64 bits")
  t.eq(position(("["):rep(1001)), "1:1001 nested too deeply")
  t.eq(t.raises(function() json.decode("x") end, "").code, 123)
end)

t.test("encodes as json.dumps does", function()
  local v = dict("b", list { 1, 2.0, 1e16, 1e-5, 0.1, none, true }, "a", dict(), "c", list {}, "d", value.tuple { 1 })
  t.eq(json.encode(v), '{"b": [1, 2.0, 1e+16, 1e-05, 0.1, null, true], "a": {}, "c": [], "d": [1]}')
  t.eq(json.encode(v, { compact = true, sort_keys = true }),
    '{"a":{},"b":[1,2.0,1e+16,1e-05,0.1,null,true],"c":[],"d":[1]}')
  t.eq(json.encode(dict("a", list { 1, dict("b", 2) }, "c", list {}), { indent = 2 }),
    '{\n  "a": [\n    1,\n    {\n      "b": 2\n    }\n  ],\n  "c": []\n}')
end)

t.test("strings are ASCII unless told otherwise", function()
  t.eq(json.encode("é😀\127\1\"\\/"), [["\u00e9\ud83d\ude00\u007f\u0001\"\\/"]])
  t.eq(json.encode("é\127", { ascii = false }), '"é\127"')
  t.eq(json.encode("a\xffb\xe2\x82"), [["a\ufffdb\ufffd\ufffd"]])
end)

t.test("keys that are no strings become some, as in Python", function()
  t.eq(json.encode(dict(1, 1, 1.5, 2, true, 3, none, 4)), '{"1": 1, "1.5": 2, "true": 3, "null": 4}')
end)

t.test("floats in the fewest digits", function()
  t.eq(json.encode(list { 5e-324, 1.7976931348623157e308, 1 / 3, 1e22, 123456789012345680.0, 0.0001, -0.0 }),
    "[5e-324, 1.7976931348623157e+308, 0.3333333333333333, 1e+22, 1.2345678901234568e+17, 0.0001, -0.0]")
end)

t.test("what is no plain value is an error, or goes to __tojson or default", function()
  t.raises(function() json.encode(value.undefined("x")) end, "dex.undefined cannot be written")
  t.raises(function() json.encode({}) end, "type table cannot be written")
  t.raises(function() json.encode(print) end, "type function")
  t.raises(function() json.encode(dict(print, 1)) end, "type function")
  t.raises(function() json.encode() end, "value expected")
  local object = setmetatable({}, { __tojson = function() return list { 7 } end })
  t.eq(json.encode(list { object }), "[[7]]")
  t.eq(json.encode(list { print }, { default = function() return "?" end }), '["?"]')
  t.raises(function() json.encode(print, { default = function(x) return x end }) end, "holds itself")
  local own = list {}
  own[1] = own
  t.eq(t.raises(function() json.encode(own) end, "nested too deeply").code, 124)
end)

t.test("an error in default leaves nothing behind", function()
  t.raises(function() json.encode(list { print }, { default = function() error "no" end }) end, "no")
end)

t.test("a text with holes comes in pieces", function()
  local a, b = value.list { 1 }, value.dict("x", 1)
  local whole = value.dict("a", a, "l", value.list { "t", b }, "c", a)
  t.eq(table.concat({ json.encode(whole, { holes = { a, b } }) }, "|"), '{"a": |, "l": ["t", |], "c": [1]}')
  t.eq(json.encode(whole, { holes = value.list {} }), '{"a": [1], "l": ["t", {"x": 1}], "c": [1]}')
  t.raises(function() json.encode(whole, { holes = { b, a, {} } }) end, "not all holes")
  t.raises(function() json.encode(whole, { holes = { a, b, a, b, a } }) end, "too many holes")
end)
