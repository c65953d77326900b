-- SPDX-License-Identifier: MIT
-- The WebSocket server, frame by frame (frames.lua), and with node's WebSocket as a second opinion.
-- Needs: node
local frames = require "http.frames"
local native = require "green.http.native"
local outcome = require "outcome"
local task = require "green.task"
local ws = require "green.ws"
local ws_server = require "http.ws_server"

local failure, until_true, waiting = outcome.failure, outcome.eventually, outcome.waiting

local TIMEOUT = 20

local server_of, serve, echo = ws_server.listen, ws_server.serve, ws_server.echo

-- A handler that reports what it returned to the test, and the function that waits for it.
local function reporting(handler)
  local result
  local function run(socket, req)
    result = table.pack(pcall(handler, socket, req))
    if not result[1] then error(result[2], 0) end
  end
  return run, function()
    for _ = 1, 20000 do
      if result then return table.unpack(result, 1, result.n) end
      task.sleep(0.001)
    end
    error "the handler did not end"
  end
end

local function turns(n) for _ = 1, n or 5 do task.sleep(0) end end

describe("the handshake", function()
  local function refused(headers, o)
    local status, answer
    serve(echo, o, function(address)
      local client
      client, status, answer = frames.ask(address, { headers = headers })
      client:close()
    end)
    return tonumber(status:match " (%d+) "), answer
  end

  local function accepted(headers, o)
    local status, answer = refused(headers, o)
    assert.equal(101, status)
    return answer
  end

  it("answers the sample key of the RFC", function()
    local answer = accepted {}
    assert.equal("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", answer["sec-websocket-accept"])
    assert.equal("websocket", answer.upgrade)
    assert.equal("Upgrade", answer.connection)
    assert.is_nil(answer["sec-websocket-protocol"])
  end)

  it("wants version 13, and says so", function()
    for _, version in ipairs { false, "8", "113", "13, 8" } do
      local status, answer = refused { ["Sec-WebSocket-Version"] = version }
      assert.equal(426, status)
      assert.equal("13", answer["sec-websocket-version"])
      assert.equal("websocket", answer.upgrade)
    end
  end)

  it("wants a key of 16 bytes", function()
    for _, key in ipairs { false, "", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBs ZSBub25jZ==", ("x"):rep(200) } do
      assert.equal(400, (refused { ["Sec-WebSocket-Key"] = key }))
    end
  end)

  it("wants Upgrade: websocket and Connection: upgrade, in any case and list", function()
    assert.equal(426, (refused { Upgrade = false }))
    assert.equal(426, (refused { Upgrade = "websocketx" }))
    assert.equal(426, (refused { Connection = "keep-alive" }))
    accepted { Upgrade = "h2c, WebSocket", Connection = "keep-alive,UPGRADE" }
    accepted { Connection = "keep-alive\r\nConnection: Upgrade" }
  end)

  it("wants GET", function()
    serve(echo, nil, function(address)
      local client, status = frames.ask(address, { request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n" })
      assert.matches(" 426 ", status)
      client:close()
    end)
  end)

  it("refuses pages of other sites", function()
    assert.equal(403, (refused { Origin = "http://evil.example" }))
    assert.equal(403, (refused { Origin = "null" }))
    assert.equal(403, (refused { Origin = "http://evil.example/http://here" }))
    assert.equal(403, (refused { Origin = "http://here.evil.example" }))
    assert.equal(403, (refused({ Origin = "http://b.example" }, { origins = { "http://a.example" } })))
  end)

  it("takes pages of this site, of listed ones, and of all", function()
    accepted { Origin = "http://here" }
    accepted { Origin = "https://HERE" }
    accepted({ Origin = "http://b.example" }, { origins = { "http://a.example", "http://b.example" } })
    accepted({ Origin = "http://b.example" }, { origins = "http://b.example" })
    accepted({ Origin = "http://b.example" }, { origins = "*" })
  end)

  it("chooses a subprotocol, ours first, to the letter", function()
    local function chosen(offer) return accepted({ ["Sec-WebSocket-Protocol"] = offer }, { protocols = { "v2", "v1" } })["sec-websocket-protocol"] end
    assert.equal("v2", chosen "v1, v2")
    assert.equal("v1", chosen "v1")
    assert.equal("v2", chosen "v1\r\nSec-WebSocket-Protocol: v2")
    assert.is_nil(chosen "V1")
    assert.is_nil(chosen "v3, v11")
    assert.is_nil(chosen(false))
  end)

  it("names an option that is wrong", function()
    local wrong
    local server = native.listen("127.0.0.1:0", function(req)
      wrong = {}
      for name, value in pairs { max_message = "much", ping_interval = -1, idle_timeout = 0 / 0, protocols = "v1" } do
        local _, err = pcall(ws.accept, req, { [name] = value })
        if not tostring(err):find("'" .. name .. "'", 1, true) then wrong[#wrong + 1] = name .. ": " .. tostring(err) end
      end
    end)
    local client = frames.ask(server:address())
    client:close()
    server:finish(TIMEOUT)
    assert.same({}, wrong)
  end)

  it("happens once", function()
    local err
    local server = native.listen("127.0.0.1:0", function(req)
      local _ <close> = ws.accept(req)
      err = failure(ws.accept, req)
    end)
    local client = frames.connect(server:address())
    assert.equal(1000, client:farewell())
    server:finish(TIMEOUT)
    assert.equal("ECLOSED", err.code)
  end)

  it("may have frames right behind it", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address, { behind = frames.text "early" .. frames.text "bird" })
      assert.equal("early", client:message())
      assert.equal("bird", client:message())
      client:close()
    end)
  end)

  it("may have everything behind it, the end too", function()
    local handler, result = reporting(function(socket)
      local all = {}
      for message in socket:messages() do all[#all + 1] = message end
      return table.concat(all, ","), socket.close_code
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address, { behind = frames.text "a" .. frames.text "b" .. frames.close(4000, "bye") })
      local _, all, code = result()
      assert.equal("a,b", all)
      assert.equal(4000, code)
      assert.equal(4000, client:closing())
      assert.is_nil(client:frame())
      client:close()
    end)
  end)

  it("may be followed by the end of the connection at once", function()
    local go
    local handler, result = reporting(function(socket)
      return socket:receive(TIMEOUT), socket:receive(TIMEOUT), socket.close_code
    end)
    local server = native.listen("127.0.0.1:0", function(req)
      until_true(function() return go end)
      local socket <close> = ws.accept(req)
      handler(socket)
    end)
    local net = require "green.net"
    local socket = net.connect(server:address())
    socket:write("GET / HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" .. frames.text "last words")
    socket:shutdown()
    task.sleep(0.01)
    go = true
    local _, message, over, code = result()
    assert.equal("last words", message)
    assert.is_nil(over)
    assert.equal(1006, code)
    assert.matches("^HTTP/1.1 101 ", socket:read(65536, TIMEOUT))
    socket:close()
    server:finish(TIMEOUT)
  end)
end)

describe("messages", function()
  it("of all sizes come back as they were", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      for _, n in ipairs { 0, 1, 125, 126, 127, 65535, 65536, 1 << 20 } do
        local text = ("abcdefgh"):rep(n // 8 + 1):sub(1, n)
        client:text(text)
        assert.is_true(client:message() == text)
        local bytes = ("\0\xff\x80\xc3"):rep(n // 4 + 1):sub(1, n)
        client:binary(bytes)
        assert.is_true(client:expect(frames.BINARY) == bytes)
      end
      client:close()
    end)
  end)

  it("are unmasked", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      for _, key in ipairs { "abcd", "\xff\0\x01\x80" } do
        client:text("grüße, " .. ("x"):rep(1000), { mask = key })
        assert.equal("grüße, " .. ("x"):rep(1000), client:message())
      end
      client:close()
    end)
  end)

  it("may come in fragments, with pings in between", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      client:raw(frames.text("one ", { fin = false }) .. frames.ping "p1" .. frames.encode(0, "two ", { fin = false })
        .. frames.encode(frames.PONG, "unasked") .. frames.encode(0, "", { fin = false }) .. frames.ping "p2" .. frames.encode(0, "three"))
      assert.equal("p1", client:expect(frames.PONG))
      assert.equal("p2", client:expect(frames.PONG))
      assert.equal("one two three", client:message())
      client:raw(frames.text("", { fin = false }) .. frames.encode(0, ""))
      assert.equal("", client:message())
      client:close()
    end)
  end)

  it("may come in very many fragments", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      client:raw(frames.binary("x", { fin = false }) .. frames.encode(0, "x", { fin = false }):rep(20000) .. frames.encode(0, "y"))
      assert.equal(("x"):rep(20001) .. "y", client:expect(frames.BINARY))
      client:close()
    end)
  end)

  it("may have characters split between fragments", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      client:raw(frames.text("\xf0\x9f", { fin = false }) .. frames.encode(0, "\x8d", { fin = false }) .. frames.encode(0, "\xba"))
      assert.equal("🍺", client:message())
      client:close()
    end)
  end)

  it("may arrive cut at any byte", function()
    local bytes = frames.text("hé", { fin = false, mask = "wxyz" }) .. frames.ping("?", { mask = "1234" })
      .. frames.encode(0, ("l"):rep(130), { mask = "5678" })
    serve(echo, nil, function(address)
      for at = 1, #bytes - 1 do
        local client = frames.connect(address)
        client:raw(bytes:sub(1, at))
        turns(2)
        client:raw(bytes:sub(at + 1))
        assert.equal("?", client:expect(frames.PONG))
        assert.equal("hé" .. ("l"):rep(130), client:message())
        client:close()
      end
    end)
  end)

  it("may arrive byte by byte", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      for byte in (frames.text("héllo", { mask = "wxyz" }) .. frames.close(1000, "aü")):gmatch "." do
        client:raw(byte)
        turns(2)
      end
      assert.equal("héllo", client:message())
      assert.equal(1000, client:closing())
      client:close()
    end)
  end)

  it("are received up to max_message", function()
    serve(echo, { max_message = 1000 }, function(address)
      local client = frames.connect(address)
      client:text(("x"):rep(1000))
      assert.equal(1000, #client:message())
      client:text(("x"):rep(1001))
      assert.equal(1009, client:farewell())
      client:close()
      client = frames.connect(address)
      client:raw(frames.text(("x"):rep(600), { fin = false }) .. frames.encode(0, ("x"):rep(401)))
      assert.equal(1009, client:farewell())
      client:close()
    end)
  end)

  it("that are much too large still get to read why", function()
    serve(echo, { max_message = 1000 }, function(address)
      local client = frames.connect(address)
      local sender = task.spawn(function() pcall(client.text, client, ("x"):rep(8 << 20)) end)
      assert.equal(1009, client:closing())
      client:close()
      sender:join()
    end)
  end)

  it("are sent as text only if they are", function()
    local handler, result = reporting(function(socket)
      local codes = {}
      for i, text in ipairs { "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "1234567\xe2\x82" } do
        codes[i] = failure(socket.send, socket, text).code
      end
      assert.equal("EJSON", failure(socket.json, socket, { x = "\xff" }).code)
      assert.equal("EILSEQ", failure(socket.try_send, socket, "\xff").code)
      socket:send_binary "\xff"
      socket:send "\u{10ffff}é12345678é"
      socket:json { a = 1 }
      return codes
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      assert.equal("\xff", client:expect(frames.BINARY))
      assert.equal("\u{10ffff}é12345678é", client:message())
      assert.equal('{"a":1}', client:message())
      assert.equal(1000, client:farewell())
      client:close()
      local _, codes = result()
      assert.same({ "EILSEQ", "EILSEQ", "EILSEQ", "EILSEQ", "EILSEQ" }, codes)
    end)
  end)

  it("tell their kind", function()
    local handler, result = reporting(function(socket)
      local _, first = socket:receive(TIMEOUT)
      local _, second = socket:receive(TIMEOUT)
      return first, second
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      client:raw(frames.binary "" .. frames.text "")
      local _, first, second = result()
      assert.equal("binary", first)
      assert.equal("text", second)
      client:close()
    end)
  end)
end)

describe("what the protocol forbids", function()
  local cases = {
    { "an unmasked frame", 1002, frames.text("x", { mask = false }) },
    { "an unmasked empty frame", 1002, frames.text("", { mask = false }) },
    { "an unmasked close frame", 1002, frames.close(1000, "", { mask = false }) },
    { "a continuation without a start", 1002, frames.encode(0, "x") },
    { "a message within a message", 1002, frames.text("x", { fin = false }) .. frames.text "y" },
    { "a binary message within a text", 1002, frames.text("", { fin = false }) .. frames.binary "y" },
    { "a ping in fragments", 1002, frames.ping("x", { fin = false }) },
    { "a close frame in fragments", 1002, frames.close(1000, "", { fin = false }) },
    { "a ping of 126 bytes", 1002, frames.ping(("x"):rep(126)) },
    { "a pong of 70000 bytes", 1002, frames.encode(frames.PONG, ("x"):rep(70000)) },
    { "a close frame of 126 bytes", 1002, frames.close(1000, ("x"):rep(124)) },
    { "a close frame of 1 byte", 1002, frames.encode(frames.CLOSE, "x") },
    { "a length in more bytes than it needs", 1002, frames.text("x", { as = 16 }) },
    { "a length in far more bytes than it needs", 1002, frames.text("x", { as = 64 }) },
    { "a length of 64 bits", 1002, frames.binary("x", { length = -1, as = 64 }) },
    { "a length of 63 bits", 1009, frames.binary("x", { length = math.maxinteger }) },
    { "bad UTF-8", 1007, frames.text "\xff" },
    { "UTF-8 cut off", 1007, frames.text "12345678\xe2\x82" },
    { "bad UTF-8 over fragments", 1007, frames.text("\xc3", { fin = false }) .. frames.encode(0, "\x28") },
    { "surrogates", 1007, frames.text "\xed\xa0\x80" },
    { "overlong UTF-8", 1007, frames.text "\xc0\xaf" },
    { "a close reason of bad UTF-8", 1007, frames.close(1000, "\xff") },
  }
  for bit = 0, 2 do cases[#cases + 1] = { "RSV" .. 3 - bit, 1002, frames.text("x", { rsv = 1 << bit }) } end
  for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
    cases[#cases + 1] = { "opcode " .. opcode, 1002, frames.encode(opcode, "x") }
  end
  for _, code in ipairs { 0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65535 } do
    cases[#cases + 1] = { "close code " .. code, 1002, frames.close(code) }
  end

  for _, case in ipairs(cases) do
    local name, code, bytes = table.unpack(case)
    it(("%s closes with %d"):format(name, code), function()
      local handler, result = reporting(function(socket)
        local first = socket:receive(TIMEOUT)
        local second = socket:receive(TIMEOUT)
        assert.equal("EPIPE", failure(socket.send, socket, "too late").code)
        return first, second, socket.close_code
      end)
      serve(handler, nil, function(address)
        local client = frames.connect(address)
        client:raw(frames.text "before" .. bytes)
        assert.equal(code, (client:farewell()))
        local _, first, second, seen = result()
        assert.equal("before", first)
        assert.is_nil(second)
        assert.equal(code, seen)
        client:close()
      end)
    end)
  end
end)

describe("closing", function()
  it("by the peer: code and reason", function()
    for _, case in ipairs { { 1000, "" }, { 1001, "going" }, { 1012, "restart" }, { 1014, "" }, { 3000, "ü" }, { 4999, ("x"):rep(123) } } do
      local code, reason = table.unpack(case)
      local handler, result = reporting(function(socket)
        local message = socket:receive(TIMEOUT)
        return message, socket.close_code, socket.close_reason, socket.open
      end)
      serve(handler, nil, function(address)
        local client = frames.connect(address)
        client:raw(frames.close(code, reason) .. frames.text "after the close frame")
        assert.equal(code, (client:closing()))
        assert.is_nil(client:frame())
        local _, message, got, why, open = result()
        assert.is_nil(message)
        assert.equal(code, got)
        assert.equal(reason, why)
        assert.is_false(open)
        client:close()
      end)
    end
  end)

  it("by the peer, without a code", function()
    local handler, result = reporting(function(socket) return socket:receive(TIMEOUT), socket.close_code end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      client:raw(frames.close())
      assert.is_nil((client:closing()))
      local _, _, code = result()
      assert.equal(1005, code)
      client:close()
    end)
  end)

  it("by the handler: waits for the answer", function()
    local handler, result = reporting(function(socket)
      assert.is_true(socket.open)
      socket:close(4001, "grüße")
      return socket.close_code, socket.open, socket:receive()
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local code, reason = client:closing()
      assert.equal(4001, code)
      assert.equal("grüße", reason)
      client:raw(frames.ping "too late" .. frames.close(4002))
      assert.is_nil(client:frame())
      local _, got, open, message = result()
      assert.equal(4002, got)
      assert.is_false(open)
      assert.is_nil(message)
      client:close()
    end)
  end)

  it("by the handler: messages under way are still received", function()
    local handler, result = reporting(function(socket)
      socket:shut()
      return socket:receive(TIMEOUT), socket:receive(TIMEOUT), (socket:receive(TIMEOUT))
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      assert.equal(1000, client:closing())
      client:raw(frames.text "a" .. frames.text "b" .. frames.close(1000))
      local _, a, b, over = result()
      assert.equal("a", a)
      assert.equal("b", b)
      assert.is_nil(over)
      client:close()
    end)
  end)

  it("by the handler, from several tasks at once", function()
    local handler, result = reporting(function(socket)
      local tasks = {}
      for i = 1, 3 do tasks[i] = task.spawn(socket.close, socket, 4000 + i) end
      for _, one in ipairs(tasks) do one:join() end
      socket:close()
      return socket.open
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local code = client:farewell()
      assert.is_true(code >= 4001 and code <= 4003, code) -- of whichever of them came first
      assert.same({ true, false }, { result() })
      client:close()
    end)
  end)

  it("by the handler, while nobody receives what the peer sends", function()
    local handler, result = reporting(function(socket)
      until_true(function() return socket.full end)
      socket:close()
      return socket.close_code
    end)
    local inner
    serve(function(socket)
      inner = socket
      handler(socket)
    end, nil, function(address)
      local client = frames.connect(address)
      local sender = task.spawn(function() client:raw(frames.binary(("x"):rep(1 << 20)):rep(8) .. frames.close(4000)) end)
      until_true(function() return inner end)
      task.sleep(0.02) -- it has stopped reading, probably
      inner.full = true
      local _, code = result()
      assert.equal(4000, code)
      sender:join()
      client:close()
    end)
  end)

  it("is 1000 when the handler returns", function()
    serve(function() return { this = "is not sent" } end, nil, function(address)
      local client = frames.connect(address)
      assert.equal(1000, client:farewell())
      client:close()
    end)
  end)

  it("is 1011 when the handler fails", function()
    serve(function() error { status = 400, message = "on purpose" } end, nil, function(address)
      local client = frames.connect(address)
      assert.equal(1011, client:farewell())
      client:close()
    end)
  end)

  it("happens without <close> too", function()
    for _, case in ipairs { { 1000, function() end }, { 1011, function() error { status = 400, message = "on purpose" } end } } do
      local server = native.listen("127.0.0.1:0", function(req)
        collectgarbage "stop"
        local _ <close> = setmetatable({}, { __close = function() collectgarbage "restart" end })
        ws.accept(req)
        case[2]()
      end)
      local client = frames.connect(server:address())
      assert.equal(case[1], (client:farewell()))
      client:close()
      server:finish(TIMEOUT)
    end
  end)

  it("happens when the handler lost the socket, which is collected", function()
    local go
    local server = native.listen("127.0.0.1:0", function(req)
      ws.accept(req)
      collectgarbage()
      collectgarbage()
      until_true(function() return go end)
    end)
    local client = frames.connect(server:address())
    assert.equal(1001, client:farewell())
    client:close()
    go = true -- the handler ends after its connection is gone
    server:finish(TIMEOUT)
  end)

  it("is 1001 when the server stops, and handlers end", function()
    local handler, result = reporting(function(socket) return socket:receive(TIMEOUT), socket.close_code end)
    local server = server_of(handler)
    local client = frames.connect(server:address())
    local closing = task.spawn(server.finish, server, TIMEOUT)
    assert.equal(1001, client:farewell())
    local ok, message, code = result()
    assert.is_true(ok)
    assert.is_nil(message)
    assert.equal(1001, code)
    closing:join()
    client:close()
  end)

  it("is abrupt when the server is aborted, and handlers are cancelled", function()
    local handler, result = reporting(function(socket) return socket:receive(TIMEOUT) end)
    local server = server_of(handler)
    local client = frames.connect(server:address())
    turns()
    server:abort()
    assert.is_nil(client:frame())
    local ok, err = result()
    assert.is_false(ok)
    assert.equal("ECANCELED", err.code)
    server:finish(TIMEOUT)
    client:close()
  end)

  it("refuses codes and reasons that may not be sent", function()
    local handler, result = reporting(function(socket)
      for _, code in ipairs { 0, 999, 1002, 1004, 1005, 1006, 1010, 1015, 2000, 5000 } do
        assert.has_error(function() socket:close(code) end)
      end
      assert.has_error(function() socket:close(1000, ("x"):rep(124)) end)
      assert.has_error(function() socket:close(1000, "\xff") end)
      return socket.open
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      assert.equal(1000, client:farewell())
      assert.same({ true, true }, { result() })
      client:close()
    end)
  end)
end)

describe("tasks", function()
  it("send and receive at the same time", function()
    local N = 200
    local handler = function(socket)
      local sender = task.spawn(function()
        for i = 1, N do
          socket:send("s" .. i)
          if i % 10 == 0 then task.sleep(0) end
        end
      end)
      local got = 0
      for message in socket:messages() do
        got = got + 1
        assert(message == "c" .. got)
        if got == N then break end
      end
      sender:join()
      socket:send "done"
    end
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local sender = task.spawn(function()
        for i = 1, N do
          client:text("c" .. i)
          if i % 7 == 0 then task.sleep(0) end
        end
      end)
      for i = 1, N do assert(client:message() == "s" .. i) end
      assert.equal("done", client:message())
      sender:join()
      assert.equal(1000, client:farewell())
      client:close()
    end)
  end)

  it("wait in send for a peer that does not read, others go on, and all arrives in order", function()
    local sent, piece, N = 0, ("x"):rep(100000), 200
    local handler, result = reporting(function(socket)
      for i = 1, N do
        socket:send(i .. ":" .. piece)
        sent = i
      end
      return socket.pending
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      until_true(function() return sent > 0 end)
      local before
      repeat -- until the sender stands still
        before = sent
        task.sleep(0.02)
      until sent == before
      assert.is_true(sent < N)
      for i = 1, N do
        local message = client:message()
        assert(message == i .. ":" .. piece, i)
      end
      assert.is_true((result()))
      assert.equal(1000, client:farewell())
      client:close()
    end)
  end)

  it("send many messages at once that are never mixed", function()
    local TASKS, EACH = 50, 20
    local handler = function(socket)
      local tasks = {}
      for t = 1, TASKS do
        tasks[t] = task.spawn(function()
          for i = 1, EACH do socket:send(("%d:%d:%s"):format(t, i, (string.char(64 + t % 26)):rep(t * i * 7))) end
        end)
      end
      for _, one in ipairs(tasks) do one:join() end
    end
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local last = {}
      for _ = 1, TASKS * EACH do
        local t, i, rest = client:message():match "^(%d+):(%d+):(.*)$"
        t, i = tonumber(t), tonumber(i)
        assert.equal((last[t] or 0) + 1, i)
        last[t] = i
        assert(rest == (string.char(64 + t % 26)):rep(t * i * 7))
      end
      assert.equal(1000, client:farewell())
      client:close()
    end)
  end)

  it("receive one at a time: the second is told", function()
    local busy
    local handler, result = reporting(function(socket)
      local first = waiting(task.spawn(function() return socket:receive(TIMEOUT) end))
      busy = failure(socket.receive, socket).code
      return (first:join())
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      until_true(function() return busy end)
      client:text "for the first"
      local ok, message = result()
      assert.is_true(ok)
      assert.equal("for the first", message)
      assert.equal("EBUSY", busy)
      client:close()
    end)
  end)

  it("do not take the message another was woken for", function()
    local handler, result = reporting(function(socket)
      local stolen = {}
      task.spawn(function() -- looks in every turn of the loop, before and after the message
        for _ = 1, 1000 do
          local ok, message = pcall(socket.receive, socket, 0)
          if ok then stolen[#stolen + 1] = tostring(message) end
          task.sleep(0)
          if not socket.open then return end
        end
      end)
      local got = {}
      for i = 1, 20 do
        local ok, message
        repeat ok, message = pcall(socket.receive, socket) until ok
        got[i] = tostring(message)
        if message == "end" then break end
      end
      return table.concat(got, " "), table.concat(stolen, " ")
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      for i = 1, 10 do
        client:text("m" .. i)
        task.sleep(0.001)
      end
      client:text "end"
      local _, got, stolen = result()
      assert.is_nil((got .. stolen):find "nil")
      assert.matches("end$", got)
      client:close()
    end)
  end)

  it("time out in receive, and no message is lost", function()
    local handler, result = reporting(function(socket)
      local err = failure(socket.receive, socket, 0.001)
      socket:send "now"
      return err.code, socket:receive(TIMEOUT), failure(socket.receive, socket, 0).code
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      assert.equal("now", client:message())
      client:text "late"
      local _, code, message, again = result()
      assert.equal("ETIMEDOUT", code)
      assert.equal("late", message)
      assert.equal("ETIMEDOUT", again)
      client:close()
    end)
  end)

  -- A task that waits in the method of the handler's socket is cancelled; the socket is none the worse.
  local function cancelled(method, prepare, after)
    local handler, result = reporting(function(socket)
      if prepare then prepare(socket) end
      local one = waiting(task.spawn(function() socket[method](socket) end))
      assert.equal("waiting", one:status())
      one:cancel()
      local err = failure(one.join, one)
      return err.code, after(socket)
    end)
    return handler, result
  end

  it("are cancelled in receive", function()
    local handler, result = cancelled("receive", nil, function(socket)
      socket:send "go"
      return (socket:receive(TIMEOUT))
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      assert.equal("go", client:message())
      client:text "still here"
      local ok, code, message = result()
      assert.is_true(ok, code)
      assert.equal("ECANCELED", code)
      assert.equal("still here", message)
      client:close()
    end)
  end)

  it("are cancelled in send", function()
    local big = ("x"):rep(8 << 20)
    local handler, result = cancelled("go", function(socket)
      socket.go = function() socket:send(big) end
    end, function(socket) return socket.open end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local ok, code, open = result()
      assert.is_true(ok, code)
      assert.equal("ECANCELED", code)
      assert.is_true(open)
      assert.is_true(client:message() == big)
      assert.equal(1000, client:farewell())
      client:close()
    end)
  end)

  it("are cancelled in close", function()
    local handler, result = cancelled("close", nil, function(socket) return socket.open end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local ok, code, open = result()
      assert.is_true(ok, code)
      assert.equal("ECANCELED", code)
      assert.is_false(open)
      assert.equal(1000, client:farewell())
      client:close()
    end)
  end)
end)

describe("a peer that vanishes", function()
  -- Much that it did not read is left when the client closes: the kernel answers with a reset.
  local function vanishing(handler)
    local run, result = reporting(handler)
    local outcome
    serve(run, { cancel_on_disconnect = false }, function(address)
      local client = frames.connect(address)
      task.sleep(0.02)
      client:close()
      outcome = table.pack(result())
    end)
    return table.unpack(outcome, 1, outcome.n)
  end

  it("ends a receive with nil and code 1006", function()
    local ok, message, code = vanishing(function(socket) return socket:receive(TIMEOUT), socket.close_code end)
    assert.is_true(ok)
    assert.is_nil(message)
    assert.equal(1006, code)
  end)

  it("ends receive and send by a reset", function()
    local ok, sender, message, code = vanishing(function(socket)
      local one = task.spawn(function() socket:send(("x"):rep(16 << 20)) end)
      local message = socket:receive(TIMEOUT)
      return failure(one.join, one).code, message, socket.close_code
    end)
    assert.is_true(ok, sender)
    assert.equal("EPIPE", sender)
    assert.is_nil(message)
    assert.equal(1006, code)
  end)

  it("fails every task that waits in send", function()
    local ok, codes = vanishing(function(socket)
      local tasks, codes = {}, {}
      for i = 1, 5 do tasks[i] = task.spawn(function() socket:send(("x"):rep(12 << 20)) end) end
      for i, one in ipairs(tasks) do
        local fine, err = pcall(one.join, one)
        codes[i] = fine and "sent" or err.code
      end
      return table.concat(codes, " ")
    end)
    assert.is_true(ok)
    assert.equal("EPIPE EPIPE EPIPE EPIPE EPIPE", codes)
  end)

  it("while close waits", function()
    local ok, code = vanishing(function(socket)
      socket:close()
      return socket.close_code
    end)
    assert.is_true(ok)
    assert.equal(1006, code)
  end)
end)

describe("silence", function()
  it("is broken by pings", function()
    serve(function(socket) socket:receive(TIMEOUT) end, { ping_interval = 0.005, idle_timeout = 10 }, function(address)
      local client = frames.connect(address)
      for _ = 1, 3 do
        assert.equal("", client:expect(frames.PING))
        client:raw(frames.encode(frames.PONG, ""))
      end
      client:raw(frames.close(1000))
      client:close()
    end)
  end)

  it("of a peer ends the connection", function()
    for _, interval in ipairs { 0.005, 30 } do
      local handler, result = reporting(function(socket) return socket:receive(TIMEOUT), socket.close_code end)
      serve(handler, { ping_interval = interval, idle_timeout = 0.03 }, function(address)
        local client = frames.connect(address)
        local ok, message, code = result()
        assert.is_true(ok)
        assert.is_nil(message)
        assert.equal(1006, code)
        client:close()
      end)
    end
  end)

  it("of a peer that takes nothing ends the connection, even if it talks", function()
    local handler, result = reporting(function(socket) return socket:send(("x"):rep(16 << 20)) end)
    serve(handler, { ping_interval = 0.1, idle_timeout = 1 }, function(address)
      local client = frames.connect(address)
      local talker = task.spawn(function()
        while pcall(client.text, client, "not listening") do task.sleep(0.01) end
      end)
      assert.same({ true, false }, { result() }) -- what it said is still to be received: no error
      client:close()
      talker:cancel()
      pcall(talker.join, talker)
    end)
  end)

  it("does not count while we do not read", function()
    local handler, result = reporting(function(socket)
      task.sleep(2)
      local bytes = 0
      for message in socket:messages() do bytes = bytes + #message end
      return bytes, socket.close_code
    end)
    local sent = frames.binary(("x"):rep(1 << 20)):rep(12) .. frames.close(4000) -- takes long: would be silence, once connected
    serve(handler, { ping_interval = 0.05, idle_timeout = 1.5 }, function(address)
      local client = frames.connect(address)
      local sender = task.spawn(function() client:raw(sent) end)
      local ok, bytes, code = result()
      assert.is_true(ok, bytes)
      assert.equal(12 << 20, bytes)
      assert.equal(4000, code)
      sender:join()
      client:close()
    end)
  end)

  it("does not count while a slow peer takes what we send", function()
    local handler, result = reporting(function(socket)
      for _ = 1, 8 do socket:send(("x"):rep(1 << 20)) end -- a build with sanitizers makes frames slowly
    end)
    local path = os.tmpname()
    os.remove(path)
    -- A unix socket: its buffer is small, so that what is taken is seen at once.
    serve(handler, { ping_interval = 0.1, idle_timeout = 1.5 }, function(address)
      local client = frames.connect(address)
      local got = client.have
      while got < 8 << 20 do
        got = got + #assert(client.socket:read(65536, TIMEOUT))
        task.sleep(0.016)
      end
      assert.is_true((result()))
      client:close()
    end, "unix:" .. path)
  end)
end)

describe("pings", function()
  it("are answered with what they carry", function()
    serve(echo, nil, function(address)
      local client = frames.connect(address)
      for _, payload in ipairs { "", "?", ("\xff"):rep(125) } do
        client:raw(frames.ping(payload))
        assert.equal(payload, client:expect(frames.PONG))
      end
      client:close()
    end)
  end)

  it("are sent", function()
    serve(function(socket)
      socket:ping "you there?"
      socket:ping()
      assert.has_error(function() socket:ping(("x"):rep(126)) end)
      socket:receive(TIMEOUT)
    end, nil, function(address)
      local client = frames.connect(address)
      assert.equal("you there?", client:expect(frames.PING))
      assert.equal("", client:expect(frames.PING))
      client:close()
    end)
  end)

  it("of a peer that does not read the pongs pile up nothing, and the last one is answered", function()
    local N, LONG = 300000, 600 -- seconds: a build with sanitizers needs many for so many pings
    local inner
    serve(function(socket)
      inner = socket
      socket:receive(LONG)
    end, { idle_timeout = LONG }, function(address)
      local client = frames.connect(address)
      local one = frames.ping(("x"):rep(125))
      local most = 0
      for _ = 1, N // 1000 do
        client:raw(one:rep(1000))
        most = math.max(most, inner and inner.pending or 0)
      end
      client:raw(frames.ping "the last")
      assert.is_true(most < 2 << 20, most)
      repeat until client:expect(frames.PONG) == "the last"
      client:close()
    end)
  end)
end)

describe("try_send", function()
  it("says when the peer does not keep up, and when it is gone", function()
    local handler, result = reporting(function(socket)
      local piece, why, n = ("x"):rep(100000), nil, 0
      repeat
        local ok, reason = socket:try_send(piece)
        n, why = n + (ok and 1 or 0), reason
      until not ok
      local pending = socket.pending
      socket:shut()
      return n, why, pending, select(2, socket:try_send "x")
    end)
    serve(handler, { max_pending = 500000 }, function(address)
      local client = frames.connect(address)
      local ok, n, why, pending, after = result()
      assert.is_true(ok, n)
      assert.equal("slow", why)
      assert.is_true(pending > 300000 and pending <= 500000) -- the message that did not fit included, it is more
      assert.equal("closed", after)
      for _ = 1, n do assert.equal(100000, #client:message()) end
      client:close()
    end)
  end)

  it("does not call a peer slow whose bytes were only not written yet", function()
    local handler, result = reporting(function(socket)
      for _ = 1, 30 do assert(socket:try_send(("x"):rep(20000))) end
    end)
    serve(handler, { max_pending = 50000 }, function(address)
      local client = frames.connect(address)
      assert.is_true((result()))
      for _ = 1, 30 do assert.equal(20000, #client:message()) end
      client:close()
    end)
  end)
end)

describe("the handle", function()
  it("takes fields of the script", function()
    local handler, result = reporting(function(socket)
      socket.user, socket[1] = "ann", true
      assert.has_error(function() socket[nil] = 1 end)
      return socket.user, socket[1], socket.nothing, socket.close_code, tostring(socket)
    end)
    serve(handler, nil, function(address)
      local client = frames.connect(address)
      local ok, user, one, nothing, code, text = result()
      assert.is_true(ok, user)
      assert.same({ "ann", true }, { user, one })
      assert.is_nil(nothing)
      assert.is_nil(code)
      assert.matches("^green.ws: ", text)
      client:close()
    end)
  end)

  it("that was collected is an error, not a crash", function()
    local err
    local server = native.listen("127.0.0.1:0", function(req)
      local socket = ws.accept(req)
      debug.getmetatable(socket).__gc(socket)
      debug.getmetatable(socket).__gc(socket)
      err = failure(function() socket:send "x" end)
    end)
    local client = frames.connect(server:address())
    assert.equal(1001, client:farewell())
    client:close()
    server:finish(TIMEOUT)
    assert.equal("EPIPE", err.code)
  end)
end)

describe("app:ws", function()
  local hub = require "green.hub"

  it("closes the socket and drops its topics on every way out", function()
    local app = require "green.app".new()
    app:ws("/:how", function(socket, req)
      socket:subscribe "news"
      hub.attach("ann", socket)
      socket:send(("%d"):format(hub.count "news"))
      if req.params.how == "fails" then error { status = 400, message = "on purpose" } end
      return "not an answer"
    end)
    local server = app:listen "127.0.0.1:0"
    for how, code in pairs { returns = 1000, fails = 1011 } do
      local client = frames.connect(server:address(), { path = "/" .. how })
      assert.equal("1", client:message())
      assert.equal(code, (client:farewell()))
      assert.equal(0, hub.count "news")
      assert.equal(0, hub.send("ann", "anybody?"))
      client:close()
    end
    server:finish(TIMEOUT)
  end)

  it("refuses what is no WebSocket request", function()
    local app = require "green.app".new()
    app:ws("/ws", function() end)
    local server = app:listen "127.0.0.1:0"
    local client, status, headers = frames.ask(server:address(), { request = "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n" })
    assert.matches(" 426 ", status)
    assert.equal("websocket", headers.upgrade)
    client:close()
    server:finish(TIMEOUT)
  end)
end)

-- Node 22 has it, Node 20 behind an option, and Debian 12's Node 18 in the package of its fetch; that one writes the
-- length of a frame into the wrong bytes if its buffer comes from the pool, so there is none.
describe("node's WebSocket", function()
  local script = [[
    Buffer.poolSize = 0;
    const socket = new (globalThis.WebSocket ?? require("undici").WebSocket)(process.argv[2], ["v1"]);
    socket.binaryType = "arraybuffer";
    const sizes = [0, 1, 125, 126, 65535, 65536, 1000000];
    const sent = [];
    let back = 0;
    socket.onopen = () => {
      for (const n of sizes) {
        sent.push("é".repeat(n / 2), new Uint8Array(n).fill(n % 251).buffer);
        socket.send(sent[sent.length - 2]);
        socket.send(sent[sent.length - 1]);
      }
    };
    const same = (a, b) => typeof a === typeof b && (typeof a === "string" ? a === b : Buffer.from(a).equals(Buffer.from(b)));
    socket.onmessage = (event) => {
      if (!same(event.data, sent[back])) { console.log("message " + back + " came back as another"); process.exit(1); }
      if (++back === sent.length) socket.close(4100, "fertig");
    };
    socket.onclose = (event) => console.log([back, socket.protocol, event.code, event.reason, event.wasClean].join(" "));
    socket.onerror = (event) => console.log("error " + event.message);
  ]]

  it("understands us, and we it", function()
    local handler, result = reporting(function(socket)
      echo(socket)
      return socket.close_code, socket.close_reason
    end)
    serve(handler, { protocols = { "v1" } }, function(address)
      local folder = os.tmpname()
      os.remove(folder)
      assert(os.execute("mkdir " .. folder))
      local file = assert(io.open(folder .. "/client.js", "w"))
      file:write(script)
      file:close()
      -- Beside us: nothing else would run while we wait for a pipe.
      os.execute(([[cd %s && (
        option=$(node --help | grep -o -m 1 -e --experimental-websocket)
        NODE_PATH=/usr/share/nodejs timeout 60 node $option --no-warnings client.js ws://%s/ > out 2>&1
        mv out done) &]]):format(folder, address))
      local done
      until_true(function()
        done = io.open(folder .. "/done")
        return done
      end)
      local out = done:read "a"
      done:close()
      os.execute("rm -r " .. folder)
      assert.matches("^14 v1 4100 ", out)
      local ok, code, reason = result()
      assert.is_true(ok, code)
      assert.equal(4100, code)
      assert.equal("fertig", reason)
    end)
  end)
end)
