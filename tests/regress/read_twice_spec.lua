-- SPDX-License-Identifier: MIT
-- Two tasks read one streamed response. The first had been told of bytes, but had not run yet, when the second asked: the second was told
-- as well, the first took all there was, and the second heard nil, the end, of a body that had hardly begun. The second is refused.
local net = require "green.net"
local waiting = require("outcome").waiting
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 60 -- seconds; nothing takes that long unless it is broken
local ROUNDS = 20

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
    peer:write "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    local reader = asking:join()

    local refused = 0
    for _ = 1, ROUNDS do
      local second = waiting(task.spawn(function() -- rung for before the bytes are there, and so first in the round in which both are told
        bell:read(1)
        return pcall(reader.read, reader)
      end))
      local first = waiting(task.spawn(reader.read, reader))
      peer:write "half"
      ringer:write "!"
      assert.equal("half", first:join())
      peer:write "more" -- for the second one, where the kernel was late and it was told alone
      local ok, got = second:join()
      if ok then
        assert.equal("more", got)
      else
        assert.equal("EBUSY", got.code)
        assert.equal("more", reader:read())
        refused = refused + 1
      end
    end
    assert.is_true(refused > 0)
    reader:close()
    server:cancel()
    pcall(server.join, server)
  end)
end)
