--- `dex-lua docs generate`: the manifest, the catalogue of the database, and one page that shows both.

local core = require "dex.core"
local err = require "err"
local fs = require "dex.fs"

local M = {}

-- Compiles what is selected, so that the page can show the SQL that is sent. A template that fails is reported
-- and leaves its node without.
local function compile(job)
  if job.given.compile == false then return true end
  local selected = job.selected
  job.outcome = require("run").compile(job)
  job.selected = selected
  local ok = true
  for _, result in ipairs(job.outcome.results) do
    if result.status == "error" then
      job.report:failure(result.error)
      ok = false
    end
  end
  return ok
end

local function generate(job)
  local steps = require "command.steps"
  steps.select(job)
  local empty = job.given.empty_catalog
  local ok = true
  local catalog = require("run.catalog").empty()
  if job.given.compile ~= false then
    steps.connect_late(job)
    ok = compile(job)
  end
  if not empty then
    steps.connect(job)
    local only
    if job.given.select or job.given.exclude or job.given.selector then
      only = {}
      for _, id in ipairs(job.selected) do only[id] = true end
    end
    catalog = require("run").catalog(job, only)
  end
  steps.write_manifest(job)
  require("report.artifacts").catalog(job, catalog)
  local path = job.target_path .. "/index.html"
  local page = require("report.docs_page").make(job.project, catalog)
  local mask = require("run.secrets").environment_masker()
  fs.write(path, mask and mask(page) or page)
  job.report:log("info", ("the documentation is %s: open it in a browser"):format(
    require("report.errors").relative(path)))
  return ok and 0 or 1
end

local types = { html = "text/html; charset=utf-8", json = "application/json", js = "text/javascript", css = "text/css",
  svg = "image/svg+xml", sql = "text/plain; charset=utf-8" }

-- Answers with one file of a folder. Only plain names between slashes: nothing hidden, nothing above.
local function answer_file(dir, request, answer)
  local path = request.path == "/" and "/index.html" or request.path
  local fields = { { "Cache-Control", "no-store" }, { "X-Content-Type-Options", "nosniff" } }
  if request.method ~= "GET" and request.method ~= "HEAD" then
    fields[3] = { "Allow", "GET, HEAD" }
    return answer:reply(405, fields, "405 Method Not Allowed\n")
  end
  fields[3] = { "Content-Type", types[path:match "%.(%w+)$"] or "application/octet-stream" }
  if path:find "^[%w._/-]+$" and not path:find "/[./]" and answer:file(200, fields, dir .. path) then return end
  fields[3] = { "Content-Type", "text/plain" }
  answer:reply(404, fields, "404 Not Found\n")
end

-- Serves the folder of artifacts until Ctrl-C. The page opens from disk as well; this is for browsers elsewhere,
-- through a tunnel, and for tools that want an address.
local function serve(job)
  local given = job.given
  local root = require("project.root").load(given.project_dir, given)
  local dir = root.target_path
  if dir:sub(1, 1) ~= "/" then dir = root.dir .. "/" .. dir end
  if not fs.exists(dir .. "/index.html") then
    err.raise { code = 110, message = "there is no documentation to serve", file = dir .. "/index.html",
      hint = "`dex-lua docs generate` makes it" }
  end
  if given.port > 65535 then err.raise { code = 101, message = "--port needs a port, at most 65535" } end
  local loop = require "dex.loop"
  local server <close> = require("dex.web").listen { host = given.host, port = given.port,
    handler = function(request, answer) answer_file(dir, request, answer) end }
  job.report:log("info", ("serving the documentation at http://%s:%d: Ctrl-C ends it"):format(given.host,
    server:port()))
  local waiting = loop.spawn(function()
    while true do loop.sleep(3600) end
  end)
  core.on_signal(function() waiting:cancel() end)
  pcall(waiting.wait, waiting)
  core.on_signal(nil)
  return 0
end

--- `docs generate` and `docs serve`. May wait.
function M.run(job)
  local action = job.words[1]
  if (action ~= "generate" and action ~= "serve") or job.words[2] then
    err.raise { code = 101, message = action and ("docs has no action '%s'"):format(action) or "docs needs an action",
      hint = "it is `dex-lua docs generate` or `dex-lua docs serve`" }
  end
  if action == "serve" then return serve(job) end
  require("command.steps").load(job)
  return generate(job)
end

return M
