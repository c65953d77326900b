-- SPDX-License-Identifier: MIT
-- Connections that wait in the kernel for somebody to accept them: a queue that is known to be full, not taken to be.
local net = require "green.net"
local task = require "green.task"

local M = {}

-- How many wait at the listener on this port of 127.0.0.1: the rx_queue of a listening socket in /proc/net/tcp.
function M.length(port)
  local entry = ("0100007F:%04X"):format(port)
  local sockets <close> = assert(io.open "/proc/net/tcp")
  for line in sockets:lines() do
    local address, state, queue = line:match "^%s*%d+: (%S+) %S+ (%x+) %x+:(%x+)"
    if address == entry and state == "0A" then return tonumber(queue, 16) end
  end
  error("nobody listens on port " .. port)
end

-- Waits until at least so many are in the queue. (A client is connected before the server's kernel has seen its last packet.)
function M.await(port, count)
  while M.length(port) < count do task.sleep(0.001) end
end

-- Connects until nobody else gets in: the kernel drops what comes when more than `backlog` wait. Returns the clients' sockets.
function M.fill(port, backlog)
  local clients = {}
  while M.length(port) <= backlog do
    local ok, socket = pcall(net.connect, "127.0.0.1:" .. port, 0.1)
    if ok then clients[#clients + 1] = socket end
  end
  return clients
end

return M
