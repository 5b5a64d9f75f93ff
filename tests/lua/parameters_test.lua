--- Parameters: declarations and what they make of arguments.

local parameters = require "project.parameters"
local tap = require "tap"
local value = require "jinja.value"
local yaml = require "dex.yaml"

local test, eq = tap.test, tap.eq
local origin = { what = "flow 'f'", file = "flows/f.yml", line = 1 }

local function declare(text)
  local data, lines = yaml.decode(text, origin.file)
  return parameters.declare(data.parameters, setmetatable({ lines = lines }, { __index = origin }))
end

local function bind(type, v, more)
  local declared = declare("parameters: {x: {type: " .. type .. (more or "") .. "}}")
  local ok, result = pcall(parameters.bind, declared, value.dict("x", v), { what = "it" })
  if ok then return result.x end
  return result.message
end

test("types", function()
  eq({ bind("integer", 3), bind("integer", "3"), bind("integer", 3.0), bind("int", -1) }, { 3, 3, 3, -1 })
  eq(bind("integer", "3.5"), "it: the parameter 'x' must be a whole number, not '3.5'")
  eq(bind("integer", true), "it: the parameter 'x' must be a whole number, not 'true'")
  eq({ bind("number", 1.5), bind("number", "1e3"), bind("number", "2") }, { 1.5, 1000.0, 2 })
  eq(bind("number", "0x10"), "it: the parameter 'x' must be a number, not '0x10'")
  eq({ bind("text", 7), bind("text", true), bind("string", "a") }, { "7", "true", "a" })
  eq({ bind("boolean", "True"), bind("bool", false) }, { true, false })
  eq(bind("boolean", 1), "it: the parameter 'x' must be true or false, not '1'")
  eq(bind("list", value.list { 1 })[1], 1)
  eq(bind("list", value.dict()), "it: the parameter 'x' must be a list, not a mapping")
  eq(bind("mapping", "a"), "it: the parameter 'x' must be a mapping, not 'a'")
  eq(bind("any", 1.5), 1.5)
end)

test("days of the calendar", function()
  for _, day in ipairs { "2024-02-29", "2000-02-29", "2026-12-31" } do eq(bind("date", day), day) end
  for _, day in ipairs { "2026-02-29", "1900-02-29", "2026-13-01", "2026-04-31", "2026-4-1", "2026-01-00", "" } do
    eq(bind("date", day), ("it: the parameter 'x' must be a date such as 2026-01-31, not '%s'"):format(day))
  end
  for _, time in ipairs { "2026-01-01", "2026-01-01 10:00", "2026-01-01T10:00:59.5Z", "2026-01-01 10:00+02:00" } do
    eq(bind("timestamp", time), time)
  end
  for _, time in ipairs { "2026-02-30 10:00", "2026-01-01 24:00", "2026-01-01 10:60", "2026-01-01 10:00 noon" } do
    eq(bind("timestamp", time),
      ("it: the parameter 'x' must be a time such as 2026-01-31 14:00, not '%s'"):format(time))
  end
end)

test("choices, and secrets in no message", function()
  eq(bind("text", "b", ", choices: [a, b]"), "b")
  eq(bind("text", "c", ", choices: [a, b]"), "it: the parameter 'x' must be one of a, b, not 'c'")
  eq(bind("integer", "hush-hush", ", secret: true"), "it: the parameter 'x' must be a whole number")
  eq(bind("text", "hush-hush", ", secret: true, choices: [a]"), "it: the parameter 'x' must be one of a")
end)

test("forms of a declaration", function()
  local long = declare "parameters:\n  - {name: a, type: int, default: 1}\n  - b\n"
  local short = declare "parameters: {a: {type: integer, default: 1}, b: }\n"
  local words = declare "parameters: {a: integer}\n"
  eq({ long[1].name, long[1].type, long[1].default, long[2].name, long[2].type }, { "a", "integer", 1, "b", "any" })
  eq({ short[1].type, short[2].name, words[1].type }, { "integer", "b", "integer" })
  eq(parameters.declare(nil, origin), nil)
end)

test("what is wrong has its line", function()
  local function raised(text)
    local ok, e = pcall(declare, text)
    return { ok, e.code, e.line, e.message }
  end
  eq(raised "parameters:\n  - {name: a}\n  - {name: a}\n",
    { false, 601, 3, "flow 'f': the parameter 'a' is declared twice" })
  eq(raised "parameters:\n  - name: a b\n", { false, 601, 2, "flow 'f': 'a b' is no name for a parameter" })
  eq(raised "parameters:\n  - name: a\n    type: int\n    choices: [1, x]\n",
    { false, 601, 4, "flow 'f': the parameter 'a': a choice must be a whole number, not 'x'" })
end)

test("without a declaration anything is taken; with an empty one, nothing", function()
  eq(parameters.bind(nil, value.dict("x", 1), { what = "it" }).x, 1)
  local ok, e = pcall(parameters.bind, declare "parameters: []\n", value.dict("x", 1), { what = "it" })
  eq({ ok, e.code, e.message, e.hint }, { false, 602, "it: there is no parameter 'x'", "it has none" })
end)

test("secrets inside of lists and mappings are found", function()
  local declared = declare "parameters: {x: {secret: true}, y: text}\n"
  local v = value.dict("x", value.dict("k", value.list { "deep-secret", 12345 }), "y", "open")
  eq(parameters.secrets(declared, v), { "deep-secret", "12345" })
  eq({ parameters.shown(declared, v).x, parameters.shown(declared, v).y }, { "*****", "open" })
end)
