--- From a place in the SQL that was sent to the line that a person wrote. A render keeps no map of
-- lines, so the two texts are aligned: lines that occur once in both are anchors, and between two
-- anchors a line is found by its number, or by the text around its {{ ... }}.

local M = {}

local function split(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do lines[#lines + 1] = line end
  return lines
end

local function trim(line) return line:match("^%s*(.-)%s*$") end

--- Line and column (in bytes) of a character position, both 1-based.
---@param text string
---@param position integer in characters, 1-based, as PostgreSQL counts
---@return integer line, integer column, integer offset byte offset of the character
function M.locate(text, position)
  local ok, offset = pcall(utf8.offset, text, position)
  offset = ok and offset or math.min(position, #text + 1)
  local line, start = 1, 1
  while true do
    local stop = text:find("\n", start, true)
    if not stop or stop >= offset then break end
    line, start = line + 1, stop + 1
  end
  return line, offset - start + 1, offset
end

--- One line of a text, or "".
---@param text string
---@param line integer
---@return string
function M.text(text, line) return split(text)[line] or "" end

-- Lines that occur exactly once: text -> line number.
local function unique_lines(lines)
  local at = {}
  for i, line in ipairs(lines) do
    local text = trim(line)
    if #text > 1 then at[text] = at[text] and 0 or i end
  end
  return at
end

-- Pairs {compiled line, source line} of lines that occur once in both, in an order that holds in both:
-- the longest increasing sequence.
local function anchors(compiled, source)
  local here, there = unique_lines(compiled), unique_lines(source)
  local pairs_found = {}
  for i, line in ipairs(compiled) do
    local text = trim(line)
    local j = there[text]
    if here[text] == i and j and j > 0 then pairs_found[#pairs_found + 1] = { i, j } end
  end
  local tails, previous = {}, {}
  for k, pair in ipairs(pairs_found) do
    local low, high = 1, #tails + 1
    while low < high do
      local middle = (low + high) // 2
      if pairs_found[tails[middle]][2] < pair[2] then low = middle + 1 else high = middle end
    end
    previous[k] = tails[low - 1]
    tails[low] = k
  end
  local sequence, k = {}, tails[#tails]
  while k do
    table.insert(sequence, 1, pairs_found[k])
    k = previous[k]
  end
  return sequence
end

-- How many letters of a compiled line stand literally in a source line around its {{ ... }}: nil when the
-- literal parts are not in it in order.
local function likeness(source, compiled)
  local at, letters = 1, 0
  local plain = source:gsub("{%%.-%%}", "\0"):gsub("{{.-}}", "\0"):gsub("{#.-#}", "\0")
  for literal in (plain .. "\0"):gmatch("([^%z]*)%z") do
    local text = trim(literal)
    if text ~= "" then
      local from, to = compiled:find(text, at, true)
      if not from then return nil end
      at, letters = to + 1, letters + #text
    end
  end
  return letters
end

-- The best line of source[from..to] for a compiled line.
local function closest(source, from, to, compiled)
  local best, best_letters, templated
  for i = from, to do
    local line = source[i]
    if line:find("{{", 1, true) or line:find("{%", 1, true) then templated = templated or i end
    local letters = likeness(line, compiled)
    if letters and letters > 0 and (not best or letters > best_letters) then best, best_letters = i, letters end
  end
  return best or templated
end

-- Finds the source lines of one compiled text.
local function finder(source, compiled)
  local from, into = split(source), split(compiled)
  local known = anchors(into, from)
  return function(line)
    local wanted = into[line]
    if not wanted then return nil, false end
    local before, after = { 0, 0 }, { #into + 1, #from + 1 }
    for _, pair in ipairs(known) do
      if pair[1] == line then return pair[2], from[pair[2]] == wanted end
      if pair[1] < line then
        before = pair
      elseif pair[1] < after[1] then
        after = pair
      end
    end
    local first, last = before[2] + 1, after[2] - 1
    if after[1] - before[1] == after[2] - before[2] then
      local same = before[2] + line - before[1]
      return same, from[same] == wanted
    end
    local text = trim(wanted)
    for i = first, last do
      if trim(from[i]) == text then return i, from[i] == wanted end
    end
    return closest(from, first, last, wanted), false
  end, #into
end

--- The source line that a line of the compiled text came from, or nil when nothing points to one.
---@param source string the file
---@param compiled string what it rendered to
---@param line integer 1-based line in `compiled`
---@return integer|nil line, boolean exact whether the text of both lines is the same
function M.find(source, compiled, line)
  return finder(source, compiled)(line)
end

--- The source line of every line of the compiled text; where nothing points to one, that of the line before.
---@param source string
---@param compiled string
---@return integer[] below 0 where the two lines are not the same
function M.map_all(source, compiled)
  local find, count = finder(source, compiled)
  local lines, last = {}, 1
  for i = 1, count do
    local line, exact = find(i)
    last = line or last
    lines[i] = exact and last or -last
  end
  return lines
end

-- The pieces of a source line: {from, literal} and {from} for a {{ ... }}, a {% ... %} or a {# ... #}.
local function pieces(line)
  local list, at = {}, 1
  while at <= #line do
    local from = line:find("{[{%%#]", at) or #line + 1
    if from > at then list[#list + 1] = { at, line:sub(at, from - 1) } end
    if from > #line then break end
    local close = ({ ["{"] = "}}", ["%"] = "%}", ["#"] = "#}" })[line:sub(from + 1, from + 1)]
    local _, stop = line:find(close, from + 2, true)
    list[#list + 1] = { from }
    at = (stop or #line) + 1
  end
  return list
end

-- Where a literal part stands in a rendered line, from `at` on: nil when it does not, or when that is not certain.
local function place_of(literal, theirs, at, behind_expression, is_last)
  if not behind_expression then
    return theirs:sub(at, at + #literal - 1) == literal and at or nil
  end
  if is_last then
    local from = #theirs - #literal + 1
    return from >= at and theirs:sub(from) == literal and from or nil
  end
  local from = theirs:find(literal, at, true)
  return from and not theirs:find(literal, from + 1, true) and from or nil
end

-- The column of a source line for one of the line that it rendered to: that of the expression when what
-- stands there came out of one. nil when it is not certain.
local function column_of(mine, theirs, column)
  local at, expression = 1, nil
  local list = pieces(mine)
  for i, piece in ipairs(list) do
    local start, literal = piece[1], piece[2]
    if not literal then
      expression = expression or start
    else
      if i <= 2 and at == 1 and literal:find "^%s" and not theirs:find "^%s" then -- blanks around a text are cut
        local blanks = #literal:match "^%s*"
        start, literal = start + blanks, literal:sub(blanks + 1)
      end
      local from = place_of(literal, theirs, at, expression, i == #list)
      if not from then return nil end
      if column < from then return expression end
      if column < from + #literal then return start + column - from end
      at, expression = from + #literal, nil
    end
  end
  return expression
end

--- The same for a byte offset, with the column when the line was not changed by the template up to there.
---@param source string
---@param compiled string
---@param position integer character position in `compiled`, 1-based
---@return integer|nil line, integer|nil column
function M.map(source, compiled, position)
  local line, column = M.locate(compiled, position)
  local found, exact = M.find(source, compiled, line)
  if not found then return nil, nil end
  if exact then return found, column end
  return found, column_of(split(source)[found], split(compiled)[line], column)
end

return M
