--- `dex-lua attach`: the prompt of a run that has none, from a terminal elsewhere (lua/repl/attach.lua).

local attach = require "repl.attach"
local core = require "dex.core"
local env = require "dex.env"
local err = require "err"
local loop = require "dex.loop"
local socket = require "dex.socket"
local term = require "dex.term"

local M = {}

-- Where to go, and what lets one in.
local function find(job)
  local root = job.given.project_dir or "."
  local wanted = job.words[1]
  if job.words[2] then err.raise { code = 101, message = "attach takes one address" } end
  local known = attach.known(root)
  if not wanted then
    if #known == 1 then return known[1].address, known[1].token end
    local addresses = {}
    for i, run in ipairs(known) do addresses[i] = run.address end
    err.raise { code = 181, message = #known == 0 and "no run of this project listens"
      or "several runs of this project listen: " .. table.concat(addresses, ", "),
      hint = #known == 0 and "start one with --debug-listen 127.0.0.1:0" or "name one: dex-lua attach "
        .. addresses[1] }
  end
  local host, port = attach.address(wanted, "attach")
  for _, run in ipairs(known) do
    local its_host, its_port = attach.address(run.address, "attach")
    if its_host == host and its_port == port then return wanted, run.token end
  end
  local token = env.get "DEX_DEBUG_TOKEN"
  if token and token ~= "" then return wanted, token end
  err.raise { code = 181, message = ("no token for the run at %s is known here"):format(wanted),
    hint = "go to the project's folder, whose .dex/debug/ has it, or set DEX_DEBUG_TOKEN" }
end

-- What the run says, until it ends. May wait.
local function hear(self)
  while true do
    local message = attach.receive(self.stream, attach.MOST)
    if not message then
      if not self.left then self.ended = "the connection is lost" end
      return
    elseif message.refused then
      err.raise { code = 181, message = tostring(message.refused) }
    elseif message.text or message.welcome then
      local text = tostring(message.text or message.welcome)
      if text ~= "" then self.reader:write(text) end
    elseif message.prompt then
      self.asked(tostring(message.prompt))
    elseif message.bye then
      self.ended = tostring(message.bye)
      return
    end
  end
end

-- Asks for a line, and sends it; the run goes on saying things meanwhile. May wait.
local function answer(self, prompt)
  while true do
    local line = self.reader:line(prompt)
    if line == nil then
      self.left = true
      return self.hearing:cancel()
    elseif line then
      if self.reader.remember then self.reader:remember(line) end
      return attach.send(self.stream, "line", line)
    end
  end
end

local function new_reader()
  if term.isatty(0) and term.isatty(1) then return require("repl.terminal").new() end
  return require("repl.pipe").new(io.read("a") or "")
end

--- Talks to a run until it ends or the input does: 0; raises code 181 when it lets nobody in. May wait.
---@param job table
---@return integer status
function M.run(job)
  local address, token = find(job)
  local host, port = attach.address(address, "attach")
  local self = { reader = new_reader() } -- input from a pipe is complete before anybody is kept waiting
  self.stream = socket.connect(host, port)
  attach.send(self.stream, "token", token)
  attach.send(self.stream, "width", self.reader:width())
  function self.asked(prompt)
    self.answering = loop.spawn(answer, self, prompt)
  end
  self.hearing = loop.spawn(hear, self)
  core.on_signal(function(name)
    if name == "SIGINT" and self.answering and self.answering:done() then
      attach.send(self.stream, "interrupt", true)
    elseif name ~= "SIGINT" then
      self.left = true
      self.hearing:cancel()
    end
  end, true)
  local ok, e = pcall(self.hearing.wait, self.hearing)
  core.on_signal(nil)
  if self.answering and not self.answering:done() then self.answering:cancel() end
  attach.part(self.stream)
  if not ok and not self.left then
    if self.reader.close then self.reader:close() end
    error(e, 0)
  end
  if self.ended then self.reader:write(self.ended) end
  if self.reader.close then self.reader:close() end
  return 0
end

return M
