--- What the tables hold, and what Lua holds: JSON, times, names.

local json = require "dex.json"
local time = require "dex.time"
local value = require "jinja.value"

local M = {}

--- Now, in microseconds since 1970.
---@return integer
function M.now() return math.floor(time.now() * 1e6) end

--- Seconds as the tables hold times and durations.
---@param seconds number|nil
---@return integer|nil
function M.micro(seconds) return seconds and math.floor(seconds * 1e6 + 0.5) end

local second, shown -- the last one that was asked for: most times are close together

--- A time of the tables as ISO 8601 in UTC.
---@param micro integer|nil
---@return string|nil
function M.iso(micro)
  if not micro then return nil end
  local now = micro // 1000000
  if now ~= second then second, shown = now, time.iso(now):sub(1, 20) end
  return ("%s%06dZ"):format(shown, micro % 1000000)
end

--- A plain Lua table as what JSON knows: a list when it has only 1, 2, 3 ..., else a dict in the order of its keys.
---@param x any
---@return any
local function plain(x)
  if type(x) ~= "table" or getmetatable(x) then return x end
  if #x > 0 or next(x) == nil then
    local list = value.list()
    for i, v in ipairs(x) do list[i] = plain(v) end
    return list
  end
  local keys, dict = {}, value.dict()
  for k in pairs(x) do keys[#keys + 1] = tostring(k) end
  table.sort(keys)
  for _, k in ipairs(keys) do dict[k] = plain(x[k]) end
  return dict
end

M.plain = plain

--- What a column of JSON gets: a text is JSON already, a table becomes it.
---@param x any
---@return string|nil
function M.to_json(x)
  if x == nil or x == value.none or type(x) == "string" then return x ~= value.none and x or nil end
  return json.encode(plain(x))
end

--- What a column of JSON says; nil when it is empty or, in a damaged file, no JSON.
---@param text string|nil
---@return any
function M.from_json(text)
  if not text then return nil end
  local ok, x = pcall(json.decode, text)
  return ok and x or nil
end

local LONGEST = 65536

--- A line of a log as it is kept: the beginning of a very long one.
---@param text string
---@return string
function M.line(text)
  if #text <= LONGEST then return text end
  local stop = LONGEST
  while stop > LONGEST - 4 and (text:byte(stop + 1) or 0) & 0xc0 == 0x80 do stop = stop - 1 end
  return ("%s ... and %d more bytes"):format(text:sub(1, stop), #text - stop)
end

return M
