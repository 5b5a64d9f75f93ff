--- What stands on a stack, as the user wrote it: templates, macros and Lua, with their files and lines, and the
-- variables of each. A template's variables are locals of the Lua that it was compiled to, under longer names
-- (lua/jinja/compiler.lua): here they have their own again. Frames of the engine's are left out.

local debugger = require "dex.debugger"
local fault = require "jinja.fault"
local fs = require "dex.fs"
local value = require "jinja.value"

local M = {}

--- One function of a stack.
---@class dex.Frame
---@field file string as messages name it
---@field line integer
---@field name string what it is: "macro cents", "template", "function row_count"
---@field kind "template"|"lua"
---@field depth integer number of functions below it
---@field own boolean whether it is the user's, and none of the standard library
---@field thread thread|nil nil when it has ended: then its variables are a copy
---@field level integer|nil of debug.getinfo
---@field names string[]|nil of its locals, when it stands at a line hook
---@field func function
---@field chunk jinja.Chunk|nil of a template, or of a Lua file of macros
---@field ctx table|nil what a template's free names are looked up in
local Frame = {}
Frame.__index = Frame

-- Places ---------------------------------------------------------------------------------------------

local function describe(info, known)
  if known and not known.chunk.lua then
    if known.name == "call block" then return "call block" end
    return known.name and "macro " .. known.name or known.part and "part of a template" or "template"
  end
  local name = known and known.name or info.name
  if info.what == "main" then return "file" end
  return name and "function " .. name or ("function of line %d"):format(info.linedefined)
end

--- The place of a function on a stack: nil when it is the engine's own.
---@param info table of debug.getinfo, with "Sln"
---@return table|nil frame with file, line, name, kind, own, chunk
function M.place(info)
  if info.currentline < 0 then return nil end
  local known = fault.frame(info)
  local file = known and known.file or info.source:match("^@(.*)$")
  if not file or not known and file:find("^lua/") then return nil end
  return { file = file, line = known and known.line or info.currentline, name = describe(info, known),
    kind = known and not known.chunk.lua and "template" or "lua", own = not file:find("^stdlib/"),
    chunk = known and known.chunk }
end

-- Collecting -----------------------------------------------------------------------------------------

local function frame_of(info, depth)
  local place = M.place(info)
  if not place then return nil end
  place.func, place.depth = info.func, depth
  return setmetatable(place, Frame)
end

--- What is known of a function at a line hook, before the coroutine stops there: while it stands, Lua takes it to be
--- one instruction behind, where a local of this line may not exist yet.
---@param level integer as for debug.getinfo
---@return {line: integer, names: string[]}
function M.note(level)
  local note = { line = debug.getinfo(level + 1, "l").currentline, names = {} }
  local i = 1
  while true do
    local name = debug.getlocal(level + 1, i)
    if not name then return note end
    note.names[i], i = name, i + 1
  end
end

