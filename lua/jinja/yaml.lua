--- fromyaml and toyaml: PyYAML's safe loader (dex.yaml, in C) and safe dumper (block style, 80 columns).

local value = require "jinja.value"
local classes = require "jinja.classes"
local bigint = require "jinja.bigint"
local printing = require "jinja.printing"
local runtime = require "jinja.runtime"
local err = require "err"
local fault = require "jinja.fault"

local M = {}

local none, ORDER = value.none, value.ORDER

-- Loading ----------------------------------------------------------------------------------------

-- YAML 1.1 timestamps become dates
local function date_hook(text)
  local datetime = require "jinja.modules.datetime"
  local int = function(s) return math.tointeger(tonumber(s)) end
  local y, m, d = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  if y then return datetime.date.new(int(y), int(m), int(d)) end
  local h, mi, s, rest
  y, m, d, h, mi, s, rest = text:match("^(%d%d%d%d)%-(%d%d?)%-(%d%d?)[Tt \t]+(%d%d?):(%d%d):(%d%d)(.*)$")
  if not y then return nil end
  local fraction = rest:match("^%.(%d*)") or ""
  rest = rest:gsub("^%.%d*", ""):gsub("%s", "")
  fraction = (fraction .. "000000"):sub(1, 6)
  local zone
  if rest == "Z" then
    zone = require("jinja.modules.zones").fixed(0)
  elseif rest ~= "" then
    local sign, zh, zm = rest:match("^([-+])(%d%d?):?(%d*)$")
    if not sign then return nil end
    local minutes = int(zh) * 60 + (zm ~= "" and int(zm) or 0)
    zone = require("jinja.modules.zones").fixed((sign == "-" and -60 or 60) * minutes)
  end
  return datetime.datetime.new(int(y), int(m), int(d), int(h), int(mi), int(s), int(fraction), zone or none)
end

--- yaml.safe_load(text). Raises an error of kind YAMLError.
---@param text string
function M.load(text)
  if type(text) == "table" and getmetatable(text) == classes.Markup then text = text.text end
  if type(text) ~= "string" then
    return fault.type(("fromyaml() wants text, not %s"):format(runtime.type_name(text)))
  end
  local yaml = require "dex.yaml"
  local outer = yaml.date_hook
  yaml.date_hook = date_hook
  local ok, result = pcall(yaml.decode, text)
  yaml.date_hook = outer
  if not ok then
    if err.is(result) and result.code == 103 then
      return fault.raise("YAMLError", ("%s (line %s of the text)"):format(result.message, tostring(result.line or "?")))
    end
    error(result, 0)
  end
  if result == nil then return none end
  return result
end

-- Scalars ----------------------------------------------------------------------------------------

local WIDTH = 80

local words = {}
for _, w in ipairs { "yes", "no", "true", "false", "on", "off", "null" } do
  words[w], words[w:upper()], words[w:sub(1, 1):upper() .. w:sub(2)] = true, true, true
end
words["~"], words[""], words["<<"], words["="] = true, true, true, true

-- whether PyYAML would read a plain text as something else than text
local function reads_as_other(s)
  if words[s] then return true end
  if not s:find("^[-+.%d]") then return false end
  if s:find("^[-+]?0b[01_]+$") or s:find("^[-+]?0[0-7_]+$") or s:find("^[-+]?0x[%x_]+$") then return true end
  if s:find("^[-+]?0$") or s:find("^[-+]?[1-9][%d_]*$") then return true end
  if s:find("^[-+]?[1-9][%d_]*:[0-5]?%d") and s:find("^[-+]?[%d_]+[:0-9]*%.?[%d_]*$") then return true end
  if s:find("^[-+]?%d[%d_]*%.[%d_]*$") or s:find("^[-+]?%d[%d_]*%.[%d_]*[eE][-+]%d+$") then return true end
  if s:find("^%.[%d][%d_]*$") or s:find("^%.[%d_]+[eE][-+]%d+$") then return true end
  local lower = s:lower()
  if lower:find("^[-+]?%.inf$") or lower == ".nan" then return true end
  if s:find("^%d%d%d%d%-%d%d%-%d%d$") then return true end
  if s:find("^%d%d%d%d%-%d%d?%-%d%d?[Tt \t]+%d%d?:%d%d:%d%d") then return true end
  return false
end

