--- Operations as tasks: what runs several of them in one run gets a record of each.

local fixture = require "run_fixture"
local loop = require "dex.loop"
local operation = require "run.operation"
local operation_result = require "run.operation_result"
local tap = require "tap"
local value = require "jinja.value"

local test, eq = tap.test, tap.eq

local shop = fixture.project {
  ["operations/add.sql"] = "insert into public.added values ({{ args.n }}); select {{ args.n }} as n",
  ["operations/slow.lua"] = [[
return function(op)
  op:exec("insert into public.added values (0)")
  op:sleep(60)
end
]],
  ["operations/hush.sql"] = "{{ config(parameters={'token': {'secret': true}}) }} select '{{ args.token }}' as t",
}
shop:sql "create table public.added (n int)"

-- Calls fn(run) and closes what it needed.
local function with_run(fn)
  local job = shop:job "run"
  local ok, e = pcall(fn, require("run").new(job), job)
  job.pool:close()
  if not ok then error(e, 0) end
end

local function call(run, name, args)
  return operation.prepare(run.project, run.project.operations[name], value.from_lua(args))
end

test("one operation many times at once, each with its own record", function()
  with_run(function(run, job)
    local tasks = {}
    for i = 1, 20 do tasks[i] = loop.spawn(operation.run, run, call(run, "add", { n = i })) end
    for i, task in ipairs(tasks) do
      local result = task:wait()
      local record = operation_result.of(result)
      eq({ result.status, result.rows_affected, record.parameters.n, record.rows[1].rows[1][1] },
        { "success", 2, i, tostring(i) })
    end
    eq(#run.results, 20)
    eq(job.nodes_run, nil)
  end)
  eq(shop:rows "select count(*), sum(n) from added", "20|210")
end)

test("a failure is the record's, and not raised", function()
  with_run(function(run)
    local result = operation.run(run, call(run, "add", { n = "nothing" }))
    eq({ result.status, result.error.code, operation_result.of(result).attempts }, { "error", 401, 1 })
  end)
end)

test("a task that is cancelled undoes what it did", function()
  with_run(function(run)
    local started = #run.results
    local task = loop.spawn(operation.run, run, call(run, "slow", { x = 1 }))
    while not run.slots[1] do loop.sleep(0.001) end
    task:cancel()
    local ok, e = pcall(task.wait, task)
    eq({ ok, e.cancelled }, { false, true })
    eq(#run.results, started + 1) -- it is waited for
    eq(run.results[#run.results].status, "cancelled")
  end)
  eq(shop:rows "select count(*) from added where n = 0", "0")
end)

test("secrets are hidden for the one call", function()
  with_run(function(run)
    local result = operation.run(run, call(run, "hush", { token = "open-sesame" }))
    local record = operation_result.of(result)
    eq({ record.parameters.token, record.rows[1].rows[1][1], result.compiled_code },
      { "*****", "*****", "select '*****' as t" })
    eq(run.mask "open-sesame", "open-sesame")
    eq(result.rows[1]:text(1, 1), "open-sesame") -- who called it may have it
  end)
end)

shop:close()
fixture.clean()
