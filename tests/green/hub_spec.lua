-- SPDX-License-Identifier: MIT
-- The hub, with real sockets and with loops.
local frames = require "http.frames"
local hub = require "green.hub"
local native = require "green.http.native"
local task = require "green.task"
local until_true = require("outcome").eventually
local ws = require "green.ws"

local TIMEOUT = 20

-- Runs test(connect) with a server. connect(setup) is a client whose socket was given to setup; its handler
-- ends when the client goes.
local function serve(test, opts)
  local setups, ready = {}, 0
  local server = native.listen("127.0.0.1:0", function(req)
    local socket <close> = ws.accept(req, opts)
    setups[tonumber(req.path:match "%d+")](socket)
    ready = ready + 1
    socket:receive()
  end)
  local _ <close> = setmetatable({}, { __close = function() server:abort() end })
  test(function(setup)
    setups[#setups + 1] = setup
    local client = frames.connect(server:address(), { path = "/" .. #setups })
    until_true(function() return ready == #setups end)
    return client
  end)
  server:finish(TIMEOUT)
end

local function leave(client)
  client:raw(frames.close(1000))
  repeat until client:frame() == frames.CLOSE -- behind what it did not read
  client:close()
end

-- The client has nothing to read: what comes next is the pong of this ping.
local function assert_nothing(client)
  client:raw(frames.ping "nothing?")
  assert.equal("nothing?", client:expect(frames.PONG))
end

local function listener(topic) return function(socket) socket:subscribe(topic) end end
local function owner(user) return function(socket) hub.attach(user, socket) end end

describe("hub.send", function()
  it("reaches all sockets of a user and nobody else", function()
    serve(function(connect)
      local ann, tablet, bob, nobody = connect(owner "ann"), connect(owner "ann"), connect(owner "bob"), connect(listener "ann")
      assert.equal(2, hub.send("ann", "for ann"))
      assert.equal("for ann", ann:message())
      assert.equal("for ann", tablet:message())
      assert_nothing(bob)
      assert_nothing(nobody)
      assert.equal(1, hub.send("bob", "for bob"))
      assert.equal("for bob", bob:message())
      assert.equal(0, hub.send("carl", "for carl"))
      for _, client in ipairs { ann, tablet, bob, nobody } do leave(client) end
    end)
  end)

  it("takes numbers for users", function()
    serve(function(connect)
      local client = connect(owner(42))
      assert.equal(1, hub.send(42, "answer"))
      assert.equal("answer", client:message())
      leave(client)
    end)
  end)

  it("cannot be listened to by any topic", function()
    serve(function(connect)
      local spies = {}
      for i, topic in ipairs { "ann", "\0user:ann", "user:ann", "\0ann", "users.ann" } do spies[i] = connect(listener(topic)) end
      assert.equal(0, hub.send("ann", "secret"))
      for _, client in ipairs(spies) do
        assert_nothing(client)
        leave(client)
      end
    end)
  end)

  it("forgets sockets that are gone", function()
    serve(function(connect)
      local client = connect(owner "ann")
      assert.equal(1, hub.send("ann", "one"))
      leave(client)
      until_true(function() return hub.send("ann", "two") == 0 end)
    end)
  end)
end)

describe("hub.publish", function()
  it("reaches who listens, until it does not", function()
    local socket
    serve(function(connect)
      local a, b = connect(listener "news"), connect(function(s)
        socket = s
        s:subscribe "news"
        s:subscribe "weather"
      end)
      assert.equal(2, hub.count "news")
      assert.equal(1, hub.count "weather")
      assert.equal(2, hub.publish("news", "first"))
      assert.equal("first", a:message())
      assert.equal("first", b:message())
      socket:unsubscribe "news"
      socket:unsubscribe "news"
      socket:unsubscribe "never"
      assert.equal(1, hub.publish("news", "second"))
      assert.equal(1, hub.publish("weather", "rain"))
      assert.equal("second", a:message())
      assert.equal("rain", b:message())
      assert_nothing(b)
      leave(a)
      leave(b)
      until_true(function() return hub.count "news" + hub.count "weather" == 0 end)
    end)
  end)

  it("delivers to each of 200 sockets exactly once, in order", function()
    local N, M = 200, 20
    serve(function(connect)
      local clients = {}
      for i = 1, N do clients[i] = connect(listener "all") end
      for m = 1, M do
        assert.equal(N, hub.publish("all", "m" .. m))
        if m % 3 == 0 then task.sleep(0) end
      end
      for i = 1, N do
        for m = 1, M do assert("m" .. m == clients[i]:message()) end
        assert_nothing(clients[i])
        leave(clients[i])
      end
      until_true(function() return hub.count "all" == 0 end)
    end)
  end)

  it("works inside a sort comparator, and from many tasks", function()
    serve(function(connect)
      local client = connect(listener "news")
      local n = 0
      table.sort({ 3, 1, 2 }, function(a, b)
        n = n + hub.publish("news", "sorting")
        task.sleep(0)
        return a < b
      end)
      assert.is_true(n >= 2)
      for _ = 1, n do assert.equal("sorting", client:message()) end
      local tasks = {}
      for i = 1, 50 do tasks[i] = task.spawn(hub.publish, "news", "t" .. i) end
      for _, one in ipairs(tasks) do assert.equal(1, one:join()) end
      local came = {}
      for i = 1, 50 do came[i] = client:message() end
      table.sort(came)
      for i = 1, 50 do tasks[i] = "t" .. i end
      table.sort(tasks)
      assert.same(tasks, came)
      leave(client)
    end)
  end)

  it("closes a socket that does not keep up, the others go on", function()
    serve(function(connect)
      local slow, fast = connect(listener "flood"), connect(listener "flood")
      local piece, sent, got = ("x"):rep(50000), 0, 0
      repeat
        local n = hub.publish("flood", piece)
        sent = sent + 1
        while got < sent do
          assert.equal(piece, fast:message())
          got = got + 1
        end
      until n == 1
      assert.equal(1, hub.count "flood")
      for _ = 1, sent - 1 do assert.equal(piece, slow:message()) end
      local code, reason = slow:farewell()
      assert.equal(1013, code)
      assert.equal("too slow", reason)
      slow:close()
      leave(fast)
    end, { max_pending = 500000 })
  end)

  it("lets those leave who are being sent to", function()
    serve(function(connect)
      local clients = {}
      for i = 1, 10 do clients[i] = connect(listener "news") end
      for i = 1, 9 do
        leave(clients[i])
        hub.publish("news", "m" .. i)
        task.sleep(0)
      end
      until_true(function() return hub.count "news" == 1 end)
      for i = 1, 9 do assert.equal("m" .. i, clients[10]:message()) end
      leave(clients[10])
    end)
  end)

  it("drops what nobody holds any more", function()
    hub.subscribe "lost"
    collectgarbage()
    collectgarbage()
    assert.equal(0, hub.count "lost")
    assert.equal(0, hub.publish("lost", "x"))
  end)

  it("sends tables as JSON", function()
    local loop <close> = hub.subscribe "news"
    assert.equal(1, hub.publish("news", { tea = { 3, "\u{e9}" } }))
    assert.equal('{"tea":[3,"\u{e9}"]}', loop:receive(0))
    local ok, err = pcall(hub.publish, "news", { print })
    assert.is_false(ok)
    assert.equal("EJSON", err.code)
    serve(function(connect)
      local ann = connect(owner "ann")
      assert.same({ 1, 1, 0 }, { hub.send("ann", { 1 }), hub.present "ann", hub.present "bob" })
      assert.equal("[1]", ann:message())
      leave(ann)
    end)
  end)

  it("refuses what no socket could be sent, before anybody gets it", function()
    local loop <close> = hub.subscribe "news"
    local ok, err = pcall(hub.publish, "news", "\xff")
    assert.is_false(ok)
    assert.equal("EILSEQ", err.code)
    ok, err = pcall(loop.receive, loop, 0)
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
  end)

  it("names misuse, at the caller's line", function()
    local function message(fn, ...) return tostring(select(2, pcall(fn, ...))) end
    local here = debug.getinfo(1, "S").short_src:gsub("%p", "%%%0")
    assert.matches("hub.publish: a topic must be a string, not a nil", message(hub.publish))
    assert.matches("hub.publish: a message must be a string or a table, not a boolean", message(hub.publish, "news", true))
    assert.matches("hub.send: a user must be a string or a number, not a nil", message(hub.send, nil, "x"))
    assert.matches("hub.subscribe: a topic", message(hub.subscribe, 1))
    assert.matches("^" .. here .. ":%d+: hub.count: a topic", message(function()
      local n = hub.count(false)
      return n
    end))
  end)
end)

describe("a loop over hub.subscribe", function()
  -- A task that collects what it hears, and hears no more after "stop".
  local function collector(topic)
    local heard = {}
    local one = task.spawn(function()
      for message in hub.subscribe(topic) do
        heard[#heard + 1] = message
        if message == "stop" then break end
      end
      return table.concat(heard, " ")
    end)
    return one, heard
  end

  it("gets what is published, in order", function()
    local a, b = collector "news", collector "news"
    until_true(function() return hub.count "news" == 2 end)
    for i = 1, 5 do assert.equal(2, hub.publish("news", "m" .. i)) end
    task.sleep(0)
    hub.publish("news", "m6")
    hub.publish("news", "stop")
    assert.equal("m1 m2 m3 m4 m5 m6 stop", a:join())
    assert.equal("m1 m2 m3 m4 m5 m6 stop", b:join())
  end)

  it("ends its subscription when it is left, by break, error and cancel", function()
    local breaks = collector "news"
    local fails = task.spawn(function()
      for _ in hub.subscribe "news" do error "on purpose" end
    end)
    local cancelled = collector "news"
    until_true(function() return hub.count "news" == 3 end)
    hub.publish("news", "stop")
    breaks:join()
    assert.is_false((pcall(fails.join, fails)))
    cancelled:join()
    local heard
    cancelled, heard = collector "news"
    until_true(function() return hub.count "news" == 1 end)
    hub.publish("news", "m1")
    until_true(function() return #heard == 1 end) -- it is in its loop, also when it was preempted before
    cancelled:cancel()
    assert.is_false((pcall(cancelled.join, cancelled)))
    assert.equal(0, hub.count "news")
  end)

  it("that does not keep up loses the oldest, and counts", function()
    local subscription <close> = hub.subscribe "flood"
    for i = 1, 1500 do assert.equal(1, hub.publish("flood", "m" .. i)) end
    assert.equal(1500 - 1024, subscription.lost)
    for i = 1500 - 1024 + 1, 1500 do assert("m" .. i == subscription:receive(TIMEOUT)) end
    local ok, err = pcall(subscription.receive, subscription, 0)
    assert.is_false(ok)
    assert.equal("ETIMEDOUT", err.code)
    assert.equal("hub.receive", err.op)
  end)

  it("waits no longer than it is told, and misses nothing", function()
    local subscription <close> = hub.subscribe "news"
    for i = 1, 20 do
      local ok, err = pcall(subscription.receive, subscription, 0.0005)
      assert.is_false(ok)
      assert.equal("ETIMEDOUT", err.code)
      hub.publish("news", "m" .. i)
      assert.equal("m" .. i, subscription:receive(TIMEOUT))
    end
  end)

  it("may be shared by tasks: each message goes to one", function()
    local subscription <close> = hub.subscribe "work"
    local seen, tasks = {}, {}
    for t = 1, 5 do
      tasks[t] = task.spawn(function()
        for message in subscription do
          table.insert(seen, message)
          task.sleep(0)
        end
      end)
    end
    task.sleep(0)
    for i = 1, 100 do
      hub.publish("work", ("%03d"):format(i))
      if i % 7 == 0 then task.sleep(0) end
    end
    until_true(function() return #seen == 100 end)
    subscription:close()
    for _, one in ipairs(tasks) do one:join() end
    table.sort(seen)
    for i = 1, 100 do assert.equal(("%03d"):format(i), seen[i]) end
  end)

  it("ends when the subscription is closed, whoever does it", function()
    local subscription = hub.subscribe "news"
    local n = 0
    local one = task.spawn(function()
      for _ in subscription do n = n + 1 end
      return "over"
    end)
    hub.publish("news", "x")
    until_true(function() return n == 1 end)
    subscription:close()
    subscription:close()
    assert.equal("over", one:join())
    assert.is_nil(subscription:receive())
    assert.equal(0, hub.publish("news", "y"))
  end)

  it("gives way to the next when the task a message woke is cancelled", function()
    local subscription <close> = hub.subscribe "news"
    local first = task.spawn(subscription.receive, subscription, TIMEOUT)
    local second = task.spawn(subscription.receive, subscription, TIMEOUT)
    task.sleep(0)
    first:cancel()
    hub.publish("news", "for the second")
    assert.equal("for the second", second:join())
    assert.is_false((pcall(first.join, first)))
  end)

  it("and sockets listen to the same topic", function()
    serve(function(connect)
      local client = connect(listener "news")
      local loop <close> = hub.subscribe "news"
      assert.equal(2, hub.publish("news", "both"))
      assert.equal("both", client:message())
      assert.equal("both", loop:receive(TIMEOUT))
      leave(client)
    end)
  end)
end)
