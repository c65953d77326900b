-- SPDX-License-Identifier: MIT
-- WebSockets through response.proxy: messages, goodbyes, refusals and lost connections, in both directions.
local frames = require "http.frames"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"
local ws = require "green.ws"
local ws_server = require "http.ws_server"
require "green.app"

local T = 20
local failure, eventually = outcome.failure, outcome.eventually

-- Runs test(url, inside) with a gateway in front of a server whose requests become WebSockets for the handler.
local function through(handler, test, opts, accepting)
  ws_server.serve(handler, accepting, function(inside)
    raw.serve(function() return response.proxy("http://" .. inside, opts) end, nil, function(front) test("ws://" .. front .. "/a?b=c", inside) end)
  end)
end

-- The same in front of a server of the test's own, which answers plain requests.
local function before(handler, test, opts)
  raw.serve(handler, nil, function(inside)
    raw.serve(function() return response.proxy("http://" .. inside, opts) end, nil, function(front) test("ws://" .. front .. "/", inside) end)
  end)
end

local function refusal(url, opts) return failure(ws.connect, url, opts).response end

describe("a WebSocket through response.proxy", function()
  it("carries text and bytes of any size, both ways", function()
    through(ws_server.echo, function(url)
      local socket <close> = ws.connect(url, { max_message = 1 << 22 })
      for _, size in ipairs { 0, 1, 126, 65536, 3000000 } do
        for _, kind in ipairs { "text", "binary" } do
          local message = (kind == "text" and "é" or "\xff\0"):rep(size // 2)
          if kind == "text" then socket:send(message) else socket:send_binary(message) end
          local got, what = socket:receive(T)
          assert.is_true(got == message)
          assert.equal(kind, what)
        end
      end
    end, { max_message = 1 << 22 }, { max_message = 1 << 22 })
  end)

  it("shows the upstream who asks, by the headers of any request", function()
    local seen
    through(function(_, req) seen = req end, function(url, inside)
      local socket <close> = ws.connect(url, { headers = { Cookie = "a=1", Origin = "http://" .. inside, ["X-Forwarded-For"] = "6.6.6.6", ["Sec-Fetch-Mode"] = "websocket" } })
      socket:receive(T)
      assert.same({ "/a?b=c", "a=1", "127.0.0.1", "http", inside, "websocket", nil },
        { seen.target, seen.headers.cookie, seen.headers["x-forwarded-for"], seen.headers["x-forwarded-proto"], seen.headers.host, seen.headers["sec-fetch-mode"], seen.headers.forwarded })
      assert.equal(url:match "//([^/]*)", seen.headers["x-forwarded-host"])
    end)
    through(function(_, req) seen = req end, function(url)
      local socket <close> = ws.connect(url)
      socket:receive(T)
      assert.same({ "other.example", "a" }, { seen.headers.host, seen.headers["x-add"] })
    end, { headers = { Host = "other.example", ["X-Add"] = "a" } })
  end)

  it("has the protocol that the upstream has chosen", function()
    through(function(socket) socket:send(socket.protocol or "none") end, function(url)
      for wanted, offered in pairs { two = { "one", "two" }, three = { "three", "two" }, none = { "one" } } do
        local socket <close> = ws.connect(url, { protocols = offered })
        assert.equal(wanted, socket:receive(T))
        assert.equal(wanted ~= "none" and wanted or nil, socket.protocol)
      end
    end, nil, { protocols = { "three", "two" } })
  end)

  it("ends with the words of whoever ends it", function()
    local codes, told = task.channel(10), nil
    local function handler(socket)
      for message in socket:messages() do
        local code, reason = message:match "^(%d+) (.*)$"
        if code then socket:close(math.tointeger(code), reason) else socket:close() end
      end
      told = { socket.close_code, socket.close_reason }
      codes:send(true)
    end
    through(handler, function(url)
      for _, code in ipairs { 1000, 1001, 1011, 3000, 4999 } do
        local socket <close> = ws.connect(url)
        socket:send(code .. " upstream's")
        assert.is_nil(socket:receive(T))
        assert.same({ code, "upstream's" }, { socket.close_code, socket.close_reason })
        codes:receive(T)
        local other <close> = ws.connect(url)
        other:close(code, "client's")
        codes:receive(T)
        assert.same({ code, "client's" }, told)
      end
      local address = url:match "//([^/]*)"
      local _ <close> = frames.connect(address, { path = "/", behind = "\x88\x80\0\0\0\0" }) -- a close frame without a code
      codes:receive(T)
      assert.equal(1000, told[1])
    end)
  end)

  it("tells one side of the other that went without a word", function()
    local far, told = nil, task.channel(1)
    through(function(socket)
      far = socket
      socket:send "hello"
      for _ in socket:messages() do end
      told:send(socket.close_code)
    end, function(url)
      local left = ws.connect(url)
      left:receive(T)
      left:terminate()
      assert.equal(1001, told:receive(T))
      local stays <close> = ws.connect(url)
      stays:receive(T)
      far:terminate()
      assert.is_nil(stays:receive(T))
      assert.equal(1014, stays.close_code)
      told:receive(T)
    end)
  end)

  it("is refused as the upstream refuses", function()
    before(function(req)
      if req.path == "/" then return response.json({ no = true }, 401, { ["www-authenticate"] = "Basic", ["set-cookie"] = { "a=1", "b=2" } }) end
    end, function(url)
      local answer = refusal(url)
      assert.same({ 401, "Basic", "a=1, b=2", nil }, { answer.status, answer.headers["www-authenticate"], answer.headers["set-cookie"], answer.headers["content-type"] })
      assert.equal(502, refusal(url .. "nothing").status) -- 204 opens no WebSocket, and is no refusal
    end)
    through(function() end, function(url)
      local answer = refusal(url, { headers = { Origin = "http://evil.example" } })
      assert.equal(403, answer.status)
    end)
  end)

  it("to an upstream that is not there, or does not speak, is 502, and 504 when it is late", function()
    local listener = net.listen "127.0.0.1:0"
    local address = listener:address()
    raw.serve(function() return response.proxy("http://" .. address, { timeout = 0.05 }) end, nil, function(front)
      assert.equal(504, refusal("ws://" .. front .. "/").status)
      listener:close()
      assert.equal(502, refusal("ws://" .. front .. "/").status)
    end)
    raw.answering(function(socket) socket:write "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n" end, function(inside)
      raw.serve(function() return response.proxy("http://" .. inside) end, nil, function(front) assert.equal(502, refusal("ws://" .. front .. "/").status) end)
    end)
  end)

  it("that the client gives up while the upstream is asked leaves nothing", function()
    local asked, ended = task.channel(1), task.channel(1)
    local listener <close> = net.listen "127.0.0.1:0"
    local waiting = task.spawn(function()
      local socket <close> = listener:accept()
      socket:read()
      asked:send(true)
      ended:send(socket:read() == nil)
    end)
    raw.serve(function() return response.proxy("http://" .. listener:address()) end, nil, function(front)
      local client = raw.connect(front)
      client:send("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
      asked:receive(T)
      client:close()
      assert.is_true(ended:receive(T))
    end)
    waiting:wait()
  end)

  it("is held back by the slower side, and nothing is lost", function()
    local N, text = 600, {} -- more than the buffers of four sockets, and nothing that compresses
    for i = 1, 8000 do text[i] = ("%08x"):format(math.random(0) & 0xffffffff) end
    text = table.concat(text)
    local sent = 0
    through(function(socket)
      for i = 1, N do
        socket:send(i .. text)
        sent = i
      end
      socket:close()
    end, function(url)
      local socket <close> = ws.connect(url)
      local before_read
      eventually(function() -- it stands still: buffers are full
        local now = sent
        task.sleep(0.02)
        before_read = sent
        return now == sent and now > 0
      end)
      assert.is_true(before_read < N)
      local i = 0
      for message in socket:messages() do
        i = i + 1
        assert.is_true(message == i .. text)
      end
      assert.equal(N, i)
    end)
  end)

  it("takes a message as large as it is told, from either side", function()
    local told = task.channel(1)
    through(function(socket)
      local message = socket:receive(T)
      if message == "big" then socket:send(("x"):rep(2000)) end
      socket:receive(T)
      told:send(socket.close_code)
    end, function(url)
      local one <close> = ws.connect(url)
      one:send(("x"):rep(1001))
      assert.is_nil(one:receive(T))
      assert.equal(1009, one.close_code)
      assert.is_truthy(told:receive(T))
      local other <close> = ws.connect(url)
      other:send "big"
      assert.is_nil(other:receive(T))
      assert.equal(1009, told:receive(T))
    end, { max_message = 1000 })
  end)

  it("lives on for longer than its request's limit of CPU time has room for", function()
    ws_server.serve(function(socket)
      for i = 1, 20000 do socket:send("tick " .. i) end
      socket:close()
    end, nil, function(inside)
      raw.serve(function() return response.proxy("http://" .. inside) end, { cpu_limit = 0.05 }, function(front)
        local socket <close> = ws.connect("ws://" .. front .. "/")
        local n = 0
        for _ in socket:messages() do n = n + 1 end
        assert.same({ 20000, 1000 }, { n, socket.close_code })
      end)
    end)
  end)

  it("ends when the gateway stops, for both sides", function()
    local told = task.channel(1)
    ws_server.serve(function(socket)
      for _ in socket:messages() do end
      told:send(socket.close_code)
    end, nil, function(inside)
      local server = native.listen("127.0.0.1:0", function() return response.proxy("http://" .. inside) end)
      local socket <close> = ws.connect("ws://" .. server:address() .. "/")
      local stopping = task.spawn(server.finish, server, T)
      assert.is_nil(socket:receive(T))
      assert.equal(1001, socket.close_code)
      assert.equal(1001, told:receive(T))
      stopping:wait()
    end)
  end)

  it("serves many at once, and gives all back", function()
    through(ws_server.echo, function(url)
      task.group(function(group)
        for i = 1, 50 do
          group:spawn(function()
            local socket <close> = ws.connect(url)
            for j = 1, 20 do
              socket:send(i .. ":" .. j)
              assert.equal(i .. ":" .. j, socket:receive(T))
            end
          end)
        end
      end)
    end)
  end)

  it("is asked for by GET and Upgrade alone; what looks like it is a request", function()
    before(function(req) return { req.method, req.headers.upgrade or "none" } end, function(url)
      local address = url:match "//([^/]*)"
      local got = raw.ask(address, "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n")
      assert.equal('["POST","none"]', got.body)
      got = raw.ask(address, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n")
      assert.equal('["GET","none"]', got.body)
    end)
  end)
end)
