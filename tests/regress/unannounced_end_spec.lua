-- SPDX-License-Identifier: MIT
-- tinyproxy answers in HTTP/1.1, announces no end of the connection, and closes it. A POST that followed a GET went out on the
-- connection that looked kept, and failed ("the connection was closed without an answer"), each time that the end was not noticed before.
-- A GET is sent again, a POST must not be. Now a server that was once seen to do so gets what cannot be sent again on a new connection, until
-- it is seen to keep one.
local backlog = require "net.backlog"
local http = require "green.http"
local net = require "green.net"
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 60 -- seconds, where something is bound to come
local ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

local function head(socket)
  local bytes = ""
  while not bytes:find("\r\n\r\n", 1, true) do
    local more = socket:read(65536, WAIT)
    if not more then return nil end
    bytes = bytes .. more
  end
  return bytes
end

-- Runs use(url, seen) while peer(socket, number) serves each connection; seen.connections counts them.
local function serving(peer, use)
  local listener <close> = net.listen "127.0.0.1:0"
  local seen = { connections = 0 }
  local serve = task.spawn(function()
    while true do
      local socket = listener:accept(WAIT)
      seen.connections = seen.connections + 1
      local number = seen.connections
      task.spawn(function()
        local mine <close> = socket
        pcall(peer, mine, number)
      end)
    end
  end)
  local ok, e = xpcall(use, debug.traceback, "http://" .. listener:address() .. "/", seen)
  serve:cancel()
  pcall(serve.join, serve)
  transport.close_idle()
  assert(ok, e)
end

describe("a server that closes what looks kept", function()
  -- Answers once on each connection, and closes it when the next request comes: the latest that a client can learn of it.
  local function once(socket)
    if head(socket) then socket:write(ANSWER) end
    head(socket)
  end

  it("gets requests that cannot be sent again on new connections", function()
    serving(once, function(url, seen)
      for _ = 1, 2 do assert.equal("ok", http.get(url).body) end
      assert.equal(2, seen.connections)
      for n = 1, 5 do
        local body = n % 2 == 0 and "" or nil
        assert.equal("ok", http.request("POST", url, { body = body }).body)
        assert.equal(2 + n, seen.connections)
      end
      assert.equal("ok", http.put(url, { body = function() end }).body)
      assert.equal(8, seen.connections)
    end)
  end)

  it("is asked exactly before such a request", function()
    local gone = false
    serving(function(socket)
      head(socket)
      socket:write(ANSWER)
      socket:close()
      gone = true
    end, function(url, seen)
      for n = 1, 20 do
        gone = false
        assert.equal("ok", http.post(url, { body = "x" }).body)
        assert.equal(n, seen.connections)
        while not gone do task.sleep(0) end
        backlog.ended(tonumber(url:match ":(%d+)/"))
      end
    end)
  end)

  it("is trusted again when it keeps one", function()
    serving(function(socket, number)
      while head(socket) do
        socket:write(ANSWER)
        if number == 1 then return head(socket) end
      end
    end, function(url, seen)
      for _ = 1, 2 do http.get(url) end -- the first connection has departed
      http.post(url, { body = "x" })
      assert.equal(3, seen.connections)
      for _ = 1, 3 do http.get(url) end
      assert.is_true(http.post(url, { body = "x" }).reused)
      assert.equal(3, seen.connections)
    end)
  end)
end)
