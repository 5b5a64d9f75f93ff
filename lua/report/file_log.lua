--- The log file, logs/dex.log of the project: what the command said and more (--log-level-file, debug unless given),
-- with the SQL that was sent. Commands append to it; a file that has grown too large becomes dex.log.1.

local err = require "err"
local events = require "report.events"
local fs = require "dex.fs"
local lines = require "report.lines"
local secrets = require "run.secrets"
local time = require "dex.time"

local M = {}

--- How many older files are kept beside dex.log.
M.KEPT = 5

local File = {}
File.__index = File

local function rotate(self)
  if self.handle then self.handle:close() end
  self.handle = nil
  for i = M.KEPT - 1, 1, -1 do
    local from = ("%s.%d"):format(self.path, i)
    if fs.exists(from) then pcall(fs.rename, from, ("%s.%d"):format(self.path, i + 1)) end
  end
  pcall(fs.rename, self.path, self.path .. ".1")
end

-- Opens it at the first line, so that a command that says nothing leaves no file. A folder that cannot be written to is
-- an error only for those who named it.
local function open(self)
  local ok, e = pcall(fs.mkdirs, self.folder)
  local size = ok and fs.exists(self.path) and fs.stat(self.path).size or 0
  if ok and self.limit > 0 and size >= self.limit then
    rotate(self)
    size = 0
  end
  local message
  if ok then self.handle, message = io.open(self.path, "a") end
  if self.handle then
    self.handle:setvbuf("full", 65536)
    self.size = size
    if not self.begun and self.format ~= "json" then
      self.handle:write(("\n============================== %s | %s ==============================\n"):format(
        time.iso(time.now()), self.invocation_id))
    end
    self.begun = true
    return
  end
  self.dead = true
  if self.named then
    err.raise { code = 110, message = "cannot write the log: " .. (message or tostring(e.message)), file = self.path,
      hint = "name another folder with --log-path, or write none with --log-level-file none" }
  end
end

local function write(self, event)
  if self.dead then return end
  if not self.handle then
    open(self)
    if self.dead then return end
  end
  local line = self.format == "json" and lines.json(event, self.invocation_id) or lines.text(event)
  if self.mask then line = self.mask(line) end
  self.handle:write(line, "\n")
  self.size = self.size + #line + 1
  if event.level ~= "debug" then self.handle:flush() end
  if self.limit > 0 and self.size >= self.limit then rotate(self) end
end

--- A reporter with the methods of report/terminal.lua that writes to a file, and `close`.
---@param opts {folder: string, named: boolean, level: string, format: string, limit: integer, command: string,
---  invocation_id: string} `named`: whether the user named the folder
function M.new(opts)
  local file = setmetatable({ folder = opts.folder, path = opts.folder .. "/dex.log", named = opts.named,
    format = opts.format, limit = opts.limit, invocation_id = opts.invocation_id, mask = secrets.environment_masker(),
    size = 0 }, File)
  if opts.named then open(file) end
  local report = events.new { command = opts.command, level = opts.level,
    emit = function(event) write(file, event) end }
  function report.close()
    if file.handle then file.handle:close() end
    file.handle, file.dead = nil, true
  end
  return report
end

return M
