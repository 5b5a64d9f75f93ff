--- Cuts a template's text into tokens: text outside of tags, and what is inside of tags.
-- Where a tag begins is found by a plain search; LPeg matches a tag as a whole. The tokens come as one flat array, so
-- that a template of thousands of lines costs few tables.

local lpeg = require "lpeg"
local unicode = require "jinja.unicode"
local strip_space = require("jinja.text").strip
local fault = require "jinja.fault"

local P, R, S, V, C, Cc, Cp, Ct, Carg = lpeg.P, lpeg.R, lpeg.S, lpeg.V, lpeg.C, lpeg.Cc, lpeg.Cp, lpeg.Ct, lpeg.Carg
local match, move = lpeg.match, table.move
local byte, find, sub = string.byte, string.find, string.sub
local MINUS, PLUS, BRACE, PERCENT, HASH = ("-+{%#"):byte(1, -1)

-- LPeg's stack grows with brackets inside of brackets, which the parser limits
lpeg.setmaxstack(10000000)

local M = {}

-- Strings ----------------------------------------------------------------------------------------

local simple = { a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["\\"] = "\\", ["'"] = "'", ['"'] = '"', ["\n"] = "" }
local names = { BULLET = 0x2022, ["EM DASH"] = 0x2014, ["EN DASH"] = 0x2013, ["NO-BREAK SPACE"] = 0xA0,
  ["EURO SIGN"] = 0x20AC, ["DEGREE SIGN"] = 0xB0, ["COPYRIGHT SIGN"] = 0xA9,
  ["HORIZONTAL ELLIPSIS"] = 0x2026, ["CHECK MARK"] = 0x2713, ["MULTIPLICATION SIGN"] = 0xD7,
  ["RIGHTWARDS ARROW"] = 0x2192, ["SNOWMAN"] = 0x2603, ["GREEK SMALL LETTER ALPHA"] = 0x3B1 }

--- The value of a string literal's inside, Python's escapes resolved; nil and a message when one is bad.
---@param text string
function M.unescape(text)
  if not text:find("\\", 1, true) then return text end
  local out, n, pos = {}, 0, 1
  while true do
    local at = text:find("\\", pos, true)
    if not at then break end
    n = n + 1
    out[n] = text:sub(pos, at - 1)
    local c = text:sub(at + 1, at + 1)
    local next_pos, piece = at + 2
    if simple[c] then
      piece = simple[c]
    elseif c:find "[0-7]" then
      local oct = text:match("^[0-7][0-7]?[0-7]?", at + 1)
      piece, next_pos = utf8.char(tonumber(oct, 8)), at + 1 + #oct
    elseif c == "x" or c == "u" or c == "U" then
      local width = c == "x" and 2 or c == "u" and 4 or 8
      local hex = text:sub(at + 2, at + 1 + width)
      local code = #hex == width and hex:find("^%x+$") and tonumber(hex, 16)
      if not code or code > 0x10FFFF then return nil, "bad \\" .. c .. " escape in a string" end
      piece, next_pos = utf8.char(code), at + 2 + width
    elseif c == "N" then
      local name = text:match("^{([^}]*)}", at + 2)
      local code = name and names[name:upper()]
      if not code then return nil, "unknown character name in a \\N escape" end
      piece, next_pos = utf8.char(code), at + 4 + #name
    else
      piece = "\\" .. c
    end
    n = n + 1
    out[n] = piece
    pos = next_pos
  end
  out[n + 1] = text:sub(pos)
  return table.concat(out)
end

-- Unusual tokens ---------------------------------------------------------------------------------

local syntax = fault.syntax

local function unusual_name(lex, pos, text)
  if not utf8.len(text) or not unicode.is_identifier(text) then syntax(lex, pos, "'" .. text .. "' is not a name") end
  return "name", text
end

local function escaped_string(lex, pos, text)
  local inside, why = M.unescape(text:sub(2, -2))
  if not inside then syntax(lex, pos, why) end
  return "string", inside
end

-- Tokens inside of tags --------------------------------------------------------------------------

