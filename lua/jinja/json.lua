--- Python's json.dumps and json.loads for template values. (dex.json, in C, serves the engine's own files; here
-- integers have any size, tuples and bad types are treated as Python treats them.)

local value = require "jinja.value"
local classes = require "jinja.classes"
local bigint = require "jinja.bigint"
local printing = require "jinja.printing"
local fault = require "jinja.fault"
local type_name = require("jinja.truth").type_name

local M = {}

local none, ORDER = value.none, value.ORDER
local Dict, List, Tuple = value.Dict, value.List, value.Tuple

local short = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\b"] = "\\b",
  ["\f"] = "\\f" }

local function quote(s)
  s = s:gsub('[%c"\\]', function(c) return short[c] or ("\\u%04x"):format(c:byte()) end)
  if s:find("[\128-\255]") then
    s = s:gsub(utf8.charpattern, function(c)
      if #c == 1 then return nil end
      local code = utf8.codepoint(c, 1, 1, true)
      if code < 0x10000 then return ("\\u%04x"):format(code) end
      code = code - 0x10000
      return ("\\u%04x\\u%04x"):format(0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF))
    end)
  end
  return '"' .. s .. '"'
end

local function number(x)
  if math.type(x) == "integer" then return tostring(x) end
  if x ~= x then return "NaN" end
  if x == math.huge then return "Infinity" elseif x == -math.huge then return "-Infinity" end
  return printing.float(x)
end

local function key_text(k)
  if type(k) == "string" then return quote(k) end
  if type(k) == "number" then return '"' .. number(k) .. '"' end
  if type(k) == "boolean" then return k and '"true"' or '"false"' end
  if k == none then return '"null"' end
  if bigint.is(k) then return '"' .. bigint.tostring(k) .. '"' end
  return fault.type(("keys must be str, int, float, bool or None, not %s"):format(type_name(k)))
end

local encode

local function container(x, o, level, open, close, count, item)
  if o.seen[x] then return fault.value("Circular reference detected") end
  if level > 150 then return fault.raise("RecursionError", "the value is nested too deeply for JSON") end
  if count == 0 then return open .. close end
  o.seen[x] = true
  local out = {}
  for i = 1, count do out[i] = item(i) end
  o.seen[x] = nil
  if not o.indent then return open .. table.concat(out, ", ") .. close end
  local inner = "\n" .. o.indent:rep(level + 1)
  return open .. inner .. table.concat(out, "," .. inner) .. "\n" .. o.indent:rep(level) .. close
end

