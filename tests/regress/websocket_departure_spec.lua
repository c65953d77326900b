-- SPDX-License-Identifier: MIT
-- A WebSocket handler that only sends, `for m in hub.subscribe "news" do s:send(m) end`, never learned that its client
-- had left: task, subscription and connection stayed, 5,000 visits were 5,000 tasks, a server with max_connections was
-- full after as many visits, and SIGTERM took its whole grace. Its task is cancelled now, and that is no error in the log.
local app = require "green.app"
local frames = require "http.frames"
local hub = require "green.hub"
local serve = require "process"
local task = require "green.task"
local until_true = require("outcome").eventually

local TIMEOUT = 20

-- Runs test(address, server) with an app that has the handler at "/".
local function with(handler, test, route, options)
  local site = app.new(options)
  site:ws("/", handler, route)
  local server = site:listen "127.0.0.1:0"
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  test(server:address(), server)
  server:finish(TIMEOUT)
end

local function push(socket)
  for message in hub.subscribe "news" do socket:send(message) end
end

local function farewell(client)
  client:raw(frames.close(1000))
  assert.equal(1000, (client:closing()))
  assert.is_nil(client:frame())
  client:close()
end

-- What lies unread makes the kernel answer its close with a reset.
local function reset(client)
  hub.publish("news", "unread")
  task.sleep(0.01)
  client:close()
end

local function listening(n) return function() return hub.count "news" == n end end

