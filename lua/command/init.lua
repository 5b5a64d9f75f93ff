--- `dex-lua init NAME`: a new project that builds at once on the private server. Its files are those of
-- stdlib/init.

local embed = require "dex.embed"
local err = require "err"
local fs = require "dex.fs"
local json = require "dex.json"

local M = {}

local FROM = "stdlib/init/"

-- Names under which the binary cannot hold a file.
local renamed = { gitignore = ".gitignore" }

local function check(name, dir)
  if not name:find("^[%a_][%w_]*$") then
    err.raise { code = 101, message = ("'%s' is no name for a project"):format(name),
      hint = "letters, digits and _, as in SQL: init makes a folder of that name" }
  end
  if fs.exists(dir) and (not fs.isdir(dir) or #fs.list(dir) > 0) then
    err.raise { code = 110, message = "this folder is not empty: nothing was written", file = dir }
  end
end

--- Writes the files. Nothing that exists is touched.
function M.run(job)
  local name = job.words[1]
  if not name or job.words[2] then
    err.raise { code = 101, message = "init needs the name of the new project", hint = "see `dex-lua init --help`" }
  end
  local dir = (job.given.project_dir or ".") .. "/" .. name
  check(name, dir)
  for _, path in ipairs(embed.list(FROM)) do
    local short = path:sub(#FROM + 1)
    local target = dir .. "/" .. (renamed[short] or short)
    fs.mkdirs(target:match("^(.*)/"))
    local text = embed.read(path):gsub("__name__", name)
    if job.given.profile and short == "dbt_project.yml" then
      text = ("%s\nprofile: %s\n"):format(text:gsub("%s+$", ""), json.encode(job.given.profile))
    end
    fs.write(target, text)
  end
  job.report:log("print", ("%s is a project now. Next:\n  cd %s\n  dex-lua build"):format(name,
    job.given.project_dir and dir or name))
  return 0
end

return M
