-- SPDX-License-Identifier: MIT
-- The client's side of WebSockets: against our own server, against sockets that say what they like, and against Python's websockets.
-- Needs: peers
local certificates = require "net.certificates"
local frames = require "http.frames"
local hub = require "green.hub"
local native = require "green.http.native"
local net = require "green.net"
local outcome = require "outcome"
local process = require "green.process"
local raw = require "http.raw"
local response = require "green.response"
local task = require "green.task"
local ws = require "green.ws"
local ws_server = require "http.ws_server"

local PYTHON = require "peers.python"
local TIMEOUT = 20

local failure, eventually = outcome.failure, outcome.eventually

local echo = ws_server.echo

local function serve(handler, opts, test, listening)
  ws_server.serve(handler, opts, function(address, ...) return test("ws://" .. address .. "/", ...) end, nil, listening)
end

-- A server that answers each handshake with what `answer(key, socket)` returns; nil closes. Runs test(url, heads).
local function answering(answer, test)
  local heads = {}
  raw.answering(function(socket, head)
    heads[#heads + 1] = head
    local bytes = answer(head:match "Sec%-WebSocket%-Key: ([^\r]*)", socket)
    if bytes then socket:write(bytes) end
    pcall(socket.read, socket, 65536, TIMEOUT) -- the client's close frame
  end, function(address) test("ws://" .. address .. "/", heads) end)
end

local SHA1 = [[import sys,hashlib,base64;print(base64.b64encode(hashlib.sha1((sys.argv[1]+"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode(),end="")]]

local function accept_of(key) return process.capture({ PYTHON, "-c", SHA1, key }).stdout end

local function switching(key, more)
  return "HTTP/1.1 101 Go\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: " .. accept_of(key) .. "\r\n" .. (more or "") .. "\r\n"
end

describe("ws.connect", function()
  it("gives the socket that a server has", function()
    local far
    serve(function(socket)
      far = socket
      echo(socket)
    end, { max_message = 1 << 22 }, function(url)
      local socket <close> = ws.connect(url, { max_message = 1 << 22 })
      assert.is_true(socket.open)
      assert.is_nil(socket.protocol)
      for _, size in ipairs { 0, 1, 125, 126, 1023, 1024, 65535, 65536, 600000, 3000000 } do
        local text = ("é!"):rep(size // 3 + 1)
        assert.is_true(socket:send(text))
        local got, kind = socket:receive(TIMEOUT)
        assert.equal("text", kind)
        assert.is_true(got == text, size)
        socket:send_binary(text .. "\xff")
        got, kind = socket:receive(TIMEOUT)
        assert.equal("binary", kind)
        assert.is_true(got == text .. "\xff", size)
      end
      socket:json { a = 1 }
      assert.equal('{"a":1}', (socket:receive(TIMEOUT)))
      assert.is_true(socket:try_send("\xff", "binary"))
      assert.same({ "\xff", "binary" }, { socket:receive(TIMEOUT) })
      assert.is_true(socket:ping "are you there?")
      socket:close(3001, "bye")
      assert.is_false(socket.open)
      assert.equal(3001, socket.close_code) -- the server has answered with the same
      eventually(function() return not far.open end)
      assert.same({ 3001, "bye" }, { far.close_code, far.close_reason })
      assert.equal("EPIPE", failure(socket.send, socket, "x").code)
      assert.is_nil((socket:receive(TIMEOUT)))
    end)
  end)

  it("is told the end by the server", function()
    serve(function(socket)
      socket:send "last"
      socket:close(1001, "enough")
    end, nil, function(url)
      local socket = ws.connect(url)
      local all = {}
      for message in socket:messages() do all[#all + 1] = message end
      assert.same({ "last" }, all)
      assert.same({ 1001, "enough", false }, { socket.close_code, socket.close_reason, socket.open })
      assert.equal("EPIPE", failure(socket.send, socket, "x").code)
    end)
  end)

  it("chooses a subprotocol, and both sides know it", function()
    local there
    serve(function(socket)
      there = socket.protocol
      echo(socket)
    end, { protocols = { "v2", "v1" } }, function(url)
      local socket <close> = ws.connect(url, { protocols = { "v1", "v3" } })
      assert.equal("v1", socket.protocol)
      socket:send "x"
      socket:receive(TIMEOUT)
      assert.equal("v1", there)
    end)
  end)

  it("sends the path, the query, headers and who we are", function()
    answering(function(key) return switching(key) end, function(url, heads)
      local socket <close> = ws.connect(url .. "chat?a=1&b=%20", { headers = { Origin = "http://a.test", Cookie = { "a=1", "b=2" } }, auth = { "ann", "secret" } })
      assert.is_true(socket.open)
      assert.matches("^GET /chat%?a=1&b=%%20 HTTP/1.1\r\nHost: 127.0.0.1:%d+\r\n", heads[1])
      for _, line in ipairs { "Origin: http://a.test", "Cookie: a=1", "Cookie: b=2", "Authorization: Basic YW5uOnNlY3JldA==", "Upgrade: websocket",
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits" } do
        assert.truthy(heads[1]:find("\r\n" .. line .. "\r\n", 1, true), line)
      end
    end)
  end)

  it("speaks TLS, and checks the certificate", function()
    local certs <close> = certificates()
    serve(echo, nil, function(url)
      url = url:gsub("ws://127.0.0.1", "wss://localhost")
      local socket <close> = ws.connect(url, { ca = certs.ca })
      socket:send(("x"):rep(100000))
      assert.equal(("x"):rep(100000), (socket:receive(TIMEOUT)))
      socket:close()
      assert.equal("ETLS", failure(ws.connect, url).code)
      local other <close> = ws.connect(url, { verify = false })
      other:send "x"
      assert.equal("x", (other:receive(TIMEOUT)))
    end, { tls = { cert = certs.site.cert, key = certs.site.key } })
  end)

  it("goes through a proxy", function()
    local certs <close> = certificates()
    local asked = {}
    local function proxy(socket, head)
      asked[#asked + 1] = head
      if not head:find("Proxy-Authorization: Basic dTpw\r\n", 1, true) then return socket:write "HTTP/1.1 407 No\r\n\r\n" end
      local there <close> = net.connect("127.0.0.1:" .. head:match "^CONNECT [^:]*:(%d+)")
      socket:write "HTTP/1.1 200 Yes\r\n\r\n"
      local back = task.spawn(function()
        pcall(function() for bytes in function() return there:read(65536, TIMEOUT) end do socket:write(bytes) end end)
        socket:close()
      end)
      pcall(function() for bytes in function() return socket:read(65536, TIMEOUT) end do there:write(bytes) end end)
      back:cancel()
    end
    raw.answering(proxy, function(through)
      for scheme, listening in pairs { ws = false, wss = { tls = { cert = certs.site.cert, key = certs.site.key } } } do
        serve(echo, nil, function(url)
          url = url:gsub("ws://127.0.0.1", scheme .. "://localhost")
          do
            local socket <close> = ws.connect(url, { ca = certs.ca, proxy = "http://u:p@" .. through })
            socket:send "hello"
            assert.equal("hello", (socket:receive(TIMEOUT)))
          end
          assert.matches("^CONNECT localhost:%d+ HTTP/1.1\r\nHost: localhost:%d+\r\n", asked[#asked])
          local e = failure(ws.connect, url, { ca = certs.ca, proxy = "http://" .. through })
          assert.same({ "EPROXY", 407 }, { e.code, e.response.status })
          assert.is_nil(e.status) -- a server would answer with it
        end, listening or nil)
      end
    end)
  end)

  it("goes to a unix socket", function()
    local path = os.tmpname()
    os.remove(path)
    local server = native.listen("unix:" .. path, function(req)
      local socket <close> = ws.accept(req)
      echo(socket)
    end)
    local socket <close> = ws.connect("ws://here/x", { unix = path })
    socket:send "x"
    assert.equal("x", (socket:receive(TIMEOUT)))
    socket:close()
    server:finish(TIMEOUT)
  end)

  it("says what a server answered instead", function()
    local server = native.listen("127.0.0.1:0", function()
      local res = response.text("no", 403)
      res:header("x-why", "because")
      return res
    end)
    local e = failure(ws.connect, "ws://" .. server:address() .. "/")
    assert.same({ "EPROTO", 403, "because" }, { e.code, e.response.status, e.response.headers["x-why"] })
    assert.matches("the server answered 403 Forbidden instead of opening a WebSocket", e.message)
    assert.is_nil(e.status)
    server:finish(TIMEOUT)
  end)

  it("refuses an answer that is none of RFC 6455", function()
    for what, answer in pairs {
      ["another request"] = function() return switching "dGhlIHNhbXBsZSBub25jZQ==" end,
      ["no WebSocket"] = function(key) return (switching(key):gsub("Upgrade: WebSocket", "Upgrade: h2c")) end,
      ["to no WebSocket"] = function(key) return (switching(key):gsub("Connection: keep%-alive, Upgrade", "Connection: upgraded")) end,
      ["not offered"] = function(key) return switching(key, "Sec-WebSocket-Protocol: v9\r\n") end,
      ["extensions that were not offered"] = function(key) return switching(key, "Sec-WebSocket-Extensions: permessage-deflate; what\r\n") end,
      ["that were not offered"] = function(key) return switching(key, "Sec-WebSocket-Extensions: permessage-deflate\r\n") end, -- with takeover
      ["were not offered"] = function(key) return switching(key, "Sec-WebSocket-Extensions: x-other\r\n") end,
      ["no answer of HTTP/1"] = function() return "SSH-2.0-OpenSSH\r\n\r\n" end,
      ["HTTP/1"] = function() return "HTTP/1.1 101 Go\r\nbad line\r\n\r\n" end,
      ["more than 16384 bytes"] = function() return "HTTP/1.1 101 Go\r\nX: " .. ("x"):rep(100000) end,
    } do
      answering(answer, function(url)
        local e = failure(ws.connect, url, { protocols = { "v1" } })
        assert.equal("EPROTO", e.code, what)
        assert.truthy(e.message:find(what, 1, true), e.message)
      end)
    end
    answering(function(_, socket) socket:close() end, function(url) assert.equal("ECONNRESET", failure(ws.connect, url).code) end)
  end)

  it("takes what comes right behind the handshake, and an end, too", function()
    answering(function(key, socket)
      socket:write(switching(key) .. frames.text("one", { mask = false }) .. frames.text("two", { mask = false }) .. frames.close(1001, "x", { mask = false }))
      socket:shutdown()
    end, function(url)
      local socket = ws.connect(url)
      assert.same({ "one", "two" }, { (socket:receive(TIMEOUT)), (socket:receive(TIMEOUT)) })
      assert.is_nil((socket:receive(TIMEOUT)))
      assert.equal(1001, socket.close_code)
    end)
  end)

  it("takes a handshake byte by byte", function()
    answering(function(key, socket)
      local all = switching(key) .. frames.text("one", { mask = false })
      for i = 1, #all do
        socket:write(all:sub(i, i))
        task.sleep(0)
      end
    end, function(url)
      local socket <close> = ws.connect(url)
      assert.equal("one", (socket:receive(TIMEOUT)))
    end)
  end)

  it("fails a server that masks", function()
    answering(function(key) return switching(key) .. frames.text "masked" end, function(url)
      local socket = ws.connect(url)
      assert.is_nil((socket:receive(TIMEOUT)))
      assert.equal(1002, socket.close_code)
    end)
  end)

  it("masks each frame with a key of its own", function()
    local keys = {}
    answering(function(key, socket)
      socket:write(switching(key))
      local bytes = ""
      while #bytes < 10 * 11 do bytes = bytes .. socket:read(65536, TIMEOUT) end
      for i = 0, 9 do
        assert(bytes:byte(i * 11 + 2) == 0x85)
        keys[bytes:sub(i * 11 + 3, i * 11 + 6)] = true
      end
      socket:close()
    end, function(url)
      local socket = ws.connect(url)
      for _ = 1, 10 do socket:send "hello" end
      assert.is_nil((socket:receive(TIMEOUT)))
    end)
    local n = 0
    for _ in pairs(keys) do n = n + 1 end
    assert.is_true(n >= 9)
  end)

  it("ends in time", function()
    answering(function(_, socket) socket:read(1, TIMEOUT) end, function(url)
      local e = failure(ws.connect, url, { timeout = 0.05 })
      assert.equal("ETIMEDOUT", e.code)
      assert.equal("EDEADLINE", failure(task.deadline, 0.05, ws.connect, url).code)
    end)
    assert.equal("ECONNREFUSED", failure(ws.connect, "ws://127.0.0.1:1/").code)
  end)

  it("is cancelled in any of its waits", function()
    answering(function(_, socket) socket:read(1, TIMEOUT) end, function(url, heads)
      local connecting = task.spawn(ws.connect, url)
      eventually(function() return #heads == 1 end)
      connecting:cancel()
      assert.equal("ECANCELED", failure(connecting.join, connecting).code)
    end)
    serve(function(socket) socket:receive() end, nil, function(url)
      local socket <close> = ws.connect(url)
      assert.equal("EDEADLINE", failure(task.deadline, 0.02, socket.receive, socket).code)
      assert.is_true(socket.open)
      assert.equal("ETIMEDOUT", failure(socket.receive, socket, 0.02).code)
    end)
  end)

  it("names what is wrong with its arguments", function()
    local function said(...)
      local _, e = pcall(ws.connect, ...)
      return tostring(e)
    end
    assert.matches("ws.connect: unknown option 'protocol'; did you mean 'protocols'%?", said("ws://a/", { protocol = "x" }))
    assert.matches("option 'protocols'%[1%]: a name without blanks and commas expected, not 'a b'", said("ws://a/", { protocols = { "a b" } }))
    serve(echo, nil, function(url)
      assert.matches("ws.connect: header 'sec%-websocket%-key': the handshake has it already", said(url, { headers = { ["sec-websocket-key"] = "x" } }))
    end)
    assert.matches("ws.connect: tls: unknown option 'certificate'", said("ws://a/", { tls = { certificate = "x" } }))
    assert.matches("ws.connect: url: a string expected", said(nil))
    assert.equal("EINVAL", failure(ws.connect, "ftp://a/").code)
    assert.equal("EINVAL", failure(ws.connect, "ws://a/#x").code)
    assert.equal("EINVAL", failure(ws.connect, "/x").code)
  end)

  it("listens to topics as a server's sockets do", function()
    local got = {}
    serve(function(socket)
      for message in socket:messages() do got[#got + 1] = message end
    end, nil, function(url)
      local socket <close> = ws.connect(url)
      socket:subscribe "relay"
      local long = ("news "):rep(1000)
      assert.equal(1, hub.publish("relay", long))
      assert.equal(1, hub.publish("relay", "short"))
      eventually(function() return #got == 2 end)
      assert.same({ long, "short" }, got)
    end)
  end)

  it("is closed when nobody has it any more", function()
    local over = {}
    serve(function(socket)
      while socket:receive() do end
      over[#over + 1] = socket.close_code
    end, nil, function(url)
      ws.connect(url)
      eventually(function()
        collectgarbage()
        return #over == 1
      end)
      local last = ws.connect(url)
      last:terminate()
      assert.is_false(last.open)
      eventually(function() return #over == 2 end)
      assert.same({ 1001, 1006 }, over)
      assert.equal(1006, last.close_code)
    end)
  end)
end)

describe("ws.reconnect", function()
  local FAST = { min_delay = 0.001, max_delay = 0.002 }

  it("comes back until the loop is left", function()
    local number = 0
    serve(function(socket)
      number = number + 1
      if number % 3 == 0 then socket:terminate() else socket:send(("%d"):format(number)) end
    end, nil, function(url)
      local got = {}
      for socket in ws.reconnect(url, FAST) do
        local message = socket:receive(TIMEOUT)
        got[#got + 1] = tonumber(message)
        if #got == 7 then break end
      end
      assert.same({ 1, 2, 4, 5, 7, 8, 10 }, got)
    end)
  end)

  it("tries again while there is no server, and gives up when it was told so", function()
    local listener = net.listen "127.0.0.1:0"
    local address = listener:address()
    listener:close()
    assert.equal("ECONNREFUSED", failure(ws.reconnect("ws://" .. address, { attempts = 3, min_delay = 0.001 })).code)
    local seen
    local waiting = task.spawn(function()
      for socket in ws.reconnect("ws://" .. address, FAST) do
        seen = socket:receive(TIMEOUT)
        break
      end
    end)
    task.sleep(0)
    local server = native.listen(address, function(req)
      local socket <close> = ws.accept(req)
      socket:send "back"
      socket:receive()
    end)
    waiting:join()
    assert.equal("back", seen)
    server:finish(TIMEOUT)
  end)

  it("does not try again what will be the same", function()
    local count = 0
    local server = native.listen("127.0.0.1:0", function()
      count = count + 1
      return response.text("no", count < 3 and 503 or 404)
    end)
    assert.equal(404, failure(ws.reconnect("ws://" .. server:address(), FAST)).response.status)
    assert.equal(3, count)
    server:finish(TIMEOUT)
    assert.equal("EINVAL", failure(ws.reconnect("ftp://x", FAST)).code)
  end)

  it("ends with its task", function()
    local listener = net.listen "127.0.0.1:0"
    local address = listener:address()
    listener:close()
    local trying = task.spawn(function() for _ in ws.reconnect("ws://" .. address, FAST) do end end)
    task.sleep(0.01)
    trying:cancel()
    assert.equal("ECANCELED", failure(trying.join, trying).code)
    assert.equal("EDEADLINE", failure(task.deadline, 0.02, ws.reconnect("ws://" .. address, { min_delay = 60 })).code)
  end)
end)

describe("a script", function()
  it("that ends has said goodbye", function()
    local codes = {}
    serve(function(socket)
      while socket:receive() do end
      codes[#codes + 1] = socket.close_code
    end, nil, function(url)
      local script = os.tmpname()
      local file <close> = assert(io.open(script, "w"))
      file:write(([[
        local ws = require "green.ws"
        local socket = ws.connect "%s"
        socket:send "hello"
        socket:shut(3007)
      ]]):format(url))
      file:close()
      local got = process.capture({ require "interpreter", script }, { timeout = 60 })
      os.remove(script)
      assert.same({ 0, "" }, { got.code, got.stderr })
      eventually(function() return codes[1] end)
      assert.equal(3007, codes[1])
    end)
  end)
end)

describe("Python's websockets", function()
  local SERVER = [[
import asyncio, websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory as Deflate
async def echo(socket):
    async for message in socket:
        await socket.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0, max_size=None, compression=None, extensions=[Deflate()]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
]]

  it("sends back what it got, compressed in each way", function()
    local server = process.spawn({ PYTHON, "-c", SERVER }, { stdout = "pipe" })
    local port = server.stdout:read "l"
    for _, compression in ipairs { true, false, { context_takeover = true, threshold = 1 }, { window_bits = 9 }, { window_bits = 10, context_takeover = true } } do
      local socket <close> = ws.connect("ws://127.0.0.1:" .. port, { compression = compression })
      for _, size in ipairs { 0, 1, 200, 1023, 1024, 5000, 100000, 100000 } do
        local text = {}
        for i = 1, size // 4 do text[i] = ("%03d "):format(i * 7919 % 997) end
        text = table.concat(text)
        socket:send(text)
        assert.is_true(text == socket:receive(TIMEOUT))
        socket:send_binary(text)
        assert.is_true(text == socket:receive(TIMEOUT))
      end
      socket:close()
      assert.equal(1000, socket.close_code)
    end
    server:kill()
    server:wait()
  end)
end)
