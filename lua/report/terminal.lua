--- What a person sees of a run: a line for each node that ended, on a terminal also the running ones
-- below it with their elapsed time, then the summary. Without a terminal: the same lines, no live part.

local term = require "dex.term"
local time = require "dex.time"
local errors = require "report.errors"
local estimate = require "report.estimate"
local paint = require "report.paint"

local M = {}

local Terminal = {}
Terminal.__index = Terminal

local levels = { debug = 1, info = 2, warn = 3, error = 4, none = 5 }

-- status -> word shown, style, and the count of the summary that it adds to
local words = {
  success = { "ok", "green", "ok" },
  pass = { "pass", "green", "ok" },
  ["no-op"] = { "no-op", "grey", "ok" },
  warn = { "WARN", "yellow", "warned" },
  fail = { "FAIL", "red", "failed" },
  error = { "ERROR", "red", "failed" },
  ["partial success"] = { "PART", "red", "failed" },
  cancelled = { "CANCEL", "yellow", "cancelled" },
  skipped = { "skip", "grey", "skipped" },
}

--- A reporter.
---@param opts {level: string, quiet: boolean, use_colors: boolean|nil, width: integer|nil, command: string,
---  fd: integer|nil}
---  fd: where to, standard output unless it is 2; width of lines, else the terminal's
function M.new(opts)
  local fd = opts.fd or 1
  local live = term.isatty(fd) and not opts.quiet and require("dex.env").get("TERM") ~= "dumb"
  return setmetatable({
    live = live,
    level = opts.quiet and levels.error or levels[opts.level] or levels.info,
    quiet = opts.quiet,
    width = math.max(opts.width or term.isatty(fd) and term.width() or 80, 40),
    paint = paint.painter(paint.wanted(opts.use_colors, fd)),
    fd = fd,
    command = opts.command,
    running = {},
    block = 0,
    counts = {},
    hooks = {},
    hook_count = 0,
    failures = {},
    done = 0,
    total = 0,
  }, Terminal)
end

local hook_limit = 60 -- hooks that went well are named in the summary while there are no more

-- Kinds whose names are too long for their column.
local short_kinds = { unit_test = "unit", ["function"] = "func", operation = "op", saved_query = "query",
  exposure = "expo", transformation = "models" }

-- The live part -----------------------------------------------------------------------------------

-- The work goes on when its report cannot be written: the exit status will say so (lua/pipeline.lua).
local function write(self, text)
  if self.broken then return end
  local ok, e = pcall(term.write, self.fd, text)
  if not ok then self.broken = e end
end

local function erase(self)
  if self.block > 0 then
    write(self, ("\27[%dA\27[J"):format(self.block))
    self.block = 0
  end
end

