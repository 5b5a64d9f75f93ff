-- What is typed at the prompt: what it is, whether it is complete, where it is wrong; how values look; what is kept.
local tap = require "tap"
local chunk = require "repl.chunk"
local fs = require "dex.fs"
local history = require "repl.history"
local show = require "repl.show"
local value = require "jinja.value"

local function kind(text)
  local what, complete = chunk.kind(text, true)
  return what .. (complete and "" or " goes on")
end

tap.test("what an input is", function()
  for text, wanted in pairs {
    ["1 + 1"] = "lua", ["x = {"] = "lua goes on", ["for i = 1, 2 do"] = "lua goes on", ["x = = 1"] = "lua",
    ["select 1"] = "sql goes on", ["select 1;"] = "sql", ["select ';' as a"] = "sql goes on",
    ["select 1 -- ;"] = "sql goes on", ["select $$ ; $$;"] = "sql", ["begin"] = "sql", ["select(2, 'a')"] = "lua",
    ["update = 3"] = "lua", ["show('orders')"] = "lua", ["with x as (select 1) select * from x;"] = "sql",
  } do
    tap.eq(kind(text), wanted, text)
  end
end)

local function column(text)
  local ok, e = pcall(chunk.load, text, "prompt", {})
  tap.eq(ok, false, text .. " is no Lua")
  return ("%s:%d:%s"):format(e.file, e.line, tostring(e.column))
end

tap.test("where it is wrong", function()
  tap.eq(column "x = = 1", "prompt:1:5", "the first of two equal words")
  tap.eq(column "local x = = 1", "prompt:1:11", "the second of them")
  tap.eq(column "x = 'gr\u{fc}\u{df}e' = 1", "prompt:1:13", "columns count characters")
  tap.eq(column "x = 1\ny = )", "prompt:2:5", "a later line")
  tap.eq(column "x = {", "prompt:1:6", "the end")
end)

tap.test("what is saved", function()
  tap.eq(chunk.statement "x = 1", "x = 1", "a statement is saved as it is")
  tap.eq(chunk.statement "1 + 1", "print(1 + 1)", "an expression is printed")
end)

tap.test("values", function()
  tap.eq(show.value(value.dict("b", 1, "a", value.list { 1, "x" }), 80),
    '{b = 1, a = [1, "x"]}', "a dict keeps its order")
  tap.eq(show.value({ 1, 2, x = { y = true } }, 80), "{1, 2, x = {y = true}}", "a table")
  local round = {}
  round.again = round
  tap.eq(show.value(round, 80), "{again = ...}", "a table in itself")
  local many = {}
  for i = 1, 1000 do many[i] = i end
  tap.eq(show.value(many, 80):find("and 940 more", 1, true) ~= nil, true, "a long table is cut")
end)

tap.test("history", function()
  local dir = fs.temporary "/tmp/dexhistory"
  local kept = history.open(dir, function(text) return (text:gsub("geheim", "*****")) end)
  for _, line in ipairs { "one", " two", "password = 'x'", "connect 'postgres://a:b@c'", "say 'geheim'", "six" } do
    kept:add(line)
  end
  tap.eq(fs.read(dir .. "/.dex/history"), "one\nsix\n", "no secrets are kept")
  tap.eq(fs.stat(dir .. "/.dex/history").mode, 0x180, "for its owner only")
  tap.eq(#history.open(dir).lines, 2, "read again")
  fs.remove_tree(dir)
end)
