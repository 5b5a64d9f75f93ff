--- The server of the fuzzer (http.c): the API on a small project without a database, whose supervisor starts nothing.
-- Gives its port. What it reports as an error is a find.

local auth = require "server.auth"
local fs = require "dex.fs"
local hash = require "dex.hash"
local state = require "state"

local TOKEN = ("f"):rep(64) -- of the seeds

local dir = fs.temporary((require("dex.env").get "TMPDIR" or "/tmp") .. "/dex-fuzz-")
local files = {
  ["dbt_project.yml"] = "name: shop\nprofile: shop\n",
  ["profiles.yml"] = "shop:\n  target: dev\n  outputs:\n    dev: {type: postgres, host: /nowhere, port: 1, user: u, " ..
    "password: p, dbname: d, schema: s, threads: 1, retries: 0}\n",
  ["models/a.sql"] = "select 1 as n",
  ["models/b.sql"] = "select * from {{ ref('a') }}",
  ["operations/o.sql"] = "{{ config(parameters=[{'name': 'n', 'type': 'integer'}], confirm=true) }} select 1",
  ["flows/f.yml"] = "name: f\nparameters: [{name: p, choices: [x, y]}]\nschedule: '0 2 * * *'\n" ..
    "nodes:\n  - {name: t, transformation: a+}\n  - {name: o, operation: o, needs: t}\n",
}
for path, text in pairs(files) do
  fs.mkdirs(dir .. "/" .. (path:match "^(.*)/" or ""))
  fs.write(dir .. "/" .. path, text)
end
auth.write_private(dir, "tokens.json", ('{"tokens": [{"name": "t", "role": "run", "created_at": "", "sha256": "%s"}]}')
  :format(hash.sha256(TOKEN)))

local store = state.open(dir, { durable = false })
local run = store:create_run { id = "00000000-0000-4000-8000-000000000000", kind = "flow", name = "f" }
store:add_tasks(run, { { name = "t", kind = "transformation" }, { name = "o", kind = "operation", needs = { "t" } } })

local report = { warning = function() end, log = function(_, level, text)
  if level == "error" then error("the server reports: " .. text, 0) end
end }
local supervisor = { start = function() return run end, cancel = function() end }
local http = require("server.http").start { root = dir,
  job = { given = { project_dir = dir, profiles_dir = dir }, report = report },
  store = store, supervisor = supervisor, listen = "127.0.0.1:0" }
return math.tointeger(tonumber(http.url:match ":(%d+)/"))
