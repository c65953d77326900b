-- SPDX-License-Identifier: MIT
-- A request body had a time between two of its bytes, and none for the whole: a client that sent one byte now and then held
-- its task and its connection for as long as it liked. It has body_timeout now, and a second more for each body_min_rate bytes.
local raw = require "http.raw"
local task = require "green.task"

local function post(n) return ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"):format(n) end

local function drip(client, bytes, times, pause)
  return task.spawn(function()
    for _ = 1, times do
      if not pcall(client.send, client, bytes) then return end
      task.sleep(pause)
    end
  end)
end

local readers = {
  whole = function(req) return ("%d"):format(#req:body(1 << 20)) end,
  pieces = function(req)
    local n = 0
    for piece in req:chunks() do n = n + #piece end
    return ("%d"):format(n)
  end,
}

for name, handler in pairs(readers) do
  describe("a body that is read as " .. name, function()
    it("and comes too slowly is refused, though never silent for long", function()
      raw.serve(handler, { body_timeout = 0.5, body_min_rate = 100 }, function(address)
        local client <close> = raw.connect(address)
        client:send(post(1000))
        local dripping = drip(client, "x", 1000, 0.02)
        assert.equal(408, client:answer().status)
        dripping:cancel()
        pcall(dripping.join, dripping)
      end)
    end)

    it("and comes fast enough has all the time it takes", function()
      raw.serve(handler, { body_timeout = 1, body_min_rate = 100 }, function(address)
        local client <close> = raw.connect(address)
        client:send(post(8000))
        drip(client, ("x"):rep(100), 80, 0.02)
        assert.equal("8000", client:answer().body)
      end)
    end)

    it("and stops after a fast beginning is refused", function()
      raw.serve(handler, { body_timeout = 0.3, body_min_rate = 1 }, function(address)
        local client <close> = raw.connect(address)
        client:send(post(100000), ("x"):rep(90000))
        assert.equal(408, client:answer().status)
      end)
    end)
  end)
end

describe("a body that its handler reads slowly", function()
  it("is not the client's fault", function()
    local n = 0
    local function handler(req)
      for piece in req:chunks() do
        n = n + #piece
        task.sleep(0.2)
      end
      return ("%d"):format(n)
    end
    raw.serve(handler, { body_timeout = 0.3, body_min_rate = 1 << 30 }, function(address)
      local client <close> = raw.connect(address)
      client:send(post(6))
      for i = 1, 6 do -- each is there long before the handler asks for it
        client:send "x"
        raw.eventually(function() return n >= i end, "the handler has it")
      end
      assert.equal("6", client:answer().body)
    end)
  end)
end)
