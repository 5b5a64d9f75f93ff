--- Cuts a template's text into tokens: text outside of tags, and what is inside of tags.
-- LPeg matches one token at a time; where a tag begins is found by a plain search. The tokens come as
-- parallel arrays, so that a template of thousands of lines costs few tables.

local lpeg = require "lpeg"
local unicode = require "jinja.unicode"
local strip_space = require("jinja.text").strip
local fault = require "jinja.fault"

local P, R, S, C, Cc, Cp = lpeg.P, lpeg.R, lpeg.S, lpeg.C, lpeg.Cc, lpeg.Cp

local M = {}

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
local single = P "'" * (P "\\" * P(1) + (P(1) - S "'\\")) ^ 0 * P "'"
local double = P '"' * (P "\\" * P(1) + (P(1) - S '"\\')) ^ 0 * P '"'
local operator = P "**" + P "//" + P "==" + P "!=" + P ">=" + P "<=" + S "+-/*%~[](){}><=.:|,;"

local token = Cc "float" * C(float) * Cp()
  + Cc "integer" * C(integer) * Cp()
  + Cc "name" * C(word ^ 1) * Cp()
  + Cc "string" * C(single + double) * Cp()
  + Cc "op" * C(operator) * Cp()
local after_dot = Cc "integer" * C(integer) * Cp() + token
local blank = S " \t\n\r\f\v" ^ 0 * Cp()

-- Positions --------------------------------------------------------------------------------------

local Positions = {}
Positions.__index = Positions

--- Line and column (in characters), both from 1, of a byte position.
function Positions:at(pos)
  local starts = self.starts
  local lo, hi = 1, #starts
  while lo < hi do
    local mid = (lo + hi + 1) // 2
    if starts[mid] <= pos then lo = mid else hi = mid - 1 end
  end
  local column = utf8.len(self.source, starts[lo], math.max(starts[lo], pos) - 1, true)
  if pos <= starts[lo] then column = 0 end
  return lo + self.first - 1, (column or pos - starts[lo]) + 1
end

--- Only the line.
function Positions:line(pos)
  local starts = self.starts
  local i = self.last
  -- asked for in rising order most of the time
  if starts[i] > pos then i = 1 end
  while starts[i + 1] and starts[i + 1] <= pos do i = i + 1 end
  self.last = i
  return i + self.first - 1
end

local function positions(source, first)
  local starts, n, at = { 1 }, 1, 0
  while true do
    at = source:find("\n", at + 1, true)
    if not at then break end
    n = n + 1
    starts[n] = at + 1
  end
  return setmetatable({ source = source, starts = starts, first = first, last = 1 }, Positions)
end

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

-- The lexer --------------------------------------------------------------------------------------

local closers = { ["("] = ")", ["["] = "]", ["{"] = "}" }

local function syntax(lex, pos, message, hint)
  local line, column = lex.positions:at(pos)
  fault.syntax(lex.file, line, column, message, hint)
end

local function put(lex, kind, text, pos)
  local n = lex.n + 1
  lex.n = n
  lex.kinds[n], lex.values[n], lex.starts[n] = kind, text, pos
end

local function identifier(lex, text, pos)
  if text:find("^[%a_][%w_]*$") then return end
  if not utf8.len(text) or not unicode.is_identifier(text) then
    syntax(lex, pos, "'" .. text .. "' is not a name")
  end
end

-- Tokens of one tag from pos; gives the position after its end and whether the end strips.
local function tag(lex, source, pos, closer, opened)
  local stack, depth = {}, 0
  local previous
  while true do
    pos = blank:match(source, pos)
    if depth == 0 then
      if source:sub(pos, pos + 1) == closer then return pos + 2, false, pos end
      local three = source:sub(pos, pos + 2)
      if three == "-" .. closer then return pos + 3, true, pos end
      if three == "+" .. closer and closer == "%}" then return pos + 3, false, pos end
    end
    local kind, text, after = (previous == "." and after_dot or token):match(source, pos)
    if not kind then
      if pos > #source then
        syntax(lex, opened, ("this tag is not closed: '%s' is missing"):format(closer))
      end
      local c = source:match(utf8.charpattern, pos) or source:sub(pos, pos)
      if c == "'" or c == '"' then syntax(lex, pos, "this string is not closed") end
      syntax(lex, pos, "unexpected character '" .. c .. "'")
    end
    if kind == "name" then
      identifier(lex, text, pos)
    elseif kind == "string" then
      local inside, why = M.unescape(text:sub(2, -2))
      if not inside then syntax(lex, pos, why) end
      text = inside
    elseif kind == "op" then
      if closers[text] then
        depth = depth + 1
        stack[depth] = closers[text]
      elseif text == ")" or text == "]" or text == "}" then
        if depth == 0 then syntax(lex, pos, ("unexpected '%s'"):format(text)) end
        if stack[depth] ~= text then
          syntax(lex, pos, ("unexpected '%s', expected '%s'"):format(text, stack[depth]))
        end
        depth = depth - 1
      end
      kind = text
    end
    previous = text
    put(lex, kind, text, pos)
    pos = after
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

--- Tokens of a template: `{n=, kinds=, values=, starts=, positions=, file=}`. Kinds are "data", "{{", "}}", "{%",
--- "%}", "name", "string", "integer", "float", an operator itself, "eof". Raises 201.
---@param source string with "\n" line ends
---@param file string|nil
---@param first integer|nil line number of the first line
function M.scan(source, file, first)
  local lex = { n = 0, kinds = {}, values = {}, starts = {}, file = file, positions = positions(source, first or 1) }
  local pos, strip = 1, false
  local length = #source
  while pos <= length do
    local at = source:find("{[{%%#]", pos)
    local stop = at and at - 1 or length
    local text = source:sub(pos, stop)
    local which = at and source:sub(at + 1, at + 1)
    local sign = at and source:sub(at + 2, at + 2)
    if strip then
      local stripped = strip_space(text, "left")
      pos = pos + #text - #stripped
      text = stripped
    end
    if sign == "-" then text = strip_space(text, "right") end
    if text ~= "" then put(lex, "data", text, pos) end
    if not at then break end
    local inner = at + 2
    if sign == "-" or sign == "+" and which ~= "{" then inner = inner + 1 end
    if which == "#" then
      local close = source:find("#}", inner, true)
      if not close then syntax(lex, at, "this comment is not closed: '#}' is missing") end
      strip = close > inner and source:sub(close - 1, close - 1) == "-"
      pos = close + 2
    elseif which == "{" then
      put(lex, "{{", "{{", at)
      local close
      pos, strip, close = tag(lex, source, inner, "}}", at)
      put(lex, "}}", "}}", close)
    else
      local raw_tail, raw_from = source:match("^%s*raw%s*(%-?)%%}()", inner)
      if raw_from then
        if raw_tail == "-" then raw_from = source:match("^%s*()", raw_from) end
        text, pos, strip = raw_block(lex, source, raw_from, at)
        if text ~= "" then put(lex, "data", text, raw_from) end
      else
        put(lex, "{%", "{%", at)
        local close
        pos, strip, close = tag(lex, source, inner, "%}", at)
        put(lex, "%}", "%}", close)
      end
    end
  end
  put(lex, "eof", "", length + 1)
  return lex
end

return M
