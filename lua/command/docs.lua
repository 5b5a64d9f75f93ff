--- `dex-lua docs generate`: the manifest, the catalogue of the database, and one page that shows both.

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
  for _, result in ipairs(job.outcome.results) do
    if result.status == "error" then return false end
  end
  return true
end

local function generate(job)
  local steps = require "command.steps"
  steps.select(job)
  local empty = job.given.empty_catalog
  local ok = true
  local catalog = require("run.catalog").empty()
  if not empty or job.given.compile ~= false then
    steps.connect(job)
    ok = compile(job)
  end
  if not empty then
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

--- `docs generate`. May wait.
function M.run(job)
  local action = job.words[1]
  if action ~= "generate" or job.words[2] then
    err.raise { code = 101, message = action and ("docs has no action '%s'"):format(action) or "docs needs an action",
      hint = "it is `dex-lua docs generate`" }
  end
  require("command.steps").load(job)
  return generate(job)
end

return M
