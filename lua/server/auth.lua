--- Who may do what on the live page and its API: tokens and roles. A token is 64 random digits; the file
-- .dex/tokens.json keeps its SHA-256 only, so that who reads the file gets none. The first one is made at the first
-- start, for the project's owner, and stands in .dex/token for programs on this machine. Both files are 0600.

local err = require "err"
local fs = require "dex.fs"
local hash = require "dex.hash"
local json = require "dex.json"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local OWNER = "owner"

--- What a role may do beside looking.
M.roles = { view = {}, run = { run = true } }

---@class dex.Token
---@field name string
---@field role "view"|"run"
---@field created_at string

local Tokens = {}
Tokens.__index = Tokens

local function folder(dir) return dir .. "/.dex" end
local function path_of(dir) return folder(dir) .. "/tokens.json" end
local function owner_path(dir) return folder(dir) .. "/token" end

-- A file that is never, not even for a moment, anybody else's to read.
local function write_private(path, text)
  local aside = fs.temporary(path .. ".")
  local ok, e = pcall(function()
    fs.write(aside .. "/new", text, true)
    fs.chmod(aside .. "/new", 0x180)
    fs.rename(aside .. "/new", path)
  end)
  fs.remove_tree(aside)
  if not ok then error(e, 0) end
end

--- Writes a file of the project's .dex folder that only its owner may read.
---@param dir string the project's folder
---@param name string
---@param text string
---@return string path
function M.write_private(dir, name, text)
  if not fs.isdir(folder(dir)) then
    fs.mkdirs(folder(dir))
    fs.write(folder(dir) .. "/.gitignore", "*\n")
  end
  local path = folder(dir) .. "/" .. name
  write_private(path, text)
  return path
end

local function broken(path, why)
  err.raise { code = 678, message = "the file of tokens " .. why, file = path,
    hint = "delete it: the next start makes a new one, and tokens have to be made anew" }
end

local function check_mode(path, stat)
  if stat.mode & 0x3F ~= 0 then
    err.raise { code = 678, message = "the file of tokens can be read by others", file = path,
      hint = "chmod 600 " .. path }
  end
end

