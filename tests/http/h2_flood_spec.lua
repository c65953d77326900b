-- SPDX-License-Identifier: MIT
-- Clients of HTTP/2 that ask for much that is no request: each flood ends with GOAWAY, ENHANCE_YOUR_CALM, and costs no more than its share;
-- what an honest client does of the same does not.
local h2 = require "http.h2"
local task = require "green.task"

local GET = h2.get

-- Sends bytes again and again, with a number that grows by two for each, and no faster than the server reads; returns the code of the GOAWAY,
-- once one comes.
local function flood(address, times, bytes_of, options)
  local client <close> = h2.connect(address, options)
  local batch = {}
  for i = 1, times do
    batch[#batch + 1] = bytes_of(2 * i - 1)
    if #batch == 50 or i == times then
      if not pcall(client.send, client, table.concat(batch)) or not pcall(client.settle, client) or client.goaway then return client:rest() end
      batch = {}
    end
  end
  return nil
end

local function nothing() return "" end

describe("a flood of", function()
  local function ends(times, bytes_of, handler, options)
    h2.serve(handler or nothing, options or {}, function(address)
      assert.equal(h2.ENHANCE_YOUR_CALM, flood(address, times, bytes_of))
      assert.equal(200, h2.ask(address, GET(1, "/")).status)
    end)
  end

  it("pings", function() ends(20000, function() return h2.frame(h2.PING, 0, 0, "12345678") end) end)
  it("settings", function() ends(20000, function() return h2.settings { [h2.INITIAL_WINDOW_SIZE] = 65535 } end) end)
  it("priorities", function() ends(20000, function(i) return h2.frame(h2.PRIORITY, 0, i, "\0\0\0\0\1") end) end)
  it("windows", function() ends(20000, function() return h2.window(0, 1) end) end)

  it("empty frames of a body", function()
    ends(20000, function(i) return i == 1 and h2.headers(1, h2.fields("POST", "/")) or h2.frame(h2.DATA, 0, 1, "") end, function(req) return req:body() end)
  end)

  it("requests that are reset at once (CVE-2023-44487), which run a few handlers at a time", function()
    local running, most = 0, 0
    local function handler()
      running = running + 1
      most = math.max(most, running)
      pcall(task.sleep, 0.01)
      running = running - 1
      return "x"
    end
    ends(5000, function(i) return GET(i, "/") .. h2.reset(i, h2.CANCEL) end, handler, { max_streams = 10 })
    assert.is_true(most <= 21, most) -- 20 of that connection, and the one that asks afterwards
  end)

  it("requests that it makes us reset (CVE-2025-8671)", function()
    ends(5000, function(i) return GET(i, "/") .. h2.window(i, (1 << 31) - 1) end, function() -- more than a window may be
      task.sleep(0.01)
      return "x"
    end)
  end)

  it("malformed requests", function() ends(5000, function(i) return GET(i, "/", { { "connection", "close" } }) end) end)

  it("padding without a body in it", function()
    ends(20000, function(i) return i == 1 and h2.headers(1, h2.fields("POST", "/")) or h2.frame(h2.DATA, h2.PADDED, 1, "\1\0") end,
      function(req) return req:body() end)
  end)

  it("continuations (CVE-2024-28182)", function()
    h2.serve(nothing, {}, function(address)
      local client <close> = h2.connect(address)
      client:settle()
      client:send(h2.frame(h2.HEADERS, 0, 1, h2.block(h2.fields("GET", "/"))))
      for _ = 1, 2000 do
        if not pcall(client.send, client, h2.frame(h2.CONTINUATION, 0, 1, "")) then break end
      end
      assert.are_not.equal(h2.NO_ERROR, assert(client:rest()))
    end)
  end)

  it("trailers that become many (a bomb)", function()
    h2.serve(function(req) return req:body() end, {}, function(address)
      local client <close> = h2.connect(address)
      local large = "\64\1a\127\129\30" .. ("v"):rep(4000) -- into the table, at index 62
      client:settle()
      client:send(h2.headers(1, h2.fields("POST", "/")), h2.frame(h2.HEADERS, h2.END_STREAM, 1, large))
      pcall(client.send, client, h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, ("\190"):rep(16000)))
      assert.equal(h2.ENHANCE_YOUR_CALM, client:rest())
    end)
  end)

  it("fields, each of a byte, that become many (a bomb)", function()
    h2.serve(nothing, {}, function(address)
      local client <close> = h2.connect(address)
      local large = "\64\1a\127\129\30" .. ("v"):rep(4000) -- into the table, at index 62
      client:settle()
      client:send(h2.frame(h2.HEADERS, 0, 1, h2.block(h2.fields("GET", "/")) .. large))
      pcall(client.send, client, h2.frame(h2.CONTINUATION, h2.END_HEADERS, 1, ("\190"):rep(16000)))
      assert.equal(h2.ENHANCE_YOUR_CALM, client:rest())
    end)
  end)
end)

describe("a connection of HTTP/2", function()
  it("refuses the streams that are too many, and serves those that are not", function()
    local gate = task.channel()
    h2.serve(function() gate:receive() return "x" end, { max_streams = 4 }, function(address)
      local client <close> = h2.connect(address)
      for i = 1, 11, 2 do client:send(GET(i, "/")) end
      assert.equal(h2.REFUSED_STREAM, client:answer(9).reset)
      assert.equal(h2.REFUSED_STREAM, client:answer(11).reset)
      for _ = 1, 4 do gate:send(true) end
      for i = 1, 7, 2 do assert.equal("x", client:answer(i).body) end
      client:send(GET(13, "/"))
      gate:send(true)
      assert.equal("x", client:answer(13).body)
    end)
  end)

  it("takes pings and windows beside work, however many", function()
    h2.serve(function(req) return req:body() end, {}, function(address)
      local client <close> = h2.connect(address)
      for i = 1, 2001, 2 do
        client:send(h2.post(i, "/", ("b"):rep(300)), h2.frame(h2.PING, 0, 0, "12345678"), h2.window(0, 1), h2.window(i, 1))
        assert.equal(300, #client:answer(i).body)
      end
      assert.is_nil(client.goaway)
    end)
  end)
end)
