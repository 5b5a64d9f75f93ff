--- Events for viewers, as server-sent events. The table `events` of the store is the only source: its ids are theirs,
-- so a viewer that comes again goes on where it was. What is new is read and encoded once for all viewers. One that
-- does not read as fast as it comes leaves the others: it reads from the table by itself, as fast as it can, until it
-- is up to date; one that reads nothing at all is dropped by the server (dex.web's write_seconds).

local json = require "dex.json"
local loop = require "dex.loop"
local secrets = require "run.secrets"
local status = require "state.status"
local values = require "state.values"
local web = require "dex.web"

local M = {}

local BATCH = 500         -- events at a time
local PAUSE = 0.05        -- between two readings of the table, so that many events go out together
local HIGH = 1024 * 1024  -- unsent bytes with which a viewer counts as slow
local LOW = 16 * 1024     -- and as able to take more
local HEARTBEAT = 15      -- seconds

local Events = {}
Events.__index = Events

-- Texts that come again and again, as JSON; of one batch.
local names = {}

local function quoted(text)
  local known = names[text]
  if not known then
    known = json.encode(text)
    names[text] = known
  end
  return known
end

-- One event as it goes out. Its data is an object already.
local function encoded(row)
  local data = row.data and row.data ~= "" and row.data or "{}"
  local head = {}
  if row.run_id then head[#head + 1] = '"run_id":' .. quoted(row.run_id) end
  if row.task then head[#head + 1] = '"task":' .. quoted(row.task) end
  head[#head + 1] = ('"at":"%s"'):format(values.iso(row.at))
  return ("id: %d\nevent: %s\ndata: {%s%s\n\n"):format(row.id, row.kind, table.concat(head, ","),
    data:find "^%s*{%s*}" and "}" or "," .. data:match "^%s*{(.*)$")
end

local function text_of(self, rows)
  local parts = {}
  for i, row in ipairs(rows) do parts[i] = encoded(row) end
  names = {}
  local text = table.concat(parts)
  local hidden = self.server.loaded:secret_texts()
  if #hidden == 0 then return text end
  for _, secret in ipairs(hidden) do
    if text:find(secret, 1, true) then return secrets.masker(self.server.loaded:secrets_of())(text) end
  end
  return text
end

-- The rows of each run, for viewers of one.
local function by_run(rows)
  local found = {}
  for _, row in ipairs(rows) do
    if row.run_id then
      found[row.run_id] = found[row.run_id] or {}
      table.insert(found[row.run_id], row)
    end
  end
  return found
end

-- Whether a row may be the last that a viewer wants to see.
local function may_be_last(viewer, rows)
  if not viewer.ends then return false end
  for _, row in ipairs(rows) do
    if row.kind == "run" then return true end
  end
  return false
end

local function send(self, viewer, chunk, rows)
  local unsent = viewer.answer:write(chunk)
  if unsent and unsent <= HIGH and not may_be_last(viewer, rows) then return end
  self.viewers[viewer] = nil
  viewer.answer:wake() -- its own task goes on from viewer.position
end

-- Who has lost its token sees no more: its own task goes on, and ends.
local function dismiss(self)
  local tokens = self.server.tokens
  tokens:refresh()
  if tokens.list == self.tokens then return end
  self.tokens = tokens.list
  for viewer in pairs(self.viewers) do
    if not tokens:has(viewer.who) then
      self.viewers[viewer] = nil
      viewer.answer:wake()
    end
  end
end

-- Reads what is new and sends it to everybody who is up to date. Does not wait.
local function pump(self)
  while true do
    local rows = self.store:events_after(self.last, { limit = BATCH })
    if #rows == 0 then return end
    dismiss(self)
    self.last = rows[#rows].id
    local all, of_run, runs = nil, {}, nil
    for viewer in pairs(self.viewers) do
      local chunk
      if viewer.run then
        runs = runs or by_run(rows)
        if runs[viewer.run] and not of_run[viewer.run] then
          of_run[viewer.run] = web.chunk(text_of(self, runs[viewer.run]))
        end
        chunk = of_run[viewer.run]
      else
        all = all or web.chunk(text_of(self, rows))
        chunk = all
      end
      viewer.position = self.last
      if chunk then send(self, viewer, chunk, runs and runs[viewer.run] or rows) end
    end
  end
end

local function heartbeat(self)
  local beat = web.chunk ": \n\n"
  while self.count > 0 and not self.closed do
    loop.sleep(HEARTBEAT)
    for viewer in pairs(self.viewers) do viewer.answer:write(beat) end
  end
  self.beating = nil
end

-- The table cannot be read. All streams end; a viewer that comes again finds how it is then.
local function fail(self, e)
  self.server.report:log("error", "events cannot be read: " .. tostring(e))
  self.failed = true
  for viewer in pairs(self.viewers) do viewer.answer:wake() end
end

-- The first viewer has come.
local function begin(self)
  self.last, self.failed = self.store:last_event_id(), false
  self.watcher = self.store:watch(function()
    pump(self)
    loop.sleep(PAUSE)
  end, function(e) fail(self, e) end)
  if not self.beating then self.beating = loop.spawn(heartbeat, self) end
end

local function finish(self)
  if self.watcher then self.watcher:close() end
  if self.beating then self.beating:cancel() end
  self.watcher, self.beating = nil, nil
end

local function has_ended(self, run)
  local row = self.store:run(run)
  return not row or status.is_final("runs", row.status)
end

-- Sends what a viewer has not seen, until it is up to date; it is one of the viewers then. Gives false when it is gone,
-- or has seen all that it wants.
local function catch_up(self, viewer)
  while true do
    if not viewer.answer:wait(LOW) or self.closed or self.failed then return false end
    if not self.server.tokens:has(viewer.who) then return false end
    pump(self)
    local rows = self.store:events_after(viewer.position, { limit = BATCH, run_id = viewer.run })
    if #rows == 0 then
      if viewer.ends and has_ended(self, viewer.run) then return false end
      viewer.position = self.last
      self.viewers[viewer] = true
      return true
    end
    viewer.answer:write(text_of(self, rows))
    viewer.position = rows[#rows].id
  end
end

--- Streams events to one viewer until it goes, or its token does. Waits.
---@param who dex.Token
---@param answer userdata of dex.web, whose answer has not begun
---@param fields string[][] of the answer
---@param after integer|nil the last event that the viewer has seen; nil: it begins with what comes
---@param run string|nil only events of this run
---@param ends boolean|nil the stream ends when that run has
function Events:follow(who, answer, fields, after, run, ends)
  if self.count == 0 then begin(self) end
  self.count = self.count + 1
  local viewer <close> = setmetatable({ who = who, answer = answer, run = run, ends = ends,
    position = after or self.store:last_event_id() }, { __close = function(viewer)
      self.viewers[viewer] = nil
      self.count = self.count - 1
      if self.count == 0 then finish(self) end
    end })
  answer:stream(200, fields)
  answer:write "retry: 1000\n\n"
  while catch_up(self, viewer) and answer:wait() do
    self.viewers[viewer] = nil
  end
end

--- Ends all streams.
function Events:close()
  self.closed = true
  finish(self)
  for viewer in pairs(self.viewers) do viewer.answer:wake() end
end

--- The events of a server's store.
---@param server table of lua/server/http.lua
---@return table
function M.new(server)
  return setmetatable({ server = server, store = server.store, viewers = {}, count = 0, last = 0 }, Events)
end

return M
