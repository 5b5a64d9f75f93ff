--- Brings packages here: git for repositories, curl for what has a URL, tar for archives. All of it goes into one
-- folder of downloads, which the caller removes.

local child = require "dex.child"
local err = require "err"
local fs = require "dex.fs"
local hash = require "dex.hash"

local M = {}
M.__index = M

--- The downloads of one command.
---@class dex.Downloads
---@field dir string
---@field known table<string, any> what was brought already
---@param dir string an empty folder
---@return dex.Downloads
function M.new(dir) return setmetatable({ dir = dir, known = {} }, M) end

local hints = { git = "install git", curl = "install curl", tar = "install tar" }

-- Runs a program; `where` is the place that asks for its work. Raises 119 when it fails.
local function run(spec, what, where)
  local ok, result = pcall(child.run, spec)
  if not ok then
    if not err.is(result) or result.cancelled then error(result, 0) end
    err.raise { code = 119, message = ("%s: %s"):format(what, result.message), file = where.file, line = where.line,
      hint = hints[spec.argv[1]] }
  end
  if result.status == 0 then return result.stdout end
  local said = result.stderr:gsub("%s+$", "")
  err.raise { code = 119, message = ("%s: %s ended with status %d%s"):format(what, spec.argv[1], result.status,
    said ~= "" and "\n" .. said or ""), file = where.file, line = where.line }
end

-- Git -------------------------------------------------------------------------------------------------

local ALIAS = "dex-package"

-- The address may hold a token: it goes through the environment, where other users do not see it, and stands in no
-- file of the copy.
local function git_environment(url)
  return { "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url." .. url .. ".insteadOf",
    "GIT_CONFIG_VALUE_0=" .. ALIAS, "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE" }
end

local function try_git(spec)
  local ok, result = pcall(child.run, spec)
  if not ok and (not err.is(result) or result.cancelled) then error(result, 0) end
  return ok and result.status == 0
end

--- A repository at a revision: its folder and the commit. May wait.
---@param url string
---@param revision string branch, tag, commit or HEAD
---@param where {label: string, file: string|nil, line: integer|nil}
---@return string dir
---@return string commit
function M:git(url, revision, where)
  local key = url .. "\0" .. revision
  local known = self.known[key]
  if known then return known.dir, known.commit end
  local dir = self.dir .. "/git-" .. hash.md5(key)
  local env = git_environment(url)
  local function git(what, ...)
    return run({ argv = { "git", "-C", dir, ... }, env = env }, ("package %s: %s"):format(where.label, what), where)
  end
  fs.mkdirs(dir)
  git("cannot begin a copy", "init", "--quiet", ".")
  git("cannot begin a copy", "remote", "add", "origin", ALIAS)
  -- the one commit where the server gives it, else everything
  if try_git { argv = { "git", "-C", dir, "fetch", "--quiet", "--depth", "1", "origin", revision }, env = env } then
    git("cannot check out " .. revision, "checkout", "--quiet", "--detach", "FETCH_HEAD")
  else
    git("cannot fetch the repository", "fetch", "--quiet", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
    git(("there is no revision '%s'"):format(revision), "checkout", "--quiet", "--detach", revision, "--")
  end
  local commit = git("cannot read the commit", "rev-parse", "HEAD"):match("%x+")
  self.known[key] = { dir = dir, commit = commit }
  return dir, commit
end

-- URLs ------------------------------------------------------------------------------------------------

local function quoted(text) return '"' .. text:gsub('[\\"]', "\\%0") .. '"' end

-- The options stand in a file, for the address may hold a token, and arguments are everybody's to see.
local function curl(self, url, to, what, where)
  local config = self.dir .. "/request"
  fs.write(config, ("url = %s\noutput = %s\nfail\nsilent\nshow-error\nlocation\nretry = 3\nconnect-timeout = 30\n")
    :format(quoted(url), quoted(to)))
  local ok, e = pcall(run, { argv = { "curl", "-q", "-K", config } }, what, where)
  fs.remove_tree(config)
  if not ok then error(e, 0) end
end

--- The text behind a URL. May wait.
---@param url string
---@param where {label: string, file: string|nil, line: integer|nil}
---@return string
function M:text(url, where)
  local known = self.known[url]
  if known then return known end
  local to = self.dir .. "/text"
  curl(self, url, to, ("package %s"):format(where.label), where)
  local text = fs.exists(to) and fs.read(to) or ""
  fs.remove_tree(to)
  self.known[url] = text
  return text
end

local function is_url(text) return text:find("^%a[%w+.-]*://") ~= nil end

--- The one folder that an archive holds. May wait.
---@param from string URL, or path relative to `where.base`
---@param where {label: string, base: string, file: string|nil, line: integer|nil}
---@return string dir
function M:archive(from, where)
  local known = self.known[from]
  if known then return known end
  local what = ("package %s"):format(where.label)
  local archive = from
  if is_url(from) then
    archive = self.dir .. "/archive"
    curl(self, from, archive, what, where)
  else
    if from:sub(1, 1) ~= "/" then archive = where.base .. "/" .. from end
    if not fs.exists(archive) then
      err.raise { code = 119, message = ("%s: there is no archive '%s'"):format(what, from), file = where.file,
        line = where.line }
    end
  end
  local dir = self.dir .. "/tar-" .. hash.md5(from)
  fs.mkdirs(dir)
  run({ argv = { "tar", "-xf", archive, "-C", dir, "--no-same-owner" } }, what .. ": cannot unpack the archive", where)
  if archive ~= from and is_url(from) then fs.remove_tree(archive) end
  local names = fs.list(dir)
  if #names ~= 1 or not fs.isdir(dir .. "/" .. names[1]) then
    err.raise { code = 119, message = ("%s: the archive must hold one folder, with the project file in it"):format(
      what), file = where.file, line = where.line }
  end
  self.known[from] = dir .. "/" .. names[1]
  return self.known[from]
end

return M
