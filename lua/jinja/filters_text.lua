--- Filters about text.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local unicode = require "jinja.unicode"
local text = require "jinja.text"
local fault = require "jinja.fault"

local filter = registry.filter
local none = value.none
local str = printing.str

local function is_markup(x) return type(x) == "table" and getmetatable(x) == classes.Markup end

-- safe text stays safe through a function of text
local function keeping(f)
  return function(x, ...)
    if is_markup(x) then return classes.markup(f(x.text, ...)) end
    return f(str(x), ...)
  end
end

local function as_int(x, default)
  if x == nil then return default end
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  if value.is_undefined(x) then runtime.undefined_error(x) end
  return fault.type(("an integer is required, not %s"):format(runtime.type_name(x)))
end

filter("upper()", keeping(unicode.upper))
filter("lower()", keeping(unicode.lower))
filter("capitalize()", keeping(text.capitalize))
filter("string()", function(x) return is_markup(x) and x or str(x) end)

-- words begin after spaces, hyphens and opening brackets
filter("title()", keeping(function(s)
  local out, start = {}, true
  local word = {}
  local function flush()
    if #word > 0 then out[#out + 1] = unicode.title(word[1]) .. unicode.lower(table.concat(word, "", 2)) end
    word = {}
  end
  for _, c in ipairs(iterate.characters(s)) do
    if c == "-" or c == "(" or c == "{" or c == "[" or c == "<" or unicode.space(utf8.codepoint(c, 1, 1, true)) then
      flush()
      out[#out + 1] = c
    else
      word[#word + 1] = c
    end
  end
  flush()
  return table.concat(out), start
end))
do
  local with_two = registry.filters.title
  filter("title()", function(x) return (with_two(x)) end)
end

filter("trim(chars?)", function(x, chars)
  if chars == none then chars = nil end
  if chars ~= nil and type(chars) ~= "string" then return fault.type("strip arg must be None or str") end
  return keeping(function(s) return text.strip(s, "both", chars) end)(x)
end)

filter("replace(old, new, count?)", function(x, old, new, count)
  if count == none then count = nil end
  if count == nil and type(x) == "string" then return text.replace(x, str(old), str(new), -1) end
  return keeping(function(s) return text.replace(s, str(old), str(new), as_int(count, -1)) end)(x)
end)

filter("center(width?)", keeping(function(s, width) return text.center(s, as_int(width, 80), " ") end))

filter("indent(width?, first?, blank?)", function(x, width, first, blank)
  if value.is_undefined(x) then runtime.undefined_error(x) end
  local indention
  if type(width) == "string" then
    indention = width
  else
    indention = (" "):rep(as_int(width, 4))
  end
  if type(x) ~= "string" and not is_markup(x) then
    return fault.type(("can only indent text, not %s"):format(runtime.type_name(x)))
  end
  return keeping(function(s)
    local out
    if blank ~= nil and runtime.truth(blank) then
      out = text.replace(s .. "\n", "\n", "\n" .. indention, -1)
      out = out:sub(1, #out - #indention - 1)
    else
      local lines = text.lines(s .. "\n")
      for i = 2, #lines do
        if lines[i] ~= "" then lines[i] = indention .. lines[i] end
      end
      out = table.concat(lines, "\n")
    end
    if first ~= nil and runtime.truth(first) then out = indention .. out end
    return out
  end)(x)
end)

local truncate = keeping(function(s, length, killwords, tail, leeway)
  length, leeway = as_int(length, 255), (leeway == nil or leeway == none) and 5 or as_int(leeway)
  tail = tail == nil and "..." or str(tail)
  local tail_length = text.len(tail)
  if length < tail_length then
    return fault.raise("AssertionError", ("expected length >= %d, got %d"):format(tail_length, length))
  end
  if leeway < 0 then return fault.raise("AssertionError", ("expected leeway >= 0, got %d"):format(leeway)) end
  if text.len(s) <= length + leeway then return s end
  local kept = text.sub(s, 0, length - tail_length)
  if killwords ~= nil and runtime.truth(killwords) then return kept .. tail end
  return (kept:match("^(.*) [^ ]*$") or kept) .. tail
end)

filter("truncate(length?, killwords?, end?, leeway?)", function(x, ...)
  if type(x) ~= "string" and not is_markup(x) and not value.is_undefined(x) then
    local length, _, ending, leeway = ...
    if as_int(length, 255) < #str(ending or "...") then return truncate("", ...) end
    if registry.filters.length(x) <= as_int(length, 255) + as_int(leeway, 5) then return x end
    return fault.raise("AttributeError", ("'%s' object has no attribute 'rsplit'"):format(runtime.type_name(x)))
  end
  return truncate(x, ...)
end)

filter("wordcount()", function(x)
  local n = 0
  local inside = false
  for _, c in utf8.codes(str(x), true) do
    local word = c == 95 or unicode.is("alpha", c) or unicode.is("numeric", c)
    if word and not inside then n = n + 1 end
    inside = word
  end
  return n
end)

-- textwrap's pieces: words with their hyphens, and runs of spaces
local function chunks(line, break_on_hyphens)
  local out = {}
  local pos = 1
  while pos <= #line do
    local blank = line:match("^[ \t\v\f\r]+", pos)
    if blank then
      out[#out + 1] = blank
      pos = pos + #blank
    else
      local word = line:match("^[^ \t\v\f\r]+", pos)
      pos = pos + #word
      if break_on_hyphens then
        local from = 1
        while true do
          local at = word:find("[%w_\128-\255][%w_\128-\255]+%-[%w_\128-\255][%w_\128-\255]", from)
          at = at and word:find("-", at, true)
          if not at then break end
          out[#out + 1] = word:sub(from, at)
          from = at + 1
        end
        if from <= #word then out[#out + 1] = word:sub(from) end
      else
        out[#out + 1] = word
      end
    end
  end
  return out
end

local function wrap_line(line, width, break_long, hyphens)
  local pieces = chunks(line, hyphens)
  local lines, current, length = {}, {}, 0
  local i = 1
  while i <= #pieces do
    local piece = pieces[i]
    local size = text.len(piece)
    if #current == 0 and #lines > 0 and piece:find("^%s") then
      i = i + 1
    elseif length + size <= width then
      current[#current + 1] = piece
      length = length + size
      i = i + 1
    elseif size > width and break_long then
      local space = width - length
      if space < 1 then space = 1 end
      if length >= width then
        lines[#lines + 1] = table.concat(current)
        current, length = {}, 0
      else
        current[#current + 1] = text.sub(piece, 0, space)
        pieces[i] = text.sub(piece, space, size)
        lines[#lines + 1] = table.concat(current)
        current, length = {}, 0
      end
    elseif size > width and #current == 0 then
      current[1] = piece
      length = size
      i = i + 1
    else
      while #current > 0 and current[#current]:find("^%s+$") do current[#current] = nil end
      if #current > 0 then lines[#lines + 1] = table.concat(current) end
      current, length = {}, 0
    end
  end
  while #current > 0 and current[#current]:find("^%s+$") do current[#current] = nil end
  if #current > 0 then lines[#lines + 1] = table.concat(current) end
  return lines
end

filter("wordwrap(width?, break_long_words?, wrapstring?, break_on_hyphens?)",
function(x, width, break_long, wrapstring, hyphens)
  width = as_int(width, 79)
  if type(x) ~= "string" and not is_markup(x) then
    return fault.raise("AttributeError", ("wordwrap wants text, not %s"):format(runtime.type_name(x)))
  end
  if width <= 0 then return fault.value(("invalid width %d (must be > 0)"):format(width)) end
  break_long = break_long == nil or runtime.truth(break_long)
  hyphens = hyphens == nil or runtime.truth(hyphens)
  wrapstring = (wrapstring == nil or wrapstring == none) and "\n" or str(wrapstring)
  local out = {}
  for _, line in ipairs(text.lines(str(x))) do
    out[#out + 1] = table.concat(wrap_line(line, width, break_long, hyphens), wrapstring)
  end
  return table.concat(out, wrapstring)
end)

filter("format(*args)", function(s, args, keywords)
  if args.n > 0 and keywords then
    return fault.raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
  end
  local arguments
  if keywords then
    arguments = value.dict()
    for k, v in pairs(keywords) do
      if type(k) == "string" then arguments[k] = v end
    end
  else
    arguments = value.tuple(table.move(args, 1, args.n, 1, {}))
  end
  return require("jinja.percent").format(is_markup(s) and s or str(s), arguments)
end, true)

filter("pprint()", function(x) return require("jinja.pprint").format(x) end)

return { keeping = keeping, as_int = as_int }
