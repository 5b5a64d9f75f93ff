--- Values as YAML text, as PyYAML's safe_dump prints them: what `toyaml` gives.

local value = require "jinja.value"

local M = {}

local none = value.none

-- Plain scalars that YAML 1.1 would read as something else than text.
local words = {}
for word in ("y yes no n true false on off null ~"):gmatch("%S+") do
  words[word], words[word:upper()], words[word:sub(1, 1):upper() .. word:sub(2)] = true, true, true
end
words.y, words.n, words.Y, words.N = nil, nil, nil, nil

local number_patterns = { "^[-+]?%d[%d_]*$", "^[-+]?0x[%x_]+$", "^[-+]?0b[01_]+$", "^[-+]?%d[%d_]*%.[%d_]*$",
  "^[-+]?%d[%d_]*%.[%d_]*[eE][-+]%d+$", "^[-+]?%.[%d_]+$", "^[-+]?%d[%d_]*:[0-5]?%d[:%d%.]*$", "^[-+]?%.[iI][nN][fF]$",
  "^%.[nN][aA][nN]$", "^%d%d%d%d%-%d%d%-%d%d$", "^%d%d%d%d%-%d%d?%-%d%d?[Tt%s]" }

local function reads_as_other(text)
  if words[text] or text == "=" or text == "<<" then return true end
  for _, pattern in ipairs(number_patterns) do
    if text:find(pattern) then return true end
  end
  return false
end

local function plain_allowed(text)
  if text == "" or text:find("^%s") or text:find("%s$") or text:find("[\n\r]") then return false end
  if text:find("^[%[%]{},#&*!|>'\"%%@`]") or text:find("^[-?:]%s") or text:find("^[-?:]$") then return false end
  if text:find("^%-%-%-") or text:find("^%.%.%.") then return false end
  return not (text:find(": ", 1, true) or text:find(":$") or text:find(" #", 1, true)) and not reads_as_other(text)
end

local escapes = { ["\0"] = "\\0", ["\a"] = "\\a", ["\b"] = "\\b", ["\t"] = "\\t", ["\n"] = "\\n", ["\v"] = "\\v",
  ["\f"] = "\\f", ["\r"] = "\\r", ["\27"] = "\\e", ['"'] = '\\"', ["\\"] = "\\\\" }

local function double_quoted(text)
  local out = {}
  for _, c in utf8.codes(text) do
    local char = utf8.char(c)
    if escapes[char] then
      out[#out + 1] = escapes[char]
    elseif c >= 32 and c < 127 then
      out[#out + 1] = char
    else
      out[#out + 1] = (c < 256 and "\\x%02X" or c < 65536 and "\\u%04X" or "\\U%08X"):format(c)
    end
  end
  return '"' .. table.concat(out) .. '"'
end

local function scalar_text(text, indent)
  if plain_allowed(text) and not text:find("[^\32-\126]") then return text end
  if not utf8.len(text) or text:find("[^\n\32-\126]") then
    return utf8.len(text) and double_quoted(text) or ("%q"):format(text)
  end
  -- a newline in single quotes is written as an empty line
  local inner = text:gsub("'", "''"):gsub("(\n+)", function(breaks) return breaks .. "\n" .. indent end)
  return "'" .. inner .. "'"
end

local function float_text(x)
  if x ~= x then return ".nan" end
  if x == math.huge then return ".inf" elseif x == -math.huge then return "-.inf" end
  local text = ("%.17g"):format(x)
  for digits = 1, 17 do
    local shorter = ("%." .. digits .. "g"):format(x)
    if tonumber(shorter) == x then
      text = shorter
      break
    end
  end
  if not text:find("[%.e]") then return text .. ".0" end
  if text:find("e") and not text:find("%.") then text = text:gsub("e", ".0e") end
  return text
end

local function scalar(v, indent)
  if v == none or v == nil then return "null" end
  if type(v) == "string" then return scalar_text(v, indent) end
  if math.type(v) == "float" then return float_text(v) end
  if type(v) == "table" then return scalar_text(tostring(v), indent) end
  return tostring(v)
end

local write

local function write_dict(d, keys, indent, out)
  for _, k in ipairs(keys) do
    local v = d[k]
    local label = indent .. scalar(k, indent) .. ":"
    if value.is_dict(v) and #v > 0 then
      out[#out + 1] = label
      write(v, indent .. "  ", out)
    elseif (value.is_list(v) or value.is_tuple(v)) and #v > 0 then
      out[#out + 1] = label
      write(v, indent, out)
    else
      out[#out + 1] = label .. " " .. write(v, indent .. "  ")
    end
  end
end

local function write_list(list, indent, out)
  for _, v in ipairs(list) do
    if type(v) == "table" and (value.is_dict(v) or value.is_list(v) or value.is_tuple(v)) and #v > 0 then
      local inner = {}
      write(v, indent .. "  ", inner)
      inner[1] = indent .. "- " .. inner[1]:sub(#indent + 3)
      table.move(inner, 1, #inner, #out + 1, out)
    else
      out[#out + 1] = indent .. "- " .. write(v, indent .. "  ")
    end
  end
end

local sorting = false

-- Without `out`, gives the text of a value that stands on its key's line.
function write(v, indent, out)
  if value.is_dict(v) then
    if not out or #v == 0 then return "{}" end
    local keys = value.keys(v)
    if sorting then table.sort(keys, function(a, b) return tostring(a) < tostring(b) end) end
    write_dict(v, keys, indent, out)
  elseif value.is_list(v) or value.is_tuple(v) then
    if not out or #v == 0 then return "[]" end
    write_list(v, indent, out)
  else
    return scalar(v, indent)
  end
end

--- The text of a value, ending in a newline.
---@param v any
---@param sort_keys? boolean
---@return string
function M.dump(v, sort_keys)
  sorting = sort_keys == true
  local out = {}
  local single = write(v, "", out)
  if #out == 0 then
    local needs_end = not (value.is_dict(v) or value.is_list(v) or value.is_tuple(v)) and single:sub(1, 1) ~= "'"
      and single:sub(1, 1) ~= '"'
    return single .. "\n" .. (needs_end and "...\n" or "")
  end
  return table.concat(out, "\n") .. "\n"
end

return M
