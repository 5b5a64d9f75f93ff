--- Time zones from the system's zone files (TZif), with offsets as pytz gives them.

local value = require "jinja.value"
local fault = require "jinja.fault"
local calendar = require "jinja.modules.calendar"

local M = {}

local DIRECTORIES = { "/usr/share/zoneinfo/", "/usr/lib/zoneinfo/", "/usr/share/lib/zoneinfo/" }

-- A zone at one of its offsets: {zone = name, offset = seconds, name = abbreviation, dst = seconds,
-- rules = transitions}
local Zone = { __name = "dex.tzinfo", __pytype = "DstTzInfo", is_tzinfo = true, __methods = {} }
M.Zone = Zone

Zone.__str = function(z) return z.zone end
Zone.__repr = function(z)
  if z.zone == "UTC" then return "<UTC>" end
  if z.fixed then return ("datetime.timezone(datetime.timedelta(seconds=%d))"):format(z.offset) end
  local text = ("%s%s"):format(z.offset < 0 and "-1 day, " or "+", "")
  local seconds = z.offset % 86400
  return ("<DstTzInfo '%s' %s%s%d:%02d:%02d %s>"):format(z.zone, z.name, text, seconds // 3600,
    seconds % 3600 // 60, seconds % 60, z.dst ~= 0 and "DST" or "STD")
end
Zone.__getattr = function(z, name)
  if name == "zone" then return z.zone end
end
Zone.__getitem = function() return nil end
Zone.__truth = function() return true end

local function read(name)
  if not name:find("^[%w_+/-]+$") or name:find("..", 1, true) then return nil end
  for _, directory in ipairs(DIRECTORIES) do
    local file = io.open(directory .. name, "rb")
    if file then
      local data = file:read("a")
      file:close()
      if data and data:sub(1, 4) == "TZif" then return data end
    end
  end
end

-- Reads one block with times of `width` bytes; gives its rules and the position after it.
local function block(data, at, width)
  local isut, isstd, leap, timecount, typecount, charcount = (">I4I4I4I4I4I4"):unpack(data, at + 20)
  local pos = at + 44
  local times, types = {}, {}
  for i = 1, timecount do times[i] = ((">i" .. width)):unpack(data, pos + (i - 1) * width) end
  pos = pos + timecount * width
  for i = 1, timecount do types[i] = data:byte(pos + i - 1) + 1 end
  pos = pos + timecount
  local names_at = pos + typecount * 6
  local kinds = {}
  for i = 1, typecount do
    local offset, isdst, name = (">i4BB"):unpack(data, pos + (i - 1) * 6)
    kinds[i] = { offset = offset, isdst = isdst ~= 0, name = ("z"):unpack(data, names_at + name) }
  end
  pos = names_at + charcount + leap * (width + 4) + isstd + isut
  return { times = times, types = types, kinds = kinds }, pos
end

local zones = {}

-- pytz rounds offsets to minutes
local function rounded(offset) return (offset + 30) // 60 * 60 end

local function instance(rules, kind)
  local known = rules.instances[kind]
  if known then return known end
  local offset = rounded(kind.offset)
  -- the saving is what it adds to the zone's last standard time; an hour for all zones but one
  local z = setmetatable({ zone = rules.zone, offset = offset, name = kind.name, dst = kind.isdst and 3600 or 0,
    rules = rules }, Zone)
  rules.instances[kind] = z
  return z
end

--- What the system's file says of a zone, nil when there is none. Times are seconds since 1970 in UTC; `types[i]` is
--- the index in `kinds` of what holds from `times[i]` on, `footer` the rule for later times (POSIX TZ), or nil.
---@param name string
---@return {times: integer[], types: integer[], kinds: {offset: integer, isdst: boolean, name: string}[],
---  footer?: string}|nil
function M.rules(name)
  local data = read(name)
  if not data then return nil end
  local rules, after = block(data, 1, 4)
  if data:byte(5) >= 50 then
    rules, after = block(data, after, 8)
    rules.footer = data:match("^\n([^\n]+)\n", after)
  end
  return rules
end

--- A zone by name, nil when there is none. Its own offset is its first one, as in pytz.
---@param name string
function M.find(name)
  if zones[name] then return zones[name] end
  local rules = M.rules(name)
  if not rules then return nil end
  rules.zone, rules.instances = name, {}
  if #rules.times == 0 then rules.single = true end
  local z = instance(rules, rules.kinds[1])
  zones[name] = z
  return z
end

-- the kind of time that holds at a moment in UTC
local function kind_at(rules, seconds)
  local times = rules.times
  if #times == 0 or seconds < times[1] then return rules.kinds[1] end
  local lo, hi = 1, #times
  while lo < hi do
    local mid = (lo + hi + 1) // 2
    if times[mid] <= seconds then lo = mid else hi = mid - 1 end
  end
  return rules.kinds[rules.types[lo]]
end

--- The zone with the offset that it has at a moment (seconds since 1970 in UTC).
Zone.at_utc = function(z, seconds)
  if not z.rules then return z end
  return instance(z.rules, kind_at(z.rules, seconds))
end

--- The zone with the offset that it has at a local time (seconds since 1970 as the clock shows). Of two possible ones
--- the standard time is taken unless `is_dst`; a time that does not exist has the offset before the change (after, with
--- is_dst).
function M.at_local(z, seconds, is_dst)
  if not z.rules then return z end
  local possible, seen = {}, {}
  for _, delta in ipairs { -86400, 86400 } do
    local kind = kind_at(z.rules, seconds + delta)
    local candidate = instance(z.rules, kind)
    if not seen[candidate] and instance(z.rules, kind_at(z.rules, seconds - candidate.offset)) == candidate then
      seen[candidate] = true
      possible[#possible + 1] = candidate
    end
  end
  if #possible == 1 then return possible[1] end
  if #possible == 0 then
    local before = instance(z.rules, kind_at(z.rules, seconds - 86400))
    local after = instance(z.rules, kind_at(z.rules, seconds + 86400))
    if is_dst then return before.dst > after.dst and before or after end
    return before.dst > after.dst and after or before
  end
  for _, candidate in ipairs(possible) do
    if (candidate.dst ~= 0) == is_dst then return candidate end
  end
  return possible[1]
end

--- A zone of one offset without a name, as strptime's %z gives.
function M.fixed(offset)
  local name = "UTC" .. (offset == 0 and "" or calendar.offset_text(offset, true))
  return setmetatable({ zone = name, offset = offset, name = name, dst = 0, fixed = true }, Zone)
end

M.utc = setmetatable({ zone = "UTC", offset = 0, name = "UTC", dst = 0 }, Zone)
zones.UTC, zones.utc = M.utc, M.utc

--- All names, from the zone list of the system.
function M.names()
  local names, seen = {}, {}
  for _, directory in ipairs(DIRECTORIES) do
    local file = io.open(directory .. "tzdata.zi", "r")
    if file then
      for line in file:lines() do
        local name = line:match("^Z (%S+)") or line:match("^L %S+ (%S+)")
        if name and not seen[name] then
          seen[name] = true
          names[#names + 1] = name
        end
      end
      file:close()
      break
    end
  end
  if #names == 0 then return fault.raise("OSError", "no list of time zones (tzdata.zi) on this system") end
  table.sort(names)
  return value.list(names)
end

return M
