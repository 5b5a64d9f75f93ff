--- `dex-lua clone`: views on what an earlier run has built elsewhere.

local err = require "err"

local M = {}

--- The selected nodes, deferred to --state -> job.selected.
function M.select(job)
  local given = job.given
  if not given.state then
    err.raise { code = 101, message = "clone needs the artifacts of an earlier run",
      hint = "name their folder with --state" }
  end
  given.defer, given.no_hooks = true, true
  require("command.steps").select(job)
end

return M
