--- Projects for tests: written into a folder of their own, loaded, removed.

local err = require "err"
local fs = require "dex.fs"
local value = require "jinja.value"

local M = {}

local profiles = [[
shop:
  target: dev
  outputs:
    dev: {type: postgres, host: localhost, user: u, password: p, port: 5432, dbname: db, schema: sch, threads: 4}
    prod: {type: postgres, host: h, user: u, pass: p, port: 5432, dbname: db, schema: prod, threads: 8}
]]

--- What a project needs at least; a test's own files come over it.
M.minimal = { ["dbt_project.yml"] = "name: shop\nversion: '1.0'\nprofile: shop\n", ["profiles.yml"] = profiles }

local made = {}

--- Writes files into a new folder. `false` leaves out one of the minimal ones.
---@param files table<string, string|false> path -> text
---@return string dir
function M.write(files)
  local dir = ("%s/dex-project-%s"):format(require("dex.env").get("TMPDIR") or "/tmp", require("dex.uuid")())
  made[#made + 1] = dir
  local all = {}
  for path, text in pairs(M.minimal) do all[path] = text end
  for path, text in pairs(files) do all[path] = text end
  for path, text in pairs(all) do
    if text then
      local full = dir .. "/" .. path
      fs.mkdirs(full:match("^(.*)/"))
      fs.write(full, text)
    end
  end
  return dir
end

--- Loads the project of these files. Raises what the load raises; its paths are then relative to the project.
---@param files table<string, string|false>
---@param opts? table for project.load
---@return dex.Project
function M.load(files, opts)
  local dir = M.write(files)
  local all = { project_dir = dir, vars = value.dict(), command = "parse" }
  for k, v in pairs(opts or {}) do all[k] = v end
  local ok, project = pcall(require("project").load, all)
  if ok then return project end
  if not err.is(project) then error(project, 0) end
  local function shorten(e)
    if e.file and e.file:sub(1, #dir + 1) == dir .. "/" then e.file = e.file:sub(#dir + 2) end
    e.message = e.message:gsub(dir:gsub("%p", "%%%0") .. "/", "")
  end
  shorten(project)
  for _, other in ipairs(project.others or {}) do shorten(other) end
  error(project, 0)
end

--- The error of a project that does not load, as "code file:line: message (hint)".
---@param files table<string, string|false>
---@param opts? table
---@return string
function M.failure(files, opts)
  local ok, e = pcall(M.load, files, opts)
  if ok then return "it loads" end
  if not err.is(e) then error(e, 0) end
  return ("%d %s%s"):format(e.code, tostring(e), e.hint and " (" .. e.hint .. ")" or "")
end

--- The warnings of a project, as lines "code file:line: message (hint)", paths relative to it.
---@param project dex.Project
---@return string
function M.warnings(project)
  local lines = {}
  for i, e in ipairs(project.warnings) do
    lines[i] = ("%d %s%s"):format(e.code, tostring(e), e.hint and " (" .. e.hint .. ")" or "")
  end
  return (table.concat(lines, "\n"):gsub(project.root:gsub("%p", "%%%0") .. "/", ""))
end

--- Removes every folder that was written.
function M.clean()
  for _, dir in ipairs(made) do fs.remove_tree(dir) end
  made = {}
end

return M
