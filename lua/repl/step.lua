--- Going on line by line: a line hook on the coroutine that is stepped through, and only while it is. It stops at lines
-- of the user's own files; the engine's and the standard library's are run through.

local debugger = require "dex.debugger"
local frames = require "repl.frames"

local M = {}

--- A coroutine that is stepped through.
---@class dex.Stepping
---@field how "step"|"next"|"finish"
---@field depth integer functions below the frame from which it goes on
---@field file string where it goes on from
---@field line integer
---@field wanted fun(): boolean whether this is still what the user steps through
---@field stopped fun(note: table) what to do when it stands again; may not wait
---@field kept table|nil the hook that the limits of hooks and templates have set meanwhile

---@type table<thread, dex.Stepping>
local stepping = setmetatable({}, { __mode = "k" })
local set_hook = debug.sethook

-- debug.sethook while something is stepped through. The limits count instructions with a hook of their own, which would
-- take the place of ours: it is set when the stepping has ended.
local function keep_hook(...)
  local args = table.pack(...)
  local co = coroutine.running()
  if type(args[1]) == "thread" then co = table.remove(args, 1) end
  local own = stepping[co]
  if not own then return set_hook(co, args[1], args[2], args[3]) end
  own.kept = args[1] and { args[1], args[2], args[3] } or nil
end

-- Whether a coroutine stops at a line.
local function is_wanted(own, place, depth)
  if not place or not place.own then return false end
  if own.how == "next" and depth > own.depth or own.how == "finish" and depth >= own.depth then return false end
  return depth ~= own.depth or place.file ~= own.file or place.line ~= own.line
end

local function on_line(co)
  return function(depth)
    local own = stepping[co]
    local info = debug.getinfo(2, "Slnf")
    if not is_wanted(own, frames.place(info), depth) then return false end
    if not own.wanted() then
      M.stop(co)
      return false
    end
    local note = frames.note(2)
    M.stop(co)
    own.stopped(note)
    return true
  end
end

--- Lets a coroutine that stands still stop again.
---@param co thread
---@param own dex.Stepping
function M.start(co, own)
  local fn, mask, count = debug.gethook(co)
  if type(fn) == "function" then own.kept = { fn, mask, count } end
  stepping[co] = own
  if debug.sethook == set_hook then rawset(debug, "sethook", keep_hook) end
  debugger.watch(co, on_line(co))
end

--- Ends the stepping of a coroutine; harmless when there is none.
---@param co thread
function M.stop(co)
  local own = stepping[co]
  if not own then return end
  stepping[co] = nil
  debugger.watch(co, nil)
  if own.kept then set_hook(co, own.kept[1], own.kept[2], own.kept[3]) end
  if next(stepping) == nil then rawset(debug, "sethook", set_hook) end
end

return M