local function decode(path, text)
  local ok, content = pcall(json.decode, text)
  local list = ok and value.is_dict(content) and value.opt(content.tokens)
  if not value.is_list(list) then broken(path, "is not what dex-lua has written") end
  for _, token in ipairs(list) do
    if not (value.is_dict(token) and type(token.name) == "string" and M.roles[token.role]
      and type(token.sha256) == "string" and #token.sha256 == 64) then
      broken(path, "has an entry that is none")
    end
  end
  return list
end

-- Reads the file when it is another one than before.
function Tokens:refresh()
  local stat = fs.stat(self.path)
  local mark = stat and ("%.9f %d"):format(stat.mtime, stat.size) or "none"
  if mark == self.mark then return end
  if stat then check_mode(self.path, stat) end
  self.list = stat and decode(self.path, fs.read(self.path)) or value.list()
  self.mark = mark
end

local function save(self)
  M.write_private(self.dir, "tokens.json", json.encode(value.dict("tokens", self.list), { indent = 2 }) .. "\n")
  self.mark = nil
  self:refresh()
end

--- The token that a request carries, or nil. Takes the same time for every wrong one.
---@param given string|nil the value of the field Authorization
---@return dex.Token|nil
function Tokens:of(given)
  self:refresh()
  local text = given and given:match("^[Bb][Ee][Aa][Rr][Ee][Rr] +([%w]+)$")
  if not text then return nil end
  local sum, found = hash.sha256(text), nil
  for _, token in ipairs(self.list) do
    if hash.equal(sum, token.sha256) then found = token end
  end
  return found
end

--- Whether a token that was found before still holds, with the role that it had.
---@param token dex.Token
---@return boolean
function Tokens:has(token)
  self:refresh()
  for _, known in ipairs(self.list) do
    if known.sha256 == token.sha256 then return known.role == token.role end
  end
  return false
end

--- Makes a token and gives its text, which is nowhere to be had later. Raises 679 when the name is taken.
---@param name string
---@param role "view"|"run"
---@return string
function Tokens:add(name, role)
  if not name:find "^[%w][%w._@-]*$" or #name > 64 then
    err.raise { code = 679, message = ("'%s' is no name for a token"):format(name),
      hint = "letters, digits and . _ @ -, at most 64" }
  end
  if not M.roles[role] then
    err.raise { code = 679, message = ("there is no role '%s'"):format(role), hint = "it is view or run" }
  end
  for _, token in ipairs(self.list) do
    if token.name == name then
      err.raise { code = 679, message = ("there is a token '%s' already"):format(name),
        hint = ("`dex-lua serve token rm %s` takes it away"):format(name) }
    end
  end
  local text = hash.token()
  self.list[#self.list + 1] = value.dict("name", name, "role", role, "created_at", time.iso(time.now()), "sha256",
    hash.sha256(text))
  save(self)
  return text
end

--- Takes a token away: requests with it are refused from now on. Raises 679 when there is none of that name.
---@param name string
function Tokens:remove(name)
  local names = {}
  for i, token in ipairs(self.list) do
    names[i] = token.name
    if token.name == name then
      table.remove(self.list, i)
      save(self)
      if name == OWNER then fs.remove_tree(owner_path(self.dir)) end
      return
    end
  end
  err.raise { code = 679, message = ("there is no token '%s'"):format(name), hint = err.did_you_mean(name, names) }
end

--- The owner's own token, made when there is none.
---@return string
function Tokens:owner()
  local path = owner_path(self.dir)
  local stat = fs.stat(path)
  if stat then
    check_mode(path, stat)
    local text = fs.read(path):match("^%w+")
    local token = text and self:of("Bearer " .. text)
    if token then return text end
  end
  for i, token in ipairs(self.list) do
    if token.name == OWNER then table.remove(self.list, i) break end
  end
  local text = self:add(OWNER, "run")
  M.write_private(self.dir, "token", text .. "\n")
  return text
end

--- The tokens of a project. Raises 678 when their file is broken, or is not its owner's alone.
---@param dir string the project's folder
---@return table
function M.open(dir)
  local self = setmetatable({ dir = dir, path = path_of(dir), list = value.list() }, Tokens)
  self:refresh()
  return self
end

local actions = {}

function actions.add(job, tokens, name)
  if not name then err.raise { code = 101, message = "a token needs a name: `dex-lua serve token add NAME`" } end
  local text = tokens:add(name, job.given.role or "view")
  local term = require "dex.term"
  term.write(2, ("the token '%s' may %s; it is shown this once:\n"):format(name,
    job.given.role == "run" and "look and run" or "only look"))
  term.write(1, text .. "\n")
  return 0
end

function actions.ls(_, tokens)
  local lines = {}
  for i, token in ipairs(tokens.list) do
    lines[i] = ("%-24s %-5s %s\n"):format(token.name, token.role, token.created_at)
  end
  require("dex.term").write(1, table.concat(lines))
  return 0
end

function actions.rm(job, tokens, name)
  if not name then err.raise { code = 101, message = "which token? `dex-lua serve token ls` lists them" } end
  tokens:remove(name)
  job.report:log("info", ("the token '%s' is gone"):format(name))
  return 0
end

--- `dex-lua serve token add NAME [--role view|run]`, `ls`, `rm NAME`; words[1] is `token`.
---@param job table
---@return integer status
function M.command(job)
  local action = actions[job.words[2] or "ls"]
  if not action or job.words[4] then
    err.raise { code = 101, message = "it is `dex-lua serve token add NAME`, `ls` or `rm NAME`" }
  end
  local root = require("project.root").load(job.given.project_dir, job.given)
  return action(job, M.open(root.dir), job.words[3])
end

return M