-- what a text may be written as: plain, single quoted, and whether it has several lines or special characters
local function analyse(s)
  local a = { plain = true, single = true, lines = s:find("\n", 1, true) ~= nil }
  if s == "" then
    a.plain = false
    return a
  end
  if s:find("^[%-%?:,%[%]{}#&*!|>'\"%%@`]") then
    local c = s:sub(1, 1)
    if c == "?" or c == ":" or c == "-" then
      -- only when nothing or a space follows
      if #s == 1 or s:find("^.[ \n\t]") then a.plain = false end
    else
      a.plain = false
    end
  end
  if s:find("^%-%-%-") or s:find("^%.%.%.") then a.plain = false end
  if s:find(": ", 1, true) or s:find(":\n", 1, true) or s:find(":$") or s:find("[ \n\t]#") then a.plain = false end
  if s:find("^[ \n]") or s:find("[ \n]$") or a.lines then a.plain = false end
  if s:find("[^\n\x20-\x7e]") then a.plain, a.single = false, false end
  if s:find(" \n", 1, true) then a.plain, a.single = false, false end
  return a
end

-- flow context has more forbidden characters; keys on one line
local function single_quoted(s, indent, column, split)
  local out = { "'" }
  local function put(text)
    out[#out + 1] = text
    column = column + utf8.len(text)
  end
  column = column + 1
  local at, spaces, breaks = 1, false, false
  local start = 1
  local pad = (" "):rep(indent)
  while at <= #s + 1 do
    local c = s:sub(at, at)
    if spaces then
      if c ~= " " then
        if start + 1 == at and column > WIDTH and split and start ~= 1 and at ~= #s + 1 then
          out[#out + 1] = "\n" .. pad
          column = indent
        else
          put(s:sub(start, at - 1))
        end
        start = at
      end
    elseif breaks then
      if c ~= "\n" then
        if s:sub(start, start) == "\n" then out[#out + 1] = "\n" end
        out[#out + 1] = ("\n"):rep(at - start)
        out[#out + 1] = pad
        column = indent
        start = at
      end
    elseif c == "" or c == " " or c == "\n" then
      if start < at then
        put(s:sub(start, at - 1))
        start = at
      end
    end
    if c == "'" then
      if start < at then put(s:sub(start, at - 1)) end
      put("''")
      start = at + 1
    end
    spaces, breaks = c == " ", c == "\n"
    at = at + 1
  end
  return table.concat(out) .. "'"
end

local escapes = { ["\0"] = "0", ["\a"] = "a", ["\b"] = "b", ["\t"] = "t", ["\n"] = "n", ["\v"] = "v", ["\f"] = "f",
  ["\r"] = "r", ["\27"] = "e", ['"'] = '"', ["\\"] = "\\", ["\u{85}"] = "N", ["\u{A0}"] = "_",
  ["\u{2028}"] = "L", ["\u{2029}"] = "P" }

local function double_quoted(s, indent, column, split)
  local chars = require("jinja.iterate").characters(s)
  local out = { '"' }
  column = column + 1
  local start = 1
  local function flush(stop)
    if start < stop then
      local piece = table.concat(chars, "", start, stop - 1)
      out[#out + 1] = piece
      column = column + (stop - start)
      start = stop
    end
  end
  for at = 1, #chars + 1 do
    local c = chars[at]
    if c == nil or escapes[c] or not c:find("^[\x20-\x7e]$") then
      flush(at)
      if c then
        local text
        if escapes[c] then
          text = "\\" .. escapes[c]
        else
          local code = utf8.codepoint(c, 1, 1, true)
          text = (code <= 0xFF and "\\x%02X" or code <= 0xFFFF and "\\u%04X" or "\\U%08X"):format(code)
        end
        out[#out + 1] = text
        column = column + #text
        start = at + 1
      end
    end
    if at > 1 and at < #chars and (c == " " or start >= at) and column + (at - start) > WIDTH and split then
      local piece = start < at and table.concat(chars, "", start, at - 1) or ""
      if start < at then start = at end
      out[#out + 1] = piece .. "\\\n" .. (" "):rep(indent)
      column = indent
      if chars[start] == " " then
        out[#out + 1] = "\\"
        column = column + 1
      end
    end
  end
  return table.concat(out) .. '"'
end

-- a plain text with its lines folded at spaces
local function plain_text(s, indent, column, split)
  local out = {}
  local first = true
  for word in s:gmatch("[^ ]+ *") do
    local text, blanks = word:match("^(%S+)( *)$")
    if not text then text, blanks = word, "" end
    out[#out + 1] = text
    column = column + utf8.len(text)
    if #blanks == 1 and split and column > WIDTH and not first then
      out[#out + 1] = "\n" .. (" "):rep(indent)
      column = indent
    elseif #blanks == 1 and split and column > WIDTH then
      out[#out + 1] = "\n" .. (" "):rep(indent)
      column = indent
    else
      out[#out + 1] = blanks
      column = column + #blanks
    end
    first = false
  end
  return table.concat(out)
end

local function float_text(x)
  if x ~= x then return ".nan" end
  if x == math.huge then return ".inf" elseif x == -math.huge then return "-.inf" end
  local s = printing.float(x)
  if not s:find(".", 1, true) and s:find("e", 1, true) then s = s:gsub("e", ".0e", 1) end
  return s
end

-- the text of a scalar; `key` for keys, which stay on one line
local function scalar(x, indent, column, key)
  if type(x) == "string" then
    local a = analyse(x)
    local split = not key
    if a.plain and not reads_as_other(x) then return plain_text(x, indent, column, split), true end
    if a.single and not (key and a.lines) then return single_quoted(x, indent, column, split) end
    return double_quoted(x, indent, column, split)
  end
  if x == none then return "null", true end
  if type(x) == "boolean" then return x and "true" or "false", true end
  if math.type(x) == "integer" then return tostring(x), true end
  if type(x) == "number" then return float_text(x), true end
  if bigint.is(x) then return bigint.tostring(x), true end
  local mt = getmetatable(x)
  local kind = type(mt) == "table" and mt.__pytype
  if kind == "datetime.date" or kind == "datetime.datetime" then return mt.__str(x), true end
  return nil
end

-- Collections ------------------------------------------------------------------------------------

local function is_list(x) return value.is_list(x) or value.is_tuple(x) end

-- objects that occur more than once get anchors
local function count_uses(x, uses)
  if type(x) ~= "table" then return end
  if is_list(x) or value.is_dict(x) then
    uses[x] = (uses[x] or 0) + 1
    if uses[x] > 1 then return end
    if is_list(x) then
      for i = 1, #x do count_uses(x[i], uses) end
    else
      for _, k in ipairs(x[ORDER]) do count_uses(rawget(x, k), uses) end
    end
  end
end

local node

local function cannot(x)
  return fault.raise("RepresenterError", ("cannot represent an object: %s"):format(runtime.type_name(x)))
end

local function sequence(o, x, indent, column_free)
  local pad = (" "):rep(indent)
  for i = 1, #x do
    if i > 1 or not column_free then o.put("\n" .. pad) end
    o.put("-")
    node(o, x[i], indent + 2, indent + 2, "item")
  end
end

local function mapping(o, x, indent, column_free)
  local pad = (" "):rep(indent)
  local keys = x[ORDER]
  if o.sort_keys then
    local ok, sorted = pcall(require("jinja.sorting").sort, value.keys(x))
    keys = ok and sorted or keys
  end
  for i, k in ipairs(keys) do
    if i > 1 or not column_free then o.put("\n" .. pad) end
    local text = scalar(k, indent, indent, true)
    if not text then return cannot(k) end
    if #text > 128 then
      o.put("? " .. text .. "\n" .. pad .. ":")
    else
      o.put(text .. ":")
    end
    node(o, rawget(x, k), indent, indent + #text + 2, "value")
  end
end

--- Puts a node. `place`: "root", "item" (after "-") or "value" (after "key:").
node = function(o, x, indent, column, place)
  local list, dict = is_list(x), value.is_dict(x)
  if not list and not dict then
    local text, plain = scalar(x, place == "item" and indent or indent + 2, column)
    if not text then return cannot(x) end
    if place == "root" then
      o.put(text .. (plain and "\n..." or ""))
    else
      o.put(" " .. text)
    end
    return
  end
  local anchor = ""
  if o.uses[x] > 1 then
    if o.anchors[x] then return o.put((place == "root" and "*" or " *") .. o.anchors[x]) end
    o.count = o.count + 1
    o.anchors[x] = ("id%03d"):format(o.count)
    anchor = (place == "root" and "&" or " &") .. o.anchors[x]
  end
  o.put(anchor)
  local empty = #x == 0
  if empty then
    o.put((place == "root" and "" or " ") .. (list and "[]" or "{}"))
  elseif list then
    if place == "root" then
      sequence(o, x, 0, anchor == "")
    elseif place == "item" then
      -- "- - a": the inner list begins on the same line
      if anchor == "" then o.put(" ") end
      sequence(o, x, indent, anchor == "")
    else
      -- a list under a key stands at the key's own column
      sequence(o, x, indent, false)
    end
  elseif place == "root" then
    mapping(o, x, 0, anchor == "")
  elseif place == "item" then
    if anchor == "" then o.put(" ") end
    mapping(o, x, indent, anchor == "")
  else
    mapping(o, x, indent + 2, false)
  end
end

--- yaml.safe_dump(x, sort_keys=...).
---@param x any
---@param sort_keys boolean
---@return string
function M.dump(x, sort_keys)
  local out = {}
  local o = { uses = {}, anchors = {}, count = 0, sort_keys = sort_keys, put = function(s) out[#out + 1] = s end }
  count_uses(x, o.uses)
  node(o, x, 0, 0, "root")
  return table.concat(out) .. "\n"
end

return M