--- The frames of a coroutine that stands still, the innermost first.
---@param thread thread
---@param note? table of M.note, when it stands at a line hook
---@return dex.Frame[]
function M.of(thread, note)
  local list, total = {}, debugger.depth(thread)
  for level = 0, total - 1 do
    local info = debug.getinfo(thread, level, "Slnf")
    local noted = level == 0 and note or nil
    if noted then info.currentline = noted.line end
    local frame = frame_of(info, total - 1 - level)
    if frame then
      frame.thread, frame.level, frame.names = thread, level, noted and noted.names
      list[#list + 1] = frame
    end
  end
  return list
end

local MOST_FRAMES = 60

--- The frames of the running function and of what called it, with copies of their variables: for the moment of a
--- failure, after which they are gone. Does not wait.
---@param level integer where to begin, as for debug.getinfo
---@return dex.Frame[]
function M.copy(level)
  local list = {}
  for at = level, level + 5000 do
    local info = debug.getinfo(at, "Slnf")
    if not info or #list == MOST_FRAMES then break end
    local frame = frame_of(info, 0)
    if frame then
      frame.locals = {}
      local i = 1
      while true do
        local name, v = debug.getlocal(at, i)
        if not name then break end
        frame.locals[i] = { name = name, value = v }
        i = i + 1
      end
      list[#list + 1] = frame
    end
  end
  return list
end

--- The innermost frame of the running coroutine that is not the engine's, without its variables.
---@return dex.Frame|nil
function M.here()
  for level = 2, 200 do
    local info = debug.getinfo(level, "Slnf")
    if not info then return nil end
    local frame = frame_of(info, 0)
    if frame then return frame end
  end
end

-- Variables ------------------------------------------------------------------------------------------

-- Calls fn(name in Lua, value, set) for the locals, then the upvalues that no local hides.
local function each_raw(self, fn)
  local upvalues, i = {}, 1
  while true do
    local name, v = debug.getupvalue(self.func, i)
    if not name then break end
    local index = i
    upvalues[i] = { name, v, function(new) debug.setupvalue(self.func, index, new) end }
    i = i + 1
  end
  for _, up in ipairs(upvalues) do fn("upvalue", up[1], up[2], up[3]) end
  i = 1
  while true do
    local name, v, set
    if self.thread then
      name, v = debug.getlocal(self.thread, self.level, i)
      if self.names then name = self.names[i] end
      local index = i
      set = function(new) debug.setlocal(self.thread, self.level, index, new) end
    elseif self.locals[i] then
      local slot = self.locals[i]
      name, v = slot.name, slot.value
      set = function(new) slot.value = new end
    end
    if not name then break end
    fn("local", name, v, set)
    i = i + 1
  end
end

-- "caf_c3_a9" -> "café": bytes that are no letters of Lua's stand in names as their number.
local function plain_name(name)
  local decoded = name:gsub("_(%x%x)", function(hex)
    local byte = tonumber(hex, 16)
    return byte >= 0x80 and string.char(byte) or nil
  end)
  return utf8.len(decoded) and decoded or name
end

-- The variables that a Lua local of a template holds.
local function template_variables(raw, v, set, add)
  local name = raw:match("^v%d+_(.+)$") or raw:match("^p_(.+)$")
  if name then
    add(plain_name(name), v, set)
  elseif raw:find("^b%d+$") and type(v) == "table" then -- the names of a scope with very many
    for key, item in pairs(v) do
      local boxed = type(key) == "string" and key:match("^v_(.+)$")
      if boxed then add(plain_name(boxed), item, function(new) v[key] = new end) end
    end
  elseif raw == "caller" or raw == "kwargs" or raw == "varargs" then
    if v ~= nil then add(raw, v, set) end
  elseif raw:find("^l%d+$") then
    add("loop", v)
  end
end

-- `loop` of a loop that has no object, made of what the code counts.
local function loop_of(counted)
  if not counted.i then return nil end
  local loop = value.dict("index", counted.i, "index0", counted.i - 1, "first", counted.i == 1)
  if counted.c then
    loop.length, loop.last = counted.c, counted.i == counted.c
    loop.revindex, loop.revindex0 = counted.c - counted.i + 1, counted.c - counted.i
  end
  return loop
end

--- The variables: a list of {name, kind, value, set} in the order of their declaration, and the same by name. Of
--- several with one name it is the innermost.
function Frame:variables()
  local list, by_name = {}, {}
  local function add(kind, name, v, set)
    local known = by_name[name]
    if known then
      known.kind, known.value, known.set = kind, v, set
    else
      known = { name = name, kind = kind, value = v, set = set }
      by_name[name] = known
      list[#list + 1] = known
    end
  end
  local counted = {}
  each_raw(self, function(kind, raw, v, set)
    if self.kind == "template" then
      template_variables(raw, v, set, function(...) add(kind, ...) end)
      if raw == "ctx" then self.ctx = v end
      if raw:find("^[ic]%d+$") and math.type(v) == "integer" then counted[raw:sub(1, 1)] = v end
    elseif raw:find("^[%a_]") and raw ~= "_ENV" then
      add(kind, raw, v, set)
    end
  end)
  if self.kind == "template" and not by_name.loop then
    local loop = loop_of(counted)
    if loop then add("local", "loop", loop) end
  end
  return list, by_name
end

--- A variable by its name, or what a free name is there.
---@param name string
---@return boolean found
---@return any value
function Frame:get(name)
  local _, by_name = self:variables()
  local found = by_name[name]
  if found then return true, found.value end
  if self.ctx then
    local v = self.ctx[name]
    if v ~= nil then return true, v end
  end
  return false, nil
end

--- Gives a variable another value: false when there is none of that name. Raises when it cannot be set.
---@param name string
---@param v any
---@return boolean
function Frame:set(name, v)
  local _, by_name = self:variables()
  local found = by_name[name]
  if not found then return false end
  if not found.set then error(("'%s' cannot be set"):format(name), 0) end
  if self.kind == "template" and v == nil then v = value.none end
  found.set(v)
  return true
end

-- Source ---------------------------------------------------------------------------------------------

-- The text that holds the frame, and the number of its first line.
local function text_of(self, files)
  if self.chunk then return self.chunk.source, self.chunk.first or 1 end
  local ok, content = pcall(fs.read, files and files[self.file] or self.file)
  if not ok then ok, content = pcall(require("dex.embed").read, self.file) end
  return ok and content or "", 1
end

-- Calls fn(number, text) for each line.
local function each_line(self, files, fn)
  local text, number = text_of(self, files)
  for line in (text .. "\n"):gmatch("(.-)\r?\n") do
    fn(number, line)
    number = number + 1
  end
end

--- The lines around the frame's own: {number, text}.
---@param around integer how many before and behind it
---@param files table<string, string>|nil file as messages name it -> where it is
---@return {number: integer, text: string}[]
function Frame:source(around, files)
  local list = {}
  each_line(self, files, function(number, text)
    if number >= self.line - around and number <= self.line + around then
      list[#list + 1] = { number = number, text = text }
    end
  end)
  return list
end

--- What the frame is: "macro cents", "template", "function audit.count". Lua does not know the name of a function that
--- the engine has called: that is read from the line where it begins.
---@param files table<string, string>|nil as for source()
---@return string
function Frame:title(files)
  if self.kind == "template" or not self.name:find("^function of") then return self.name end
  local begins, found = debug.getinfo(self.func, "S").linedefined, nil
  each_line(self, files, function(number, text)
    if number == begins then
      found = text:match("function%s+([%w_.:]+)%s*%(") or text:match("([%w_.]+)%s*=%s*function")
    end
  end)
  return found and "function " .. found or self.name
end

return M
