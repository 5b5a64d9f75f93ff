--- Values as Python prints them: the names and hashes of generic tests are made from such text, and must be
-- dbt's.

local value = require "jinja.value"

local M = {}

local function float(x)
  if x ~= x then return "nan" end
  if x == math.huge then return "inf" elseif x == -math.huge then return "-inf" end
  local text
  for digits = 1, 17 do
    text = ("%." .. digits .. "g"):format(x)
    if tonumber(text) == x then break end
  end
  local sign, mantissa, exponent = text:match("^(-?)([%d%.]+)e([-+]%d+)$")
  if mantissa then
    local e = tonumber(exponent)
    if e >= 16 or e < -4 then return ("%s%se%s%02d"):format(sign, mantissa, e < 0 and "-" or "+", math.abs(e)) end
    text = ("%.0f"):format(x)
  elseif math.abs(x) >= 1e16 then
    mantissa, exponent = ("%.16e"):format(x):match("^(-?[%d%.]+)e([-+]%d+)$")
    return (mantissa:gsub("%.?0+$", "")) .. "e" .. exponent
  end
  return text:find("[%.n]") and text or text .. ".0"
end

local escapes = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\" }

local function text(s)
  if not s:find("[%c\\'\127]") then return "'" .. s .. "'" end
  if not s:find('[%c\\"\127]') then return '"' .. s .. '"' end
  local quote = s:find("'", 1, true) and not s:find('"', 1, true) and '"' or "'"
  s = s:gsub("[\n\r\t\\]", escapes):gsub("[%z\1-\31\127]", function(c) return ("\\x%02x"):format(c:byte()) end)
  if quote == "'" then s = s:gsub("'", "\\'") end
  return quote .. s .. quote
end

local function items(list)
  local out = {}
  for i, item in ipairs(list) do out[i] = M.repr(item) end
  return table.concat(out, ", ")
end

--- repr(v)
---@param v any
---@return string
function M.repr(v)
  if type(v) == "string" then return text(v) end
  if math.type(v) == "float" then return float(v) end
  if type(v) == "boolean" then return v and "True" or "False" end
  if v == value.none or v == nil then return "None" end
  if value.is_dict(v) then
    local out = {}
    for key, item in pairs(v) do out[#out + 1] = M.repr(key) .. ": " .. M.repr(item) end
    return "{" .. table.concat(out, ", ") .. "}"
  end
  if value.is_list(v) then return "[" .. items(v) .. "]" end
  if value.is_tuple(v) then return "(" .. items(v) .. (#v == 1 and ",)" or ")") end
  return tostring(v)
end

--- str(v)
---@param v any
---@return string
function M.str(v)
  return type(v) == "string" and v or M.repr(v)
end

return M
