--- Lines from a person at the terminal: editing, history and completion.

local editor = require "dex.editor"

local M = {}

local Terminal = { terminal = true }
Terminal.__index = Terminal

--- A reader (repl/prompt.lua) on the terminal of standard input and output. One at a time; close it.
---@param history repl.History|nil what was typed before, and where to keep more
function M.new(history)
  local self = setmetatable({ editor = editor.open(), history = history }, Terminal)
  for _, text in ipairs(history and history.lines or {}) do self.editor:remember(text) end
  return self
end

-- The beginning that all names share.
local function common(names)
  local prefix = names[1]
  for _, name in ipairs(names) do
    while name:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, utf8.offset(prefix, -1) - 1) end
  end
  return prefix
end

local MOST = 100

-- Names in columns, as a shell lists files.
local function listing(names, width)
  local widest, out = 1, {}
  local shown = math.min(#names, MOST)
  for i = 1, shown do widest = math.max(widest, (utf8.len(names[i]) or #names[i]) + 2) end
  local columns = math.max(1, width // widest)
  local rows = (shown + columns - 1) // columns
  for row = 1, rows do
    local line = {}
    for column = 0, columns - 1 do
      local name = names[row + column * rows]
      if name and row + column * rows <= shown then
        line[#line + 1] = name .. (" "):rep(widest - (utf8.len(name) or #name))
      end
    end
    out[row] = (table.concat(line):gsub(" +$", ""))
  end
  if #names > shown then out[#out + 1] = ("and %d more"):format(#names - shown) end
  return table.concat(out, "\n")
end

-- What TAB does: adds what is certain, else lists what there is.
local function complete(self, find, text, cursor)
  local from, names = find(text, cursor)
  if not names or #names == 0 then return end
  local typed, certain = text:sub(from, cursor - 1), common(names)
  if #certain > #typed and certain:sub(1, #typed) == typed then
    self.editor:insert(certain:sub(#typed + 1))
  elseif #names > 1 then
    self.editor:print(listing(names, self:width()) .. "\n")
  end
end

--- A line; false after Ctrl-C, nil at the end (Ctrl-D). May wait.
function Terminal:line(prompt, find)
  while true do
    local what, text, cursor = self.editor:wait(prompt)
    if what == "line" then return text end
    if what == "interrupt" then return false end
    if what == "end" then return nil end
    if find then complete(self, find, text, cursor) end
  end
end

--- Whole lines, above the one that is being typed.
function Terminal:write(text)
  self.editor:print((text:gsub("\n*$", "")) .. "\n")
end

function Terminal:width() return self.editor:width() end

--- A complete input, for the keys that go back and for the next session.
function Terminal:remember(text)
  local line = text:find("--", 1, true) and text or text:gsub("%s*\n%s*", " ")
  for one in line:gmatch("[^\n]+") do self.editor:remember(one) end
  if self.history then self.history:add(line) end
end

function Terminal:interrupt() self.editor:interrupt() end

function Terminal:leave() self.editor:leave() end

--- Whether nobody sits there any more, because the terminal itself is gone.
function Terminal:gone() return self.editor:gone() end

function Terminal:close() self.editor:close() end

return M
