--- What Python knows about characters: classes and case mappings. ASCII never reaches the tables.

local M = {}

local data -- unicode_data, loaded by the first character beyond ASCII

local sets, maps = {}, {}

local function read_set(name)
  data = data or require "jinja.unicode_data"
  local starts, stops, n, at = {}, {}, 0, 0
  for gap, length in data[name]:gmatch("(%w+)%-?(%w*)") do
    n = n + 1
    starts[n] = at + tonumber(gap, 36)
    stops[n] = starts[n] + (length ~= "" and tonumber(length, 36) or 0)
    at = stops[n]
  end
  local set = { starts = starts, stops = stops, n = n }
  sets[name] = set
  return set
end

local function read_map(name)
  data = data or require "jinja.unicode_data"
  local map, at = {}, 0
  for gap, sign, length, kind, delta in data[name]:gmatch("(%w+)([-+]?)(%w*)([:;])(%w+)") do
    local first = at + tonumber(gap, 36)
    local last = first + (length ~= "" and tonumber(length, 36) or 0)
    local d = tonumber(delta, 36) * (kind == ";" and -1 or 1)
    for c = first, last, sign == "+" and 2 or 1 do map[c] = utf8.char(c + d) end
    at = last
  end
  for c, text in pairs(data[name .. "_many"]) do map[c] = text end
  maps[name] = map
  return map
end

--- Whether a code point is in a class: alpha, decimal, digit, numeric, lower, upper, title, cased, unprintable,
--- start (of a name), ident (inside of a name).
function M.is(class, code)
  local set = sets[class] or read_set(class)
  local starts = set.starts
  local lo, hi = 1, set.n
  if code < starts[1] then return false end
  while lo < hi do
    local mid = (lo + hi + 1) // 2
    if starts[mid] <= code then lo = mid else hi = mid - 1 end
  end
  return code <= set.stops[lo]
end

local function mapped(s, name)
  local map = maps[name] or read_map(name)
  local out, n = {}, 0
  for _, c in utf8.codes(s, true) do
    n = n + 1
    out[n] = map[c] or utf8.char(c)
  end
  return table.concat(out)
end

--- str.upper().
function M.upper(s)
  if not s:find("[\128-\255]") then return s:upper() end
  return mapped(s, "to_upper")
end

--- str.lower(); a Greek sigma at a word's end is the final one.
function M.lower(s)
  if not s:find("[\128-\255]") then return s:lower() end
  local out = mapped(s, "to_lower")
  if s:find("Σ", 1, true) then
    local codes = { utf8.codepoint(s, 1, -1, true) }
    local pieces = {}
    local map = maps.to_lower
    for i, c in ipairs(codes) do
      local last = c == 0x3A3 and i > 1 and M.is("cased", codes[i - 1])
        and not (codes[i + 1] and M.is("cased", codes[i + 1]))
      pieces[i] = last and "ς" or map[c] or utf8.char(c)
    end
    out = table.concat(pieces)
  end
  return out
end

--- The title case of one character.
function M.title(char)
  local code = utf8.codepoint(char, 1, 1, true)
  if code < 128 then return char:upper() end
  local map = maps.to_title or read_map("to_title")
  return map[code] or M.upper(char)
end

--- str.casefold().
function M.casefold(s)
  if not s:find("[\128-\255]") then return s:lower() end
  data = data or require "jinja.unicode_data"
  local out, n = {}, 0
  for _, c in utf8.codes(s, true) do
    n = n + 1
    out[n] = data.fold[c] or M.lower(utf8.char(c))
  end
  return table.concat(out)
end

--- Whether Python would take a text as a name.
function M.is_identifier(s)
  if s:find("^[%a_][%w_]*$") then return true end
  if s == "" or not utf8.len(s) then return false end
  local first = true
  for _, c in utf8.codes(s) do
    if c >= 128 then
      if not M.is(first and "start" or "ident", c) then return false end
    elseif not utf8.char(c):find(first and "[%a_]" or "[%w_]") then
      return false
    end
    first = false
  end
  return true
end

--- Whether repr() shows a code point as it is.
function M.printable(code)
  if code < 127 then return code >= 32 end
  return not M.is("unprintable", code)
end

local spaces = { [0x85] = true, [0xA0] = true, [0x1680] = true, [0x2028] = true, [0x2029] = true, [0x202F] = true,
  [0x205F] = true, [0x3000] = true }

--- Whether str.isspace() holds for a code point.
function M.space(code)
  if code < 128 then return code == 32 or code >= 9 and code <= 13 or code >= 28 and code <= 31 end
  return spaces[code] or code >= 0x2000 and code <= 0x200A
end

return M
