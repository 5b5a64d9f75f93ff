--- The debugger's prompt over a socket, for runs that have no terminal: `run --debug-listen` is the one side,
-- `dex-lua attach` the other. Each line is a JSON object; the first one that a client sends holds the token. What comes
-- in is code that runs with all rights of the run, so nothing is listened to before the token was right.
--
--   client: {"token": ...}, {"line": ...}, {"interrupt": true}, {"width": 80}
--   run:    {"welcome": ...}, {"refused": ...}, {"text": ...}, {"prompt": ...}, {"bye": ...}

local err = require "err"
local fs = require "dex.fs"
local hash = require "dex.hash"
local json = require "dex.json"
local loop = require "dex.loop"
local socket = require "dex.socket"
local value = require "jinja.value"

local M = {}

local MOST_BEFORE = 4096 -- bytes of the first line
local MOST = 16 * 1024 * 1024 -- of any other
local PATIENCE = 10 -- seconds for the token
local FAREWELL = 2 -- seconds for the last words

-- Addresses and the token -------------------------------------------------------------------------------

--- Host and port of "127.0.0.1:5005", "[::1]:5005", "localhost:5005" or ":5005". Raises code 101.
---@param text string
---@param option string how messages call it
---@return string host, integer port
function M.address(text, option)
  local host, port = text:match("^%[(.-)%]:(%d+)$")
  if not host then host, port = text:match("^([^:]*):(%d+)$") end
  port = port and math.tointeger(tonumber(port))
  if not port or port > 65535 then
    err.raise { code = 101, message = ("%s needs an address and a port, not '%s'"):format(option, text),
      hint = "127.0.0.1:5005, or port 0 for any free one" }
  end
  if host == "" or host == "localhost" then host = "127.0.0.1" end
  return host, port
end

local function is_loopback(host) return host:find("^127%.%d+%.%d+%.%d+$") ~= nil or host == "::1" end

