--- `modules.re`: Python's re on PCRE2 (engine/script/lib_re.c). Patterns are rewritten where the two differ.

local value = require "jinja.value"
local classes = require "jinja.classes"
local registry = require "jinja.registry"
local runtime = require "jinja.runtime"
local printing = require "jinja.printing"
local text = require "jinja.text"
local fault = require "jinja.fault"
local engine = require "dex.re"

local none = value.none
local tuple, list, fn = value.tuple, value.list, value.fn

local M = value.dict()

local IGNORECASE, MULTILINE, DOTALL, UNICODE, VERBOSE, ASCII = 2, 8, 16, 32, 64, 256

local Pattern = { __name = "dex.re_pattern", __pytype = "re.Pattern", __methods = {} }
local Match = { __name = "dex.re_match", __pytype = "re.Match", __methods = {} }

local function bad_pattern(message) return fault.raise("error", message) end

-- Patterns ---------------------------------------------------------------------------------------

local letters = { a = true, b = true, B = true, A = true, d = true, D = true, f = true, n = true, r = true, s = true,
  S = true, t = true, u = true, U = true, v = true, w = true, W = true, x = true, Z = true }

local function escape(p, at, in_class)
  local c = p:sub(at + 1, at + 1)
  if c == "" then return bad_pattern("bad escape (end of pattern)") end
  if c:find("%a") and not letters[c] then return bad_pattern(("bad escape \\%s at position %d"):format(c, at - 1)) end
  if c == "Z" then return "\\z", at + 2 end
  if c == "v" then return "\\x0b", at + 2 end
  if c == "b" and in_class then return "\\x08", at + 2 end
  if c == "u" or c == "U" then
    local width = c == "u" and 4 or 8
    local hex = p:sub(at + 2, at + 1 + width)
    if not hex:find("^%x+$") or #hex ~= width then return bad_pattern("incomplete escape \\" .. c) end
    return "\\x{" .. hex .. "}", at + 2 + width
  end
  if c == "x" and not p:find("^%x%x", at + 2) then return bad_pattern("incomplete escape \\x") end
  return "\\" .. c, at + 2
end