local digit = R "09"
local digits = digit ^ 1 * (P "_" * digit ^ 1) ^ 0
local exponent = S "eE" * S "+-" ^ -1 * digits
local float = digits * (P "." * digits * exponent ^ -1 + exponent)
local integer = P "0" * S "bB" * (P "_" ^ -1 * S "01") ^ 1
  + P "0" * S "oO" * (P "_" ^ -1 * R "07") ^ 1
  + P "0" * S "xX" * (P "_" ^ -1 * R("09", "af", "AF")) ^ 1
  + R "19" * (P "_" ^ -1 * digit) ^ 0
  + P "0" * (P "_" ^ -1 * P "0") ^ 0
local word = R("az", "AZ", "09", "\128\255") + P "_"
local ascii = (R("az", "AZ") + P "_") * (R("az", "AZ", "09") + P "_") ^ 0 * -word
-- strings without a backslash are what stands between their quotes
local plain = P "'" * C((P(1) - S "'\\") ^ 0) * P "'" + P '"' * C((P(1) - S '"\\') ^ 0) * P '"'
local single = P "'" * (P "\\" * P(1) + (P(1) - S "'\\")) ^ 0 * P "'"
local double = P '"' * (P "\\" * P(1) + (P(1) - S '"\\')) ^ 0 * P '"'
local blank = S " \t\n\r\f\v" ^ 0

-- A token is three captures: where it begins, its kind, its text. An operator's kind is its text.
local function op(pattern) return Cp() * C(pattern) * Cc(false) end
local operator = op(P "**" + P "//" + P "==" + P "!=" + P ">=" + P "<=" + S "+-/*%~><=:|,;")
local name = Cp() * Cc "name" * C(ascii) + Cp() * (Carg(1) * Cp() * C(word ^ 1) / unusual_name)
local string = Cp() * Cc "string" * plain + Cp() * (Carg(1) * Cp() * C(single + double) / escaped_string)
local index = Cp() * Cc "integer" * C(integer)
local number = Cp() * Cc "float" * C(float) + index
-- "x.0.1" has two indexes, and no number 0.1
local dot = op "." * (blank * index) ^ -1
local leaf = number + name + string + dot + operator
local group = P {
  "group",
  group = op "(" * V "inside" * op ")" + op "[" * V "inside" * op "]" + op "{" * V "inside" * op "}",
  inside = (blank * (leaf + V "group")) ^ 0 * blank,
}

-- The tokens that a tag holds; where its end begins, the end, and what follows it. Only outside of brackets is an end
-- one.
local function tag_with(closer) return (blank * (leaf - closer + group)) ^ 0 * blank * Cp() * C(closer) * Cp() end
local tags = { ["}}"] = tag_with(P "-" ^ -1 * P "}}"), ["%}"] = tag_with(S "-+" ^ -1 * P "%}") }
-- the same where there may be more of them than Lua's stack has room for
local long_tags = { ["}}"] = Ct(tags["}}"]), ["%}"] = Ct(tags["%}"]) }
local LONG = 200000

-- The lexer --------------------------------------------------------------------------------------

local function put(lex, kind, text, pos)
  local tokens, n = lex.tokens, lex.n
  tokens[n + 1], tokens[n + 2], tokens[n + 3] = pos, kind, text
  lex.n = n + 3
end

local brackets = { ["("] = ")", ["["] = "]", ["{"] = "}" }
local bracket = Cp() * C(S "()[]{}") * Cp()
local skipped = (blank * (leaf / 0)) ^ 0 * blank * Cp()

