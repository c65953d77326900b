-- SPDX-License-Identifier: MIT
-- The line of requests for the connections of one host, of which there are as many as there may be.
local http = require "green.http"
local native = require "green.http.native"
local task = require "green.task"

local CAP = 1024 -- host/transport/pool.h
local PATIENT = { timeout = 1000, connect_timeout = 1000 }

-- Starts a server; returns its URL, and a function that ends it and all of its connections.
local function serve(handler)
  local server = native.listen("127.0.0.1:0", handler)
  return "http://" .. server:address(), function()
    server:abort()
    server:finish(10)
  end
end

local function hold() task.sleep(1000) end

-- Takes all connections that there may be to the server, so that whoever comes waits in line.
local function fill(base)
  for _ = 1, CAP do task.spawn(pcall, http.get, base .. "/", PATIENT) end
  repeat
    task.sleep(0.001)
    local host = http.stats().hosts[base]
  until host and host.active == CAP
end

local function waiting(base) return http.stats().hosts[base].waiting end

local function leaving(name, order)
  return {
    name = "client: n requests leave the line for a connection, " .. name,
    start = 625,
    prepare = function(n)
      local base, done = serve(hold)
      fill(base)
      local tasks = {}
      for i = 1, n do tasks[i] = task.spawn(pcall, http.get, base .. "/", PATIENT) end
      while waiting(base) < n do task.sleep(0.001) end
      return function()
        for i = 1, n do tasks[order(n, i)]:cancel() end
        for i = 1, n do tasks[i]:wait() end
        assert(waiting(base) == 0)
      end, done
    end,
  }
end

return {
  leaving("first first", function(_, i) return i end),
  leaving("last first", function(n, i) return n + 1 - i end),
  leaving("random order", function(n, i) return (i * 7919) % n + 1 end), -- a prime: each once
  {
    name = "client: n requests to one host at once",
    start = 2500,
    prepare = function(n)
      local base, done = serve(function() return "ok" end)
      return function()
        local tasks = {}
        for i = 1, n do tasks[i] = task.spawn(http.get, base .. "/", PATIENT) end
        for i = 1, n do tasks[i]:join() end
      end, done
    end,
  },
}
