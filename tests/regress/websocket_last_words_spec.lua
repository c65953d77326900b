-- SPDX-License-Identifier: MIT
-- A hundred messages, then a normal close: the close was answered at once, so that send raised in the handler, which
-- ended with the rest unread: 12 to 77 of them were handled. The close is answered now when the handler has received what
-- was queued, or is left; and what came before a fault of the peer's, or its end, is answered before that is.
local frames = require "http.frames"
local native = require "green.http.native"
local task = require "green.task"
local until_true = require("outcome").eventually
local ws = require "green.ws"

local TIMEOUT = 20
local N = 100

local function serve(handler, test)
  local server = native.listen("127.0.0.1:0", function(req)
    local socket <close> = ws.accept(req)
    handler(socket)
  end)
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  test(server:address())
  server:finish(TIMEOUT)
end

local function texts()
  local all = {}
  for i = 1, N do all[i] = frames.text("m" .. i) end
  return table.concat(all)
end

describe("messages before a close", function()
  local handlers = {
    { "at once", function(socket, seen)
      for message in socket:messages() do
        seen[#seen + 1] = message
        socket:send(message)
      end
    end },
    { "with a wait for each", function(socket, seen)
      for message in socket:messages() do
        task.sleep(0)
        seen[#seen + 1] = message
        socket:send(message)
      end
    end },
    { "after a wait of its own", function(socket, seen)
      for _ = 1, 20 do task.sleep(0.001) end
      for message in socket:messages() do
        seen[#seen + 1] = message
        socket:send(message)
      end
    end },
  }
  local ends = {
    { "a close", frames.close(4000, "bye"), 4000 },
    { "a close without a code", frames.close(), nil },
    { "a fault", frames.text("x", { rsv = 2 }), 1002 },
    { "too long a message", frames.text("x", { length = 1 << 40 }), 1009 },
    { "bad text", frames.text "\xff", 1007 },
  }
  for _, handler in ipairs(handlers) do
    for _, last in ipairs(ends) do
      it(("are handled %s, and answered, before %s is"):format(handler[1], last[1]), function()
        local seen = {}
        serve(function(socket) handler[2](socket, seen) end, function(address)
          local client = frames.connect(address)
          client:raw(texts() .. last[2])
          for i = 1, N do assert.equal("m" .. i, client:message()) end
          local code = client:closing()
          assert.equal(last[3], code)
          assert.equal(N, #seen)
          client:close()
        end)
      end)
    end

    it(("are handled %s before the end of the connection"):format(handler[1]), function()
      local seen = {}
      serve(function(socket) handler[2](socket, seen) end, function(address)
        local client = frames.connect(address)
        client:raw(texts())
        client.socket:shutdown()
        for i = 1, N do assert.equal("m" .. i, client:message()) end
        assert.is_nil(client:frame())
        client:close()
      end)
    end)

    it(("are handled %s although their sender is gone"):format(handler[1]), function()
      local seen = {}
      serve(function(socket) handler[2](socket, seen) end, function(address)
        local client = frames.connect(address)
        client:raw(texts())
        client:close()
        until_true(function() return #seen == N end)
      end)
    end)
  end

  it("are waited for only as long as somebody comes for them", function()
    local failed
    serve(function(socket)
      assert.equal("m1", socket:receive(TIMEOUT))
      local _, err = pcall(task.sleep, 1000)
      failed = err.code
    end, function(address)
      local client = frames.connect(address)
      client:raw(texts() .. frames.close(1000))
      assert.equal(1000, (client:closing()))
      until_true(function() return failed end)
      assert.equal("ECANCELED", failed)
      client:close()
    end)
  end)

  it("are not waited for when the handler is left", function()
    serve(function(socket) return socket:receive(TIMEOUT) end, function(address)
      local client = frames.connect(address)
      client:raw(texts() .. frames.close(4001))
      assert.equal(4001, (client:closing()))
      assert.is_nil(client:frame())
      client:close()
    end)
  end)
end)

describe("the end of a socket", function()
  -- A string is made, memory runs out of what the collector allows, and a finalizer takes the message that was being
  -- handed over: it was freed under the hand that held it.
  it("survives a finalizer that receives, too", function()
    local got = {}
    serve(function(socket)
      local rest = 200
      local function litter()
        setmetatable({}, { __gc = function()
          local ok, message = pcall(socket.receive, socket, 0)
          if ok and message then got[message] = (got[message] or 0) + 1 end
          rest = rest - 1
          if rest > 0 then litter() end
        end })
      end
      litter()
      local pause = collectgarbage("setpause", 0)
      local step = collectgarbage("setstepmul", 1000)
      for message in socket:messages() do got[message] = (got[message] or 0) + 1 end
      rest = 0
      collectgarbage("setpause", pause)
      collectgarbage("setstepmul", step)
    end, function(address)
      local client = frames.connect(address)
      local all, filler = {}, ("x"):rep(1000)
      for i = 1, N do all[i] = frames.text(i .. filler) end
      client:raw(table.concat(all) .. frames.close(1000))
      assert.equal(1000, (client:closing()))
      for i = 1, N do assert.equal(1, got[i .. filler]) end
      client:close()
    end)
  end)
end)