encode = function(x, o, level)
  local t = type(x)
  if t == "string" then return quote(x) end
  if t == "number" then return number(x) end
  if t == "boolean" then return x and "true" or "false" end
  if x == none then return "null" end
  local mt = getmetatable(x)
  if mt == List or mt == Tuple or t == "table" and mt == nil then
    return container(x, o, level, "[", "]", #x, function(i) return encode(x[i], o, level + 1) end)
  elseif mt == Dict then
    local keys = x[ORDER]
    if o.sort_keys then keys = require("jinja.sorting").sort(value.keys(x)) end
    return container(x, o, level, "{", "}", #keys, function(i)
      return key_text(keys[i]) .. ": " .. encode(rawget(x, keys[i]), o, level + 1)
    end)
  elseif mt == classes.Markup then
    return quote(x.text)
  elseif mt == bigint.Big then
    return bigint.tostring(x)
  elseif type(mt) == "table" and mt.__json then
    return encode(mt.__json(x), o, level)
  end
  return fault.type(("Object of type %s is not JSON serializable"):format(type_name(x)))
end

--- json.dumps(x). Raises TypeError for what is no JSON.
---@param x any
---@param opts {indent: integer|string|nil, sort_keys: boolean|nil}|nil
function M.encode(x, opts)
  opts = opts or {}
  local indent = opts.indent
  if math.type(indent) == "integer" then indent = (" "):rep(indent) end
  return encode(x, { indent = indent, sort_keys = opts.sort_keys, seen = {} }, 0)
end

-- Decoding ---------------------------------------------------------------------------------------

local function bad(s, pos, what)
  local line, last = 1, 0
  for at in s:sub(1, pos - 1):gmatch("()\n") do line, last = line + 1, at end
  return fault.raise("JSONDecodeError", ("%s: line %d column %d (char %d)"):format(what, line, pos - last, pos - 1))
end

local unescape = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function decode_string(s, pos)
  local out, n = {}, 0
  local at = pos + 1
  while true do
    local stop = s:find('["\\%c]', at)
    while stop and s:byte(stop) == 127 do stop = s:find('["\\%c]', stop + 1) end
    if not stop then return bad(s, pos, "Unterminated string starting at") end
    n = n + 1
    out[n] = s:sub(at, stop - 1)
    local c = s:sub(stop, stop)
    if c == '"' then return table.concat(out), stop + 1 end
    if c ~= "\\" then return bad(s, stop, "Invalid control character at") end
    local e = s:sub(stop + 1, stop + 1)
    n = n + 1
    if unescape[e] then
      out[n] = unescape[e]
      at = stop + 2
    elseif e == "u" then
      local hex = s:match("^%x%x%x%x", stop + 2)
      if not hex then return bad(s, stop + 1, "Invalid \\uXXXX escape") end
      local code = tonumber(hex, 16)
      at = stop + 6
      if code >= 0xD800 and code < 0xDC00 then
        local low = s:match("^\\u([dD][c-fC-F]%x%x)", at)
        if low then
          code = 0x10000 + ((code - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00)
          at = at + 6
        end
      end
      out[n] = utf8.char(code)
    else
      return bad(s, stop, "Invalid \\escape")
    end
  end
end

local words = { ["true"] = true, ["false"] = false, null = none, NaN = 0.0 / 0.0, Infinity = math.huge }

local decode

local function blank(s, pos) return s:match("^[ \t\n\r]*()", pos) end

local function decode_array(s, pos, depth)
  local out, n = {}, 0
  pos = blank(s, pos + 1)
  if s:byte(pos) == 93 then return value.list(out), pos + 1 end
  while true do
    n = n + 1
    out[n], pos = decode(s, pos, depth + 1)
    pos = blank(s, pos)
    local c = s:sub(pos, pos)
    if c == "]" then return value.list(out), pos + 1 end
    if c ~= "," then return bad(s, pos, "Expecting ',' delimiter") end
    pos = blank(s, pos + 1)
  end
end

local function decode_object(s, pos, depth)
  local out = value.dict()
  pos = blank(s, pos + 1)
  if s:byte(pos) == 125 then return out, pos + 1 end
  while true do
    if s:byte(pos) ~= 34 then return bad(s, pos, "Expecting property name enclosed in double quotes") end
    local key
    key, pos = decode_string(s, pos)
    pos = blank(s, pos)
    if s:byte(pos) ~= 58 then return bad(s, pos, "Expecting ':' delimiter") end
    local v
    v, pos = decode(s, blank(s, pos + 1), depth + 1)
    classes.dict_set(out, key, v)
    pos = blank(s, pos)
    local c = s:sub(pos, pos)
    if c == "}" then return out, pos + 1 end
    if c ~= "," then return bad(s, pos, "Expecting ',' delimiter") end
    pos = blank(s, pos + 1)
  end
end

decode = function(s, pos, depth)
  if depth > 500 then return fault.raise("RecursionError", "the JSON text is nested too deeply") end
  local c = s:sub(pos, pos)
  if c == '"' then return decode_string(s, pos) end
  if c == "{" then return decode_object(s, pos, depth) end
  if c == "[" then return decode_array(s, pos, depth) end
  local integer, stop = s:match("^(%-?%d+)()", pos)
  if integer then
    if integer:find("^%-?0%d") then
      stop = pos + #integer:match("^%-?0")
      integer = integer:match("^%-?0")
    end
    local fraction, after = s:match("^(%.%d+)()", stop)
    local exponent, last = s:match("^([eE][-+]?%d+)()", after or stop)
    if fraction or exponent then
      local n = tonumber(integer .. (fraction or "") .. (exponent or "")) - 0.0
      if n == 0 and integer:sub(1, 1) == "-" then n = -0.0 end
      return n, last or after
    end
    return bigint.parse(integer, 10), stop
  end
  if s:sub(pos, pos + 8) == "-Infinity" then return -math.huge, pos + 9 end
  local word = s:match("^%a+", pos)
  if word and words[word] ~= nil then return words[word], pos + #word end
  return bad(s, pos, "Expecting value")
end

--- json.loads(s). Raises JSONDecodeError.
---@param s string
function M.decode(s)
  if s:sub(1, 3) == "\u{FEFF}" then return bad(s, 1, "Unexpected UTF-8 BOM (decode using utf-8-sig)") end
  local v, pos = decode(s, blank(s, 1), 0)
  pos = blank(s, pos)
  if pos <= #s then return bad(s, pos, "Extra data") end
  return v
end

return M
