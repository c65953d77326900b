-- SPDX-License-Identifier: MIT
-- A subscription that was dropped without close() left 345 bytes in its topic; one that nobody read held 1,024 messages
-- of any size (2,000 of 100 kB: 98 MB); a socket that was allowed to take one message more took it however large it was
-- (200 MB for a client that reads nothing); and each of the sockets held a copy of its own.
local build = require "build"
local frames = require "http.frames"
local hub = require "green.hub"
local native = require "green.http.native"
local shell = require "shell"
local task = require "green.task"
local ws = require "green.ws"

local TIMEOUT = 20

-- Runs the script in a process of its own; `resident()` there is how many bytes it has. What it printed, as a number.
local function figure(script)
  local out, err, code = shell("$lua script.lua", { ["script.lua"] = [[
    local function resident()
      for line in io.lines "/proc/self/status" do
        local kb = line:match "^VmRSS:%s+(%d+)"
        if kb then return tonumber(kb) * 1024 end
      end
    end
  ]] .. script })
  assert(code == 0, err)
  return tonumber(out) or error(out .. err)
end

describe("a subscription", function()
  it("that was dropped, each of another topic, leaves nothing", function()
    local left = figure [[
      local hub = require "green.hub"
      local function visit(from, to)
        for i = from, to do hub.subscribe("topic " .. i) end
        collectgarbage()
        collectgarbage()
      end
      visit(1, 20000)
      local before = resident()
      for round = 1, 5 do visit(round * 20000 + 1, round * 20000 + 20000) end
      print(resident() - before)
    ]]
    if not build.sanitized then assert.is_true(left < 100000 * 50, left) end
  end)

  it("holds bytes only up to a bound, and the newest message of any size", function()
    local piece = ("x"):rep(100000)
    local one <close> = hub.subscribe "news"
    for i = 1, 100 do hub.publish("news", i .. piece) end
    assert.equal(10, one.waiting)
    assert.equal(90, one.lost)
    for i = 91, 100 do assert.equal(i .. piece, one:receive(0)) end
    local large = ("x"):rep(3 << 20)
    hub.publish("news", "small")
    hub.publish("news", large)
    assert.is_true(large == one:receive(0))
    assert.equal(0, one.waiting)
    assert.equal(91, one.lost)
  end)

  it("has the bounds it is given", function()
    local few <close> = hub.subscribe("news", { max_messages = 3 })
    local small <close> = hub.subscribe("news", { max_bytes = 10 })
    for i = 1, 9 do hub.publish("news", "abcd" .. i) end
    assert.equal(3, few.waiting)
    assert.equal("abcd7", few:receive(0))
    assert.equal(2, small.waiting)
    assert.equal("abcd8", small:receive(0))
    for name, bad in pairs { max_mesages = 3, max_messages = 0, max_bytes = "much" } do
      local ok, err = pcall(hub.subscribe, "news", { [name] = bad })
      assert.is_false(ok)
      assert.matches(name, tostring(err))
    end
    assert.equal(2, hub.count "news")
  end)

  it("shares what it holds with all the others", function()
    local grown = figure [[
      local hub = require "green.hub"
      local all = {}
      for i = 1, 200 do all[i] = hub.subscribe "news" end
      local before = resident()
      for i = 1, 9 do hub.publish("news", i .. ("x"):rep(100000)) end
      print(resident() - before)
      for i = 1, 200 do all[i]:close() end
    ]]
    assert.is_true(grown < 20 << 20, grown) -- copies would be 180 MB
  end)
end)

describe("sockets of a topic", function()
  local function serve(handler, opts, test)
    local server = native.listen("127.0.0.1:0", function(req)
      local socket <close> = ws.accept(req, opts)
      handler(socket)
    end)
    local _ <close> = setmetatable({}, { __close = function() server:abort() end })
    test(server:address())
    server:finish(TIMEOUT)
  end

  it("do not take a message that is more than may wait", function()
    local why, pending
    serve(function(socket)
      local ok
      ok, why = socket:try_send(("x"):rep(4 << 20))
      assert(not ok)
      pending = socket.pending
      socket:subscribe "news"
      socket:receive(TIMEOUT)
    end, nil, function(address)
      local client = frames.connect(address)
      while hub.count "news" == 0 do task.sleep(0.001) end
      assert.equal("slow", why)
      assert.equal(0, pending)
      assert.equal(0, hub.publish("news", ("x"):rep(4 << 20)))
      assert.equal(1013, (client:farewell()))
      client:close()
    end)
  end)

  it("share what waits for their clients", function()
    local grown = figure [[
      local app, hub, net, task = require "green.app".new(), require "green.hub", require "green.net", require "green.task"
      app:ws("/", function(s)
        s:subscribe "news"
        for _ in s:messages() do end
      end, { max_pending = 100 << 20 })
      local server = app:listen "127.0.0.1:0"
      local clients = {}
      for i = 1, 40 do
        clients[i] = net.connect(server:address())
        clients[i]:write("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
          .. "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      end
      while hub.count "news" < 40 do task.sleep(0.001) end
      local before = resident()
      for i = 1, 20 do
        assert(hub.publish("news", ("x"):rep(1 << 20)) == 40)
        task.sleep(0)
      end
      print(resident() - before)
      os.exit(0)
    ]]
    assert.is_true(grown < 120 << 20, grown) -- copies would be 800 MB, less what the kernel takes
  end)

  it("get what they share whole and in order, also when it goes out in parts", function()
    local socket
    serve(function(s)
      socket = s
      s:subscribe "news"
      for _ in s:messages() do end
    end, { max_pending = 100 << 20 }, function(address)
      local clients, sent = {}, {}
      for i = 1, 5 do clients[i] = frames.connect(address) end
      while hub.count "news" < 5 do task.sleep(0.001) end
      for i = 1, 60 do
        sent[i] = i .. ("x"):rep(i % 3 == 0 and 10 or i * 5003)
        assert.equal(5, hub.publish("news", sent[i]))
        if i % 4 == 0 then task.sleep(0) end
        if i % 10 == 0 then assert(socket:try_send("own " .. i)) end
      end
      for c = 1, 5 do
        local own = 0
        for i = 1, 60 do
          local message = clients[c]:message()
          while message:find "^own " do
            own = own + 1
            message = clients[c]:message()
          end
          assert.is_true(sent[i] == message, i)
        end
      end
      for c = 1, 5 do
        clients[c]:raw(frames.close(1000))
        repeat until clients[c]:frame() == frames.CLOSE
        clients[c]:close()
      end
    end)
  end)
end)
