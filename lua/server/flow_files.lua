--- The flows of a project as their files are now: read again when one has changed. While a file is broken the flows
-- that were read before it hold.

local alarm = require "dex.alarm"
local core = require "dex.core"
local definition = require "flow.definition"
local err = require "err"
local fs = require "dex.fs"
local loop = require "dex.loop"
local root = require "project.root"
local time = require "dex.time"
local watch = require "dex.watch"

local M = {}

local QUIET = 200000 -- microseconds without a change: whoever saves several files is done

---@class dex.FlowFiles
---@field flows dex.Flow[]
---@field root string the project's folder
local FlowFiles = {}
FlowFiles.__index = FlowFiles

-- Folders that hold what flows are made of, with all below them.
local function folders_of(package)
  local list, seen = { package.dir }, { [package.dir] = true }
  local function add(dir)
    if seen[dir] or not fs.isdir(dir) then return end
    seen[dir], list[#list + 1] = true, dir
    for _, name in ipairs(fs.list(dir)) do add(dir .. "/" .. name) end
  end
  for _, kind in ipairs { "flow", "operation" } do
    for _, folder in ipairs(package.paths[kind]) do add(package.dir .. "/" .. folder) end
  end
  return list
end

-- Only the flows are kept: what else is known of a project would make an idle server large.
local function load(self)
  local job = setmetatable({}, { __index = self.job })
  require("command.steps").load(job)
  local flows = definition.read(job.project)
  for _, warning in ipairs(flows.warnings) do job.report:warning(warning) end
  self.flows, self.root = flows, job.project.root
  self.name, self.target = job.project.name, job.project.profile.target_name
end

local function forget_watchers(self)
  for _, watcher in ipairs(self.watchers) do watcher:close() end
  self.watchers = {}
end

-- Before anything is read, so that no change is missed.
local function watch_folders(self)
  local ok, package = pcall(root.load, self.job.given.project_dir or ".", self.job.given)
  if not ok and self.folders then return end -- the project file is broken: what was watched still is
  if not ok then error(package, 0) end
  forget_watchers(self)
  self.folders = folders_of(package)
  for _, folder in ipairs(self.folders) do
    local watched, watcher = pcall(watch.folder, folder)
    if watched then
      self.watchers[#self.watchers + 1] = watcher
      loop.spawn(function()
        while watcher:wait() do self.bell:ring() end
      end)
    elseif fs.isdir(folder) then
      self.log("warn", ("changes of %s are not noticed: %s"):format(folder, tostring(watcher)))
    end
  end
end

local function reload(self)
  watch_folders(self)
  local ok, e = pcall(load, self)
  core.trim() -- the project is gone
  if ok then
    self.broken = nil
    self.log("info", ("the flows were read again: there are %d"):format(#self.flows))
  else
    e = err.wrap(e)
    local words = require("report.errors").format(e)
    if words ~= self.broken then
      self.log("error", "the files have changed, and there is a mistake; the flows stay as they were\n" .. words)
    end
    self.broken = words
  end
  return ok
end

--- Reads the flows again whenever a file of them has changed, until `close`. fn() is called after that. Waits.
---@param fn fun()
function FlowFiles:follow(fn)
  while true do
    local why = self.bell:wait()
    local touched = why == "rung" -- else the clock was set, which is nothing to us
    while why == "rung" do why = self.bell:wait(math.floor(time.now() * 1000000) + QUIET) end
    if why == "closed" then break end
    if touched and reload(self) then fn() end
  end
end

--- Files are not looked at any more. Does not wait.
function FlowFiles:close()
  forget_watchers(self)
  self.bell:close()
end

--- Reads the flows. Raises what is wrong with the project. May wait.
---@param job table of lua/pipeline.lua; it has no project yet
---@param log fun(level: string, text: string)
---@return dex.FlowFiles `name` and `target` are the project's
function M.open(job, log)
  local self = setmetatable({ job = job, log = log, watchers = {}, bell = alarm.new() }, FlowFiles)
  local ok, e = pcall(function()
    watch_folders(self)
    load(self)
  end)
  if not ok then
    self:close()
    error(e, 0)
  end
  core.trim() -- the project is gone
  return self
end

return M
