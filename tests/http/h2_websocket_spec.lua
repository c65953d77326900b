-- SPDX-License-Identifier: MIT
-- WebSockets over HTTP/2 (RFC 8441): the same handlers, and the same ends of a socket, beside other streams of a connection.
local frames = require "http.frames"
local h2 = require "http.h2"
local task = require "green.task"
local ws = require "green.ws"

local function opening(stream, others, protocol)
  local fields = { { ":method", "CONNECT" }, { ":protocol", protocol or "websocket" }, { ":scheme", "http" }, { ":path", "/socket" }, { ":authority", "a" },
    { "sec-websocket-version", "13" } }
  for _, field in ipairs(others or {}) do fields[#fields + 1] = field end
  return h2.headers(stream, fields)
end

local function data(stream, bytes, flags) return h2.frame(h2.DATA, flags or 0, stream, bytes) end

local log

local function handler(req)
  if req.path ~= "/socket" then return "page" end
  log.asked = ("%s %s %s"):format(req.method, req.version, tostring(req.has_body))
  local socket <close> = ws.accept(req, { protocols = { "chat" }, max_message = 1 << 22 })
  local _ <close> = setmetatable({}, { __close = function() log.closed = socket.close_code or "none" end })
  for message, kind in socket:messages() do
    if message == "bye" then return end
    if message == "much" then for _ = 1, 40 do socket:send(("m"):rep(50000)) end end
    if kind == "binary" then socket:send_binary(message) else socket:send(message) end
  end
end

before_each(function() log = {} end)

-- Reads until the socket of a stream has said so many bytes.
local function said(client, stream, n)
  assert.is_true(client:watch(function()
    local answer = client.answers[stream]
    return answer and (#answer.body >= n or answer.reset)
  end))
  return client.answers[stream].body
end

local function plain(text) return frames.text(text, { mask = false }) end

describe("a WebSocket over HTTP/2", function()
  it("is announced, and opened by an extended CONNECT, which handlers see as the GET that it is", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      local settings
      repeat settings = client:next() until settings.kind == h2.SETTINGS and settings.flags == 0
      assert.is_truthy(settings.payload:find("\0\8\0\0\0\1", 1, true))
      client:send(opening(1, { { "sec-websocket-protocol", "other, chat" } }), data(1, frames.text "hello"))
      assert.equal(plain "hello", said(client, 1, 7))
      local answer = client.answers[1]
      assert.same({ 200, "chat", nil, nil }, { answer.status, answer.headers["sec-websocket-protocol"], answer.headers["sec-websocket-accept"],
        answer.headers["content-length"] })
      assert.equal("GET 2 false", log.asked)
      client:send(h2.get(3, "/page"), data(1, frames.binary(("b"):rep(1000))))
      assert.equal("page", client:answer(3).body)
      assert.equal(7 + 1004, #said(client, 1, 7 + 1004))
      client:send(data(1, frames.close(1000)))
      client:send(data(1, "", h2.END_STREAM))
      assert.is_true(client:answer(1).ended)
      h2.eventually(function() return log.closed end)
      assert.equal(1000, log.closed)
      client:send(h2.get(5, "/page"))
      assert.equal("page", client:answer(5).body)
    end)
  end)

  it("ends when its handler does", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(opening(1), data(1, frames.text "bye"))
      assert.equal(frames.close(1000, "", { mask = false }), said(client, 1, 4))
      client:send(data(1, frames.close(1000)), data(1, "", h2.END_STREAM))
      assert.is_true(client:answer(1).ended)
    end)
  end)

  it("is compressed if the client offers it", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(opening(1, { { "sec-websocket-extensions", "permessage-deflate" } }), data(1, frames.text(("z"):rep(5000))))
      assert.is_true(#said(client, 1, 2) < 100)
      assert.matches("^permessage%-deflate", client.answers[1].headers["sec-websocket-extensions"])
    end)
  end)

  it("holds back a handler that sends more than the client's window, and no other stream", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address, { stingy = true })
      client:send(h2.window(0, 1 << 30), opening(1), data(1, frames.text "much"))
      said(client, 1, 65535)
      client:settle()
      assert.equal(65535, #client.answers[1].body)
      client:send(h2.get(3, "/page"))
      assert.equal("page", client:answer(3).body)
      client:send(h2.window(1, 1 << 30))
      assert.equal(40 * 50004 + 6, #said(client, 1, 40 * 50004 + 6))
    end)
  end)

  it("holds back a client whose messages are not read", function()
    local gate = task.channel()
    local total = 0
    local function lazy(req)
      local socket <close> = ws.accept(req, { max_message = 1 << 22 })
      gate:receive()
      for message in socket:messages() do total = total + #message end
    end
    h2.serve(lazy, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(opening(1))
      local message = frames.binary(("b"):rep(16000))
      local window, sent = 65535, 0
      local function take_note(frame)
        if frame.kind == h2.WINDOW_UPDATE and frame.stream == 1 then window = window + (">I4"):unpack(frame.payload) end
      end
      local stalls = 0
      while sent < 2000 and stalls < 3 do
        if window >= #message then
          client:send(data(1, message))
          window, sent, stalls = window - #message, sent + 1, 0
        else
          local before = client.pings
          client:send(h2.frame(h2.PING, 0, 0, "12345678"))
          while client.pings == before do take_note(assert(client:next())) end
          if window < #message then stalls = stalls + 1 end
        end
      end
      assert.is_true(sent < 200, sent)
      gate:send(true)
      h2.eventually(function() return total == sent * 16000 end)
    end)
  end)

  it("is lost when the stream is reset, the connection ends, or the client ends without a close", function()
    h2.serve(handler, {}, function(address)
      for _, ending in ipairs { "reset", "end", "connection" } do
        log = {}
        local client <close> = h2.connect(address)
        client:send(opening(1), data(1, frames.text "hello"))
        said(client, 1, 7)
        if ending == "reset" then client:send(h2.reset(1, h2.CANCEL)) elseif ending == "end" then client:send(data(1, "", h2.END_STREAM)) else client:close() end
        h2.eventually(function() return log.closed end)
        assert.equal(1006, log.closed, ending)
      end
    end)
  end)

  it("is told when the server ends, and lost when it is aborted", function()
    h2.serve(handler, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(opening(1), data(1, frames.text "hello"))
      said(client, 1, 7)
      local finishing = task.spawn(server.finish, server, 20)
      assert.equal("\136", said(client, 1, 9):sub(8, 8)) -- a close
      client:send(data(1, frames.close(1001)), data(1, "", h2.END_STREAM))
      assert.equal(h2.NO_ERROR, client:rest())
      client:close()
      finishing:join()
    end)
    h2.serve(handler, {}, function(address, server)
      local client <close> = h2.connect(address)
      client:send(opening(1), data(1, frames.text "hello"))
      said(client, 1, 7)
      server:abort()
      client:rest()
      h2.eventually(function() return log.closed end)
    end)
  end)

  it("outlives the time of a request", function()
    h2.serve(handler, { request_timeout = 0.1 }, function(address)
      local client <close> = h2.connect(address)
      client:send(opening(1))
      task.sleep(0.4)
      client:send(data(1, frames.text "hello"))
      assert.equal(plain "hello", said(client, 1, 7))
    end)
  end)

  it("is refused as it is in HTTP/1, and another protocol always", function()
    h2.serve(handler, {}, function(address)
      local client <close> = h2.connect(address)
      client:send(opening(1, { { "origin", "http://evil.example" } }))
      assert.equal(403, client:answer(1).status)
      client:send(opening(3, nil, "connect-ip"))
      assert.equal(501, client:answer(3).status)
      client:send(h2.headers(5, { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" }, { ":path", "/socket" }, { ":authority", "a" } }))
      assert.equal(426, client:answer(5).status)
      client:send(h2.headers(7, h2.fields("GET", "/socket", { { "sec-websocket-version", "13" } }), h2.END_STREAM))
      assert.equal(426, client:answer(7).status)
      client:send(h2.headers(9, { { ":method", "GET" }, { ":protocol", "websocket" }, { ":scheme", "http" }, { ":path", "/socket" }, { ":authority", "a" } }))
      assert.equal(h2.PROTOCOL_ERROR, client:answer(9).reset)
      client:send((opening(11):gsub("/socket", "/nobody")))
      local page = client:answer(11)
      assert.same({ 200, "page" }, { page.status, page.body })
      assert.is_true(client:watch(function() return page.reset end))
      assert.equal(h2.NO_ERROR, page.reset)
    end)
  end)
end)
