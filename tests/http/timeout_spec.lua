-- SPDX-License-Identifier: MIT
-- Each limit of time of the HTTP/1.1 server, by what it leads to.
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"

local GET, get, post, echo, eventually, script = raw.GET, raw.get, raw.post, raw.echo, raw.eventually, raw.script

describe("a time-out", function()
  local SHORT = 0.2 -- seconds: what comes in time has to, also where the machine stands still for a moment

  it("of the head gets 408", function()
    raw.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send "GET / HT"
      local answer = client:answer()
      assert.equal(408, answer.status)
      assert.equal("close", answer.headers.connection)
      client:shutdown()
      assert.equal("", client:rest())
    end)
  end)

  it("of the head counts from its first byte, however it trickles", function()
    raw.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      local dripping = task.spawn(function()
        for byte in GET:gsub("\r\n\r\n", "\r\nA: " .. ("b"):rep(4000) .. "\r\n\r\n"):gmatch "." do
          client:send(byte)
          task.sleep(0.002)
        end
      end)
      assert.equal(408, client:answer().status)
      dripping:cancel()
      pcall(dripping.join, dripping)
    end)
  end)

  it("of a connection that says nothing, or nothing more, just ends it", function()
    raw.serve(echo, { header_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      assert.equal("", client:rest())
    end)
    raw.serve(echo, { keepalive_timeout = SHORT }, function(address)
      local other <close> = raw.connect(address)
      other:send(GET)
      assert.equal(200, other:answer().status)
      assert.equal("", other:rest())
    end)
  end)

  it("of the body gets 408", function()
    raw.serve(echo, { body_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      local answer = client:answer()
      assert.equal(408, answer.status)
      assert.equal("close", answer.headers.connection)
      client:shutdown()
      assert.equal("", client:rest())
    end)
  end)

  it("of the body does not count for the handler that has read it", function()
    local function handler(req)
      local body = req:body()
      task.sleep(1.2)
      return body
    end
    raw.serve(handler, { body_timeout = 1 }, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      task.sleep(0.005)
      client:send "2"
      assert.equal("12", client:answer().body)
    end)
  end)

  it("of an unread body ends the connection", function()
    raw.serve(function() return "no" end, { body_timeout = SHORT }, function(address)
      local client <close> = raw.connect(address)
      client:send(post("/", "12"):sub(1, -2))
      assert.equal("no", client:answer().body)
      assert.equal("", client:rest())
    end)
  end)

  it("of the handler cancels it and gets 503", function()
    local out, err = script [[
      local task = require "green.task"
      local function handler(req)
        local _ <close> = setmetatable({}, { __close = function() print "closed" end })
        if req.path == "/caught" then return pcall(task.sleep, 60) and "late" or "caught" end
        task.sleep(60)
      end
      raw.serve(handler, { request_timeout = 0.3 }, function(address)
        for _, path in ipairs { "/", "/caught" } do
          local client <close> = raw.connect(address)
          client:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
          local answer = client:answer()
          print(answer.status, answer.headers.connection, (answer.body:gsub("\n", "")))
          print(client:rest())
        end
      end)
    ]]
    assert.equal('closed\n503\tclose\t{"error":"the request took too long"}\n\nclosed\n200\tclose\tcaught\n\n', out)
    assert.matches("^%S+Z error: GET / %[%x+%]: task.sleep: the task was cancelled\n\tstack traceback:", err)
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
    raw.serve(handler, { request_timeout = SHORT }, function(address)
      assert.equal("12345678", raw.ask(address, GET).body)
    end)
  end)

  it("of a reader who reads nothing ends stream and connection", function()
    local err, whole
    local function handler(req)
      whole = req.path == "/whole"
      if whole then return ("x"):rep(32 * 1024 * 1024) end
      return response.stream(function(out)
        local _ <close> = setmetatable({}, { __close = function(_, e) err = e end })
        while true do out:write(("x"):rep(65536)) end
      end)
    end
    raw.serve(handler, { write_timeout = SHORT }, function(address, server)
      local client <close> = raw.connect(address)
      client:send(GET)
      eventually(function() return err and server:connections() == 0 end, "the stream ended")
      local other <close> = raw.connect(address)
      other:send(get "/whole")
      eventually(function() return whole end, "asked")
      eventually(function() return server:connections() == 0 end, "the connection ended")
    end)
  end)
end)
