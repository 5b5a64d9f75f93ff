--- Texts as sequences of characters: what methods and filters share.

local unicode = require "jinja.unicode"

local M = {}

--- Number of characters.
function M.len(s)
  if not s:find("[\128-\255]") then return #s end
  return utf8.len(s, 1, -1, true) or #s
end

--- Characters from `first` (from 0) up to before `stop`.
function M.sub(s, first, stop)
  if first >= stop then return "" end
  if not s:find("[\128-\255]") then return s:sub(first + 1, stop) end
  local n = M.len(s)
  if first >= n then return "" end
  if stop > n then stop = n end
  return s:sub(utf8.offset(s, first + 1), utf8.offset(s, stop + 1) - 1)
end

--- Character offset (from 0) of a byte position (from 1).
function M.offset(s, byte)
  if not s:find("[\128-\255]") then return byte - 1 end
  return utf8.len(s, 1, byte - 1, true) or byte - 1
end

local blank_bytes = {}
for c in ("\t\n\v\f\r \28\29\30\31"):gmatch(".") do blank_bytes[c:byte()] = true end
local byte = string.byte

--- Whitespace removed at the ends; `which` is "both", "left" or "right".
function M.strip(s, which, chars)
  if chars == nil and not s:find("[\128-\255]") then
    local first, last = 1, #s
    if which ~= "right" then first = s:find("[^%s\28-\31]") or last + 1 end
    if which ~= "left" then
      while last >= first and blank_bytes[byte(s, last)] do last = last - 1 end
    end
    if first == 1 and last == #s then return s end
    return s:sub(first, last)
  end
  local set
  if chars then
    set = {}
    for _, c in utf8.codes(chars, true) do set[c] = true end
  end
  local function in_set(c)
    if set then return set[c] end
    return unicode.space(c)
  end
  local first, last = 1, #s
  if which ~= "right" then
    while first <= last do
      local c = utf8.codepoint(s, first, first, true)
      if not in_set(c) then break end
      first = utf8.offset(s, 2, first)
    end
  end
  if which ~= "left" then
    while last >= first do
      local at = utf8.offset(s, -1, last + 1)
      if not in_set(utf8.codepoint(s, at, at, true)) then break end
      last = at - 1
    end
  end
  return s:sub(first, last)
end

--- Words between whitespace, at most `limit` cuts (-1 for all).
function M.words(s, limit)
  local out = {}
  local rest = M.strip(s, "left")
  while rest ~= "" do
    if limit >= 0 and #out == limit then
      out[#out + 1] = M.strip(rest, "right")
      return out
    end
    local stop
    if rest:find("[\128-\255]") then
      for p, c in utf8.codes(rest, true) do
        if unicode.space(c) then
          stop = p
          break
        end
      end
    else
      stop = rest:find("[%s\28-\31]")
    end
    if not stop then
      out[#out + 1] = rest
      return out
    end
    out[#out + 1] = rest:sub(1, stop - 1)
    rest = M.strip(rest:sub(stop), "left")
  end
  return out
end

local line_ends = { ["\n"] = true, ["\r"] = true, ["\v"] = true, ["\f"] = true, ["\28"] = true, ["\29"] = true,
  ["\30"] = true, ["\u{85}"] = true, ["\u{2028}"] = true, ["\u{2029}"] = true }

--- str.splitlines().
function M.lines(s, keep)
  local out, start, pos, n = {}, 1, 1, #s
  while pos <= n do
    local at, _, c = s:find("([\n\r\v\f\28-\30\194\226])", pos)
    if not at then break end
    if c == "\194" then c = s:sub(at, at + 1) elseif c == "\226" then c = s:sub(at, at + 2) end
    if line_ends[c] then
      local stop = at + #c - 1
      if c == "\r" and s:sub(at + 1, at + 1) == "\n" then stop = at + 1 end
      out[#out + 1] = s:sub(start, keep and stop or at - 1)
      start = stop + 1
      pos = start
    else
      pos = at + #c
    end
  end
  if start <= n then out[#out + 1] = s:sub(start) end
  return out
end

--- All occurrences replaced, at most `limit` (-1 for all).
function M.replace(s, old, new, limit)
  if limit == 0 or not s:find(old, 1, true) then return s end
  local out, n = {}, 0
  if old == "" then
    local count = 0
    for c in s:gmatch("[%z\1-\127\194-\253]?[\128-\191]*") do
      if c == "" then break end
      if limit < 0 or count < limit then
        n = n + 1
        out[n] = new
        count = count + 1
      end
      n = n + 1
      out[n] = c
    end
    if limit < 0 or count < limit then out[n + 1] = new end
    return table.concat(out)
  end
  local pos, count = 1, 0
  while limit < 0 or count < limit do
    local at, stop = s:find(old, pos, true)
    if not at then break end
    n = n + 1
    out[n] = s:sub(pos, at - 1)
    n = n + 1
    out[n] = new
    pos = stop + 1
    count = count + 1
  end
  if n == 0 then return s end
  out[n + 1] = s:sub(pos)
  return table.concat(out)
end

--- Pieces between separators, at most `limit` cuts.
function M.split(s, sep, limit)
  local out, pos = {}, 1
  while limit < 0 or #out < limit do
    local at, stop = s:find(sep, pos, true)
    if not at then break end
    out[#out + 1] = s:sub(pos, at - 1)
    pos = stop + 1
  end
  out[#out + 1] = s:sub(pos)
  return out
end

--- First character upper, the rest lower.
function M.capitalize(s)
  if s == "" then return s end
  local next_char = utf8.offset(s, 2) or #s + 1
  return unicode.title(s:sub(1, next_char - 1)) .. unicode.lower(s:sub(next_char))
end

--- Classes of str.isalpha() and its like: true when there is a character and all are of the class.
function M.all(s, class)
  if s == "" then return false end
  for _, c in utf8.codes(s, true) do
    if not unicode.is(class, c) then return false end
  end
  return true
end

--- str.istitle() and the way str.title() goes through words: f(char, starts_word) for every character.
function M.each_titled(s, f)
  local previous_cased = false
  for _, c in utf8.codes(s, true) do
    f(utf8.char(c), not previous_cased, c)
    previous_cased = unicode.is("cased", c)
  end
end

--- Spaces before and after so that there are `width` characters.
function M.center(s, width, fill)
  local missing = width - M.len(s)
  if missing <= 0 then return s end
  local left = missing // 2 + (missing & width & 1)
  return fill:rep(left) .. s .. fill:rep(missing - left)
end

return M
