--- Filters about text.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local printing = require "jinja.printing"
local unicode = require "jinja.unicode"
local text = require "jinja.text"
local wrap = require("jinja.wordwrap").wrap
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
  local out, word = {}, {}
  local function flush()
    if #word > 0 then out[#out + 1] = unicode.upper(word[1]) .. unicode.lower(table.concat(word, "", 2)) end
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
  return table.concat(out)
end))

filter("trim(chars?)", function(x, chars)
  if chars == none then chars = nil end
  if chars ~= nil and type(chars) ~= "string" then return fault.type("strip arg must be None or str") end
  return keeping(function(s) return text.strip(s, "both", chars) end)(x)
end)

filter("replace(old, new, count?)", function(x, old, new, count)
  if count == none then count = nil end
  return text.replace(str(x), str(old), str(new), as_int(count, -1))
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
    local lines = text.lines(s .. "\n")
    local every = blank ~= nil and runtime.truth(blank)
    for i = 2, #lines do
      if every or lines[i] ~= "" then lines[i] = indention .. lines[i] end
    end
    local out = table.concat(lines, "\n")
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
    out[#out + 1] = table.concat(wrap(line, width, break_long, hyphens), wrapstring)
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
