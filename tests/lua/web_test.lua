--- dex.web: what becomes of a server and of its handlers when clients go.

local alarm = require "dex.alarm"
local loop = require "dex.loop"
local socket = require "dex.socket"
local tap = require "tap"
local web = require "dex.web"

local test, eq = tap.test, tap.eq

-- A client that has sent a request.
local function ask(server)
  local client = socket.connect("127.0.0.1", server:port())
  client:write "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
  return client
end

test("a handler whose client has gone closes the server", function()
  local bell <close> = alarm.new()
  local server, there
  server = web.listen { host = "127.0.0.1", handler = function(_, answer)
    answer:stream(200, nil)
    answer:write "x"
    there = answer:wait()
    server:close()
    bell:ring()
  end }
  local client = ask(server)
  eq(client:line(100), "HTTP/1.1 200 OK\r")
  client:close()
  bell:wait()
  eq(there, false)
  eq(pcall(server.port, server), false)
end)

test("who waits for an answer whose handler has ended is told", function()
  local bell <close> = alarm.new()
  local waiting
  local server <close> = web.listen { host = "127.0.0.1", handler = function(_, answer)
    waiting = loop.spawn(function() return answer:wait() end)
    loop.sleep(0)
    answer:reply(204, nil, "")
    bell:ring()
  end }
  local client = ask(server)
  eq(client:line(100), "HTTP/1.1 204 No Content\r")
  bell:wait()
  tap.raises(function() waiting:wait() end, "its handler has ended")
  client:close()
end)

test("who waits for room gets that of a client that has its answer and asks nothing more", function()
  local server <close> = web.listen { host = "127.0.0.1", connections = 1, idle_seconds = 1000,
    handler = function(_, answer) answer:reply(204, nil, "") end }
  local first = ask(server)
  eq(first:line(100), "HTTP/1.1 204 No Content\r")
  local second = ask(server)
  local line = loop.spawn(function() return second:line(100) end)
  local timer = loop.spawn(function()
    loop.sleep(5)
    line:cancel()
  end)
  eq(line:wait(), "HTTP/1.1 204 No Content\r")
  timer:cancel()
  pcall(timer.wait, timer)
  first:close()
  second:close()
end)

loop.sleep(0) -- descriptors are closed on the next turn
