--- `modules.pytz`: zones by name, localize, normalize.

local value = require "jinja.value"
local registry = require "jinja.registry"
local classes = require "jinja.classes"
local runtime = require "jinja.runtime"
local zones = require "jinja.modules.zones"
local fault = require "jinja.fault"
require "jinja.modules.datetime"
local dt = require "jinja.modules.datetime_internal"

local fn = value.fn
local EPOCH = 719163 * 86400

local M = value.dict()

M.utc = zones.utc

M.timezone = fn("timezone(zone)", function(name)
  if type(name) ~= "string" then
    return fault.raise("AttributeError", ("a zone's name is text, not %s"):format(runtime.type_name(name)))
  end
  if name:upper() == "UTC" then return zones.utc end
  local z = zones.find(name)
  if not z then return fault.raise("UnknownTimeZoneError", require("jinja.printing").repr(name)) end
  return z
end)

M.FixedOffset = fn("FixedOffset(offset)", function(minutes)
  if minutes == 0 then return zones.utc end
  local z = zones.fixed(minutes * 60)
  z.zone = ("pytz.FixedOffset(%d)"):format(minutes)
  return z
end)

local method = registry.definer(zones.Zone.__methods)

method("localize(dt, is_dst?)", function(z, t, is_dst)
  if getmetatable(t) ~= dt.DateTime then
    return fault.raise("AttributeError", ("'%s' object has no attribute 'tzinfo'"):format(runtime.type_name(t)))
  end
  if t.tz then return fault.value("Not naive datetime (tzinfo is already set)") end
  local seconds = dt.stamp(t) // 1000000 - EPOCH
  return dt.from_stamp(dt.stamp(t), zones.at_local(z, seconds, is_dst ~= nil and runtime.truth(is_dst)))
end)

method("normalize(dt, is_dst?)", function(z, t)
  if not t.tz then return fault.value("Naive time - no tzinfo set") end
  local us = dt.utc_stamp(t)
  local zone = getmetatable(z).at_utc(z, us // 1000000 - EPOCH)
  return dt.from_stamp(us + zone.offset * 1000000, zone)
end)

local function delta(seconds) return require("jinja.modules.datetime").timedelta.new(0, seconds) end
method("utcoffset(dt, is_dst?)", function(z) return delta(z.offset) end)
method("tzname(dt, is_dst?)", function(z) return z.name end)
method("dst(dt, is_dst?)", function(z) return delta(z.dst) end)

-- The names are read when somebody looks at them.
local Names = { __name = "dex.zone_names", __pytype = "LazyList" }
local function all(n)
  n.list = n.list or zones.names()
  return n.list
end
Names.__contains = function(_, name) return type(name) == "string" and zones.find(name) ~= nil end
Names.__iter = function(n)
  local list, i = all(n), 0
  return function()
    i = i + 1
    return list[i]
  end
end
Names.__len = function(n) return #all(n) end
Names.__getitem = function(n, i)
  if math.type(i) ~= "integer" then return nil end
  return all(n)[i < 0 and #all(n) + i + 1 or i + 1]
end
Names.__repr = function(n) return require("jinja.printing").repr(all(n)) end
M.all_timezones = setmetatable({}, Names)
M.common_timezones = M.all_timezones
M.all_timezones_set = M.all_timezones
M.common_timezones_set = M.all_timezones

for _, name in ipairs { "UnknownTimeZoneError", "InvalidTimeError", "AmbiguousTimeError", "NonExistentTimeError" } do
  M[name] = setmetatable({ name = "pytz.exceptions." .. name, new = function() return value.none end }, classes.Type)
end

return M
