--- Python's textwrap.wrap() for one line, as the filter wordwrap calls it: tabs stay, spaces at the ends of lines go.

local engine = require "dex.re"
local text = require "jinja.text"

local M = {}

-- textwrap's own expressions: pieces between which a line may end
local by_hyphens, by_spaces

local function expressions()
  if by_hyphens then return end
  local parts = { ws = "[\\t\\n\\x0b\\x0c\\r ]", nws = "[^\\t\\n\\x0b\\x0c\\r ]", wp = "[\\w!\"'&.,?]",
    lt = "[^\\d\\W]" }
  local pattern = "<ws>+|(?<=<wp>)-{2,}(?=\\w)|<nws>+?(?:-(?:(?<=<lt>{2}-)|(?<=<lt>-<wp>-))(?=<lt>-?<lt>)"
    .. "|(?=<ws>|\\z)|(?<=<wp>)(?=-{2,}\\w))"
  by_hyphens = assert(engine.compile((pattern:gsub("<(%l+)>", parts)), ""))
  by_spaces = assert(engine.compile(("<ws>+|<nws>+"):gsub("<(%l+)>", parts), ""))
end

-- the pieces of a line, the last one first
local function pieces_of(line, on_hyphens)
  expressions()
  local code = on_hyphens and by_hyphens or by_spaces
  local out, at = {}, 0
  while at < #line do
    local bounds = code:exec(line, at)
    if not bounds then break end
    if bounds[1] > at then out[#out + 1] = line:sub(at + 1, bounds[1]) end
    if bounds[2] > bounds[1] then out[#out + 1] = line:sub(bounds[1] + 1, bounds[2]) end
    at = math.max(bounds[2], at + 1)
  end
  if at < #line then out[#out + 1] = line:sub(at + 1) end
  for i = 1, #out // 2 do out[i], out[#out - i + 1] = out[#out - i + 1], out[i] end
  return out
end

local function is_blank(piece) return text.strip(piece, "both") == "" end

-- Where a word that fits on no line is cut: behind its last hyphen that fits, else where the line ends.
local function cut(word, room, on_hyphens)
  if on_hyphens and text.len(word) > room then
    local fits = text.sub(word, 0, room)
    local hyphen = fits:find("%-[^-]*$")
    if hyphen and fits:sub(1, hyphen - 1):find("[^-]") then return text.len(fits:sub(1, hyphen)) end
  end
  return room
end

--- The lines of a line.
---@param line string without line ends
---@param width integer at least 1, in characters
---@param break_long boolean whether words that are too long are cut
---@param on_hyphens boolean whether a line may end behind a hyphen
---@return string[]
function M.wrap(line, width, break_long, on_hyphens)
  local pieces = pieces_of(line, on_hyphens)
  local lines = {}
  while #pieces > 0 do
    local current, length = {}, 0
    if #lines > 0 and is_blank(pieces[#pieces]) then pieces[#pieces] = nil end
    while #pieces > 0 do
      local size = text.len(pieces[#pieces])
      if length + size > width then break end
      current[#current + 1], pieces[#pieces] = pieces[#pieces], nil
      length = length + size
    end
    local word = pieces[#pieces]
    if word and text.len(word) > width then
      if break_long then
        local stop = cut(word, width - length, on_hyphens)
        current[#current + 1] = text.sub(word, 0, stop)
        pieces[#pieces] = text.sub(word, stop, text.len(word))
      elseif #current == 0 then
        current[1], pieces[#pieces] = word, nil
      end
    end
    if #current > 0 and is_blank(current[#current]) then current[#current] = nil end
    if #current > 0 then lines[#lines + 1] = table.concat(current) end
  end
  return lines
end

return M
