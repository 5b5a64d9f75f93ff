--- The project as the page sees it: loaded when somebody asks, from the parse cache; read again when its files have
-- changed; dropped when nobody has asked for a while, so that an idle server is small.

local err = require "err"
local loop = require "dex.loop"
local secrets = require "run.secrets"
local time = require "dex.time"
local watch = require "repl.watch"

local M = {}

local IDLE_SECONDS = 120 -- without a question
local LOOK_SECONDS = 1   -- between two looks at the files; more where there are so many that a look takes long
local LOOK_SHARE = 50    -- as many times as long as a look takes
local FAILED_SECONDS = 2 -- a project that does not load is not tried again sooner

local Loaded = {}
Loaded.__index = Loaded

local function nothing() end
local silent = { log = nothing, warning = nothing, failure = nothing, debugging = function() return false end,
  event = nothing }

local taken_over = { "project_dir", "profiles_dir", "profile", "target", "vars", "target_path", "partial_parse",
  "threads" }

--- A job of a command that only looks, with this project's settings.
---@return table
function Loaded:new_job()
  local given = { write_json = false, no_deps = true }
  for _, name in ipairs(taken_over) do given[name] = self.job.given[name] end
  return { command = { name = "show" }, given = given, words = {}, rest = {}, argv = {}, report = silent, closers = {},
    invocation_id = require("dex.uuid")(), started_at = time.now(), started = time.mono(), in_background = true }
end

-- The private server stops, if nobody else works with it.
local function give_back(self)
  if self.private then self.private:release() end
  self.private = nil
end

-- Frees it when nobody has asked for long enough.
local function wait_for_idleness(self)
  while self.project and not self.closed do
    local left = self.used + IDLE_SECONDS - time.mono()
    if left <= 0 then
      self.project, self.marks, self.known = nil, nil, {}
      give_back(self)
      require("dex.core").trim()
      break
    end
    loop.sleep(left)
  end
  self.idle = nil
end

local function plan_look(self, started)
  local now = time.mono()
  self.next_look = now + math.max(LOOK_SECONDS, LOOK_SHARE * (now - started))
end

local function load(self)
  local job = self:new_job()
  require("command.steps").load(job)
  self.project, self.version, self.known = job.project, self.version + 1, {}
  local started = time.mono()
  self.marks = watch.look(job.project)
  plan_look(self, started)
  self.holder = { profile = { secrets = job.project.profile.secrets, params = job.project.profile.params } }
  self.texts = nil
  if not self.idle then self.idle = loop.spawn(wait_for_idleness, self) end
end

local function is_fresh(self)
  if not self.project then return false end
  local started = time.mono()
  if started < self.next_look then return true end
  local changed = watch.changes(self.project, self.marks) ~= nil
  plan_look(self, started)
  return not changed
end

--- The project as its files are. Raises what is wrong with them. Waits while it loads; who asks meanwhile waits for the
--- same.
---@return dex.Project
function Loaded:get()
  self.used = time.mono()
  if self.loading then
    self.loading:wait()
    return self.project
  end
  if is_fresh(self) then return self.project end
  if self.failure and time.mono() - self.failed_at < FAILED_SECONDS then error(self.failure, 0) end
  self.loading = loop.spawn(load, self)
  local ok, e = pcall(self.loading.wait, self.loading)
  self.loading, self.failure = nil, nil
  if not ok then
    self.project = nil
    self.failure, self.failed_at = err.wrap(e), time.mono()
    if self.failure.code < 900 then self.failure.status = 409 end -- the request may be right
    error(self.failure, 0)
  end
  return self.project
end

--- What was made of the project as it is now, by a key; made by fn() when it is asked for first. fn may wait.
---@param key string
---@param fn fun(project: dex.Project): any
---@return any
function Loaded:cached(key, fn)
  local project = self:get()
  local known = self.known
  if known[key] == nil then known[key] = fn(project) end
  return known[key]
end

--- Calls fn(job) with a job whose project is loaded and that closes what it opened. May wait.
---@param fn fun(job: table): any
---@return any
function Loaded:with_job(fn)
  local job = self:new_job()
  job.project = self:get()
  job.target_path = job.project.target_path
  local results = table.pack(pcall(fn, job))
  for i = #job.closers, 1, -1 do pcall(job.closers[i]) end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Keeps the private server of a project that has no other running as long as the project is loaded, so that it does
--- not start for each look. May wait.
function Loaded:keep_private()
  if self.project and not self.project.profile.params and not self.private then
    self.private = require("dex.db").private { dir = self.project.root }
    self.private:ensure()
  end
end

--- What holds the secrets that are known, as lua/run/secrets.lua wants it.
---@return table
function Loaded:secrets_of() return self.holder end

--- The secrets, the longest first. The environment does not change while a server runs.
---@return string[]
function Loaded:secret_texts()
  if not self.texts then self.texts = secrets.known(self.holder) end
  return self.texts
end

--- Forgets the project.
function Loaded:close()
  self.closed, self.project = true, nil
  give_back(self)
  if self.idle then self.idle:cancel() end
end

--- The project of a server's job, not loaded yet.
---@param job table
---@return table
function M.new(job)
  return setmetatable({ job = job, version = 0, known = {}, holder = {}, used = 0, next_look = 0 }, Loaded)
end

return M