local function shown(host, port)
  return (host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(host, port)
end

-- The folder of the files that hold address and token of the runs that listen.
local function folder_of(root) return root .. "/.dex/debug" end

-- Only its owner can read the file, from its beginning on.
local function write_token(root, port, address, token)
  local folder = folder_of(root)
  fs.mkdirs(folder)
  fs.chmod(folder, 448) -- 0700
  local path = ("%s/%d"):format(folder, port)
  fs.write(path, "")
  fs.chmod(path, 384) -- 0600
  fs.append(path, ("%s %s\n"):format(address, token))
  return path
end

--- The runs of a project that listen: {address, token, file}.
---@param root string
---@return table[]
function M.known(root)
  local folder, list = folder_of(root), {}
  for _, name in ipairs(fs.isdir(folder) and fs.walk(folder) or {}) do
    local path = folder .. "/" .. name
    local ok, text = pcall(fs.read, path)
    local address, token = (ok and text or ""):match("^(%S+) (%x+)%s*$")
    if address then list[#list + 1] = { address = address, token = token, file = path } end
  end
  return list
end

-- Messages ----------------------------------------------------------------------------------------------

local function send(stream, key, v)
  if stream:is_open() then stream:write(json.encode(value.dict(key, v)) .. "\n") end
end

-- The next message, nil at the end. May wait.
local function receive(stream, most)
  local line = stream:line(most)
  if not line then return nil end
  local ok, message = pcall(json.decode, line)
  return ok and value.is_dict(message) and message or value.dict()
end

-- Closes a connection when its last words are sent, or nobody takes them. May wait.
local function part(stream)
  if not stream:is_open() then return stream:close() end
  local guard = loop.spawn(function()
    loop.sleep(FAREWELL)
    stream:close()
  end)
  pcall(stream.drain, stream)
  guard:cancel()
  stream:close()
end

--- The same for both sides.
M.send, M.receive, M.part, M.MOST = send, receive, part, MOST

-- Something that tasks wait for, until it is called.
local function new_signal()
  local signal = {}
  function signal.wait()
    signal.gate = signal.gate or loop.spawn(function()
      while true do loop.sleep(86400) end
    end)
    local gate = signal.gate
    local ok, e = pcall(gate.wait, gate)
    if not ok and not gate:done() then error(e, 0) end -- who waits was cancelled
  end
  function signal.call()
    local gate = signal.gate
    signal.gate = nil
    if gate then gate:cancel() end
  end
  return signal
end

-- One client --------------------------------------------------------------------------------------------

--- Whoever is attached; as a reader of lua/repl/prompt.lua, too.
local Client = {}
Client.__index = Client

function Client:line(prompt)
  if self.stream:is_open() or self.lines[1] then send(self.stream, "prompt", prompt) end
  while not self.lines[1] do
    if self.gone then return nil end
    self.signal.wait()
  end
  return table.remove(self.lines, 1)
end

function Client:write(text)
  send(self.stream, "text", text)
end

function Client:width() return self.columns or 80 end

-- Ctrl-C at a prompt: the line is given up.
function Client:interrupt()
  self.lines[#self.lines + 1] = false
  self.signal.call()
end

-- Reads what it sends until it leaves. May wait.
local function listen_to(door, client)
  while true do
    local ok, message = pcall(receive, client.stream, MOST)
    if not ok or not message then break end
    if type(message.line) == "string" then
      client.lines[#client.lines + 1] = message.line
      client.signal.call()
    elseif message.interrupt == true then
      if door.session and door.session.interrupt then door.session.interrupt() end
    elseif math.type(message.width) == "integer" and message.width > 0 then
      client.columns = message.width
    end
  end
  client.gone = true
  if door.session and door.client == client and door.session.interrupt then door.session.interrupt() end
  if door.client == client then door.client = nil end
  client.signal.call()
  client.stream:close()
end

-- The door ----------------------------------------------------------------------------------------------

--- What --debug-listen opens.
---@class dex.Door
---@field client table|nil who is attached: one at a time
---@field session repl.Session|nil the prompt that is open
local Door = {}
Door.__index = Door

local function refuse(stream, words)
  send(stream, "refused", words)
  part(stream)
end

-- A new connection, up to its end. May wait.
local function receive_client(door, stream)
  local guard = loop.spawn(function()
    loop.sleep(PATIENCE)
    stream:close()
  end)
  local ok, message = pcall(receive, stream, MOST_BEFORE)
  guard:cancel()
  local token = ok and message and message.token
  if type(token) ~= "string" or not hash.equal(token, door.token) then
    if ok and message then door.say("warn", "debugger: somebody without the right token was turned away") end
    return refuse(stream, "the token is not the one of this run")
  end
  if door.client then return refuse(stream, "somebody is attached already") end
  local client = setmetatable({ stream = stream, lines = {}, signal = new_signal(), terminal = false }, Client)
  door.client = client
  send(stream, "welcome", door.session and "" or "attached: nothing stands still now; the next breakpoint comes here")
  door.arrived.call()
  listen_to(door, client)
end

local function accept_all(door)
  while true do
    local stream = door.listener:accept()
    if not stream then return end
    loop.spawn(receive_client, door, stream)
  end
end

--- Listens, and leaves address and token where `dex-lua attach` finds them. Raises code 101 for an address that is
--- none, or that others reach, and 110 when nothing can listen there.
---@param job table
---@param text string "127.0.0.1:5005"
---@return dex.Door
function M.listen(job, text)
  local host, port = M.address(text, "--debug-listen")
  if not is_loopback(host) and not job.given.debug_anywhere then
    err.raise { code = 101, message = ("--debug-listen %s would let other machines in"):format(text),
      hint = "take 127.0.0.1, and a tunnel (ssh -L) from elsewhere; --debug-anywhere allows it" }
  end
  local listener = socket.listen(host, port)
  port = listener:port()
  local door = setmetatable({ listener = listener, token = hash.token(), arrived = new_signal(),
    address = shown(host, port) }, Door)
  door.say = function(level, words) job.report:log(level, words) end
  local ok, path = pcall(write_token, job.project.root, port, door.address, door.token)
  if ok then
    door.file = path
  else -- said once, and kept out of logs
    require("dex.term").write(2, ("DEX_DEBUG_TOKEN=%s\n"):format(door.token))
  end
  door.say("info", ("debugger: listens on %s, for `dex-lua attach %s`"):format(door.address, door.address))
  door.accepting = loop.spawn(accept_all, door)
  return door
end

--- Runs a session of the prompt with whoever is attached, or attaches later; one that leaves changes nothing. May wait.
---@param session repl.Session
---@param stop dex.Stop
function Door:converse(session, stop)
  self.session = session
  local ok, e = pcall(function()
    while not stop.answer and not session.left do
      if not self.client then
        self.say("info", ("debugger: stands at %s and waits for `dex-lua attach %s`"):format(session.place,
          self.address))
      end
      while not self.client do self.arrived.wait() end
      session.reader = self.client
      require("repl.prompt").run(session)
    end
  end)
  self.session = nil
  if not ok then error(e, 0) end
end

--- The run is over. May wait.
function Door:close()
  if self.file then pcall(fs.remove_tree, self.file) end
  self.listener:close()
  local client = self.client
  if not client then return end
  send(client.stream, "bye", "the run has ended")
  part(client.stream)
end

return M
