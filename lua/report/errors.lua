--- Prints an error object for a person: what is wrong, where, the line itself with a caret, what to do.

local fs = require "dex.fs"

local M = {}

--- The path as a user would type it: relative to the folder the command was started in.
---@param path string
---@param base? string default: the current folder
---@return string
function M.relative(path, base)
  base = base or fs.cwd()
  if path:sub(1, #base + 1) == base .. "/" then return path:sub(#base + 2) end
  return path
end

local function source_line(e)
  local text = e.source
  if not text then
    if not e.file or not fs.exists(e.file) or fs.isdir(e.file) then return nil end
    local ok, content = pcall(fs.read, e.file)
    if not ok then return nil end
    text = content
  end
  local n = 0
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    n = n + 1
    if n == e.line then return line end
  end
end

-- Text of files and of the database, without what a terminal would obey.
local function harmless(text)
  if not utf8.len(text) then text = text:gsub("[\128-\255]", "?") end
  return (text:gsub("[%c\127]", function(c) return c == "\t" and " " or c ~= "\n" and "?" or nil end))
end

-- The line with its number, and a caret below the column when it is known. Long lines are cut around it.
local function excerpt(e, width)
  local line = e.line and (e.excerpt or source_line(e))
  if not line or line:match("^%s*$") then return nil end
  line = harmless(line)
  -- columns count characters
  local column = e.column
  local room, length = width - 12, utf8.len(line) or #line
  if length > room then
    local from = math.max(1, (column or 1) - room // 2)
    local to = math.min(length, from + room - 1)
    local cut_off = to < length
    line = line:sub(utf8.offset(line, from), utf8.offset(line, to + 1) - 1)
    if from > 1 then line = "..." .. line:sub(utf8.offset(line, 4)) end
    if cut_off then line = line:sub(1, utf8.offset(line, -3) - 1) .. "..." end
    length = to - from + 1
    if column then column = column - from + 1 end
  end
  local number = tostring(e.line)
  local out = { ("    %s | %s"):format(number, line) }
  if column and column >= 1 and column <= length + 1 then
    out[2] = ("    %s | %s^"):format((" "):rep(#number), (" "):rep(column - 1))
  end
  return table.concat(out, "\n")
end

-- The macros that led there. One that called itself again and again stands there once.
local function add_stack(stack, add)
  local i = 1
  while stack[i] do
    local frame, same = stack[i], 1
    while i > 1 and stack[i + same] and stack[i + same].name == frame.name and stack[i + same].line == frame.line
      and stack[i + same].file == frame.file do
      same = same + 1
    end
    local place = ("%s:%s"):format(M.relative(frame.file or "?"), frame.line or "?")
    if not frame.name then
      add("  called from " .. place)
    else
      local kind = frame.name == "call block" and "" or "macro "
      add(("  %s %s%s (%s)%s"):format(i == 1 and "in" or "called from", kind, frame.name, place,
        same > 1 and (", %d times"):format(same) or ""))
    end
    i = i + same
  end
end

--- Several lines, without a final newline.
---@param e dex.Error
---@param opts? {width: integer, paint: fun(style: string, text: string): string, label: string}
---@return string
function M.format(e, opts)
  opts = opts or {}
  local paint = opts.paint or function(_, text) return text end
  local out = {}
  local function add(text) out[#out + 1] = text end
  local message = harmless(tostring(e.message):gsub("%s+$", ""))
  local first, more = message:match("^([^\n]*)\n?(.*)$")
  add(paint("red", opts.label or ("error " .. tostring(e.code))) .. ": " .. first)
  for line in more:gmatch("[^\n]+") do add("  " .. line) end
  if e.detail and e.detail ~= "" then add("  detail: " .. harmless(e.detail)) end
  if e.file then
    local place = M.relative(e.file)
    if e.line then place = place .. ":" .. e.line end
    if e.line and e.column then place = place .. ":" .. e.column end
    add("  " .. paint("bold", place) .. (e.hook and (" (" .. e.hook .. ")") or ""))
    local shown = excerpt(e, opts.width or 80)
    if shown then add(shown) end
  elseif e.hook then
    add("  in " .. e.hook)
  end
  add_stack(e.stack or {}, add)
  if e.compiled_path then add("  compiled SQL: " .. M.relative(e.compiled_path)) end
  if e.hint and e.hint ~= "" then add("  hint: " .. tostring(e.hint)) end
  if opts.debug and e.traceback then add(e.traceback) end
  return table.concat(out, "\n")
end

return M
