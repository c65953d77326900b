-- SPDX-License-Identifier: MIT
-- What servers say in Keep-Alive about how long, and for how many requests, a connection is good.
local net = require "green.net"
local task = require "green.task"
local transport = require "green.http.transport"

local WAIT = 20

-- Asks `count` times, `pause` seconds apart, a server whose nth answer on a connection has the Keep-Alive of say(n); returns for each request
-- whether it had a kept connection.
local function asked(count, pause, say)
  local listener <close> = net.listen "127.0.0.1:0"
  local peers = {}
  local acceptor = task.spawn(function()
    while true do
      local socket = listener:accept()
      peers[#peers + 1] = task.spawn(function()
        local mine <close>, n = socket, 0
        while mine:read(65536, WAIT) do -- a request comes in one piece
          n = n + 1
          mine:write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" .. say(n) .. "\r\n")
        end
      end)
    end
  end)
  local port, reused = tonumber(listener:address():match ":(%d+)$"), {}
  for i = 1, count do
    if i > 1 and pause > 0 then task.sleep(pause) end
    reused[i] = transport.send {
      method = "GET", scheme = "http", host = "127.0.0.1", port = port, target = "/", collect = 10, timeouts = { total = WAIT },
    }.reused
  end
  transport.close_idle()
  acceptor:cancel()
  pcall(acceptor.join, acceptor)
  for _, peer in ipairs(peers) do
    peer:cancel()
    pcall(peer.join, peer)
  end
  return reused
end

local function always(line) return function() return line end end

describe("a connection whose server says Keep-Alive", function()
  it("is used again within the time, with a margin", function()
    assert.same({ false, true }, asked(2, 0, always "Keep-Alive: timeout=60\r\n"))
    assert.same({ false, false }, asked(2, 0.6, always "Keep-Alive: timeout=1\r\n"))
    assert.same({ false, false }, asked(2, 1.1, always "Keep-Alive: max=100, timeout=2\r\n"))
    assert.same({ false, false }, asked(2, 0, always "Keep-Alive: timeout=0\r\n"))
  end)

  it("is used for as many requests as it says", function()
    assert.same({ false, false }, asked(2, 0, always "Keep-Alive: timeout=60, max=0\r\n"))
    assert.same({ false, true, true, false, true, true }, asked(6, 0, function(n) return ("Keep-Alive: max=%d\r\n"):format(3 - n) end)) -- Apache: to come
    assert.same({ false, true, true, false }, asked(4, 0, always "Keep-Alive: max=2\r\n")) -- Node: of all
  end)

  it("is used again when it says nothing that can be understood", function()
    for _, line in ipairs { "Keep-Alive: timeout\r\n", "Keep-Alive: timeout=soon, max=\r\n", "Keep-Alive: ,;=\r\n", "Keep-Alive: timeout=99999999999999999999, max=99999999999999999999\r\n", "" } do
      assert.same({ false, true }, asked(2, 0, always(line)), line)
    end
  end)
end)
