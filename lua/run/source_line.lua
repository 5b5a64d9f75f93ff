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

--- The source line that a line of the compiled text came from, or nil when nothing points to one.
---@param source string the file
---@param compiled string what it rendered to
---@param line integer 1-based line in `compiled`
---@return integer|nil line, boolean exact whether the text of both lines is the same
function M.find(source, compiled, line)
  local from, into = split(source), split(compiled)
  local wanted = into[line]
  if not wanted then return nil, false end
  local before, after = { 0, 0 }, { #into + 1, #from + 1 }
  for _, pair in ipairs(anchors(into, from)) do
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
  local mine, theirs = split(source)[found], split(compiled)[line]
  local literal = (mine:find("{[{%%#]") or #mine + 1) - 1
  if column <= literal and mine:sub(1, literal) == theirs:sub(1, literal) then return found, column end
  -- behind the last expression of the line, counted from its end
  local tail = mine:match(".*[}%%#]}(.*)$")
  if tail and theirs:sub(-#tail) == tail and column > #theirs - #tail then
    return found, column + #mine - #theirs
  end
  return found, nil
end

return M
