-- SPDX-License-Identifier: MIT
-- A WebSocket whose handler received nothing was paused once enough had come, and then noticed only by its next ping, 30 seconds
-- later, that its client had left: libuv tells nothing while it does not read. What the client had sent is received all the same.
local app = require "green.app"
local frames = require "http.frames"
local task = require "green.task"
local until_true = require("outcome").eventually

local TIMEOUT = 20
local N = 30 -- enough that the stream is paused; the rest fits into the kernel, or the end would wait behind bytes that have no room
local TEXT = ("x"):rep(10000)

-- The messages that a handler got after it had learned, without receiving, that `leave` was called.
local function received(leave)
  local messages, paused
  local client
  local site = app.new()
  site:ws("/", function(s)
    until_true(function() return paused end)
    leave(client, s)
    until_true(function() return s.close_code end)
    assert.equal(1006, s.close_code)
    local n = 0
    for message in s:messages() do
      assert.equal(TEXT, message)
      n = n + 1
    end
    messages = n
  end, { ping_interval = 1e6, idle_timeout = 1e6, cancel_on_disconnect = false })
  local server = site:listen "127.0.0.1:0"
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  client = frames.connect(server:address())
  for _ = 1, N do client:raw(frames.text(TEXT)) end
  paused = true
  until_true(function() return messages end)
  until_true(function() return server:connections() == 0 end)
  client:close()
  server:finish(TIMEOUT)
  return messages
end

describe("a WebSocket that nobody receives from", function()
  it("learns that its client has ended, and loses nothing of what it sent", function()
    assert.equal(N, received(function(client) client.socket:shutdown() end))
  end)

  it("learns that its connection was reset", function()
    local messages = received(function(client, s)
      s:send "unread" -- what lies unread makes the kernel answer the client's close with a reset
      task.sleep(0)
      client:close()
    end)
    assert.is_true(messages > 0)
  end)
end)
