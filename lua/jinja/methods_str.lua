--- Python's methods of str and bytes.

local classes = require "jinja.classes"
local value = require "jinja.value"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local iterate = require "jinja.iterate"
local unicode = require "jinja.unicode"
local text = require "jinja.text"
local fault = require "jinja.fault"

local none = value.none
local def = registry.definer(classes.str_methods)

local function as_text(x, what)
  if type(x) == "string" then return x end
  if type(x) == "table" and getmetatable(x) == classes.Markup then return x.text end
  return fault.type(("%s must be str, not %s"):format(what or "argument", runtime.type_name(x)))
end

local function as_int(x, default)
  if x == nil or x == none then return default end
  if math.type(x) == "integer" then return x end
  if type(x) == "boolean" then return x and 1 or 0 end
  return fault.type(("'%s' object cannot be interpreted as an integer"):format(runtime.type_name(x)))
end

def("upper()", unicode.upper)
def("lower()", unicode.lower)
def("casefold()", unicode.casefold)
def("capitalize()", text.capitalize)

def("title()", function(s)
  local out = {}
  text.each_titled(s, function(c, starts) out[#out + 1] = starts and unicode.title(c) or unicode.lower(c) end)
  return table.concat(out)
end)

def("swapcase()", function(s)
  local out = {}
  for _, c in utf8.codes(s, true) do
    local char = utf8.char(c)
    out[#out + 1] = unicode.is("upper", c) and unicode.lower(char)
      or unicode.is("lower", c) and unicode.upper(char) or char
  end
  return table.concat(out)
end)

for name, which in pairs { strip = "both", lstrip = "left", rstrip = "right" } do
  def(name .. "(chars?)", function(s, chars)
    return text.strip(s, which, chars ~= nil and chars ~= none and as_text(chars, name .. " arg") or nil)
  end)
end

local function list(t) return setmetatable(t, value.List) end

local function separator(sep)
  sep = as_text(sep, "sep")
  if sep == "" then return fault.value("empty separator") end
  return sep
end

def("split(sep?, maxsplit?)", function(s, sep, limit)
  limit = as_int(limit, -1)
  if sep == nil or sep == none then return list(text.words(s, limit)) end
  return list(text.split(s, separator(sep), limit))
end)

def("rsplit(sep?, maxsplit?)", function(s, sep, limit)
  limit = as_int(limit, -1)
  local pieces
  if sep == nil or sep == none then
    pieces = text.words(s, -1)
    if limit < 0 or #pieces <= limit + 1 then return list(pieces) end
    local out, rest = {}, text.strip(s, "right")
    for i = 0, limit - 1 do
      local word = pieces[#pieces - i]
      table.insert(out, 1, word)
      rest = text.strip(rest:sub(1, #rest - #word), "right")
    end
    table.insert(out, 1, rest)
    return list(out)
  end
  sep = separator(sep)
  pieces = text.split(s, sep, -1)
  if limit < 0 or #pieces <= limit + 1 then return list(pieces) end
  local head = #pieces - limit
  local out = { table.concat(pieces, sep, 1, head) }
  return list(table.move(pieces, head + 1, #pieces, 2, out))
end)

def("splitlines(keepends?)", function(s, keep) return list(text.lines(s, keep ~= nil and runtime.truth(keep))) end)

local function rfind_bytes(s, needle)
  local found, pos = nil, 1
  if needle == "" then return #s + 1 end
  while true do
    local at = s:find(needle, pos, true)
    if not at then return found end
    found, pos = at, at + 1
  end
end

def("partition(sep)", function(s, sep)
  sep = separator(sep)
  local at, stop = s:find(sep, 1, true)
  if not at then return value.tuple { s, "", "" } end
  return value.tuple { s:sub(1, at - 1), sep, s:sub(stop + 1) }
end)

def("rpartition(sep)", function(s, sep)
  sep = separator(sep)
  local at = rfind_bytes(s, sep)
  if not at then return value.tuple { "", "", s } end
  return value.tuple { s:sub(1, at - 1), sep, s:sub(at + #sep) }
end)

-- replace() takes no keywords in Python 3.11
def("replace(old, new, count?)", function(s, old, new, count)
  return text.replace(s, as_text(old, "replace() argument 1"), as_text(new, "replace() argument 2"), as_int(count, -1))
end)

-- the part of s that start and stop (characters, Python's rules) leave, and the offset of its beginning
local function window(s, start, stop)
  if (start == nil or start == none) and (stop == nil or stop == none) then return s, 0 end
  local n = text.len(s)
  start, stop = as_int(start, 0), as_int(stop, n)
  if start < 0 then start = math.max(0, start + n) end
  if stop < 0 then stop = math.max(0, stop + n) end
  if start > n then return nil end
  return text.sub(s, start, math.min(stop, n)), start
end

local function searcher(last, raises)
  return function(s, needle, start, stop)
    needle = as_text(needle, "must be str")
    local part, offset = window(s, start, stop)
    local at
    if part then
      if last then at = rfind_bytes(part, needle) else at = part:find(needle, 1, true) end
    end
    if at then return text.offset(part, at) + offset end
    if raises then return fault.value("substring not found") end
    return -1
  end
end
def("find(sub, start?, end?)", searcher(false, false))
def("rfind(sub, start?, end?)", searcher(true, false))
def("index(sub, start?, end?)", searcher(false, true))
def("rindex(sub, start?, end?)", searcher(true, true))

def("count(sub, start?, end?)", function(s, needle, start, stop)
  needle = as_text(needle, "must be str")
  local part = window(s, start, stop)
  if not part then return 0 end
  if needle == "" then return text.len(part) + 1 end
  local n, pos = 0, 1
  while true do
    local at, to = part:find(needle, pos, true)
    if not at then return n end
    n, pos = n + 1, to + 1
  end
end)

local function affix(name, test)
  def(name .. "(prefix, start?, end?)", function(s, what, start, stop)
    local part = window(s, start, stop)
    if not part then return false end
    if value.is_tuple(what) then
      for _, one in ipairs(what) do
        if test(part, as_text(one, name .. " first arg")) then return true end
      end
      return false
    end
    return test(part, as_text(what, name .. " first arg"))
  end)
end
affix("startswith", function(s, p) return s:sub(1, #p) == p end)
affix("endswith", function(s, p) return p == "" or s:sub(-#p) == p end)

def("removeprefix(prefix)", function(s, p)
  p = as_text(p)
  return s:sub(1, #p) == p and s:sub(#p + 1) or s
end)
def("removesuffix(suffix)", function(s, p)
  p = as_text(p)
  return p ~= "" and s:sub(-#p) == p and s:sub(1, -#p - 1) or s
end)

def("join(iterable)", function(s, items)
  local a, n = iterate.array(items)
  for i = 1, n do
    if type(a[i]) ~= "string" then
      if type(a[i]) == "table" and getmetatable(a[i]) == classes.Markup then
        a[i] = a[i].text
      else
        return fault.type(("sequence item %d: expected str instance, %s found"):format(i - 1, runtime.type_name(a[i])))
      end
    end
  end
  return table.concat(a, s, 1, n)
end)

for name, class in pairs { isalpha = "alpha", isdigit = "digit", isdecimal = "decimal", isnumeric = "numeric" } do
  def(name .. "()", function(s) return text.all(s, class) end)
end

def("isalnum()", function(s)
  if s == "" then return false end
  for _, c in utf8.codes(s, true) do
    if not unicode.is("alpha", c) and not unicode.is("numeric", c) then return false end
  end
  return true
end)
def("isspace()", function(s)
  if s == "" then return false end
  for _, c in utf8.codes(s, true) do
    if not unicode.space(c) then return false end
  end
  return true
end)
def("isascii()", function(s) return not s:find("[\128-\255]") end)
def("isidentifier()", unicode.is_identifier)
def("isprintable()", function(s)
  for _, c in utf8.codes(s, true) do
    if not unicode.printable(c) then return false end
  end
  return true
end)

local function cased(wanted, unwanted)
  return function(s)
    local found = false
    for _, c in utf8.codes(s, true) do
      if unicode.is(unwanted, c) or unicode.is("title", c) then return false end
      if unicode.is(wanted, c) then found = true end
    end
    return found
  end
end
def("islower()", cased("lower", "upper"))
def("isupper()", cased("upper", "lower"))
def("istitle()", function(s)
  local ok, found = true, false
  text.each_titled(s, function(_, starts, c)
    if unicode.is("upper", c) or unicode.is("title", c) then
      found = true
      if not starts then ok = false end
    elseif unicode.is("lower", c) then
      found = true
      if starts then ok = false end
    end
  end)
  return ok and found
end)

def("zfill(width)", function(s, width)
  local missing = as_int(width) - text.len(s)
  if missing <= 0 then return s end
  local sign = s:match("^[-+]") or ""
  return sign .. ("0"):rep(missing) .. s:sub(#sign + 1)
end)

local function filler(fill)
  if fill == nil then return " " end
  fill = as_text(fill)
  if text.len(fill) ~= 1 then return fault.type("The fill character must be exactly one character long") end
  return fill
end
def("center(width, fillchar?)", function(s, width, fill) return text.center(s, as_int(width), filler(fill)) end)
def("ljust(width, fillchar?)", function(s, width, fill) return s .. filler(fill):rep(as_int(width) - text.len(s)) end)
def("rjust(width, fillchar?)", function(s, width, fill) return filler(fill):rep(as_int(width) - text.len(s)) .. s end)

def("expandtabs(tabsize?)", function(s, size)
  size = as_int(size, 8)
  local out, column = {}, 0
  for _, c in ipairs(iterate.characters(s)) do
    if c == "\t" then
      local n = size > 0 and size - column % size or 0
      out[#out + 1] = (" "):rep(n)
      column = column + n
    else
      out[#out + 1] = c
      column = (c == "\n" or c == "\r") and 0 or column + 1
    end
  end
  return table.concat(out)
end)

local ascii_names = { ascii = true, ["us-ascii"] = true }
local latin_names = { ["latin-1"] = true, latin1 = true, ["iso-8859-1"] = true }
local utf8_names = { ["utf-8"] = true, utf8 = true, utf_8 = true }

def("encode(encoding?, errors?)", function(s, encoding, errors)
  encoding = encoding and as_text(encoding):lower() or "utf-8"
  errors = errors and as_text(errors) or "strict"
  if utf8_names[encoding] then return classes.bytes(s) end
  local limit = ascii_names[encoding] and 128 or latin_names[encoding] and 256
  if not limit then return fault.raise("LookupError", "unknown encoding: " .. encoding) end
  local out = {}
  for _, c in utf8.codes(s, true) do
    if c < limit then
      out[#out + 1] = string.char(c)
    elseif errors == "replace" then
      out[#out + 1] = "?"
    elseif errors == "xmlcharrefreplace" then
      out[#out + 1] = "&#" .. c .. ";"
    elseif errors == "backslashreplace" then
      out[#out + 1] = (c < 256 and "\\x%02x" or c < 65536 and "\\u%04x" or "\\U%08x"):format(c)
    elseif errors ~= "ignore" then
      return fault.raise("UnicodeEncodeError", ("'%s' codec can't encode character '\\u%04x'"):format(encoding, c))
    end
  end
  return classes.bytes(table.concat(out))
end)

def("maketrans(x, y?, z?)", function(_, x, y, z)
  local d = value.dict()
  if y == nil then
    if not value.is_dict(x) then return fault.type("if you give only one argument to maketrans it must be a dict") end
    for _, k in ipairs(value.keys(x)) do
      local key = type(k) == "string" and utf8.codepoint(k) or k
      classes.dict_set(d, key, x[k])
    end
    return d
  end
  local from, to = iterate.characters(as_text(x)), iterate.characters(as_text(y))
  if #from ~= #to then return fault.value("the first two maketrans arguments must have equal length") end
  for i, c in ipairs(from) do classes.dict_set(d, utf8.codepoint(c), utf8.codepoint(to[i])) end
  if z ~= nil then
    for _, c in ipairs(iterate.characters(as_text(z))) do classes.dict_set(d, utf8.codepoint(c), none) end
  end
  return d
end)

def("translate(table)", function(s, map)
  local out = {}
  for _, c in utf8.codes(s, true) do
    local to = value.is_dict(map) and classes.dict_get(map, c)
    if to == nil or to == false then
      out[#out + 1] = utf8.char(c)
    elseif to ~= none then
      out[#out + 1] = type(to) == "number" and utf8.char(to) or as_text(to)
    end
  end
  return table.concat(out)
end)

def("format(*args)", function(s, args, n, keywords)
  return require("jinja.format").format(s, args, n, keywords)
end)
classes.str_methods.format.keywords = true
def("format_map(mapping)", function(s, mapping) return require("jinja.format").format(s, {}, 0, mapping) end)

-- these take no keyword arguments
for _, name in ipairs { "replace", "strip", "lstrip", "rstrip", "find", "rfind", "index", "rindex", "count",
  "startswith", "endswith", "join", "partition", "rpartition", "removeprefix", "removesuffix", "zfill", "center",
  "ljust", "rjust", "translate", "maketrans", "format_map" } do
  classes.str_methods[name].index = {}
end

-- bytes ------------------------------------------------------------------------------------------

local bytes = registry.definer(classes.Bytes.__methods)
bytes("decode(encoding?, errors?)", function(b, encoding, errors)
  encoding = encoding and as_text(encoding):lower() or "utf-8"
  if latin_names[encoding] then
    local out = {}
    for i = 1, #b.text do out[i] = utf8.char(b.text:byte(i)) end
    return table.concat(out)
  end
  if utf8.len(b.text) and (utf8_names[encoding] or not b.text:find("[\128-\255]")) then return b.text end
  if errors == "ignore" then return (b.text:gsub("[\128-\255]", "")) end
  if errors == "replace" then return (b.text:gsub("[\128-\255]", "\u{FFFD}")) end
  return fault.raise("UnicodeDecodeError", ("'%s' codec can't decode these bytes"):format(encoding))
end)
bytes("hex()", function(b)
  return (b.text:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end)
classes.Bytes.__iter = function(b)
  local i = 0
  return function()
    i = i + 1
    return b.text:byte(i)
  end
end

-- safe text has str's methods; their text results are safe too
local markup_methods = {}
for name, m in pairs(classes.str_methods) do
  local copy = {}
  for k, v in pairs(m) do copy[k] = v end
  copy.fn = function(x, ...)
    local result = m.fn(x.text, ...)
    if type(result) == "string" then return classes.markup(result) end
    if value.is_list(result) or value.is_tuple(result) then
      for i = 1, #result do result[i] = classes.markup(result[i]) end
    end
    return result
  end
  markup_methods[name] = copy
end
classes.Markup.__methods = markup_methods

-- what joins safe text is escaped
local function escaped(x) return require("jinja.html").escape(x) end
markup_methods.join.fn = function(m, items)
  local parts = iterate.array(items)
  for i, part in ipairs(parts) do parts[i] = escaped(part).text end
  return classes.markup(table.concat(parts, m.text))
end
markup_methods.format.fn = function(m, args, n, keywords)
  local function safe(x)
    if type(x) == "string" then return escaped(x).text end
    return x
  end
  for i = 1, n do args[i] = safe(args[i]) end
  for _, k in ipairs(keywords and keywords[value.ORDER] or {}) do keywords[k] = safe(keywords[k]) end
  return classes.markup(require("jinja.format").format(m.text, args, n, keywords))
end
classes.Markup.__iter = function(m) return iterate.stepper(m.text) end

return { as_text = as_text, as_int = as_int }