local function draw(self)
  if not self.live or self.lent or #self.running == 0 then return end
  local lines = {}
  local now = time.mono()
  local shown = math.min(#self.running, 8)
  for i = 1, shown do
    local r = self.running[i]
    local left = ("%6s  %-6s %-7s %s"):format("", "run", short_kinds[r.kind] or r.kind, r.name)
    local right = ("%.1fs"):format(now - r.since)
    local room = self.width - #right - 2
    lines[i] = self.paint("grey", ("%-" .. room .. "s %s"):format(left:sub(1, room), right))
  end
  if #self.running > shown then
    lines[#lines + 1] = self.paint("grey", ("        and %d more"):format(#self.running - shown))
  end
  if self.left then
    local seconds = estimate.left(self.left, self.earlier, self.threads)
    if seconds then
      lines[#lines + 1] = self.paint("grey", ("        %d of %d done, about %.0fs left"):format(self.done, self.total,
        seconds))
    end
  end
  self.block = #lines
  write(self, table.concat(lines, "\n") .. "\n")
end

--- Prints whole lines above the live part.
function Terminal:print(text)
  if self.lent then
    self.lent(text)
  elseif self.block > 0 then
    erase(self)
    write(self, text .. "\n")
    draw(self)
  else
    write(self, text .. "\n")
  end
end

--- Leaves the terminal to a prompt: there is no live part, and lines go through a function, until it is taken back.
---@param print fun(text: string)
function Terminal:lend(print)
  erase(self)
  self.lent = print
end

--- The prompt has ended.
function Terminal:take_back()
  self.lent = nil
  draw(self)
end

--- Redraws the live part; called by a timer while a run goes on.
function Terminal:tick()
  if self.live and #self.running > 0 then
    erase(self)
    draw(self)
  end
end

-- Lines -------------------------------------------------------------------------------------------

--- A log message of the engine, a macro or a hook. May be called at any time.
---@param level "debug"|"info"|"warn"|"error"|"print"
---@param text string
function Terminal:log(level, text)
  if level == "print" then
    if self.fd == 1 then self:print(text) else term.write(1, text .. "\n") end
  elseif levels[level] >= self.level then
    if level == "warn" then
      self:print(self.paint("yellow", "warning") .. ": " .. text)
    elseif level == "error" then
      self:print(self.paint("red", "error") .. ": " .. text)
    elseif level == "debug" then
      self:print(self.paint("grey", text))
    else
      self:print(text)
    end
  end
end

--- A warning that has a place.
---@param e dex.Error
function Terminal:warning(e)
  if self.level <= levels.warn then
    self:print(errors.format(e, { width = self.width, paint = function(style, text)
      return self.paint(style == "red" and "yellow" or style, text)
    end, label = "warning" }))
  end
end

--- A failure outside of any node.
---@param e dex.Error
function Terminal:failure(e)
  if self.level <= levels.error then
    self:print(errors.format(e, { width = self.width, paint = self.paint, debug = self.level == levels.debug }))
  end
end

local function thousands(n)
  local text = tostring(n)
  repeat
    local count
    text, count = text:gsub("^(%d+)(%d%d%d)", "%1,%2")
  until count == 0
  return text
end

-- What stands at the end of a node's line: rows, the number of failures, or the reason.
local function outcome(result)
  if result.status == "skipped" then return result.message or "" end
  if result.status == "success" then
    local rows = result.rows_affected
    return rows and (thousands(rows) .. (rows == 1 and " row" or " rows")) or result.response or ""
  end
  if result.failures and (result.status == "fail" or result.status == "warn") then
    return thousands(result.failures) .. (result.failures == 1 and " failure" or " failures")
  end
  return ""
end

function Terminal:node_line(result)
  local word = words[result.status] or { result.status, "grey", "ok" }
  local counter = ("%" .. #tostring(self.total) .. "d/%d"):format(self.done, self.total)
  local tail = outcome(result)
  if result.seconds then tail = tail .. ("%s%.2fs"):format(#tail > 0 and "  " or "", result.seconds) end
  local fixed = 2 + #counter + 2 + 6 + 1 + 7 + 1
  local room = self.width - fixed - #tail - 2
  if room < 12 then
    tail = tail:sub(-math.max(0, self.width - fixed - 14))
    room = self.width - fixed - #tail - 2
  end
  local name = result.label
  if #name > room then name = name:sub(1, room - 2) .. ".." end
  return ("  %s  %s %-7s %s  %s"):format(counter, self.paint(word[2], ("%-6s"):format(word[1])),
    short_kinds[result.kind] or result.kind,
    name .. (" "):rep(room - #name), tail)
end

--- The events of a run (lua/run/init.lua). Does not wait.
---@param name string
---@param data table
function Terminal:event(name, data)
  local handler = self["on_" .. name]
  if handler then handler(self, data) end
end

-- Whole words in lines of a width.
local function wrapped(text, width)
  local lines, line = {}, ""
  for word in text:gmatch("%S+") do
    if #line > 0 and #line + 1 + #word > width then
      lines[#lines + 1], line = line, "  " .. word
    else
      line = #line > 0 and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

function Terminal:on_run_start(data)
  self.total = data.total
  if self.level > levels.info then return end
  for _, line in ipairs(data.lines or {}) do
    self:print(self.live and #line > self.width and wrapped(line, self.width) or line)
  end
  if self.live and data.target_path then
    self.earlier, self.threads, self.left = estimate.earlier(data.target_path), data.threads, {}
    for _, item in ipairs(data.nodes) do self.left[item.id] = true end
  end
end

-- Work that came up on the way.
function Terminal:on_more(data) self.total = self.total + data.count end

function Terminal:on_node_start(data)
  if self.level > levels.info or not self.live then return end
  self.running[#self.running + 1] = { id = data.id, kind = data.kind, name = data.label, since = time.mono() }
end

function Terminal:on_node_end(result)
  for i, r in ipairs(self.running) do
    if r.id == result.id then
      table.remove(self.running, i)
      break
    end
  end
  self.done = self.done + 1
  if self.left then self.left[result.id] = nil end
  local word = words[result.status] or words.success
  self.counts[word[3]] = (self.counts[word[3]] or 0) + 1
  if result.error or result.status == "fail" or result.status == "error" then
    self.failures[#self.failures + 1] = result
  end
  local wanted = (result.status == "error" or result.status == "fail") and levels.error
    or result.status == "warn" and levels.warn or levels.info
  if self.level <= wanted then self:print(self:node_line(result)) end
end

-- A statement on its way to the server.
function Terminal:on_sql(data)
  if self.level == levels.debug then self:log("debug", ("%s: %s"):format(data.id, data.sql)) end
end

-- Those that the summary will name are kept: each that did not go well, and the others while they are few.
function Terminal:on_hook_end(record)
  local bad = record.status ~= "success" or record.warned
  self.hook_count = self.hook_count + 1
  if bad or self.hook_count <= hook_limit then
    self.hooks[#self.hooks + 1] = record
  elseif self.hook_count == hook_limit + 1 then
    local kept = {}
    for _, one in ipairs(self.hooks) do
      if one.status ~= "success" or one.warned then kept[#kept + 1] = one end
    end
    self.hooks = kept
  end
  if self.level == levels.debug then
    self:log("debug", ("    hook %s %s %s %.3fs"):format(record.phase, record.name, record.status, record.seconds or 0))
  end
end

-- A run hook is none of the counted nodes; its failure is told with theirs.
function Terminal:on_run_hook_end(result)
  if not result.error then return end
  self.counts.failed = (self.counts.failed or 0) + 1
  self.failures[#self.failures + 1] = result
end

-- The summary -------------------------------------------------------------------------------------

local function hook_row(self, record, name_width)
  local word = words[record.warned and record.status == "success" and "warn" or record.status]
    or { record.status, "grey" }
  local name = record.label
  if #name > name_width then name = name:sub(1, name_width - 2) .. ".." end
  return ("  %s %-12s %-" .. name_width .. "s %6.2fs"):format(self.paint(word[2], ("%-6s"):format(word[1])),
    record.phase, name, record.seconds or 0)
end

local function print_hooks(self)
  if self.hook_count == 0 then return end
  self:print("\nHooks that ran: " .. self.hook_count)
  for _, record in ipairs(self.hooks) do self:print(hook_row(self, record, self.width - 31)) end
  if #self.hooks < self.hook_count then
    self:print(("  and %d more that succeeded: target/hook_results.json has them all"):format(self.hook_count
      - #self.hooks))
  end
end

--- The end of the report: hooks, failures with the command that runs them again, counts. Prints nothing when
--- only errors are wanted and there are none.
---@param summary {seconds: number, cancelled: boolean}
function Terminal:finish(summary)
  self.running = {}
  erase(self)
  if self.level <= levels.info then print_hooks(self) end
  if #self.failures > 0 and self.level <= levels.error then
    self:print("")
    for _, result in ipairs(self.failures) do
      if result.error then
        local label = result.kind ~= "hook" and ("%s: error %s"):format(self.paint("red", result.kind .. " " ..
          result.name), result.error.code) or nil
        self:print(errors.format(result.error, { width = self.width, paint = self.paint,
          debug = self.level == levels.debug, label = label }))
      else
        self:print(self.paint("red", result.kind .. " " .. result.name) .. ": " .. (result.message or result.status))
        if result.file then self:print("  " .. self.paint("bold", errors.relative(result.file)
          .. (result.line and (":" .. result.line) or ""))) end
        if result.stored then self:print("  the rows that failed: " .. result.stored) end
        if result.compiled_path then self:print("  compiled SQL: " .. errors.relative(result.compiled_path)) end
      end
      if result.rerun then self:print("  run again: " .. result.rerun) end
    end
  end
  if self.level <= levels.info or #self.failures > 0 then
    local parts = {}
    for _, key in ipairs { "ok", "warned", "failed", "cancelled", "skipped" } do
      if key == "ok" or self.counts[key] then parts[#parts + 1] = (self.counts[key] or 0) .. " " .. key end
    end
    self:print(("\n%s in %.2fs: %s"):format(summary.cancelled and "Cancelled" or "Done", summary.seconds,
      table.concat(parts, ", ")))
  end
end

return M
