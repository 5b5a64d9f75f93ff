--- `dex-lua completion bash|zsh|fish`: the script for a shell, which asks `dex-lua completion words -- WORD...`.

local embed = require "dex.embed"
local err = require "err"
local fs = require "dex.fs"
local term = require "dex.term"

local M = {}

local shells = { bash = true, zsh = true, fish = true }

-- Where the project's artifacts are: that the project file may name another folder is looked up without reading it all.
local function artifacts(given)
  local dir = given.project_dir or require("dex.env").get "DBT_PROJECT_DIR" or "."
  if given.target_path then return given.target_path:sub(1, 1) == "/" and given.target_path
    or dir .. "/" .. given.target_path end
  local file = dir .. "/dbt_project.yml"
  if not fs.exists(file) then file = dir .. "/dex_project.yml" end
  local path = fs.exists(file) and ("\n" .. fs.read(file)):match("\ntarget%-path:%s*[\"']?([^\"'\n#]+)")
  return dir .. "/" .. (path and path:gsub("%s+$", "") or "target")
end

local function words(job)
  local lines = {}
  for i, row in ipairs(require("help.complete").candidates(job.rest, artifacts(job.given))) do
    lines[i] = row[1] .. (row[2] and ("\t" .. row[2]) or "")
  end
  if #lines > 0 then term.write(1, table.concat(lines, "\n") .. "\n") end
  return 0
end

--- Prints a script, or what may stand at the end of a line.
function M.run(job)
  local what = job.words[1]
  if what == "words" and not job.words[2] then return words(job) end
  if not shells[what] or job.words[2] then
    err.raise { code = 101, message = what and ("there is no completion for '%s'"):format(what)
      or "completion needs the name of a shell", hint = "bash, zsh or fish" }
  end
  term.write(1, embed.read("lua/help/completion/" .. what .. ".sh"))
  return 0
end

return M
