-- SPDX-License-Identifier: MIT
-- What the kernel holds of connections of 127.0.0.1: how many wait for somebody to accept them, how many bytes for somebody to read
-- them, and which have ended. That is seen in /proc/net/tcp, not taken for granted: the kernel may be late on a busy machine.
local net = require "green.net"
local outcome = require "outcome"
local task = require "green.task"

local M = {}

local ESTABLISHED, LISTEN = "01", "0A"

-- Iterates over the sockets: the local address, the remote one, the state, bytes that are not sent yet, bytes that are not read yet.
local function sockets()
  local file <close> = assert(io.open "/proc/net/tcp")
  return file:read "a":gmatch "\n%s*%d+: (%S+) (%S+) (%x+) (%x+):(%x+)"
end

local function entry(port) return ("0100007F:%04X"):format(port) end

-- How many wait at the listener on this port of 127.0.0.1: the rx_queue of a listening socket.
function M.length(port)
  for here, _, state, _, unread in sockets() do
    if here == entry(port) and state == LISTEN then return tonumber(unread, 16) end
  end
  error("nobody listens on port " .. port)
end

-- Waits until at least so many are in the queue. (A client is connected before the server's kernel has seen its last packet.)
function M.await(port, count)
  outcome.eventually(function() return M.length(port) >= count end, "clients wait")
end

-- Connects until nobody else gets in: the kernel drops what comes when more than `backlog` wait. Returns the clients' sockets. To look
-- takes some milliseconds, and so is left to when a client had to wait.
function M.fill(port, backlog)
  local clients = {}
  repeat
    local ok, socket = pcall(net.connect, "127.0.0.1:" .. port, 0.1)
    if ok then clients[#clients + 1] = socket end
  until not ok and M.length(port) > backlog
  return clients
end

local function all_taken(port)
  for here, there, state, unsent, unread in sockets() do
    if here == entry(port) and state ~= LISTEN and tonumber(unread, 16) > 0 then return false end
    if there == entry(port) and tonumber(unsent, 16) > 0 then return false end
  end
  return true
end

-- Waits until a server of this process on that port has read all that its clients have sent.
function M.taken(port)
  outcome.eventually(function() return all_taken(port) end, "the server reads")
  task.sleep(0)
end

-- Waits until each client of that port has been told of the end of its connection, though it may not have looked.
function M.ended(port)
  outcome.eventually(function()
    for _, there, state in sockets() do
      if there == entry(port) and state == ESTABLISHED then return false end
    end
    return true
  end, "the clients' connections end")
end

return M
