-- SPDX-License-Identifier: MIT
-- Each limit of time of a connection of HTTP/2, and the end of the server, by what they lead to.
local h2 = require "http.h2"
local response = require "green.response"
local task = require "green.task"

local GET = h2.get
local SHORT = 0.2 -- seconds: what comes in time has to, also where the machine stands still for a moment

local function echo(req) return req:body() end

describe("a time-out of HTTP/2", function()
  it("of a connection without a request, and without another one, ends it with GOAWAY", function()
    h2.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = h2.connect(address)
      assert.equal(h2.NO_ERROR, client:rest())
    end)
    h2.serve(echo, { keepalive_timeout = SHORT }, function(address)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/"))
      assert.equal(200, client:answer(1).status)
      assert.equal(h2.NO_ERROR, client:rest())
      assert.equal(1, client.last)
    end)
  end)

  it("of a head ends the connection, as nothing else can come before its end", function()
    h2.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = h2.connect(address)
      client:settle() -- no frame of its own may come between those of a head
      client:send(h2.frame(h2.HEADERS, 0, 1, h2.block(h2.fields("GET", "/"))))
      assert.equal(h2.ENHANCE_YOUR_CALM, client:rest())
    end)
  end)

  it("of a body gets 408, and other streams go on", function()
    h2.serve(echo, { body_timeout = SHORT }, function(address)
      local client <close> = h2.connect(address)
      client:send(h2.headers(1, h2.fields("POST", "/")), h2.frame(h2.DATA, 0, 1, "begun"))
      assert.equal(408, client:answer(1).status)
      client:send(h2.post(3, "/", "whole"))
      assert.equal("whole", client:answer(3).body)
    end)
  end)

  it("of the handler cancels it and gets 503", function()
    local out = h2.script [[
      local h2 = require "http.h2"
      local task = require "green.task"
      local function handler()
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        task.sleep(60)
      end
      h2.serve(handler, { request_timeout = 0.3 }, function(address)
        local answer = h2.ask(address, h2.get(1, "/"))
        print(answer.status, (answer.body:gsub("\n", "")))
      end)
    ]]
    assert.equal('closed\n503\t{"error":"the request took too long"}\n', out)
  end)

  it("of the handler does not count for a stream that goes on", function()
    local function handler()
      return response.stream(function(out)
        for i = 1, 8 do
          out:write(tostring(i))
          task.sleep(0.05)
        end
      end)
    end
    h2.serve(handler, { request_timeout = SHORT }, function(address) assert.equal("12345678", h2.ask(address, GET(1, "/")).body) end)
  end)

  it("of a client that opens no window resets that stream, and no other", function()
    local failed
    local function handler(req)
      if req.path == "/small" then return "small" end
      return response.stream(function(out)
        local _ <close> = setmetatable({}, { __close = function(_, err) failed = err.code end })
        while true do out:write(("x"):rep(50000)) end
      end)
    end
    h2.serve(handler, { write_timeout = SHORT }, function(address)
      local client <close> = h2.connect(address, { stingy = true, settings = { [h2.INITIAL_WINDOW_SIZE] = 1000 } })
      client:send(GET(1, "/large"))
      local answer = client:answer(1)
      assert.equal(h2.CANCEL, answer.reset)
      assert.equal(1000, #answer.body)
      h2.eventually(function() return failed end)
      assert.is_truthy(failed == "EPIPE" or failed == "ECANCELED", failed)
      client:send(GET(3, "/small"))
      assert.equal("small", client:answer(3).body)
    end)
  end)
end)

