--- `dex-lua clean`: deletes the folders that the project file names.

local err = require "err"
local fs = require "dex.fs"

local M = {}

--- Deletes clean-targets. A path outside the project is an error and nothing is deleted, except with
--- --no-clean-project-files-only.
function M.run(job)
  local root = require("project.root").load(job.given.project_dir or ".", job.given)
  local base = fs.realpath(root.dir)
  local doomed = {}
  for _, target in ipairs(root.clean_targets) do
    local path = target:sub(1, 1) == "/" and target or root.dir .. "/" .. target
    if fs.exists(path) then
      local real = fs.realpath(path)
      local anywhere = job.given.clean_project_files_only == false
      if anywhere and (base .. "/"):sub(1, #real + 1) == real .. "/" or real == "/" then
        err.raise { code = 102, message = ("clean-targets: '%s' holds the project; nothing was deleted"):format(target),
          file = root.file }
      elseif not anywhere and real:sub(1, #base + 1) ~= base .. "/" then
        err.raise { code = 102, message = ("clean-targets: '%s' is outside of the project; nothing was deleted"):format(
          target),
          file = root.file, hint = "--no-clean-project-files-only deletes it" }
      end
      doomed[#doomed + 1] = { real, target }
    end
  end
  for _, entry in ipairs(doomed) do
    fs.remove_tree(entry[1])
    job.report:log("info", "deleted " .. entry[2])
  end
  if #doomed == 0 then job.report:log("info", "nothing to delete") end
  return 0
end

return M