describe("a handler that only sends", function()
  local ways = {
    { "says goodbye", farewell },
    { "closes its side", function(client) client.socket:shutdown() end },
    { "just closes", function(client) client:close() end },
    { "resets the connection", reset },
    { "said more than anybody read, and goodbye", function(client)
      client:raw(frames.close(1000))
      client:close()
    end },
  }
  for _, way in ipairs(ways) do
    it("ends when its client " .. way[1], function()
      with(push, function(address, server)
        local client = frames.connect(address)
        until_true(listening(1))
        hub.publish("news", "one")
        assert.equal("one", client:message())
        way[2](client)
        until_true(listening(0))
        until_true(function() return server:connections() == 0 end)
        client:close()
      end)
    end)
  end

  it("ends when its client is not heard any more", function()
    with(push, function(address, server)
      local client = frames.connect(address)
      until_true(function() return server:connections() == 0 end)
      assert.equal(0, hub.count "news")
      client:close()
    end, { ping_interval = 0.01, idle_timeout = 0.05 })
  end)

  it("leaves nothing behind, and its place to the next visitor", function()
    with(push, function(address, server)
      for i = 1, 100 do
        local client = frames.connect(address)
        until_true(listening(1))
        local leave = ways[i % #ways + 1]
        leave[2](client)
        until_true(function() return server:connections() == 0 end)
        client:close()
      end
      assert.equal(0, hub.count "news")
    end, nil, { max_connections = 1 })
  end)

  it("ends with a server that stops, once its client has agreed", function()
    local server
    with(push, function(address, it)
      server = it
      local client = frames.connect(address)
      until_true(listening(1))
      local closing = task.spawn(server.finish, server, TIMEOUT)
      assert.equal(1001, client:farewell())
      closing:join()
      client:close()
    end)
  end)

  it("ends when a task beside it is told so", function()
    with(function(socket)
      task.spawn(function()
        for message in socket:messages() do hub.publish("news", message) end
      end)
      push(socket)
    end, function(address)
      local client = frames.connect(address)
      until_true(listening(1))
      client:text "to all"
      assert.equal("to all", client:message())
      farewell(client)
      until_true(listening(0))
    end)
  end)

  it("does not end when its route says so, but then it is told by send", function()
    local go, failed
    with(function(socket)
      until_true(function() return go end)
      local _, err = pcall(function()
        while true do
          socket:send "anybody?"
          task.sleep(0)
        end
      end)
      failed = err.code
    end, function(address, server)
      local client = frames.connect(address)
      farewell(client)
      task.sleep(0.01)
      assert.equal(1, server:connections())
      go = true
      until_true(function() return failed end)
      assert.equal("EPIPE", failed)
    end, { cancel_on_disconnect = false })
  end)

  it("may be told otherwise by the request, before and after the upgrade", function()
    for _, before in ipairs { true, false } do
      local site, go, ended = app.new(), nil, nil
      site:use(function(req, next)
        if before then req.cancel_on_disconnect = false end
        return next(req)
      end)
      site:ws("/", function(_, req)
        if not before then req.cancel_on_disconnect = false end
        until_true(function() return go end)
        ended = true
      end)
      local server = site:listen "127.0.0.1:0"
      local client = frames.connect(server:address())
      farewell(client)
      task.sleep(0.01)
      assert.is_nil(ended)
      go = true
      until_true(function() return ended end)
      server:finish(TIMEOUT)
    end
  end)
end)

describe("a handler that receives", function()
  it("is not cancelled while it cleans up after the end", function()
    local cleaned
    with(function(socket)
      for _ in socket:messages() do end
      for _ = 1, 50 do task.sleep(0.001) end
      cleaned = true
    end, function(address)
      local client = frames.connect(address)
      farewell(client)
      until_true(function() return cleaned end)
    end)
  end)

  it("has as long for that as a request to be answered", function()
    local failed
    with(function(socket)
      for _ in socket:messages() do end
      local _, err = pcall(task.sleep, 1000)
      failed = err.code
    end, function(address)
      local client = frames.connect(address)
      farewell(client)
      until_true(function() return failed end)
      assert.equal("ECANCELED", failed)
    end, nil, { request_timeout = 0.05 })
  end)

  it("is not held to the time of a request while its client is there", function()
    local done
    with(function(socket)
      task.sleep(0.2)
      socket:send "late"
      done = true
      socket:receive(TIMEOUT)
    end, function(address)
      local client = frames.connect(address)
      assert.equal("late", client:message())
      assert.is_true(done)
      farewell(client)
    end, nil, { request_timeout = 0.05 })
  end)
end)

describe("the log", function()
  for _, flags in ipairs { "", "--dev" } do
    it("says nothing about clients that left, whatever the handler was at " .. flags, function()
      local path = os.tmpname()
      finally(function() os.remove(path) end)
      local file <close> = assert(io.open(path, "w"))
      file:write [[
        local hub, task = require "green.hub", require "green.task"
        local app = require "green.app".new()
        app:ws("/push", function(s) for m in hub.subscribe "news" do s:send(m) end end)
        app:ws("/blind", function(s) while true do s:send(("x"):rep(100000)) end end)
        app:ws("/late", function(s)
          for _ in s:messages() do end
          s:send "nobody is there"
        end)
        app:ws("/beside", function(s)
          task.spawn(function()
            while true do
              s:send "tick"
              task.sleep(0)
            end
          end)
          for _ in s:messages() do end
        end)
        app:ws("/fault", function(s)
          for _ in s:messages() do end
          error "a fault of its own"
        end)
        app:ws("/own", function(s)
          s:shut()
          s:send "after my own goodbye"
        end)
        return app
      ]]
      file:close()
      local site <close> = serve(path, nil, { flags = flags })
      for _, name in ipairs { "push", "blind", "late", "beside", "fault", "own" } do
        local client = frames.connect(site.address, { path = "/" .. name, headers = { Host = site.address } })
        client:raw(frames.close(1000))
        repeat until name == "blind" or client:frame() == frames.CLOSE
        client:close()
      end
      task.sleep(0.05)
      local _, said = site:stop()
      assert.matches("GET /fault %[%x+%]: .-a fault of its own", said)
      assert.matches("GET /own %[%x+%]: .-the socket is closed", said)
      for _, name in ipairs { "/push", "/blind", "/late", "/beside", "task spawned", "is gone" } do assert.is_nil(said:find(name, 1, true), said) end
    end)
  end
end)
