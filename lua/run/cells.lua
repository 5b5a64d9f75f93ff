--- Values of query results as templates see them: what dbt's driver makes of PostgreSQL's types. Dates and
-- times become objects that print as Python's, arrays and json become JSON text, numeric stays exact.

local decimal = require "run.decimal"
local json = require "dex.json"
local value = require "jinja.value"

local M = {}

local none = value.none

--- What a column holds, in the words of dbt's tables.
---@alias dex.CellKind "Integer"|"Number"|"Boolean"|"Date"|"DateTime"|"TimeDelta"|"Text"

local kinds = { [16] = "Boolean", [20] = "Integer", [21] = "Integer", [23] = "Integer", [26] = "Integer",
  [700] = "Number", [701] = "Number", [1700] = "Number", [1082] = "Date", [1114] = "DateTime", [1184] = "DateTime" }

-- element oid of array types
local arrays = { [1000] = 16, [1005] = 21, [1007] = 23, [1016] = 20, [1009] = 25, [1015] = 1043, [1014] = 1042,
  [1002] = 18, [1003] = 19, [1021] = 700, [1022] = 701, [1028] = 26, [1231] = 1700, [1182] = 1082, [1115] = 1114,
  [1185] = 1184 }

local converters = {}

-- PostgreSQL's array text -> nested list; elements are converted by `element`.
local function parse_array(text, at, element)
  local list = value.list()
  at = at + 1
  while true do
    local c = text:sub(at, at)
    if c == "}" then return list, at + 1 end
    if c == "," then
      at = at + 1
    elseif c == "{" then
      list[#list + 1], at = parse_array(text, at, element)
    elseif c == '"' then
      local stop = at + 1
      while text:sub(stop, stop) ~= '"' do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      list[#list + 1] = element(text:sub(at + 1, stop - 1):gsub("\\(.)", "%1"))
      at = stop + 1
    else
      local word, stop = text:match("^([^,}]+)()", at)
      list[#list + 1] = word == "NULL" and none or element(word)
      at = stop
    end
  end
end

local scalars = {
  [16] = function(text) return text == "t" end,
  [20] = function(text) return math.tointeger(tonumber(text)) or text end,
  [700] = function(text) return tonumber(text) or text end,
  [1700] = function(text) return decimal.tonumber(decimal.parse(text)) end,
}
scalars[21], scalars[23], scalars[26], scalars[701] = scalars[20], scalars[20], scalars[20], scalars[700]

local function as_is(text) return text end

local function from_array(element)
  return function(text)
    -- "[2:3]={1,2}" names its bounds
    local start = text:find("{", 1, true)
    return json.encode((parse_array(text, start, element)))
  end
end

for oid, element in pairs(arrays) do converters[oid] = from_array(scalars[element] or as_is) end

local function from_json(text) return json.encode(json.decode(text)) end
local function json_value(text)
  local first = text:sub(1, 1)
  if first == "{" or first == "[" then return from_json(text) end
  return json.decode(text)
end

converters[114], converters[3802] = json_value, json_value
converters[1700] = decimal.parse

-- Dates and times as Python's objects; what Python has no object for (infinity, years before 1) stays text.
local function from_iso(class)
  local parse
  return function(text)
    if not text:find("^%d%d%d%d%-%d%d%-%d%d[^B]*$") then return text end
    parse = parse or require("jinja.modules.datetime")[class].attributes.fromisoformat
    local ok, found = pcall(parse, text)
    return ok and found or text
  end
end

converters[1082] = from_iso "date"
converters[1114] = from_iso "datetime"
converters[1184] = converters[1114]

local unit_days = { year = 365, years = 365, mon = 30, mons = 30, day = 1, days = 1 }

-- An interval as Python prints a timedelta: months have 30 days and years 365 there.
converters[1186] = function(text)
  local days, micros = 0, 0
  for number, unit in text:gmatch("(-?%d+) (%a+)") do
    if not unit_days[unit] then return text end
    days = days + math.tointeger(tonumber(number)) * unit_days[unit]
  end
  local sign, h, m, s = text:match("([-+]?)(%d+):(%d%d):(%d%d%.?%d*)$")
  if h then
    micros = (math.tointeger(tonumber(h)) * 60 + math.tointeger(tonumber(m))) * 60000000
      + math.floor(tonumber(s) * 1000000 + 0.5)
    if sign == "-" then micros = -micros end
  end
  local day = 86400000000
  days, micros = days + micros // day, micros % day
  local seconds, fraction = micros // 1000000, micros % 1000000
  local clock = ("%d:%02d:%02d"):format(seconds // 3600, seconds // 60 % 60, seconds % 60)
  if fraction > 0 then clock = clock .. (".%06d"):format(fraction) end
  if days == 0 then return clock end
  return ("%d day%s, %s"):format(days, math.abs(days) == 1 and "" or "s", clock)
end

--- The kind of a column by its type.
---@param oid integer
---@return dex.CellKind
function M.kind(oid) return kinds[oid] or "Text" end

--- How the values of a column become template values; nil when they are already.
---@param oid integer
---@return (fun(text: string): any)|nil
function M.converter(oid) return converters[oid] end

return M
