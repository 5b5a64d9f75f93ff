--- `dex-lua graph`: the lineage of the selected nodes.

local lineage = require "report.lineage"
local term = require "dex.term"

local M = {}

--- Prints the tree or the picture.
function M.run(job)
  if job.given.output == "svg" then
    term.write(1, lineage.svg(job.project, job.selected))
  else
    local lines = lineage.tree(job.project, job.selected)
    if #lines > 0 then term.write(1, table.concat(lines, "\n") .. "\n") end
  end
  return 0
end

return M
