--- Where a command's words go: to the terminal or as events to standard output, to the log file, and to neither when
-- they are warnings that --warn-error-options silences.

local err = require "err"
local fs = require "dex.fs"
local warnings = require "report.warnings"

local M = {}

-- Warnings that wait for a history.
local MOST_EARLY = 200

local Outlets = {}

-- What is asked of an outlet that is not its own is asked of what the user sees.
Outlets.__index = function(self, key)
  local own = rawget(Outlets, key)
  if own ~= nil then return own end
  return rawget(self, "front")[key]
end

local function front_of(job)
  local given = job.given
  local format = given.log_format
  local opts = { level = given.debug and "debug" or given.log_level, quiet = given.quiet, print = given.print,
    use_colors = given.use_colors, width = given.printer_width, format = format, command = job.command.name,
    invocation_id = job.invocation_id, fd = job.command.data and 2 or 1 }
  local module = (format == "json" or format == "debug") and "report.json_log" or "report.terminal"
  return require(module).new(opts)
end

-- The folder of the log; nil outside of projects.
local function log_folder(given)
  if given.log_path then return given.log_path, true end
  local dir = given.project_dir or require("dex.env").get "DBT_PROJECT_DIR" or "."
  for _, name in ipairs { "dex_project.yml", "dbt_project.yml" } do
    if fs.exists(dir .. "/" .. name) then return dir .. "/logs", false end
  end
end

local function file_of(job)
  local given = job.given
  if not given.log_level_file or given.log_level_file == "none" then return nil end
  local folder, named = log_folder(given)
  if not folder then return nil end
  local format = given.log_format_file or given.log_format
  return require("report.file_log").new { folder = folder, named = named, level = given.log_level_file,
    format = format, limit = given.log_file_max_bytes, command = job.command.name, invocation_id = job.invocation_id }
end

--- The report of a job. Raises code 101 when --warn-error-options is wrong.
---@param job table of lua/pipeline.lua
function M.new(job)
  local self = setmetatable({ front = front_of(job), early = {} }, Outlets)
  self.policy = warnings.policy(job.given)
  self.file = file_of(job)
  return self
end

--- Whether debug messages are wanted anywhere: making them costs time.
function Outlets:debugging()
  return self.front.level == 1 or self.file ~= nil and self.file.level == 1
end

for _, name in ipairs { "event", "finish", "failure" } do
  Outlets[name] = function(self, ...)
    if self.file then self.file[name](self.file, ...) end
    if name == "failure" then self:record("error", tostring((...))) end
    return self.front[name](self.front, ...)
  end
end

-- What the history keeps; before there is one, warnings wait.
function Outlets:record(level, text, node)
  local recorder = self.recorder
  if recorder then
    recorder:log(level, text, node)
  elseif self.early and level ~= "debug" and level ~= "info" and level ~= "print" and #self.early < MOST_EARLY then
    table.insert(self.early, { level, text })
  end
end

--- From now on the history hears of what is said, of earlier warnings, too.
---@param recorder state.Recorder
function Outlets:attach(recorder)
  self.recorder = recorder
  for _, line in ipairs(self.early) do recorder:log(line[1], line[2]) end
  self.early = nil
end

function Outlets:log(level, text, node)
  if self.file then self.file:log(level, text, node) end
  self:record(level, text, node)
  self.front:log(level, text, node)
end

--- A warning: said, kept quiet, or raised as an error (report/warnings.lua).
---@param e dex.Error
function Outlets:warning(e)
  local what = self.policy:of(warnings.event_of(e), e.code)
  if what == "silence" then return end
  if what == "error" then
    error(err.wrap(e, { hint = "--warn-error makes this warning an error" }), 0)
  end
  if self.file then self.file:warning(e) end
  self:record("warn", tostring(e))
  self.front:warning(e)
end

--- The end: what the log file still waits for is written.
function Outlets:close()
  if self.file then self.file.close() end
end

function Outlets:tick() self.front:tick() end

return M