describe("the end of a server", function()
  it("is told to an idle connection, and ends it", function()
    h2.serve(echo, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/"))
      assert.equal(200, client:answer(1).status)
      local ending = task.spawn(server.finish, server, 20)
      assert.equal(h2.NO_ERROR, client:rest())
      assert.equal(1, client.last)
      client:close()
      ending:join()
    end)
  end)

  it("waits for what runs, and takes what comes before the client knows", function()
    local gate = task.channel()
    h2.serve(function(req) gate:receive() return req.path end, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/1"))
      h2.eventually(function() return server:connections() == 1 end)
      client:send(h2.frame(h2.PING, 0, 0, "12345678"))
      assert.is_true(client:watch(function() return client.pings == 1 end))
      local ending = task.spawn(server.finish, server, 20)
      assert.is_true(client:watch(function() return client.goaway end))
      assert.equal((1 << 31) - 1, client.last)
      client:send(GET(3, "/3")) -- it was on its way
      task.spawn(function()
        gate:send(true)
        gate:send(true)
      end)
      assert.equal("/1", client:answer(1).body)
      assert.equal("/3", client:answer(3).body)
      assert.equal(h2.NO_ERROR, client:rest())
      assert.equal(3, client.last)
      client:close()
      ending:join()
    end)
  end)

  it("takes what is on its way when all that ran has ended", function()
    local gate = task.channel()
    h2.serve(function(req)
      if req.path == "/1" then gate:receive() end
      return req.path
    end, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/1"))
      client:settle()
      local ending = task.spawn(server.finish, server, 20)
      assert.is_true(client:watch(function() return client.goaway end))
      gate:send(true)
      assert.equal("/1", client:answer(1).body)
      client:send(GET(3, "/3")) -- the PING that says that the client knows did not come back yet
      assert.equal("/3", client:answer(3).body)
      assert.equal(h2.NO_ERROR, client:rest())
      assert.equal(3, client.last)
      client:close()
      ending:join()
    end)
  end)

  it("takes no stream after the last GOAWAY", function()
    local gate = task.channel()
    h2.serve(function(req) gate:receive() return req.path end, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/1"), h2.frame(h2.PING, 0, 0, "12345678"))
      assert.is_true(client:watch(function() return client.pings == 1 end))
      local ending = task.spawn(server.finish, server, 20)
      assert.is_true(client:watch(function() -- the ping that comes back is what says that the client knows
        local frame = client.goaway and client:next()
        if frame and frame.kind == h2.PING and frame.flags == 0 then client:send(h2.frame(h2.PING, h2.ACK, 0, frame.payload)) end
        return client.last == 1
      end))
      client:send(GET(3, "/3"))
      gate:send(true)
      assert.equal("/1", client:answer(1).body)
      client:rest()
      assert.is_nil(client.answers[3])
      client:close()
      ending:join()
    end)
  end)

  it("at once cancels what runs", function()
    local cancelled
    local function handler()
      local _, err = pcall(task.sleep, 60)
      cancelled = err.code
    end
    h2.serve(handler, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/"), h2.frame(h2.PING, 0, 0, "12345678"))
      assert.is_true(client:watch(function() return client.pings == 1 end))
      server:abort()
      h2.eventually(function() return cancelled end)
      assert.equal("ECANCELED", cancelled)
      client:rest()
    end)
  end)
end)

describe("a client of HTTP/2 that leaves", function()
  it("ends a stream of events, and lets a handler come to its end", function()
    local log = {}
    local function handler(req)
      local _ <close> = setmetatable({}, { __close = function() log[req.path] = "closed" end })
      log[req.path] = "begun"
      if req.path == "/slow" then
        task.sleep(0.1)
        return "x"
      end
      return response.events(function(events)
        for i = 1, 1e9 do
          events:send(tostring(i))
          task.sleep(0.001)
        end
      end)
    end
    h2.serve(handler, {}, function(address)
      local client = h2.connect(address)
      client:send(GET(1, "/events"), GET(3, "/slow"))
      h2.eventually(function() return log["/slow"] and log["/events"] end)
      client:close()
      h2.eventually(function() return log["/slow"] == "closed" and log["/events"] == "closed" end)
    end)
  end)

  it("half is still answered", function()
    h2.serve(function(req) task.sleep(0.01) return req.path end, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(GET(1, "/a"))
      client.socket:shutdown()
      assert.equal("/a", client:answer(1).body)
      client:rest()
    end)
  end)
end)
