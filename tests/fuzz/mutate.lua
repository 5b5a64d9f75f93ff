--- luatest mutate.lua CASES COUNT SEED: mutates the templates of the corpus and renders COUNT of them. Nothing may
-- happen but text or an error of the template engine's own: no crash, no hang, no error of Lua (code 901), no change
-- of what other code sees. Ends with "N passed, N failed"; a failing template is printed, quoted.

local err = require "err"
local fs = require "dex.fs"
local jinja = require "jinja"
local json = require "dex.json"
local limits = require "jinja.limits"
local loop = require "dex.loop"
local time = require "dex.time"
local value = require "jinja.value"

local path, wanted, seed = ...
math.randomseed(math.tointeger(tonumber(seed)) or 1)

-- Runaway templates are common here: they are ended early.
limits.rounds, limits.instructions = 20000, 20000000

local corpus, contexts = {}, {}
for line in fs.read(path):gmatch("[^\n]+") do
  local ok, case = pcall(json.decode, line) -- not those whose integers are beyond 64 bits
  if ok then corpus[#corpus + 1], contexts[#contexts + 1] = case.template, line end
end

local pieces = {
  "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", "|", ".", "[", "]", "(", ")", "'", '"', "\\", ",", ":",
  "~", "**", "//", "%", "{% raw %}", "{% endraw %}", "{% for x in ", " %}", "{% endfor %}", "{% if ",
  "{% endif %}", "{% macro m(", "{% endmacro %}", "{% set ", "{% call ", "{% endcall %}", "{% filter ",
  "{% endfilter %}", "recursive", "loop", "caller()", "varargs", "kwargs", "namespace(", "range(",
  "__class__", "__globals__", "_G", "os", "debug", "load", "require", "getmetatable", "self", "super()",
  "is defined", "not in", "else", "elif", "lambda", "0x", "1e999", "99999999999999999999", "-0.0", "\0",
  "\xff", "\u{2028}", "\r\n", "map(attribute=", "selectattr(", "groupby(", "format(", "%s", "{0.__class__}",
  ".mro", "return(", "do ", "endset"
}

local function any(list) return list[math.random(#list)] end

local mutations = {
  function(s, at) return s:sub(1, at - 1) .. any(pieces) .. s:sub(at) end,
  function(s, at) return s:sub(1, at - 1) .. s:sub(at + math.random(8)) end,
  function(s, at) return s:sub(1, at - 1) .. string.char(math.random(0, 255)) .. s:sub(at + 1) end,
  function(s, at)
    local other = any(corpus)
    local from = math.random(#other + 1)
    return s:sub(1, at - 1) .. other:sub(from, from + math.random(40))
  end,
  function(s, at)
    local part = s:sub(at, at + math.random(20))
    return s:sub(1, at - 1) .. part:rep(math.random(2, 60)) .. s:sub(at)
  end,
  function(s, at) return s:sub(at) .. s:sub(1, at - 1) end,
  function(s) return s .. any(corpus) end,
}

local function mutated()
  local s = any(corpus)
  for _ = 1, math.random(4) do
    s = any(mutations)(s, math.random(#s + 1))
    if #s > 20000 then s = s:sub(1, 20000) end
  end
  return s
end

-- What a template must never change: the library as every other code sees it.
local function fingerprint()
  local names = {}
  for _, t in ipairs { _G, string, table, math, getmetatable("") } do
    local n = 0
    for _ in next, t do n = n + 1 end
    names[#names + 1] = n
  end
  names[#names + 1] = tostring(string.format) .. tostring(table.concat) .. tostring(load) .. tostring(pcall)
  return table.concat(names, " ")
end
local before = fingerprint()

local failed, count = 0, 0
local function complain(what, source)
  failed = failed + 1
  if failed <= 20 then print(("FAILED %s\n  %q"):format(what, source)) end
end

local function try(source, context)
  local started = time.mono()
  local ok, result = pcall(jinja.render, source, context, { file = "fuzz", keep = false })
  if ok and type(result) ~= "string" then complain("gave a " .. type(result), source) end
  if not ok then
    if not err.is(result) then
      complain("raised " .. tostring(result), source)
    elseif result.code < 200 or result.code > 299 then
      complain(("error %d: %s"):format(result.code, tostring(result.message)), source)
    end
  end
  if time.mono() - started > 20 then complain("took more than 20 s", source) end
  if fingerprint() ~= before then complain("changed what others see", source) end
end

for _ = 1, math.tointeger(tonumber(wanted)) do
  local n = math.random(#contexts)
  local case = json.decode(contexts[n])
  try(mutated(), value.is_dict(case.context) and case.context or {})
  count = count + 1
  if count % 200 == 0 then
    loop.sleep(0)
    collectgarbage("step")
  end
end
print(("%d templates"):format(count))
print(("%d passed, %d failed"):format(failed == 0 and 1 or 0, failed))
return failed == 0 and 0 or 1