-- Python's pattern in PCRE2's words; also flags that it sets for itself.
local function translate(p)
  local out, at, in_class, class_start = {}, 1, false, 0
  local own = ""
  while at <= #p do
    local c = p:sub(at, at)
    local piece, next_at = c, at + 1
    if c == "\\" then
      piece, next_at = escape(p, at, in_class)
    elseif in_class then
      if c == "[" then piece = "\\[" end
      if c == "]" and at > class_start then in_class = false end
    elseif c == "[" then
      in_class = true
      class_start = at + 1
      if p:sub(at + 1, at + 1) == "^" then
        piece, next_at, class_start = "[^", at + 2, at + 2
      end
      if p:sub(class_start, class_start) == "]" then
        piece, next_at = piece .. "\\]", next_at + 1
      end
    elseif c == "(" and p:sub(at + 1, at + 1) == "*" then
      return bad_pattern("nothing to repeat at position " .. at)
    elseif c == "{" then
      local max = p:match("^{,(%d+)}", at)
      if max then piece, next_at = "{0," .. max .. "}", at + #max + 3 end
    elseif c == "(" then
      local flags, stop = p:match("^%(%?([aiLmsux]+)%)()", at)
      if flags then
        if flags:find("a", 1, true) then own = own .. "a" end
        flags = flags:gsub("[auL]", "")
        piece, next_at = flags ~= "" and "(?" .. flags .. ")" or "", stop
      end
    end
    out[#out + 1] = piece
    at = next_at
  end
  return table.concat(out), own
end

local compiled, count = {}, 0

local function flag_letters(flags)
  local s = ""
  for letter, bit in pairs { i = IGNORECASE, m = MULTILINE, s = DOTALL, x = VERBOSE, a = ASCII } do
    if flags & bit ~= 0 then s = s .. letter end
  end
  return s
end

local function compile(pattern, flags)
  if type(pattern) == "table" and getmetatable(pattern) == Pattern then return pattern end
  if type(pattern) == "table" and getmetatable(pattern) == classes.Markup then pattern = pattern.text end
  if type(pattern) ~= "string" then return fault.type("first argument must be string or compiled pattern") end
  flags = (flags == nil or flags == none) and 0 or flags
  if math.type(flags) ~= "integer" then return fault.type("flags are integers, such as re.IGNORECASE") end
  local key = flags .. ":" .. pattern
  local known = compiled[key]
  if known then return known end
  local source, own = translate(pattern)
  local code, message, offset = engine.compile(source, flag_letters(flags) .. own)
  if not code then return bad_pattern(("%s at position %d"):format(message, offset)) end
  local p = setmetatable({ code = code, source = pattern, flags = flags, groups = code:groups(), names = code:names() },
    Pattern)
  if count > 500 then compiled, count = {}, 0 end
  compiled[key] = p
  count = count + 1
  return p
end

local function subject_text(s)
  if type(s) == "string" then return s end
  if type(s) == "table" and getmetatable(s) == classes.Markup then return s.text end
  if value.is_undefined(s) then return runtime.undefined_error(s) end
  return fault.type(("expected string or bytes-like object, got '%s'"):format(runtime.type_name(s)))
end

-- Matches ----------------------------------------------------------------------------------------

local function group_number(m, g)
  if type(g) == "string" then g = m.pattern.names[g] end
  if g == true then g = 1 end
  if math.type(g) ~= "integer" or g < 0 or g > m.pattern.groups then
    return fault.raise("IndexError", "no such group")
  end
  return g
end

local function group(m, g)
  local from = m.bounds[2 * g + 1]
  if not from then return none end
  return m.subject:sub(from + 1, m.bounds[2 * g + 2])
end

local function exec(p, s, from, options)
  local bounds = p.code:exec(s, from, options)
  return bounds and setmetatable({ pattern = p, subject = s, bounds = bounds }, Match)
end

-- the byte offset of a character position
local function byte_of(s, pos)
  if pos == nil or pos == none or pos <= 0 then return 0 end
  return math.min(#s, (utf8.offset(s, pos + 1) or #s + 1) - 1)
end

local function find(p, s, pos, stop, options)
  s = subject_text(s)
  if stop ~= nil and stop ~= none then s = s:sub(1, byte_of(s, stop)) end
  return exec(p, s, byte_of(s, pos), options) or none
end

-- all matches in turn, Python's way: an empty match may follow one that was not empty
local function each(p, s)
  local at, options = 0, nil
  return function()
    if at <= #s then
      local m = exec(p, s, at, options)
      if not m then
        at = #s + 1
        return nil
      end
      local from, to = m.bounds[1], m.bounds[2]
      at = to
      -- after an empty match not the empty text at the same place again
      options = to == from and "n" or nil
      return m
    end
  end
end

local match_method = registry.definer(Match.__methods)

match_method("group(*args)", function(m, ...)
  local n = select("#", ...)
  if n == 0 then return group(m, 0) end
  if n == 1 then return group(m, group_number(m, (...))) end
  local out = {}
  for i, g in ipairs { ... } do out[i] = group(m, group_number(m, g)) end
  return tuple(out)
end)
match_method("groups(default?)", function(m, default)
  local out = {}
  for g = 1, m.pattern.groups do
    out[g] = group(m, g)
    if out[g] == none and default ~= nil then out[g] = default end
  end
  return tuple(out)
end)
match_method("groupdict(default?)", function(m, default)
  local names = {}
  for name, g in pairs(m.pattern.names) do names[#names + 1] = { name, g } end
  table.sort(names, function(a, b) return a[2] < b[2] end)
  local d = value.dict()
  for _, pair in ipairs(names) do
    local v = group(m, pair[2])
    if v == none and default ~= nil then v = default end
    d[pair[1]] = v
  end
  return d
end)

local function position(m, g, which)
  g = g == nil and 0 or group_number(m, g)
  local at = m.bounds[2 * g + which]
  return at and text.offset(m.subject, at + 1) or -1
end
match_method("start(group?)", function(m, g) return position(m, g, 1) end)
match_method("end(group?)", function(m, g) return position(m, g, 2) end)
match_method("span(group?)", function(m, g) return tuple { position(m, g, 1), position(m, g, 2) } end)

local control = { n = "\n", t = "\t", r = "\r", a = "\a", f = "\f", v = "\v", b = "\b", ["\\"] = "\\" }

-- a replacement template as a list of texts and group numbers
local function parse_template(p, template)
  local out, at = {}, 1
  while true do
    local stop = template:find("\\", at, true)
    if not stop then break end
    out[#out + 1] = template:sub(at, stop - 1)
    local c = template:sub(stop + 1, stop + 1)
    at = stop + 2
    if c == "g" then
      local name, after = template:match("^<([^>]*)>()", at)
      if not name then return bad_pattern("missing group name") end
      local g = name:find("^%d+$") and math.tointeger(tonumber(name)) or p.names[name]
      if not g then return fault.raise("IndexError", ("unknown group name '%s'"):format(name)) end
      if g > p.groups then return bad_pattern("invalid group reference " .. g) end
      out[#out + 1] = g
      at = after
    elseif c:find("%d") then
      local digits = template:match("^%d%d?", stop + 1)
      if c == "0" then
        local octal = template:match("^0[0-7]?[0-7]?", stop + 1)
        out[#out + 1] = utf8.char(tonumber(octal, 8))
        at = stop + 1 + #octal
      else
        local g = math.tointeger(tonumber(digits))
        if g > p.groups then return bad_pattern("invalid group reference " .. g) end
        out[#out + 1] = g
        at = stop + 1 + #digits
      end
    elseif control[c] then
      out[#out + 1] = control[c]
    elseif c:find("%a") then
      return bad_pattern("bad escape \\" .. c)
    else
      out[#out + 1] = "\\" .. c
    end
  end
  out[#out + 1] = template:sub(at)
  return out
end

local function fill_template(parts, m)
  local out = {}
  for i, part in ipairs(parts) do
    if type(part) == "number" then
      part = group(m, part)
      if part == none then part = "" end
    end
    out[i] = part
  end
  return table.concat(out)
end

match_method("expand(template)", function(m, template)
  return fill_template(parse_template(m.pattern, subject_text(template)), m)
end)

Match.__getitem = function(m, g) return group(m, group_number(m, g)) end
Match.__getattr = function(m, name)
  if name == "string" then return m.subject end
  if name == "re" then return m.pattern end
  if name == "pos" then return 0 end
  if name == "endpos" then return text.len(m.subject) end
  if name == "lastindex" or name == "lastgroup" then
    local last, last_end
    for g = 1, m.pattern.groups do
      local to = m.bounds[2 * g + 2]
      if to and (not last or to > last_end) then last, last_end = g, to end
    end
    if name == "lastindex" then return last or none end
    for group_name, g in pairs(m.pattern.names) do
      if g == last then return group_name end
    end
    return none
  end
end
Match.__truth = function() return true end
Match.__repr = function(m)
  local from, to = position(m, nil, 1), position(m, nil, 2)
  return ("<re.Match object; span=(%d, %d), match=%s>"):format(from, to, printing.quote(group(m, 0)))
end

-- Operations -------------------------------------------------------------------------------------

local operations = {}

function operations.search(p, s, pos, stop) return find(p, s, pos, stop) end
function operations.match(p, s, pos, stop) return find(p, s, pos, stop, "a") end
function operations.fullmatch(p, s, pos, stop) return find(p, s, pos, stop, "f") end

function operations.findall(p, s)
  s = subject_text(s)
  local out = {}
  for m in each(p, s) do
    local item
    if p.groups == 0 then
      item = group(m, 0)
    else
      local groups = {}
      for g = 1, p.groups do
        groups[g] = group(m, g)
        if groups[g] == none then groups[g] = "" end
      end
      item = p.groups == 1 and groups[1] or tuple(groups)
    end
    out[#out + 1] = item
  end
  return list(out)
end

function operations.finditer(p, s)
  return classes.generator(each(p, subject_text(s)))
end

local function limit_of(n)
  if n == nil or n == none then return 0 end
  if math.type(n) ~= "integer" then return fault.type("count must be an integer") end
  return n
end

-- result and number of replacements
local function substitute(p, repl, s, limit)
  s = subject_text(s)
  limit = limit_of(limit)
  local parts, plain
  if type(repl) == "table" and getmetatable(repl) == classes.Markup then repl = repl.text end
  if type(repl) == "string" then
    if repl:find("\\", 1, true) then parts = parse_template(p, repl) else plain = repl end
  elseif not runtime.callable(repl) then
    return fault.type(("decoding to str: need a bytes-like object, %s found"):format(runtime.type_name(repl)))
  end
  local out, at, n = {}, 0, 0
  for m in each(p, s) do
    out[#out + 1] = s:sub(at + 1, m.bounds[1])
    local new = plain or parts and fill_template(parts, m)
    if not new then
      new = runtime.call(repl, m)
      if type(new) ~= "string" then new = subject_text(new) end
    end
    out[#out + 1] = new
    at = m.bounds[2]
    n = n + 1
    if n == limit then break end
  end
  out[#out + 1] = s:sub(at + 1)
  return table.concat(out), n
end

function operations.sub(p, repl, s, limit) return (substitute(p, repl, s, limit)) end
function operations.subn(p, repl, s, limit) return tuple { substitute(p, repl, s, limit) } end

function operations.split(p, s, limit)
  s = subject_text(s)
  limit = limit_of(limit)
  local out, at, n = {}, 0, 0
  for m in each(p, s) do
    out[#out + 1] = s:sub(at + 1, m.bounds[1])
    for g = 1, p.groups do out[#out + 1] = group(m, g) end
    at = m.bounds[2]
    n = n + 1
    if n == limit then break end
  end
  out[#out + 1] = s:sub(at + 1)
  return list(out)
end

local method = registry.definer(Pattern.__methods)
method("search(string, pos?, endpos?)", operations.search)
method("match(string, pos?, endpos?)", operations.match)
method("fullmatch(string, pos?, endpos?)", operations.fullmatch)
method("findall(string)", operations.findall)
method("finditer(string)", operations.finditer)
method("sub(repl, string, count?)", operations.sub)
method("subn(repl, string, count?)", operations.subn)
method("split(string, maxsplit?)", operations.split)

Pattern.__getattr = function(p, name)
  if name == "pattern" then return p.source end
  if name == "groups" then return p.groups end
  if name == "flags" then return p.flags | UNICODE end
  if name == "groupindex" then
    local d = value.dict()
    for group_name, g in pairs(p.names) do d[group_name] = g end
    return d
  end
end
Pattern.__repr = function(p)
  local flags = {}
  for _, f in ipairs { { "re.IGNORECASE", IGNORECASE }, { "re.MULTILINE", MULTILINE }, { "re.DOTALL", DOTALL },
    { "re.VERBOSE", VERBOSE }, { "re.ASCII", ASCII } } do
    if p.flags & f[2] ~= 0 then flags[#flags + 1] = f[1] end
  end
  local tail = #flags > 0 and ", " .. table.concat(flags, "|") or ""
  return "re.compile(" .. printing.quote(p.source) .. tail .. ")"
end
Pattern.__hash = function(p) return p.flags .. p.source end

for _, name in ipairs { "search", "match", "fullmatch", "findall", "finditer" } do
  M[name] = fn(name .. "(pattern, string, flags=0)", function(p, s, flags)
    return operations[name](compile(p, flags), s)
  end)
end
for _, name in ipairs { "sub", "subn" } do
  M[name] = fn(name .. "(pattern, repl, string, count=0, flags=0)", function(p, repl, s, limit, flags)
    return operations[name](compile(p, flags), repl, s, limit)
  end)
end
M.split = fn("split(pattern, string, maxsplit=0, flags=0)", function(p, s, limit, flags)
  return operations.split(compile(p, flags), s, limit)
end)
M.compile = fn("compile(pattern, flags=0)", compile)
M.purge = fn("purge()", function()
  compiled, count = {}, 0
end)

local special = "[%(%)%[%]{}%?%*%+%-|%^%$\\%.&~# \t\n\r\v\f]"
M.escape = fn("escape(pattern)", function(s) return (subject_text(s):gsub(special, "\\%0")) end)

M.I, M.M, M.S, M.U, M.X, M.A = IGNORECASE, MULTILINE, DOTALL, UNICODE, VERBOSE, ASCII
M.IGNORECASE, M.MULTILINE, M.DOTALL = IGNORECASE, MULTILINE, DOTALL
M.UNICODE, M.VERBOSE, M.ASCII = UNICODE, VERBOSE, ASCII


return M