-- Why a tag does not match: the first place that is wrong in it.
local function bad_tag(lex, source, pos, closer, opened)
  local stack = {}
  while true do
    pos = match(skipped, source, pos, lex)
    local at, which, after = match(bracket, source, pos)
    if not at then break end
    if brackets[which] then
      stack[#stack + 1] = brackets[which]
    elseif #stack == 0 then
      syntax(lex, at, ("unexpected '%s'"):format(which))
    else
      local wanted = table.remove(stack)
      if wanted ~= which then
        syntax(lex, at, ("expected '%s', found '%s'"):format(wanted, which))
      end
    end
    pos = after
  end
  if pos > #source then syntax(lex, opened, ("this tag is not closed: '%s' is missing"):format(closer)) end
  local c = source:match(utf8.charpattern, pos) or source:sub(pos, pos)
  if c == "'" or c == '"' then syntax(lex, pos, "this string is not closed") end
  syntax(lex, pos, "unexpected character '" .. c .. "'")
end

-- The tokens of one tag, whose inside begins at pos; gives the position after its end and whether the end strips.
local function tag(lex, source, pos, opener, closer, opened)
  local found
  if #source < LONG then
    found = { match(tags[closer], source, pos, lex) }
  else
    found = match(long_tags[closer], source, pos, lex)
  end
  if not found or not found[1] then return bad_tag(lex, source, pos, closer, opened) end
  local tokens, count, n = lex.tokens, #found - 3, lex.n
  local at, close, after = found[count + 1], found[count + 2], found[count + 3]
  tokens[n + 1], tokens[n + 2], tokens[n + 3] = opened, opener, opener
  move(found, 1, count, n + 4, tokens)
  n = n + 3 + count
  tokens[n + 1], tokens[n + 2], tokens[n + 3] = at, closer, closer
  lex.n = n + 3
  return after, byte(close) == MINUS
end

local raw = S " \t\n\r\f\v" ^ 0 * "raw" * S " \t\n\r\f\v" ^ 0 * C(P "-" ^ -1) * "%}" * Cp()

-- where the next tag or comment begins, and the byte that says which it is
local function next_tag(source, pos)
  while true do
    local at = find(source, "{", pos, true)
    if not at then return nil end
    local which = byte(source, at + 1)
    if which == BRACE or which == PERCENT or which == HASH then return at, which end
    pos = at + 1
  end
end

local function raw_block(lex, source, from, opened)
  local at = from
  while true do
    local start = source:find("{%", at, true)
    if not start then syntax(lex, opened, "this raw block is not closed: '{% endraw %}' is missing") end
    local lead, tail, after = source:match("^{%%([-+]?)%s*endraw%s*([-+]?)%%}()", start)
    if after then
      local text = source:sub(from, start - 1)
      if lead == "-" then text = strip_space(text, "right") end
      return text, after, tail == "-"
    end
    at = start + 2
  end
end

--- Tokens of a template: `{n=, tokens=, source=, file=, first=}`. `tokens` holds three items for each: the byte at
--- which it begins, its kind, its text. Kinds are "data", "{{", "}}", "{%", "%}", "name", "string", "integer", "float",
--- an operator itself, "eof". Raises 201.
---@param source string with "\n" line ends
---@param file string
---@param first integer|nil line number of the first line
function M.scan(source, file, first)
  local lex = { n = 0, tokens = {}, source = source, file = file, first = first or 1 }
  local pos, strip = 1, false
  local length = #source
  while pos <= length do
    local at, which = next_tag(source, pos)
    local sign = at and byte(source, at + 2)
    local text = sub(source, pos, at and at - 1)
    if strip then
      local stripped = strip_space(text, "left")
      pos = pos + #text - #stripped
      text = stripped
    end
    if sign == MINUS then text = strip_space(text, "right") end
    if text ~= "" then put(lex, "data", text, pos) end
    if not at then break end
    local inner = at + 2
    if sign == MINUS or sign == PLUS and which ~= BRACE then inner = inner + 1 end
    if which == HASH then
      local close = find(source, "#}", inner, true)
      if not close then syntax(lex, at, "this comment is not closed: '#}' is missing") end
      strip = close > inner and byte(source, close - 1) == MINUS
      pos = close + 2
    elseif which == BRACE then
      pos, strip = tag(lex, source, inner, "{{", "}}", at)
    else
      local raw_tail, raw_from = match(raw, source, inner)
      if raw_from then
        if raw_tail == "-" then raw_from = source:match("^%s*()", raw_from) end
        text, pos, strip = raw_block(lex, source, raw_from, at)
        if text ~= "" then put(lex, "data", text, raw_from) end
      else
        pos, strip = tag(lex, source, inner, "{%", "%}", at)
      end
    end
  end
  put(lex, "eof", "", length + 1)
  return lex
end

return M
