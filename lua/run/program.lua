--- A program of the user's beside the run: a child process that leads a group of its own, with the connection in
-- libpq's variables. What it prints is given line by line while it runs.

local env = require "dex.env"
local err = require "err"
local fs = require "dex.fs"
local loop = require "dex.loop"
local value = require "jinja.value"

local M = {}

local opt = value.opt

--- Seconds that a program has for its own end, after SIGTERM.
M.GRACE = 5

-- What it is given ---------------------------------------------------------------------------------------

local variables = { host = "PGHOST", hostaddr = "PGHOSTADDR", port = "PGPORT", user = "PGUSER", dbname = "PGDATABASE",
  options = "PGOPTIONS", application_name = "PGAPPNAME", connect_timeout = "PGCONNECT_TIMEOUT", sslmode = "PGSSLMODE",
  sslcert = "PGSSLCERT", sslkey = "PGSSLKEY", sslrootcert = "PGSSLROOTCERT" }

--- The connection of the profile, and nothing else of libpq's from our own environment.
---@param params table libpq's keywords
---@param folder string ours alone: a password stands in a file there
---@return string[] changes to the environment, as dex.child takes them
function M.connection(params, folder)
  local list = {}
  for name in pairs(env.all()) do
    if name:find "^PG%u+$" then list[#list + 1] = name end
  end
  for key, name in pairs(variables) do
    if opt(params[key]) ~= nil and params[key] ~= "" then list[#list + 1] = ("%s=%s"):format(name, params[key]) end
  end
  local password = opt(params.password)
  if password and password ~= "" then
    M.write(folder .. "/pgpass", ("*:*:*:*:%s\n"):format((password:gsub("[\\:]", "\\%0"))))
    list[#list + 1] = ("PGPASSFILE=%s/pgpass"):format(folder)
  end
  return list
end

--- Writes a file into a folder that is ours alone, for nobody else to read.
function M.write(path, text)
  fs.write(path, text)
  fs.chmod(path, 0x180) -- 0600, as libpq wants it
end

-- What it prints -----------------------------------------------------------------------------------------

--- The most bytes of a line that is logged.
M.LONGEST = 10000

-- A line as a person may read it: bytes that are no text are written out.
local function printable(line)
  line = line:gsub("\27%[[%d;]*m", "")
  local out, at_byte = {}, 1
  while true do
    local _, bad = utf8.len(line, at_byte)
    if not bad then break end
    out[#out + 1] = line:sub(at_byte, bad - 1)
    out[#out + 1] = ("\\x%02x"):format(line:byte(bad))
    at_byte = bad + 1
  end
  out[#out + 1] = line:sub(at_byte)
  return (table.concat(out):gsub("[%z\1-\8\11-\31\127]", function(c) return ("\\x%02x"):format(c:byte()) end))
end

local function cut(line, length)
  if length <= M.LONGEST then return printable(line) end
  return ("%s ... (%d bytes in this line)"):format(printable(line:sub(1, M.LONGEST)), length)
end

--- Takes the pieces of one stream, calls show(line) for every line. Of a long one the beginning is kept and the rest
--- only counted.
---@param show fun(line: string)
---@return {take: fun(text: string), finish: fun()}
function M.splitter(show)
  local kept, length = "", 0
  local self = {}
  function self.take(text)
    local from = 1
    while true do
      local stop = text:find("\n", from, true)
      local piece = text:sub(from, (stop or #text + 1) - 1)
      length = length + #piece
      if #kept <= M.LONGEST then kept = kept .. piece:sub(1, M.LONGEST + 1 - #kept) end
      if not stop then return end
      show(cut((kept:gsub("\r$", "")), length))
      kept, length, from = "", 0, stop + 1
    end
  end
  function self.finish()
    if length > 0 then show(cut(kept, length)) end
  end
  return self
end

-- Its life -----------------------------------------------------------------------------------------------

--- Reads to the end, and ends it when its time is over or the run is cancelled: SIGTERM, and SIGKILL when it is still
--- there after the grace time. Raises what cancelled it. May wait.
---@param process userdata of child.start
---@param streams {stdout: table, stderr: table} of M.splitter
---@param seconds number|nil
---@return integer status negative: the signal that killed it
---@return boolean|nil late its time was over
function M.follow(process, streams, seconds)
  local late, cancelled, watch
  local function stop()
    process:kill "TERM"
    return loop.spawn(function()
      loop.sleep(M.GRACE)
      process:kill "KILL"
    end)
  end
  local timer = seconds and loop.spawn(function()
    loop.sleep(seconds)
    late = true
    watch = watch or stop()
  end)
  local status
  while not status do
    local ok, from, text = pcall(process.read, process)
    if not ok then -- the engine asks again and again until it has ended
      if not (err.is(from) and from.cancelled) then error(from, 0) end
      cancelled = from
      watch = watch or stop()
    elseif from == "end" then
      status = text
    else
      streams[from].take(text)
    end
  end
  if timer then timer:cancel() end
  if watch then watch:cancel() end
  for _, stream in pairs(streams) do stream.finish() end
  if cancelled then error(cancelled, 0) end
  return status, late
end

return M
