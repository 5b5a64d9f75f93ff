--- The text of template errors, as a person reads it: tests/jinja/errors/NAME.jinja fails with NAME.txt. With
--- UPDATE=1 in the environment the texts are written anew.

local batch = require "jinja.batch"
local env = require "dex.env"
local errors = require "report.errors"
local fs = require "dex.fs"
local jinja = require "jinja"
local limits = require "jinja.limits"
local memory_limit = require("dex.limits").memory
local t = require "tap"
local value = require "jinja.value"

local folder = "tests/jinja/errors/"
local update = env.get("UPDATE") == "1"

-- The macros of another file: found like a package's.
local function shared(ctx)
  local macros = jinja.compile(fs.read(folder .. "shared.jinja_macros"), { file = "macros/shared.sql" }):macros(ctx)
  for name, macro in pairs(macros) do ctx[name] = macro:bind(ctx) end
end

local function message_of(name)
  local ctx = batch.context { vars = value.dict("start_date", "2024-01-01") }
  shared(ctx)
  local template = fs.read(folder .. name .. ".jinja")
  local ok, e = pcall(jinja.render, template, ctx, { file = "models/" .. name .. ".sql" })
  return ok and "no error: " .. e or errors.format(e) .. "\n"
end

for _, file in ipairs(fs.list(folder)) do
  local name = file:match("^(.*)%.jinja$")
  if name then
    t.test(name, function()
      local before, rounds, instructions = memory_limit(), limits.rounds, limits.instructions
      if name == "memory" then memory_limit(-50000000) end
      if name:find("^endless") then limits.rounds, limits.instructions = 1000, 3000000 end
      local ok, message = pcall(message_of, name)
      memory_limit(before)
      limits.rounds, limits.instructions = rounds, instructions
      if not ok then error(message, 0) end
      message = message:gsub("Lua may have [%d.]+ GB", "Lua may have N GB")
      local golden = folder .. name .. ".txt"
      if update then fs.write(golden, message) end
      t.eq(message, fs.read(golden))
    end)
  end
end
