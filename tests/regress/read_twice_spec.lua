-- SPDX-License-Identifier: MIT
-- Two tasks read one streamed response. The first had been told of bytes, but had not run yet, when the second asked: the second was told
-- as well, the first took all there was, and the second heard nil, the end, of a body that had hardly begun. The second is refused.
local net = require "green.net"
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 5 -- seconds; nothing takes that long unless it is broken

-- A listener, and the connections to it in the order they came.
local function accepting(listener)
  local accepted = task.channel(2)
  local server = task.spawn(function()
    while true do accepted:send(listener:accept()) end
  end)
  return accepted, server
end

local function get(address)
  local _, _, reader = transport.send {
    method = "GET", scheme = "http", host = "127.0.0.1", port = tonumber(address:match ":(%d+)$"), target = "/", timeouts = { total = WAIT },
  }
  return reader
end

describe("a streamed response", function()
  it("has no end for a second reader before it ends", function()
    local listener <close> = net.listen "127.0.0.1:0"
    local accepted, server = accepting(listener)
    local bell <close> = net.connect(listener:address())
    local ringer <close> = accepted:receive(WAIT)
    local asking = task.spawn(get, listener:address())
    local peer <close> = accepted:receive(WAIT)
    peer:read(4096)
    peer:write "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"
    local reader = asking:join()

    local second = task.spawn(function() -- rung for before the bytes are there, and so first in the round in which both are told
      bell:read(1)
      return pcall(reader.read, reader)
    end)
    local first = task.spawn(reader.read, reader)
    task.sleep(0) -- both wait now
    peer:write "half"
    ringer:write "!"

    assert.equal("half", first:join())
    local ok, e = second:join()
    assert.is_false(ok)
    assert.equal("EBUSY", e.code)
    reader:close()
    server:cancel()
    pcall(server.join, server)
  end)
end)
