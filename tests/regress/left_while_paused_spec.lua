-- SPDX-License-Identifier: MIT
-- A request whose handler did not read its body was paused once 256 KiB of the body had come, and then did not notice that its client had
-- left: libuv tells nothing while it does not read. With cancel_on_disconnect the handler ran on, to its end or for a minute.
local raw = require "http.raw"
local task = require "green.task"

local WAIT = 30
local HEAD = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n"

-- Connects and sends enough of a body that the server pauses, and not more than the kernel takes: it holds an end back behind bytes that
-- wait for room.
local function begin(address, headers)
  local client = raw.connect(address)
  client:send(HEAD:format(1 << 30, headers or ""), ("x"):rep(300000))
  return client
end

-- Returns how a handler ended that reads `pieces` pieces of the body and then waits, while leave(client) was called.
local function ending(headers, pieces, leave)
  local began, ended = task.channel(1), task.channel(1)
  raw.serve(function(req)
    local next = req:chunks()
    for _ = 1, pieces do next() end
    began:send(true)
    local ok, e = pcall(task.sleep, 30)
    ended:send(ok and "went on" or e.code)
  end, { max_body = 1 << 30, cancel_on_disconnect = true }, function(address)
    local client <close> = begin(address, headers)
    began:receive(WAIT)
    leave(client)
    assert.equal("ECANCELED", ended:receive(2 * WAIT))
  end)
end

describe("a request whose body nobody reads", function()
  it("is cancelled when its client closes", function()
    ending(nil, 0, function(client) client:close() end)
  end)

  it("is cancelled when its client ends its side", function()
    ending(nil, 0, function(client) client:shutdown() end)
  end)

  it("is cancelled when its connection is reset", function()
    ending("Expect: 100-continue\r\n", 1, function(client)
      task.sleep(0) -- what lies unread, a 100 Continue, makes the kernel answer the close with a reset
      client:close()
    end)
  end)

  it("keeps what came when its client only ends its side", function()
    local body = ("0123456789"):rep(30000)
    local began = task.channel(1)
    raw.serve(function(req)
      began:send(true)
      task.sleep(1.5) -- long enough for the end to be noticed
      return tostring(req:body() == body)
    end, { max_body = 1 << 30 }, function(address)
      local client <close> = raw.connect(address)
      client:send(HEAD:format(#body, ""), body)
      began:receive(WAIT)
      client:shutdown()
      assert.equal("true", client:answer().body)
    end)
  end)

  it("is not taken for one whose client has left", function()
    local go = task.channel(1)
    raw.serve(function(req)
      go:receive(2 * WAIT)
      local n = 0
      for piece in req:chunks() do n = n + #piece end
      return tostring(n)
    end, { max_body = 1 << 30, cancel_on_disconnect = true }, function(address)
      local body = ("x"):rep(32 << 20) -- before there is a connection that waits for it
      local client <close> = raw.connect(address)
      client:send(HEAD:format(#body, ""))
      local sending = task.spawn(client.socket.write, client.socket, body, 3 * WAIT)
      task.sleep(1.5) -- the server looks after the client meanwhile
      go:send(true)
      sending:join()
      assert.equal(tostring(32 << 20), client:answer().body)
    end)
  end)
end)
