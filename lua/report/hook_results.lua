--- target/hook_results.json: a record for every hook that ran, in the order in which they ended. Each is written as its
-- hook ends, and none is kept: a run of many hooks needs no memory for them. The file takes its place when the run has
-- ended, so that a command that is killed leaves the one before it whole.

local core = require "dex.core"
local draft = require "dex.draft"
local fs = require "dex.fs"
local json = require "dex.json"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

local Records = {}
Records.__index = Records

local AT_ONCE = 65536 -- bytes that are written in one go

local fields = { "node", "name", "kind", "phase", "index", "place", "file", "line", "transaction", "try",
  "started_at", "seconds", "rows", "status", "message", "sql" }

local shape = value.dict() -- filled anew for each record
for _, name in ipairs(fields) do shape[name] = value.none end

local function text_of(record, mask)
  for _, name in ipairs(fields) do
    local v = record[name]
    if name == "started_at" then
      v = time.iso(v)
    elseif type(v) == "string" then
      v = mask(v)
    end
    shape[name] = value.or_none(v)
  end
  return json.encode(shape)
end

--- The file of a command; nothing is on the disk before much is to be written, or it ends.
---@param job table of lua/pipeline.lua
---@param mask fun(text: string): string hides secrets
---@return table
function M.new(job, mask)
  local records = setmetatable({ path = job.target_path .. "/hook_results.json", invocation_id = job.invocation_id,
    mask = mask, count = 0, waiting = {}, size = 0 }, Records)
  job.closers[#job.closers + 1] = function() records:drop() end
  return records
end

local function begin(self)
  fs.mkdirs(self.path:match("^(.*)/"))
  self.draft = draft.new(self.path)
  self.draft:write(('{"metadata": %s, "results": ['):format(json.encode(value.dict("generated_at",
    time.iso(time.now()), "invocation_id", self.invocation_id, "dex_version", core.version))))
end

local function flush(self)
  if not self.draft then begin(self) end
  self.draft:write(table.concat(self.waiting))
  self.waiting, self.size = {}, 0
end

--- Adds what a hook did. A file that cannot be written ends no hook: finish() tells. Does not wait.
---@param record dex.HookRecord
function Records:add(record)
  if self.failure then return end
  local text = text_of(record, self.mask)
  if self.count > 0 then text = ", " .. text end
  self.count = self.count + 1
  self.waiting[#self.waiting + 1] = text
  self.size = self.size + #text
  if self.size < AT_ONCE then return end
  local ok, e = pcall(flush, self)
  if not ok then
    self:drop()
    self.failure = e
  end
end

--- The end: the file takes its place. Raises code 110 when it cannot be written; then the one before it still stands.
function Records:finish()
  if self.failure then error(self.failure, 0) end
  self.waiting[#self.waiting + 1] = "]}"
  flush(self)
  self.draft:publish()
  self.draft = nil
end

--- What was written is gone, unless it was finished.
function Records:drop()
  if self.draft then self.draft:drop() end
  self.draft, self.waiting = nil, {}
end

return M
