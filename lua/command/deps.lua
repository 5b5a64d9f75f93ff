--- `dex-lua deps`: brings the packages that packages.yml names into the project.

local value = require "jinja.value"

local M = {}

--- What deps.install tells, told by the reporter of a command.
---@param job table of lua/pipeline.lua
---@return table opts for deps.install
function M.options(job)
  local given = job.given
  return { vars = given.vars and require("command.meta").yaml_argument("--vars", given.vars) or value.dict(),
    log = function(level, text) job.report:log(level, text) end,
    warn = function(warning) job.report:warning(warning) end }
end

--- Installs the packages.
function M.run(job)
  local root = require("project.root").load(job.given.project_dir or ".", job.given)
  local opts = M.options(job)
  if job.given.add_package then
    require("deps.add").write(root, job.given.add_package, job.given.source, opts.log)
  end
  opts.upgrade, opts.lock = job.given.upgrade, job.given.lock
  require("deps").install(root, opts)
  return 0
end

return M
